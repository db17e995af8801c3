"""`memori status`: what runs at this moment, seen from another terminal.

Processes of this user on this machine say what they run themselves. Of what runs elsewhere the
folders of runs tell, below the folder that is looked at.

Not promised: functions that run on other machines and asked for no folder of their own.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator
from typing import Any

from memori.calls import going_on
from memori.cli import told
from memori.cli.choosing import memories_in


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "status",
        help="say what runs at this moment, in other terminals as well",
        description="Say of each process of yours on this machine which stages it runs, since "
        "when, and how many cases are over; and which runs below a folder go on elsewhere.",
    )
    told.add_folder(parser)
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what goes on and return 0."""
    processes = [_process(*each) for each in going_on.told()]
    elsewhere = list(_elsewhere(arguments.folder, processes))
    if arguments.json:
        told.print_json({"processes": processes, "elsewhere": elsewhere})
        return 0
    for each in processes:
        print(f"{told.coloured('process', 'bold')} {each['process']}: {each['command']}")
        for cases in each["cases"]:
            failed = f", {cases['failed']} failed" if cases["failed"] else ""
            print(f"  {cases['over']} of {cases['number']} cases of {cases['of']} are over{failed}"
                  f", for {told.duration(cases['seconds'])}")  # fmt: skip
        for going in each["runs"]:
            print(f"  {told.coloured(going['stage'], 'green')} {_place(going['folder'])}"
                  f"for {told.duration(going['seconds'])}")  # fmt: skip
    for going in elsewhere:
        print(f"{told.coloured(going['stage'], 'green')} in {told.path(going['folder'])}, elsewhere"
              f", for {told.duration(going['seconds'])}")  # fmt: skip
    if not processes and not elsewhere:
        print("nothing runs, as far as can be seen from here")
    return 0


def _place(folder: str | None) -> str:
    return "" if folder is None else f"in {told.path(folder)} "


def _process(process: int, lines: list[list[Any]]) -> dict[str, Any]:
    now = time.time()
    runs, cases = [], []
    for kind, since, *facts in lines:
        seconds = round(max(0.0, now - since), 3)
        if kind == "run":
            stage, root, key = (*facts, None, None)[:3]
            runs.append({"stage": stage, "folder": root, "key": key, "seconds": seconds})
        elif kind == "cases":
            of, number, over, failed = facts
            numbers = {"number": number, "over": over, "failed": failed}
            cases.append({"of": of, **numbers, "seconds": seconds})
    return {"process": process, "command": _command(process), "runs": runs, "cases": cases}


def _command(process: int) -> str:
    """Return the words of a process, cut; empty where they cannot be seen."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as stream:
            words = stream.read().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return ""
    text = shlex.join(words)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _elsewhere(folder: str, processes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the runs below a folder that are not known to be over, and are of no process here."""
    here = {
        f"{run['folder']}/{run['stage']}/{run['key'][:8]}"
        for each in processes
        for run in each["runs"]
        if run["key"]
    }
    for memory in memories_in(folder, inside_runs=False):
        for each in memory.unfinished():
            stem = each.folder.rpartition("-")[0] or each.folder
            if not each.is_over and not here.intersection((each.folder, stem)):
                seconds = round(time.time() - each.began, 3)
                yield {"stage": each.stage, "folder": each.folder, "seconds": seconds}
