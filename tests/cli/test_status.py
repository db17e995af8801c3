"""`memori status`: what runs at this moment, seen from another terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memori.calls import going_on
from memori.cli import main

SCRIPT = """
import sys
from memori import Stage, Pipeline

def wait(n):
    if n == 2:
        raise ValueError("two")
    if n == 3:
        open("fifo").read()
    return n

stage = Stage(wait, "m", "work/{case}")
jobs = {"n_jobs": 2} if len(sys.argv) > 1 else {}
Pipeline([("start", stage)]).map([{"n": n, "case": f"sub-{n}"} for n in (1, 2, 3)], **jobs)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, and temporary files of this test alone."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)


def status(capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert 0 == main(["status", "--json"])
    return json.loads(capsys.readouterr().out)


def started(*words: str) -> subprocess.Popen[str]:
    os.mkfifo("fifo")
    return subprocess.Popen([sys.executable, "script.py", *words], start_new_session=True)


@pytest.mark.parametrize("words", [[], ["workers"]], ids=["here", "workers"])
def test_a_run_in_progress_is_seen(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Which cases are over and failed, and what runs where since when; after its end nothing."""
    with started(*words) as process:
        with open("fifo", "w"):  # waits until the third case reads
            told = status(capsys)["processes"]
            (first,) = [each for each in told if each["process"] == process.pid]
            (cases,) = first["cases"]
            assert (3, cases["over"]) == (cases["number"], 2 if not words else cases["over"])
            assert "script.py" in first["command"]
            runs = [run for each in told for run in each["runs"]]
            (run,) = [run for run in runs if run["folder"] == os.path.abspath("work/sub-3")]
            assert "wait" == run["stage"]
            assert 0 == main(["status"])
            assert "of 3 cases of" in capsys.readouterr().out
        process.wait(60)
    after = status(capsys)
    assert process.pid not in [each["process"] for each in after["processes"]]
    assert [] == after["elsewhere"] == list(Path("tmp").glob("memori-*"))


def test_what_a_killed_process_left_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It goes when somebody asks."""
    with started() as process, open("fifo", "w"):
        process.kill()
        process.wait()
        told = status(capsys)["processes"]
        assert process.pid not in [each["process"] for each in told]
        assert [] == list(Path("tmp").glob("memori-status*"))


def test_where_nothing_runs_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as can be seen: here as on a system whose processes keep temporary files."""
    monkeypatch.setattr(going_on, "_files_in_memory", list)
    assert 0 == main(["status"])
    assert "nothing runs, as far as can be seen from here\n" == capsys.readouterr().out


def test_a_file_that_took_the_place_of_ours_is_left_alone(tmp_path, monkeypatch):
    """A program that closes all files, as daemons do, opens its own under the same numbers."""
    monkeypatch.setattr(going_on, "_file", [])
    monkeypatch.setattr(going_on, "_lines", {})
    going_on.begin(1, "run", "smooth", "work", "key")
    ours = going_on._file[0][1]
    os.close(ours)
    theirs = os.open(tmp_path / "theirs.txt", os.O_RDWR | os.O_CREAT)
    assert ours == theirs
    going_on.begin(2, "run", "smooth", "work", "key")
    going_on.end(1)
    os.close(theirs)
    assert "" == (tmp_path / "theirs.txt").read_text()
