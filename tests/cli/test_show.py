"""`memori show` finds what failed runs left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memori import Stage, workdir
from memori.cli import main
from memori.neuro import CommandError, ShellStage


def test_failed_runs_are_found_with_what_they_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder and the words of a failed command are shown; finished runs are not."""
    root = tmp_path / "work" / "sub-01"

    def succeed() -> str:
        (workdir() / "out.txt").write_text("fine")
        return str(workdir() / "out.txt")

    Stage(succeed, hash_output=root).run()
    stage = ShellStage("ls {path}", hash_output=root, stage_name="list")
    with pytest.raises(CommandError):
        stage.run("no-such-file")
    assert 0 == main(["show", str(tmp_path)])
    told = capsys.readouterr().out
    assert told.startswith(f"list: {root}/list/")
    assert "no-such-file" in told
    assert "succeed" not in told


def test_nothing_to_show_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without failures says so."""
    assert 0 == main(["show", str(tmp_path)])
    assert f"no failed run below {tmp_path}\n" == capsys.readouterr().out


def test_a_file_is_told_of_by_the_run_whose_content_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs with other inputs may have written it before, and after."""
    monkeypatch.chdir(tmp_path)

    def write(threshold: int) -> str:
        Path("mask.txt").write_text(str(threshold))
        return str(Path("mask.txt").absolute())

    stage = Stage(write, "mask", "work")
    for threshold in (3, 4, 5, 4, 3, 4):
        stage.run(threshold)
        assert 0 == main(["show", "mask.txt"])
        assert f"threshold={threshold}" in capsys.readouterr().out


def test_what_was_accepted_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said to be nothing, and JSON is JSON."""
    assert 0 == main(["show", str(tmp_path), "--accepted"])
    assert f"nothing was accepted or adopted below {tmp_path}\n" == capsys.readouterr().out
    Stage(lambda x: x + 1, "y", tmp_path, stage_name="adds").adopt({"y": 7}, 6)
    assert 0 == main(["show", str(tmp_path), "--accepted"])
    assert "adds(x=6)" in capsys.readouterr().out
    assert 0 == main(["show", str(tmp_path), "--accepted", "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    assert ("adds", {"x": 6}) == (told["stage"], told["inputs"])
    assert "at" in told["accepted"]


def test_the_input_of_a_tool_is_told_by_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its name counts; where it was, a person wants to know all the same."""
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    Path("raw/t1.txt").write_text("x")
    stage = ShellStage("cp {image} {copy}", {"copy": "copy.txt"}, hash_output="work")
    copy = stage.run("raw/t1.txt")["copy"]
    assert 0 == main(["show", copy])
    assert "  from     raw/t1.txt (file)\n" in capsys.readouterr().out
