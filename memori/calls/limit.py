"""A limit of time: what a stage's `timeout` does to its callable.

When the time is past, a `TimeLimitError` is raised inside the callable: in the main thread at once,
also where it waits for the system; in other threads at their next line of Python. What it started
is ended if that is not enough. The error is raised again every few seconds while the callable goes
on, and in any case when it returns, so what comes too late is never remembered.

Whatever the callable raises after that is the cause of the error, and no other failure. The error
shows where the callable was.

A worker process whose callable does not heed (a call of C code that does not return) is ended with
it by who waits for it (`memori.scheduling.dispatch`), where both are on one machine.

Not promised: to end C code in the process of the call itself, or a thread that waits; it is waited
for, and has failed then.
"""

from __future__ import annotations

import sys
import time
from _thread import allocate_lock, get_ident, start_new_thread

from memori.aside import aside
from memori.calls.current_run import tell_deadline
from memori.errors import TimeLimitError, note
from memori.processes.interrupts import GRACE, going_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, TypeAlias

    Trace: TypeAlias = TracebackType | None

_PATIENCE = 0.5  # seconds in which a callable has ended that was interrupted

_limits: dict[int, list[limit]] = {}  # by thread, each inside the one before
_before: Any = None  # what heard our signal in the main thread before we did


class limit:  # noqa: N801  a context manager, read as a word
    """Interrupt what runs in a with block when so many seconds are past; None for never."""

    def __init__(self, seconds: float | None, stage: str) -> None:
        self.seconds = seconds
        self._stage = stage
        self._stack = ""
        self._threads: list[str] = []
        self.is_past = False
        self.is_over = False

    @property
    def error(self) -> TimeLimitError:
        """What is raised when the time is past."""
        text = f"stage {self._stage!r} ran longer than its timeout of {self.seconds:g} s"
        return TimeLimitError(text, self._stage, self.seconds)

    def __enter__(self) -> None:
        if self.seconds is None:
            return
        self._thread = get_ident()
        self._around = id(sys._getframe(1))
        self._before = set(sys._current_frames())
        self._is_main = _is_main_thread()
        self._going = going_here()
        self._ended = allocate_lock()
        self._ended.acquire()
        self.deadline = time.monotonic() + self.seconds + GRACE
        around = _limits.setdefault(self._thread, [])
        if self._is_main and not around:
            _listen()
        around.append(self)
        _tell_first(around)
        with aside():
            start_new_thread(self._wait, ())

    def __exit__(self, kind: object, raised: BaseException | None, trace: Trace) -> None:
        if self.seconds is None:
            return
        try:
            self._close()
        except TimeLimitError:  # it came at this very moment
            self._close()
        if not self.is_past or not (raised is None or isinstance(raised, Exception)):
            return
        error = self.error
        for stack in self._threads:
            note(error, f"memori: and a thread that was started meanwhile was at\n{stack}")
        if raised is None:  # it swallowed what told it so
            note(error, f"memori: when its time was past it was at\n{self._stack}")
        elif isinstance(raised, TimeLimitError) and raised.stage in (None, self._stage):
            raise error.with_traceback(trace) from None
        raise error from raised

    def _close(self) -> None:
        self.is_over = True
        around = _limits.get(self._thread, [])
        if self in around:
            around.remove(self)
            self._ended.release()
        if around:
            _tell_first(around)
            return
        _limits.pop(self._thread, None)
        tell_deadline()
        if self._is_main:
            _stop_listening()
        elif self.is_past:
            _raise_in(self._thread, None)

    # In the thread that waits

    def _wait(self) -> None:
        assert self.seconds is not None
        if self._ended.acquire(timeout=self.seconds):
            return
        self._stack = _stack_of(self._thread, self._around)
        self._threads = self._started() if _waits_for_threads(self._thread) else []
        self.is_past = True
        if self._going is not None:
            self._going.is_interrupted = True
        self._interrupt()
        while not self._ended.acquire(timeout=_PATIENCE):
            with aside():
                if self._going is not None:
                    self._going.end_children()
            if self._ended.acquire(timeout=GRACE):
                return
            self._interrupt()

    def _started(self) -> list[str]:
        """Return where the threads are that were started since."""
        others = sys._current_frames().keys() - self._before - {get_ident()}
        return [stack for each in others if (stack := _stack_of(each, 0))]

    def _interrupt(self) -> None:
        if self.is_over:
            return
        if self._is_main:
            import signal

            signal.pthread_kill(self._thread, _signal())
        else:
            _raise_in(self._thread, TimeLimitError)


def _tell_first(around: list[limit]) -> None:
    first = min(around, key=lambda each: each.deadline)
    assert first.seconds is not None
    tell_deadline(first.deadline, first.seconds, grace=GRACE)


def _stack_of(thread: int, around: int) -> str:
    """Return where a thread is, as Python prints it, from the callable on that a limit is around.

    Parameters
    ----------
    thread : int
        Which.
    around : int
        The `id` of the frame that the limit was entered in.
    """
    import traceback

    frames: list[tuple[FrameType, int]] = []
    frame = sys._current_frames().get(thread)
    while frame is not None and id(frame) != around:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    while frames and _module_of(frames[-1][0]).partition(".")[0] in ("memori", "threading"):
        frames.pop()
    return "".join(traceback.StackSummary.extract(reversed(frames)).format())


def _waits_for_threads(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    return frame is not None and _module_of(frame) == "threading"


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an error in a thread at its next line; None takes back one that was not raised yet."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )


def _signal() -> int:
    """Return a signal that nobody else uses, where the system has one."""
    import signal

    return getattr(signal, "SIGRTMAX", signal.SIGALRM)


def _listen() -> None:
    import signal

    global _before
    _before = signal.signal(_signal(), _hear)


def _stop_listening() -> None:
    import signal

    signal.signal(_signal(), signal.SIG_DFL if _before is None else _before)


def _hear(number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_globals.get("__name__") == __name__:
        return  # on its way in or out
    for each in _limits.get(get_ident(), ()):
        if each.is_past and not each.is_over:
            raise each.error
