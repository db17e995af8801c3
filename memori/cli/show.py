"""`memori show`: where the evidence of failed runs lies, and what a failed command said.

A run that has begun and is not in the store is one that goes on, or one that failed: its folder
is kept until the next try. The command reads and changes nothing.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from memori.store import memories_below

_NOTE = "failure.txt"


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "show",
        help="show the folders that failed runs left behind",
        description="List the runs below a folder that began and are not remembered (they failed, "
        "or still go on), with their folders and what failed commands said.",
    )
    parser.add_argument("folder", nargs="?", default=".", help="where to look (default: here)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each unfinished run; return 0."""
    found = sorted(run for each in memories_below(arguments.folder) for run in each.unfinished())
    for stage, folder in found:
        print(f"{stage}: {folder}")
        note = os.path.join(folder, _NOTE)
        if os.path.isfile(note):
            with open(note, encoding="utf-8", errors="replace") as file:
                print("".join(f"    {line}" for line in file), end="")
    if not found:
        print(f"no failed run below {arguments.folder}")
    return 0
