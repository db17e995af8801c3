"""`memori map`: one command for each of several arguments."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memori.cli import main
from memori.cli.map import filled


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_each_argument_is_remembered_on_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """A changed file reruns its own command only; the order printed is that of the arguments."""
    for name in ("a.txt", "b.txt", "c.txt"):
        Path(name).write_text(name[0])
    script = 'echo "$0" >> count; cat "$0"; cat "$0" > "$1"'
    words = ["map", "-j", "2", "-o", "{.}.out", "--", "sh", "-c", script, "{}", "{.}.out"]
    words += [":::", "a.txt", "b.txt", "c.txt"]
    assert 0 == main(words)
    assert "abc" == capfd.readouterr().out
    Path("b.txt").write_text("B")
    assert 0 == main(words)
    assert "aBc" == capfd.readouterr().out
    assert ["a.txt", "b.txt", "b.txt", "c.txt"] == sorted(Path("count").read_text().split())
    Path("c.out").unlink()
    assert 0 == main(words)
    assert Path("c.out").read_text() == "c"


def test_failures_do_not_take_others_down(capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code counts them, and each is named."""
    words = ["map", "--", "sh", "-c", 'test "$0" = good && echo ok', ":::", "bad", "good", "worse"]
    assert 2 == main(words)
    out, err = capfd.readouterr()
    assert "ok\n" == out
    assert "memori: bad: exit code 1" in err
    assert "memori: worse: exit code 1" in err


def test_commands_run_side_by_side() -> None:
    """As many as -j says: each ends when all four have begun."""
    wait = "until [ -e a ] && [ -e b ] && [ -e c ] && [ -e d ]; do sleep 0.02; done"
    script = f'touch "$0"; {wait}'
    names = ["a", "b", "c", "d"]
    assert 0 == main(["map", "-j", "4", "--", "timeout", "60", "sh", "-c", script, ":::", *names])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("{}", "d/x.y.nii.gz"),
        ("{/}", "x.y.nii.gz"),
        ("{.}", "d/x.y"),
        ("{/.}_b.nii", "x.y_b.nii"),
        ("--in={}", "--in=d/x.y.nii.gz"),
        ("{//}", "d"),
        ("{.}/{/.}", "d/x.y/x.y"),
        ("{//}/{/.}_brain{}", "d/x.y_braind/x.y.nii.gz"),
        ("{}{}{/}", "d/x.y.nii.gzd/x.y.nii.gzx.y.nii.gz"),
        ("{{}}", "{d/x.y.nii.gz}"),
        ("-f", "-f"),
        ("{other}", "{other}"),
    ],
)
def test_what_stands_for_the_argument(word: str, expected: str) -> None:
    """As in GNU parallel, with suffixes as the field has them."""
    assert expected == filled(word, "d/x.y.nii.gz")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("x", ["x", "x", ".", "x", "x"]),
        ("/d.e/x", ["/d.e/x", "x", "/d.e", "/d.e/x", "x"]),
        (
            "data/sub-01.feat/",
            ["data/sub-01.feat/", "sub-01.feat", "data", "data/sub-01", "sub-01"],
        ),
        ("surf/lh.pial", ["surf/lh.pial", "lh.pial", "surf", "surf/lh.pial", "lh.pial"]),
        ("{/.}.nii", ["{/.}.nii", ".}.nii", "{", "{/.}", ".}"]),
    ],
)
def test_parts_of_any_argument(argument: str, expected: list[str]) -> None:
    """Of a folder, of a name without suffix, and of one with braces, which are left alone."""
    marks = ["{}", "{/}", "{//}", "{.}", "{/.}"]
    assert expected == [filled(mark, argument) for mark in marks]
    assert " ".join(expected) == filled(" ".join(marks), argument)


def test_wrong_use_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ::: there is nothing to map."""
    assert 1 == main(["map", "--", "echo"])
    assert ":::" in capsys.readouterr().err
    assert 1 == main(["map", "-j", "0", "--", "echo", ":::", "a"])


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_told_to_end_it_ends_its_commands(tmp_path: Path) -> None:
    """By SIGTERM, of which it then dies: no command of theirs is left, no lock, and none begins."""
    nap = f"300.{os.getpid()}1"  # tells it from all others on the machine
    program = "import sys; from memori.cli import main; sys.exit(main())"
    words = ["map", "-j", "2", "--", "sh", "-c", f"touch began-$0; sleep {nap}", "{}", ":::", "a"]
    running = subprocess.Popen(
        [sys.executable, "-c", program, *words, "b", "c"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    until = time.monotonic() + 60
    while len(list(tmp_path.rglob("began-*"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    running.terminate()
    try:
        assert -signal.SIGTERM == running.wait(60)
    finally:
        running.kill()
    assert not list(tmp_path.rglob("began-c"))
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    assert f"sleep\0{nap}\0".encode() not in lines
    assert [] == list(tmp_path.rglob("*.running"))


def test_arguments_that_would_write_one_file_are_refused(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An -o without the argument in it would leave the last one's file alone: nothing runs."""
    Path("a").write_text("a")
    Path("b").write_text("b")

    assert 1 == main(["map", "-o", "out", "--", "cp", "{}", "out", ":::", "a", "b"])

    assert "-o out names one file for both a and b; put {}" in capfd.readouterr().err
    assert not Path("out").exists()
