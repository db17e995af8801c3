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


@contextmanager
def lock(path: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path`, and tell that nobody else does; it dies with its holder.

    The file is removed by its holder, so whoever waited for a file that is gone asks again.
    Where the lock file cannot be made (a folder that is read-only, a disk that is full, a file
    system without locks) the work goes on without it: it is the record that will fail, and say so.

    Parameters
    ----------
    path : str
        The lock file.
    wait : bool, optional
        Whether to wait for whoever holds it, rather than go on without.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = _locked(path, wait)
    except OSError:
        yield True
        return
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        remove_if_there(path)
        os.close(descriptor)


def _locked(path: str, wait: bool) -> int | None:
    from filelock import lock_descriptor

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            held = lock_descriptor(descriptor, blocking=wait, poll_interval=0.02)
            if held and os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not held:
            return None


def remove_if_there(path: str) -> None:
    """Remove a file, unless somebody else did."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
