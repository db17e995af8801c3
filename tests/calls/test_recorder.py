"""What an entry tells of its run, for whoever asks later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memori import RecordError, Stage, workdir
from memori.store import Memory


def double(n: int) -> int:
    return 2 * n


def record(root: Path, stage: str, **inputs: object) -> dict[str, Any]:
    """The record of the run with these inputs."""
    (found,) = (e.record for e in Memory(str(root)).entries(stage) if e.inputs == inputs)
    return found


def test_why_it_ran_stands_in_the_entry(tmp_path: Path) -> None:
    """The changes that explain tells, one by one, also where nobody listened."""
    Stage(double, hash_output=tmp_path, code_version="1").run(2)
    Stage(double, hash_output=tmp_path, code_version="1").run(3)
    assert ["input n: 2 -> 3"] == record(tmp_path, "double", n=3)["reasons"]
    edited = Stage(double, hash_output=tmp_path, code_version="2")
    expected = [str(change) for change in edited.explain(3).changes]
    edited.run(3)
    again = [entry.record["reasons"] for entry in Memory(str(tmp_path)).entries("double")]
    assert ["code_version: '1' -> '2'"] == expected
    assert expected in again
    edited.run(3, force_run_stage=True)
    again = [entry.record["reasons"] for entry in Memory(str(tmp_path)).entries("double")]
    assert ["forced"] in again
    assert ["forced"] == json.loads((tmp_path / "double.stage").read_text())["reasons"]


def test_of_very_many_reasons_some_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A record does not grow with what changed."""

    def take(**values: int) -> int:
        return len(values)

    first, second = ({f"n{k}": value for k in range(50)} for value in (0, 1))
    stage = Stage(take, hash_output=tmp_path)
    stage.run(**first)
    caplog.set_level("INFO", "memori.stage")
    stage.run(**second)
    reasons = record(tmp_path, "take", **second)["reasons"]
    assert 17 == len(reasons)
    assert ["input n0: 0 -> 1", "and 34 more"] == [reasons[0], reasons[-1]]


SETTING = [1]


def change(text: str) -> str:
    SETTING[0] += 1
    return text * SETTING[0]


def test_a_run_is_filed_under_the_code_that_it_began_with(tmp_path: Path) -> None:
    """What it changed of what it reaches is not taken for what it was made by."""
    stage = Stage(change, hash_output=tmp_path)
    key = stage.explain("x").key
    assert key is not None
    stage.run("x")
    (entry,) = Memory(str(tmp_path)).entries("change")
    assert key.digest == entry.key
    assert key.code.fast == entry.record["code"]["fast"]


def test_time_place_and_cost_of_a_run_stand_in_the_entry(tmp_path: Path) -> None:
    """When, where, how long, how much it computed and the most memory that was held."""

    def work(megabytes: int) -> int:
        block = bytearray(megabytes << 20)
        command = "n = 0\nwhile n < 10**6: n += 1"
        subprocess.run([sys.executable, "-c", command], check=True)
        return len(block)

    Stage(work, hash_output=tmp_path).run(150)
    ran = record(tmp_path, "work", megabytes=150)["ran"]
    assert os.uname().nodename == ran["host"]
    assert ".".join(map(str, sys.version_info[:3])) == ran["python"]
    assert ran["peak"] >= 150 << 20
    assert 0 < ran["cpu"]
    assert 0 < ran["seconds"]
    assert "T" in ran["at"]


def test_a_record_says_nothing_of_what_it_does_not_know(tmp_path: Path) -> None:
    """Who asked for the run is not told yet."""
    Stage(double, hash_output=tmp_path).run(2)
    assert record(tmp_path, "double", n=2)["case"] is None


@pytest.mark.filterwarnings("ignore::memori.MemoriWarning")
def test_what_cannot_be_recorded_comes_back_and_stays(tmp_path: Path) -> None:
    """The exception carries the results, and the folder that they name is emptied for no try."""

    def work(n: int) -> str:
        path = workdir() / "out.txt"
        path.write_text("result")
        return str(path)

    stage = Stage(work, hash_output=tmp_path, code_version="1")
    stage.run(1)
    for shard in (tmp_path / ".memori" / "stages" / "work").glob("??"):
        for entry in shard.glob("*.json"):
            entry.unlink()
            (entry / "blocked").mkdir(parents=True)
    paths = []
    for _ in range(2):
        with pytest.raises(RecordError, match="cannot be recorded") as caught:
            stage.run(1)
        paths.append(Path(str(caught.value.results["output"])))
    assert 2 == len(set(paths))
    assert ["result", "result"] == [path.read_text() for path in paths]


def test_what_a_forked_process_returns_is_not_the_result_of_the_run(tmp_path: Path) -> None:
    """A function that forks returns twice; remembered is what its own process got."""
    script = f"""
import os
from memori import Stage
def forks():
    child = os.fork()
    return "the child's" if child == 0 else os.waitpid(child, 0)[1]
began = os.getpid()
stage = Stage(forks, hash_output={str(tmp_path / "work")!r})
found = stage.run()["output"]
if os.getpid() != began:
    os._exit(0)
print(found, stage.run()["output"])
"""
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True)
    assert (b"0 0\n", b"") == (done.stdout, done.stderr)
