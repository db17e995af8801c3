"""Command-line tools as stages.

A `ShellStage` is a stage whose callable runs one command::

    bet = ShellStage("bet {in_file} {brain} -f {frac=0.5} [-m {mask}] [-R]",
                     outputs={"brain": "{in_file.stem}_brain.nii.gz"})

The words of the template are in `memori.neuro.command.template`, those of the outputs in
`memori.neuro.command.outputs`. Fields make the signature: the stage above takes in_file, frac, mask
and R. Where a template cannot say it, a function of the inputs and the outputs' paths returns the
list of arguments instead, and does nothing else (`memori.neuro.command.arguments`).

The command runs in the run's own folder; inputs that name existing files reach it as absolute
paths, and only their base names and contents count. What else counts is the version of the tool,
the environment on its suite's list, ``env=``, and what the command was seen to read, list and start
(`memori.watch.commands`); where it cannot be watched, the files and folders that its words name.
What it prints is in ``stdout.txt`` and ``stderr.txt``.

Not promised: that a command does not change its inputs (a warning tells; `Copy` is for those that
do), and where it cannot be watched, that it reads nothing that its words do not name (say so with
``depends_on=`` and ``uses=``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from memori.accepting import several
from memori.calls.age import seconds_of
from memori.calls.observations import watching_is_off
from memori.digest.files import file_digest, is_file
from memori.digest.folder import Folder, folder_digest
from memori.digest.values import strings
from memori.neuro.command.arguments import flat
from memori.neuro.command.call import Command, name_of
from memori.neuro.command.containers import Container, container_of
from memori.neuro.command.errors import CommandError
from memori.neuro.command.fields import Field
from memori.neuro.command.input_paths import input_paths, is_folder
from memori.neuro.command.outputs import (
    Copy,
    Glob,
    Optional,
    Output,
    Spec,
    Stdout,
    output_of,
)
from memori.neuro.command.plan import Options, Plan
from memori.neuro.command.template import Template, parse, parse_name
from memori.neuro.process.run import note_interrupts
from memori.neuro.tools.identity import cache_folder, facts, require, thread_variables
from memori.signature.options import parameters_first
from memori.signature.resources import resources_of
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.calls.age import Age
    from memori.digest.values import JSON
    from memori.place import Where

_READ = "what was read there"
__all__ = ["CommandError", "Container", "Copy", "Glob", "Optional", "ShellStage", "Stdout"]


class ShellStage(Stage):
    """A command-line tool given a memory.

    Parameters
    ----------
    command : str or callable
        A template, or a function of inputs and output paths that returns the list of arguments.
    outputs : str, or mapping of str to str and the like, optional
        What the command writes, by name (`memori.neuro.command.outputs`); a single one is called
        ``output``. Without it, what the command prints.
    hash_output, stage_name, aliases, depends_on, code_version, ignore, remember, expires_after,
    watch, ignore_reads
        As for `memori.Stage`.
    timeout : float, str or datetime.timedelta, optional
        The time after which the command is ended, with a `TimeLimitError`. Never counts.
    env : mapping of str to str, optional
        Environment variables for it; fields are filled as in a template. They count, by digest.
    retries : int, optional
        How often it is tried again when it fails. Never counts.
    threads : int, optional
        How many threads it may use: sets the usual variables and the tool's own option, or fills
        ``{threads}``. Never counts.
    memory, gpus
        As for `memori.Stage`.
    container : str, os.PathLike or Container, optional
        Where it runs: ``"image.sif"``, ``"podman://IMAGE"``, ``"docker://IMAGE"``.
    link_inputs : bool, optional
        Give inputs in the run's folder, under their own names, for tools that write beside their
        input or change it. Each is a copy of the run's own, so raw data stay as they are.
    uses : iterable of str, optional
        Other programs that the command calls; their identity counts too.
    allow_dash : iterable of str, optional
        Inputs whose values may begin with ``-``. Never counts.
    exit_codes : iterable of int, optional
        Those that mean success. Unless it is 0 alone they count: a run that was accepted under one
        rule is no hit under another.
    **static
        Values for inputs; they win over what a run is given. A field that is called like an option
        is meant before the option: ``ShellStage("sleep {timeout}", timeout=3)``; see
        `with_options`.

    Raises
    ------
    TemplateError
        If the template makes no command.
    TypeError, ValueError
        For what else cannot work.
    """

    files_count_by: Literal["path", "name"] = "name"
    uncounted: frozenset[str] = frozenset({"threads"})

    @parameters_first
    def __init__(
        self,
        command: str | Callable[..., Sequence[object]],
        outputs: Spec | Mapping[str, Spec] | None = None,
        hash_output: Where = None,
        stage_name: str | None = None,
        aliases: Mapping[str, str | Sequence[str]] | None = None,
        *,
        timeout: Age | None = None,
        env: Mapping[str, str | os.PathLike[str]] | None = None,
        retries: int = 0,
        threads: int | None = None,
        memory: int | str | None = None,
        gpus: int = 0,
        container: str | os.PathLike[str] | Container | None = None,
        link_inputs: bool = False,
        uses: Iterable[str] = (),
        allow_dash: Iterable[str] = (),
        exit_codes: Iterable[int] = (0,),
        depends_on: Iterable[object] = (),
        code_version: str | None = None,
        ignore: str | Iterable[str] = (),
        remember: bool = True,
        expires_after: Age | None = None,
        watch: bool | Literal["process"] = True,
        ignore_reads: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        **static: Any,
    ) -> None:
        _reject_outputs(command, static)
        source = command if callable(command) else parse(command)
        name = stage_name if isinstance(stage_name, str) and stage_name else name_of(source)
        options = Options(
            timeout=seconds_of(timeout, f"stage {name!r}", "timeout"),
            env={name: parse_name(os.fspath(text)) for name, text in _variables(env).items()},
            retries=retries,
            threads=threads,
            container=None if container is None else container_of(container),
            link_inputs=link_inputs,
            allow_dash=frozenset(allow_dash),
            exit_codes=tuple(exit_codes),
            ignore=frozenset(several(ignore, f"stage {name!r}, ignore")),
        )
        self.command = Command(source, _outputs_of(outputs), options)
        self.texts = self.command.texts
        self._uses = (uses,) if isinstance(uses, str) else tuple(uses)
        super().__init__(
            self.command,
            list(self.command.outputs),
            hash_output,
            stage_name,
            aliases,
            depends_on=depends_on,
            code_version=code_version,
            ignore=ignore,
            remember=remember,
            expires_after=expires_after,
            watch=bool(watch),
            ignore_reads=ignore_reads,
            **static,
        )
        self.resources = resources_of(threads, memory, gpus, self.subject)
        if threads is not None and "threads" in self.command.__signature__.parameters:
            self.add_static({"threads": threads})

    @classmethod
    def own_names(cls, given: Mapping[str, Any], source: str) -> Collection[str]:
        """Return the fields of a command; those of `threads` are filled by the option."""
        command = given[source]
        names = set(signature(command).parameters if callable(command) else parse(command).fields)
        outputs, env = (None if n in names else given.get(n) for n in ("outputs", "env"))
        for output in _outputs_of(outputs).values():
            names.update(output.fields)
        for text in _variables(env).values():
            names.update(p.name for p in parse_name(os.fspath(text)) if isinstance(p, Field))
        return names.difference(_outputs_of(outputs), {"threads"})

    # What counts besides the template and the inputs

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, JSON]:
        """Return the inputs as JSON; the place of an output is none of them."""
        for name in kwargs:
            if name in self.command.outputs and not self.takes(name):
                raise TypeError(
                    f"{self.subject} takes no {name!r}: it is an output, which lies in the run's "
                    "own folder, by the name that `outputs` gives it; run() returns its path"
                )
        return super().bind(args, kwargs)

    def surroundings(self, inputs: Mapping[str, JSON], root: str) -> dict[str, JSON]:
        """Return the tool, its environment, and the files that the command line names."""
        # digests may take minutes, and Ctrl-C holds for what comes after them
        note_interrupts(inputs)
        is_template = isinstance(self.command.source, Template)
        plan = self.command.plan(inputs, None if is_template else self.code())
        environment = {**os.environ, **plan.variables} if plan.variables else os.environ
        found: dict[str, JSON] = {}
        codes = sorted(set(self.command.options.exit_codes))
        if codes != [0]:
            found["exit codes"] = codes
        container = self.command.options.container
        if container is not None:
            found["container"] = container.identity(environment)
        else:
            number = self.command.options.threads
            ignored = () if number is None else thread_variables(number)
            for program in (*plan.programs, *self._uses):
                found.update(facts(program, environment, ignored=ignored))
        for name, value in plan.counted.items():
            found.setdefault(f"env {name}", hashlib.sha256(os.fsencode(value)).hexdigest())
        from memori.watch.environment import counted_variables, names_in_shell

        own = {*plan.variables, *plan.counted}
        named = [name for name in names_in_shell(plan.argv[1:]) if name not in own]
        found.update({f"variable {n}": value for n, value in counted_variables(named).items()})
        is_watched = self._sees_what_is_read()
        for name, value in inputs.items():
            if (
                isinstance(value, (str, list, dict))
                and name in self.command.__signature__.parameters
                and name not in self.texts
                and name not in self.ignored
            ):
                found.update(_folders(name, value, is_watched))
        found.update(_named_files(plan, inputs, is_watched))
        return found

    def _sees_what_is_read(self) -> bool:
        """Tell whether a run is told what its command reads of a folder."""
        options = self.command.options
        is_here = options.container is None and not options.link_inputs
        return is_here and self.watched and not watching_is_off()

    def alone(self) -> str:
        """Raise: a command that was started is run again by its words, and needs no stage."""
        raise LookupError("its command was not started")

    def check(self, inputs: Mapping[str, JSON]) -> None:
        """Raise if the command cannot be made, or a program is missing."""
        if self.hash_output is None:
            note_interrupts(inputs)
            plan = self.command.plan(inputs)
        else:
            plan = self.command.planned(inputs)
        environment = {**os.environ, **plan.variables}
        container = self.command.options.container
        if container is not None:
            container.require(environment)
            return
        for program in (plan.argv[0], *self._uses):
            require(program, environment)


def _reject_outputs(command: object, static: Mapping[str, Any]) -> None:
    """Raise a TypeError for outputs that are named as those of a function are."""
    for name in {"stage_output", "stage_outputs"}.intersection(static):
        raise TypeError(
            f"ShellStage({command!r}): {name}={static[name]!r}; a command says what it writes: "
            "outputs={'mask': 'mask.nii.gz'}"
        )


def _variables(env: object) -> Mapping[str, str | os.PathLike[str]]:
    if env is not None and not isinstance(env, Mapping):
        raise TypeError(f"ShellStage: env={env!r}; it is a mapping, such as {{'LANG': 'C'}}")
    return env or {}


def _outputs_of(given: Spec | Mapping[str, Spec] | None) -> dict[str, Output]:
    if given is None:
        given = Stdout()
    named = given if isinstance(given, Mapping) else {"output": given}
    if not named:
        raise ValueError("a command without outputs has nothing to remember; leave outputs away")
    return {name: output_of(spec) for name, spec in named.items()}


def _folders(name: str, value: JSON, is_watched: bool) -> Iterator[tuple[str, JSON]]:
    """Digest each folder among the inputs: a command may read all that it holds.

    Where runs are watched, what a run read and listed in it counts instead.
    """
    for pointer, text in strings(value, (name,)):
        if not isinstance(text, Folder) and is_folder(text):
            place = "".join(f"[{part!r}]" for part in pointer[1:])
            told = _READ if is_watched else folder_digest(text, _identity)
            yield f"folder {name}{place}", told


def _named_files(
    plan: Plan, inputs: Mapping[str, JSON], is_watched: bool
) -> Iterator[tuple[str, JSON]]:
    """Digest each file that the command line names, and neither inputs nor outputs do.

    Where runs are watched what they read counts, and here the script alone.
    """
    named = {
        path: f"script {os.path.basename(path)}" if place == plan.script else f"file {path}"
        for place, text in enumerate(plan.argv[1:], 1)
        for path in (text, text.partition("=")[2])
        if path[:1] == os.sep and is_file(path) and (place == plan.script or not is_watched)
    }
    for path in (*input_paths(inputs), *flat(plan.places.values())) if named else ():
        named.pop(path, None)
    for path, label in named.items():
        yield label, _identity(path)


def _identity(path: str) -> str:
    return file_digest(path, cache_folder("files")).identity
