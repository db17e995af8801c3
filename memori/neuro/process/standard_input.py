"""Whether a command that is given nothing on its standard input looked for something there.

What comes through a pipe, or stands behind ``<``, is gone once it is read, so no later decision
could compare it: a command that is remembered gets an empty file in its place. Of that file the
time of its last read tells whether the command came to it; many start in a loop over a list
(``while read``) and leave it alone, and for these all is well.

Not promised: it is told on Linux only.
"""

from __future__ import annotations

import os
import select
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_SOONER = 0  # than any read, in nanoseconds since 1970


class EmptyInput:
    """The standard input of a command that is to find nothing there.

    Attributes
    ----------
    stdin : int
        For `subprocess`.
    """

    def __init__(self, stdin: int) -> None:
        self.stdin = stdin

    def is_missed(self) -> bool:
        """Tell whether the command read it, where this process was given something to read."""
        return self.stdin >= 0 and os.fstat(self.stdin).st_atime_ns != _SOONER and is_given()


@contextmanager
def empty_input() -> Iterator[EmptyInput]:
    """Make one for the command that is run within."""
    if not hasattr(os, "memfd_create") or not is_given():
        yield EmptyInput(subprocess.DEVNULL)
        return
    file = os.memfd_create("memori-stdin")
    try:
        os.utime(file, ns=(_SOONER, _SOONER))
        yield EmptyInput(file)
    finally:
        os.close(file)


def is_given() -> bool:
    """Tell whether something is, or may come, on the standard input of this process."""
    try:
        kind = os.fstat(0)
        if stat.S_ISREG(kind.st_mode):
            return os.lseek(0, 0, os.SEEK_CUR) < kind.st_size
        if not stat.S_ISFIFO(kind.st_mode) and not stat.S_ISSOCK(kind.st_mode):
            return False  # a terminal, nothing at all
        poll = select.poll()
        poll.register(0, select.POLLIN)
        events = dict(poll.poll(0)).get(0, select.POLLIN)
    except OSError:  # it is closed
        return False
    return bool(events & select.POLLIN)
