"""A run may leave the current folder for another one: what was relative stays where it was."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memori import Folder, MemoriWarning, Stage


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(tmp_path)
    for name in ("in.txt", "lib/settings.json", "other/settings.json", "data/a.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("abc")
    Path("scratch").mkdir()
    yield
    os.chdir(before)


def leaves(path: str) -> int:
    size = len(Path(path).read_text())
    os.chdir("scratch")
    return size


def leaves_for_good(path: str) -> int:
    size = len(Path(path).read_text())
    Path("gone").mkdir()
    os.chdir("gone")
    os.rmdir(os.getcwd())
    return size


def of_list(paths: list[str]) -> int:
    return leaves(paths[0])


def of_folder(folder: str) -> int:
    return leaves(f"{folder}/a.txt")


def runs(stage: Stage, *args: object) -> bool:
    """Run, go back, and tell whether the callable was executed."""
    here = os.getcwd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MemoriWarning)
        stage.run(*args)
    os.chdir(here)
    return stage.state


@pytest.mark.parametrize(
    ("function", "argument", "edited"),
    [
        (leaves, "in.txt", "in.txt"),
        (leaves_for_good, "in.txt", "in.txt"),
        (of_list, ["in.txt"], "in.txt"),
        (of_folder, Folder("data"), "data/a.txt"),
    ],
)
def test_a_relative_input_is_found_where_the_call_began(
    tmp_path: Path, function: Callable[..., int], argument: object, edited: str
) -> None:
    """It is remembered, and an edit of the file that was meant is seen."""
    stage = Stage(function, hash_output=tmp_path / "work")
    assert [True, False] == [runs(stage, argument) for _ in range(2)]
    Path(edited).write_text("abcdef")
    assert [True, False] == [runs(stage, argument) for _ in range(2)]


def test_a_relative_file_of_depends_on_is_found_again(tmp_path: Path) -> None:
    """It is looked at after the run, too."""
    stage = Stage(leaves, hash_output=tmp_path / "work", depends_on=["lib/settings.json"])
    assert [True, False] == [runs(stage, "in.txt") for _ in range(2)]
    Path("lib/settings.json").write_text("other")
    assert [True, False] == [runs(stage, "in.txt") for _ in range(2)]


def test_files_of_one_name_in_depends_on_are_two(tmp_path: Path) -> None:
    """Each of them counts."""
    names = ["lib/settings.json", "other/settings.json"]
    stage = Stage(
        len, hash_output=tmp_path / "work", depends_on=[os.path.abspath(n) for n in names]
    )
    assert [True, False] == [runs(stage, "x") for _ in range(2)]
    for name in names:
        Path(name).write_text("other")
        assert [True, False] == [runs(stage, "x") for _ in range(2)]


def test_a_single_path_in_depends_on_is_no_sequence(tmp_path: Path) -> None:
    """A text, and a path, stand for one file."""
    for single in ("in.txt", Path("in.txt")):
        Path("in.txt").write_text(f"{single!r}")
        stage = Stage(len, hash_output=tmp_path / "work", depends_on=single)  # type: ignore[arg-type]
        assert [True, False] == [runs(stage, "x") for _ in range(2)]


def test_a_relative_path_of_ignore_reads_is_meant_from_where_the_call_began(
    tmp_path: Path,
) -> None:
    """The file that the run read before it left is ignored."""

    def reads() -> int:
        size = len(Path("lib/settings.json").read_text())
        os.chdir("scratch")
        return size

    stage = Stage(reads, hash_output=tmp_path / "work", ignore_reads=["lib/settings.json"])
    assert [True, False] == [runs(stage) for _ in range(2)]
    Path("lib/settings.json").write_text("other")
    assert not runs(stage)


def test_an_output_is_meant_from_where_the_run_ended(tmp_path: Path) -> None:
    """As for whoever is given it: on a hit it is spelled from where the caller is."""

    def writes() -> str:
        os.chdir("scratch")
        Path("out.txt").write_text("made")
        return "out.txt"

    stage = Stage(writes, hash_output=tmp_path / "work")
    with pytest.warns(MemoriWarning):
        assert {"output": "out.txt"} == stage.run()
    os.chdir(tmp_path)
    assert {"output": "scratch/out.txt"} == stage.run()
    assert not stage.state
    Path("scratch/out.txt").write_text("edited")
    assert runs(stage)


def test_a_program_in_the_current_folder_is_spelled_as_such(tmp_path: Path) -> None:
    """Without the dot it would be looked for along PATH."""

    def makes() -> str:
        Path("tool.sh").write_text("#!/bin/sh\necho made\n")
        Path("tool.sh").chmod(0o755)
        return "./tool.sh"

    stage = Stage(makes, hash_output=tmp_path / "work")
    for state in (True, False):
        made = stage.run()["output"]
        assert ("./tool.sh", state) == (made, stage.state)
        assert b"made\n" == subprocess.run([made], check=True, capture_output=True).stdout
    os.chdir("scratch")
    assert Path(stage.run()["output"]).samefile(tmp_path / "tool.sh")
    assert not stage.state


def test_that_a_run_left_the_current_folder_is_told(tmp_path: Path) -> None:
    """A hit would not; the warning names both folders and the user's line."""
    stage = Stage(leaves, hash_output="work")
    with pytest.warns(MemoriWarning) as caught:
        stage.run("in.txt")
    (warning,) = caught
    assert f"called in {tmp_path} and left the current folder at {tmp_path / 'scratch'}" in str(
        warning.message
    )
    assert __file__ == warning.filename
