"""The runs that a report tells of: entries and failures, who made whose inputs, and their cases.

A run is fed by those whose outputs it was given as files; values that are no files leave no trace.
A case is a row of the report: the folder (`hash_output`) if each case has its own, else the subject
and session that the names of the files say, else what the run began with. What was made of several
cases is a row of its own.

Not promised: the case of a run that names no file and no subject.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from memori.calls.failure import told_inputs
from memori.calls.last_run import began, without_pause
from memori.digest.values import strings
from memori.signature.parameters import shown
from memori.store import Entry, Memory, Unfinished, file_name, last_use, memories_below

if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.digest.values import JSON

State = Literal["ran", "hit", "failed", "running"]
SEVERAL = "several cases"
_SUBJECT = re.compile(r"(?:^|[/_])sub-([A-Za-z0-9+]+)(?:[/_]ses-([A-Za-z0-9+]+))?(?=[/_.]|$)")
_RUN = re.compile(r"/[0-9a-f]{8}(?:-\d+)?(?=/|$)")
_NAMED = ("subject", "participant", "participant_id", "case")


@dataclass(eq=False)
class Run:
    """One run: remembered, failed or going on.

    Attributes
    ----------
    stage : str
        The stage's name, as a file name.
    root : str
        The `hash_output`, absolute.
    inputs : dict of str to JSON
        What it was given, as far as is known.
    began, seconds, used : float
        When it began, how long it took, and when it was made or hit last.
    state : {"ran", "hit", "failed", "running"}
        "ran" if it is of the last run, "hit" if it was remembered.
    entry : Entry, optional
        Of a run that is remembered.
    unfinished : Unfinished, optional
        Of one that is not.
    fed_by : list of Run
        Those whose outputs it was given.
    case : str
        Its row.
    """

    stage: str
    root: str
    inputs: dict[str, JSON]
    began: float
    seconds: float
    used: float
    state: State
    entry: Entry | None = None
    unfinished: Unfinished | None = None
    fed_by: list[Run] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    case: str = ""

    @property
    def peak(self) -> int:
        """The most memory that its process had held, in bytes; 0 if nobody knows."""
        ran = self.entry.record.get("ran") if self.entry else None
        return int((ran or {}).get("peak") or 0)

    @property
    def folder(self) -> str | None:
        """The run's own folder, absolute."""
        if self.unfinished is not None:
            return self.unfinished.folder
        own = self.entry.folder if self.entry else None
        return None if own is None else os.path.join(self.root, own)


def gather(folder: str) -> list[Run]:
    """Return all runs that are remembered, failed or go on below a folder, the oldest first."""
    runs = []
    for memory in memories_below(folder, inside_runs=False):
        for stage in memory.stages():
            runs += [_remembered(memory, stage, entry) for entry in memory.entries(stage)]
        runs += [_unfinished(memory, each) for each in memory.unfinished()]
    _mark_last_run(runs)
    runs.sort(key=lambda run: (run.began, run.root, run.stage))
    _tell_feeding(runs)
    _tell_cases(runs, folder)
    return runs


def _remembered(memory: Memory, stage: str, entry: Entry) -> Run:
    try:
        status = os.stat(entry.path)
        ended, used = status.st_mtime, last_use(status)
    except OSError:
        ended = used = 0.0  # it is just removed
    seconds = float((entry.record.get("ran") or {}).get("seconds") or 0.0)
    name = file_name(str(entry.record["stage"])) or stage
    start = began(entry, ended)
    return Run(name, memory.root, entry.inputs, start, seconds, used, "hit", entry)


def _unfinished(memory: Memory, each: Unfinished) -> Run:
    ended = each.failed or each.began
    state: State = "failed" if each.failed is not None or each.is_over else "running"
    inputs = told_inputs(each.text)
    seconds = max(0.0, ended - each.began)
    return Run(each.stage, memory.root, inputs, each.began, seconds, ended, state, unfinished=each)


def _mark_last_run(runs: list[Run]) -> None:
    ends = sorted(runs, key=lambda run: run.began + run.seconds, reverse=True)
    for place in without_pause((run.began + run.seconds, run.began) for run in ends):
        if ends[place].state == "hit":
            ends[place].state = "ran"


# Who feeds whom


class _Made:
    """What runs made, by place and by name with content.

    Where only the name of an input counts (commands get copies) its record has no place.
    """

    def __init__(self, runs: list[Run]) -> None:
        self.by_place: dict[str, list[tuple[Run, Artifact]]] = {}
        self.by_name: dict[tuple[str, str | None], list[tuple[Run, Artifact]]] = {}
        for run in runs:
            for artifact in run.entry.artifacts if run.entry else ():
                place, name = _plain(artifact.locate(run.root)), os.path.basename(artifact.path)
                self.by_place.setdefault(place, []).append((run, artifact))
                self.by_name.setdefault((name, artifact.identity), []).append((run, artifact))

    def maker(self, user: Run, path: str, identity: str | None) -> tuple[Run, Artifact] | None:
        """Return the latest run that made just this, with what it made."""
        found = [
            (run, its)
            for run, its in self.by_place.get(_plain(path), ())
            if identity in (None, its.identity)
        ]
        if not found and identity is not None and not os.path.lexists(path):
            named = self.by_name.get((os.path.basename(path), identity), ())
            found = [each for each in named if each[0].root == user.root] or list(named)
        found = [each for each in found if each[0] is not user]
        return found[-1] if found else None


def _plain(path: str) -> str:
    """Return a path as it counts for the next stage: without the key of the run that made it."""
    return _RUN.sub("/*", path)


def _tell_feeding(runs: list[Run]) -> None:
    made = _Made(runs)
    for run in runs:
        makers: dict[Run, None] = {}
        for name, path, identity in named_files(run):
            found = made.maker(run, path, identity)
            if found is not None:
                makers[found[0]] = None
                path = found[1].locate(found[0].root)
            run.files.append((name, path))
        run.fed_by = list(makers)


def named_files(run: Run) -> Iterator[tuple[str, str, str | None]]:
    """Yield the files and folders among the inputs: input, absolute path, identity."""
    if run.entry is not None:
        for file in run.entry.files:
            if file.kind != "path":
                yield str(file.pointer[0]), file.locate(run.root), file.identity
        return
    for pointer, text in strings(run.inputs, ()):
        if text.startswith("/"):
            yield str(pointer[0]), text, None


# Cases


def _tell_cases(runs: list[Run], folder: str) -> None:
    labels: dict[Run, str] = {}
    for run in runs:
        _label(run, labels, ())
    by_root: dict[str, set[str]] = {}
    for run in runs:
        by_root.setdefault(run.root, set()).add(labels[run])
    for run in runs:
        place = os.path.relpath(run.root, folder)
        own = by_root[run.root] - {""}
        is_one = bool(_SUBJECT.search(place)) or len(own) < 2
        if not is_one or place == os.curdir:
            several = len(by_root) > 1 and place != os.curdir
            run.case = f"{place}: {labels[run]}" if several and labels[run] else labels[run]
            run.case = run.case or (place if several else "all")
        else:
            run.case = place
    _shorten(runs)


def _shorten(runs: list[Run]) -> None:
    """Leave out the folder that all cases lie in."""
    cases = {run.case for run in runs}
    first, slash, _ = next(iter(cases), "").partition("/")
    while slash and all(case.startswith(f"{first}/") for case in cases):
        for run in runs:
            run.case = run.case[len(first) + 1 :]
        cases = {run.case for run in runs}
        first, slash, _ = next(iter(cases)).partition("/")


def _label(run: Run, labels: dict[Run, str], users: tuple[Run, ...]) -> str:
    """Return which case a run is of; an empty text if nothing tells."""
    if run in labels:
        return labels[run]
    if run in users or len(users) > 200:
        return ""
    own = _subjects_of(run)
    if not own:
        own = {_label(each, labels, (*users, run)) for each in run.fed_by} - {""}
    if not own:
        texts = {name: value for name, value in run.inputs.items() if isinstance(value, str)}
        text = shown({name: os.path.basename(value) for name, value in texts.items()})
        own = {text[:60]} if texts else set()
    labels[run] = own.pop() if len(own) == 1 else SEVERAL if own else ""
    return labels[run]


def _subjects_of(run: Run) -> set[str]:
    """Return the subjects, with sessions, that a run's inputs name."""
    named = [str(run.inputs[name]) for name in _NAMED if run.inputs.get(name)]
    found = {f"sub-{each.removeprefix('sub-')}" for each in named}
    if found:
        return found
    for _, text in strings(run.inputs, ()):
        match = _SUBJECT.search(text)
        if match:
            session = f" ses-{match[2]}" if match[2] else ""
            found.add(f"sub-{match[1]}{session}")
    return found
