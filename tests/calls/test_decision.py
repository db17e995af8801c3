"""Hit or miss, and why: one comparison, told against the run that is nearest."""

from __future__ import annotations

import importlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from memori.artifacts import find_inputs
from memori.calls.decision import Change, Decision, compare, decide, exact_hit
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.store import Entry, Store
from memori.store.outputs import find_outputs
from tests.store.contract import entry_of, key_of, key_of_file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "w"), "double")


def written(store: Store, key: Key, /, **changes: Any) -> Entry:
    """Record a run with a key, with some fields of its entry changed."""
    entry = entry_of(key)
    entry = Entry({**entry.record, **changes})
    store.write(entry, key)
    return entry


def reasons(decision: Decision) -> list[str]:
    return [str(change) for change in decision.changes]


def test_without_a_difference_it_is_a_hit(store: Store) -> None:
    """The entry of exactly this key, with nothing to tell."""
    entry = written(store, key_of(2))
    decision = decide("double", key_of(2), store)
    assert (True, ()) == (decision.hit, decision.changes)
    assert decision.hit_entry is not None
    assert entry.record == decision.hit_entry.record
    assert "stage 'double': hit\n  recorded unwatched" == str(decision)
    assert "<Decision stage 'double': hit>" == repr(decision)


def test_the_first_run_says_so(store: Store) -> None:
    """There is nothing to compare with."""
    decision = decide("double", key_of(2), store)
    assert ["no run with these inputs is recorded"] == reasons(decision)
    assert (False, None, None) == (decision.hit, decision.entry, decision.hit_entry)


def test_a_miss_is_told_against_the_nearest_run(store: Store) -> None:
    """The run from which least differs, however old it is."""
    for age, (version, tool) in enumerate([("3", "b"), ("2", "b"), ("2", "a"), ("4", "b")]):
        key = key_of(2, version, tool=tool, flavour=version)
        entry = written(store, key)
        os.utime(entry.path, (1000 - age, 1000 - age))
    decision = decide("double", key_of(2, "2", tool="c", flavour="2"), store)
    assert decision.entry is not None
    assert {"tool": "b", "flavour": "2"} == decision.entry.record["surroundings"]
    assert ["tool: 'b' -> 'c'"] == reasons(decision)
    assert decision.hit_entry is None


def test_a_miss_with_new_inputs_is_told_against_the_latest_run(store: Store) -> None:
    """Where nobody asks why, the latest run is not looked for."""
    for n in (2, 3):
        store.show(written(store, key_of(n)))
    assert ["input n: 3 -> 4"] == reasons(decide("double", key_of(4), store))
    unexplained = decide("double", key_of(4), store, explained=False)
    assert ["no run with these inputs is recorded"] == reasons(unexplained)


def test_code_of_another_python_is_known_by_its_syntax(store: Store) -> None:
    """The digest over bytecode differs from version to version, the one over syntax does not."""
    key = key_of(2)
    code = {**entry_of(key).record["code"], "fast": "0" * 64}
    written(store, key, code=code, key="1" * 64)
    assert decide("double", key, store).hit
    for unknown in (None, "2" * 64):
        written(store, key, code={**code, "canonical": unknown}, key="1" * 64)
        decision = decide("double", key, store)
        assert [("code", "code")] == [(each.kind, each.subject) for each in decision.changes]


def test_code_without_source_is_not_known_by_syntax(store: Store) -> None:
    """Two codes of which neither has a digest over syntax are not taken for the same."""
    key = Key({"n": 2}, [], fingerprint(eval("lambda n: n")), {}, ("output",))
    assert key.code.canonical() is None
    code = {"fast": "0" * 64, "canonical": None, "components": {}, "unresolved": []}
    assert ["code"] == [
        change.kind for change in compare(Entry({**entry_of(key).record, "code": code}), key)
    ]


def test_the_same_code_without_source_is_known_by_its_bytecode(store: Store) -> None:
    """Where a surrounding cannot be asked, say, so that no entry has exactly this key."""
    code = fingerprint(eval("lambda n: n"))
    written(store, Key({"n": 2}, [], code, {"tool": "1.0"}, ("output",)))
    assert decide("double", Key({"n": 2}, [], code, {"tool": None}, ("output",)), store).hit


def test_damaged_outputs_are_a_miss_that_names_them(store: Store, tmp_path: Path) -> None:
    """An output that is missing or was edited, of the exact entry as of one of other code."""
    path = tmp_path / "out.txt"
    path.write_text("result")
    artifacts = find_outputs({"output": str(path)}, store.root, None, None)
    outputs = {"output": artifacts[0].path}
    written(store, key_of(2), outputs=outputs, artifacts=[each.to_record() for each in artifacts])
    assert decide("double", key_of(2), store).hit
    path.write_text("edited")
    assert ["output output (../out.txt) edited"] == reasons(decide("double", key_of(2), store))
    assert exact_hit(key_of(2), store) is None
    path.unlink()
    assert ["output output (../out.txt) is missing"] == reasons(decide("double", key_of(2), store))
    code = {**entry_of(key_of(2)).record["code"], "fast": "0" * 64}
    written(
        store,
        key_of(2),
        outputs=outputs,
        artifacts=[each.to_record() for each in artifacts],
        code=code,
    )
    assert ["missing"] == [each.kind for each in decide("double", key_of(2), store).changes]


def test_inputs_and_contents_are_told_apart(store: Store, tmp_path: Path) -> None:
    """A value that differs, a file that was edited, and one that is gone."""
    path = tmp_path / "in.txt"
    path.write_text("one")
    entry = entry_of(key_of_file(path, store.root))
    path.write_text("two")
    (edited,) = compare(entry, key_of_file(path, store.root))
    assert ("file", "file ../in.txt (file) edited") == (edited.kind, str(edited))
    path.unlink()
    (gone,) = compare(entry, key_of_file(path, store.root))
    assert ("file", "path") == (gone.kind, gone.new)
    (other,) = compare(entry, key_of_file(tmp_path, store.root))
    assert "input file: '../in.txt' -> '..'" == str(other)


def test_names_that_come_go_or_change_places_are_told() -> None:
    """A parameter that is new or gone, and the order of those that a function can see."""

    def key(**inputs: object) -> Key:
        values, files = find_inputs(inputs, "/nowhere", None, by_name=False)
        return Key(values, files, fingerprint(len, code_version="1"), {}, ("output",))

    entry = entry_of(key(a=1, b=2))
    assert ["input b is gone", "input c is new"] == [*map(str, compare(entry, key(a=1, c=2)))]
    assert ["input order: a, b -> b, a"] == [*map(str, compare(entry, key(b=2, a=1)))]
    assert ["input a: 1 -> 1.0"] == [*map(str, compare(entry, key(a=1.0, b=2)))]
    assert ["input a: 1 -> True"] == [*map(str, compare(entry, key(a=True, b=2)))]
    assert [] == compare(entry, key(a=1, b=2))


def test_declared_outputs_are_compared() -> None:
    """Another name, or another order, is another way to take what was returned."""
    key = key_of(2)
    other = Key(key.inputs, [], key.code, {}, ("a", "b"))
    assert ["stage_outputs: output -> a, b"] == [*map(str, compare(entry_of(key), other))]


def test_long_values_are_cut() -> None:
    """A reason is a line, however large the value."""
    entry = entry_of(Key({"n": "x" * 1000}, [], key_of().code, {}, ("output",)))
    (change,) = compare(entry, key_of(2))
    assert len(str(change)) < 200
    assert "..." in change.old


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("forced", "forced"), "forced"),
        (
            Change("missing", "path (out.txt)", "0" * 64, "nothing"),
            "output path (out.txt) is missing",
        ),
        (Change("edited", "path (out.txt)", "0" * 64, "1" * 64), "output path (out.txt) edited"),
        (Change("code", "helper f", "0" * 12, "1" * 12), "helper f edited"),
        (Change("code", "helper f", "(none)", "1" * 12), "helper f is new"),
        (Change("code", "helper f", "0" * 12, "(none)"), "helper f is gone"),
        (Change("surrounding", "tool", "6.0.6", "6.0.7"), "tool: 6.0.6 -> 6.0.7"),
    ],
)
def test_each_change_is_one_plain_line(change: Change, text: str) -> None:
    """Digests are not shown to people: they only say that something was edited."""
    assert text == str(change)
    assert change.subject in repr(change)


def test_what_could_not_be_followed_is_told(store: Store) -> None:
    """A decision names what it could not look at, on a line of its own."""

    def calls(name: str) -> object:
        return importlib.import_module(name)

    key = Key({"name": "json"}, [], fingerprint(calls), {}, ("output",))
    decision = decide("calls", key, store)
    assert key.code.unresolved == decision.unresolved
    assert 1 == len(decision.unresolved)
    assert 2 == len(str(decision).splitlines())
    assert all(f"  not followed: {each}" in str(decision) for each in decision.unresolved)


def test_a_decision_names_who_may_have_read_unseen(tmp_path: Path) -> None:
    """Libraries and programs of which nobody tells what they read; a person knows where to look."""

    def run(x: int) -> int:
        sqlite3.connect(tmp_path / "data.db").close()
        out = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        words = ["cat", __file__]
        os.waitpid(os.posix_spawnp("cat", words, os.environ, file_actions=out), 0)
        return x

    stage = Stage(run, hash_output=tmp_path / "work")
    stage.run(1)
    decision = stage.explain(1)
    assert {"sqlite3 (databases)", "cat (a program)"} <= set(decision.unseen)
    assert decision.entry is not None
    assert [["cat", __file__]] == decision.entry.record["observed"]["programs"]
    assert "\n  not seen: what is read by cat (a program)" in str(decision)
    assert "\n  not seen: what is read by sqlite3 (databases)" in str(decision)
    other = Stage(abs, "y", tmp_path / "work")
    other.run(1)
    assert "sqlite3" not in str(other.explain(1))  # it was loaded, and nothing names it


def test_what_was_recorded_unwatched_says_so_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that is not watched, and one setting that takes its entries for misses."""

    def run(x: int) -> int:
        return x

    stage = Stage(run, hash_output=tmp_path, watch=False)
    stage.run(1)
    assert str(stage.explain(1)).endswith("hit\n  recorded unwatched")
    monkeypatch.setenv("MEMORI_WATCH", "required")
    watched = Stage(run, hash_output=tmp_path)
    assert "miss: recorded unwatched" in str(watched.explain(1))
    watched.run(1)
    assert watched.state
    watched.run(1)
    assert not watched.state
    assert "unwatched" not in str(watched.explain(1))
