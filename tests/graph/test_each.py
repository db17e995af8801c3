"""A stage over the elements of a list whose length nobody knew before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memori import Each, Pipeline, Stage, workdir


def find(count: int) -> list[int]:
    return list(range(count))


def write(number: int, power: int = 2) -> tuple[str, int]:
    path = workdir() / "number.txt"
    path.write_text(str(12 // (number - 5) * number**power))
    return str(path), number


def join(file: list[str], number: list[int]) -> str:
    return ",".join(Path(each).read_text() for each in file) + f" of {len(number)}"


def pipeline(root: Path | None, **over: str) -> Pipeline:
    found = Stage(find, "numbers", root)
    each = Each(Stage(write, ["file", "number"], root), **(over or {"number": "numbers"}))
    return Pipeline([("start", found), (found, each), (each, Stage(join, "text", root))])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_element_is_a_run_and_the_next_stage_joins_them(
    tmp_path: Path, n_jobs: int | None
) -> None:
    """In order, with the other inputs as for one; files of one never take those of another."""
    result = pipeline(tmp_path).run(3, power=1, n_jobs=n_jobs)
    assert "0,-3,-8 of 3" == result["text"]
    assert [0, 1, 2] == result["number"]
    ((_, mapped),) = pipeline(tmp_path).map([{"count": 3, "power": 1}], n_jobs=n_jobs)
    assert result == mapped
    assert () == mapped.ran


def test_of_a_longer_list_only_what_is_new_runs(tmp_path: Path) -> None:
    """A subject that got one more run costs that run."""
    made = pipeline(tmp_path)
    assert ("find", "write", "write", "join") == made.run(2).ran
    assert ("find", "write", "join") == made.run(3).ran
    assert () == made.run(2).ran


def test_an_empty_list_gives_empty_lists(tmp_path: Path) -> None:
    """A subject without runs is no error."""
    assert {"numbers": [], "file": [], "number": [], "text": " of 0"} == pipeline(tmp_path).run(0)


def test_the_element_that_fails_is_named(tmp_path: Path) -> None:
    """And those before it are remembered."""
    (failure,) = pipeline(tmp_path).map([{"count": 7}]).failures
    assert ("write", ZeroDivisionError) == (failure.stage, type(failure.error))
    assert "memori: in element 5 of numbers" in failure.traceback
    assert "write" not in pipeline(tmp_path).run(5).ran


def test_what_would_run_is_told_element_by_element(tmp_path: Path) -> None:
    """Where the list is known; else its maker is named."""
    made = pipeline(tmp_path)
    names = ["find", "write", "join"]
    assert names == [decision.stage_name for decision in made.explain(2)]
    made.run(2)
    asked = made.explain(2, power=1)
    assert [True, False, False, False] == [decision.hit for decision in asked]
    assert made.explain(2).hit


def test_lists_go_together(tmp_path: Path) -> None:
    """Of one length; another is an error that says both."""
    add = Stage(lambda a, b: a + b, "sum", tmp_path, "add")
    summed = Pipeline([("start", Each(add, a="left", b="right"))])
    assert {"sum": [4, 6]} == summed.run(left=[1, 2], right=[3, 4])
    assert {"sum": [4, 6]} == summed.run([1, 2], [3, 4])
    assert {"sum": [2, 4]} == Pipeline([("start", Each(add, a="x", b="x"))]).run(x=[1, 2])
    with pytest.raises(TypeError, match="'left' has 1, 'right' has 2"):
        summed.run(left=[1], right=[3, 4])
    with pytest.raises(TypeError, match="takes a list as 'left', got 'abc'"):
        summed.run(left="abc", right=[3, 4])


@pytest.mark.parametrize(
    ("static", "over", "words"),
    [({}, {}, "needs the name"), ({}, {"numbr": "x"}, "'numbr'"),
     ({"number": 1}, {"number": "x"}, "static value")],
)  # fmt: skip
def test_wrong_wiring_is_an_error_at_construction(
    static: dict[str, Any], over: dict[str, str], words: str
) -> None:
    """It names the stage and the parameter."""
    with pytest.raises(TypeError, match=words):
        Each(Stage(write, ["file", "number"], **static), **over)
    with pytest.raises(TypeError, match="stage 'write'"):
        Pipeline([("start", Each(Stage(write, ["file", "number"]), number="x"))]).run()


def test_a_pipeline_can_run_over_each_element(tmp_path: Path) -> None:
    """As a stage can, and inside another."""
    first = Stage(lambda x: x + 1, "y", tmp_path, "first")
    second = Stage(lambda y: y * 2, "z", tmp_path, "second")
    inner = Pipeline([("start", first), (first, second)])
    each = Each(inner, x="xs")
    outer = Pipeline([("start", Pipeline([("start", each)]))])
    assert {"y": [2, 3], "z": [4, 6]} == outer.run(xs=[1, 2])
    assert () == outer.run(xs=[2]).ran
    assert [True, True] == [decision.hit for decision in outer.accept({"xs": [2]})]
