"""Elements of lists, and what is inside of pipelines that stand as stages, side by side."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from memori import Each, Failure, Pipeline, Stage, when
from memori.graph.division import is_row

LONG = 60.0


def find(count: int) -> list[int]:
    return list(range(count))


def meet(folder: Path, number: int, others: int) -> int:
    """Wait until so many calls are there."""
    (folder / f"{number}-{threading.get_native_id()}").touch()
    until = time.monotonic() + LONG
    while len(list(folder.iterdir())) < others:
        assert time.monotonic() < until, "they do not run side by side"
        time.sleep(0.005)
    return number


def met(number: int, folder: str, others: int = 2) -> int:
    return meet(Path(folder), number, others)


def doubled(met: int) -> int:
    return 2 * met


def squared(number: int) -> int:
    if number == 5:
        raise ValueError("no square of five")
    return number**2


def squares(root: Path | None, function: Any = squared) -> Pipeline:
    found = Stage(find, "numbers", root)
    square = Each(Stage(function, "square", root, "square"), number="numbers")
    return Pipeline([("start", found), (found, square), (square, Stage(sum_of, "total", root))])


def sum_of(square: list[int]) -> int:
    return sum(square)


def test_elements_of_one_case_run_side_by_side_in_processes(tmp_path: Path) -> None:
    """Two that wait for each other both finish, and what comes after them is given both."""
    (tmp_path / "there").mkdir()
    found = Stage(find, "numbers", tmp_path / "work")
    each = Each(Stage(met, "met", tmp_path / "work"), number="numbers")
    pipeline = Pipeline([("start", found), (("start", found), each)])
    result = pipeline.run(2, folder=str(tmp_path / "there"), n_jobs=2)
    assert [0, 1] == result["met"]
    assert 2 == result.ran.count("met")


@pytest.mark.parametrize("is_each", [True, False])
def test_stages_of_a_pipeline_inside_run_side_by_side(tmp_path: Path, is_each: bool) -> None:
    """As those of a case do, and so they do for each element."""
    first = Stage(met, "one", None, "first", others=4 if is_each else 2)
    second = Stage(met, "two", None, "second", others=4 if is_each else 2)
    last = Stage(lambda one, two: one + two, "both", stage_name="last")
    inner = Pipeline([("start", first), ("start", second), ((first, second), last)])
    assert inner.is_divided
    outer: Any = Each(inner, number="numbers") if is_each else inner
    given = {"numbers": [3, 4]} if is_each else {"number": 3}
    with ThreadPoolExecutor(4) as executor:
        result = Pipeline([("start", outer)]).run(folder=str(tmp_path), executor=executor, **given)
    assert ([6, 8] if is_each else 6) == result["both"]


def test_a_row_inside_stays_with_one_worker() -> None:
    """There is nothing to run side by side, unless it holds elements or needs differ."""
    one, two = Stage(squared, "met", stage_name="one"), Stage(doubled, "doubled")
    assert is_row(Pipeline([("start", one), (one, two)]).inner)
    large = two.with_options(threads=2)
    assert not is_row(Pipeline([("start", one), (one, large)]).inner)
    assert not is_row(Pipeline([("start", one), ("start", two)]).inner)
    assert not is_row(Pipeline([("start", Each(one, number="numbers"))]).inner)


@pytest.mark.parametrize("where", ["here", "threads", "n_jobs"])
def test_the_element_that_fails_is_named_and_the_others_are_remembered(
    tmp_path: Path, where: str
) -> None:
    """The other cases go on; mended, only what is missing runs."""
    pipeline, cases = squares(tmp_path), [{"count": 4}, {"count": 9}, {"count": 2}]
    with ThreadPoolExecutor(2) as executor:
        how: dict[str, Any] = {
            "here": {},
            "threads": {"executor": executor},
            "n_jobs": {"n_jobs": 2},
        }[where]
        found = pipeline.map(cases, **how)
    assert [14, None, 1] == [result["total"] if result else None for _, result in found]
    [failure] = found.failures
    told = "stage 'square' in element 5 of numbers: ValueError: no square of five"
    assert (told, "element 5 of numbers") == (failure.headline, failure.within)
    assert told in found.summary()
    assert failure.log is not None
    assert "no square of five" in Path(failure.log).read_text()
    assert ("find", "sum_of") == pipeline.run(5).ran


def test_of_a_longer_list_only_what_is_new_runs_on_workers(tmp_path: Path) -> None:
    """And what hits is recalled, in the order of the list."""
    pipeline = squares(tmp_path, doubled_number)
    with ThreadPoolExecutor(3) as executor:
        for count, ran in ((20, 22), (20, 0), (21, 3), (7, 2), (0, 2)):
            ((_, result),) = pipeline.map([{"count": count}], executor=executor)
            assert not isinstance(result, Failure)
            assert [2 * n for n in range(count)] == result["square"]
            assert ran == len(result.ran)


def doubled_number(number: int) -> int:
    return 2 * number


class Eager(Executor):
    """Any executor of which nobody knows how many calls it makes at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)

    def submit(self, *call: Any, **more: Any) -> Any:
        return self._pool.submit(*call, **more)


def test_what_stands_in_for_nothing_and_what_is_no_list(tmp_path: Path) -> None:
    """Skipped, empty and wrong: as where no worker takes part."""
    double = Each(Stage(doubled_number, "double", tmp_path, "double"), number="numbers")
    after = Stage(lambda double: len(double), "length", stage_name="after")
    pipeline = Pipeline([("start", double, when("numbers")), (double, after)])
    cases: list[dict[str, object]] = [{"numbers": n} for n in (None, [], [1, 2], 3)]
    told = []
    for executor in (None, Eager()):
        found = pipeline.map(cases, executor=executor)
        assert [{}, {"double": [], "length": 0}, {"double": [2, 4], "length": 2}] == [
            dict(result) for _, result in found if not isinstance(result, Failure)
        ]
        assert {"double", "after"} <= {*found[0][1].skipped, "double"}
        told += [failure.headline for failure in found.failures]
    assert told[0] == told[1]
    assert "takes a list as 'numbers', got 3" in told[0]


def test_an_element_for_which_a_stage_is_skipped_has_none(tmp_path: Path) -> None:
    """The lists keep the order of the elements."""
    always = Stage(lambda x: x, "y", stage_name="always")
    odd = Stage(lambda x: -x, "z", stage_name="odd")
    inner = Pipeline([("start", always), ("start", odd, when(x=3))])
    pipeline = Pipeline([("start", Each(inner, x="xs"))])
    for executor in (None, ThreadPoolExecutor(2)):
        result = pipeline.run(xs=[2, 3, 4], executor=executor)
        assert {"y": [2, 3, 4], "z": [None, -3, None]} == result


def test_lists_of_lists(tmp_path: Path) -> None:
    """Each of each: every innermost element is a run of its own, and is named."""
    square = Stage(squared, "square", tmp_path, "square")
    inner = Pipeline([("start", Each(square, number="numbers"))])
    pipeline = Pipeline([("start", Each(inner, numbers="lists"))])
    with ThreadPoolExecutor(2) as executor:
        result = pipeline.run(lists=[[1, 2], [], [3]], executor=executor)
        assert [[1, 4], [], [9]] == result["square"]
        found = pipeline.map([{"lists": [[1], [2, 5]]}], executor=executor)
    assert "element 1 of numbers, element 1 of lists" == found.failures[0].within
