"""`memori show`: where the evidence of failed runs lies, and what nobody could see.

With ``--accepted``: which outputs a person accepted or adopted, who, when and despite what.

A run that has begun and is not in the store is one that goes on, or one that failed: its folder
is kept until the next try, and what was mended since is not listed. Of the latest entry of each
stage it says who may have read files without being seen. The command reads and changes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from memori.calls.decision import told_acceptance
from memori.signature.parameters import shown
from memori.store import Unfinished, memories_below
from memori.watch.unseen import READERS


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "show",
        help="show the folders that failed runs left behind",
        description="List the runs below a folder that began and are not remembered (they failed, "
        "or still go on), with their folders and what failed commands said.",
    )
    parser.add_argument("folder", nargs="?", default=".", help="where to look (default: here)")
    parser.add_argument(
        "--accepted", action="store_true", help="list what was accepted or adopted instead"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each unfinished run, the oldest first, or what was accepted; return 0."""
    above = os.path.abspath(arguments.folder)
    if arguments.accepted:
        return _show_accepted(above)
    found = [run for each in memories_below(above) for run in each.unfinished()]
    for each in sorted(found, key=lambda run: (run.failed or run.began, run.folder)):
        print(f"{each.stage}: {each.folder} ({_state(each)})")
        for line in each.text.splitlines():
            print(f"    {line}".rstrip())
    if not found:
        print(f"no failed run below {arguments.folder}")
    for who, stages in _unseen(above).items():
        print(f"not seen what {who} read, in {', '.join(stages)}: see docs/commands.md")
    return 0


def _show_accepted(above: str) -> int:
    """Print each acceptance, stage by stage, the newest first."""
    for memory in memories_below(above):
        for stage in memory.stages():
            for entry in memory.entries(stage):
                for each in entry.record.get("accepted") or ():
                    print(f"{memory.root} {stage}({shown(entry.inputs)}) {told_acceptance(each)}")
    return 0


def _unseen(above: str) -> dict[str, list[str]]:
    """Return the programs that were not seen to read, each with the stages that it was of."""
    found: dict[str, list[str]] = {}
    for memory in memories_below(above):
        for stage in memory.stages():
            entry = next(memory.entries(stage), None)
            for who in (entry.record.get("observed") or {}).get("unseen", ()) if entry else ():
                if who.partition(" (")[0] not in READERS:
                    found.setdefault(who, []).append(stage)
    return found


def _state(each: Unfinished) -> str:
    if each.failed is not None:
        return f"failed {_date(each.failed)}"
    if each.is_over:
        return f"began {_date(each.began)}, was interrupted or killed"
    return f"began {_date(each.began)}, not known to have ended"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
