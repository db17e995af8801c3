"""The clocks of file servers: what is compared with the times of files is their time, not ours."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from memori import Stage, workdir
from memori.digest import clock, files
from memori.files import content_of
from memori.watch import Sieve, watching
from memori.watch.touch import is_since


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """The device of a folder that is taken for one on a server."""
    device = tmp_path.stat().st_dev
    monkeypatch.setattr(clock, "_kinds", {device: "nfs4"})
    monkeypatch.setattr(clock, "_measured", {})
    monkeypatch.setattr(files, "_remembered", {})
    return device


def set_ours(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """Let the clock of this machine be so many seconds ahead of that of the server."""
    here = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: here() + int(ahead * 1e9))


def test_a_local_file_system_is_not_asked(tmp_path: Path) -> None:
    """Its clock is ours."""
    assert clock.behind(tmp_path.stat().st_dev, str(tmp_path)) == 0


def test_remote_file_systems_are_known_by_their_kind() -> None:
    """Those of the machine itself are not among them."""
    proc = os.stat("/proc").st_dev

    assert not clock.is_remote(proc)


@pytest.mark.parametrize("ahead", [0.0, 40.0, -40.0])
def test_a_server_is_asked_for_its_time(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """What it is behind is measured on a file that is made there and removed."""
    set_ours(monkeypatch, ahead)

    assert clock.behind(server, str(tmp_path)) / 1e9 == pytest.approx(ahead, abs=5)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_made_the_worst_is_assumed(server: int, tmp_path: Path) -> None:
    """A file of the last minutes is read again until it is older than any clock is wrong."""
    assert clock.behind(server, str(tmp_path / "absent")) == clock.UNKNOWN


def test_what_was_measured_stands_where_it_cannot_be_measured_again(server: int) -> None:
    """A clock that was known ten minutes ago is better than none."""
    clock._measured[server] = time.monotonic() - 3600, 7
    assert clock.behind(server) == 7


@pytest.mark.parametrize("ahead", [40.0, -40.0])
def test_an_edit_within_a_tick_of_a_server_whose_clock_differs_is_seen(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """A file that was just written is not trusted, though by our clock it is old."""
    monkeypatch.setattr(files, "TICK", 30_000_000_000)  # however busy this machine is
    set_ours(monkeypatch, ahead)
    path = tmp_path / "file"
    path.write_text("one")

    first = files.file_digest(str(path), str(tmp_path))
    assert not first.trusted


def test_a_file_that_rests_by_the_clock_of_its_server_is_trusted(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is behind costs nothing once it is known."""
    path = tmp_path / "file"
    path.write_text("one")
    clock.behind(server, str(tmp_path))
    time.sleep(0.1)

    known = files.file_digest(str(path), str(tmp_path))
    monkeypatch.setattr(clock, "_measured", {server: (time.monotonic(), 0)})
    assert known.trusted or files.file_digest(str(path), str(tmp_path)).trusted


def test_a_stage_hits_where_the_clocks_differ(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a clock that is ahead nor one that is behind has anything run again."""
    source = tmp_path / "source.txt"
    source.write_text("a")

    def read(path: str) -> str:
        copy = workdir() / "copy.txt"
        copy.write_text(Path(path).read_text())
        return str(copy)

    for ahead in (0.0, 40.0, -40.0):
        with monkeypatch.context() as patch:
            set_ours(patch, ahead)
            patch.setattr(clock, "_measured", {})
            stage = Stage(read, "copy", tmp_path / f"work{ahead}")
            for runs in (True, False, False):
                assert Path(stage.run(str(source))["copy"]).read_text() == "a"
                assert stage.state is runs


@pytest.mark.parametrize("ahead", [0.0, 40.0])
def test_a_local_file_that_changed_during_a_run_is_seen_though_a_server_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """The clock of one server says nothing of files that lie elsewhere."""
    monkeypatch.setattr(clock, "_measured", {-1: (time.monotonic(), -int(ahead * 1e9))})
    paths = [tmp_path / f"{number}.txt" for number in range(20)]
    for path in paths:
        path.write_text("a")
    read, written = threading.Event(), threading.Event()

    def somebody() -> None:
        read.wait()
        paths[-1].write_text("b")
        written.set()

    thread = threading.Thread(target=somebody)
    thread.start()
    with watching() as seen:
        for path in paths:
            path.read_text()
        read.set()
        written.wait()
    thread.join()
    assert Sieve(seen, None).facts().unvouched == [str(paths[-1])]


def test_a_file_on_a_server_that_is_ahead_was_there_before_the_run(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is later than the run's begin by our clock, and earlier by its own."""
    path = tmp_path / "file.txt"
    path.write_text("a")
    set_ours(monkeypatch, -40.0)
    clock._measured[server] = time.monotonic(), -40_000_000_000
    began = clock.earliest_now()

    set_ours(monkeypatch, 60.0)  # a minute later
    assert not is_since(path.stat(), began)
    path.write_text("b")
    assert is_since(path.stat(), began)


def test_what_another_host_made_is_looked_for_again(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that remembers that a name was not there is made to ask its server."""
    path = tmp_path / "run" / "made.txt"
    path.parent.mkdir()
    path.write_text("a")
    listdir, listed = os.listdir, list[str]()

    def cached(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def looked(name: str, **how: bool) -> os.stat_result:
            if str(name) == str(path) and str(path.parent) not in listed:
                raise FileNotFoundError(2, "No such file or directory", name)
            return look(name, **how)

        return looked

    monkeypatch.setattr(os, "stat", cached(os.stat))
    monkeypatch.setattr(os, "lstat", cached(os.lstat))
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(str(folder)) or listdir(folder))
    stage = Stage(lambda made: Path(made).read_text(), "text", tmp_path / "work")

    assert files.kind_of(str(path)) == 0
    stage.run(str(path))
    assert stage.explain(str(path)).key.files[0].kind == "file"


def test_a_file_that_another_host_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale file handle says that there is a newer one."""
    path = tmp_path / "entry.json"
    path.write_bytes(b"new")
    read, stale = os.read, [True]

    def once(descriptor: int, count: int) -> bytes:
        if stale.pop() if stale else False:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(descriptor, count)

    monkeypatch.setattr(os, "read", once)
    assert content_of(str(path)) == b"new"
