"""From names in code to live objects: globals, attribute chains, imports inside functions.

A chain such as `pkg.mod.f` is followed while what it has led to is a module; what comes after is
read from an object that counts whole. A module that is used as a value (passed on, put in a list,
asked with `getattr`) counts whole. Some names say that code looks at things in a way that cannot be
followed by name; they widen what counts (`WIDENING`, `READING`) or are listed as unresolved.
"""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from types import FunctionType, MethodType, ModuleType

from memori.fingerprint.atoms import text, words
from memori.fingerprint.distributions import origin_of_module
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import MISSING
from memori.fingerprint.lazy import EFFECT, absolute_name, put_name_of_module, put_unloaded
from memori.fingerprint.project import anchor_of, module_label
from memori.fingerprint.walk import (
    ANNOTATIONS,
    DOCS,
    LINES,
    NAMES,
    ORDER,
    SOURCE,
    SUBCLASSES,
    WRAPPED,
    Walk,
    origin_of_class,
    origin_of_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.bytecode import Import, Scan
    from memori.fingerprint.graph import State

# names in reachable code -> what they may read
READING: dict[str, tuple[str, ...]] = {
    "__doc__": (DOCS,),
    "getdoc": (DOCS,),
    "help": (DOCS,),
    "docopt": (DOCS,),
    "__annotations__": (ANNOTATIONS,),
    "get_annotations": (ANNOTATIONS,),
    "get_type_hints": (ANNOTATIONS, WRAPPED),
    "signature": (ANNOTATIONS, WRAPPED),
    "getfullargspec": (ANNOTATIONS,),
    "__signature__": (ANNOTATIONS, WRAPPED),
    "__wrapped__": (WRAPPED,),
    "unwrap": (WRAPPED,),
    "getsource": (SOURCE, WRAPPED),
    "getsourcelines": (SOURCE, LINES, WRAPPED),
    "__code__": (NAMES,),
    "co_firstlineno": (LINES,),
    "co_lines": (LINES,),
    "co_positions": (LINES,),
    "f_lineno": (LINES,),
    "tb_lineno": (LINES,),
    "__dataclass_fields__": (ANNOTATIONS,),
    "__subclasses__": (SUBCLASSES,),
    "__dict__": (ORDER,),
    "vars": (ORDER,),
    "getmembers": (ORDER, DOCS),
    "__members__": (ORDER,),
}
_READERS = frozenset(READING)
WIDENING = frozenset({"globals", "eval", "exec"})
UNFOLLOWED = frozenset({"eval", "exec"})
_IMPORTERS = words("import_module __import__ modules resolve_name find_spec run_module")
_RUNNERS = frozenset({"run_path", "exec", "spec_from_file_location", "SourceFileLoader"})
_DYNAMIC = re.compile(r"(\.*)([A-Za-z_][\w.]*)(?::\w+)?(?:%s|\{[^{}]*\})?\Z")

# before the path of an edge that is no chain of names as the syntax spells it
APART = "~"

# what a module is, and not what it does; `__doc__` counts where it is read
MODULE_OWN = words(
    "__name__ __file__ __package__ __spec__ __loader__ __cached__ __path__ __builtins__ "
    "__doc__ __annotations__ __warningregistry__ __annotate__ __conditional_annotations__"
)
_BUILTINS = "__builtins__"  # not every type checker knows it


def follow(walk: Walk, function: FunctionType, scan: Scan, node: Node) -> None:
    """Add to `node` an edge for each name through which `function` reaches something."""
    space = function.__globals__
    chains = list(scan.chains)
    if not scan.exact:
        chains = _every_chain(walk, chains, scan, space)
    seen: set[str] = set()
    for chain in chains:
        state: State = []
        consumed = follow_chain(walk, function, chain, state)
        path = ".".join(chain[:consumed]) if consumed else f"{APART}{'.'.join(chain)}"
        if state and path not in seen:
            seen.add(path)
            node.edges.append((path, state))
    for found in scan.imports:
        _follow_import(walk, space, found, scan, node)
    readers = _READERS & scan.attributes
    readers |= _READERS & scan.strings
    for reader in readers:
        walk.wanted.update(READING[reader])
    if {"fields", "type"} <= scan.attributes:  # dataclasses.fields(...)[...].type
        walk.wanted.add(ANNOTATIONS)
    if "__doc__" in space and "__doc__" in scan.attributes:
        state = []
        walk.put(space["__doc__"], state)
        walk.guards.name(space, "__doc__", space["__doc__"])
        node.edges.append((f"{APART}__doc__", state))
    if _IMPORTERS & scan.attributes:
        _follow_dynamic_import(walk, function, scan, node)
    if _RUNNERS & scan.attributes:
        _follow_scripts(walk, space, scan, node)


def follow_chain(walk: Walk, function: FunctionType, chain: tuple[str, ...], out: State) -> int:
    """Append what a global name and the attributes after it lead to; nothing for a builtin.

    Returns how many of the names `out` stands for, 0 if that cannot be said.
    """
    space = function.__globals__
    name = chain[0]
    if name in MODULE_OWN:
        return 1
    value = space.get(name, MISSING)
    walk.guards.name(space, name, value)
    if value is MISSING:
        _follow_builtin(walk, function, name, out)
        return 1
    if isinstance(value, ModuleType):
        followed = follow_module(walk, value, chain[1:], out)
        return followed + 1 if followed >= 0 else 0
    out.append(global_slot(walk, space, name, value))
    return 1


def global_slot(walk: Walk, space: dict[str, object], name: str, value: object) -> Node:
    """Return the slot of a global variable, labelled with its module."""
    outer = walk.anchor
    walk.anchor = anchor_of(space)
    slot = walk.slot(space, name, value, f"global {module_label(space, walk.file)}.{name}")
    walk.anchor = outer
    return slot


def _follow_builtin(walk: Walk, function: FunctionType, name: str, out: State) -> None:
    builtin: dict[str, object] = getattr(function, _BUILTINS)
    value = builtin.get(name, MISSING)
    if value is MISSING:
        slot = walk.slot(function.__globals__, name, None, f"global {walk.module}.{name}")
        slot.state, slot.shown = [b"missing " + name.encode() + b";"], "not defined"
        out.append(slot)
        return
    if getattr(value, "__module__", None) != "builtins" and name not in _PLAIN_BUILTINS:
        walk.guards.name(builtin, name, value)
        out.append(walk.slot(builtin, name, value, f"global builtins.{name}"))
        return
    if name in WIDENING:
        out.append(text(name))
        out.append(module_node(walk, function.__globals__))
    if name in UNFOLLOWED:
        walk.note(f"calls {name} in {walk.where}")


_PLAIN_BUILTINS = words(
    "__debug__ __name__ __doc__ __build_class__ __import__ True False None Ellipsis "
    "NotImplemented copyright credits license exit quit help _ __IPYTHON__ display "
    "get_ipython open"
)


def follow_module(walk: Walk, module: ModuleType, chain: tuple[str, ...], out: State) -> int:
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
        if value is MISSING:
            _follow_missing(walk, module, chain[position:], out)
            return -1
        if not isinstance(value, ModuleType):
            _put_attribute(walk, module, name, value, out)
            return position + 1
        module = value
    _put_module(walk, module, out)
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
    # what a library defines counts by name; what the user put there in its place counts itself
    if is_users(value):
        out.append(global_slot(walk, module.__dict__, name, value))
        return
    out.append(b"X%b.%b;" % (str(module.__name__).encode(), name.encode()))
    own = getattr(value, "__name__", name)
    if own != name and type(own) is str:
        out.append(b"=%b;" % own.encode())
    if type(value) is float or (type(value) in (int, bool) and origin.kind == "distribution"):
        walk.put(value, out)
    if name in ("import_module", "run_path", "run_module") and origin.kind == "stdlib":
        walk.note(f"calls {module.__name__}.{name} in {walk.where}")
    walk.external(origin, out)


def _put_module(walk: Walk, module: ModuleType, out: State) -> None:
    """Append a module that is used as a value: whole if it is the user's."""
    origin = origin_of_module(module)
    if origin.kind == "user":
        out.append(module_node(walk, module.__dict__))
        return
    out.append(b"X%b;" % module.__name__.encode())
    walk.external(origin, out)


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
    return origin_of_class(type(value)).kind == "user"


def _follow_missing(walk: Walk, module: ModuleType, chain: tuple[str, ...], out: State) -> None:
    """Follow an attribute that the module does not have (yet)."""
    origin = origin_of_module(module)
    if origin.kind != "user":
        out.append(b"X%b;" % module.__name__.encode())
        walk.external(origin, out)
        return
    if hasattr(ModuleType, chain[0]):  # `module.__dict__`
        _put_module(walk, module, out)
        return
    computed = module.__dict__.get("__getattr__")
    if computed is not None:
        out.append(global_slot(walk, module.__dict__, "__getattr__", computed))
    full = f"{module.__name__}.{chain[0]}"
    loaded = sys.modules.get(full)
    if isinstance(loaded, ModuleType):
        follow_module(walk, loaded, chain[1:], out)
    elif hasattr(module, "__path__") and put_unloaded(walk, full, chain[1:], out):
        pass
    else:
        out.append(b"missing %b;" % chain[0].encode())


def module_node(walk: Walk, space: dict[str, object]) -> Node:
    """Return the node of a whole module of the user's, given its namespace."""
    return walk.node(space, _fill_module, f"module {module_label(space, walk.file)}")


def _fill_module(walk: Walk, node: Node) -> None:
    space = node.origin
    assert isinstance(space, dict)
    walk.guards.view(list, space)
    walk.listed.add(id(space))
    names = [name for name in space if type(name) is str and name not in MODULE_OWN]
    if ORDER not in walk.modes:
        names.sort()
    if DOCS in walk.modes:
        walk.put(space.get("__doc__"), node.state)
    for name in names:
        value = space[name]
        walk.guards.name(space, name, value)
        if isinstance(value, ModuleType):
            slot = walk.place(space, name)
            if not slot.state:
                _put_module(walk, value, slot.state)
        else:
            slot = global_slot(walk, space, name, value)
        node.state += (b"@%b=" % name.encode("utf-8", "surrogatepass"), slot)


def _follow_import(
    walk: Walk, space: dict[str, object], found: Import, scan: Scan, node: Node
) -> None:
    """Add an edge for each chain read from what an import inside a function binds.

    An import of which nothing is read is there for what importing does.
    """
    full = absolute_name(space, found.module, found.level)
    module = sys.modules.get(full, MISSING)
    walk.guards.name(sys.modules, full, module)  # type: ignore[arg-type]
    chains = dict(found.chains)
    if not chains or (set(chains) == {("",)} and not _top_is_read(found, scan)):
        chains = {(EFFECT,): None}
    for chain in chains:
        slot = put_name_of_module(walk, full, chain)
        path = ".".join((f"{APART}import {found.module}", *chain))
        node.edges.append((path, [slot]))


def _top_is_read(found: Import, scan: Scan) -> bool:
    top = found.module.partition(".")[0]
    return any(each.module == top and each.chains for each in scan.imports)


def _follow_dynamic_import(walk: Walk, function: FunctionType, scan: Scan, node: Node) -> None:
    """Count whole the user's modules that text near a dynamic import may name.

    Near is what the code holds as constants, the function's defaults and the globals it reads.
    """
    space = function.__globals__
    if "__name__" in scan.attributes:
        node.edges.append((f"{APART}own module", [module_node(walk, space)]))
    near = set(scan.strings)
    _gather(function.__defaults__, near, 3)
    _gather(function.__kwdefaults__, near, 3)
    for chain in scan.chains:
        if chain[0] not in MODULE_OWN:
            _gather(space.get(chain[0]), near, 3)
    for constant in sorted(near):
        match = _DYNAMIC.match(constant) if len(constant) < 200 else None
        if match is None:
            continue
        name = absolute_name(space, match[2].rstrip("."), len(match[1]))
        slot = walk.place(sys.modules, f"{name}|by name")
        state = slot.state
        module = sys.modules.get(name, MISSING)
        walk.guards.name(sys.modules, name, module)  # type: ignore[arg-type]
        if state:
            pass  # another function names it too
        elif isinstance(module, ModuleType):
            if origin_of_module(module).kind != "user":
                continue
            _put_module(walk, module, state)
            if hasattr(module, "__path__"):
                put_unloaded(walk, name, ("*",), state)
        else:
            put_unloaded(walk, name, ("*",), state)
        if state:
            node.edges.append((f"{APART}import {constant}", [slot]))


def _gather(value: object, texts: set[str], depth: int) -> None:
    """Add the strings in a value, and in containers in it, to `texts`."""
    if type(value) is str:
        texts.add(value)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _gather(item, texts, depth - 1)
    elif depth and isinstance(value, dict):
        _gather([*value.keys(), *value.values()], texts, depth)


def _follow_scripts(walk: Walk, space: dict[str, object], scan: Scan, node: Node) -> None:
    """Count the scripts that code names by constants and runs."""
    folder = os.path.dirname(str(space.get("__file__") or ""))
    for constant in sorted(scan.strings):
        if not constant.endswith(".py"):
            continue
        for path in (constant, os.path.join(folder, constant)):
            if os.path.isfile(path):
                component = walk.file_component(path, f"script {os.path.basename(path)}")
                node.edges.append((f"{APART}script {constant}", [component]))
                break


def _every_chain(
    walk: Walk, chains: list[tuple[str, ...]], scan: Scan, space: dict[str, object]
) -> list[tuple[str, ...]]:
    """Widen for a Python version whose bytecode is not known: any name may belong to any module."""
    found: dict[tuple[str, ...], None] = {}
    for chain in chains:
        module = space.get(chain[0])
        found[chain] = None
        if isinstance(module, ModuleType):
            for name in sorted(scan.attributes):
                if name in module.__dict__:
                    found[(*chain, name)] = None
    return list(found)
