"""Why each stage of the last run below a folder ran.

Entries keep the reasons for which they ran, found against the entry that was most alike; this reads
them, so it also tells of runs in worker processes, on other hosts and of yesterday. The last run
is all that ran without a pause of five minutes. What did not run is told as remembered, and what
failed and was not mended since by the first line of its error.

Of code that was edited the diff is shown, by what counts of it.

Not promised: more than the newest `MOST` runs, and what would run now (`memori.cli.why.script`,
`Stage.explain`).
"""

from __future__ import annotations

import argparse
import heapq
import sys
from collections.abc import Iterator
from itertools import islice

from memori.calls.edits import recorded_edits
from memori.calls.last_run import began, without_pause
from memori.cli import told
from memori.cli.choosing import is_of_case, memories_in, wanted_stages
from memori.cli.ls import summary
from memori.signature.parameters import shown
from memori.store import Entry, Memory, file_name, read_entry

_Run = tuple[Memory, Entry]
MOST = 10_000  # which takes a second


def tell_last_run(arguments: argparse.Namespace) -> int:
    """Print the reasons and return 0."""
    memories = memories_in(arguments.folder)
    names = sorted({stage for memory in memories for stage in memory.stages()})
    wanted = wanted_stages(arguments.stage, names, f"below {arguments.folder}")
    by_stage: dict[str, list[_Run]] = {name: [] for name in wanted}
    runs, is_cut = last_run(memories)
    for memory, entry in runs:
        if is_of_case(arguments.case, entry.inputs, memory.root):
            by_stage.get(_stage_of(entry), []).append((memory, entry))
    if arguments.json:
        told.print_json({
            name: [{**summary(m, name, entry), "edits": recorded_edits(entry)} for m, entry in runs]
            for name, runs in by_stage.items()
        })  # fmt: skip
        return 0
    for name, runs in by_stage.items():
        failures = [] if arguments.case else _failures(memories, name)
        verdict = _told(runs) if runs else _idle(name, memories, arguments.case, is_cut=is_cut)
        print(f"{told.coloured(name, 'bold')}: {verdict}")
        told.print_counted(failures)
        if arguments.stage is None:
            told.print_counted("; ".join(_reasons(entry)) for _, entry in runs)
        else:
            for memory, entry in runs:
                print(f"  {told.path(memory.root)}: {shown(entry.inputs)}")
                print("\n".join(f"      {reason}" for reason in _reasons(entry)))
        told.print_diffs(diff for _, entry in runs for diff in recorded_edits(entry).values())
    if not by_stage:
        print(f"nothing ran below {arguments.folder}")
    return 0


def last_run(memories: list[Memory]) -> tuple[list[_Run], bool]:
    """Return the entries of the last run, in the order in which they began, and if some are cut."""
    paths = [
        each for memory in memories for name in memory.stages() for each in memory.recent(name)
    ]
    heap = [(-at, path) for at, path in paths]
    heapq.heapify(heap)
    found: list[tuple[float, Memory, Entry]] = []

    def newest_first() -> Iterator[tuple[float, float]]:
        while heap:
            ended, path = heapq.heappop(heap)
            each = read_entry(path)
            if each is not None:
                start = began(each[1], -ended)
                found.append((start, *each))
                yield -ended, start

    count = sum(1 for _ in without_pause(islice(newest_first(), MOST)))
    is_cut = count == MOST and bool(heap)
    if is_cut:
        print(f"memori: only the newest {MOST} runs are told", file=sys.stderr)
    found = sorted(found[:count], key=lambda run: (run[0], run[2].path))
    return [(memory, entry) for _, memory, entry in found], is_cut


def _stage_of(entry: Entry) -> str:
    return file_name(str(entry.record["stage"]))


def _reasons(entry: Entry) -> list[str]:
    return list(entry.record.get("reasons") or ["recorded without a reason"])


def _failures(memories: list[Memory], stage: str) -> list[str]:
    """Return what runs of a stage failed with, in a line each."""
    failed = [
        run
        for memory in memories
        if stage in memory.stages()
        for run in memory.unfinished()
        if run.stage == stage and run.is_over
    ]
    return [f"failed: {(run.text or 'it was killed').partition(chr(10))[0]}" for run in failed]


def _idle(stage: str, memories: list[Memory], case: str | None, *, is_cut: bool) -> str:
    """Say what it means that a stage is not among the runs."""
    if is_cut:
        return "is not among these runs"
    is_remembered = any(
        not case or _is_of(case, path) for memory in memories for _, path in memory.recent(stage)
    )
    if is_remembered:
        return "did not run; it is remembered"
    return f"no run of it {f'with {case} ' if case else ''}is remembered"


def _is_of(case: str, path: str) -> bool:
    read = read_entry(path)
    return read is not None and is_of_case(case, read[1].inputs, read[0].root)


def _told(runs: list[_Run]) -> str:
    seconds = sum((entry.record.get("ran") or {}).get("seconds") or 0.0 for _, entry in runs)
    times = "once" if len(runs) == 1 else f"{len(runs)} times"
    return f"ran {times}, {told.duration(seconds)}"
