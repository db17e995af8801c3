"""What a place for entries promises to whoever decides and records, as tests to inherit.

A place passes them by a class that inherits `StoreContract` and says how a store is made, and how
its files are reached without it: what is damaged, dated back or counted goes around the store.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori import MemoriWarning
from memori.artifacts import Artifact, find_inputs
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.store import SCHEMA, Entry, Store

ROOT = Path(__file__).parents[2]
DAY = 86_400

IN_ANOTHER_PROCESS = """
import sys
from memori.fingerprint import fingerprint
from memori.key import Key
{make}

key = Key({{"n": 2}}, [], fingerprint(len, code_version="1"), {{}}, ("output",))
store = make(sys.argv[1], "double")
folder = store.new_folder(key)
print(folder, flush=True)
{then}
"""


def key_of(n: int = 2, version: str = "1", **surroundings: Any) -> Key:
    """The key of a run; another version stands for other code."""
    code = fingerprint(len, code_version=version)
    return Key({"n": n}, [], code, surroundings, ("output",))


def key_of_file(path: Path, root: str, version: str = "1") -> Key:
    """The key of a run that is given a file."""
    values, files = find_inputs({"file": str(path)}, root, None, by_name=False)
    return Key(values, files, fingerprint(len, code_version=version), {}, ("output",))


def entry_of(
    key: Key,
    output: Any = 4,
    folder: str | None = None,
    missed: str | None = None,
    root: str = "/nowhere",
) -> Entry:
    """An entry as a run with this key leaves it, which may have looked for a file in vain."""
    code = {
        "fast": key.code.fast,
        "canonical": key.code.canonical(),
        "components": key.code.components(),
        "unresolved": [],
    }
    record: dict[str, Any] = {
        "memori": "0",
        "schema": SCHEMA,
        "stage": "double",
        "function": "double",
        "code": code,
        "key": key.digest,
        "ran": {"at": "2026-01-01T00:00:00Z", "seconds": 0.1},
        "surroundings": key.surroundings,
        "declared": list(key.outputs),
        "inputs": key.inputs,
        "files": [file.to_record() for file in key.files],
        "outputs": {"output": output},
        "artifacts": [],
        "folder": folder,
    }
    if missed is not None:
        record["observed"] = {"root": root, "absent": [[".", [missed]]]}
    return Entry(record)


def said(process: subprocess.Popen[str]) -> str:
    """What a process printed that has ended."""
    return process.communicate()[0].strip()


def outputs(entries: object) -> list[Any]:
    return [entry.outputs["output"] for entry in entries]  # type: ignore[attr-defined]


class StoreContract:
    """Inherit this, and override what differs for another place."""

    make = "from memori.store import Store as make"
    """The statement that imports what makes a store of a root and a stage's name."""

    def make_store(self, root: str, name: str) -> Store:
        """Make the store of a stage, anew: nothing is kept but in its place."""
        return Store(root, name)

    def file_of(self, store: Store, entry: Entry) -> Path:
        """Where an entry that was written lies."""
        return Path(entry.path)

    def claim_of(self, store: Store, folder: str) -> Path:
        """Where it is told whose a run's folder is."""
        return Path(store.layout.claim(folder))

    def lists_of(self, store: Store, key: Key) -> list[Path]:
        """The files that name other entries."""
        return [Path(store.layout.latest), Path(store.layout.recent(key))]

    def lose_latest(self, store: Store) -> None:
        """Lose what tells which run was the latest."""
        for path in (store.layout.latest, *store.layout.views):
            Path(path).unlink(missing_ok=True)

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "w"

    @pytest.fixture
    def store(self, root: Path) -> Store:
        return self.make_store(str(root), "double")

    @pytest.fixture
    def other_process(self, root: Path) -> Callable[..., subprocess.Popen[str]]:
        """Have another process take the folder of a run."""

        def start(then: str = "") -> subprocess.Popen[str]:
            script = IN_ANOTHER_PROCESS.format(make=self.make, then=then)
            return subprocess.Popen(
                [sys.executable, "-c", script, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

        return start

    # Entries

    def test_what_was_written_is_read(self, store: Store) -> None:
        """An entry comes back whole, under its own key and under no other."""
        entry = entry_of(key_of(2))
        assert store.exact(key_of(2)) is None
        store.write(entry, key_of(2))
        found = self.make_store(store.root, "double").exact(key_of(2))
        assert found is not None
        assert entry.record == found.record
        assert [None, None, None] == [
            store.exact(key) for key in (key_of(3), key_of(2, "2"), key_of(2, tool="1"))
        ]

    def test_a_later_entry_of_a_key_takes_the_place_of_the_earlier(self, store: Store) -> None:
        """Of runs that saw the same there is one entry, that which was written last."""
        for output in (4, 5):
            store.write(entry_of(key_of(2), output), key_of(2))
        assert [5] == outputs([store.exact(key_of(2))])
        assert [5] == outputs(store.neighbours(key_of(2)))

    def test_runs_of_a_key_that_saw_different_things_stand_beside_each_other(
        self, store: Store
    ) -> None:
        """Going back to what an earlier one saw finds it; the eight latest ones are kept."""
        for age, missed in enumerate("abcdefgh"):
            store.write(entry := entry_of(key_of(2), missed, missed=missed), key_of(2))
            os.utime(self.file_of(store, entry), (1000 + age, 1000 + age))
        store.write(entry_of(key_of(2), "new c", missed="c", root="/moved"), key_of(2))
        assert ["a", "b", "new c", *"defgh"] == outputs(store.under(key_of(2)))
        store.write(entry_of(key_of(2), "i", missed="i"), key_of(2))
        assert ["i", "b", "new c", *"defgh"] == outputs(store.under(key_of(2)))
        assert [] == outputs(store.under(key_of(3)))

    def test_runs_that_read_the_same_at_other_times_share_an_entry(self, store: Store) -> None:
        """That a file was copied or touched between two runs is nothing that they saw."""
        for stat in (1, 2):
            entry = entry_of(key_of(2), stat)
            stats = f"{stat}" * 56
            read = {"files": [[".", ["a.txt"]]], "digests": "d" * 64, "stats": stats, "all": stats}
            entry.record["observed"] = {"root": store.root, "read": read}
            store.write(entry, key_of(2))
        assert [2] == outputs(store.under(key_of(2)))

    @pytest.mark.parametrize("damage", ["cut", "blank", "empty", "edited", "another's"])
    def test_what_is_not_whole_is_not_there(self, store: Store, damage: str) -> None:
        """A damaged entry is no entry, and is named; its neighbours stay."""
        store.write(good := entry_of(key_of(3), 6), key_of(3))
        store.write(bad := entry_of(key_of(2)), key_of(2))
        path = self.file_of(store, bad)
        content = path.read_bytes()
        damaged = {
            "cut": content[:-5],
            "blank": bytes(len(content)),
            "empty": b"",
            "edited": content.replace(b'"output": 4', b'"output": 5'),
            "another's": self.file_of(store, good).read_bytes(),
        }
        path.write_bytes(damaged[damage])
        if damage == "another's":
            assert store.exact(key_of(2)) is None
        else:
            with pytest.warns(MemoriWarning, match=path.name):
                assert store.exact(key_of(2)) is None
        assert [6] == outputs([store.exact(key_of(3))])

    def test_an_entry_that_cannot_be_written_is_an_oserror(self, store: Store) -> None:
        """Whoever records is told, and nothing half is left."""
        store.write(entry := entry_of(key_of(2)), key_of(2))
        path = self.file_of(store, entry)
        path.unlink()
        path.mkdir()
        with pytest.warns(MemoriWarning), pytest.raises(OSError, match="director"):
            store.write(entry_of(key_of(2)), key_of(2))
        assert [] == [*Path(store.root).rglob("*.partial")]

    def test_stages_of_one_folder_do_not_see_each_other(self, store: Store) -> None:
        """What a stage remembers is found under its name alone."""
        store.write(entry := entry_of(key_of(2)), key_of(2))
        store.show(entry)
        other = self.make_store(store.root, "other")
        assert other.exact(key_of(2)) is None
        assert [] == list(other.neighbours(key_of(2)))
        assert other.latest() is None

    def test_neighbours_are_the_runs_of_the_same_inputs(self, store: Store) -> None:
        """Runs that differ in code alone are found, the newest first; those of other inputs not."""
        for age, version in enumerate("321"):
            store.write(entry := entry_of(key_of(2, version), version), key_of(2, version))
            os.utime(self.file_of(store, entry), (1000 - age, 1000 - age))
        store.write(entry_of(key_of(3), 6), key_of(3))
        assert ["3", "2", "1"] == outputs(store.neighbours(key_of(2, "4")))

    def test_neighbours_are_found_whatever_their_files_held(self, store: Store) -> None:
        """Runs of the same file are found when its content changed, equal contents first."""
        Path(store.root).mkdir()
        file = Path(store.root) / "in.txt"
        for content in ("a", "b"):
            file.write_text(content)
            key = key_of_file(file, store.root)
            store.write(entry_of(key, content), key)
        assert ["b", "a"] == outputs(store.neighbours(key_of_file(file, store.root, "2")))
        file.write_text("c")
        assert ["b", "a"] == outputs(store.neighbours(key_of_file(file, store.root)))

    def test_running_one_again_keeps_the_others_in_sight(self, store: Store) -> None:
        """However often a run is forced, those on other contents stay its neighbours."""
        Path(store.root).mkdir()
        file = Path(store.root) / "in.txt"
        for content in "abbbbbb":
            file.write_text(content)
            key = key_of_file(file, store.root)
            store.write(entry_of(key, content), key)
        file.write_text("c")
        assert ["b", "a"] == outputs(store.neighbours(key_of_file(file, store.root)))

    @pytest.mark.parametrize("content", [bytes(200), b"../" * 60, b"\xff" * 128, b"/etc/passwd"])
    def test_a_damaged_list_names_nothing(self, store: Store, content: bytes) -> None:
        """What a power failure left of the files that name entries is not followed."""
        Path(store.root).mkdir()
        file = Path(store.root) / "in.txt"
        file.write_text("a")
        key = key_of_file(file, store.root)
        store.write(entry := entry_of(key), key)
        store.show(entry)
        for path in self.lists_of(store, key):
            path.write_bytes(content)
        file.write_text("b")
        assert [] == outputs(store.neighbours(key_of_file(file, store.root)))
        assert [4] == outputs([store.latest()])
        store.follow(entry)
        assert [4] == outputs([store.latest()])

    def test_few_neighbours_are_looked_at_however_many_there_are(self, store: Store) -> None:
        """A miss among a hundred runs of the same input reads some of them."""
        Path(store.root).mkdir()
        file = Path(store.root) / "in.txt"
        for number in range(100):
            file.write_text(str(number))
            key = key_of_file(file, store.root)
            store.write(entry_of(key, number), key)
        file.write_text("new")
        found = outputs(store.neighbours(key_of_file(file, store.root)))
        assert 99 == found[0]
        assert len(found) <= 20
        for number in range(100):
            store.write(entry_of(key_of(2, str(number)), number), key_of(2, str(number)))
        assert len(outputs(store.neighbours(key_of(2, "new")))) <= 20

    def test_asking_writes_nothing(self, store: Store, root: Path) -> None:
        """Whoever reads changes no file and makes none, also where there is nothing."""
        assert store.exact(key_of(2)) is None
        assert [] == list(store.neighbours(key_of(2)))
        assert store.latest() is None
        assert not root.exists()
        store.write(entry := entry_of(key_of(2)), key_of(2))
        store.show(entry)
        before = everything_in(root)
        store.exact(key_of(2)), store.exact(key_of(3)), store.latest()
        list(store.neighbours(key_of(2)))
        store.was_made(artifact("out.txt", "a"))
        assert before == everything_in(root)

    def test_many_can_write_at_once(self, store: Store) -> None:
        """Threads that write the same keys leave whole entries, each of one of them."""

        def write(thread: int) -> None:
            own = self.make_store(store.root, "double")
            for n in range(20):
                entry = entry_of(key_of(n), [n, thread])
                own.write(entry, key_of(n))
                own.show(entry)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(range(20)) == [outputs([store.exact(key_of(n))])[0][0] for n in range(20)]
        assert store.latest() is not None

    # The latest run

    def test_the_latest_run_is_the_one_that_was_shown_or_followed(self, store: Store) -> None:
        """A run shows itself, and a remembered one becomes the latest by a hit."""
        entries = [entry_of(key_of(n), n) for n in range(3)]
        for n, entry in enumerate(entries):
            store.write(entry, key_of(n))
            store.show(entry)
            assert [n] == outputs([store.latest()])
        for n in (0, 2, 1, 0, 1, 2, 2, 0, 2, 0):
            store.follow(entries[n])
            assert [n] == outputs([self.make_store(store.root, "double").latest()])
        for n in (1, 2, 1):
            store.show(entries[0])
            store.follow(entries[n])
            assert [n] == outputs([store.latest()])

    def test_the_latest_run_is_the_latest_of_all_processes(
        self, store: Store, other_process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """A hit here comes after a hit elsewhere, whatever this process saw before."""
        for n in (3, 2):
            store.write(entry_of(key_of(n), n), key_of(n))
        there = "store.show(store.exact(key)); store.follow(store.exact(key))"
        followed = "[store.follow(store.exact(key)) for _ in range(5)]"
        other = store.exact(key_of(3))
        assert other is not None
        for then in (there, there, followed, followed, followed):
            store.follow(other)
            store.follow(other)
            assert [3] == outputs([store.latest()])
            said(other_process(then))
            assert [2] == outputs([store.latest()])

    def test_following_the_latest_run_writes_nothing(self, store: Store, root: Path) -> None:
        """A hit on what was the latest already costs no write."""
        store.write(entry := entry_of(key_of(2)), key_of(2))
        store.show(entry)
        before = everything_in(root)
        for _ in range(3):
            store.follow(entry)
        assert before == everything_in(root)

    def test_without_a_pointer_the_entry_written_last_is_the_latest(self, store: Store) -> None:
        """Nothing is lost with what points to the latest run."""
        for n, age in ((2, 20), (3, 10), (4, 30)):
            store.write(entry := entry_of(key_of(n), n), key_of(n))
            os.utime(self.file_of(store, entry), (1000 - age, 1000 - age))
        assert [3] == outputs([store.latest()])
        store.show(entry)
        assert [4] == outputs([store.latest()])
        self.lose_latest(store)
        assert [3] == outputs([store.latest()])

    def test_a_latest_run_whose_entry_is_gone_is_not_the_latest(self, store: Store) -> None:
        """An entry that was removed is not looked for in vain."""
        for n in (2, 3):
            store.write(entry := entry_of(key_of(n), n), key_of(n))
            store.show(entry)
        self.file_of(store, entry).unlink()
        assert [2] == outputs([store.latest()])

    # Runs' own folders

    def test_each_run_that_goes_on_has_an_empty_folder_of_its_own(self, store: Store) -> None:
        """Two runs never share one, also of the same key."""
        found = [store.new_folder(key) for key in (key_of(2), key_of(2), key_of(3), key_of(2, "2"))]
        assert 4 == len(set(found))
        assert [[]] * 4 == [os.listdir(os.path.join(store.root, each)) for each in found]

    def test_the_folder_of_a_recorded_run_is_left_alone(self, store: Store) -> None:
        """Another run of the same key gets another folder."""
        first = self.recorded(store, key_of(2))
        second = store.new_folder(key_of(2))
        assert first != second
        assert "result" == (Path(store.root) / first / "out.txt").read_text()

    def test_the_folder_of_a_failed_run_stays_until_the_next_try(self, store: Store) -> None:
        """It can be looked at, and is then emptied and used again: there is one of it."""
        first = self.filled(store, key_of(2))
        store.failed(first)
        assert "result" == (Path(store.root) / first / "out.txt").read_text()
        assert first == store.new_folder(key_of(2))
        assert [] == os.listdir(os.path.join(store.root, first))

    def test_a_failed_try_with_other_code_goes_with_the_next(self, store: Store) -> None:
        """However often code is edited, one folder of what failed is kept."""
        first = self.filled(store, key_of(2))
        store.failed(first)
        second = store.new_folder(key_of(2, "2"))
        assert not (Path(store.root) / first).exists()
        assert (Path(store.root) / second).is_dir()

    def test_a_run_that_goes_on_keeps_its_folder_from_one_with_other_code(
        self, store: Store
    ) -> None:
        """A script that was edited while the old one runs does not take its files away."""
        first = self.filled(store, key_of(2))
        store.new_folder(key_of(2, "2"))
        assert "result" == (Path(store.root) / first / "out.txt").read_text()

    def test_the_folder_of_a_process_that_goes_on_is_never_taken(
        self, store: Store, root: Path, other_process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """Whether or not there are locks: its run may still write there."""
        process = other_process("sys.stdin.read()")
        assert process.stdout is not None
        taken = process.stdout.readline().strip()
        (root / taken / "out.txt").write_text("result")
        assert taken != store.new_folder(key_of(2))
        store.new_folder(key_of(2, "2"))
        assert "result" == (root / taken / "out.txt").read_text()
        process.communicate()
        assert taken == store.new_folder(key_of(2))

    def test_of_many_who_try_again_each_gets_another_folder(self, store: Store) -> None:
        """Also where no locks hold them apart, a folder that is free is taken by one of them."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for round_ in range(60):
                store.failed(store.new_folder(key_of(round_)))
                found: list[str] = []
                gate = threading.Barrier(4, timeout=60)

                def take(n: int = round_) -> None:
                    gate.wait()  # noqa: B023
                    found.append(store.new_folder(key_of(n)))  # noqa: B023

                threads = [threading.Thread(target=take) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert 4 == len(set(found))
        finally:
            sys.setswitchinterval(interval)

    def test_the_folder_of_a_killed_process_is_free(
        self, store: Store, other_process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """What it left is used again by the next run."""
        taken = said(other_process("import os; os.kill(os.getpid(), 9)"))
        assert taken == store.new_folder(key_of(2))

    def test_a_run_killed_between_its_entry_and_its_note_keeps_its_folder(
        self, store: Store, other_process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """The entry was there for others to hit, so what it names is in use."""
        for missed in (None, "a.txt"):
            taken = said(other_process())
            store.write(entry_of(key_of(2), folder=taken, missed=missed), key_of(2))
            assert taken != store.new_folder(key_of(2))
            assert (Path(store.root) / taken).is_dir()

    def test_a_folder_whose_claim_was_lost_is_left_alone(self, store: Store) -> None:
        """Nobody knows whose it is, so nothing in it is removed."""
        first = self.recorded(store, key_of(2))
        self.claim_of(store, first).unlink()
        assert first != store.new_folder(key_of(2))
        assert "result" == (Path(store.root) / first / "out.txt").read_text()

    @pytest.mark.parametrize(
        "content",
        [
            *[b"", b"{", b"[]", b"null", bytes(40), b'{"entry": "x"}\n'],
            *[b'{"owner": {}}\n{"released": "soon"}\n', b'{"owner": {}}\n{"released": true}\n'],
        ],
    )
    def test_a_folder_whose_claim_was_damaged_is_left_alone(
        self, store: Store, content: bytes
    ) -> None:
        """Also where the claim was just being written, or says nothing of an owner."""
        first = self.filled(store, key_of(2))
        store.failed(first)
        self.claim_of(store, first).write_bytes(content)
        assert first != store.new_folder(key_of(2))
        assert "result" == (Path(store.root) / first / "out.txt").read_text()

    def test_a_replaced_folder_of_this_process_goes_at_once(self, store: Store) -> None:
        """Nobody else was given its paths."""
        first = self.recorded(store, key_of(2))
        store.replaced(first)
        assert not (Path(store.root) / first).exists()
        assert first == store.new_folder(key_of(2))

    def test_a_replaced_folder_of_another_process_stays_for_a_day(
        self, store: Store, other_process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """Whoever was given its paths can use them; a run of the key after that takes it."""
        taken = said(other_process("store.finished(key, folder)"))
        (Path(store.root) / taken / "out.txt").write_text("result")
        store.replaced(taken)
        assert taken != store.new_folder(key_of(2))
        self.date_back(store, taken, DAY - 60)
        assert taken != store.new_folder(key_of(2))
        assert "result" == (Path(store.root) / taken / "out.txt").read_text()
        self.date_back(store, taken, 120)
        assert taken == store.new_folder(key_of(2))
        assert [] == os.listdir(os.path.join(store.root, taken))

    def test_a_released_folder_stays_for_a_day(self, store: Store) -> None:
        """What a run returned that could not be remembered can be used."""
        first = self.filled(store, key_of(2))
        store.released(first)
        assert first != store.new_folder(key_of(2))
        assert "result" == (Path(store.root) / first / "out.txt").read_text()
        self.date_back(store, first, DAY + 60)
        assert first == store.new_folder(key_of(2))

    def test_a_released_folder_that_an_entry_names_stays(self, store: Store) -> None:
        """A run that could not write all it had to may have left its entry: others hit it."""
        first = self.recorded(store, key_of(2))
        store.released(first)
        self.date_back(store, first, DAY + 60)
        assert first != store.new_folder(key_of(2))
        assert (Path(store.root) / first).is_dir()

    def test_a_dropped_folder_is_gone_and_free(self, store: Store) -> None:
        """Nothing of it is left, and the next run may use its name."""
        first = self.recorded(store, key_of(2))
        store.drop_folder(first)
        assert not (Path(store.root) / first).exists()
        assert first == store.new_folder(key_of(2))

    @pytest.mark.parametrize(
        "folder",
        [
            *["", ".", "..", "double", "double/", "double/keep", "double/0123abcd/inside"],
            *["other/0123abcd", "../double/0123abcd", "double/../0123abcd"],
            *["double/0123ABCD", "double/0123abcd-"],
        ],
    )
    def test_nothing_but_a_runs_own_folder_is_dropped(self, store: Store, folder: str) -> None:
        """Whatever a record or a note says, what memori did not make stays."""
        root = Path(store.root)
        for each in ("keep", "0123abcd/inside", "0123ABCD", "0123abcd-"):
            (root / "double" / each).mkdir(parents=True)
        for each in ("other/0123abcd", "0123abcd", "../double/0123abcd"):
            (root / each).mkdir(parents=True)
        before = everything_in(root.parent)
        store.drop_folder(folder)
        assert before == everything_in(root.parent)

    def test_nothing_is_dropped_through_a_link(self, store: Store, tmp_path: Path) -> None:
        """A link in a folder's place leads to what is somebody else's."""
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("result")
        first = store.new_folder(key_of(2))
        (Path(store.root) / first).rmdir()
        (Path(store.root) / first).symlink_to(tmp_path / "precious")
        store.drop_folder(first)
        assert "result" == (tmp_path / "precious" / "file").read_text()
        store.failed(first)
        store.new_folder(key_of(2))
        assert "result" == (tmp_path / "precious" / "file").read_text()

    # Locks

    def test_two_runs_of_one_key_wait_for_each_other(self, store: Store) -> None:
        """The second begins when the first has ended; a run of another key does not wait."""
        ended = threading.Event()
        began_after: list[bool] = []

        def second() -> None:
            with self.make_store(store.root, "double").lock(key_of(2)):
                began_after.append(ended.is_set())

        thread = threading.Thread(target=second)
        with store.lock(key_of(2)):
            thread.start()
            with store.lock(key_of(3)):
                thread.join(0.2)
            ended.set()
        thread.join()
        assert [True] == began_after

    # Files that runs write where an input says

    def test_a_mark_is_of_a_content_under_a_name(self, store: Store) -> None:
        """The same content elsewhere, or another one there, was not made by the stage."""
        assert store.was_made(artifact("out.txt", "a")) is False
        store.mark_made([artifact("out.txt", "a"), artifact("b.txt", "b")])
        own = self.make_store(store.root, "double")
        assert [True, True, False, False] == [
            own.was_made(artifact(*each))
            for each in (("out.txt", "a"), ("b.txt", "b"), ("out.txt", "b"), ("b.txt", "a"))
        ]
        assert self.make_store(store.root, "other").was_made(artifact("out.txt", "a")) is False

    def test_what_remembered_runs_wrote_is_known_to_all_stages(
        self, store: Store, root: Path
    ) -> None:
        """A path is marked for the folder, whoever wrote it, and wherever the folder moves."""
        store.mark_written([str(root / "a.txt"), "/elsewhere/b.txt"])
        other = self.make_store(store.root, "other")
        assert [True, True, False] == [
            other.was_written(path)
            for path in (str(root / "a.txt"), "/elsewhere/b.txt", str(root / "b.txt"))
        ]
        root.rename(root.with_name("moved"))
        moved = self.make_store(str(root.with_name("moved")), "double")
        assert moved.was_written(str(root.with_name("moved") / "a.txt")) is True

    def test_many_marks_take_little_room(self, store: Store, root: Path) -> None:
        """However many files a stage writes, the last are known, and no others."""
        marks = [artifact(f"{n}.txt", "a") for n in range(10_000)]
        for at in range(0, 10_000, 100):
            store.mark_made(marks[at : at + 100])
        assert sum(path.stat().st_size for path in root.rglob("*")) < 256 * 1024
        assert store.was_made(marks[-1]) is True
        others = [artifact(f"{n}.txt", "b") for n in range(10_000)]
        assert [] == [other for other in others if store.was_made(other)]

    # Around the store

    def filled(self, store: Store, key: Key) -> str:
        """Have a run write into its folder, and go on."""
        folder = store.new_folder(key)
        (Path(store.root) / folder / "out.txt").write_text("result")
        return folder

    def recorded(self, store: Store, key: Key) -> str:
        """Have a run end well."""
        folder = self.filled(store, key)
        store.write(entry_of(key, folder=folder), key)
        store.finished(key, folder)
        return folder

    def date_back(self, store: Store, folder: str, seconds: float) -> None:
        """Make a note of a time say that it was earlier."""
        claim = self.claim_of(store, folder)
        words = claim.read_text().split('"released": ')
        assert 2 == len(words)
        then, _, rest = words[1].partition("}")
        claim.write_text(f'{words[0]}"released": {float(then) - seconds}}}{rest}')


def artifact(path: str, content: str) -> Artifact:
    """A file that an input names, with a content that stands for itself."""
    return Artifact(("out",), "file", path, False, folder=content)


def everything_in(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """All files and folders with their times and contents."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path] = (status.st_ino, status.st_mtime_ns, content)
    return found
