"""A stage over the results of many cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memori import Cases, CasesError, Failure, Pipeline, Stage


def volume(subject: str, session: int = 1) -> float:
    if subject == "bad":
        raise ValueError("no image")
    return float(len(subject) + session)


def mean(volume: list[float], subject: list[str], scale: float = 1.0) -> str:
    return f"{scale * sum(volume) / len(volume)} of {','.join(subject)}"


def strict(volume: list[float], session: int) -> float:
    return 1 / (session - 2) + sum(volume)


def cases(*subjects: str, sessions: tuple[int, ...] = (1,)) -> list[dict[str, Any]]:
    return [{"subject": name, "session": n} for n in sessions for name in subjects]


def mapped(root: Path, *subjects: str, sessions: tuple[int, ...] = (1,)) -> Cases:
    stage = Stage(volume, "volume", root)
    return Pipeline([("start", stage)]).map(cases(*subjects, sessions=sessions))


def test_a_group_stage_takes_a_list_of_each_value(tmp_path: Path) -> None:
    """Outputs by name, inputs of the cases likewise, in their order; defaults stay."""
    group = Stage(mean, "mean", tmp_path)
    assert {"mean": "3.0 of a,bbb"} == mapped(tmp_path, "a", "bbb").reduce(group, scale=1.0)
    assert {"mean": "6.0 of a,bbb"} == mapped(tmp_path, "a", "bbb").reduce(group, scale=2)
    fixed = group.replace(subject=["x"])
    assert {"mean": "3.0 of x"} == mapped(tmp_path, "a", "bbb").reduce(fixed)


def test_it_runs_again_only_if_a_member_changed(tmp_path: Path) -> None:
    """A new subject runs it, and nothing else; going back is a hit."""
    group = Stage(mean, "mean", tmp_path)
    assert ("mean",) == mapped(tmp_path, "a", "b").reduce(group).ran
    assert () == mapped(tmp_path, "a", "b").reduce(group).ran
    assert ("mean",) == mapped(tmp_path, "a", "b", "c").reduce(group).ran
    assert () == mapped(tmp_path, "a", "b").reduce(group).ran


def test_a_failed_member_stops_it_or_is_left_out(tmp_path: Path) -> None:
    """As asked; where nobody is left there is nothing to reduce."""
    group = Stage(mean, "mean", tmp_path)
    found = mapped(tmp_path, "a", "bad", "bbb")
    with pytest.raises(CasesError, match="stage 'volume': ValueError: no image"):
        found.reduce(group)
    assert {"mean": "3.0 of a,bbb"} == found.reduce(group, on_error="continue")
    with pytest.raises(CasesError, match="stage 'mean' has nothing to reduce"):
        mapped(tmp_path, "bad").reduce(group, on_error="continue")
    with pytest.raises(CasesError, match="nothing to reduce"):
        Pipeline([("start", group)]).map([]).reduce(group)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_groups_are_made_by_inputs(tmp_path: Path, n_jobs: int | None) -> None:
    """Each is remembered on its own, knows its value, and fails alone."""
    stage = Stage(strict, "sum", f"{tmp_path}/{{session}}")
    found = mapped(tmp_path, "a", "bad", "bb", sessions=(1, 2, 3))
    reduced = found.reduce(stage, by="session", on_error="continue", n_jobs=n_jobs)
    assert [{"session": n} for n in (1, 2, 3)] == [group for group, _ in reduced]
    assert [4.0, None, 10.0] == [result["sum"] if result else None for _, result in reduced]
    (failure,) = reduced.failures
    assert isinstance(failure, Failure)
    assert ("strict", ZeroDivisionError) == (failure.stage, type(failure.error))
    with pytest.raises(ZeroDivisionError):
        eval(failure.rerun, {"stage": stage})
    assert 0 == found.reduce(stage, by=["session"], on_error="continue", n_jobs=n_jobs).executed
    with pytest.raises(ZeroDivisionError):
        mapped(tmp_path, "a", sessions=(1, 2)).reduce(stage, by="session", n_jobs=n_jobs)


def test_a_group_of_failures_is_a_failure(tmp_path: Path) -> None:
    """In its place among the others."""
    found = mapped(tmp_path, "a", "bad")
    reduced = found.reduce(Stage(mean, "mean"), by="subject", on_error="continue")
    assert [True, False] == [bool(result) for _, result in reduced]
    assert "nothing to reduce: all cases of {'subject': 'bad'} failed" in reduced.summary()


def test_what_cannot_be_reduced_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    """A name that nobody has, one that some lack, a group by nothing, a word that means nothing."""
    group = Stage(mean, "mean", tmp_path)
    found = mapped(tmp_path, "a")
    wrong: list[dict[str, Any]] = [{"by": "sesion"}, {"scael": 2}, {"scale": {1}}]
    for each in wrong:
        with pytest.raises(TypeError, match=next(iter(each))):
            found.reduce(group, **each)
    with pytest.raises(TypeError, match="'fwhm'"):
        found.reduce(Stage(lambda fwhm, volume: 0, "x"))
    with pytest.raises(ValueError, match="on_error"):
        found.reduce(group, on_error="skip")  # type: ignore[arg-type]
    some = Cases()
    some += [({"subject": "a"}, found[0][1]), ({"subject": "b", "scale": 1}, found[0][1])]
    with pytest.raises(TypeError, match="'scale' of each case"):
        some.reduce(group)


def test_a_pipeline_can_reduce(tmp_path: Path) -> None:
    """Several group stages, wired as ever."""
    first = Stage(mean, "text", tmp_path)
    second = Stage(lambda text: text.upper(), "loud", tmp_path, "shout")
    result = mapped(tmp_path, "a", "b").reduce(Pipeline([("start", first), (first, second)]))
    assert "2.0 OF A,B" == result["loud"]
