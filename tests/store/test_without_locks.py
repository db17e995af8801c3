"""Where locks are refused, or two mounts of a folder do not share them, nothing is lost or wrong.

A stage may run twice there. Every process still gets right values, and paths that stay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memori.store import Store
from tests.store.contract import key_of

ROOT = Path(__file__).parents[2]
PROCESSES, CASES = 16, 20
SCRIPT = '''
import json, random, sys, time, warnings
from pathlib import Path
from memori import Pipeline, Stage, workdir

def first(n, pause):
    """Write a file into the run's own folder, a little at a time; fail now and then."""
    path = workdir() / "first.txt"
    with open(path, "x") as file:
        for _ in range(3):
            file.write(str(n))
            time.sleep(pause)
            if random.random() < 0.1:
                raise RuntimeError("try again")
    return str(path)

def second(first):
    path = workdir() / "second.txt"
    path.write_text(Path(first).read_text() * 2)
    return [str(path), Path(first).read_text()]

root, seed = sys.argv[1], int(sys.argv[2])
warnings.simplefilter("error")
a = Stage(first, "first", root, code_version="1", pause=0.0005)
b = Stage(second, "second", root, code_version="1")
pipeline = Pipeline([("start", a), (a, b)])
numbers = list(range(int(sys.argv[3])))
random.Random(seed).shuffle(numbers)
bad, held, ran = [], [], 0
while numbers:
    n = numbers[-1]
    try:
        result = pipeline.run(n=n)
    except RuntimeError:
        continue
    numbers.pop()
    ran += len(result.ran)
    held.append((n, result))
for n, result in held:  # what was returned must stay, whatever others do meanwhile
    try:
        (path, seen), text = result["second"], str(n) * 3
        found = (Path(result["first"]).read_text(), seen, Path(path).read_text())
        if found != (text, text, text * 2):
            bad.append([n, found])
    except Exception as error:
        bad.append([n, repr(error)])
print(json.dumps([bad, ran]))
'''
THREADS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from memori import Stage, workdir

def write(n):
    path = workdir() / "out.txt"
    path.write_text(str(n))
    return str(path)

stage = Stage(write, "path", sys.argv[1], code_version="1", watch=False)
meet = Barrier(4)

def ask(thread):
    paths = []
    for n in range(int(sys.argv[2])):
        meet.wait()
        paths.append((n, stage.run(n)["path"]))
    return paths

with ThreadPoolExecutor(4) as pool:
    found = [pair for paths in pool.map(ask, range(4)) for pair in paths]
print([(n, p) for n, p in found if not Path(p).exists() or Path(p).read_text() != str(n)])
"""
REFUSING = """
#include <errno.h>
#include <stdarg.h>
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
static int is_lock(int c) {
    return c == 5 || c == 6 || c == 7 || (c >= 36 && c <= 38);  /* POSIX and open-file ranges */
}
#define WRAP(name)                                                      \\
    int name(int fd, int command, ...) {                                \\
        va_list list; va_start(list, command);                          \\
        void *argument = va_arg(list, void *); va_end(list);            \\
        if (is_lock(command)) { errno = ENOLCK; return -1; }            \\
        int (*real)(int, int, ...) = dlsym((void *)-1L, #name);         \\
        return real(fd, command, argument);                             \\
    }
WRAP(fcntl)
WRAP(fcntl64)
int flock(int fd, int how) { errno = ENOLCK; return -1; }
"""


def race(script: Path, roots: list[Path], **environment: str) -> tuple[list[object], int]:
    """Run the script in many processes at once; return what was wrong, and how many runs."""
    processes = [
        subprocess.Popen(
            [sys.executable, script, roots[n % len(roots)], str(n), str(CASES)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        for n in range(PROCESSES)
    ]
    wrong: list[object] = []
    runs = 0
    for process in processes:
        out, err = process.communicate()
        if process.returncode:
            wrong.append(err[-2000:])
        else:
            bad, ran = json.loads(out)
            wrong += bad
            runs += ran
    return wrong, runs


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_processes_that_share_locks_run_each_stage_once(script: Path) -> None:
    """The yardstick: eight processes, one folder, each stage of each case runs once."""
    wrong, runs = race(script, [script.parent / "w"])

    assert [] == wrong
    assert 2 * CASES == runs


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    """A library that, loaded first, has every lock refused with ENOLCK."""
    if shutil.which("cc") is None:
        pytest.skip("the shim needs a C compiler: apt-get install gcc")
    source, shim = tmp_path / "refusing.c", tmp_path / "refusing.so"
    source.write_text(REFUSING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    probe = "import fcntl; fcntl.flock(0, fcntl.LOCK_SH)"
    refused = subprocess.run(
        [sys.executable, "-c", probe], env={**os.environ, "LD_PRELOAD": str(shim)}, stderr=-1
    )
    assert b"No locks available" in refused.stderr
    return shim


def test_where_locks_are_refused_nothing_is_lost(script: Path, tmp_path: Path, shim: Path) -> None:
    """With ENOLCK from every lock, all results are right and all paths stay."""
    wrong, runs = race(script, [tmp_path / "w"], LD_PRELOAD=str(shim))

    assert [] == wrong
    assert 2 * CASES <= runs


def test_threads_lose_nothing_where_locks_are_refused(tmp_path: Path, shim: Path) -> None:
    """Of threads that run the same at once none removes what another one was given."""
    script = tmp_path / "threads.py"
    script.write_text(THREADS)
    told = subprocess.run(
        [sys.executable, script, tmp_path / "w", "100"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(shim)},
    )
    assert "[]\n" == told.stdout, told.stderr


@pytest.fixture
def mount_again(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Mount a folder once more, as another host would, with locks of its own."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Path:
        if shutil.which("bindfs") is None:
            pytest.skip("bindfs is not installed: apt-get install bindfs")
        place = tmp_path / f"mount{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["bindfs", folder, place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"bindfs cannot mount here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


def test_two_mounts_that_share_no_locks_lose_nothing(
    script: Path, tmp_path: Path, mount_again: Callable[[Path], Path]
) -> None:
    """Two bindfs mounts of one folder stand for two hosts whose locks do not reach each other."""
    folder = tmp_path / "shared"
    folder.mkdir()
    mounts = [mount_again(folder), mount_again(folder)]

    wrong, runs = race(script, [mount / "w" for mount in mounts])

    assert [] == wrong
    assert 2 * CASES <= runs


MOVES = """
import os, sys
from memori.files import atomic_write, remove_if_there

path = os.path.join(sys.argv[1], "file")
for n in range(400):
    atomic_write(path, b"new")
    try:
        open(path).close()
    except FileNotFoundError:
        pass
    if n % 3 == 0:
        remove_if_there(path)
"""


def test_a_file_is_replaced_while_another_host_removes_it(
    tmp_path: Path, mount_again: Callable[[Path], Path]
) -> None:
    """A rename fails there if its target goes at that moment; what was written is kept."""
    folder = tmp_path / "shared"
    folder.mkdir()
    mounts = [mount_again(folder), mount_again(folder)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MOVES, mounts[n % 2]],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for n in range(PROCESSES)
    ]
    assert [""] * PROCESSES == [process.communicate()[1] for process in processes]


def test_a_folder_that_cannot_be_emptied_is_left_for_another_one(
    tmp_path: Path, mount_again: Callable[[Path], Path]
) -> None:
    """While somebody reads what a failed run left, the next try has a folder of its own."""
    folder = tmp_path / "shared"
    folder.mkdir()
    store = Store(str(mount_again(folder) / "w"), "double")
    first = store.new_folder(key_of(2))
    (Path(store.root) / first / "log.txt").write_text("what was tried")
    store.failed(first)
    with open(Path(store.root) / first / "log.txt") as log:
        second = store.new_folder(key_of(2))
        assert first != second
        assert [] == os.listdir(Path(store.root) / second)
        assert "what was tried" == log.read()
    store.failed(second)
    third = store.new_folder(key_of(2))
    assert first == third  # now that it can be emptied
    assert [] == os.listdir(Path(store.root) / third)
