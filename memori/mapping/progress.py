"""Progress: how far a map is.

How many cases are done, and how many of them hit, ran and failed; the stages that run now, and for
how long; the time left, from what stages took so far or in earlier runs.

Not promised: the time left, where nobody knows yet how long the stages take.
"""

from __future__ import annotations

import time

from memori.place import Place
from memori.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from memori.mapping.observer import Event
    from memori.node import Node

_MOST_RUNNING = 8  # stages that are listed


class Progress:
    """Counts what happens: an `Observer`.

    Parameters
    ----------
    cases : int
        How many there are.
    stages : sequence of str
        Names of the stages of each.
    at_once : int
        How many run at the same time.
    earlier : callable
        Given the name of a stage, returns the seconds that it took in an earlier run, or None.

    Attributes
    ----------
    hits, ran, failures : int
        How many cases are over, and how.
    running : dict of (int, str) to float
        When the stages began that run now.
    """

    def __init__(
        self,
        cases: int,
        stages: Sequence[str],
        at_once: int = 1,
        earlier: Callable[[str], float | None] = lambda stage: None,
    ) -> None:
        from threading import Lock

        self.cases = cases
        self.hits = self.ran = self.failures = 0
        self.running: dict[tuple[int, str], float] = {}
        self._at_once = at_once
        self._earlier = earlier
        self._ended = dict.fromkeys(stages, 0)
        self._seconds: dict[str, float] = {}
        self._known: dict[str, float | None] = {}
        self._lock = Lock()
        self.began = time.monotonic()

    @property
    def done(self) -> int:
        """How many cases are over."""
        return self.hits + self.ran + self.failures

    def decided(self, event: Event) -> None:
        """Count what hits."""
        if event.hit:
            with self._lock:
                self._count(event.stage)

    def started(self, event: Event) -> None:
        """Note what runs."""
        with self._lock:
            self.running[event.number, str(event.stage)] = time.monotonic()

    def finished(self, event: Event) -> None:
        """Note how long a stage took, or that a case is over."""
        self._over(event)
        with self._lock:
            if event.stage is None:
                self.hits += bool(event.hit)
                self.ran += not event.hit
            else:
                self._count(event.stage, event.seconds or 0.0)

    def failed(self, event: Event) -> None:
        """Note that a stage does not run any more, or that a case failed."""
        self._over(event)
        with self._lock:
            self.failures += event.stage is None

    def _count(self, stage: str | None, seconds: float = 0.0) -> None:
        name = str(stage)
        self._ended[name] = self._ended.get(name, 0) + 1
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def _over(self, event: Event) -> None:
        with self._lock:
            for number, stage in list(self.running):
                if number == event.number and event.stage in (None, stage):
                    del self.running[number, stage]

    def going(self) -> list[tuple[str, int, float]]:
        """Return the stages that run now, each with how many and the seconds of the longest."""
        now = time.monotonic()
        with self._lock:
            began = [(stage, at) for (_, stage), at in self.running.items()]
        found: dict[str, tuple[int, float]] = {}
        for stage, at in began:
            count, longest = found.get(stage, (0, 0.0))
            found[stage] = count + 1, max(longest, now - at)
        listed = [(stage, count, longest) for stage, (count, longest) in found.items()]
        return sorted(listed, key=lambda each: -each[2])

    def left(self) -> float | None:
        """Return the seconds that are left, as far as that can be told; None if it cannot."""
        with self._lock:
            ended, seconds = dict(self._ended), dict(self._seconds)
        total = -sum(longest for _, _, longest in self.going())
        for stage, count in ended.items():
            if count:
                mean: float | None = seconds.get(stage, 0.0) / count
            else:
                if stage not in self._known:
                    self._known[stage] = self._earlier(stage)
                mean = self._known[stage]
            if mean is None:
                return self._left_by_cases()
            total += mean * max(0, self.cases - count)
        return max(0.0, total) / self._at_once

    def _left_by_cases(self) -> float | None:
        if not self.done:
            return None
        return (time.monotonic() - self.began) / self.done * (self.cases - self.done)

    def left_told(self) -> str:
        """Return the time that is left as text; none if it is nothing to speak of."""
        left = self.left() if self.done < self.cases else None
        return "" if left is None or left < 1 else f"about {duration(left)} left"

    def counts(self) -> str:
        """Return how many cases are done, and how they went."""
        told = [(self.hits, "hit"), (self.ran, "ran"), (self.failures, "failed")]
        how = ", ".join(f"{count} {word}" for count, word in told if count)
        return f"{self.done} of {self.cases} cases done" + (f" ({how})" if how else "")

    def running_now(self) -> str:
        """Return the stages that run now, and for how long."""
        going = self.going()
        named = [
            f"{stage}{f' ({count} times)' if count > 1 else ''} {duration(seconds)}"
            for stage, count, seconds in going[:_MOST_RUNNING]
        ]
        more = len(going) - _MOST_RUNNING
        return ", ".join([*named, *([f"and {more} more"] if more > 0 else [])])

    def __str__(self) -> str:
        parts = [self.counts()]
        running, left = self.running_now(), self.left_told()
        parts += [f"running: {running}"] if running else []
        parts += [left] if left else []
        return "; ".join(parts)


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> [duration(seconds) for seconds in (3.4, 90, 7300, 200000)]
    ['3 s', '1 min 30 s', '2 h 1 min', '2 d 7 h']
    """
    whole = round(seconds)
    for small, large, words in ((60, 3600, ("min", "s")), (3600, 86400, ("h", "min"))):
        if small <= whole < large:
            part = (whole % small) // (small // 60)
            return f"{whole // small} {words[0]}" + (f" {part} {words[1]}" if part else "")
    if whole >= 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    return f"{whole} s"


def progress_of(
    stages: Sequence[Node], cases: Sequence[Mapping[str, Any]], at_once: int | None
) -> Progress:
    """Return the progress of a map, which knows how long stages took in earlier runs."""
    named = {getattr(each, "stage_name", ""): each for each in stages}

    def earlier(stage: str) -> float | None:
        folder = getattr(named.get(stage), "hash_output", None)
        if folder is None or not cases:
            return None
        try:
            root = Place(stage, folder).fill(cases[0])
        except ValueError:  # it lies where nobody knows before
            return None
        entry = Store(root, stage).latest()
        return None if entry is None else float(entry.record["ran"]["seconds"])

    return Progress(len(cases), [*filter(None, named)], at_once or 1, earlier)
