"""Ending in order: what a run started ends with it, whoever ends the run.

Ctrl-C is a KeyboardInterrupt of the main thread. While something of memori's runs there, SIGTERM
and SIGHUP are one too (`terminable`), so that locks are let go and folders removed on the way out;
the process then dies of its signal, as it would have done. Only a signal with the default
disposition is heard so, and the disposition is given back: whoever set a handler, or ignores the
signal, keeps it.

What a callable started and left running when it is interrupted (a `subprocess.Popen`) is ended with
it (`Going`); what was there before is not touched. Work that goes on in other threads is ended by
`end_started`. And should this process be killed, `memori.processes.watchdog`, one small process
that is started when the first program is, ends what it told that it had begun.

Not promised: to hear a signal before a call of C code that is going on returns, as with Ctrl-C;
handlers in other threads than the main one; and on other systems than Linux, the children of a
Python callable.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock, get_ident, get_native_id, start_new_thread

from memori.aside import aside
from memori.errors import TimeLimitError
from memori.processes.family import children, serves_whole_process, threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

GRACE = 2.0  # seconds between asking to end and killing

_at_interrupt: list[Callable[[], None]] = []
_at_death: list[Callable[[], None]] = []


def at_interrupt(call: Callable[[], None]) -> None:
    """Have something called when the user interrupts while work is going on in threads.

    Only the main thread sees Ctrl-C; whoever waits in other threads for something that can be
    ended (a command) says here how.
    """
    _at_interrupt.append(call)


def at_death(call: Callable[[], None]) -> None:
    """Have something called before a signal ends this process; `atexit` is not heard then."""
    _at_death.append(call)


def end_started() -> None:
    """End what the threads of this process have started; what they run is not remembered."""
    for call in _at_interrupt:
        call()
    for going in list(_going):
        going.end_children()


# Signals

_replaced: list[int] = []
_unraisable: list[Any] = []  # the hook of others
_received: int | None = None


class terminable:  # noqa: N801  a context manager, read as a word
    """Inside a with block of the main thread, SIGTERM and SIGHUP interrupt before they end it."""

    __slots__ = ("_is_outermost",)

    def __enter__(self) -> None:
        self._is_outermost = not _replaced and _is_main_thread() and _listen()

    def __exit__(self, *error: object) -> None:
        if self._is_outermost:
            _stop_listening()


def is_terminating() -> bool:
    """Tell whether this process was told to end, and is on its way out."""
    return _received is not None


def _is_main_thread() -> bool:
    threading = sys.modules.get("threading")  # without it there is but one thread
    return threading is None or threading.current_thread() is threading.main_thread()


def _listen() -> bool:
    import _signal  # type: ignore[import-not-found]  # each run asks: `signal` makes enumerations

    for number in (_signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _replaced.append(number)
            _signal.signal(number, _hear)
    if _replaced and sys.unraisablehook is not _swallowed:
        _unraisable[:] = [sys.unraisablehook]
        sys.unraisablehook = _swallowed
    return bool(_replaced)


def _hear(number: int, frame: object) -> None:
    global _received
    _received = number
    for going in _going:
        going.ask_children()
    raise KeyboardInterrupt(f"signal {number}")


def _swallowed(told: Any) -> None:
    """Interrupt again if Python swallowed it: in what is called around a fork, or as objects go."""
    if _received is not None and isinstance(told.exc_value, KeyboardInterrupt):
        start_new_thread(_signal_again, (_received,))
    else:
        _unraisable[0](told)


def _signal_again(number: int) -> None:
    time.sleep(0.01)  # until what swallowed it is over
    os.kill(os.getpid(), number)


def _stop_listening() -> None:
    import _signal

    if sys.unraisablehook is _swallowed:
        sys.unraisablehook = _unraisable[0]
    _let_watchdog_sleep()
    while _replaced:
        try:
            _signal.signal(_replaced[-1], _signal.SIG_DFL)
            _replaced.pop()
        except KeyboardInterrupt:
            pass  # it came at this very moment, and was noted
    if _received is not None:
        for call in _at_death:
            call()
        os.kill(os.getpid(), _received)


# What a callable leaves running


class Going:
    """A callable that is running, in a with block: interrupted, it ends what it started."""

    __slots__ = ("_before", "_threads", "is_interrupted", "thread")

    def __enter__(self) -> None:
        if not _going:
            _hear_of_starts()
        self.is_interrupted = False
        self.thread = str(get_native_id())
        self._before = children(self.thread)
        self._threads = threads()
        _going.append(self)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None and issubclass(kind, (KeyboardInterrupt, TimeLimitError)):
            self.end_children()
        _going.remove(self)
        if not _going:
            _say_that_all_is_over()
        if kind is None and self.is_interrupted:
            raise KeyboardInterrupt("what this run had started was ended")

    def ask_children(self) -> None:
        """Ask what the callable has started to end."""
        import signal

        from memori.processes import watchdog

        self.is_interrupted = True
        for child in self._started():
            watchdog.send(os.kill, child, signal.SIGTERM)

    def end_children(self) -> None:
        """End what the callable has started and all that descends from it, asking first."""
        from memori.processes import watchdog

        self.is_interrupted = True
        is_only = _going == [self]  # then what is marked is its own, whoever its parent is now
        marks = [_mark] if is_only and _mark is not None else []
        started = self._started()
        if started or marks:
            watchdog.end(started, marks, grace=GRACE)

    def is_in(self, thread: str) -> bool:
        """Tell whether it runs in this thread."""
        return self.thread == thread

    def _started(self) -> set[int]:
        found = children(self.thread) - self._before
        for thread in threads() - self._threads:
            found |= children(thread)
        return {child for child in found if not serves_whole_process(child)}


_going: list[Going] = []


def going_here() -> Going | None:
    """Return what is running in this thread, the innermost of it."""
    thread = str(get_native_id())
    return next((each for each in reversed(_going) if each.is_in(thread)), None)


# The process that ends what a killed one leaves

_STARTS = frozenset(
    ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn")
)
_hears_of_starts = False
_mark: str | None = None  # of what is going on, once it has started a program
_adopted = False
_told: dict[str, list[bytes]] = {}
_lock = allocate_lock()
_pipe: int | None = None
_AS_NO_CHILD = 'exec 3<&0; "$0" "$@" <&3 3<&- &'  # who waits for all children would wait for it
_starting: int | None = None  # the thread that starts it
_wakes = False  # whether it hears of signals


def new_mark() -> str:
    """Return a mark that no other run has."""
    return f"{os.getpid()}.{os.urandom(6).hex()}"


def tell(mark: str, kind: str, *fact: object) -> None:
    """Tell the process that watches over this one; start it first if need be."""
    import json

    global _pipe
    line = json.dumps([kind, mark, *fact]).encode("ascii") + b"\n"
    with aside(), _lock:
        if kind == "end":
            _told.pop(mark, None)
        else:
            _told.setdefault(mark, []).append(line)
        try:
            if _pipe is not None:
                _write(_pipe, line)
                return
        except BrokenPipeError:  # somebody killed it
            _let_watchdog_sleep()
            os.close(_pipe or -1)
            _pipe = None
        if _told:
            _pipe = _start_watching()
            if _pipe is not None:
                _write(_pipe, b"".join(line for lines in _told.values() for line in lines))


def _write(pipe: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        try:
            view = view[os.write(pipe, view) :]
        except BlockingIOError:  # it has not read on yet
            import select

            select.select((), (pipe,), ())


def adopt(mark: str | None) -> None:
    """Leave it to another process to end what this one starts under a mark; None takes it back."""
    global _mark, _adopted
    _mark, _adopted = mark, mark is not None
    _put_mark(mark)


def _put_mark(mark: str | None) -> None:
    """Mark what is started from now on, behind the back of `os.environ`."""
    mark = mark or os.environ.get("MEMORI_RUN")
    if mark is None:
        os.unsetenv("MEMORI_RUN")
    else:
        os.putenv("MEMORI_RUN", mark)


def _hear_of_starts() -> None:
    global _hears_of_starts
    if not _hears_of_starts:
        _hears_of_starts = True
        sys.addaudithook(_hear_of_event)


def mark_of_start() -> str | None:
    """Return the mark of what is about to be started, for who gives it an environment."""
    _hear_of_event("subprocess.Popen", ())
    return _mark or os.environ.get("MEMORI_RUN")


def _hear_of_event(event: str, facts: object) -> None:
    global _mark
    if event not in _STARTS or not _going or _starting == get_ident():
        return
    going = None if _is_main_thread() else going_here()  # other threads hear no signal
    if going is not None and going.is_interrupted:
        raise KeyboardInterrupt("memori was interrupted: nothing more is started")
    if _mark is None:
        _mark = new_mark()
        _put_mark(_mark)
        tell(_mark, "begin", None)
        tell(_mark, "called", True)
    if _replaced and not _wakes and _is_main_thread():
        _wake_watchdog()


def _wake_watchdog() -> None:
    """Let the watchdog hear of signals at once; Python does so when `os.system` is over."""
    import signal

    global _wakes
    if _pipe is not None:
        before = signal.set_wakeup_fd(_pipe, warn_on_full_buffer=False)
        _wakes = before == -1
        if not _wakes:  # somebody else's
            signal.set_wakeup_fd(before)


def _let_watchdog_sleep() -> None:
    global _wakes
    if _wakes and _is_main_thread():
        import signal

        _wakes = False
        now = signal.set_wakeup_fd(-1)
        if now != _pipe:
            signal.set_wakeup_fd(now)


def _say_that_all_is_over() -> None:
    global _mark
    if _mark is not None and not _adopted:
        tell(_mark, "end")
        _mark = None
        _put_mark(None)


def _start_watching() -> int | None:
    import signal

    from memori.processes import watchdog

    global _starting
    _starting = get_ident()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # for signals' sake
    streams = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
    words = [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid())]
    try:
        starter = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _AS_NO_CHILD, *words],
            {name: text for name, text in os.environ.items() if name != "MEMORI_RUN"},
            file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *streams],
            setpgroup=0,
            setsigdef=[signal.SIGPIPE],
        )
        os.waitpid(starter, 0)
    except ChildProcessError:
        pass  # somebody else has waited for it
    except (OSError, ValueError) as error:  # no interpreter of its own, or no room
        from logging import getLogger

        getLogger(__name__).warning("programs will outlive memori if it is killed: %s", error)
        os.close(writing)
        return None
    finally:
        _starting = None
        os.close(reading)
    return writing


def _forget() -> None:
    """Begin anew in a forked child: what it starts is its own."""
    global _lock, _pipe, _mark, _adopted, _received, _wakes
    _let_watchdog_sleep()
    _lock = allocate_lock()
    _told.clear()
    _going.clear()
    _mark, _adopted, _received, _wakes = None, False, None, False
    if _replaced:
        import signal

        while _replaced:
            signal.signal(_replaced.pop(), signal.SIG_DFL)
    if _pipe is not None:
        os.close(_pipe)
        _pipe = None


os.register_at_fork(after_in_child=_forget)
