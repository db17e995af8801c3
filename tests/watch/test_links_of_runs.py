"""What a run reads below a link that it makes itself counts as the file that the link leads to.

People link inputs into a folder in which a tool is to work, and remove it afterwards.
"""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from memori import Stage, workdir

strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace: apt-get install strace"
)


@contextmanager
def linked(path: str) -> Iterator[str]:
    """Give a link in a temporary folder, which is removed."""
    folder = tempfile.mkdtemp()
    os.symlink(os.path.abspath(path), f"{folder}/in")
    yield f"{folder}/in"
    shutil.rmtree(folder)


def says(command: str) -> str:
    return subprocess.check_output(command, shell=True, text=True)


def read(path: str) -> str:
    with linked(path) as link:
        return Path(link).read_text()


def below() -> str:
    with linked("data") as link:
        return Path(link, "a.txt").read_text()


def names() -> list[str]:
    with linked("data") as link:
        return sorted(os.listdir(link))


def fitting() -> list[str]:
    with linked("data") as link:
        return sorted(map(os.path.basename, glob.glob(f"{link}/*.txt")))


def is_there() -> bool:
    with linked("data") as link:
        return os.path.exists(f"{link}/b.txt")


def by_a_command(path: str, rest: str = "") -> str:
    with linked(path) as link:
        return says(f"cat {link}{rest}")


def in_its_folder() -> str:
    os.symlink(os.path.abspath("data"), f"{workdir()}/in")
    return Path(workdir(), "in", "a.txt").read_text()


def renamed() -> str:
    os.symlink("data", "new")
    os.replace("new", "current")
    return Path("current/a.txt").read_text()


def in_a_child() -> Any:
    code = "import os; os.symlink('data', 'other'); print(open('other/a.txt').read())"
    text = says(f'python3 -c "{code}"')
    os.unlink("other")
    return text


def rows(name: str) -> list[Any]:
    with closing(sqlite3.connect(name, uri=True)) as database:
        return database.execute("select * from rows").fetchall()


WAYS: dict[str, Callable[[], Any]] = {
    "a file": lambda: read("data/a.txt"),
    "a file in a folder": below,
    "the names in a folder": names,
    "a pattern": fitting,
    "whether a file is there": is_there,
    "its own folder": in_its_folder,
    "a link that is renamed": renamed,
    "a database by its URI": lambda: rows("file:data/rows.db?mode=ro"),
    "a database by its whole URI": lambda: rows(f"file://{os.getcwd()}/data/rows.db?mode=ro#x"),
}
LINK = "t=$(mktemp -d); ln -s $PWD/data{path} $t/in; cat $t/in{rest}; rm -r $t"
BY_PROGRAMS: dict[str, Callable[[], Any]] = {
    "a command": lambda: by_a_command("data/a.txt"),
    "a command in a folder": lambda: by_a_command("data", "/a.txt"),
    "a child that links": in_a_child,
    "ln": lambda: says(LINK.format(path="/a.txt", rest="")),
    "ln of a folder": lambda: says(LINK.format(path="", rest="/a.txt")),
    "ln -sfn": lambda: says("ln -sfn $PWD/data now; cat now/a.txt; rm now"),
    "cp -s": lambda: says("t=$(mktemp -d); cp -s $PWD/data/*.txt $t; cat $t/*; rm -r $t"),
}


def edit() -> None:
    Path("data/a.txt").write_text("two")
    Path("data/b.txt").write_text("two")
    with closing(sqlite3.connect("data/rows.db")) as database, database:
        database.execute("insert into rows values (2)")


@pytest.mark.parametrize(
    "way", [*WAYS, *(pytest.param(each, marks=strace) for each in BY_PROGRAMS)]
)
def test_what_lies_behind_a_link_of_the_run_counts(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged, nothing runs; edited, it is read anew."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("data")
    with closing(sqlite3.connect("data/rows.db")) as database, database:
        database.execute("create table rows (x)")
    Path("data/a.txt").write_text("one")
    for path in ("data", *glob.glob("data/*")):
        os.utime(path, (1, 1))
    stage = Stage({**WAYS, **BY_PROGRAMS}[way], "found", tmp_path / "work")
    first = stage.run()["found"]
    for _ in range(2):
        assert (first, False) == (stage.run()["found"], stage.state)
    edit()
    second = stage.run()["found"]
    assert (True, True) == (stage.state, first != second)
    assert (second, False) == (stage.run()["found"], stage.state)
