"""A command as a callable: from inputs to a command line, and from a run to values.

`Command` is what a `ShellStage` remembers. It knows the arguments (a template or a function), the
outputs, and how to run. A decision makes a plan (`memori.neuro.command.plan`), and the run that it
decides for executes that plan.

Not promised: to run outside a stage; it needs `memori.workdir`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, NamedTuple

from memori.calls.current_run import current, workdir
from memori.digest.values import encode
from memori.neuro.command.arguments import flat, forget
from memori.neuro.command.copies import Copies
from memori.neuro.command.errors import CommandError, empty, listing
from memori.neuro.command.execution import Execution
from memori.neuro.command.fields import KINDS, Argument, Field, agreed, with_kinds
from memori.neuro.command.input_paths import input_paths, reporting_changes
from memori.neuro.command.output_names import RESERVED
from memori.neuro.command.outputs import MissingOutputError, Output, Stdout, paths_at
from memori.neuro.command.plan import Options, Plan, Recipe, Source, make_plan
from memori.neuro.command.template import Template
from memori.processes.temporary import told_elsewhere
from memori.signature.paths import classes_of, shapes_of, told

if TYPE_CHECKING:
    from memori.fingerprint import Code

log = logging.getLogger(__name__)
_EMPTY = Parameter.empty


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

    Attributes
    ----------
    texts : frozenset of str
        Inputs that are text and never name a file.
    """

    def __init__(
        self,
        source: Source,
        outputs: Mapping[str, Output],
        options: Options,
    ) -> None:
        self.source = source
        self.outputs = dict(outputs)
        self.__name__ = self.__qualname__ = name_of(source)
        self.__doc__ = f"Run {source.text if isinstance(source, Template) else self.__name__}"
        own = {} if isinstance(source, Template) else _parameters_of(source)
        fields = self._fields(options.env.values())
        self.options = replace(
            options, env={name: with_kinds(text, fields) for name, text in options.env.items()}
        )
        self.__signature__ = _signature(own, fields, self.outputs)
        self.texts = frozenset(name for name, each in fields.items() if each.is_text).difference(
            own
        )
        self._defaults = {
            name: each.default
            for name, each in self.__signature__.parameters.items()
            if each.default is not _EMPTY
        }
        takes_more = any(each.kind is Parameter.VAR_KEYWORD for each in own.values())
        self._recipe = Recipe(
            self.__name__,
            source,
            self.outputs,
            self.options,
            frozenset(own),
            frozenset(self.__signature__.parameters).difference(own) if takes_more else None,
            shapes := {} if isinstance(source, Template) else shapes_of(source),
        )
        text = source.text if isinstance(source, Template) else source
        described = {name: repr(output) for name, output in self.outputs.items()}
        parsers = [getattr(output, "parse", None) for output in self.outputs.values()]
        self._counted: dict[str, object] = {
            "template": text,
            **{f"output {name}": told for name, told in described.items()},
            "parsers": parsers,
            "link_inputs": options.link_inputs,
            **told(shapes),
            "classes of paths": classes_of(shapes.values()),
        }

    def __fingerprint__(self) -> dict[str, object]:
        """Return what counts as the code of this callable."""
        return self._counted

    def __repr__(self) -> str:
        return f"<Command {self.__name__}>"

    def _fields(self, env: Iterable[Argument]) -> dict[str, Field]:
        """Return the fields of the template, of the outputs' names and of the variables."""
        text = self.source.text if isinstance(self.source, Template) else self.__name__
        found = dict(self.source.fields) if isinstance(self.source, Template) else {}
        for name in (name for output in self.outputs.values() for name in output.fields):
            found.setdefault(name, Field(name))
        for piece in (piece for each in env for piece in each if isinstance(piece, Field)):
            found[piece.name] = agreed(found.get(piece.name), piece, text)
        return found

    # Planning

    def plan(self, inputs: Mapping[str, Any], code: Code | None = None) -> Plan:
        """Make the plan of a decision; a run that follows in this thread executes it.

        Parameters
        ----------
        inputs : Mapping of str to JSON
            The inputs; two decisions for one run are given the same object.
        code : Code, optional
            The fingerprint of the command, if what a function said in an earlier run may stand.

        Raises
        ------
        TemplateError
            For a value that cannot stand where it would.
        """
        values = self._values(inputs)
        latest = _latest.get()
        is_same = latest is not None and latest.command is self and latest.inputs is inputs
        plan = make_plan(
            self._recipe, values, code, latest.plan.answer if latest and is_same else None
        )
        _latest.set(_Latest(self, inputs, values, plan))
        return plan

    def planned(self, inputs: Mapping[str, Any]) -> Plan:
        """Return the plan that was just made for these inputs, or else make it."""
        latest = _latest.get()
        if latest is None or latest.command is not self:
            return self.plan(inputs)
        is_same = encode(latest.values) == encode(self._values(inputs))
        return latest.plan if is_same else self.plan(inputs)

    def _values(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._defaults, **inputs}

    # Running

    def __call__(self, **inputs: Any) -> Any:
        """Run the command and return the values of its outputs."""
        plan = self.planned(inputs)
        said = plan.answer
        if said is not None and said.recalled is not None:
            plan = self.plan(inputs)  # what runs was answered for this run
            if plan.answer is not None and plan.answer.argv != said.argv:
                forget(said)
        elif said is not None:
            said.count_for_run()
        _latest.set(None)
        for left in reversed(range(self.options.retries + 1)):
            try:
                return self._run(plan, inputs)
            except CommandError as error:
                if not left or error.interrupted:
                    raise
                log.warning("tried again, %d more times at most: %s", left, error)
        raise AssertionError("unreachable: the last try returns or raises")

    def _run(self, plan: Plan, inputs: Mapping[str, Any]) -> Any:
        folder = str(workdir())
        empty(folder)
        values = self._values(inputs)
        told = {name: place for name, place in plan.places.items() if self._is_told(name)}
        self._prepare(told, folder, values)
        copies = None
        if self.options.link_inputs:  # where the inputs lie is known only now
            copies = Copies(folder, flat(told.values()))
            plan = make_plan(self._recipe, values, path=copies.bring)
        self._prepare({n: at for n, at in plan.places.items() if n not in told}, folder, values)
        execution = self._execution(plan.inside(folder), folder, inputs)
        with reporting_changes(self._naming(inputs), folder, self.__name__):
            done = execution.run(timeout=self.options.timeout, exit_codes=self.options.exit_codes)
        ignored = RESERVED if copies is None else RESERVED | copies.untouched()
        found = []
        for name, output in self.outputs.items():
            try:
                found.append(output.collect(plan.places.get(name), folder, ignored))
            except MissingOutputError as error:
                raise execution.failure(
                    f"exited with code 0, and its output {name!r} is missing: expected {error}; "
                    f"the folder holds {listing(folder, ignored)}",
                    done,
                ) from None
        if copies is not None:
            copies.drop_untouched(found)
        return found[0] if len(found) == 1 else tuple(found)

    def _naming(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs that may name files."""
        return {name: value for name, value in inputs.items() if name not in self.texts}

    def _is_told(self, output: str) -> bool:
        """Tell whether the command, or memori itself, is told where an output goes."""
        named = {p.name for text in self.options.env.values() for p in text if isinstance(p, Field)}
        if isinstance(self.source, Template):
            named.update(self.source.fields)
        elif self._recipe.takes(output):
            return True
        return output in named or isinstance(self.outputs[output], Stdout)

    def _prepare(
        self, places: Mapping[str, str | list[str]], folder: str, values: Mapping[str, Any]
    ) -> None:
        for name, place in places.items():
            self.outputs[name].prepare(paths_at(place, folder), values)

    def _execution(self, plan: Plan, folder: str, inputs: Mapping[str, Any]) -> Execution:
        """Return what runs: the plan itself, or an engine that runs it in a container."""
        run = current()
        name = self.__name__ if run is None else run.stage_name
        container = self.options.container
        if container is None:
            return Execution(
                plan.argv, folder, name, {**os.environ, **told_elsewhere(), **plan.variables}
            )
        script = [] if plan.script is None else [plan.argv[plan.script]]
        reads = input_paths(self._naming(inputs)) + script
        launch = container.around(plan.argv, folder, reads, plan.variables)
        return Execution(plan.argv, folder, name, launch=launch)


class _Latest(NamedTuple):
    """The plan that was made last in a thread, and for what."""

    command: Command
    inputs: Mapping[str, Any]
    values: dict[str, Any]
    plan: Plan


_latest: ContextVar[_Latest | None] = ContextVar("memori_plan", default=None)


# What a command takes


def _signature(
    own: Mapping[str, Parameter], fields: Mapping[str, Field], outputs: Mapping[str, Output]
) -> Signature:
    """Return what the command takes: those without a default first."""
    named = {**{name: _parameter(each) for name, each in fields.items()}, **own}
    taken = [named[name] for name in dict.fromkeys((*own, *fields)) if name not in outputs]
    return Signature(sorted(taken, key=lambda each: (each.kind, each.default is not _EMPTY)))


def name_of(source: Source) -> str:
    """Return what a command is called, unless its stage has a name of its own."""
    if not isinstance(source, Template):
        return str(getattr(source, "__name__", type(source).__name__))
    return os.path.basename(source.program or "command")


def _parameters_of(source: Callable[..., Any]) -> dict[str, Parameter]:
    named = {}
    for name, each in signature(source).parameters.items():
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.POSITIONAL_ONLY):
            raise TypeError(f"{name_of(source)}: the parameter {name!r} must be takeable by name")
        named[name] = each.replace(annotation=_EMPTY)  # it says what the function is given
    return named


def _parameter(each: Field) -> Parameter:
    if each.kind in KINDS:
        annotation = KINDS[each.kind]
    else:
        annotation = _EMPTY if each.default in (_EMPTY, None) else type(each.default)
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(each.name, kind, default=each.default, annotation=annotation)
