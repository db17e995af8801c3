"""The outputs of a stage: their names, and the values that a callable returned for them."""

from __future__ import annotations

from memori.digest.values import copy_json, to_json_as
from memori.errors import StageError
from memori.results import Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memori.digest.values import JSON

    Names = str | Sequence[str] | None
    Aliases = Mapping[str, str | Sequence[str]]


class Outputs:
    """The declared outputs of a stage.

    Parameters
    ----------
    subject : str
        What errors call the stage.
    names, other : str or sequence of str, optional
        The names, under either spelling of the parameter; one output called ``output`` by default.
    aliases : mapping of str to str or to sequences of str, optional
        Further names under which outputs are offered: ``{output: alias}``, or ``{alias: output}``
        where only that can be meant, because the first is no output and the second is one.

    Attributes
    ----------
    names : tuple of str
        The names.
    aliases : dict of str to str
        The output behind each alias.

    Raises
    ------
    TypeError, ValueError
        If the names are no names, given twice, or an alias stands for none of them.
    """

    __slots__ = ("_subject", "aliases", "names")

    def __init__(self, subject: str, names: Names, other: Names, aliases: Aliases | None) -> None:
        self._subject = subject
        self.names = _checked_names(subject, names, other)
        self.aliases: dict[str, str] = {}
        if not hasattr(aliases or {}, "items"):
            raise TypeError(f"{subject}: aliases are {{output: further name}}, got {aliases!r}")
        for name, others in (aliases or {}).items():
            for each in [others] if isinstance(others, str) else list(others):
                self._add(name, each)

    def _add(self, name: str, other: str) -> None:
        output, alias = (name, other) if name in self.names else (other, name)
        if output not in self.names:
            raise ValueError(
                f"{self._subject}: the alias of {name!r} names no output "
                f"(outputs: {', '.join(self.names)}); aliases are {{output: further name}}"
            )
        if not isinstance(alias, str) or alias in self.names or alias in self.aliases:
            raise ValueError(
                f"{self._subject}: the alias {alias!r} must be a name that no other output bears"
            )
        self.aliases[alias] = output

    def by_output(self) -> dict[str, str | list[str]]:
        """Return the alias of each output that has one; several as a list."""
        found: dict[str, list[str]] = {}
        for alias, output in self.aliases.items():
            found.setdefault(output, []).append(alias)
        return {name: each[0] if len(each) == 1 else each for name, each in found.items()}

    def named(self, value: object) -> dict[str, JSON]:
        """Give what a callable returned its names, as JSON.

        Raises
        ------
        StageError
            If there are not exactly as many values as names.
        NotJSONError
            If JSON cannot hold one.
        """
        values: Sequence[object] = (value,)
        if len(self.names) != 1:
            values = self._several(value)
        return {
            name: to_json_as(f"{self._subject}, output {name!r}", each)
            for name, each in zip(self.names, values, strict=True)
        }

    def _several(self, value: object) -> Sequence[object]:
        if value is None and not self.names:
            return ()
        if isinstance(value, (tuple, list)) and len(value) == len(self.names):
            return value
        got = f"{len(value)} values" if isinstance(value, (tuple, list)) else repr(value)[:200]
        if not self.names:
            raise StageError(
                f"{self._subject} declares no outputs and returned {got}; name what it returns in "
                "stage_outputs, or return None"
            )
        raise StageError(
            f"{self._subject} declares {len(self.names)} outputs ({', '.join(self.names)}) and "
            f"returned {got}; return a tuple with one value for each name"
        )

    def given(self, values: object) -> dict[str, JSON]:
        """Return what a person gives: a mapping by name, or the value of the only output.

        Raises
        ------
        StageError
            If it is not one value for each.
        TypeError
            For values that are not JSON.
        """
        names = set(values) if isinstance(values, dict) else None
        if names != set(self.names) and len(self.names) == 1:
            values = {self.names[0]: values}
        elif names != set(self.names):
            raise StageError(
                f"{self._subject} has the outputs {', '.join(self.names)}: a value is needed for "
                f"each, by name; got {values!r}"
            )
        given: dict[str, object] = values  # type: ignore[assignment]
        return {
            name: to_json_as(f"{self._subject}, output {name!r}", given[name])
            for name in self.names
        }

    def results(self, values: dict[str, JSON]) -> Results:
        """Return the values, and each alias with its own copy."""
        results = Results(values)
        for alias, output in self.aliases.items():
            results[alias] = copy_json(values[output])
        return results


def _checked_names(subject: str, names: Names, other: Names) -> tuple[str, ...]:
    if names is not None and other is not None:
        raise TypeError(f"{subject}: stage_outputs and stage_output are one thing; give one")
    chosen = other if names is None else names
    if chosen is None:
        return ("output",)
    if not isinstance(chosen, (str, list, tuple)):
        raise TypeError(f"{subject}: stage_outputs is a name or a list of names, got {chosen!r}")
    listed = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    if not all(isinstance(name, str) and name for name in listed):
        raise TypeError(f"{subject}: stage_outputs are names, got {chosen!r}")
    if isinstance(chosen, str) and "," in chosen:
        raise ValueError(
            f"{subject}: stage_outputs={chosen!r} is one name with a comma in it; for several "
            f"outputs give a list: {[each.strip() for each in chosen.split(',')]}"
        )
    if len(set(listed)) != len(listed):
        raise ValueError(f"{subject}: stage_outputs {chosen!r} holds a name twice")
    return listed
