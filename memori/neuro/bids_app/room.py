"""How many cases fit into memory at once, by what earlier runs of the stages took."""

from __future__ import annotations

import os
from collections.abc import Iterator

from memori.store import memories_below


def at_once(available: int, work_dir: str, most: int) -> int | None:
    """Return how many processes fit into memory; None if no earlier run tells.

    Parameters
    ----------
    available : int
        Bytes.
    work_dir : str
        Where runs are remembered.
    most : int
        As many as there are processors for.
    """
    peak = max(_peaks(os.path.abspath(work_dir)), default=0)
    return max(1, min(most, available // peak)) if peak else None


def _peaks(folder: str) -> Iterator[int]:
    for memory in memories_below(folder, inside_runs=False):
        for stage in memory.stages():
            entry = memory.latest(stage)
            yield int(((entry and entry.record.get("ran")) or {}).get("peak") or 0)
