"""Whose work a thread does.

A thread belongs to the run that started it, for as long as that run goes on. What is given to a
`ThreadPoolExecutor` belongs to the run that gave it, however old the pool's threads are. Of a
worker of a `multiprocessing.pool.ThreadPool` that outlives the run which started it nobody knows
for whom it works: what it does counts for every run that goes on. So does what a thread does of
which `threading` knows nothing. Any other thread that is older than a run (a notebook's history)
does nothing for it.

Python tells of a thread that starts from 3.12 on; before, `Thread.start` is wrapped.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from functools import wraps

from memori.watch.observed import ASIDE, Observed, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Lend = Callable[[Observed, Callable[..., object], bool], Callable[..., object]]

_RUN = "_memori_run"
_wrapped: list[bool] = []


def follow_threads(live: Sequence[Observed]) -> None:
    """Wrap what must be wrapped to tell which run starts a thread; it is wrapped once.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on, at any time.
    """
    if sys.version_info < (3, 12) and not _wrapped:
        _wrapped.append(True)  # first: the import tells of itself
        from threading import Thread

        start = Thread.start

        @wraps(start)
        def noting(self: Thread) -> None:
            for run in runs_here(live)[:1]:
                thread_starts(run, self)
            start(self)

        Thread.start = noting  # type: ignore[method-assign]


def thread_starts(run: Observed, thread: object) -> None:
    """Note which run starts a thread that is about to start."""
    about = getattr(thread, "__dict__", {})
    if _RUN not in about:
        about[_RUN] = run
        if _module_of(thread) == "concurrent.futures.thread":
            follow_pools()


def runs_here(live: Sequence[Observed]) -> Sequence[Observed]:
    """Return the runs that something is done for here, the innermost first.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on.
    """
    if not live:
        return ()
    run = current.get()
    if run is not None and run.live:
        return with_outer(run)
    return () if run is ASIDE else runs_of_thread(live)


def runs_of_thread(live: Sequence[Observed]) -> Sequence[Observed]:
    """Return the runs that this thread works for, where no run is current.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on.
    """
    threading = sys.modules.get("threading")
    if threading is None:
        return ()  # there is but one thread
    thread = threading._active.get(get_ident())
    if thread is None:
        return tuple(live)
    run = _own_run(thread)
    if run is not None and run.live:
        current.set(run)
        return tuple(with_outer(run))
    return tuple(live) if _module_of(thread) == "multiprocessing.pool" else ()


def with_outer(run: Observed | None) -> list[Observed]:
    """Return a run and those around it, the innermost first."""
    found = []
    while run is not None:
        found.append(run)
        run = run.outer
    return found


def _own_run(thread: object) -> Observed | None:
    run = getattr(thread, "__dict__", {}).get(_RUN)
    return run if isinstance(run, Observed) else None


def _module_of(thread: object) -> str:
    return str(getattr(getattr(thread, "_target", None), "__module__", ""))


class _Carried:
    """A call that is made for the run that asked for it, in whatever thread."""

    __slots__ = ("_function", "_run")

    def __init__(self, run: Observed, function: Callable[..., object]) -> None:
        self._run = run
        self._function = function

    def __call__(self, *args: Any, **named: Any) -> object:
        token = current.set(self._run)
        try:
            return self._function(*args, **named)
        finally:
            current.reset(token)


_lend: list[Lend] = []
_PROCESSES = ("multiprocessing.process", "multiprocess.process")  # the latter is of pathos
_POOLS = ("multiprocessing.pool", "multiprocess.pool")
_PROCESS_POOLS = (
    "concurrent.futures.process",
    "loky.process_executor",
    "joblib.externals.loky.process_executor",
)
_OF_POOL = ("apply_async", "_map_async", "imap", "imap_unordered")


def lend_by(how: Lend) -> None:
    """Have what runs give to other processes made into what this returns for a run.

    Parameters
    ----------
    how : callable
        Takes the run, the function, and whether it is one task of many that the process does.
    """
    _lend[:] = [how]


def follow_pools() -> None:
    """Carry runs to the threads and processes of pools, if there may be pools in this process."""
    modules = sys.modules
    _wraps(getattr(modules.get("concurrent.futures.thread"), "ThreadPoolExecutor", None), "submit")
    for name in _PROCESS_POOLS:
        _wraps(getattr(modules.get(name), "ProcessPoolExecutor", None), "submit", lends=True)
    for module in _POOLS:
        for name in _OF_POOL:
            _wraps(getattr(modules.get(module), "Pool", None), name, lends=True)
    for module in _PROCESSES:
        _follow_starts(getattr(modules.get(module), "BaseProcess", None))


def _follow_starts(kind: Any) -> None:
    """Wrap how processes are started: one that is not forked from here may be told of no run."""
    start = getattr(kind, "start", None)
    if start is None or getattr(start, _RUN, None):
        return

    @wraps(start)
    def telling(self: Any) -> None:
        run = current.get()
        if run is not None and run.live and _lend and _start_method(self) != "fork":
            name = "run" if self._target is None else "_target"
            setattr(self, name, _lend[0](run, getattr(self, name), False))
        start(self)

    setattr(telling, _RUN, True)
    kind.start = telling


def _start_method(process: Any) -> str:
    known = getattr(process, "_start_method", None)
    if known is None:
        from multiprocessing import get_start_method

        known = get_start_method()
    return str(known)


def _wraps(pool: Any, name: str, *, lends: bool = False) -> None:
    """Wrap a method by which a pool is given a function."""
    give = getattr(pool, name, None)
    if give is None or getattr(give, _RUN, None):
        return

    @wraps(give)
    def carrying(self: Any, function: Any, /, *args: Any, **named: Any) -> Any:
        run = current.get()
        if run is not None and run.live:
            if not lends:
                function = _Carried(run, function)
            elif _lend and type(self).__name__ != "ThreadPool":  # it is a Pool, too
                function = _lend[0](run, function, True)
        return give(self, function, *args, **named)

    setattr(carrying, _RUN, True)
    setattr(pool, name, carrying)
