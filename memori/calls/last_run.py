"""Which runs are the last run: all that ran without a long pause.

A script runs stages of many cases, in several processes and on several hosts. Nothing says that
these belong together but that one began soon after another.
"""

from __future__ import annotations

from memori.calls.age import seconds_since_1970

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memori.store import Entry

PAUSE = 300  # seconds


def began(entry: Entry, ended: float) -> float:
    """Return when the run of an entry began, given when the entry was written."""
    accepted = entry.record.get("accepted")
    ran = entry.record.get("ran") or {}
    return ended if accepted or "at" not in ran else min(ended, seconds_since_1970(ran["at"]))


def without_pause(runs: Iterable[tuple[float, float]]) -> Iterator[int]:
    """Yield the places of the runs before the first pause.

    Parameters
    ----------
    runs : iterable of (float, float)
        When each ended and began (seconds since 1970), those that ended last first. No more are
        taken than needed.

    Examples
    --------
    >>> list(without_pause([(1000, 990), (995, 900), (10, 5)]))
    [0, 1]
    """
    first = None
    for place, (ended, start) in enumerate(runs):
        if first is not None and first - ended > PAUSE:
            return
        first = start if first is None else min(first, start)
        yield place
