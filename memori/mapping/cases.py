"""Many cases through one pipeline, each on its own.

A case is one set of pipeline inputs. Its failure, whatever was raised, comes back as a value: the
stage, the error, where its text lies and the line that runs this case alone; the other cases go on.
Only a KeyboardInterrupt ends them, because it is how a user ends them.
"""

from __future__ import annotations

from memori.calls.going_on import begin, end
from memori.errors import CasesError, note
from memori.graph.reduction import grouped
from memori.graph.wiring import Wiring
from memori.mapping.case_runs import CaseRuns
from memori.mapping.failure import Failure
from memori.processes.interrupts import terminable
from memori.results import Results
from memori.scheduling.workers import workers_for
from memori.store.latest import catch_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor
    from typing import Any, Literal

    from memori.graph.reduction import Group
    from memori.mapping.case_runs import Case
    from memori.node import Node
    from memori.notebook import Cell
    from memori.results import Outcome
    from memori.scheduling.workers import Workers


class Cases(list["tuple[Case, Results | Failure]"]):
    """The (case, result) pairs of a `Pipeline.map`, in the order given.

    Attributes
    ----------
    executed : int
        How many cases executed at least one stage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.executed = 0

    @property
    def failures(self) -> list[Failure]:
        """The failed cases."""
        return [result for _, result in self if isinstance(result, Failure)]

    def summary(self) -> str:
        """Return what ran and what was remembered; of each failure its stage, log and rerun."""
        from collections import Counter

        failures = self.failures
        remembered = len(self) - self.executed - len(failures)
        lines = [
            f"{len(self)} cases: {self.executed} ran, {remembered} remembered, "
            f"{len(failures)} failed"
        ]
        for name, count in sorted(Counter(self._skipped()).items()):
            lines.append(f"  stage {name!r} was skipped in {count} of them")
        names = Counter(repr(_short(case)) for case, _ in self)
        for failure in failures:
            short = _short(failure.case)
            told = short if short and names[repr(short)] == 1 else failure.case
            lines.append(f"  {told!r}: {failure.headline}")
            lines += [] if failure.log is None else [f"    log: {failure.log}"]
            lines.append(f"    alone: {failure.rerun}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from memori.notebook import Cell, table

        inputs = list(dict.fromkeys(name for case, _ in self for name in case))
        done = [result for _, result in self if isinstance(result, Results)]
        stages = sorted({name for each in done for name in (*each.ran, *each.skipped)})
        rows = []
        for case, result in self:
            cells = [Cell(str(case[name]) if name in case else "") for name in inputs]
            if isinstance(result, Failure):
                cells.append(Cell(result.headline, "failed", title=result.rerun))
                cells += [Cell("")] * len(stages)
            else:
                state = "ran" if result.ran else "remembered"
                cells.append(Cell(state, state))
                cells += [_cell_of(name, result) for name in stages]
            rows.append(cells)
        return table(rows, [*inputs, "", *stages], self.summary().splitlines()[0])

    def _skipped(self) -> Iterator[str]:
        for _, result in self:
            if isinstance(result, Results):
                yield from result.skipped

    def reduce(
        self,
        stage: Node,
        *,
        by: str | Sequence[str] | None = None,
        on_error: Literal["continue", "raise"] = "raise",
        n_jobs: int | None = None,
        executor: Executor | None = None,
        **kwargs: object,
    ) -> Any:
        """Call a stage with the results of all cases: for each of its parameters a list.

        Parameters
        ----------
        stage : Stage or Pipeline
            Its parameters are filled by outputs of that name, or else by inputs of the cases: a
            list with a value of each case, in their order.
        by : str or sequence of str, optional
            Inputs of the cases whose values make groups; each group is a call of its own, and a
            parameter of that name is given the group's value.
        on_error : {"continue", "raise"}, optional
            Whether failed cases are left out (and a group that fails has a `Failure`), or
            stop it.
        n_jobs, executor
            Where groups run, as for `Pipeline.map`.
        **kwargs : object
            Further arguments, the same for all groups.

        Returns
        -------
        Results, or Cases
            With `by`, the pairs (group, result), where a group is ``{name: value}``.

        Raises
        ------
        CasesError
            If a case failed and is not to be left out, or no case is left.
        TypeError
            If the stage cannot be called so.
        """
        if on_error not in ("continue", "raise"):
            raise ValueError(f"on_error is 'continue' or 'raise', got {on_error!r}")
        if on_error == "raise":
            self.raise_failures()
        groups = grouped(self, by)
        for group in groups if by is None else ():
            group.reject_empty(stage)
        wiring = Wiring([("start", stage)])
        inputs = [group.inputs_of(stage, kwargs) for group in groups if group.members]
        given = [wiring.check((), each) for each in inputs]
        workers = workers_for(n_jobs, executor)
        continues = by is not None and on_error == "continue"
        runs = CaseRuns(wiring, stage.title, given, inputs, continues=continues)
        found = run_cases(runs, inputs, workers)
        if by is None:
            return found[0][1]
        results = iter(found)
        reduced = Cases()
        reduced.executed = found.executed
        for group in groups:
            reduced.append((group.named, _of_group(stage, group, results)))
        return reduced

    def raise_failures(self) -> Cases:
        """Return these cases if none failed.

        Raises
        ------
        CasesError
            If some did: with the summary, and from the first error.
        """
        failures = self.failures
        if failures:
            raise CasesError(self.summary(), failures) from failures[0].error
        return self


def _cell_of(stage: str, results: Results) -> Cell:
    from memori.notebook import Cell

    if stage in results.skipped:
        return Cell("skipped", "skipped", title=results.skipped[stage])
    state = "ran" if stage in results.ran else "remembered"
    return Cell(state, state, title=results.reasons.get(stage, ""))


def _of_group(
    stage: Node, group: Group, results: Iterator[tuple[Case, Results | Failure]]
) -> Results | Failure:
    """Return what came of a group, given what came of those that have members."""
    if group.members:
        inputs, result = next(results)
        if isinstance(result, Failure):
            line = "stage.run(**{})"
            facts = result.error, result.traceback, result.stage, result.log, line
            return Failure(inputs, *facts)
        return result
    try:
        group.reject_empty(stage)
    except CasesError as error:
        return Failure(group.named, error, str(error))
    raise AssertionError("unreachable: it is empty")


def run_cases(
    runs: CaseRuns,
    cases: Sequence[Case],
    workers: Workers | None,
    *,
    progress: bool | None = False,
) -> Cases:
    """Run the cases, on workers where some are given, and collect what they return.

    Raises
    ------
    BaseException
        What a case raised, if that ends the others; and KeyboardInterrupt in any case.
    """
    outcomes: dict[int, Outcome | Failure] = {}
    try:
        with terminable():
            outcomes.update(_shown(runs, cases, workers, progress))
    except KeyboardInterrupt as error:
        note(
            error,
            f"memori: {len(outcomes)} of {len(cases)} cases were done. Call it again to go on: "
            "what is remembered does not run again",
        )
        raise
    found = Cases()
    for number, case in enumerate(cases):
        outcome = outcomes[number]
        if isinstance(outcome, Failure):
            found.append((case, outcome))
        else:
            found.executed += outcome.executed
            found.append((case, outcome.results))
    _show_last(runs, found)
    return found


def completed(
    runs: CaseRuns,
    cases: Sequence[Case],
    workers: Workers | None,
    *,
    progress: bool | None = False,
) -> Iterator[tuple[Case, Results | Failure]]:
    """Run the cases as they are asked for, and yield each with its result when it is over."""
    for number, outcome in _shown(runs, cases, workers, progress):
        result = outcome if isinstance(outcome, Failure) else outcome.results
        yield cases[number], result
    catch_up()


def _shown(
    runs: CaseRuns, cases: Sequence[Case], workers: Workers | None, wish: bool | None
) -> Iterator[tuple[int, Outcome | Failure]]:
    """Run the cases, and show how far they are."""
    outcomes = _going_on(runs, len(cases), runs.outcomes(workers))
    if wish is False:
        yield from outcomes
        return
    from memori.mapping.display import display_for, shown
    from memori.mapping.progress import progress_of

    display = display_for(wish)
    if display is None:
        yield from outcomes
        return
    progress = progress_of(
        runs.carrier.wiring.order, cases, 1 if workers is None else workers.capacity
    )
    runs.look_on(progress)
    with shown(progress, display):
        yield from outcomes


def _going_on(
    runs: CaseRuns, count: int, outcomes: Iterator[tuple[int, Outcome | Failure]]
) -> Iterator[tuple[int, Outcome | Failure]]:
    """Tell other terminals how many cases are over (`memori status`)."""
    done = failed = 0
    begin(runs, "cases", runs.carrier.title, count, done, failed)
    try:
        for number, outcome in outcomes:
            done, failed = done + 1, failed + isinstance(outcome, Failure)
            begin(runs, "cases", runs.carrier.title, count, done, failed)
            yield number, outcome
    finally:
        end(runs)


def _show_last(runs: CaseRuns, cases: Cases) -> None:
    """Have the files that people read show the last case, whichever ended last, and where."""
    done = [n for n, (_, result) in enumerate(cases) if not isinstance(result, Failure)]
    if done:
        runs.recall(done[-1])
    catch_up()


def _short(case: Case) -> dict[str, Any]:
    """Return what a person tells a case by: its inputs without paths, and without what is None."""
    return {k: each for k, each in case.items() if each is not None and "/" not in repr(each)}
