"""What a run meets on a real machine: a full disk, folders that go, clocks that are set back.

An error says where, nothing wrong is remembered, and the next run is as good as any.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from memori import Stage, workdir
from memori.digest import files
from memori.digest.files import file_digest, sha256_file
from memori.neuro import Derivatives, NipypeStage, ShellStage

ROOT = Path(__file__).parents[1]
TEXT = "hello\n" * 3000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root: run the tests as root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, free: int) -> None:
    """Fill a disk but for so many bytes."""
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - free))


def copied(path: str) -> str:
    """Copy a file into the run's folder."""
    return shutil.copy(path, workdir() / "copy.txt")


def by_function(path: Path, where: Path) -> str:
    return str(Stage(copied, hash_output=where).run(str(path))["output"])


def by_command(path: Path, where: Path) -> str:
    stage = ShellStage("sh -c 'cat {path} > copy.txt'", outputs="copy.txt", hash_output=where)
    return str(stage.run(path)["output"])


def by_interface(path: Path, where: Path) -> str:
    from nipype.interfaces.base import CommandLine

    NipypeStage(CommandLine("sh"), hash_output=where).run(args=f"-c 'cat {path} > copy.txt'")
    return str(where / "sh/latest/copy.txt")


def by_derivatives(path: Path, where: Path) -> str:
    return str(Derivatives(where / "copies").save(path, source=path, suffix="copy"))


EVERY_WAY = [by_function, by_command, by_interface, by_derivatives]


@pytest.mark.parametrize("free", [0, 12, 24, 36])
@pytest.mark.parametrize("way", EVERY_WAY)
def test_wherever_a_disk_is_full_it_is_said_and_the_next_run_is_whole(
    disk: Path, way: object, free: int
) -> None:
    """The error tells a file or folder on that disk, and nothing half is taken for an output."""
    bids = disk.parent / "bids"
    path = bids / "sub-01/anat/sub-01_T1w.txt"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    (bids / "dataset_description.json").write_text('{"Name": "n", "BIDSVersion": "1.9.0"}')
    fill(disk, free * 1024)
    try:
        told, made = str(disk), Path(way(path, disk)).read_text()  # type: ignore[operator]
    except Exception as error:
        told, made = str(error), TEXT
    assert str(disk) in told
    assert TEXT == made
    assert [] == list(disk.rglob("*.partial"))
    (disk / "filler").unlink()
    assert TEXT == Path(way(path, disk)).read_text()  # type: ignore[operator]


# Folders that go

REMOVING = """
import shutil, sys
from pathlib import Path
from memori import Pipeline, Stage, workdir

def make(path, n):
    target = workdir() / "out.txt"
    target.write_text(Path(path).read_text() * n)
    if Path(path).with_name("now").exists():
        for each in Path(path).parent.glob(sys.argv[2]):
            shutil.rmtree(each, ignore_errors=True)
    return str(target)

if __name__ == "__main__":
    path = Path(sys.argv[1])
    stage = Stage(make, "out", path.with_name("work"))
    cases = [{"path": str(path), "n": n} for n in range(4)]
    results = Pipeline([("start", stage)]).map(cases, n_jobs=2, on_error="continue")
    if not path.with_name("now").exists():
        print([Path(result["out"]).read_text() for _, result in results])
"""


@pytest.mark.parametrize("what", ["work/.memori", "work/make/*"])
def test_a_folder_that_is_removed_while_workers_run_costs_runs_only(
    tmp_path: Path, what: str
) -> None:
    """The next run makes what is gone, and the one after it runs nothing."""
    script, path = tmp_path / "script.py", tmp_path / "in.txt"
    script.write_text(REMOVING)
    path.write_text("x")
    (tmp_path / "now").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMORI_WATCH": "off"}
    command = [sys.executable, str(script), str(path), what]

    def run() -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()

    run()
    (tmp_path / "now").unlink()
    assert str(["", "x", "xx", "xxx"]) == run()
    before = {each: each.stat().st_ino for each in tmp_path.glob("work/make/*/out.txt")}
    assert str(["", "x", "xx", "xxx"]) == run()
    assert before == {each: each.stat().st_ino for each in tmp_path.glob("work/make/*/out.txt")}


# What may not be read or written

DENIED = """
import importlib, json, os, pkgutil, shlex, sys, textwrap, traceback
from pathlib import Path
import memori.calls, memori.store
from memori import RecordError, Stage, workdir

for room in (memori.calls, memori.store):  # which only root may read, where tests run as root
    for each in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        importlib.import_module(each.name)

def make(path):
    target = workdir() / "out.txt"
    target.write_text(Path(path).read_text())
    return str(target)

def count(path):
    return len(Path(path).read_text())

stage, other = Stage(make, "out", "work"), Stage(count, "n", "work")
stage.run("in.txt"); other.run("in.txt"); other.run("other.txt")  # what is imported late is there
for above, folders, files in os.walk("."):
    for each in (above, *(os.path.join(above, name) for name in (*folders, *files))):
        os.chown(each, 65534, 65534, follow_symlinks=False)
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)

def told(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error} {getattr(error, 'results', '')}"

found = {}
os.chmod("in.txt", 0)
found["input"] = told(lambda: other.run("in.txt"))
os.chmod("in.txt", 0o644)
for path in Path("work/.memori/stages/count").glob("??/*.json"):
    path.chmod(0)
found["entry"] = told(lambda: (other.run("in.txt")["n"], other.state))
out = Path(stage.run("in.txt")["out"])
out.chmod(0)
found["output"] = told(lambda: (Path(stage.run("in.txt")["out"]).read_text(), stage.state))
Path("new.txt").write_text("new")
for path in ("work/.memori/stages/count", "work/.memori/stages/make", "work/make", "work"):
    os.chmod(path, 0o555)
found["folder"] = told(lambda: stage.run("new.txt"))
found["folder, without files"] = told(lambda: other.run("new.txt"))
print(json.dumps(found))
"""


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that can be reached by who is not root."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_what_may_not_be_read_or_written_is_told_and_never_trusted(anybodys: Path) -> None:
    """An input is an error, what is remembered and cannot be read is a miss, a folder is named."""
    (anybodys / "in.txt").write_text("text")
    (anybodys / "other.txt").write_text("other")
    script = anybodys / "script.py"
    script.write_text(DENIED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMORI_WATCH": "off"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=anybodys, env=environment)
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    denied = "PermissionError: [Errno 13] Permission denied: "
    assert found["input"].startswith(f"{denied}'{anybodys}/in.txt'")
    assert "(4, True)" == found["entry"]
    assert found["output"].startswith(f"{denied}'{anybodys}/work/make/")
    assert found["folder"].startswith(f"{denied}'{anybodys}/work/"), found["folder"]
    told = found["folder, without files"]
    assert told.startswith("RecordError: stage 'count' ran, but its outputs cannot be recorded"), (
        told
    )
    assert "{'n': 3}" in told


# Files and clocks that go their own ways


@pytest.mark.parametrize("in_place", [False, True])
def test_a_file_that_is_replaced_while_it_is_digested_is_never_another_one(
    tmp_path: Path, in_place: bool
) -> None:
    """Whatever a digest says is trusted is what the file holds."""
    path = tmp_path / "image.txt"
    texts = [letter * 300_000 for letter in "ab"]
    path.write_text(texts[0])
    over = threading.Event()

    def go_on() -> None:
        number = 0
        while not over.is_set():
            number += 1
            target = path if in_place else tmp_path / "other"
            target.write_text(texts[number % 2])
            os.utime(target, (1, 1))
            if not in_place:
                target.rename(path)

    somebody = threading.Thread(target=go_on)
    somebody.start()
    try:
        for _ in range(60):
            file_digest(str(path), str(tmp_path / "memo"))
    finally:
        over.set()
        somebody.join()
    assert sha256_file(str(path)) == file_digest(str(path), str(tmp_path / "memo")).hash
    files._remembered.clear()  # as in a new process
    assert sha256_file(str(path)) == file_digest(str(path), str(tmp_path / "memo")).hash


CLOCK = """
import os, sys
from pathlib import Path
from memori import Stage

def make(source):
    Path("image").write_text(Path(source).read_text())

def change(by):
    Path("image").write_text(Path("image").read_text() + by)

def use(by):
    return os.path.exists("flag"), Path("image").read_text() + by

first, second, third = (Stage(each, hash_output="work") for each in (make, change, use))
first.run("in.txt"); second.run("+")
print(third.run("!")["output"], any(each.state for each in (first, second, third)))
"""


def test_a_clock_that_is_set_back_makes_nothing_stale(tmp_path: Path) -> None:
    """Edits are seen, and unchanged files hit, whatever the time is and files carry."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed: apt-get install faketime")
    script = tmp_path / "script.py"
    script.write_text(CLOCK)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(offset: str, *, files_too: bool) -> str:
        command = ["faketime", "-f", offset, sys.executable, str(script)]
        if not files_too:
            command = ["env", "NO_FAKE_STAT=1", *command]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()

    flag = tmp_path / "flag"
    for number, (offset, files_too) in enumerate(
        [("+0d", True), ("-1d", False), ("-2h", True), ("+1d", True)]
    ):
        (tmp_path / "in.txt").write_text(str(number))
        flag.write_text("") if number % 2 else flag.unlink(missing_ok=True)
        expected = f"[{bool(number % 2)}, '{number}+!']"
        assert f"{expected} True" == run(offset, files_too=files_too)
        assert f"{expected} False" == run(offset, files_too=files_too)
        flag.unlink() if number % 2 else flag.write_text("")
        expected = f"[{not number % 2}, '{number}+!']"
        assert f"{expected} True" == run(offset, files_too=files_too)


def test_a_full_temporary_folder_fails_nothing_and_makes_nothing_stale(
    disk: Path, tmp_path: Path
) -> None:
    """Nobody can tell what programs read then, so they run again, and workers go on."""
    script = """
        import subprocess, sys
        from pathlib import Path
        from memori import Pipeline, Stage

        def reads(n):
            code = "print(open('data.txt').read())"
            return subprocess.check_output([sys.executable, "-c", code], text=True).strip()

        if __name__ == "__main__":
            stage = Stage(reads, "said", hash_output="work")
            for text in ("one", "two"):
                Path("data.txt").write_text(text)
                print(stage.run(n=0)["said"])
            line = Pipeline([("start", Stage(lambda n: n + 1, "more", hash_output="work"))])
            print([result["more"] for _, result in line.map([{"n": 1}, {"n": 2}], n_jobs=2)])
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    fill(disk, 0)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(disk)},
        capture_output=True,
        text=True,
    )
    assert (0, "one\ntwo\n[2, 3]\n") == (done.returncode, done.stdout), done.stderr
    assert "is full" in done.stderr


def test_without_shared_memory_an_error_says_what_local_processes_need(tmp_path: Path) -> None:
    """A container has little of it; what the system says of it alone names no place."""
    script = """
        from memori import Pipeline, Stage

        if __name__ == "__main__":
            line = Pipeline([("start", Stage(lambda n: n + 1, "more", hash_output="work"))])
            print([result["more"] for _, result in line.map([{"n": 1}, {"n": 2}], n_jobs=1)])
            line.map([{"n": 3}, {"n": 4}], n_jobs=2)
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    full = "mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4k /dev/zero >/dev/shm/filler"
    if subprocess.run(["unshare", "-m", "sh", "-c", full], capture_output=True).returncode:
        pytest.skip("filling /dev/shm for one process needs root: run the tests as root")
    command = ["unshare", "-m", "sh", "-c", f'{full} && exec "$0" script.py', sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (1, "[2, 3]\n") == (done.returncode, done.stdout), done.stderr
    assert "MemoriError: no local processes can be started" in done.stderr
    assert "/dev/shm" in done.stderr.splitlines()[-1]
