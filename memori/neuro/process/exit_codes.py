"""Exit codes: how a program ended is known only where the system keeps it.

Whoever ignores SIGCHLD has it forget how children end, and hands that on to whatever is started: a
Python below a daemon that does so takes every failure of a program for a success. While a command
runs the signal is therefore as the system has it by default.

Not promised: exit codes of programs that functions and interfaces start themselves.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exit_codes_kept() -> Iterator[None]:
    """Have the system keep how programs end that are started inside a with block.

    Raises
    ------
    OSError
        If it does not, and this is a thread that may not change that.
    """
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        yield
        return
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    except ValueError as error:
        raise OSError(
            "SIGCHLD is ignored here, so nobody would know whether it failed; have the script "
            "call signal.signal(signal.SIGCHLD, signal.SIG_DFL) at its top"
        ) from error
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
