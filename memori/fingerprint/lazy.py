"""Modules that a function imports when it runs, and that nobody has imported yet.

They are not executed to look at them: the path finder says where their source is, and of that the
statements count that matter to what is read from the module, with what those read from others.
What importing computes is not known then; the statements that compute it stand for it. After the
run the module is loaded and its live objects are seen instead; `settle` makes the two one.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from memori.fingerprint.atoms import text
from memori.fingerprint.distributions import (
    Origin,
    is_extension,
    module_origin,
    origin_of_module,
)
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from memori.fingerprint.graph import State
    from memori.fingerprint.slices import Imported, Slices, Statement
    from memori.fingerprint.walk import Walk

    Chain = tuple[str, ...]

EFFECT = "!"  # in a chain: only what importing the module does
_WIDE = frozenset({"globals", "eval", "exec", "__import__", "import_module", "__doc__"})
_cut: dict[str, tuple[object, Slices | None]] = {}


def absolute_name(space: dict[str, object], module: str, level: int) -> str:
    """Return the full name of what `from ...module import` names in a module with these globals."""
    if not level:
        return module
    package = space.get("__package__") or getattr(space.get("__spec__"), "parent", None)
    if type(package) is not str:
        name = str(space.get("__name__"))
        package = name if "__path__" in space else name.rpartition(".")[0]
    return _relative(package, module, level)


def _relative(package: str, module: str, level: int) -> str:
    parts = package.split(".")
    parts = parts[: len(parts) - level + 1]
    return ".".join([*parts, module] if module else parts)


def put_module_name(walk: Walk, name: str, chain: Chain, out: State) -> None:
    """Append what `chain` read from the module called `name` leads to, loaded or not."""
    from memori.fingerprint.names import follow_module

    module = sys.modules.get(name, MISSING)
    walk.guards.name(sys.modules, name, module)  # type: ignore[arg-type]
    if isinstance(module, ModuleType) and name not in walk.as_unloaded:
        if origin_of_module(module).kind != "user":
            _put_foreign_name(walk, origin_of_module(module), name, chain, out)
            _put_replaced(walk, module, chain, out)
        else:
            follow_module(walk, module, chain, out)
    elif not put_unloaded(walk, name, chain, out):
        parent, _, last = name.rpartition(".")
        if parent in sys.modules and not chain:  # `from package import name`
            put_module_name(walk, parent, (last,), out)
        else:
            out.append(b"not found %b;" % name.encode())


def put_unloaded(walk: Walk, name: str, chain: Chain, out: State) -> bool:
    """Append what is known of a module that is not loaded; return whether it exists."""
    spec = find(name)
    if spec is None:
        return False
    path = spec.origin if spec.has_location else None
    origin = module_origin(name, path)
    if origin.kind != "user":
        _put_foreign_name(walk, origin, name, chain, out)
        return True
    walk.unloaded.add(name)
    if chain[:1] == ("*",):
        _put_package(walk, spec, out)
        chain = ()
    if path is None:  # a namespace package
        return bool(chain) and put_unloaded(walk, f"{name}.{chain[0]}", chain[1:], out)
    if is_extension(path):
        out.append(walk.file_component(path, f"extension {name}"))
    else:
        _put_source(walk, spec, path, chain, out)
    return True


def _put_foreign_name(walk: Walk, origin: Origin, name: str, chain: Chain, out: State) -> None:
    """Append a library's name, which is the same whether the library is loaded or not."""
    spelled = ".".join([name, *(each for each in chain if each not in ("", EFFECT, "*"))])
    out.append(b"X%b;" % spelled.encode())
    walk.external(origin, out)


def _put_replaced(walk: Walk, module: ModuleType, chain: Chain, out: State) -> None:
    """Append what the user has put in the place of what a loaded library defines."""
    from memori.fingerprint.names import global_slot, is_users

    for name in chain:
        value = module.__dict__.get(name, MISSING)
        walk.guards.name(module.__dict__, name, value)
        if isinstance(value, ModuleType):
            module = value
            continue
        if value is not MISSING and is_users(value):
            out.append(global_slot(walk, module.__dict__, name, value))
        return


def _put_package(walk: Walk, spec: ModuleSpec, out: State) -> None:
    """Append every module of a package."""
    for folder in spec.submodule_search_locations or ():
        walk.guards.redo(_entries, folder, _entries(folder))
        for entry in _entries(folder):
            stem, suffix = os.path.splitext(entry)
            inner = os.path.isdir(os.path.join(folder, entry)) and entry.isidentifier()
            if (suffix == ".py" and stem != "__init__") or (inner and entry != "__pycache__"):
                name = f"{spec.name}.{stem}"
                out.append(text(name))
                module = sys.modules.get(name)
                if module is None:
                    put_unloaded(walk, name, ("*",) if inner else (), out)
                else:
                    put_module_name(walk, name, (), out)


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def find(name: str) -> ModuleSpec | None:
    """Find a module by the path finder alone, without importing its parents."""
    finder = sys.modules["_frozen_importlib_external"].PathFinder
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        loaded = sys.modules.get(".".join(parts[:end]))
        if loaded is not None and end < len(parts):
            path = list(getattr(loaded, "__path__", ()))
            if not path:
                return None
            continue
        try:
            spec = finder.find_spec(".".join(parts[:end]), path)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and end < len(parts):
            return None
    return spec


def _put_source(walk: Walk, spec: ModuleSpec, path: str, chain: Chain, out: State) -> None:
    stamp = _stamp(path)
    walk.guards.redo(_stamp, path, stamp)
    cut = _slices(path, stamp)
    if cut is None:
        out.append(walk.file_component(path, f"module {spec.name}"))
        return
    package = spec.name if spec.submodule_search_locations is not None else spec.parent or ""
    if not chain:
        out.append(_piece(walk, cut, package, spec.name, None))
        return
    name = chain[0]
    if name == "":
        return
    if name == EFFECT:
        if cut.acting() or cut.unused_imports():
            out.append(_piece(walk, cut, package, spec.name, EFFECT))
        return
    if name in cut.binders and all(name in cut.statements[i].imports for i in cut.binders[name]):
        for imported in cut.imports[name]:
            _put_imported(walk, package, imported, chain[1:], out)
    elif name in cut.binders:
        out.append(_piece(walk, cut, package, spec.name, name))
    elif package == spec.name and find(f"{spec.name}.{name}") is not None:
        put_module_name(walk, f"{spec.name}.{name}", chain[1:], out)
    elif "__getattr__" in cut.binders:
        out.append(_piece(walk, cut, package, spec.name, "__getattr__"))
    elif cut.stars:
        for module, level in cut.stars:
            full = _relative(package, module, level) if level else module
            put_module_name(walk, full, chain, out)
    else:
        out.append(b"missing;")


def _put_imported(walk: Walk, package: str, imported: Imported, chain: Chain, out: State) -> None:
    module, level, read = imported
    full = _relative(package, module, level) if level else module
    put_module_name(walk, full, (*read, *chain), out)


def _piece(walk: Walk, cut: Slices, package: str, module: str, name: str | None) -> Node:
    """Return the component of what matters to one name of a module, or of all of it."""
    label = f"helper {module}.{name}" if name and name != EFFECT else f"module {module}"
    key = f"unloaded {name} {label}"
    node = walk.shared.get(key)
    if node is not None:
        return node
    node = walk.shared[key] = Node(label)
    names = None if name is None else [name]
    statements = cut.acting() if name == EFFECT else cut.needed(names)
    used = {each for statement in statements for each in statement.uses}
    if used & _WIDE:
        statements, name = cut.needed(None), None
    walk.later(node, lambda walk, node: _fill_piece(walk, node, cut, package, statements))
    if name is None:
        walk.later(node, lambda walk, node: _fill_exports(walk, node, cut, package))
    return node


def _fill_piece(
    walk: Walk, node: Node, cut: Slices, package: str, statements: list[Statement]
) -> None:
    from memori.fingerprint.slices import text_digest

    state = node.state
    state.append(b"U" + text_digest(statements))
    for imported, chain in cut.outside(statements):
        state.append(text(".".join(chain)))
        _put_imported(walk, package, imported, chain, state)
    for module, level, _ in cut.unused_imports():
        full = _relative(package, module, level) if level else module
        put_module_name(walk, full, (EFFECT,), state)
    for name in cut.unbound(statements):
        for module, level in cut.stars:
            full = _relative(package, module, level) if level else module
            put_module_name(walk, full, (name,), state)


def _fill_exports(walk: Walk, node: Node, cut: Slices, package: str) -> None:
    """Add what a whole module has imported: it can be read from there."""
    for name in sorted(cut.imports):
        for imported in cut.imports[name]:
            _put_imported(walk, package, imported, (), node.state)
    for module, level in cut.stars:
        full = _relative(package, module, level) if level else module
        put_module_name(walk, full, (), node.state)


def _stamp(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def _slices(path: str, stamp: object) -> Slices | None:
    known = _cut.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    from memori.fingerprint.slices import Slices

    try:
        with open(path, "rb") as stream:
            cut = Slices(stream.read(), path)
    except (OSError, SyntaxError, ValueError, RecursionError):
        cut = None
    _cut[path] = (stamp, cut)
    return cut


def put_name_of_module(walk: Walk, name: str, chain: Chain) -> Node:
    """Return the slot of what `chain`, read from the module called `name`, leads to.

    Being a slot, it can be settled: a run may load the module that was not loaded before it.
    """
    slot = walk.place(sys.modules, f"{name}|{'.'.join(chain)}")
    if not slot.state:
        put_module_name(walk, name, chain, slot.state)
    return slot
