"""Tables as plots: a line for each column of numbers, as points that the page draws.

Not promised: all of a long table (every so many rows are drawn), and columns of words.
"""

from __future__ import annotations

import csv
import math
import os
from typing import Any

MOST_COLUMNS = 12
_MOST_ROWS = 400
_MOST_BYTES = 20_000_000


def lines_of(path: str) -> list[dict[str, Any]]:
    """Return the columns of numbers in a file: their name, points (null where there is none).

    Parameters
    ----------
    path : str
        A table with heads (.tsv, .csv), numbers in lines (.txt, .1D, .par), or an array (.npy).
    """
    if os.path.getsize(path) > _MOST_BYTES:
        return []
    rows, heads = _array(path) if path.endswith(".npy") else _text(path)
    told = []
    for place, head in enumerate(heads):
        points = [_number(row[place]) if place < len(row) else None for row in rows]
        known = [each for each in points if each is not None]
        if len(known) > 1 and 2 * len(known) >= len(points):
            step = max(1, len(points) // _MOST_ROWS)
            told.append({"name": head, "points": points[::step], "rows": len(points)})
    return told


def _array(path: str) -> tuple[list[list[Any]], list[str]]:
    import numpy as np

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim not in (1, 2) or array.dtype.kind not in "iufb":
        return [], []
    if array.ndim == 1:
        array = array[:, None]
    elif array.shape[0] < array.shape[1] and array.shape[1] > MOST_COLUMNS:
        array = array.T
    array = np.asarray(array[:, : MOST_COLUMNS + 1])
    return array.tolist(), [str(place) for place in range(array.shape[1])]


def _text(path: str) -> tuple[list[list[Any]], list[str]]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    if path.endswith((".tsv", ".csv")):
        is_tsv = path.endswith(".tsv")  # BIDS has no quotes there
        kind = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if is_tsv else {"delimiter": ","}
        found = list(csv.reader(lines, **kind))
    else:
        found = [line.replace(",", " ").split() for line in lines]
    if not found:
        return [], []
    has_heads = all(_number(word) is None for word in found[0])
    heads = found[0] if has_heads else [str(place) for place in range(len(found[0]))]
    return found[has_heads:], [str(each) for each in heads]


def _number(word: Any) -> float | None:
    try:
        number = float(word)
    except (TypeError, ValueError):
        return None
    return float(f"{number:.5g}") if math.isfinite(number) else None
