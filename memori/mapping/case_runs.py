"""Cases on their way: what is known of each, and what of it can be done next.

The stages of all cases are one graph. A case begins as one piece of work, in which a worker goes as
far as it can (`memori.graph.stretch`); where several of its stages can run at once each of them is
a piece of its own, and so is what comes after them. As long as cases turn out to be remembered as a
whole, several are recalled in one piece. Parts of what is divided are treated as cases are
(`memori.mapping.strands`).

A stage that is being run for another case already is not waited for as long as there is anything
else to do.
"""

from __future__ import annotations

from memori.aside import aside
from memori.calls.telling import listener, telling_of
from memori.calls.twin import meeting_place
from memori.errors import note
from memori.graph.division import inside, least
from memori.graph.stretch import Stretch, Track, recall_far
from memori.mapping.failure import Failure
from memori.mapping.fitting import reject_what_does_not_fit
from memori.mapping.observer import Event, event_of, tell_all
from memori.mapping.strands import Piece, Strands
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
    from memori.results import Outcome
    from memori.scheduling.orders import Answer
    from memori.scheduling.workers import Workers
    from memori.signature.resources import Resources

    Case = dict[str, object]
    Given = tuple[tuple[JSON, ...], dict[str, JSON]]

_MOST_AT_ONCE = 16  # cases that are recalled in one piece
_WHILE_STARTING = 0.1  # seconds that cases are recalled here before worker processes are started


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
        self._strands = Strands(wiring, given)
        self._held: deque[Piece] = deque()
        self._failed: set[int] = set()
        self._cases = cases
        self._continues = continues
        self._observers = [*observers]
        self._next = 0
        self._at_once = 1
        self._workers: Workers | None = None
        self._place: str | None = None  # where equal runs meet
        self._least: dict[tuple[int, ...], Resources] = {}
        self._recalls_here: Callable[[], bool] = lambda: False
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
            What a case raised, if the others are not to go on; KeyboardInterrupt in any case. A
            `ResourceError` if a stage that is to run needs more than any worker has.
        """
        if workers is None:
            try:
                for number in range(len(self._given)):
                    yield number, self._run_here(number)
            finally:
                if self._place is not None:
                    remove_folder(self._place)
            return
        reject_what_does_not_fit(self._wiring, self._given, workers)
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
        """Whether there are cases, or parts of some, that nobody was asked about."""
        return bool(self._held) or self._strands.has_parts or self._next < len(self._given)

    @property
    def resources(self) -> Resources:
        """What the next piece needs."""
        if self._held:
            return self._held[0].resources
        path = self._strands.parts_path if self._strands.has_parts else ()
        if path not in self._least:
            self._least[path] = least(inside(self._wiring, path))
        return self._least[path]

    def next(self) -> Piece | None:
        """Return the next case, or some to recall at once; None if it was remembered."""
        if self._held:
            return self._held.popleft()
        resources, left = self.resources, len(self._given) - self._next
        if self._strands.has_parts:
            left = self._strands.parts_left
        recalls_here = self._recalls_here()
        count = 1 if recalls_here else max(1, min(self._at_once, _MOST_AT_ONCE, self._share(left)))
        if self._strands.has_parts:
            numbers = self._strands.next_parts(count)
            part = self._strands.get(numbers[0])
            assert part is not None
            case, within = part.case, part.within
        else:
            numbers = range(self._next, self._next + count)
            self._next += count
            case, within = numbers[0], ""
        piece = Piece(numbers, None, resources, case=case, within=within)
        return self._recalled_here(piece) if recalls_here else piece

    def _share(self, left: int) -> int:
        assert self._workers is not None
        return left // (4 * (self._workers.capacity or 1))

    def _recalled_here(self, piece: Piece) -> Piece | None:
        """Recall what a piece asks for, as far as that goes; return it if something is left."""
        (number,) = piece.strands
        strand = self._strands.get(number) or self._strands.begin(number)
        token = listener.set(self.hear)
        try:
            with telling_of(strand.case):
                recall_far(strand.run, lambda: False)
        finally:
            listener.reset(token)
        if not strand.run.is_over:
            return piece
        self._held.extend(self._strands.end(number, strand.run.merged()))
        self._take_over()
        return None

    def asked(self, piece: Piece) -> tuple[Stretch, ...] | None:
        """Return what a worker is to do; None if it is of a case that has failed."""
        stretches = []
        for number in piece.strands:
            strand, is_case = self._strands.get(number), self._strands.is_case(number)
            if strand is None and (piece.stage is not None or not is_case):
                return None
            values, given = self._given[number] if strand is None else strand.given
            stretches.append(
                Stretch(
                    number if strand is None else strand.case,
                    values,
                    given,
                    known={} if strand is None else strand.run.known(),
                    path=() if strand is None else strand.path,
                    first=None
                    if piece.stage is None or strand is None
                    else strand.wiring.places[piece.stage],
                    resources=piece.resources,
                    waits=piece.waits,
                    merges=not is_case or (self._cases is not None and self._keeping is None),
                )
            )
        return tuple(stretches)

    def finish(self, piece: Piece, made: list[Reached]) -> list[Piece]:
        """Take how far a worker came, and return what can be done now."""
        further: list[Piece] = []
        is_all_remembered = piece.stage is None
        for number, reached in zip(piece.strands, made, strict=True):
            strand = self._strands.get(number)
            if strand is None and (piece.stage is not None or not self._strands.is_case(number)):
                continue  # it has failed meanwhile
            if reached.whole is not None:
                is_all_remembered &= not reached.whole.executed
                further += self._strands.end(number, reached.whole)
                continue
            is_all_remembered &= not any(each.executed for each in reached.made.values())
            strand = strand or self._strands.begin(number)
            is_all_remembered &= len(reached.made) == len(strand.wiring.order)
            for place, outcome in reached.made.items():
                strand.run.know(strand.wiring.order[place], outcome)
            busy = None if reached.busy is None else strand.wiring.order[reached.busy]
            further += self._strands.go_on(number, busy)
        self._at_once = 2 * self._at_once if is_all_remembered else 1
        self._at_once = min(self._at_once, _MOST_AT_ONCE)
        self._take_over()
        return further

    def _take_over(self) -> None:
        """Take the cases that are over."""
        for number, outcome, run in self._strands.over:
            if self._cases is None:
                self.last = run
            if run is not None:
                self._tidy(number, run)
            self._tell_end(number, outcome)
            self.ended.append((number, outcome))
        self._strands.over.clear()

    def fail(self, piece: Piece, answer: Answer) -> list[Piece] | None:
        """Take what was raised; return what can be done now, None if nothing is to begin."""
        assert answer.error is not None
        if len(piece.strands) > 1 and not isinstance(answer.error, KeyboardInterrupt):
            return piece.split()
        if piece.within:
            note(answer.error, f"memori: in {piece.within}")
        if not self._is_borne(piece.case, answer.error):
            return None
        if piece.case not in self._failed:
            self._failed.add(piece.case)
            self._strands.drop(piece.case)
            self._tidy(piece.case, None)
            self.ended.append((piece.case, self._failure(piece.case, answer)))
        return []

    def _is_borne(self, number: int, error: BaseException) -> bool:
        """Tell whether the other cases go on after this error."""
        if self._continues and not isinstance(error, KeyboardInterrupt):
            return True
        if self._cases is not None:
            note(error, f"memori: in case {self._cases[number]!r}")
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

    def describe(self, piece: Piece, stage: str | None) -> str:
        """Return what messages call a piece."""
        at = piece.stage.title if piece.stage is not None else None
        if stage is not None and f"stage {stage!r}" != at:
            at = f"stage {stage!r}" + (f" of {at}" if at is not None else "")
        if at is not None and piece.within:
            at = f"{at} in {piece.within}"
        if self._cases is None:
            return at or repr(self.carrier)
        case = f"case {self._cases[piece.case]!r}"
        others = 0 if piece.within else len(piece.strands) - 1
        case += f" or one of the {others} after it" if others else ""
        return case if at is None or stage is None else f"{at} of {case}"
