"""Offers: what the workers of an executor have, and how it is asked of them.

An executor of `memori.executor` knows what each of its workers has. The workers of a Dask cluster
may declare resources, whose names are the cluster's own (``memory``, ``MEM``, ``GPU``, ``CPU``);
a call is then handed to the scheduler with what it wants of each. One that nobody declares is not
asked for, because the scheduler would wait for it for ever.

Not promised: what a worker has that comes later, to an adaptive cluster that is no one's here yet;
and any word of what engines of other kinds have.
"""

from __future__ import annotations

import sys
import time

from memori.signature.resources import Resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Offer(Protocol):
        """What workers have."""

        def lacks(self, wanted: Resources) -> list[str]:
            """Say what no worker has enough of; nothing if that is not known."""

        def words(self, wanted: Resources) -> dict[str, Any]:
            """Return keywords that ask the executor for it."""


_NAMES = {
    **dict.fromkeys(("threads", "cpu", "cpus", "core", "cores"), "threads"),
    **dict.fromkeys(("memory", "mem"), "memory"),
    **dict.fromkeys(("gpu", "gpus"), "gpus"),
}
_FRESH = 5.0  # seconds in which no worker comes or goes unnoticed


def offer_of(executor: Any) -> Offer | None:
    """Return what the workers of an executor have; None if nobody knows."""
    each = getattr(executor, "each_worker", None)
    if isinstance(each, Resources):
        return Alike(each)
    client = getattr(executor, "dask_client", None)
    loaded = sys.modules.get("distributed.cfexecutor")
    if client is None and loaded is not None and isinstance(executor, loaded.ClientExecutor):
        client = executor._client
    return None if client is None else OfDask(client)


class Alike:
    """Workers that all have the same, for one stage at a time."""

    def __init__(self, each: Resources) -> None:
        self._each = each

    def lacks(self, wanted: Resources) -> list[str]:
        """Say what a worker has too little of."""
        return wanted.beyond(self._each)

    def words(self, wanted: Resources) -> dict[str, Any]:
        """Return nothing: who takes a stage has all that a worker has."""
        return {}


class OfDask:
    """The workers of a Dask cluster, as its scheduler knows them.

    Parameters
    ----------
    client : distributed.Client
        Who asks it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = float("-inf")
        self._known: list[dict[str, Any]] = []

    def _workers(self) -> list[dict[str, Any]]:
        if time.monotonic() - self._asked > _FRESH:
            try:
                told = self._client.scheduler_info(n_workers=-1)
            except TypeError:  # a release that tells of all unasked
                told = self._client.scheduler_info()
            self._known = list(told["workers"].values())
            self._asked = time.monotonic()
        return self._known

    def lacks(self, wanted: Resources) -> list[str]:
        """Say what of it the best worker has too little of."""
        beyond = [wanted.beyond(_has(worker)) for worker in self._workers()]
        return min(beyond, key=len, default=[])

    def words(self, wanted: Resources) -> dict[str, Any]:
        """Return what is wanted by the names that workers declare."""
        declared = {name for worker in self._workers() for name in worker.get("resources", ())}
        asked = {
            name: number
            for name in declared
            if (number := getattr(wanted, _NAMES.get(name.lower(), ""), 0))
        }
        return {"resources": asked} if asked else {}


def _has(worker: dict[str, Any]) -> Resources:
    """Return what a worker of Dask has; None for what it does not declare."""
    limit = worker.get("memory_limit") or None  # at which it is ended
    found: dict[str, Any] = {"memory": limit}
    for name, number in worker.get("resources", {}).items():
        known = _NAMES.get(name.lower())
        if known is not None:
            found[known] = int(number)
    return Resources(found.get("threads"), found["memory"], found.get("gpus"))
