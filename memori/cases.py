"""Many cases through one pipeline, each on its own.

A case is one set of pipeline inputs. Its failure, whatever was raised, comes back as a value: the
stage, the error, where its text lies and the line that runs this case alone; the other cases go on.
Only a KeyboardInterrupt ends them, because it is how a user ends them.
"""

from __future__ import annotations

from memori.calls.going_on import begin, end
from memori.digest.values import to_json
from memori.errors import CasesError, MemoriError
from memori.graph.reduction import grouped
from memori.graph.wiring import Wiring
from memori.results import Results
from memori.scheduling.orders import answer_of, portable
from memori.scheduling.schedule import run_graph
from memori.scheduling.workers import workers_for
from memori.store.latest import catch_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor
    from typing import Any, Literal, NoReturn

    from memori.digest.values import JSON
    from memori.graph.reduction import Group
    from memori.node import Inputs, Node
    from memori.notebook import Cell
    from memori.results import Outcome
    from memori.scheduling.orders import Answer
    from memori.scheduling.workers import Workers

    Case = dict[str, object]


class Failure:
    """What a failed case has in place of results; false, and an error to take a value from.

    Attributes
    ----------
    case : dict
        The inputs.
    error : BaseException
        What was raised.
    traceback : str
        Where, as Python prints it.
    stage : str or None
        The stage that failed; None if none was running.
    log : str or None
        The file that tells of it, with the inputs; None for a stage without `hash_output`.
    """

    def __init__(
        self,
        case: Case,
        error: BaseException,
        traceback: str,
        stage: str | None = None,
        log: str | None = None,
        line: str = "pipeline.map([{}], on_error='raise')",
    ) -> None:
        self.case = case
        self.error = error
        self.traceback = traceback
        self.stage = stage
        self.log = log
        self._line = line

    @property
    def rerun(self) -> str:
        """The line that runs this case alone; what is remembered of it is not run again."""
        return self._line.format(_literal(to_json(self.case)))

    @property
    def headline(self) -> str:
        """The stage and the error, in one line."""
        told = (str(self.error).splitlines() or [""])[0]
        stage = "" if self.stage is None else f"stage {self.stage!r}: "
        return f"{stage}{type(self.error).__name__}: {told}".removesuffix(": ")

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> tuple[type[Failure], tuple[object, ...]]:
        facts = portable(self.error), self.traceback, self.stage, self.log, self._line
        return Failure, (self.case, *facts)

    def __repr__(self) -> str:
        return f"<Failure {self.headline}>"

    def __getitem__(self, name: str) -> NoReturn:
        raise MemoriError(
            f"the case {self.case!r} failed, so it has no {name!r}: {self.error!r}; leave failed "
            "cases out by `if result:`"
        ) from self.error


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
        for failure in failures:
            lines.append(f"  {failure.case!r}: {failure.headline}")
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
        for each in inputs:
            wiring.check((), each)
        workers = workers_for(n_jobs, executor)
        found = run_cases(stage, inputs, workers, "raise" if by is None else on_error)
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


def _literal(value: JSON) -> str:
    """Return a value as it is written in Python; `repr` does not, of what is not finite.

    Examples
    --------
    >>> _literal({"x": [float("inf"), "a", None]})
    "{'x': [float('inf'), 'a', None]}"
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    is_finite = not isinstance(value, float) or value - value == 0
    return repr(value) if is_finite else f"float({str(value)!r})"


def run_cases(
    pipeline: Node,
    cases: list[Case],
    workers: Workers | None,
    on_error: Literal["continue", "raise"],
) -> Cases:
    """Run the cases, on workers where some are given, and collect what they return.

    Raises
    ------
    BaseException
        What a case raised, if `on_error` is "raise"; and KeyboardInterrupt in any case.
    """
    plan = _CasePlan(pipeline, cases, on_error)
    try:
        _run_all(pipeline, plan, cases, workers)
    finally:
        end(plan)
    found = plan.collected()
    _show_last(pipeline, found)
    return found


def _run_all(pipeline: Node, plan: _CasePlan, cases: list[Case], workers: Workers | None) -> None:
    if workers is None:
        for place, case in enumerate(cases):
            answer = answer_of(lambda case=case: pipeline.call((), case))  # type: ignore[misc]
            if answer.run is not None:
                plan.finish(place, answer.run)
            elif answer.error is not None and not plan.fail(place, answer):
                raise answer.error
    else:
        run_graph(dict.fromkeys(range(len(cases)), ()), workers, plan)


def _show_last(pipeline: Node, cases: Cases) -> None:
    """Have the files that people read show the last case, whichever ended last, and where."""
    done = [case for case, result in cases if not isinstance(result, Failure)]
    if done:
        pipeline.recall((), done[-1])
    catch_up()


class _CasePlan:
    """What is to be run for each case."""

    def __init__(
        self, pipeline: Node, cases: list[Case], on_error: Literal["continue", "raise"]
    ) -> None:
        self._pipeline = pipeline
        self._cases = cases
        self._continues = on_error == "continue"
        self._threads = pipeline.threads
        self._outcomes: dict[int, Outcome | Failure] = {}
        self._failed = 0
        self._tell()

    def _tell(self) -> None:
        facts = self._pipeline.title, len(self._cases), len(self._outcomes), self._failed
        begin(self, "cases", *facts)

    def order(self, key: int) -> tuple[Node, Inputs]:
        return self._pipeline, ((), self._cases[key])

    def finish(self, key: int, run: Outcome) -> None:
        self._outcomes[key] = run
        self._tell()

    def fail(self, key: int, answer: Answer) -> bool:
        assert answer.error is not None
        if isinstance(answer.error, KeyboardInterrupt) or not self._continues:
            answer.error.add_note(f"memori: in case {self._cases[key]!r}")
            return False
        failure = Failure(
            self._cases[key], answer.error, answer.traceback, answer.stage, answer.log
        )
        self._outcomes[key] = failure
        self._failed += 1
        self._tell()
        return True

    def threads(self, key: int) -> int:
        return self._threads

    def describe(self, key: int, stage: str | None) -> str:
        case = f"case {self._cases[key]!r}"
        return case if stage is None else f"stage {stage!r} of {case}"

    def collected(self) -> Cases:
        """Return what came of the cases, in the order given."""
        found = Cases()
        for place, case in enumerate(self._cases):
            outcome = self._outcomes[place]
            if isinstance(outcome, Failure):
                found.append((case, outcome))
            else:
                found.executed += outcome.executed
                found.append((case, outcome.results))
        return found
