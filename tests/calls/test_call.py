"""A call decides once, waits for whoever runs the same, and records what it ran."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from memori import MemoriWarning, Pipeline, Stage, StageError, workdir
from memori.store import Memory, Store

ROOT = Path(__file__).parents[2]


def entries(root: Path, stage: str) -> list[Any]:
    return list(Memory(str(root)).entries(stage))


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="who waits is read from /proc/locks")
def test_who_waited_hits_where_the_run_made_the_file_that_an_input_names(tmp_path: Path) -> None:
    """The second of two threads sees the file that the first one wrote, and takes its outputs."""
    calls: list[str] = []
    second_waits = threading.Event()

    def write(out: str) -> str:
        calls.append(out)
        second_waits.wait(30)
        Path(out).write_text("result")
        return out

    stage = Stage(write, hash_output=tmp_path / "w", code_version="1")
    out = str(tmp_path / "out.txt")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(stage.run(out))) for _ in range(2)]
    for thread in threads:
        thread.start()
    locks = Path(tmp_path / "w" / ".memori" / "locks")
    while not calls or not waits_for(locks):
        time.sleep(0.01)
    second_waits.set()
    for thread in threads:
        thread.join()
    assert [{"output": out}] * 2 == found
    assert [out] == calls


def waits_for(locks: Path) -> bool:
    """Whether somebody waits for a lock, as the kernel lists it."""
    inode = f":{locks.stat().st_ino} "
    with open("/proc/locks") as file:
        return any(" -> " in line and inode in line for line in file)


@pytest.mark.parametrize("relative", [False, True])
def test_an_input_that_is_gone_after_the_run_is_not_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    """A file that somebody deleted while the stage ran may have changed before it was read."""
    monkeypatch.chdir(tmp_path)
    source = Path("in.txt") if relative else tmp_path / "in.txt"

    def read(source: str) -> str:
        return subprocess.run(
            ["sh", "-c", 'cat "$0"; rm "$0"', source], capture_output=True, text=True, check=True
        ).stdout

    stage = Stage(read, hash_output=tmp_path / "w", code_version="1", watch=False)
    for _ in range(2):
        source.write_text("text")
        with pytest.warns(MemoriWarning, match=r"in\.txt changed while the stage ran"):
            assert {"output": "text"} == stage.run(source)
        assert [] == entries(tmp_path / "w", "read")


def test_what_a_run_returned_stays_though_it_is_not_remembered(tmp_path: Path) -> None:
    """The next try does not empty the folder whose paths somebody was given."""
    source = tmp_path / "in.txt"

    def read(source: str) -> str:
        text = Path(source).read_text()
        Path(source).unlink()
        path = workdir() / "out.txt"
        path.write_text(text)
        return str(path)

    stage = Stage(read, hash_output=tmp_path / "w", code_version="1")
    found = []
    for _ in range(2):
        source.write_text("text")
        with pytest.warns(MemoriWarning):
            found.append(Path(str(stage.run(source)["output"])))
    assert ["text", "text"] == [path.read_text() for path in found]


def test_a_rerun_that_made_the_same_again_is_the_latest_run(tmp_path: Path) -> None:
    """Its product was deleted and is made again: the entry that stands is the latest one."""

    def write(n: int, out: str) -> int:
        Path(out).write_text(str(n))
        return n

    stage = Stage(write, hash_output=tmp_path / "w", code_version="1")
    for n in (1, 2):
        stage.run(n, tmp_path / f"{n}.txt")
    (tmp_path / "1.txt").unlink()
    assert {"output": 1} == stage.run(1, tmp_path / "1.txt")
    assert stage.state is True
    assert {"output": 1} == stage.run(0, "", force_skip_stage=True)
    assert '"n": 1' in (tmp_path / "w" / "write.inputs").read_text()


class Versioned(Stage):
    """A kind of one's own: what it calls has a version, which cannot always be asked."""

    version: str | None = "1.0"

    def surroundings(self, inputs: Mapping[str, Any], root: str) -> dict[str, Any]:
        return {"tool": self.version, "flavour": "plain"}


def double(n: int) -> int:
    return 2 * n


def test_a_surrounding_that_cannot_be_asked_matches_what_was_recorded(tmp_path: Path) -> None:
    """Without the tool at hand, results of any version of it are used; a known version decides."""
    for version, expected in (("1.0", True), (None, False), ("1.0", False), ("2.0", True)):
        stage = Versioned(double, hash_output=tmp_path)
        stage.version = version
        assert {"output": 4} == stage.run(2)
        assert (version, expected) == (version, stage.state)
    stage.version = "3.0"
    assert "tool: '2.0' -> '3.0'" in str(stage.explain(2))
    stage.version = None
    assert stage.explain(2).hit


def test_a_result_of_an_unknown_surrounding_is_not_one_of_a_known(tmp_path: Path) -> None:
    """What ran while the tool could not be asked is not taken for a run of some version."""
    stage = Versioned(double, hash_output=tmp_path)
    for version, expected in ((None, True), (None, False), ("1.0", True), ("1.0", False)):
        stage.version = version
        stage.run(2)
        assert (version, expected) == (version, stage.state)


def test_a_forced_run_leaves_what_other_files_gave(tmp_path: Path) -> None:
    """It replaces what would have been a hit; going back to what another run read still is one."""
    noise = tmp_path / "noise.txt"

    def read() -> str:
        return noise.read_text()

    stage = Stage(read, hash_output=tmp_path / "w", code_version="1")
    for text in "ab":
        noise.write_text(text)
        stage.run()
    stage.run(force_run_stage=True)
    for text in "ab":
        noise.write_text(text)
        assert {"output": text} == stage.run()
        assert stage.state is False


class Always(Stage):
    """A kind of one's own that a memory does not spare."""

    always_runs = True


def test_a_kind_that_always_runs_is_recorded_and_never_a_hit(tmp_path: Path) -> None:
    """What it made last can be skipped to, and explain says that it would run."""
    values = [1, 2, 3]

    def take() -> int:
        return values.pop(0)

    stage = Always(take, hash_output=tmp_path, code_version="1")
    assert [1, 2] == [stage.run()["output"] for _ in range(2)]
    assert stage.state is True
    assert "forced" == str(stage.explain().changes[0])
    assert {"output": 2} == stage.run(force_skip_stage=True)
    assert [2] == [entry.outputs["output"] for entry in entries(tmp_path, "take")]
    with pytest.raises(AssertionError, match="a worker was asked"):
        Pipeline([("start", stage)]).run(executor=NoExecutor())


def test_what_was_recorded_under_other_names_cannot_be_skipped_to(tmp_path: Path) -> None:
    """Which value would bear which name is not guessed."""
    Stage(double, "twice", tmp_path).run(2)
    other = Stage(double, ["doubled"], tmp_path)
    with pytest.raises(StageError, match=r"latest recorded doubled, and there are none"):
        other.run(2, force_skip_stage=True)
    with pytest.raises(StageError, match="a stage without hash_output"):
        Stage(double).run(2, force_skip_stage=True)


def test_where_there_are_no_locks_the_second_takes_what_the_first_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both get the same paths, and what the second had made is removed."""
    monkeypatch.setattr("memori.processes.lock.fcntl", None)
    outer = threading.local()
    found: list[Any] = []

    def write(n: int) -> str:
        path = workdir() / "out.txt"
        if getattr(outer, "first", False):
            outer.first = False
            thread = threading.Thread(target=lambda: found.append(stage.run(n)["output"]))
            thread.start()
            thread.join()
        path.write_text(f"result {len(found)}")
        return str(path)

    stage = Stage(write, hash_output=tmp_path, code_version="1")
    outer.first = True
    found.append(stage.run(1)["output"])
    assert 1 == len(set(found))
    assert "result 0" == Path(found[0]).read_text()
    assert [Path(found[0]).parent.name] == [
        path.name for path in (tmp_path / "write").iterdir() if not path.is_symlink()
    ]


BROKEN = """
import sys
from pathlib import Path
from memori import Stage, workdir

def write():
    path = workdir() / "out.txt"
    path.write_text("result")
    return str(path)

print(Stage(write, hash_output=sys.argv[1], code_version="1").run()["output"])
"""


def in_new_process(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.stdout.strip()


@pytest.mark.parametrize("damage", ["blank", "gone", "output"])
def test_a_rerun_in_a_new_process_leaves_the_folder_of_a_damaged_entry(
    tmp_path: Path, damage: str
) -> None:
    """Whoever was given its paths by the entry, before it was damaged, can go on using them."""
    first = Path(in_new_process(BROKEN, tmp_path))
    (entry,) = (tmp_path / ".memori" / "stages" / "write").glob("??/*.json")
    if damage == "blank":
        entry.write_bytes(bytes(100))
    elif damage == "gone":
        entry.unlink()
    else:
        first.write_text("edited")
    then = first.read_text()
    second = Path(in_new_process(BROKEN, tmp_path))
    assert first != second
    assert [then, "result"] == [first.read_text(), second.read_text()]


def test_a_process_that_the_run_forked_gets_no_folder_for_it(tmp_path: Path) -> None:
    """The run would not know the folder that a child makes: an error says what to do."""

    def fork(first: bool) -> list[Any]:
        mine = str(workdir()) if first else ""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                told = str(workdir())
            except StageError as error:
                told = str(error)
            os.write(writing, told.encode())
            os._exit(0)
        os.waitpid(child, 0)
        return [mine, os.read(reading, 10_000).decode()]

    stage = Stage(fork, hash_output=tmp_path, code_version="1")
    mine, told = stage.run(True)["output"]
    assert mine == told
    mine, told = stage.run(False)["output"]
    assert "stage 'fork' was first called in a process that the stage started" in told


def test_a_process_that_the_run_forked_ends_nothing_of_it(tmp_path: Path) -> None:
    """A child that leaves the run by an exception neither lets go of its lock nor of its folder."""

    def fork() -> str:
        path = workdir() / "out.txt"
        child = os.fork()
        if child == 0:
            raise SystemExit
        os.waitpid(child, 0)
        path.write_text("result")
        other = Store(str(tmp_path), "fork")
        (claim,) = Path(other.layout.claims).iterdir()
        return claim.read_text()

    stage = Stage(fork, hash_output=tmp_path, code_version="1")
    here = os.getpid()
    try:
        claim = stage.run()["output"]
    except SystemExit:
        assert here != os.getpid()
        os._exit(0)
    assert "failed" not in str(claim)


def test_a_forced_run_replaces_and_a_failing_one_does_not(tmp_path: Path) -> None:
    """One entry stands at any time: the last one that succeeded."""
    values: list[Any] = [1, 2, RuntimeError("no"), 3]

    def take() -> int:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return int(value)

    stage = Stage(take, hash_output=tmp_path, code_version="1")
    assert [1, 1, 2] == [stage.run(force_run_stage=f)["output"] for f in (False, False, True)]
    with pytest.raises(RuntimeError):
        stage.run(force_run_stage=True)
    assert [2, 3, 3] == [stage.run(force_run_stage=f)["output"] for f in (False, True, False)]
    assert 1 == len(entries(tmp_path, "take"))


class NoExecutor(Executor):
    """An executor that is not there to be asked."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a worker was asked")


def test_what_is_remembered_asks_no_worker(tmp_path: Path) -> None:
    """A pipeline and a map that are all hits are answered where they are asked."""
    first = Stage(double, "n", tmp_path)
    second = Stage(double, "m", tmp_path, "again")
    pipeline = Pipeline([("start", first), (first, second)])
    expected = pipeline.run(3)
    cases = [{"n": 3}, {"n": 4}]
    pipeline.map(cases)
    assert expected == pipeline.run(3, executor=NoExecutor())
    assert [expected, {"n": 8, "m": 16}] == [
        results for _, results in pipeline.map(cases, executor=NoExecutor())
    ]
    assert pipeline.state is False
    with pytest.raises(AssertionError, match="a worker was asked"):
        pipeline.run(5, executor=NoExecutor())
