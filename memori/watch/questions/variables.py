"""Variables of the environment that the user's code asks for by name while it runs.

The way to one variable of `os.environ` is wrapped. It counts whoever looks it up, where the user
handed the environment on (``text.format_map(os.environ)``, `string.Template`). All variables at
once (`dict(os.environ)`, for a program that is started) are none that was asked for: these are
looked up by the very names that going through the environment gave out.

Not promised: what is looked up in a copy.
"""

from __future__ import annotations

import os
import sys
from functools import wraps

from memori.watch.environment import counted_value
from memori.watch.questions.users import LIBRARY, is_handed, is_users
from memori.watch.threads import runs_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import Any

    from memori.watch.observed import Observed

_MAPPINGS = ("<frozen os>", f"{LIBRARY}os.py", "<frozen _collections_abc>",
             f"{LIBRARY}_collections_abc.py", "<frozen genericpath>", "<frozen posixpath>",
             f"{LIBRARY}genericpath.py", f"{LIBRARY}posixpath.py", f"{LIBRARY}pathlib")  # fmt: skip
_BY_NAME = frozenset({
    "get", "getenv", "__contains__", "pop", "setdefault", "expandvars", "repl",
    "expanduser", "home",
})  # fmt: skip
_READERS = ("environ", "environb", "getenv", "getenvb", "expandvars", "expanduser", "home")
_SUBSCRIPTS = ("BINARY_SUBSCR", "BINARY_OP")
_given_out: dict[str, str] = {}  # by name: the text that going through the environment gave last


def follow_variables(live: Sequence[Observed]) -> None:
    """Wrap the way to one variable, and to all names.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on, at any time.
    """
    kind: Any = type(os.environ)
    kind.__getitem__ = _getting(kind.__getitem__, live)
    kind.__iter__ = _going_through(kind.__iter__, live)


def _going_through(
    names: Callable[..., Iterator[Any]], live: Sequence[Observed]
) -> Callable[..., Iterator[Any]]:
    @wraps(names)
    def going_through(self: Any) -> Iterator[Any]:
        if not live or self is not os.environ:
            return names(self)
        return _noted(names(self))

    return going_through


def _noted(names: Iterator[str]) -> Iterator[str]:
    for name in names:
        _given_out[name] = name
        yield name


def _getting(get: Callable[..., Any], live: Sequence[Observed]) -> Callable[..., Any]:
    @wraps(get)
    def getting(self: Any, name: Any) -> Any:
        if live and isinstance(name, str) and self is os.environ:
            runs = runs_here(live)
            if runs and _asks_for_one(sys._getframe(1), name):
                for run in runs:
                    if name not in run.variables:
                        run.variables[name] = counted_value(name)
                        _tell_variable(run, name)
        return get(self, name)

    return getting


def _tell_variable(run: Observed, name: str) -> None:
    """Tell the process that started this one, in which the value is to count."""
    if run.tell is not None and _counts_below(name):
        run.tells("variables", name)


def _counts_below(name: str) -> bool:
    from memori.watch.commands.variables import counts_below

    return counts_below(name)


def _asks_for_one(frame: FrameType | None, name: str) -> bool:
    """Tell whether the user's code asks for one variable by its name."""
    is_direct = True
    while frame is not None and frame.f_code.co_filename.startswith(_MAPPINGS):
        if frame.f_code.co_name not in _BY_NAME:
            return False
        is_direct, frame = False, frame.f_back
    if frame is None:
        return False
    is_one_of_all = is_direct and _given_out.get(name) is name
    if not is_users(frame.f_code.co_filename):
        return not is_one_of_all and is_handed(frame, _READERS) and _counts_below(name)
    if not is_one_of_all:
        return True
    from opcode import opname

    return opname[frame.f_code.co_code[frame.f_lasti]].startswith(_SUBSCRIPTS)
