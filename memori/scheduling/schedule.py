"""Scheduling: pieces of work, each as soon as what it needs is there.

A plan says which pieces there are, and which can begin when one is done. A few more are placed than
there are workers, so that none waits for the next. A piece that says it keeps several threads busy
takes the place of as many; memory and GPUs are shared by what is out. One that would only wait for
another run begins when nothing else can.
After a failure nothing new begins, and what runs already is waited for.

Not promised: order among pieces that do not depend on each other.
"""

from __future__ import annotations

from memori.errors import MemoriError, WorkerError, note
from memori.scheduling.orders import Answer
from memori.signature.resources import Resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol, TypeAlias

    from memori.scheduling.dispatch import Dispatch
    from memori.scheduling.orders import Carrier
    from memori.scheduling.workers import Workers

    Key: TypeAlias = Any

    class Piece(Protocol):
        """A piece of work."""

        @property
        def waits(self) -> bool:
            """Whether it may have to wait for another run."""

        @property
        def resources(self) -> Resources:
            """What it needs."""

    class Plan(Protocol):
        """What is to be done, in pieces."""

        @property
        def carrier(self) -> Carrier:
            """Who does it in a worker."""

        @property
        def has_more(self) -> bool:
            """Whether there is more than was taken by `next` and came of `finish` and `fail`."""

        @property
        def resources(self) -> Resources:
            """What the next piece needs."""

        @property
        def hear(self) -> Callable[[dict[str, Any]], None] | None:
            """What is given what stages tell; None if nobody wants to know."""

        def next(self) -> Any:
            """Return a piece that can begin; None if it turned out to be done."""

        def asked(self, piece: Any) -> object | None:
            """Return what the carrier is asked; None if nobody wants it any more."""

        def finish(self, piece: Any, made: Any) -> Iterable[Any]:
            """Take what came of a piece, and return those that can begin now."""

        def fail(self, piece: Any, answer: Answer) -> Iterable[Any] | None:
            """Take what a piece raised; return what can begin now, or None if nothing is to."""

        def describe(self, piece: Any, stage: str | None) -> str:
            """Return what messages call a piece, and the stage that it was at."""


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


def carry_out_plan(plan: Plan, workers: Workers) -> Iterator[None]:
    """Do what a plan says on workers; yields whenever something may have been done.

    Who leaves it before its end ends what is going on.

    Raises
    ------
    BaseException
        The first failure after which the others did not go on, with a note on each further one.
    """
    from memori.processes.interrupts import terminable
    from memori.scheduling.dispatch import Dispatch

    dispatch = Dispatch(workers, plan.describe, plan.hear)
    going = _Going(plan, workers, dispatch)
    try:
        while going.is_active():
            with terminable(), dispatch.ended_by_errors():
                going.advance()
            yield
    except BaseException:  # who asks for more left
        with terminable():
            dispatch.close(is_left=True)
        raise
    dispatch.close()
    if going.failures:
        first, *others = going.failures
        for other in others:
            note(first, f"memori: another stage failed as well: {other!r}")
        raise first


class _Going:
    """A plan that is being carried out."""

    def __init__(self, plan: Plan, workers: Workers, dispatch: Dispatch) -> None:
        from collections import deque

        self._plan = plan
        self._workers = workers
        self._capacity = workers.capacity
        self._dispatch = dispatch
        self._ready: deque[Piece] = deque()
        self._waiting: deque[Piece] = deque()
        self._alone: deque[Piece] = deque()
        self._busy: dict[Piece, int] = {}  # with the places that they take
        self._one_runs_alone = False
        self._has_begun = False
        self.failures: list[BaseException] = []

    def is_active(self) -> bool:
        """Tell whether something is to be done or waited for."""
        left = self._ready or self._waiting or self._alone or self._plan.has_more
        return bool(len(self._dispatch) or (left and not self.failures))

    def advance(self) -> None:
        """Begin what can begin, or else wait for something to end."""
        piece = self._next()
        if piece is not None:
            self._begin(piece)
        may_begin = piece is not None or self._takes_more()
        again: list[Piece] = []
        for ended, outcome in self._dispatch.collect(wait=not may_begin):
            self._busy.pop(ended, None)
            self._one_runs_alone = False
            if outcome == "again":
                again.append(ended)
            elif outcome == "alone":
                self._alone.append(ended)
            else:
                self._take(ended, outcome)
        self._ready.extendleft(reversed(again))

    def _takes_more(self) -> bool:
        is_open = not self.failures and not self._one_runs_alone and self._plan.has_more
        return is_open and self._has_room(self._plan.resources)

    def _next(self) -> Piece | None:
        """Choose what can begin now; a piece that wants more than there is runs alone."""
        if self.failures or self._one_runs_alone:
            return None
        too_much: set[Resources] = set()
        for place, piece in enumerate(self._ready if self._has_room(Resources()) else ()):
            if piece.resources not in too_much and self._has_room(piece.resources):
                del self._ready[place]
                return piece
            too_much.add(piece.resources)
        if self._takes_more():
            return self._plan.next()  # type: ignore[no-any-return]
        if self._waiting and self._is_free():
            return self._waiting.popleft()
        if self._alone and not (self._ready or self._waiting or self._busy):
            self._one_runs_alone = True
            return self._alone.popleft()
        return None

    def _is_free(self) -> bool:
        """Tell whether a worker has nothing to do."""
        return self._capacity is None or sum(self._busy.values()) < self._capacity

    def _has_room(self, wanted: Resources) -> bool:
        """Tell whether a piece can begin; what wants more than there is has room alone."""
        if not self._busy:
            return True
        if wanted.memory or wanted.gpus:
            shared, out = self._workers.shared, [piece.resources for piece in self._busy]
            is_short = (
                shared.memory is not None
                and wanted.memory
                and sum(each.memory or 0 for each in out) + wanted.memory > shared.memory
            )
            # of GPUs that nobody counted there is one
            known = shared.gpus is not None or self._capacity is None
            most = shared.gpus if known else 1
            gpus = sum(each.gpus or 0 for each in out)
            if is_short or (wanted.gpus and most is not None and gpus + wanted.gpus > most):
                return False
        if self._capacity is None:
            return True
        busy, places = self._busy.values(), self._workers.places_of(wanted)
        if sum(busy) + places <= self._capacity:
            return True
        is_all_alike = places == 1 == max(busy)  # so that whoever ends makes room for any
        return is_all_alike and len(busy) <= 2 * self._capacity

    def _begin(self, piece: Piece) -> None:
        alone, self._one_runs_alone = self._one_runs_alone, False
        asked = self._plan.asked(piece)
        if asked is None:
            return
        try:
            self._dispatch.place(piece, self._plan.carrier, asked, piece.resources, alone=alone)
        except (MemoriError, RuntimeError) as error:  # RuntimeError of one that was shut down
            if not self._has_begun:
                raise
            told = f"{self._plan.describe(piece, None)} was not tried: {error}"
            self._take(piece, Answer(None, WorkerError(told), told))
            return
        self._has_begun, self._one_runs_alone = True, alone
        self._busy[piece] = self._workers.places_of(piece.resources)

    def _take(self, piece: Piece, answer: Answer) -> None:
        """Take what came of a piece, and see what is ready now."""
        further: Iterable[Piece] | None = ()
        if answer.made is not None:
            further = self._plan.finish(piece, answer.made)
        elif answer.error is not None:
            further = self._plan.fail(piece, answer)
        if further is None:
            assert answer.error is not None
            self.failures.append(answer.error)
            self._dispatch.stop()
            return
        for each in further:
            (self._waiting if each.waits else self._ready).append(each)
