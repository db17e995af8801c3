"""A whole Nipype workflow as one stage of a pipeline.

``as_stage(wf, inputs={"t1w": "inputnode.in_file"}, outputs={"brain": "bet.out_file"})`` takes the
inputs by the names of a pipeline and returns the outputs so. A run makes a copy of the workflow,
runs it in the run's own folder, and reads the outputs. What counts is every node (its interface,
its values, the contents of the files that they name, its program), how they are connected, and the
inputs. With `remember_workflow` before, the nodes are remembered too: then a stage that has to run
again runs only the nodes that changed.

A workflow is not taken apart into a `Pipeline`, whose edges carry values by name: iterables, maps,
joins, connect functions and undefined outputs have no counterpart there and would be lost.

Not promised: outputs of a workflow that says only while it runs which nodes there are.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from nipype.interfaces.base import isdefined
from nipype.pipeline.engine import Node, Workflow

from memori.current_run import workdir
from memori.digest.files import file_digest, is_file
from memori.errors import StageError
from memori.neuro.nipype.cloning import defined_values
from memori.neuro.nipype.node_key import code_of
from memori.neuro.nipype.remembered import original_kind
from memori.neuro.nipype.traits import uncounted
from memori.neuro.nipype.what_counts import file_facts, tool_facts
from memori.neuro.process.own_cwd import run_in
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.digest.values import JSON

Field = tuple[str, str]  # a node's name below the workflow, and a trait


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

    def __call__(self, **inputs: Any) -> Any:
        """Run a copy of the workflow and return its outputs, in order."""
        folder = os.fspath(workdir())
        return run_in(folder, self._run, inputs, folder, os.getcwd())

    def _run(self, inputs: Mapping[str, Any], folder: str, origin: str) -> Any:
        workflow = deepcopy(self.workflow)
        workflow.base_dir = folder
        for name, value in inputs.items():
            node, trait = self.inputs[name]
            setattr(workflow.get_node(node).inputs, trait, _absolute(value, origin))
        plugin, arguments = self._run_with
        graph = workflow.run(plugin=plugin, plugin_args=arguments)
        found = [self._output(graph, name) for name in self.outputs]
        return found[0] if len(found) == 1 else tuple(found)

    def _output(self, graph: Any, name: str) -> Any:
        """Return an output; of a node with iterables a list, in the order of the iterables."""
        node_name, trait = self.outputs[name]
        full = f"{self.workflow.name}.{node_name}"
        values = [
            node.result.outputs.trait_get()[trait]
            if hasattr(node.result.outputs, "trait_get")
            else node.result.outputs.dictcopy()[trait]
            for node in sorted(graph.nodes(), key=lambda each: each.index)
            if node.fullname == full
        ]
        if not values or not all(isdefined(value) for value in values):
            raise StageError(
                f"workflow {self.workflow.name!r}: {node_name}.{trait}, for the output {name!r}, "
                "is undefined after the run"
            )
        return values[0] if len(values) == 1 else values

    # What counts

    def nodes(self) -> Iterator[tuple[str, Any]]:
        """Yield each node with its name below the workflow, in the order of names."""
        for name in sorted(self.workflow.list_node_names()):
            yield name, self.workflow.get_node(name)

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts as the code of this call."""
        filled = set(self.inputs.values())
        nodes = [
            (
                name,
                original_kind(type(node)),
                _settings(node),
                _values(name, node, filled),
                code_of(node.interface, {}).__fingerprint__(),
            )
            for name, node in self.nodes()
        ]
        return nodes, sorted(_edges(self.workflow, ""), key=repr), self.inputs, self.outputs

    def surroundings(self, memo: str | None) -> dict[str, JSON]:
        """Return the files and programs of all nodes."""
        filled = set(self.inputs.values())
        found: dict[str, JSON] = {}
        for name, node in self.nodes():
            values = _values(name, node, filled)
            facts = [
                *tool_facts(node.interface, {}, ()),
                *file_facts(node.interface, values, memo),
                *_files(values, memo),
            ]
            found.update({f"{name}: {what}": fact for what, fact in facts})
        return found


_SETTINGS = ("iterables", "itersource", "synchronize", "iterfield", "nested", "joinsource")


def _settings(node: Any) -> dict[str, Any]:
    """Return what a node is told besides its inputs."""
    more = {"joinfield": getattr(node, "joinfield", None), "unique": getattr(node, "_unique", None)}
    return {**{name: getattr(node, name, None) for name in _SETTINGS}, **more}


def _values(name: str, node: Any, filled: set[Field]) -> dict[str, Any]:
    ignored = uncounted(node.interface)
    values = {**defined_values(node.interface.inputs), **defined_values(node.inputs)}
    return {k: v for k, v in values.items() if k not in ignored and (name, k) not in filled}


def _edges(workflow: Any, above: str) -> Iterator[tuple[str, str, Any]]:
    for source, target, told in workflow._graph.edges(data=True):
        yield above + source.name, above + target.name, told["connect"]
    for element in workflow._graph.nodes():
        if isinstance(element, Workflow):
            yield from _edges(element, f"{above}{element.name}.")


def _files(values: Mapping[str, Any], memo: str | None) -> Iterator[tuple[str, JSON]]:
    stack = list(values.items())
    while stack:
        name, value = stack.pop()
        if isinstance(value, str) and is_file(value):
            yield f"file {os.path.basename(value)} in {name}", file_digest(value, memo).identity
        elif isinstance(value, (list, tuple)):
            stack += [(name, part) for part in value]
        elif isinstance(value, dict):
            stack += [(name, part) for part in value.values()]


def _absolute(value: Any, origin: str) -> Any:
    if isinstance(value, list):
        return [_absolute(part, origin) for part in value]
    if isinstance(value, str) and value and os.path.exists(os.path.join(origin, value)):
        return os.path.join(origin, value)
    return value


class WorkflowStage(Stage):
    """A workflow given a memory; `as_stage` makes it."""

    files_count_by: Literal["path", "name"] = "name"
    function: WorkflowCall

    def surroundings(self, inputs: Mapping[str, JSON], memo: str) -> dict[str, JSON]:
        """Return the files and programs of all nodes."""
        return self.function.surroundings(memo)


def as_stage(
    workflow: Any,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    hash_output: str | os.PathLike[str] | None = None,
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
    hash_output : str or os.PathLike, optional
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
