"""How much room the memory of a stage takes, found from names and stats alone.

No entry is read, so that a folder of a hundred thousand entries is told in a second or two. What
counts are the entries, the runs' own folders and all other files below ``.memori/stages``.

Not promised: outputs that runs left outside of their own folders, and blocks that file systems
share (a copy that is a clone counts in full).
"""

from __future__ import annotations

import os

from memori.layout import OLD_SHARD, SHARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.layout import Layout


class Room:
    """What a stage's memory takes.

    Attributes
    ----------
    entries : int
        Runs that are remembered.
    unfinished : int
        Runs that go on, or failed and were not mended.
    bytes, files : int
        Of all files; folders count as files, because each takes an inode.
    used : float
        When an entry was written or hit last (seconds since 1970); 0 where there is none.
    """

    __slots__ = ("bytes", "entries", "files", "unfinished", "used")

    def __init__(self) -> None:
        self.entries = self.unfinished = self.bytes = self.files = 0
        self.used = 0.0

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

    def count_entries(self, folder: str) -> None:
        """Count the entries and marks in a folder of entries."""
        try:
            with os.scandir(folder) as found:
                for each in found:
                    is_mark = each.name.endswith(".unfinished")
                    if is_mark or each.name.endswith(".json"):
                        status = each.stat()
                        self.unfinished += is_mark
                        if not is_mark:
                            self.entries += 1
                            self.used = max(self.used, last_use(status))
        except OSError:
            pass


def room_of(layout: Layout) -> Room:
    """Return the room that the memory of a stage takes."""
    room = Room()
    try:
        shards = os.listdir(layout.records)
    except OSError:
        shards = []
    for name in shards:
        if SHARD.fullmatch(name) or OLD_SHARD.fullmatch(name):
            room.count_entries(f"{layout.records}/{name}")
    room.add(layout.records)
    room.add(f"{layout.root}/{layout.name}")
    for path in layout.views:
        room.add(path)
    return room


def last_use(status: os.stat_result) -> float:
    """Return when an entry was written or hit last, from the stat of its file."""
    return max(status.st_mtime, status.st_atime)
