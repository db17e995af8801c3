"""What counts of a run's observations, as an entry keeps it.

A record is small JSON: names grouped by folder, the stats of all files packed into one text, their
digests into another. What of it still holds is found by `memori.watch.check`.
"""

from __future__ import annotations

import os
from hashlib import sha256
from struct import Struct

from memori.digest.files import file_digest
from memori.digest.folder import folder_digest
from memori.digest.values import encode, text_digest
from memori.watch.listings import literal, meant
from memori.watch.places import HERE, Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from memori.digest.files import FileDigest, Stat
    from memori.digest.values import JSON

NO_STAT: Stat = (0, 0, 0, 0, 0)
PACKED = Struct("<5Q")
"""A stat as bytes."""
_ALL = (1 << 64) - 1
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


def fact_told(kind: str, fact: FileFact | ListingFact | str) -> JSON:
    """Return a fact as another process is told it; `kind` is the list of `Facts` that it is of."""
    if isinstance(fact, FileFact):
        return [kind, fact.path, fact.identity, list(fact.stat)]
    if isinstance(fact, ListingFact):
        patterns = fact.patterns
        return [kind, fact.folder, list(fact.names), patterns, list(fact.own), list(fact.stat)]
    return [kind, fact]


def fact_learned(told: list[Any]) -> tuple[str, FileFact | ListingFact | str]:
    """Return what another process told: the list of `Facts`, and the fact."""
    kind, subject, *more = told
    if kind == "listed":
        names, patterns, own, stat = more
        return kind, ListingFact(subject, tuple(names), patterns, tuple(own), tuple(stat))
    if more:
        return kind, FileFact(subject, more[0], tuple(more[1]))
    return kind, subject


class Facts:
    """What counts of what a run was seen to do.

    Attributes
    ----------
    here : str
        The current folder, if names were meant from it; else nothing.
    read, written, edited, modules : list of FileFact
        Files that it read; that it made or wrote and that still stand; that it read and then
        changed (as it left them); of the user's modules that it imported (by their code).
    before : list of str
        What each of `edited` was before; empty if it was not there, or if nobody knows.
    absent, consumed : list of str, bool
        Paths that it asked for in vain, or read and took away, and whether there are such.
    missed, there : list of str
        Paths that a pattern asked for by name, those that did not exist and those that did.
    found : dict of str to str
        By path: what was told of a file that was not opened (`memori.watch.questions.found`).
    variables : dict of str to str or None
        By name: variables of the environment that it asked for.
    listed : list of ListingFact
        Folders.
    globs : list of tuple of str
        Absolute patterns that names were looked for by, and a digest of the paths that fit.
    appended : list of str
        Logs: files that were opened to append, and never compared.
    programs : list of list of str
        The words of programs that it started.
    tools : dict of str to dict
        By path: what counts of those of them that are tools (`memori.watch.commands.tools`).
    called : dict of str to str
        By name: programs of them that were found by their names.
    trees : dict of str to str
        By path: digests of folders, of large ones that a program may have read.
    unseen : list of str
        Who may have read files of which nobody told.
    unvouched : list of str
        Files that changed while the run went on, so that nobody knows what it read.
    spoilt : list of str
        What happened to programs so that what came of the run is of no use.
    doubts : list of str
        Why nobody knows what the run depends on.
    faults : list of str
        What went wrong in watching, so that nobody knows all that it read.
    """

    def __init__(self) -> None:
        self.here = ""
        self.read: list[FileFact] = []
        self.written: list[FileFact] = []
        self.edited: list[FileFact] = []
        self.before: list[str] = []
        self.modules: list[FileFact] = []
        self.absent: list[str] = []
        self.consumed = False
        self.missed: list[str] = []
        self.there: list[str] = []
        self.found: dict[str, str] = {}
        self.variables: dict[str, str | None] = {}
        self.listed: list[ListingFact] = []
        self.globs: list[tuple[str, str]] = []
        self.appended: list[str] = []
        self.programs: list[list[str]] = []
        self.tools: dict[str, dict[str, str | None]] = {}
        self.called: dict[str, str] = {}
        self.trees: dict[str, str] = {}
        self.unseen: list[str] = []
        self.unvouched: list[str] = []
        self.spoilt: list[str] = []
        self.doubts: list[str] = []
        self.faults: list[str] = []

    def to_record(self, root: str, anchors: Mapping[str, str] | None = None) -> JSON:
        """Return the facts as JSON, for the entry of a run in the `hash_output` given."""
        anchors = {**(anchors or {}), HERE: self.here} if self.here else anchors
        places = Places(root, anchors=anchors)
        record: dict[str, JSON] = {"root": root}
        if self.before:
            both = sorted(
                zip(self.edited, self.before, strict=True), key=lambda each: _split_of(each[0])
            )
            self.edited, self.before = [each[0] for each in both], [each[1] for each in both]
        for kind in ("read", "written", "edited", "modules"):
            files = getattr(self, kind)
            if files:
                record[kind] = _packed(files, places)
        if self.before:
            record["edited"]["before"] = self.before
        for kind in ("absent", "missed", "there", "appended"):
            paths = getattr(self, kind)
            if paths:
                record[kind] = _grouped(sorted(paths), places)
        if self.found:
            record["found"] = _described(self.found, places)
        if self.listed:
            record["listed"] = [_listing_record(each, places) for each in self.listed]
        if self.globs:
            record["globs"] = [[*_split(each[0], places), each[1]] for each in self.globs]
        if self.trees:
            record["trees"] = [[places.words(each), digest] for each, digest in self.trees.items()]
        for kind in ("programs", "tools", "called", "unseen", "variables", "consumed"):
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


def _split_of(fact: FileFact) -> tuple[str, str]:
    return os.path.split(fact.path)


def _described(found: dict[str, str], places: Places) -> JSON:
    """Return what was said of paths, grouped by that and by folder."""
    groups: dict[str, list[str]] = {}
    for path in sorted(found):
        groups.setdefault(found[path], []).append(path)
    return [[what, _grouped(paths, places)] for what, paths in sorted(groups.items())]


def _packed(files: list[FileFact], places: Places) -> dict[str, JSON]:
    from binascii import b2a_base64

    files.sort(key=_split_of)
    stats = b"".join(packed_stat(fact.stat) for fact in files)
    return {
        "files": _grouped((fact.path for fact in files), places),
        "all": stats_digest(stats),
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


def stats_digest(stats: bytes) -> str:
    """Return one digest of many stats, which is faster to compare than to read them."""
    return sha256(stats).hexdigest()[:32]


def packed_stat(stat: Stat) -> bytes:
    """Return a stat as bytes."""
    return PACKED.pack(*(number & _ALL for number in stat))


def digest_of(path: str, memo: str | None) -> FileDigest:
    """Return the digest of a file; that of a small one is not noted in the memo on disk."""
    return file_digest(path, None if os.path.getsize(path) < _SMALL else memo)


def file_fact(path: str, memo: str | None) -> FileFact:
    """Return a file as it counts now."""
    digest = digest_of(path, memo)
    return FileFact(path, digest.identity, digest.stats[0] if digest.trusted else NO_STAT)


def tree_digest(folder: str, memo: str | None) -> str:
    """Return the digest of all that a folder holds."""
    return folder_digest(folder, lambda path: digest_of(path, memo).identity)


def _split(pattern: str, places: Places) -> tuple[JSON, str]:
    """Return the folder that an absolute pattern starts from, in words, and the rest of it."""
    parts = pattern.split("/")
    plain = list[str]()
    for part in parts[:-1]:
        name = meant(part)
        if name is None:
            break
        plain.append(name)
    return places.words("/".join(plain) or "/"), "/".join(parts[len(plain) :])


def pattern_of(words: JSON, rest: str, places: Places) -> str:
    """Return an absolute pattern as it was split for a record."""
    return os.path.join(literal(places.folder(words)), rest)
