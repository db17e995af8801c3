"""Every name of Nipype that memori uses and Nipype does not promise, with what it is taken to mean.

Nipype promises its interfaces, nodes and workflows, and how to derive from an interface
(`_run_interface`, `_list_outputs`, `_outputs`, ``input_spec``). A memory for nodes needs more: how
a node gets its inputs, what its hash is, where its results lie. All of that stands here and nowhere
else in memori. tests/neuro/nipype/test_engine_api.py says what each of these must do; it runs on
the oldest Nipype that is admitted and on the newest.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from copy import deepcopy
from functools import partial, wraps
from multiprocessing.pool import AsyncResult
from threading import Event
from traceback import format_exception
from typing import Any

import nipype.pipeline.plugins
from nipype import config as nipype_config
from nipype.interfaces.base import Bunch, CommandLine, Interface, InterfaceResult
from nipype.interfaces.base import core as interfaces_core
from nipype.interfaces.base.specs import get_filecopy_info
from nipype.interfaces.base.traits_extension import BasePath, Directory
from nipype.pipeline.engine import JoinNode, MapNode, Workflow
from nipype.pipeline.engine.utils import (
    clean_working_directory,
    evaluate_connect_function,
    load_resultfile,
    merge_dict,
    save_hashfile,
    save_resultfile,
    topological_sort,
    write_node_report,
)
from nipype.pipeline.plugins import base as plugins_base
from nipype.pipeline.plugins.base import (
    DistributedPluginBase,
    PluginBase,
    report_crash,
    report_nodes_not_run,
)
from nipype.utils.filemanip import copyfile, emptydirs, get_related_files, savepkl
from nipype.utils.functions import create_function_from_source
from nipype.utils.misc import str2bool
from nipype.utils.profiler import get_system_total_memory_gb

from memori.neuro.nipype.kinds import before

__all__ = [
    "ARGUMENT_KEPT_AS",
    "FILES_OF_NIPYPE",
    "FOLDERS_OF_NIPYPE",
    "RUN_STATE",
    "BasePath",
    "Directory",
    "ElementHook",
    "GraphHook",
    "NodeHook",
    "PluginBase",
    "add_plugin",
    "all_outputs_kept",
    "around_function",
    "check_inputs",
    "clean_working_directory",
    "complete_config",
    "copyfile",
    "create_function_from_source",
    "edges_of",
    "elements_of",
    "emptydirs",
    "evaluate_connect_function",
    "found_by",
    "get_filecopy_info",
    "get_related_files",
    "get_system_total_memory_gb",
    "gpus_of",
    "hash_inputs",
    "is_node_folder",
    "joins_unique",
    "load_resultfile",
    "load_results",
    "memory_of",
    "named_package",
    "outputs_of_kind",
    "own_environment",
    "program_of",
    "report_crash",
    "report_nodes_not_run",
    "result_file",
    "save_result",
    "save_resultfile",
    "save_run_files",
    "status_callback_of",
    "str2bool",
    "take_inputs",
    "topological_sort",
    "without_dependencies",
]

# Interfaces

RUN_STATE = frozenset({"inputs", "results", "out", "environ", "version", "runtime", "outputs"})
"""Attributes of interfaces, without leading underscores, that a run leaves or replaces."""

ARGUMENT_KEPT_AS = {"command": "_cmd", "numinputs": "_numinputs"}
"""Arguments of constructors that instances keep under another name."""


def outputs_of_kind(interface: Interface) -> Any:
    """Return an empty spec of an interface's outputs, or None."""
    with suppress(Exception):  # it may make their names of an input that is not there (CSVReader)
        return interface._outputs()
    return interface.output_spec and interface.output_spec()


def program_of(interface: CommandLine) -> str:
    """Return the program that an interface calls."""
    return shlex.split(interface._cmd_prefix + interface.cmd)[0]


def own_environment(interface: Interface) -> dict[str, str]:
    """Return the variables that an interface sets for its command; empty if it runs none."""
    told = interface._get_environ() if hasattr(interface, "_get_environ") else {}
    return {str(name): str(value) for name, value in dict(told or {}).items()}


def named_package(interface: Interface) -> str | None:
    """Return the Python package that the interface of a library says it needs."""
    name: str | None = getattr(interface, "_pkg", None)
    return name


def check_inputs(interface: Interface) -> None:
    """Raise as a run would if inputs are missing, exclude others or need another version."""
    interface._check_mandatory_inputs()
    interface._check_version_requirements(interface.inputs)


def found_by(interface: Interface) -> dict[str, Any]:
    """Return what an interface that looks for files finds now (SelectFiles, DataGrabber)."""
    interface._run_interface(Bunch())
    return dict(interface._list_outputs() or {})


def around_function(name: str, wrapper: Callable[..., Any]) -> None:
    """Have a wrapper called with a function that command lines call, in its place."""
    own = getattr(interfaces_core, name)
    if not hasattr(own, "__wrapped__"):
        setattr(interfaces_core, name, wraps(own)(partial(wrapper, own)))


def without_dependencies(interface: CommandLine) -> None:
    """Ask no `ldd` at each run, for a record that is not kept."""
    interface._ldd = False


# Nodes

FILES_OF_NIPYPE = (
    "_0x*.json",
    "result_*.pklz",
    "_inputs.pklz",
    "_node.pklz",
    ".proc-*",
    "provenance.*",
)
FOLDERS_OF_NIPYPE = ("_report", "_nipype", "mapflow")
"""What Nipype writes into a node's folder beside what the interface writes."""


def is_node_folder(path: str) -> bool:
    """Tell whether a folder is that of a node that ran, or of an element of a map."""
    return os.path.isfile(os.path.join(path, "_node.pklz"))


def result_file(node: Any) -> str:
    """Return where other nodes read the result of a node."""
    return os.path.join(node.output_dir(), f"result_{node.name}.pklz")


def complete_config(node: Any) -> None:
    """Fill a node's settings up with those of Nipype, as its run does."""
    own = node.config or {}
    execution = own.get("execution", {})
    if any(name not in execution for name in nipype_config._sections["execution"]):
        node.config = merge_dict(deepcopy(nipype_config._sections), own)


def take_inputs(node: Any) -> None:
    """Read what earlier nodes made into the inputs of a node, as it does before it runs."""
    node._get_inputs()
    if isinstance(node, JoinNode):
        node._collate_join_field_inputs()
    if isinstance(node, MapNode):
        node._check_iterfield()


def hash_inputs(node: Any) -> None:
    """Let a node compute Nipype's own hash, unless it has."""
    node._get_hashval()


@contextmanager
def all_outputs_kept(node: Any) -> Iterator[None]:
    """Let a node keep outputs that nobody needs, without another hash."""
    needed, node._needed_outputs = node._needed_outputs, []
    try:
        yield
    finally:
        node._needed_outputs = needed


def load_results(node: Any) -> InterfaceResult:
    """Return the result that lies in a node's folder, read again from its files if need be."""
    return node._load_results()


def save_result(node: Any, result: InterfaceResult) -> None:
    """Write a result where other nodes read it."""
    relative = str2bool(node.config["execution"]["use_relative_paths"])
    save_resultfile(result, node.output_dir(), node.name, rebase=relative)


def save_run_files(node: Any, result: InterfaceResult) -> None:
    """Write what a run leaves beside the result: inputs, node, hash and report."""
    folder = node.output_dir()
    savepkl(os.path.join(folder, "_inputs.pklz"), node.inputs.get_traitsfree())
    savepkl(os.path.join(folder, "_node.pklz"), node)
    hash_inputs(node)
    save_hashfile(os.path.join(folder, f"_0x{node._hashvalue}.json"), node._hashed_inputs)
    write_node_report(node, result=result, is_mapnode=False)


def memory_of(node: Any) -> float:
    """Return the gigabytes that a node may need now, by its inputs where it can estimate."""
    # only Nipype 1.11 and later estimate
    return float(getattr(node, "mem_gb_runtime", None) or node.mem_gb)


def gpus_of(node: Any) -> int:
    """Return how many places on GPUs a node takes."""
    # only Nipype 1.10 and later know nodes that need one
    needs_one = getattr(node, "is_gpu_node", None)
    return int(node.n_procs) if needs_one is not None and needs_one() else 0


def joins_unique(node: Any) -> bool | None:
    """Tell whether a JoinNode leaves out what comes twice; None for other nodes."""
    unique: bool | None = getattr(node, "_unique", None)
    return unique


# Workflows


def edges_of(workflow: Workflow) -> Iterator[tuple[Any, Any, list[tuple[Any, str]]]]:
    """Yield each pair of connected elements (nodes, workflows) with what is passed."""
    for source, target, told in workflow._graph.edges(data=True):
        yield source, target, told["connect"]


def elements_of(workflow: Workflow) -> list[Any]:
    """Return the nodes and workflows of a workflow, without those inside the latter."""
    return list(workflow._graph.nodes())


def status_callback_of(plugin: PluginBase) -> Callable[[Any, str], object] | None:
    """Return what a plugin's user wants to be told of each node."""
    told: Callable[[Any, str], object] | None = plugin._status_callback
    return told


def add_plugin(kind: type) -> None:
    """Make ``run(plugin=...)`` find a class by its name."""
    setattr(nipype.pipeline.plugins, kind.__name__, kind)


# Where memori is put between a class of Nipype's and what that calls

_BELOW: Any = object  # a class of Nipype's comes below each hook


class GraphHook(_BELOW):  # type: ignore[misc]
    """Between `Workflow` and a class that prepares it."""

    def before_graph(self) -> None:
        """Do what has to be done before the workflow's nodes are laid out to run."""

    def run(
        self, plugin: Any = None, plugin_args: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Run the workflow, without a wait that is for nothing."""
        made = plugin_of(plugin, plugin_args)
        return super().run(plugin=made, plugin_args=plugin_args, **options)

    def _create_flat_graph(self) -> Any:
        self.before_graph()
        return super()._create_flat_graph()


_polling: ContextVar[PollHook | None] = ContextVar("memori_polling", default=None)


class PollHook(_BELOW):  # type: ignore[misc]
    """Before a plugin that looks from time to time for what has ended: it need not wait so long.

    What was found without a run makes others ready at once; a node's end that is told, too.
    """

    def run(self, *args: Any, **options: Any) -> Any:
        """Run a graph."""
        self._told = Event()
        token = _polling.set(self)
        try:
            return super().run(*args, **options)
        finally:
            _polling.reset(token)

    def _send_procs_to_workers(self, *args: Any, **options: Any) -> None:
        then = None
        while then != (then := (len(self.procs), (self.proc_done & ~self.proc_pending).sum())):
            super()._send_procs_to_workers(*args, **options)

    def _async_callback(self, told: Any) -> None:
        # of what did not run Nipype's own would raise where nobody looks; `_get_result` tells
        if not isinstance(told, Future) or told.exception() is None:
            super()._async_callback(told)
        self._told.set()

    def _get_result(self, taskid: int) -> Any:
        """Return what a worker told; a failure if it died, or the node could not be sent to it."""
        found = super()._get_result(taskid)
        sent = getattr(self, "_task_obj", {}).get(taskid)
        try:
            if found is None and isinstance(sent, Future) and sent.done():
                sent.result()
            if found is None and isinstance(sent, AsyncResult) and sent.ready():
                sent.get()
        except Exception as error:
            found = {"result": None, "traceback": format_exception(error)}
        return found

    def wait(self, seconds: float) -> None:
        """Wait until a node's end was told, at most so long."""
        if not self.proc_done.all() or self.proc_pending.any():
            self._told.wait(seconds)
            self._told.clear()


def _sleep(seconds: float) -> None:
    plugin = _polling.get()
    (time.sleep if plugin is None else plugin.wait)(seconds)


def plugin_of(plugin: Any, arguments: dict[str, Any] | None) -> Any:
    """Return the plugin that a workflow would make of its name; one that polls with a hook."""
    name = nipype_config.get("execution", "plugin") if plugin is None else plugin
    kind = getattr(nipype.pipeline.plugins, f"{name}Plugin", None)
    made = plugin if kind is None else kind(plugin_args=arguments)
    if isinstance(made, DistributedPluginBase) and not isinstance(made, PollHook):
        made.__class__ = before(PollHook, type(made))
        plugins_base.sleep = _sleep
    return made


class NodeHook(_BELOW):  # type: ignore[misc]
    """Between `Node` and a class that is around the run of its interface."""

    def around_interface(self) -> AbstractContextManager[object]:
        """Return what is around the run of the interface, with all that belongs to it."""
        return nullcontext()

    def _run_interface(self, *args: Any, **options: Any) -> Any:
        with self.around_interface():
            return super()._run_interface(*args, **options)


class ElementHook(_BELOW):  # type: ignore[misc]
    """Between `MapNode` and a class that prepares its elements."""

    def before_element(self, node: Any) -> None:
        """Do what has to be done before an element of the map is looked at or run."""

    def elements(self) -> list[Any]:
        """Return the nodes that the map stands for."""
        return [node for _, node in self._make_nodes()]

    def _make_nodes(self, cwd: str | None = None) -> Iterator[tuple[int, Any]]:
        for place, node in super()._make_nodes(cwd):
            self.before_element(node)
            yield place, node
