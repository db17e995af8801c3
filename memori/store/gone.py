"""Runs that nobody can ask for again: of code that is gone, and of cases that no longer exist.

The code of a stage is that of its latest run, made or hit, in whatever folder; runs of other code
are of code that is gone. A case no longer exists where an input names a file that is not there any
more, or what a run of such a case made. What runs made themselves is not looked for: it may have
been removed to be made again.

Not promised: that code does not come back; and where no input of any run is there, which a disk
that is not mounted looks like, no case is taken to be gone.
"""

from __future__ import annotations

import os
import re

from memori.digest.values import encode
from memori.fingerprint.syntax import names_of
from memori.layout import arguments_of, sources_of
from memori.store.entries import listed
from memori.store.room import Room, last_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memori.store.entry import Entry
    from memori.store.memory import Memory


_KEY8 = r"/[0-9a-f]{8}(?:-\d+)?/"


def without_key(path: str) -> str:
    """Return a path in a run's own folder as it counts for those that are given it."""
    return re.sub(_KEY8, "/*/", path)


class Kept:
    """A remembered run, with what is asked of it."""

    __slots__ = ("case", "entry", "memory", "room", "stage", "used", "why", "written")

    def __init__(self, memory: Memory, stage: str, entry: Entry) -> None:
        status = os.stat(entry.path)
        self.memory = memory
        self.stage = stage
        self.entry = entry
        self.written, self.used = status.st_mtime, last_use(status)
        self.room = Room()
        self.why = ""
        paths = {file.pointer: without_key(file.path) for file in entry.files}
        texts = [[k, v] for k, v in sorted(entry.inputs.items()) if isinstance(v, str)]
        self.case = encode([memory.root, stage, sorted(map(str, paths.items())), texts])

    def measure(self) -> None:
        """Find the room that it takes."""
        self.room.add(self.entry.path)
        if self.entry.folder is not None:
            self.room.add(f"{self.memory.root}/{self.entry.folder}")


def of_old_code(runs: list[Kept]) -> set[int]:
    """Return the runs (their ids) of other code than that of the latest run of their stage."""
    latest: dict[str, Kept] = {}
    for each in runs:
        if each.used >= latest.setdefault(each.stage, each).used:
            latest[each.stage] = each
    return {id(each) for each in runs if not _same_code(each, latest[each.stage])}


def _same_code(one: Kept, other: Kept) -> bool:
    then, now = one.entry.record["code"], other.entry.record["code"]
    canonical = then["canonical"]
    return bool(
        then["fast"] == now["fast"] or (canonical is not None and canonical == now["canonical"])
    )


def of_gone_cases(runs: list[Kept]) -> set[int]:
    """Return the runs (their ids) of which an input is gone, and those of what they made."""
    made: dict[tuple[str, str | None], list[int]] = {}
    for each in runs:
        for artifact in each.entry.artifacts:
            place = without_key(artifact.locate(each.memory.root)), artifact.identity
            made.setdefault(place, []).append(id(each))
    there: dict[str, bool] = {}
    users: dict[int, list[int]] = {}
    gone = set()
    for each in runs:
        for path, identity in _inputs(each):
            makers = made.get((path, identity), ())
            for maker in makers:
                users.setdefault(maker, []).append(id(each))
            if (
                not makers
                and "/*/" not in path
                and not there.setdefault(path, os.path.lexists(path))
            ):
                gone.add(id(each))
    if not any(there.values()):
        return set()
    waiting = list(gone)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in gone:
                gone.add(user)
                waiting.append(user)
    return gone


def _inputs(run: Kept) -> Iterator[tuple[str, str | None]]:
    """Yield the files and folders among the inputs of a run that somebody else made."""
    own = f"{arguments_of(run.memory.root)}/"
    for file in run.entry.files:
        path = without_key(file.locate(run.memory.root))
        if file.kind in ("file", "folder") and not path.startswith(own):
            yield path, file.identity


def unneeded_sources(root: str, runs: Iterable[Kept]) -> Iterator[str]:
    """Yield the kept sources of code that none of the runs that stay has, or replaced."""
    names: set[str] = set()
    for each in runs:
        record = each.entry.record
        names.update(names_of(record["code"]["components"]).values())
        names.update((record.get("compared") or {}).values())
    for name in listed(sources_of(root)):
        if name.removesuffix(".py") not in names:
            yield f"{sources_of(root)}/{name}"
