"""`memori prune`: runs of code that is gone and of cases that no longer exist."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from memori import Folder, Stage, workdir
from memori.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command answers as JSON."""
    capsys.readouterr()
    assert 0 == main([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def count(path: str) -> int:
    return len(Path(path).read_text())


def write(text: str, more: str = "") -> str:
    path = workdir() / "text.txt"
    path.write_text(Path(text).read_text() + more)
    return str(path)


def older() -> None:
    for path in Path("work").glob("**/.memori/**/*"):
        if path.is_file():
            os.utime(path, (path.stat().st_atime - 100_000, path.stat().st_mtime - 100_000))


def keys(told: dict[str, Any], what: str = "runs") -> list[str]:
    return sorted(f"{os.path.basename(each['folder'])} {each['stage']}" for each in told[what])


def test_runs_of_code_that_is_gone_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of folders that did not run since as well, and the source of that code with them."""

    def first(text: str) -> str:
        return write(text)

    def second(text: str) -> str:
        return write(text, "!")

    for name in ("01", "02"):
        Path(f"{name}.txt").write_text(name)
        Stage(first, "out", f"work/{name}", "written").run(f"{name}.txt")
        Stage(count, "n", f"work/{name}", "counted").run(f"{name}.txt")
    older()
    Stage(second, "out", "work/01", "written").run("01.txt")
    told = asked(capsys, "prune", "--old-code")
    assert ["01 written", "02 written"] == keys(told)
    # the new run in the other folder says what was edited
    sources = {os.path.dirname(os.path.relpath(each["path"])) for each in told["left"]}
    assert {"work/02/.memori/sources"} == sources
    asked(capsys, "prune", "--old-code", "--delete")
    assert Stage(second, "out", "work/01", "written").is_remembered("01.txt")
    assert Stage(count, "n", "work/02", "counted").is_remembered("02.txt")
    assert [] == asked(capsys, "prune", "--old-code", "--idle", "0")["left"]


def test_runs_of_cases_that_are_gone_go(capsys: pytest.CaptureFixture[str]) -> None:
    """With all that was made of what they made; what else has its inputs stays."""
    for name in ("01", "02"):
        Path(f"{name}.txt").write_text(name)
        out = Stage(write, "out", f"work/{name}").run(f"{name}.txt")
        Stage(count, "n", f"work/{name}").run(path=out["out"])
    older()
    assert [] == keys(asked(capsys, "prune", "--gone-cases"))
    Path("02.txt").unlink()
    assert ["02 count", "02 write"] == keys(asked(capsys, "prune", "--gone-cases", "--delete"))
    assert Stage(write, "out", "work/01").is_remembered("01.txt")
    assert not list(Path("work/02/write").glob("*/text.txt"))


def test_no_case_is_gone_where_a_disk_may_not_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    """That no input of any run is there says nothing."""
    Path("01.txt").write_text("01")
    Stage(write, "out", "work/01").run("01.txt")
    older()
    Path("01.txt").unlink()
    assert [] == keys(asked(capsys, "prune", "--gone-cases"))


def parts(n: int) -> Folder:
    folder = workdir() / "parts"
    folder.mkdir()
    (folder / "a.txt").write_text(str(n))
    return Folder(folder)


@pytest.mark.parametrize("way", ["given", "read"])
def test_what_holds_a_file_that_a_run_was_made_from_stays(
    capsys: pytest.CaptureFixture[str], way: str
) -> None:
    """A stage returned a folder, and another one was given, or read, a file in it."""
    made = Stage(parts, "folder", "work").run(1)["folder"]
    older()
    if way == "given":
        Stage(count, "n", "work").run(f"{made}/a.txt")
    else:
        Stage(lambda n: len(Path(made, "a.txt").read_text()), "n", "work", "count").run(1)
    told = asked(capsys, "prune", "--older", "1d", "--delete")
    assert ["parts"] == [each["stage"] for each in told["kept"]]
    assert os.path.exists(f"{made}/a.txt")


def test_what_a_killed_process_saved_of_an_argument_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A day later."""
    partial = Path("work/.memori/arguments/.x.partial")
    Path("01.txt").write_text("01")
    Stage(count, "n", "work").run("01.txt")
    partial.mkdir(parents=True)
    (partial / "array.npy").write_text("half")
    assert [] == asked(capsys, "prune")["left"]
    os.utime(partial, (1, 1))
    told = asked(capsys, "prune", "--delete")
    assert ["a partial folder"] == [each["what"] for each in told["left"]]
    assert not partial.exists()
