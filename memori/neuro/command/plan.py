"""The plan of a run: all that its command is, made once for a decision and frozen.

A decision needs to know what would run (which program, which files the command line names) before
the run's own folder exists. So a plan is made with `FOLDER`, a path that no system has, in place of
that folder; a decision reads it as it is, and `Plan.inside` is the same plan in a real folder. The
plan that a run executes is the one by which it was decided; only where inputs are brought into the
run's folder (``link_inputs=``) is it made again there.

Not promised: a plan for longer than one decision. Which texts name a file, and which file a script
is, was found when it was made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from memori.digest.files import is_file
from memori.digest.values import encode, strings
from memori.neuro.command.arguments import Answer, answer
from memori.neuro.command.containers import Container
from memori.neuro.command.fields import Argument, Field, TemplateError, reject_option, texts_of
from memori.neuro.command.input_paths import absolute, is_folder
from memori.neuro.command.outputs import Output, fills, paths_at
from memori.neuro.command.scripts import programs_of, script_place
from memori.neuro.command.template import Template
from memori.neuro.tools.identity import thread_variables
from memori.neuro.tools.suites import suite_of

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.signature.paths import Shape

FOLDER = "/memori-run-folder-0c1d6f"
Source: TypeAlias = Template | Callable[..., Sequence[object]]


@dataclass(frozen=True)
class Options:
    """How a command is run; see `memori.neuro.ShellStage`."""

    timeout: float | None = None
    env: Mapping[str, Argument] = field(default_factory=dict)
    retries: int = 0
    threads: int | None = None
    container: Container | None = None
    link_inputs: bool = False
    allow_dash: frozenset[str] = frozenset()
    exit_codes: tuple[int, ...] = (0,)
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Recipe:
    """What a plan is made from.

    Attributes
    ----------
    name : str
        What errors call the command.
    source : Template or callable
        What gives the arguments.
    outputs : Mapping of str to Output
        What the command writes.
    options : Options
        How it is run.
    own : frozenset of str
        The parameters of a callable source.
    others : frozenset of str or None
        The parameters that are not its own, where it takes any further keyword.
    shapes : Mapping of str to Shape
        Which of its parameters are given paths as such.
    """

    name: str
    source: Source
    outputs: Mapping[str, Output]
    options: Options
    own: frozenset[str] = frozenset()
    others: frozenset[str] | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)

    def takes(self, name: str) -> bool:
        """Tell whether a callable source is given a value of this name."""
        return name in self.own or (self.others is not None and name not in self.others)


@dataclass(frozen=True)
class Plan:
    """What a command would be.

    Attributes
    ----------
    argv : tuple of str
        The command line.
    script : int or None
        Which argument is a script.
    places : Mapping of str to str or list of str
        Where each output goes, relative to the run's folder.
    variables : Mapping of str to str
        The environment that the command gets besides that of this process.
    counted : Mapping of str to str
        Its part that counts: ``env=``, with the names of files in place of their paths.
    answer : Answer or None
        What a function said, where one gave the arguments.
    """

    argv: tuple[str, ...]
    script: int | None
    places: Mapping[str, str | list[str]]
    variables: Mapping[str, str]
    counted: Mapping[str, str]
    answer: Answer | None

    @property
    def programs(self) -> list[str]:
        """The programs that run: the first word, and what stands behind a wrapper such as env."""
        return programs_of(self.argv)

    def inside(self, folder: str) -> Plan:
        """Return the plan in a real folder."""
        return replace(
            self,
            argv=tuple(word.replace(FOLDER, folder) for word in self.argv),
            variables={n: text.replace(FOLDER, folder) for n, text in self.variables.items()},
        )


def make_plan(
    recipe: Recipe,
    values: Mapping[str, JSON],
    code: Code | None = None,
    said: Answer | None = None,
    path: Callable[[str], str] = absolute,
) -> Plan:
    """Return the plan for these values.

    Parameters
    ----------
    recipe : Recipe
        What the command is made from.
    values : Mapping of str to JSON
        A value for each parameter, defaults included.
    code : Code, optional
        The fingerprint of the command, if what a function said in an earlier run may stand.
    said : Answer, optional
        What it said a moment ago, for the same run.
    path : callable, optional
        From a text that may name a file to the path under which the command finds it.

    Raises
    ------
    TemplateError
        For a value that cannot stand where it would.
    """
    options = recipe.options
    places = _places(recipe.outputs, values)
    paths = {n: paths_at(fills(at, recipe.outputs[n]), FOLDER) for n, at in places.items()}
    if isinstance(recipe.source, Template):
        said = None
        argv = recipe.source.fill({**values, **paths}, path, options.allow_dash)
    else:
        given = _given(recipe, values, paths, path)
        if said is None or said.given != encode(given):
            said = answer(recipe.source, recipe.name, given, code, recipe.shapes)
        argv = list(said.argv)
    if not argv or not argv[0]:
        raise TemplateError(f"the command {recipe.name!r} has no arguments")
    script = script_place(argv)
    if script is not None:
        argv[script] = os.path.abspath(argv[script])  # the command runs elsewhere
    if "threads" not in values:
        argv += _threads_option(argv, options.threads)
    threads = {} if options.threads is None else thread_variables(options.threads)
    filled = {**values, **paths}
    return Plan(
        argv=tuple(argv),
        script=script,
        places=places,
        variables={**threads, **_environment(options.env, filled, absolute)},
        counted=_environment(
            options.env, {**filled, **dict.fromkeys(options.ignore, "")}, _name_of
        ),
        answer=said,
    )


def _places(
    outputs: Mapping[str, Output], values: Mapping[str, JSON]
) -> dict[str, str | list[str]]:
    places: dict[str, str | list[str]] = {}
    for name, output in outputs.items():
        place = output.place(name, {**values, **places})
        if place is not None:
            places[name] = place
    return places


def _given(
    recipe: Recipe,
    values: Mapping[str, JSON],
    paths: Mapping[str, str | list[str]],
    path: Callable[[str], str],
) -> dict[str, JSON]:
    """Return what a function is given: inputs, with their paths, and the paths of outputs."""
    given = {name: value for name, value in values.items() if recipe.takes(name)}
    for name, value in given.items():
        if name not in recipe.options.allow_dash:
            for _, text in strings(value, (name,)):
                reject_option(name, text)
    given = {name: _located(value, path) for name, value in given.items()}
    return {**given, **{name: path for name, path in paths.items() if recipe.takes(name)}}


def _located(value: JSON, path: Callable[[str], str]) -> JSON:
    """Return a value with the path of each file that it names."""
    if isinstance(value, str):
        return path(value)
    if isinstance(value, list):
        return [_located(each, path) for each in value]
    if isinstance(value, dict):
        return {key: _located(each, path) for key, each in value.items()}
    return value


def _threads_option(argv: Sequence[str], number: int | None) -> list[str]:
    """Return the tool's own option for the number of threads, unless it is there."""
    command = os.path.basename(argv[0])
    suite = suite_of(command)
    option = [] if number is None or suite is None else suite.threads_option(command, number)
    return [] if not option or option[0] in argv else option


def _environment(
    env: Mapping[str, Argument], values: Mapping[str, JSON], path: Callable[[str], str]
) -> dict[str, str]:
    """Return the variables of ``env=``, filled."""
    return {
        name: "".join(
            piece if isinstance(piece, str) else _single(name, piece, values[piece.name], path)
            for piece in text
        )
        for name, text in env.items()
    }


def _single(variable: str, piece: Field, value: JSON, path: Callable[[str], str]) -> str:
    texts = texts_of(piece, value, path)
    if len(texts) != 1:
        raise TemplateError(
            f"the variable {variable!r} is made of {piece.name!r}, a list; join it by one "
            f"character, such as {{{piece.name}::}}"
        )
    return texts[0]


def _name_of(text: str) -> str:
    """Return what counts of a path: its content counts as an input."""
    names_path = is_file(text) or is_folder(text)
    return os.path.basename(text.rstrip(os.sep)) if names_path else text
