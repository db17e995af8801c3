"""A Nipype interface as a stage.

The inputs are the traits of the interface's input spec, the outputs those of its output spec that
come back defined. Each run makes a fresh instance and runs it in the run's own folder, without a
change to the caller's; see `memori.neuro.recipe` and `memori.neuro.isolation`. A trait that was
set on the interface is a default.

What counts is the class, with the arguments of its constructor; the trait values, exactly; the
content and the base name of each file, with the files that belong to it; the content of each
folder that a Directory trait names; the tool. What cannot change a result (`nohash` traits,
threads, how output is shown) does not count.

Traits that name outputs (`out_file`) are filled when they are given by name, but never from the
results of another stage: `bet.run(flirt.run(...))` would write over flirt's own `out_file`.

Not promised: files that an interface reads without a trait that names them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import Interface
from nipype.interfaces.base.specs import get_filecopy_info
from nipype.utils.filemanip import copyfile

from memori.errors import StageError
from memori.neuro.isolation import run_in
from memori.neuro.recipe import Recipe, defined_values
from memori.neuro.traits import (
    as_folders,
    assign,
    names_output,
    outputs_of,
    parameters,
    uncounted,
)
from memori.results import Results
from memori.running import workdir
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.digest.values import JSON


class InterfaceCall:
    """An interface as a callable: takes trait values, returns the outputs by name.

    Parameters
    ----------
    interface : nipype Interface
        What to run; it is not touched.
    """

    def __init__(self, interface: Interface) -> None:
        self.recipe = Recipe(interface)
        self.values = self.recipe.values
        self.__name__ = _name_of(interface, self.values)
        self.__qualname__ = self.recipe.kind.__qualname__
        self.__module__ = self.recipe.kind.__module__
        self.__signature__ = parameters(interface, self.values)

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        folder = os.fspath(workdir())
        found: dict[str, Any] = run_in(folder, _run, self.recipe, inputs, folder, os.getcwd())
        return found

    def __fingerprint__(self) -> tuple[object, ...]:
        """What counts as the code of this call."""
        return (self.recipe.kind, self.recipe.arguments, self.recipe.attributes, self.values)


def _name_of(interface: Interface, values: Mapping[str, Any]) -> str:
    kind = type(interface).__name__
    if "function_str" in values:
        from nipype.utils.functions import create_function_from_source

        imports = getattr(interface, "imports", None)
        return str(create_function_from_source(values["function_str"], imports).__name__)
    if kind == "CommandLine":
        return os.path.basename(interface.cmd.split()[0])
    return kind


def _run(recipe: Recipe, inputs: dict[str, Any], folder: str, origin: str) -> dict[str, Any]:
    interface = recipe.make()
    assign(interface, {**recipe.values, **inputs}, origin)
    _bring_files(interface, folder)
    result = interface.run(cwd=folder, ignore_exception=False)
    return outputs_of(result.outputs, folder)


def _bring_files(interface: Interface, folder: str) -> None:
    """Copy or link the files that the interface wants to have beside it."""
    for wish in get_filecopy_info(interface):
        value = interface.inputs.trait_get().get(wish["key"])
        if value:
            setattr(interface.inputs, wish["key"], _brought(value, folder, wish["copy"]))


def _brought(value: Any, folder: str, copy: bool) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_brought(part, folder, copy) for part in value)
    if isinstance(value, str) and os.path.isfile(value):
        return copyfile(
            os.path.abspath(value),
            os.path.join(folder, os.path.basename(value)),
            copy=copy,
            create_new=True,
        )
    return value


class NipypeStage(Stage):
    """A Nipype interface given a memory.

    Parameters
    ----------
    interface : nipype Interface
        An instance; the traits that are set on it are defaults.
    hash_output : str or os.PathLike, optional
        The folder in which runs are remembered.
    stage_name : str, optional
        By default the name of the interface's class (of a Function, the function's).
    aliases : mapping of str to str, optional
        Further names for outputs: ``{"out_file": "in_file"}`` feeds the next interface.
    depends_on, code_version
        As for `memori.Stage`.
    **static
        Trait values that win over what a run is given.

    Examples
    --------
    >>> from nipype.interfaces.utility import Merge
    >>> stage = NipypeStage(Merge(2))
    >>> stage.run(in1=[1, 2], in2=3)
    Results({'out': [1, 2, 3]})
    """

    _names_files_by = "name"

    def __init__(
        self,
        interface: Interface,
        hash_output: str | os.PathLike[str] | None = None,
        stage_name: str | None = None,
        aliases: Mapping[str, str] | None = None,
        *,
        depends_on: Sequence[object] = (),
        code_version: str | None = None,
        **static: object,
    ) -> None:
        if not isinstance(interface, Interface):
            raise TypeError(
                f"NipypeStage needs an instance of a Nipype interface, got {interface!r}; "
                "such as NipypeStage(fsl.BET(frac=0.5))"
            )
        self._interface = Recipe(interface).make()
        assign(self._interface, defined_values(interface.inputs), os.getcwd())
        outputs = interface._outputs()
        self._uncounted = uncounted(interface)
        super().__init__(
            InterfaceCall(interface),
            () if outputs is None else tuple(outputs.copyable_trait_names()),
            hash_output,
            stage_name,
            aliases,
            depends_on=depends_on,
            code_version=code_version,
            **static,
        )

    def takes(self, name: str) -> bool:
        """Tell whether a value of another stage can be passed under this name."""
        return super().takes(name) and not names_output(self._interface, name)

    def _bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        if len(args) == 1 and isinstance(args[0], Results):
            args, kwargs = (), {**{k: v for k, v in args[0].items() if self.takes(k)}, **kwargs}
        bound = super()._bind(args, kwargs)
        for name, value in bound.items():
            trait = self._interface.inputs.trait(name)
            if trait is not None and not names_output(self._interface, name):
                bound[name] = as_folders(trait, value)
        return bound

    def _named(self, value: object) -> dict[str, JSON]:
        """Keep the outputs that came back defined."""
        from memori.digest.values import NotJSONError, to_json

        assert isinstance(value, dict)
        named: dict[str, JSON] = {}
        for name, each in value.items():
            try:
                named[name] = to_json(each)
            except NotJSONError as error:
                error.subject = f"{self._subject}, output {name!r}"
                raise
        for output in self._aliases:
            if output not in named:
                raise StageError(
                    f"{self._subject}: the output {output!r}, which has an alias, is undefined"
                )
        return named
