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

ROOT = Path(__file__).parents[2]
PROCESSES, CASES = 8, 40
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


def test_where_locks_are_refused_nothing_is_lost(script: Path, tmp_path: Path) -> None:
    """With ENOLCK from every lock, all results are right and all paths stay."""
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

    wrong, runs = race(script, [tmp_path / "w"], LD_PRELOAD=str(shim))

    assert [] == wrong
    assert 2 * CASES <= runs


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
