"""`memori accept`: take the present outputs of a command as those of the present files and tools.

For a change that a person knows to be harmless: a script's comment, a tool's new patch release. The
entry says who accepted what; what changes later is compared with what was accepted. The command is
not run, and what is missing or half is not accepted.

Not promised: a command whose words changed; file what it left by `memori adopt`.
"""

from __future__ import annotations

import argparse
from typing import Any

from memori.cli.run import add_call_options, add_words, command_of

_USAGE = "memori accept [-d DIR] [-o OUT ...] [-c FILE ...] [-n NAME] -- command args..."


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "accept",
        help="take a command's present outputs as those of what changed since it ran",
        usage=_USAGE,
        description="Take the present outputs of a command that was remembered as those of the "
        "present files and tools, and say what had changed. The words are those of `memori run`.",
    )
    add_call_options(parser)
    add_words(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Accept the command's outputs, print what was accepted and return 0."""
    words = command_of(arguments.words, _USAGE)
    from memori.cli.running.invocation import stage_of

    print(stage_of(words, arguments, arguments.outputs).accept())
    return 0
