"""`memori run`: one command of a shell script or a Makefile, remembered.

The command runs where it is called, not in a folder of its own. Its inputs are its words, the files
that they name, what it was seen to read and list, the tool and what `-c` adds; a file that only the
command made counts as it left it. On a hit nothing is run or restored: the outputs of `-o` are
verified where they lie, and what the command printed is printed again. The exit code is the
command's, and a command that failed is not remembered.

Not promised: where commands cannot be watched (`memori.watch.commands.strace`), files that one
reads or writes without a word that names them; give them by `-c` and `-o`. Standard input is empty.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from memori.cli import told
from memori.errors import MemoriError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `memori run` and `memori map` share."""
    add_call_options(parser)
    parser.add_argument("--force", action="store_true", help="run in any case")
    parser.add_argument("-v", "--verbose", action="store_true", help="say why it runs, or not")


def add_call_options(parser: argparse.ArgumentParser) -> None:
    """Declare what tells one call of a command from another."""
    told.add_place(parser)
    parser.add_argument(
        "-o", metavar="OUT", dest="outputs", nargs="+", action="extend", default=[],
        help="files or folders that the command writes; they are verified",
    )  # fmt: skip
    parser.add_argument(
        "-c", metavar="FILE", dest="depends", nargs="+", action="extend", default=[],
        help="further files or folders that count",
    )  # fmt: skip
    parser.add_argument(
        "-n", metavar="NAME", dest="name", help="name of the records (default: the program's)"
    )


def add_words(parser: argparse.ArgumentParser) -> None:
    """Declare the words of a command."""
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command args...")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "run",
        help="run a command unless this very run is remembered",
        usage="memori run [-d DIR] [-o OUT ...] [-c FILE ...] [-n NAME] [--force] [-v] "
        "-- command args...",
        description="Run a command unless it ran before on the same files, with the same tool, "
        "and its outputs are as it left them. A hit prints what the command printed.",
    )
    add_options(parser)
    add_words(parser)
    parser.set_defaults(run=run)


def command_of(words: list[str], usage: str) -> list[str]:
    """Return the words of the command, without the ``--`` before them.

    Raises
    ------
    MemoriError
        If there are none.
    """
    command = words[1:] if words[:1] == ["--"] else words
    if not command:
        raise MemoriError(f"there is no command to run; usage: {usage}")
    return command


def run(arguments: argparse.Namespace) -> int:
    """Run the command, or replay it, and return its exit code."""
    words = command_of(arguments.words, "memori run [options] -- command args...")
    from memori.cli.running.invocation import remember

    return remember(words, arguments, arguments.outputs, forward)


def forward(stream: str, chunk: bytes) -> None:
    """Pass on what a command prints.

    Raises
    ------
    BrokenPipeError
        If nobody reads it any more.
    MemoriError
        If there is no room for it.
    """
    target = sys.stdout if stream == "stdout" else sys.stderr
    try:
        target.flush()
        target.buffer.write(chunk)
        target.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MemoriError(f"what the command prints cannot be passed on: {error}") from error
