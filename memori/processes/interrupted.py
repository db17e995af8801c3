"""Ending a program as Ctrl-C ends one.

A shell that runs a script hears of Ctrl-C itself, and ends the script if the program it waits for
was killed by that signal. One that ends in order with code 130 has dealt with it, for all that a
shell knows: a loop over subjects would begin the next one.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys


def end_as_interrupted() -> None:
    """End this process by SIGINT, with all that is done as Python ends.

    Returns where somebody else handles that signal, or ignores it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # nobody reads it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
