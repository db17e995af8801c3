"""Stages wired as a graph, one case or many."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from memori import Failure, MemoriError, Pipeline, Results, Stage, workdir


def add(x: int, y: int) -> int:
    return x + y


def times_a(z: int, a: int) -> int:
    return z * a


def times_b(z: int, b: int) -> int:
    return z * b


def both(b: int, c: int, d: int) -> tuple[int, int]:
    return b + c + d, b * c * d


def diamond(root: Path | None = None) -> tuple[Pipeline, list[Stage]]:
    start = Stage(add, ["z"], root)
    left = Stage(times_a, ["b"], root, a=2)
    right = Stage(times_b, ["c"], root)
    end = Stage(both, ["e", "f"], root, d=2)
    lines = [("start", start), (start, left), ((start, left), right), ((left, right), end)]
    return Pipeline(lines), [start, left, right, end]  # type: ignore[arg-type]


EXPECTED = {"z": 3, "b": 6, "c": 18, "e": 26, "f": 216}


def test_a_pipeline_passes_results_on_by_name(tmp_path: Path) -> None:
    """Every stage's outputs are in the results, and a second run is all hits."""
    pipeline, stages = diamond(tmp_path)
    assert EXPECTED == pipeline.run(1, 2)
    assert pipeline.state is True
    assert EXPECTED == pipeline.run(1, y=2)
    assert pipeline.state is False
    assert EXPECTED == pipeline.results
    assert [False] * 4 == [stage.state for stage in stages]
    assert {"e": 26, "f": 216} == stages[3].results


def test_only_what_depends_on_a_change_runs_again(tmp_path: Path) -> None:
    """A changed static value reruns its stage and those that its result reaches."""
    diamond(tmp_path)[0].run(1, 2)
    pipeline, stages = diamond(tmp_path)
    stages[3] = Stage(both, ["e", "f"], tmp_path, d=3)
    pipeline = Pipeline(
        [
            ("start", stages[0]),
            (stages[0], stages[1]),
            ((stages[0], stages[1]), stages[2]),
            ((stages[1], stages[2]), stages[3]),
        ]
    )
    pipeline.run(1, 2)
    assert [False, False, False, True] == [stage.state for stage in stages]


def test_the_order_of_the_lines_does_not_matter() -> None:
    """Stages run after what they need, wherever their line stands."""
    a, b = Stage(lambda x: x + 1, "y", stage_name="a"), Stage(lambda y: y * 2, "z", stage_name="b")
    assert {"y": 2, "z": 4} == Pipeline([(a, b), ("start", a)]).run(1)


def test_the_right_most_of_two_offers_wins() -> None:
    """Where two inputs offer the same name, the later one in the tuple is taken."""
    a, b = Stage(lambda: 1, "v", stage_name="a"), Stage(lambda: 2, "v", stage_name="b")
    end = Stage(lambda v: v, "end", stage_name="end")
    for sources, expected in (((a, b), 2), ((b, a), 1)):
        results = Pipeline([("start", a), ("start", b), (sources, end)]).run()
        assert expected == results["end"]


def test_keywords_reach_every_stage_that_no_edge_or_static_value_fills() -> None:
    """A run-time keyword never overrides an edge or a static value."""
    a = Stage(lambda k: k, "v", stage_name="a")
    b = Stage(lambda v, k: [v, k], "w", stage_name="b", k=9)
    c = Stage(lambda v, k: [v, k], "u", stage_name="c")
    pipeline = Pipeline([("start", a), (a, b), (a, c)])
    assert {"v": 5, "w": [5, 9], "u": [5, 5]} == pipeline.run(k=5)


def test_aliases_feed_later_stages() -> None:
    """An output offered under another name fills a parameter of that name."""
    a = Stage(lambda: 3, "v", aliases={"v": "image"}, stage_name="a")
    b = Stage(lambda image: image + 1, "w", stage_name="b")
    assert 4 == Pipeline([("start", a), (a, b)]).run()["w"]


def test_a_pipeline_can_stand_where_a_stage_can(tmp_path: Path) -> None:
    """Nested pipelines take and offer names as stages do, and a Results fills them."""
    inner, _ = diamond(tmp_path)
    before = Stage(lambda n: (n, n + 1), ["x", "y"], stage_name="before")
    after = Stage(lambda f, e: f - e, "g", stage_name="after")
    outer = Pipeline([("start", before), (before, inner), (inner, after)])
    assert 216 - 26 == outer.run(1)["g"]
    assert ["n"] == outer.inputs
    assert ["x", "y"] == inner.required
    assert EXPECTED == inner.run(Results(x=1, y=2, unknown=3))


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda a, b: [(a, b), (b, a)], ValueError, "circle"),
        (lambda a, b: [(a, a)], ValueError, "circle"),
        (lambda a, b: [(a, b)], ValueError, "stage 'a' feeds stage 'b' and has no line"),
        (lambda a, b: [("begin", a)], TypeError, "'begin'"),
        (lambda a, b: [("start", len)], TypeError, "wrap the function in Stage"),
        (lambda a, b: [(a,)], TypeError, "pairs"),
        (lambda a, b: [], ValueError, "at least one line"),
    ],
)
def test_wrong_wiring_is_an_error_at_construction(build: Any, error: Any, words: str) -> None:
    """Circles, foreign objects and loose ends are named."""
    a = Stage(lambda y=0: 1, "x", stage_name="a")
    b = Stage(lambda x=0: 1, "y", stage_name="b")
    with pytest.raises(error, match=words):
        Pipeline(build(a, b))


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((1,), {}, "stage 'add' needs 'y'"),
        ((1, 2, 3), {}, "stage 'add' takes 2 positional arguments, got 3"),
        ((1, 2), {"x": 1}, "'x' by position and by name"),
        ((1, 2), {"q": 1}, "no stage of the pipeline takes 'q'"),
        ((1, {2}), {}, "pipeline, argument"),
        ((1,), {"yy": 2}, "did you mean 'y'"),
    ],
)
def test_a_wrong_call_is_an_error_before_anything_runs(
    tmp_path: Path, args: Any, kwargs: Any, words: str
) -> None:
    """The error names stage and parameter, and nothing was run or written."""
    pipeline, _ = diamond(tmp_path)
    with pytest.raises(TypeError, match=words):
        pipeline.run(*args, **kwargs)
    assert [] == os.listdir(tmp_path)


def test_a_parameter_that_nothing_fills_is_found_before_the_first_stage_runs(
    tmp_path: Path,
) -> None:
    """A hole at the end of a pipeline does not cost the hours before it."""
    a = Stage(lambda: 1, "x", tmp_path, "a")
    b = Stage(lambda x, missing: 1, "y", tmp_path, "b")
    with pytest.raises(TypeError, match=r"stage 'b' needs 'missing'.*edges offer: x"):
        Pipeline([("start", a), (a, b)]).run()
    assert [] == os.listdir(tmp_path)


def executors() -> list[Any]:
    return [lambda: ThreadPoolExecutor(2), lambda: ProcessPoolExecutor(2)]


@pytest.mark.parametrize("make", executors())
def test_any_executor_gives_the_same_results(tmp_path: Path, make: Any) -> None:
    """Threads and processes run what a loop would."""
    pipeline, stages = diamond(tmp_path)
    executor: Executor
    with make() as executor:
        assert EXPECTED == pipeline.run(1, 2, executor=executor)
        assert [True] * 4 == [stage.state for stage in stages]
        assert EXPECTED == pipeline.run(1, 2, executor=executor)
        assert pipeline.state is False
    assert EXPECTED == pipeline.run(1, 2)
    assert pipeline.state is False


def test_n_jobs_takes_lambdas_and_closures(tmp_path: Path) -> None:
    """The local processes take whatever Python can define, and share memory with a loop."""
    offset = 10
    a = Stage(lambda x: x + offset, "y", tmp_path, "a")
    b = Stage(lambda y: [y, os.getpid()], "z", tmp_path, "b")
    pipeline = Pipeline([("start", a), (a, b)])
    results = pipeline.run(1, n_jobs=2)
    assert 11 == results["y"]
    assert os.getpid() != results["z"][1]
    assert results == pipeline.run(1)
    assert pipeline.state is False


def test_independent_branches_run_at_the_same_time() -> None:
    """Two stages that wait for each other both finish."""
    barrier = threading.Barrier(2, timeout=20)
    a = Stage(lambda: barrier.wait() >= 0, "x", stage_name="a")
    b = Stage(lambda: barrier.wait() >= 0, "y", stage_name="b")
    with ThreadPoolExecutor(2) as executor:
        assert {"x": True, "y": True} == Pipeline([("start", a), ("start", b)]).run(
            executor=executor
        )


def test_a_failed_branch_raises_after_the_others_finished(tmp_path: Path) -> None:
    """The work of a running branch is recorded, and what comes after the failure does not run."""

    def fail() -> int:
        time.sleep(0.1)  # until the other one runs
        raise RuntimeError("no")

    def slow() -> int:
        time.sleep(0.2)
        return 1

    a, b = Stage(fail, "x"), Stage(slow, "y", tmp_path)
    c = Stage(lambda x, y: 1, "z", tmp_path, "c")
    with ThreadPoolExecutor(2) as executor, pytest.raises(RuntimeError, match="no"):
        Pipeline([("start", a), ("start", b), ((a, b), c)]).run(executor=executor)
    assert b.explain().hit
    assert not c.explain(1, 1).hit


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5])
def test_a_wrong_number_of_processes_is_an_error(n_jobs: Any) -> None:
    """n_jobs is a count, or -1."""
    with pytest.raises(ValueError, match="n_jobs"):
        diamond()[0].run(1, 2, n_jobs=n_jobs)


def invert(x: float, subject: str = "") -> str:
    path = workdir() / "out.txt"
    path.write_text(str(1 / x))
    return str(path)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_failed_case_never_takes_another_down(tmp_path: Path, n_jobs: int | None) -> None:
    """Failures come back as values, in their place, and in the summary."""
    pipeline = Pipeline([("start", Stage(invert, "file", f"{tmp_path}/{{subject}}"))])
    cases = [{"x": x, "subject": f"sub-{x}"} for x in (1, 0, 2)]
    results = pipeline.map(cases, n_jobs=n_jobs)
    assert [1, 0, 2] == [case["x"] for case, _ in results]
    texts = [Path(result["file"]).read_text() for _, result in results if result]
    assert ["1.0", "0.5"] == texts
    (failure,) = results.failures
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ZeroDivisionError)
    assert "stage 'invert' with x=0" in failure.traceback
    with pytest.raises(Exception, match="sub-0"):
        failure["file"]
    assert "3 cases: 2 ran, 0 remembered, 1 failed" in results.summary()
    assert "2 remembered" in pipeline.map(cases, n_jobs=n_jobs).summary()
    with pytest.raises(ZeroDivisionError):
        pipeline.map(cases, n_jobs=n_jobs, on_error="raise")


class UnpicklableError(Exception):
    """An error that cannot leave the process it was raised in."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__("cannot travel")


def raise_unpicklable(x: int) -> int:
    if x:
        raise UnpicklableError(1, 2)
    return 0


def test_an_error_that_cannot_be_pickled_still_comes_back() -> None:
    """A worker's failure is told whatever its type."""
    results = Pipeline([("start", Stage(raise_unpicklable, "y"))]).map(
        [{"x": 0}, {"x": 1}], n_jobs=2
    )
    assert {"y": 0} == results[0][1]
    assert "UnpicklableError: cannot travel" in str(results.failures[0].error)


def test_a_wrong_case_is_an_error_before_any_case_runs(tmp_path: Path) -> None:
    """A mistake in the last case does not cost the hours of the first."""
    pipeline, _ = diamond(tmp_path)
    with pytest.raises(TypeError, match="'y'") as error:
        pipeline.map([{"x": 1, "y": 2}, {"x": 1}])
    assert "case 1" in error.value.__notes__[0]
    assert [] == os.listdir(tmp_path)


def together(events: str, name: str) -> str:
    """Note when a stage begins and ends."""
    with open(events, "a") as file:
        file.write(f"+{name}\n")
    time.sleep(0.2)
    with open(events, "a") as file:
        file.write(f"-{name}\n")
    return name


def test_a_stage_that_keeps_several_threads_busy_takes_as_many_places(tmp_path: Path) -> None:
    """With n_jobs=2 a stage of two threads runs alone, and so does one that wants more."""
    stages = [Stage(together, n, stage_name=n, name=n) for n in ("a", "b", "c", "d")]
    stages[:2] = [s.with_options(threads=n) for s, n in zip(stages, (2, 8), strict=False)]
    pipeline = Pipeline([("start", stage) for stage in stages])
    pipeline.run(events=str(tmp_path / "events"), n_jobs=2)
    lines = (tmp_path / "events").read_text().splitlines()
    going: set[str] = set()
    beside: dict[str, set[str]] = {stage.stage_name: set() for stage in stages}
    for line in lines:
        going = going | {line[1]} if line[0] == "+" else going - {line[1]}
        for name in going:
            beside[name] |= going - {name}
    assert (set(), set()) == (beside["a"], beside["b"])
    assert ({"d"}, {"c"}) == (beside["c"], beside["d"])


def test_a_user_who_interrupts_ends_what_waits_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C reaches only the main thread; whoever can end a waiting thread is called."""
    from memori.processes import interrupts

    released = threading.Event()
    monkeypatch.setattr(interrupts, "_at_interrupt", [released.set])

    def wait() -> bool:
        signal.raise_signal(signal.SIGINT)
        return released.wait(20)

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        Pipeline([("start", Stage(wait, "x"))]).run(executor=executor)
    assert released.is_set()


def read_here(path: str) -> list[object]:
    return [Path(path).read_text(), os.environ.get("MEMORI_TEST_PLACE")]


@pytest.mark.parametrize("pool", ["n_jobs", "executor"])
def test_workers_run_in_the_folder_from_which_they_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    """Worker processes outlive a call, but not its working folder and environment."""
    pipeline = Pipeline([("start", Stage(read_here, "y", "work"))])
    with ProcessPoolExecutor(2) as executor:
        for place in "AB":
            (tmp_path / place).mkdir()
            (tmp_path / place / "in.txt").write_text(place)
            monkeypatch.chdir(tmp_path / place)
            monkeypatch.setenv("MEMORI_TEST_PLACE", place)
            where: Any = {"n_jobs": 2} if pool == "n_jobs" else {"executor": executor}
            cases = pipeline.map([{"path": "in.txt"}, {"path": "in.txt"}], **where)
            assert [place] * 2 == [result["y"][0] for _, result in cases]
            assert (tmp_path / place / "work" / ".memori").is_dir()
            if pool == "n_jobs":
                assert [place] * 2 == [result["y"][1] for _, result in cases]


def die(x: int) -> int:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return x


def test_a_worker_that_dies_takes_no_other_case_down(tmp_path: Path) -> None:
    """A crash in native code, or the kernel out of memory, is the failure of one case."""
    pipeline = Pipeline([("start", Stage(die, "y", tmp_path))])
    results = pipeline.map([{"x": x} for x in range(6)], n_jobs=2)
    assert [0, None, 2, 3, 4, 5] == [result["y"] if result else None for _, result in results]
    assert "died" in str(results.failures[0].error)
    assert "x': 1" in results.summary()


def leave(x: int) -> int:
    if x == 1:
        sys.exit(3)
    return x


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_case_that_exits_is_a_failed_case(n_jobs: int | None) -> None:
    """sys.exit in one case does not end the others, wherever they run."""
    results = Pipeline([("start", Stage(leave, "y"))]).map([{"x": 0}, {"x": 1}], n_jobs=n_jobs)
    assert [True, False] == [bool(result) for _, result in results]


def test_an_error_keeps_its_type_where_nothing_crosses_a_process() -> None:
    """A failure of a serial run is the user's own exception."""
    pipeline = Pipeline([("start", Stage(raise_unpicklable, "y"))])
    assert isinstance(pipeline.map([{"x": 1}]).failures[0].error, UnpicklableError)
    with pytest.raises(UnpicklableError):
        pipeline.map([{"x": 1}], on_error="raise")
    with pytest.raises(MemoriError, match="UnpicklableError: cannot travel"):
        pipeline.run(1, n_jobs=2)


def test_an_edge_fills_what_a_position_would(tmp_path: Path) -> None:
    """By position and by name, what an earlier stage offers is taken."""
    a = Stage(lambda x: x + 100, "x", stage_name="a")
    b = Stage(lambda x: x, "y", stage_name="b")
    pipeline = Pipeline([("start", a), (("start", a), b)])
    assert 105 == pipeline.run(5)["y"]
    assert 105 == pipeline.run(x=5)["y"]


def test_a_nested_pipeline_takes_positions_as_its_start_stages_do() -> None:
    """A static value of its start stage keeps its place."""
    inner = Pipeline([("start", Stage(add, "o", x=1))])
    assert {"o": 3} == inner.run(5, y=2)
    assert {"o": 3} == Pipeline([("start", inner)]).run(5, y=2)


def test_a_name_of_our_own_that_a_stage_takes_too_is_told(tmp_path: Path) -> None:
    """n_jobs of the pipeline is never taken for that of a stage, nor swallowed."""
    pipeline = Pipeline([("start", Stage(lambda n_jobs=1: n_jobs, "n", stage_name="s"))])
    with pytest.raises(TypeError, match="takes 'n_jobs' as well"):
        pipeline.run(n_jobs=2)
    assert {"n": 4} == pipeline.map([{"n_jobs": 4}])[0][1]


def test_after_a_failure_no_stage_shows_an_earlier_run(tmp_path: Path) -> None:
    """State and results are those of the last run, whatever became of it."""
    pipeline, stages = diamond(tmp_path)
    pipeline.run(1, 2)
    with pytest.raises(TypeError):
        pipeline.run(1, "x")
    assert [{}, {}] == [stages[3].results, pipeline.results]


def double(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_after_a_map_the_files_that_people_read_show_the_last_case(
    n_jobs: int | None, tmp_path: Path
) -> None:
    """Whichever case ended last, and in which process; whether cases ran or were remembered."""
    pipeline = Pipeline([("start", Stage(double, ["y"], tmp_path))])

    def shown() -> list[object]:
        files = (tmp_path / f"double.{name}" for name in ("inputs", "outputs"))
        return [json.loads(file.read_text()) for file in files]

    for last in (5, 5, 3, 4):
        pipeline.map([{"x": x} for x in (0, 1, 2, last)], n_jobs=n_jobs)
        assert [{"x": last}, {"y": 2 * last}] == shown()


def test_a_pipeline_is_drawn_with_what_passes_along_its_edges():
    """Inner pipelines are one box, whatever signs a name holds."""
    add = Stage(lambda x, y: x + y, "total", stage_name='add "<1>"')
    double = Stage(lambda total, by: by * total, "doubled", stage_name="double", by=2)
    inner = Pipeline([("start", add), (add, double)])
    last = Stage(lambda doubled, z: (doubled, z), ["a", "b"], stage_name="last")

    text = Pipeline([("start", inner), (("start", inner), last)]).graph()

    assert [
        "flowchart TD",
        "    start([start])",
        '    n0[["add #34;#60;1#62;#34;, double"]]',
        '    n1["last"]',
        '    start -->|"x, y"| n0',
        '    n0 -->|"doubled"| n1',
        '    start -->|"z"| n1',
    ] == text.splitlines()
