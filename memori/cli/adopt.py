"""`memori adopt`: file outputs that a command made before memori was there.

The files are neither moved nor copied, and the command is not run: `memori run` with the same words
finds them from then on, and prints nothing.

Not promised: that the files are what the command would make. A person says so, and the entry says
who.
"""

from __future__ import annotations

import argparse
from typing import Any

from memori.cli.run import add_call_options, add_words, command_of
from memori.errors import MemoriError

_USAGE = "memori adopt [-d DIR] -o OUT ... [-c FILE ...] [-n NAME] -- command args..."


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "adopt",
        help="file outputs that a command made before memori was there",
        usage=_USAGE,
        description="File the outputs of -o, which are there, as what the command made of the "
        "present files. The words are those of `memori run`.",
    )
    add_call_options(parser)
    add_words(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """File the outputs, say so and return 0."""
    words = command_of(arguments.words, _USAGE)
    if not arguments.outputs:
        raise MemoriError(f"memori adopt needs the outputs that are there, by -o: {_USAGE}")
    from memori.cli.running.invocation import stage_of

    print(stage_of(words, arguments, arguments.outputs).adopt_present())
    return 0
