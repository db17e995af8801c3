"""How commands tell what they found: tables, human units, colours on a terminal, or JSON.

Every command that asks takes ``--json``: one JSON document on stdout, with sizes in bytes, times in
ISO 8601 (UTC) and paths absolute, whatever the terminal.

Not promised: the columns of the text, which are for people; scripts read the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from memori.digest.values import finite
from memori.processes.settings import setting

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Declare the folder below which memory is looked for."""
    parser.add_argument("folder", nargs="?", default=".", help="where to look (default: here)")


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare where runs are remembered, which may be set for all commands."""
    parser.add_argument(
        "-d", metavar="DIR", dest="folder", help="where runs are remembered (default: the setting "
        "`folder`, else .memori)",
    )  # fmt: skip


def place_of(arguments: argparse.Namespace) -> str:
    """Return the folder in which runs are remembered."""
    return str(arguments.folder or setting("folder"))


def print_json(document: Any) -> None:
    """Print a document as JSON."""
    print(json.dumps(finite(document), indent=2))


def size(count: float) -> str:
    """Return bytes in human units.

    Examples
    --------
    >>> size(999), size(1500), size(2_340_000_000)
    ('999 B', '1.5 kB', '2.3 GB')
    """
    unit = "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    Examples
    --------
    >>> duration(0.0042), duration(14.2), duration(3700), duration(200_000)
    ('4 ms', '14 s', '62 min', '2 days')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for most, unit, length in ((90, "s", 1), (5400, "min", 60), (130_000, "h", 3600)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def ago(moment: float) -> str:
    """Return how long ago a moment was (seconds since 1970); "never" for 0."""
    past = time.time() - moment
    if not moment:
        return "never"
    return "just now" if past < 1 else f"{duration(past)} ago"


def date(moment: float) -> str:
    """Return a moment in the local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def iso(moment: float) -> str | None:
    """Return a moment in ISO 8601, UTC; None for 0."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) if moment else None


def path(where: str) -> str:
    """Return a path as short as it can be written from here."""
    short = os.path.relpath(where)
    return where if short.startswith(os.pardir) else short


def coloured(text: str, *colours: str) -> str:
    """Return a text in colours where stdout is a terminal and NO_COLOR is not set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return "".join(f"\033[{_COLOURS[each]}m" for each in colours) + text + "\033[0m"


def print_counted(texts: Iterable[str]) -> None:
    """Print texts, the most frequent first, with how often each is there."""
    for text, count in Counter(texts).most_common():
        print(f"    {f'{count} x ' if count > 1 else ''}{text}")


def print_diffs(diffs: Iterable[str]) -> None:
    """Print unified diffs, each once."""
    for line in (line for diff in dict.fromkeys(diffs) for line in diff.splitlines()):
        colour = {"-": "red", "+": "green"}.get(line[:1])
        print(f"      {coloured(line, colour) if colour else line}")


def print_table(rows: Iterable[Sequence[str]], heads: Sequence[str], right: str = "") -> None:
    """Print rows under their heads, those of the columns named in `right` to the right.

    Parameters
    ----------
    rows : iterable of sequence of str
        The cells.
    heads : sequence of str
        Of the columns.
    right : str, optional
        The heads of columns of numbers, with blanks between.
    """
    table = [list(heads), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    numbers = [head in right.split() for head in heads]
    for place, row in enumerate(table):
        cells = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, numbers, strict=True)
        )
        line = "  ".join(cells).rstrip()
        print(line if place else coloured(line, "dim"))
