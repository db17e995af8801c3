"""What a script does to a library before its functions make use of it: the statements themselves.

``numpy.random.seed(1)``, ``yaml.SafeLoader.add_constructor("!scan", scan)`` or
``json.JSONEncoder.default = as_number`` at the top of a module change what its functions return,
and no code of theirs names what was changed. So the statements count that seed, register, add,
insert or replace something in a library which the functions name: by their canonical text, with the
functions and globals that they name. They are found in the modules of the functions that are
reached, in the packages of these and in the script.

Not promised: what functions, loops and comprehensions do to libraries that are called at the top of
a module, and a module that was edited before it was first looked at and is not run again.
"""

from __future__ import annotations

import os
import re
import sys
import time
from types import FunctionType, ModuleType

from memori.digest.memo import Memo
from memori.fingerprint.atoms import sized
from memori.fingerprint.graph import edge_parts
from memori.fingerprint.guards import MISSING
from memori.fingerprint.imports.compiled import was_compiled
from memori.fingerprint.origins import module_label, origin_of_namespace
from memori.fingerprint.walk import name_of_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from memori.fingerprint.graph import Node, State
    from memori.fingerprint.imports.effects import Effect
    from memori.fingerprint.walk import Walk

    Space = dict[str, object]
    SetUp = tuple[bool, list[Effect]]

_BEGAN = time.time()
_LINE = re.compile(  # what may do so, or hold what does
    rb"^(?:[A-Za-z_]\w*(?:\.\w+)+[ \t]*[(=\[]|(?:\w*_)?(?:add|register|seed|set)\w*\()"
    rb"|^try:|^if (?!__name__)",
    re.MULTILINE,
)
_FOR_ALL = ("codecs", "copyreg")  # of which methods of texts, and what copies objects, make use
_found: Memo[tuple[str, int, int], tuple[object, object, SetUp]] = Memo(500)


def put_set_up(walk: Walk, out: State) -> None:
    """Append what the modules of what is reached do to the libraries that it names."""
    named = walk.libraries.union(_FOR_ALL)
    for space in _spaces(walk):
        was_run, found = _set_up(space)
        effects = [each for each in found if each.library in named]
        if not effects:
            continue
        walk.guards.name(space, "__spec__", space.get("__spec__", MISSING))
        for effect in effects:
            label = f"set-up {module_label(space)}.{effect.library}"
            out.append(walk.node(effect, _fill, label))
        if not was_run:
            out.append(b"?" + os.urandom(8))
            walk.guards.volatile = True
            walk.note(f"{space['__file__']} was edited after it was run")


def _fill(walk: Walk, node: Node) -> None:
    """Fill the node of a statement: its text, and what it names."""
    from memori.fingerprint.functions import follow_code

    effect: Any = node.origin
    node.state.append(sized(b"U", effect.text))
    follow_code(walk, effect.function, node)
    node.state += edge_parts(sorted(node.edges, key=lambda edge: edge[0]))


def _spaces(walk: Walk) -> list[Space]:
    """Return the globals of the modules that are reached, their packages and the script."""
    reached = [node.origin for node in walk.nodes.values() if isinstance(node.origin, FunctionType)]
    spaces = {id(each.__globals__): each.__globals__ for each in reached}
    script = sys.modules.get("__main__")
    names = {name for space in spaces.values() for name in _packages(space)}
    modules = [*map(sys.modules.get, sorted(names)), script]
    spaces.update((id(vars(each)), vars(each)) for each in modules if isinstance(each, ModuleType))
    users = (space for space in spaces.values() if origin_of_namespace(space).kind == "user")
    return sorted(users, key=name_of_module)


def _packages(space: Space) -> Iterator[str]:
    name = str(space.get("__package__") or "")
    while name:
        yield name
        name = name.rpartition(".")[0]


def _set_up(space: Space) -> SetUp:
    """Return whether a module was run as its file is, and the statements that set a library up."""
    path, name, spec = (space.get(each) for each in ("__file__", "__name__", "__spec__"))
    if type(path) is not str or not path.endswith(".py"):
        return True, []
    if getattr(sys.modules.get(str(name)), "__dict__", None) is not space:
        return True, []  # a function that was sent here without its module
    key = (path, id(space), id(spec))
    known = _found.get(key)
    if known is None:
        known = (space, spec, _read(path, space))
        _found.keep(key, known)
    return known[2]


def _read(path: str, space: Space) -> SetUp:
    try:
        with open(path, "rb") as file:
            content, look = file.read(), os.fstat(file.fileno())
        if _LINE.search(content) is None:
            return True, []
        from memori.fingerprint.imports.effects import effects

        found = effects(content, path, space)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return True, []
    return not found or _was_run(look, space.get("__spec__")), found


def _was_run(look: os.stat_result, spec: Any) -> bool:
    """Tell whether a file is what was run: it is older than this process, or what was compiled."""
    if look.st_ctime < _BEGAN:
        return True
    if spec is None:
        return "IPython" in sys.modules  # which runs scripts as they are
    try:
        return was_compiled(spec.cached or "", look)
    except (OSError, TypeError):
        return sys.dont_write_bytecode
