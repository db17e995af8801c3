r"""The canonical text of a syntax tree: what it says, whatever it looks like.

The text leaves out positions, docstrings, annotations, statements that do nothing and what differs
between versions of Python for the same source.

>>> one, two = Writer(), Writer()
>>> one.function(parsed("def f(a: int = 1_000) -> str:\n    'doc'\n    return (a)", "one").body[0])
>>> two.function(parsed("def f(a=5):  # comment\n  return a", "two").body[0])
>>> one.text() == two.text()
True
"""

from __future__ import annotations

import _ast as ast  # the nodes alone: `ast` itself takes a millisecond to import
import sys

from memori.fingerprint.bytecode import constant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_TRIES = 50  # to parse a text while other threads parse as well
_BLOCKS = ("orelse", "finalbody")
_UNSEEN = frozenset({"type_comment", "type_ignores", "kind", "type_params", "ctx"})


def parsed(content: bytes | str, name: str) -> ast.Module:
    """Return the syntax tree of a source text; `name` is for the error."""
    for left in reversed(range(_TRIES)):
        try:
            tree = compile(content, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        except SystemError:  # gh-106905: threads that parse at once upset each other's depth
            if not left:
                raise
        else:
            assert isinstance(tree, ast.Module)
            return tree
    raise AssertionError("unreachable: the last try returns or raises")


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all nodes in it, but none that a library has hung on one (`.parent`)."""
    waiting = [node]
    for each in waiting:
        yield each
        held = vars(each)
        for value in map(held.get, each._fields):
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [item for item in value if isinstance(item, ast.AST)]


def lines_of(node: Any) -> tuple[int, int]:
    """Return the first line of a statement, with its decorators, and the last."""
    decorators = getattr(node, "decorator_list", ())
    first = min([node.lineno, *(each.lineno for each in decorators)])
    return first, node.end_lineno or node.lineno


def fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a node has, with their names."""
    for name in node._fields:
        if hasattr(node, name):
            yield name, getattr(node, name)


class Writer:
    """Writes the canonical text of a syntax tree.

    Given the names that are `bound` in it, chains of names that start from another are left as
    holes; without, all of it is text.
    """

    def __init__(self, bound: frozenset[str] | None = None) -> None:
        self.out: list[bytes | tuple[str, ...]] = []
        self.names: set[str] = set()
        self._bound = bound

    def text(self) -> bytes:
        """Return all of the text, where there are no holes."""
        return b"".join(piece for piece in self.out if isinstance(piece, bytes))

    def function(self, node: Any) -> None:
        """Write parameters and body of the outermost function."""
        self.out.append(type(node).__name__.encode())
        self.parameters(node.args)
        if isinstance(node.body, list):
            self.body(node.body, documented=True)
        else:
            self.write(node.body)

    def parameters(self, node: ast.arguments) -> None:
        """Write the names and kinds of parameters, and which have defaults."""
        for kind in ("posonlyargs", "args", "kwonlyargs"):
            names = [each.arg for each in getattr(node, kind)]
            self.out.append(f"{kind}{names}".encode())
        for each in (node.vararg, node.kwarg):
            self.out.append(f"*{each.arg if each else ''};".encode())

    def body(self, statements: list[Any], *, documented: bool = False) -> None:
        """Write statements without docstring and without those that do nothing."""
        if documented and statements and _is_constant(statements[0], str):
            statements = statements[1:]
        kept = [each for each in statements if not _does_nothing(each)]
        self.out.append(b"[")
        for each in kept:
            self.write(each)
        self.out.append(b"]")

    def write(self, node: Any) -> None:
        """Write any node."""
        special = getattr(self, f"_{type(node).__name__}", None)
        if special is not None:
            special(node)
        else:
            self.plain(node)

    def plain(self, node: Any) -> None:
        """Write the type of a node and its fields, without those that are empty."""
        self.out.append(f"{type(node).__name__}(".encode())
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list) and name in _BLOCKS:
                value = [each for each in value if not _does_nothing(each)]
            if value is None or value == [] or name in _UNSEEN:
                continue
            self.out.append(f"{name}=".encode())
            self.value(name, value)
        self.out.append(b")")

    def value(self, name: str, value: Any) -> None:
        """Write one field."""
        if isinstance(value, list):
            if name in ("body", "orelse", "finalbody"):
                self.body(value)
                return
            self.out.append(b"(")
            for each in value:
                if each is None:
                    self.out.append(b"None,")
                else:
                    self.value("", each)
            self.out.append(b")")
        elif isinstance(value, ast.AST):
            self.write(value)
        else:
            self.out.append(constant(value))

    def _Name(self, node: ast.Name) -> None:
        self.names.add(node.id)
        if self._is_free(node):
            self.out.append((node.id,))
            return
        kind = b"" if isinstance(node.ctx, ast.Load) else type(node.ctx).__name__.encode()
        self.out.append(kind + constant(node.id))

    def _is_free(self, node: ast.Name) -> bool:
        return self._bound is not None and node.id not in self._bound

    def _Attribute(self, node: ast.Attribute) -> None:
        names = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and self._is_free(inner) and _is_loaded(node):
            self.names.add(inner.id)
            self.out.append((inner.id, *reversed(names)))
        else:
            self.plain(node)

    def _Constant(self, node: ast.Constant) -> None:
        self.out.append(b"=" + constant(node.value))

    def _FunctionDef(self, node: Any) -> None:
        self.out.append(type(node).__name__.encode() + constant(node.name) + b"(")
        wrapping = node.decorator_list
        for each in wrapping:
            self.write(each)
        self.out.append(b"|")
        self.parameters(node.args)
        if any(isinstance(each, ast.Attribute) and each.attr == "register" for each in wrapping):
            for each in node.args.posonlyargs + node.args.args:  # `singledispatch` goes by them
                self.value("", each.annotation)
        self.value("", node.args.defaults)
        self.value("", node.args.kw_defaults)
        self.body(node.body, documented=True)
        self.out.append(b")")

    _AsyncFunctionDef = _FunctionDef

    def _Lambda(self, node: ast.Lambda) -> None:
        self.out.append(b"Lambda(")
        self.parameters(node.args)
        self.value("", node.args.defaults)
        self.value("", node.args.kw_defaults)
        self.write(node.body)
        self.out.append(b")")

    def _ClassDef(self, node: ast.ClassDef) -> None:
        self.out.append(b"ClassDef" + constant(node.name) + b"(")
        for part in (node.decorator_list, node.bases, node.keywords):
            self.value("", part)
        statements = node.body
        if statements and _is_constant(statements[0], str):
            statements = statements[1:]
        for each in statements:
            if isinstance(each, ast.AnnAssign):  # a dataclass would read the annotation
                self.plain(each)
            elif not _does_nothing(each):
                self.write(each)
        self.out.append(b")")

    def _AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            # it does nothing, but makes the name a local one
            self.out.append(b"local")
            self.write(node.target)
            return
        self.out.append(b"Assign(targets=(")
        self.write(node.target)
        self.out.append(b")value=")
        self.write(node.value)
        self.out.append(b")")

    def _Delete(self, node: ast.Delete) -> None:
        self.out.append(b"Delete(")
        for target in node.targets:
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                self.write(each)
        self.out.append(b")")

    def _Assert(self, node: ast.Assert) -> None:
        self.out.append(b"O%d" % sys.flags.optimize)
        self.plain(node)

    def _JoinedStr(self, node: ast.JoinedStr) -> None:
        """Write an f-string; parts of text that some versions leave apart are joined."""
        parts: list[Any] = []
        for each in node.values:
            if _is_text(each) and parts and isinstance(parts[-1], str):
                parts[-1] += each.value  # type: ignore[attr-defined]
            elif _is_text(each):
                parts.append(each.value)  # type: ignore[attr-defined]
            else:
                parts.append(each)
        parts = [each for each in parts if each != ""]
        if all(isinstance(each, str) for each in parts):
            self.out.append(b"=" + constant("".join(parts)))
            return
        self.out.append(b"JoinedStr(")
        for each in parts:
            if isinstance(each, str):
                self.out.append(constant(each))
            else:
                self.write(each)
        self.out.append(b")")


def _is_loaded(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Load)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_constant(node: Any, kind: type = object) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, kind)


def _does_nothing(node: Any) -> bool:
    return isinstance(node, ast.Pass) or _is_constant(node)


def bound_names(function: ast.AST) -> frozenset[str]:
    """Return the names that are bound anywhere in a function: they are not only global names."""
    bound: set[str] = set()
    for node in inside(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            bound.update(node.names)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif node is not function:
            held = vars(node)
            for field in ("name", "rest"):  # definitions, handlers, patterns
                if isinstance(held.get(field), str):
                    bound.add(held[field])
    return frozenset(bound)
