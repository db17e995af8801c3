"""Digests of files, remembered by stat.

A file is identified by `hash`, the SHA-256 of its bytes, and, for the formats that memori knows,
by `content`, a digest of what the file means. Both are remembered while (size, mtime_ns, ctime_ns,
inode, device) of the file and of its companions stay the same, and companions that were looked for
in vain do not appear: in memory, and below a folder of
the store, one small JSON file each, found by device, inode and name so that a moved project is
not read again. Programs can set mtime, but not ctime: an edit that keeps size and mtime is still
seen.

A file that changed so recently that another change could carry the same ctime is never
remembered. Losing what was remembered costs time only, so that of a folder which holds more than
`MOST_KEPT` the older half is forgotten. ``MEMORI_VERIFY=content`` in the
environment reads every file every time.

The times of a file on a server are compared by the server's clock (`memori.digest.clock`).

Not promised: to see a change on a file system that does not keep ctime, and one through a memory
map that stays open and writable (kernels stamp only the first write to a page); then
``MEMORI_VERIFY=content`` sees it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time

from memori.digest.clock import MOST, behind
from memori.digest.values import encode, from_text, text_digest
from memori.files import atomic_write, is_path, sealed, unsealed
from memori.files import content_of as kept_content
from memori.processes.settings import setting
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from memori.digest.formats import Content

    Item = TypeVar("Item")
    Outcome = TypeVar("Outcome")
    Stat = tuple[int, int, int, int, int]

TICK = 20_000_000  # ns; kernels stamp files by a clock that ticks every 1 to 10 ms
_COARSE_TICK = 2_000_000_000  # ns; file systems that keep whole seconds
_MOST_REMEMBERED = 100_000
MOST_KEPT = 100_000  # in a folder of the store
_LOOKS = 1024  # in one of so many digests that are kept, the folder is looked at
_remembered: dict[tuple[int, int, str], FileDigest] = {}


class FileDigest:
    """What a file is, and the stat under which that was found.

    Attributes
    ----------
    hash : str
        SHA-256 of the bytes.
    content : str or None
        Digest of the meaning, for a known format.
    companions : tuple of str
        Names of the files beside it that belong to it (the .img of a .hdr).
    absent : tuple of str
        Names of files that would belong to it and are not there.
    stats : tuple
        Stat of the file and of each companion: size, mtime_ns, ctime_ns, inode, device.
    trusted : bool
        Whether the stat can vouch for the content.
    """

    __slots__ = ("absent", "companions", "content", "hash", "stats", "trusted")

    def __init__(
        self,
        hash: str,
        content: str | None,
        companions: tuple[str, ...],
        stats: tuple[Stat, ...],
        trusted: bool,
        absent: tuple[str, ...] = (),
    ) -> None:
        self.hash = hash
        self.content = content
        self.companions = companions
        self.stats = stats
        self.trusted = trusted
        self.absent = absent

    @property
    def identity(self) -> str:
        """What two interchangeable files have in common."""
        return self.content or self.hash


def stat_of(status: os.stat_result) -> Stat:
    """Reduce a stat to what changes when a file does."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    )


def reads_always() -> bool:
    """Tell whether the user asked that every file be read every time."""
    return setting("verify") == "content"


def file_digest(path: str, memo: str | None = None) -> FileDigest:
    """Return the digest of a file, reading it only if its stat is new.

    Parameters
    ----------
    path : str
        A regular file.
    memo : str, optional
        The folder in which digests are remembered between processes.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    status = stat_of(os.stat(path))
    trusting = not reads_always()
    if trusting:
        known = _remembered.get((*status[3:], os.path.basename(path)))
        if known is not None and _holds(known, path, status):
            return known
        if memo is not None:
            known = _recall(_memo_path(memo, path, status))
            if known is not None and _holds(known, path, status):
                remember(known, path)
                return known
    fresh = _read(path, status, memo)
    if fresh.trusted and trusting:
        remember(fresh, path)
        if memo is not None:
            _keep(_memo_path(memo, path, status), fresh)
            if status[3] % _LOOKS == 0:
                _trim(memo)
    return fresh


def remember(known: FileDigest, path: str) -> None:
    """Keep a digest that its stat vouches for, in this process, while the stat stays the same."""
    if known.trusted:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[*known.stats[0][3:], os.path.basename(path)] = known


def unchanged(known: FileDigest, path: str) -> bool:
    """Tell from the stat alone that a file is still what it was; False means "read it"."""
    if not known.trusted or reads_always():
        return False
    try:
        return _holds(known, path, stat_of(os.stat(path)))
    except OSError:
        return False


def seconds_until_trusted(path: str) -> float:
    """Return the seconds until the stat of a file can vouch for its content.

    Zero for a file that is old enough, and for one on a file system of whole seconds, where
    waiting would take longer than reading.
    """
    status = os.stat(path)
    if status.st_ctime_ns % 1_000_000_000 == 0:
        return 0.0
    now = time.time_ns() - behind(status.st_dev)
    return max(0.0, min(TICK, status.st_ctime_ns + TICK - now) / 1e9)


def _holds(known: FileDigest, path: str, status: Stat) -> bool:
    if not known.stats or known.stats[0] != status:
        return False
    folder = os.path.dirname(path)
    if any(is_file(os.path.join(folder, name)) for name in known.absent):
        return False
    try:
        return all(
            stat_of(os.stat(os.path.join(folder, name))) == then
            for name, then in zip(known.companions, known.stats[1:], strict=True)
        )
    except OSError:
        return False


def _read(path: str, status: Stat, memo: str | None) -> FileDigest:
    """Digest a file, again if it changed meanwhile; a file that never rests is never trusted."""
    from memori.digest.formats import possible_companions_of

    for _ in range(3):
        began = time.time_ns()
        belonging = possible_companions_of(path)
        raw, content = digests(path)
        companions = () if content is None else content.companions
        stats = tuple(
            stat_of(os.stat(os.path.join(os.path.dirname(path), name))) for name in companions
        )
        before, status = status, stat_of(os.stat(path))
        rests = status == before
        if rests:
            break
    trusted = rests and all(rests_at(each, began, memo) for each in (status, *stats))
    meaning = None if content is None else content.digest
    absent = tuple(name for name in belonging if name not in companions)
    return FileDigest(raw, meaning, companions, (status, *stats), trusted, absent)


def sha256_file(path: str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(path: str) -> tuple[str, Content | None]:
    """Return the SHA-256 of a file's bytes, and what it means, computed side by side.

    Raises
    ------
    OSError
        If the file, or one that belongs to it, cannot be read.
    """
    from memori.digest.formats import content_of, may_be_known
    from memori.digest.sources import SMALL

    if not may_be_known(path):
        return sha256_file(path), None
    if os.path.getsize(path) < SMALL:
        return sha256_file(path), content_of(path)
    contents: list[Content | None] = [None]

    def interpret() -> str:
        contents[0] = content_of(path)
        return ""

    raw, _ = in_threads(lambda compute: compute(), [lambda: sha256_file(path), interpret])
    return raw, contents[0]


def in_threads(function: Callable[[Item], Outcome], items: list[Item]) -> list[Outcome]:
    """Map items in threads, as many as there are cores; the first error (in order) is raised."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if min(cores, len(items)) < 2:
        return [function(item) for item in items]
    outcomes: list[Any] = [None] * len(items)
    errors: list[tuple[int, BaseException]] = []
    todo = iter(range(len(items)))  # next() on it is atomic: every thread takes the next free item

    def work() -> None:
        for index in todo:
            if errors:
                return
            try:
                outcomes[index] = function(items[index])
            except BaseException as error:
                errors.append((index, error))
                return

    import threading

    threads = [threading.Thread(target=work) for _ in range(min(cores, len(items)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors, key=lambda error: error[0])[1]
    return outcomes


def rests_at(status: Stat, moment: int, memo: str | None) -> bool:
    """Tell whether a change after a moment, in ns, would give a file another time than it has."""
    ctime = status[2]
    age = moment - ctime
    if age >= MOST:
        return True
    tick = _COARSE_TICK if ctime % 1_000_000_000 == 0 else TICK
    return age - behind(status[4], memo) >= tick


def _memo_path(memo: str, path: str, status: Stat) -> str:
    """Return where a digest is kept: what a file is depends on its name too, not on its folder."""
    name = text_digest(encode(os.path.basename(path)))[:8]
    return os.path.join(memo, f"{status[4]:x}-{status[3]:x}-{name}.json")


def _recall(path: str) -> FileDigest | None:
    try:
        record = from_text(unsealed(kept_content(path)))
        return from_record(record["file"]) if record["memori"] == __version__ else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # lost, broken or of another memori: the file is read again


def _keep(path: str, known: FileDigest) -> None:
    record = json.dumps({"memori": __version__, "file": to_record(known)}).encode()
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic_write(path, sealed(record))
    except OSError:
        pass  # a memo that cannot be kept costs time only


def _trim(memo: str) -> None:
    """Forget the older half of a folder that holds more than it should."""
    try:
        with os.scandir(memo) as found:
            kept = [each.path for each in found]
        if len(kept) > MOST_KEPT:
            kept.sort(key=lambda path: os.stat(path).st_mtime_ns)
            for path in kept[: len(kept) // 2]:
                os.unlink(path)
    except OSError:
        pass  # another process trims; what is left costs room only


def to_record(known: FileDigest) -> dict[str, object]:
    """Return a digest as JSON, without what is empty."""
    record: dict[str, object] = {"hash": known.hash}
    if known.content is not None:
        record["content"] = known.content
    if known.companions:
        record["companions"] = list(known.companions)
    if known.absent:
        record["absent"] = list(known.absent)
    if known.trusted:
        record["stat"] = [list(each) for each in known.stats]
    return record


def from_record(record: dict[str, object]) -> FileDigest:
    """Return the digest that `to_record` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the record is not one.
    """
    hash, content = record["hash"], record.get("content")
    companions, absent, stats = (record.get(name, []) for name in ("companions", "absent", "stat"))
    if not (isinstance(hash, str) and isinstance(companions, list) and isinstance(stats, list)):
        raise ValueError("not the record of a file")
    if not isinstance(absent, list):
        raise ValueError("not the record of a file")
    if not (content is None or isinstance(content, str)):
        raise ValueError("not the record of a file")
    if stats and len(stats) != 1 + len(companions):
        raise ValueError("not the record of a file")
    if not all(map(is_path, (*companions, *absent))):
        raise ValueError("not the record of a file")
    found = tuple(tuple(each) for each in stats)
    return FileDigest(hash, content, tuple(companions), found, bool(stats), tuple(absent))


def is_file(path: str) -> bool:
    """Tell whether a string names an existing regular file; never raises."""
    return kind_of(path) == stat.S_IFREG


def kind_of(path: str) -> int:
    """Return `stat.S_IFMT` of what a string names (links followed), or 0 for nothing."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return 0
