"""Telling a run what a tracer saw a program of its do.

The program is over when this is told, and so are its children. What it did came after all that the
run had done before it, and before all that the run does next: the first touch of a path stays.

A file that it read is taken for what it was then if nothing changed it since (`Marks`). The content
of a file before the program edited it is not known.

Not promised: the work of processes that go on behind it.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from itertools import count

from memori.digest.clock import is_remote
from memori.watch.listings import literal
from memori.watch.questions.found import LINK, NOWHERE, behind_link, joined, of_read
from memori.watch.touch import UNLOOKED, Listing, Touch, look_at, through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memori.watch.commands.trace import Trace
    from memori.watch.observed import Observed
    from memori.watch.touch import Look

_meant: dict[str, int] = {}  # by current folder: the last moment at which a name was meant from it
_moments = count(1)
_MOST_PROGRAMS = 1000
_COARSE = 2_000_000_000  # ns; clocks of file servers differ, and some keep whole seconds
_ROUNDED = 10_000_000  # ns; file systems that keep hundredths of a second, or whole seconds
_TICK = 0.0005  # seconds
_LONGEST_TICK = 0.1  # seconds
_CLOCK_REALTIME_COARSE = 5  # of Linux; Python's `time` does not name it
_GONE = os.stat_result(
    (stat.S_IFREG, 0, 0, 0, 0, 0, 0, 0, 0, 0), {"st_mtime_ns": 0, "st_ctime_ns": 0}
)
"""Of a file that was there when it was opened, and is not any more."""


class Marks:
    """When a program started, by the clocks of file systems.

    File systems stamp files by a clock that ticks every few milliseconds, and newer kernels by the
    exact time where somebody looked at the file before. So a program is started only after the tick
    has come that is later than both (`wait`): what carries an earlier time was not changed since.
    File systems of this machine that were not asked stamp by the clock that is waited for.

    Parameters
    ----------
    folders : iterable of str
        A file is made, and removed again, in each, to learn what its file system's clock says.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        import tempfile

        before = _file_clock()
        self._began = before - _COARSE
        self._by_device: dict[int, int] = {}
        self._local = self._began
        for folder in folders:
            try:
                with tempfile.TemporaryFile(prefix=".memori-", dir=folder) as file:
                    look = os.fstat(file.fileno())
            except OSError:
                continue  # it cannot be written: what the local clock says must do
            mark = look.st_ctime_ns
            is_of_here = before <= mark <= time.time_ns()  # its clock's next tick is waited for
            self._by_device[look.st_dev] = mark + is_of_here
        self._made = time.time_ns()

    def wait(self) -> None:
        """Wait (milliseconds) until what is changed from now on carries another time."""
        until = time.monotonic() + _LONGEST_TICK
        while (now := _file_clock()) <= self._made:
            if time.monotonic() > until:
                return  # the clock was set back
            time.sleep(_TICK)
        self._local = now

    def is_older(self, look: os.stat_result, *, marked: bool = False) -> bool:
        """Tell whether a file was last changed before the program started, marks aside."""
        changed = look.st_mtime_ns if marked else look.st_ctime_ns
        mark = self._by_device.get(look.st_dev)
        if mark is None:
            is_exact = changed % _ROUNDED and not is_remote(look.st_dev)
            mark = self._local if is_exact else self._began
        return changed < mark


def _file_clock() -> int:
    """Return the time in ns by the clock that stamps files here."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    return time.time_ns()


def meant_from(folder: str) -> None:
    """Note that a name was meant from a folder that was the current one."""
    _meant[folder] = next(_moments)


class Meant:
    """Tells whether names were meant from the folder that is the current one now, from now on."""

    __slots__ = ("_folder", "_since")

    def __init__(self) -> None:
        try:
            self._folder = os.getcwd()
        except FileNotFoundError:
            self._folder = ""
        self._since = next(_moments)

    def folder(self) -> str:
        """Return the folder if some were; else nothing."""
        return self._folder if _meant.get(self._folder, 0) > self._since else ""


def tell_of(run: Observed, trace: Trace, marks: Marks) -> None:
    """Add what a program that is over was seen to do to the run that waited for it."""
    for folder in trace.files.meant_from:
        meant_from(folder)
    for link, place in trace.files.links.items():
        points(run, link, place)
    marked = _with_other_names(trace.files.marked, trace.files.touched)
    for path, touch in trace.files.touched.items():
        touch.marked = path in marked
        if not touch.written and path in trace.files.perhaps_made and _was_made(path, marks):
            touch = Touch("write", None)
        if touch.written and _is_untouched(path, marks):
            touch = Touch("read", UNLOOKED)
        _tell_touch(run, through(path, run.links), touch, marks)
    for path in marked:
        mine = run.own_touch(path)
        if mine is not None and not mine.marked:
            mine.marked = True
            run.tells("touched", path)
    for folder, names in trace.folders.items():
        folder = through(f"{folder}/", run.links).rstrip("/") or "/"
        look = look_at(folder) or _GONE
        folders = frozenset(name for name, is_folder in names.items() if is_folder)
        run.folders.setdefault(folder, Listing(look, tuple(names), folders)).whole = True
        run.tells("folders", folder)
    for path, words in trace.files.found.items():
        if path not in run.touched or words == of_read(words):
            finds(run, path, words)
    for folder in trace.files.made:
        run.made.add(folder)
        run.tells("made", folder)
    for path in trace.temporary:
        run.passes(path)
    for path in {path for path, _ in trace.programs}:
        executes(run, path)
    for _, program in trace.programs[:_MOST_PROGRAMS]:
        ran(run, program)


def _with_other_names(marked: set[str], touched: Iterable[str]) -> set[str]:
    """Return the files that were given another name or mode, by all names that were touched."""
    looks = [look for path in marked if (look := look_at(path)) is not None and look.st_nlink > 1]
    files = set(map(_file, looks))
    others = {path: look_at(path) for path in touched} if files else {}
    return marked | {path for path, look in others.items() if look and _file(look) in files}


def _file(look: os.stat_result) -> tuple[int, int]:
    return look.st_dev, look.st_ino


def _was_made(path: str, marks: Marks) -> bool:
    """Tell whether a file was made since a program started, and nothing was ever written to it."""
    look = look_at(path)
    if look is None or look.st_size or marks.is_older(look):
        return False
    return look.st_atime_ns == look.st_mtime_ns == look.st_ctime_ns


def _is_untouched(path: str, marks: Marks) -> bool:
    """Tell whether a file was opened for writing and is as it was, as a database that is asked."""
    look = look_at(path)
    return look is not None and stat.S_ISREG(look.st_mode) and marks.is_older(look)


def _tell_touch(run: Observed, path: str, touch: Touch, marks: Marks) -> None:
    look: Look = touch.look
    if not touch.written and touch.how == "read":
        now = look_at(path)
        if look is None and now is None:
            folder, name = os.path.split(path)  # which may be a link that leads nowhere
            path = os.path.join(os.path.realpath(folder), name)
        elif look is None:
            if now is not None and marks.is_older(now):
                return  # it was there, and could not be used
        else:
            is_older = now is not None and marks.is_older(now, marked=touch.marked)
            look = _GONE if now is None else now if is_older else UNLOOKED
    mine = run.own_touch(path)
    if mine is None:
        mine = run.touched[path] = Touch(touch.how, look)
        mine.written, mine.appends, mine.before = touch.written, touch.appends, touch.before
    elif not touch.written:
        mine.is_read_back()
    else:
        if mine.how == "read" and not mine.written:
            if mine.look is None:  # looked for and not found, now made
                mine.how = "write" if touch.how == "read" else touch.how
                mine.appends = touch.appends
            mine.before = mine.before or UNLOOKED
        mine.written = True
        mine.appends = mine.appends and touch.appends
    run.tells("touched", path)


def ran(run: Observed, words: tuple[str, ...]) -> None:
    """Note that a program was started of which a tracer tells."""
    if words not in run.traced:
        run.traced.add(words)
        run.programs.append(words)
        run.tells("traced", words[0])


def executes(run: Observed, path: str) -> None:
    """Note where a program lies that was started."""
    run.executed.add(path)
    run.tells("executed", path)


def looks_up(run: Observed, program: str) -> None:
    """Note that a program was looked for along the PATH, by its name."""
    run.looked_up.add(program)
    run.tells("looked_up", program)


def finds(run: Observed, path: str, words: str) -> None:
    """Keep an answer beside what was answered before; of a link also what it leads to."""
    known = run.found.get(path)
    is_link = words.startswith(LINK)
    if known is not None and is_link != known.startswith(LINK):
        if is_link:
            run.found[path] = words
            run.tells("found", path)
        place = os.path.realpath(path)
        of_place = behind_link(known if is_link else words)  # that it is one is told already
        if of_place and place != path:  # else it is no link any more
            finds(run, place, of_place)
        return
    answer = joined(known or words, words)
    if answer != known:
        run.found[path] = answer
        run.tells("found", path)


def but_links(run: Observed, missed: Iterable[str]) -> list[str]:
    """Return those of the paths that led to nothing at which nothing is.

    Of links that lead nowhere, such as those of git-annex before `datalad get`, that is noted.
    """
    links = [path for path in missed if os.path.islink(path)]
    for path in links:
        finds(run, path, NOWHERE)
    return [path for path in missed if path not in links]


def points(run: Observed, link: str, place: str) -> None:
    """Note where a link leads that the run made."""
    run.links[link] = place
    run.tells("links", link)


def follow_links(run: Observed) -> None:
    """Take what lies below links that a run made for what it is: the links may be gone by now."""
    if not run.links:
        return
    touched: dict[str, Touch] = {}
    for path, touch in run.touched.items():
        known = touched.setdefault(through(path, run.links), touch)
        known.written = known.written or touch.written
    run.touched = touched
    run.folders = {
        through(f"{path}/", run.links).rstrip("/") or "/": listing
        for path, listing in run.folders.items()
    }
    run.found = {through(path, run.links): words for path, words in run.found.items()}
    links = {literal(link): literal(place) for link, place in run.links.items()}
    run.globs = {through(pattern, links): None for pattern in run.globs}


def spoils(run: Observed, what: str) -> None:
    """Note what happened to a program so that what came of the run is of no use."""
    run.spoilt.add(what)
    run.tells("spoilt", what)


def is_followed_above(runs: Iterable[Observed]) -> bool:
    """Tell whether a tracer of a run in another process sees all that this one starts."""
    if all(run.tell is None for run in runs):
        return False
    try:
        with open("/proc/self/status") as file:
            return "TracerPid:\t0\n" not in file.read()
    except OSError:
        return False


def leaves_above(runs: Iterable[Observed], program: str) -> None:
    """Note that of a program only the run above is told, and so nobody here what it reads."""
    for run in runs:
        run.spoilt.add(
            f"a run of memori around this one follows what {program} reads, and two cannot; "
            "remember either the whole or its parts"
        )


def misses(run: Observed, who: str) -> None:
    """Note who may have read files of which nobody told."""
    if who not in run.unseen:
        run.unseen.append(who)
        run.tells("unseen", who)


def adopts(run: Observed, earlier: Observed) -> None:
    """Add what was done for a run before it began, when it was decided on."""
    for path, touch in earlier.touched.items():
        run.learns(path, touch)
    for path, imported in earlier.imported.items():
        run.imported.setdefault(path, imported)
    for folder, listing in earlier.folders.items():
        run.folders.setdefault(folder, listing)
    run.globs.update(earlier.globs)
    for path, words in earlier.found.items():
        run.found[path] = joined(words, run.found.get(path, words))
    for name in ("made", "network", "traced", "executed", "looked_up", "named", "trees"):
        getattr(run, name).update(getattr(earlier, name))
    for name in ("programs", "unwatched", "unseen", "faults"):
        getattr(run, name).extend(getattr(earlier, name))
    run.glances = False
