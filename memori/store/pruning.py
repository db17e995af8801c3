"""What can go from a memory: runs that a person no longer wants, and what the dead left behind.

A run is chosen if all that was asked of it holds (its age, its last use, its stage, that another
run of the same case is later). A chosen run stays all the same where

- it was made or hit within `idle` seconds (a process that goes on may hold its paths);
- a run that stays, or a derivative, was made from one of its files.

What the dead left are folders of runs that were killed, or whose entries were replaced a day ago
and more; marks of runs whose folder is gone; partial files and locks that nobody touched for a day.
Failed runs go only where that is asked for.

Removing is safe beside runs: an entry is taken out of the way first, looked at again, and put back
if it was hit meanwhile; a run's folder goes only if it could be claimed (`memori.store.folders`).

Not promised: to keep what a process holds for longer than `idle`, and to know of files that a user
copied paths of elsewhere.
"""

from __future__ import annotations

import os
import re
import time

from memori.files import remove_if_there
from memori.layout import INSIDE, SHARD, Layout, arguments_of, locks_of, stages_of
from memori.store import entries, folders
from memori.store.failures import NOTE
from memori.store.gone import Kept, of_gone_cases, of_old_code, unneeded_sources, without_key
from memori.store.room import Room, last_use
from memori.watch.places import Places
from memori.watch.touch import folders_above

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from memori.store.memory import Memory

    Each = TypeVar("Each")

DAY = 86_400
_PARTIAL = (".partial", ".taken")


class Wanted:
    """Which runs are to go; what is None is not asked.

    Attributes
    ----------
    older, unused : float or None
        Seconds since a run was made, and since it was made or hit.
    stage : str or None
        The stage, by its file name.
    not_latest : bool
        Only runs for whose case (the same files and texts as inputs) there is a later one.
    old_code, gone_cases : bool
        Only runs of code that is gone, or of cases that no longer exist (`memori.store.gone`).
    most : float or None
        Bytes that may stay: of the runs that may go, those go whose use is longest ago.
    failed : bool
        Whether failed runs go, too.
    idle : float
        Seconds for which what was made or hit is kept in any case.
    """

    def __init__(
        self,
        *,
        older: float | None = None,
        unused: float | None = None,
        stage: str | None = None,
        not_latest: bool = False,
        old_code: bool = False,
        gone_cases: bool = False,
        most: float | None = None,
        failed: bool = False,
        idle: float = DAY,
    ) -> None:
        self.older = older
        self.unused = unused
        self.stage = stage
        self.not_latest = not_latest
        self.old_code = old_code
        self.gone_cases = gone_cases
        self.most = most
        self.failed = failed
        self.idle = idle

    @property
    def asks_for_runs(self) -> bool:
        """Whether remembered runs are to go, rather than only what the dead left."""
        return (
            self.not_latest
            or self.old_code
            or self.gone_cases
            or any(each is not None for each in (self.older, self.unused, self.stage, self.most))
        )


class Plan:
    """What goes, what was chosen and stays (`why` says why), and what the dead left.

    `refused` tells what could not be removed, and why.
    """

    def __init__(self) -> None:
        self.going: list[Kept] = []
        self.staying: list[Kept] = []
        self.left: list[Leftover] = []
        self.refused: list[str] = []

    @property
    def room(self) -> Room:
        """What goes, in bytes and files."""
        room = Room()
        for each in (*(run.room for run in self.going), *(left.room for left in self.left)):
            room.bytes += each.bytes
            room.files += each.files
        return room


class Leftover:
    """A file or folder of a run that is over and left no entry."""

    __slots__ = ("layout", "mark", "path", "room", "what")

    def __init__(self, layout: Layout, path: str, what: str, mark: str | None = None) -> None:
        self.layout = layout
        self.path = path
        self.what = what
        self.mark = mark  # of a folder
        self.room = Room()
        self.room.add(path)


def plan(memories: Iterable[Memory], wanted: Wanted, sources: Iterable[str] = ()) -> Plan:
    """Choose what goes; nothing is removed.

    Parameters
    ----------
    memories : iterable of Memory
        Where.
    wanted : Wanted
        What is to go.
    sources : iterable of str
        Files (absolute, without keys of runs) that derivatives were made from.
    """
    found, made = list(memories), Plan()
    for memory in found:
        made.left += _leftovers(memory, wanted)
    if not wanted.asks_for_runs:
        return made
    runs = [each for memory in found for each in _runs(memory)]
    chosen = _chosen(runs, wanted)
    for each in chosen:
        if time.time() - each.used < wanted.idle:
            each.why = "it was made or used lately (--idle)"
    _keep_what_is_needed(runs, chosen, set(sources))
    made.staying = [each for each in chosen if each.why]
    made.going = [each for each in chosen if not each.why]
    if wanted.most is not None:
        made.going = _least_used(runs, made.going, wanted.most)
    for each in made.going:
        if not each.room.files:
            each.measure()
    goes = {id(each) for each in made.going}
    for memory in found:
        stays = [run for run in runs if run.memory is memory and id(run) not in goes]
        for path in unneeded_sources(memory.root, stays):
            if _is_old(path, wanted.idle):
                what = "source of code that no run has"
                made.left.append(Leftover(Layout(memory.root, ""), path, what))
    return made


def _runs(memory: Memory) -> Iterator[Kept]:
    for stage in memory.stages():
        for entry in memory.entries(stage, surely=True):
            try:
                yield Kept(memory, stage, entry)
            except OSError:
                continue  # it is just removed


def _chosen(runs: list[Kept], wanted: Wanted) -> list[Kept]:
    now = time.time()
    latest: dict[str, Kept] = {}
    for each in runs:
        if each.used >= latest.setdefault(each.case, each).used:
            latest[each.case] = each
    old = of_old_code(runs) if wanted.old_code else set()
    gone = of_gone_cases(runs) if wanted.gone_cases else set()
    return [
        each
        for each in runs
        if not wanted.old_code or id(each) in old
        if not wanted.gone_cases or id(each) in gone
        if wanted.older is None or now - each.written >= wanted.older
        if wanted.unused is None or now - each.used >= wanted.unused
        if wanted.stage in (None, each.stage)
        if not (wanted.not_latest and latest[each.case] is each)
    ]


def _keep_what_is_needed(runs: list[Kept], chosen: list[Kept], sources: set[str]) -> None:
    """Say of each run that was chosen and made what another one, or a derivative, needs."""
    makers: dict[str, list[Kept]] = {}
    goes = {id(each) for each in chosen if not each.why}
    for each in runs:
        for artifact in each.entry.artifacts:
            place = artifact.locate(each.memory.root)
            for path in {place, without_key(place)}:
                makers.setdefault(path, []).append(each)
    waiting = [each for each in runs if id(each) not in goes]
    for path in (sources | folders_above(sources)).intersection(makers):
        waiting += _needed(makers[path], goes, None, "a derivative was made from it")
    while waiting:
        user = waiting.pop()
        why = f"{user.stage}/{user.entry.key[:8]} was made from it"
        for file in user.entry.files:
            path = file.locate(user.memory.root)
            waiting += _needed(makers.get(without_key(path), ()), goes, file.identity, why)
            for folder in folders_above([path]) & makers.keys():  # it is in what was returned
                waiting += _needed(makers[folder], goes, None, why)
        seen = user.entry.record.get("observed") or {}
        places = Places(user.memory.root, seen.get("root"))
        read = set(places.paths((seen.get("read") or {}).get("files", ())))
        for path in (read | folders_above(read)) & makers.keys():
            waiting += _needed(makers[path], goes, None, why)


def _needed(makers: Iterable[Kept], goes: set[int], identity: str | None, why: str) -> list[Kept]:
    """Take those who made this out of what goes; return them."""
    found = []
    for each in makers:
        made = {artifact.identity for artifact in each.entry.artifacts}
        if id(each) in goes and (identity is None or identity in made):
            goes.remove(id(each))
            each.why = why
            found.append(each)
    return found


def _least_used(runs: list[Kept], going: list[Kept], most: float) -> list[Kept]:
    for each in runs:
        each.measure()
    left = sum(each.room.bytes for each in runs)
    chosen = []
    for each in sorted(going, key=lambda run: run.used):
        if left <= most:
            break
        left -= each.room.bytes
        chosen.append(each)
    return chosen


# What the dead left


def _leftovers(memory: Memory, wanted: Wanted) -> Iterator[Leftover]:
    for stage in memory.stages():
        layout = Layout(memory.root, stage)
        for folder, _, told in folders.claimed(layout):
            path = f"{layout.root}/{folder}"
            is_failed = "failed" in told[-1] or os.path.exists(f"{path}/{NOTE}")
            if not folders.is_over(layout, folder) or not os.path.isdir(path):
                continue
            if not is_failed or wanted.failed:
                what = "a failed run" if is_failed else "a run that was killed or replaced"
                entry = os.path.join(layout.root, str(told[0].get("entry")))
                mark = f"{os.path.dirname(entry)}/{os.path.basename(entry)[:16]}.unfinished"
                yield Leftover(layout, path, what, mark)
        for shard in filter(re.compile(SHARD).fullmatch, entries.listed(layout.records)):
            yield from _marks(layout, f"{layout.records}/{shard}")
    layout = Layout(memory.root, "")
    locks = locks_of(memory.root)
    for name in entries.listed(os.path.dirname(locks)):
        path = f"{os.path.dirname(locks)}/{name}"
        if path.startswith(f"{locks}-") and _is_old(path):
            yield Leftover(layout, path, "a lock")
    above = arguments_of(memory.root)
    for path in (f"{above}/{name}" for name in entries.listed(above)):
        if path.endswith(_PARTIAL) and _is_old(path):
            yield Leftover(layout, path, "a partial folder")
    yield from _partial(layout, memory.root, entries.listed(memory.root))
    hidden = os.path.dirname(stages_of(memory.root))
    for folder, inner, names in os.walk(hidden):
        if folder == hidden:  # in others lies what was a user's
            inner[:] = sorted(INSIDE.intersection(inner) - {"outdated", "edited"})
        yield from _partial(layout, folder, [*names, *inner])  # a link to a folder is of these


def _marks(layout: Layout, shard: str) -> Iterator[Leftover]:
    for name in entries.listed(shard):
        path = f"{shard}/{name}"
        if name.endswith(".unfinished") and _is_old(path):
            folder = folders.folder_of_mark(path)
            if folder is not None and not os.path.isdir(f"{layout.root}/{folder}"):
                yield Leftover(layout, path, "a mark")


def _partial(layout: Layout, folder: str, names: Iterable[str]) -> Iterator[Leftover]:
    for name in names:
        path = f"{folder}/{name}"
        is_ours = name.startswith(".") or name.endswith(".taken")
        is_file = os.path.isfile(path) or os.path.islink(path)
        if name.endswith(_PARTIAL) and is_ours and is_file and _is_old(path):
            yield Leftover(layout, path, "a partial file")


def _is_old(path: str, idle: float = DAY) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > idle
    except OSError:
        return False


# Removing


def remove(plan: Plan) -> Room:
    """Remove what a plan says, but for what was used or claimed meanwhile; return what went."""

    def goes(remove_it: Callable[[Each], bool], each: Each) -> bool:
        try:
            return remove_it(each)
        except OSError as error:  # not ours, or a file system that is read-only
            plan.refused.append(f"{error.filename}: {error.strerror}")
            return False

    plan.going = [run for run in plan.going if goes(_remove_run, run)]
    plan.left = [left for left in plan.left if goes(_remove_left, left)]
    return plan.room


def _remove_run(each: Kept) -> bool:
    entry = each.entry
    shard, name = os.path.split(entry.path)
    aside = f"{shard}/.{name}.{os.urandom(6).hex()}.partial"
    try:
        os.rename(entry.path, aside)
    except FileNotFoundError:
        return False  # somebody else removed it
    if last_use(os.stat(aside)) > each.used:  # hit, or recorded anew
        try:
            os.link(aside, entry.path)
        except OSError:
            pass  # there is a newer one
        os.unlink(aside)
        return False
    if entry.folder is not None:
        folders.drop(Layout(each.memory.root, each.stage), entry.folder)
    remove_if_there(aside)
    return True


def _remove_left(each: Leftover) -> bool:
    if each.mark is None:
        if os.path.isdir(each.path) and not os.path.islink(each.path):
            import shutil

            shutil.rmtree(each.path, ignore_errors=True)
            return not os.path.lexists(each.path)
        remove_if_there(each.path)
        return True
    folder = os.path.relpath(each.path, each.layout.root)
    folders.drop_if_over(each.layout, folder)
    if os.path.lexists(each.path):
        return False
    if folders.folder_of_mark(each.mark) == folder:
        remove_if_there(each.mark)
    return True
