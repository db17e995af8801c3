"""Stages that foresee instead of running, in a process of which nothing else is wanted.

What is remembered is returned, and of what would run an `Awaited` for each output. So a script goes
on past a stage that would run, as far as it only hands on what that is to make.

As soon as there is something to be made, the script may write, move and remove no file and start no
program: what it writes might depend on it. Other processes that it starts run no stage either
(`memori.processes.planning`).

Not promised: that the script's own lines change nothing. Up to there they do what they always do.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import memori
from memori.calls.decision import Change, Decision
from memori.cli.why.awaited import awaited, awaited_in
from memori.graph.reduction import grouped
from memori.mapping.cases import Cases
from memori.mapping.failure import Failure
from memori.mapping.mapped import Mapped
from memori.pipeline import Pipeline
from memori.pipeline_run import PipelineRun
from memori.processes.planning import VARIABLE, NotMadeYet
from memori.results import Outcome, Results
from memori.stage import Stage

_HOME = os.path.dirname(os.path.abspath(memori.__file__)) + os.sep
_FIELD = tuple(os.path.join(_HOME, "neuro", room) for room in ("bids", "bids_app"))
_CHANGES = (
    "open", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Planned:
    """What one call of a stage would do.

    Attributes
    ----------
    decision : Decision
        Hit or miss, and why.
    inputs : dict
        What the call was given.
    line : int or None
        The line of the script that it is made from.
    """

    def __init__(self, decision: Decision, inputs: Mapping[str, Any], line: int | None) -> None:
        self.decision = decision
        self.inputs = inputs
        self.line = line


class Planning:
    """The calls of stages that a script makes in this process.

    Parameters
    ----------
    script : str
        Its path.

    Attributes
    ----------
    calls : list of Planned
        In their order.
    waits : bool
        Whether something is still to be made.
    pipelines : dict of Pipeline to list of Decision
        The pipelines that are run, with what their stages would do.
    """

    def __init__(self, script: str) -> None:
        self.calls: list[Planned] = []
        self.pipelines: dict[Pipeline, list[Decision]] = {}
        self._script = os.path.abspath(script)
        self._process = os.getpid()
        self.waits = False

    def begin(self) -> None:
        """Have all stages of this process foresee from now on; there is no way back."""
        os.environ[VARIABLE] = "1"
        for kind, name, instead in (
            (Stage, "call", self._call),
            (Pipeline, "run", self._run),
            (Mapped, "map", self._map),
            (Cases, "reduce", self._reduce),
        ):
            setattr(kind, name, self._here(getattr(kind, name), instead))
        sys.addaudithook(self._guard)

    def _here(self, before: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
        """Return what to do in this process; in one that was forked it is what it was."""

        def planned(subject: Any, /, *args: Any, **kwargs: Any) -> Any:
            function = instead if os.getpid() == self._process else before
            return function(subject, *args, **kwargs)

        return planned

    # Instead of running

    def _call(
        self, stage: Stage, args: Any, kwargs: Any, *, forced: bool = False, **_: bool
    ) -> Outcome:
        makers = [each.maker for each in awaited_in((args, kwargs))]
        found: tuple[list[Decision], Results | None]
        if makers:
            found = stage.foresee_after(makers), None
        elif forced:
            change = Change("forced", "force_run_stage=True")
            found = [Decision(stage.stage_name, (change,), None, None)], None
        else:
            found = stage.foresee(args, kwargs)
        self._note(stage, found[0], args, kwargs)
        if found[1] is not None:
            return Outcome({}, found[1])
        return self._to_be_made(stage, stage.stage_name, found[0])

    def _run(
        self, pipeline: Pipeline, /, *args: Any, n_jobs: Any = None, executor: Any = None,
        **kwargs: Any,
    ) -> Results:  # fmt: skip
        makers = [each.maker for each in awaited_in((args, kwargs))]
        if makers:
            decisions = pipeline.foresee_after(makers)
            merged = Results()
            for stage in pipeline.stages:
                merged.update(self._to_be_made(stage, _name_of(stage), decisions).results)
        else:
            decisions, merged = self._foreseen(pipeline, args, kwargs)
        self._note(pipeline, decisions, args, kwargs)
        self.pipelines.setdefault(pipeline, []).extend(decisions)
        ran = [each for each in decisions if not each.hit]
        outcome = Outcome(
            {}, merged, tuple(each.stage_name for each in ran),
            {each.stage_name: each.reasons for each in ran},
        )  # fmt: skip
        pipeline.show(outcome)
        return outcome.results

    def _foreseen(
        self, pipeline: Pipeline, args: Any, kwargs: Any
    ) -> tuple[list[Decision], Results]:
        wiring = pipeline._wiring
        plan = PipelineRun(wiring, *wiring.check(args, kwargs))
        decisions = plan.foresee_all()
        merged = Results()
        for stage in wiring.order:
            known = plan.outcome(stage) or self._to_be_made(stage, _name_of(stage), decisions)
            stage.show(known)
            merged.update(known.results)
        merged.skipped = plan.skipped
        return decisions, merged

    def _map(
        self, pipeline: Pipeline, cases: Iterable[Any], *, on_error: str = "continue",
        as_completed: bool = False, **_: Any,
    ) -> Any:  # fmt: skip
        found = Cases()
        for case in map(dict, cases):
            try:
                found.append((case, self._run(pipeline, **case)))
            except TypeError:  # of the call itself: no case is run then
                raise
            except Exception as error:
                if on_error == "raise":
                    raise
                found.append((case, Failure(case, error, traceback.format_exc())))
        return iter(found) if as_completed else found

    def _reduce(
        self, cases: Cases, stage: Any, *, by: Any = None, on_error: str = "raise",
        n_jobs: Any = None, executor: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        if on_error == "raise":
            cases.raise_failures()
        groups = grouped(cases, by)
        if by is None:
            groups[0].reject_empty(stage)
            return stage.run(**groups[0].inputs_of(stage, kwargs))
        reduced = Cases()
        for group in groups:
            if group.members:
                reduced.append((group.named, stage.run(**group.inputs_of(stage, kwargs))))
        return reduced

    def _to_be_made(self, stage: Any, name: str, decisions: list[Decision]) -> Outcome:
        self.waits = True
        reasons = {each.stage_name: each.reasons for each in decisions}
        results = Results(awaited(stage.offers, name))
        return Outcome({}, results, (name,), {name: reasons.get(name, "")})

    def _note(self, stage: Any, decisions: list[Decision], args: Any, kwargs: Any) -> None:
        inputs = dict(zip(stage.positional_names(len(args)), args, strict=False))
        if len(args) == 1 and isinstance(args[0], Results):
            inputs = {name: value for name, value in args[0].items() if stage.takes(name)}
        inputs.update(kwargs)
        line = self._line()
        self.calls += (Planned(each, _inputs_of(each) or inputs, line) for each in decisions)

    def _line(self) -> int | None:
        frame = sys._getframe(1)
        while frame is not None:
            if os.path.abspath(frame.f_code.co_filename) == self._script:
                return frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return None

    # What the script may not do any more

    def _guard(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.waits or event not in _CHANGES or os.getpid() != self._process:
            return
        what = args[0] if args else ""
        if event == "open":
            if isinstance(what, int) or not (args[2] or 0) & _WRITING or _is_device(what):
                return
            told = f"{os.fsdecode(what)} is written"
        elif event.startswith("os.") and event not in ("os.system", "os.exec", "os.posix_spawn"):
            told = f"{event.removeprefix('os.')} {what} is called"
        else:
            told = f"{what} is started"
        if not _is_own_work():
            raise NotMadeYet(f"{told}, which may depend on what is still to be made")


def _name_of(stage: Any) -> str:
    return str(getattr(stage, "stage_name", stage.title))


def _inputs_of(decision: Decision) -> dict[str, Any]:
    return {} if decision.key is None else dict(decision.key.inputs)


def _is_device(path: Any) -> bool:
    text = os.fsdecode(path)
    return text.startswith(("/dev/", "/proc/")) or ".pyc" in text


def _is_own_work() -> bool:
    """Tell whether memori, or an import, is at work, rather than the script."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return True
        if file.startswith(_FIELD):
            return False
        if file.startswith(_HOME) and not file.startswith(os.path.join(_HOME, "cli")):
            return True
        frame = frame.f_back
    return False
