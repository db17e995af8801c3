"""`memori verify`: read every file that is remembered, and say which is not as its run left it.

A hit trusts times and inodes; this trusts nothing. The exit code is 1 if there is a fault. What is
missing or was edited costs a run the next time, and never a wrong result.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from memori.cli import told
from memori.cli.choosing import memories_in, stage_in
from memori.errors import MemoriError


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "verify",
        help="read every remembered file and say what is missing, truncated or edited",
        description="Read every file and folder that remembered runs returned, below a folder, and "
        "say which are missing, truncated, edited or unreadable. Exits with 1 if there are any.",
    )
    told.add_folder(parser)
    parser.add_argument("--stage", metavar="NAME", help="only this stage")
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the faults; return 1 if there are any."""
    count, faults = 0, []
    progress = _Progress()
    memories = memories_in(arguments.folder)
    if not memories:
        raise MemoriError(f"nothing is remembered below {arguments.folder}")
    wanted = stage_in(arguments.stage, memories, arguments.folder)
    for memory in memories:
        for stage in memory.stages():
            if wanted in (None, stage):
                number, found = memory.verify(stage, progress)
                count += number
                faults += found
    progress.end()
    if arguments.json:
        listed = [{n: getattr(f, n) for n in ("state", "path", "stage", "key")} for f in faults]
        told.print_json({"outputs": count, "faults": listed})
        return 1 if faults else 0
    for each in faults:
        whose = f"{each.stage}/{each.key[:8]}" if each.key else f"a record of {each.stage}"
        print(f"{told.coloured(each.state, 'red')}: {told.path(each.path)} ({whose})")
    print(f"{count} outputs, {len(faults) or 'no'} fault{'' if len(faults) == 1 else 's'}")
    return 1 if faults else 0


class _Progress:
    """Counts on the terminal what was read; silent elsewhere."""

    def __init__(self) -> None:
        self._count = 0
        self._is_shown = sys.stderr.isatty()

    def __call__(self) -> None:
        self._count += 1
        if self._is_shown and self._count % 10 == 0:
            print(f"\r{self._count} outputs read", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown and self._count >= 10:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
