"""Scheduling: the nodes of a graph, each as soon as what it needs is there.

What is remembered is recalled here, and takes no worker. What is not is placed with one; a few more
are placed than there are workers, so that none waits for the next while this process looks up
another. A node that says it keeps several threads busy takes the place of as many. After a failure
nothing new begins, and what runs already is waited for.

Not promised: order among nodes that do not depend on each other.
"""

from __future__ import annotations

from memori.errors import MemoriError, WorkerError
from memori.scheduling.orders import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Protocol, TypeAlias

    from memori.node import Inputs, Node
    from memori.results import Outcome
    from memori.scheduling.dispatch import Dispatch
    from memori.scheduling.workers import Workers

    Key: TypeAlias = Any

    class Plan(Protocol):
        """What is to be run under each key of a graph."""

        def order(self, key: Key) -> tuple[Node, Inputs]:
            """Return what to call for a key, now that what it needs is there."""

        def finish(self, key: Key, run: Outcome) -> None:
            """Take what a key's call returned."""

        def fail(self, key: Key, answer: Answer) -> bool:
            """Take what a key's call raised; tell whether the others go on."""

        def threads(self, key: Key) -> int:
            """Return how many threads a key keeps busy."""

        def describe(self, key: Key, stage: str | None) -> str:
            """Return what messages call a key, and the stage that it was at."""


def ordered(predecessors: Mapping[Key, Iterable[Key]]) -> list[Key]:
    """Return the nodes of a graph so that each comes after what it needs, else as they stand.

    Raises
    ------
    graphlib.CycleError
        If some need each other; ``args[1]`` is the cycle.
    """
    from graphlib import TopologicalSorter

    TopologicalSorter(predecessors).prepare()
    waiting = list(predecessors)
    order: list[Key] = []
    placed: set[Key] = set()
    while waiting:
        node = next(n for n in waiting if placed.issuperset(predecessors[n]))
        waiting.remove(node)
        placed.add(node)
        order.append(node)
    return order


def run_graph(predecessors: Mapping[Key, Iterable[Key]], workers: Workers, plan: Plan) -> None:
    """Run the nodes of a graph, each as soon as its predecessors are finished.

    Parameters
    ----------
    predecessors : mapping
        For each node those that it needs.
    workers : Workers
        Where they run, and how much may run at once.
    plan : Plan
        What they are.

    Raises
    ------
    BaseException
        The first failure after which the others did not go on, with a note on each further one.
    """
    from memori.processes.interrupts import terminable
    from memori.scheduling.dispatch import Dispatch

    with terminable(), Dispatch(workers, plan.describe) as dispatch:
        going = _Going(predecessors, workers, plan, dispatch)
        while going.is_active():
            going.advance()
    if going.failures:
        first, *others = going.failures
        for other in others:
            first.add_note(f"memori: another stage failed as well: {other!r}")
        raise first


class _Going:
    """A graph that is being run."""

    def __init__(
        self,
        predecessors: Mapping[Key, Iterable[Key]],
        workers: Workers,
        plan: Plan,
        dispatch: Dispatch,
    ) -> None:
        from collections import deque
        from graphlib import TopologicalSorter

        self._graph = TopologicalSorter(predecessors)
        self._graph.prepare()
        self._capacity = workers.capacity
        self._plan = plan
        self._dispatch = dispatch
        self._ready = deque(self._graph.get_ready())
        self._alone: deque[Key] = deque()
        self._busy: dict[Key, int] = {}  # with the threads that they keep busy
        self._one_runs_alone = False
        self._has_begun = False
        self.failures: list[BaseException] = []

    def is_active(self) -> bool:
        """Tell whether something is to be run or waited for."""
        waits = self._ready or self._alone
        return bool(len(self._dispatch) or (waits and not self.failures))

    def advance(self) -> None:
        """Begin what can begin, or else wait for something to end."""
        key = self._next()
        if key is not None:
            self._begin(key)
        again: list[Key] = []
        for ended, outcome in self._dispatch.collect(wait=key is None):
            self._busy.pop(ended, None)
            self._one_runs_alone = False
            if outcome == "again":
                again.append(ended)
            elif outcome == "alone":
                self._alone.append(ended)
            else:
                self._take(ended, outcome)
        self._ready.extendleft(reversed(again))

    def _next(self) -> Key | None:
        """Choose what can begin now; a node that wants more than there is runs alone."""
        if self.failures or self._one_runs_alone:
            return None
        too_many: float = float("inf")
        for place, key in enumerate(self._ready if self._has_room(1) else ()):
            threads = self._plan.threads(key)
            if threads < too_many and self._has_room(threads):
                del self._ready[place]
                return key
            too_many = min(threads, too_many)
        if self._alone and not self._ready and not self._busy:
            self._one_runs_alone = True
            return self._alone.popleft()
        return None

    def _has_room(self, threads: int) -> bool:
        if self._capacity is None or not self._busy:
            return True
        busy = self._busy.values()
        if sum(busy) + threads <= self._capacity:
            return True
        is_all_alike = threads == 1 == max(busy)  # so that whoever ends makes room for any
        return is_all_alike and len(busy) <= 2 * self._capacity

    def _begin(self, key: Key) -> None:
        node, inputs = self._plan.order(key)
        try:
            run = node.recall(*inputs)
        except Exception:
            run = None  # the call meets the same, and tells it
        alone, self._one_runs_alone = self._one_runs_alone, False
        if run is not None:
            self._take(key, Answer(run))
            return
        try:
            self._dispatch.place(key, node, inputs, alone=alone)
        except (MemoriError, RuntimeError) as error:  # RuntimeError of one that was shut down
            if not self._has_begun:
                raise
            told = f"{self._plan.describe(key, None)} was not tried: {error}"
            self._take(key, Answer(None, WorkerError(told), told))
            return
        self._has_begun, self._one_runs_alone = True, alone
        self._busy[key] = self._plan.threads(key)

    def _take(self, key: Key, answer: Answer) -> None:
        """Take what came of a node, and see what is ready now."""
        if answer.run is not None:
            self._plan.finish(key, answer.run)
        elif answer.error is not None and not self._plan.fail(key, answer):
            self.failures.append(answer.error)
            self._dispatch.stop()
        self._graph.done(key)
        self._ready += self._graph.get_ready() if self._graph.is_active() else ()
