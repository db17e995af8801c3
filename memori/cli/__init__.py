"""The command line: `memori COMMAND`.

Each command is a module of this package with two functions: `add_to(commands)` declares its
arguments, and `run(arguments)` returns the exit code. What a command needs is imported when it
runs, so that `memori --version` is quick.

Here alone memori configures output; the library itself only logs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from memori.cli import accept, adopt, demo, run, show
from memori.cli import map as run_map
from memori.errors import MemoriError
from memori.version import __version__

_COMMANDS = (run, run_map, accept, adopt, show, demo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after `memori`; those of this process unless given.
    """
    parser = argparse.ArgumentParser(
        prog="memori", description="Makes a script of neuroimaging steps remember."
    )
    parser.add_argument("--version", action="version", version=f"memori {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
    except MemoriError as error:
        print(f"memori: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    return code
