"""Small file primitives: write whole or not at all.

A file is written under a unique name in the folder it belongs to and renamed over its target, so
that a reader (or the next run after a kill) finds the old content or the new one, never half.
The rename is the only promise; it holds on local and on network file systems. What is not
promised: that the newest content survives a power failure. Nothing here calls fsync, because a
record damaged by a power failure is recognised by its own digest and costs one rerun, while an
fsync would cost milliseconds at every one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


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
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        os.replace(partial, path)
    except BaseException:
        remove_if_there(partial)
        raise


_held: set[int] = set()
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


@contextmanager
def lock(folder: str, *, wait: bool = True, passing: bool = False) -> Iterator[bool | None]:
    """Hold the lock of a folder, and tell whether it is held; it dies with its holder.

    The folder itself is locked, which leaves no file behind; on a network file system that locks
    only files, a file in it is. Where neither can be had (a folder that is read-only, a disk that
    is full, a file system without locks) the answer is None and the work goes on. A process that
    the holder forks does not hold the lock with it.

    Parameters
    ----------
    folder : str
        It is made if it is not there.
    wait : bool, optional
        Whether to wait for whoever holds it, rather than go on without.
    passing : bool, optional
        Whether the folder is there for the lock alone, and goes with it.
    """
    try:
        descriptor = _locked(folder, wait)
    except OSError:
        yield None
        return
    if descriptor is None:
        yield False
        return
    _held.add(descriptor)
    try:
        yield True
    finally:
        if descriptor in _held:  # not in a process that was forked meanwhile
            if passing:
                _remove_empty(folder)
            _held.discard(descriptor)
            os.close(descriptor)


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


def _locked(folder: str, wait: bool) -> int | None:
    while True:
        make_folder(folder)
        try:
            descriptor = _locked_descriptor(folder, os.O_RDONLY | os.O_DIRECTORY, wait)
            if descriptor is None or _is_still_at(descriptor, folder):
                return descriptor
            os.close(descriptor)
        except FileNotFoundError:
            pass  # its holder removed it: ask again
        except OSError:
            return _locked_descriptor(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT, wait)


def _is_still_at(descriptor: int, folder: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        pass  # a lock file of a network file system is in it


def _locked_descriptor(path: str, flags: int, wait: bool) -> int | None:
    from filelock import lock_descriptor

    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        if lock_descriptor(descriptor, blocking=wait, poll_interval=0.02):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


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
