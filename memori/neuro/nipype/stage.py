"""A Nipype interface as a stage.

The inputs are the traits of the interface's input spec, the outputs those of its output spec that
come back defined. Each run makes a fresh instance and runs it in the run's own folder, without a
change to the caller's folder (`memori.neuro.nipype.interface_run`). A trait that was set on the
interface is a default.

What counts is the class, with its attributes; the trait values, exactly; the content and the base
name of each file (Python code sees the path: then that counts, as for a `Stage`), with the files
that belong to it; what the run was seen to read; the content of each folder that a Directory
trait names; the program and the variables that are set for it (`memori.neuro.nipype.what_counts`).
What cannot change a result (`nohash` traits, threads, how output is shown) does not count.

An interface that always runs in a workflow (DataGrabber, SelectFiles) always runs here; a DataSink
is a hit while all that it wrote is as it was.

Traits that name outputs (`out_file`) are filled when they are given by name, but never from the
results of another stage: `bet.run(flirt.run(...))` would write over flirt's own `out_file`.

Not promised: files that no trait names and that a run was not seen to read
(`memori.calls.observations`).
"""

from __future__ import annotations

import os
from ast import literal_eval
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import Interface
from nipype.interfaces.io import DataSink

from memori.calls.current_run import current, workdir
from memori.calls.observations import watching_is_off
from memori.digest.values import NotJSONError, to_json, to_json_as
from memori.errors import MemoriError, StageError
from memori.layout import memo_of
from memori.neuro.nipype.base_names import counts_by_name
from memori.neuro.nipype.cloning import Recipe
from memori.neuro.nipype.engine_api import check_inputs, outputs_of_kind
from memori.neuro.nipype.interface_run import run_and_tell
from memori.neuro.nipype.traits.parts import (
    as_folders,
    assign,
    names_output,
    parameters,
    threads_set,
    uncounted,
)
from memori.neuro.nipype.what_counts import (
    code_of,
    environment_of,
    facts_of,
    programs_of,
)
from memori.neuro.process.own_cwd import run_in
from memori.neuro.tools.identity import require
from memori.results import Results
from memori.signature.options import parameters_first
from memori.signature.resources import resources_of
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.calls.age import Age
    from memori.digest.values import JSON
    from memori.place import Where


class InterfaceInputError(MemoriError, ValueError):
    """An interface cannot run with these inputs; the message names the stage and the trait."""


class InterfaceCall:
    """An interface as a callable: takes trait values, returns the outputs by name.

    Parameters
    ----------
    interface : nipype Interface
        What to run; it is not touched.
    """

    def __init__(self, interface: Interface) -> None:
        self.recipe = Recipe(interface)
        values = self.recipe.values
        ignored = uncounted(interface) | {"function_str"}
        not_json = {n: v for n, v in values.items() if n not in ignored and not _is_json(v)}
        self.model = self.recipe.make()  # shows traits and the program; it never runs
        assign(self.model, values, os.getcwd())
        self._code = code_of(self.model, not_json)
        self.__name__ = self._code.__name__
        self.__qualname__ = self.recipe.kind.__qualname__
        self.__module__ = self.recipe.kind.__module__
        self.__signature__ = parameters(interface, values)

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run a fresh instance and return the outputs that came back defined."""
        folder = os.fspath(workdir())
        found: dict[str, Any]
        found, command = run_in(folder, run_and_tell, self.recipe, inputs, folder, os.getcwd())
        run = current()
        if command is not None and run is not None:
            run.command = command
        return found

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts as the code of this call."""
        return self._code.parts


def _is_json(value: object) -> bool:
    """Tell whether a value counts as an input, exactly: JSON has no tuples."""
    try:
        return bool(to_json(value) == value)
    except (NotJSONError, ValueError):
        return False


def _is_literal(value: object) -> bool:
    """Tell whether a value can be written down in Python and read again."""
    try:
        return bool(literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


class NipypeStage(Stage):
    """A Nipype interface given a memory.

    Parameters
    ----------
    interface : nipype Interface
        An instance; the traits that are set on it are defaults.
    hash_output : str or os.PathLike, or a list of them, optional
        The folder in which runs are remembered.
    stage_name : str, optional
        By default the name of the interface's class (of a Function, the function's).
    aliases : mapping of str to str, optional
        Further names for outputs: ``{"out_file": "in_file"}`` feeds the next interface.
    uses : str or iterable of str, optional
        Further programs that the interface calls; they count like its own.
    always_run : bool, optional
        Whether to run at each call; by default what the interface says, and never for a DataSink.
    depends_on, code_version, watch, ignore_reads, ignore, remember, expires_after, retries, timeout
        As for `memori.Stage`; an attribute ``remember = False`` of the interface means the same.
    threads, memory, gpus
        As for `memori.Stage`; without, the threads are those that the interface is set to
        (``num_threads``).
    **static
        Trait values that win over what a run is given.

    Attributes
    ----------
    recipe : Recipe
        How each run makes its instance.
    model : nipype Interface
        An instance to look at; it never runs.

    Examples
    --------
    >>> from nipype.interfaces.utility import Merge
    >>> stage = NipypeStage(Merge(2))
    >>> stage.run(in1=[1, 2], in2=3)
    Results({'out': [1, 2, 3]})
    """

    @parameters_first
    def __init__(
        self,
        interface: Interface,
        hash_output: Where = None,
        stage_name: str | None = None,
        aliases: Mapping[str, str | Sequence[str]] | None = None,
        *,
        uses: str | Iterable[str] = (),
        always_run: bool | None = None,
        depends_on: Iterable[object] = (),
        code_version: str | None = None,
        watch: bool = True,
        ignore_reads: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        ignore: str | Iterable[str] = (),
        remember: bool = True,
        expires_after: Age | None = None,
        retries: int = 0,
        timeout: Age | None = None,
        threads: int | None = None,
        memory: int | str | None = None,
        gpus: int = 0,
        **static: object,
    ) -> None:
        if not isinstance(interface, Interface):
            kind = type(interface).__name__
            instead = {"Workflow": "as_stage(workflow)", "Node": "NipypeStage(node.interface)"}
            raise TypeError(
                f"NipypeStage needs an instance of a Nipype interface, got {kind} {interface!r}; "
                f"such as {instead.get(kind, 'NipypeStage(fsl.BET(frac=0.5))')}"
            )
        for name in {"stage_output", "stage_outputs"}.intersection(static):
            raise TypeError(
                f"NipypeStage({type(interface).__name__}): {name}={static[name]!r}; the outputs of "
                "an interface are its own; aliases={'out_file': 'mask'} gives them further names"
            )
        call = InterfaceCall(interface)
        self.recipe = call.recipe
        self.model = call.model
        self._uses = (uses,) if isinstance(uses, str) else tuple(uses)
        wants_to_run = interface.always_run and not isinstance(interface, DataSink)
        self.always_runs = bool(wants_to_run if always_run is None else always_run)
        self.files_count_by = "name" if counts_by_name(interface) else "path"
        self.uncounted = uncounted(interface)
        self._naming = {
            name
            for name in interface.inputs.copyable_trait_names()
            if names_output(self.model, name)
        }
        outputs = outputs_of_kind(interface)
        super().__init__(
            call,
            () if outputs is None else tuple(outputs.copyable_trait_names()),
            hash_output,
            stage_name,
            aliases,
            depends_on=depends_on,
            code_version=code_version,
            watch=watch,
            ignore_reads=ignore_reads,
            ignore=ignore,
            remember=remember and bool(getattr(interface, "remember", True)),
            expires_after=expires_after,
            retries=retries,
            timeout=timeout,
            **static,  # type: ignore[arg-type]
        )
        number = threads if threads is not None else threads_set(interface, static)
        self.resources = resources_of(number, memory, gpus, self.subject)

    @classmethod
    def own_names(cls, given: Mapping[str, Any], source: str) -> Collection[str]:
        """Return the traits of an interface's inputs."""
        interface = given[source]
        is_one = isinstance(interface, Interface)
        return interface.inputs.copyable_trait_names() if is_one else ()

    # What may be passed

    def takes(self, name: str) -> bool:
        """Tell whether a value of another stage can be passed under this name."""
        return super().takes(name) and name not in self._naming

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        """Return what a run was given, with folders of Directory traits as `Folder`.

        Where runs are watched they are mere paths: what is read there counts.
        """
        given = args[0] if len(args) == 1 else None
        if isinstance(given, Results):
            offered = {name: value for name, value in given.items() if self._offers(name)}
            args, kwargs = (), {**offered, **kwargs}
        bound = super().bind(args, kwargs)
        is_watched = self.watched and not watching_is_off()
        for name, value in bound.items() if not is_watched else ():
            trait = self.model.inputs.trait(name)
            if trait is not None and name not in self._naming:
                bound[name] = as_folders(trait, value)
        return bound

    def _offers(self, name: str) -> bool:
        """Tell whether a result of another stage may fill an input (and not just any name)."""
        return self.takes(name) and name in self._parameters.names

    def alone(self) -> str:
        """Return Python source that makes the stage anew; a LookupError says why that cannot be."""
        kind, recipe = self.recipe.kind, self.recipe
        given = {**recipe.values, **recipe.arguments}
        if recipe.added or recipe.attributes or not all(map(_is_literal, given.values())):
            raise LookupError(f"the {kind.__name__} holds what cannot be written down as text")
        if "<" in kind.__qualname__ or kind.__module__ == "__main__":
            raise LookupError(f"{kind.__qualname__} is defined where it cannot be imported from")
        words = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return (
            f"from {kind.__module__} import {kind.__qualname__.partition('.')[0]}\n\n"
            "from memori.neuro import NipypeStage\n\n"
            f"stage = NipypeStage({kind.__qualname__}({words}))"
        )

    # When it runs

    def surroundings(self, inputs: Mapping[str, JSON], root: str) -> dict[str, JSON]:
        """Return the program, its environment, and the files that belong to the inputs."""
        left_out = (self.uncounted - {"environ"}) | self.ignored
        counted = {name: value for name, value in inputs.items() if name not in left_out}
        made = self._at(inputs)
        return facts_of(made, counted, root=root, memo=memo_of(root), uses=self._uses)

    def _at(self, inputs: Mapping[str, JSON]) -> Interface:
        """Return an instance that calls the program of these inputs."""
        if not self.recipe.changes_program:
            return self.model
        made = self.recipe.make()
        try:
            assign(made, {**self.recipe.values, **inputs}, os.getcwd())
        except Exception:  # the run will say what is wrong
            return self.model
        return made

    def check(self, inputs: Mapping[str, JSON]) -> None:
        """Raise if the interface refuses its inputs, or a program is missing."""
        made = self.recipe.make()
        try:
            assign(made, {**self.recipe.values, **inputs}, os.getcwd())
            check_inputs(made)
        except Exception as error:
            raise InterfaceInputError(f"{self.subject}: {error}") from error
        environment = environment_of(made, inputs)
        for program in programs_of(made, self._uses):
            require(program, environment)

    def named(self, value: object) -> dict[str, JSON]:
        """Keep the outputs that came back defined."""
        assert isinstance(value, dict), "an InterfaceCall returns its outputs by name"
        named = {
            name: to_json_as(f"{self.subject}, output {name!r}", each)
            for name, each in value.items()
        }
        for output in self._outputs.aliases.values():
            if output not in named:
                raise StageError(
                    f"{self.subject}: the output {output!r} has an alias and came back undefined"
                )
        return named
