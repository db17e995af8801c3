"""The runs that a report tells of: entries and failures, and their cases.

A case is a row of the report: the folder (`hash_output`) if each case has its own, else the subject
and session that the names of the files say, else what the run began with. What was made of several
cases is a row of its own.

Not promised: the case of a run that names no file and no subject.
"""

from __future__ import annotations

import os
import re

from memori.calls.failure import told_inputs
from memori.calls.last_run import began, without_pause
from memori.digest.values import strings
from memori.neuro.report.feeding import tell_feeding
from memori.neuro.report.runs import Run, State
from memori.signature.parameters import shown
from memori.store import Entry, Memory, Unfinished, file_name, last_use, memories_below

SEVERAL = "several cases"
_SUBJECT = re.compile(r"(?:^|[/_])sub-([A-Za-z0-9+]+)(?:[/_]ses-([A-Za-z0-9+]+))?(?=[/_.]|$)")
_NAMED = ("subject", "participant", "participant_id", "case")


def gather(folder: str) -> list[Run]:
    """Return all runs that are remembered, failed or go on below a folder, the oldest first."""
    runs = []
    for memory in memories_below(folder, inside_runs=False):
        for stage in memory.stages():
            runs += [_remembered(memory, stage, entry) for entry in memory.entries(stage)]
        runs += [_unfinished(memory, each) for each in memory.unfinished()]
    _mark_last_run(runs)
    runs.sort(key=lambda run: (run.began, run.root, run.stage))
    tell_feeding(runs)
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
    second = began(entry, ended)  # when it began, to the second
    start = min(max(second, ended - seconds), second + 0.999)
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
        ends[place].is_last = True
        if ends[place].state == "hit":
            ends[place].state = "ran"


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
