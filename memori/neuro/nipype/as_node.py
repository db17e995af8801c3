"""A memori stage as a Nipype interface or node.

The stage keeps its memory; Nipype's own cache is passed over, because it would not see what the
stage sees (an edited helper function, an edited output). The node therefore always "runs", and
what runs is the stage, which decides. A pipeline can stand where a stage can.

The traits come from the stage's parameters: those of the interface for a `NipypeStage`, else by
annotation and name (``Path`` and names that end in ``_file`` are File traits). Static values
are no traits.

Relative paths, that of `hash_output` too, are taken from the folder in which the node was made. A
stage without `hash_output` writes into the node's folder.

Not promised: traits for ``*args`` and ``**kwargs``.
"""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import re
from contextlib import suppress
from typing import Any

from nipype.interfaces.base import (
    BaseInterface,
    DynamicTraitedSpec,
    File,
    Undefined,
    isdefined,
    traits,
)
from nipype.pipeline.engine import JoinNode, MapNode, Node

from memori.neuro.nipype import plugin  # noqa: F401  so that run(plugin="Memori") finds it
from memori.neuro.nipype.stage import NipypeStage
from memori.pipeline import Pipeline
from memori.processes.pickles import pickled
from memori.stage import Stage

_OF_ANNOTATION = {
    "bool": traits.Bool,
    "int": traits.Int,
    "float": traits.Float,
    "Path": File,
    "pathlib.Path": File,
    "os.PathLike": File,
    "os.PathLike[str]": File,
}


class StageInterface(BaseInterface):  # type: ignore[misc]
    """A stage as a Nipype interface; `as_interface` makes it.

    Parameters
    ----------
    stage : Stage or Pipeline
        What a run of the interface runs.
    """

    input_spec = DynamicTraitedSpec
    output_spec = DynamicTraitedSpec
    _always_run = True  # the stage decides

    def __init__(self, stage: Stage | Pipeline, **inputs: Any) -> None:
        super().__init__()
        self._stage = stage
        self._packed: bytes | None = None  # a class of traits cannot be pickled by value twice
        self._origin = os.getcwd()
        self._results: dict[str, Any] = {}
        for name, (trait, value) in _traits_of(stage).items():
            self.inputs.add_trait(name, trait)
            with suppress(traits.TraitError):  # of a default that the trait itself would not take
                self.inputs.trait_set(trait_change_notify=False, **{name: value})
            getattr(self.inputs, name)
        self.inputs.trait_set(**inputs)

    @property
    def stage(self) -> Stage | Pipeline:
        """The stage, to ask for its state and for explanations."""
        return self._stage

    def __deepcopy__(self, memo: dict[int, Any]) -> StageInterface:
        """Copy all but the stage, which keeps nothing of a run that enters the next."""
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__.update(copy.deepcopy({**self.__dict__, "_stage": None}, memo))
        made._stage = self._stage
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Return a state that other processes can read, whatever the stage's function is."""
        packed = self._packed or pickled(self._stage)
        return {**self.__dict__, "_packed": packed, "_stage": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        assert self._packed is not None
        self._stage = pickle.loads(self._packed)

    def _outputs(self) -> DynamicTraitedSpec:
        outputs = self.output_spec()
        for name in self._stage.offers:
            _add(outputs, name, traits.Any(), self._results.get(name, Undefined))
        return outputs

    def _run_interface(self, runtime: Any) -> Any:
        stage = self._stage
        if isinstance(stage, Stage) and stage.hash_output is None:
            stage = copy.copy(stage)
            stage.hash_output = runtime.cwd
        given = {
            name: value
            for name, value in self.inputs.get_traitsfree().items()
            if name in self.inputs.copyable_trait_names() and isdefined(value)
        }
        os.chdir(self._origin)
        try:
            self._results = dict(stage.run(**given))
        finally:
            os.chdir(runtime.cwd)
        return runtime

    def aggregate_outputs(
        self, runtime: Any = None, needed_outputs: list[str] | None = None
    ) -> DynamicTraitedSpec:
        """Return the results of the stage; those that name files as File traits."""
        outputs = self._outputs()
        for name, value in self._results.items():
            if isinstance(value, str) and os.path.isabs(value) and os.path.isfile(value):
                _add(outputs, name, File(exists=True), value)
            elif name not in outputs.copyable_trait_names():
                _add(outputs, name, traits.Any(), value)
        return outputs


def _add(spec: Any, name: str, trait: Any, value: Any) -> None:
    spec.add_trait(name, trait)
    spec.trait_set(trait_change_notify=False, **{name: value})
    getattr(spec, name)


def _traits_of(stage: Stage | Pipeline) -> dict[str, tuple[Any, Any]]:
    """Return a trait and a value for each input that is not static."""
    if isinstance(stage, NipypeStage):
        return _traits_of_interface(stage)
    static = stage.args if isinstance(stage, Stage) else {}
    signature = _signature_of(stage)
    found: dict[str, tuple[Any, Any]] = {}
    for name in stage.inputs:
        if name in static:
            continue
        parameter = signature.get(name)
        annotation = "" if parameter is None else _spelled(parameter.annotation)
        kind = _OF_ANNOTATION.get(annotation, traits.Any)
        if kind is traits.Any and (name == "file" or name.endswith("_file")):
            kind = File
        is_needed = name in stage.required
        if parameter is not None and parameter.default is None and kind is not traits.Any:
            kind = traits.Any  # None must fit
        found[name] = kind(mandatory=True) if is_needed else kind(), Undefined
    return found


def _signature_of(stage: Stage | Pipeline) -> dict[str, inspect.Parameter]:
    if not isinstance(stage, Stage):
        return {}
    try:
        return dict(inspect.signature(stage.function).parameters)
    except ValueError:  # a builtin that does not say
        return {}


def _spelled(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).strip("'\"")


def _traits_of_interface(stage: NipypeStage) -> dict[str, tuple[Any, Any]]:
    spec = stage.model.inputs
    found: dict[str, tuple[Any, Any]] = {}
    for name in stage.inputs:
        if name in stage.args:
            continue
        trait = spec.trait(name)
        if trait.copyfile is not None:  # the stage brings the file to where it runs
            try:
                trait = trait.trait_type.clone(copyfile=None)
            except (AttributeError, TypeError):
                pass
        value = stage.recipe.values.get(name, Undefined)
        found[name] = trait, Undefined if name == "environ" else value
    return found


def as_interface(stage: Stage | Pipeline, **inputs: Any) -> StageInterface:
    """Return a stage as a Nipype interface.

    Parameters
    ----------
    stage : Stage or Pipeline
        What to run.
    **inputs
        Values for its traits.

    Examples
    --------
    >>> def add(a, b=1):
    ...     return a + b
    >>> from tempfile import mkdtemp
    >>> as_interface(Stage(add), a=2).run(cwd=mkdtemp()).outputs.output
    3
    """
    if not isinstance(stage, (Stage, Pipeline)):
        raise TypeError(f"as_interface needs a Stage or a Pipeline, got {stage!r}")
    return StageInterface(stage, **inputs)


def as_node(stage: Stage | Pipeline, name: str | None = None, **options: Any) -> Node:
    """Return a stage as a node of a Nipype workflow.

    Parameters
    ----------
    stage : Stage or Pipeline
        What to run.
    name : str, optional
        By default the stage's.
    **options
        As for `nipype.Node`; ``iterfield=`` makes a MapNode, ``joinsource=`` a JoinNode.

    Examples
    --------
    >>> def double(x):
    ...     return 2 * x
    >>> node = as_node(Stage(double), "double", iterfield="x")
    >>> node.inputs.x = [1, 2]
    >>> node.run().outputs.output
    [2, 4]
    """
    own = stage.stage_name if isinstance(stage, Stage) else "pipeline"
    chosen = name or re.sub(r"\W+", "_", own).strip("_") or "stage"
    kind = MapNode if "iterfield" in options else JoinNode if "joinsource" in options else Node
    return kind(as_interface(stage), name=chosen, **options)
