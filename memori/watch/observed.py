"""What one run was seen to do with files, folders and programs, as it happened.

`Observed` collects; what of it counts is decided later (`memori.watch.sieve`). A path is kept
absolute, by the folder that was current at that moment, and without detours. The first touch of a
path decides what it is to the run: read, made, or a log that it appended to. The first times, the
stat is taken right before the file is opened, so that a change between its reading and the end of
the run is seen; once many files in a row turned out to be older than the run, their times at its
end say the same, and the look is saved.

Not promised: what is read through a memory map opened before the run, files opened by number that
somebody else opened, and a change by others on a server whose clock is seconds behind.
"""

from __future__ import annotations

import os
import stat
import time
from contextvars import ContextVar

from memori.aside import aside
from memori.digest.clock import earliest_now
from memori.digest.files import TICK, file_digest
from memori.watch.touch import (
    GLANCED,
    OLD,
    UNLOOKED,
    Listing,
    Touch,
    is_since,
    listed,
    look_at,
    plain_touches,
    source_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any, Literal

    from memori.digest.files import FileDigest
    from memori.watch.touch import How

_ENOUGH = 16  # looks at files all older than the run, after which it is no longer looked at each
_TEMPORARY = getattr(os, "O_TMPFILE", 0) & ~getattr(os, "O_DIRECTORY", 0)


class Observed:
    """What one run was seen to do.

    Parameters
    ----------
    name : str, optional
        Its own.
    outer : Observed, optional
        The run inside which this one goes on; it sees all that this one does.
    memo : str, optional
        The folder in which digests of files are remembered.

    Attributes
    ----------
    began, live : int, bool
        When it began, in ns (what is made in its first milliseconds may be stamped earlier), and
        whether it still goes on.
    touched : dict of str to Touch
        By path, in the order of the first touch.
    programs, executed, looked_up : list of tuple of str, set of str, set of str
        The words of each program that was started, where these lie if that is known, and the names
        that code has looked up (`shutil.which`).
    reads_old : bool
        Whether all files that were opened last are older than the run: then all code counts as
        having read them.
    glances, glances_since : bool, int
        Whether files that are opened for reading need no look any more, and since when, in ns.
    glanced : dict of str to Touch
        Those files, as they were spelled, until something else is to be known of them.
    folders : dict of str to Listing
        By path: each folder that was listed.
    globs : dict of str to None
        The patterns that were asked for, absolute.
    imported : dict of str to Touch
        By path: each module's file that the import system read.
    base, here : code or None, str
        The code that started watching, and the current folder if names were meant from there.
    taken, network : set of str
        What was unpickled by name (``module:name``), and the hosts that it connected to.
    made, temporary, links : set of str, set of str, dict of str to str
        The folders that it made, what it made by `tempfile`, and where links lead that it made.
    traced, unwatched : set of tuple of str, list of tuple of str
        The words of programs that were watched, and of those that could not be.
    counted : set of str
        Paths of programs that count as what they are, and not as files.
    found : dict of str to str
        By path: what was told of a file that was asked for and not opened.
    variables : dict of str to str or None
        By name: variables of the environment that code asked for by computed names.
    unseen, named, trees : list of str, set of str, set of str
        Who may have read files without telling, and files and folders that such programs were told
        of: all counts that a folder holds.
    spoilt, kills : set of str, bool
        What happened to programs so that its outcome is of no use; whether it sends signals.
    inherited : list of tuple of str and object
        What workers still knew of earlier tasks: the list of `Facts` it belongs to, and the fact.
    versions, doubts : set of str
        Which versions of functions workers ran (`memori.fingerprint.versions`), in hexadecimal, and
        why nobody knows what they depended on.
    waiting : list
        What watches the programs that it has started and not waited for.
    tell : callable or None
        Told of each new observation (its kind and subject), if another process asks for them.
    faults : list of str
        What went wrong in watching: if there is any, the run was not wholly watched.
    """

    def __init__(
        self, name: str = "", outer: Observed | None = None, memo: str | None = None
    ) -> None:
        self.name, self.outer, self.memo = name, outer, memo
        self.began = earliest_now()
        self.live = True
        self.touched: dict[str, Touch] = {}
        self.folders: dict[str, Listing] = {}
        self.globs: dict[str, None] = {}
        self.imported: dict[str, Touch] = {}
        self.taken: set[str] = set()
        self.made: set[str] = set()
        self.temporary: set[str] = set()
        self.programs: list[tuple[str, ...]] = []
        self.executed: set[str] = set()
        self.looked_up: set[str] = set()
        self.network: set[str] = set()
        self.traced: set[tuple[str, ...]] = set()
        self.counted: set[str] = set()
        self.unwatched: list[tuple[str, ...]] = []
        self.found: dict[str, str] = {}
        self.variables: dict[str, str | None] = {}
        self.unseen: list[str] = []
        self.named: set[str] = set()
        self.trees: set[str] = set()
        self.spoilt: set[str] = set()
        self.inherited: list[tuple[str, Any]] = []
        self.versions: set[str] = set()
        self.doubts: set[str] = set()
        self.waiting: list[Any] = []
        self.faults: list[str] = []
        self.tell: Callable[[str, str], None] | None = None
        self.base: CodeType | None = None
        self.links: dict[str, str] = {}
        self.here = ""
        self.glances = self.reads_old = self.kills = False
        self.glanced: dict[str, Touch] = {}
        self.glances_since = self._old_in_a_row = 0
        self._real: dict[str, Touch] | None = None

    # What the recorder asks

    def touch(self, path: str) -> Touch | None:
        """Return how the run dealt with a file, however the run spelled its path."""
        found = self.touched.get(path)
        if found is not None:
            return found
        if self._real is None or self.live:
            pairs = reversed(self.touched.items())  # the first of each stays
            self._real = {os.path.realpath(each): touch for each, touch in pairs}
        return self._real.get(os.path.realpath(path))

    def how(self, path: str) -> How | None:
        """Tell how the run first touched a file; None if nobody knows."""
        touch = self.touch(path)
        if touch is None or (path in self.named and touch.stack is None and not touch.written):
            return None  # it was but named
        return touch.how

    def wrote(self, path: str) -> bool:
        """Tell whether the run wrote a file at all, appending included."""
        touch = self.touch(path)
        return touch is not None and touch.written

    # What the hook tells

    def knows(self, path: str) -> bool:
        """Tell whether a path was touched before."""
        if self.glanced:
            self._take_glanced()
        return path in self.touched

    def ends(self) -> None:
        """Note that the run is over."""
        self.live = self.glances = False
        glanced, self.glanced = plain_touches(self.glanced), {}
        self._read_back(glanced.keys() & self.touched)
        glanced.update(self.touched)
        self.touched = glanced

    def _take_glanced(self) -> None:
        """Count files that were glanced at as touched; other threads may add to them meanwhile."""
        glanced = dict(self.glanced)
        plain = plain_touches(glanced)
        self._read_back(plain.keys() & self.touched)
        self.touched.update({p: each for p, each in plain.items() if p not in self.touched})
        for path in glanced:
            del self.glanced[path]

    def reads(self, path: str, stack: tuple[CodeType, ...] | None = None) -> None:
        """Note that a path is about to be opened for reading."""
        if self.knows(path):
            return
        found = look_at(path)
        self.touched[path] = Touch("read", found, stack)
        if self.tell is not None:
            self.tell("touched", path)
        elif found is not None:
            is_old = found.st_ctime_ns < self.began - OLD
            self._old_in_a_row = self._old_in_a_row + 1 if is_old else 0
            self.reads_old = self._old_in_a_row >= _ENOUGH
            is_free = not self.programs and (self.outer is None or self.outer.glances)
            if is_free and self.reads_old and (now := time.time_ns()) > self.began + 2 * TICK:
                self.glances, self.glances_since = True, now

    def reads_back(self, path: str) -> None:
        """Note that a path that was touched before is about to be opened for reading."""
        if self.touched[path].is_read_back():
            self.tells("touched", path)

    def connects(self, path: str, stack: tuple[CodeType, ...] | None = None) -> None:
        """Note that a database is about to be opened, which C code may read, and write as well."""
        self.reads(path, stack)
        touch = self.own_touch(path)
        if touch is not None and touch.how == "read" and touch.before is None:
            touch.before = self._digest(path)
            self.tells("touched", path)

    def starts(self, words: tuple[str, ...]) -> None:
        """Note that a program is about to be started, which may write what is then read."""
        self.programs.append(words)
        self.glances = False
        self.tells("programs", words[0])

    def names(self, path: str) -> None:
        """Note that a program is about to be told of a file, which it may read or write."""
        self.reads(path)
        self.named.add(path)
        self.tells("named", path)

    def opens_to_write(
        self, path: str, flags: int, stack: tuple[CodeType, ...] | None = None
    ) -> None:
        """Note that a path is about to be opened for writing, with the flags of `os.open`."""
        if _TEMPORARY and flags & _TEMPORARY:
            return  # a file without a name
        only_appends = bool(flags & os.O_APPEND) and flags & os.O_ACCMODE == os.O_WRONLY
        anew = bool(flags & (os.O_TRUNC | os.O_EXCL))
        self.writes(path, "append" if only_appends and not anew else "write", anew, stack)

    def writes(
        self,
        path: str,
        how: Literal["write", "append"] = "write",
        anew: bool = True,
        stack: tuple[CodeType, ...] | None = None,
    ) -> None:
        """Note that a path is about to be written; `anew` says that nothing of it will be left."""
        touch = self.own_touch(path)
        is_new = touch is None
        if touch is None:
            found = look_at(path)
            if found is not None and stat.S_ISDIR(found.st_mode):
                return  # where something without a name is made
            is_edit = how == "write" and not anew and found is not None
            touch = Touch("read" if is_edit else how, found, stack)
            self.touched[path] = touch
            if is_edit:
                touch.before = self._digest(path)
        elif touch.how == "read" and not touch.written:
            self._keep(path, touch, found := look_at(path))
            if found is None and not touch.look:  # looked for and not found, now made
                touch.how = how
                touch.appends = how == "append"
        was = touch.written, touch.appends
        touch.written = True
        touch.appends = touch.appends and how == "append"
        if self.tell is not None and (is_new or was != (True, touch.appends)):
            self.tell("touched", path)

    def own_touch(self, path: str) -> Touch | None:
        """Return the touch of a path, one that may be changed."""
        touch = self.touched.get(path) if self.knows(path) else None
        if touch is GLANCED:
            touch = self.touched[path] = Touch("read", UNLOOKED)
        return touch

    def removes(self, path: str) -> None:
        """Note that a path is about to be removed, or moved away: an error where none is."""
        touch, found = self.own_touch(path), look_at(path)
        if touch is None:
            self.touched[path] = Touch("write" if found else "read", found)
        elif touch.how != "read" or touch.written or found is touch.look is None:
            return  # it is noted, or still is not there
        else:
            self._keep(path, touch, found)
            touch.written = True
        self.tells("touched", path)

    def moves(self, source: str, target: str) -> None:
        """Note that a file or folder is about to be renamed; what is in a folder goes with it."""
        touch = self.own_touch(source)
        if touch is None:
            touch = self.touched[source] = Touch("read", look_at(source))
            is_new = touch.look and is_since(touch.look, self.began)  # a program made it
            touch.before = None if is_new else self._digest(source)
            touch.written = True
            self.tells("touched", source)
        self.removes(source)
        self.writes(target)
        inside = f"{source}/"
        for path, touch in list(self.touched.items()):
            if path.startswith(inside) and touch.written:
                self.writes(f"{target}/{path[len(inside) :]}")

    def lists(self, folder: str, stack: tuple[CodeType, ...], *, whole: bool) -> None:
        """Note that a folder is about to be listed, whole or for the names that fit a pattern."""
        known = self.folders.get(folder)
        if known is not None and (known.whole or not whole):
            return
        if known is None:
            with aside():
                known = self.folders[folder] = listed(folder, stack)
        known.whole = whole
        self.tells("folders", folder)

    def asks_for(self, pattern: str) -> None:
        """Note that names are about to be looked for that fit an absolute pattern."""
        self.globs[pattern] = None
        self.tells("globs", pattern)

    def makes(self, folder: str) -> None:
        """Note that a folder is about to be made."""
        if not os.path.lexists(folder):
            self.made.add(folder)
            self.tells("made", folder)

    def passes(self, path: str) -> None:
        """Note that a temporary file or folder is about to be made."""
        self.temporary.add(path)
        self.tells("temporary", path)

    def calls(self, host: str) -> None:
        """Note that another machine is about to be called."""
        self.network.add(host)
        self.tells("network", host)

    def imports(self, path: str, stack: tuple[CodeType, ...] | None = None) -> None:
        """Note that the import system is about to read a module's file, source or compiled."""
        path = source_of(path)
        if path not in self.imported:
            self.imported[path] = Touch("read", look_at(path), stack)
            self.tells("imported", path)

    def learns(self, path: str, other: Touch) -> None:
        """Add how a child of the run dealt with a path."""
        mine = self.own_touch(path)
        if mine is None:
            self.touched[path] = other
            return
        mine.joins(other, self.began)

    def tells(self, kind: str, what: str) -> None:
        """Tell the process that this one watches for, if there is one."""
        if self.tell is not None:
            self.tell(kind, what)

    def _keep(self, path: str, touch: Touch, now: os.stat_result | None) -> None:
        """Digest a file that was read, before the run makes it another one."""
        if now is not None and touch.before is None:
            then = touch.look
            if not then or (then.st_ctime_ns, then.st_size) == (now.st_ctime_ns, now.st_size):
                touch.before = self._digest(path)

    def _read_back(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.reads_back(path)

    def _digest(self, path: str) -> FileDigest | None:
        found = look_at(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        with aside():
            try:
                return file_digest(path, self.memo)
            except OSError:
                return None


ASIDE = Observed()
"""Stands for "no run" where memori itself does the work."""
ASIDE.live = False

current: ContextVar[Observed | None] = ContextVar("memori_watch", default=None)
