"""The face of a stage: what it shows, and the stages that can be made of it.

What a property returns is a copy. A stage keeps its options and static values for good;
`with_options` and `replace` return another one. Only `hash_output` can be set, and what scripts of
the first memori set (`set_stage_arg`).
"""

from __future__ import annotations

from memori.digest.values import NotJSONError, copy_json, to_json, to_json_as
from memori.place import Place, places_of
from memori.results import Outcome, Results, came_from_results
from memori.signature.options import options_of, with_options
from memori.signature.parameters import full_name_of, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.place import Where
    from memori.signature.outputs import Outputs
    from memori.signature.parameters import Parameters


class Face:
    """What a stage shows; `memori.Stage` is the only class that is made of it."""

    function: Callable[..., Any]
    subject: str
    stage_name: str
    _parameters: Parameters
    _outputs: Outputs
    _static: dict[str, JSON]
    _place: Place | None
    _further: tuple[Place, ...]
    _places: tuple[str, ...]
    _last: Outcome

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.subject

    @property
    def inputs(self) -> list[str]:
        """Names of the parameters, and of what only says where to remember."""
        return [*self._parameters.names, *self._places]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return list(self._outputs.names)

    @property
    def aliases(self) -> dict[str, str | list[str]]:
        """Further names under which outputs are offered, by output."""
        return self._outputs.by_output()

    @property
    def function_name(self) -> str:
        """The callable's full name."""
        return full_name_of(self.function)

    @property
    def args(self) -> dict[str, JSON]:
        """The static values."""
        return copy_json(self._static)  # type: ignore[no-any-return]

    @property
    def offers(self) -> list[str]:
        """Names under which results can be taken: outputs and aliases."""
        return [*self._outputs.names, *self._outputs.aliases]

    @property
    def required(self) -> list[str]:
        """Names of the parameters that a run must fill."""
        return [n for n in (*self._parameters.required, *self._places) if n not in self._static]

    def takes(self, name: str) -> bool:
        """Tell whether a value can be passed under this name."""
        return self._parameters.takes(name) or name in self._places

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        return list(self._parameters.names[: min(count, self._parameters.positional)])

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if the callable cannot take so many positional arguments."""
        self._parameters.check_positional(self.subject, values)

    @property
    def input_args(self) -> dict[str, JSON]:
        """The inputs of the last run."""
        return copy_json(self._last.inputs)  # type: ignore[no-any-return]

    @property
    def results(self) -> Results:
        """The results of the last run."""
        return Results(copy_json(self._last.results))

    @property
    def state(self) -> bool:
        """Whether the last run executed the callable."""
        return self._last.executed

    @property
    def hash_output(self) -> str | None:
        """The folder in which runs are remembered; it may hold fields."""
        return None if self._place is None else self._place.text

    @hash_output.setter
    def hash_output(self, where: Where) -> None:
        places = () if where is None else places_of(self.subject, where)
        self._place, self._further = (places[0], places[1:]) if places else (None, ())
        fields = dict.fromkeys(name for place in places for name in place.fields)
        self._places = tuple(name for name in fields if not self._parameters.takes(name))

    @property
    def further_places(self) -> list[str]:
        """Further folders, which are only looked in."""
        return [each.text for each in self._further]

    @property
    def is_scattered(self) -> bool:
        """Whether equal calls may be remembered in different folders: a field is no parameter."""
        return bool(self._places)

    def foresee_after(self, makers: list[str]) -> list[Decision]:
        """Return what is known of a run whose inputs these stages are still to make."""
        from memori.plan import awaiting

        return [awaiting(self.stage_name, makers)]

    def _repr_html_(self) -> str:
        from memori.notebook import results_table, table

        facts = {
            "function": self.function_name,
            "inputs": ", ".join(self.inputs),
            "static values": shown(self._static) if self._static else "",
            "outputs": ", ".join(self.outputs),
            "remembers in": self.hash_output or "nowhere: it always runs",
        }
        rows = [(name, told) for name, told in facts.items() if told]
        last = self._last.results
        return table(rows, caption=repr(self)) + (results_table(last, last.ran) if last else "")

    def alone(self) -> str:
        """Return Python source that makes a stage of the same callable, as ``stage``.

        Raises
        ------
        LookupError
            If the callable cannot be found by name; the message says why.
        """
        from memori.calls.reproduction import source_of

        return source_of(self.function, self.outputs)

    # Other stages, made of this one

    def with_options(self, **options: Any) -> Self:
        """Return the stage with other options, such as `hash_output`; here a name is no parameter.

        Raises
        ------
        TypeError
            If there is no such option.

        Examples
        --------
        >>> from memori import Stage
        >>> def wait(stage_name):
        ...     return stage_name
        >>> Stage(wait, stage_name="a value").with_options(stage_name="the records")
        <Stage the records(stage_name) -> output>
        """
        return with_options(self, options)

    def replace(self, **static: object) -> Self:
        """Return the stage with other static values, all else alike; for sweeps.

        Raises
        ------
        TypeError
            If the callable takes no such parameter.

        Examples
        --------
        >>> from memori import Stage
        >>> stage = Stage(pow, base=2, exp=3)
        >>> [stage.replace(exp=exp).run()["output"] for exp in (4, 5)]
        [16, 32]
        """
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._static = dict(self._static)
        new._last = Outcome({}, Results())
        new.add_static(static)
        return new

    def add_static(self, values: Mapping[str, object]) -> None:
        """Fix values of parameters; they win over what a run is given."""
        options = options_of(type(self))
        self._parameters.reject_unknown(values, self.subject, self._places, options)
        self._static.update(
            (name, to_json_as(f"{self.subject}, argument {name!r}", value))
            for name, value in values.items()
        )

    def overruled(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[str]:
        """Say which values that a run is given itself lose to static ones that differ.

        What another stage returned (``**results``) is no contradiction, as far as that is known.
        """
        given = dict(kwargs)
        if args and not isinstance(args[0], Results):
            by_position = self._parameters.names[: self._parameters.positional]
            given.update(zip(by_position, args, strict=False))
        return [
            f"{self.subject} was given {shown({name: given[name]})}, which has no effect: it has "
            f"the static value {shown({name: value})}; make another stage by replace({name}=...)"
            for name, value in self._static.items()
            if name in given and _differ(given[name], value)
            if not came_from_results(name, given[name])
        ]

    def set_stage_arg(self, arg: str, value: object) -> None:
        """Fix the value of a parameter, as in the first memori; `replace` changes no stage."""
        self.add_static({arg: value})

    def del_stage_arg(self, arg: str) -> None:
        """Free a parameter that was fixed, as in the first memori; a KeyError if it was not."""
        del self._static[arg]


def _differ(given: object, static: JSON) -> bool:
    try:
        return bool(to_json(given) != static)
    except (NotJSONError, ValueError):
        return True
