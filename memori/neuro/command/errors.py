"""What is said and kept of a command that failed.

The error names the command, its exit code, how long it ran, the stage, the last lines of what it
printed and where the rest is. Its folder is kept as evidence (`memori.store.failures`).

Not promised: evidence of a stage without `hash_output` after the process has ended.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from typing import Any

from memori.errors import MemoriError, TimeLimitError

STREAMS = ("stdout.txt", "stderr.txt")
_LINES = 20
_ROOM = 64 * 1024  # with fewer bytes left a disk is full


class CommandError(MemoriError):
    """A command failed.

    Attributes
    ----------
    argv : list of str
        The command.
    code : int or None
        Its exit code, minus the number of the signal that killed it; None if it never started.
    seconds : float
        How long it ran.
    stage_name : str
        The stage.
    folder : str
        Where it ran; what it left is there.
    stderr : str
        The last lines of its standard error (of its standard output, if that is all there is).
    log : str
        Path of the file with all of them.
    timed_out : bool
        Whether it was ended because its time was over.
    interrupted : bool
        Whether it was ended because the user interrupted memori.
    """

    def __init__(
        self,
        reason: str,
        *,
        argv: Sequence[str],
        code: int | None,
        seconds: float,
        stage_name: str,
        folder: str,
        timed_out: bool = False,
        interrupted: bool = False,
    ) -> None:
        self.interrupted = interrupted
        self.reason = reason
        self.argv = list(argv)
        self.code = code
        self.seconds = seconds
        self.stage_name = stage_name
        self.folder = folder
        self.timed_out = timed_out
        name, self.stderr = _said(folder)
        self.log = os.path.join(folder, name)
        lines = [
            f"{os.path.basename(self.argv[0])} {reason} (stage {stage_name!r})",
            f"  $ {shlex.join(self.argv)}",
        ]
        shown = self.stderr.splitlines() or [silence(folder)]
        lines.append(f"  {name.partition('.')[0]}: {shown[0]}")
        lines += [f"          {line}" for line in shown[1:]]
        lines.append(f"  log: {_near(self.log)}")
        super().__init__("\n".join(lines))


class CommandTimeLimitError(CommandError, TimeLimitError):
    """A command ran longer than its stage's timeout, and was ended.

    Attributes
    ----------
    stage : str
        The stage.
    seconds : float
        The time that it had.
    """

    seconds: float

    def __init__(self, limit: float, **facts: Any) -> None:
        reason = f"ran longer than its timeout of {limit:g} s and was ended"
        super().__init__(reason, **{**facts, "seconds": limit, "timed_out": True})
        self.stage, self.seconds = self.stage_name, limit


def _near(path: str) -> str:
    """Return a path as it is called from here, if here is anywhere."""
    try:
        return os.path.relpath(path)
    except OSError:  # the current folder is gone
        return path


def silence(folder: str) -> str:
    """Say that nothing was printed; and why, if there was no room for it where it is kept."""
    try:
        left = os.statvfs(folder)
    except (OSError, AttributeError):
        return "nothing was printed"
    is_full = left.f_bavail * left.f_frsize < _ROOM
    return (
        f"nothing was printed: the disk of {folder} is full" if is_full else "nothing was printed"
    )


def ended(code: int, seconds: float) -> str:
    """Say how a command ended.

    Examples
    --------
    >>> ended(1, 14.21), ended(-11, 3.0)
    ('exited with code 1 after 14.2 s', 'was killed by signal 11 (SIGSEGV) after 3.0 s')
    >>> ended(137, 60.0)
    'exited with code 137 after 60.0 s, as after SIGKILL: the system may have been out of memory'
    """
    memory = "the system may have been out of memory"
    if code >= 0:
        # what a shell or a container says of a program that was killed
        told = f", as after SIGKILL: {memory}" if code == 137 else ""
        return f"exited with code {code} after {seconds:.1f} s{told}"
    import signal

    name = {each.value: f" ({each.name})" for each in signal.Signals}.get(-code, "")
    told = f": {memory}" if code == -9 else ""
    return f"was killed by signal {-code}{name} after {seconds:.1f} s{told}"


def listing(folder: str, ignored: frozenset[str]) -> str:
    """Say what a folder holds, in a few words."""
    names = sorted(
        os.path.relpath(os.path.join(above, name), folder)
        for above, _, files in os.walk(folder)
        for name in files
    )
    names = [name for name in names if name not in ignored]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return (", ".join(map(repr, names[:20])) + more) or "nothing"


def tail(folder: str, name: str) -> list[str]:
    """Return the last lines of what a command printed, from the file of that name."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
            text = file.read().decode("utf-8", "replace").rstrip()
    except OSError:
        return []
    return text.replace("\r", "\n").splitlines()[-_LINES:]


def _said(folder: str) -> tuple[str, str]:
    """Return the file of standard error, or of standard output, with the last lines in it."""
    for name in reversed(STREAMS):
        lines = tail(folder, name)
        if lines:
            return name, "\n".join(lines)
    return STREAMS[1], ""


def empty(folder: str) -> None:
    """Remove what a folder holds; a link is removed and not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
