"""The board: where the workers of a run say what they do, so that who sees one die knows.

A temporary folder of the run, in that of its process. It holds a *mark* for each order that is
being carried out: a file ORDER.TRY with the worker's process and the stages that it has come to.
Who removes it withdraws the order. A file worker-NUMBER names each worker process that descends
from that of the run, and will end with it (`memori.processes.watchdog`). A file `stop` says that
nothing more is to begin.

Not promised: marks where workers do not see the folder, on another machine.
"""

from __future__ import annotations

import os
import time
from itertools import count, takewhile

from memori.files import remove_if_there
from memori.fingerprint.origins import OWN
from memori.processes import temporary
from memori.processes.watchdog import (
    WORKER,
    birth,
    mark_of_worker,
    parent_of,
    remove_folder,
    workers_in,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DEADLINE = b"\1"  # what begins with it is one, and no stage
_DUMP = b"Timeout ("  # and what faulthandler wrote begins so


class Mark:
    """What a worker leaves while it carries out an order.

    Attributes
    ----------
    process : int
        Its number.
    is_main_thread : bool
        Whether the work is done in its main thread, where signals are heard.
    stage : str or None
        The stage that it was at, if it was at one.
    deadline, timeout : float or None
        When that is to be ended (`time.monotonic`), and the seconds that it had.
    stack : str
        Where it was when its time was past, if it did not heed that.
    """

    def __init__(
        self,
        process: int,
        stage: str | None,
        *,
        is_main_thread: bool,
    ) -> None:
        self.process = process
        self.stage = stage
        self.is_main_thread = is_main_thread
        self.deadline: float | None = None
        self.timeout: float | None = None
        self.stack = ""

    @property
    def is_overdue(self) -> bool:
        """Whether the stage had heard that its time was past, and went on."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Board:
    """The folder of one run in which its workers leave their marks.

    Attributes
    ----------
    folder : str
        Where it is.
    """

    _known: tuple[str, int] | None = None  # the board on which this worker is registered

    def __init__(self) -> None:
        self.folder = temporary.new_folder()

    # In the process of the run

    def stop(self) -> None:
        """Let no further order begin."""
        os.close(os.open(self._path("stop"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))

    def close(self) -> None:
        """Remove the folder."""
        remove_folder(self.folder)

    def beside(self, order: str, process: int) -> bool:
        """Tell whether a process was at another order as well."""
        names = (n for n in os.listdir(self.folder) if "." in n and not n.startswith(order))
        return any(mark.process == process for n in names if (mark := self._read(n)) is not None)

    def workers(self) -> set[int]:
        """Return the living worker processes below this one."""
        return {process for process, lives in workers_in(self.folder).items() if lives}

    # On both sides

    def name_worker(self, process: int) -> None:
        """Leave the name of a worker that is to end with the process of the run."""
        try:
            with open(self._path(f"{WORKER}{process}"), "w", encoding="ascii") as file:
                file.write(birth(process) or "")
        except OSError:
            pass  # the run is over

    def marks(self, order: str) -> list[Mark]:
        """Return the marks of an order: one for each time that a worker has begun it."""
        return list(self._marks(order))

    def _marks(self, order: str) -> Iterator[Mark]:
        for number in count():
            mark = self._read(f"{order}.{number}")
            if mark is None:
                return
            yield mark

    def withdraw(self, order: str) -> None:
        """Remove the marks of an order: it is over, or what comes of it is not wanted any more."""
        for number in range(len(self.marks(order))):
            remove_if_there(self._path(f"{order}.{number}"))

    def mark_of(self, process: int) -> str:
        """Return what marks the environment of all that a worker starts."""
        return mark_of_worker(self.folder, process)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _read(self, name: str) -> Mark | None:
        try:
            with open(self._path(name), "rb") as file:
                process, thread, *told = file.read().split(b"\0")
        except (OSError, ValueError):
            return None
        dump = b""
        for place, each in enumerate(told):
            if each.startswith(_DUMP):
                dump, _, told[place] = each.rpartition(b"\n")
        if not told:
            return None  # it is just written
        told.pop()  # what follows the last end is written by halves, too
        stages = [each for each in told if each[:1] != _DEADLINE]
        limits = [each[1:].split() for each in told if each[:1] == _DEADLINE]
        stage = stages[-1].decode() or None if stages else None
        mark = Mark(int(process), stage, is_main_thread=thread == b"main")
        if limits and limits[-1]:
            deadline, timeout, number = limits[-1]
            mark.deadline, mark.timeout = float(deadline), float(timeout)
            mark.stack = _stack_in(dump.decode("utf-8", "replace"), int(number))
        return mark

    # In a worker

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to begin."""
        return os.path.exists(self._path("stop"))

    @property
    def is_there(self) -> bool:
        """Whether the folder can be seen from here: the run goes on, on this machine."""
        return os.path.isdir(self.folder)

    def register(self, home: int) -> bool:
        """Leave the name of this worker, if it descends from the process of the run; tell so."""
        known = (self.folder, os.getpid())
        if Board._known != known:
            if not _descends_from(home):
                return False
            temporary.lie_below(os.path.dirname(self.folder))
            self.name_worker(os.getpid())
            Board._known = known
        return True

    def begin(self, order: str) -> int | None:
        """Leave a mark for an order, and return it as a file to write stages to.

        Returns
        -------
        int or None
            A descriptor; None if nothing can be written there.
        """
        path = self._path(f"{order}.{len(self.marks(order))}")
        flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
        thread = "main" if _is_main_thread() else "other"
        try:
            mark = os.open(path, flags, 0o600)
        except OSError:
            return None
        try:
            os.write(mark, f"{os.getpid()}\0{thread}\0".encode())
        except OSError:  # the disk is full
            os.close(mark)
            return None
        return mark


def _stack_in(dump: str, thread: int) -> str:
    """Return where a thread was, from the callable of its stage on, of what faulthandler wrote.

    Examples
    --------
    >>> print(_stack_in('''Thread 0x0000000000000007 (most recent call first):
    ...   File "fit.py", line 3 in solve
    ...   File "fit.py", line 9 in fit
    ... ''', 7))
      File "fit.py", line 9 in fit
      File "fit.py", line 3 in solve
    """
    found: list[str] = []
    for block in dump.split("\n\n"):
        head, *lines = block.splitlines() or [""]
        if head.startswith((f"Thread 0x{thread:016x} ", f"Thread 0x{thread:x} ")):
            found = list(takewhile(lambda line: f'"{OWN}' not in line, lines))
    return "\n".join(reversed(found))


def _descends_from(ancestor: int) -> bool:
    process: int | None = os.getppid()
    while process is not None and process > 1 and process != ancestor:
        process = parent_of(process)
    return process == ancestor


def _is_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()
