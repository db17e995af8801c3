"""Names without a folder mean other files in another current folder, although the memory is one."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori import Stage

strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace: apt-get install strace"
)


def says(command: str) -> str:
    return subprocess.check_output(command, shell=True, text=True)


WAYS: dict[str, Callable[[], Any]] = {
    "a file": lambda: Path("settings.txt").read_text(),
    "a file in a folder": lambda: Path("atlas/labels.txt").read_text(),
    "the names": lambda: len(os.listdir(".")),
    "a pattern": lambda: len(glob.glob("*.tsv")),
    "a file that is there": lambda: os.path.exists("participants.tsv"),
    "a file that is not": lambda: os.path.exists("only_in_two.txt"),
    "a size": lambda: Path("settings.txt").stat().st_size,
}
BY_PROGRAMS: dict[str, Callable[[], Any]] = {
    "a command": lambda: says("cat settings.txt"),
    "a command in a folder": lambda: says("cd atlas && cat labels.txt"),
    "a list": lambda: says("ls | wc -l"),
    "a question": lambda: says("[ -e participants.tsv ] && echo yes; true"),
}


def study(folder: Path, text: str) -> Path:
    (folder / "atlas").mkdir(parents=True)
    (folder / "settings.txt").write_text(text)
    (folder / "atlas/labels.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    "way", [*WAYS, *(pytest.param(each, marks=strace) for each in BY_PROGRAMS)]
)
def test_two_studies_may_share_a_memory(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own results, and both stay remembered."""
    one, two = study(tmp_path / "one", "first"), study(tmp_path / "two", "the second")
    (one / "participants.tsv").write_text("")
    for name in ("only_in_two.txt", "more.txt"):
        (two / name).write_text("")
    stage = Stage({**WAYS, **BY_PROGRAMS}[way], "found", tmp_path / "work")
    found = []
    for folder, ran in ((one, True), (two, True), (one, False), (two, False)):
        monkeypatch.chdir(folder)
        found.append(stage.run()["found"])
        assert (folder, ran) == (folder, stage.state)
    assert found[0] != found[1]
    assert found[:2] == found[2:]


def test_a_study_that_was_moved_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files lie below another current folder."""
    monkeypatch.chdir(study(tmp_path / "one", "first"))
    stage = Stage(WAYS["a file in a folder"], "found", tmp_path / "work")
    stage.run()
    (tmp_path / "one").rename(tmp_path / "two")
    monkeypatch.chdir(tmp_path / "two")
    assert ({"found": "first"}, False) == (stage.run(), stage.state)


@pytest.mark.parametrize("by", ["Python", pytest.param("a shell", marks=strace)])
def test_whole_names_mean_the_same_everywhere(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script may be started from any folder, and may write and work elsewhere."""
    one, two = study(tmp_path / "one", "first"), study(tmp_path / "two", "the second")
    labels = one / "atlas/labels.txt"

    def read(x: int) -> str:
        return labels.read_text() if by == "Python" else says(f"cat {labels}")

    stage = Stage(read, "found", tmp_path / "work")
    for folder, ran in ((one, True), (two, False), (one / "atlas", False)):
        monkeypatch.chdir(folder)
        assert ({"found": "first"}, ran) == (stage.run(1), stage.state)


ROOT: dict[str, Callable[[], Any]] = {
    "names": lambda: len(os.listdir("/")) > 0,
    "a file below it": lambda: Path(f"/{os.environ['STUDY']}/settings.txt").read_text(),
    "a file from it": lambda: Path(f"{os.environ['STUDY'][1:]}/settings.txt").read_text(),
    "one that is not there": lambda: os.path.exists(f"/{os.environ['STUDY']}/none.txt"),
}
ROOT_BY_PROGRAMS: dict[str, Callable[[], Any]] = {
    "a list": lambda: says("ls / | head -n 1"),
    "a list of all": lambda: says("cd / && echo * | wc -l"),
}


@pytest.mark.parametrize(
    "way", [*ROOT, *(pytest.param(each, marks=strace) for each in ROOT_BY_PROGRAMS)]
)
def test_the_root_is_a_folder_like_others(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container begins in it, and joined to a path it gives two slashes."""
    study(tmp_path / "study", "first")
    monkeypatch.setenv("STUDY", str(tmp_path / "study"))
    monkeypatch.chdir("/")
    stage = Stage((ROOT | ROOT_BY_PROGRAMS)[way], hash_output=tmp_path / "work", stage_name="root")

    first = stage.run()

    assert first == stage.run()
    assert not stage.state
    if "a file" in way:
        (tmp_path / "study/settings.txt").write_text("the second")
        assert {"output": "the second"} == stage.run()
