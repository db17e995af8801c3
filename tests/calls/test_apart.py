"""A stage that runs in a process of its own, and what is seen there."""

import ctypes
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import memori
from memori import Pipeline, Stage, StageError
from memori.watch.commands import strace

traces = pytest.mark.skipif(
    bool(strace._why_unusable(shutil.which("strace") or "")), reason="nothing can be watched here"
)
HERE = os.getpid()


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def by_c(name):
    """Read a file as a library in C does."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fgetc.argtypes = [ctypes.c_void_p]
    file = libc.fopen(os.path.join("data", f"{name}.txt").encode(), b"r")
    return chr(libc.fgetc(file)) if file else "nothing"


def by_sqlite(name):
    """Ask a database, which opens its file by itself."""
    with closing(sqlite3.connect("file:data/a.db?mode=ro", uri=True)) as data:
        return data.execute("select x from t").fetchone()[0]


@traces
def test_what_a_library_in_c_reads_counts():
    """Edited, the stage runs; as before, it hits; what is missing counts by its absence."""
    Path("data").mkdir()
    Path("data/a.txt").write_text("1")
    stage = Stage(by_c, hash_output="work", watch="process")

    def run(name):
        return stage.run(name)["output"], stage.state

    assert [("1", True), ("1", False), ("nothing", True)] == [run("a"), run("a"), run("b")]
    Path("data/a.txt").write_text("2")
    assert [("2", True), ("2", False), ("nothing", False)] == [run("a"), run("a"), run("b")]
    Path("data/b.txt").write_text("3")
    assert ("3", True) == run("b")


@traces
def test_a_database_counts():
    """It is read by its own library."""
    Path("data").mkdir()
    stage = Stage(by_sqlite, hash_output="work", watch="process")
    found = []
    for value in (1, 1, 2):
        with closing(sqlite3.connect("data/a.db")) as data, data:
            data.execute("drop table if exists t")
            data.execute("create table t as select ? as x", [value])
        found.append(stage.run("a")["output"])
    assert ([1, 1, 2], True) == (found, stage.state)
    assert (2, False) == (stage.run("a")["output"], stage.state)


def folder_and_process():
    """Use the run's own folder; tell which process it is."""
    path = memori.workdir() / "out.txt"
    path.write_text("x")
    return path, os.getpid(), os.getcwd(), os.environ["HOME"]


def test_it_is_the_same_run():
    """With its folder, and the folder and environment of the caller; and it hits."""
    stage = Stage(folder_and_process, ["path", "process", "here", "home"], "work", watch="process")
    found = stage.run()
    assert Path(found["path"]).parent.parent == Path.cwd() / "work" / "folder_and_process"
    assert (True, os.getcwd(), os.environ["HOME"]) == (
        found["process"] != HERE, found["here"], found["home"],
    )  # fmt: skip
    assert (found, False) == (stage.run(), stage.state)
    assert found == Stage(folder_and_process, stage.outputs, "work").run()


def fails(how):
    """Fail in some way."""
    if how == "dies":
        os._exit(3)
    if how == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "odd":
        error = ValueError("odd")
        error.held = threading.Lock()
        raise error
    raise KeyError(how)


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("plain", KeyError, "plain"),
        ("odd", StageError, "odd"),
        ("dies", StageError, "exit code 3"),
        ("kills", StageError, "exit code -9"),
    ],
)
def test_what_is_raised_there_is_raised_here(how, error, text):
    """Or said, where it cannot be sent, or the process is gone."""
    with pytest.raises(error, match=text) as caught:
        Stage(fails, hash_output="work", watch="process").run(how)
    if how == "plain":
        assert "in fails" in "".join(caught.value.__notes__)


def test_closures_and_cases_work(tmp_path):
    """What is sent to workers can be sent there."""
    offset = 10

    def add(x):
        return x + offset

    pipeline = Pipeline([("start", Stage(add, hash_output="work", watch="process"))])
    results = pipeline.map([{"x": x} for x in range(3)], n_jobs=2)
    assert [10, 11, 12] == [each["output"] for _, each in results]


def test_it_ends_with_its_parent(tmp_path):
    """Nothing is left when Python is killed."""
    Path("main.py").write_text(
        "import os, time\nfrom memori import Stage\n"
        "def wait(x):\n    open('up', 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
        "if __name__ == '__main__':\n    Stage(wait, hash_output='work', watch='process').run(1)\n"
    )
    process = subprocess.Popen([sys.executable, "main.py"])
    until = time.monotonic() + 60
    while not (os.path.exists("up") and Path("up").read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    child = int(Path("up").read_text())
    while os.path.exists(f"/proc/{child}/cmdline") and time.monotonic() < until:
        if not Path(f"/proc/{child}/cmdline").read_bytes():
            break  # ended, and not yet taken off the list
        time.sleep(0.02)
    assert time.monotonic() < until


def test_another_word_is_refused():
    """The choices are said."""
    with pytest.raises(ValueError, match="True, False or 'process'"):
        Stage(fails, watch="strace")
