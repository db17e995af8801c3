"""Digests of files are remembered by stat, and never trusted too early."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from memori.digest import files, formats
from memori.digest.files import (
    digests,
    file_digest,
    from_record,
    in_threads,
    sha256_file,
    to_record,
    unchanged,
)
from memori.digest.formats import content_of


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    files._remembered.clear()


def age(path: Path) -> None:
    """Wait until the stat of a fresh file can vouch for it."""
    time.sleep(0.03)
    assert path.stat().st_ctime_ns + files.TICK < time.time_ns()


def rewrite_unseen(path: Path, text: str) -> None:
    """Edit a file, keeping size and mtime, as a careless tool or a backup does."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    """Anyone can recompute a recorded hash with sha256sum."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert expected == file_digest(str(file)).hash


def test_an_edit_that_keeps_size_and_mtime_is_seen(tmp_path: Path) -> None:
    """Setting mtime back does not fool the memo."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    before = file_digest(str(file), str(tmp_path / "memo")).hash
    rewrite_unseen(file, "two")
    assert before != file_digest(str(file), str(tmp_path / "memo")).hash


def test_an_old_file_is_read_once(tmp_path: Path) -> None:
    """A file that did not change is not read again, in this process or the next."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    memo = str(tmp_path / "memo")
    first = file_digest(str(file), memo)
    assert first is file_digest(str(file), memo)
    files._remembered.clear()  # as in a new process
    recalled = file_digest(str(file), memo)
    assert (first.hash, first.stats) == (recalled.hash, recalled.stats)
    assert 1 == len(os.listdir(memo))


def test_the_memo_of_a_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has long been kept is forgotten where more is kept than should be, and read again."""
    monkeypatch.setattr(files, "MOST_KEPT", 10)
    monkeypatch.setattr(files, "_LOOKS", 1)
    memo = str(tmp_path / "memo")
    paths = [tmp_path / f"{number}.txt" for number in range(11)]
    for path in paths:
        path.write_text(path.name)
    age(paths[-1])
    for number, path in enumerate(paths):
        file_digest(str(path), memo)
        kept = files._memo_path(memo, str(path), files.stat_of(path.stat()))
        if os.path.exists(kept):
            os.utime(kept, (number, number))
    assert 6 == len(os.listdir(memo))
    files._remembered.clear()  # as in a new process
    for path in paths:
        assert hashlib.sha256(path.name.encode()).hexdigest() == file_digest(str(path), memo).hash


def test_a_file_younger_than_the_clock_can_tell_is_not_remembered(tmp_path: Path) -> None:
    """Two edits within one tick of the clock give two digests."""
    file = tmp_path / "a.txt"
    seen = set()
    for number in range(20):
        file.write_text(f"{number:03}")
        os.utime(file, ns=(0, 0))
        seen.add(file_digest(str(file), str(tmp_path / "memo")).hash)
    assert 20 == len(seen)


def test_a_moved_file_is_not_read_again(tmp_path: Path) -> None:
    """A project folder that moves keeps its memo, because a move changes no inode."""
    folder = tmp_path / "before"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    age(folder / "a.txt")
    first = file_digest(str(folder / "a.txt"))
    folder.rename(tmp_path / "after")
    assert first is file_digest(str(tmp_path / "after" / "a.txt"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"hash": 3}', b"\xff" * 40])
def test_a_broken_memo_costs_time_only(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the memo, the digest is right."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    memo = tmp_path / "memo"
    expected = file_digest(str(file), str(memo)).hash
    for record in memo.iterdir():
        record.write_bytes(content)
    files._remembered.clear()
    assert expected == file_digest(str(file), str(memo)).hash


def test_the_memo_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MEMORI_VERIFY=content reads every file every time."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    first = file_digest(str(file))
    monkeypatch.setenv("MEMORI_VERIFY", "content")
    again = file_digest(str(file))
    assert first is not again
    assert first.hash == again.hash


DATA_BESIDE_A_HEADER = {
    "x.hdr": (b"no NIfTI", "x.img"),
    "packed.hdr": (b"no NIfTI", "packed.img.gz"),
    "x.img": (bytes(8), "x.hdr"),
    "x+orig.HEAD": (b"no AFNI", "x+orig.BRIK"),
    "y+orig.HEAD": (b"no AFNI", "y+orig.BRIK.gz"),
    "x.BRIK": (bytes(8), "x.HEAD"),
    "x.func.gii": (
        b'<?xml version="1.0"?><GIFTI Version="1.0" NumberOfDataArrays="1"><DataArray '
        b'Encoding="ExternalFileBinary" ExternalFileName="x.dat"><Data/></DataArray></GIFTI>',
        "x.dat",
    ),
    "x.mih": (b"mrtrix image\nfile: x.dat 0\n", "x.dat"),
}


@pytest.mark.parametrize("name", DATA_BESIDE_A_HEADER)
@pytest.mark.parametrize("in_new_process", [False, True])
def test_data_that_arrive_after_their_header_are_seen(
    tmp_path: Path, name: str, in_new_process: bool
) -> None:
    """Data that are fetched after their header count as soon as they are there."""
    raw, data = DATA_BESIDE_A_HEADER[name]
    header, memo = tmp_path / name, str(tmp_path / "memo")
    header.write_bytes(raw)
    age(header)
    seen = []
    for values in (None, b"one", b"two", None, b"one"):
        if values is None:
            (tmp_path / data).unlink(missing_ok=True)
        else:
            (tmp_path / data).write_bytes(values)
            age(tmp_path / data)
        if in_new_process:
            files._remembered.clear()
        seen.append(file_digest(str(header), memo))
        assert seen[-1].trusted
        assert seen[-1].identity == file_digest(str(header), memo).identity

    assert 3 == len({each.identity for each in seen})
    assert [each.identity for each in seen[:2]] == [each.identity for each in seen[3:]]
    assert [(), (data,), (data,), (), (data,)] == [each.companions for each in seen]


def test_an_old_header_without_data_is_read_once(tmp_path: Path) -> None:
    """Looking for what could belong to a file does not mean to read the file again."""
    header = tmp_path / "x.hdr"
    header.write_text("no NIfTI")
    age(header)
    memo = str(tmp_path / "memo")
    first = file_digest(str(header), memo)
    assert first is file_digest(str(header), memo)
    files._remembered.clear()  # as in a new process
    assert ("x.img", "x.img.gz") == first.absent == file_digest(str(header), memo).absent


def test_a_header_and_its_data_are_read_once(tmp_path: Path) -> None:
    """Also by later processes: what is kept says which data belong to the header."""
    raw, data = DATA_BESIDE_A_HEADER["x.mih"]
    header, memo = tmp_path / "x.mih", str(tmp_path / "memo")
    header.write_bytes(raw)
    (tmp_path / data).write_bytes(b"one")
    age(tmp_path / data)
    first = file_digest(str(header), memo)
    (kept,) = (tmp_path / "memo").iterdir()
    recalled = files._recall(str(kept))
    assert recalled is not None
    assert (first.identity, first.companions) == (recalled.identity, recalled.companions)


def test_a_file_that_is_gone_is_not_what_it_was(tmp_path: Path) -> None:
    """Its stat vouches for nothing any more."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    known = file_digest(str(file))
    assert unchanged(known, str(file))
    file.unlink()
    assert not unchanged(known, str(file))


def test_a_digest_survives_its_record(tmp_path: Path) -> None:
    """What is written to an entry is what is read from it."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    age(file)
    first = file_digest(str(file))
    again = from_record(to_record(first))
    assert (first.hash, first.content, first.stats) == (again.hash, again.content, again.stats)


def test_an_untrusted_digest_vouches_for_nothing(tmp_path: Path) -> None:
    """The record of a file that was too young holds no stat to trust."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    fresh = file_digest(str(file))
    assert not fresh.trusted
    assert "stat" not in to_record(fresh)


@pytest.mark.parametrize("size", [0, 1, 99_999, 3_000_000])
def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path, size: int) -> None:
    """However long a file is, its digest is the one that hashlib gives to its bytes."""
    raw = bytes(range(256)) * (size // 256 + 1)
    file = tmp_path / "x"
    file.write_bytes(raw[:size])
    assert hashlib.sha256(raw[:size]).hexdigest() == sha256_file(str(file))


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_bytes_and_meaning_side_by_side(tmp_path: Path, size: int) -> None:
    """`digests` returns what `sha256_file` and `content_of` do, for small files and large."""
    raw = b"mrtrix image\ndim: %d\ndatatype: UInt8\nfile: . 60\nEND\n" % size
    image, text = tmp_path / "x.mif", tmp_path / "x.txt"
    image.write_bytes(raw.ljust(60, b"\0") + bytes(size))
    text.write_bytes(raw)
    path = str(image)
    assert (sha256_file(path), content_of(path)) == digests(path)
    assert content_of(path) is not None
    assert None is digests(str(text))[1]


def test_a_large_file_whose_meaning_cannot_be_read_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the thread that interprets a file reaches the caller, and no thread stays."""

    def gone(path: str) -> None:
        raise FileNotFoundError(path)

    image = tmp_path / "x.mif"
    image.write_bytes(bytes(3_000_000))
    monkeypatch.setattr(formats, "content_of", gone)
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        digests(str(image))
    assert before == threading.active_count()


def test_threads_keep_the_order() -> None:
    """Outcomes come in the order of the items."""
    assert [n * n for n in range(100)] == in_threads(lambda n: n * n, list(range(100)))


def test_the_first_error_among_many_is_raised(tmp_path: Path) -> None:
    """The error of a thread reaches the caller, and no thread stays."""
    there = tmp_path / "a"
    there.write_bytes(b"a")
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        in_threads(sha256_file, [str(there), "/none", str(there), "/none-either"])
    assert before == threading.active_count()


def test_a_file_that_never_rests_is_never_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that leads to other old files, each time it was read, vouches for nothing."""
    versions = [tmp_path / str(number) for number in range(9)]
    for version in versions:
        version.write_text(version.name)
    link = tmp_path / "current"
    link.symlink_to(versions.pop())
    age(tmp_path / "0")
    read = files.digests

    def read_and_moved(path: str) -> object:
        found = read(path)
        link.unlink()
        link.symlink_to(versions.pop())
        return found

    monkeypatch.setattr(files, "digests", read_and_moved)
    assert not file_digest(str(link)).trusted


def test_of_errors_at_the_same_time_the_first_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is that of the items, however the threads take turns."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    both = threading.Barrier(2)

    def fails(number: int) -> None:
        both.wait(20)
        raise ValueError(number)

    for _ in range(9):
        with pytest.raises(ValueError, match=r"^0$"):
            in_threads(fails, [0, 1])
