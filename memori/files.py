"""Small file primitives: write whole or not at all.

A file is written under a unique name in the folder it belongs to and renamed over its target, so
that a reader (or the next run after a kill) finds the old content or the new one, never half.
The rename is the only promise; it holds on local and on network file systems. Nothing here calls
fsync, because a record damaged by a power failure is recognised by its own digest and costs one
rerun, while an fsync would cost milliseconds at every one.

Not promised: that the newest content survives a power failure; and that the old content can be
found at each moment on a file system in user space (sshfs, bindfs), which moves a file that
somebody reads out of the way before it renames another one over it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import contextmanager
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

_OPEN = "/proc/self/fd"


def partial_of(path: str) -> str:
    """Give a unique name beside `path`, hidden, and short enough where a name counts in bytes."""
    folder, name = os.path.split(path)
    start = os.fsencode(name)[:100].decode("utf-8", "ignore")  # no half of a letter at its end
    return os.path.join(folder, f".{start}.{os.urandom(6).hex()}.partial")


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Give a unique name beside `path` to write to, and rename what was written over `path`.

    If the block raises, what was written is removed, and what stood at `path` still stands.

    Parameters
    ----------
    path : str
        Where the file goes; its folder must exist.
    """
    partial = partial_of(path)
    try:
        yield partial
        move(partial, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # a write to a full disk does not say where
        remove_if_there(partial)
        raise


def atomic_write(path: str, content: bytes) -> None:
    """Replace the file at `path` by `content`, whole or not at all.

    Parameters
    ----------
    path : str
        Where the file goes; its folder must exist.
    content : bytes
        All of the file.

    Raises
    ------
    OSError
        If the content cannot be written; what stood at `path` before still stands.
    """
    with replacing(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


_FICLONE = 0x40049409  # share the blocks of another file (linux/fs.h)


def copy_content(source: str, stream: BinaryIO) -> None:
    """Copy a file to an open, empty one: as a clone where the file system can (XFS, Btrfs)."""
    import shutil

    try:
        import fcntl

        with open(source, "rb") as old:
            fcntl.ioctl(stream.fileno(), _FICLONE, old.fileno())
    except (ImportError, OSError):  # another file system, or one that shares no blocks
        shutil.copyfile(source, stream.name)


def copy_file(source: str, target: str) -> str:
    """Copy a file to where there is none, with its times and mode."""
    import shutil

    with open(target, "xb") as stream:
        copy_content(source, stream)
    shutil.copystat(source, target)
    return target


_MOST_MOVES = 100
_MOST_MISSING = 3
_MOST_STALE = 5


def move(source: str, target: str) -> None:
    """Rename a file over another one.

    A file system in user space (sshfs, bindfs) moves a target that somebody reads out of the way
    first; if it was removed elsewhere at that moment, the rename says that a file is not there, and
    for a moment so may be what the system knows of the names.
    """
    missing = 0
    for _ in range(_MOST_MOVES):
        try:
            os.replace(source, target)
            return
        except FileNotFoundError:
            is_there = os.path.lexists(source) and os.path.isdir(os.path.dirname(target) or ".")
            missing = 0 if is_there else missing + 1
            if missing == _MOST_MISSING:
                raise
            time.sleep(0.001 * missing)
    os.replace(source, target)


LARGEST = 1 << 28
"""Bytes of the largest file that is read whole; nothing that memori keeps comes near it."""
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_QUIETLY = _READING | getattr(os, "O_NOATIME", 0)
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


def content_of(path: str) -> bytes:
    """Return the bytes of a file that memori keeps, in as few system calls as can be.

    Its access time stays, which of an entry says when a run hit it last.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger than `LARGEST`.
    """
    for _ in range(_MOST_STALE):
        try:
            return _content_of(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise  # else another host has put another file there: that one is read
    return _content_of(path)


def _content_of(path: str) -> bytes:
    try:
        descriptor = os.open(path, _QUIETLY)
    except PermissionError:  # another user's file: only its owner may read it so
        descriptor = os.open(path, _READING)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        if status.st_size > LARGEST:
            raise OSError(errno.EFBIG, f"it has more than {LARGEST} bytes", path)
        content = os.read(descriptor, 65536)
        while len(content) <= LARGEST and (more := os.read(descriptor, 1 << 20)):
            content += more
        return content
    finally:
        os.close(descriptor)


def is_path(text: object) -> bool:
    """Tell whether the system can be asked about a path that somebody wrote down."""
    if not isinstance(text, str) or "\0" in text:
        return False
    try:
        return text.isascii() or bool(os.fsencode(text))
    except UnicodeEncodeError:
        return False


def opened(path: str, flags: int = 0) -> int:
    """Open a file that memori keeps, to write in its place, and return its descriptor.

    What is written never ends up elsewhere: in place of a link, or of a file that has another name
    as well, there is a copy of it first.

    Parameters
    ----------
    path : str
        The file, which is made if need be; its folder must exist.
    flags : int, optional
        Further ones of `os.open`.
    """
    try:
        descriptor = os.open(path, _WRITING | flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise
    else:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink < 2:
            return descriptor
        os.close(descriptor)
    try:
        content = content_of(path)
    except OSError:
        content = b""
    atomic_write(path, content)
    return os.open(path, _WRITING | flags, 0o666)


_HEAD = b'{"sha256": "'
_MIDDLE = b'",\n"record": '
_BODY = len(_HEAD) + 64 + len(_MIDDLE)


def sealed(record: bytes) -> bytes:
    """Return a JSON text as the content of a file that carries the text's own SHA-256."""
    return b"".join((_HEAD, sha256(record).hexdigest().encode(), _MIDDLE, record, b"}\n"))


def unsealed(content: bytes) -> bytes:
    """Return the JSON text of a file that `sealed` made.

    Raises
    ------
    ValueError
        If the file is broken or was edited.
    """
    record = content[_BODY:-2]
    if content != sealed(record):
        raise ValueError("it is broken or was edited by hand")
    return record


def make_folder(folder: str) -> None:
    """Make a folder and those above it, unless it is there; one system call where it is simple."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def remove_if_there(path: str) -> None:
    """Remove a file, unless somebody else did."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def still_written(paths: Collection[str]) -> list[str]:
    """Return those of some files that this process has open for writing; none if nobody tells."""
    from fcntl import F_GETFL, fcntl

    real = {os.path.realpath(path): path for path in paths}
    found: dict[str, None] = {}
    for number in _numbers_open() if real else ():
        try:
            path = real.get(os.readlink(f"{_OPEN}/{number}"))
            if path is not None and fcntl(int(number), F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                found[path] = None
        except OSError:
            continue  # closed meanwhile
    return list(found)


def _numbers_open() -> list[str]:
    try:
        return os.listdir(_OPEN)
    except OSError:  # no Linux
        return []
