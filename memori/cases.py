"""Many cases through one pipeline, each on its own.

A case is one set of pipeline inputs. Its failure comes back as a value, with the traceback as
text, and in a summary; the other cases go on.
"""

from __future__ import annotations

from memori.errors import MemoriError
from memori.results import Results
from memori.schedule import failed, finished, portable, run_graph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from typing import Literal, NoReturn

    from memori.digest.values import JSON
    from memori.pipeline import Pipeline
    from memori.results import Outcome
    from memori.schedule import Workers

    Case = dict[str, object]


class Failure:
    """What a failed case has in place of results; false, and an error to take a value from.

    Attributes
    ----------
    case : dict
        The inputs.
    error : Exception
        What was raised.
    traceback : str
        Where, as Python prints it.
    """

    def __init__(self, case: Case, error: BaseException, traceback: str) -> None:
        self.case = case
        self.error = error
        self.traceback = traceback

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> tuple[type[Failure], tuple[Case, BaseException, str]]:
        error = portable(self.error) if isinstance(self.error, Exception) else self.error
        return Failure, (self.case, error, self.traceback)

    def __repr__(self) -> str:
        return f"<Failure {type(self.error).__name__}: {self.error}>"

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
        """Return what ran, what was remembered and what failed, a line for each failure."""
        failures = self.failures
        remembered = len(self) - self.executed - len(failures)
        lines = [
            f"{len(self)} cases: {self.executed} ran, {remembered} remembered, "
            f"{len(failures)} failed"
        ]
        for failure in failures:
            told = (str(failure.error).splitlines() or [""])[0]
            lines.append(f"  {failure.case!r}: {type(failure.error).__name__}: {told}")
        return "\n".join(lines)


def run_cases(
    pipeline: Pipeline,
    cases: list[Case],
    workers: Workers | None,
    on_error: Literal["continue", "raise"],
) -> Cases:
    """Outcome the cases, on workers where some are given, and collect what they return."""
    outcomes: dict[int, Outcome | Failure] = {}

    def keep(place: int, outcome: Outcome | Failure) -> None:
        if isinstance(outcome, Failure) and on_error == "raise":
            raise outcome.error
        outcomes[place] = outcome

    if workers is None:
        for place, case in enumerate(cases):
            keep(place, _run_case(pipeline, case))
    else:
        lost = _run_on(workers, pipeline, cases, list(range(len(cases))), keep)
        for place in lost:  # one of them took its worker down, and the others with it
            for _ in _run_on(workers, pipeline, cases, [place], keep):
                keep(place, _of_dead_worker(cases[place]))
    return _collected(cases, outcomes)


def _run_on(
    workers: Workers,
    pipeline: Pipeline,
    cases: list[Case],
    places: list[int],
    keep: Callable[[int, Outcome | Failure], None],
) -> list[int]:
    """Outcome some cases on workers; return those that were lost because a worker died."""
    from concurrent.futures import BrokenExecutor

    lost: list[int] = []

    def submit(place: int) -> Future[Outcome | Failure]:
        recalled = _recalled(pipeline, cases[place])
        if recalled is not None:
            return finished(recalled)
        try:
            return workers.submit(_run_case, pipeline, cases[place])
        except BrokenExecutor as error:
            return failed(error)

    def finish(place: int, future: Future[Outcome | Failure]) -> None:
        error = future.exception()  # what kept the worker from answering at all
        if isinstance(error, BrokenExecutor):
            lost.append(place)
        elif isinstance(error, KeyboardInterrupt):
            raise error
        else:
            keep(
                place,
                future.result() if error is None else Failure(cases[place], error, repr(error)),
            )

    graph: dict[int, tuple[int, ...]] = dict.fromkeys(places, ())
    run_graph(graph, workers, submit, finish, lambda place: pipeline.threads)
    return sorted(lost)


def _of_dead_worker(case: Case) -> Failure:
    text = "the process that ran this case died (killed, out of memory, or a crash in native code)"
    return Failure(case, MemoriError(text), text)


def _collected(cases: list[Case], outcomes: Mapping[int, Outcome | Failure]) -> Cases:
    found = Cases()
    for place, case in enumerate(cases):
        outcome = outcomes[place]
        if isinstance(outcome, Failure):
            found.append((case, outcome))
        else:
            found.executed += outcome.executed
            found.append((case, outcome.results))
    return found


def _recalled(pipeline: Pipeline, case: Case) -> Outcome | Failure | None:
    """Return what a case gives if all of it is remembered, so that no worker is started for it."""
    try:
        return pipeline._recalled((), case)
    except Exception:
        return None  # the run meets the same, and reports it as the case's failure


def _run_case(pipeline: Pipeline, case: Mapping[str, JSON]) -> Outcome | Failure:
    try:
        return pipeline._run((), case)
    except (Exception, SystemExit) as error:
        import traceback

        return Failure(dict(case), error, "".join(traceback.format_exception(error)))
