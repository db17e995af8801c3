"""The errors that memori raises of its own.

Each says what was given, what was expected and what to do, names the stage and the parameter,
and carries these facts as fields. An exception of the user's own function is never wrapped: it
passes through with a note. Wrong arguments are a plain `TypeError` or `ValueError`, as Python
users expect.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class MemoriError(Exception):
    """What every error of memori's own is."""


class RecordError(MemoriError):
    """A stage ran, but what it returned could not be recorded.

    Attributes
    ----------
    results : Mapping[str, object]
        What the run returned, so that hours of work are not lost with the disk that was full.
    """

    def __init__(self, message: str, results: Mapping[str, object]) -> None:
        super().__init__(message, results)
        self.results = results

    def __str__(self) -> str:
        return str(self.args[0])


class StageError(MemoriError):
    """A stage was used in a way that cannot work."""


class WorkerError(MemoriError):
    """A worker process died while it ran a stage, or would not take it.

    Attributes
    ----------
    stage : str or None
        The stage that it was at, where that is known.
    exit_code : int or None
        What the process exited with; minus the number of the signal that ended it.
    tries : int
        How often the stage was begun.
    """

    def __init__(
        self, message: str, stage: str | None = None, exit_code: int | None = None, tries: int = 0
    ) -> None:
        super().__init__(message, stage, exit_code, tries)
        self.stage = stage
        self.exit_code = exit_code
        self.tries = tries

    def __str__(self) -> str:
        return str(self.args[0])


class MemoriWarning(UserWarning):
    """Something was found that memori does not trust, or could not keep."""
