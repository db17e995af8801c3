"""Executors by name: on this machine, on Dask, on a real SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import memori
from memori import Pipeline, Stage
from tests.scheduling.slurm import slurm, why_not

JOBS = "jobs=2 memory=1GB walltime=00:10:00 interface=lo"
SCRIPT = """
import sys
from memori import Pipeline, Stage

def double(x):
    return x * 2

def text(doubled):
    return f"<{doubled}>"

if __name__ == "__main__":
    first = Stage(double, "doubled", "work/{x}")
    pipeline = Pipeline([("start", first), (first, Stage(text, "text", "work/{x}"))])
    found = pipeline.map([{"x": x} for x in range(3)], n_jobs=1)
    print(found.executed, *[result["text"] for _, result in found])
"""


def noted(x: int, log: str, wait: float = 0) -> int:
    """Note that it began, and in which process."""
    with open(log, "a") as file:
        file.write(f"{x} {os.getpid()}\n")
    time.sleep(wait)
    return x


def dies(x: int, log: str) -> int:
    """End the process in case 1."""
    noted(x, log)
    if x == 1:
        os._exit(9)
    return x


def lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


def mapped(folder: Path, executor: Executor, function: Any = noted, **more: Any) -> Any:
    pipeline = Pipeline([("start", Stage(function, "x", folder / "work", ignore=["log"]))])
    cases = [{"x": x, "log": str(folder / "log"), **more} for x in range(3)]
    return pipeline.map(cases, executor=executor)


def script_of(folder: Path, engine: str, **environment: str) -> str:
    """Run the script where a variable says, and return what it prints."""
    path = folder / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, path],
        cwd=folder,
        env={**os.environ, "MEMORI_EXECUTOR": engine, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert 0 == done.returncode, done.stderr
    assert "" == done.stderr
    return done.stdout


# Which engine


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("slrum jobs=2", "engine is one of processes, dask, slurm, .*got 'slrum'"),
        ("slurm", "slurm wants to know how much memory"),
        ("processes jobs", "as 'slurm jobs=20 cores=4', got 'processes jobs'"),
        ("processes jobs=two", "as 'slurm jobs=20 cores=4', got 'processes jobs=two'"),
        ("processes jobs=0", "jobs is a count of at least 1, got 0"),
        ("processes walltime=1:00", "processes of this machine have no walltime, got '1:00'"),
    ],
)
def test_what_names_no_engine_is_refused_before_anything_runs(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was given, and what could be."""
    monkeypatch.setenv("MEMORI_EXECUTOR", words)
    pipeline = Pipeline([("start", Stage(noted, "x", tmp_path / "work"))])
    with pytest.raises(ValueError, match=told):
        pipeline.map([{"x": 1, "log": str(tmp_path / "log")}])
    assert not (tmp_path / "log").exists()


def test_a_script_moves_without_an_edit(tmp_path: Path) -> None:
    """A variable sends its maps to an engine, whatever n_jobs it has; a second run is all hits."""
    assert "3 <0> <2> <4>\n" == script_of(tmp_path, "processes jobs=2")
    assert "0 <0> <2> <4>\n" == script_of(tmp_path, "processes jobs=2")


def test_an_executor_that_is_given_wins_over_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the call is meant."""
    monkeypatch.setenv("MEMORI_EXECUTOR", "no such engine")
    with memori.executor("processes", jobs=1) as executor:
        assert 3 == mapped(tmp_path, executor).executed


def outer(log: str, work: str) -> list[int]:
    """Map inside a stage."""
    pipeline = Pipeline([("start", Stage(noted, "x", work))])
    found = pipeline.map([{"x": x, "log": log} for x in range(2)])
    return [result["x"] for _, result in found]


def test_a_map_inside_a_stage_stays_where_the_stage_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job does not submit jobs."""
    monkeypatch.setenv("MEMORI_EXECUTOR", "processes jobs=2")
    pipeline = Pipeline([("start", Stage(outer, "values", tmp_path / "outer"))])
    where = {"log": str(tmp_path / "log"), "work": str(tmp_path / "inner")}
    [(_, result)] = pipeline.map([where])
    assert [0, 1] == result["values"]
    assert 1 == len({process for _, process in lines(tmp_path / "log")})


# Dask


def test_a_cluster_of_dask_is_made_and_ends_with_its_executor(tmp_path: Path) -> None:
    """Stages run in its workers, and its second run submits nothing."""
    pytest.importorskip("distributed", reason="pip install 'memori-neuro[cluster]'")
    with memori.executor("dask", jobs=1) as executor:
        assert 3 == mapped(tmp_path, executor).executed
        assert str(os.getpid()) not in {process for _, process in lines(tmp_path / "log")}
    again = mapped(tmp_path, executor)  # it is shut down: it takes no work
    assert (0, 3) == (again.executed, len(lines(tmp_path / "log")))


def test_a_stage_that_kills_its_worker_is_tried_once_more(tmp_path: Path) -> None:
    """And named; the other cases go on."""
    pytest.importorskip("distributed", reason="pip install 'memori-neuro[cluster]'")
    with memori.executor("dask", jobs=1) as executor:
        found = mapped(tmp_path, executor, dies)
    [failure] = found.failures
    assert ("dies", {"x": 1}) == (failure.stage or "dies", {"x": failure.case["x"]})
    assert "dies" in str(failure.error) or "x" in str(failure.error)
    tries = [x for x, _ in lines(tmp_path / "log")]
    assert (1, 2, 1) == (tries.count("0"), tries.count("1"), tries.count("2"))


# SLURM


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The configuration of a SLURM of one machine."""
    if find_spec("dask_jobqueue") is None:
        pytest.skip("no dask-jobqueue: pip install 'memori-neuro[cluster]'")
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with slurm() as configuration:
        yield configuration


def submitted(configuration: str) -> str:
    """The number of the last job."""
    done = subprocess.run(
        ["scontrol", "show", "jobs", "--oneliner"],
        env={**os.environ, "SLURM_CONF": configuration},
        capture_output=True,
        text=True,
    )
    return max(
        (line.split()[0] for line in done.stdout.splitlines() if line.startswith("JobId")),
        key=lambda word: int(word.partition("=")[2]),
        default="",
    )


def test_a_script_runs_on_slurm_and_a_finished_one_submits_nothing(
    tmp_path: Path, cluster: str
) -> None:
    """Nothing in the script knows of it."""
    assert "3 <0> <2> <4>\n" == script_of(tmp_path, f"slurm {JOBS}", SLURM_CONF=cluster)
    before = submitted(cluster)
    assert before
    assert "0 <0> <2> <4>\n" == script_of(tmp_path, f"slurm {JOBS}", SLURM_CONF=cluster)
    assert before == submitted(cluster)


def test_what_a_cancelled_job_was_at_is_done_by_another(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its time is over; what it had finished is not run again."""
    monkeypatch.setenv("SLURM_CONF", cluster)
    from threading import Thread

    import dask

    monkeypatch.setitem(dask.config.config["distributed"]["deploy"], "lost-worker-timeout", "1s")
    handler = signal.getsignal(signal.SIGINT)
    options: Any = {"memory": "1GB", "walltime": "00:10:00", "interface": "lo"}
    options["log_directory"] = str(tmp_path)
    with memori.executor("slurm", jobs=1, **options) as executor:
        log = tmp_path / "log"

        def cancel() -> None:
            while not (log.exists() and len(lines(log)) == 2):
                time.sleep(0.05)
            job = submitted(cluster).partition("=")[2]
            subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)

        canceller = Thread(target=cancel)
        canceller.start()
        found = mapped(tmp_path, executor, wait=0.6)
        canceller.join()
    assert [0, 1, 2] == [result["x"] for _, result in found]
    assert 2 == [x for x, _ in lines(log)].count("1")
    assert 1 == [x for x, _ in lines(log)].count("0")
    assert signal.getsignal(signal.SIGINT) is handler  # which dask-jobqueue takes
