"""From names in code to live objects: globals, attribute chains, imports inside functions.

Each name through which code reaches something becomes an edge: the path as the code spells it, and
what it leads to. Some names say that code looks at things in a way that cannot be followed by name;
they widen what counts (`WIDENING`, `imports.mentions`) or are listed as unresolved.
"""

from __future__ import annotations

import os
import re
import sys
from types import FunctionType, ModuleType

from memori.fingerprint.atoms import LOOKING_BACK, text, words
from memori.fingerprint.bytecode import scan as scan_of
from memori.fingerprint.graph import APART, Node
from memori.fingerprint.guards import MISSING, items_seen, mapping_view, whole
from memori.fingerprint.imports.mentions import mention
from memori.fingerprint.imports.unloaded import EFFECT
from memori.fingerprint.modules import (
    MODULE_OWN,
    absolute_name,
    follow_module,
    global_slot,
    module_node,
    put_module_or_name,
    put_name_of_module,
    put_unloaded,
)
from memori.fingerprint.origins import origin_of_module, relative
from memori.fingerprint.walk import Walk, name_of_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.bytecode import Import, Scan
    from memori.fingerprint.graph import State

WIDENING = frozenset({"globals", "eval", "exec"})
UNFOLLOWED = frozenset({"eval", "exec"})
BY_NAME = "by name"
"""Of the place of a module that a text near a dynamic import names."""
_ASKED = words("import_module __import__ resolve_name run_module entry_points iter_entry_points")
_IMPORTERS = _ASKED | words("modules find_spec")
_LOCATORS = words("locate instantiate import_string get_class get_method get_object")
_RUNNERS = frozenset({"run_path", "exec", "spec_from_file_location", "SourceFileLoader"})
_EXPRESSIONS = words("eval evaluate sql model_matrix dmatrix dmatrices")
_DYNAMIC = r"(\.*)([A-Za-z_][\w.]*)(?::\w+)?(?:%s|\{[^{}]*\})?\Z"

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
    for told in sorted(scan.own):
        _put_own(walk, space, told, node)
    mention(walk, scan.attributes, scan.strings)
    if "__doc__" in scan.attributes:
        own = space.get("__doc__", MISSING)
        walk.guards.name(space, "__doc__", own)
        if own is not None and own is not MISSING:
            state = []
            walk.put(own, state)
            node.edges.append((f"{APART}__doc__", state))
    if _IMPORTERS & scan.attributes or _locates(space, scan):
        _follow_dynamic_import(walk, function, scan, node)
    if LOOKING_BACK & scan.attributes:
        _follow_names_in_texts(walk, function, scan, node)
    if _RUNNERS & scan.attributes:
        _follow_scripts(walk, space, scan, node)


def _put_own(walk: Walk, space: dict[str, object], told: str, node: Node) -> None:
    """Add what code reads of the module that it stands in: its name, its file or its folder."""
    if told == "name":
        shown = name_of_module(space)
        state: State = [text(shown)]
    else:
        path = space.get("__file__")
        walk.guards.name(space, "__file__", path if "__file__" in space else MISSING)
        path = os.path.abspath(path) if type(path) is str else ""
        folder = os.path.dirname(path)
        if told == "folder" and folder == walk.anchor[1]:
            return  # where it is imported from, which may move
        state = [relative(path if told == "file" else folder, walk.anchor)]
        shown = os.path.basename(path if told == "file" else folder)
    component = walk.component(f"own {told} of {walk.module}", state, shown)
    node.edges.append((f"{APART}own {told}", [component]))


def follow_chain(walk: Walk, function: FunctionType, chain: tuple[str, ...], out: State) -> int:
    """Append what a global name and the attributes after it lead to; nothing for a builtin.

    Returns how many of the names `out` stands for, 0 if that cannot be said.
    """
    space = function.__globals__
    name = chain[0]
    if name == "__annotations__":
        walk.put(dict(space.get(name) or {}), out)
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
    if space.get("__getattr__") is function:
        return  # what it gives is followed where a name is asked for
    is_found = "__name__" in scan.attributes
    if is_found:
        node.edges.append((f"{APART}own module", [module_node(walk, space)]))
    for constant in sorted(_texts_near(function, scan)):
        match = re.match(_DYNAMIC, constant) if len(constant) < 200 else None
        if match is None:
            continue
        name = absolute_name(space, match[2].rstrip("."), len(match[1]))
        slot = walk.place(sys.modules, f"{name}|{BY_NAME}")
        state = slot.state
        module = sys.modules.get(name, MISSING)
        walk.guards.name(sys.modules, name, module)  # type: ignore[arg-type]
        if state:
            is_found = True  # another function names it too
        elif isinstance(module, ModuleType):
            put_module_or_name(walk, module, name, state)
        else:
            put_unloaded(walk, name, ("*",), state)
        if state:
            is_found = True
            node.edges.append((f"{APART}import {constant}", [slot]))
    asks = _ASKED & scan.attributes or ("sys", "modules") in scan.chains
    if not is_found and (asks or _locates(space, scan)):
        if not any(f"{call} in {walk.where}" in walk.unresolved for call in _TOLD_CALLS):
            walk.note(f"imports by a name that is computed in {walk.where}")
        walk.imports_any = True


def _locates(space: dict[str, object], scan: Scan) -> bool:
    """Tell whether code lets a library find what a text names (`pydoc.locate`, Hydra's targets)."""
    if not _LOCATORS & scan.attributes:
        return False
    for chain in scan.chains:
        if chain[-1] not in _LOCATORS:
            continue
        found: object = space.get(chain[0])
        for name in chain[1:]:
            found = found.__dict__.get(name) if isinstance(found, ModuleType) else None
        home = sys.modules.get(str(getattr(found, "__module__", None)))
        if home is not None and origin_of_module(home).kind != "user":
            return True
    return False


_TOLD_CALLS = ("calls __import__", "calls importlib.import_module")  # they say as much


def _texts_near(function: FunctionType, scan: Scan) -> set[str]:
    """Return the texts that code may give to what it calls: its constants, defaults and globals."""
    space = function.__globals__
    near = set(scan.strings)
    _gather(function.__defaults__, near, 3)
    _gather(function.__kwdefaults__, near, 3)
    for chain in scan.chains:
        if chain[0] not in MODULE_OWN:
            _gather(space.get(chain[0]), near, 3)
    return near


def _follow_names_in_texts(walk: Walk, function: FunctionType, scan: Scan, node: Node) -> None:
    """Add the globals that a text names, as a library will look them up in its caller's frame.

    A text that the code is given may stand in another function of the module, or in its class.
    """
    space = function.__globals__
    is_any = bool(_EXPRESSIONS & scan.attributes)
    near = _texts_near(function, scan)
    for chain in scan.chains:  # what stands in another module
        value = space.get(chain[0])
        for name in chain[1:]:
            value = value.__dict__.get(name) if isinstance(value, ModuleType) else None
        _gather(value, near, 3)
    owner = space.get(function.__qualname__.partition(".")[0])
    for base in owner.__mro__ if isinstance(owner, type) else ():
        _gather([base.__dict__.get(name) for name in scan.attributes], near, 3)
    found = _chains_in(near, is_any)
    if not found:
        for name, value in items_seen(whole(mapping_view, space)):
            if isinstance(value, FunctionType):
                near |= scan_of(value.__code__).strings
            elif name not in MODULE_OWN:
                _gather(value, near, 3)
        found = _chains_in(near, is_any)
    for chain in sorted(found):
        name = chain[0]
        if name not in space or name in MODULE_OWN:
            walk.guards.name(space, name, space.get(name, MISSING))
            continue
        state: State = []
        follow_chain(walk, function, chain, state)
        node.edges.append((f"{APART}text {'.'.join(chain)}", state))


def _chains_in(texts: set[str], is_any: bool) -> set[tuple[str, ...]]:
    """Return the names in formulas and expressions, with what is read from each; `@name` in all."""
    pattern = {True: r"[^\W\d]\w*(?:\.\w+)*", False: r"(?<=@)[^\W\d]\w*(?:\.\w+)*"}
    found = set()
    for each in texts:
        for name in re.findall(pattern[is_any or "~" in each], each):
            found.add(tuple(name.split(".")))
    return found


def _gather(value: object, texts: set[str], depth: int) -> None:
    """Add the strings in a value, and in containers in it, to `texts`."""
    if type(value) is str:
        texts.add(value)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for item in whole(iter, value):
            _gather(item, texts, depth - 1)
    elif depth and isinstance(value, dict):
        _gather(whole(mapping_view, value), texts, depth)


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
