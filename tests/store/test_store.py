"""The store survives kills, races, full disks and whatever else lies in it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memori import MemoriWarning, RecordError, Stage, StageError, workdir
from memori.store import Entry, Memory, Store

SLOW = '''
import os, sys, time
from pathlib import Path
from memori import Stage, workdir

def work(n, seconds):
    """Leave a line for each call, work for a while, and write a file."""
    with open(LOG, "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(seconds)
    path = workdir() / "out.txt"
    path.write_text("x" * 100_000 + str(n))
    return [n, str(path), list(range(500))]

LOG = sys.argv[2]
stage = Stage(work, hash_output=sys.argv[1], code_version="1")
for n in map(int, sys.argv[4:]):
    stage.run(n, float(sys.argv[3]))
    print(n, stage.state, flush=True)
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SLOW)
    return path


def start(script: Path, root: Path, seconds: float, *numbers: int) -> subprocess.Popen[str]:
    log = script.parent / "log"
    log.touch()
    return subprocess.Popen(
        [sys.executable, script, root, log, str(seconds), *map(str, numbers)],
        stdout=subprocess.PIPE,
        text=True,
    )


def calls(script: Path) -> int:
    return len((script.parent / "log").read_text().splitlines())


def entry_files(root: Path) -> list[Path]:
    return [
        p for p in (root / ".memori" / "stages").glob("*/*/*.json") if p.parent.name != "folders"
    ]


def test_a_kill_at_any_moment_leaves_no_entry_or_a_whole_one(script: Path) -> None:
    """After each kill every entry is sound, no partial one is trusted, and the work resumes."""
    root = script.parent / "w"
    seed = random.Random(4)
    for _ in range(12):
        process = start(script, root, 0.001, *range(40))
        time.sleep(0.15 + 0.25 * seed.random())
        process.kill()
        process.communicate()
        for path in entry_files(root):
            entry = Entry.from_bytes(path.read_bytes())
            assert (root / entry.artifacts[0].path).stat().st_size > 100_000
    done = len(entry_files(root))
    before = calls(script)
    output, _ = start(script, root, 0.001, *range(40)).communicate()
    assert 40 - done == calls(script) - before
    assert 40 == len(output.splitlines())
    output, _ = start(script, root, 0.001, *range(40)).communicate()
    assert "True" not in output


def test_of_two_processes_that_run_the_same_one_runs_and_the_other_hits(script: Path) -> None:
    """The second waits for the first and takes its outputs."""
    processes = [start(script, script.parent / "w", 0.5, 7) for _ in range(3)]
    outputs = sorted(process.communicate()[0].strip() for process in processes)
    assert ["7 False", "7 False", "7 True"] == outputs
    assert 1 == calls(script)


def test_a_dead_holder_never_blocks(script: Path) -> None:
    """A process killed while it ran leaves no lock behind."""
    process = start(script, script.parent / "w", 60, 7)
    while not calls(script):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    script.write_text(SLOW.replace("time.sleep(seconds)", "pass"))
    output, _ = start(script, script.parent / "w", 60, 7).communicate(timeout=100)
    assert "7 True\n" == output


def test_threads_that_run_the_same_stage_run_it_once(tmp_path: Path) -> None:
    """One stage object can be used from many threads."""
    log: list[int] = []

    def work(n: int) -> int:
        log.append(n)
        time.sleep(0.1)
        return n * 2

    stage = Stage(work, hash_output=tmp_path, code_version="1")
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(stage.run(n % 2)["output"]))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [0, 1] == sorted(log)
    assert [0, 0, 0, 2, 2, 2] == sorted(found)  # type: ignore[type-var]


def double(n: int) -> int:
    return 2 * n


def only_entry(root: Path) -> Path:
    (path,) = entry_files(root)
    return path


def with_digest(body: bytes) -> bytes:
    """Return a body as an entry whose own digest is right."""
    return b'{"sha256": "' + sha256(body).hexdigest().encode() + b'",\n"record": ' + body + b"}\n"


def forged(path: Path, **changes: object) -> bytes:
    record = json.loads(path.read_bytes())["record"]
    record.update(changes)
    return with_digest(json.dumps(record).encode())


@pytest.mark.parametrize(
    "fault",
    ["empty", "half", "garbage", "edited", "other schema", "no outputs", "no path", "list"],
)
def test_a_record_that_is_not_sound_is_a_miss_with_a_warning(tmp_path: Path, fault: str) -> None:
    """Broken, edited by hand, or in a schema to come: never trusted, and named."""
    stage = Stage(double, hash_output=tmp_path)
    stage.run(2)
    path = only_entry(tmp_path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "half": content[: len(content) // 2],
            "garbage": os.urandom(500),
            "edited": content.replace(b'"output": 4', b'"output": 5'),
            "other schema": forged(path, schema=99),
            "no outputs": forged(path, outputs=None),
            "no path": forged(path, artifacts=[{"at": ["output"], "kind": "path", "path": "x"}]),
            "list": with_digest(b"[]"),
        }[fault]
    )
    with pytest.warns(MemoriWarning, match=path.name):
        assert {"output": 4} == stage.run(2)
    assert stage.state is True
    assert {"output": 4} == stage.run(2)
    assert stage.state is False


def test_an_entry_under_a_wrong_name_is_not_trusted(tmp_path: Path) -> None:
    """A record that was copied over another one is not taken for it."""
    stage = Stage(double, hash_output=tmp_path)
    stage.run(2)
    two = only_entry(tmp_path)
    stage.run(3)
    (three,) = (path for path in entry_files(tmp_path) if path != two)
    shutil.copy(two, three)
    assert {"output": 6} == stage.run(3)


@pytest.mark.parametrize("lost", [".memori", "double.stage", "double.inputs", ".memori/stages"])
def test_losing_any_part_of_the_store_is_no_error(tmp_path: Path, lost: str) -> None:
    """A cleaned folder costs runs, never results, and the three files come back."""
    stage = Stage(double, hash_output=tmp_path)
    stage.run(2)
    path = tmp_path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert {"output": 4} == stage.run(2)
    assert {"output": 4} == stage.run(2)
    assert stage.state is False
    assert (tmp_path / "double.stage").is_file()
    assert (tmp_path / "double.inputs").is_file()


@pytest.mark.parametrize("lost", ["work", "work .memori/stages/work/folders"])
def test_losing_a_runs_folder_costs_a_run_and_not_the_next_one(tmp_path: Path, lost: str) -> None:
    """Whatever else was lost with it, what the rerun made is there, and stays."""
    texts = ["first", "second"]

    def work() -> str:
        path = workdir() / "out.txt"
        path.write_text(texts.pop(0))
        return str(path)

    stage = Stage(work, hash_output=tmp_path, code_version="1")
    stage.run()
    for path in lost.split():
        shutil.rmtree(tmp_path / path)
    for expected in (True, False):
        assert "second" == Path(str(stage.run()["output"])).read_text()
        assert expected == stage.state


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root: run the tests as root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk_raises_and_loses_nothing(small_disk: Path) -> None:
    """The exception carries the results; entries written before stay valid."""
    stage = Stage(double, hash_output=small_disk)
    stage.run(2)
    fill(small_disk)
    with pytest.raises(RecordError, match="cannot be recorded") as error:
        stage.run(3)
    assert {"output": 6} == error.value.results
    assert {"output": 4} == stage.run(2)
    assert stage.state is False
    (small_disk / "filler").unlink()
    assert {"output": 6} == stage.run(3)
    assert [] == list(small_disk.rglob("*.partial"))


def test_a_full_disk_claims_no_folder(small_disk: Path) -> None:
    """A run that cannot have a folder says so, and the next one has the folder of that name."""

    def work() -> str:
        return str(workdir())

    stage = Stage(work, hash_output=small_disk, code_version="1")
    first = Path(str(stage.run()["output"]))
    shutil.rmtree(small_disk / ".memori" / "stages")
    shutil.rmtree(small_disk / "work")
    claims = Path(Store(str(small_disk), "work").layout.claims)
    claims.mkdir(parents=True)
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        stage.run()
    assert [] == list(claims.iterdir())
    (small_disk / "filler").unlink()
    assert first == Path(str(stage.run()["output"]))


def test_a_read_only_folder_raises_on_a_miss_and_still_hits(small_disk: Path) -> None:
    """What cannot be recorded is not run; what is recorded can be read."""
    stage = Stage(double, hash_output=small_disk)
    stage.run(2)
    stage.run(3)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StageError, match=r"was not run: .*Read-only file system"):
        stage.run(4)
    assert {"output": 6} == stage.run(3)
    with pytest.warns(MemoriWarning, match="cannot be written"):
        assert {"output": 4} == stage.run(2)
    assert stage.state is False


@pytest.mark.parametrize("place", ["file", "file/below", "link", "work/{x}"])
def test_where_nothing_can_be_recorded_nothing_runs(tmp_path: Path, place: str) -> None:
    """A hash_output that cannot be a folder costs no hours of work: it is told before the run."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "folder")
    ran = []
    stage = Stage(lambda x: ran.append(x), hash_output=tmp_path / place, stage_name="s")

    assert not stage.explain("x" * 300).hit
    with pytest.raises(StageError, match=r"stage 's' was not run: .* in hash_output /"):
        stage.run("x" * 300)
    assert [] == ran


def test_the_folder_of_a_failed_run_is_kept_and_used_again(tmp_path: Path) -> None:
    """A failure leaves its evidence, the next try starts empty, and there is one folder of it."""
    fail = [True, True, False]

    def work() -> str:
        assert [] == os.listdir(workdir())
        path = workdir() / "out.txt"
        path.write_text("evidence")
        if fail.pop(0):
            raise RuntimeError("no")
        return str(path)

    stage = Stage(work, hash_output=tmp_path, code_version="1")
    for _ in range(2):
        with pytest.raises(RuntimeError):
            stage.run()
        assert ["evidence"] == [p.read_text() for p in (tmp_path / "work").glob("*/out.txt")]
    stage.run()
    assert 1 == len([p for p in (tmp_path / "work").iterdir() if not p.is_symlink()])


def test_a_forced_run_that_fails_leaves_the_earlier_outputs(tmp_path: Path) -> None:
    """The folder of an entry is never emptied before there is another entry."""
    fail = [False, True, False]

    def work() -> str:
        path = workdir() / "out.txt"
        if fail.pop(0):
            raise RuntimeError("no")
        path.write_text("result")
        return str(path)

    stage = Stage(work, hash_output=tmp_path, code_version="1")
    first = stage.run()["output"]
    with pytest.raises(RuntimeError):
        stage.run(force_run_stage=True)
    assert {"output": first} == stage.run()
    second = stage.run(force_run_stage=True)["output"]
    assert "result" == Path(second).read_text()
    assert not Path(first).exists()


def test_an_entry_of_a_trivial_stage_is_one_small_file(tmp_path: Path) -> None:
    """Each run adds one file of at most 2 KiB, readable without memori."""

    def hidden() -> set[Path]:
        return {p for p in (tmp_path / ".memori").rglob("*") if p.is_file()}

    stage = Stage(double, hash_output=tmp_path)
    stage.run(1)
    before = hidden()
    stage.run(2)
    (entry,) = hidden() - before
    assert entry.stat().st_size <= 2048
    assert 4 == json.loads(entry.read_text())["record"]["outputs"]["output"]


def test_an_interrupt_leaves_no_entry_and_no_lock(tmp_path: Path) -> None:
    """Ctrl-C in the callable ends the run, and the next one runs."""

    def work(interrupted: bool) -> int:
        if interrupted:
            signal.raise_signal(signal.SIGINT)
        return 1

    stage = Stage(work, hash_output=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stage.run(True)
    assert [] == entry_files(tmp_path)
    assert [] == list(tmp_path.rglob("*.lock"))
    assert {"output": 1} == stage.run(False)


ROLES = {
    "entry": ".memori/stages/work/??/*.json",
    "output": "work/*/out.txt",
    "view": "work.*",
    "claim": ".memori/stages/work/folders/*.json",
    "latest": ".memori/stages/work/latest",
    "recent": ".memori/stages/work/recent/*",
    "mark": ".memori/stages/work/*/*.unfinished",
    "memo": ".memori/files/**/*",
    "locks": ".memori/locks",
}
"""What can be damaged. Nothing that is drawn depends on the names of what lies on disk."""


class Remembering(RuleBasedStateMachine):
    """Whatever is run, deleted, broken or edited in whatever order, results are right."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.root = Path(tempfile.mkdtemp())
        self.source = self.root / "in.txt"
        self.source.write_text("0")
        self.fails = False
        self.stage = Stage(self._work(), hash_output=self.root / "w", code_version="1")
        self.run(1, force=False, fails=False)

    def _work(self):  # type: ignore[no-untyped-def]
        def work(source: str, k: int) -> list[str]:
            path = workdir() / "out.txt"
            if self.fails:
                raise RuntimeError("no")
            path.write_text(Path(source).read_text() * k)
            return [str(path), Path(source).read_text()]

        return work

    @rule(k=st.integers(1, 3), force=st.booleans(), fails=st.sampled_from([False, False, True]))
    def run(self, k: int, force: bool, fails: bool) -> None:
        text = self.source.read_text()
        self.fails = fails
        try:
            path, seen = self.stage.run(self.source, k, force_run_stage=force)["output"]
        except RuntimeError:
            assert fails
        else:
            assert (text * k, text) == (Path(path).read_text(), seen)

    @rule()
    def skip(self) -> None:
        try:
            self.stage.run(self.source, 1, force_skip_stage=True)
        except StageError:  # the last entry is gone, and that is said
            assert not list(Memory(str(self.root / "w")).entries("work"))

    @rule(text=st.sampled_from("0123"))
    def edit_input(self, text: str) -> None:
        before = self.source.stat()
        self.source.write_text(text)
        os.utime(self.source, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(
        role=st.sampled_from(sorted(ROLES)),
        number=st.integers(0, 3),
        how=st.sampled_from(["delete", "edit", "cut", "blank"]),
    )
    def damage_something(self, role: str, number: int, how: str) -> None:
        files = sorted(path for path in (self.root / "w").glob(ROLES[role]) if path.is_file())
        for path in files[number : number + 1] or files[-1:]:
            if how == "delete":
                path.unlink()
            elif how == "edit":
                path.write_bytes(path.read_bytes().replace(b"0", b"9") + b" ")
            elif how == "blank":  # as a power failure may leave it
                path.write_bytes(bytes(path.stat().st_size))
            else:
                path.write_bytes(path.read_bytes()[:-3])

    @invariant()
    def no_partial_file_is_left(self) -> None:
        assert [] == list(self.root.rglob("*.partial"))

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


Remembering.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
test_results_are_right_after_any_history = pytest.mark.filterwarnings(
    "ignore::memori.MemoriWarning"
)(Remembering.TestCase)


def test_the_latest_entry_is_found_without_the_three_files(tmp_path: Path) -> None:
    """A kill between an entry and the files that describe it does not lose the latest outputs."""
    stage = Stage(double, hash_output=tmp_path)
    stage.run(2)
    stage.run(3)
    (tmp_path / "double.stage").unlink()
    assert {"output": 6} == stage.run(9, force_skip_stage=True)
    assert Store(str(tmp_path), "double").latest() is not None


def test_a_failed_try_with_other_code_is_not_kept_beside_the_next(tmp_path: Path) -> None:
    """However often a step fails and is edited, one folder of it is kept as evidence."""

    def fail() -> None:
        (workdir() / "evidence").write_text("x" * 1000)
        raise RuntimeError("no")

    for version in "abc":
        with pytest.raises(RuntimeError):
            Stage(fail, hash_output=tmp_path, code_version=version).run()
    assert 1 == len(list((tmp_path / "fail").glob("*/evidence")))
    assert 1 == len(list((tmp_path / ".memori" / "stages" / "fail" / "folders").iterdir()))


def test_parallel_runs_leave_files_that_describe_one_of_them(tmp_path: Path) -> None:
    """NAME.inputs, NAME.outputs and NAME.stage always belong together."""

    def run(n: int) -> None:
        for k in range(20):
            Stage(double, hash_output=tmp_path).run(100 * n + k)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = json.loads((tmp_path / "double.inputs").read_text())["n"]
    assert {"output": 2 * shown} == json.loads((tmp_path / "double.outputs").read_text())
    record = json.loads((tmp_path / "double.stage").read_text())
    assert shown == json.loads((tmp_path / record["entry"]).read_text())["record"]["inputs"]["n"]
