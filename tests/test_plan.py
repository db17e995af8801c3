"""What a pipeline would do is told before it does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from memori import Pipeline, Results, Stage


def load(subject: str, scale: int = 1) -> int:
    return scale * len(subject)


def smooth(loaded: int, fwhm: int = 4) -> int:
    return loaded + fwhm


def write(smoothed: int, name: str) -> str:
    return f"{name}{smoothed}"


def pipeline(root: Path, **static: int) -> Pipeline:
    first = Stage(load, "loaded", root)
    second = Stage(smooth, "smoothed", root, **static)
    third = Stage(write, "written", root)
    return Pipeline([("start", first), (first, second), (second, third)])


def told(decisions: list) -> list[str]:
    return [str(decision) for decision in decisions]


def test_nothing_was_run_so_all_would_run_and_nothing_is_run_for_asking(tmp_path: Path) -> None:
    """What lies below a stage that would run waits for what that makes."""
    asked = pipeline(tmp_path).explain(subject="01", name="x")
    assert not asked.hit
    assert [
        "stage 'load': miss: no run with these inputs is recorded",
        "stage 'smooth': miss: its inputs are made by 'load', which will run",
        "stage 'write': miss: its inputs are made by 'smooth', which will run",
    ] == told(asked)
    assert [] == list(tmp_path.iterdir())


def test_what_changed_is_told_where_it_changed(tmp_path: Path) -> None:
    """Stages above are hits, the one that changed says why, and those below wait for it."""
    pipeline(tmp_path).run(subject="01", name="x")
    asked = pipeline(tmp_path).explain(subject="01", name="x")
    assert asked.hit
    changed = pipeline(tmp_path, fwhm=6).explain(subject="01", name="x")
    assert [
        "stage 'load': hit",
        "stage 'smooth': miss: input fwhm: 4 -> 6",
        "stage 'write': miss: its inputs are made by 'smooth', which will run",
    ] == told(changed)
    assert "stage 'load': hit" == str(changed.of("load"))
    with pytest.raises(KeyError, match="no stage 'wirte'"):
        changed.of("wirte")


def test_a_pipeline_in_a_pipeline_is_asked_stage_by_stage(tmp_path: Path) -> None:
    """Its stages are told as if they stood in the outer one."""
    first = Stage(load, "loaded", tmp_path)
    inner = Pipeline([("start", second := Stage(smooth, "smoothed", tmp_path))])
    third = Stage(write, "written", tmp_path)
    outer = Pipeline([("start", first), (first, inner), (inner, third)])
    outer.run(subject="01", name="x")
    assert [True, True, True] == [each.hit for each in outer.explain(subject="01", name="x")]
    second.set_stage_arg("fwhm", 6)
    assert [True, False, False] == [each.hit for each in outer.explain(subject="01", name="x")]
    assert [
        "stage 'smooth': miss: its inputs are made by 'load', which will run",
        "stage 'write': miss: its inputs are made by 'smooth', which will run",
    ] == told(outer.explain(subject="012", name="x")[1:])


def test_a_map_is_planned_case_by_case(tmp_path: Path) -> None:
    """The plan says how much would run, and of which cases."""
    made = pipeline(tmp_path)
    made.map([{"subject": "01", "name": "x"}])
    plan = made.plan([{"subject": "01", "name": "x"}, {"subject": "002", "name": "x"}])
    assert [True, False] == [decisions.hit for _, decisions in plan]
    assert [
        "2 cases: 3 stages would run, 3 are remembered",
        "case {'subject': '002', 'name': 'x'}:",
    ] == str(plan).splitlines()[:2]


def test_bad_cases_are_an_error_as_for_a_run(tmp_path: Path) -> None:
    """A name that no stage takes is not planned for."""
    with pytest.raises(TypeError, match="no stage of the pipeline takes 'sbject'"):
        pipeline(tmp_path).plan([{"sbject": "01", "name": "x"}])


def test_what_a_case_has_not_got_is_left_out() -> None:
    """The session of a dataset without sessions is None, and no stage need take it."""
    double = Stage(lambda n: 2 * n, "twice", stage_name="double")
    pipeline = Pipeline([("start", double)])

    (plan,) = pipeline.plan([{"n": 1, "session": None}])
    ((_, result),) = pipeline.map([{"n": 1, "session": None}])

    assert 2 == result["twice"]
    assert 1 == plan[0]["n"]
    with pytest.raises(TypeError, match="no stage of the pipeline takes 'session'"):
        pipeline.map([{"n": 1, "session": "pre"}])


def test_a_stage_without_a_folder_runs_and_what_is_below_it_waits() -> None:
    """Without a memory, nothing can be told of what comes of it."""
    first, second = Stage(load, "loaded"), Stage(smooth, "smoothed")
    asked = Pipeline([("start", first), (first, second)]).explain(subject="01")
    assert [False, False] == [each.hit for each in asked]


def test_what_a_run_returns_is_what_was_foreseen(tmp_path: Path) -> None:
    """A hit's outputs are those that the next decision is made of."""
    assert Results(loaded=2, smoothed=6, written="x6") == pipeline(tmp_path).run(
        subject="01", name="x"
    )
    assert pipeline(tmp_path).explain(subject="01", name="x").hit
