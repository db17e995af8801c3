"""How much room the memory of a stage takes, found from names and stats alone.

No entry is read, and of runs that began only the marks, so that a folder of a hundred thousand
entries is told in a second or two. What counts are the entries, the runs' own folders and all other
files below ``.memori/stages``.

Not promised: outputs that runs left outside of their own folders, and blocks that file systems
share (a copy that is a clone counts in full).
"""

from __future__ import annotations

import os
import re

from memori.digest.files import in_threads
from memori.layout import OLD_SHARD, SHARD
from memori.store.entries import readable
from memori.store.failures import unfinished_at

_CHUNK = 2000  # runs that one thread counts at a time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.layout import Layout


class Room:
    """What a stage's memory takes.

    Attributes
    ----------
    entries : int
        Runs that are remembered.
    failed : int
        Runs that failed, or were killed, and were not mended since.
    running : int
        Runs that go on.
    bytes, files : int
        Of all files; folders count as files, because each takes an inode.
    used : float
        When an entry was written or hit last (seconds since 1970); 0 where there is none.
    marks : list of str
        Marks of runs that began, of which some failed or go on.
    """

    __slots__ = ("bytes", "entries", "failed", "files", "marks", "running", "used")

    def __init__(self) -> None:
        self.entries = self.failed = self.running = self.bytes = self.files = 0
        self.used = 0.0
        self.marks: list[str] = []

    def add(self, path: str) -> None:
        """Count a file, or a folder with all that is in it; links are not followed."""
        try:
            status = os.lstat(path)
        except OSError:
            return
        self.bytes += status.st_size
        self.files += 1
        waiting = [path] if os.path.isdir(path) and not os.path.islink(path) else []
        while waiting:
            waiting += self._count(waiting.pop())

    def _count(self, folder: str) -> list[str]:
        """Count what is in a folder; return the folders in it."""
        inner = []
        try:
            with os.scandir(folder) as found:
                for each in found:
                    status = each.stat(follow_symlinks=False)
                    self.bytes += status.st_size
                    self.files += 1
                    if each.is_dir(follow_symlinks=False):
                        inner.append(each.path)
        except OSError:
            pass  # a run that goes on removed it
        return inner

    def merge(self, other: Room) -> None:
        """Add what was counted elsewhere."""
        for name in ("entries", "failed", "running", "bytes", "files", "marks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.used = max(self.used, other.used)

    def add_entries(self, folder: str) -> None:
        """Count a folder of entries and marks, each of which is a file."""
        size = count = entries = 0
        used = self.used
        try:
            with os.scandir(folder) as found:
                for each in found:
                    status = each.stat(follow_symlinks=False)
                    size += status.st_size
                    count += 1
                    name = each.name
                    if name.endswith(".json"):
                        entries += 1
                        used = max(used, status.st_mtime, status.st_atime)
                    elif name.endswith(".unfinished"):
                        self.marks.append(each.path)
            size += os.lstat(folder).st_size
            count += 1
        except OSError:
            pass  # a run that goes on removed something: what was counted until then stands
        self.bytes += size
        self.files += count
        self.entries += entries
        self.used = used


def room_of(layout: Layout) -> Room:
    """Return the room that the memory of a stage takes; each file is looked at once."""
    own = f"{layout.root}/{layout.name}"
    runs = [f"{own}/{name}" for name in readable(own)]
    inside = [f"{layout.records}/{name}" for name in readable(layout.records)]
    chunks = [[each] for each in inside]
    chunks += [runs[at : at + _CHUNK] for at in range(0, len(runs), _CHUNK)]
    room = Room()
    for part in in_threads(_room_of, chunks):
        room.merge(part)
    for path in (layout.records, own):
        try:
            room.bytes += os.lstat(path).st_size
            room.files += 1
        except OSError:
            pass  # it is not there
    for path in layout.views:
        room.add(path)
    for mark in room.marks:
        run = unfinished_at(layout, mark)
        if run is not None:
            room.failed += run.is_over
            room.running += not run.is_over
    return room


def _room_of(paths: list[str]) -> Room:
    room = Room()
    for path in paths:
        name = os.path.basename(path)
        is_shard = re.fullmatch(f"{SHARD}|{OLD_SHARD}", name)
        (room.add_entries if is_shard else room.add)(path)
    return room


def last_use(status: os.stat_result) -> float:
    """Return when an entry was written or hit last, from the stat of its file."""
    return max(status.st_mtime, status.st_atime)
