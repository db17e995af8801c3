"""The errors that memori raises of its own.

Each says what was given, what was expected and what to do, names the stage and the parameter,
and carries these facts as fields. An exception of the user's own function is never wrapped: it
passes through with a note. Wrong arguments are a plain `TypeError` or `ValueError`, as Python
users expect.
"""

from __future__ import annotations

import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class MemoriError(Exception):
    """What every error of memori's own is; it travels between processes with its facts."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[MemoriError], args: tuple[Any, ...], facts: dict[str, Any]) -> MemoriError:
    """Make an error again in the process that hears of it."""
    error = kind.__new__(kind, *args)
    error.args = args  # which an OSError leaves to its constructor
    error.__dict__.update(facts)
    return error


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


class BusyError(MemoriError):
    """Another run is making the very same right now, and one was not to wait for it."""


class RemovedError(MemoriError):
    """A stage is to run, and files that it needs were removed by policy (`Pipeline(keep=...)`).

    Attributes
    ----------
    paths : sequence of str
        The files and folders, absolute.
    """

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message, paths)
        self.paths = paths

    def __str__(self) -> str:
        return str(self.args[0])


class CasesError(MemoriError):
    """Cases of a map failed.

    Attributes
    ----------
    failures : sequence of Failure
        The failed cases, in the order given.
    """

    def __init__(self, message: str, failures: Sequence[Any]) -> None:
        super().__init__(message, failures)
        self.failures = failures

    def __str__(self) -> str:
        return str(self.args[0])


class ResourceError(MemoriError):
    """A stage that is to run needs more than any worker has.

    Attributes
    ----------
    stage : str
        Which.
    lacks : sequence of str
        What it needs more of, and how much there is.
    """

    def __init__(self, message: str, stage: str, lacks: Sequence[str]) -> None:
        super().__init__(message, stage, lacks)
        self.stage = stage
        self.lacks = lacks

    def __str__(self) -> str:
        return str(self.args[0])


class TimeLimitError(MemoriError, TimeoutError):
    """A stage ran longer than its timeout.

    Attributes
    ----------
    stage : str or None
        Which.
    seconds : float or None
        The time that it had.
    """

    def __init__(
        self,
        message: str = "the stage around this ran longer than its timeout",
        stage: str | None = None,
        seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.args[0])


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
    peak : int or None
        The most bytes that the process was seen to hold, with what it had started.
    """

    def __init__(
        self,
        message: str,
        stage: str | None = None,
        exit_code: int | None = None,
        tries: int = 0,
        peak: int | None = None,
    ) -> None:
        super().__init__(message, stage, exit_code, tries, peak)
        self.stage = stage
        self.exit_code = exit_code
        self.tries = tries
        self.peak = peak

    def __str__(self) -> str:
        return str(self.args[0])


class MemoriWarning(UserWarning):
    """Something was found that memori does not trust, or could not keep."""


def note(error: BaseException, text: str) -> None:
    """Note something on an error, also on one that takes no attributes (a frozen dataclass)."""
    try:
        error.add_note(text)
    except Exception:  # of the user's own class, which must not stand in the error's place
        error.__dict__.setdefault("__notes__", []).append(text)


def text_of(error: BaseException) -> str:
    """Return what an error says; one that cannot say it is told as Python tells it."""
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"


def escape_unprintable(stream: object) -> None:
    """Have a stream escape what its encoding lacks, as stderr does, rather than fail.

    One that gives the bytes of foreign file names back (`surrogateescape`) keeps doing so where it
    has all other letters, in UTF-8.
    """
    encoding, errors = getattr(stream, "encoding", None), getattr(stream, "errors", None)
    is_whole = str(encoding).lower().replace("-", "") == "utf8" and errors == "surrogateescape"
    reconfigure = getattr(stream, "reconfigure", None)
    if errors in ("strict", "surrogateescape") and not is_whole and reconfigure is not None:
        reconfigure(errors="backslashreplace")


_BETWEEN = frozenset({"concurrent", "contextlib", "functools", "joblib", "loky", "multiprocessing",
                      "nipype", "niwrap", "styxdefs", "threading"})  # fmt: skip
"""Packages that call memori for a user, or that memori calls back through."""


def warn(message: str) -> None:
    """Issue a `MemoriWarning` that is blamed on the user's line which called memori."""
    level = fallback = 1
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        level += 1
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package != "memori":
            fallback = fallback if fallback > 1 else level
            if package.partition("_")[0] not in _BETWEEN:
                break
    else:
        level = fallback  # in a thread that no user's line started
    warnings.warn(message, MemoriWarning, stacklevel=level + 1)
