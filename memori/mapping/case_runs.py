"""Cases on their way: what is known of each, and what of it can be done next.

The stages of all cases are one graph. A case begins as one piece of work, in which a worker goes as
far as it can (`memori.graph.stretch`); where several of its stages can run at once each of them is
a piece of its own, and so is what comes after them. As long as cases turn out to be remembered as a
whole, several are recalled in one piece.

A stage that is being run for another case already is not waited for as long as there is anything
else to do.
"""

from __future__ import annotations

from memori.aside import aside
from memori.calls.telling import listener, telling_of
from memori.calls.twin import meeting_place
from memori.graph.stretch import Stretch, Track, recall_far
from memori.mapping.failure import Failure
from memori.mapping.observer import Event, event_of, tell_all
from memori.pipeline_run import PipelineRun
from memori.processes import temporary
from memori.processes.watchdog import remove_folder
from memori.scheduling.orders import answer_of
from memori.scheduling.schedule import carry_out_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from memori.digest.values import JSON
    from memori.graph.stretch import Reached
    from memori.graph.wiring import Wiring
    from memori.mapping.observer import Observer
    from memori.node import Node
    from memori.results import Outcome
    from memori.scheduling.orders import Answer
    from memori.scheduling.workers import Workers

    Case = dict[str, object]
    Given = tuple[tuple[JSON, ...], dict[str, JSON]]

_MOST_AT_ONCE = 16  # cases that are recalled in one piece
_WHILE_STARTING = 0.1  # seconds that cases are recalled here before worker processes are started


class Piece:
    """What one worker is asked for: some cases to recall, or one to go on with."""

    __slots__ = ("cases", "stage", "threads", "waits")

    def __init__(
        self, cases: Sequence[int], stage: Node | None, threads: int, *, waits: bool = False
    ) -> None:
        self.cases = cases
        self.stage = stage
        self.threads = threads
        self.waits = waits


class _Begun:
    """A case that is going on."""

    __slots__ = ("run", "taken")

    def __init__(self, run: PipelineRun) -> None:
        self.run = run
        self.taken: set[Node] = set()  # the stages that are pieces of work


class CaseRuns:
    """What is to be done of many cases, and what came of them.

    Parameters
    ----------
    wiring : Wiring
        The stages.
    title : str
        What messages call the pipeline.
    given : list of (tuple, dict)
        What the pipeline is given for each case, checked.
    cases : list of dict, or None
        The cases, for messages; None for one call that is no case.
    continues : bool
        Whether a failure is the result of its case, rather than the end.
    observers : sequence of Observer
        Who looks on.
    """

    def __init__(
        self,
        wiring: Wiring,
        title: str,
        given: Sequence[Given],
        cases: Sequence[Case] | None,
        *,
        continues: bool,
        observers: Sequence[Observer] = (),
    ) -> None:
        from collections import deque

        self.carrier = Track(wiring, title)
        self._wiring = wiring
        self._given = given
        self._cases = cases
        self._continues = continues
        self._observers = [*observers]
        self._next = 0
        self._at_once = 1
        self._workers: Workers | None = None
        self._place: str | None = None  # where equal runs meet
        self._recalls_here: Callable[[], bool] = lambda: False
        self._begun: dict[int, _Begun] = {}
        self.threads = min(stage.threads for stage in wiring.order)
        self.ended: deque[tuple[int, Outcome | Failure]] = deque()
        self.last: PipelineRun | None = None
        self._keeping = None
        if wiring.keep != "all":
            from memori.graph.keep import Keeping

            self._keeping = Keeping(wiring, given)

    def outcomes(self, workers: Workers | None) -> Iterator[tuple[int, Outcome | Failure]]:
        """Yield what comes of the cases, each as soon as it is there.

        Raises
        ------
        BaseException
            What a case raised, if the others are not to go on; KeyboardInterrupt in any case.
        """
        if workers is None:
            try:
                for number in range(len(self._given)):
                    yield number, self._run_here(number)
            finally:
                if self._place is not None:
                    remove_folder(self._place)
            return
        self._workers = workers
        self._recalls_here = workers.recalls_here(_WHILE_STARTING)
        for _ in carry_out_plan(self, workers):
            while self.ended:
                yield self.ended.popleft()

    def _run_here(self, number: int) -> Outcome | Failure:
        run = PipelineRun(self._wiring, *self._given[number])
        if self._place is None and any(
            getattr(s, "is_scattered", False) for s in self._wiring.order
        ):
            self._place = temporary.new_folder()
        tokens = listener.set(self.hear), meeting_place.set(self._place)
        try:
            with telling_of(number):
                answer = answer_of(run.run_all)
        finally:
            listener.reset(tokens[0])
            meeting_place.reset(tokens[1])
        if answer.error is None:
            outcome = run.merged()
            self._tidy(number, run)
            self._tell_end(number, outcome)
            return outcome
        if not self._is_borne(number, answer.error):
            raise answer.error
        self._tidy(number, None)
        return self._failure(number, answer)

    def _tidy(self, number: int, run: PipelineRun | None) -> None:
        """Remove what is not kept of a case that is over; None if it failed."""
        if self._keeping is not None:
            with aside():
                self._keeping.case_is_over(number, None if run is None else run.runs)

    def recall(self, number: int) -> None:
        """Recall a case, so that it is the last one that was."""
        PipelineRun(self._wiring, *self._given[number]).recall_all()

    # Telling who looks on

    def look_on(self, observer: Observer) -> None:
        """Tell one more observer what happens."""
        self._observers.append(observer)

    @property
    def hear(self) -> Callable[[Mapping[str, Any]], None] | None:
        """What is given what stages tell; None if nobody looks on."""
        return self._tell if self._observers else None

    def _tell(self, told: Mapping[str, Any]) -> None:
        tell_all(self._observers, told["what"], event_of(told, self._cases or ({},)))

    def _tell_end(self, number: int, outcome: Outcome) -> None:
        if self._observers and self._cases is not None:
            hit, results = not outcome.executed, outcome.results
            event = Event(self._cases[number], number, hit=hit, result=results)
            tell_all(self._observers, "finished", event)

    # The plan: see `memori.scheduling.schedule`

    @property
    def has_more(self) -> bool:
        """Whether there are cases that nobody was asked about."""
        return self._next < len(self._given)

    def next(self) -> Piece | None:
        """Return the next case, or some to recall at once; None if it was remembered."""
        number = self._next
        if self._recalls_here():
            self._next += 1
            begun = self._begun[number] = _Begun(PipelineRun(self._wiring, *self._given[number]))
            token = listener.set(self.hear)
            try:
                with telling_of(number):
                    recall_far(begun.run, lambda: False)
            finally:
                listener.reset(token)
            if begun.run.is_over:
                self._end(number, begun.run.merged())
                return None
            return Piece((number,), None, self.threads)
        assert self._workers is not None
        share = (len(self._given) - number) // (4 * (self._workers.capacity or 1))
        self._next += max(1, min(self._at_once, _MOST_AT_ONCE, share))
        return Piece(range(number, self._next), None, self.threads)

    def asked(self, piece: Piece) -> tuple[Stretch, ...] | None:
        """Return what a worker is to do; None if it is of a case that has failed."""
        stretches = []
        for number in piece.cases:
            begun = self._begun.get(number)
            if begun is None and piece.stage is not None:
                return None
            known = {} if begun is None else begun.run.known()
            first = None if piece.stage is None else self._wiring.order.index(piece.stage)
            values, given = self._given[number]
            stretches.append(
                Stretch(
                    number,
                    values,
                    given,
                    known=known,
                    first=first,
                    threads=piece.threads,
                    waits=piece.waits,
                    merges=self._cases is not None and self._keeping is None,
                )
            )
        return tuple(stretches)

    def finish(self, piece: Piece, made: list[Reached]) -> list[Piece]:
        """Take how far a worker came, and return what can be done now."""
        further: list[Piece] = []
        is_all_remembered = piece.stage is None
        for number, reached in zip(piece.cases, made, strict=True):
            if reached.whole is not None:
                is_all_remembered &= not reached.whole.executed
                self._end(number, reached.whole)
                continue
            is_all_remembered &= len(reached.made) == len(self._wiring.order)
            is_all_remembered &= not any(each.executed for each in reached.made.values())
            begun = self._begun.get(number)
            if begun is None and piece.stage is not None:
                continue  # it has failed meanwhile
            if begun is None:
                run = PipelineRun(self._wiring, *self._given[number])
                begun = self._begun[number] = _Begun(run)
            further += self._further(number, begun, reached)
        self._at_once = 2 * self._at_once if is_all_remembered else 1
        self._at_once = min(self._at_once, _MOST_AT_ONCE)
        return further

    def _further(self, number: int, begun: _Begun, reached: Reached) -> Iterator[Piece]:
        """Take how far a worker came with a case, and yield what can be done of it now."""
        for place, outcome in reached.made.items():
            begun.run.know(self._wiring.order[place], outcome)
        if begun.run.is_over:
            self._end(number, begun.run.merged())
            return
        if reached.busy is not None:
            begun.taken.discard(self._wiring.order[reached.busy])
        for stage in begun.run.ready():
            if stage not in begun.taken:
                begun.taken.add(stage)
                is_busy = reached.busy is not None and stage is self._wiring.order[reached.busy]
                yield Piece((number,), stage, stage.threads, waits=is_busy)

    def fail(self, piece: Piece, answer: Answer) -> list[Piece] | None:
        """Take what was raised; return what can be done now, None if nothing is to begin."""
        assert answer.error is not None
        if len(piece.cases) > 1 and not isinstance(answer.error, KeyboardInterrupt):
            return [Piece((number,), None, self.threads) for number in piece.cases]
        number = piece.cases[0]
        if not self._is_borne(number, answer.error):
            return None
        is_first = piece.stage is None or self._begun.pop(number, None) is not None
        self._begun.pop(number, None)
        if is_first:
            self._tidy(number, None)
            self.ended.append((number, self._failure(number, answer)))
        return []

    def _is_borne(self, number: int, error: BaseException) -> bool:
        """Tell whether the other cases go on after this error."""
        if self._continues and not isinstance(error, KeyboardInterrupt):
            return True
        if self._cases is not None:
            error.add_note(f"memori: in case {self._cases[number]!r}")
        return False

    def _failure(self, number: int, answer: Answer) -> Failure:
        assert self._cases is not None
        assert answer.error is not None
        about = answer.error, answer.traceback, answer.stage, answer.log
        failure = Failure(self._cases[number], *about)
        if self._observers:
            event = Event(self._cases[number], number, error=failure.headline, result=failure)
            tell_all(self._observers, "failed", event)
        return failure

    def _end(self, number: int, outcome: Outcome) -> None:
        begun = self._begun.pop(number, None)
        if begun is not None:
            self.last = begun.run if self._cases is None else None
            self._tidy(number, begun.run)
        self._tell_end(number, outcome)
        self.ended.append((number, outcome))

    def threads_of(self, piece: Piece) -> int:
        """Return how many threads a piece keeps busy."""
        return piece.threads

    def describe(self, piece: Piece, stage: str | None) -> str:
        """Return what messages call a piece."""
        at = piece.stage.title if piece.stage is not None else None
        if stage is not None and f"stage {stage!r}" != at:
            at = f"stage {stage!r}" + (f" of {at}" if at is not None else "")
        if self._cases is None:
            return at or repr(self.carrier)
        case = f"case {self._cases[piece.cases[0]]!r}"
        others = len(piece.cases) - 1
        case += f" or one of the {others} after it" if others else ""
        return case if at is None or stage is None else f"{at} of {case}"
