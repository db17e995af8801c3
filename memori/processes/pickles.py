"""Objects as bytes, for another process.

cloudpickle sends the functions and classes of a script or a notebook by value. What
`functools.lru_cache` makes of such a function it sends by name, and no other process has it by that
name: here it goes by value, too, and has cached nothing there. So does a `cached_property`, which
has a lock on Python 3.11.

Not promised: what is bound to this process, such as locks and open files.
"""

from __future__ import annotations

import sys
from functools import cache, cached_property, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pickled(value: object) -> bytes:
    """Return an object as bytes.

    Raises
    ------
    Exception
        Whatever the object raises if it cannot be pickled.
    """
    from io import BytesIO

    file = BytesIO()
    _pickler()(file).dump(value)
    return file.getvalue()


@cache
def _pickler() -> Any:
    from weakref import WeakKeyDictionary

    import cloudpickle  # type: ignore[import-untyped]

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, each: Any) -> Any:
            if type(each) is type(_pickler) and not _is_found_by_name(each):
                return _cached_anew, (each.__wrapped__, each.cache_parameters())
            if type(each) is cached_property:
                return _property_anew, (each.func, each.attrname)
            if type(each) is WeakKeyDictionary:  # `singledispatch` has one
                return WeakKeyDictionary, (dict(each),)
            return super().reducer_override(each)

    return Pickler


def _is_found_by_name(function: Any) -> bool:
    """Tell whether another process that imports the same modules has a function."""
    found: object = sys.modules.get(function.__module__)
    for name in getattr(function, "__qualname__", "").split("."):  # around a partial it has none
        found = getattr(found, name, None)
    return found is function and function.__module__ != "__main__"


def _cached_anew(function: Any, parameters: dict[str, Any]) -> Any:
    return lru_cache(**parameters)(function)


def _property_anew(function: Any, name: str | None) -> Any:
    made = cached_property(function)
    made.attrname = name
    return made
