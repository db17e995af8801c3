"""Run a call in a folder of its own, while the rest of the process stays where it is.

Many interfaces look for their files in the current folder, and a process has only one. On Linux a
thread can leave that arrangement: after ``unshare(CLONE_FS)`` a change of folder is its own, and
the programs that it starts begin there. Where the system refuses (another system, a container
without the right), the call goes to a worker process that is kept for the next one.

A call that is interrupted ends what it has started.

Not promised: the folder in threads of other origin (a pool that existed before); signal handlers,
which Python sets in the main thread only; and, in a worker process, objects that cannot be sent.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from memori.processes.interrupts import GRACE, end_started

_CLONE_FS = 0x200
_pool: Any = None
_pool_lock = threading.Lock()


def run_in(folder: str, call: Callable[..., Any], *args: Any) -> Any:
    """Return ``call(*args)``, run with `folder` as its current folder.

    Parameters
    ----------
    folder : str
        Absolute; it must exist.
    call : callable
        What to run.
    *args : object
        Its arguments.

    Raises
    ------
    BaseException
        What the call raises.
    """
    if not can_unshare():
        return _run_in_process(folder, call, args)
    outcome: list[Any] = []
    context = copy_context()

    def run() -> None:
        try:
            _unshare()
            os.chdir(folder)
            outcome.extend((True, context.run(call, *args)))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=run, name=f"memori in {os.path.basename(folder)}")
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C reaches this thread, the work is in the other
        while thread.is_alive():  # and may start something more
            end_started()
            thread.join(GRACE)
        raise
    succeeded, value = outcome
    if succeeded:
        return value
    try:
        raise value
    finally:
        del value  # the traceback would keep this frame, and the frame the traceback
        outcome.clear()


def can_unshare() -> bool:
    """Tell whether a thread can have a current folder of its own here."""
    global _allowed
    if _allowed is None:
        found: list[bool] = []

        def attempt() -> None:
            try:
                _unshare()
                found.append(True)
            except OSError:
                found.append(False)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        _allowed = found[0]
    return _allowed


_allowed: bool | None = None


def _unshare() -> None:
    if not sys.platform.startswith("linux"):
        raise OSError("only Linux has folders of threads")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_FS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run_in_process(folder: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    global _pool
    from loky import ProcessPoolExecutor, wrap_non_picklable_objects

    with _pool_lock:
        if _pool is None:
            _pool = ProcessPoolExecutor(max_workers=os.cpu_count())
            atexit.register(_pool.shutdown)
    return _pool.submit(_call_in, folder, wrap_non_picklable_objects(call), args).result()


def _call_in(folder: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    before = os.getcwd()
    os.chdir(folder)
    try:
        return call(*args)
    finally:
        os.chdir(before)
