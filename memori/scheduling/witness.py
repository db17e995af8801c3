"""The witness: of what workers died, for who has to say so.

A pool that loses a worker ends the others too. Between its hearing of a death and that, those who
wait for it are told; then the dead can be told from the living, and what each was at from its mark.

Not promised: how a process ended that this one did not start; and to know the dead one where an
engine ends the others first.
"""

from __future__ import annotations

import sys
import time

from memori.processes.watchdog import birth
from memori.signature.resources import size_told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.process import BaseProcess


class Witness:
    """Knows the worker processes that this one started, and of what they died.

    Attributes
    ----------
    died : set of int
        The processes that were dead when their pool broke.
    outlived : set of int
        Those that were at work then, and alive.
    started : set of int
        Those that were started for an order.
    fruitless : int
        How often a pool broke, since the last answer, before a worker began anything.
    """

    def __init__(self, at_work: Callable[[], set[int]]) -> None:
        self._at_work = at_work
        self._processes: dict[int, BaseProcess] = {}
        self._examined: BaseException | None = None
        self.died: set[int] = set()
        self.outlived: set[int] = set()
        self.started: set[int] = set()
        self.fruitless = 0

    def look(self) -> None:
        """Get to know the processes that there are."""
        self._processes.update((p.pid, p) for p in _children() if p.pid is not None)

    def look_again(self) -> set[int]:
        """Return the processes that were started since the last look."""
        before = set(self._processes)
        self.look()
        appeared = self._processes.keys() - before
        self.started |= appeared
        return appeared

    def exit_code(self, process: int) -> int | None:
        """Return what a process exited with, where that is known."""
        known = self._processes.get(process)
        return None if known is None else known.exitcode

    def examine(self, error: BaseException) -> None:
        """Tell the dead from the living, before the pool that broke ends these as well."""
        if error is self._examined:
            return
        self._examined = error
        at_work = self._at_work()
        dead: set[int] = set()
        until = time.monotonic() + 0.5  # a pool may hear of a death before the system has noted it
        while at_work and not dead and time.monotonic() < until:
            dead = {process for process in at_work if birth(process) is None}
            time.sleep(0.0 if dead else 0.005)
        self.died |= dead
        self.outlived |= at_work - dead if dead else set()
        self.fruitless += not at_work


def _children() -> Iterable[BaseProcess]:
    loaded = sys.modules.get("multiprocessing")
    return () if loaded is None else loaded.active_children()


def ending(code: int | None, held: int | None = None, *, is_out_of_memory: bool = False) -> str:
    """Return how a process ended, as the end of a sentence.

    Parameters
    ----------
    code : int or None
        What it exited with.
    held : int, optional
        The most bytes that it held.
    is_out_of_memory : bool, optional
        Whether the system has ended processes for their memory.

    Examples
    --------
    >>> ending(-9, 7_500_000_000)
    ', having held 7.5 GB: it was ended by SIGKILL (the system may have been out of memory)'
    """
    import signal

    having = "" if held is None else f", having held {size_told(held)}"
    if code is None:
        return having
    if code >= 0:
        return f": it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        may = "was" if is_out_of_memory else "may have been"
        return f"{having}: it was ended by {name} (the system {may} out of memory)"
    is_crash = name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
    return f": it was ended by {name}" + (" (a crash in native code)" if is_crash else "")
