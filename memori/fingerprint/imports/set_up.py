"""What a script does to a library before its functions make use of it: the statements themselves.

``numpy.random.seed(1)``, ``yaml.SafeLoader.add_constructor("!scan", scan)`` or
``json.JSONEncoder.default = as_number`` at the top of a module, or in the ``main`` that a script
calls, change what its functions return, and no code of theirs names what was changed. So the
statements count that seed, register, add, insert or replace something in a library which the
functions name: by their canonical text, with the functions and globals that they name. They are
found in the modules of the functions that are reached, in the packages of these and in the script,
or in the cells of a notebook. Workers, which do not have the script's module, are told of them.

Not promised: what `running` does not, and a module that was edited before it was first looked at
and is not run again.
"""

from __future__ import annotations

import os
import re
import sys
import time
from types import CodeType, FunctionType, ModuleType

from memori.digest.memo import Memo
from memori.fingerprint.atoms import ATOMS, sized
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.graph import edge_parts
from memori.fingerprint.guards import MISSING
from memori.fingerprint.imports.compiled import was_compiled
from memori.fingerprint.imports.lines import calls_what_may, may_do_so
from memori.fingerprint.origins import SCRIPTS, module_label, origin_of_namespace
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

_LOADED = time.time()
_MAGIC = re.compile(  # as IPython writes it down
    r"^get_ipython\(\)\.run_(?:cell_magic\('(?:time|capture|prun)', '[^']*'|line_magic\('time'), "
    r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)",
    re.MULTILINE,
)
_PLAIN = frozenset((*ATOMS, dict, list, tuple, set))
_FOR_ALL = ("codecs", "copyreg")  # of which methods of texts, and what copies objects, make use
_asker: Space = {}
_found: Memo[tuple[str, int, int, int], tuple[object, object, SetUp]] = Memo(500)


def put_set_up(walk: Walk, out: State) -> None:
    """Append what the modules of what is reached do to the libraries that it names."""
    named = walk.libraries.union(_FOR_ALL)
    for space in _spaces(walk):
        if _cells(space) is not None:  # each that is run may be one that sets something up
            walk.guards.name(space, "_i", space.get("_i", MISSING))
        was_run, found = _set_up(space)
        if not found and space is _of_script():
            found = _of_asker()
            walk.guards.name(_asker, "set up", _asker.get("set up", MISSING))
        effects = [each for each in found if each.library in named]
        if not effects:
            continue
        walk.guards.name(space, "__spec__", space.get("__spec__", MISSING))
        for effect in effects:
            label = f"set-up {module_label(effect.function.__globals__)}.{effect.library}"
            out.append(walk.node(effect, _fill, label))
        if not was_run:
            code = _going_on(space)
            out.append(b"?" + os.urandom(8) if code is None else code_digest(code))
            walk.guards.volatile = walk.guards.volatile or code is None
            walk.note(f"{space['__file__']} was edited after it was run")


def told_of_set_up() -> bytes | None:
    """Return what the script does to libraries, for workers, which do not have its module."""
    found = _set_up(_of_script())[1]
    if not found:
        return None
    from memori.processes.pickles import pickled

    try:
        return pickled(found)
    except Exception:  # a statement names what is bound to this process
        return None


def _of_script() -> Space:
    return getattr(sys.modules.get("__main__"), "__dict__", {})


def hear_of_set_up(told: bytes | None) -> None:
    """Take, in a worker, what the script of who asks does to libraries."""
    if told != _asker.get("set up"):
        _asker["set up"] = told


def _of_asker() -> list[Effect]:
    told = _asker.get("set up")
    if type(told) is not bytes:
        return []
    import pickle

    found: list[Effect] = pickle.loads(told)
    return found


def _fill(walk: Walk, node: Node) -> None:
    """Fill the node of a statement: its text, and what it names."""
    from memori.fingerprint.functions import follow_code

    effect: Any = node.origin
    values = effect.values()
    walk.guards.redo(effect.values, None, values)
    node.state += (sized(b"U", effect.text), values)
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
    users = (
        space
        for space in spaces.values()
        if space.get("__name__") in SCRIPTS or origin_of_namespace(space).kind == "user"
    )
    return sorted(users, key=name_of_module)


def _packages(space: Space) -> Iterator[str]:
    name = str(space.get("__package__") or "")
    while name:
        yield name
        name = name.rpartition(".")[0]


def _set_up(space: Space) -> SetUp:
    """Return whether a module was run as its file is, and the statements that set a library up."""
    path, name, spec = (space.get(each) for each in ("__file__", "__name__", "__spec__"))
    cells = _cells(space)
    if cells is not None:
        path = "In"
    elif type(path) is not str or not (path.endswith(".py") or name in SCRIPTS):
        return True, []
    if getattr(sys.modules.get(str(name)), "__dict__", None) is not space:
        return True, []  # a function that was sent here without its module
    size = _size(space) if name in SCRIPTS else 0  # what it calls may not be defined yet
    key = (path, id(space), id(spec), size if cells is None else len(cells))
    known = _found.get(key)
    if known is None:
        found = _read(path, space) if cells is None else (True, _of_cells(cells, space))
        known = (space, spec, found)
        _found.keep(key, known)
    return known[2]


def _size(space: Space) -> int:
    """Return how many globals may be called; what stages returned is none of these."""
    kinds = map(type, list(space.values()))
    return sum(
        kind not in _PLAIN and not str(kind.__module__).startswith("memori.") for kind in kinds
    )


def _cells(space: Space) -> list[str] | None:
    """Return what was run of a notebook, if these are its globals."""
    cells = space.get("In") if "IPython" in sys.modules else None
    return cells if isinstance(cells, list) and "_ih" in space else None


def _of_cells(cells: list[str], space: Space) -> list[Effect]:
    found: list[Effect] = []
    is_anywhere = calls_what_may(space)
    for cell in cells:
        content = _run_by_magic(str(cell)).encode("utf-8", "surrogatepass")
        if is_anywhere or may_do_so(content, space):
            from memori.fingerprint.imports.effects import effects, latest

            try:
                found = latest(found + effects(content, "<cell>", space))
            except (SyntaxError, ValueError, RecursionError):
                continue
    return found


def _run_by_magic(cell: str) -> str:
    """Return what a cell runs below a magic such as `%%time`, or a line behind `%time`."""
    if "run_cell_magic('" not in cell and "run_line_magic('" not in cell:
        return cell
    from ast import literal_eval

    def text_of(found: re.Match[str]) -> str:
        return str(literal_eval(found[1])).strip() or "pass"

    return _MAGIC.sub(text_of, cell)


def _read(path: str, space: Space) -> SetUp:
    try:
        with open(path, "rb") as file:
            content, look = file.read(), os.fstat(file.fileno())
        if not (may_do_so(content, space) or calls_what_may(space)):
            return True, []
        from memori.fingerprint.imports.effects import effects

        found = effects(content, path, space)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return True, []
    return not found or _was_run(content, look, space), found


def _was_run(content: bytes, look: os.stat_result, space: Any) -> bool:
    """Tell whether a file is what was run: it is older than this process, or what was compiled."""
    if look.st_ctime < _began():
        return True
    code, spec = _going_on(space), space.get("__spec__")
    if code is not None:
        now = compile(content, code.co_filename, "exec", dont_inherit=True)
        return code_digest(now) == code_digest(code)
    if spec is None:
        return "IPython" in sys.modules  # which runs scripts as they are
    try:
        return was_compiled(spec.cached or "", look)
    except (OSError, TypeError):
        return sys.dont_write_bytecode


def _began() -> float:
    """Return when this process began, in seconds since 1970, or when memori was loaded."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age
    except (OSError, ValueError, IndexError, AttributeError):
        return _LOADED


def _going_on(space: Space) -> CodeType | None:
    """Return the code of a script that a thread is running."""
    for frame in sys._current_frames().values():
        while frame.f_back is not None:
            frame = frame.f_back
        if frame.f_globals is space and frame.f_code.co_name == "<module>":
            return frame.f_code
    return None
