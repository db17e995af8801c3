"""Many hosts on one folder: who runs on another one is left alone, until its lease is over.

Hosts are stood for by namespaces (of host names and processes), and by two mounts of one folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori import Stage, workdir
from memori.processes import owner
from memori.store import Store, folders
from tests.store.contract import key_of

ROOT = Path(__file__).parents[2]
ELSEWHERE = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
CLAIMS = """
import sys, time
sys.path.insert(0, sys.argv[2])
from memori.store import Store
from tests.store.contract import key_of
store = Store(sys.argv[1], "double")
print(store.new_folder(key_of(2)), flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "w"), "double")


@pytest.fixture
def elsewhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a run that began on another host, with a file in it."""
    with monkeypatch.context() as patch:
        other = {**owner.this_process(), "host": "node2", "boot": "another"}
        patch.setattr(folders, "this_process", lambda: other)
        folder = store.new_folder(key_of(2))
    (Path(store.root) / folder / "half.txt").write_text("half")
    return folder


def test_a_run_on_another_host_is_left_alone(store: Store, elsewhere: str) -> None:
    """Nobody here can see whether it goes on, so the same run gets another folder here."""
    assert store.new_folder(key_of(2)) != elsewhere
    assert (Path(store.root) / elsewhere / "half.txt").exists()


def test_the_claim_of_a_dead_host_is_a_lease(
    store: Store, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing has changed there for a week, the folder is emptied and used again."""
    later = time.time_ns() + (folders.LEASE + 60) * 1_000_000_000
    monkeypatch.setattr(folders, "earliest_now", lambda: later)

    assert store.new_folder(key_of(2)) == elsewhere
    assert os.listdir(Path(store.root) / elsewhere) == []


def test_a_run_on_another_host_that_still_writes_keeps_its_folder(
    store: Store, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease is renewed by whatever the run writes, however deep, by the clock of the server."""
    deep = Path(store.root) / elsewhere / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "log.txt").write_text("at it")

    def shown(
        look: Callable[..., os.stat_result], at_it: Path | None
    ) -> Callable[..., os.stat_result]:
        def rested(path: str, **options: Any) -> os.stat_result:
            found = look(path, **options)
            is_young = at_it is not None and Path(path).is_relative_to(at_it)
            old = found.st_ctime - (0 if is_young else folders.LEASE + 60)
            return os.stat_result((*found[:9], int(old)), {"st_ctime": old})

        return rested

    stat, lstat = os.stat, os.lstat
    for at_it in (deep / "log.txt", deep.parent, None):
        with monkeypatch.context() as patch:
            patch.setattr(folders.os, "stat", shown(stat, None))
            patch.setattr(folders.os, "lstat", shown(lstat, at_it))
            is_over = folders.is_over(store.layout, elsewhere)
        assert is_over is (at_it is None)
    assert not folders.is_over(store.layout, elsewhere)  # its claim is young


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode != 0,
    reason="namespaces cannot be made here",
)
def test_a_host_that_was_killed_is_not_taken_for_one_of_ours(store: Store) -> None:
    """The process ids of another host are other processes; what it claimed waits for the lease."""
    shell = f'hostname node2 && exec "{sys.executable}" -c "$0" "$1" "$2"'
    other = subprocess.Popen(
        [*ELSEWHERE, "sh", "-c", shell, CLAIMS, store.root, str(ROOT)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert other.stdout is not None
    folder = other.stdout.readline().strip()
    assert folder.startswith("double/")
    assert store.new_folder(key_of(2)) != folder  # while it goes on
    os.killpg(other.pid, signal.SIGKILL)
    other.wait()

    assert not folders.is_over(store.layout, folder)
    (told,) = [each for name, _, each in folders.claimed(store.layout) if name == folder]
    assert told[0]["owner"]["host"] == "node2"


def test_a_stage_runs_here_though_another_host_died_at_it(
    tmp_path: Path, elsewhere: str, store: Store
) -> None:
    """A dead host holds nobody up: there is no lock of it to wait for."""

    def double(x: int) -> str:
        (workdir() / "out.txt").write_text(str(2 * x))
        return str(workdir() / "out.txt")

    stage = Stage(double, "out", tmp_path / "w")
    assert Path(stage.run(2)["out"]).read_text() == "4"
    assert stage.run(2)["out"]
    assert not stage.state
