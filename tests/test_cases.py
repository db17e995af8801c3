"""What a failed case says of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from memori import Cases, CasesError, Failure, MemoriError, Pipeline, Stage


def counted(x: float, log: str = "") -> float:
    if log:
        with open(log, "a") as file:
            file.write(f"{x}\n")
    return x


def invert(y: float) -> float:
    return 1 / y


def ending(y: float) -> float:
    if not y:
        os.kill(os.getpid(), signal.SIGKILL)
    return y


def wrapped(y: float) -> float:
    return Stage(invert, "z").run(y)["z"]  # type: ignore[no-any-return]


def pipeline(last: Any = invert, root: Path | None = None) -> Pipeline:
    first = Stage(counted, "y", root)
    return Pipeline([("start", first), (first, Stage(last, "z", root))])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_failure_says_which_stage_and_where_its_text_lies(
    tmp_path: Path, n_jobs: int | None
) -> None:
    """Stage, error and log are told by the failure and by the summary, in workers as well."""
    found = pipeline(root=tmp_path).map([{"x": 1}, {"x": 0}], n_jobs=n_jobs)
    (failure,) = found.failures
    assert ("invert", ZeroDivisionError) == (failure.stage, type(failure.error))
    assert failure.log is not None
    assert "ZeroDivisionError" in Path(failure.log).read_text()
    assert "<Failure stage 'invert': ZeroDivisionError: division by zero>" == repr(failure)
    for told in ("stage 'invert': ZeroDivisionError", failure.log, failure.rerun):
        assert told in found.summary()


def test_the_line_of_a_failure_runs_that_case_alone(tmp_path: Path) -> None:
    """It is valid Python whatever the case holds, and what is remembered of it is not run again."""
    log = tmp_path / "log"
    made = pipeline(root=tmp_path / "work")
    case: dict[str, Any] = {"x": 0.0, "log": log}
    (failure,) = made.map([case, {"x": float("inf"), "log": ""}]).failures
    with pytest.raises(ZeroDivisionError):
        eval(failure.rerun, {"pipeline": made})
    assert ["0.0"] == log.read_text().split()
    odd = {"x": [float("nan"), (1, None)], "a b": Path("it's"), "n_jobs": True}
    line = Failure(odd, ValueError(), "").rerun
    assert "{'x': [float('nan'), [1, None]], 'a b': \"it's\", 'n_jobs': True}" in line
    compile(line, "line", "eval")


def test_the_innermost_stage_has_failed() -> None:
    """A stage inside a function or a nested pipeline is the one that is named."""
    for last in (wrapped, invert):
        outer = Pipeline([("start", pipeline(last))])
        (failure,) = outer.map([{"x": 0}]).failures
        assert ("invert", None) == (failure.stage, failure.log)


def test_a_stage_whose_worker_died_is_named() -> None:
    """As one that raised."""
    with pytest.warns(match="tried once more"):
        found = pipeline(ending).map([{"x": 0}, {"x": 1}], n_jobs=2)
    assert ["ending"] == [failure.stage for failure in found.failures]


def test_a_failure_travels_with_all_it_knows(tmp_path: Path) -> None:
    """Into a file, and to another process."""
    (failure,) = pipeline(root=tmp_path).map([{"x": 0}]).failures
    again = pickle.loads(pickle.dumps(failure))
    facts = ("case", "stage", "log", "traceback", "headline")
    assert [getattr(failure, name) for name in facts] == [getattr(again, name) for name in facts]


def test_a_script_may_end_by_its_failures() -> None:
    """The error holds failures and summary, and comes from the first; else nothing is raised."""
    good = pipeline().map([{"x": 1}])
    assert good.raise_failures() is good
    assert Cases().raise_failures() == []
    found = pipeline().map([{"x": 0}, {"x": 1}, {"x": 0}])
    with pytest.raises(CasesError, match="3 cases: 1 ran, 0 remembered, 2 failed") as caught:
        found.raise_failures()
    assert found.failures == caught.value.failures
    assert isinstance(caught.value, MemoriError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert 2 == len(pickle.loads(pickle.dumps(caught.value)).failures)


def test_the_same_error_object_is_of_the_stage_that_raises_it() -> None:
    """A library that raises one object again and again misleads nobody."""
    error = ValueError("one for all")

    def first(x: int) -> int:
        if x:
            raise error
        return x

    def second(y: int) -> int:
        raise error

    one, two = Stage(first, "y"), Stage(second, "z")
    found = Pipeline([("start", one), (one, two)]).map([{"x": 0}, {"x": 1}])
    assert ["second", "first"] == [failure.stage for failure in found.failures]


def test_the_summary_tells_a_case_by_what_a_person_calls_it(tmp_path: Path) -> None:
    """Its paths stand in the line that runs it alone; where they tell it from others, they stay."""
    cases = [{"x": 0, "run": None, "log": str(tmp_path / "log")}]
    assert "  {'x': 0}: stage 'invert'" in pipeline().map(cases).summary()
    told = pipeline().map([*cases, {"x": 0, "log": str(tmp_path / "other")}]).summary()
    assert "other'}: stage 'invert'" in told


@dataclasses.dataclass(frozen=True)
class NoPeakError(Exception):
    """An error that takes no attributes."""

    subject: str


class MuteError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise AttributeError("code")


def without_peak(y: float) -> float:
    raise NoPeakError(f"sub-{y}")


def mute(y: float) -> float:
    if not y:
        raise MuteError("failed")
    return y


def cancelled(y: float) -> float:
    raise asyncio.CancelledError("the server went away")


def test_an_error_that_takes_no_attributes_comes_through(tmp_path: Path) -> None:
    """The user's own error is what the user sees, with memori's notes on it."""
    with pytest.raises(NoPeakError, match="sub-1") as raised:
        Stage(without_peak, "z", tmp_path).run(1)
    assert any("memori: raised in stage" in note for note in raised.value.__notes__)
    (failure,) = pipeline(without_peak).map([{"x": 1}]).failures
    assert NoPeakError is type(failure.error)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_error_that_cannot_say_what_it_is_leaves_the_others(n_jobs: int | None) -> None:
    """The summary of all cases is told; of that error it tells what Python would."""
    found = pipeline(mute).map([{"x": 1}, {"x": 0}], n_jobs=n_jobs, progress=True)
    assert "MuteError: <exception str() failed>" in found.summary()
    assert "MuteError" in repr(list(found))
    with pytest.raises(CasesError, match="MuteError"):
        found.raise_failures()


def test_an_error_that_is_no_exception_leaves_its_text(tmp_path: Path) -> None:
    """What a server cancels is told in a file as any other failure is."""
    (failure,) = pipeline(cancelled, tmp_path).map([{"x": 1}]).failures
    assert failure.log is not None
    assert "the server went away" in Path(failure.log).read_text()


@pytest.mark.parametrize("cases", [{"x": 1}, "x", 3, None, [1], pd.DataFrame({"x": [1, 2]})])
def test_what_are_no_cases_is_told_with_what_cases_are(cases: Any) -> None:
    """One case alone and a table are the usual ones; nothing has run."""
    with pytest.raises(TypeError, match=r"cases are a list .*; case 0 is .*to_dict\('records'\)"):
        pipeline().map(cases)


def test_a_stage_alone_is_no_pipeline() -> None:
    """The error shows what a line of one is."""
    with pytest.raises(TypeError, match=r"list of lines such as \('start', stage\), got <Stage"):
        Pipeline(Stage(counted))  # type: ignore[arg-type]
