"""What the user's code asks of files that it does not open, and of the environment by name.

``if os.path.exists(mask)`` decides what a run does, and so does ``os.environ[f"{name}_DIR"]``.
Python tells no audit hook of either. So `os.stat`, `os.lstat`, `os.access` and `os.readlink`, which
`os.path` and `pathlib` call, are wrapped, and so is the way to one variable of `os.environ`;
outside runs they only pass on.

What counts is what the user's own code asks. A library looks into many places where something might
be, on each machine other ones; what it then opens counts. That a file is there counts as that (as a
file, as a folder), its size where the code asked for more than that, and where a link leads that
was followed by hand (``Path("current").resolve()``); links in the root folder are the system's, and
differ between the hosts of a cluster. All variables at once
(`dict(os.environ)`, for a program that is started) are none that was asked for.

A file's times and mode count where the code that took its stat names them (``getmtime(scan)``,
``scan.stat().st_mtime``), and whether it may be read or run where that was asked (`os.access`).

Not promised: what is asked of a stat elsewhere than where it was taken, owners, whether a file may
be written; functions that were bound before the first run (``from os import stat``); what children
of the process ask of the environment.
"""

from __future__ import annotations

import os
import stat
import sys
from functools import wraps

from memori.fingerprint.opaque import StandIn
from memori.fingerprint.origins import OWN
from memori.watch.environment import counted_value
from memori.watch.events import absolute
from memori.watch.observed import Observed
from memori.watch.questions import found
from memori.watch.threads import runs_here
from memori.watch.told import finds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

_LIBRARY = os.path.dirname(os.__file__) + os.sep
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_PATHS = ("<frozen genericpath>", "<frozen posixpath>", f"{_LIBRARY}genericpath.py",
          f"{_LIBRARY}posixpath.py", f"{_LIBRARY}pathlib")  # fmt: skip
_SHUTIL = f"{_LIBRARY}shutil.py"
_MAPPINGS = ("<frozen os>", f"{_LIBRARY}os.py", "<frozen _collections_abc>",
             f"{_LIBRARY}_collections_abc.py", *_PATHS)  # fmt: skip
_WHETHER = frozenset({
    "exists", "lexists", "isfile", "isdir", "islink", "ismount", "is_file", "is_dir", "is_symlink",
    "is_mount", "glob", "rglob",
})  # fmt: skip
_NOT_SIZE = _WHETHER | {"getmtime", "getatime", "getctime"}
_DETAILS = {
    "st_mtime": found.MODIFIED, "st_mtime_ns": found.MODIFIED, "ST_MTIME": found.MODIFIED,
    "st_ctime": found.CHANGED, "st_ctime_ns": found.CHANGED, "ST_CTIME": found.CHANGED,
    "_sig": found.MODIFIED,  # of filecmp
    "st_mode": found.PERMISSIONS, "ST_MODE": found.PERMISSIONS,
}  # fmt: skip
_OF_KIND = frozenset({"S_ISREG", "S_ISDIR", "S_ISLNK", "S_IFMT"})  # all that the mode is asked for
_STATS = ("stat", "lstat")
_IN_PASSING = frozenset({"realpath", "_joinrealpath", "resolve", "_resolve", "mkdir", "expanduser"})
_BY_NAME = frozenset({
    "get", "getenv", "__contains__", "pop", "setdefault", "expandvars", "repl",
    "expanduser", "home",
})  # fmt: skip
_SUBSCRIPTS = ("BINARY_SUBSCR", "BINARY_OP")
_users: dict[str, bool] = {}


def follow_questions(live: Sequence[Observed]) -> None:
    """Wrap, once, what tells of a file or of a variable.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on, at any time.
    """
    if isinstance(os.stat, StandIn):
        return
    for name in ("stat", "lstat", "access", "readlink", "scandir"):
        ask = getattr(os, name)
        stand_in = _Scanning if name == "scandir" else _Asking
        asking: Any = stand_in(ask, live)
        for several in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if ask in several:
                several.add(asking)
        setattr(os, name, asking)
    kind: Any = type(os.environ)
    kind.__getitem__ = _getting(kind.__getitem__, live)


class _Asking(StandIn):
    """In the place of `os.stat` and its like."""

    def __init__(self, ask: Callable[..., Any], live: Sequence[Observed]) -> None:
        super().__init__(ask, "os")
        self._live = live

    def __call__(self, path: Any, *args: Any, **named: Any) -> Any:
        if not self._live:
            return self.original(path, *args, **named)
        mode = named.get("mode", *args[:1]) if self.__name__ == "access" else 0
        try:
            answer = self.original(path, *args, **named)
        except OSError:
            _tell(self._live, path, named.get("dir_fd"), None, self.__name__)
            raise
        _tell(self._live, path, named.get("dir_fd"), answer, self.__name__, mode)
        return answer


class _Scanning(_Asking):
    """In the place of `os.scandir`, whose entries tell of files without asking `os.stat`."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        entries = self.original(*args, **named)
        if not self._live or not _is_users(sys._getframe(1).f_code.co_filename):
            return entries
        folder = args[0] if args and isinstance(args[0], int) else None
        return _Entries(entries, self._live, folder)


class _Entries:
    """What `os.scandir` returns."""

    def __init__(self, entries: Any, live: Sequence[Observed], folder: int | None) -> None:
        self._entries, self._live, self._folder = entries, live, folder

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> _Entry:
        return _Entry(next(self._entries), self._live, self._folder)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries.close()


class _Entry:
    """An `os.DirEntry` that notes what it was asked."""

    __slots__ = ("_entry", "_folder", "_live")

    def __init__(self, entry: Any, live: Sequence[Observed], folder: int | None) -> None:
        self._entry, self._live, self._folder = entry, live, folder

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # what isinstance(entry, os.DirEntry) goes by
        return os.DirEntry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def __fspath__(self) -> Any:
        return self._entry.path

    def __repr__(self) -> str:
        return repr(self._entry)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        answer: os.stat_result = self._entry.stat(follow_symlinks=follow_symlinks)
        _tell(self._live, self._entry.path, self._folder, answer, "stat")
        return answer


def _getting(get: Callable[..., Any], live: Sequence[Observed]) -> Callable[..., Any]:
    @wraps(get)
    def getting(self: Any, name: Any) -> Any:
        if live and isinstance(name, str) and self is os.environ:
            runs = runs_here(live)
            if runs and _asks_for_one(sys._getframe(1)):
                for run in runs:
                    if name not in run.variables:
                        run.variables[name] = counted_value(name)
                        _tell_variable(run, name)
        return get(self, name)

    return getting


def _tell_variable(run: Observed, name: str) -> None:
    """Tell the process that started this one, in which the value is to count."""
    if run.tell is not None:
        from memori.watch.commands.variables import counts_below

        if counts_below(name):
            run.tells("variables", name)


def _tell(
    live: Sequence[Observed],
    path: object,
    folder: object,
    answer: object,
    asked: str,
    mode: int = 0,
) -> None:
    runs = runs_here(live)
    if not runs:
        return
    names: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_PATHS):
        asked = frame.f_code.co_name
        names += frame.f_code.co_names
        frame = frame.f_back
    is_link = isinstance(answer, (str, bytes))
    if frame is None or not (is_link or asked not in _IN_PASSING):
        return
    program, frame = _looked_up(frame)
    if frame is None or not _is_users(frame.f_code.co_filename):
        return
    if program is not None:
        for run in runs:
            run.looked_up.add(program)
            run.tells("looked_up", program)
        return
    place: str | None
    if type(path) is str and path[:1] == "/" and path in runs[0].found and asked in _WHETHER:
        return  # it was asked before
    try:
        place = absolute(path, -1 if folder is None else folder)
    except (TypeError, ValueError, OSError):
        return  # no path, or nowhere
    if place is None or (is_link and os.path.dirname(place) == os.sep):
        return
    names += frame.f_code.co_names if asked in _STATS else ()
    words = _with_details(_words(place, answer, asked), answer, mode, names)
    for run in runs:
        finds(run, place, words)


def _looked_up(frame: FrameType | None) -> tuple[str | None, FrameType | None]:
    """Return the program that `shutil.which` looks for along PATH, and who wants to know."""
    program = None
    for name in ("_access_check", "which"):
        if frame is None or (frame.f_code.co_filename, frame.f_code.co_name) != (_SHUTIL, name):
            break
        if name == "which":
            along = os.environ.get("PATH", os.defpath).split(os.pathsep)
            known = frame.f_locals
            program = os.fsdecode(known["cmd"]) if known["path"] == along else None
        frame = frame.f_back
    return program, frame


def _words(path: str, answer: object, asked: str) -> str:
    """Return the words for what was answered (`memori.watch.questions.found`)."""
    if isinstance(answer, (str, bytes)):
        return found.link_to(os.fsdecode(answer))
    if answer is None and asked == "readlink" and os.path.lexists(path):
        return found.NO_LINK
    if answer is None or (answer is False and not os.path.exists(path)):
        return found.NOWHERE if os.path.lexists(path) else found.NOTHING
    if not isinstance(answer, os.stat_result):
        return found.FOLDER if os.path.isdir(path) else found.FILE
    if stat.S_ISREG(answer.st_mode):
        return found.FILE if asked in _NOT_SIZE else found.file_of(answer.st_size)
    return found.FOLDER if stat.S_ISDIR(answer.st_mode) else found.THERE


def _with_details(words: str, answer: object, mode: int, names: Sequence[str]) -> str:
    """Add to the words what else was asked, by the names in the code that got the answer."""
    if isinstance(answer, bool) and words in (found.FILE, found.FOLDER):
        return found.permitted(words, mode, answer)
    if not isinstance(answer, os.stat_result) or not stat.S_ISREG(answer.st_mode):
        return words
    details = dict.fromkeys(_DETAILS[name] for name in names if name in _DETAILS)
    if not _OF_KIND.isdisjoint(names):
        details.pop(found.PERMISSIONS, None)
    return found.detailed(words, answer, details)


def _asks_for_one(frame: FrameType | None) -> bool:
    """Tell whether the user's code asks for one variable by its name."""
    is_direct = True
    while frame is not None and frame.f_code.co_filename.startswith(_MAPPINGS):
        if frame.f_code.co_name not in _BY_NAME:
            return False
        is_direct, frame = False, frame.f_back
    if frame is None or not _is_users(frame.f_code.co_filename):
        return False
    if not is_direct:
        return True
    from opcode import opname

    return opname[frame.f_code.co_code[frame.f_lasti]].startswith(_SUBSCRIPTS)


def _is_users(file: str) -> bool:
    """Tell whether code is neither a library's nor memori's own."""
    known = _users.get(file)
    if known is None:
        is_librarys = file.startswith(("<frozen", OWN, _LIBRARY)) or any(
            site in file for site in _SITES
        )
        known = _users[file] = not is_librarys
    return known
