"""The table of a report: cases by stages, and what each stage took.

A cell is the latest run of a stage for a case; others (elements of an `Each`, other parameters,
other code) stand behind it. A stage that was not begun for a case in which another failed is
skipped.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from statistics import median
from typing import TYPE_CHECKING

from memori.neuro.report.gathering import SEVERAL
from memori.neuro.report.runs import Run

if TYPE_CHECKING:
    from memori.digest.values import JSON

_OF_INPUT = re.compile(r"input (\w+)|(?:file|folder) .*\((\w+)[^()]*\) [a-z ]+$")
_NEW = ("no run with these inputs is recorded", "recorded without a reason")
_MOST_CHANGES = 12
_MOST_DIFFS = 6


@dataclass
class Table:
    """Cases by stages.

    Attributes
    ----------
    stages : list of str
        In the order in which they feed each other.
    edges : list of (str, str)
        Which stage feeds which.
    cases : list of str
        By name, as people count.
    cells : dict of (str, str) to list of Run
        By case and stage, the latest run first.
    """

    stages: list[str]
    edges: list[tuple[str, str]]
    cases: list[str]
    cells: dict[tuple[str, str], list[Run]]

    def state(self, case: str, stage: str) -> str:
        """Return what became of a stage in a case; an empty text if it does not belong there."""
        runs = self.cells.get((case, stage))
        if runs:
            return runs[0].state
        states = {
            self.cells[case, each][0].state for each in self.stages if (case, each) in self.cells
        }
        return "skipped" if "failed" in states and case != SEVERAL else ""


def table_of(runs: list[Run]) -> Table:
    """Return the runs as a table."""
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.case, run.stage), []).append(run)
    for each in cells.values():
        each.sort(key=lambda run: (run.used, run.began), reverse=True)
    edges = sorted({(maker.stage, run.stage) for run in runs for maker in run.fed_by})
    edges = [(above, below) for above, below in edges if above != below]
    cases = sorted({run.case for run in runs}, key=lambda case: (case == SEVERAL, natural(case)))
    return Table(_ordered(runs, edges), edges, cases, cells)


def natural(text: str) -> list[tuple[int, str]]:
    """Return what sorts texts as people count: sub-2 before sub-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _ordered(runs: list[Run], edges: list[tuple[str, str]]) -> list[str]:
    """Return the stages so that each comes after those that feed it, else as they first began."""
    first: dict[str, float] = {}
    for run in runs:
        first[run.stage] = min(run.began, first.get(run.stage, run.began))
    above = {stage: {maker for maker, user in edges if user == stage} for stage in first}
    sorter = TopologicalSorter(above)
    try:
        sorter.prepare()
    except CycleError:  # stages of one name in several scripts may feed each other
        return sorted(first, key=lambda stage: first[stage])
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda stage: first[stage])
        ordered += ready
        sorter.done(*ready)
    return ordered


def levels(table: Table) -> dict[str, int]:
    """Return for each stage how many lie between it and the beginning, for a drawing."""
    found: dict[str, int] = {}
    for stage in table.stages:
        above = [found[maker] for maker, user in table.edges if user == stage and maker in found]
        found[stage] = max(above, default=-1) + 1
    return found


def of_stages(table: Table) -> list[dict[str, JSON]]:
    """Return what each stage did in the last run, and why."""
    told = []
    for stage in table.stages:
        cells = [each for (_, name), each in table.cells.items() if name == stage]
        runs = [run for each in cells for run in each]
        states = Counter(table.state(case, stage) for case in table.cases)
        ran = [run for run in runs if run.state == "ran"]
        why = Counter("; ".join(_causes(run)) for run in ran)
        seconds = [run.seconds for run in runs if run.entry is not None]
        latest = max(runs, key=lambda run: run.used)
        told.append({
            "name": stage,
            "function": latest.entry.record["function"] if latest.entry else "",
            "states": {name: count for name, count in states.items() if name},
            "runs": len(runs),
            "why": [[count, why] for why, count in why.most_common(12)],
            "edits": edits_of(ran),
            "median": median(seconds) if seconds else None,
            "most": max(seconds, default=None),
            "total": sum(seconds),
            "peak": max((run.peak for run in runs), default=0),
        })  # fmt: skip
    return told


def _causes(run: Run) -> list[str]:
    """Return why a run ran; what came only of others that ran is told by their names."""
    told = {reason: _caused_by(run, reason) for reason in reasons_of(run)}
    above = list(dict.fromkeys(stage for stages in told.values() for stage in stages))
    came = [f"{' and '.join(above)} ran before it"] if above else []
    return [*(reason for reason, stages in told.items() if not stages), *came]


def _caused_by(run: Run, reason: str) -> list[str]:
    """Return the stages that ran in the last run and made the input that a reason tells of."""
    match = _OF_INPUT.match(reason)
    name = (match[1] or match[2]) if match else ""
    is_value = bool(match and match[1])
    is_file = any(name == each for each, _ in run.files)
    makers = run.given.get(name, []) if is_value != is_file else []
    return [maker.stage for maker in makers if maker.state == "ran"]


def changes(table: Table, runs: list[Run]) -> list[dict[str, JSON]]:
    """Return what the last run ran for, and is no consequence of it: reason, stages, how often."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.state == "ran":
            for reason in reasons_of(run):
                if reason not in _NEW and not _caused_by(run, reason):
                    found.setdefault(reason, []).append(run)
    order = sorted(found.items(), key=lambda each: -len(each[1]))
    return [
        {
            "reason": reason,
            "count": len(each),
            "stages": [s for s in table.stages if any(run.stage == s for run in each)],
        }
        for reason, each in order[:_MOST_CHANGES]
    ]


def edits_of(runs: list[Run]) -> list[str]:
    """Return the diffs of the code for whose edits some runs ran, each once."""
    from memori.calls.edits import recorded_edits

    with_code = {json.dumps(_compared(run), sort_keys=True): run for run in runs if _compared(run)}
    found = [recorded_edits(run.entry) for run in with_code.values() if run.entry is not None]
    return list(dict.fromkeys(diff for each in found for diff in each.values()))[:_MOST_DIFFS]


def _compared(run: Run) -> JSON:
    """Return what stands for the code that was edited before a run, before and after."""
    record = run.entry.record if run.entry else {}
    compared = record.get("compared")
    return [compared, record["code"]["canonical"], run.root] if compared else None


def reasons_of(run: Run) -> list[str]:
    """Return why a run ran."""
    told = (run.entry.record.get("reasons") if run.entry else None) or ["recorded without a reason"]
    return [str(each) for each in told]
