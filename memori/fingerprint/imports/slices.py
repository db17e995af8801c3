"""Which statements of a module's source matter to a name, found without running the module.

A statement matters if it binds a name that is needed, or does something (calls, assigns to an item
or an attribute, decorates, derives a class) with what is needed; the names that it uses are then
needed too. Statements are compared by their canonical text, so that formatting, comments,
docstrings and annotations do not count here either.
"""

from __future__ import annotations

import _ast as ast
import re
from hashlib import sha256
from itertools import groupby

from memori.fingerprint.writer import Writer, fields, inside, lines_of, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    Chain = tuple[str, ...]
    Imported = tuple[str, int, Chain]  # module, level, names read from it

_OWN_NAMESPACE = ({"globals"}, {"exec"}, {"modules", "__name__"})  # ways to write there
_SIMPLE = (ast.Name, ast.Tuple, ast.List, ast.Starred)


class Statement:
    """One top-level statement: what it binds, uses and imports, and whether it acts on things."""

    __slots__ = (
        *("acts", "binds", "defines", "imports", "is_plain", "lines", "names", "stars", "strings"),
        *("text", "uses"),
    )

    def __init__(self, node: ast.stmt) -> None:
        writer = Writer()
        writer.write(node)
        self.text = writer.text()
        self.lines = lines_of(node)
        self.binds: set[str] = set()
        self.uses: dict[str, set[Chain]] = {}
        self.names: set[str] = set()  # of attributes too, whatever they are read from
        self.strings: set[str] = set()
        self.imports: dict[str, list[Imported]] = {}
        self.stars: list[tuple[str, int]] = []
        self._read(node)
        self.binds.update(_bound(node))
        self.acts = _acts(node)
        self.is_plain = _is_plain(node)
        self.defines = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))

    def _use(self, name: str, chain: Chain) -> None:
        self.uses.setdefault(name, set()).add(chain)
        self.names.update((name, *chain))

    def _read(self, node: Any) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
            return
        chain = chain_of(node)
        if chain is not None:
            self._use(chain[0], chain[1:])
            return
        if isinstance(node, ast.Call) and _is_getattr(node):
            inner = chain_of(node.args[0])
            name = node.args[1]
            if inner is not None and isinstance(name, ast.Constant) and type(name.value) is str:
                self._use(inner[0], (*inner[1:], name.value))
                for rest in node.args[2:]:
                    self._read(rest)
                return
        if isinstance(node, ast.Global):
            for name_ in node.names:
                self._use(name_, ())
        if isinstance(node, ast.Attribute):
            self.names.add(node.attr)
        elif isinstance(node, ast.Constant) and type(node.value) is str:
            self.strings.add(node.value)
        for each in _children(node):
            self._read(each)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for each in node.names:
            if isinstance(node, ast.Import):
                if each.asname:
                    self.imports.setdefault(each.asname, []).append((each.name, 0, ()))
                else:
                    top = each.name.partition(".")[0]
                    self.imports.setdefault(top, []).append((top, 0, ()))
            elif each.name == "*":
                self.stars.append((node.module or "", node.level))
            else:
                name = each.asname or each.name
                found = (node.module or "", node.level, (each.name,))
                self.imports.setdefault(name, []).append(found)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node is made of, without annotations."""
    for name, value in fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, ast.AST))


def chain_of(node: Any) -> Chain | None:
    """Return the names of a dotted name, or None if a node is none."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(names))


def _is_getattr(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr")
        and len(node.args) >= 2
    )


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in the module."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        for inner in inside(node):
            if isinstance(inner, ast.Global):
                yield from inner.names
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
        return
    if isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    if isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    for each in _children(node):
        yield from _bound(each)


def _acts(node: ast.stmt) -> bool:
    """Return whether running a statement may change things besides the names that it binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return bool(node.decorator_list)
    if isinstance(node, ast.ClassDef):
        return bool(node.decorator_list or node.bases or node.keywords)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return False
    if isinstance(node, ast.Assign) and all(isinstance(each, _SIMPLE) for each in node.targets):
        return _calls(node.value)
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.value is not None and _calls(node.value)
    return True


def _is_plain(node: ast.stmt) -> bool:
    """Return whether a statement does no more than define a function, before or after others."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.decorator_list:
        return False
    defaults = [*node.args.defaults, *node.args.kw_defaults]
    return all(each is None or isinstance(each, ast.Constant) for each in defaults)


def _calls(node: ast.AST) -> bool:
    return any(isinstance(each, (ast.Call, ast.Await)) for each in inside(node))


class Slices:
    """A module's source, cut into statements."""

    def __init__(self, content: bytes | str, name: str) -> None:
        self._content = content
        body = parsed(content, name).body
        self.documentation = documentation(body)
        self._told: dict[bool, list[bytes]] = {}
        statements = list(reached(body))
        self.statements = [Statement(node) for node in statements]
        self.binders: dict[str, list[int]] = {}
        for position, statement in enumerate(self.statements):
            for bound in statement.binds:
                self.binders.setdefault(bound, []).append(position)
        self.tables = list(_literals(statements)) if "__getattr__" in self.binders else []
        self.stars = [star for statement in self.statements for star in statement.stars]
        self.imports: dict[str, list[Imported]] = {}
        for statement in self.statements:
            for bound, found in statement.imports.items():
                self.imports.setdefault(bound, []).extend(found)

        self.making = {at for at, each in enumerate(self.statements) if self._makes_names(each)}

    def _makes_names(self, statement: Statement) -> bool:
        """Tell whether running a statement may bind names that it does not spell."""
        if not statement.acts or statement.defines:
            return False
        reached = (at for name in self._reach(statement) for at in self.binders[name])
        found = (statement, *(self.statements[at] for at in reached))
        return any(way <= each.names for each in found for way in _OWN_NAMESPACE)

    def written(self, statement: Statement) -> str:
        """Return a statement as it is written."""
        first, last = statement.lines
        lines = self._content.splitlines()[first - 1 : last]
        return "\n".join(
            line if isinstance(line, str) else line.decode("utf-8", "replace") for line in lines
        )

    def told(self, statements: list[Statement], *, documented: bool) -> bytes:
        """Return the text of statements with annotations, and docstrings if they are asked for."""
        texts = self._told.get(documented)
        if texts is None:
            body = parsed(self._content, "").body
            texts = self._told[documented] = [_told(each, documented) for each in reached(body)]
        wanted = set(statements)
        found = [told for each, told in zip(self.statements, texts, strict=True) if each in wanted]
        return b"\n".join(found) + repr(documented and self.documentation).encode()

    def named_in_texts(self) -> frozenset[str]:
        """Return the module's names that stand in its texts, where a library may look them up."""
        texts = "\n".join(each for statement in self.statements for each in statement.strings)
        return frozenset(re.findall(r"[^\W\d]\w*", texts)) & self.binders.keys()

    def acting(self) -> list[Statement]:
        """Return the statements that act on things, and those that they need, in order."""
        acting = {position for position, each in enumerate(self.statements) if each.acts}
        uses = {name for position in acting for name in self.statements[position].uses}
        return self.needed(uses & self.binders.keys(), acting)

    def needed(self, names: Iterable[str] | None, included: Iterable[int] = ()) -> list[Statement]:
        """Return the statements that matter to `names`, in order; all of them for None."""
        if names is None:
            return self.statements
        needed = set(names)
        included = set(included)
        before = -1
        while len(included) != before:
            before = len(included)
            for position, statement in enumerate(self.statements):
                if position in included:
                    continue
                acting = statement.acts and self._reach(statement) & needed
                if statement.binds & needed or acting or position in self.making:
                    included.add(position)
                    needed.update(name for name in statement.uses if name in self.binders)
        return [self.statements[position] for position in sorted(included)]

    def _reach(self, statement: Statement) -> set[str]:
        """Return the module's names that running a statement may touch."""
        reached: set[str] = set()
        waiting = [name for name in statement.uses if name in self.binders]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                for position in self.binders[name]:
                    uses = self.statements[position].uses
                    waiting += [each for each in uses if each in self.binders]
        return reached

    def outside(self, statements: list[Statement]) -> dict[tuple[Imported, Chain], None]:
        """Return what statements read from other modules: (import, chain read from the name)."""
        found: dict[tuple[Imported, Chain], None] = {}
        for statement in statements:
            for name in sorted(statement.uses):
                for imported in self.imports.get(name, ()):
                    for chain in sorted(statement.uses[name]):
                        found[imported, chain] = None
        return found

    def unbound(self, statements: list[Statement]) -> list[str]:
        """Return the names that statements use and the module does not bind."""
        names = {name for statement in statements for name in statement.uses}
        return sorted(name for name in names if name not in self.binders)

    def unused_imports(self) -> list[Imported]:
        """Return imports whose names are never used: importing may be all that they are for."""
        used = {name for statement in self.statements for name in statement.uses}
        unused = (found for name, found in self.imports.items() if name not in used)
        return [imported for found in unused for imported in found]


class Annotated(Writer):
    """Writes annotations as well, and docstrings if it is `documented`."""

    def __init__(self, documented: bool) -> None:
        super().__init__()
        self._documented = documented

    def write(self, node: Any) -> None:
        """Write any node, what is defined or annotated with all that it says."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.AnnAssign)):
            self.plain(node)
        else:
            super().write(node)

    def body(self, statements: list[Any], *, documented: bool = False) -> None:
        """Write statements, those too that do nothing where one may be a docstring."""
        if not self._documented:
            super().body(statements)
            return
        for each in statements:
            self.write(each)


def _told(node: ast.stmt, documented: bool) -> bytes:
    writer = Annotated(documented)
    writer.write(node)
    return writer.text()


def documentation(body: list[ast.stmt]) -> str | None:
    """Return the docstring of what has these statements."""
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first.value.value if type(first.value.value) is str else None
    return None


def reached(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, without those for type checkers and scripts."""
    for node in statements:
        if isinstance(node, ast.If) and _is_never(node.test):
            yield from reached(node.orelse)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node


def _is_never(test: ast.expr) -> bool:
    chain = chain_of(test)
    if chain is not None:
        return chain[-1] == "TYPE_CHECKING"
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )


def _literals(statements: list[ast.stmt]) -> Iterator[object]:
    """Yield the dictionaries and collections of names that statements spell."""
    for statement in statements:
        for node in inside(statement):
            if isinstance(node, (ast.Dict, ast.List, ast.Set, ast.Tuple)):
                try:
                    yield _literal(node)
                except (ValueError, TypeError):
                    pass  # it holds more than text


def _literal(node: Any) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Dict):
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
        }
    if isinstance(node, (ast.List, ast.Set)):
        return [_literal(each) for each in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(each) for each in node.elts)
    raise ValueError(f"a literal was expected, not a {type(node).__name__}")


def text_digest(statements: list[Statement]) -> bytes:
    """Return the digest of the canonical text of statements; functions may stand in any order."""
    texts: list[bytes] = []
    for is_plain, run in groupby(statements, lambda each: each.is_plain):
        same = list(run)
        bound = [name for each in same for name in each.binds]
        if is_plain and len(bound) == len(set(bound)):
            same.sort(key=lambda each: each.text)
        texts += (each.text for each in same)
    return sha256(b"\n".join(texts)).digest()
