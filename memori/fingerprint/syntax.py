r"""What the syntax of a function says, whatever it looks like and whichever Python parses it.

The canonical text of a syntax tree leaves out positions, docstrings, annotations, statements that
do nothing and what differs between versions of Python for the same source. What a function's
decorators and defaults come to is seen in the live objects, so only parameters and body count here.

>>> canonical_text("def f(a: int = 1_000) -> str:\n    'doc'\n    return (a)") == (
...     canonical_text("def f(a=5):  # comment\n  return a"))
True
"""

from __future__ import annotations

import ast
import sys
from hashlib import sha256
from types import CodeType

from memori.fingerprint.bytecode import VERSION, code_digest, constant
from memori.fingerprint.graph import Node, edge_parts, state_of
from memori.fingerprint.names import APART
from memori.fingerprint.sources import source_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from memori.fingerprint.graph import Overlay, State

    Edge = tuple[str, State]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_BLOCKS = ("orelse", "finalbody")
_UNSEEN = frozenset({"type_comment", "type_ignores", "kind", "type_params", "ctx"})


class Syntax:
    """The canonical text of a function, with holes where it names something outside itself.

    `parts` holds digests of text and, for the holes, chains of names. What a chain leads to takes
    the place of its spelling, so that an import may be spelled in any way.
    """

    __slots__ = ("names", "parts")

    def __init__(self, writer: Writer) -> None:
        self.names = frozenset(writer.names)
        self.parts: list[bytes | tuple[str, ...]] = []
        run: list[bytes] = []
        for piece in writer.out:
            if isinstance(piece, bytes):
                run.append(piece)
            else:
                self.parts += (sha256(b"".join(run)).digest(), piece)
                run = []
        self.parts.append(sha256(b"".join(run)).digest())


_known: dict[int, tuple[CodeType, Any, Syntax]] = {}


def syntax_of(code: CodeType, namespace: dict[str, object]) -> Syntax | None:
    """Return what the source of a loaded function says, or None if there is no such source."""
    source = source_of(code, namespace)
    if source is None:
        return None
    known = _known.get(id(code))
    if known is not None and known[1] is source:
        return known[2]
    function = source.function(code)
    if function is None:
        return None
    writer = Writer(_bound(function))
    writer.function(function)
    syntax = Syntax(writer)
    _known[id(code)] = (code, source, syntax)
    return syntax


def canonical_text(source: str) -> bytes:
    """Return the canonical text of the first function in `source`."""
    tree = ast.parse(source)
    writer = Writer()
    writer.function(next(node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)))
    return writer.text()


def _bound(function: ast.AST) -> frozenset[str]:
    """Return the names that are bound anywhere in a function: they are not only global names."""
    bound: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            bound.update(node.names)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif node is not function:
            for field in ("name", "rest"):  # definitions, handlers, patterns
                name = getattr(node, field, None)
                if isinstance(name, str):
                    bound.add(name)
    return frozenset(bound)


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
        for each in node.decorator_list:
            self.write(each)
        self.out.append(b"|")
        self.parameters(node.args)
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


class Canonical:
    """Reads the parts of nodes at the level of syntax; `trusted` is False if one had no source."""

    def __init__(self) -> None:
        self.trusted = True

    def parts(self, node: Node, overlay: Overlay) -> Iterator[bytes | Node]:
        """Yield what `node` is made of at the level of syntax."""
        yield from state_of(node, overlay)
        if node.code is None:
            return
        namespace = getattr(node.origin, "__globals__", {})
        syntax = syntax_of(node.code, namespace)
        edges = sorted(node.edges, key=lambda edge: edge[0])
        if syntax is None:
            made = node.code.co_filename.startswith("<") and not node.label.startswith("function ")
            self.trusted = self.trusted and made
            yield b"C%d.%d" % VERSION + code_digest(node.code)
        else:
            edges = yield from _filled(syntax, edges)
        yield from edge_parts(edges)


def _filled(syntax: Syntax, edges: list[Edge]) -> Generator[bytes | Node, None, list[Edge]]:
    """Yield the text with its holes filled, and return the edges that filled none."""
    states = dict(edges)
    filled: set[str] = set()
    for part in syntax.parts:
        if isinstance(part, bytes):
            yield part
            continue
        for end in range(len(part), 0, -1):
            path = ".".join(part[:end])
            if path in states:
                filled.add(path)
                yield b"<"
                yield from states[path]
                yield b">" + constant(part[end:])
                break
        else:
            yield constant(part)
    return [edge for edge in edges if edge[0] not in filled and _is_named(edge[0], syntax.names)]


def _is_named(path: str, names: frozenset[str]) -> bool:
    """Return whether the canonical text names what an edge starts from."""
    first = path.lstrip(APART).partition(".")[0]
    if first in names or " " in first:
        return True
    # a name with two leading underscores is spelled otherwise in the bytecode of a class
    return any(first.endswith(name) for name in names if name.startswith("__"))
