"""What the user's code asks of files that it does not open.

``if os.path.exists(mask)`` decides what a run does. Python tells no audit hook of it. So `os.stat`,
`os.lstat`, `os.access` and `os.readlink`, which `os.path` and `pathlib` call, are wrapped, and so
is `os.scandir`; outside runs they only pass on.

What counts is what the user's own code asks, itself or by a library that it hands the question
(`memori.watch.questions.users`). A library looks into many places where something might
be, on each machine other ones; what it then opens counts. That a file is there counts as that (as a
file, as a folder), its size where the code asked for more than that, and where a link leads that
was followed by hand (``Path("current").resolve()``); links in the root folder are the system's, and
differ between the hosts of a cluster. Whether a path is itself a link counts where that was asked.

A file's times and mode count where the code that took its stat names them (``getmtime(scan)``,
``scan.stat().st_mtime``), and whether it may be read or run where that was asked (`os.access`).

Not promised: what is asked of a stat elsewhere than where it was taken, owners, whether a file may
be written; functions that were bound before the first run (``from os import stat``).
"""

from __future__ import annotations

import os
import stat
import sys

from memori.fingerprint.opaque import StandIn
from memori.watch.events import absolute
from memori.watch.observed import Observed
from memori.watch.questions import found
from memori.watch.questions.entries import Entries, asks_of_entries
from memori.watch.questions.users import LIBRARY, is_given, is_handed, is_users
from memori.watch.questions.variables import follow_variables
from memori.watch.threads import runs_here
from memori.watch.told import finds, looks_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

_PATHS = ("<frozen genericpath>", "<frozen posixpath>", f"{LIBRARY}genericpath.py",
          f"{LIBRARY}posixpath.py", f"{LIBRARY}pathlib")  # fmt: skip
_SHUTIL = f"{LIBRARY}shutil.py"
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
_OF_LINKS = ("islink", "is_symlink")
_FOR_ALL = ("exists", "lexists")  # which ask for no more than that something is there
_IN_PASSING = frozenset({"realpath", "_joinrealpath", "resolve", "_resolve", "mkdir", "expanduser"})


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
    follow_variables(live)


class _Asking(StandIn):
    """In the place of `os.stat` and its like."""

    def __init__(self, ask: Callable[..., Any], live: Sequence[Observed]) -> None:
        super().__init__(ask, "os")
        self._live = live

    def __call__(self, path: Any, *args: Any, **named: Any) -> Any:
        if not self._live:
            return self.original(path, *args, **named)
        mode = named.get("mode", *args[:1]) if self.__name__ == "access" else 0
        asked = "lstat" if named.get("follow_symlinks") is False else self.__name__
        try:
            answer = self.original(path, *args, **named)
        except OSError:
            _tell(self._live, path, named.get("dir_fd"), None, asked)
            raise
        _tell(self._live, path, named.get("dir_fd"), answer, asked, mode)
        return answer


class _Scanning(_Asking):
    """In the place of `os.scandir`, whose entries tell of files without asking `os.stat`."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        entries = self.original(*args, **named)
        if not self._live:
            return entries
        is_asked, walks = asks_of_entries(sys._getframe(1))
        if not is_asked:
            return entries
        folder = args[0] if args and isinstance(args[0], int) else None
        return Entries(entries, self._live, folder, _tell, only_links=walks)


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
    function = asked
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_PATHS):
        asked = frame.f_code.co_name
        names += frame.f_code.co_names
        frame = frame.f_back
    is_link = isinstance(answer, (str, bytes))
    if answer is None and asked in _IN_PASSING and sys._getframe(2).f_locals.get("strict") is True:
        asked = "lexists"  # `resolve(strict=True)`, which fails where something is missing
    if frame is None or not (is_link or asked not in _IN_PASSING):
        return
    program, frame = _looked_up(frame)
    if frame is None:
        return
    is_own = is_users(frame.f_code.co_filename)
    if not is_own and not is_handed(frame, ("which" if program else asked,)):
        if answer or not is_given(frame, path):
            return
        asked = "exists"  # that it is not there is all that is known of what the library wants
    if program is not None:
        for run in runs:
            looks_up(run, program)
        return
    place: str | None
    if (
        type(path) is str
        and path[:1] == "/"
        and asked in _WHETHER
        and found.is_answered(runs[0].found.get(path), is_of_link=asked in _OF_LINKS)
    ):
        return  # it was asked before
    try:
        place = absolute(path, -1 if folder is None else folder)
    except (TypeError, ValueError, OSError):
        return  # no path, or nowhere
    if place is None or (is_link and os.path.dirname(place) == os.sep):
        return
    names += frame.f_code.co_names if asked in _STATS and is_own else ()
    words = _with_details(_words(place, answer, asked), answer, mode, names)
    if function == "lstat" and asked not in _FOR_ALL and isinstance(answer, os.stat_result):
        words = found.of_itself(words, stat.S_ISLNK(answer.st_mode))
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
        return found.of_itself(found.THERE, is_link=False)
    if answer is None or (answer is False and not os.path.exists(path)):
        return found.NOWHERE if os.path.lexists(path) else found.NOTHING
    if not isinstance(answer, os.stat_result):
        return found.FOLDER if os.path.isdir(path) else found.FILE
    if stat.S_ISREG(answer.st_mode):
        return found.FILE if asked in _NOT_SIZE else found.file_of(answer.st_size)
    if stat.S_ISLNK(answer.st_mode):
        return found.THERE
    return found.FOLDER if stat.S_ISDIR(answer.st_mode) else found.OTHER


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
