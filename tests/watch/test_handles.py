"""What a stage reads from a file that was opened before it ran counts like what it opens itself."""

import importlib
import sqlite3
import sys
import zipfile

import numpy as np
import pytest

from memori import Stage

KINDS = {
    "a file": ('t = open("data.txt")', "t.seek(0); return t.read()"),
    "its bytes": ('t = open("data.txt", "rb")', "t.seek(0); return t.read().decode()"),
    "unbuffered": (
        't = open("data.txt", "rb", buffering=0)',
        "t.seek(0); return t.read().decode()",
    ),
    "to read and write": ('t = open("data.txt", "r+")', "t.seek(0); return t.read()"),
    "lines": ('t = open("data.txt")', "return list(t)"),
    "a generator of lines": ('t = (line for line in open("data.txt"))', "return list(t)"),
    "numbered lines": ('t = enumerate(open("data.txt"))', "return [line for _, line in t]"),
    "rows": ('import csv\nt = csv.reader(open("data.txt"))', "return list(t)"),
    "named rows": ('import csv\nt = csv.DictReader(open("data.txt"))', "return list(t)"),
    "a memory map": (
        'import mmap\nf = open("data.txt", "rb")\n'
        "t = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)",
        "return t[:].decode()",
    ),
    "an object that holds a file": (
        "class Table:\n    def __init__(self):\n        self.file = open('data.txt')\nt = Table()",
        "t.file.seek(0); return t.file.read()",
    ),
    "a closure over a file": (
        "def opened():\n    file = open('data.txt')\n    def read():\n        file.seek(0)\n"
        "        return file.read()\n    return read\nt = opened()",
        "return t()",
    ),
    "compressed": ('import gzip\nt = gzip.open("data.txt.gz", "rt")', "t.seek(0); return t.read()"),
    "an archive": (
        'import zipfile\nt = zipfile.ZipFile("data.zip")',
        "return t.read('a').decode()",
    ),
    "a database": (
        'import sqlite3\nt = sqlite3.connect("data.db")',
        'return t.execute("select x from a").fetchall()',
    ),
    "an array on disk": (
        'import numpy as np\nt = np.load("data.npy", mmap_mode="r")',
        "return t.tolist()",
    ),
    "arrays in an archive": (
        'import numpy as np\nt = np.load("data.npz")',
        'return t["a"].tolist()',
    ),
}


def write(value):
    """Write a value in all the ways."""
    import gzip
    import os

    with open("data.txt", "w") as file:
        file.write(f"name\n{value}\n")
    with gzip.open("data.txt.gz", "wt") as file:
        file.write(str(value))
    with zipfile.ZipFile("data.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a"), str(value))
    if os.path.exists("data.db"):
        os.remove("data.db")
    base = sqlite3.connect("data.db")
    base.execute("create table a (x)")
    base.execute(f"insert into a values ({value})")
    base.commit()
    base.close()
    np.save("data.npy", np.full(3, value))
    np.savez("data.npz", a=np.full(3, value))


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Make a module from a text, anew each time, as another process would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"handles_{abs(hash(tmp_path))}"

    def loaded(head, body):
        lines = "\n".join(f"    {line.strip()}" for line in body.split(";"))
        (tmp_path / f"{name}.py").write_text(f"{head}\ndef run(subject):\n{lines}\n")
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield loaded
    sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_open_before_the_run_counts(kind, load):
    """Nothing is opened in the run, and it depends on the content all the same."""

    def ran():
        stage = Stage(load(*KINDS[kind]).run, stage_outputs=["y"], hash_output="work")
        return str(stage.run(1)["y"]), stage.state

    write(1)
    first, second = ran(), ran()
    write(22)
    third = ran()

    assert (True, False, True) == (first[1], second[1], third[1])
    assert first[0] == second[0] != third[0]
    assert "22" in third[0]


def test_a_log_that_is_open_does_not_count(load):
    """What is only written to is no input."""
    text = 'log = open("log.txt", "a")', "print(subject, file=log, flush=True); return subject"
    ran = []
    for _ in range(3):
        stage = Stage(load(*text).run, stage_outputs=["y"], hash_output="work")
        stage.run(1)
        ran.append(stage.state)

    assert [True, False, False] == ran


POOLS = """
import multiprocessing, sys
from memori import Stage

ATLAS = None

def get_ready():
    global ATLAS
    with open("atlas.txt") as file:
        ATLAS = file.read()

def use(x):
    return ATLAS

def run(subject):
    return pool.map(use, [subject])

def square(subject):
    return quiet.map(abs, [subject])

pool = multiprocessing.get_context("fork").Pool(1, initializer=get_ready)
quiet = multiprocessing.get_context("fork").Pool(1, initializer=print)
stages = [Stage(each, stage_outputs=["y"], hash_output="work") for each in (run, square)]
print(*(str(stage.run(1)["y"]) for stage in stages), [stage.state for stage in stages])
pool.terminate(), quiet.terminate()
"""


def test_what_workers_read_before_anything_was_watched_is_never_stale(tmp_path):
    """A pool that a script makes at its top gets ready before the first run; others do hit."""
    import subprocess

    (tmp_path / "script.py").write_text(POOLS)
    said = []
    for text in ("1", "1", "2"):
        (tmp_path / "atlas.txt").write_text(text)
        command = [sys.executable, "script.py"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        said.append(ran.stdout.strip())

    assert "the initializer get_ready of workers was not watched" in ran.stderr
    assert ["['1'] [1] [True, True]", "['1'] [1] [True, False]", "['2'] [1] [True, False]"] == said
