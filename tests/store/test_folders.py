"""Of several who try to take over a folder at the same moment, one has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memori.processes.owner import this_process
from memori.store import Store, failures, folders
from tests.store.contract import key_of

WHO = """
import json, sys, time
from memori.processes.owner import this_process
print(json.dumps({"owner": this_process()}), flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "w"), "double")


@pytest.mark.parametrize("version", ["1", "2"])
def test_who_was_overtaken_takes_another_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """A rival takes the folder between the look at it and the attempt: it keeps its files."""
    store.failed(store.new_folder(key_of(2)))
    claim: Any = folders._claim
    taken: list[Path] = []

    def overtaken(path: str, first: Any) -> bool:
        if path.endswith(".taken") and not taken:
            taken.append(Path())
            monkeypatch.setattr(folders, "_claim", claim)
            taken[0] = Path(store.root) / store.new_folder(key_of(2))
            (taken[0] / "out.txt").write_text("the rival's")
        return bool(claim(path, first))

    monkeypatch.setattr(folders, "_claim", overtaken)
    mine = Path(store.root) / store.new_folder(key_of(2, version))
    assert mine != taken[0]
    assert "the rival's" == (taken[0] / "out.txt").read_text()


def test_a_turn_that_a_kill_left_is_passed_by(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was killed while it took a folder over holds up nobody; who lives is waited for."""
    first = store.new_folder(key_of(2))
    store.failed(first)
    claim = Path(store.layout.claim(first))
    turn = claim.with_suffix(".taken")
    with subprocess.Popen([sys.executable, "-c", WHO], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        turn.write_bytes(process.stdout.readline())
        process.kill()
    for _ in range(2):
        assert first == store.new_folder(key_of(2))
        store.failed(first)
    assert [claim.name, turn.name] == sorted(os.listdir(store.layout.claims))
    claimed = json.dumps({"owner": this_process()})
    turn.write_text(claimed)
    assert first != store.new_folder(key_of(2))


def test_a_turn_that_was_never_written_is_passed_by_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its writing nothing happens but a kill."""
    first = store.new_folder(key_of(2))
    store.failed(first)
    turn = Path(store.layout.claim(first)).with_suffix(".taken")
    turn.write_text("")
    others = [store.new_folder(key_of(2)) for _ in range(2)]
    assert first not in others
    assert {first, *others} == {folder for folder, *_ in folders.claimed(store.layout)}
    monkeypatch.setattr(folders, "_TURN", -1)
    folders.drop_if_over(store.layout, first)
    assert not (Path(store.root) / first).exists()


def test_a_folder_that_cannot_be_removed_stays_claimed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some file systems files that somebody has open go later: nobody else is given the rest."""
    first = store.new_folder(key_of(2))
    store.finished(key_of(2), first)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *args, **kwargs: None)
        store.replaced(first)
    assert Path(store.layout.claim(first)).is_file()
    assert first != store.new_folder(key_of(2))


def test_a_folder_is_free_again_once_its_run_was_taken_over(store: Store) -> None:
    """Nothing of the attempt is left beside the claims."""
    for _ in range(3):
        store.failed(store.new_folder(key_of(2)))
    assert [Path(store.layout.claim("double/" + key_of(2).digest[:8])).name] == os.listdir(
        store.layout.claims
    )


def test_nothing_but_a_claim_is_left_of_a_run_that_ended_well(store: Store) -> None:
    """What it noted while it went on is removed."""
    folder = store.new_folder(key_of(2))
    assert Path(store.layout.unfinished(key_of(2))).is_file()
    store.finished(key_of(2), folder)
    assert not Path(store.layout.unfinished(key_of(2))).exists()


def test_runs_that_go_on_or_failed_are_unfinished(store: Store) -> None:
    """One that returned is not, whether or not it could be remembered."""
    found = {name: store.new_folder(key_of(n)) for n, name in enumerate(("on", "failed", "a", "b"))}
    store.failed(found["failed"])
    store.finished(key_of(2), found["a"])
    store.released(found["b"])
    unfinished = {
        os.path.relpath(run.folder, store.root) for run in failures.unfinished(store.layout)
    }
    assert {found["on"], found["failed"]} == unfinished
