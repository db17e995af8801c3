"""From a module's name, loaded or not, to what it holds.

A chain such as `pkg.mod.f` is followed while what it has led to is a module; what comes after is
read from an object that counts whole. A module that is used as a value (passed on, put in a list,
asked with `getattr`) counts whole if it is the user's, by name if it is a library's. Of a module
that nobody has imported yet the source is followed instead; after the run it is loaded and its
live objects are seen, and `settle` makes the two one.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from types import FunctionType, MethodType, ModuleType

from memori.fingerprint.atoms import attribute, own_attributes, text, words
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import MISSING
from memori.fingerprint.imports.compiled import outdated
from memori.fingerprint.imports.mentions import told_by
from memori.fingerprint.imports.tables import is_given, tables_of, target
from memori.fingerprint.imports.unloaded import (
    EFFECT,
    Piece,
    Read,
    absolute,
    entries,
    find,
    modules_in,
    offers,
    read_from,
    search_path,
    slices,
    stamp,
)
from memori.fingerprint.origins import (
    Origin,
    anchor_of,
    is_extension,
    module_label,
    module_origin,
    origin_of_module,
)
from memori.fingerprint.walk import DOCS, ORDER, Walk, origin_of_class, origin_of_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec

    from memori.fingerprint.graph import State

    Chain = tuple[str, ...]

# what a module is, and not what it does; `__doc__` counts where it is read
MODULE_OWN = words(
    "__name__ __file__ __package__ __spec__ __loader__ __cached__ __path__ __builtins__ "
    "__doc__ __annotations__ __warningregistry__ __annotate__ __conditional_annotations__"
)


def absolute_name(space: dict[str, object], module: str, level: int) -> str:
    """Return the full name of what `from ...module import` names in a module with these globals."""
    if not level:
        return module
    package = space.get("__package__") or getattr(space.get("__spec__"), "parent", None)
    if type(package) is not str:
        name = str(space.get("__name__"))
        package = name if "__path__" in space else name.rpartition(".")[0]
    return absolute(package, module, level)


# By name


def put_name_of_module(walk: Walk, name: str, chain: Chain) -> Node:
    """Return the slot of what `chain`, read from the module called `name`, leads to.

    Being a slot, it can be settled: a run may load the module that was not loaded before it.
    """
    slot = walk.place(sys.modules, "|".join((name, *chain)))
    if not slot.state:
        put_module_name(walk, name, chain, slot.state)
    return slot


def put_module_name(walk: Walk, name: str, chain: Chain, out: State) -> None:
    """Append what `chain` read from the module called `name` leads to, loaded or not."""
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


def _put_foreign_name(walk: Walk, origin: Origin, name: str, chain: Chain, out: State) -> None:
    """Append a library's name, which is the same whether the library is loaded or not."""
    spelled = ".".join([name, *(each for each in chain if each not in ("", EFFECT, "*"))])
    out.append(b"X%b;" % spelled.encode())
    walk.external(origin, out)
    walk.libraries.add(name.partition(".")[0])
    if (name, *chain[:1]) == ("sys", "argv"):
        _put_words(walk, out)


def put_module_or_name(walk: Walk, module: ModuleType, name: str, out: State) -> None:
    """Append a loaded module whole, with what is below it; of a library its name."""
    origin = origin_of_module(module)
    if origin.kind != "user":
        _put_foreign_name(walk, origin, name, (), out)
        return
    put_module(walk, module, out)
    if search_path(module):
        put_unloaded(walk, name, ("*",), out)


def _put_replaced(walk: Walk, module: ModuleType, chain: Chain, out: State) -> None:
    """Append what the user has put in the place of what a loaded library defines."""
    for name in chain:
        value = module.__dict__.get(name, MISSING)
        walk.guards.name(module.__dict__, name, value)
        if isinstance(value, ModuleType):
            module = value
            continue
        if value is not MISSING and is_users(value):
            out.append(global_slot(walk, module.__dict__, name, value))
        return


# Loaded modules


def follow_module(walk: Walk, module: ModuleType, chain: Chain, out: State) -> int:
    """Append what `chain`, read from `module`, leads to.

    Returns how many of the names `out` stands for, -1 if that cannot be said.
    """
    if type(module) is not ModuleType and is_users(module):
        walk.put(type(module), out)
    for position, name in enumerate(chain):
        if name == "":  # named, but not used as a value
            return position
        if name == EFFECT:
            break
        space = module.__dict__
        value = space.get(name, MISSING)
        walk.guards.name(space, name, value)
        if value is MISSING and origin_of_module(module).kind != "user":
            return position + _put_name_to_come(walk, module, chain[position:], out)
        if value is MISSING or _was_given(module, name, value):
            _follow_missing(walk, module, chain[position:], out)
            return -1
        if _is_submodule(module, name, value):  # as if it was not loaded, which it need not be
            out.append(put_name_of_module(walk, f"{module.__name__}.{name}", chain[position + 1 :]))
            return -1
        if not isinstance(value, ModuleType):
            _put_attribute(walk, module, name, value, out)
            return position + 1
        module = value
    put_module(walk, module, out)
    return len(chain)


def _put_attribute(walk: Walk, module: ModuleType, name: str, value: object, out: State) -> None:
    origin = origin_of_module(module)
    if origin.kind == "user":
        if name not in MODULE_OWN:
            out.append(global_slot(walk, module.__dict__, name, value))
        elif name == "__doc__":
            out.append(text(name))
            walk.put(value, out)
        return
    walk.libraries.add(str(module.__name__).partition(".")[0])
    if isinstance(value, type):
        walk.classes.add(value)
    # what a library defines counts by name; what the user put there in its place counts itself
    if is_users(value):
        out.append(global_slot(walk, module.__dict__, name, value))
        return
    out.append(b"X%b.%b;" % (str(module.__name__).encode(), name.encode()))
    own = attribute(value, "__name__")
    if type(own) is str and own != name:  # of `pl.col` any name is an expression
        out.append(b"=%b;" % own.encode())
    if type(value) is float or (type(value) in (int, bool) and origin.kind == "distribution"):
        walk.put(value, out)
    if (module, name) == (sys, "argv"):
        _put_words(walk, out)
    if name in ("import_module", "run_path", "run_module") and origin.kind == "stdlib":
        walk.note(f"calls {module.__name__}.{name} in {walk.where}")
    walk.external(origin, out)


def _put_words(walk: Walk, out: State) -> None:
    walk.guards.redo(_words, None, _words(None))
    out.append(text(_words(None)))


def _words(_: object) -> str:
    """Return the words that the script was called with; the folder of its own does not count."""
    return repr([os.path.basename(each) for each in sys.argv[:1]] + sys.argv[1:])


def _put_name_to_come(walk: Walk, module: ModuleType, chain: Chain, out: State) -> int:
    """Append a name of a library that does not have it yet, as it is put once the library has it.

    Many libraries load what they offer when it is asked for. Returns how many names `out` stands
    for.
    """
    path, count, is_module = str(module.__name__), 0, True
    for name in chain:
        if name == "":
            return count
        if name == EFFECT or not is_module:
            break
        path, count = f"{path}.{name}", count + 1
        is_module = find(path) is not None
    _put_foreign_name(walk, origin_of_module(module), path, (), out)
    return len(chain) if is_module else count


def _follow_missing(walk: Walk, module: ModuleType, chain: Chain, out: State) -> None:
    """Follow an attribute that the user's module does not have (yet)."""
    if hasattr(ModuleType, chain[0]):  # `module.__dict__`
        put_module(walk, module, out)
        return
    computed = module.__dict__.get("__getattr__")
    if computed is not None:
        out.append(global_slot(walk, module.__dict__, "__getattr__", computed))
    given = target(str(module.__name__), tables_of(module), chain[0], offers)
    full = f"{module.__name__}.{chain[0]}"
    if given is not None:
        out.append(put_name_of_module(walk, given[0], (*given[1], *chain[1:])))
    elif full in sys.modules or (search_path(module) and find(full) is not None):
        out.append(put_name_of_module(walk, full, chain[1:]))
    else:
        out.append(b"missing %b;" % chain[0].encode())


def _was_given(module: ModuleType, name: str, value: object) -> bool:
    """Tell whether a module has a name only since it was asked for, from a table."""
    if "__getattr__" not in module.__dict__ and type(module) is ModuleType:
        return False
    if origin_of_module(module).kind != "user":
        return False
    if _is_submodule(module, name, value):
        return True
    given = target(str(module.__name__), tables_of(module), name, offers)
    return given is not None and is_given(module, given, value)


def _is_submodule(module: ModuleType, name: str, value: object) -> bool:
    is_below = isinstance(value, ModuleType) and value.__name__ == f"{module.__name__}.{name}"
    return is_below and origin_of_module(module).kind == "user"


def put_module(walk: Walk, module: ModuleType, out: State) -> None:
    """Append a module that is used as a value: whole if it is the user's."""
    origin = origin_of_module(module)
    if origin.kind == "user":
        out.append(module_node(walk, module.__dict__))
    else:
        _put_foreign_name(walk, origin, str(module.__name__), (), out)


def module_node(walk: Walk, space: dict[str, object]) -> Node:
    """Return the node of a whole module of the user's, given its namespace."""
    return walk.node(space, _fill_module, f"module {module_label(space, walk.file)}")


def _fill_module(walk: Walk, node: Node) -> None:
    space = node.origin
    assert isinstance(space, dict)
    walk.listed.add(id(space))
    if walk.outlines:
        return
    names = [n for n in walk.guards.view(iter, space) if type(n) is str and n not in MODULE_OWN]
    if ORDER not in walk.modes:
        names.sort()
    if DOCS in walk.modes:
        walk.put(space.get("__doc__"), node.state)
    for name in names:
        value = space.get(name, MISSING)
        walk.guards.name(space, name, value)
        if value is MISSING:  # another thread has just deleted it
            continue
        if isinstance(value, ModuleType):
            slot = walk.place(space, name)
            if not slot.state:
                put_module(walk, value, slot.state)
        else:
            slot = global_slot(walk, space, name, value)
        node.state += (b"@%b=" % name.encode("utf-8", "surrogatepass"), slot)


def global_slot(walk: Walk, space: dict[str, object], name: str, value: object) -> Node:
    """Return the slot of a global variable, labelled with its module."""
    outer = walk.anchor
    walk.anchor = anchor_of(space)
    walk.holders.setdefault(id(value), (space, name))
    slot = walk.slot(space, name, value, f"global {module_label(space, walk.file)}.{name}")
    walk.anchor = outer
    return slot


def is_users(value: object) -> bool:
    """Return whether the user wrote `value`, or what it wraps or is an instance of."""
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        return origin_of_function(value).kind == "user"
    if isinstance(value, type):
        return origin_of_class(value).kind == "user"
    if isinstance(value, partial):
        return is_users(value.func)
    inner = own_attributes(value).get("__wrapped__")
    if isinstance(inner, FunctionType):  # what a library made of it
        return is_users(inner)
    return origin_of_class(type(value)).kind == "user"


# Modules that are not loaded


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
    walk.unloaded[name] = path or ""
    if chain[:1] == ("*",):
        _put_package(walk, spec, out)
        chain = ()
    if path is None:  # a namespace package
        return bool(chain) and put_unloaded(walk, f"{name}.{chain[0]}", chain[1:], out)
    if is_extension(path):
        out.append(walk.file_component(path, f"extension {name}"))
        return True
    archive = getattr(spec.loader, "archive", None)
    if type(archive) is str:  # a module in a zip file
        out.append(walk.file_component(archive, f"archive {os.path.basename(archive)}"))
        return True
    now = stamp(path)
    walk.guards.redo(stamp, path, now)
    runs = outdated(path)
    walk.guards.redo(outdated, path, runs)
    if runs:
        out.append(walk.component(f"compiled {spec.name}", [b"K" + text(runs)], runs[:12]))
    cut = slices(path, now)
    if cut is None:
        out.append(walk.file_component(path, f"module {spec.name}"))
    else:
        put_parts(walk, read_from(cut, spec, chain), out)
    return True


def _put_package(walk: Walk, spec: ModuleSpec, out: State) -> None:
    """Append every module of a package."""
    for folder in spec.submodule_search_locations or ():
        walk.guards.redo(entries, folder, entries(folder))
    for name, is_package in modules_in(spec):
        out.append(text(name))
        if name in sys.modules:
            put_module_name(walk, name, (), out)
        else:
            put_unloaded(walk, name, ("*",) if is_package else (), out)


def put_parts(walk: Walk, parts: Iterable[bytes | Read | Piece], out: State) -> None:
    """Append what a source says, and follow what it reads from other modules."""
    for part in parts:
        if isinstance(part, Read):
            out.append(put_name_of_module(walk, part.module, part.chain))
        elif isinstance(part, Piece):
            out.append(_piece_node(walk, part))
        else:
            out.append(part)


def _piece_node(walk: Walk, piece: Piece) -> Node:
    node = walk.shared.get(piece.key)
    if node is None:
        node = walk.shared[piece.key] = Node(piece.label)
        node.piece = piece
        walk.later(node, lambda walk, node: put_parts(walk, told_by(walk, piece), node.state))
    return node
