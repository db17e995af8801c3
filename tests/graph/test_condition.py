"""Lines of a pipeline that hold for some cases only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, when


def anat(t1: str) -> str:
    return f"seg({t1})"


def motion(bold: str) -> str:
    return f"mc({bold})"


def denoise(moved: str, seg: str) -> str:
    return f"{moved}+{seg}"


def report(seg: str, clean: str = "nothing") -> str:
    return f"{seg}, {clean}"


def study(root: Path | None = None) -> Pipeline:
    first = Stage(anat, "seg", root)
    second = Stage(motion, "moved", root)
    third = Stage(denoise, "clean", root)
    last = Stage(report, "report", root)
    return Pipeline(
        [
            ("start", first),
            ("start", second, when("bold")),
            ((first, second), third),
            ((first, third), last),
        ]
    )


WITHOUT = {"seg": "seg(t)", "report": "seg(t), nothing"}
WITH = {
    "seg": "seg(t)",
    "moved": "mc(b)",
    "clean": "mc(b)+seg(t)",
    "report": "seg(t), mc(b)+seg(t)",
}
REASONS = {
    "motion": "it has no 'bold'",
    "denoise": "stage 'motion', which makes its 'moved', is skipped",
}


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("case", [{"t1": "t"}, {"t1": "t", "bold": None}])
def test_a_case_without_an_input_skips_what_needs_it(
    tmp_path: Path, case: dict[str, Any], n_jobs: int | None
) -> None:
    """And what needs that; what can do without runs. It is said, and it is no failure."""
    made = study(tmp_path)
    result = made.run(**case, n_jobs=n_jobs)
    assert (WITHOUT, REASONS) == (result, result.skipped)
    found = made.map([case, {"t1": "t", "bold": "b"}], n_jobs=n_jobs)
    assert [WITHOUT, WITH] == [each for _, each in found]
    assert [REASONS, {}] == [each.skipped for _, each in found]
    told = found.summary()
    assert "2 cases: 1 ran, 1 remembered, 0 failed" in told
    assert "stage 'motion' was skipped in 1 of them" in told


def test_what_is_skipped_is_told_before_anything_runs(tmp_path: Path) -> None:
    """No decision is needed for it, and what is remembered hits."""
    made = study(tmp_path)
    asked = made.explain(t1="t")
    assert ["anat", "report"] == [decision.stage_name for decision in asked]
    assert REASONS == asked.skipped
    assert "stage 'motion': skipped: it has no 'bold'" in str(asked)
    made.run(t1="t")
    assert made.explain(t1="t").hit
    assert not made.explain(t1="t", bold="b").hit


def test_an_input_may_have_to_have_a_value(tmp_path: Path) -> None:
    """Exactly that; an input that only a condition looks at is no unknown name."""
    stage = Stage(anat, "seg", tmp_path)
    made = Pipeline([("start", stage, when(run=1))])
    assert "run" in made.inputs
    assert {"seg": "seg(t)"} == made.run(t1="t", run=1)
    for run in (2, 1.0, True, "1", None):
        result = made.run(t1="t", run=run)
        assert ({}, {"anat": "its 'run' is not 1"}) == (result, result.skipped)
    assert {} == made.run(t1="t")
    with pytest.raises(TypeError, match="'rum'"):
        made.run(t1="t", rum=1)


def test_a_condition_may_look_at_what_an_earlier_stage_made(tmp_path: Path) -> None:
    """Quality decides whether the rest is worth it."""
    check = Stage(lambda x: x > 1, "good", tmp_path, "check")
    rest = Stage(lambda x: x * 2, "twice", tmp_path, "rest")
    made = Pipeline([("start", check), (("start", check), rest, when(good=True))])
    assert {"good": True, "twice": 4} == made.run(x=2)
    assert {"rest": "its 'good' is not True"} == made.run(x=1).skipped


def test_one_of_two_makers_is_enough() -> None:
    """A stage that takes a name from whichever line holds runs with that."""
    slow = Stage(lambda x: f"slow {x}", "y", stage_name="slow")
    quick = Stage(lambda x: f"quick {x}", "y", stage_name="quick")
    last = Stage(lambda y: f"{y}!", "z", stage_name="last")
    made = Pipeline(
        [("start", slow, when(mode="a")), ("start", quick, when(mode="b")), ((slow, quick), last)]
    )
    assert ["slow 1!", "quick 1!"] == [made.run(1, mode=mode)["z"] for mode in ("a", "b")]
    assert {"slow", "quick", "last"} == set(made.run(1, mode="c").skipped)


def test_a_missing_input_of_a_line_that_holds_is_still_an_error() -> None:
    """A condition excuses its own line only."""
    with pytest.raises(TypeError, match="needs 't1'"):
        study().run(bold="b")
    with pytest.raises(TypeError, match="needs 't1'"):
        study().map([{"t1": "t"}, {"bold": "b"}])


def test_a_pipeline_with_conditions_can_stand_in_another(tmp_path: Path) -> None:
    """Its optional inputs are optional there, and what needs it is skipped."""
    inner = study(tmp_path)
    assert ["t1"] == inner.required
    last = Stage(lambda clean: f"<{clean}>", "end", tmp_path, "end")
    outer = Pipeline([("start", inner), (inner, last)])
    assert WITHOUT == outer.run(t1="t")
    assert {"motion", "denoise", "end"} == set(outer.run(t1="t").skipped)
    assert "<mc(b)+seg(t)>" == outer.run(t1="t", bold="b")["end"]
    skipped = Pipeline([("start", inner, when("t1")), (inner, last)])
    assert {} == skipped.run()


@pytest.mark.parametrize("wrong", [lambda: when(), lambda: when(1)])
def test_a_condition_names_inputs(wrong: Any) -> None:
    """Anything else is an error at once, and so is a line with anything else in its place."""
    with pytest.raises(TypeError, match=r"when\(\)"):
        wrong()
    with pytest.raises(TypeError, match="when\\('input'\\)"):
        Pipeline([("start", Stage(anat), "bold")])  # type: ignore[list-item]


def test_outputs_of_what_runs_can_be_accepted(tmp_path: Path) -> None:
    """What is skipped needs no acceptance."""
    made = study(tmp_path)
    made.run(t1="t")
    assert ["anat", "report"] == [each.stage_name for each in made.accept({"t1": "t"})]
