"""Locks between threads, processes and hosts that leave nothing behind.

One file stands for all locks of a folder; a lock is one byte of it, held through an open file
description of its own (``F_OFD_SETLK``). So two threads exclude each other as two processes do,
NFS carries the lock to other hosts, nothing is made or removed for it, and it ends when its holder
does, however that comes about. Where the system has no such locks, a file per lock is locked
whole (``flock``).

Not promised: exclusion everywhere. Where locks are refused (``ENOLCK``), where the file cannot be
written, or where two mounts of one folder do not share them, two holders may work at once. Nothing
that is guarded by a lock may be lost or wrong then; it may only be done twice.
"""

from __future__ import annotations

import errno
import os
from struct import pack

from memori.files import make_folder

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_WITHOUT_RANGES = (errno.EINVAL, errno.ENOSYS)


class lock:  # noqa: N801  a context manager, read as a word
    """Hold one of a folder's locks inside a with block.

    The value is True where it is held, False if somebody else holds it and one would not wait,
    None where no lock can be had; the work goes on in each case. A process that the holder forks
    does not hold the lock with it.

    Parameters
    ----------
    path : str
        The file that stands for the locks; it is made, with its folder, if it is not there.
    number : int
        Which lock, from 0 to 2**62.
    wait : bool, optional
        Whether to wait for whoever holds it.
    shared : bool, optional
        Whether others may hold it as well who share it.
    """

    __slots__ = ("_descriptor", "_number", "_own_file", "_path", "_shared", "_wait")

    def __init__(self, path: str, number: int, *, wait: bool = True, shared: bool = False) -> None:
        self._shared = shared
        self._path = path
        self._number = number
        self._wait = wait
        self._descriptor = -1
        self._own_file: str | None = None

    def __enter__(self) -> bool | None:
        try:
            return self._acquire()
        except OSError:
            return None
        except BaseException:  # interrupted while it waited
            self._let_go()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def _acquire(self) -> bool:
        if _has_ranges():
            self._open(self._path)
            try:
                how = {"wait": self._wait, "shared": self._shared}
                return _lock_range(self._descriptor, self._number, **how)
            except OSError as error:
                if error.errno not in _WITHOUT_RANGES:
                    raise
                self._let_go()
        return self._acquire_whole(f"{self._path}-{self._number:x}")

    def _acquire_whole(self, path: str) -> bool:
        while True:
            self._open(path)
            if not _lock_whole(self._descriptor, wait=self._wait, shared=self._shared):
                return False
            try:
                if os.path.samestat(os.fstat(self._descriptor), os.stat(path)):
                    self._own_file = path
                    return True
            except FileNotFoundError:
                pass
            self._let_go()  # its holder removed the file: ask again

    def _open(self, path: str) -> None:
        self._descriptor = _opened(path)
        _asking.add(self)

    def _let_go(self) -> None:
        if self._descriptor < 0:  # nothing was opened, or in a process that was forked meanwhile
            return
        descriptor, self._descriptor = self._descriptor, -1
        own_file, self._own_file = self._own_file, None
        _asking.discard(self)
        # Closing is not enough if a child that was just being forked has the file open, too.
        if own_file is None:
            _unlock_range(descriptor, self._number)
        else:
            _unlock_whole(descriptor, own_file, shared=self._shared)
        os.close(descriptor)


_asking: set[lock] = set()
"""The locks whose file this process has open: those that it holds or waits for."""


def _close_in_child() -> None:
    """Give up the child's share of what its parent has; else it would hold, or come to hold, it."""
    while _asking:
        given_up = _asking.pop()
        os.close(given_up._descriptor)
        given_up._descriptor = -1


os.register_at_fork(after_in_child=_close_in_child)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        return os.open(path, flags, 0o666)


def _has_ranges() -> bool:
    return hasattr(fcntl, "F_OFD_SETLK")


def _lock_range(descriptor: int, number: int, *, wait: bool, shared: bool) -> bool:
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    asked = _range(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, number)
    return _granted(lambda: fcntl.fcntl(descriptor, command, asked))


def _range(kind: int, number: int) -> bytes:
    # struct flock: type, whence, start, length, pid (which must be 0)
    return pack("hhqqi4x", kind, os.SEEK_SET, number, 1, 0)


def _lock_whole(descriptor: int, *, wait: bool, shared: bool) -> bool:
    if fcntl is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    return _granted(lambda: fcntl.flock(descriptor, how))


def _unlock_range(descriptor: int, number: int) -> None:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_UNLCK, number))
    except (OSError, AttributeError):
        pass  # refused, or there are none: then none is held


def _unlock_whole(descriptor: int, path: str, *, shared: bool) -> None:
    try:
        if not shared or _lock_whole(descriptor, wait=False, shared=False):
            os.unlink(path)  # nobody else has it
    except OSError:
        pass  # somebody removed it
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _granted(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True
