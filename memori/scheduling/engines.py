"""Executors by name: a script moves from a laptop to a cluster without an edit.

`executor` makes what `Pipeline.map(executor=...)` takes: processes of this machine, a Dask cluster,
or jobs of a batch system (by dask-jobqueue, which writes and submits the job scripts). The variable
MEMORI_EXECUTOR says the same in words (``slurm jobs=20 cores=4 memory=16GB``), for every run of the
process that is given no executor of its own. Jobs are submitted when there is work for them, up to
`jobs`, and end when there is none: what is remembered submits nothing.

A job works on one thing at a time, with all of its cores, memory and GPUs; a stage that wants more
than a job has is refused before anything runs. A worker that dies takes what it was at to one other
worker, and if that dies, too, the failure is named.

Not promised: schedulers of our own. What an engine logs and decides is its own.
"""

from __future__ import annotations

import os
import shlex

from memori.errors import MemoriError
from memori.processes.settings import setting
from memori.scheduling.machine import cores_here
from memori.signature.resources import Resources, memory_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import Any

BATCH = {
    "slurm": "SLURMCluster",
    "sge": "SGECluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
}
_ENGINES = ("processes", "dask", *BATCH)
_NUMBERS = ("jobs", "cores", "gpus")
_GPUS_OF = {  # how a batch system is asked for so many; of the others each site has its own way
    "slurm": ["--gres=gpu:{}"],
    "lsf": ["-gpu num={}"],
    "htcondor": {"request_gpus": "{}"},
}
_of_environment: dict[str, Executor] = {}


def executor(
    engine: str,
    *,
    jobs: int | None = None,
    cores: int = 1,
    memory: str | None = None,
    walltime: str | None = None,
    gpus: int | None = None,
    **options: Any,
) -> Executor:
    """Make the executor of an engine.

    Parameters
    ----------
    engine : str
        ``processes`` of this machine, ``dask`` (a cluster on this machine, or with
        ``address=`` or ``scheduler_file=`` one that runs already), or a batch system: ``slurm``,
        ``sge``, ``pbs``, ``lsf``, ``oar``, ``htcondor``.
    jobs : int, optional
        The most processes or jobs at once; by default one per core of this machine, and 10 jobs
        of a batch system.
    cores : int, optional
        Cores of each job, for the one stage that it works on at a time. In processes of this
        machine a stage of more threads takes the place of several.
    memory : str, optional
        Memory of each job, as in ``16GB``; a batch system asks for it.
    walltime : str, optional
        Time limit of each job, as in ``04:00:00``.
    gpus : int, optional
        GPUs of each job. SLURM, LSF and HTCondor are asked for them; elsewhere they are those that
        `job_extra_directives` ask for.
    **options
        Handed on to the engine: ``queue="short"``, ``account="lab"``,
        ``job_extra_directives=["--gres=gpu:1"]``, ``interface="ib0"``, ... for a batch system
        (those of dask-jobqueue's clusters), those of ``distributed.LocalCluster`` for ``dask``.

    Returns
    -------
    concurrent.futures.Executor
        To be shut down, or used in a with block: its jobs end with it.

    Raises
    ------
    ValueError
        If there is no such engine, or a number is none.
    MemoriError
        If the packages that the engine needs are not installed.

    Examples
    --------
    >>> with executor("processes", jobs=2) as two:
    ...     sorted(two.map(abs, [-1, 2]))
    [1, 2]
    """
    if engine not in _ENGINES:
        raise ValueError(f"engine is one of {', '.join(_ENGINES)}, got {engine!r}")
    for name, number in (("jobs", 1 if jobs is None else jobs), ("cores", cores)):
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} is a count of at least 1, got {number!r}")
    if gpus is not None and (not isinstance(gpus, int) or gpus < 0):
        raise ValueError(f"gpus is a count, got {gpus!r}")
    if engine == "processes":
        unknown = {"memory": memory, "walltime": walltime, "gpus": gpus, **options}
        return _processes(jobs, cores, unknown)
    if engine in BATCH and memory is None:
        raise ValueError(f"{engine} wants to know how much memory a job needs: memory='8GB'")
    each = Resources(cores, memory_of(memory, f"executor({engine!r})") or None, gpus)
    from memori.scheduling.on_dask import on_batch_system, on_dask

    try:
        if engine == "dask":
            return on_dask(jobs, each, memory, options)
        if gpus:
            _ask_for_gpus(engine, gpus, options)
        return on_batch_system(BATCH[engine], jobs or 10, each, memory, walltime, options)
    except ImportError as error:
        raise MemoriError(
            f"executor({engine!r}) needs dask-jobqueue and distributed ({error}): "
            "pip install 'memori-neuro[cluster]'"
        ) from error


def _processes(jobs: int | None, cores: int, unknown: dict[str, object]) -> Executor:
    for name, value in unknown.items():
        if value is not None:
            raise ValueError(f"processes of this machine have no {name}, got {value!r}")
    import loky

    pool: Executor = loky.ProcessPoolExecutor(jobs or max(1, cores_here() // cores))
    pool.cores_each = cores  # type: ignore[attr-defined]
    return pool


def _ask_for_gpus(engine: str, gpus: int, options: dict[str, Any]) -> None:
    """Add to the options of a batch system what asks for GPUs."""
    asked = _GPUS_OF.get(engine)
    name = "job_extra_directives"
    if isinstance(asked, dict):
        options[name] = {**{k: v.format(gpus) for k, v in asked.items()}, **options.get(name, {})}
    elif asked is not None:
        options[name] = [*(each.format(gpus) for each in asked), *options.get(name, ())]


def executor_of_environment() -> Executor | None:
    """Return the executor that MEMORI_EXECUTOR asks for, made once; None if it asks for none.

    Raises
    ------
    ValueError
        If it is no engine with options.
    """
    text = setting("executor").strip()
    if not text:
        return None
    mark = f"{os.getpid()} {text}"
    if mark not in _of_environment:
        import atexit

        _of_environment[mark] = executor_of_words(text)
        atexit.register(_of_environment[mark].shutdown)
    return _of_environment[mark]


def executor_of_words(text: str) -> Executor:
    """Make the executor that words describe: an engine and its options.

    Raises
    ------
    ValueError
        If they do not.

    Examples
    --------
    >>> executor_of_words("slurm jobs")
    Traceback (most recent call last):
    ...
    ValueError: an executor is an engine and options, as 'slurm jobs=20 cores=4', got 'slurm jobs'
    """
    engine, *words = shlex.split(text) or [""]
    options: dict[str, object] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        is_number = value.isdecimal() or name not in _NUMBERS
        if not name.isidentifier() or not is_given or not is_number:
            raise ValueError(
                f"an executor is an engine and options, as 'slurm jobs=20 cores=4', got {text!r}"
            )
        options[name] = int(value) if name in _NUMBERS else value
    return executor(engine, **options)  # type: ignore[arg-type]
