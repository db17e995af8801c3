"""The report as one HTML file, which needs no network and nothing beside it.

The page carries its data as JSON: a summary that is read at once, and for each case a packed part
(gzip, base64) that is unpacked when a run of it is looked at. Values reach the page as text, never
as markup, and a policy in the page forbids any request.

Not promised: to work in browsers without ``DecompressionStream`` (Chrome 80, Firefox 113 and Safari
16.4 have it).
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import os
import time
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from memori.neuro.report.details import details_of
from memori.neuro.report.gathering import gather
from memori.neuro.report.pictures import INSTALL, Budget, Figure, Gallery
from memori.neuro.report.runs import Run
from memori.neuro.report.table import Table, changes, levels, of_stages, table_of
from memori.version import __version__

LIMIT = 20_000_000  # bytes
_MOST_BARS = 1500
_STATES = ("ran", "hit", "failed", "running", "skipped")


@dataclass
class Report:
    """A report, and what stands in it.

    Attributes
    ----------
    html : bytes
        The page.
    cases, runs, failures, figures : int
        How many are told of.
    notes : list of str
        What was left out.
    """

    html: bytes
    cases: int
    runs: int
    failures: int
    figures: int
    notes: list[str] = field(default_factory=list)


def report(folder: str, *, pictures: int = 100, match: str = "") -> Report:
    """Return the report of what is remembered below a folder.

    Parameters
    ----------
    folder : str
        Where to look.
    pictures : int, optional
        How many outputs are drawn at most.
    match : str, optional
        Only cases whose names hold this text.
    """
    folder = os.path.abspath(folder)
    runs = [run for run in gather(folder) if match.lower() in run.case.lower()]
    table = table_of(runs)
    gallery = Gallery(Budget(figures=pictures))
    figures = _figures(table, gallery)
    parts = {f"figures-{table.cases.index(case)}": each for case, each in figures.items()}
    parts |= {f"case-{place}": _details(table, case) for place, case in enumerate(table.cases)}
    packed = {name: _packed(part) for name, part in parts.items()}
    notes = _notes(gallery)
    while sum(map(len, packed.values())) > LIMIT - 2_000_000:
        largest = max(packed, key=lambda name: len(packed[name]))
        del packed[largest]
        notes.append(f"left out to keep the file small: {_named(largest, table)}")
    pictured = sorted(int(name.partition("-")[2]) for name in packed if name[0] == "f")
    summary = {**_summary(table, runs, folder), "notes": notes, "pictured": pictured}
    failures = sum(run.state == "failed" for run in runs)
    drawn = sum(len(each) for stages in figures.values() for each in stages.values())
    page = _page(summary, packed, folder)
    return Report(page, len(table.cases), len(runs), failures, drawn, notes)


def _figures(table: Table, gallery: Gallery) -> dict[str, dict[int, list[Figure]]]:
    """Draw the latest runs, case by case, those of the last run first."""
    found: dict[str, dict[int, list[Figure]]] = {}
    states = {case: {table.state(case, stage) for stage in table.stages} for case in table.cases}
    for case in sorted(table.cases, key=lambda case: "ran" not in states[case]):
        for place, stage in enumerate(table.stages):
            runs = table.cells.get((case, stage))
            figures = gallery.figures_of(runs[0]) if runs else []
            if figures:
                found.setdefault(case, {})[place] = figures
    return found


def _details(table: Table, case: str) -> dict[int, Any]:
    return {
        place: details_of(table.cells[case, stage])
        for place, stage in enumerate(table.stages)
        if (case, stage) in table.cells
    }


def _notes(gallery: Gallery) -> list[str]:
    notes = []
    if gallery.missing:
        notes.append(f"no pictures without {gallery.missing}: {INSTALL}")
    if gallery.budget.left_out:
        notes.append(
            f"{gallery.budget.left_out} outputs have no picture here, to keep the file small "
            "(--pictures N, --match TEXT)"
        )
    return notes


def _named(part: str, table: Table) -> str:
    kind, _, place = part.partition("-")
    what = "the pictures" if kind == "figures" else "the details"
    return f"{what} of {table.cases[int(place)]}"


# The summary


def _summary(table: Table, runs: list[Run], folder: str) -> dict[str, Any]:
    stages = {stage: place for place, stage in enumerate(table.stages)}
    depth = levels(table)
    return {
        "folder": folder,
        "memori": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "states": _STATES,
        "stages": [{**each, "level": depth[each["name"]]} for each in of_stages(table)],
        "edges": [[stages[above], stages[below]] for above, below in table.edges],
        "cases": table.cases,
        "cells": [[_cell(table, case, stage) for stage in table.stages] for case in table.cases],
        "failures": _failures(table),
        "changes": changes(table, runs),
        "timeline": _timeline(table, runs),
    }


def _cell(table: Table, case: str, stage: str) -> list[float] | int:
    """Return state, seconds, how many runs, and in the last run; 0 where nothing belongs."""
    state = table.state(case, stage)
    if not state:
        return 0
    runs = table.cells.get((case, stage), [])
    last = [run for run in runs if run.is_last] or runs[:1]
    seconds = round(sum(run.seconds for run in last), 3)
    return [_STATES.index(state), seconds, len(runs), len(last)]


def _failures(table: Table) -> list[list[Any]]:
    """Return where each failure is, and its first line."""
    found = []
    for row, case in enumerate(table.cases):
        for column, stage in enumerate(table.stages):
            runs = table.cells.get((case, stage), [])
            if runs and runs[0].state == "failed" and runs[0].unfinished is not None:
                text = runs[0].unfinished.text.splitlines() or ["was interrupted or killed"]
                found.append([row, column, text[0][:300]])
    return found


def _timeline(table: Table, runs: list[Run]) -> dict[str, Any]:
    """Return the last run as bars in lanes: what ran at the same time lies below each other."""
    last = [run for run in runs if run.state in ("ran", "failed") and run.began > 0]
    newest = max((run.began for run in last if run.state == "ran"), default=0.0)
    start = min((run.began for run in last if run.state == "ran"), default=newest)
    last = [run for run in last if run.began >= start]
    kept = sorted(last, key=lambda run: run.seconds, reverse=True)[:_MOST_BARS]
    end = max((run.began + run.seconds for run in kept), default=start)
    close = (end - start) / 500 + 1e-6  # nobody sees so short an overlap
    lanes: list[float] = []
    bars = []
    for run in sorted(kept, key=lambda run: run.began):
        free = (place for place, end in enumerate(lanes) if end <= run.began + close)
        lane = next(free, len(lanes))
        if lane == len(lanes):
            lanes.append(0.0)
        lanes[lane] = run.began + run.seconds
        place = table.cases.index(run.case), table.stages.index(run.stage)
        bars.append([*place, lane, round(run.began - start, 2), round(run.seconds, 3), run.peak])
    return {"start": start, "bars": bars, "lanes": len(lanes), "left_out": len(last) - len(kept)}


# The file


def _packed(part: object) -> str:
    text = json.dumps(part, separators=(",", ":")).encode("ascii")
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode("ascii")


def as_json(value: object) -> str:
    r"""Return JSON that can stand inside of a script element.

    Examples
    --------
    >>> as_json("</script><!--")
    '"\\u003c/script\\u003e\\u003c!--"'
    """
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _page(summary: dict[str, Any], packed: dict[str, str], folder: str) -> bytes:
    here = files("memori.neuro.report")
    parts = "\n".join(
        f'<script type="text/plain" id="{name}">{content}</script>'
        for name, content in packed.items()
    )
    title = folder.encode("utf-8", "backslashreplace").decode()  # a name may be no text
    fields = {
        "title": html.escape(title),
        "style": here.joinpath("report.css").read_text(encoding="utf-8"),
        "script": "\n".join(
            here.joinpath(name).read_text(encoding="utf-8") for name in ("drawings.js", "report.js")
        ),
        "summary": as_json(summary),
        "parts": parts,
    }
    page = here.joinpath("report.html").read_text(encoding="utf-8")
    before, *fillings = page.split("{{")
    for each in fillings:
        name, _, rest = each.partition("}}")
        before += fields[name] + rest
    return before.encode("utf-8")
