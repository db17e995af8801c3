"""Exit codes: how a program ended is known only where the system keeps it.

Whoever ignores SIGCHLD has it forget how children end, and hands that on to whatever is started: a
Python below a daemon that does so takes every failure of a program for a success. While a command
runs the signal is therefore as the system has it by default.

Not promised: exit codes of programs that functions start themselves.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_going_on = 0
_lock = Lock()


@contextmanager
def exit_codes_kept() -> Iterator[None]:
    """Have the system keep how programs end that are started inside a with block."""
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        yield
        return
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(more: int) -> None:
    """Count who wants them kept; the first and the last one tell the system."""
    global _going_on
    with _lock:
        _going_on += more
        if _going_on == (more > 0):
            _put(signal.SIG_DFL if more > 0 else signal.SIG_IGN)


def _put(what: signal.Handlers) -> None:
    """Set what SIGCHLD does, behind Python's back: it lets the main thread alone do so."""
    import ctypes

    put = ctypes.CDLL(None).signal
    put.argtypes, put.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    put(signal.SIGCHLD, what)
