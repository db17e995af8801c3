"""Python values of traits as JSON and back, exactly.

A stage's values are JSON, and a tuple that went in comes out as a list. In a workflow that was not
written for memori this would change results, so the values of nodes keep their types: what JSON
does not have becomes ``{"memori": KIND, ...}``. Dictionaries always do, so that nothing can be
mistaken for such a mark.

Strings are passed through a function each way, which is where paths are moved.

Not promised: values of other types (an image object, an open file); they are a `NotPlainError`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from nipype.interfaces.base import Undefined, isdefined

from memori.digest.folder import Folder

if TYPE_CHECKING:
    from memori.digest.values import JSON

_MARK = "memori"
_PLAIN = frozenset({int, float, bool, type(None)})
_LARGEST = 1 << 20  # bytes of an array that a record may hold


class NotPlainError(TypeError):
    """A value that cannot be written down exactly."""


def to_plain(value: Any, text: Callable[[str], JSON]) -> JSON:
    """Return a value as JSON.

    Parameters
    ----------
    value : object
        What a trait holds.
    text : callable
        What becomes of a string.

    Raises
    ------
    NotPlainError
        If the value, or a part of it, is of a type that is not known.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, str):
        return text(value if isinstance(value, Folder) else str.__str__(value))
    if isinstance(value, list) and not hasattr(value, "_fields"):
        return [to_plain(part, text) for part in value]
    if not isdefined(value):
        return {_MARK: "undefined"}
    if kind is tuple:
        return {_MARK: "tuple", "items": [to_plain(part, text) for part in value]}
    if isinstance(value, dict) and kind.__module__ in ("builtins", *_TRAITS):
        items = [[to_plain(key, text), to_plain(part, text)] for key, part in value.items()]
        return {_MARK: "dict", "items": items}
    if isinstance(value, (set, frozenset)):
        parts = sorted((to_plain(part, text) for part in value), key=repr)
        return {_MARK: "frozenset" if isinstance(value, frozenset) else "set", "items": parts}
    return _other_to_plain(value, text)


_TRAITS = ("traits.trait_dict_object", "traits.trait_list_object")


def _other_to_plain(value: Any, text: Callable[[str], JSON]) -> JSON:
    if isinstance(value, PurePath):
        return {_MARK: "path", "text": text(str(value))}
    if type(value) is bytes:
        return {_MARK: "bytes", "text": base64.b64encode(value).decode("ascii")}
    if type(value) is complex:
        return {_MARK: "complex", "items": [value.real, value.imag]}
    is_array = type(value) is np.ndarray or isinstance(value, np.generic)
    if is_array and not value.dtype.hasobject and value.nbytes <= _LARGEST:
        return {
            _MARK: "array" if type(value) is np.ndarray else "scalar",
            "type": np.lib.format.dtype_to_descr(value.dtype),
            "shape": list(value.shape),
            "text": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii"),
        }
    raise NotPlainError(f"a value of type {type(value).__module__}.{type(value).__qualname__}")


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
    "set": set,
    "frozenset": frozenset,
    "complex": lambda items: complex(*items),
}
