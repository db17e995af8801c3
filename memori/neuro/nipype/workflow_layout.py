"""A workflow as it is laid out: nodes, what is passed between them, and what can be known of it.

Nothing here runs a node. A field is a node's name below the workflow with a trait of it. What a
field will be given is known before the run if it is a value, one of iterables, or comes from such
through IdentityInterface nodes: the way from a workflow's ``inputnode`` to its SelectFiles.

Not promised: what a field is given that a node only computes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nipype.interfaces.base import Interface, Undefined, isdefined
from nipype.interfaces.io import (
    BIDSDataGrabber,
    DataFinder,
    DataGrabber,
    FreeSurferSource,
    JSONFileGrabber,
    SelectFiles,
    SSHDataGrabber,
)
from nipype.interfaces.utility import CSVReader, IdentityInterface
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori.digest.folder import Folder
from memori.neuro.nipype.cloning import Recipe, defined_values
from memori.neuro.nipype.engine_api import (
    edges_of,
    elements_of,
    evaluate_connect_function,
    found_by,
)
from memori.neuro.nipype.traits.parts import assign, with_texts

Field = tuple[str, str]  # a node's name below the workflow, and a trait

_GRABBERS = (
    BIDSDataGrabber,
    CSVReader,
    DataFinder,
    DataGrabber,
    FreeSurferSource,
    JSONFileGrabber,
    SelectFiles,
)


class Link(NamedTuple):
    """What fills a field: an output of another node, perhaps through a connect function."""

    source: Field
    function: str | None = None  # its source text
    arguments: tuple[Any, ...] = ()

    def passed(self, value: Any) -> Any:
        """Return what arrives of a value."""
        if self.function is None or not isdefined(value):
            return value
        return evaluate_connect_function(self.function, self.arguments, value)


class Layout:
    """The nodes and links of a workflow.

    Parameters
    ----------
    workflow : nipype Workflow
        It is looked at, not changed.

    Attributes
    ----------
    nodes : dict of str to Node
        By their names below the workflow, in the order of names.
    links : dict
        From each connected field to its link.
    """

    def __init__(self, workflow: Any) -> None:
        self.nodes: dict[str, Any] = dict(sorted(_nodes(workflow, "")))
        self.links: dict[Field, Link] = dict(sorted(_links(workflow, ""), key=lambda e: e[0]))

    def origin(self, field: Field) -> tuple[Field, list[Link]]:
        """Return the field from which an identity node passes its own on, and the links between.

        Nipype removes identity nodes before it runs a workflow.
        """
        between: list[Link] = []
        while self._only_passes(field[0]) and field in self.links:
            between.insert(0, self.links[field])
            field = self.links[field].source
        return field, between

    def _only_passes(self, name: str) -> bool:
        node = self.nodes[name]
        return isinstance(node.interface, IdentityInterface) and not hasattr(node, "joinsource")

    def known(self, field: Field, given: Mapping[Field, Any]) -> list[Any] | None:
        """Return the values that a field will be given, or None if only a run can tell.

        Parameters
        ----------
        field : (str, str)
            A node's name and a trait of its inputs.
        given : mapping
            The values that a run fills in, by field.
        """
        name, trait = field
        each = iterated(self.nodes[name]).get(trait)
        if each is not None:
            return each
        link = self.links.get(field)
        if link is None:
            value = given.get(field, getattr(self.nodes[name].inputs, trait, Undefined))
            return [value]
        values = self.known(link.source, given) if self._only_passes(link.source[0]) else None
        return None if values is None else [link.passed(value) for value in values]

    def is_predictable(self, name: str) -> bool:
        """Tell whether a node that looks for files can be asked before the run what it finds."""
        node = self.nodes[name]
        is_local = isinstance(node.interface, _GRABBERS)
        if not is_local or isinstance(node.interface, SSHDataGrabber):
            return False
        sources = [link.source[0] for (at, _), link in self.links.items() if at == name]
        return all(self._is_known(source) for source in sources)

    def _is_known(self, name: str) -> bool:
        sources = [link.source[0] for (at, _), link in self.links.items() if at == name]
        return self._only_passes(name) and all(self._is_known(source) for source in sources)

    def finds(self, name: str, given: Mapping[Field, Any]) -> Iterator[dict[str, Any]]:
        """Yield what a predictable node finds now, for each combination of its inputs."""
        node = self.nodes[name]
        traits = {trait for at, trait in (*self.links, *given) if at == name}
        traits |= set(iterated(node))
        varied = {trait: self.known((name, trait), given) or [] for trait in sorted(traits)}
        if isinstance(node, MapNode):
            for trait in node.iterfield:
                lists = self.known((name, trait), given) or []
                varied[trait] = [each for values in lists if isdefined(values) for each in values]
        recipe = Recipe(node.interface)
        for values in itertools.product(*varied.values()):
            yield _found(recipe, dict(zip(varied, values, strict=True)))


def _found(recipe: Recipe, values: dict[str, Any]) -> dict[str, Any]:
    made: Interface = recipe.make()
    try:
        assign(made, {**recipe.values, **values}, os.getcwd())
        found: dict[str, Any] = with_texts(found_by(made), _with_contents)
        return found
    except Exception as error:  # the run will say so
        return {"error": str(error)}


def _with_contents(path: str) -> str:
    return Folder(path) if os.path.isdir(path) else path


def own_values(node: Any) -> dict[str, Any]:
    """Return the defined inputs of a node; those of a map are lists."""
    return {**defined_values(node.interface.inputs), **defined_values(node.inputs)}


def iterables_of(node: Any) -> Any:
    """Return a node's iterables as they were given, with the values of functions."""
    told = node.iterables
    if not isinstance(told, dict):
        return told
    return {field: values() if callable(values) else values for field, values in told.items()}


def iterated(node: Any) -> dict[str, list[Any]]:
    """Return the values of a node's iterables by field, for all sources and together."""
    told = iterables_of(node)
    if not told:
        return {}
    if node.synchronize and len(told) == 2 and not isinstance(told, dict):
        fields, rows = told
        known = set(node.inputs.copyable_trait_names())
        if not isinstance(fields, str) and all(isinstance(f, str) and f in known for f in fields):
            rows = list(itertools.chain(*rows.values())) if isinstance(rows, dict) else rows
            told = list(zip(fields, zip(*rows, strict=False), strict=False))
    if isinstance(told, tuple):
        told = [told]
    found: dict[str, list[Any]] = {}
    for field, values in told.items() if isinstance(told, dict) else told:
        if isinstance(values, dict):  # by the values of the node's itersource
            values = list(itertools.chain(*values.values()))
        found[field] = list(values)
    return found


def _nodes(workflow: Any, above: str) -> Iterator[tuple[str, Any]]:
    for element in elements_of(workflow):
        if isinstance(element, Workflow):
            yield from _nodes(element, f"{above}{element.name}.")
        elif isinstance(element, Node):
            yield above + element.name, element


def _links(workflow: Any, above: str) -> Iterator[tuple[Field, Link]]:
    for source, target, passed in edges_of(workflow):
        for what, into in passed:
            name, *function = what if isinstance(what, tuple) else (what,)
            from_field = _field(source, above + source.name, name)
            text, arguments = function if function else (None, ())
            yield _field(target, above + target.name, into), Link(from_field, text, arguments)
    for element in elements_of(workflow):
        if isinstance(element, Workflow):
            yield from _links(element, f"{above}{element.name}.")


def _field(element: Any, name: str, trait: str) -> Field:
    """Return the field that a connection names; below a workflow it names a node there."""
    while isinstance(element, Workflow):
        inner, _, trait = trait.partition(".")
        element = next(each for each in elements_of(element) if each.name == inner)
        name = f"{name}.{inner}"
    return name, trait
