"""Mapping: a pipeline over many cases.

A case is one set of pipeline inputs. All that can be wrong with the call of any of them is an error
before the first one runs.
"""

from __future__ import annotations

from memori.errors import note, warn
from memori.mapping.case_runs import CaseRuns
from memori.mapping.cases import completed, run_cases
from memori.mapping.observer import reject_deaf
from memori.scheduling.workers import workers_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from typing import Any, Literal, overload

    from memori.graph.wiring import Wiring
    from memori.mapping.case_runs import Case
    from memori.mapping.cases import Cases
    from memori.mapping.failure import Failure
    from memori.mapping.observer import Observer
    from memori.results import Results


def listed_cases(cases: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return cases as a list of dicts.

    Raises
    ------
    TypeError
        If they are none, such as one case alone, or a table.
    """
    listed: list[dict[str, object]] = []
    given: Iterable[Any] = cases if hasattr(cases, "__iter__") else [cases]
    for place, case in enumerate(given):
        try:
            listed.append(dict(case))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"cases are a list with a mapping of names to values for each, such as "
                f"[{{'subject': '01'}}]; case {place} is {case!r} (of one case give [case], of a "
                "table of pandas table.to_dict('records'))"
            ) from error
    return listed


class Mapped:
    """What can be run over many cases; `memori.Pipeline` is the only class that is made of it."""

    _wiring: Wiring

    if TYPE_CHECKING:

        @overload
        def map(
            self,
            cases: Iterable[Mapping[str, object]],
            *,
            n_jobs: int | None = None,
            executor: Executor | None = None,
            memory: int | str | None = None,
            gpus: int | None = None,
            on_error: Literal["continue", "raise"] = "continue",
            as_completed: Literal[False] = False,
            progress: bool | None = None,
            observer: Observer | None = None,
        ) -> Cases: ...

        @overload
        def map(
            self,
            cases: Iterable[Mapping[str, object]],
            *,
            n_jobs: int | None = None,
            executor: Executor | None = None,
            memory: int | str | None = None,
            gpus: int | None = None,
            on_error: Literal["continue", "raise"] = "continue",
            as_completed: Literal[True],
            progress: bool | None = None,
            observer: Observer | None = None,
        ) -> Iterator[tuple[Case, Results | Failure]]: ...

    def map(
        self,
        cases: Iterable[Mapping[str, object]],
        *,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        memory: int | str | None = None,
        gpus: int | None = None,
        on_error: Literal["continue", "raise"] = "continue",
        as_completed: bool = False,
        progress: bool | None = None,
        observer: Observer | None = None,
    ) -> Any:
        """Run many cases, each on its own: a failed case never takes another down.

        Parameters
        ----------
        cases : iterable of mappings
            Keyword arguments of `run`, one mapping for each case. What is None under a name that
            no stage takes is left out, such as the session of a dataset without sessions.
        n_jobs : int, optional
            Run stages of all cases in that many processes; -1 for one per core.
        executor : concurrent.futures.Executor, optional
            Run them on this one instead.
        memory : int or str, optional
            What the stages that run at once may take together, as far as they say what they need
            (``Stage(..., memory="8 GB")``); by default what this machine has.
        gpus : int, optional
            The same of GPUs.
        on_error : {"continue", "raise"}, optional
            Whether a failure comes back as the case's result, or is raised when it is met.
        as_completed : bool, optional
            Return an iterator that runs the cases while it is asked, and yields each with its
            result as soon as it is over. Who leaves it ends what is going on.
        progress : bool, optional
            Whether to show how far it is; by default in a terminal, in a notebook, and where the
            logger ``memori.progress`` is heard.
        observer : Observer, optional
            Who is told what each stage decides, begins and comes to.

        Returns
        -------
        Cases, or an iterator
            A list of (case, result) in the order given; a result is `Results` or a `Failure`.

        Raises
        ------
        TypeError
            If a case cannot be run for its names or values; before any case runs.
        ResourceError
            If a stage that is not remembered needs more than there is; before any case runs.
        """
        if on_error not in ("continue", "raise"):
            raise ValueError(f"on_error is 'continue' or 'raise', got {on_error!r}")
        if observer is not None:
            reject_deaf(observer)
        listed = listed_cases(cases)
        given = []
        for place, case in enumerate(listed):
            try:
                given.append(self._wiring.check((), case))
            except TypeError as error:
                note(error, f"memori: in case {place}: {case!r}")
                raise
            for each in self._wiring.without_effect(case):
                warn(each)
        workers = workers_for(n_jobs, executor, memory=memory, gpus=gpus)
        continues = on_error == "continue"
        runs = CaseRuns(self._wiring, repr(self), given, listed, continues=continues)
        if observer is not None:
            runs.look_on(observer)
        collect = completed if as_completed else run_cases
        return collect(runs, listed, workers, progress=progress)
