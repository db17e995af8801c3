"""`memori report`: all that is remembered below a folder, as one HTML file to look at and to send.

The file needs no network and nothing beside it. Nothing is changed but that file, and runs may go
on meanwhile. `memori.neuro.report` makes it.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from memori.cli import told
from memori.errors import MemoriError


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "report",
        help="write an HTML report: cases by stages, failures, reasons, times and pictures",
        description="Write what is remembered below a folder as one HTML file that needs no "
        "network: cases by stages, what failed, what ran and why, times, memory and pictures.",
    )
    told.add_folder(parser)
    parser.add_argument(
        "-o", metavar="FILE", dest="output", default="report.html", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        default=100,
        help="draw at most so many outputs (default: %(default)s)",
    )
    parser.add_argument(
        "--match", metavar="TEXT", default="", help="only cases whose names hold this text"
    )
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report and return 0."""
    if not os.path.isdir(arguments.folder):
        raise MemoriError(f"{arguments.folder}: there is no such folder")
    output = os.path.abspath(arguments.output)
    if os.path.isdir(output) or not os.path.isdir(os.path.dirname(output)):
        wrong = "is a folder" if os.path.isdir(output) else "lies in no folder that is there"
        raise MemoriError(f"-o {arguments.output}: {wrong}; give the name of the page to write")
    from memori.files import atomic_write
    from memori.neuro.report.page import report

    made = report(arguments.folder, pictures=arguments.pictures, match=arguments.match)
    if not made.runs:
        raise MemoriError(
            f"nothing is remembered below {arguments.folder}"
            + (f" of cases with {arguments.match!r} in their names" if arguments.match else "")
        )
    atomic_write(output, made.html)
    if arguments.json:
        told.print_json({
            "file": output, "bytes": len(made.html), "cases": made.cases, "runs": made.runs,
            "failures": made.failures, "figures": made.figures, "notes": made.notes,
        })  # fmt: skip
        return 0
    print(
        f"{told.path(output)} ({told.size(len(made.html))}): {made.cases} cases, {made.runs} runs, "
        f"{made.failures} failed, {made.figures} pictures"
    )
    for note in made.notes:
        print(f"  {note}")
    return 0
