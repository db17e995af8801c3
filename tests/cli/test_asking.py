"""`memori ls`, `log`, `show`, `version`: asking what is remembered, and how errors are told."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from memori import Stage, workdir
from memori.cli import main
from memori.cli.told import size
from tests.store.contract import everything_in

FAILS = [False]


def write(n: int) -> str:
    path = workdir() / "out.txt"
    path.write_text(str(n) * 1000)
    if FAILS[0]:
        raise RuntimeError("no room in the scanner")
    return str(path)


def double(n: int) -> int:
    return 2 * n


def beside(out: str) -> str:
    Path(out).write_text("here")
    return out


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cases with two stages, and one run that failed."""
    monkeypatch.chdir(tmp_path)
    for subject in ("01", "02"):
        for n in (1, 2):
            Stage(write, hash_output=f"work/sub-{subject}").run(n)
            Stage(double, hash_output=f"work/sub-{subject}").run(n)
    FAILS[0] = True
    with pytest.raises(RuntimeError):
        Stage(write, hash_output="work/sub-02").run(3)
    FAILS[0] = False
    return tmp_path / "work"


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command answers as JSON."""
    capsys.readouterr()
    assert 0 == main([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints."""
    capsys.readouterr()
    assert 0 == main(list(words))
    return capsys.readouterr().out


def test_ls_lists_stages_by_case(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the number of runs, of those that failed, and the bytes that `du` would find."""
    listed = asked(capsys, "ls")
    assert [("sub-01", "double", 2, 0), ("sub-01", "write", 2, 0), ("sub-02", "double", 2, 0),
            ("sub-02", "write", 2, 1)] == [
        (Path(each["folder"]).name, each["stage"], each["entries"], each["failed"])
        for each in listed
    ]  # fmt: skip
    kept = [work / "sub-01/.memori/stages/double", *(work / "sub-01").glob("double*")]
    inside = [path for each in kept for path in (each, *each.rglob("*"))]
    expected = (sum(path.lstat().st_size for path in inside), len(inside))
    assert expected == (listed[0]["bytes"], listed[0]["files"])
    text = told(capsys, "ls", "work/sub-02", "--stage", "write")
    assert ["work/sub-02", "write", "2", "1"] == text.splitlines()[1].split()[:4]
    assert 2 == len(text.splitlines())


def test_runs_that_are_not_remembered_are_no_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is one that goes on: it is counted by itself."""

    def look(n: int) -> dict[str, int]:
        workdir()
        with redirect_stdout(io.StringIO()) as said:
            main(["ls", "work", "--json"])
        (line,) = json.loads(said.getvalue())
        return {name: line[name] for name in ("entries", "failed", "running")}

    monkeypatch.chdir(tmp_path)
    stage = Stage(look, "counts", "work", remember=False)
    assert {"entries": 0, "failed": 0, "running": 1} == stage.run(1)["counts"]
    (line,) = asked(capsys, "ls", str(tmp_path))
    assert (0, 0, 0) == (line["entries"], line["failed"], line["running"])
    assert "look: no run of it is remembered" in told(capsys, "why", str(tmp_path))


def test_why_tells_failures(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What failed did run."""
    assert "    failed: " in told(capsys, "why", "work/sub-02")


@pytest.mark.parametrize("command", ["ls", "log", "status", "verify", "prune", "why"])
def test_a_folder_that_is_not_there_is_an_error(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not one in which nothing is wrong."""
    assert 1 == main([command, "no/such/folder"])
    assert "memori: no/such/folder: there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ls", "log", "verify", "prune"])
def test_a_stage_that_is_misspelt_is_an_error(
    work: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which was meant."""
    assert 1 == main([command, "work", "--stage", "wriet"])
    assert "(did you mean write?)" in capsys.readouterr().err


def test_nothing_to_verify_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The wrong folder is not without faults."""
    assert 1 == main(["verify", str(tmp_path)])
    assert "nothing is remembered below" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [("wyh", "why"), ("ls --jsno", "--json"), ("prune --not-latets", "--not-latest"),
     ("completion fisch", "fish")],
)  # fmt: skip
def test_what_is_misspelt_is_said_in_one_line(
    words: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is spelled like it; exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert (2, True) == (ended.value.code, f"(did you mean {hint}?)" in line)


def test_without_words_the_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As with --help."""
    assert 2 == main([])
    assert "say why stages ran" in capsys.readouterr().err


def test_ls_lists_runs_with_their_inputs(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its own size: the record, and the files in its folder."""
    runs = asked(capsys, "ls", "--entries", "--stage", "write", "work/sub-01")
    assert [{"n": 1}, {"n": 2}] == sorted((each["inputs"] for each in runs), key=str)
    assert all(each["bytes"] > 1000 for each in runs)
    assert "n=2" in told(capsys, "ls", "--entries")


def test_a_hit_is_a_use_and_asking_is_none(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last use is that of a run which was made or hit."""
    for path in work.rglob("*.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    def uses() -> list[str]:
        listed = asked(capsys, "ls", "work/sub-01", "--entries", "--stage", "double")
        return sorted("then" if each["last_used"][:4] == "2001" else "now" for each in listed)

    assert ["then", "then"] == uses()
    assert ["then", "then"] == uses()
    stage = Stage(double, hash_output="work/sub-01")
    stage.run(1)
    assert not stage.state
    assert ["now", "then"] == uses()


def test_log_tells_what_ran_and_why(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first, failures as well; as many as are asked for."""
    runs = asked(capsys, "log")
    assert 9 == len(runs)
    failed = next(each for each in runs if each["state"] == "failed")
    assert "write" == failed["stage"]
    assert runs == sorted(runs, key=lambda each: -each["moment"])
    reasons = [each["reasons"] for each in runs if each["stage"] == "double"]
    assert ["input n: 1 -> 2"] in reasons
    assert 2 == len(asked(capsys, "log", "-n", "2"))
    assert "because input n: 1 -> 2" in told(capsys, "log")


def test_show_says_who_made_a_file(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever link leads to it, in a run's folder or where the run was told to write."""
    (run,) = asked(capsys, "show", "work/sub-01/write/latest/out.txt")
    assert ({"n": 2}, "write") == (run["inputs"], run["stage"])
    Stage(beside, hash_output="work").run("there.txt")
    (run,) = asked(capsys, "show", "there.txt")
    assert ("beside", {"out": "../there.txt"}) == (run["stage"], run["inputs"])
    assert "made     there.txt (output)" in told(capsys, "show", "there.txt")
    Path("there.txt").unlink()
    assert "there.txt (output), which is missing" in told(capsys, "show", "beside")


def test_show_takes_stages_and_keys(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage's latest run in each case; a run by the first digits of its key, or its record."""
    assert ["sub-01", "sub-02"] == [
        Path(each["folder"]).name for each in asked(capsys, "show", "double")
    ]
    (run,) = asked(capsys, "show", "double", "-d", "work/sub-01")
    assert {"n": 2} == run["inputs"]
    key = run["key"]
    for what in (key, key[:8], f"double/{key[:8]}", run["entry"]):
        assert [run] == asked(capsys, "show", what, "-d", "work/sub-01")


def test_what_cannot_be_shown_is_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what there is instead."""
    assert 1 == main(["show", "smooth"])
    expected = "memori: smooth is no file, stage or run below .; its stages are double, write\n"
    assert ("", expected) == capsys.readouterr()
    Path("mine.txt").write_text("")
    assert 1 == main(["show", "mine.txt"])
    assert "no run below . made it" in capsys.readouterr().err
    assert 1 == main(["ls", "nowhere"])
    assert "memori: nowhere: there is no such folder\n" == capsys.readouterr().err


def test_a_traceback_is_shown_on_request(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By --debug or MEMORI_DEBUG, and not otherwise."""
    assert 1 == main(["show", "smooth"])
    assert "Traceback" not in capsys.readouterr().err
    assert 1 == main(["--debug", "show", "smooth"])
    assert "Traceback" in capsys.readouterr().err


def test_asking_changes_nothing(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing below the folder is written."""
    before = everything_in(work)
    for words in (["ls"], ["ls", "--entries"], ["log"], ["show", "write"], ["show"], ["version"]):
        told(capsys, *words)
        asked(capsys, *words)
    assert before == everything_in(work)


def test_asking_goes_on_beside_runs(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes and goes meanwhile is told or not, and is no error."""
    over = threading.Event()

    def run() -> None:
        for n in range(10, 60):
            stage = Stage(write, hash_output="work/sub-01")
            stage.run(n)
            stage.forget(n)
        over.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not over.is_set():
        for words in (["ls"], ["ls", "--entries"], ["log"], ["show", "write"]):
            asked(capsys, *words)
    thread.join()


def test_an_output_that_nobody_reads_is_no_error(work: Path) -> None:
    """As of `memori log | head -1`."""
    code = "import sys; from memori.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "log", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert b"" == done.stderr.read()
    assert 141 == done.returncode


def test_colours_are_for_terminals(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None where the output goes to a file or a pipe."""
    assert "\033" not in told(capsys, "ls") + told(capsys, "log") + told(capsys, "show", "write")


def test_version_says_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Of memori, of Python and of the packages beside it."""
    found = asked(capsys, "version")
    assert sys.version.split()[0] == found["python"]
    assert {"nipype", "nibabel", "numpy"} <= set(found["packages"])
    assert told(capsys, "version").startswith(f"memori {found['memori']} ")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
     (138e6, "138 MB"), (5e15, "5000 TB")],
)  # fmt: skip
def test_sizes_are_said_in_the_unit_that_fits(count: float, expected: str) -> None:
    """In powers of ten, as disks are sold."""
    assert expected == size(count)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_letters_that_a_terminal_lacks_are_escaped(tmp_path: Path, encoding: str) -> None:
    """No command fails for a name that the locale of a cluster cannot print."""
    subject = "01 \N{SNOWMAN} \udcff"
    Stage(double, "m", tmp_path / "{n}").run(n=subject)

    for words in (["ls", "--entries"], ["log"], ["show", "double"], ["why"]):
        done = subprocess.run(
            [sys.executable, "-c", "from memori.cli import main; raise SystemExit(main())", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )

        assert (0, b"") == (done.returncode, done.stderr), words
        assert b"\\udcff" in done.stdout or words == ["why"]


def test_json_is_for_every_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A browser, R and jq know no NaN and no infinity: they are texts there."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    Stage(double, "m", tmp_path).run(n=float("inf"))
    Stage(double, "m", tmp_path).run(n=float("nan"))

    for words in (
        ["ls", str(tmp_path), "--entries"],
        ["log", str(tmp_path)],
        ["why", str(tmp_path)],
    ):
        assert 0 == main([*words, "--json"])
        text = capsys.readouterr().out
        json.loads(text, parse_constant=refuse)
        assert '"nan"' in text or words[0] == "why"
