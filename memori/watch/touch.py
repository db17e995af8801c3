"""How one path was dealt with, and what a folder held: the pieces of what a run was seen to do."""

from __future__ import annotations

import os
import time

from memori.digest.clock import ahead
from memori.digest.files import seconds_until_trusted, stat_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType
    from typing import Literal

    from memori.digest.files import FileDigest

    How = Literal["read", "write", "append"]
    Look = os.stat_result | None | Literal[False]

UNLOOKED: Literal[False] = False
"""Instead of a stat: nobody looked. None says that nothing was there."""

OLD = 2_000_000_000  # ns; clocks of file servers differ, and some keep whole seconds

_RECENT = 1_000_000_000  # ns
_stat = os.stat


def is_since(look: os.stat_result, began: int) -> bool:
    """Tell whether a file was made or changed after a run began, by a time up to now.

    A file from the future was there before: the clock was set back, or that of a server which
    nobody asked is ahead.
    """
    return began < look.st_ctime_ns - ahead(look.st_dev) <= time.time_ns() + OLD


class Touch:
    """How a run dealt with one path.

    Attributes
    ----------
    how : {"read", "write", "append"}
        The first touch: "write" if the file was created, emptied or put there by a rename before
        anything of it was read.
    look : os.stat_result, None or False
        The stat right before the first touch; None if nothing was there, False if nobody looked.
    written : bool
        Whether it was written at all.
    appends : bool
        Whether it was never written but by appending.
    before : FileDigest, None or False
        Of a file that was read, then written or removed: what it was before; False if nobody
        knows: a tracer told of it afterwards, or it was appended to before it was read.
    marked : bool
        Whether the run gave it another name or mode, which changes its time of change alone.
    stack : tuple of code or None
        The code that was running at the first touch, innermost first; None if nobody looked.
    """

    __slots__ = ("appends", "before", "how", "look", "marked", "stack", "written")

    def __init__(self, how: How, look: Look, stack: tuple[CodeType, ...] | None = None) -> None:
        self.how = how
        self.look: Look = look
        self.written = how != "read"
        self.appends = how == "append"
        self.before: FileDigest | Literal[False] | None = None
        self.marked = False
        self.stack = stack

    def is_read_back(self) -> bool:
        """Note that what was only appended to is read: what it held before counts."""
        if self.how != "append" or not self.appends or self.look is None:
            return False
        self.how, self.appends, self.before = "read", False, UNLOOKED
        return True

    def joins(self, other: Touch, began: int) -> None:
        """Take in how another process dealt with the same path, for a run that began at a time."""
        both = self, other
        for each in both:
            if each.how == "read" and (
                each.look is UNLOOKED or (each.look and not is_since(each.look, began))
            ):
                self.how, self.look = "read", each.look  # it was there before the run
                break
        else:
            if any(each.how == "write" for each in both):
                self.how = "write"
        self.written = self.written or other.written
        self.appends = self.appends and other.appends
        self.before = self.before or other.before
        self.marked = self.marked or other.marked

    def __repr__(self) -> str:
        return f"<Touch {self.how}{' written' if self.written else ''}>"


GLANCED = Touch("read", UNLOOKED)
"""Stands for all files that were opened for reading and not looked at; never changed."""


class Listing:
    """What a folder held when a run first listed it.

    Attributes
    ----------
    look : os.stat_result or None
        The folder's stat right before; None if it was not there.
    names : tuple of str
        What was in it.
    folders : frozenset of str
        Which of the names are folders.
    whole : bool
        Whether all names were given to the run, and not only those that fit a pattern.
    stack : tuple of code or None
        The code that was running when it was first listed.
    """

    __slots__ = ("folders", "look", "names", "stack", "whole")

    def __init__(
        self,
        look: os.stat_result | None,
        names: tuple[str, ...],
        folders: frozenset[str],
        stack: tuple[CodeType, ...] | None = None,
    ) -> None:
        self.look = look
        self.names = names
        self.folders = folders
        self.whole = False
        self.stack = stack


def listed(folder: str, stack: tuple[CodeType, ...] | None = None) -> Listing:
    """Return what a folder holds now; no names if it cannot be listed."""
    look = look_at(folder)
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries]
    except OSError:
        found = []
    names = tuple(name for name, _ in found)
    return Listing(look, names, frozenset(name for name, is_folder in found if is_folder), stack)


def source_of(path: str) -> str:
    """Return the source that a compiled file was made of, where it lies in the usual place.

    >>> source_of("/here/__pycache__/mine.cpython-311.pyc"), source_of("/here/mine.py")
    ('/here/mine.py', '/here/mine.py')
    """
    folder, name = os.path.split(path)
    above, own = os.path.split(folder)
    if own != "__pycache__":
        return path
    return os.path.join(above, f"{name.partition('.')[0]}.py")


def folders_above(paths: Iterable[str]) -> set[str]:
    """Return all folders that some absolute paths lie in."""
    above: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in above:
            above.add(folder)
            folder = os.path.dirname(folder)
    return above


def look_at(path: str) -> os.stat_result | None:
    """Return the stat of what a path leads to; None for nothing."""
    try:
        return _stat(path)
    except (OSError, ValueError):
        return None


def is_as_then(now: os.stat_result, then: os.stat_result, *, marked: bool) -> bool:
    """Tell whether a file is what it was; `marked` says that the run changed its name or mode."""
    if marked:
        same = ("st_ino", "st_dev", "st_size", "st_mtime_ns")
        return all(getattr(now, name) == getattr(then, name) for name in same)
    return stat_of(now) == stat_of(then)


def plain_path(path: str) -> str:
    """Return an absolute path without detours; behind a link, ``..`` is the target's parent.

    >>> plain_path("/data/./a//b.txt"), plain_path("//data"), plain_path("//")
    ('/data/a/b.txt', '/data', '/')
    """
    if "//" not in path and "/." not in path and path[-1:] != "/":
        return path
    if "/.." in path:
        folder, name = os.path.split(path)
        path = os.path.join(os.path.realpath(folder), name)
    return f"/{os.path.normpath(path).lstrip('/')}"  # which keeps two slashes at the beginning


def led_to(folder: str, text: str) -> str:
    """Return where a link in a folder leads, by the text that it holds.

    >>> led_to("/", "../tmp/") == os.path.realpath("/tmp")
    True
    """
    return os.path.realpath(os.path.join(folder, text))


def through(path: str, links: dict[str, str]) -> str:
    """Return what a path stands for that lies below one of some links, by where each leads.

    >>> through("/run/bids/sub-01", {"/run/bids": "/data/bids"}), through("/run/bids", {})
    ('/data/bids/sub-01', '/run/bids')
    """
    for link, place in links.items():
        if path.startswith(f"{link}/"):
            return place.rstrip("/") + path[len(link) :]
    return path


def plain_touches(glanced: dict[str, Touch]) -> dict[str, Touch]:
    """Return touches of files that were glanced at, by plain path."""
    everything = "\n".join(glanced)
    if "/." in everything or "//" in everything:
        return dict.fromkeys(map(plain_path, glanced), GLANCED)
    return glanced


def wait_until_settled(looks: Mapping[str, os.stat_result | None]) -> None:
    """Wait (milliseconds) until the stats of fresh files can vouch for them from here on."""
    recent = time.time_ns() - _RECENT
    waits = [0.0]
    for path, look in looks.items():
        if look is not None and look.st_ctime_ns > recent:
            try:
                waits.append(seconds_until_trusted(path))
            except OSError:
                pass  # gone meanwhile
    if max(waits):
        time.sleep(max(waits))
