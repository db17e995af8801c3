"""What was seen, kept so that the next look can tell in microseconds whether it still holds.

A guard compares identities, never values: the object that a name led to, the code, defaults and
cells of a function, the items of a container, one by one. It holds what it compares, so that no
address is used again meanwhile. What cannot be guarded by identity (the memory of an array, a file)
is digested again each time. A guard that fails says only that something may have changed: the
walk is done again and decides.
"""

from __future__ import annotations

from itertools import chain, repeat
from operator import attrgetter, is_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import CellType, FunctionType
    from typing import Any

MISSING = object()

_FUNCTION = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__closure__", "__name__")
_CONTENT = attrgetter("cell_contents")
_ATTRIBUTES = attrgetter("__dict__")
_get = dict.get


class Guards:
    """The identities that one walk met."""

    __slots__ = (
        "_bare",
        "_cells",
        "_contents",
        "_found",
        "_functions",
        "_names",
        "_redo",
        "_seen",
        "_spaces",
        "_views",
        "volatile",
    )

    def __init__(self) -> None:
        self._spaces: list[dict[str, object]] = []
        self._names: list[str] = []
        self._found: list[object] = []
        self._functions: list[FunctionType] = []
        self._bare: list[FunctionType] = []
        self._seen: list[object] = []
        self._cells: list[CellType] = []
        self._contents: list[object] = []
        self._views: list[tuple[Callable[..., Iterable[object]], object, tuple[object, ...]]] = []
        self._redo: list[tuple[Callable[..., object], object, object]] = []
        self.volatile = False  # something was met whose changes show only in a walk

    def name(self, space: dict[str, object], name: str, found: object) -> None:
        """Expect `name` in a namespace to lead to `found`, or to nothing (MISSING)."""
        self._spaces.append(space)
        self._names.append(name)
        self._found.append(found)

    def function(self, function: FunctionType) -> None:
        """Expect code, defaults, cells and attributes of a function to stay the same objects."""
        self._functions.append(function)
        self._seen.extend(_FUNCTION(function))
        if function.__dict__:
            self.view(mapping_view, function.__dict__)
        else:
            self._bare.append(function)
        if function.__kwdefaults__:
            self.view(mapping_view, function.__kwdefaults__)

    def cell(self, cell: CellType, content: object) -> None:
        """Expect a cell that is not empty to hold the same object."""
        self._cells.append(cell)
        self._contents.append(content)

    def view(self, look: Callable[..., Iterable[object]], thing: object) -> tuple[object, ...]:
        """Expect `look(thing)` to yield the same objects in the same order; return them."""
        seen = whole(look, thing)
        self._views.append((look, thing, seen))
        return seen

    def redo(self, compute: Callable[..., object], thing: object, result: object) -> None:
        """Expect `compute(thing)` to return what equals `result` (bytes, a string, a number)."""
        self._redo.append((compute, thing, result))

    def hold(self) -> bool:
        """Return whether everything is as it was seen."""
        if self.volatile:
            return False
        try:
            found = map(_get, self._spaces, self._names, repeat(MISSING))
            if not all(map(is_, found, self._found)):
                return False
            seen = chain.from_iterable(map(_FUNCTION, self._functions))
            if not all(map(is_, seen, self._seen)) or any(map(_ATTRIBUTES, self._bare)):
                return False
            if self._cells and not all(map(is_, map(_CONTENT, self._cells), self._contents)):
                return False
            for look, thing, then in self._views:
                now = tuple(look(thing))
                if len(now) != len(then) or not all(map(is_, now, then)):
                    return False
            return all(compute(thing) == result for compute, thing, result in self._redo)
        except Exception:  # whatever cannot be looked at any more has changed
            return False


def whole(look: Callable[..., Iterable[object]], thing: object) -> tuple[object, ...]:
    """Return all that `look(thing)` yields, of one moment; other threads may be changing it."""
    for _ in range(100):
        try:
            return tuple(look(thing))
        except RuntimeError:  # it changed size meanwhile
            continue
    return tuple(look(thing))


def mapping_view(mapping: Mapping[Any, object]) -> Iterable[object]:
    """Return the keys and values of a dictionary."""
    return chain(mapping, mapping.values())


def items_seen(seen: tuple[object, ...]) -> Iterator[tuple[Any, Any]]:
    """Return the items of a dictionary from its keys and values, as `mapping_view` gives them."""
    half = len(seen) // 2
    return zip(seen[:half], seen[half:], strict=True)


def attributes_view(thing: object) -> Iterable[object]:
    """Return the class of an instance and the names and values of its `__dict__`."""
    space = thing.__dict__
    return chain((type(thing),), space, space.values())


_namespace = type.__dict__["__dict__"].__get__


def class_view(owner: type) -> Iterable[object]:
    """Return the bases of a class and the names and values of its namespace."""
    space = _namespace(owner)
    return chain((type(owner),), owner.__bases__, space, space.values())
