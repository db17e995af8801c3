"""A folder that a run makes is its own; what others put into it is not."""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori import Folder, Stage


def says(command: str) -> Any:
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout


WAYS: dict[str, Callable[[], Any]] = {
    "listdir": lambda: (os.makedirs("masks", exist_ok=True), sorted(os.listdir("masks")))[1],
    "glob": lambda: (os.makedirs("masks", exist_ok=True), sorted(glob.glob("masks/*.txt")))[1],
    "exists": lambda: (os.makedirs("masks", exist_ok=True), os.path.exists("masks/m.txt"))[1],
    "open": lambda: (os.makedirs("masks", exist_ok=True), says("cat masks/m.txt"))[1],
    "a shell": lambda: says("mkdir -p masks; cat masks/*.txt"),
    "a shell that asks": lambda: says("mkdir -p masks; [ -e masks/m.txt ] && echo yes; true"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_others_put_into_a_folder_of_a_run_counts(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put there, left there, edited, taken away again."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(WAYS[way], "x", "work", stage_name="f")
    first = stage.run()["x"]
    assert (first, False) == (stage.run()["x"], stage.state)
    Path("masks/m.txt").write_text("by hand")
    later = stage.run()["x"]
    assert (later, True) == (WAYS[way](), stage.state)
    assert later != first
    assert (later, False) == (stage.run()["x"], stage.state)
    os.remove("masks/m.txt")
    assert (first, False) == (stage.run()["x"], stage.state)


def test_what_a_run_makes_in_a_folder_of_its_own_counts_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, folders below, ones that it removes, and what it asks of them; nor what others do."""
    monkeypatch.chdir(tmp_path)

    def fills(name: str) -> list[str]:
        os.makedirs(f"out/{name}", exist_ok=True)
        scratch = f"out/{name}/scratch-{os.urandom(4).hex()}"
        os.mkdir(scratch)
        for number in range(3):
            path = f"{scratch}/{number}.txt"
            assert not os.path.exists(path)
            Path(path).write_text("x")
            os.rename(path, f"out/{name}/{number}.txt")
        assert os.listdir(scratch) == []
        os.rmdir(scratch)
        return sorted(os.listdir(f"out/{name}"))

    stage = Stage(fills, "x", "work")
    for state in (True, False, False):
        for name in ("a", "b"):
            assert ({"x": ["0.txt", "1.txt", "2.txt"]}, state) == (stage.run(name), stage.state)


LISTERS: dict[str, Callable[[], Any]] = {
    "listdir": lambda: sorted(os.listdir("nii")),
    "glob": lambda: sorted(glob.glob("nii/*.txt")),
    "a shell": lambda: says("cat nii/*.txt"),
    "a shell in it": lambda: says("cd nii; ls"),
}


@pytest.mark.parametrize("way", LISTERS)
def test_what_is_new_in_a_folder_that_a_run_returns_is_found(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a later step that looks into it, as for one more series of a converter."""
    monkeypatch.chdir(tmp_path)

    def convert() -> Folder:
        subprocess.run("rm -rf nii; cp -r dicom nii", shell=True, check=True)
        return Folder("nii")

    converted, counted = Stage(convert, "nii", "work"), Stage(LISTERS[way], "x", "work")
    os.mkdir("dicom")
    for series in "abc":
        Path("dicom", f"{series}.txt").write_text(series)
        for ran in (True, False):
            converted.run()
            assert LISTERS[way]() == counted.run()["x"]
            assert [ran, ran] == [converted.state, counted.state]


def test_what_later_runs_add_to_a_folder_that_a_run_returns_is_no_news_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists the folder, as recon-all does that of a subject."""
    monkeypatch.chdir(tmp_path)

    def begins() -> Folder:
        os.makedirs("subject", exist_ok=True)
        os.listdir("subject")
        Path("subject/orig").write_text("orig")
        return Folder("subject")

    def adds() -> str:
        os.listdir("subject")
        Path("subject/brain").write_text(Path("subject/orig").read_text())
        return "subject/brain"

    stages = [Stage(begins, "made", "work"), Stage(adds, "made", "work")]
    for ran in (True, False, False):
        for stage in stages:
            stage.run()
            assert ran == stage.state


def test_a_folder_that_a_tool_lists_and_removes_is_no_folder_that_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue is emptied: gone, it is not answered from memory; as it was, it is."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(lambda: says("ls queue; rm -r queue"), "x", "work", stage_name="f")

    def fill() -> None:
        Path("queue").mkdir()
        for name in "ab":
            Path("queue", name).write_text(name)

    fill()
    assert ("a\nb\n", True) == (stage.run()["x"], stage.state)
    assert ("", True) == (stage.run()["x"], stage.state)
    fill()
    assert ("a\nb\n", False) == (stage.run()["x"], stage.state)


def test_a_folder_that_a_run_makes_is_no_name_that_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tidied away, and the run that listed what lies around it is remembered."""
    monkeypatch.chdir(tmp_path)

    def scans() -> list[str]:
        os.mkdir("scratch")
        return sorted(os.listdir("."))

    stage = Stage(scans, "x", tmp_path / "work/memory")
    Path("a.nii").write_text("a")
    first = stage.run()["x"]
    os.rmdir("scratch")
    assert (first, False) == (stage.run()["x"], stage.state)
    Path("b.nii").write_text("b")
    assert (sorted([*first, "b.nii"]), True) == (stage.run()["x"], stage.state)
