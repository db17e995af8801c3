"""The runs' own folders: whose each is, and what became of its run.

A folder is claimed by making a file that was not there, which is exclusive on every file system.
The claim is a file of JSON lines: who runs and which entry it will become, then how it ended
(``finished``, ``failed``, ``released``). A folder is emptied for another run, or removed, only if
its run certainly is over and left no entry: it failed, or the process that ran it is gone. Of a
process on another host nobody here can see that: its claim is a lease, which ends when nothing in
the folder has changed for a week. Whoever
does so takes over the claim first; of several who try, one succeeds. Whether a lock is held is not
asked, since locks can be refused, or not shared between mounts.

The folder of an entry that another run replaced may be in use by whoever was given its paths, and
so may that of a run which returned and could not be remembered. It is released: used again after a
day, by the next run of the same key. A replaced folder that this very process made goes at once.
A folder that several entries hold (a person accepted one for another) goes with the last of them.
What a policy removed from the folder of an entry that stands is a line, too (``removed``).
"""

from __future__ import annotations

import json
import os
import re
import time

from memori.digest.clock import earliest_now
from memori.digest.values import from_text
from memori.files import atomic_write, content_of, make_folder, opened, remove_if_there
from memori.layout import CLAIMED, RUN_FOLDER, Layout, is_run_name, stages_of
from memori.processes.owner import is_elsewhere, is_gone, is_this_process, this_process
from memori.store.entries import MOST_OF_A_KEY, everything, listed, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.digest.values import JSON
    from memori.key import Key

_IN_USE = 86_400  # seconds for which a released folder may still be read
_TURN = 60  # seconds within which a turn says whose it is
_MOST_TURNS = 100
LEASE = 7 * 86_400
"""Seconds after which a run of another host, whose folder rests, is taken for one that is over."""


def new_folder(layout: Layout, key: Key) -> str:
    """Make the empty folder of a run and return it, relative to the root.

    The folder of a run that is over and left no entry is emptied and used again; one that failed
    with the same inputs and other code is removed. One that lost its claim is left alone.
    """
    first = _first_line(layout, key)
    _drop_earlier_try(layout, key)
    make_folder(layout.claims)
    attempt = 0
    while True:
        name = f"{key.digest[:8]}-{attempt}" if attempt else key.digest[:8]
        folder = f"{layout.name}/{name}"
        is_there = os.path.lexists(f"{layout.root}/{folder}")
        if not is_there and _claim(layout.claim(name), first):
            is_mine = _is_made(layout, folder)
        else:
            is_mine = _take_over(layout, folder, first) and _is_emptied(layout, folder)
        if is_mine:
            _mark_unfinished(layout, key, folder)
            return folder
        attempt += 1


def finished(layout: Layout, key: Key, folder: str | None) -> None:
    """Note that a run is in the store, with its folder or without one."""
    if folder is not None:
        _note(layout.claim(folder), {"finished": True})
        remove_if_there(layout.unfinished(key))
    elif os.path.exists(layout.unfinished(key)):
        _drop_earlier_try(layout, key)
        remove_if_there(layout.unfinished(key))


def failed(layout: Layout, folder: str) -> None:
    """Note that a run is over and left no entry; its folder stays until the next try."""
    _note(layout.claim(folder), {"failed": True})


def released(layout: Layout, folder: str) -> None:
    """Note that a run returned and left no entry: its paths may be in use for a while."""
    _note(layout.claim(folder), {"released": time.time()})


def shared(layout: Layout, folder: str) -> None:
    """Note that more than one entry holds what is in the folder of a run."""
    _note(layout.claim(folder), {"shared": True})


def replaced(layout: Layout, folder: str) -> None:
    """Remove the folder of an entry that was replaced, at once if nobody else has it."""
    told = told_of(layout.claim(folder))
    if _is_held_elsewhere(layout, folder, told):
        return
    released(layout, folder)
    is_asked_about = _ending(told, "removed") is not None  # other stages of its case hold its paths
    if told and not is_asked_about and is_this_process(told[0].get("owner")):
        drop(layout, folder)


def drop(layout: Layout, folder: str) -> bool:
    """Remove the folder of a run, with its claim, unless another entry holds it.

    Tells whether nothing of it is left that should be removed.
    """
    import shutil

    path = f"{layout.root}/{folder}"
    above, name = os.path.split(folder)
    if above == layout.name and is_run_name(name) and not _is_elsewhere(layout):
        if _is_held_elsewhere(layout, folder, told_of(layout.claim(folder))):
            return True
        shutil.rmtree(path, ignore_errors=True)  # which follows no link
        if not os.path.lexists(path):
            remove_if_there(layout.claim(folder))
            return True
    return False


def is_removable(layout: Layout, folder: str) -> bool:
    """Tell whether a run's folder belongs to one entry, which may be without what is in it."""
    told = told_of(layout.claim(folder))
    is_other = any(_ending(told, name) for name in ("shared", "released", "failed"))
    return bool(_ending(told, "finished")) and not is_other and not _is_elsewhere(layout)


def _is_elsewhere(layout: Layout) -> bool:
    """Tell whether the folders of the runs lie behind a link, through which nothing is removed."""
    return os.path.islink(f"{layout.root}/{layout.name}")


def _is_held_elsewhere(layout: Layout, folder: str, told: list[dict[str, JSON]]) -> bool:
    """Tell whether an entry of any stage holds a shared folder; the one that goes is gone."""
    if not _ending(told, "shared"):
        return False
    named = json.dumps(folder)[:-1].encode("ascii")
    stages = (Layout(layout.root, name) for name in listed(stages_of(layout.root)))
    paths = (path for each in stages for path in everything(each, surely=True))
    return any(named in content_of(path) for path in paths)


def drop_if_over(layout: Layout, folder: str) -> None:
    """Remove the folder of a run that is over, if nobody holds it or tries it again just now."""
    if _take_over(layout, folder, {"owner": this_process()}) and not drop(layout, folder):
        failed(layout, folder)  # and is as empty as it could be made now


def claimed(layout: Layout) -> Iterator[tuple[str, str, list[dict[str, JSON]]]]:
    """Yield the folders of runs that are in no entry, with their claims and what these tell."""
    for name in sorted(readable(layout.claims)):
        told = told_of(f"{layout.claims}/{name}") if name.endswith(".json") else []
        if told and "owner" in told[0] and not _ending(told, "finished"):
            folder = f"{layout.name}/{name.removesuffix('.json')}"
            yield folder, layout.claim(folder), told


def _first_line(layout: Layout, key: Key) -> dict[str, JSON]:
    paths = {"entry": layout.entry(key), "recent": layout.recent(key)}
    told = {name: os.path.relpath(path, layout.root) for name, path in paths.items()}
    return {**told, "owner": this_process()}


def folder_of_try(layout: Layout, key: Key) -> str | None:
    """Return the folder of a run with the same inputs that goes on, or failed; relative."""
    return folder_of_mark(layout.unfinished(key))


def folder_of_mark(mark: str) -> str | None:
    """Return the folder that a mark of an unfinished run names; relative."""
    try:
        folder = from_text(content_of(mark))["folder"]
        return folder if re.fullmatch(RUN_FOLDER, folder) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _drop_earlier_try(layout: Layout, key: Key) -> None:
    """Remove what a run with the same inputs left behind, whatever its code, if it is over."""
    folder = folder_of_try(layout, key)
    if folder is not None:
        drop_if_over(layout, folder)


def _mark_unfinished(layout: Layout, key: Key, folder: str) -> None:
    mark = layout.unfinished(key)
    make_folder(os.path.dirname(mark))
    atomic_write(mark, _line({"folder": folder}))


# Claims


def _claim(claim: str, first: dict[str, JSON]) -> bool:
    try:
        descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, _line(first))
    except OSError as error:  # a full disk, which does not say where
        error.filename = claim
        os.unlink(claim)
        raise
    finally:
        os.close(descriptor)
    return True


def _take_over(layout: Layout, folder: str, first: dict[str, JSON]) -> bool:
    """Claim the folder of a run that is over; of several who try, one succeeds."""
    claim = layout.claim(folder)
    if not is_over(layout, folder):
        return False
    turn = _turn(claim.removesuffix("json") + "taken", first)
    if turn is None:
        return False
    try:
        if not is_over(layout, folder):  # somebody was quicker
            return False
        atomic_write(claim, _line(first))
        return True
    finally:
        os.unlink(turn)


def _turn(turn: str, first: dict[str, JSON]) -> str | None:
    """Make the file of who takes over a claim; None if that is another one's turn.

    What a process left that was killed in its turn stays, and the next turn has a number. If it
    were removed, two who find it could each remove it, and the second one the first one's own.
    """
    for number in range(_MOST_TURNS):
        path = f"{turn}-{number}" if number else turn
        if _claim(path, first):
            return path
        told = told_of(path)
        if told and not is_gone(told[0].get("owner")):
            return None
        try:
            if not told and earliest_now() / 1e9 - os.stat(path).st_ctime < _TURN:
                return None  # it is being written
        except OSError:
            return None  # it is over
    return None


def is_over(layout: Layout, folder: str) -> bool:
    """Tell whether a run is over, left no entry, and nobody holds what is in its folder."""
    told = told_of(layout.claim(folder))
    released = _ending(told, "released")
    if isinstance(released, float):
        is_in_use = time.time() - released <= _IN_USE
        return not (is_in_use or _is_named(layout, folder, told[0].get("entry")))
    if not told or "owner" not in told[0] or _ending(told, "finished"):
        return False
    if _ending(told, "failed"):
        return True
    owner = told[0]["owner"]
    is_left = is_gone(owner) or (is_elsewhere(owner) and _has_rested(layout, folder))
    return is_left and not _is_named(layout, folder, told[0].get("entry"))


def _has_rested(layout: Layout, folder: str) -> bool:
    """Tell whether neither a run's claim nor its folder has changed for the time of a lease."""
    since = earliest_now() / 1e9 - LEASE
    try:
        if os.stat(layout.claim(folder)).st_ctime >= since:
            return False
        for above, _, names in os.walk(f"{layout.root}/{folder}"):
            if any(
                os.lstat(each).st_ctime >= since
                for each in (above, *map(f"{above}/".__add__, names))
            ):
                return False
    except OSError:
        return False  # it changes just now
    return True


def _is_named(layout: Layout, folder: str, entry: JSON) -> bool:
    """Tell whether an entry holds a folder whose run was killed before it could note that."""
    stem = f"{layout.root}/{entry}".removesuffix(".json")
    named = json.dumps(folder).encode("ascii")
    for number in range(1, MOST_OF_A_KEY + 1):
        try:
            if named in content_of(f"{stem}.json" if number == 1 else f"{stem}.{number}.json"):
                return True
        except OSError:
            pass
    return False


def _line(told: dict[str, JSON]) -> bytes:
    return json.dumps(told).encode("ascii") + b"\n"


def told_of(claim: str) -> list[dict[str, JSON]]:
    """Return what a claim tells, line by line; nothing if it is not there."""
    try:
        lines = [from_text(line) for line in content_of(claim).splitlines() if line]
    except (OSError, ValueError):
        return []  # gone, or being written
    if not all(isinstance(line, dict) for line in lines):
        return []
    named = [lines[0][name] for name in ("entry", "recent") if lines and name in lines[0]]
    is_ours = all(isinstance(each, str) and re.fullmatch(CLAIMED, each) for each in named)
    return lines if is_ours else []


def _ending(told: list[dict[str, JSON]], name: str) -> JSON:
    """Return what the lines after the first say of the run's end under a name."""
    return next((line[name] for line in told[1:] if name in line), None)


def _note(claim: str, line: dict[str, JSON]) -> None:
    try:
        os.stat(claim)
        descriptor = opened(claim, os.O_APPEND)
    except FileNotFoundError:
        return  # somebody removed the folder with its claim
    try:
        os.write(descriptor, b"\n" + json.dumps(line).encode("ascii"))
    finally:
        os.close(descriptor)


def _is_made(layout: Layout, folder: str) -> bool:
    """Make a folder that was claimed; one that has appeared meanwhile is somebody else's."""
    try:
        os.makedirs(f"{layout.root}/{folder}")
    except FileExistsError:
        os.unlink(layout.claim(folder))
        return False
    return True


def _is_emptied(layout: Layout, folder: str) -> bool:
    """Empty a folder that was taken over; one that cannot be emptied now is left to a later try.

    On some file systems a file that somebody has open goes when it is closed, and what another
    host has changed is seen after a while.
    """
    import shutil

    path = f"{layout.root}/{folder}"
    if _is_elsewhere(layout):
        failed(layout, folder)
        return False
    try:
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.isdir(path):
            shutil.rmtree(path)
        os.makedirs(path)
    except OSError:
        failed(layout, folder)
        return False
    return True
