"""Scheduling on `concurrent.futures.Executor`: independent work side by side.

Any executor will do: threads, processes, loky, `dask.distributed`'s ``Client.get_executor()``,
MPI. ``n_jobs`` picks loky, whose worker processes also take functions of ``__main__``, lambdas
and closures. Work is submitted as soon as what it needs is there; after a failure nothing new is
submitted, and what runs already is waited for.

Not promised: order among things that do not depend on each other.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from concurrent.futures import Executor, Future
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    Node = TypeVar("Node", bound=Hashable)


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


def executor_for(
    n_jobs: int | None, executor: Executor | None
) -> AbstractContextManager[Executor | None]:
    """Return the executor to use (None for "one after the other"), as a context manager.

    Parameters
    ----------
    n_jobs : int or None
        Worker processes on this machine; None or 1 for none, -1 for one per core.
    executor : concurrent.futures.Executor or None
        The user's own; it is left running.

    Raises
    ------
    ValueError
        If both are given, or `n_jobs` is no count.
    """
    from contextlib import nullcontext

    if executor is not None:
        if n_jobs is not None:
            raise ValueError("n_jobs and executor are two ways to say one thing: give one")
        return nullcontext(executor)
    if n_jobs is None or n_jobs == 1:
        return nullcontext(None)
    if not isinstance(n_jobs, int) or n_jobs == 0 or n_jobs < -1:
        raise ValueError(f"n_jobs is a number of processes or -1 for one per core, got {n_jobs!r}")
    from loky import get_reusable_executor

    return nullcontext(get_reusable_executor(max_workers=_cores() if n_jobs == -1 else n_jobs))


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def run_graph(
    predecessors: Mapping[Node, tuple[Node, ...]],
    submit: Callable[[Node], Future[Any]],
    finish: Callable[[Node, Any], None],
) -> None:
    """Run the nodes of a graph on an executor, each as soon as its predecessors are finished.

    Parameters
    ----------
    predecessors : mapping
        For each node those that it needs.
    submit : callable
        Starts a node.
    finish : callable
        Takes a node and what it returned.

    Raises
    ------
    BaseException
        The first that a node raised, with a note on each further one.
    """
    from concurrent.futures import FIRST_COMPLETED, wait
    from graphlib import TopologicalSorter

    graph = TopologicalSorter(predecessors)
    graph.prepare()
    going: dict[Future[Any], Node] = {}
    failure: BaseException | None = None
    try:
        while failure is None and graph.is_active():
            for node in graph.get_ready():
                going[submit(node)] = node
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                node = going.pop(future)
                failure = _with_note(failure, future.exception())
                if future.exception() is None:
                    finish(node, future.result())
                    graph.done(node)
    finally:
        for future in going:
            future.cancel()
        for future in wait(going).done:
            if not future.cancelled():
                failure = _with_note(failure, future.exception())
                if future.exception() is None:
                    finish(going[future], future.result())
    if failure is not None:
        raise failure


def _with_note(first: BaseException | None, further: BaseException | None) -> BaseException | None:
    if first is None or further is None:
        return first or further
    first.add_note(f"memori: another stage failed as well: {further!r}")
    return first


def each_in_order(
    items: list[Any], submit: Callable[[Any], Future[Any]]
) -> Iterator[tuple[Any, Future[Any]]]:
    """Submit every item, then yield each with its finished future, in the order given."""
    from concurrent.futures import wait

    futures = [submit(item) for item in items]
    try:
        for item, future in zip(items, futures, strict=True):
            wait([future])
            yield item, future
    finally:
        for future in futures:
            future.cancel()
