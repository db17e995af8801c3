"""What a command leaves running in its process group when it has ended itself.

A shell script may return while what it started in the background (``job &``), or what its output
goes through (``exec > >(tee log)``), still runs. That is part of the command, and is waited for. It
is not waited for without end: what uses no processor to speak of for `IDLE` seconds (a server that
waits for requests, a display, a watch of something that is over) is ended, and so is what goes on
after `LONGEST`. What left the process group (a daemon, ``setsid``) is left to itself.

Not promised: where the system does not tell what a process uses, to see that it goes on working.
"""

from __future__ import annotations

import os
import signal
import time

from memori.processes import watchdog
from memori.processes.interrupts import GRACE

IDLE = 10.0  # seconds without work
LONGEST = 600.0  # seconds in all
_WORK = 0.05  # seconds of a processor; less of it, in `IDLE`, is no work
_PAUSE = 0.02
_MOST_WORDS = 60  # characters


class Rest:
    """What runs in a process group whose first process has ended.

    Parameters
    ----------
    group : int
        Its number.
    """

    def __init__(self, group: int) -> None:
        self._group = group
        self._began = self._since = time.monotonic()
        self._used = 0.0

    def goes_on(self) -> bool:
        """Tell whether anything of it still runs."""
        try:
            os.killpg(self._group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's by now
        known = _living(self._group)
        if known is None:
            return True
        used, is_held = sum(each.used for each in known), any(each.state == "D" for each in known)
        if is_held or used >= self._used + _WORK:
            self._since, self._used = time.monotonic(), used
        self._used = min(self._used, used)  # what ends takes along what it used
        return bool(known)

    @property
    def why_enough(self) -> str:
        """Why it is not waited for any longer; nothing while it is."""
        now = time.monotonic()
        if now - self._since >= IDLE:
            return f"did no work for {IDLE:g} s"
        return f"went on for {LONGEST:g} s" if now - self._began >= LONGEST else ""

    @property
    def words(self) -> str:
        """Name what runs."""
        known = _living(self._group) or ()
        named = [f"{_words(each.number) or 'a program'} (process {each.number})" for each in known]
        return " and ".join(named[:3]) or f"a process of group {self._group}"

    def ends(self) -> None:
        """End it, asking first."""
        until = time.monotonic() + GRACE
        number = signal.SIGTERM
        while self.goes_on():
            watchdog.send(os.killpg, self._group, number)
            if number == signal.SIGKILL:
                return
            while self.goes_on() and time.monotonic() < until:
                time.sleep(_PAUSE)
            number = signal.SIGKILL


class _Living:
    """A process, by what the system tells in a line."""

    __slots__ = ("number", "state", "used")

    def __init__(self, number: int, fields: list[str]) -> None:
        self.number = number
        self.state = fields[0]
        self.used = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # with ended children


def _living(group: int) -> list[_Living] | None:
    """Return the processes of a group that have not ended; None if the system does not tell."""
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    found = []
    for number in numbers:
        try:
            with open(f"/proc/{number}/stat", encoding="latin-1") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        if fields[2] == str(group) and fields[0] not in "ZX":
            found.append(_Living(number, fields))
    return found


def _words(process: int) -> str:
    try:
        with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as file:
            text = " ".join(file.read().split("\0")).strip()
    except OSError:
        return ""
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."
