"""Python values of traits as JSON and back, exactly.

A stage's values are JSON, and a tuple that went in comes out as a list. In a workflow that was not
written for memori this would change results, so the values of nodes keep their types: what JSON
does not have becomes ``{"memori": KIND, ...}``. Dictionaries always do, so that nothing can be
mistaken for such a mark.

Strings are passed through a function each way, which is where paths are moved; large arrays may be
passed to one that puts them into files. Tables of pandas come back as they were, and so do values
of a class that an installed package derives from a number, a text or a tuple (pybids' PaddedInt, a
named tuple), and members of its enumerations: by the name of the class.

Not promised: values of other types (an image object, an open file); they are a `NotPlainError`.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from importlib import import_module
from operator import attrgetter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from nipype.interfaces.base import Undefined, isdefined

from memori.digest.folder import Folder
from memori.fingerprint.walk import origin_of_class
from memori.neuro.nipype.traits.tables import is_table, parts_of, table_of

if TYPE_CHECKING:
    from memori.digest.values import JSON

_MARK = "memori"
_PLAIN = frozenset({int, float, bool, type(None)})
_DERIVED = (int, float, complex, str, bytes, tuple)  # what a class of a package may be made of
LARGEST = 1 << 20
"""Bytes of an array that a record may hold."""

Keep = Callable[[np.ndarray], "JSON"]


class NotPlainError(TypeError):
    """A value that cannot be written down exactly."""


def to_plain(value: Any, text: Callable[[str], JSON], keep: Keep | None = None) -> JSON:
    """Return a value as JSON.

    Parameters
    ----------
    value : object
        What a trait holds.
    text : callable
        What becomes of a string.
    keep : callable, optional
        What becomes of an array of more than `LARGEST` bytes.

    Raises
    ------
    NotPlainError
        If the value, or a part of it, is of a type that is not known.
    """
    return _Writer(text, keep).plain(value)


class _Writer:
    """Writes one value down."""

    def __init__(self, text: Callable[[str], JSON], keep: Keep | None) -> None:
        self._text = text
        self._keep = keep

    def plain(self, value: Any) -> JSON:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, str):
            derived = None if kind is str else _derived(value)
            if derived is not None:
                return self._instance(value, *derived)
            return self._text(value if isinstance(value, Folder) else str.__str__(value))
        if isinstance(value, list) and not hasattr(value, "_fields"):
            return self._parts(value)
        if not isdefined(value):
            return {_MARK: "undefined"}
        if kind is tuple:
            return {_MARK: "tuple", "items": self._parts(value)}
        if isinstance(value, dict) and kind.__module__ in ("builtins", *_TRAITS):
            return {_MARK: "dict", "items": self._items(value)}
        if kind is OrderedDict:
            return {_MARK: "ordered", "items": self._items(value)}
        if isinstance(value, (set, frozenset)):
            name = "frozenset" if isinstance(value, frozenset) else "set"
            return {_MARK: name, "items": sorted(self._parts(value), key=repr)}
        return self._other(value)

    def _parts(self, values: Iterable[Any]) -> list[JSON]:
        return [self.plain(part) for part in values]

    def _items(self, value: dict[Any, Any]) -> list[JSON]:
        return [[self.plain(key), self.plain(part)] for key, part in value.items()]

    def _other(self, value: Any) -> JSON:
        if isinstance(value, PurePath):
            return {_MARK: "path", "text": self._text(str(value))}
        if type(value) is bytes:
            return {_MARK: "bytes", "text": base64.b64encode(value).decode("ascii")}
        if type(value) is complex:
            return {_MARK: "complex", "items": [value.real, value.imag]}
        if isinstance(value, (np.ndarray, np.generic)):
            return self._array(value)
        if is_table(value):
            try:
                return {_MARK: "table", "parts": self.plain(parts_of(value))}
            except ValueError as error:
                raise NotPlainError(str(error)) from error
        if isinstance(value, Enum) and _is_installed(type(value)):
            return {_MARK: "member", "class": _name_of(type(value)), "name": value.name}
        derived = _derived(value)
        if derived is not None:
            return self._instance(value, *derived)
        raise NotPlainError(f"a value of type {type(value).__module__}.{type(value).__qualname__}")

    def _array(self, value: Any) -> JSON:
        is_array = type(value) is np.ndarray
        if value.dtype.hasobject or not (is_array or isinstance(value, np.generic)):
            raise NotPlainError(f"an array of type {value.dtype} ({type(value).__qualname__})")
        if is_array and value.nbytes > LARGEST:
            if self._keep is None:
                raise NotPlainError(f"an array of {value.nbytes} bytes")
            return self._keep(value)
        return {
            _MARK: "array" if is_array else "scalar",
            "type": np.lib.format.dtype_to_descr(value.dtype),
            "shape": list(value.shape),
            "text": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii"),
        }

    def _instance(self, value: Any, base: type, state: dict[str, Any]) -> JSON:
        plain, about = self.plain(base(value)), self.plain(state)
        return {_MARK: "instance", "class": _name_of(type(value)), "value": plain, "state": about}


_TRAITS = ("traits.trait_dict_object", "traits.trait_list_object")


# Classes of installed packages


def _is_installed(kind: type) -> bool:
    return origin_of_class(kind).kind in ("distribution", "stdlib")


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class_named(name: str) -> type:
    """Return a class of an installed package.

    Raises
    ------
    NotPlainError
        If there is none of that name.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = attrgetter(path)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise NotPlainError(f"a value of type {name}, which is not there any more") from error
    if not isinstance(found, type) or not _is_installed(found):
        raise NotPlainError(f"a value of type {name}, which no installed package has")
    return found


def _derived(value: Any) -> tuple[type, dict[str, Any]] | None:
    """Return what a value of a package's class is made of; None if it would not come back so."""
    kind = type(value)
    base = next((each for each in _DERIVED if issubclass(kind, each)), None)
    if base is None or isinstance(value, (Folder, Enum)) or not _is_installed(kind):
        return None
    state = dict(getattr(value, "__dict__", {}))
    try:
        if attrgetter(kind.__qualname__)(import_module(kind.__module__)) is not kind:
            return None
        made = _made(kind, base(value), state)
        is_same = type(made) is kind and made == value and repr(made) == repr(value)
    except Exception:
        return None
    return (base, state) if is_same and getattr(made, "__dict__", {}) == state else None


def _made(kind: type, value: Any, state: dict[str, Any]) -> Any:
    """Make a value of a class without calling its constructor."""
    base: Any = next(each for each in _DERIVED if issubclass(kind, each))
    made = base.__new__(kind, value)
    if state:
        made.__dict__.update(state)
    return made


def from_plain(value: JSON, text: Callable[[str], Any], marked: Callable[[JSON], Any]) -> Any:
    """Return the value that `to_plain` wrote.

    Parameters
    ----------
    value : JSON
        What it returned.
    text : callable
        What a string becomes.
    marked : callable
        What a mark of the caller's own (that `text` made of a string) becomes.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [from_plain(part, text, marked) for part in value]
    if not isinstance(value, dict):
        return value
    kind = value[_MARK]
    if kind in _FROM_ITEMS:
        return _FROM_ITEMS[kind]([from_plain(part, text, marked) for part in value["items"]])
    if kind == "undefined":
        return Undefined
    if kind == "table":
        return table_of(from_plain(value["parts"], text, marked))
    if kind == "member":
        return _class_named(value["class"])[value["name"]]  # type: ignore[index]
    if kind == "instance":
        parts = (from_plain(value[part], text, marked) for part in ("value", "state"))
        return _made(_class_named(value["class"]), *parts)
    if kind == "path":
        return Path(from_plain(value["text"], text, marked))
    if kind == "bytes":
        return base64.b64decode(value["text"])
    if kind in ("array", "scalar"):
        descr: Any = value["type"]
        dtype = np.lib.format.descr_to_dtype(_tuples(descr))
        flat = np.frombuffer(base64.b64decode(value["text"]), dtype)
        array = flat.reshape(value["shape"]).copy()
        return array if kind == "array" else array[()]
    return marked(value)


def _tuples(descr: Any) -> Any:
    """Turn the lists of a structured type's description back into its tuples."""
    if isinstance(descr, str):
        return descr
    return [tuple(_tuples(p) if isinstance(p, list) else p for p in field) for field in descr]


_FROM_ITEMS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "dict": lambda items: dict(map(tuple, items)),
    "ordered": lambda items: OrderedDict(map(tuple, items)),
    "set": set,
    "frozenset": frozenset,
    "complex": lambda items: complex(*items),
}
