"""The two levels: each participant's cases are run and saved; a group is made of all.

What fails, be it while it runs, is checked or is saved, is one participant's own: the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from memori.errors import MemoriError, note
from memori.mapping.cases import Cases
from memori.mapping.failure import Failure
from memori.neuro.bids.collecting import (
    Outputs,
    check_case,
    overwritten,
    retract_case,
    save_case,
)
from memori.neuro.bids.derivatives import Derivatives
from memori.results import Results

Wanted = Outputs | Callable[[Mapping[str, object]], Outputs]


class Done(NamedTuple):
    """What came of one case.

    Attributes
    ----------
    case : dict
        The case.
    result : Results or None
        What the pipeline returned; None if it failed or was not run.
    ran : tuple of str
        The stages that ran.
    failure : Failure or None
        What failed in a stage.
    problem : str
        What is wrong, in one line; empty if nothing is.
    saved : Mapping of str to str
        The derivatives, by output.
    is_saved_anew : bool
        Whether any of them was not there as it should be.
    """

    case: dict[str, Any]
    result: Results | None = None
    ran: tuple[str, ...] = ()
    failure: Failure | None = None
    problem: str = ""
    saved: Mapping[str, str] = {}
    is_saved_anew: bool = False


def stages_of(node: Any) -> Iterator[Any]:
    """Yield all stages that a pipeline is made of, inner ones too."""
    if hasattr(node, "hash_output"):
        yield node
    for each in getattr(node, "stages", ()):
        yield from stages_of(each)


@contextmanager
def remembering_in(folder: str, nodes: Sequence[Any]) -> Iterator[None]:
    """Let stages whose `hash_output` is relative remember below a folder, for the time being.

    Further places, which are only looked in, stay where they are.
    """
    found = {id(stage): stage for node in nodes for stage in stages_of(node)}.values()
    stages = [stage for stage in found if stage.hash_output is not None]
    before = [[stage.hash_output, *stage.further_places] for stage in stages]
    braced = folder.replace("{", "{{").replace("}", "}}")
    try:
        for stage, (own, *further) in zip(stages, before, strict=True):
            stage.hash_output = [os.path.join(braced, own), *further]
        yield
    finally:
        for stage, places in zip(stages, before, strict=True):
            stage.hash_output = places


class Level:
    """One level of an app: a pipeline, what is saved of it, and where.

    Parameters
    ----------
    pipeline : Pipeline
        What runs for each case.
    outputs : mapping or callable
        What is saved, as of `Derivatives.map`.
    source : str
        The input of a case that gives the names.
    derivatives : Derivatives
        Where it is saved.
    """

    def __init__(
        self, pipeline: Any, outputs: Wanted, source: str, derivatives: Derivatives
    ) -> None:
        self.pipeline = pipeline
        self._outputs = outputs
        self._source = source
        self._derivatives = derivatives

    def run(self, cases: Sequence[Mapping[str, Any]], n_jobs: int) -> list[Done]:
        """Run cases, save what they make, and return what came of each, in their order."""
        found: dict[int, Done] = {}
        for place, case in enumerate(cases):
            wrong = self._wrong_with(case)
            if wrong:
                found[place] = Done(dict(case), problem=wrong)
        good = [place for place in range(len(cases)) if place not in found]
        for place, result in zip(good, self._map([cases[p] for p in good], n_jobs), strict=True):
            found[place] = self._finished(dict(cases[place]), result)
        done = [found[place] for place in range(len(cases))]
        for place, lost in overwritten([(d.case, d.result, d.saved) for d in done]).items():
            done[place] = done[place]._replace(problem=lost)
        return done

    def _map(self, cases: Sequence[Mapping[str, Any]], n_jobs: int) -> list[Results | Failure]:
        given = [
            {name: value for name, value in case.items() if self.pipeline.takes(name)}
            for case in cases
        ]
        try:
            ran: Cases = self.pipeline.map(given, n_jobs=n_jobs)
        except TypeError as error:
            note(error, f"memori: cases of the app have {', '.join(cases[0])}; see its `inputs`")
            raise
        return [result for _, result in ran]

    def _wanted(self, case: Mapping[str, Any]) -> Outputs:
        return self._outputs(case) if callable(self._outputs) else self._outputs

    def _wrong_with(self, case: Mapping[str, Any]) -> str:
        """Say why what a case makes could not be saved; a fault of the app itself is raised."""
        try:
            check_case(self._derivatives, self.pipeline, case, self._wanted(case), self._source)
        except (MemoriError, ValueError, OSError) as error:
            return _line(error)
        return ""

    def _finished(self, case: dict[str, Any], result: Results | Failure) -> Done:
        wanted = self._wanted(case)
        if isinstance(result, Failure):
            retract_case(self._derivatives, case, wanted, self._source)
            return Done(case, failure=result, problem=result.headline)
        try:
            saved = save_case(self._derivatives, case, result, wanted, self._source)
        except (MemoriError, ValueError, OSError) as error:
            return Done(case, None, result.ran, problem=f"not saved: {_line(error)}")
        is_anew = not self._derivatives.written.isdisjoint(saved.values())
        return Done(case, result, result.ran, saved=saved, is_saved_anew=is_anew)


def reduce(stage: Any, done: Sequence[Done]) -> Results:
    """Call a stage with what all cases made, but for those that failed."""
    cases = Cases()
    cases.extend((each.case, each.result) for each in done if each.result is not None)
    found: Results = cases.reduce(stage, on_error="continue")
    return found


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
