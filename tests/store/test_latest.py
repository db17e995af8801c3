"""The three files that people read: those of the latest run, together, and cheap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori.layout import locks_of
from memori.processes.lock import lock
from memori.store import Entry, Store, latest
from tests.store.contract import entry_of, key_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "w"), "double")


@pytest.fixture(autouse=True)
def _as_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process followed before."""
    monkeypatch.setattr(latest, "_followed", {})
    monkeypatch.setattr(latest, "_behind", {})


def written(store: Store, count: int) -> list[Entry]:
    """Record runs with the numbers from 0 on; the last is shown."""
    entries = [entry_of(key_of(n), 2 * n) for n in range(count)]
    for n, entry in enumerate(entries):
        store.write(entry, key_of(n))
        store.show(entry)
    return entries


def shown(store: Store) -> list[Any]:
    """What the three files tell, of which run."""
    inputs, outputs, stage = (json.loads(Path(path).read_bytes()) for path in store.layout.views)
    entry = Path(store.root) / stage["entry"]
    n = json.loads(entry.read_bytes())["record"]["inputs"]["n"]
    return [inputs["n"], outputs["output"], n]


def times(store: Store) -> list[tuple[int, int]]:
    return [(s.st_ino, s.st_mtime_ns) for s in map(os.stat, store.layout.views)]


def test_the_three_files_tell_of_one_run(store: Store) -> None:
    """Of the one that was shown last; the third says where its entry is."""
    entries = written(store, 3)
    assert [2, 4, 2] == shown(store)
    store.show(entries[0])
    assert [0, 0, 0] == shown(store)


def test_the_first_hits_of_a_process_are_shown_at_once(store: Store) -> None:
    """Who runs a script again, or one with another number, finds its run in the files."""
    entries = written(store, 3)
    for n in (0, 1):
        store.follow(entries[n])
        assert [n, 2 * n, n] == shown(store)


def test_hits_that_alternate_move_the_pointer_alone(store: Store) -> None:
    """A map over many cases in one folder rewrites three files for none of them but the first."""
    entries = written(store, 3)
    for n in (0, 1):
        store.follow(entries[n])
    before = times(store)
    for n in (0, 2, 0, 1, 2):
        store.follow(entries[n])
        found = store.latest()
        assert found is not None
        assert n == found.inputs["n"]
    assert before == times(store)
    latest.catch_up()
    assert [2, 4, 2] == shown(store)


def test_nothing_is_left_to_catch_up_where_the_files_show_the_latest(store: Store) -> None:
    """Back at the run that they show, a process that ends writes nothing."""
    entries = written(store, 3)
    for n in (0, 1, 2, 1):
        store.follow(entries[n])
    before = times(store)
    latest.catch_up()
    assert before == times(store)
    assert [1, 2, 1] == shown(store)


def test_a_file_that_is_missing_comes_back_with_the_next_hit(store: Store) -> None:
    """However many hits there were before."""
    entries = written(store, 3)
    for n in (0, 1, 2):
        store.follow(entries[n])
    for path in store.layout.views:
        os.unlink(path)
        store.follow(entries[0])
        assert [0, 0, 0] == shown(store)


FOLLOW = """
import sys
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.store import Store

store = Store(sys.argv[1], "double")
for n in (0, 1, 2, 0):
    key = Key({"n": n}, [], fingerprint(len, code_version="1"), {}, ("output",))
    store.follow(store.exact(key))
"""


@pytest.fixture
def follows(store: Store) -> Callable[[str], None]:
    """Have a process follow four runs, the first one last, do something, and end."""

    def run(then: str) -> None:
        subprocess.run(
            [sys.executable, "-c", FOLLOW + then, store.root],
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    return run


def test_the_files_follow_when_a_process_ends(store: Store, follows: Callable[[str], None]) -> None:
    """After a map the files tell of its last case."""
    written(store, 3)
    follows("")
    assert [0, 0, 0] == shown(store)


def test_the_files_tell_of_another_process_that_came_later(
    store: Store, follows: Callable[[str], None]
) -> None:
    """A process that ends does not put back what it saw as the latest."""
    written(store, 3)
    show = "import subprocess; subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"
    later = FOLLOW.replace("(0, 1, 2, 0)", "(1, 2)")
    follows(f"sys.argv.append({later!r})\n{show}")
    assert [2, 4, 2] == shown(store)


def test_a_forked_process_leaves_the_files_to_its_parent(
    store: Store, follows: Callable[[str], None]
) -> None:
    """A worker that ends writes nothing of what its parent still does."""
    written(store, 3)
    look = "import os; before = [os.stat(p).st_mtime_ns for p in store.layout.views]\n"
    look += "child = os.fork()\nif not child: sys.exit()\nos.waitpid(child, 0)\n"
    look += "assert before == [os.stat(p).st_mtime_ns for p in store.layout.views]\n"
    follows(look)
    assert [0, 0, 0] == shown(store)


def test_who_shows_a_run_waits_for_nobody(store: Store) -> None:
    """While another run is just being shown, that one is the latest as well."""
    entries = written(store, 2)
    before = times(store)
    with lock(locks_of(store.root), latest._LOCK + latest.hash_of(store.name)):
        store.show(entries[0])
        assert before == times(store)
    store.show(entries[0])
    assert [0, 0, 0] == shown(store)


def test_a_hard_link_to_a_file_keeps_what_it_told(store: Store, tmp_path: Path) -> None:
    """Whoever kept the files of a run under other names (cp -l) still has them."""
    entries = written(store, 2)
    inputs = store.layout.views[0]
    os.link(inputs, tmp_path / "kept")
    store.show(entries[0])
    assert {"n": 1} == json.loads((tmp_path / "kept").read_bytes())
    assert [0, 0, 0] == shown(store)


def test_a_shorter_run_leaves_nothing_of_a_longer_one(store: Store) -> None:
    """The files are rewritten in their place, and end where the new text does."""
    store.write(long := entry_of(key_of(1), "x" * 1000), key_of(1))
    store.write(short := entry_of(key_of(0), 0), key_of(0))
    store.show(long)
    store.show(short)
    assert [0, 0, 0] == shown(store)


def test_the_link_to_the_latest_folder_follows(store: Store) -> None:
    """NAME/latest leads to the folder of the run that the files tell of."""
    entries = []
    for n in (1, 2):
        folder = store.new_folder(key_of(n))
        store.write(entry := entry_of(key_of(n), n, folder), key_of(n))
        store.show(entry)
        entries.append(entry)
        assert os.path.basename(folder) == os.readlink(f"{store.root}/double/latest")
    store.show(entries[0])
    assert os.path.basename(str(entries[0].folder)) == os.readlink(f"{store.root}/double/latest")
