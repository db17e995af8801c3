"""Division: nodes of a graph whose runs are done in parts, side by side.

An `Each` has a part for each element. A pipeline that stands as a stage has one, and what is inside
it runs as the stages of a case do; if these stand in a row, nothing can run side by side, and it is
no such node. Each part goes through a wiring of its own, and may be divided in turn.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol, TypeAlias

    from memori.digest.values import JSON
    from memori.graph.wiring import Wiring
    from memori.node import Node
    from memori.results import Outcome
    from memori.signature.resources import Resources

    Given: TypeAlias = tuple[tuple[JSON, ...], dict[str, JSON]]

    class Divided(Node, Protocol):
        """A node that is done in parts."""

        @property
        def inner(self) -> Wiring:
            """What each part goes through."""

        @property
        def is_divided(self) -> bool:
            """Whether parts, or what is inside one, can run side by side."""

        def parts(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[Given]:
            """Return what the parts of a run are given."""

        def part_told(self, part: int) -> str:
            """Return what messages call a part; nothing if it is all of the run."""

        def joined(self, outcomes: list[Outcome]) -> Outcome:
            """Return what came of the parts as the outcome of the run."""


def divided(node: Node) -> Divided | None:
    """Return a node that is done in parts as that; None if it is done as a whole."""
    return node if getattr(node, "is_divided", False) else None  # type: ignore[return-value]


def inside(wiring: Wiring, path: tuple[int, ...]) -> Wiring:
    """Return the wiring that is reached through the nodes at these places."""
    for place in path:
        node = divided(wiring.order[place])
        assert node is not None
        wiring = node.inner
    return wiring


def is_row(wiring: Wiring) -> bool:
    """Tell whether stages stand in a row that one worker goes through from end to end."""
    order = wiring.order
    return all(
        divided(node) is None
        and node.resources == order[0].resources
        and (not place or order[place - 1] in wiring.sources[node])
        for place, node in enumerate(order)
    )


def stages_of(wiring: Wiring) -> Iterator[Node]:
    """Yield the stages, with those inside of nodes that hold others."""
    for node in wiring.order:
        inner: Wiring | None = getattr(node, "inner", None)
        if inner is None:
            yield node
        else:
            yield from stages_of(inner)


def least(wiring: Wiring) -> Resources:
    """Return what the stage needs that needs least."""
    return min((each.resources for each in stages_of(wiring)), key=lambda each: each.as_tuple())


class InOnePart:
    """A pipeline as a stage of another: one part, if there is something to run side by side."""

    _wiring: Wiring

    @property
    def inner(self) -> Wiring:
        """The stages, as they are wired."""
        return self._wiring

    @property
    def is_divided(self) -> bool:
        """Whether some stages may run side by side."""
        return not is_row(self._wiring)

    def parts(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[Given]:
        """Return what the stages are given, checked."""
        return [self._wiring.check(args, kwargs)]

    def part_told(self, part: int) -> str:
        """Return nothing: the part is all of the run."""
        return ""

    def joined(self, outcomes: list[Outcome]) -> Outcome:
        """Return what came of the only part."""
        return outcomes[0]
