"""Peaks: the most memory that workers were seen to hold, for who has to say that one was killed.

A process that the system ended for its memory tells nothing any more, so it is looked at while it
works, with all that it has started. What the system itself says of ended children is taken where it
is more: it sees what grew between two looks.

Not promised: the peak of workers on other machines; shared pages are counted with each process.
"""

from __future__ import annotations

import os
import sys
import time
from resource import RUSAGE_CHILDREN, getrusage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OFTEN = 0.1  # seconds between two looks
_SHARE = 0.02  # of the time, at most, that looking takes
_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes in the unit of ru_maxrss


class Peaks:
    """The most memory that worker processes were seen to hold.

    Parameters
    ----------
    at_work : callable
        Returns what each worker process that is at work is at: the names of orders.
    """

    def __init__(self, at_work: Callable[[], dict[int, str]]) -> None:
        self._at_work = at_work
        self._next = 0.0
        self._seen: dict[int, _Seen] = {}
        self._ended = _of_ended_children()
        self._kills = _kills_for_memory()

    def look(self) -> None:
        """Look at the workers, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._next:
            return
        for process, order in self._at_work().items():
            seen = self._seen.get(process)
            if seen is None or seen.order != order:
                seen = self._seen[process] = _Seen(order)
            seen.look(process)
        took = time.monotonic() - began
        self._next = began + max(_OFTEN, took / _SHARE)

    def of_dead(self, process: int) -> int | None:
        """Return the most bytes that a worker held, which is dead; None if nobody knows."""
        seen, ended = self._seen.pop(process, None), _of_ended_children()
        grown, self._ended = ended if ended > self._ended else 0, max(ended, self._ended)
        return max(grown, 0 if seen is None else seen.peak) or None

    def is_out_of_memory(self) -> bool:
        """Tell whether the system has ended processes for memory since the last time."""
        before, self._kills = self._kills, _kills_for_memory()
        return self._kills > before


class _Seen:
    """What was seen of a worker process while it was at one thing."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.peak = 0
        self._highest: int | None = None  # since the process began, when it was first looked at

    def look(self, process: int) -> None:
        now, highest = _held(process)
        if self._highest is None:
            self._highest = highest
        own = highest if highest > self._highest else now
        self.peak = max(self.peak, own + sum(_held(each)[0] for each in _below(process)))


def _held(process: int) -> tuple[int, int]:
    """Return the bytes that a process holds, and the most that it ever did."""
    found = {"VmRSS": 0, "VmHWM": 0}
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, told = line.partition(":")
                if name in found:
                    found[name] = 1024 * int(told.split()[0])
    except (OSError, ValueError, IndexError):
        pass  # it is over, or no Linux
    return found["VmRSS"], found["VmHWM"]


def _below(process: int) -> Iterator[int]:
    """Yield the processes that a process has started, and those below them."""
    try:
        threads = os.listdir(f"/proc/{process}/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                children = [int(each) for each in file.read().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _below(child)


def _of_ended_children() -> int:
    return getrusage(RUSAGE_CHILDREN).ru_maxrss * _MAXRSS


def _kills_for_memory() -> int:
    """Return how many processes the system has ended for memory since it began."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError):
        return 0
