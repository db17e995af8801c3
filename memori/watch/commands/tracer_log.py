"""The file into which a tracer writes, read while and after it is written.

The tracer is no child of this process, and nobody can wait for it. It has written all when it has
told of the end of each process that it followed.

Not promised: what a tracer that was ended did not write any more.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.watch.commands.trace import Trace

_PATIENCE = 60.0  # seconds that a tracer that goes on has to tell of the command's end
_PAUSE = 0.0005  # seconds until the first look at what it told; then twice that, ...
_LONGEST = 0.5
_LATE = 0.05
_CHUNK = 1 << 22
_GRACE = 0.2  # seconds to tell of the end of what was ended with the command


def read_log(path: str, trace: Trace, *, patience: float = _PATIENCE) -> None:
    """Read what the tracer writes, until it has told of the end of all that was ended.

    Parameters
    ----------
    path : str
        The file.
    trace : Trace
        Takes it in.
    patience : float, optional
        Seconds that the tracer has to tell of the command's end.
    """
    until = time.monotonic() + patience
    pause = _PAUSE
    rest = ""
    with open(path, encoding="latin-1", newline="\n") as file:
        while True:
            is_last = pause > _LATE and not _is_open(path, file.fileno())
            text = file.read(_CHUNK)
            whole, newline, rest = (rest + text).rpartition("\n")
            if newline:
                trace.reads(whole.split("\n"))
            if len(text) == _CHUNK:
                continue
            if is_last or (trace.is_over and not trace.alive):
                return
            if trace.is_over:
                until = min(until, time.monotonic() + _GRACE)
            if time.monotonic() >= until:
                return
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)


def _is_open(path: str, own: int) -> bool:
    """Tell whether another process has a file open, as far as this one may know."""
    look = os.fstat(own)
    for process in filter(str.isdigit, os.listdir("/proc")):
        if int(process) != os.getpid() and any(
            os.path.samestat(look, each) for each in _files_of(process)
        ):
            return True
    return False


def _files_of(process: str) -> Iterator[os.stat_result]:
    """Yield what a process has open; a tracer closes some files while they are looked at."""
    folder = f"/proc/{process}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return  # gone meanwhile, or another user's
    for name in names:
        try:
            yield os.stat(f"{folder}/{name}")
        except OSError:
            continue


def reap(path: str, *, waits: bool) -> None:
    """Take ended tracers off the list of processes where nobody else does: in a container.

    Parameters
    ----------
    path : str
        What one of them wrote.
    waits : bool
        Whether that one is about to end, and waited for.
    """
    if os.getpid() != 1:
        return
    until = time.monotonic() + (_GRACE if waits else 0.0)
    while _takes_off(os.fsencode(path)) and time.monotonic() < until:
        time.sleep(_PAUSE)


def _takes_off(path: bytes) -> bool:
    """Take what has ended off the list; tell whether the tracer that wrote a file goes on."""
    goes_on = False
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as file:
                _, is_tracer, known = file.read().partition(" (strace) ")
            state, parent = known.split()[:2] if is_tracer else ("", "")
            if parent == "1" and state == "Z":
                os.waitpid(int(process), os.WNOHANG)
            elif parent == "1":
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                goes_on = goes_on or path in words or words == [b""]  # as it is about to end
        except OSError:
            pass  # gone meanwhile
    return goes_on
