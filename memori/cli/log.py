"""`memori log`: what ran lately below a folder, and why, the newest first; failures as well.

A hit leaves no line: nothing ran. Nothing is changed, and runs may go on meanwhile.
"""

from __future__ import annotations

import argparse
import heapq
from typing import Any

from memori.cli import told
from memori.cli.choosing import memories_in, stage_in
from memori.cli.ls import summary
from memori.signature.parameters import shown
from memori.store import Unfinished, read_entry


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "log",
        help="list what ran lately, and why",
        description="List the runs that were made below a folder, the newest first, each with why "
        "it ran; also those that failed or go on.",
    )
    told.add_folder(parser)
    parser.add_argument(
        "-n",
        metavar="N",
        dest="most",
        type=_count,
        default=20,
        help="how many (default: %(default)s)",
    )
    parser.add_argument("--stage", metavar="NAME", help="only this stage")
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the runs and return 0."""
    runs: list[tuple[float, str, Unfinished | None, str]] = []
    memories = memories_in(arguments.folder)
    wanted = stage_in(arguments.stage, memories, arguments.folder)
    for memory in memories:
        for stage in memory.stages():
            if wanted in (None, stage):
                runs += ((at, path, None, stage) for at, path in memory.recent(stage))
        for each in memory.unfinished():
            if wanted in (None, each.stage):
                runs.append((each.failed or each.began, each.folder, each, each.stage))
    newest = heapq.nlargest(arguments.most, runs, key=lambda each: each[:2])
    listed = [line for each in newest if (line := _told(*each)) is not None]
    if arguments.json:
        told.print_json(listed)
        return 0
    for line in listed:
        took = "" if line["state"] != "finished" else f", {told.duration(line['seconds'])}"
        state = told.coloured(line["state"], "green" if took else "red")
        print(f"{told.date(line['moment'])}  {told.coloured(line['stage'], 'bold')} {state}{took}")
        print(f"    {line['text']}")
        for reason in line["reasons"]:
            print(f"    because {reason}")
    if not runs:
        print(f"nothing ran below {arguments.folder}")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")
    return int(text)


def _told(at: float, path: str, failed: Unfinished | None, stage: str) -> dict[str, Any] | None:
    """Return what the log says of one run; None if it is gone meanwhile."""
    if failed is not None:
        state = "failed" if failed.is_over else "goes on"
        line = {"stage": stage, "folder": path, "reasons": [], "text": told.path(path)}
        return {**line, "state": state, "moment": at, "at": told.iso(at)}
    found = read_entry(path)
    if found is None:
        return None
    memory, entry = found
    text = f"{shown(entry.inputs)} in {told.path(memory.root)}"
    line = summary(memory, stage, entry)
    return {**line, "text": text, "state": "finished", "moment": at, "at": told.iso(at)}
