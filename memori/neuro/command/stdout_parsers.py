"""Values made of what a command prints, for `Stdout(numbers)` and the like.

Not promised: to guess. What does not fit raises a ValueError, and the run fails with it.
"""

from __future__ import annotations

import re


def numbers(text: str) -> list[float]:
    r"""Return all numbers of a text (``fslstats -M -S``).

    Examples
    --------
    >>> numbers("12.5 3\n")
    [12.5, 3.0]
    """
    return [float(word) for word in re.split(r"[\s,]+", text.strip()) if word]


def table(text: str) -> list[list[float | int | str]]:
    r"""Return the rows of a table; cells are separated by tabs or blanks, ``#`` begins a comment.

    Examples
    --------
    >>> table("# index  mean\n1  0.5\n2  n/a\n")
    [[1, 0.5], [2, 'n/a']]
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [
        [_cell(cell) for cell in (line.split("\t") if "\t" in line else line.split())]
        for line in lines
    ]


def pairs(text: str) -> dict[str, float | int | str]:
    r"""Return ``name: value`` and ``name = value`` lines as a dict (``wb_command``, ``mrinfo``).

    Examples
    --------
    >>> pairs("Type:   Volume\nNumber of Maps: 2\n")
    {'Type': 'Volume', 'Number of Maps': 2}
    """
    found = (re.fullmatch(r"\s*(.+?)\s*(?::|=)\s*(.*?)\s*", line) for line in text.splitlines())
    return {match[1]: _cell(match[2]) for match in found if match is not None}


def _cell(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()
