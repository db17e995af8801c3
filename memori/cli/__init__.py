"""The command line: `memori COMMAND`.

Each command is a module of this package with two functions: `add_to(commands)` declares its
arguments, and `run(arguments)` returns the exit code. What a command needs is imported when it
runs, so that `memori --version` is quick.

Here alone memori configures output; the library itself only logs. An error is one line on stderr,
with ``--debug`` (before the command) or ``MEMORI_DEBUG`` its traceback as well. Exit codes: 0 done,
1 an error or a fault that was looked for, 2 wrong arguments, 130 Ctrl-C, 141 nobody reads the
output; those of `run`, `map` and `nipype` are the program's.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import NoReturn

from memori.errors import escape_unprintable
from memori.version import __version__

_COMMANDS = (
    "run",
    "map",
    "nipype",
    "accept",
    "adopt",
    "ls",
    "show",
    "why",
    "graph",
    "log",
    "status",
    "report",
    "verify",
    "prune",
    "provenance",
    "config",
    "demo",
    "completion",
    "version",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after `memori`; those of this process unless given.
    """
    _open_streams()
    escape_unprintable(sys.stdout)
    words, own_words = _cut(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser().print_help(sys.stderr)
        return 2
    chosen = parser().parse_args(_separated(words))
    if own_words:
        chosen.own_words = own_words
    try:
        code: int = chosen.run(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        from memori.processes.interrupted import end_as_interrupted

        end_as_interrupted()
        code = 130
    except BrokenPipeError:  # as of `memori log | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except Exception as error:
        code = _told(error, is_full=chosen.debug or bool(os.environ.get("MEMORI_DEBUG")))
    return code


def _open_streams() -> None:
    """Have nothing in the place of what is closed (``>&-``), so that no file takes its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        pass
    os.close(number)
    if sys.stdout is None or sys.stderr is None:
        sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
        sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


_LAST_STREAM = 2
_WITH_COMMAND = ("run", "map", "accept", "adopt", "nipype")
_VALUED = ("-d", "-o", "-c", "-n", "-j", "--plugin")


def _cut(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take off what follows a ``--`` of `memori why` and `graph`: the arguments of the script.

    Its options are put first, because argparse wants what has no name in a row.
    """
    place = next((n for n, word in enumerate(words) if not word.startswith("-")), len(words))
    if list(words[place : place + 1]) not in (["why"], ["graph"]):
        return list(words), []
    end = list(words).index("--") if "--" in words else len(words)
    options: list[str] = []
    names: list[str] = []
    rest = iter(words[place + 1 : end])
    for word in rest:
        if word in ("--case", "-o"):
            options += [word, *islice(rest, 1)]
        else:
            (options if word.startswith("-") else names).append(word)
    return [*words[: place + 1], *options, *names], list(words[end + 1 :])


def _separated(words: Sequence[str]) -> list[str]:
    """Put a ``--`` before the command of `memori run` and the like, where there is none.

    Each option then takes one value; ``-o A B --`` takes several.
    """
    place = next((n for n, word in enumerate(words) if not word.startswith("-")), len(words))
    if place == len(words) or words[place] not in _WITH_COMMAND:
        return list(words)
    first = place + 1
    while first < len(words) and words[first].startswith("-") and words[first] != "--":
        first += 2 if words[first] in _VALUED else 1
    if first >= len(words) or "--" in words[place:]:
        return list(words)
    return [*words[:first], "--", *words[first:]]


class _Parser(argparse.ArgumentParser):
    """Ends with one line that says what was meant, as every error of memori does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and what is spelled like it."""
        from difflib import get_close_matches

        message = message.partition(" (choose from")[0]
        wrong = re.findall(r"'([^']+)'$|: (--?\S+)", message)
        word = "".join(wrong[0]) if wrong else ""
        near = get_close_matches(word, _words_of(self), n=1) if word else []
        hint = f" (did you mean {near[0]}?)" if near else ""
        if near == [word]:
            hint = " (other commands have it)"
        self.exit(2, f"{self.prog}: {message}{hint}; {self.prog} --help tells what there is\n")


def _words_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options and commands that a parser and those below it know."""
    for action in parser._actions:
        yield from action.option_strings
        yield from (str(each) for each in action.choices or ())
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _words_of(inner)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line, with all commands."""
    made = _Parser(prog="memori", description="Makes a script of neuroimaging steps remember.")
    made.add_argument("--version", action="version", version=f"memori {__version__}")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        import_module(f"memori.cli.{command}").add_to(commands)
    return made


def _told(error: Exception, *, is_full: bool) -> int:
    """Say in one line what went wrong, and where, if asked; return the exit code."""
    from memori.errors import MemoriError

    if is_full:
        import traceback

        traceback.print_exception(error)
    name = "" if isinstance(error, (MemoriError, OSError)) else f"{type(error).__name__}: "
    print(f"memori: {name}{error}", file=sys.stderr)
    return 1
