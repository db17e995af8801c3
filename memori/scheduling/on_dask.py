"""Dask as an engine: clusters that are made for a run, and end with it.

Imported where such an executor is asked for alone.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import Executor

from memori.errors import MemoriError
from memori.scheduling.machine import cores_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

    from memori.signature.resources import Resources

_CAREFUL = {
    "distributed.scheduler.allowed-failures": 1,  # what takes two workers down has failed
    "distributed.scheduler.worker-saturation": 1.0,  # and takes nothing down that waits behind it
}
_QUIET = {"dashboard_address": ":0", "dashboard": False}  # no port that another one has


class DaskExecutor(Executor):
    """The executor of a client whose cluster ends with it.

    Parameters
    ----------
    client : distributed.Client
        What takes the work.
    cluster : distributed.deploy.Cluster or None
        What is ours to close; None for a cluster of others.
    each : Resources, optional
        What each worker of ours has, for one thing at a time.

    Attributes
    ----------
    dask_client : distributed.Client
        Who knows what workers of others have.
    each_worker : Resources or None
        What ours have.
    """

    def __init__(self, client: Any, cluster: Any, each: Resources | None = None) -> None:
        self.dask_client = client
        self.each_worker = each
        self._cluster = cluster
        self._executor = client.get_executor(pure=False)

    def submit(
        self, function: Callable[..., Any], /, *args: object, **kwargs: object
    ) -> Future[Any]:
        """Hand a call to the scheduler."""
        return self._executor.submit(function, *args, **kwargs)  # type: ignore[no-any-return]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the client, and the jobs with it.

        Parameters
        ----------
        wait : bool, optional
            Whether to wait for what is unfinished, which is cancelled otherwise.
        cancel_futures : bool, optional
            Whether to cancel it in any case.
        """
        self._executor.shutdown(wait=wait and not cancel_futures)
        self.dask_client.close()
        if self._cluster is not None:
            self._cluster.close()


def _imported() -> Any:
    """Import dask-jobqueue, and give back Ctrl-C, which it takes to itself where it is imported."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if not is_main and "dask_jobqueue.runner" not in sys.modules:
        raise MemoriError(
            "an executor of a batch system is first made in the main thread, because "
            "dask-jobqueue can only be imported there"
        )
    import dask_jobqueue

    if is_main:
        signal.signal(signal.SIGINT, handler)
    return dask_jobqueue


def on_dask(
    jobs: int | None, each: Resources, memory: str | None, options: dict[str, Any]
) -> Executor:
    """Return the executor of a cluster that runs already, or of one on this machine."""
    import dask
    from distributed import Client, LocalCluster

    where = {name: options.pop(name) for name in ("address", "scheduler_file") if name in options}
    if where:
        return DaskExecutor(Client(**where, **options), None)
    number = jobs or max(1, cores_here() // (each.threads or 1))
    settings: dict[str, Any] = {"n_workers": number, "threads_per_worker": 1}
    if memory is not None:
        settings["memory_limit"] = memory
    with dask.config.set(_CAREFUL):
        cluster = LocalCluster(
            **{"silence_logs": 50, "scheduler_kwargs": _QUIET, **settings, **options}
        )
    return DaskExecutor(Client(cluster), cluster, each)


def on_batch_system(
    kind: str,
    jobs: int,
    each: Resources,
    memory: str | None,
    walltime: str | None,
    options: dict[str, Any],
) -> Executor:
    """Return the executor of jobs that a batch system starts when there is work for them."""
    import dask
    from distributed import Client

    dask_jobqueue = _imported()
    extra = [*options.pop("worker_extra_args", ()), "--nthreads", "1"]
    settings: dict[str, Any] = {"cores": each.threads, "processes": 1, "memory": memory}
    settings["worker_extra_args"] = extra
    if walltime is not None:
        settings["walltime"] = walltime
    scheduler = {**_QUIET, **options.pop("scheduler_options", {})}
    with dask.config.set(_CAREFUL):
        cluster = getattr(dask_jobqueue, kind)(
            **settings, scheduler_options=scheduler, silence_logs=50, **options
        )
    cluster.adapt(minimum_jobs=0, maximum_jobs=jobs)
    return DaskExecutor(Client(cluster), cluster, each)
