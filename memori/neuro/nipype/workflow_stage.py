"""A whole Nipype workflow as one stage of a pipeline.

``as_stage(wf, inputs={"t1w": "inputnode.in_file"}, outputs={"brain": "outputnode.brain"})`` takes
the inputs by the names of a pipeline and returns the outputs so. A run makes a copy of the
workflow, runs it in the run's own folder, and reads the outputs. With `remember_workflow` before,
the nodes are remembered too: then a stage that has to run again runs only the nodes that changed.

What counts is every node as `memori.neuro.nipype.what_counts` has it, with its iterables; how they
are connected, with the arguments of connect functions; and the inputs. Wherever one of these names
a file, its content counts, with its path if any Python code of the workflow sees it, else with its
base name. Nodes that look for files (SelectFiles, DataGrabber) are asked at each decision what they
find, and that counts; where only a run can tell what they are asked for, or a node always runs for
a reason of its own, the stage always runs.

A workflow is not taken apart into a `Pipeline`, whose edges carry values by name: iterables, maps,
joins, connect functions and undefined outputs have no counterpart there and would be lost.

Not promised: outputs of a workflow that says only while it runs which nodes there are, and that
what its sinks wrote is still there on a hit.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from nipype.interfaces.base import isdefined
from nipype.interfaces.io import DataSink, ExportFile, JSONFileSink, MySQLSink, SQLiteSink, XNATSink
from nipype.interfaces.utility import IdentityInterface, Merge, Select, Split
from nipype.pipeline.engine import Node, Workflow

from memori.artifacts import find_inputs
from memori.calls.current_run import workdir
from memori.errors import StageError
from memori.layout import memo_of
from memori.neuro.nipype.base_names import counts_by_name
from memori.neuro.nipype.engine_api import joins_unique
from memori.neuro.nipype.kinds import original_kind
from memori.neuro.nipype.traits.parts import as_folders, assign, names_output
from memori.neuro.nipype.what_counts import (
    code_of,
    counted_values,
    facts_of,
    files_named_in,
    written,
)
from memori.neuro.nipype.workflow_layout import Field, Layout, iterables_of, iterated, own_values
from memori.neuro.process.own_cwd import run_in
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.place import Where

_PASSES_ON = (IdentityInterface, Merge, Select, Split)
_SINKS = (DataSink, ExportFile, JSONFileSink, MySQLSink, SQLiteSink, XNATSink)


class WorkflowCall:
    """A workflow as a callable: takes inputs by name, returns the values of the outputs.

    Parameters
    ----------
    workflow : nipype Workflow
        What to run; it is copied for each run.
    inputs, outputs : dict
        From a name to the field that it stands for.
    plugin : str
        The Nipype plugin that runs it.
    plugin_args : dict, optional
        Its arguments.
    """

    def __init__(
        self,
        workflow: Any,
        inputs: Mapping[str, Field],
        outputs: Mapping[str, Field],
        plugin: str,
        plugin_args: Mapping[str, Any] | None,
    ) -> None:
        self.workflow = workflow
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self._run_with = (plugin, dict(plugin_args or {}))
        self.__name__ = self.__qualname__ = workflow.name
        self.__signature__ = inspect.Signature(
            [self._parameter(name, field) for name, field in sorted(self.inputs.items())]
        )

    def _parameter(self, name: str, field: Field) -> inspect.Parameter:
        value = getattr(self.workflow.get_node(field[0]).inputs, field[1])
        default = value if isdefined(value) else inspect.Parameter.empty
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)

    # Running

    def __call__(self, **inputs: Any) -> Any:
        """Run a copy of the workflow and return its outputs, in order."""
        folder = os.fspath(workdir())
        return run_in(folder, self._run, inputs, folder, os.getcwd())

    def _run(self, inputs: Mapping[str, Any], folder: str, origin: str) -> Any:
        workflow = deepcopy(self.workflow)
        workflow.base_dir = folder
        for name, value in inputs.items():
            node_name, trait = self.inputs[name]
            node = workflow.get_node(node_name)
            assign(node.interface, {trait: value}, origin, spec=node.inputs)
        plugin, arguments = self._run_with
        layout = Layout(workflow)
        graph = workflow.run(plugin=plugin, plugin_args=arguments)
        found = [self._output(name, graph, layout) for name in self.outputs]
        return found[0] if len(found) == 1 else tuple(found)

    def _output(self, name: str, graph: Any, layout: Layout) -> Any:
        """Return an output: a list, in the order of the iterables, where the node has some."""
        field, links = layout.origin(self.outputs[name])
        full = f"{self.workflow.name}.{field[0]}"
        values = [
            node.result.outputs.trait_get()[field[1]]
            if hasattr(node.result.outputs, "trait_get")
            else node.result.outputs.dictcopy()[field[1]]
            for node in sorted(graph.nodes(), key=lambda each: each.index)
            if node.fullname == full
        ]
        if not values:
            values = layout.known(field, {}) or []  # an identity node passes its own value on
        for link in links:
            values = [link.passed(value) for value in values]
        if not values or not all(isdefined(value) for value in values):
            raise StageError(
                f"workflow {self.workflow.name!r}: {'.'.join(self.outputs[name])}, for the output "
                f"{name!r}, is undefined after the run"
            )
        return values[0] if len(values) == 1 else values

    # What counts

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts as the code of this call."""
        layout = Layout(self.workflow)
        nodes = [
            (name, original_kind(type(node)), _settings(node), code_of(node.interface, {}).parts)
            for name, node in layout.nodes.items()
        ]
        links = [(field, link.source, link.function) for field, link in layout.links.items()]
        return nodes, links, _values_of(layout)[1], self.inputs, self.outputs

    def always_runs(self) -> bool:
        """Tell whether a node may give something else although all that counts is the same."""
        layout = Layout(self.workflow)
        return any(_always_runs(node, name, layout) for name, node in layout.nodes.items())

    def count_by_name(self) -> bool:
        """Tell whether base names count of files, not their paths, which no Python code sees."""
        layout = Layout(self.workflow)
        return not any(link.function for link in layout.links.values()) and all(
            counts_by_name(node.interface)
            or type(node.interface) in _PASSES_ON
            or layout.is_predictable(name)
            for name, node in layout.nodes.items()
        )

    def surroundings(
        self, inputs: Mapping[str, JSON], root: str, memo: str | None
    ) -> dict[str, JSON]:
        """Return the values, files and programs of all nodes, by node."""
        layout = Layout(self.workflow)
        given = {field: inputs[name] for name, field in self.inputs.items() if name in inputs}
        counted, unwritten = _values_of(layout)
        for node, trait in given:
            counted.pop(f"{node}.{trait}", None)
        found: dict[str, JSON] = {}
        for name, node in layout.nodes.items():
            values = {**own_values(node), **{t: v for (at, t), v in given.items() if at == name}}
            facts = facts_of(node.interface, values, root=root, memo=memo)
            found.update({f"{name}: {what}": fact for what, fact in facts.items()})
            if layout.is_predictable(name):
                finds = written({f"{name}: finds": list(layout.finds(name, given))})
                counted.update(finds[0])
        for label, value in unwritten.items():
            found.update(files_named_in(label, value, memo))
        values, files = find_inputs(counted, root, memo, by_name=self.count_by_name())
        for file in files:
            inside = "".join(f"[{part!r}]" for part in file.pointer[1:])
            found[f"content of {file.pointer[0]}{inside}"] = file.identity
        return {**found, **values}


def _always_runs(node: Any, name: str, layout: Layout) -> bool:
    """Tell whether a node asks for each run, for a reason that what counts does not show."""
    if node.overwrite is not None:
        return bool(node.overwrite)
    is_seen_through = (
        isinstance(node.interface, _SINKS)
        or type(getattr(node.interface, "stage", None)) is Stage
        or layout.is_predictable(name)
    )
    return bool(node.interface.always_run) and not is_seen_through


def _settings(node: Any) -> dict[str, Any]:
    """Return what a node is told besides its inputs and iterables."""
    names = ("itersource", "synchronize", "iterfield", "nested", "joinsource", "joinfield")
    return {**{name: getattr(node, name, None) for name in names}, "unique": joins_unique(node)}


def _values_of(layout: Layout) -> tuple[dict[str, JSON], dict[str, Any]]:
    """Return the values that a workflow holds, by where: those that are JSON, and the others."""
    plain, unwritten = written(
        {
            f"arguments to {node}.{trait}": list(link.arguments)
            for (node, trait), link in layout.links.items()
            if link.arguments
        }
    )
    for name, node in layout.nodes.items():
        stage = getattr(node.interface, "stage", None)  # of a stage that stands as a node
        more = written({"iterables": iterables_of(node), "static": getattr(stage, "args", {})})
        parts = [("{}: {}", more)]
        if not layout.is_predictable(name):  # else what it finds counts, in place of its inputs
            parts.append(("{}.{}", counted_values(node.interface, own_values(node))))
            parts.append(("{}.{}, each", counted_values(node.interface, iterated(node))))
        for label, (as_json, as_code) in parts:
            plain.update({label.format(name, what): value for what, value in as_json.items()})
            unwritten.update({label.format(name, what): value for what, value in as_code.items()})
    return plain, unwritten


class WorkflowStage(Stage):
    """A workflow given a memory; `as_stage` makes it."""

    function: WorkflowCall

    @property
    def files_count_by(self) -> Literal["path", "name"]:  # type: ignore[override]
        """What of a file counts besides its content."""
        return "name" if self.function.count_by_name() else "path"

    @property
    def always_runs(self) -> bool:  # type: ignore[override]
        """Whether one of its nodes always runs."""
        return self.function.always_runs()

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        """Return what a run was given, with folders of Directory traits as `Folder`."""
        bound = super().bind(args, kwargs)
        for name, (node_name, trait) in self.function.inputs.items():
            interface = self.function.workflow.get_node(node_name).interface
            kind = interface.inputs.trait(trait)
            if name in bound and kind is not None and not names_output(interface, trait):
                bound[name] = as_folders(kind, bound[name])
        return bound

    def surroundings(self, inputs: Mapping[str, JSON], root: str) -> dict[str, JSON]:
        """Return the files and programs of all nodes."""
        return self.function.surroundings(inputs, root, memo_of(root))


def as_stage(
    workflow: Any,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    hash_output: Where = None,
    stage_name: str | None = None,
    *,
    plugin: str = "Linear",
    plugin_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Stage:
    """Return a Nipype workflow as one stage of a pipeline.

    Parameters
    ----------
    workflow : nipype Workflow
        It is copied for each run, never changed.
    inputs, outputs : mapping of str to str
        Which field each name stands for: ``{"t1w": "inputnode.in_file"}``; the field of a nested
        workflow is ``"inner.node.trait"``.
    hash_output : str or os.PathLike, or a list of them, optional
        The folder in which runs are remembered.
    stage_name : str, optional
        By default the workflow's.
    plugin : str, optional
        Nipype's plugin that runs the nodes.
    plugin_args : mapping, optional
        Its arguments.
    **options
        As for `memori.Stage`; static values too.

    Raises
    ------
    ValueError
        If a field names no node or trait of the workflow.

    Examples
    --------
    >>> from nipype import Node, Workflow
    >>> from nipype.interfaces.utility import Select
    >>> wf = Workflow("choosing")
    >>> wf.add_nodes([Node(Select(index=0), "first")])
    >>> stage = as_stage(wf, {"values": "first.inlist"}, {"chosen": "first.out"})
    >>> stage.run(values=[7, 8])
    Results({'chosen': 7})
    """
    if not isinstance(workflow, Workflow):
        raise TypeError(f"as_stage needs a nipype Workflow, got {workflow!r}")
    for what, given in (("inputs", inputs), ("outputs", outputs)):
        if not isinstance(given, Mapping):
            raise TypeError(
                f"as_stage: {what}={given!r}; expected names with the fields of nodes that they "
                "stand for: {'image': 'smooth.in_file'}"
            )
    call = WorkflowCall(
        workflow,
        {name: _field(workflow, name, text, "inputs") for name, text in inputs.items()},
        {name: _field(workflow, name, text, "outputs") for name, text in outputs.items()},
        plugin,
        plugin_args,
    )
    return WorkflowStage(call, list(outputs), hash_output, stage_name, **options)


def _field(workflow: Any, name: str, text: str, side: str) -> Field:
    node_name, _, trait = text.rpartition(".")
    node = workflow.get_node(node_name) if node_name else None
    if not isinstance(node, Node):
        raise ValueError(
            f"workflow {workflow.name!r}: {text!r}, for {name!r}, names no node; the nodes are "
            f"{', '.join(sorted(workflow.list_node_names()))}"
        )
    known = getattr(node, side)
    names = (
        known.copyable_trait_names()
        if hasattr(known, "copyable_trait_names")
        else list(known.dictcopy())
    )
    if trait not in names:
        raise ValueError(
            f"workflow {workflow.name!r}: {text!r}, for {name!r}: the node {node_name!r} has no "
            f"{side[:-1]} {trait!r}; it has {', '.join(sorted(names))}"
        )
    return node_name, trait
