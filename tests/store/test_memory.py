"""What a folder remembers, for whoever only asks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from memori import MemoriWarning, Stage, workdir
from memori.store import Memory, memories_below
from tests.store.contract import everything_in

FAILS = [False]


def write(n: int) -> str:
    path = workdir() / "out.txt"
    path.write_text(str(n))
    if FAILS[0]:
        raise RuntimeError("no")
    return str(path)


def double(n: int) -> int:
    return 2 * n


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two stages, of which one failed once."""
    root = tmp_path / "w"
    for n in (1, 2, 3):
        Stage(double, hash_output=root).run(n)
        Stage(write, hash_output=root).run(n)
    FAILS[0] = True
    try:
        Stage(write, hash_output=root).run(4)
    except RuntimeError:
        pass
    finally:
        FAILS[0] = False
    return root


def test_stages_and_their_runs_are_listed_the_newest_first(root: Path) -> None:
    """Each by the name of its files."""
    memory = Memory(str(root))
    assert ["double", "write"] == memory.stages()
    for age, entry in enumerate(sorted(memory.entries("double"), key=lambda e: -e.inputs["n"])):
        os.utime(entry.path, (1000 - age, 1000 - age))
    assert [3, 2, 1] == [entry.inputs["n"] for entry in memory.entries("double")]
    assert [] == list(memory.entries("another"))


def test_asking_changes_nothing(root: Path) -> None:
    """Whoever lists is no user of what is listed."""
    memory = Memory(str(root))
    before = everything_in(root)
    memory.stages(), list(memory.entries("write")), list(memory.unfinished())
    list(memories_below(str(root)))
    assert before == everything_in(root)


def test_a_folder_that_remembers_nothing_is_empty(tmp_path: Path) -> None:
    """Also one that is not there."""
    for folder in (tmp_path, tmp_path / "none"):
        memory = Memory(str(folder))
        assert ([], []) == (memory.stages(), list(memory.unfinished()))
        assert [] == list(memories_below(str(folder)))


def test_runs_that_failed_or_go_on_are_unfinished(root: Path) -> None:
    """Their folders are named; those of runs that ended well are not."""
    memory = Memory(str(root))
    (run,) = memory.unfinished()
    assert ("write", "4") == (run.stage, (Path(run.folder) / "out.txt").read_text())
    found = []

    def look() -> None:
        workdir()
        found.extend(memory.unfinished())

    Stage(look, hash_output=root).run()
    assert ["look", "write"] == [run.stage for run in found]
    Stage(write, hash_output=root).run(4)
    assert [] == list(memory.unfinished())


def test_what_is_dropped_is_forgotten_and_nothing_else(root: Path) -> None:
    """The entry and the folder that belongs to it go; the others hit."""
    memory = Memory(str(root))
    gone = next(entry for entry in memory.entries("write") if entry.inputs["n"] == 2)
    memory.drop("write", gone)
    memory.drop("write", gone)
    assert {1, 3} == {entry.inputs["n"] for entry in memory.entries("write")}
    assert not (root / str(gone.folder)).exists()
    stage = Stage(write, hash_output=root)
    assert [False, True, False] == [(stage.run(n), stage.state)[1] for n in (1, 2, 3)]


def test_an_entry_that_is_broken_is_named_and_passed_over(root: Path) -> None:
    """The sound ones are listed."""
    memory = Memory(str(root))
    first = next(memory.entries("double"))
    Path(first.path).write_bytes(b"")
    with pytest.warns(MemoriWarning, match=os.path.basename(first.path)):
        assert 2 == len(list(memory.entries("double")))


def test_listing_goes_on_while_runs_come_and_go(root: Path) -> None:
    """What is removed meanwhile is not listed, and is no error."""
    memory = Memory(str(root))
    over = threading.Event()

    def come_and_go() -> None:
        for n in range(100, 150):
            Stage(write, hash_output=root).run(n)
            entry = next(e for e in Memory(str(root)).entries("write") if e.inputs["n"] == n)
            Memory(str(root)).drop("write", entry)
        over.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    while not over.is_set():
        assert {1, 2, 3} <= {entry.inputs["n"] for entry in memory.entries("write")}
        list(memory.unfinished())
    thread.join()


@pytest.mark.parametrize("place", ["w", ".memori", ".memori/w", "a/.memori/.memori"])
def test_every_memory_below_a_folder_is_found(tmp_path: Path, place: str) -> None:
    """Wherever it lies, also where a hash_output is called like the hidden folder itself."""
    Stage(double, hash_output=tmp_path / place).run(1)
    Stage(double, hash_output=tmp_path / "another" / "sub-01").run(1)
    (first, second) = sorted(memories_below(str(tmp_path)), key=lambda memory: memory.root)
    expected = sorted([str(tmp_path / "another" / "sub-01"), str(tmp_path / place)])
    assert expected == [first.root, second.root]
    assert [["double"]] * 2 == [first.stages(), second.stages()]
    assert [str(tmp_path / place)] == [m.root for m in memories_below(str(tmp_path / place))]
