"""The columns of recordings that BIDS keeps in tables without a header line.

Physiological recordings and stimuli (``_physio.tsv.gz``, ``_stim.tsv.gz``) are named by ``Columns``
of their JSON: that beside them, or, by inheritance, one above them whose name says no more than
theirs. Motion (``_motion.tsv``) is named by ``channels.tsv`` beside it. Many a file has a header
line all the same: one that holds only numbers is none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from memori.digest.values import from_text

_SUFFIXES = frozenset({"physio", "stim", "motion"})


def names_elsewhere(path: str, first: list[str]) -> list[str] | None:
    """Return the names of the columns of a table whose first line is no header.

    Parameters
    ----------
    path : str
        The table.
    first : list of str
        The cells of its first line.

    Returns
    -------
    list of str or None
        Empty if nothing names them; None if the first line is a header.
    """
    folder, name = os.path.split(os.path.abspath(path))
    stem = name.removesuffix(".gz").removesuffix(".tsv")
    *parts, suffix = stem.split("_")
    if not (suffix in _SUFFIXES or name.endswith(".gz")) or not all(map(_is_number, first)):
        return None
    channels = os.path.join(folder, "_".join([*parts, "channels.tsv"]))
    if suffix == "motion" and os.path.isfile(channels):
        return _column(channels, "name")
    for sidecar in _sidecars(folder, parts, suffix):
        with open(sidecar, encoding="utf-8") as file:
            described = from_text(file.read())
        if isinstance(described, dict) and isinstance(described.get("Columns"), list):
            return [str(each) for each in described["Columns"]]
    return []


def _is_number(cell: str) -> bool:
    try:
        return cell == "n/a" or float(cell) is not None
    except ValueError:
        return False


def _column(path: str, name: str) -> list[str]:
    """Return the cells of one column of a table."""
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    if not rows or name not in rows[0]:
        return []
    return [row[rows[0].index(name)] for row in rows[1:]]


def _sidecars(folder: str, parts: list[str], suffix: str) -> Iterator[str]:
    """Yield the JSON files that describe a file: the nearest first, then those that say most."""
    while True:
        found = []
        for name in os.listdir(folder):
            *said, kind = name.removesuffix(".json").split("_")
            if name.endswith(".json") and kind == suffix and set(said) <= set(parts):
                found.append((-len(said), os.path.join(folder, name)))
        yield from (path for _, path in sorted(found))
        here, above = os.path.basename(folder), os.path.dirname(folder)
        if not any(map(_is_of_a_subject, (here, os.path.basename(above)))):
            return  # the dataset's own folder, or none of a dataset
        folder = above


def _is_of_a_subject(folder: str) -> bool:
    return folder.startswith(("sub-", "ses-"))
