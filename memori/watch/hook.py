"""The audit hook: what Python does, told to the run that it is done for.

Python tells its audit hooks (PEP 578) of each file that it is about to open, each folder that it
lists, each program that it starts. A hook can never be taken away again: it is installed by the
first run that is watched, does nothing outside runs, and never raises, for an exception in it
would stop what the user does.

A file is opened *for* a run if the run is current where it is opened (a context variable), or if it
is opened in a thread that the run started. A run inside a run is seen by both. What memori itself
reads and writes is done `aside`.

Not promised: what C libraries open by themselves (HDF5, ITK, Arrow, SQLite). `os.stat`, of which
Python does not tell either, is followed by `memori.watch.questions.asked`.
"""

from __future__ import annotations

import os
import sys
from contextvars import Token

from memori.aside import leave_out_by
from memori.watch import children
from memori.watch.commands.started import end_waiting, follow_popen, follow_programs
from memori.watch.events import HANDLERS, SOURCES, forget_folder, here
from memori.watch.libraries.announced import follow_libraries
from memori.watch.observed import ASIDE, Observed, current
from memori.watch.questions.asked import follow_questions
from memori.watch.threads import follow_pools, follow_threads, lend_by, runs_of_thread, with_outer
from memori.watch.told import Meant, follow_links
from memori.watch.touch import GLANCED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from memori.watch.events import Handler

_READING = frozenset({"r", "rb"})
_current = current.get
live: list[Observed] = []
"""The runs that go on, of all threads."""
_installed: list[int] = []


class watching:  # noqa: N801  a context manager, read as a word
    """Watch what is done inside a with block.

    Parameters
    ----------
    memo : str, optional
        The folder in which digests of files are remembered.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with watching() as seen:
    ...         with open(f"{folder}/new.txt", "w") as file:
    ...             _ = file.write("1")
    ...     seen.how(f"{folder}/new.txt"), seen.wrote(f"{folder}/new.txt")
    ('write', True)
    """

    __slots__ = ("_marks", "_meant", "_memo", "_seen", "_token")

    def __init__(self, memo: str | None = None) -> None:
        self._memo = memo

    def __enter__(self) -> Observed:
        install()
        follow_pools()
        outer = current.get()
        if outer is not None and not outer.live:
            outer = None
        self._seen = Observed(children.new_name(), outer, self._memo)
        self._seen.base = sys._getframe(1).f_code
        self._token: Token[Observed | None] = current.set(ASIDE)
        try:
            forget_folder()
            live.append(self._seen)  # before the offer, which others withdraw if none is live
            children.offer_spool()
            self._marks = children.marks()
            self._meant = Meant()
        except BaseException:  # an interrupt at this very moment: no with block ends it
            if self._seen in live:
                live.remove(self._seen)
            current.reset(self._token)
            raise
        current.set(self._seen)
        return self._seen

    def __exit__(self, *error: object) -> None:
        current.set(ASIDE)
        try:
            self._end()
        finally:  # whoever runs around here is watched on, also if an interrupt comes just now
            current.reset(self._token)

    def _end(self) -> None:
        end_waiting(self._seen)
        live.remove(self._seen)
        self._seen.ends()
        try:
            children.learn(self._seen, self._marks)
        except (OSError, ValueError, KeyError, TypeError) as fault:
            self._seen.faults.append(f"what children told is lost: {fault}")
        follow_links(self._seen)
        self._seen.here = self._meant.folder()
        if not live:
            children.withdraw_spool()
            if live:  # another thread began a run just now
                children.offer_spool()


class _LeftOut:
    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token: Token[Observed | None] = current.set(ASIDE)

    def __exit__(self, *error: object) -> None:
        current.reset(self._token)


leave_out_by(_LeftOut)


def watch_from_start() -> None:
    """Watch this process from its start, for the run that started it."""
    if live:
        return  # Python reads the .pth files of a virtual environment twice
    seen = Observed()
    install()
    children.tell_what_is_seen(seen)
    current.set(seen)
    live.append(seen)


class Lent:
    """A function that a run gives to another process: what it does there is told to the run.

    Parameters
    ----------
    run : Observed
        The run.
    function : callable
        What is called.
    is_task : bool
        Whether the process does other things before and after, and so may keep what it reads.
    """

    __slots__ = ("_function", "_is_task", "_names", "_spool")

    def __init__(self, run: Observed, function: Callable[..., Any], is_task: bool) -> None:
        self._is_task = is_task
        self._names = [each.name for each in with_outer(run)]
        self._spool = os.environ.get(children.SPOOL, "")
        self._function = function

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it."""
        seen = children.tell_for(self._names, self._spool)
        if seen is None:
            return self._function(*args, **named)
        install()
        forget_folder()
        ends = _task_begins((self._function, args, named)) if self._is_task else _nothing
        live.append(seen)
        token = current.set(seen)
        try:
            return self._function(*args, **named)
        finally:
            current.reset(token)
            live.remove(seen)
            seen.live = False
            ends(seen)


def _task_begins(given: object) -> Callable[[Observed], None]:
    from memori.watch.tasks import Task

    return Task(given, live).ends


def _nothing(seen: Observed) -> None:
    pass


def install() -> None:
    """Install the hook, once in a process (a process that was forked has it already)."""
    if not _installed:
        _installed.append(1)
        follow_questions(live)
        lend_by(Lent)
        sys.addaudithook(_hook)
        os.register_at_fork(after_in_child=lambda: children.go_on_in_fork(live))
    if "threading" in sys.modules:
        follow_threads(live)
    follow_programs(live)
    follow_libraries()


def _hook(event: str, args: tuple[object, ...]) -> None:
    if not live:
        return
    run = _current()
    if event == "open" and run is not None and run.glances:  # the way of thousands of files
        path, mode, _ = args
        try:
            if (
                mode in _READING
                and (path[-1] not in "yc" or not path.endswith(SOURCES))  # type: ignore
                and (path[0] == "/" or type(path) is str)  # type: ignore[index]
            ):
                whole = path if path[0] == "/" else f"{here()}/{path}"  # type: ignore[index]
                while run is not None and run.glances:
                    run.glanced[whole] = GLANCED  # type: ignore[index]
                    run = run.outer
                if run is None:
                    return
        except (TypeError, IndexError, OSError):
            pass  # bytes, a number, nothing; a current folder that is gone
    handler = HANDLERS.get(event)
    if handler is None:
        return
    if event == "import" and args[0] == "subprocess":
        follow_popen(live)
    elif event == "import" and args[0] == "threading":
        follow_threads(live)
    if run is None or not run.live:
        if run is not ASIDE:
            for each in runs_of_thread(live):
                _tell(handler, each, args)
        return
    while run is not None:
        _tell(handler, run, args)
        run = run.outer


def _tell(handler: Handler, run: Observed, args: tuple[object, ...]) -> None:
    try:
        handler(run, args)
    except Exception as error:  # whatever it is, the user's own work goes on
        run.faults.append(f"{type(error).__name__}: {error}")
        run.tells("faults", run.faults[-1])
