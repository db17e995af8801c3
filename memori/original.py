"""What scripts for the first memori import, so that they run unchanged.

`Stage` and `Pipeline` are used as there (with `set_stage_arg`, ``aliases={new: output}``); here is
the rest of what its README shows. docs/first_memori.md tells what differs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    Anything = TypeVar("Anything")


def hashable(function: Anything) -> Anything:
    """Return a function or class as it is: whatever a stage reaches counts, marked or not."""
    return function


def redefine_result_key(
    dictionary: Mapping[str, Any], from_key: str, to_key: str
) -> dict[str, Any]:
    """Return results with another name for one of them; `aliases` do that for a stage.

    Examples
    --------
    >>> redefine_result_key({"hello": 1, "test": 2}, "hello", "testing")
    {'test': 2, 'testing': 1}
    """
    renamed = {name: value for name, value in dictionary.items() if name != from_key}
    return {**renamed, to_key: dictionary[from_key]}
