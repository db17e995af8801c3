"""Which handler encodes which kind of value.

The exact type decides, then a class among its bases that is known by name (`special`), besides what
a class of the user's adds to that, then whether the type says itself what counts, then who wrote
its class. Above all handlers, so that none of them imports another to reach a value inside a value:
they ask the walk.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from contextvars import ContextVar
from functools import partial, partialmethod
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GenericAlias,
    MappingProxyType,
    MethodType,
    ModuleType,
)

from memori.fingerprint import values
from memori.fingerprint.classes import put_class
from memori.fingerprint.functions import put_builtin, put_function, put_method, put_partial
from memori.fingerprint.modules import put_module
from memori.fingerprint.walk import Walk, origin_of_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.graph import State
    from memori.fingerprint.walk import Handler

HANDLERS: dict[type, Handler] = {
    FunctionType: put_function,
    MethodType: put_method,
    BuiltinFunctionType: put_builtin,
    partial: put_partial,
    partialmethod: put_partial,
    type: put_class,
    ModuleType: put_module,
    CodeType: values.put_code,
    list: values.put_sequence,
    deque: values.put_sequence,
    tuple: values.put_tuple,
    dict: values.put_mapping,
    OrderedDict: values.put_mapping,
    defaultdict: values.put_mapping,
    Counter: values.put_mapping,
    MappingProxyType: values.put_mapping,
    set: values.put_set,
    frozenset: values.put_frozenset,
    bytearray: values.put_bytearray,
    range: values.put_range,
    slice: values.put_range,
    ContextVar: values.put_context_variable,
    GenericAlias: values.put_alias,
    object: values.put_nothing,
}


def new_walk(modes: frozenset[str] = frozenset()) -> Walk:
    """Return a walk that encodes every kind of value."""
    return Walk(encode, modes)


def encode(walk: Walk, value: object, out: State) -> None:
    """Append the encoding of a value that is no atom."""
    handler = HANDLERS.get(type(value))
    if handler is not None:
        handler(walk, value, out)
        return
    try:
        _handler_by_nature(value)(walk, value, out)
    except Exception as error:
        walk.ignore(value, out, error)


_SAY_ALL = frozenset({"enum.Enum", "numpy.ndarray"})  # whose handlers know of derived classes


def _handler_by_nature(value: object) -> Handler:
    """Return the handler of a value whose exact type has none.

    The type is asked, never the value: a proxy says that it is of the class of what it stands for.
    """
    kind = type(value)
    if issubclass(kind, type):
        return put_class
    if issubclass(kind, ModuleType):
        return put_module
    from memori.fingerprint import compilers
    from memori.fingerprint.special import SPECIAL

    for base in kind.__mro__:
        named = f"{base.__module__}.{base.__qualname__}"
        special = SPECIAL.get(named) or compilers.SPECIAL.get(named)
        if special is None:
            continue
        if base is kind or origin_of_class(kind).kind != "user":
            return special
        if hasattr(kind, "__fingerprint__"):
            break
        return special if named in _SAY_ALL else values.derived(special)
    from memori.fingerprint.opaque import put_declared, put_foreign

    if hasattr(kind, "__fingerprint__"):
        return put_declared
    if origin_of_class(kind).kind != "user":
        return put_foreign
    return compilers.put_proxy if compilers.is_proxy(kind) else values.put_instance
