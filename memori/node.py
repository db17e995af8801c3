"""A node of a graph: what a stage and a pipeline have in common.

A pipeline knows its stages, and a map its pipeline, by these members only. So a pipeline can stand
where a stage can, and either can be sent to a worker.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Protocol, TypeAlias

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.results import Outcome, Results
    from memori.signature.resources import Resources

    Inputs: TypeAlias = tuple[tuple[object, ...], Mapping[str, object]]
else:
    Protocol = object


class Node(Protocol):
    """What can stand in a pipeline."""

    @property
    def title(self) -> str:
        """What messages call it."""

    @property
    def inputs(self) -> list[str]:
        """Names that a run can fill."""

    @property
    def required(self) -> list[str]:
        """Names that a run must fill."""

    @property
    def args(self) -> dict[str, JSON]:
        """The static values, which win over what a run is given."""

    @property
    def offers(self) -> list[str]:
        """Names under which results can be taken."""

    @property
    def resources(self) -> Resources:
        """What a run needs."""

    def takes(self, name: str) -> bool:
        """Tell whether a value can be passed under this name."""

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if so many positional arguments cannot be taken."""

    def overruled(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[str]:
        """Say which values that a run is given itself lose to static ones that differ."""

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Run it unless it is remembered, and return all that is known of that."""

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome | None:
        """Return the run if it is remembered, else None; nothing is run."""

    def foresee(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[list[Decision], Results | None]:
        """Return what a run would decide, and what it would return if all is remembered."""

    def foresee_after(self, makers: list[str]) -> list[Decision]:
        """Return what is known of a run whose inputs these stages are still to make."""

    def plan_acceptance(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        waived: Collection[str],
        sources: Mapping[str, str],
    ) -> tuple[Outcome, list[Acceptance]]:
        """Return what a run will be once present outputs are taken as its own.

        Inputs among `waived` may differ, and `sources` tells earlier names of stages.
        """

    def show(self, run: Outcome | None) -> None:
        """Show this run as the last; None for none."""


def is_node(value: object) -> bool:
    """Tell whether something can stand in a pipeline."""
    return all(hasattr(type(value), name) for name in ("call", "recall", "offers", "takes"))
