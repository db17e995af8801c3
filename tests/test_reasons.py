"""Results, entries and explanations tell one and the same reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from memori import Results, Stage
from memori.cli import main
from memori.neuro import NipypeStage, ShellStage
from memori.store import Memory


def records(root: Path, stage: str) -> list[dict[str, Any]]:
    return [entry.record for entry in Memory(str(root)).entries(stage)]


def add(x: int, y: int = 1) -> int:
    return x + y


def test_results_know_why_their_stage_ran(tmp_path: Path) -> None:
    """The reason is the one that `explain` gave; what was remembered has none."""
    stage = Stage(add, hash_output=tmp_path)
    assert {"add": "no run with these inputs is recorded"} == stage.run(1).reasons
    explained = stage.explain(1, y=2)
    results = stage.run(1, y=2)
    assert {"add": "input y: 1 -> 2"} == results.reasons == {"add": str(explained.changes[0])}
    assert results.reasons == pickle.loads(pickle.dumps(results)).reasons
    assert {} == stage.run(1, y=2).reasons
    assert {"add": "forced"} == stage.run(1, y=2, force_run_stage=True).reasons
    assert {} == Results(a=1).reasons


def test_a_stage_without_memory_says_so() -> None:
    """It ran because it has no place to remember in."""
    why = "the stage has no hash_output, so it always runs"
    assert {"add": why} == Stage(add).run(1).reasons


def test_the_entry_holds_the_reason(tmp_path: Path) -> None:
    """As it was told when it ran."""
    stage = Stage(add, hash_output=tmp_path)
    stage.run(1)
    stage.run(1, y=2)
    assert ["input y: 1 -> 2"] in [record["reasons"] for record in records(tmp_path, "add")]


# Commands


def test_an_entry_says_which_command_ran(tmp_path: Path) -> None:
    """Its words, and the tool with its version as it counts."""
    stage = ShellStage("echo {word} -n", hash_output=tmp_path / "w", uses="ls")
    stage.run("a b")
    (record,) = records(tmp_path / "w", "echo")
    assert ["echo", "a b", "-n"] == record["command"]["argv"]
    assert "echo" == record["command"]["tool"]
    assert record["surroundings"]["tool echo"] == record["command"]["version"]
    shown = json.loads((tmp_path / "w/echo.stage").read_text())
    assert record["command"] == shown["command"]


def test_a_function_that_gives_arguments_is_recorded_by_them(tmp_path: Path) -> None:
    """What it returned is what ran."""

    def echo(word: str) -> list[str]:
        return ["echo", "-n", word]

    ShellStage(echo, hash_output=tmp_path).run("x")
    assert ["echo", "-n", "x"] == records(tmp_path, "echo")[0]["command"]["argv"]


@pytest.mark.parametrize("in_process", [False, True])
def test_the_command_of_an_interface_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: bool
) -> None:
    """Also where a thread cannot have a folder of its own, and another process runs it."""
    from nipype.interfaces.base import CommandLine

    from memori.neuro.process import own_cwd

    monkeypatch.setattr(own_cwd, "can_unshare", lambda: not in_process)
    NipypeStage(CommandLine("echo"), hash_output=tmp_path).run(args="-n 'a b'")
    (record,) = records(tmp_path, "echo")
    assert ["echo", "-n", "a b"] == record["command"]["argv"]
    assert record["surroundings"]["tool echo"] == record["command"]["version"]


def test_what_the_command_line_runs_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words after ``--``."""
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["run", "--", "echo", "x"])
    assert ["echo", "x"] == records(tmp_path / ".memori", "echo")[0]["command"]["argv"]


def test_a_function_has_no_command(tmp_path: Path) -> None:
    """What it starts by itself is among what it was seen to do."""
    Stage(add, hash_output=tmp_path).run(1)
    assert "command" not in records(tmp_path, "add")[0]


# What changed in a command


def test_a_changed_template_is_told_as_old_and_new(tmp_path: Path) -> None:
    """So is the name of an output, and a long template where it differs."""
    words = " ".join(f"word{n}" for n in range(60))

    def stage(template: str, name: str = "out.txt") -> ShellStage:
        return ShellStage(template, outputs={"o": name}, hash_output=tmp_path, stage_name="s")

    stage("touch {o}").run()
    assert ["template: 'touch {o}' -> 'touch -c {o}'"] == [
        *map(str, stage("touch -c {o}").explain().changes)
    ]
    (change,) = stage("touch {o}", "other.txt").explain().changes
    assert "output o" == change.subject
    assert ("out.txt" in change.old, "other.txt" in change.new) == (True, True)
    stage(f"touch {words} {{o}}").run()
    (change,) = stage(f"touch {words} -c {{o}}").explain().changes
    assert "template" == change.subject
    assert change.old.endswith("word59 {o}'")
    assert change.new.endswith("word59 -c {o}'")


def test_a_changed_function_of_a_command_is_told_as_edited(tmp_path: Path) -> None:
    """By its name, as any function."""

    def first(x: int) -> list[str]:
        return ["echo", str(x)]

    def second(x: int) -> list[str]:
        return ["echo", "-n", str(x)]

    second.__name__ = second.__qualname__ = first.__name__
    ShellStage(first, hash_output=tmp_path).run(1)
    told = str(ShellStage(second, hash_output=tmp_path).explain(1))
    assert "callable" not in told
    assert "edited" in told


def test_own_parts_of_a_fingerprint_are_told_by_name(tmp_path: Path) -> None:
    """An object that says by a dict what counts of it is explained item by item."""

    class Model:
        def __init__(self, depth: int, note: str) -> None:
            self.depth, self.note = depth, note

        def __call__(self, x: int) -> int:
            return x

        def __fingerprint__(self) -> dict[str, object]:
            return {"depth": self.depth, "kind": "tree"}

    Stage(Model(3, "a"), hash_output=tmp_path).run(1)
    assert Stage(Model(3, "b"), hash_output=tmp_path).explain(1).hit
    changes = Stage(Model(4, "a"), hash_output=tmp_path).explain(1).changes
    assert ["depth: 3 -> 4"] == list(map(str, changes))
