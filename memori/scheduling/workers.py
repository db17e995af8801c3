"""Workers: where work goes.

Any executor will do: threads, processes, loky, `dask.distributed`'s ``Client.get_executor()``,
MPI, submitit. Asked of it is ``submit``, and of what that returns ``done``, ``result`` and
``cancel``; where it also tells when it is done, as futures do, nothing is polled. ``n_jobs`` picks
loky, whose worker processes also take functions of ``__main__``, lambdas and closures.

What stages say that they need (`memori.signature.resources`) is held against what there is: on this
machine places, memory and GPUs are shared by all workers, and a worker of a cluster has its own
(`memori.scheduling.offers`).

A process pool that lost a worker takes no more work. One like it, with the same settings, takes
its place for the rest of a run, with a warning; so a pool that broke earlier does no harm. Of an
executor of another kind nobody can make a second: what it does not take any more fails, and says
so.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cached_property
from threading import local

from memori.calls.current_run import current
from memori.errors import MemoriError, warn
from memori.fingerprint.versions import contradict, versions_of
from memori.processes import interrupts
from memori.scheduling.engines import executor_of_environment
from memori.scheduling.machine import cores_here, gpus_here, memory_here
from memori.scheduling.offers import offer_of
from memori.signature.resources import Resources, memory_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from types import CodeType
    from typing import Any

IDLE = 10.0  # seconds after which a local process that has nothing to do ends


def workers_for(
    n_jobs: int | None,
    executor: Executor | None,
    *,
    memory: int | str | None = None,
    gpus: int | None = None,
) -> Workers | None:
    """Return where work goes; None for "one after the other, here".

    Parameters
    ----------
    n_jobs : int or None
        Worker processes on this machine; None or 1 for none, -1 for one per core.
    executor : concurrent.futures.Executor or None
        The user's own; None for the one that MEMORI_EXECUTOR names, outside of stages.
    memory : int or str, optional
        What all that runs at once may take together; by default that of this machine, where the
        workers are on it.
    gpus : int, optional
        The same of GPUs.

    Raises
    ------
    ValueError
        If `n_jobs` and `executor` are given, or a number is none.
    TypeError
        If `executor` is none.
    """
    shared = {"memory": memory_of(memory, "map") or None, "gpus": _count_of(gpus)}
    if executor is not None:
        if n_jobs is not None:
            raise ValueError("n_jobs and executor are two ways to say one thing: give one")
        if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
            raise TypeError(
                f"executor is something with a method `submit`, as concurrent.futures has them, "
                f"got {executor!r}"
            )
        return Workers(executor, _width_of(executor), **shared)
    named = None if current() else executor_of_environment()
    if named is not None:
        return Workers(named, _width_of(named), **shared)
    if n_jobs is None or n_jobs == 1:
        return None
    if not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs is a number of processes or -1 for one per core, got {n_jobs!r}")
    return Workers(None, cores_here() if n_jobs == -1 else n_jobs, **shared)


def _count_of(gpus: int | None) -> int | None:
    if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 0):
        raise ValueError(f"gpus is a number of GPUs, got {gpus!r}")
    return gpus


def _width_of(executor: Executor) -> int | None:
    """Return how many calls a pool makes at once, where it is one of this machine that tells."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    kinds: tuple[type, ...] = (ProcessPoolExecutor, ThreadPoolExecutor)
    loaded = sys.modules.get("loky")
    if isinstance(executor, kinds if loaded is None else (*kinds, loaded.ProcessPoolExecutor)):
        width = getattr(executor, "_max_workers", None)
        return width if isinstance(width, int) else None
    return None


class Workers:
    """What takes orders: the user's executor, or local processes.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        What takes the work; None for local processes, started when the first work comes.
    capacity : int or None
        The most pieces of work at once; None leaves it to the executor.
    memory : int, optional
        Bytes that all that runs at once may take; by default those of this machine.
    gpus : int, optional
        The same of GPUs.
    """

    def __init__(
        self,
        executor: Executor | None,
        capacity: int | None,
        *,
        memory: int | None = None,
        gpus: int | None = None,
    ) -> None:
        self._executor = executor
        self._replacement: Executor | None = None
        self._offer = None if executor is None else offer_of(executor)
        self._cores: int | None = getattr(executor, "cores_each", None)
        self._memory, self._gpus = memory, gpus
        self.capacity = capacity

    # What they have

    @cached_property
    def shared(self) -> Resources:
        """The memory and the GPUs that all have together, as far as that is known."""
        is_here = self.capacity is not None
        memory = memory_here() if self._memory is None and is_here else self._memory
        gpus = gpus_here() if self._gpus is None and is_here else self._gpus
        return Resources(None, memory, gpus)

    def places_of(self, wanted: Resources) -> int:
        """Return how many places a run takes that needs so much: as many as have its threads."""
        if self.capacity is None:
            return 1
        return -(-(wanted.threads or 1) // (self._cores or 1))

    def lacks(self, wanted: Resources) -> list[str]:
        """Say what a run will never get that needs so much.

        Threads on this machine are no such thing: what wants more of them than there are places
        runs alone, but where somebody has said how many there are.
        """
        if wanted == Resources():
            return []
        threads = None if self._cores is None else (self.capacity or 1) * self._cores
        there = Resources(threads, self.shared.memory, self.shared.gpus)
        return wanted.beyond(there) or ([] if self._offer is None else self._offer.lacks(wanted))

    @property
    def where(self) -> str:
        """Where they are, as the end of a sentence that says what there is."""
        if self._offer is not None:
            return f" in a worker of the {type(self._executor).__name__}"
        is_said = self._memory is not None or self._gpus is not None
        return " for all that runs at once" if is_said else " on this machine"

    def submit(self, function: Callable[..., Any], order: object, wanted: Resources) -> Any:
        """Hand a call to the executor, with what it needs in the executor's own words."""
        words = {} if self._offer is None else self._offer.words(wanted)
        return self.executor.submit(function, order, **words)

    @property
    def are_local(self) -> bool:
        """Whether they are processes of our own."""
        return self._executor is None

    def recalls_here(self, seconds: float) -> Callable[[], bool]:
        """Return what tells whether what is remembered is to be looked up by who asks for it.

        Who works on this machine looks it up itself, and so side by side; as long as no worker
        process was started it is done here for so many seconds. What is known of no executor of
        another kind is how much a call costs.
        """
        if not self.are_local:
            return lambda: self.capacity is None
        until = 0.0 if _has_local() else time.monotonic() + seconds
        return lambda: time.monotonic() < until

    @property
    def find_by_name(self) -> bool:
        """Whether workers have the modules of this process, its `__main__` included."""
        from concurrent.futures import ProcessPoolExecutor

        return isinstance(self._executor, ProcessPoolExecutor)

    @property
    def executor(self) -> Executor:
        """What takes the work now."""
        return self._replacement or self._executor or _local_processes(self.capacity)

    def serve(self, codes: Iterable[CodeType]) -> None:
        """Start local processes anew if earlier work had other versions of the same functions."""
        if self.are_local:
            versions = versions_of(codes)
            if any(contradict(versions, earlier) for earlier in _kept.versions):
                _let_go()
            _local_processes(self.capacity)
            _kept.versions.add(versions)

    def replace(self, error: BaseException) -> None:
        """Take another pool in the place of one that is broken.

        Raises
        ------
        MemoriError
            If there can be none.
        """
        if self.are_local:
            _let_go()
            return
        broken = self._replacement or self._executor
        alike = _alike(broken)
        if alike is None:
            raise MemoriError(
                f"{broken!r} is broken and takes no more work ({error}): give a new one"
            ) from error
        if self._replacement is None:
            warn(
                f"a worker of {broken!r} died, and the pool with it: a new one like it takes over, "
                "for this run alone; make a new one before the next"
            )
        else:
            self._replacement.shutdown(wait=False)
        self._replacement = alike

    def end(self) -> None:
        """End our own processes with the work they do."""
        ours, _kept.pool = (_kept.pool, None) if self.are_local else (self._replacement, _kept.pool)
        if ours is None:
            return
        try:
            ours.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
        except TypeError:  # not loky's
            ours.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Let go of a pool that took the place of the user's."""
        if self._replacement is not None:
            self._replacement.shutdown()


class _Kept(local):
    """The local processes that a thread keeps from one run for the next."""

    pool: Executor | None = None
    settings: tuple[int, int | None, tuple[str, ...]] | None = None

    def __init__(self) -> None:
        self.versions: set[bytes] = set()  # of the functions that they were given


_kept = _Kept()
_mark: str | None = None


def _local_processes(capacity: int | None) -> Executor:
    """Return processes of loky's, for this thread; they end with this one, at work or not."""
    settings = os.getpid(), capacity, tuple(sys.path)  # where they look for modules
    if _kept.pool is None or _kept.settings != settings:
        import loky

        for stream in ("stdout", "stderr"):
            if getattr(sys, stream) is None:  # closed by who started us; loky flushes both
                setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
        _let_go()
        mark = _mark_of_local()
        try:
            _kept.pool = loky.ProcessPoolExecutor(capacity, timeout=IDLE, env={"MEMORI_RUN": mark})
        except OSError as error:
            raise MemoriError(
                f"no local processes can be started: {error}; they need room in /dev/shm (Docker "
                "gives more by --shm-size). Free it, or set n_jobs=1, which needs none"
            ) from error
        _kept.settings = settings
    return _kept.pool


def _has_local() -> bool:
    return _kept.pool is not None and (_kept.settings or (0,))[0] == os.getpid()


def _let_go() -> None:
    """Let the local processes end; a forked process has none."""
    pool, _kept.pool = _kept.pool, None
    _kept.versions.clear()
    if pool is not None and _kept.settings is not None and _kept.settings[0] == os.getpid():
        pool.shutdown(wait=False)


def _mark_of_local() -> str:
    """Return what marks the environment of local processes, which the watchdog ends."""
    global _mark
    if _mark is None or not _mark.startswith(f"{os.getpid()}."):
        _mark = interrupts.new_mark()
        interrupts.tell(_mark, "begin", None)
    return _mark


def _alike(pool: Executor | None) -> Executor | None:
    """Return a new process pool with the settings of another; None if they are not known."""
    from concurrent.futures import ProcessPoolExecutor

    import loky

    common = {"max_workers": "_max_workers", "initializer": "_initializer", "initargs": "_initargs"}
    if type(pool) is ProcessPoolExecutor:
        further = {"mp_context": "_mp_context", "max_tasks_per_child": "_max_tasks_per_child"}
        make: Any = ProcessPoolExecutor
    elif isinstance(pool, loky.ProcessPoolExecutor):
        further = {"context": "_context", "timeout": "_timeout", "env": "_env"}
        make = loky.ProcessPoolExecutor
    else:
        return None
    try:
        return make(**{k: getattr(pool, name) for k, name in {**common, **further}.items()})  # type: ignore[no-any-return]
    except AttributeError:  # a release that calls them otherwise
        return None
