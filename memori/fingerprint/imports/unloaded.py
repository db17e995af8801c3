"""Modules that nobody has imported yet, seen through their source.

A function may import a module when it runs. The module is not executed to look at it: the finders
that Python asks say where its source is, and of that the statements count that matter to what is
read from it. What a source leads to in other modules is said as `Read`, for the walk to follow.
What importing computes is not known then; the statements that compute it stand for it.
"""

from __future__ import annotations

import os
import sys

from memori.digest.memo import Memo
from memori.fingerprint.atoms import LOOKING_BACK, text
from memori.fingerprint.imports.tables import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set
    from importlib.machinery import ModuleSpec

    from memori.fingerprint.imports.slices import Imported, Slices, Statement

    Chain = tuple[str, ...]

EFFECT = "!"  # in a chain: only what importing the module does
_WIDE = frozenset({"globals", "eval", "exec", "__import__", "import_module", "__doc__"})
_cut: Memo[str, tuple[object, Slices | None]] = Memo(500)


class Read:
    """What a source reads from a module: the module's full name, and a chain of names."""

    __slots__ = ("chain", "module")

    def __init__(self, module: str, chain: Chain) -> None:
        self.module = module
        self.chain = chain


class Piece:
    """The statements of a module that matter to one of its names, or (None) to all of it."""

    __slots__ = ("_cut", "_found", "_name", "_package", "key", "label")

    def __init__(self, cut: Slices, package: str, module: str, name: str | None) -> None:
        self.label = f"helper {module}.{name}" if name and name != EFFECT else f"module {module}"
        self.key = f"unloaded {name} {self.label}"
        self._cut = cut
        self._package = package
        self._name = name
        self._found: tuple[list[Statement], str | None, Set[str]] | None = None

    def parts(self) -> Iterator[bytes | Read]:
        """Yield what counts: the text of the statements, and what they read elsewhere."""
        from memori.fingerprint.imports.slices import text_digest

        cut, (statements, name, looked_up) = self._cut, self._statements()
        yield b"U" + text_digest(statements)
        for imported, chain in sorted(cut.outside(statements)):
            yield text(".".join(chain))
            yield _read(self._package, imported, chain)
        for unused in cut.unused_imports():
            yield Read(absolute(self._package, *unused[:2]), (EFFECT,))
        for unbound in cut.unbound(statements):
            yield from self._from_stars((unbound,))
        if name is None:  # what the module has imported can be read from there
            looked_up = cut.imports.keys()
            yield from self._from_stars(())
        for bound in sorted(looked_up & cut.imports.keys()):
            for imported in cut.imports[bound]:
                yield _read(self._package, imported, ())

    def _statements(self) -> tuple[list[Statement], str | None, Set[str]]:
        """Return the statements, the name that they are of, and names that a library looks up.

        The name is None if it is all of them.
        """
        if self._found is None:
            self._found = self._find()
        return self._found

    def _find(self) -> tuple[list[Statement], str | None, Set[str]]:
        cut, name = self._cut, self._name
        statements = (
            cut.acting() if name == EFFECT else cut.needed(None if name is None else [name])
        )
        if {each for statement in statements for each in statement.uses} & _WIDE:
            return cut.needed(None), None, frozenset()
        if not any(each.names & LOOKING_BACK for each in statements):
            return statements, name, frozenset()
        looked_up = cut.named_in_texts()
        if name is not None and name != EFFECT:
            statements = cut.needed([name, *looked_up])
        return statements, name, looked_up

    def written(self) -> str:
        """Return the statements as they are written."""
        return "\n".join(self._cut.written(each) for each in self._statements()[0])

    def mentioned(self) -> tuple[set[str], set[str]]:
        """Return the names that the statements spell, those of their imports too, and the texts."""
        statements = self._statements()[0]
        names = {name for each in statements for name in each.names}
        for (_, _, read), _chain in self._cut.outside(statements):
            names.update(read)
        return names, {string for each in statements for string in each.strings}

    def told(self, *, documented: bool) -> bytes:
        """Return what the statements say with annotations, and docstrings if asked for."""
        return self._cut.told(self._statements()[0], documented=documented)

    def lines(self) -> list[int]:
        """Return the line of each statement."""
        return [each.lines[0] for each in self._statements()[0]]

    def _from_stars(self, chain: Chain) -> Iterator[Read]:
        for module, level in self._cut.stars:
            yield Read(absolute(self._package, module, level), chain)


def read_from(cut: Slices, spec: ModuleSpec, chain: Chain) -> Iterator[bytes | Read | Piece]:
    """Yield what `chain`, read from the module whose source was cut, leads to."""
    package = spec.name if spec.submodule_search_locations is not None else spec.parent or ""
    name = chain[0] if chain else None
    if name is None:
        yield Piece(cut, package, spec.name, None)
    elif name == "":
        return
    elif name == EFFECT:
        if cut.acting() or cut.unused_imports():
            yield Piece(cut, package, spec.name, EFFECT)
    elif name in cut.binders and all(name in cut.statements[i].imports for i in cut.binders[name]):
        for imported in cut.imports[name]:
            yield _read(package, imported, chain[1:])
    elif name in cut.binders:
        yield Piece(cut, package, spec.name, name)
    elif name == "__doc__":
        yield text(repr(cut.documentation))
    elif "__getattr__" in cut.binders:
        yield Piece(cut, package, spec.name, "__getattr__")
        given = target(spec.name, cut.tables, name, offers) or _from_stub(spec, package, name)
        if given is not None:
            yield Read(given[0], (*given[1], *chain[1:]))
        elif find(f"{spec.name}.{name}") is not None:
            yield Read(f"{spec.name}.{name}", chain[1:])
    elif package == spec.name and find(f"{spec.name}.{name}") is not None:
        yield Read(f"{spec.name}.{name}", chain[1:])
    elif cut.stars:
        for module, level in cut.stars:
            yield Read(absolute(package, module, level), chain)
    elif cut.making:
        yield Piece(cut, package, spec.name, name)
    else:
        yield b"missing;"


def _read(package: str, imported: Imported, chain: Chain) -> Read:
    module, level, read = imported
    return Read(absolute(package, module, level), (*read, *chain))


def _from_stub(spec: ModuleSpec, package: str, name: str) -> tuple[str, Chain] | None:
    """Return what the stub beside a source says that a name is imported from."""
    path = f"{spec.origin}i"
    cut = slices(path, stamp(path))
    if cut is None or name not in cut.imports:
        return None
    module, level, read = cut.imports[name][0]
    return absolute(package, module, level), read


def offers(module: str, name: str) -> bool | None:
    """Tell whether a module has a name of its own; None if there is no such module."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return name in getattr(loaded, "__dict__", {})
    spec = find(module)
    if spec is None:
        return None
    path = spec.origin if spec.has_location else None
    cut = None if path is None else slices(path, stamp(path))
    return cut is not None and (name in cut.binders or bool(cut.stars))


def absolute(package: str, module: str, level: int) -> str:
    """Return the full name of a module that code in `package` names, from `level` folders above."""
    if not level:
        return module
    parts = package.split(".")
    parts = parts[: len(parts) - level + 1]
    return ".".join([*parts, module] if module else parts)


def find(name: str) -> ModuleSpec | None:
    """Find a module where Python would, without importing its parents."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        loaded = sys.modules.get(".".join(parts[:end]))
        if loaded is not None and end < len(parts):
            path = search_path(loaded)
            if not path:
                return None
            continue
        spec = _ask(".".join(parts[:end]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and end < len(parts):
            return None
    return spec


def search_path(module: object) -> list[str]:
    """Return where a loaded package looks for modules; nothing where it is none.

    What stands for a module may make up an answer to any name, or raise whatever it likes.
    """
    try:
        path = getattr(module, "__path__", ())
        return [each for each in path if isinstance(each, str)]
    except Exception:
        return []


def _ask(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Ask the finders that Python would ask, in their order."""
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, path)
        except KeyError:  # a plain folder in a plain folder: the finder wants the outer one loaded
            spec = _plain_package(name, path or ())
        except Exception:  # whatever a finder raises, the import would fail by it
            continue
        if spec is not None:
            return spec
    return None


def _plain_package(name: str, above: Iterable[str]) -> ModuleSpec:
    """Return a package without a file of its own, which is made of the folders of its name."""
    made: ModuleSpec = sys.modules["_frozen_importlib"].ModuleSpec(name, None, is_package=True)
    folders = (os.path.join(folder, name.rpartition(".")[2]) for folder in above)
    made.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
    return made


def modules_in(spec: ModuleSpec) -> Iterator[tuple[str, bool]]:
    """Yield the name of every module in a package, and whether it is a package itself."""
    for folder in spec.submodule_search_locations or ():
        for entry in entries(folder):
            stem, suffix = os.path.splitext(entry)
            inner = os.path.isdir(os.path.join(folder, entry)) and entry.isidentifier()
            if (suffix == ".py" and stem != "__init__") or (inner and entry != "__pycache__"):
                yield f"{spec.name}.{stem}", inner


def entries(folder: str) -> list[str]:
    """Return the names in a folder, in order; none if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def stamp(path: str) -> object:
    """Return what changes of a file when its content does, or None without the file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def slices(path: str, now: object) -> Slices | None:
    """Return the source at `path`, cut into statements, or None if it cannot be read."""
    known = _cut.get(path)
    if known is not None and known[0] == now:
        return known[1]
    from memori.fingerprint.imports.slices import Slices

    try:
        with open(path, "rb") as stream:
            cut = Slices(stream.read(), path)
    except (OSError, SyntaxError, ValueError, RecursionError):
        cut = None
    _cut.keep(path, (now, cut))
    return cut
