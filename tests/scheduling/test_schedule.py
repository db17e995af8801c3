"""The stages of all cases, dispatched as what they need is there."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, when

LONG = 60.0


def test_branches_of_one_case_run_at_the_same_time() -> None:
    """Two stages of a case that wait for each other both finish, after one that both need."""
    barrier = threading.Barrier(2, timeout=LONG)
    first = Stage(lambda x: x, "y", stage_name="first")
    left = Stage(lambda y: barrier.wait() >= 0, "left", stage_name="left")
    right = Stage(lambda y: barrier.wait() >= 0, "right", stage_name="right")
    pipeline = Pipeline([("start", first), (first, left), (first, right)])
    with ThreadPoolExecutor(2) as executor:
        ((_, result),) = pipeline.map([{"x": 1}], executor=executor)
    assert {"y": 1, "left": True, "right": True} == result


def made_once(template: str, folder: str) -> str:
    """Note that it was called; what is made of a waits for what is made of c."""
    with open(f"{folder}/calls", "a") as file:
        file.write(f"{template}\n")
    until = time.monotonic() + LONG
    while template == "a" and "c" not in Path(folder, "calls").read_text():
        time.sleep(0.01)
        if time.monotonic() > until:
            raise TimeoutError
    return template


@pytest.mark.parametrize("where", ["threads", "n_jobs"])
def test_nobody_waits_for_a_run_while_there_is_something_else_to_do(
    tmp_path: Path, where: str
) -> None:
    """Three cases share a stage, which runs once and ends when a fourth case has run."""
    stage = Stage(made_once, "made", tmp_path / "work", watch=False)
    pipeline = Pipeline([("start", stage)])
    cases = [{"template": name, "folder": str(tmp_path)} for name in "aaac"]
    with ThreadPoolExecutor(2) as executor:
        options: Any = {"n_jobs": 2} if where == "n_jobs" else {"executor": executor}
        found = pipeline.map(cases, **options)
    assert ["a", "a", "a", "c"] == [result["made"] for _, result in found]
    assert ["a", "c"] == sorted((tmp_path / "calls").read_text().split())
    assert 2 == found.executed


def made_by(name: str, log: Path) -> Any:
    """A stage's callable that adds up what it is given, and notes that it ran."""

    def add(case: int, **values: int) -> int:
        with open(log, "a") as file:
            file.write(f"{name} {case}\n")
        return case + sum(values.values())

    return add


def random_pipeline(seed: int, folder: Path) -> Pipeline:
    """Eight stages of which each takes from some before it; some hold for some cases only."""
    draw = random.Random(seed)
    stages: list[Stage] = []
    lines: list[Any] = []
    for number in range(8):
        sources = draw.sample(stages, min(len(stages), draw.choice([0, 1, 1, 2, 3])))
        name = f"s{number}"
        place = None if draw.random() < 0.1 else folder / "work"
        stage = Stage(made_by(name, folder / "log"), name, place, name)
        condition = (when(case=draw.randrange(4)),) if draw.random() < 0.1 else ()
        lines.append((("start", *sources), stage, *condition))
        stages.append(stage)
    return Pipeline(lines)


@pytest.mark.parametrize("seed", range(12))
def test_any_graph_gives_what_it_gives_in_a_loop(tmp_path: Path, seed: int) -> None:
    """Whatever stands where, is forgotten or skipped: the same results and the same runs."""
    cases = [{"case": number} for number in range(4)]
    runs, results = [], []
    for folder, where in ((tmp_path / "loop", False), (tmp_path / "workers", True)):
        folder.mkdir()
        pipeline = random_pipeline(seed, folder)
        log = folder / "log"
        with ThreadPoolExecutor(3) as executor:
            options: dict[str, Any] = {"executor": executor} if where else {}
            found = [pipeline.map(cases, **options)]
            noted = [sorted(log.read_text().splitlines())]
            draw = random.Random(seed)
            for _, result in found[0]:
                for stage in draw.sample(pipeline.stages, 3):
                    sources = pipeline._wiring.sources[stage]
                    inputs = {n: result[n] for s in sources for n in s.offers if n in result}
                    if stage.hash_output is not None:  # type: ignore[attr-defined]
                        stage.forget(case=draw.randrange(4), **inputs)  # type: ignore[attr-defined]
            log.write_text("")
            found.append(pipeline.map(cases, **options))
            noted.append(sorted(log.read_text().splitlines()))
        runs.append(noted)
        results.append(
            [[(case, dict(result), result.skipped) for case, result in each] for each in found]
        )
    assert results[0] == results[1]
    assert runs[0] == runs[1]


def test_after_a_branch_has_failed_nothing_more_of_its_case_begins() -> None:
    """Other cases go on, and the case has one failure."""
    begun = threading.Event()
    after = []

    def fail(x: int) -> int:
        begun.wait(LONG)
        raise ValueError("no") if x else None  # type: ignore[misc]

    def slow(x: int) -> int:
        begun.set()
        time.sleep(0.1)
        return x

    def join(a: int, b: int) -> int:
        after.append(a)
        return a

    one, two = Stage(fail, "a"), Stage(slow, "b")
    three = Stage(join, "c")
    pipeline = Pipeline([("start", one), ("start", two), ((one, two), three)])
    with ThreadPoolExecutor(2) as executor:
        found = pipeline.map([{"x": 1}], executor=executor)
    assert ["fail"] == [failure.stage for failure in found.failures]
    assert [] == after


def test_a_pool_of_the_users_own_has_room_for_threads_as_local_processes_have(
    tmp_path: Path,
) -> None:
    """A stage that keeps two threads busy has nothing beside it in a pool of two."""
    going: set[str] = set()
    beside: dict[str, set[str]] = {}

    def work(name: str) -> str:
        going.add(name)
        time.sleep(0.05)
        beside[name] = set(going) - {name}
        going.discard(name)
        return name

    stages = [Stage(work, n, stage_name=n, name=n) for n in ("a", "b", "c")]
    stages[0] = stages[0].with_options(threads=2)
    with ThreadPoolExecutor(2) as executor:
        Pipeline([("start", stage) for stage in stages]).map([{}, {}], executor=executor)
    assert set() == beside["a"]


# As they are done


def test_cases_come_as_they_are_done(tmp_path: Path) -> None:
    """Nothing runs before the first is asked for, and a case that waits keeps no other back."""
    begun = []
    later = threading.Event()

    def work(x: int) -> int:
        begun.append(x)
        if x == 0 and not later.wait(LONG):
            raise TimeoutError
        return x

    pipeline = Pipeline([("start", Stage(work, "y"))])
    with ThreadPoolExecutor(2) as executor:
        found = pipeline.map([{"x": x} for x in range(3)], executor=executor, as_completed=True)
        assert [] == begun
        assert [1, 2] == sorted(next(found)[0]["x"] for _ in range(2))
        later.set()
        assert [({"x": 0}, {"y": 0})] == list(found)


def test_a_loop_asks_for_one_case_after_the_other() -> None:
    """Without workers the next case runs when it is asked for; failures come as values."""
    begun = []

    def work(x: int) -> float:
        begun.append(x)
        return 1 / x

    found = Pipeline([("start", Stage(work, "y"))]).map(
        [{"x": x} for x in (1, 0, 2)], as_completed=True
    )
    assert {"y": 1.0} == next(found)[1]
    assert [1] == begun
    assert [False, True] == [bool(result) for _, result in found]
    with pytest.raises(TypeError, match="needs 'x'"):
        Pipeline([("start", Stage(work, "y"))]).map([{"x": 1}, {}], as_completed=True)
    assert [1, 0, 2] == begun


def linger(x: int, folder: str) -> int:
    Path(folder, f"{x}-begun").touch()
    time.sleep(0 if x == 0 else LONG)
    Path(folder, f"{x}-ended").touch()
    return x


def test_who_leaves_ends_what_is_going_on(tmp_path: Path) -> None:
    """A loop over cases that is left waits for none of them, and the next map runs as ever."""
    pipeline = Pipeline([("start", Stage(linger, "y"))])
    cases = [{"x": x, "folder": str(tmp_path)} for x in (0, 1)]
    began = time.monotonic()
    for case, _ in pipeline.map(cases, n_jobs=2, as_completed=True):
        assert 0 == case["x"]
        break
    else:
        raise AssertionError("no case came")
    assert time.monotonic() - began < LONG / 2
    assert not (tmp_path / "1-ended").exists()
    assert {"y": 0} == pipeline.map(cases[:1], n_jobs=2)[0][1]


def test_who_interrupts_is_told_how_to_go_on(tmp_path: Path) -> None:
    """What was done is remembered, and is not done again."""
    is_over = []

    def work(x: int) -> int:
        if x == 2 and not is_over:
            raise KeyboardInterrupt
        return x

    cases = [{"x": x} for x in range(3)]
    pipeline = Pipeline([("start", Stage(work, "y", tmp_path, code_version="1"))])
    with pytest.raises(KeyboardInterrupt) as caught:
        pipeline.map(cases)
    assert any("2 of 3 cases were done. Call it again" in each for each in caught.value.__notes__)
    is_over.append(True)
    assert 1 == pipeline.map(cases).executed
