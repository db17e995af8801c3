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
    status_callback_of,
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
            run = _WorkflowRun(graph, config, workers, updatehash, status_callback_of(self))
            try:
                run.go()
            finally:
                report_nodes_not_run(run.not_run)
        run.raise_first()


class _NodeRun:
    """One node, or one element of a MapNode, that is to run."""

    def __init__(self, node: Any, owner: _NodeRun | None = None) -> None:
        self.node = node
        self.owner = owner  # the MapNode
        self.elements: list[_NodeRun] | None = None  # of a MapNode, once they are known
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
        self.running: dict[Future[Any], _NodeRun] = {}
        self.cut_off: list[_NodeRun] = []

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

    def has_room(self, run: _NodeRun) -> bool:
        """Tell whether a node can start beside those that run."""
        nodes = [each.node for each in self.running.values()]
        if not nodes:
            return True
        if run.was_cut_off or any(each.was_cut_off for each in self.running.values()):
            return False  # alone: if a worker dies now, it is clear whose fault it is
        used = sum(min(node.n_procs, self.processors) for node in nodes)
        memory = sum(min(node.mem_gb, self.memory) for node in nodes)
        gpus = sum(each.gpus for each in self.running.values())
        return (
            used + min(run.node.n_procs, self.processors) <= self.processors
            and memory + min(memory_of(run.node), self.memory) <= self.memory
            and (not run.gpus or gpus + run.gpus <= self.gpus)
        )

    def start(self, run: _NodeRun, updatehash: bool) -> None:
        """Run a node in a worker."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processors,
                multiprocessing.get_context(self._context),
                _prepare,
                (os.getcwd(),),
            )
        if getattr(run.node.interface, "terminal_output", "") == "stream":
            run.node.interface.terminal_output = "allatonce"
        self.running[self._pool.submit(_run_node, run.node, updatehash)] = run

    def ended(self) -> Iterator[tuple[_NodeRun, list[str] | None]]:
        """Wait for a node to end; yield those that did, with the traceback of those that failed."""
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        for future in done:
            run = self.running.pop(future)
            try:
                yield run, future.result()
            except BrokenProcessPool as error:
                if self._pool is not self._given:
                    self._pool = None  # a new one for what is still to run
                if run.was_cut_off or self._given is not None:
                    yield run, format_exception(error)
                else:
                    run.was_cut_off = True
                    self.cut_off.append(run)
            except Exception as error:
                yield run, format_exception(error)


def _prepare(folder: str) -> None:
    """Begin in a worker."""
    os.chdir(folder)


def _run_node(node: Any, updatehash: bool) -> list[str] | None:
    """Run a node in a worker; return the traceback if it fails."""
    try:
        node.run(updatehash=updatehash)
    except Exception as error:
        return format_exception(error)
    return None


class _WorkflowRun:
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
        self._runs = {id(node): _NodeRun(node) for node in topological_sort(graph)[0]}
        for run in self._runs.values():
            workers.check(run.node)
            run.waits_for = graph.in_degree(run.node)
        self._ready = [run for run in self._runs.values() if not run.waits_for]
        self._queued: list[_NodeRun] = []
        self.not_run: list[dict[str, Any]] = []
        self._errors: list[list[str]] = []

    def go(self) -> None:
        """Run until nothing is left."""
        while self._ready or self._queued or self._workers.running:
            while self._ready:
                self._look_at(self._ready.pop(0))
            self._start_queued()
            if self._workers.running:
                for run, traceback in self._workers.ended():
                    self._finish(run, traceback)
            self._queued += self._workers.cut_off
            self._workers.cut_off.clear()

    def raise_first(self) -> None:
        """Raise what failed first, as Nipype's plugins do."""
        if len(self._errors) == 1:
            raise RuntimeError("".join(self._errors[0]))
        if self._errors:
            first = RuntimeError("".join(self._errors[0]))
            raise RuntimeError(f"{len(self._errors)} raised. Re-raising first.") from first

    def _look_at(self, run: _NodeRun) -> None:
        """Decide how a node whose inputs are there is to run."""
        node = run.node
        try:
            is_remembered = self._is_remembered(node)
            is_map = isinstance(node, MapNode) and run.elements is None
            if not is_remembered and is_map and self._expand(run):
                return
            if not is_remembered and not self._runs_here(run):
                self._queued.append(run)
                return
            self._tell(node, "start")
            if is_remembered:
                how = "in memory" if "_memori" in vars(node) else "cached"
                logger.info('[Node] "%s" found %s.', node.fullname, how)
            else:
                node.run(updatehash=self._updatehash)
        except Exception as error:
            self._finish(run, format_exception(error))
        else:
            self._finish(run, None)

    def _expand(self, run: _NodeRun) -> bool:
        """Make runs of the elements of a MapNode; False if they are not worth it."""
        run.elements = []
        if run.node.num_subnodes() <= 1:
            return False
        run.elements = [_NodeRun(node, run) for node in run.node.get_subnodes()]
        run.waits_for = len(run.elements)
        self._ready[:0] = run.elements
        return True

    def _is_remembered(self, node: Any) -> bool:
        if not str2bool(self._execution["local_hash_check"]):
            return False
        forced = node.overwrite or (node.overwrite is None and node.interface.always_run)
        if forced and "_memori" not in vars(node):
            return False
        cached, updated = node.is_cached()
        return bool(cached and updated)

    def _runs_here(self, run: _NodeRun) -> bool:
        """Tell whether a node is to run in this process, or only collects what others left."""
        if run.node.run_without_submitting:
            return True
        has_memory = "_memori" in vars(run.node)
        return bool(run.elements) and has_memory and not run.node.interface.always_run

    def _start_queued(self) -> None:
        for run in list(self._queued):
            if self._workers.has_room(run):
                self._queued.remove(run)
                try:
                    self._tell(run.node, "start")
                    self._workers.start(run, self._updatehash)
                except Exception as error:
                    self._finish(run, format_exception(error))

    # What follows when a node has ended

    def _finish(self, run: _NodeRun, traceback: list[str] | None) -> None:
        run.over = True
        if traceback is not None:
            self._fail(run, traceback)
            return
        self._tell(run.node, "end")
        if run.owner is not None:
            self._element_ended(run.owner)
            return
        for node in self._graph.successors(run.node):
            after = self._runs[id(node)]
            after.waits_for -= 1
            if not after.waits_for and not after.failed:
                self._ready.append(after)
        self._remove_folders(run)

    def _element_ended(self, owner: _NodeRun) -> None:
        owner.waits_for -= 1
        if not owner.waits_for and not owner.failed:
            self._ready.append(owner)

    def _fail(self, run: _NodeRun, traceback: list[str]) -> None:
        import networkx  # type: ignore[import-untyped]

        self._errors.append(traceback)
        self._tell(run.node, "exception")
        crash = report_crash(run.node, traceback=list(traceback))
        stem = run if run.owner is None else run.owner
        first = not stem.failed
        after = [stem.node, *networkx.descendants(self._graph, stem.node)]
        for node in after:
            self._runs[id(node)].failed = True
        if first:
            dependents = [node for node in after if node is not run.node]
            self.not_run.append({"node": run.node, "dependents": dependents, "crashfile": crash})
        if run.owner is not None:
            self._element_ended(run.owner)
        if str2bool(self._execution["stop_on_first_crash"]):
            raise RuntimeError("".join(traceback))

    def _remove_folders(self, run: _NodeRun) -> None:
        """Remove the folders that nobody needs any more, if the workflow is to."""
        if not str2bool(self._execution["remove_node_directories"]):
            return
        for node in [*self._graph.predecessors(run.node), run.node]:
            after = list(self._graph.successors(node))
            if after and all(self._runs[id(each)].over for each in after):
                shutil.rmtree(node.output_dir(), ignore_errors=True)

    def _tell(self, node: Any, status: str) -> None:
        if self._callback is not None:
            self._callback(node, status)


add_plugin(MemoriPlugin)
