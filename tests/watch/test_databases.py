"""Databases of SQLite that keep part of what they hold in a log beside them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memori import Stage

SUM = "select sum(a) from t"
KILLED = """
import os, sqlite3
base = sqlite3.connect("m.db")
base.execute("insert into t values (5)")
base.commit()
os._exit(0)
"""


ASKED = f"""
import sqlite3
print(sqlite3.connect("m.db").execute("{SUM}").fetchone()[0])
"""


@pytest.fixture(autouse=True)
def _database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a database that writes ahead into a log."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("m.db")) as base:
        base.execute("pragma journal_mode=wal")
        base.execute("create table t (a)")
        base.execute("insert into t values (1)")
        base.commit()


def reads(x: int) -> int:
    """Add up what is in the database."""
    with closing(sqlite3.connect("file:m.db?mode=ro", uri=True)) as base:
        found: int = base.execute(SUM).fetchone()[0]
        return found


def asks(x: int) -> int:
    """Do so in a Python of its own."""
    return int(
        subprocess.run([sys.executable, "-c", ASKED], capture_output=True, check=True).stdout
    )


def opens(x: int) -> int:
    """Do so with a connection that may write, and is left open."""
    base = sqlite3.connect("m.db")
    opened.append(base)
    found: int = base.execute(SUM).fetchone()[0]
    return found


def inserts(x: int) -> int:
    """Write into the database."""
    with closing(sqlite3.connect("m.db")) as base:
        base.execute("insert into t values (2)")
        base.commit()
    return x


opened: list[sqlite3.Connection] = []


def test_what_a_server_committed_counts() -> None:
    """It lies in the log, for as long as the server holds the database open."""
    stage = Stage(reads, "sum", "work")
    with closing(sqlite3.connect("m.db")) as server:
        server.execute(SUM).fetchall()
        assert {"sum": 1} == stage.run(1)
        for value, total in ((2, 3), (4, 7)):
            server.execute("insert into t values (?)", (value,))
            server.commit()
            assert {"sum": total} == stage.run(1)
            assert stage.state
            stage.run(1)
            assert not stage.state


def test_a_log_that_holds_nothing_is_like_none() -> None:
    """A server that opens the database and changes nothing reruns nothing."""
    stage = Stage(reads, "sum", "work")
    stage.run(1)
    with closing(sqlite3.connect("m.db")) as server:
        server.execute(SUM).fetchall()
        assert os.path.exists("m.db-wal")
        assert {"sum": 1} == stage.run(1)
        assert not stage.state


@pytest.mark.parametrize("function", [reads, opens, inserts])
def test_a_run_that_opens_such_a_database_is_remembered(function) -> None:  # type: ignore[no-untyped-def]
    """Whether it reads or writes, and also where a log was left by a process that was killed."""
    for killed in (False, True) if function is not opens else (False,):
        if killed:
            subprocess.run([sys.executable, "-c", KILLED], check=True)
            assert os.path.getsize("m.db-wal")
        stage = Stage(function, "found", f"work{killed}")
        stage.run(1)
        assert stage.state
        while opened:
            opened.pop().close()
        for _ in range(2):
            stage.run(1)
            assert not stage.state


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_child_that_only_asks_a_database_is_remembered(journal: str) -> None:
    """The connection may write, as it does by default, and has written nothing."""
    with closing(sqlite3.connect("m.db")) as base:
        base.execute(f"pragma journal_mode={journal}")
    stage = Stage(asks, "sum", "work")
    for number in (1, 2):
        assert {"sum": number} == stage.run(1)
        assert stage.state
        stage.run(1)
        assert not stage.state
        with closing(sqlite3.connect("m.db")) as base:
            base.execute("insert into t values (1)")
            base.commit()
