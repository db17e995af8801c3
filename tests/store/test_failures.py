"""What failed runs leave behind: one file for people, in folders whose number is bounded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memori import MemoriError, RecordError, Stage, StageError, workdir
from memori.cli import main
from memori.neuro import CommandError, NipypeStage, ShellStage
from memori.store import Memory, Unfinished
from memori.store.failures import KEPT, keep_failure


def left(root: Path) -> list[Unfinished]:
    return list(Memory(str(root)).unfinished())


def text_of(root: Path) -> str:
    """The text of the only failure."""
    (run,) = left(root)
    assert run.text == Path(run.folder, "failure.txt").read_text()
    return run.text


def divide(x: object, table: str = "") -> float:
    return 1 / 0


def half(x: int) -> float:
    (workdir() / "half").write_text("made")
    return x / 0


def no_json(x: int) -> object:
    return {1, 2}


def leaves(x: int) -> None:
    sys.exit(f"no {x}")


# Every failure


@pytest.mark.parametrize(
    ("function", "error", "told"),
    [
        (divide, ZeroDivisionError, "ZeroDivisionError: division by zero\n"),
        (half, ZeroDivisionError, "ZeroDivisionError: division by zero\n"),
        (no_json, TypeError, "output 'output'"),
        (leaves, SystemExit, "SystemExit: no 3\n"),
    ],
)
def test_a_python_stage_that_fails_keeps_what_is_needed(
    tmp_path: Path, function: object, error: type[BaseException], told: str
) -> None:
    """The exception, the stage, its inputs and the traceback, whether or not it made files."""
    stage = Stage(function, hash_output=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(error):
        stage.run(3)
    name = function.__name__  # type: ignore[attr-defined]
    text = text_of(tmp_path)
    assert told in text
    assert f"stage {name!r} ({__name__}.{name})\n" in text
    assert "inputs:\n  x = 3\n" in text
    assert "Traceback (most recent call last):\n" in text
    if function is not no_json:
        assert f'"{__file__}", line' in text


def test_the_inputs_are_told_as_they_were_given(tmp_path: Path) -> None:
    """Also those that do not count, each on a line; a very long one is cut."""
    table = tmp_path / "table.tsv"
    table.write_text("x")
    stage = Stage(divide, hash_output=tmp_path / "work-{subject}")
    with pytest.raises(ZeroDivisionError):
        stage.run(["x"] * 1000, str(table), subject="01")
    text = text_of(tmp_path / "work-01")
    assert f'  table = "{table}"\n  subject = "01"\n' in text
    assert "(5000 characters)\n" in text


def test_a_wrong_number_of_outputs_is_a_failure_like_any(tmp_path: Path) -> None:
    """What memori itself finds wrong is kept, too."""
    with pytest.raises(StageError):
        Stage(abs, stage_outputs=["a", "b"], hash_output=tmp_path).run(3)
    assert text_of(tmp_path).startswith("stage 'abs' declares 2 outputs")


def test_what_cannot_be_recorded_is_a_failure_like_any(tmp_path: Path) -> None:
    """The run returned, and its folder stays for whoever has its paths."""

    def makes(x: int) -> str:
        path = workdir() / "out"
        path.symlink_to(path.parent)
        (tmp_path / "work/.memori/stages/makes").rename(tmp_path / "away")
        (tmp_path / "work/.memori/stages/makes").write_text("in the way")
        return str(path)

    with pytest.raises(RecordError):
        Stage(makes, hash_output=tmp_path / "work").run(3)
    (note,) = tmp_path.glob("work/makes/*/failure.txt")
    assert "its outputs cannot be recorded" in note.read_text()


def test_an_interface_that_fails_is_told_in_the_same_way(tmp_path: Path) -> None:
    """The command, what it printed, and the inputs."""
    from nipype.interfaces.base import CommandLine

    stage = NipypeStage(CommandLine("ls"), hash_output=tmp_path)
    with pytest.raises(MemoriError):
        stage.run(args="no-such-file")
    text = text_of(tmp_path)
    assert text.startswith("CommandLine exited with code 2")
    assert '  args = "no-such-file"\n' in text


def test_a_command_that_fails_is_told_in_the_same_way(tmp_path: Path) -> None:
    """The error's own words, and the inputs."""
    stage = ShellStage("ls {path} -{how=l}", hash_output=tmp_path)
    with pytest.raises(CommandError) as caught:
        stage.run("no-such-file")
    text = text_of(tmp_path)
    assert text.startswith(f"{caught.value}\n\nstage 'ls' (")
    assert '  path = "no-such-file"\n  how = "l"\n' in text


def test_a_failure_inside_a_stage_is_one_of_each(tmp_path: Path) -> None:
    """The inner stage and the outer one both failed."""
    inner = Stage(divide, hash_output=tmp_path)

    def outer(x: int) -> object:
        return inner.run(x)

    with pytest.raises(ZeroDivisionError):
        Stage(outer, hash_output=tmp_path).run(1)
    assert ["divide", "outer"] == [run.stage for run in left(tmp_path)]


def test_who_interrupts_a_run_is_no_failure(tmp_path: Path) -> None:
    """Nothing is left of a run that made nothing."""

    def waits() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stage(waits, hash_output=tmp_path).run()
    assert [] == left(tmp_path)


# Mended


def test_what_was_mended_is_not_listed(tmp_path: Path) -> None:
    """By other code, with or without a folder of the run's own, and by the same code later."""
    fails = [True]

    def flaky(x: int) -> int:
        if fails:
            raise OSError("no network")
        return x

    for version in ("1", "2"):
        with pytest.raises(ZeroDivisionError):
            Stage(divide, hash_output=tmp_path, code_version=version).run(3)
    with pytest.raises(OSError, match="no network"):
        Stage(flaky, hash_output=tmp_path, code_version="1").run(3)
    assert ["divide", "flaky"] == [run.stage for run in left(tmp_path)]
    Stage(abs, hash_output=tmp_path, stage_name="other").run(3)
    assert 2 == len(left(tmp_path))
    Stage(lambda x, table="": x, hash_output=tmp_path, stage_name="divide").run(3)
    fails.clear()
    Stage(flaky, hash_output=tmp_path, code_version="1").run(3)
    assert [] == left(tmp_path)
    assert [] == list(tmp_path.glob("*/*/failure.txt"))


def test_an_input_file_that_was_mended_mends_the_failure(tmp_path: Path) -> None:
    """The same file, with another content, is the same input."""

    def number_in(path: str, scale: int) -> int:
        return int(Path(path).read_text()) * scale

    stage = Stage(number_in, hash_output=tmp_path / "work")
    for name in ("a", "b"):
        (tmp_path / name).write_text("none")
        with pytest.raises(ValueError, match="none"):
            stage.run(str(tmp_path / name), scale=1)
    (tmp_path / "a").write_text("1")
    stage.run(str(tmp_path / "a"), scale=1)
    assert f'path = "{tmp_path}/b"' in text_of(tmp_path / "work")


def test_an_earlier_entry_mends_nothing(tmp_path: Path) -> None:
    """Code that was broken since is a failure."""

    def ok(x: int) -> int:
        return x

    Stage(ok, hash_output=tmp_path, stage_name="s").run(3)
    for entry in tmp_path.glob(".memori/stages/s/??/*.json"):
        os.utime(entry, (1e9, 1e9))
    with pytest.raises(ZeroDivisionError):
        Stage(divide, hash_output=tmp_path, stage_name="s").run(3)
    assert 1 == len(left(tmp_path))


# Shown


def test_failures_are_shown_with_their_dates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oldest first, each with its text."""
    for x in (1, 2):
        with pytest.raises(ZeroDivisionError):
            Stage(divide, hash_output=tmp_path).run(x)
    newest, oldest = sorted(tmp_path.glob("divide/*/failure.txt"))
    os.utime(newest, (1.2e9, 1.2e9))
    os.utime(oldest, (1e9, 1e9))
    assert 0 == main(["show", str(tmp_path)])
    told = capsys.readouterr().out.splitlines()
    heads = [line for line in told if line.startswith("divide: ")]
    dates = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) for at in (1e9, 1.2e9)]
    assert [
        f"divide: {folder} (failed {date})"
        for folder, date in zip((oldest.parent, newest.parent), dates, strict=True)
    ] == heads
    assert "    ZeroDivisionError: division by zero" == told[1]


def test_a_run_that_was_killed_is_shown_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could not say a word."""
    script = (
        "import os, sys, memori\n"
        "def f(): memori.workdir(); print('begun', flush=True); input()\n"
        "memori.Stage(f, hash_output=sys.argv[1]).run()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], **pipes) as process:  # type: ignore[call-overload]
        assert b"begun\n" == process.stdout.readline()
        main(["show", str(tmp_path)])
        process.send_signal(signal.SIGKILL)
    assert capsys.readouterr().out.endswith(", not known to have ended)\n")
    main(["show", str(tmp_path)])
    assert capsys.readouterr().out.endswith(", was interrupted or killed)\n")


# Room


def test_the_number_of_failures_is_bounded(tmp_path: Path) -> None:
    """Of a Python stage as of a command."""
    for x in range(KEPT + 3):
        with pytest.raises(ZeroDivisionError):
            Stage(divide, hash_output=tmp_path).run(x)
    assert KEPT == len(list(tmp_path.glob("divide/*/failure.txt"))) == len(left(tmp_path))


@pytest.mark.parametrize("function", ["lstat", "unlink", "listdir"])
def test_keeping_evidence_never_hides_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Files that vanish or cannot be removed meanwhile are left alone."""
    monkeypatch.setattr("memori.store.failures.ROOM", 10)
    folder = tmp_path / "0123abcd"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "big", folder / "deep/big"):
        path.write_bytes(b"x" * 500)

    def refuse(path: object, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as refused:
        refused.setattr(os, function, refuse)
        keep_failure(str(folder), "tool failed")
    assert "tool failed" in (folder / "failure.txt").read_text()


def test_a_failure_that_cannot_be_kept_is_raised_all_the_same(tmp_path: Path) -> None:
    """Where nothing can be written, the exception is the user's own."""

    def spoils(x: int) -> float:
        (tmp_path / "work").rename(tmp_path / "away")
        (tmp_path / "work").write_text("in the way")
        return x / 0

    with pytest.raises(ZeroDivisionError):
        Stage(spoils, hash_output=tmp_path / "work").run(1)
