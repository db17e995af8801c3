"""Runs that take away what they read, and runs that make outputs anew, are what is recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from memori import Stage
from memori.cli import main


def _read_and_unlink(_: int) -> str:
    inbox = Path("inbox.txt")
    if not inbox.exists():
        return "nothing"
    text = inbox.read_text()
    inbox.unlink()
    return text


def _open_and_remove(_: int) -> str:
    try:
        with open("inbox.txt") as file:
            text = file.read()
    except FileNotFoundError:
        return "nothing"
    os.remove("inbox.txt")
    return text


def _move(_: int) -> str:
    try:
        shutil.move("inbox.txt", "done.txt")
    except OSError:
        return "nothing"
    return Path("done.txt").read_text()


@pytest.mark.parametrize("take", [_read_and_unlink, _open_and_remove, _move])
@pytest.mark.filterwarnings("ignore:.*took away a file")
def test_what_a_run_took_away_is_what_it_returns(
    take: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never what an earlier run had found there, or had not found."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(take, "text", "work")
    assert {"text": "nothing"} == stage.run(1)
    for text in ("one", "two"):
        Path("inbox.txt").write_text(text)
        assert {"text": text} == stage.run(1)


def test_a_run_that_takes_away_an_intermediate_file_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """It hits although the file is gone, and runs when somebody makes it anew."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(_open_and_remove, "text", "work")
    for text in ("one", "two", "one"):
        Path("inbox.txt").write_text(text)
        for state in (True, False, False):
            assert ({"text": text}, state) == (stage.run(1), stage.state)
    assert not recwarn.list


def test_a_run_that_makes_an_output_anew_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`memori log` says why it ran: not why an earlier run did that made the same."""
    monkeypatch.chdir(tmp_path)

    def save(text: str) -> Path:
        Path("out.txt").write_text(text)
        return Path("out.txt").resolve()

    stage = Stage(save, "path", "work")
    stage.run("a")
    Path("out.txt").write_text("edited by hand")
    stage.run("a")
    assert stage.state
    assert main(["log", "work"]) == 0
    assert "out.txt" in capsys.readouterr().out
    stage.run("a")
    assert not stage.state
