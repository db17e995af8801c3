"""How long what is remembered stands: ages as people write them."""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta

    Age = float | str | timedelta

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_AGE = rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})s?\s*"


def seconds_of(age: Age | None, subject: str, option: str = "expires_after") -> float | None:
    """Return an age in seconds.

    Parameters
    ----------
    age : float, str, datetime.timedelta or None
        Seconds, a text such as ``"7 days"``, or None for ever.
    subject : str
        What errors call the stage.
    option : str, optional
        And the option.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or negative.

    Examples
    --------
    >>> seconds_of("1.5 hours", "stage 'fetch'")
    5400.0
    """
    if age is None:
        return None
    if isinstance(age, str):
        match = re.fullmatch(_AGE, age)
        if match is None:
            raise ValueError(
                f"{subject}: {option} is {age!r}; write a number and one of "
                f"{', '.join(f'{unit}s' for unit in _UNITS)}, such as '7 days'"
            )
        return float(match[1]) * _UNITS[match[2]]
    seconds = age.total_seconds() if hasattr(age, "total_seconds") else age
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"{subject}: {option} takes seconds, a text such as '7 days' or a timedelta, "
            f"got {age!r}"
        )
    if not seconds >= 0:
        raise ValueError(f"{subject}: {option} is {age!r}, and no time is negative")
    if option == "timeout" and not seconds:
        raise ValueError(f"{subject}: timeout is {age!r}, which is no time; None is for no limit")
    return float(seconds)


def seconds_since_1970(moment: str) -> float:
    """Return when a run began, from the text in its entry.

    Examples
    --------
    >>> seconds_since_1970("2001-09-09T01:46:40Z")
    1000000000.0
    """
    from calendar import timegm

    return float(timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")))
