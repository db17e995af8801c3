"""What a command is asked about: a folder, a stage, a case; what is misspelt is an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memori.errors import MemoriError
from memori.store import Memory, file_name, memories_below


def memories_in(folder: str, *, inside_runs: bool = True) -> list[Memory]:
    """Return the memories at or below a folder, as `memories_below` finds them.

    Raises
    ------
    MemoriError
        If there is no such folder.
    """
    if not os.path.isdir(folder):
        raise MemoriError(f"{folder}: there is no such folder")
    return list(memories_below(os.path.abspath(folder), inside_runs=inside_runs))


def stage_in(asked: str | None, memories: Sequence[Memory], folder: str) -> str | None:
    """Return the stage that is asked for by the name of its records; None for all.

    Raises
    ------
    MemoriError
        If no memory has it.
    """
    if asked is None:
        return None
    names = sorted({stage for memory in memories for stage in memory.stages()})
    return wanted_stages(asked, names, f"below {folder}")[0]


def is_of_case(wanted: str | None, inputs: Mapping[str, Any], folder: str = "") -> bool:
    """Tell whether a call belongs to a case.

    Parameters
    ----------
    wanted : str or None
        ``NAME=VALUE``, the value of any input, or a part of a path (``sub-01``); None for all.
    inputs : mapping
        Of the call.
    folder : str, optional
        Where it is remembered.

    Examples
    --------
    >>> is_of_case("fwhm=6", {"fwhm": 6}), is_of_case("sub-1", {"image": "ds/sub-10_bold.nii"})
    (True, False)
    """
    if wanted is None:
        return True
    name, separator, value = wanted.partition("=")
    if separator and name in inputs:
        return str(inputs[name]) == value or _holds(inputs[name], value)
    return _holds([inputs, folder], wanted)


def _holds(value: Any, wanted: str) -> bool:
    for each in _leaves(value):
        text = str(each)
        if text == wanted or re.search(rf"(?<![^/_-]){re.escape(wanted)}(?![^/_.])", text):
            return True
    return False


def reject_no_case(wanted: str | None, calls: Sequence[object]) -> None:
    """Raise a MemoriError if no call is of the case that is asked for."""
    if wanted is not None and not calls:
        raise MemoriError(
            f"--case {wanted}: no call has such an input; give NAME=VALUE, a value, or a part of a "
            "path such as sub-01"
        )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def wanted_stages(
    asked: str | None, names: list[str], where: str, otherwise: str = ""
) -> list[str]:
    """Return the stage that is asked for, by the name of its records, or all.

    An error ends with `otherwise`: what else may have been meant.

    Raises
    ------
    MemoriError
        If there is no such stage.
    """
    if asked is None:
        return names
    if file_name(asked) not in names:
        from difflib import get_close_matches

        near = get_close_matches(asked, names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise MemoriError(
            f"{asked} is no stage {where}{hint}; its stages are {', '.join(names) or 'none'}"
            f"{otherwise}"
        )
    return [file_name(asked)]
