"""Attempts: a run that fails is begun again, as often as its stage says (`retries`).

Each attempt has the stage's whole time, and an own folder that is empty. What was raised before is
logged as a warning, and the last error is the run's.

Not promised: to begin again what was interrupted, what ran and could not be recorded, or what ended
its process.
"""

from __future__ import annotations

from memori.errors import RecordError, StageError, TimeLimitError, text_of
from memori.processes.planning import reject_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Made = TypeVar("Made")


def attempted(attempt: Callable[[], Made], retries: int, stage: str) -> Made:
    """Return what an attempt returns; if it raises, try so many times more."""
    reject_run(f"stage {stage!r}")
    for left in reversed(range(retries + 1)):
        try:
            return attempt()
        except (RecordError, StageError):
            raise
        except Exception as error:
            is_of_outer = isinstance(error, TimeLimitError) and error.stage != stage
            if not left or is_of_outer:
                raise
            import logging

            told = f"{type(error).__name__}: {text_of(error)}"
            logging.getLogger("memori.stage").warning(
                "stage %r failed and is tried again, %d more times at most: %s", stage, left, told
            )
    raise AssertionError("unreachable: the last attempt returns or raises")


def count_of(retries: int, subject: str) -> int:
    """Return a number of retries.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if isinstance(retries, bool) or not isinstance(retries, int):
        raise TypeError(f"{subject}: retries is a number of further tries, got {retries!r}")
    if retries < 0:
        raise ValueError(f"{subject}: retries is {retries}, and no number of tries is negative")
    return retries
