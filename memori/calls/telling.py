"""Telling: what a stage decides, begins, finishes and fails with, for who looks on.

Whoever looks on sets a listener for what goes on below it. Only stages that nobody's function
called are told of: what a stage runs inside is its own affair.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from memori.calls.current_run import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Listener = Callable[[dict[str, Any]], None]

listener: ContextVar[Listener | None] = ContextVar("memori_listener", default=None)
_case: ContextVar[int | None] = ContextVar("memori_case", default=None)


class telling_of:  # noqa: N801  a context manager, read as a word
    """Tell of a case inside a with block."""

    __slots__ = ("_number", "_token")

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        self._token = _case.set(self._number)

    def __exit__(self, *error: object) -> None:
        _case.reset(self._token)


def tell(what: str, stage: str, **facts: Any) -> None:
    """Tell the listener, if there is one, what a stage of the present case does."""
    listens = listener.get()
    if listens is not None and current() is None:
        listens({"what": what, "case": _case.get(), "stage": stage, **facts})


class told:  # noqa: N801  a context manager, read as a word
    """Tell that a stage begins, and that it is finished if nothing is raised inside."""

    __slots__ = ("_began", "_stage")

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        self._began = time.time()
        tell("started", self._stage)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            tell("finished", self._stage, seconds=time.time() - self._began)
