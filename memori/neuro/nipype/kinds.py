"""Classes of Nipype's with something of memori's before them.

A node or workflow of the user's becomes one with a memory, and an interface one whose command
memori runs, by a change of class: to a subclass of the same name that looks first into memori's
class and then into the user's. There is one such subclass per pair, however often it is asked for.

An object of such a class is pickled by the pair, because its class stands in no module.
"""

from __future__ import annotations

from typing import Any

_made: dict[tuple[type, type], type] = {}


def before(own: type, kind: type) -> type:
    """Return the subclass that looks first into `own`, a class of memori's, then into `kind`.

    Raises
    ------
    TypeError
        If the bases of `kind` leave no place for `own`.
    """
    if (own, kind) not in _made:
        told = {"__module__": kind.__module__, "__doc__": kind.__doc__}
        pair = {"_memori_own": own, "_memori_kind": kind}
        _made[own, kind] = type(kind.__name__, (own, kind), {**told, **pair})
    return _made[own, kind]


def original_kind(kind: type) -> type:
    """Return the user's class that a class made by `before` stands for; else the class itself."""
    own: type = vars(kind).get("_memori_kind", kind)
    return own


def reduced(element: Any, state: Any) -> tuple[Any, ...]:
    """Return what `__reduce_ex__` of an object of such a class returns."""
    kind = type(element)
    return _empty, (kind._memori_own, kind._memori_kind), state


def _empty(own: type, kind: type) -> Any:
    """Return an object whose state is still to be filled from a pickle."""
    return object.__new__(before(own, kind))
