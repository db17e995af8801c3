"""Conditions: lines of a pipeline that hold for some cases only.

``("start", motion, when("bold"))`` runs `motion` where the case has a `bold`. A line whose
condition does not hold is skipped, and so is every stage that needs what a skipped one would have
made; a run says which, and why. A stage that can do without (its parameter has a default) runs.

Not promised: a condition on what no line before it makes and no case gives; it never holds.
"""

from __future__ import annotations

from memori.digest.values import encode, to_json_as
from memori.results import Outcome, Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON


class when:  # noqa: N801  a word of a pipeline's line
    """When a line of a pipeline holds.

    Parameters
    ----------
    *present : str
        Inputs, or outputs of the line's sources, that are to be there, and not None.
    **equal : object
        The same, with the value that each is to have.

    Examples
    --------
    >>> from memori import Pipeline, Stage, when
    >>> count = Stage(lambda bold: len(bold), "volumes", stage_name="count")
    >>> pipeline = Pipeline([("start", count, when("bold"))])
    >>> pipeline.run(bold=[1, 2])
    Results({'volumes': 2})
    >>> pipeline.run(bold=None).skipped
    {'count': "it has no 'bold'"}
    """

    def __init__(self, *present: str, **equal: object) -> None:
        if not present and not equal:
            raise TypeError("when() needs the name of an input, such as when('bold')")
        for name in present:
            if not isinstance(name, str):
                raise TypeError(f"when() takes names of inputs, got {name!r}")
        self._present = present
        self._equal = {name: to_json_as(f"when({name}=)", each) for name, each in equal.items()}

    @property
    def names(self) -> list[str]:
        """The names that it looks at."""
        return [*self._present, *self._equal]

    def fails(
        self, values: Mapping[str, JSON], unknown: Collection[str] = frozenset()
    ) -> str | None:
        """Return why it does not hold; None if it does, as far as that is known."""
        for name in self._present:
            if name not in unknown and values.get(name) is None:
                return f"it has no {name!r}"
        for name, value in self._equal.items():
            if name in unknown:
                continue
            if name not in values or encode(values[name]) != encode(value):
                return f"its {name!r} is not {value!r}"
        return None


class Skipped:
    """What stands in the place of a stage that is skipped: it makes nothing.

    Parameters
    ----------
    reasons : dict of str to str
        Why, by the names of stages.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        self._reasons = reasons

    def outcome(self) -> Outcome:
        """Return no results, and why."""
        outcome = Outcome({}, Results())
        outcome.results.skipped = self._reasons
        return outcome

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Run nothing."""
        return self.outcome()

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Return what running nothing returns."""
        return self.outcome()

    def foresee(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[list[Decision], Results]:
        """Decide nothing."""
        return [], self.outcome().results

    def plan_acceptance(self, *about: object) -> tuple[Outcome, list[Acceptance]]:
        """Accept nothing."""
        return self.outcome(), []
