"""Run one command to its end, and leave nothing behind.

A command gets a session of its own (so that a terminal's Ctrl-C reaches memori first, and all its
children can be ended together), nothing on its standard input, and two files for what it prints: no
thread has to read along, and nothing is lost when memori is killed. What it leaves running in its
process group when it ends is waited for (`memori.neuro.process.rest` says how long), and is ended
with it when it is ended. If memori itself is killed,
`memori.processes.watchdog`, one small process per process that runs commands, ends the commands. A
worker process (loky, multiprocessing) ends its command, and itself, when its parent is gone.

What a command prints can be followed while it runs; DEBUG of the logger
``memori.neuro.process.run`` shows it line by line.

Not promised: the order between what a command prints on its two streams.
"""

from __future__ import annotations

import logging
import os
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memori.neuro.process.rest import IDLE, Rest
from memori.processes import watchdog
from memori.processes.interrupts import GRACE, at_interrupt, new_mark, tell

log = logging.getLogger(__name__)
TICK = 0.05  # seconds between two looks at what a command has printed
PULSE = 1.0  # seconds between two looks of a worker at whether its parent lives

Listener = Callable[[str, bytes], object]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    code : int
        Its exit code; minus the number of the signal that killed it.
    seconds : float
        How long it ran.
    timed_out : bool
        Whether it was ended because its time was over.
    interrupted : bool
        Whether `end_all` ended it.
    left : str
        What it left running that memori ended then, and why; nothing if there was none.
    """

    code: int
    seconds: float
    timed_out: bool
    interrupted: bool = False
    left: str = ""


def run_process(
    argv: Sequence[str],
    *,
    executable: str,
    folder: str,
    stdout: str,
    stderr: str,
    environment: Mapping[str, str],
    timeout: float | None = None,
    listen: Listener | None = None,
    stop: Sequence[str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Ended:
    """Run a command to its end.

    Parameters
    ----------
    argv : sequence of str
        The program's name and its arguments.
    executable : str
        Path of the program.
    folder : str
        Where it runs.
    stdout, stderr : str
        Files that take what it prints; they are replaced.
    environment : Mapping of str to str
        The whole environment.
    timeout : float, optional
        Seconds after which it is ended.
    listen : callable, optional
        Called with "stdout" or "stderr" and the bytes as they come.
    stop : sequence of str, optional
        A command that ends what signals cannot reach (a container).
    stdin : int, optional
        What it reads from its standard input; nothing unless given.

    Raises
    ------
    InterruptedError
        If `end_all` was called since this thread called `note_interrupts`.
    OSError
        If it cannot be started.
    """
    _, known = _thread.__dict__.pop("noted", (None, _interrupts))
    if known != _interrupts:
        raise InterruptedError("memori was interrupted")
    mark = new_mark()
    began = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    tell(mark, "begin", None if stop is None else list(stop))
    try:
        with open(stdout, "wb") as out, open(stderr, "wb") as err:
            process = subprocess.Popen(
                argv,
                executable=executable,
                cwd=folder,
                env={**environment, "MEMORI_RUN": mark},
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        _running[mark] = process, stop
        if known != _interrupts:  # `end_all` came before it could know of this one
            _interrupted.add(mark)
            watchdog.send(os.killpg, process.pid, signal.SIGTERM)
        tell(mark, "group", process.pid)
        followers = _followers(listen, stdout, stderr)
        until = None if timeout is None else time.monotonic() + timeout
        in_time, left = _wait(process, until, followers), ""
        if in_time:
            in_time, left = _wait_for_rest(process, mark, until, followers)
        if not in_time:
            _end(process, mark, stop)
        code = process.wait()
        _read_on(followers, last=True)
        return Ended(code, time.monotonic() - began, not in_time, mark in _interrupted, left)
    except BaseException:
        _end(process, mark, stop)
        raise
    finally:
        _running.pop(mark, None)
        _interrupted.discard(mark)
        tell(mark, "end")


def end_all() -> None:
    """End every command of this process; those who wait for one see it killed."""
    global _interrupts
    _interrupts += 1
    running = [(mark, each) for mark, each in _running.items() if not _is_over(each[0])]
    for mark, (process, _) in running:  # all are asked before the first is waited for
        _interrupted.add(mark)
        watchdog.send(os.killpg, process.pid, signal.SIGTERM)
    _stop([stop for _, (_, stop) in running if stop is not None])
    for mark, (process, _) in running:
        _end(process, mark, None, reap=False)


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a command has ended by itself, with all that it left."""
    with _Exit(process) as is_over:
        return is_over(0) and not Rest(process.pid).goes_on()


def note_interrupts(run: object) -> None:
    """Let `end_all` hold for the next command of this thread, which is not yet running.

    Parameters
    ----------
    run : object
        What the command is run for; the first call for it is the one that counts.
    """
    if getattr(_thread, "noted", (None,))[0] is not run:
        _thread.noted = run, _interrupts


# Waiting and ending


def _wait(
    process: subprocess.Popen[bytes], until: float | None, followers: list[_Follower]
) -> bool:
    """Wait for the end of a process, passing on what it prints; False if time is over."""
    pulse = TICK if followers else PULSE if _parent_of_worker() is not None else None
    with _Exit(process) as is_over:
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            patience = min((each for each in (left, pulse) if each is not None), default=None)
            if is_over(patience):
                return True
            if not _may_go_on(until, followers):
                return False


def _wait_for_rest(
    process: subprocess.Popen[bytes], mark: str, until: float | None, followers: list[_Follower]
) -> tuple[bool, str]:
    """Wait for what an ended process left; tell whether it was in time, and what was ended."""
    process.wait()
    rest = Rest(process.pid)
    pause = TICK / 64
    asked = time.monotonic() + IDLE / 2
    while rest.goes_on() and mark not in _interrupted:
        why = rest.why_enough
        if why:
            left = f"{rest.words}, which {why}"
            rest.ends()
            return True, left
        if time.monotonic() >= asked:
            asked = float("inf")
            log.warning("waiting for what a command left running: %s", rest.words)
        time.sleep(pause)
        pause = min(2 * pause, TICK)
        if not _may_go_on(until, followers):
            return False, ""
    if mark in _interrupted:
        rest.ends()
    return True, ""


def _may_go_on(until: float | None, followers: list[_Follower]) -> bool:
    """Pass on what is printed; tell whether there is time left."""
    if _is_orphaned():  # nobody will hear of it, and the pool would start the next
        end_all()
        os._exit(1)
    _read_on(followers)
    return until is None or time.monotonic() < until


def _parent_of_worker() -> Any:
    """Return the parent of a worker process, as multiprocessing knows it; None in a main one."""
    loaded = sys.modules.get("multiprocessing.process")
    return None if loaded is None else loaded.parent_process()


def _is_orphaned() -> bool:
    """Tell whether this is a worker whose parent is gone."""
    parent = _parent_of_worker()
    if parent is None or os.getppid() == parent.pid:
        return False
    try:  # the child of a fork server, or of nobody
        os.kill(parent.pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


class _Exit:
    """Tells the end of a process; where the system can, without taking its number away."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._descriptor: int | None = None

    def __enter__(self) -> Callable[[float | None], bool]:
        if not hasattr(os, "pidfd_open"):
            return self._is_reaped
        try:
            self._descriptor = os.pidfd_open(self._process.pid)
        except OSError:  # an old kernel, or a sandbox
            return self._is_reaped
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        return self._is_readable

    def __exit__(self, *error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _is_readable(self, seconds: float | None) -> bool:
        return bool(self._poll.poll(None if seconds is None else seconds * 1000))

    def _is_reaped(self, seconds: float | None) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _end(
    process: subprocess.Popen[bytes] | None,
    mark: str,
    stop: Sequence[str] | None,
    *,
    reap: bool = True,
) -> None:
    """End a command and all its children, asking first."""
    if stop is not None:
        _stop([stop])
    if process is not None and process.returncode is None:
        watchdog.send(os.killpg, process.pid, signal.SIGTERM)
        try:
            with _Exit(process) as is_over:
                is_over(GRACE)
        finally:
            watchdog.send(os.killpg, process.pid, signal.SIGKILL)
    elif process is not None:
        Rest(process.pid).ends()
    for child in watchdog.marked([mark]):
        watchdog.send(os.kill, child, signal.SIGKILL)
    if process is not None and reap:
        process.wait()


def _stop(commands: list[Sequence[str]]) -> None:
    """Run the commands that end what signals do not reach; say which of them hang."""
    for command in watchdog.stop([list(each) for each in commands]):
        log.warning(
            "%s did not end within %g s; what it should have ended may still run",
            shlex.join(command),
            watchdog.STOP,
        )


# Following what is printed


class _Follower:
    """Reads what was added to a file."""

    def __init__(self, name: str, path: str, listen: Listener) -> None:
        self.name = name
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  closed by `read_on`
        self._listen = listen

    def read_on(self, *, last: bool) -> None:
        while chunk := self._file.read(1 << 16):
            self._listen(self.name, chunk)
        if last:
            self._listen(self.name, b"")
            self._file.close()


def _followers(listen: Listener | None, stdout: str, stderr: str) -> list[_Follower]:
    listeners = [] if listen is None else [listen]
    if log.isEnabledFor(logging.DEBUG):
        listeners.append(_LineLog())
    paths = {"stdout": stdout, "stderr": stderr}
    return [_Follower(name, path, each) for each in listeners for name, path in paths.items()]


def _read_on(followers: list[_Follower], *, last: bool = False) -> None:
    for follower in followers:
        follower.read_on(last=last)


class _LineLog:
    """Logs whole lines as they come."""

    def __init__(self) -> None:
        self._rest = {"stdout": b"", "stderr": b""}

    def __call__(self, name: str, chunk: bytes) -> None:
        *lines, rest = (self._rest[name] + chunk).split(b"\n")
        if not chunk and rest:
            lines, rest = [rest], b""
        self._rest[name] = rest
        for line in lines:
            log.debug("%s: %s", name, line.decode("utf-8", "replace").rstrip("\r"))


# What is running here

_running: dict[str, tuple[subprocess.Popen[bytes], Sequence[str] | None]] = {}
_interrupted: set[str] = set()
_interrupts = 0
_thread = threading.local()

os.register_at_fork(after_in_child=_running.clear)
at_interrupt(end_all)
