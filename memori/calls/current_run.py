"""The run that is going on, and its own folder.

While a stage runs, `workdir` gives its callable a folder of its own: empty at the start, kept
with the entry, never used by another run. It is made when it is first asked for. What lies in it
belongs to the entry; a stage without `hash_output` gets a temporary folder that goes when the
process ends.

Not promised: the folder in a thread that the callable started itself; pass the path along.
"""

from __future__ import annotations

import os
import time
from _thread import get_ident
from contextvars import ContextVar

from memori.calls.going_on import begin, end
from memori.errors import StageError
from memori.processes import temporary
from memori.processes.interrupts import Going

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memori.digest.values import JSON


class CurrentRun:
    """One run that is going on.

    Attributes
    ----------
    stage_name : str
        The stage's name.
    key : tuple of str
        What is being run: the place of the store and the key; empty without a store.
    folder : str or None
        The run's own folder, absolute, once it was asked for.
    outer : CurrentRun or None
        The run inside which this one was started.
    command : dict of str to JSON, or None
        The command line that it executed last, and which tool that is, for the record.
    """

    __slots__ = ("_make", "_process", "command", "folder", "key", "outer", "stage_name")

    def __init__(
        self, stage_name: str, key: tuple[str, ...], make: Callable[[], str] | None
    ) -> None:
        self.stage_name = stage_name
        self.key = key
        self._make = make
        self._process = os.getpid()
        self.folder: str | None = None
        self.outer = _current.get()
        self.command: dict[str, JSON] | None = None

    @property
    def is_here(self) -> bool:
        """Whether this is the process in which the run began."""
        return os.getpid() == self._process

    def own_folder(self) -> str:
        """Return the run's folder, making it at the first call.

        Raises
        ------
        StageError
            If the first call comes from a process that the run forked.
        """
        if self.folder is None and os.getpid() != self._process:
            raise StageError(
                f"memori.workdir() of stage {self.stage_name!r} was first called in a process "
                "that the stage started: call it once before, or pass the path along"
            )
        if self.folder is None:
            self.folder = temporary.new_folder() if self._make is None else self._make()
        return self.folder


_current: ContextVar[CurrentRun | None] = ContextVar("memori_current_run", default=None)
watcher: ContextVar[int | None] = ContextVar("memori_watcher", default=None)
"""A file to which a worker writes which stage it is at, each name ended by a zero byte.

What begins with a byte 1 is a deadline (`tell_deadline`). Whoever removes it withdraws what the
worker was asked for.
"""


def reject_recursion(stage_name: str, key: tuple[str, ...]) -> None:
    """Raise if this very run is going on around here: it would wait for itself for ever."""
    outer = _current.get()
    while outer is not None:
        if outer.key == key:
            raise StageError(
                f"stage {stage_name!r} was run from inside itself with the same inputs: call the "
                "function instead, or pass other inputs"
            )
        outer = outer.outer


class entered:  # noqa: N801  a context manager, read as a word
    """Make a run the current one inside a with block; interrupted, it ends what it started."""

    __slots__ = ("_going", "_run", "_token")

    def __init__(self, run: CurrentRun) -> None:
        self._run = run
        self._going = Going()

    def __enter__(self) -> CurrentRun:
        self._token = _current.set(self._run)
        try:
            begin(self, "run", self._run.stage_name, *self._run.key[:1], *self._run.key[-1:])
            _tell_watcher(self._run)
            self._going.__enter__()
        except BaseException:  # an interrupt at this very moment: no with block ends it
            _current.reset(self._token)
            end(self)
            raise
        return self._run

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        _current.reset(self._token)
        if not self._run.is_here:  # a process that the run forked has no say in its end
            return
        end(self)
        is_wanted = _tell_watcher(self._run.outer)
        self._going.__exit__(kind)
        if kind is None and not is_wanted:
            raise KeyboardInterrupt("nobody waits for this run any more")


def _tell_watcher(run: CurrentRun | None) -> bool:
    """Say which run is going on now; tell whether anybody waits for it."""
    descriptor = watcher.get()
    if descriptor is None:
        return True
    _mark(descriptor, b"\0" if run is None else run.stage_name.encode() + b"\0")
    return os.fstat(descriptor).st_nlink > 0


def tell_deadline(*limit: float, grace: float = 0.0) -> None:
    """Say when what goes on here is to be ended, and the seconds that it has; nothing for never.

    Halfway through its grace Python itself says where all threads are: no other way there is to
    know of C code that does not let go of the interpreter. In a process of its own, nobody else
    has asked for that.
    """
    descriptor = watcher.get()
    if descriptor is None:
        return
    import faulthandler

    told = " ".join(map(repr, (*limit, get_ident()) if limit else ()))
    _mark(descriptor, b"\1%s\0" % told.encode())
    faulthandler.cancel_dump_traceback_later()
    if limit:
        left = limit[0] - grace / 2 - time.monotonic()
        faulthandler.dump_traceback_later(max(left, 0.001), file=descriptor)


def _mark(descriptor: int, text: bytes) -> None:
    try:
        os.write(descriptor, text)
    except OSError:
        pass  # the disk is full: less can be said if this process dies


def current() -> CurrentRun | None:
    """Return the run that is going on in this thread, if any."""
    return _current.get()


def workdir() -> Path:
    """Return the own folder of the stage that is running.

    Returns
    -------
    pathlib.Path
        Absolute; empty when the run began. It is ``hash_output/NAME/KEY8``, or a temporary folder
        where the stage has no `hash_output`.

    Raises
    ------
    StageError
        If no stage is running in this thread.
    """
    from pathlib import Path

    run = _current.get()
    if run is None:
        raise StageError(
            "memori.workdir() is the folder of a running stage, and no stage is running here: "
            "call it inside the function of a Stage (in the thread in which memori called it), or "
            "give a path of your own"
        )
    return Path(run.own_folder())
