"""`memori nipype`: run a Python program with every Nipype workflow that it runs remembered.

``memori nipype -d memory -- script.py arguments``; the program is not edited. What is remembered
holds for other working folders as well (`memori.neuro.remember_workflow`). The exit code, crash
files and reports are the program's.
"""

from __future__ import annotations

import argparse
from typing import Any

from memori.cli import told
from memori.cli.run import command_of

_USAGE = "memori nipype [-d DIR] -- program|script.py|-m module arguments..."


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "nipype",
        help="run a Python program with every Nipype workflow remembered",
        usage=_USAGE,
        description="Run a script, a module or a console script in Python, with every Nipype "
        "workflow that it runs remembered, without an edit of the program.",
    )
    told.add_place(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- program arguments...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the program and return its exit code."""
    words = command_of(arguments.words, _USAGE)
    from memori.cli.program import remember_all, run_program

    remember_all(told.place_of(arguments))
    return run_program(words)
