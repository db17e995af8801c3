"""joblib's habits: is it remembered, forget one call, expire by age."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from memori import Stage, workdir
from memori.cli import main
from memori.neuro import NipypeStage, ShellStage
from memori.store import Entry, Memory


def write(x: int, y: int = 1) -> str:
    path = workdir() / "x.txt"
    path.write_text(str(x * y))
    return str(path)


# Is it remembered


def test_a_call_is_remembered_or_not(tmp_path: Path) -> None:
    """As `run` would find it, and without running."""
    stage = Stage(write, hash_output=tmp_path)
    assert not stage.is_remembered(1)
    path = stage.run(1)["output"]
    assert stage.is_remembered(1)
    assert stage.is_remembered(x=1, y=1)
    assert not stage.is_remembered(2)
    Path(path).write_text("edited")
    assert not stage.is_remembered(1)
    assert not Stage(write).is_remembered(1)


def test_wrong_arguments_are_no_answer(tmp_path: Path) -> None:
    """They are an error, as for `run`."""
    with pytest.raises(TypeError, match="takes no 'z'"):
        Stage(write, hash_output=tmp_path).is_remembered(1, z=2)


# Forget


def test_a_forgotten_call_runs_again_and_no_other_does(tmp_path: Path) -> None:
    """Its entry and its folder are gone; whether there was one is told."""
    stage = Stage(write, hash_output=tmp_path)
    one, two = (Path(stage.run(x)["output"]) for x in (1, 2))
    assert stage.forget(1)
    assert (False, True) == (one.exists(), two.exists())
    assert (False, True) == (stage.is_remembered(1), stage.is_remembered(2))
    assert not stage.forget(1)
    assert not Stage(write).forget(1)
    assert "1" == Path(stage.run(1)["output"]).read_text()
    assert stage.state


def test_each_of_several_entries_of_a_call_is_forgotten(tmp_path: Path) -> None:
    """Runs that saw different things stand under one key; none of those that would hit is left."""
    settings = tmp_path / "settings"

    def read(x: int) -> str:
        return settings.read_text()

    stage = Stage(read, hash_output=tmp_path / "work")
    for text in ("a", "b"):
        settings.write_text(text)
        stage.run(1)
    assert stage.forget(1)
    assert not stage.is_remembered(1)
    settings.write_text("a")
    assert stage.is_remembered(1)


def test_files_elsewhere_stay(tmp_path: Path) -> None:
    """Only what lies in the run's own folder was memori's."""

    def make(out: str) -> str:
        Path(out).write_text("made")
        return out

    stage = Stage(make, hash_output=tmp_path / "work")
    stage.run(str(tmp_path / "out.txt"))
    assert stage.forget(str(tmp_path / "out.txt"))
    assert "made" == (tmp_path / "out.txt").read_text()


def test_all_kinds_of_stages_forget(tmp_path: Path) -> None:
    """A command and an interface, too."""
    from nipype.interfaces.utility import Merge

    for stage, inputs in (
        (ShellStage("echo {x}", hash_output=tmp_path), {"x": 1}),
        (NipypeStage(Merge(2), hash_output=tmp_path), {"in1": 1, "in2": 2}),
    ):
        stage.run(**inputs)
        assert stage.is_remembered(**inputs)
        assert stage.forget(**inputs)
        assert not stage.is_remembered(**inputs)


# Expire


def made_at(root: Path, stage: str, seconds: float) -> None:
    """Let the only run of a stage have begun at another time."""
    (entry,) = Memory(str(root)).entries(stage)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    changed = Entry({**entry.record, "ran": {**entry.record["ran"], "at": at}})
    Path(entry.path).write_bytes(changed.to_bytes())


@pytest.mark.parametrize("age", ["7 days", "1 week", 604_800, timedelta(days=7), "168 hours"])
def test_what_is_too_old_runs_again(tmp_path: Path, age: object) -> None:
    """And is remembered anew; a stage without an age takes it at any age."""
    fetch = Stage(write, hash_output=tmp_path)
    weekly = Stage(write, hash_output=tmp_path, expires_after=age)  # type: ignore[arg-type]
    fetch.run(1)
    made_at(tmp_path, "write", time.time() - 604_800 / 2)
    assert weekly.is_remembered(1)
    made_at(tmp_path, "write", time.time() - 604_800 * 2)
    assert fetch.is_remembered(1)
    assert not weekly.is_remembered(1)
    assert "has expired" in str(weekly.explain(1))
    weekly.run(1)
    assert weekly.state
    assert weekly.is_remembered(1)
    assert 1 == len(list(Memory(str(tmp_path)).entries("write")))


def test_an_age_of_nothing_always_runs(tmp_path: Path) -> None:
    """Each run replaces the entry of the one before."""
    stage = Stage(write, hash_output=tmp_path, expires_after=0)
    assert not stage.is_remembered(1)
    stage.run(1)
    made_at(tmp_path, "write", time.time() - 2)
    assert not stage.is_remembered(1)
    stage.run(1)
    assert stage.state


def test_kinds_of_stages_expire_alike(tmp_path: Path) -> None:
    """A command, and an interface."""
    from nipype.interfaces.utility import Merge

    for stage, inputs in (
        (ShellStage("echo {x}", hash_output=tmp_path, expires_after="1 day"), {"x": 1}),
        (NipypeStage(Merge(1), hash_output=tmp_path, expires_after="1 day"), {"in1": 1}),
    ):
        stage.run(**inputs)
        assert stage.is_remembered(**inputs)
        made_at(tmp_path, stage.stage_name, time.time() - 86_400 * 2)
        assert not stage.is_remembered(**inputs)


@pytest.mark.parametrize(
    ("age", "error", "told"),
    [
        ("soon", ValueError, "such as '7 days'"),
        ("7 lightyears", ValueError, "such as '7 days'"),
        (-1, ValueError, "no time is negative"),
        (float("nan"), ValueError, "no time is negative"),
        (True, TypeError, "got True"),
        ([1], TypeError, r"got \[1\]"),
    ],
)
def test_what_is_no_age_is_refused(age: object, error: type[Exception], told: str) -> None:
    """When the stage is made, naming it."""
    with pytest.raises(error, match=f"stage 'write'.*{told}"):
        Stage(write, expires_after=age)  # type: ignore[arg-type]


def test_the_latest_run_is_still_shown(tmp_path: Path) -> None:
    """What was forgotten leaves no broken memory behind."""
    stage = Stage(write, hash_output=tmp_path)
    stage.run(1)
    stage.forget(1)
    assert 0 == main(["show", str(tmp_path)])
    assert "write" == json.loads((tmp_path / "write.stage").read_text())["stage"]
    stage.run(2)
    assert {"output": stage.results["output"]} == stage.run(force_skip_stage=True)
