"""Scheduling on `concurrent.futures.Executor`: independent work side by side.

Any executor will do: threads, processes, loky, `dask.distributed`'s ``Client.get_executor()``,
MPI. ``n_jobs`` picks loky, whose worker processes also take functions of ``__main__``, lambdas
and closures. Work is submitted as soon as what it needs is there; after a failure nothing new is
submitted, and what runs already is waited for. With ``n_jobs``, a stage that says it keeps several
threads busy takes the place of as many.

Not promised: order among things that do not depend on each other.
"""

from __future__ import annotations

import os

from memori.errors import MemoriError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping
    from concurrent.futures import Executor, Future
    from typing import Any, TypeVar

    Node = TypeVar("Node", bound=Hashable)

_at_interrupt: list[Callable[[], None]] = []


def check_graph(predecessors: Mapping[Node, tuple[Node, ...]]) -> list[Node]:
    """Return the nodes of a graph so that each comes after what it needs, else as they stand.

    Raises
    ------
    graphlib.CycleError
        If some need each other; ``args[1]`` is the cycle.
    """
    from graphlib import TopologicalSorter

    TopologicalSorter(predecessors).prepare()
    waiting = list(predecessors)
    order: list[Node] = []
    placed: set[Node] = set()
    while waiting:
        node = next(n for n in waiting if placed.issuperset(predecessors[n]))
        waiting.remove(node)
        placed.add(node)
        order.append(node)
    return order


class Workers:
    """Where work goes.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        What takes the work; None for local processes, started when the first work comes.
    capacity : int or None
        The most threads to keep busy at once; None leaves it to the executor.
    """

    def __init__(self, executor: Executor | None, capacity: int | None) -> None:
        self._executor = executor
        self.capacity = capacity
        self._home = Home(with_environment=executor is None)

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start a call, in the working folder (and for local processes the environment) of now."""
        return self.executor.submit(_at_home, self._home, call, *args)

    def end(self) -> None:
        """End local processes with the work they do, for a user who interrupts."""
        if self._executor is None:
            self.executor.shutdown(wait=False, kill_workers=True)  # type: ignore[call-arg]

    @property
    def executor(self) -> Executor:
        """What takes the work."""
        if self._executor is not None:
            return self._executor
        from loky import get_reusable_executor

        executor: Executor = get_reusable_executor(max_workers=self.capacity)
        return executor


class Home:
    """Where a call was asked for: the process, its working folder and its environment.

    Worker processes outlive the call that started them, and would go on in the folder and
    environment of that moment.
    """

    def __init__(self, *, with_environment: bool) -> None:
        self._process = os.getpid()
        self._folder = os.getcwd()
        self._environment = dict(os.environ) if with_environment else None

    @property
    def is_here(self) -> bool:
        """Whether this is the very process."""
        return os.getpid() == self._process

    def enter(self) -> None:
        """Make this process like the one where the call was asked for."""
        if self.is_here:
            return
        os.chdir(self._folder)
        if self._environment is not None and dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)


def _at_home(home: Home, call: Callable[..., Any], *args: Any) -> Any:
    """Run a call in a worker; an error that could not travel back goes as its text."""
    home.enter()
    try:
        return call(*args)
    except Exception as error:
        travelling = error if home.is_here else portable(error)
        if travelling is error:
            raise
        raise travelling from None


def portable(error: Exception) -> Exception:
    """Return an error that can come back from a worker: itself, or one with its text."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        replacement = MemoriError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            replacement.add_note(note)
        return replacement
    return error


def workers_for(n_jobs: int | None, executor: Executor | None) -> Workers | None:
    """Return where work goes; None for "one after the other, here".

    Parameters
    ----------
    n_jobs : int or None
        Worker processes on this machine; None or 1 for none, -1 for one per core.
    executor : concurrent.futures.Executor or None
        The user's own.

    Raises
    ------
    ValueError
        If both are given, or `n_jobs` is no count.
    """
    if executor is not None:
        if n_jobs is not None:
            raise ValueError("n_jobs and executor are two ways to say one thing: give one")
        return Workers(executor, None)
    if n_jobs is None or n_jobs == 1:
        return None
    if not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs is a number of processes or -1 for one per core, got {n_jobs!r}")
    return Workers(None, _cores() if n_jobs == -1 else n_jobs)


def finished(value: Any) -> Future[Any]:
    """Return a future that is done."""
    from concurrent.futures import Future

    future: Future[Any] = Future()
    future.set_result(value)
    return future


def failed(error: BaseException) -> Future[Any]:
    """Return a future that is done, with an error."""
    from concurrent.futures import Future

    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def at_interrupt(call: Callable[[], None]) -> None:
    """Have something called when the user interrupts while work is going on in threads.

    Only the main thread sees Ctrl-C; whoever waits in other threads for something that can be
    ended (a command) says here how.
    """
    _at_interrupt.append(call)


def run_graph(
    predecessors: Mapping[Node, tuple[Node, ...]],
    workers: Workers,
    submit: Callable[[Node], Future[Any]],
    finish: Callable[[Node, Future[Any]], None],
    threads: Callable[[Node], int] = lambda node: 1,
) -> None:
    """Run the nodes of a graph, each as soon as its predecessors are finished.

    Parameters
    ----------
    predecessors : mapping
        For each node those that it needs.
    workers : Workers
        How much may run at once.
    submit : callable
        Starts a node.
    finish : callable
        Takes a node and its finished future; what it raises stops the graph.
    threads : callable, optional
        How many threads a node keeps busy.

    Raises
    ------
    BaseException
        The first that `finish` raised, with a note on each further one.
    """
    from graphlib import TopologicalSorter

    graph = TopologicalSorter(predecessors)
    graph.prepare()
    ready: list[Node] = []
    going: dict[Future[Any], Node] = {}
    failures: list[Exception] = []

    def collect(futures: set[Future[Any]]) -> None:
        for future in futures:
            node = going.pop(future)
            try:
                finish(node, future)
                graph.done(node)
            except Exception as failure:
                failures.append(failure)

    try:
        while not failures and graph.is_active():
            ready += graph.get_ready()
            for node in _that_fit(ready, [threads(n) for n in going.values()], workers, threads):
                ready.remove(node)
                going[submit(node)] = node
            collect(_finished(going))
    except BaseException:
        for call in _at_interrupt:
            call()
        workers.end()
        raise
    finally:
        waited_for = {future for future in going if not future.cancel()}
        while waited_for:
            collect(finished := _finished(waited_for))
            waited_for -= finished
    if failures:
        for further in failures[1:]:
            failures[0].add_note(f"memori: another stage failed as well: {further!r}")
        raise failures[0]


def _that_fit(
    ready: list[Node], busy: list[int], workers: Workers, threads: Callable[[Node], int]
) -> list[Node]:
    """Choose what can start now; a node that wants more than there is runs alone."""
    if workers.capacity is None:
        return list(ready)
    chosen: list[Node] = []
    used = sum(busy)
    for node in ready:
        if used >= workers.capacity:
            break
        if used == 0 or used + threads(node) <= workers.capacity:
            chosen.append(node)
            used += threads(node)
    return chosen


def _finished(futures: Collection[Future[Any]]) -> set[Future[Any]]:
    from concurrent.futures import FIRST_COMPLETED, wait

    return set(wait(futures, return_when=FIRST_COMPLETED).done)
