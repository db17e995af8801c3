"""A Nipype plugin that runs a workflow on local processes: ``wf.run(plugin="Memori")``.

It looks into the memory first, in the main process: a node that is remembered takes no slot and no
time but that of the look. What has to run goes to worker processes, within the given processors
and memory, the moment that what it needs is there; nothing is polled. The elements of a MapNode
run beside each other. When a worker dies, what was running is run once more, one node at a time,
so that only the node at fault fails. Whatever raises, wherever it is raised, ends up as a crash
file and an exception, never as a wait without end.

Plugin arguments, as for Nipype's MultiProc: ``n_procs``, ``memory_gb``, ``n_gpu_procs``,
``raise_insufficient``, ``mp_context``, ``status_callback``; and ``executor``, any
`concurrent.futures.Executor` to use instead of local processes.

Not promised: Nipype's profiles of resources while a node runs.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from traceback import format_exception
from typing import Any

from nipype import logging as nipype_logging
from nipype.pipeline.engine import MapNode

from memori.neuro.nipype.engine_api import (
    PluginBase,
    add_plugin,
    get_system_total_memory_gb,
    gpus_of,
    memory_of,
    report_crash,
    report_nodes_not_run,
    str2bool,
    topological_sort,
)

logger = nipype_logging.getLogger("nipype.workflow")


class MemoriPlugin(PluginBase):  # type: ignore[misc]
    """Runs the nodes of a workflow that are not remembered, in parallel.

    Parameters
    ----------
    plugin_args : dict, optional
        See the module.
    """

    def __init__(self, plugin_args: dict[str, Any] | None = None) -> None:
        super().__init__(plugin_args=plugin_args)
        self.plugin_args = plugin_args or {}

    def run(self, graph: Any, config: dict[str, Any], updatehash: bool = False) -> None:
        """Run the nodes of an expanded graph.

        Parameters
        ----------
        graph : networkx.DiGraph
            The nodes and what they need of each other.
        config : dict
            Of the workflow.
        updatehash : bool, optional
            Whether stale results are taken for good.

        Raises
        ------
        RuntimeError
            If a node failed; after all that does not depend on it was run, unless the workflow is
            to stop on the first crash.
        """
        with _Workers(self.plugin_args) as workers:
            going = _Going(graph, config, workers, updatehash, self._status_callback)
            try:
                going.go()
            finally:
                report_nodes_not_run(going.not_run)
        going.raise_first()


class _Task:
    """One node, or one element of a MapNode, that is to run."""

    def __init__(self, node: Any, owner: _Task | None = None) -> None:
        self.node = node
        self.owner = owner  # the MapNode
        self.elements: list[_Task] | None = None  # of a MapNode, once they are known
        self.waits_for = 0
        self.was_cut_off = False  # its worker died, perhaps through no fault of its own
        self.failed = False
        self.over = False

    @property
    def gpus(self) -> int:
        return gpus_of(self.node)


class _Workers:
    """Worker processes that are started when the first is needed, and what is free of them."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._given: Executor | None = arguments.get("executor")
        self._context = arguments.get("mp_context")
        self._pool: Executor | None = self._given
        self.processors = int(arguments.get("n_procs") or os.cpu_count() or 1)
        self.memory = float(arguments.get("memory_gb") or get_system_total_memory_gb() * 0.9)
        self.gpus = int(arguments.get("n_gpu_procs") or 1)
        self.strict = bool(arguments.get("raise_insufficient", True))
        self.running: dict[Future[Any], _Task] = {}
        self.cut_off: list[_Task] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._pool is None or self._pool is self._given:
            return
        if kind is not None:
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def check(self, node: Any) -> None:
        """Raise if a node asks for more than there is."""
        most = (self.processors, self.memory, self.gpus)
        asked = (node.n_procs, node.mem_gb, gpus_of(node))
        if self.strict and any(a > b for a, b in zip(asked, most, strict=True)):
            raise RuntimeError(
                f"node {node.fullname} asks for {asked[0]} processors, {asked[1]} GB and "
                f"{asked[2]} GPU slots; there are {most[0]}, {most[1]:.1f} GB and {most[2]}. Give "
                "the plugin more, the node less, or raise_insufficient=False"
            )

    def has_room(self, task: _Task) -> bool:
        """Tell whether a node can start beside those that run."""
        nodes = [each.node for each in self.running.values()]
        if not nodes:
            return True
        if task.was_cut_off or any(each.was_cut_off for each in self.running.values()):
            return False  # alone: if a worker dies now, it is clear whose fault it is
        used = sum(min(node.n_procs, self.processors) for node in nodes)
        memory = sum(min(node.mem_gb, self.memory) for node in nodes)
        gpus = sum(each.gpus for each in self.running.values())
        return (
            used + min(task.node.n_procs, self.processors) <= self.processors
            and memory + min(memory_of(task.node), self.memory) <= self.memory
            and (not task.gpus or gpus + task.gpus <= self.gpus)
        )

    def start(self, task: _Task, updatehash: bool) -> None:
        """Run a node in a worker."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processors,
                multiprocessing.get_context(self._context),
                _prepare,
                (os.getcwd(),),
            )
        if getattr(task.node.interface, "terminal_output", "") == "stream":
            task.node.interface.terminal_output = "allatonce"
        self.running[self._pool.submit(_run_node, task.node, updatehash)] = task

    def ended(self) -> Iterator[tuple[_Task, list[str] | None]]:
        """Wait for a node to end; yield those that did, with the traceback of those that failed."""
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        for future in done:
            task = self.running.pop(future)
            try:
                yield task, future.result()
            except BrokenProcessPool as error:
                if self._pool is not self._given:
                    self._pool = None  # a new one for what is still to run
                if task.was_cut_off or self._given is not None:
                    yield task, format_exception(error)
                else:
                    task.was_cut_off = True
                    self.cut_off.append(task)
            except Exception as error:
                yield task, format_exception(error)


def _prepare(folder: str) -> None:
    """Begin in a worker."""
    os.chdir(folder)
    os.environ["NIPYPE_NO_ET"] = "1"


def _run_node(node: Any, updatehash: bool) -> list[str] | None:
    """Run a node in a worker; return the traceback if it fails."""
    try:
        node.run(updatehash=updatehash)
    except Exception as error:
        return format_exception(error)
    return None


class _Going:
    """One run of a workflow."""

    def __init__(
        self,
        graph: Any,
        config: dict[str, Any],
        workers: _Workers,
        updatehash: bool,
        callback: Callable[[Any, str], object] | None,
    ) -> None:
        self._graph = graph
        self._execution = config["execution"]
        self._workers = workers
        self._updatehash = updatehash
        self._callback = callback
        self._tasks = {id(node): _Task(node) for node in topological_sort(graph)[0]}
        for task in self._tasks.values():
            workers.check(task.node)
            task.waits_for = graph.in_degree(task.node)
        self._ready = [task for task in self._tasks.values() if not task.waits_for]
        self._queued: list[_Task] = []
        self.not_run: list[dict[str, Any]] = []
        self._errors: list[list[str]] = []

    def go(self) -> None:
        """Run until nothing is left."""
        while self._ready or self._queued or self._workers.running:
            while self._ready:
                self._look_at(self._ready.pop(0))
            self._start_queued()
            if self._workers.running:
                for task, traceback in self._workers.ended():
                    self._finish(task, traceback)
            self._queued += self._workers.cut_off
            self._workers.cut_off.clear()

    def raise_first(self) -> None:
        """Raise what failed first, as Nipype's plugins do."""
        if len(self._errors) == 1:
            raise RuntimeError("".join(self._errors[0]))
        if self._errors:
            first = RuntimeError("".join(self._errors[0]))
            raise RuntimeError(f"{len(self._errors)} raised. Re-raising first.") from first

    def _look_at(self, task: _Task) -> None:
        """Decide how a node whose inputs are there is to run."""
        node = task.node
        try:
            is_remembered = self._is_remembered(node)
            is_map = isinstance(node, MapNode) and task.elements is None
            if not is_remembered and is_map and self._expand(task):
                return
            if not is_remembered and not self._runs_here(task):
                self._queued.append(task)
                return
            self._tell(node, "start")
            if not is_remembered:
                node.run(updatehash=self._updatehash)
        except Exception as error:
            self._finish(task, format_exception(error))
        else:
            self._finish(task, None)

    def _expand(self, task: _Task) -> bool:
        """Make the elements of a MapNode tasks of their own; False if they are not worth it."""
        task.elements = []
        if task.node.num_subnodes() <= 1:
            return False
        task.elements = [_Task(node, task) for node in task.node.get_subnodes()]
        task.waits_for = len(task.elements)
        self._ready[:0] = task.elements
        return True

    def _is_remembered(self, node: Any) -> bool:
        if not str2bool(self._execution["local_hash_check"]):
            return False
        forced = node.overwrite or (node.overwrite is None and node.interface.always_run)
        if forced and "_memori" not in vars(node):
            return False
        cached, updated = node.is_cached()
        return bool(cached and updated)

    def _runs_here(self, task: _Task) -> bool:
        """Tell whether a node is to run in this process, or only collects what others left."""
        if task.node.run_without_submitting:
            return True
        has_memory = "_memori" in vars(task.node)
        return bool(task.elements) and has_memory and not task.node.interface.always_run

    def _start_queued(self) -> None:
        for task in list(self._queued):
            if self._workers.has_room(task):
                self._queued.remove(task)
                try:
                    self._tell(task.node, "start")
                    self._workers.start(task, self._updatehash)
                except Exception as error:
                    self._finish(task, format_exception(error))

    # What follows when a node has ended

    def _finish(self, task: _Task, traceback: list[str] | None) -> None:
        task.over = True
        if traceback is not None:
            self._fail(task, traceback)
            return
        self._tell(task.node, "end")
        if task.owner is not None:
            self._element_ended(task.owner)
            return
        for node in self._graph.successors(task.node):
            after = self._tasks[id(node)]
            after.waits_for -= 1
            if not after.waits_for and not after.failed:
                self._ready.append(after)
        self._remove_folders(task)

    def _element_ended(self, owner: _Task) -> None:
        owner.waits_for -= 1
        if not owner.waits_for and not owner.failed:
            self._ready.append(owner)

    def _fail(self, task: _Task, traceback: list[str]) -> None:
        import networkx  # type: ignore[import-untyped]

        self._errors.append(traceback)
        self._tell(task.node, "exception")
        crash = report_crash(task.node, traceback=list(traceback))
        stem = task if task.owner is None else task.owner
        first = not stem.failed
        after = [stem.node, *networkx.descendants(self._graph, stem.node)]
        for node in after:
            self._tasks[id(node)].failed = True
        if first:
            dependents = [node for node in after if node is not task.node]
            self.not_run.append({"node": task.node, "dependents": dependents, "crashfile": crash})
        if task.owner is not None:
            self._element_ended(task.owner)
        if str2bool(self._execution["stop_on_first_crash"]):
            raise RuntimeError("".join(traceback))

    def _remove_folders(self, task: _Task) -> None:
        """Remove the folders that nobody needs any more, if the workflow is to."""
        if not str2bool(self._execution["remove_node_directories"]):
            return
        for node in [*self._graph.predecessors(task.node), task.node]:
            after = list(self._graph.successors(node))
            if after and all(self._tasks[id(each)].over for each in after):
                shutil.rmtree(node.output_dir(), ignore_errors=True)

    def _tell(self, node: Any, status: str) -> None:
        if self._callback is not None:
            self._callback(node, status)


add_plugin(MemoriPlugin)
