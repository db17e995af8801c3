"""A file is there whole, or as it was before."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from memori.files import (
    atomic_write,
    make_folder,
    remove_if_there,
    replacing,
    sealed,
    still_written,
    unsealed,
)


def test_what_a_block_wrote_takes_the_place_of_the_file(tmp_path: Path) -> None:
    """Nobody sees the new content before the block ends, and nothing else is left."""
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(str(path)) as partial:
        Path(partial).write_text("new")
        assert "old" == path.read_text()
        assert os.path.dirname(partial) == str(tmp_path)
    assert "new" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_leaves_the_file_as_it_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    """What it wrote is removed, whatever it was that ended it, and the error is its own."""
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with replacing(str(path)) as partial:
            Path(partial).write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    """A file is not replaced by none."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(str(path)):
        pass
    assert "old" == path.read_text()


def test_a_long_name_can_be_replaced(tmp_path: Path) -> None:
    """Also one of as many bytes as a file system admits."""
    path = tmp_path / ("n" * 255)
    atomic_write(str(path), b"new")
    assert b"new" == path.read_bytes()


def test_many_can_replace_one_file_at_once(tmp_path: Path) -> None:
    """Readers find the content of one of them, whole."""
    path = tmp_path / "file"
    contents = [bytes([n]) * 100_000 for n in range(4)]
    atomic_write(str(path), contents[0])

    def write(content: bytes) -> None:
        for _ in range(50):
            atomic_write(str(path), content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_bytes() in contents
    assert [path] == list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    """A folder in its place stays, and nothing half is left."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="director"):
        atomic_write(str(tmp_path / "folder"), b"new")
    assert ["folder"] == os.listdir(tmp_path)


@pytest.mark.parametrize("record", [b"", b"{}", b'{"a": [1, 2]}', bytes(range(256)), b"}\n" * 3])
def test_what_was_sealed_is_unsealed(record: bytes) -> None:
    """Any text comes back as it was."""
    assert record == unsealed(sealed(record))


def test_a_sealed_text_that_changed_at_all_is_refused() -> None:
    """Whichever byte is changed, cut off or added."""
    content = sealed(b'{"output": 4}')
    damaged = [content[:at] + b"?" + content[at + 1 :] for at in range(len(content))]
    damaged += [content[:at] for at in range(len(content))]
    damaged += [content + b"\n", b" " + content, bytes(len(content))]
    for each in damaged:
        with pytest.raises(ValueError, match="broken or was edited"):
            unsealed(each)


def test_folders_are_made_and_files_removed_once_or_twice(tmp_path: Path) -> None:
    """Whoever comes second finds it done."""
    for _ in range(2):
        make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for _ in range(2):
        remove_if_there(str(tmp_path / "file"))
    assert not (tmp_path / "file").exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells what is open")
def test_a_file_that_is_open_for_writing_is_told_from_one_that_is_read(tmp_path: Path) -> None:
    """By the name that it was asked for, also through a link, and until it is closed."""
    for name in ("read", "written", "closed"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("written")
    paths = [str(tmp_path / name) for name in ("read", "link", "closed", "nowhere")]
    with open(tmp_path / "closed", "w"):
        pass
    with open(tmp_path / "read"), open(tmp_path / "written", "a"):
        assert [str(tmp_path / "link")] == still_written(paths)
    assert [] == still_written(paths)
