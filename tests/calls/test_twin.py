"""Equal runs of different cases run once, wherever they are remembered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, workdir


def atlas(template: str, log: str) -> str:
    """Make a file that is the same for all subjects, and note that it was made."""
    with open(f"{log}/calls", "a") as file:
        file.write("called\n")
    made = workdir() / "atlas.txt"
    made.write_text(template)
    (workdir() / "sub").mkdir()
    (workdir() / "sub" / "side.txt").write_text("beside")
    return str(made)


def outside(template: str, log: str) -> str:
    """Write where all of them write."""
    with open(f"{log}/calls", "a") as file:
        file.write("called\n")
    Path(log, "shared.txt").write_text(template)
    return template


def used(made: str, subject: str) -> str:
    return f"{subject} with {Path(made).read_text()}"


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().split())


def pipeline(tmp_path: Path) -> Pipeline:
    place = f"{tmp_path}/kept/{{subject}}"
    first = Stage(atlas, "made", place, ignore_reads=[f"{tmp_path}/calls"])
    return Pipeline([("start", first), (("start", first), Stage(used, "told", place))])


def cases(tmp_path: Path, *subjects: str) -> list[dict[str, Any]]:
    about = {"template": "mni", "log": str(tmp_path)}
    return [{"subject": subject, **about} for subject in subjects]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_stage_that_takes_no_subject_runs_for_one_of_them(
    tmp_path: Path, n_jobs: int | None
) -> None:
    """The results of each subject lie in its own folder, and are remembered there."""
    made = pipeline(tmp_path)
    found = made.map(cases(tmp_path, "a", "b", "c"), n_jobs=n_jobs)
    assert ["a with mni", "b with mni", "c with mni"] == [each["told"] for _, each in found]
    assert 1 == calls(tmp_path)
    for case, result in found:
        assert result["made"].startswith(f"{tmp_path}/kept/{case['subject']}/atlas/")
        folder = Path(result["made"]).parent
        assert "beside" == (folder / "sub" / "side.txt").read_text()
    assert [1, 0, 0] == sorted(("atlas" in each.ran for _, each in found), reverse=True)
    for case in cases(tmp_path, "a", "b", "c"):
        assert made.explain(**case).hit
    (tmp_path / "kept" / "a").rename(tmp_path / "elsewhere")
    assert 0 == made.map(cases(tmp_path, "b", "c"), n_jobs=n_jobs).executed


def test_a_copy_is_not_the_original(tmp_path: Path) -> None:
    """What is edited in one subject's folder is made again there, and whole elsewhere."""
    made = pipeline(tmp_path)
    (_, one), (_, two) = made.map(cases(tmp_path, "a", "b"))
    Path(one["made"]).write_text("edited")
    assert "mni" == Path(two["made"]).read_text()
    again = made.map(cases(tmp_path, "a", "b"))
    assert [("atlas",), ()] == [each.ran for _, each in again]
    assert ["a with mni", "b with mni"] == [each["told"] for _, each in again]


def test_what_was_written_elsewhere_is_written_by_each(tmp_path: Path) -> None:
    """A run that left something outside its folder stands for no other one."""
    stage = Stage(
        outside, "made", f"{tmp_path}/kept/{{subject}}", ignore_reads=[f"{tmp_path}/calls"]
    )
    Pipeline([("start", stage)]).map(cases(tmp_path, "a", "b"))
    assert 2 == calls(tmp_path)


def test_runs_one_by_one_know_of_no_other_folder(tmp_path: Path) -> None:
    """Only the cases of one map share; `force_run_stage` shares nothing."""
    made = pipeline(tmp_path)
    for case in cases(tmp_path, "a", "b"):
        made.run(**case)
    assert 2 == calls(tmp_path)
    assert ["a", "b"] == sorted(os.listdir(tmp_path / "kept"))
