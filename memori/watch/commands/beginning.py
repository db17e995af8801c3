"""The beginning of a tracer, in which a kill would leave its command waiting for ever.

What strace leaves waiting then is ended by the process that watches over this one
(`memori.processes.watchdog`, which says why it waits): in here no thread has to look after it. What
a command that is over has left is ended here.
"""

from __future__ import annotations

import os
import time

from memori.processes.interrupts import new_mark, tell

_PAUSE = 0.1  # seconds between two looks
_PATIENCE = 1.0  # seconds in which what strace began may come to its end


def begins(log: str) -> str:
    """Have a tracer looked after that is about to begin.

    Parameters
    ----------
    log : str
        The file that it will write, which is there and empty.

    Returns
    -------
    str
        A mark for `is_over`.
    """
    mark = new_mark()
    tell(mark, "tracer", log)
    return mark


def is_over(mark: str, log: str) -> None:
    """Leave nothing waiting for a tracer whose command is over, or is waited for no longer."""
    tell(mark, "end")
    if os.path.exists(log) and not os.path.getsize(log):
        from memori.processes.watchdog import Beginning

        beginning = Beginning(log)
        until = time.monotonic() + _PATIENCE
        while beginning.looks() and beginning.suspects and time.monotonic() < until:
            time.sleep(_PAUSE)
