"""Engines of other people: what memori asks of them, and what it does when they lose a worker."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import loky
import pytest

from memori import Cases, MemoriError, MemoriWarning, Pipeline, Stage, WorkerError

ROOT = Path(__file__).parents[1]


def read(path: str) -> str:
    return Path(path).read_text()


def square(x: int) -> int:
    return x * x


def noted(x: int, log: str, ends_by: int = 0) -> int:
    """Note that it was called, and end the process if it is case 1."""
    with open(log, "a") as file:
        file.write(f"{x}\n")
    if x == 1 and ends_by:
        os.kill(os.getpid(), ends_by)
    time.sleep(0.02)
    return x


def times(log: Path, x: int) -> int:
    """How often a case was begun."""
    return log.read_text().split().count(str(x))


def mapped(pipeline: Pipeline, cases: list[dict[str, Any]], **where: Any) -> tuple[Cases, str]:
    """Map, and return what was warned of as well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MemoriWarning)
        found = pipeline.map(cases, **where)
    return found, "\n".join(str(each.message) for each in caught)


# Dask


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    """The executor of a real cluster on this machine."""
    distributed = pytest.importorskip("distributed", reason="pip install distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as on,
        distributed.Client(on) as client,
    ):
        yield client.get_executor()


def test_dask_never_answers_from_its_own_memory(tmp_path: Path, dask: Executor) -> None:
    """Each edit of an input gives its own value, however soon the same case is mapped again."""
    path = tmp_path / "in.txt"
    pipeline = Pipeline([("start", Stage(read, "text", tmp_path / "work"))])
    for number in range(8):
        path.write_text(str(number))
        (case,) = pipeline.map([{"path": str(path)}], executor=dask)
        assert {"text": str(number)} == case[1]
        assert {"text": str(number)} == pipeline.run(str(path), executor=dask)
    never = Pipeline([("start", Stage(read, "text"))])
    results = []
    for number in range(8):
        path.write_text(str(number))
        results.append(never.map([{"path": str(path)}], executor=dask)[0][1])
    assert [{"text": str(number)} for number in range(8)] == results


def test_dask_brings_back_neither_a_failure_nor_a_file_that_is_gone(
    tmp_path: Path, dask: Executor
) -> None:
    """What failed runs again once its cause is mended, and what was deleted is made again."""
    path = tmp_path / "in.txt"
    pipeline = Pipeline([("start", Stage(copied, "copy", tmp_path / "work"))])
    assert 1 == len(pipeline.map([{"path": str(path)}], executor=dask).failures)
    path.write_text("here")
    made = pipeline.map([{"path": str(path)}], executor=dask)[0][1]["copy"]
    os.unlink(made)
    again = pipeline.map([{"path": str(path)}], executor=dask)[0][1]["copy"]
    assert "here" == Path(again).read_text()


def copied(path: str) -> str:
    from memori import workdir

    copy = workdir() / "copy.txt"
    copy.write_text(Path(path).read_text())
    return str(copy)


def test_a_stage_that_kills_its_dask_worker_is_named(tmp_path: Path, dask: Executor) -> None:
    """It takes two workers, not four, and no other case; stage, case and signal are told."""
    log = tmp_path / "log"
    pipeline = Pipeline([("start", Stage(noted, "y", tmp_path / "work"))])
    cases = [{"x": x, "log": str(log), "ends_by": int(signal.SIGKILL)} for x in range(6)]
    found = pipeline.map(cases, executor=dask)
    assert [0, None, 2, 3, 4, 5] == [result["y"] if result else None for _, result in found]
    (failure,) = found.failures
    assert isinstance(failure.error, WorkerError)
    assert ("noted", -signal.SIGKILL) == (failure.error.stage, failure.error.exit_code)
    assert "stage 'noted' of case {'x': 1" in str(failure.error)
    assert 2 == times(log, 1)
    with pytest.raises(WorkerError, match=r"stage 'noted': .* SIGKILL"):
        pipeline.run(**cases[1], executor=dask)


# submitit


@pytest.mark.parametrize("kind", ["local", "auto", "debug"])
def test_submitit_runs_cases_and_stages(tmp_path: Path, kind: str) -> None:
    """Its jobs, which are no futures, are waited for, and failures come back as what they are."""
    executor = submitit_executor(tmp_path, kind)
    pipeline = Pipeline([("start", Stage(inverse, "y", tmp_path / "work"))])
    found = pipeline.map([{"x": x} for x in (0, 1, 2)], executor=executor)
    assert [None, 1.0, 0.5] == [result["y"] if result else None for _, result in found]
    assert isinstance(found.failures[0].error, ZeroDivisionError)
    assert "in inverse" in found.failures[0].traceback
    assert {"y": 0.25} == pipeline.run(4, executor=executor)
    assert 0 == pipeline.map([{"x": x} for x in (1, 2, 4)], executor=executor).executed
    with pytest.raises(ZeroDivisionError):
        pipeline.map([{"x": 0}], executor=executor, on_error="raise")
    with pytest.raises(ZeroDivisionError):
        pipeline.run(0, executor=executor)


def inverse(x: float) -> float:
    return 1 / x


def submitit_executor(folder: Path, kind: str = "local") -> Any:
    submitit = pytest.importorskip("submitit", reason="pip install submitit")
    if kind == "local":
        return submitit.LocalExecutor(folder / "jobs")
    return submitit.AutoExecutor(folder / "jobs", cluster={"auto": "local"}.get(kind, kind))


def test_a_submitit_job_that_dies_is_named(tmp_path: Path) -> None:
    """It is tried once more, and said to be; the other cases have their results."""
    log = tmp_path / "log"
    pipeline = Pipeline([("start", Stage(noted, "y", tmp_path / "work"))])
    cases = [{"x": x, "log": str(log), "ends_by": int(signal.SIGKILL)} for x in range(3)]
    found, warned = mapped(pipeline, cases, executor=submitit_executor(tmp_path))
    assert [0, None, 2] == [result["y"] if result else None for _, result in found]
    assert "stage 'noted' of case {'x': 1" in str(found.failures[0].error)
    assert "stage 'noted' of case {'x': 1" in warned
    assert (1, 2, 1) == tuple(times(log, x) for x in range(3))


def test_an_executor_that_cannot_be_waited_for_is_refused(tmp_path: Path) -> None:
    """Inside submitit's batch nothing is submitted; what is no executor is a TypeError."""
    executor = submitit_executor(tmp_path)
    pipeline = Pipeline([("start", Stage(square, "y"))])
    with pytest.raises(MemoriError, match="batch"), executor.batch():
        pipeline.map([{"x": 1}], executor=executor)
    assert [] == list(tmp_path.rglob("*.pkl"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for wrong in (pool, ThreadPoolExecutor, "threads"):
            with pytest.raises(TypeError, match="submit"):
                pipeline.map([{"x": 1}], executor=wrong)  # type: ignore[arg-type]


# Workers that die

POOLS: dict[str, Callable[[], Any]] = {
    "fork": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("fork")),
    "spawn": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
    "loky": lambda: loky.ProcessPoolExecutor(2),
    "reusable": lambda: loky.get_reusable_executor(2),
}


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", [*POOLS, "n_jobs"])
def test_a_worker_that_dies_costs_its_own_case_only(tmp_path: Path, kind: str) -> None:
    """The others are finished; stage and signal are told at once, and it is begun twice at most."""
    log = tmp_path / "log"
    where: dict[str, Any] = {"n_jobs": 2} if kind == "n_jobs" else {"executor": POOLS[kind]()}
    pipeline = Pipeline([("start", Stage(noted, "y"))])
    cases = [{"x": x, "log": str(log), "ends_by": int(signal.SIGKILL)} for x in range(12)]
    found, warned = mapped(pipeline, cases, **where)
    expected = [None if x == 1 else x for x in range(12)]
    assert expected == [result["y"] if result else None for _, result in found]
    error = found.failures[0].error
    assert isinstance(error, WorkerError)
    assert ("noted", -signal.SIGKILL, 2) == (error.stage, error.exit_code, error.tries)
    assert 2 == times(log, 1)
    assert "stage 'noted' of case {'x': 1" in warned
    assert "SIGKILL" in warned
    assert "tried once more" in warned
    later, warned = mapped(pipeline, cases[2:4], **where)
    assert [2, 3] == [result["y"] for _, result in later]
    assert (kind != "n_jobs") == ("a new one like it takes over" in warned)
    with (
        pytest.warns(MemoriWarning, match="tried once more"),
        pytest.raises(WorkerError, match=r"stage 'noted': .*SIGKILL"),
    ):
        pipeline.run(**cases[1], **where)


def once(x: int, log: str) -> int:
    """End the process at the first call only, as the kernel may when memory is short."""
    noted(x, log)
    if x == 1 and times(Path(log), 1) == 1:
        os._exit(9)
    return x


@pytest.mark.parametrize("n_jobs", [True, False])
def test_what_works_at_the_second_try_is_kept(tmp_path: Path, n_jobs: bool, dask: Executor) -> None:
    """It is warned of, with the exit code; and the case has its result."""
    where: dict[str, Any] = {"n_jobs": 2} if n_jobs else {"executor": dask}
    pipeline = Pipeline([("start", Stage(once, "y"))])
    cases = [{"x": x, "log": str(tmp_path / "log")} for x in range(3)]
    found, warned = mapped(pipeline, cases, **where)
    assert [0, 1, 2] == [result["y"] for _, result in found]
    assert "stage 'once' of case {'x': 1" in warned
    assert "exited with code 9" in warned


def fail_to_begin() -> None:
    os._exit(5)


def test_a_pool_whose_workers_never_begin_is_given_up(tmp_path: Path) -> None:
    """Its cases are said not to have been tried."""
    pipeline = Pipeline([("start", Stage(square, "y"))])
    with ProcessPoolExecutor(2, initializer=fail_to_begin) as pool:
        found, _ = mapped(pipeline, [{"x": x} for x in range(4)], executor=pool)
    assert 4 == len(found.failures)
    assert all("was not tried" in str(failure.error) for failure in found.failures)


class OwnPool(ProcessPoolExecutor):
    """A pool of the user's own, of which memori cannot make a second."""


def test_a_broken_pool_that_nothing_replaces_says_what_was_not_tried(tmp_path: Path) -> None:
    """And the next map on it is an error before anything is submitted."""
    pipeline = Pipeline([("start", Stage(noted, "y"))])
    log = tmp_path / "log"
    cases = [{"x": x, "log": str(log), "ends_by": int(signal.SIGKILL)} for x in range(12)]
    with OwnPool(2) as pool:
        found, _ = mapped(pipeline, cases, executor=pool)
        assert found.failures
        for failure in found.failures:
            was_begun = times(log, failure.case["x"])  # type: ignore[call-overload]
            assert ("not tried" in str(failure.error)) or was_begun
        with pytest.raises(MemoriError, match="broken"):
            pipeline.map(cases, executor=pool)


def test_a_pool_keeps_its_settings_when_another_takes_its_place(tmp_path: Path) -> None:
    """What its initializer prepared is there in the new workers, too."""
    log = str(tmp_path / "log")
    pipeline = Pipeline([("start", Stage(prepared, "y"))])
    with ProcessPoolExecutor(2, initializer=prepare, initargs=("here",)) as pool:
        found, _ = mapped(pipeline, [{"x": x, "log": log} for x in range(6)], executor=pool)
    assert ["here", None, *["here"] * 4] == [r["y"] if r else None for _, r in found]


def prepare(text: str) -> None:
    os.environ["MEMORI_TEST_PREPARED"] = text


def prepared(x: int, log: str) -> str:
    noted(x, log, signal.SIGKILL)
    return os.environ["MEMORI_TEST_PREPARED"]


def leave_child(x: int) -> int:
    if x == 1:
        subprocess.Popen(["sleep", f"300.{os.getppid()}"])
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find what is left")
@pytest.mark.parametrize("kind", ["fork", "n_jobs"])
def test_what_a_dead_worker_had_started_ends_with_it(kind: str) -> None:
    """A program that its stage was waiting for does not go on for nobody."""
    where: dict[str, Any] = {"n_jobs": 2} if kind == "n_jobs" else {"executor": POOLS[kind]()}
    found, _ = mapped(Pipeline([("start", Stage(leave_child, "y"))]), [{"x": 0}, {"x": 1}], **where)
    assert 1 == len(found.failures)
    lines = []
    for entry in os.listdir("/proc"):
        try:
            lines.append(Path(f"/proc/{entry}/cmdline").read_bytes())
        except OSError:
            continue
    assert [] == [line for line in lines if f"300.{os.getpid()}".encode() in line]


# What a stage raises


class OwnExit(BaseException):
    """Neither an error nor an exit that Python knows."""


RAISED: dict[str, tuple[type[BaseException], tuple[object, ...]]] = {
    "exit 0": (SystemExit, (0,)),
    "exit 3": (SystemExit, (3,)),
    "exit text": (SystemExit, ("why",)),
    "generator": (GeneratorExit, ()),
    "asyncio": (asyncio.CancelledError, ()),
    "own": (OwnExit, ("x",)),
    "error": (ValueError, ("x",)),
    "interrupt": (KeyboardInterrupt, ()),
}


def raising(x: int, kind: str, folder: str) -> int:
    """Raise in case 1, once the case beside it runs; which ends after that."""
    if x == 1:
        while not os.path.exists(f"{folder}/begun"):
            time.sleep(0.01)
        Path(folder, "raising").touch()
        error, args = RAISED[kind]
        raise error(*args)
    Path(folder, "begun").touch()
    while x == 0 and not os.path.exists(f"{folder}/raising"):
        time.sleep(0.01)
    time.sleep(0.2)
    return x


def wheres() -> dict[str, Callable[[], dict[str, Any]]]:
    return {
        "threads": lambda: {"executor": ThreadPoolExecutor(2)},
        "fork": lambda: {"executor": POOLS["fork"]()},
        "n_jobs": lambda: {"n_jobs": 2},
    }


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("where", wheres())
@pytest.mark.parametrize("on_error", ["continue", "raise"])
def test_whatever_a_case_raises_the_others_finish(
    tmp_path: Path, where: str, kind: str, on_error: Any
) -> None:
    """It is a failure, or what is raised; what ran beside it is finished and kept."""
    stage = Stage(raising, "y", tmp_path / "work", watch=False)  # they look for each other's files
    pipeline = Pipeline([("start", stage)])
    cases = [{"x": x, "kind": kind, "folder": str(tmp_path)} for x in (0, 1)]
    if on_error == "raise" or kind == "interrupt":
        with pytest.raises(RAISED[kind][0]) as caught:
            pipeline.map(cases, on_error=on_error, **wheres()[where]())
        error: BaseException = caught.value
    else:
        found = pipeline.map(cases, **wheres()[where]())
        assert [True, False] == [bool(result) for _, result in found]
        error = found.failures[0].error
        assert "in raising" in found.failures[0].traceback
    assert RAISED[kind] == (type(error), error.args)
    assert stage.explain(**cases[0]).hit


@pytest.mark.parametrize("kind", RAISED)
def test_whatever_a_case_raises_in_a_loop_the_others_run(tmp_path: Path, kind: str) -> None:
    """As in workers: only an interrupt ends the loop."""
    (tmp_path / "begun").touch()
    pipeline = Pipeline([("start", Stage(raising, "y", tmp_path / "work"))])
    cases = [{"x": x, "kind": kind, "folder": str(tmp_path)} for x in (1, 2)]
    if kind == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            pipeline.map(cases)
    else:
        found = pipeline.map(cases)
        assert [None, 2] == [result["y"] if result else None for _, result in found]
        assert RAISED[kind][1] == found.failures[0].error.args
    with pytest.raises(RAISED[kind][0]):
        pipeline.map(cases, on_error="raise")
    with pytest.raises(RAISED[kind][0]):
        pipeline.run(**cases[0])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("where", wheres())
def test_whatever_a_branch_raises_the_others_finish(tmp_path: Path, where: str, kind: str) -> None:
    """The error of a pipeline's run is what its stage raised."""
    good = Stage(raising, "good", tmp_path / "work", "good", watch=False, x=0)
    bad = Stage(raising, "bad", tmp_path / "work", "bad", watch=False, x=1)
    with pytest.raises(RAISED[kind][0]) as caught:
        Pipeline([("start", good), ("start", bad)]).run(
            kind=kind, folder=str(tmp_path), **wheres()[where]()
        )
    assert RAISED[kind][1] == caught.value.args
    assert good.explain(kind=kind, folder=str(tmp_path)).hit


def test_a_script_catches_the_error_that_it_defines(tmp_path: Path) -> None:
    """An error class of `__main__` is the same class when it comes back from a worker."""
    (tmp_path / "script.py").write_text("""
from memori import Pipeline, Stage

class OwnError(Exception):
    pass

def fail(x):
    raise OwnError("own")

if __name__ == "__main__":
    pipeline = Pipeline([("start", Stage(fail))])
    try:
        pipeline.map([{"x": 1}], n_jobs=2, on_error="raise")
    except OwnError as error:
        print("caught", error, "in fail" in str(error.__cause__))
    print(type(pipeline.map([{"x": 1}], n_jobs=2).failures[0].error) is OwnError)
""")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert ["caught own True", "True"] == done.stdout.splitlines(), done.stderr


# What is asked of an executor


def test_a_pool_of_the_users_own_takes_lambdas() -> None:
    """Functions without a name travel by value, others by name."""
    offset = 10
    pipeline = Pipeline([("start", Stage(lambda x: x + offset, "y", stage_name="add"))])
    with ProcessPoolExecutor(2) as pool:
        assert {"y": 11} == pipeline.run(1, executor=pool)


def test_what_cannot_travel_is_told_before_anything_runs(tmp_path: Path) -> None:
    """A lock in a closure works in threads only, and the error says so."""
    lock = threading.Lock()
    pipeline = Pipeline([("start", Stage(lambda x: lock.locked() or x, "y", stage_name="lock"))])
    assert {"y": 1} == pipeline.run(1, executor=ThreadPoolExecutor(1))
    for where in wheres().values():
        if not isinstance(where().get("executor"), ThreadPoolExecutor):
            with pytest.raises(MemoriError, match=r"lock.*run it in threads"):
                pipeline.map([{"x": 1}], **where())


def test_an_executor_that_was_shut_down_is_an_error() -> None:
    """It is the executor's own."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        Pipeline([("start", Stage(square, "y"))]).map([{"x": 1}], executor=pool)


class Told(ThreadPoolExecutor):
    """A pool that tells when a call was placed with it, or waits before it takes the second."""

    def __init__(self) -> None:
        super().__init__(1)
        self.has_both = threading.Event()
        self.is_over = threading.Event()
        self.waits = False
        self._placed = 0

    def submit(self, *args: Any, **keywords: Any) -> Future[Any]:
        if self.waits and self._placed:
            self.is_over.wait(60)
        future = super().submit(*args, **keywords)
        self._placed += 1
        if self._placed == 2:
            self.has_both.set()
        return future


def test_a_case_that_somebody_cancels_is_a_failed_case() -> None:
    """Who holds the pool may cancel what waits in it; the other cases have their results."""
    pool = Told()

    def first(x: int) -> int:
        if x == 0:
            pool.has_both.wait(60)
            pool.shutdown(wait=False, cancel_futures=True)
        return x

    found = Pipeline([("start", Stage(first, "y"))]).map([{"x": 0}, {"x": 1}], executor=pool)
    assert {"y": 0} == found[0][1]
    assert "cancelled by its executor" in str(found.failures[0].error)


def test_a_case_that_comes_after_the_end_of_a_pool_was_not_tried() -> None:
    """Who ends the pool meanwhile has the results of what was in it, and is told of the others."""
    pool = Told()
    pool.waits = True

    def first(x: int) -> int:
        pool.shutdown(wait=False)
        pool.is_over.set()
        return x

    found = Pipeline([("start", Stage(first, "y"))]).map([{"x": 0}, {"x": 1}], executor=pool)
    assert {"y": 0} == found[0][1]
    assert "was not tried: cannot schedule new futures" in str(found.failures[0].error)


class Plain:
    """An executor with no more than is asked of one: what it returns tells when it is asked."""

    def submit(self, function: Any, *args: Any) -> Any:
        class Job:
            def __init__(self) -> None:
                self._future: Future[Any] = pool.submit(function, *args)

            def done(self) -> bool:
                return self._future.done()

            def result(self) -> Any:
                return self._future.result()

        pool = ThreadPoolExecutor(1)
        return Job()


def test_an_executor_needs_no_more_than_submit_done_and_result() -> None:
    """Nobody has to derive from anything."""
    pipeline = Pipeline([("start", Stage(square, "y"))])
    found = pipeline.map([{"x": 2}, {"x": 3}], executor=Plain())  # type: ignore[arg-type]
    assert [4, 9] == [result["y"] for _, result in found]


def test_stages_travel_without_their_last_results() -> None:
    """What a stage returned before weighs nothing on the way to a worker."""
    stage = Stage(lambda n: "x" * n, "text", stage_name="text")
    pipeline = Pipeline([("start", stage)])
    before = [len(cloudpickle.dumps(each)) for each in (stage, pipeline)]
    pipeline.run(1_000_000)
    after = [len(cloudpickle.dumps(each)) for each in (stage, pipeline)]
    assert before == after
    assert 1_000_000 == len(stage.results["text"])
    assert {} == pickle.loads(pickle.dumps(Stage(square, "y"))).results
