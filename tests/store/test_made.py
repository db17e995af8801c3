"""A file that a program wrote where an input says is known as the stage's own product by a mark.

What Python code writes is seen; here programs write, of which only the mark tells.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from pathlib import Path

import pytest

from memori import MemoriWarning, Stage
from memori.layout import Layout
from memori.store import made
from memori.watch.commands import strace
from tests.store.contract import artifact


@pytest.fixture(autouse=True)
def _nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch no programs."""
    monkeypatch.setattr(strace, "_why_unusable", lambda path: "strace is not installed")


def say(text: object, out: str) -> None:
    """Have a program write a file that is not returned."""
    subprocess.run(["sh", "-c", 'printf %s "$0" > "$1"', str(text), out], check=True)


def stamp(out: str) -> None:
    """Have a program write a file that differs each time."""
    say(time.time_ns(), out)


def states(stage: Stage, *runs: tuple[object, ...]) -> list[bool]:
    return [(stage.run(*arguments), stage.state)[1] for arguments in runs]


@pytest.mark.filterwarnings("error")
def test_a_product_is_no_reason_to_run_again(tmp_path: Path) -> None:
    """The second call with the same arguments hits, though the first made one of its inputs."""
    out = tmp_path / "out.txt"
    stage = Stage(say, hash_output=tmp_path / "w", code_version="1")
    assert [True, False, False] == states(stage, *[("a", out)] * 3)
    out.unlink()
    assert [True, False] == states(stage, *[("a", out)] * 2)
    assert "a" == out.read_text()


@pytest.mark.filterwarnings("error")
def test_other_arguments_may_write_the_same_file(tmp_path: Path) -> None:
    """Each run replaces what an earlier one left there, and is remembered as it left it."""
    out = tmp_path / "out.txt"
    stage = Stage(say, hash_output=tmp_path / "w", code_version="1")
    assert [True, True, False] == states(stage, ("a", out), ("b", out), ("b", out))
    assert "b" == out.read_text()
    assert [True, False, True] == states(stage, ("a", out), ("a", out), ("b", out))
    assert "b" == out.read_text()


@pytest.mark.filterwarnings("error")
def test_a_product_that_differs_each_time_is_known(tmp_path: Path) -> None:
    """Forced again and again, such a stage stays remembered."""
    out = tmp_path / "out.txt"
    stage = Stage(stamp, hash_output=tmp_path / "w", code_version="1")
    for _ in range(3):
        stage.run(out, force_run_stage=True)
        assert [False] == states(stage, (out,))


def say_and_return(text: str, out: str) -> str:
    """Have a program write the file that is returned."""
    say(text, out)
    return out


@pytest.mark.filterwarnings("error")
def test_a_returned_file_is_a_product_whoever_put_another_there(tmp_path: Path) -> None:
    """What a stage says that it made, it made; so it is remembered though something stood there."""
    out = tmp_path / "out.txt"
    out.write_text("somebody's")
    stage = Stage(say_and_return, hash_output=tmp_path / "w", code_version="1")
    assert [True, False] == states(stage, *[("a", out)] * 2)
    out.write_text("somebody's")
    assert [True, False] == states(stage, *[("a", out)] * 2)


def test_what_somebody_else_put_there_is_not_taken_for_a_product(tmp_path: Path) -> None:
    """A file of another content that the run changed may have been read: it is not vouched for."""
    out = tmp_path / "out.txt"
    stage = Stage(say, hash_output=tmp_path / "w", code_version="1")
    stage.run("a", out)
    out.write_text("somebody's")
    with pytest.warns(MemoriWarning, match=r"out\.txt changed while the stage ran"):
        stage.run("a", out)
    assert [True, False] == states(stage, *[("b", out)] * 2)


def test_the_same_content_elsewhere_is_not_a_product(tmp_path: Path) -> None:
    """A mark is of a name, too."""
    stage = Stage(say, hash_output=tmp_path / "w", code_version="1")
    stage.run("a", tmp_path / "out.txt")
    (tmp_path / "other.txt").write_text("a")
    with pytest.warns(MemoriWarning, match=r"other\.txt changed"):
        stage.run("b", tmp_path / "other.txt")


def test_a_mark_that_lost_its_slot_is_unknown_and_no_other(tmp_path: Path) -> None:
    """The table is of one size: the later of two that meet is kept, and neither is mistaken."""
    layout = Layout(str(tmp_path), "say")
    first = artifact("first.txt", "a")
    others = (artifact(f"{n}.txt", "a") for n in itertools.count())
    made.mark(layout, [first])
    while made.is_marked(layout, first):
        second = next(others)
        assert made.is_marked(layout, second) is False
        made.mark(layout, [second])
    assert made.is_marked(layout, second) is True
    made.mark(layout, [first])
    assert (True, False) == (made.is_marked(layout, first), made.is_marked(layout, second))


@pytest.mark.parametrize("content", [b"", b"0" * 10, bytes(200_000), b"\xff" * 200_000])
def test_a_damaged_table_knows_nothing(tmp_path: Path, content: bytes) -> None:
    """It costs a run that is not remembered, and goes on from there."""
    layout = Layout(str(tmp_path), "say")
    made.mark(layout, [artifact("out.txt", "a")])
    Path(layout.marks).write_bytes(content)
    assert made.is_marked(layout, artifact("out.txt", "a")) is False
    made.mark(layout, [artifact("out.txt", "a")])
    assert made.is_marked(layout, artifact("out.txt", "a")) is True


def test_no_files_leave_no_table(tmp_path: Path) -> None:
    """A stage that writes nothing where an input says has none."""
    made.mark(Layout(str(tmp_path), "say"), [])
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_marks_that_are_no_file_say_nothing(tmp_path: Path, kind: str) -> None:
    """A memory that was copied by a tool that makes other things of files costs runs only."""
    (tmp_path / ".memori").mkdir()
    table = made.written_of(str(tmp_path))
    os.mkdir(table) if kind == "folder" else os.mkfifo(table)
    assert not made.is_written(str(tmp_path), str(tmp_path / "a.txt"))
