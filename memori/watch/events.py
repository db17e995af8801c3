"""What each audit event tells of a run: the events that are heard, and how they are understood.

A handler is given the run and the arguments of the event; it finds the path that is meant (relative
to the current folder, to an open one, or to none) and tells `Observed`. Handlers are called by the
hook, at a depth that `_caller` and `_stack` rely on.
"""

from __future__ import annotations

import os
import re
import sys
from _thread import _local

from memori.aside import aside
from memori.watch.callers import is_globbing, is_of_imports, is_running_main_again, reader_of_source
from memori.watch.installed import installed
from memori.watch.libraries.announced import LOOKED_FOR
from memori.watch.listings import BELOW, flat, literal
from memori.watch.modules import looked_for
from memori.watch.observed import Observed
from memori.watch.questions.found import EMPTY, LOGS, holds_something
from memori.watch.threads import thread_starts
from memori.watch.told import finds, meant_from, points
from memori.watch.touch import led_to, look_at, plain_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    Handler = Callable[[Observed, tuple[object, ...]], None]

SOURCES = (".py", ".pyc")
_WRITES = os.O_WRONLY | os.O_RDWR
_STAND_IN = tuple(
    os.path.join(os.path.dirname(__file__), *each)
    for each in (("questions", "asked.py"), ("libraries", "announced.py"))
)
_DEEPEST = 60  # frames that are looked at to tell who reads
_here = _local()  # the current folder, once it was asked for; a thread may have one of its own
_moved: list[object] = [None]  # another object after each move


def forget_folder() -> None:
    """Ask anew for the current folder when it is needed next."""
    _moved[0] = object()


def here() -> str:
    """Return the current folder of this thread, from which a name is meant."""
    if getattr(_here, "moved", 0) is not _moved[0]:
        _here.folder = os.getcwd()
        _here.moved = _moved[0]
    folder: str = _here.folder
    meant_from(folder)
    return folder


def _opened(run: Observed, args: tuple[object, ...]) -> None:
    path, mode, flags = args
    if type(path) is not str or path[:1] != "/":
        if mode is None and path and _names_a_folder(_caller()):
            for each in _in_open_folders(path):
                _opened(run, (each, mode, flags))
            return
        path = absolute(path)
        if path is None:
            return
    elif "/." in path or "//" in path:
        path = plain_path(path)
    assert isinstance(flags, int)
    if flags & _WRITES and (flags & os.O_CREAT or look_at(path)):  # else an error
        run.opens_to_write(path, flags, _stack())
    elif flags == 0 and type(mode) is str and mode[:1] in "wax":  # C code that calls fopen
        run.writes(path, "append" if mode[:1] == "a" else "write", mode[:1] != "a", _stack())
    elif run.knows(path):
        run.reads_back(path)
    else:
        if path.endswith(SOURCES) or is_running_main_again(_caller()):
            reader = reader_of_source(_caller())
            if reader == "import" and path.endswith(".py") and not look_at(path):
                reader = ""  # code that names its file, which is not there
            if reader == "import":
                run.imports(path, _stack())
            if reader:
                return
        run.reads(path, None if run.reads_old else _stack())


def _names_a_folder(caller: FrameType | None) -> bool:
    """Tell whether `os.open` is called with `dir_fd`, of which Python does not tell hooks."""
    if caller is None:
        return False
    constants = caller.f_code.co_consts
    return any(type(each) is tuple and "dir_fd" in each for each in constants)


def _in_open_folders(path: object) -> list[str]:
    """Return each place in an open folder that a relative path may mean."""
    name = absolute(path, -1)
    if name is None or os.path.isabs(os.fsdecode(path)):  # type: ignore[arg-type]
        return [] if name is None else [name]
    found = [name]
    with aside():
        for descriptor in os.listdir("/proc/self/fd"):
            folder = folder_of(int(descriptor))
            if folder is not None and os.path.isdir(folder):
                found.append(f"{folder}/{os.fsdecode(path)}")  # type: ignore[arg-type]
    there = [each for each in found if os.path.lexists(each)]
    return there or found


def _listed(run: Observed, args: tuple[object, ...]) -> None:
    caller = _caller()
    if is_of_imports(caller):
        return
    path = args[0]
    folder = folder_of(path) if isinstance(path, int) else absolute(path)
    if folder is not None:
        run.lists(folder, _stack(), whole=not is_globbing(caller))


def _globbed(run: Observed, args: tuple[object, ...]) -> None:
    given, is_recursive, folder, descriptor = args
    pattern = os.fsdecode(given)  # type: ignore[arg-type]
    above = absolute("." if folder is None else folder, -1 if descriptor is None else descriptor)
    run.asks_for(_pattern(above, pattern if is_recursive else flat(pattern)))


def _path_globbed(run: Observed, args: tuple[object, ...]) -> None:
    folder, pattern = args
    is_of_folders = sys.version_info < (3, 13) and os.path.basename(str(pattern)) == BELOW
    run.asks_for(_pattern(absolute(folder), f"{pattern}/" if is_of_folders else str(pattern)))


def _pattern(above: str | None, pattern: str) -> str:
    """Return an absolute pattern; a slash at its end, by which it is one of folders, stays."""
    whole = plain_path(os.path.join(literal(above or ""), pattern))
    return f"{whole}/" if pattern.endswith("/") else whole


def _path_globbed_below(run: Observed, args: tuple[object, ...]) -> None:
    _path_globbed(run, (args[0], f"**/{args[1]}"))


def _imported(run: Observed, args: tuple[object, ...]) -> None:
    if type(args[1]) is str:  # a compiled one; for others the import system opens a file
        run.imports(args[1], _stack())


def _looked_for(run: Observed, args: tuple[object, ...]) -> None:
    frame = _caller()
    while frame is not None and is_of_imports(frame):
        frame = frame.f_back
    if frame is None or installed([frame.f_code.co_filename]):
        return  # libraries look for what might be installed
    name, folders = args
    for path in looked_for(str(name), folders):  # type: ignore[arg-type]
        if not os.path.lexists(path):
            run.reads(path, _stack())


def _connected(run: Observed, args: tuple[object, ...]) -> None:
    name = os.fsdecode(args[0])  # type: ignore[arg-type]
    if name.startswith("file:") and not os.path.exists(name):  # a URI
        from urllib.parse import unquote

        name = unquote(re.sub("^file:(//[^/]*)?|[?#].*", "", name))
    if name and not name.startswith(":"):
        path = absolute(name)
        if path is not None:
            stack = _stack()
            run.connects(path, stack)
            for log in (f"{path}{each}" for each in LOGS):
                if holds_something(log):
                    run.connects(log, stack)
                elif os.path.exists(path):
                    finds(run, log, EMPTY)


def _taken(run: Observed, args: tuple[object, ...]) -> None:
    what = f"{args[0]}:{args[1]}"
    if what not in run.taken:
        run.taken.add(what)
        run.tells("taken", what)


def _linked_in(run: Observed, args: tuple[object, ...]) -> None:
    if isinstance(args[0], str) and "/" in args[0]:
        run.reads(absolute(args[0]) or "", _stack())


def _called(run: Observed, args: tuple[object, ...]) -> None:
    if isinstance(args[1], tuple):
        run.calls(str(args[1][0]))


def _made(run: Observed, args: tuple[object, ...]) -> None:
    path = absolute(args[0], args[2])
    if path is not None:
        run.makes(path)


def _passing(run: Observed, args: tuple[object, ...]) -> None:
    path = absolute(args[0])
    if path is not None:
        run.passes(path)


def _renamed(run: Observed, args: tuple[object, ...]) -> None:
    source, target = absolute(args[0], args[2]), absolute(args[1], args[3])
    if source is not None and target is not None:
        run.moves(source, target)
        if source in run.links:
            points(run, target, run.links[source])


def _linked(run: Observed, args: tuple[object, ...]) -> None:
    source = absolute(args[0], args[2])
    if source is not None:
        run.connects(source, _stack())  # its time of change is another one afterwards
    target = absolute(args[1], args[3])
    if target is not None:
        run.writes(target)


def _marked(run: Observed, args: tuple[object, ...]) -> None:
    path = absolute(args[0], args[-1])  # the last is the folder that it starts from
    if path is not None and run.how(path) == "read" and not run.wrote(path):
        run.connects(path)


def _kills(run: Observed, args: tuple[object, ...]) -> None:
    if args[1]:  # 0 asks whether it is there
        run.kills = True


def _labelled(run: Observed, args: tuple[object, ...]) -> None:
    _marked(run, (args[0], -1))


def _pointed(run: Observed, args: tuple[object, ...]) -> None:
    target = absolute(args[1], args[2])
    if target is not None:
        run.writes(target)
        place = led_to(os.path.dirname(target), os.fsdecode(args[0]))  # type: ignore[arg-type]
        points(run, target, place)
        if os.path.isfile(place):
            run.reads(place, _stack())


def _removed(run: Observed, args: tuple[object, ...]) -> None:
    path = absolute(args[0], args[1])
    if path is not None:
        run.removes(path)


def _truncated(run: Observed, args: tuple[object, ...]) -> None:
    path = absolute(args[0])
    if path is not None:
        run.writes(path, "write", anew=args[1] == 0)


def _started(run: Observed, args: tuple[object, ...]) -> None:
    words = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
    _starts(run, tuple(os.fsdecode(each) for each in words))  # type: ignore[arg-type]


def _starts(run: Observed, words: tuple[str, ...]) -> None:
    """Note a program of which nobody will tell: what its words name counts."""
    run.starts(words)
    if words:
        with aside():
            from memori.watch.commands.named import Named

            Named(words, os.getcwd(), os.environ).tell(run)


def _spawned(run: Observed, args: tuple[object, ...]) -> None:
    caller = _caller()
    if caller is None or not caller.f_code.co_filename.endswith(_TELL_OR_ARE_OURS):
        _started(run, args)


_TELL_OR_ARE_OURS = ("subprocess.py", os.path.join("memori", "processes", "interrupts.py"))
"""Whose spawning is no program of the run: it was told already, or is memori's watchdog."""


def _shell(run: Observed, args: tuple[object, ...]) -> None:
    _starts(run, ("/bin/sh", "-c", os.fsdecode(args[0])))  # type: ignore[arg-type]


def _thread_started(run: Observed, args: tuple[object, ...]) -> None:
    thread_starts(run, getattr(args[0], "__self__", None))


def absolute(path: object, folder: object = -1) -> str | None:
    """Return a path as it is given to a call of `os`, absolute and plain; None for a number.

    None as well for a relative path where the current folder is gone: nothing can be there.

    Parameters
    ----------
    path : object
        Text, bytes, a path or a descriptor.
    folder : int, optional
        The descriptor of the folder that a relative path is meant in; -1 for the current one.
    """
    if isinstance(path, int):
        return None
    if path is None:
        path = ""
    text = os.fsdecode(path)  # type: ignore[arg-type]
    if text[:1] == "/":
        return plain_path(text)
    if type(folder) is int and folder != -1:
        above = folder_of(folder)
        return None if above is None else plain_path(f"{above}/{text}")
    try:
        return plain_path(f"{here()}/{text}")
    except FileNotFoundError:
        return None


def folder_of(descriptor: int) -> str | None:
    """Return what an open descriptor is open on; None where the system does not tell."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None


def _moved_on(run: Observed, args: tuple[object, ...]) -> None:
    forget_folder()


def _caller() -> FrameType | None:
    """Return the frame below the hook, as asked by a handler."""
    return _asking(sys._getframe(3).f_back)


def _asking(frame: FrameType | None) -> FrameType | None:
    """Step over what stands in the place of `os.scandir`, or of a library's function."""
    while frame is not None and frame.f_code.co_filename in _STAND_IN:
        frame = frame.f_back
    return frame


def _stack() -> tuple[CodeType, ...]:
    """Return the code that is running below the hook, innermost first, as asked by a handler."""
    frame = _asking(sys._getframe(3).f_back)
    found = []
    for _ in range(_DEEPEST):
        if frame is None:
            break
        found.append(frame.f_code)
        frame = frame.f_back
    return tuple(found)


HANDLERS: dict[str, Handler] = {
    "open": _opened,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "glob.glob/2": _globbed,
    "pathlib.Path.glob": _path_globbed,
    "pathlib.Path.rglob": _path_globbed_below,
    "import": _imported,
    LOOKED_FOR: _looked_for,
    "pickle.find_class": _taken,
    "sqlite3.connect": _connected,
    "ctypes.dlopen": _linked_in,
    "socket.connect": _called,
    "os.mkdir": _made,
    "tempfile.mkstemp": _passing,
    "tempfile.mkdtemp": _passing,
    "os.rename": _renamed,
    "os.link": _linked,
    "os.symlink": _pointed,
    "os.chmod": _marked,
    "os.chown": _marked,
    "os.utime": _marked,
    "os.setxattr": _labelled,
    "os.remove": _removed,
    "os.rmdir": _removed,
    "os.truncate": _truncated,
    "os.chdir": _moved_on,
    "os.kill": _kills,
    "os.killpg": _kills,
    "subprocess.Popen": _started,
    "os.posix_spawn": _spawned,
    "os.exec": _started,
    "os.system": _shell,
    "_thread.start_new_thread": _thread_started,
    "_thread.start_joinable_thread": _thread_started,
}
