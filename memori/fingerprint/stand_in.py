"""What stands in the place of a builtin function of Python, to see its calls: it counts as it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class StandIn:
    """Something callable in the place of a builtin function.

    Like the builtin it is bound to no instance where a class holds it, and it is pickled by its
    name, so that another process gets what stands there.

    Parameters
    ----------
    original : callable
        The builtin.
    module : str
        The module in which it stands, under the builtin's name.
    """

    def __init__(self, original: Callable[..., Any], module: str) -> None:
        self.original = original
        self.__module__ = module
        self.__name__ = self.__qualname__ = original.__name__
        self.__doc__ = original.__doc__
        self.__text_signature__ = getattr(original, "__text_signature__", None)

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> str:
        return self.__name__
