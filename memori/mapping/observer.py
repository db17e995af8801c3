"""Observers: who looks on while cases run.

`Pipeline.map` takes any object with the four methods of `Observer`; its own display of progress is
one. They are called in the process and thread of the map, one after the other.

Not promised: at once. What happens in a worker is told within a tenth of a second where it runs on
this machine, and elsewhere when its piece of work is over.
"""

from __future__ import annotations

from memori.errors import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from memori.mapping.failure import Failure
    from memori.results import Results
else:
    Protocol = object


class Event:
    """What is told of one stage of a case, or of the case as a whole.

    Attributes
    ----------
    case : dict
        The inputs.
    number : int
        The place of the case among all.
    stage : str or None
        The stage; None for the case as a whole.
    hit : bool or None
        Whether the stage is remembered, once that is decided; of a case, whether nothing ran.
    reason : str
        Why the stage runs.
    seconds : float or None
        How long it ran.
    error : str
        What was raised, as text.
    result : Results, Failure or None
        What came of a case.
    """

    __slots__ = ("case", "error", "hit", "number", "reason", "result", "seconds", "stage")

    def __init__(
        self,
        case: Mapping[str, object],
        number: int,
        stage: str | None = None,
        *,
        hit: bool | None = None,
        reason: str = "",
        seconds: float | None = None,
        error: str = "",
        result: Results | Failure | None = None,
    ) -> None:
        self.case = case
        self.number = number
        self.stage = stage
        self.hit = hit
        self.reason = reason
        self.seconds = seconds
        self.error = error
        self.result = result

    def __repr__(self) -> str:
        told = {name: getattr(self, name) for name in ("stage", "hit", "seconds", "error")}
        shown = ", ".join(f"{k}={v!r}" for k, v in told.items() if v not in (None, ""))
        return f"<Event {shown} of {dict(self.case)!r}>"


class Observer(Protocol):
    """Looks on while cases run."""

    def decided(self, event: Event) -> None:
        """Hear that a stage hits, and nothing more of it, or that it is to run, and why."""

    def started(self, event: Event) -> None:
        """Hear that a stage begins to run."""

    def finished(self, event: Event) -> None:
        """Hear that a stage has run, or that a case is over (its `stage` is None)."""

    def failed(self, event: Event) -> None:
        """Hear that a stage raised, or that a case failed (its `stage` is None)."""


def reject_deaf(observer: object) -> None:
    """Raise a TypeError if an observer lacks a method that it will be told by."""
    for what in ("decided", "started", "finished", "failed"):
        if not callable(getattr(observer, what, None)):
            raise TypeError(
                f"observer={observer!r} has no method {what}(event); it needs decided, started, "
                "finished and failed"
            )


def tell_all(observers: Sequence[Observer], what: str, event: Event) -> None:
    """Tell observers of an event; `what` is one of the four."""
    for observer in observers:
        getattr(observer, what)(event)


def event_of(told: Mapping[str, Any], cases: Sequence[Mapping[str, object]]) -> Event:
    """Return as an event what a stage told (`memori.calls.telling`)."""
    error = told.get("error", "")
    return Event(
        cases[told["case"]],
        told["case"],
        told["stage"],
        hit=told.get("hit", False),
        reason=told.get("reason", ""),
        seconds=told.get("seconds"),
        error=error if isinstance(error, str) else f"{type(error).__name__}: {text_of(error)}",
    )
