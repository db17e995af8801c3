"""`memori why`: why stages ran, or would run if a script were started now.

Of a folder the reasons of the last run are told (`last_run`), of a script what it would do
(`script`); both in the words of `Stage.explain`.
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
        "why",
        help="say why stages ran, or would run in a script",
        usage="memori why [FOLDER | SCRIPT] [STAGE] [--case CASE] [--check] [--json] "
        "[-- arguments...]",
        description="Of a folder: say of each stage below it how often it ran in the last run, and "
        "for which reasons. Of a Python script: say what each of its stages would do now; none is "
        "run, but the script's own lines are. Of one stage, call by call.",
    )
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER | SCRIPT",
        help="where to look (default: here), or a script, with its arguments after --",
    )  # fmt: skip
    parser.add_argument("stage", nargs="?", metavar="STAGE", help="only this stage, call by call")
    parser.add_argument(
        "--case", help="only calls with this input: NAME=VALUE, a value, or sub-01 in a path"
    )
    parser.add_argument(
        "--check", action="store_true",
        help="of a script: exit with 1 if something would run, or it cannot be known",
    )  # fmt: skip
    told.add_json(parser)
    parser.set_defaults(run=run, own_words=[])


def run(arguments: argparse.Namespace) -> int:
    """Print the reasons and return 0, or 1 if a script failed."""
    if os.path.isdir(arguments.folder):
        if arguments.own_words or arguments.check:
            raise MemoriError(
                f"{arguments.folder} is a folder; --check and arguments after -- are for a script"
            )
        from memori.cli.why.last_run import tell_last_run

        return tell_last_run(arguments)
    from memori.cli.why.script import tell_script

    return tell_script(arguments)
