"""Stages whose functions look at the project that they are remembered in, or keep a database."""

import importlib
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from memori import Stage, workdir


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("1")
    return tmp_path


def test_who_walks_the_project_is_not_run_for_what_remembering_leaves(project):
    """The files for people and the run's own folders lie in it; what is new beside them counts."""

    def count(x):
        (workdir() / "report.txt").write_text("1")
        return sum(name.endswith(".csv") for _, _, names in os.walk(".") for name in names)

    stage = Stage(count, "n", "work")
    stage.run(1)
    for _ in range(2):
        stage.run(1)
        assert not stage.state
    Stage(len, "length", "work").run([1])  # another stage in the same place
    assert stage.is_remembered(1)
    Path("work/new.csv").write_text("1")
    assert not stage.is_remembered(1)
    assert {"n": 2} == stage.run(1)


def test_what_other_stages_made_is_found_by_who_looks_for_it(project):
    """A stage of the group that collects what lies in the folders of runs is run for a new one."""

    def make(x):
        path = workdir() / "made.txt"
        path.write_text(str(x))
        return str(path)

    def collect(name):
        return sorted({path.read_text() for path in Path("work").glob("make/*/made.txt")})

    made, collected = Stage(make, "path", "work"), Stage(collect, "texts", "work")
    made.run(1)
    assert {"texts": ["1"]} == collected.run("all")
    assert {"texts": ["1"]} == collected.run("all")
    assert not collected.state
    made.run(2)
    assert {"texts": ["1", "2"]} == collected.run("all")


def test_a_database_that_a_run_writes_does_not_keep_it_from_being_remembered(project):
    """It is an input by what it held before, and the run's own by what it holds after."""

    def insert(x):
        database = sqlite3.connect("log.sqlite")
        database.execute("create table if not exists runs (x)")
        database.execute("insert into runs values (?)", (x,))
        database.commit()
        database.close()
        return Path("data.csv").read_text()

    stage = Stage(insert, "text", "work")
    for text in ("1", "2"):
        Path("data.csv").write_text(text)
        assert {"text": text} == stage.run(1)
        assert stage.state
        stage.run(1)
        assert not stage.state
    database = sqlite3.connect("log.sqlite")
    assert [(2,)] == database.execute("select count(*) from runs").fetchall()
    database.execute("delete from runs")
    database.commit()
    database.close()
    assert not stage.is_remembered(1)


READS_BACK = {
    "Python": "open('sums.txt').read()",
    "a command": "subprocess.run(['cat', 'sums.txt'], capture_output=True, text=True).stdout",
}
APPENDS = {
    "Python": "open('sums.txt', 'a').write(f'{x}\\n')",
    "a command": "subprocess.run(f'echo {x} >> sums.txt', shell=True)",
}


@pytest.mark.parametrize("reads", READS_BACK)
@pytest.mark.parametrize("appends", APPENDS)
def test_a_table_that_is_extended_and_then_read_counts(reads, appends, project, monkeypatch):
    """It is no log: what stood in it before is in the result."""
    (project / "sums.txt").write_text("1\n")
    (project / "extending.py").write_text(
        f"import subprocess\ndef extend(x):\n    {APPENDS[appends]}\n"
        f"    return {READS_BACK[reads]}\n"
    )
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "extending", raising=False)
    stage = Stage(importlib.import_module("extending").extend, "table", "work")
    assert ["1\n2\n", True] == [stage.run(2)["table"], stage.state]
    assert ["1\n2\n", False] == [stage.run(2)["table"], stage.state]

    (project / "sums.txt").write_text("7\n")
    assert ["7\n2\n", True] == [stage.run(2)["table"], stage.state]
    assert ["7\n2\n", False] == [stage.run(2)["table"], stage.state]
