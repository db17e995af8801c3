"""What counts of a run's observations, as an entry keeps it, and whether it still holds.

A record is small JSON: names grouped by folder, the stats of all files packed into one text, their
digests into another. Where no stat has changed, the check of thousands of files is one comparison;
for the few that have, the content decides.

Nothing here decides what a difference means: `differences` lists them as plain tuples.
"""

from __future__ import annotations

import os
import stat
from binascii import a2b_base64, b2a_base64
from itertools import chain
from operator import attrgetter
from struct import Struct, error

from memori.digest.files import file_digest, reads_always
from memori.digest.values import encode, text_digest
from memori.watch.listings import fits
from memori.watch.modules import module_digest
from memori.watch.places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from memori.digest.files import FileDigest, Stat
    from memori.digest.values import JSON

    Difference = tuple[str, str, str, str]

NOTHING = "nothing"
NO_STAT: Stat = (0, 0, 0, 0, 0)
_FIVE = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
_ONE = Struct("<5Q")
_ALL = (1 << 64) - 1
_DIGEST = 64
_SMALL = 1 << 18  # bytes; below that, reading a file again costs less than a note of its digest
_MOST_NAMES = 100  # of a folder, kept for people; more are kept as a digest


class FileFact:
    """One file, as it counts.

    Attributes
    ----------
    path : str
        Absolute.
    identity : str
        Digest of what it is, 64 hexadecimal digits.
    stat : Stat
        Under which that was found; `NO_STAT` if it cannot vouch for it.
    """

    __slots__ = ("identity", "path", "stat")

    def __init__(self, path: str, identity: str, stat: Stat) -> None:
        self.path = path
        self.identity = identity
        self.stat = stat

    def __repr__(self) -> str:
        return f"<FileFact {self.path} {self.identity[:8]}>"


class ListingFact:
    """The names in a folder that a run depends on.

    Attributes
    ----------
    folder : str
        Absolute.
    names : tuple of str
        Sorted.
    patterns : list of str or None
        Which names count; None for all.
    own : tuple of str
        Names that the run itself made, which never count.
    stat : Stat
        The folder's, when it held just these; `NO_STAT` if that cannot vouch for it.
    """

    __slots__ = ("folder", "names", "own", "patterns", "stat")

    def __init__(
        self,
        folder: str,
        names: tuple[str, ...],
        patterns: list[str] | None,
        own: tuple[str, ...],
        stat: Stat,
    ) -> None:
        self.folder = folder
        self.names = names
        self.patterns = patterns
        self.own = own
        self.stat = stat


class Facts:
    """What counts of what a run was seen to do.

    Attributes
    ----------
    read, written, edited, modules : list of FileFact
        Files that it read; that it made or wrote and that still stand; that it read and then
        changed (as it left them); of the user's modules that it imported (by their code).
    before : list of str
        What each of `edited` was before; empty if it was not there.
    absent, there : list of str
        Paths that it asked for by name, and that did not exist, or of which the existence counts.
    listed : list of ListingFact
        Folders.
    appended : list of str
        Logs: files that were opened to append, and never compared.
    programs : list of list of str
        The words of programs that it started.
    unseen : list of str
        Who may have read files of which nobody told.
    unvouched : list of str
        Files that changed while the run went on, so that nobody knows what it read.
    """

    def __init__(self) -> None:
        self.read: list[FileFact] = []
        self.written: list[FileFact] = []
        self.edited: list[FileFact] = []
        self.before: list[str] = []
        self.modules: list[FileFact] = []
        self.absent: list[str] = []
        self.there: list[str] = []
        self.listed: list[ListingFact] = []
        self.appended: list[str] = []
        self.programs: list[list[str]] = []
        self.unseen: list[str] = []
        self.unvouched: list[str] = []

    def to_record(self, root: str) -> JSON:
        """Return the facts as JSON, for the entry of a run in the `hash_output` given."""
        places = Places(root)
        record: dict[str, JSON] = {"root": root}
        for kind in ("read", "written", "edited", "modules"):
            files = getattr(self, kind)
            if files:
                record[kind] = _packed(files, places)
        if self.before:
            record["edited"]["before"] = self.before
        for kind in ("absent", "there", "appended"):
            paths = getattr(self, kind)
            if paths:
                record[kind] = _grouped(sorted(paths), places)
        if self.listed:
            record["listed"] = [_listing_record(each, places) for each in self.listed]
        for kind in ("programs", "unseen"):
            if getattr(self, kind):
                record[kind] = getattr(self, kind)
        return record


def _grouped(paths: Iterable[str], places: Places) -> JSON:
    """Return paths as pairs of a folder and the names in it, in the order of the paths."""
    groups: list[JSON] = []
    last = None
    for path in paths:
        folder, name = os.path.split(path)
        if folder != last:
            groups.append([places.words(folder), []])
            last = folder
        groups[-1][1].append(name)
    return groups


def _paths(groups: JSON, places: Places) -> list[str]:
    found: list[str] = []
    for words, names in groups:
        above = f"{places.folder(words)}/"
        found += [above + name for name in names]
    return found


def _packed(files: list[FileFact], places: Places) -> dict[str, JSON]:
    files.sort(key=lambda fact: os.path.split(fact.path))
    stats = b"".join(packed_stat(fact.stat) for fact in files)
    return {
        "files": _grouped((fact.path for fact in files), places),
        "stats": b2a_base64(stats, newline=False).decode(),
        "digests": "".join(fact.identity for fact in files),
    }


def _listing_record(fact: ListingFact, places: Places) -> JSON:
    record: dict[str, JSON] = {"folder": places.words(fact.folder), "stat": list(fact.stat)}
    if fact.patterns is not None:
        record["patterns"] = fact.patterns
    if fact.own:
        record["own"] = list(fact.own)
    if len(fact.names) <= _MOST_NAMES:
        record["names"] = list(fact.names)
    else:
        record["count"] = len(fact.names)
    return {**record, "digest": names_digest(fact.names)[:32]}


def names_digest(names: Iterable[str]) -> str:
    """Return one digest of names, sorted."""
    return text_digest(encode(list(names)))


def differences(
    record: Mapping[str, JSON],
    root: str,
    memo: str | None,
    *,
    datasets: Mapping[str, str] | None = None,
    made: Callable[[str], bool] | None = None,
) -> Iterator[Difference]:
    """Yield what is not any more as a run found or left it.

    Parameters
    ----------
    record : mapping
        What `Facts.to_record` returned.
    root : str
        The `hash_output` now, absolute.
    memo : str or None
        The folder in which digests of files are remembered.
    datasets : mapping of str to str, optional
        Where the BIDS datasets are that the inputs of the present call lie in, by name.
    made : callable, optional
        Tells of an absolute path whether a remembered run made what is there: such names do not
        count in listings, and were not missed by a run that looked for them in vain.

    Yields
    ------
    tuple of (kind, path, old, new)
        The kind is "read", "module", "written", "edited" (digests, or "nothing"), "absent",
        "there" ("nothing" or "something"), "listed" (the names that went and those that came) or
        "dataset" (two places that both exist).
    """
    places = Places(root, record["root"], datasets)
    made = made or _never
    yield from _file_differences("read", record.get("read"), places, memo)
    yield from _file_differences("module", record.get("modules"), places, memo)
    yield from _file_differences("written", record.get("written"), places, memo)
    yield from _file_differences("edited", record.get("edited"), places, memo)
    for path in _paths(record.get("absent", ()), places):
        if os.path.lexists(path) and not made(path):
            yield "absent", path, NOTHING, "something"
    for path in _paths(record.get("there", ()), places):
        if not os.path.lexists(path):
            yield "there", path, "something", NOTHING
    for listing in record.get("listed", ()):
        yield from _listing_differences(listing, places, made)
    for name, (seen, now) in places.twice.items():
        yield "dataset", name, seen, now


def holds(record: Mapping[str, JSON], root: str, memo: str | None, **more: object) -> bool:
    """Tell whether everything is as a run found or left it; see `differences`."""
    return next(differences(record, root, memo, **more), None) is None  # type: ignore[arg-type]


def _never(path: str) -> bool:
    return False


def _file_differences(
    kind: str, packed: Mapping[str, JSON] | None, places: Places, memo: str | None
) -> Iterator[Difference]:
    if packed is None:
        return
    paths = _paths(packed["files"], places)
    stats = a2b_base64(packed["stats"])
    is_trusting = not reads_always()
    if is_trusting:
        try:
            now = Struct(f"<{5 * len(paths)}Q").pack(
                *chain.from_iterable(map(_FIVE, map(os.stat, paths)))
            )
            if now == stats:
                return
        except (OSError, error):
            pass  # one is gone, or older than 1970: which, is found below
    identify = _module_identity if kind == "module" else _file_identity
    for index, path in enumerate(paths):
        then = stats[index * _ONE.size : (index + 1) * _ONE.size]
        if not is_trusting or _stat_of(path) != then:
            digest = packed["digests"][index * _DIGEST : (index + 1) * _DIGEST]
            found = identify(path, memo)
            if found != digest:
                yield kind, path, digest, found


def _stat_of(path: str) -> bytes:
    try:
        return packed_stat(_FIVE(os.stat(path)))
    except OSError:
        return b""


def packed_stat(stat: Stat) -> bytes:
    """Return a stat as bytes."""
    return _ONE.pack(*(number & _ALL for number in stat))


def digest_of(path: str, memo: str | None) -> FileDigest:
    """Return the digest of a file; that of a small one is not noted in the memo on disk."""
    return file_digest(path, None if os.path.getsize(path) < _SMALL else memo)


def _file_identity(path: str, memo: str | None) -> str:
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return digest_of(path, memo).identity
    except OSError:
        pass  # gone, or nobody may read it any more
    return NOTHING


def _module_identity(path: str, memo: str | None) -> str:
    try:
        return module_digest(path, memo)
    except OSError:
        return NOTHING


def _listing_differences(
    listing: Mapping[str, JSON], places: Places, made: Callable[[str], bool]
) -> Iterator[Difference]:
    folder = places.folder(listing["folder"])
    try:
        if list(_FIVE(os.stat(folder))) == listing["stat"]:
            return
    except OSError:
        yield "listed", folder, "something", NOTHING
        return
    names = present_names(folder, listing.get("patterns"), listing.get("own", ()), made)
    if names_digest(names)[:32] == listing["digest"]:
        return
    then = listing.get("names")
    if then is None:
        yield "listed", folder, f"{listing['count']} names", f"{len(names)} names"
    else:
        gone, new = sorted(set(then) - set(names)), sorted(set(names) - set(then))
        yield "listed", folder, ", ".join(gone), ", ".join(new)


def present_names(
    folder: str,
    patterns: list[str] | None,
    own: Iterable[str],
    made: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return the names in a folder that count, sorted."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries]
    except OSError:
        return ()
    return counted_names(folder, found, patterns, own, made)


def counted_names(
    folder: str,
    found: Iterable[tuple[str, bool]],
    patterns: list[str] | None,
    own: Iterable[str],
    made: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return those of the names found in a folder (and whether each is a folder) that count."""
    own = frozenset(own)
    return tuple(
        sorted(
            name
            for name, is_folder in found
            if name not in own
            and fits(name, patterns, is_folder)
            and not made(os.path.join(folder, name))
        )
    )
