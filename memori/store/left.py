"""What remembered runs left in places that several of them write.

Steps that share a folder (recon-all, FEAT, AFNI's working folders) go on in each other's files.
What a later run made of an earlier one's file is no edit of it: where nothing has changed, nothing
runs. So each run notes what it left outside its own folder, in the order of the runs.

A file stands for an earlier run as long as what lies there now came of what that run left: a run of
a later stage has read and changed it, or (where the run did not return the file) has written it
anew. A stage is later if it first wrote there after the other one did. Runs of one stage pass a
file on only where each has read what the one before left (a table that grows by a line for each
case); one that wrote it anew has taken its place. So has a later run of the same call, which ran
because something that it reads had changed.

Steps often return all that lies in the folder. What a run returned of it without having touched it
may become whatever remembered runs make of it.

A run that only appended to such a file (`APPENDED`), or was given it and changed it, passes nothing
on: what lies there is not what the earlier run left. And what it appended is gone once another run
has written the file anew. So steps that append to the file of an earlier step run again with it,
all of them, and no line is lost or stale.

Not promised: that a step which changes a file in place, and has to run again, finds the file as it
was before: it goes on from what lies there. Runs that are remembered elsewhere tell nothing.
"""

from __future__ import annotations

import json
import os
import time

from memori.digest.values import from_text
from memori.files import content_of, make_folder, opened
from memori.layout import left_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    Files = dict[str, tuple[str | None, str]]
    Line = tuple[str, str, Files, float, float, list[str], tuple[str, str]]
    About = tuple[str, str, tuple[str | None, str]]


ANEW = "anew"
NAMED = "named"
APPENDED = "appended"
_PASSIVE = (NAMED, APPENDED)  # such a run made nothing of its own of the file
_read: dict[str, _Log] = {}


class _Log:
    """What a log holds, and by path."""

    def __init__(self, stamp: tuple[int, int], lines: list[Line]) -> None:
        self.stamp = stamp
        self.lines = lines
        self.about: dict[str, list[About]] = {}
        self.cases: dict[str, tuple[str, str]] = {}
        for stage, key, files, *_, case in lines:
            self.cases[key] = case
            for path, pair in files.items():
                self.about.setdefault(path, []).append((stage, key, pair))


def note(
    root: str,
    stage: str,
    key: str,
    files: Mapping[str, tuple[str | None, str]],
    began: float,
    inside: Sequence[str] = (),
    case: tuple[str, str] = ("", ""),
) -> None:
    """Note what a run left that is over now.

    Parameters
    ----------
    root : str
        Where it is remembered.
    stage, key : str
        Of the run.
    files : Mapping of str to (str or None, str)
        By absolute path: what was there before (`ANEW` if it was not read, None if nobody knows;
        `NAMED` if the run returned the path and neither read nor wrote the file, `APPENDED` if it
        only appended, or was given the file), and what is there now.
    began : float
        When it began.
    inside : sequence of str, optional
        The keys of the runs inside which it went on.
    case : tuple of str, optional
        What it has in common with runs of the stage of the same case (`memori.key.Key.case`).
    """
    path = left_of(root)
    make_folder(os.path.dirname(path))
    told = {os.path.relpath(each, root): pair for each, pair in files.items()}
    line = (
        json.dumps([stage, key, told, began, time.time(), [*inside], case]).encode("ascii") + b"\n"
    )
    descriptor = opened(path, os.O_APPEND)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def came_of(
    root: str,
    stage: str,
    key: str,
    path: str,
    pair: tuple[str, str],
    *,
    returned: bool,
    is_own: bool = False,
) -> bool:
    """Tell whether what lies at a path came, by remembered runs, of what a run left there.

    Parameters
    ----------
    root, stage, key : str
        Of the run.
    path : str
        Absolute.
    pair : tuple of str
        What it left, and what is there now.
    returned : bool
        Whether it returned the file.
    is_own : bool, optional
        Whether the path lies in its own folder, of which it noted nothing.
    """
    lines = [each for each in _about(root, path) if each[2][0] != APPENDED]
    if is_own:
        lines.insert(0, (stage, key, (ANEW, pair[0])))
    stages = list(dict.fromkeys(each for each, _, _ in lines))
    mine = [n for n, each in enumerate(lines) if each[1] == key and each[2][1] == pair[0]]
    if not mine:
        return False
    stage, _, (how, _) = lines[mine[-1]]  # a node may have had another name then
    if how == NAMED:  # a run would name it as it is now, too
        return pair[1] == next((after for *_, (b, after) in reversed(lines) if b != NAMED), None)
    reached, cases = {pair[0]}, _log(root).cases
    for other, other_key, (before, after) in lines[mine[-1] + 1 :]:
        if before == NAMED:
            continue
        if other == stage and (other_key == key or _is_same(cases, key, other_key, lines)):
            return False
        if other == stage or stages.index(other) < stages.index(stage):
            if before not in reached:
                return False  # it has taken its place
        elif returned and before == ANEW:
            return False
        reached = {after}
    return pair[1] in reached


def _is_same(
    cases: Mapping[str, tuple[str, str]], key: str, other: str, lines: Sequence[About]
) -> bool:
    """Tell whether two runs of a stage are of the same case, as far as its runs at a path tell."""
    (whole, rest), (other_whole, other_rest) = cases.get(key, ("", "")), cases[other]
    if not whole or rest != other_rest:
        return False
    stage = next(each for each, known, _ in lines if known == other)
    among = {cases[known][1] for each, known, _ in lines if each == stage}
    return whole == other_whole or len(among) > 1


def left(root: str) -> set[str]:
    """Return all paths, absolute, that runs left or named."""
    return {os.path.normpath(os.path.join(root, each)) for each in _log(root).about}


def was_left(root: str, path: str, identity: str) -> bool:
    """Tell whether a remembered run once left a content at an absolute path."""
    lines = _about(root, path)
    return any(after == identity for _, _, (before, after) in lines if before not in _PASSIVE)


def is_written_anew(root: str, key: str, path: str) -> bool:
    """Tell whether another run has written a file anew since that of a key appended to it."""
    since = _since(_about(root, path), key)
    return any(before == ANEW and other != key for _, other, (before, _) in since)


def written_over(
    root: str, stage: str, key: str, pairs: Collection[tuple[str, str]]
) -> tuple[str, str, bool] | None:
    """Return a path where a later stage's run took a run's file further; that stage; if anew.

    Of what an earlier stage wrote there a run is to make something new; and where another run of
    its own stage came between, nobody knows which is wanted.

    Parameters
    ----------
    root, stage, key : str
        Of the run.
    pairs : collection of tuple of str
        What it left, and what is there now: of each file that changed.
    """
    for path, lines in _log(root).about.items():
        lines = [each for each in lines if each[2][0] != NAMED]
        since = _since(lines, key)
        if not since or (lines[-len(since) - 1][2][1], since[-1][2][1]) not in pairs:
            continue
        stages = list(dict.fromkeys(each for each, _, _ in lines))
        other = since[-1][0]
        is_later = stages.index(other) > stages.index(stage) if stage in stages else False
        is_only = all(each != stage for each, _, _ in since)
        if other == stage or (is_later and is_only):
            return os.path.normpath(os.path.join(root, path)), other, since[-1][2][0] == ANEW
    return None


def _since(lines: Sequence[About], key: str) -> Sequence[About]:
    """Return what is told since the last run of a key; nothing if it tells nothing itself."""
    own = [place for place, each in enumerate(lines) if each[1] == key]
    return lines[own[-1] + 1 :] if own else ()


def left_by(root: str, stage: str | None, most: int) -> list[str]:
    """Return the paths that a stage's runs (or all) left, absolute; so many of the latest."""
    found: dict[str, None] = {}
    for line in reversed(_log(root).lines):
        if stage is None or line[0] == stage:
            found.update(
                dict.fromkeys(e for e, (before, _) in line[2].items() if before not in _PASSIVE)
            )
            if len(found) >= most:
                break
    return [os.path.normpath(os.path.join(root, each)) for each in list(found)[:most]]


def folders_around(root: str, paths: Iterable[str]) -> set[str]:
    """Return the folders left by runs, noted or their own, that some absolute paths lie in."""
    known = left(root)
    above: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in above and len(folder) > 1:
            above.add(folder)
            folder = os.path.dirname(folder)
    own = {
        each
        for each in above
        if each.removeprefix(f"{root}/").count("/") and each.startswith(f"{root}/")
    }
    return {each for each in above & (known | own) if os.path.isdir(each)}


def left_during(root: str, key: str, paths: Iterable[str], began: float) -> tuple[str, str] | None:
    """Return one of some paths that another run left which went on at the same time, and its stage.

    Parameters
    ----------
    root, key : str
        Of the run that asks; what went on inside it is its own.
    paths : iterable of str
        Absolute.
    began : float
        When it began.
    """
    asked = {os.path.relpath(path, root): path for path in paths}
    for stage, other, files, _, ended, inside, _ in reversed(_log(root).lines):
        if ended > began and other != key and key not in inside:
            for relative in asked.keys() & files.keys():
                if files[relative][0] not in _PASSIVE:
                    return asked[relative], stage
    return None


def _about(root: str, path: str) -> Sequence[About]:
    return _log(root).about.get(os.path.relpath(path, root), ())


def _log(root: str) -> _Log:
    path = left_of(root)
    try:
        look = os.stat(path)
        stamp = look.st_size, look.st_mtime_ns
        known = _read.get(path)
        if known is not None and known.stamp == stamp:
            return known
        found = [line for line in map(_line, content_of(path).splitlines()) if line is not None]
    except OSError:
        return _Log((0, 0), [])
    _read[path] = _Log(stamp, found)
    return _read[path]


def _line(text: bytes) -> Line | None:
    try:
        stage, key, files, began, ended, inside, *more = from_text(text)
        whole, rest = more[0] if more else ("", "")
        pairs = {name: (before, after) for name, (before, after) in files.items()}
        texts = [stage, key, whole, rest, *inside]
        texts += [each for pair in pairs.values() for each in pair]
        if all(each is None or isinstance(each, str) for each in texts):
            return stage, key, pairs, float(began), float(ended), list(inside), (whole, rest)
    except (ValueError, TypeError, AttributeError, OverflowError):
        pass  # written by halves
    return None
