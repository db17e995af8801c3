"""The entries of one stage: read without trust, written whole or not at all.

A reader never writes. An entry lies where the digest of its inputs with their contents and its key
say, so that it is found without a list, and the few that differ in code alone lie beside it. For
inputs that name files a small file lists the latest entries whatever those files held: a miss is
explained by one of these.
"""

from __future__ import annotations

import os
import re
import time

from memori.digest.values import from_text
from memori.errors import warn
from memori.files import atomic_write, content_of, make_folder, opened
from memori.layout import ENTRY, OLD_SHARD, SHARD
from memori.store.entry import Entry, SchemaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memori.key import Key
    from memori.layout import Layout

_MOST_PARSED = 2048
_LARGEST_PARSED = 16384
_MOST_NEIGHBOURS = 16
MOST_OF_A_KEY = 8
_MOST_RECENT = 4
_USE_TOLD = 3600  # seconds; a use is noted again after so long
_NAME = 64  # bytes for the name of an entry's file in a file of names
_parsed: dict[str, tuple[bytes, Entry]] = {}
_told_of: set[str] = set()
_old: dict[str, bool] = {}


def exact(layout: Layout, key: Key) -> Entry | None:
    """Return an entry of exactly this key, if there is a sound one."""
    return next(under(layout, key), None)


def under(layout: Layout, key: Key) -> Iterator[Entry]:
    """Yield the sound entries of exactly this key; their runs have seen different things."""
    for number in range(1, MOST_OF_A_KEY + 1):
        path = layout.entry(key, number)
        try:
            found = _read(path)
            is_there = found is not None or os.path.exists(path)
        except (FileNotFoundError, NotADirectoryError):
            found, is_there = None, False
        if found is None and number == 1 and _has_old(layout):
            found = read(layout.old_entry(key))
        if found is not None and found.key == key.digest:
            yield found
        elif found is None and not is_there:
            return


def neighbours(layout: Layout, key: Key) -> Iterator[Entry]:
    """Yield the latest entries of the same inputs: of equal contents first, then of others."""
    folder, name = os.path.split(layout.entry(key))
    alike = f"{folder}/{name[:17]}"
    beside = [each for each in _entries_in(folder, readable) if each.startswith(alike)]
    paths = newest_first(beside)[:_MOST_NEIGHBOURS]
    if key.files:
        paths += [each for each in names_in(layout, layout.recent(key)) if each not in paths]
    if _has_old(layout):
        old = os.path.dirname(layout.old_entry(key))
        paths += newest_first(_entries_in(old, readable))[:_MOST_NEIGHBOURS]
    for each in paths:
        found = read(each)
        if found is not None:
            yield found


def _has_old(layout: Layout) -> bool:
    """Tell whether there are entries of schema 1; none are added."""
    known = _old.get(layout.records)
    if known is None:
        if len(_old) >= _MOST_PARSED:
            _old.clear()
        known = any(re.fullmatch(OLD_SHARD, name) for name in readable(layout.records))
        _old[layout.records] = known
    return known


def everything(layout: Layout, *, surely: bool = False) -> Iterator[str]:
    """Yield the files of all entries.

    Parameters
    ----------
    layout : Layout
        Of the stage.
    surely : bool, optional
        Whether an OSError is raised where some of them cannot be listed, as whoever removes what
        no entry needs must know; else a warning says so.
    """
    names = listed if surely else readable
    for shard in sorted(names(layout.records)):
        if re.fullmatch(f"{SHARD}|{OLD_SHARD}", shard):
            yield from _entries_in(f"{layout.records}/{shard}", names)


def _entries_in(folder: str, names: Callable[[str], list[str]]) -> list[str]:
    return [f"{folder}/{name}" for name in names(folder) if name.endswith(".json")]


def of_folder(layout: Layout, folder: str) -> Entry | None:
    """Return the entry that a run's own folder (relative to the root) belongs to."""
    try:
        first = from_text(content_of(layout.claim(folder)).splitlines()[0])
        stem = os.path.join(layout.root, str(first["entry"])).removesuffix(".json")
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    for number in range(1, MOST_OF_A_KEY + 1):
        found = read(f"{stem}.json" if number == 1 else f"{stem}.{number}.json")
        if found is not None and found.folder == folder:
            return found
    return None


def read(path: str) -> Entry | None:
    """Return the entry in a file; None, with a warning, if there is something else."""
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(path: str) -> Entry | None:
    try:
        content = content_of(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        warn_of(path, error)
        return None
    known = _parsed.get(path)
    if known is not None and known[0] == content:
        return known[1]
    try:
        entry = Entry.from_bytes(content)
    except SchemaError as error:
        _warn_of_schema(path, str(error))
        return None
    except ValueError as error:
        _warn(path, str(error))
        return None
    entry.path = path
    if len(_parsed) >= _MOST_PARSED:
        _parsed.clear()
    if len(content) <= _LARGEST_PARSED:
        _parsed[path] = (content, entry)
    return entry


def write(layout: Layout, entry: Entry, key: Key) -> None:
    """Write an entry, replacing the one under its key whose run saw the same.

    Of the entries of one key, whose runs saw different things, the latest ones are kept.

    Raises
    ------
    OSError
        If it cannot be written; what was there before still stands.
    """
    path = _path_for(layout, entry, key)
    content = entry.to_bytes()
    try:
        atomic_write(path, content)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        atomic_write(path, content)
    entry.path = path
    if key.files:
        recent = layout.recent(key)
        others = [each for each in names_in(layout, recent) if each != path]
        make_folder(os.path.dirname(recent))
        put_names(layout, recent, [path, *others[: _MOST_RECENT - 1]])


def use(entry: Entry, *, always: bool = False) -> None:
    """Note in the access time of an entry's file that a run hit it, once an hour unless always."""
    try:
        status = os.stat(entry.path)
        now = time.time_ns()
        if always or now - status.st_atime_ns > _USE_TOLD * 1_000_000_000:
            os.utime(entry.path, ns=(now, status.st_mtime_ns))
    except OSError:
        pass  # it is gone, or another user's


def _path_for(layout: Layout, entry: Entry, key: Key) -> str:
    first = layout.entry(key)
    if not os.path.exists(first):
        return first
    there = {found.path: found for found in under(layout, key)}
    paths = [layout.entry(key, number) for number in range(1, MOST_OF_A_KEY + 1)]
    for path in paths:
        if path not in there or there[path].seen == entry.seen:
            return path
    return newest_first(paths)[-1]


# Files of names: overwritten in place, so a torn one names a file that is not there


def names_in(layout: Layout, path: str) -> list[str]:
    """Return the files of entries that a file of names lists."""
    try:
        content = content_of(path)
    except OSError:
        return []
    rows = (content[at : at + _NAME] for at in range(0, len(content), _NAME))
    names = (row.strip().decode("ascii", "replace") for row in rows)
    return [f"{layout.records}/{name}" for name in names if re.fullmatch(ENTRY, name)]


def put_names(layout: Layout, path: str, entries: list[str]) -> None:
    """Make a file of names list these files of entries."""
    names = [each[len(layout.records) + 1 :].encode("ascii") for each in entries]
    content = b"".join(name.ljust(_NAME - 1) + b"\n" for name in names)
    descriptor = opened(path)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


# Reading


def listed(folder: str) -> list[str]:
    """Return the names in a folder; none if it is not there."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def readable(folder: str) -> list[str]:
    """Return the names in a folder; none, with a warning, if it may not be listed."""
    try:
        return listed(folder)
    except OSError as error:  # of another user, or on a disk that fails
        warn_of(folder, error)
        return []


def newest_first(paths: list[str]) -> list[str]:
    """Order files by the time of their last change."""
    return paths if len(paths) < 2 else sorted(paths, key=_written, reverse=True)


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def warn_of(path: str, error: OSError) -> None:
    """Tell of a file or folder of a memory that cannot be read, and so counts as not there."""
    _warn(path, f"it cannot be read ({error})")


def _warn(path: str, reason: str) -> None:
    warn(f"memori does not trust {path}: {reason}")


def _warn_of_schema(path: str, reason: str) -> None:
    """Warn once for all the entries of a stage: an upgrade is no fault of each of them."""
    stage = os.path.dirname(os.path.dirname(path))
    if stage not in _told_of:
        _told_of.add(stage)
        _warn(path, f"{reason}. It stays until this run is recorded anew, as do others like it")
