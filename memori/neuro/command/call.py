"""A command as a callable: from inputs to a command line, and from a run to values.

`Command` is what a `ShellStage` remembers. It knows three things: the arguments (a template or a
function), the outputs, and how to run (`Options`). The same code makes the arguments when the
stage decides, with names in place of paths, and when it runs.

Not promised: to run outside a stage; it needs `memori.workdir`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from inspect import Parameter, Signature, signature
from typing import Any

from memori.current_run import current, workdir
from memori.neuro.command.containers import Container, Launch
from memori.neuro.command.copies import Copies
from memori.neuro.command.errors import STREAMS, CommandError, empty, ended, keep_evidence, listing
from memori.neuro.command.fields import (
    KINDS,
    Argument,
    Field,
    TemplateError,
    reject_option,
    text_of,
)
from memori.neuro.command.input_paths import absolute, input_paths, reporting_changes
from memori.neuro.command.output_names import RESERVED
from memori.neuro.command.outputs import (
    MissingOutputError,
    Output,
    Stdout,
    fills,
    paths_at,
)
from memori.neuro.command.template import Template
from memori.neuro.process.run import run_process
from memori.neuro.tools import identity as tools
from memori.neuro.tools.suites import suite_of

log = logging.getLogger(__name__)
_INTERPRETERS = ("sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "perl", "Rscript", "ruby",
                 "node", "octave", "tclsh", "wish", "julia")  # fmt: skip
_EMPTY = Parameter.empty
Source = Template | Callable[..., Sequence[object]]
Places = Mapping[str, str | list[str]]


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


class Command:
    """A callable that runs one command in the folder of the running stage.

    Parameters
    ----------
    source : Template or callable
        What gives the arguments.
    outputs : Mapping of str to Output
        What it writes.
    options : Options
        How it is run.
    """

    def __init__(
        self,
        source: Source,
        outputs: Mapping[str, Output],
        options: Options,
    ) -> None:
        self.source = source
        self.outputs = dict(outputs)
        self.options = options
        self.__name__ = self.__qualname__ = _name_of(source)
        self._own = {} if isinstance(source, Template) else _parameters_of(source)
        self.__signature__ = self._make_signature()
        self.__doc__ = f"Run {source.text if isinstance(source, Template) else self.__name__}"
        self._defaults = {
            name: each.default
            for name, each in self.__signature__.parameters.items()
            if each.default is not _EMPTY
        }
        text = source.text if isinstance(source, Template) else source
        described = {name: repr(output) for name, output in self.outputs.items()}
        parsers = [getattr(output, "parse", None) for output in self.outputs.values()]
        self._counted = (text, described, parsers, options.link_inputs)

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts as the code of this callable."""
        return self._counted

    def __repr__(self) -> str:
        return f"<Command {self.__name__}>"

    def _make_signature(self) -> Signature:
        """Return what the command takes: those without a default first."""
        named: dict[str, Parameter] = {}
        if isinstance(self.source, Template):
            for name, each in self.source.fields.items():
                named[name] = _parameter(each)
        else:
            named.update(self._own)
        for output in self.outputs.values():
            for name in output.fields:
                named.setdefault(name, _parameter(Field(name)))
        for name in self._env_fields():
            named.setdefault(name, _parameter(Field(name)))
        taken = [each for name, each in named.items() if name not in self.outputs]
        return Signature(sorted(taken, key=lambda each: (each.kind, each.default is not _EMPTY)))

    def _env_fields(self) -> list[str]:
        texts = self.options.env.values()
        return [piece.name for text in texts for piece in text if isinstance(piece, Field)]

    # The command line

    def argv(
        self,
        values: Mapping[str, Any],
        paths: Places,
        link: Callable[[str], str],
    ) -> list[str]:
        """Return the arguments for these inputs and these paths of the outputs.

        Raises
        ------
        TemplateError
            For a value that cannot stand where it would.
        """
        if isinstance(self.source, Template):
            argv = self.source.fill({**values, **paths}, link, self.options.allow_dash)
        else:
            argv = self._call(self.source, values, paths, link)
        if not argv or not argv[0]:
            raise TemplateError(f"the command {self.__name__!r} has no arguments")
        return self._with_threads(_with_script(argv))

    def _call(
        self,
        source: Callable[..., Sequence[object]],
        values: Mapping[str, Any],
        paths: Places,
        link: Callable[[str], str],
    ) -> list[str]:
        given = {
            name: self._linked(name, values[name], link) for name in self._own if name in values
        }
        given.update({name: path for name, path in paths.items() if name in self._own})
        made = source(**given)
        if not isinstance(made, (list, tuple)):
            raise TemplateError(
                f"{self.__name__!r} returned {made!r}; a function for a command returns the list "
                "of its arguments, each an element of its own"
            )
        return list(_flat(self.__name__, made))

    def _linked(self, name: str, value: Any, link: Callable[[str], str]) -> Any:
        if isinstance(value, list):
            return [self._linked(name, each, link) for each in value]
        if not isinstance(value, str):
            return value
        if name not in self.options.allow_dash:
            reject_option(name, value)
        return link(value)

    def _with_threads(self, argv: list[str]) -> list[str]:
        """Add the tool's own option for the number of threads."""
        number = self.options.threads
        command = os.path.basename(argv[0])
        suite = suite_of(command)
        if number is None or suite is None or "threads" in self.__signature__.parameters:
            return argv
        option = suite.threads_option(command, number)
        return argv if not option or option[0] in argv else argv + option

    def places(self, values: Mapping[str, Any]) -> dict[str, str | list[str]]:
        """Return where each output goes, relative to the run's folder."""
        places: dict[str, str | list[str]] = {}
        for name, output in self.outputs.items():
            place = output.place(name, {**values, **places})
            if place is not None:
                places[name] = place
        return places

    def rehearse(self, inputs: Mapping[str, Any]) -> list[str]:
        """Return the arguments as they would be, with names in place of the outputs' paths.

        Raises
        ------
        TemplateError
            For a value that cannot stand where it would.
        """
        values = {**self._defaults, **inputs}
        return self.argv(values, self._paths(self.places(values), os.curdir), absolute)

    def _paths(self, places: Places, folder: str) -> dict[str, str | list[str]]:
        """Return what fills the field of each output."""
        return {
            name: paths_at(fills(place, self.outputs[name]), folder)
            for name, place in places.items()
        }

    def _told(self, places: Places) -> set[str]:
        """Return the outputs whose place the command is told, or memori fills itself."""
        fields = self.source.fields if isinstance(self.source, Template) else self._own
        told = {*fields, *self._env_fields()}
        told.update(name for name, each in self.outputs.items() if isinstance(each, Stdout))
        return told & places.keys()

    def own_environment(self, inputs: Mapping[str, Any], folder: str = os.curdir) -> dict[str, str]:
        """Return the variables of ``env=``, filled."""
        if not self.options.env:
            return {}
        values = {**self._defaults, **inputs}
        values.update(self._paths(self.places(values), folder))
        return {
            name: "".join(
                piece if isinstance(piece, str) else absolute(text_of(name, values[piece.name]))
                for piece in text
            )
            for name, text in self.options.env.items()
        }

    def further_environment(
        self, inputs: Mapping[str, Any], folder: str = os.curdir
    ) -> dict[str, str]:
        """Return the variables that the command gets besides those of this process."""
        number = self.options.threads
        threads = {} if number is None else tools.thread_variables(number)
        return {**threads, **self.own_environment(inputs, folder)}

    # Running

    def __call__(self, **inputs: Any) -> Any:
        """Run the command and return the values of its outputs."""
        for left in reversed(range(self.options.retries + 1)):
            try:
                return self._run(inputs)
            except CommandError as error:
                if not left or error.interrupted:
                    keep_evidence(error)
                    raise
                log.warning("tried again, %d more times at most: %s", left, error)
        raise AssertionError("unreachable: the last try returns or raises")

    def _run(self, inputs: Mapping[str, Any]) -> Any:
        folder = str(workdir())
        empty(folder)
        values = {**self._defaults, **inputs}
        places = self.places(values)
        lying = {name: paths_at(place, folder) for name, place in places.items()}
        told = self._told(places)
        for name in sorted(told):
            self.outputs[name].prepare(lying[name], values)
        copies = None
        if self.options.link_inputs:
            copies = Copies(folder, _flat("output", [places[name] for name in told]))
        argv = self.argv(
            values, self._paths(places, folder), absolute if copies is None else copies.bring
        )
        for name in sorted(places.keys() - told):
            self.outputs[name].prepare(lying[name], values)
        with reporting_changes(inputs, folder, self.__name__):
            failure = self._execute(argv, folder, inputs)
        ignored = RESERVED if copies is None else RESERVED | copies.untouched()
        found = []
        for name, output in self.outputs.items():
            try:
                found.append(output.collect(places.get(name), folder, ignored))
            except MissingOutputError as error:
                raise failure(
                    f"exited with code 0, and its output {name!r} is missing: expected {error}; "
                    f"the folder holds {listing(folder, ignored)}"
                ) from None
        if copies is not None:
            copies.drop_untouched(found)
        return found[0] if len(found) == 1 else tuple(found)

    def _execute(
        self, argv: list[str], folder: str, inputs: Mapping[str, Any]
    ) -> Callable[[str], CommandError]:
        """Run the command; return what makes an error of a later reason."""
        stdout, stderr = (os.path.join(folder, name) for name in STREAMS)
        run = current()
        facts: dict[str, Any] = {
            "argv": argv,
            "folder": folder,
            "stage_name": self.__name__ if run is None else run.stage_name,
        }
        try:
            with self._launch(argv, folder, inputs) as launch:
                done = run_process(
                    launch.argv,
                    executable=tools.require(launch.argv[0], launch.environment),
                    folder=folder,
                    stdout=stdout,
                    stderr=stderr,
                    environment=launch.environment,
                    timeout=self.options.timeout,
                    stop=launch.stop,
                )
        except (OSError, ValueError) as error:
            reason = f"could not be started: {error}"
            interrupted = isinstance(error, InterruptedError)
            raise CommandError(
                reason, code=None, seconds=0.0, interrupted=interrupted, **facts
            ) from error
        facts.update(code=done.code, seconds=done.seconds)
        if done.timed_out or done.code not in self.options.exit_codes:
            reason = ended(done.code, done.seconds, timed_out=done.timed_out)
            raise CommandError(
                reason, timed_out=done.timed_out, interrupted=done.interrupted, **facts
            )
        return lambda reason: CommandError(reason, **facts)

    def _launch(
        self, argv: list[str], folder: str, inputs: Mapping[str, Any]
    ) -> AbstractContextManager[Launch]:
        variables = self.further_environment(inputs, folder)
        container = self.options.container
        if container is None:
            return nullcontext(Launch(argv, None, {**os.environ, **variables}))
        script = script_place(argv)
        reads = input_paths(inputs) + ([] if script is None else [argv[script]])
        return container.around(argv, folder, reads, variables)


def _with_script(argv: list[str]) -> list[str]:
    """Make the script that an interpreter is given absolute: the command runs elsewhere."""
    place = script_place(argv)
    return argv if place is None else [*argv[:place], absolute(argv[place]), *argv[place + 1 :]]


def script_place(argv: Sequence[str]) -> int | None:
    """Return which argument of an interpreter is its script."""
    name = os.path.basename(argv[0])
    if name not in _INTERPRETERS and not name.startswith("python"):
        return None
    for place, text in enumerate(argv[1:], 1):
        if text in ("-c", "-m", "-e"):
            return None
        if not text.startswith("-") and os.path.isfile(text):
            return place
    return None


def _flat(name: str, made: Iterable[object]) -> Iterator[str]:
    for each in made:
        if isinstance(each, (list, tuple)):
            yield from _flat(name, each)
        else:
            yield text_of(f"an argument of {name}", each)


def _name_of(source: Source) -> str:
    if not isinstance(source, Template):
        return str(getattr(source, "__name__", type(source).__name__))
    return os.path.basename(source.program or "command")


def _parameters_of(source: Callable[..., Any]) -> dict[str, Parameter]:
    named = {}
    for name, each in signature(source).parameters.items():
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.POSITIONAL_ONLY):
            raise TypeError(f"{_name_of(source)}: the parameter {name!r} must be takeable by name")
        named[name] = each
    return named


def _parameter(each: Field) -> Parameter:
    if each.kind in KINDS:
        annotation = KINDS[each.kind]
    else:
        annotation = _EMPTY if each.default in (_EMPTY, None) else type(each.default)
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(each.name, kind, default=each.default, annotation=annotation)
