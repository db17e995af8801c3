"""Canonical values: JSON, and one text for each value.

Everything that passes between stages is JSON. `to_json` turns what Python users write into it
(a `Path` becomes `str`, a tuple a list, a numpy scalar a Python number) and refuses the rest;
`encode` gives each JSON value one text, and two values that differ have two texts: 1, 1.0, "1",
True and None all differ, and the order of a dict counts, because a function can see it.
NaN and infinities are allowed, spelled as Python's `json` spells them.

Not promised: that the text is JSON for strict readers when a value holds NaN.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256

from memori.digest.folder import Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    JSON = Any  # str, int, float, bool, None, lists and dicts of these
    Pointer = tuple[str | int, ...]

encode = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode
_PLAIN = frozenset({str, int, float, bool, type(None)})
DEEPEST = 150
_SAVERS = (
    ("numpy.ma", "", 'memori.neuro.save_array({"values": value.data, "mask": value.mask})'),
    ("numpy", "ndarray", "memori.neuro.save_array(value)"),
    ("nibabel.gifti", "", "memori.neuro.save_surface, save_metric or save_labels"),
    ("nibabel.cifti2", "", "memori.neuro.save_cifti(data, like=...)"),
    ("nibabel.streamlines", "", "nibabel.streamlines.save"),
    ("nibabel", "", "memori.neuro.save_image(data, like=...)"),
    ("pandas", "", "memori.neuro.save_table(value)"),
)
_PLAIN_FORMS = (
    ("omegaconf", "BaseContainer", "OmegaConf.to_container(value, resolve=True)"),
    ("pydantic", "BaseModel", 'value.model_dump(mode="json")'),
    ("enum", "Enum", "value.value"),
    ("argparse", "Namespace", "vars(value)"),
    ("types", "SimpleNamespace", "vars(value)"),
    ("builtins", "mappingproxy", "dict(value)"),
    ("collections", "deque", "list(value)"),
    ("re", "Pattern", "value.pattern"),
    ("builtins", "function", "its name, and choose by it in the function,"),
    ("builtins", "type", "its name, and choose by it in the function,"),
)
_DATES = frozenset(
    ("date", "datetime", "time", "timedelta", "datetime64", "timedelta64", "Timestamp", "Timedelta")
)


class NotJSONError(TypeError):
    """A value that JSON cannot hold.

    Attributes
    ----------
    value : object
        The part that was refused.
    pointer : tuple of str and int
        Where it sits inside the whole value.
    """

    def __init__(self, value: object, pointer: Pointer, reason: str | None = None) -> None:
        self.value = value
        self.pointer = pointer
        self.reason = reason
        self.subject = "value"
        super().__init__(value, pointer)

    def __str__(self) -> str:
        kind = type(self.value)
        got = self.reason or f"got {kind.__module__}.{kind.__qualname__}"
        place = "".join(f"[{part!r}]" for part in self.pointer)
        return (
            f"{self.subject}{place}: {got}; values between stages are JSON (str, int, float, "
            f"bool, None, lists, and dicts with string keys). {self.remedy}"
        )

    @property
    def is_of_self(self) -> bool:
        """Whether the value is the object, or class, of a method that was taken from its class."""
        return self.subject.endswith(("argument 'self'", "argument 'cls'")) and not self.pointer

    @property
    def remedy(self) -> str:
        """What to do instead."""
        if self.is_of_self:
            return (
                "A method counts with its object: take the bound method, as in "
                "Stage(model.fit, ...) or remembered(...)(model.fit)."
            )
        if callable(self.value) and ", argument " in self.subject:
            return "Bind it, so that it counts as code: functools.partial(function, name=value)."
        return _remedy(self.value)


def _remedy(value: object) -> str:
    if isinstance(value, (set, frozenset)):
        return "Pass sorted(value) instead."
    own = type(value)
    if hasattr(value, "read"):
        return "Pass the path of the file instead."
    if hasattr(value, "__next__") or own is range or own.__name__.startswith("dict_"):
        return "Pass list(value) instead."
    if own.__name__ in _DATES or own.__module__ in ("decimal", "fractions", "uuid"):
        return "Pass str(value) instead."
    if hasattr(own, "__dataclass_fields__"):
        return "Pass dataclasses.asdict(value) instead."
    if hasattr(own, "__attrs_attrs__"):
        return "Pass attrs.asdict(value) instead."
    for kind in own.__mro__:
        for package, name, form in _PLAIN_FORMS:
            if _is_of(kind, package) and name == kind.__name__:
                return f"Pass {form} instead."
        for package, name, saver in _SAVERS:
            if _is_of(kind, package) and name in ("", kind.__name__):
                wrap = "; or wrap the function in memori.neuro.arrays_to_disk, which does so"
                remedy = wrap if saver.startswith("memori") else ""
                return f"Save it to a file and pass the path: {saver}{remedy}."
    return "Save it to a file below memori.workdir() and pass the path."


def _is_of(kind: type, package: str) -> bool:
    return f"{kind.__module__}.".startswith(f"{package}.")


def to_json(value: object, pointer: Pointer = ()) -> JSON:
    """Turn a value into JSON, sharing no list or dict with it.

    Parameters
    ----------
    value : object
        What the user passed or returned.
    pointer : tuple of str and int, optional
        Where the value sits in a larger one; for the error.

    Returns
    -------
    JSON
        str, int, float, bool, None, `Folder`, or lists and dicts of these.

    Raises
    ------
    NotJSONError
        If a part of it is not JSON; a TypeError that names the place and the remedy.

    Examples
    --------
    >>> to_json({"shape": (2, 3)})
    {'shape': [2, 3]}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if len(pointer) > DEEPEST:
        raise NotJSONError(value, pointer[:4], "it is nested too deep or holds itself")
    if isinstance(value, (list, tuple)):
        return [
            part if type(part) in _PLAIN else to_json(part, (*pointer, place))
            for place, part in enumerate(value)
        ]
    if isinstance(value, dict):
        return {
            _key(key, value, pointer): to_json(part, (*pointer, key)) for key, part in value.items()
        }
    return _scalar(value, pointer)


def to_json_as(subject: str, value: object) -> JSON:
    """Turn a value into JSON as `to_json` does; its error begins with `subject`."""
    try:
        return to_json(value)
    except NotJSONError as error:
        error.subject = subject
        raise


def _key(key: object, owner: object, pointer: Pointer) -> str:
    if not isinstance(key, str):
        raise NotJSONError(owner, pointer, f"the key {key!r} is not a string (write {str(key)!r})")
    return str.__str__(key)


def _scalar(value: object, pointer: Pointer) -> JSON:
    if isinstance(value, Folder):
        return Folder(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
            raise NotJSONError(value, pointer)  # a number of units that nobody would know of
        value = value.item()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise NotJSONError(value, pointer)


def from_text(text: str | bytes) -> JSON:
    """Return the JSON value of a text.

    Raises
    ------
    ValueError
        If it is none, or nested so deep that Python cannot hold it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def copy_json(value: JSON) -> JSON:
    """Copy a JSON value so that a change to the copy leaves the original alone."""
    if isinstance(value, list):
        return [copy_json(part) for part in value]
    if isinstance(value, dict):
        return {key: copy_json(part) for key, part in value.items()}
    return value


def finite(value: Any) -> Any:
    """Return a JSON value with NaN and infinities as texts: other programs' JSON has none.

    Examples
    --------
    >>> finite({"low": float("-inf"), "high": [0.5]})
    {'low': '-inf', 'high': [0.5]}
    """
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    is_finite = not isinstance(value, float) or value - value == 0  # inf - inf is NaN
    return value if is_finite else str(value)


def strings(value: JSON, pointer: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yield each string inside a value of lists, tuples and dicts with its pointer, in order."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            if not isinstance(part, (int, float)):
                yield from strings(part, (*pointer, place))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from strings(part, (*pointer, key))


def part_at(value: JSON, pointer: Pointer) -> JSON:
    """Return the part of a JSON value at a pointer."""
    for place in pointer:
        value = value[place]
    return value


def put(value: JSON, pointer: Pointer, part: JSON) -> None:
    """Replace the part of a JSON value at a pointer of at least one element."""
    part_at(value, pointer[:-1])[pointer[-1]] = part


def equal(one: JSON, other: JSON) -> bool:
    """Tell whether two values are encoded alike: 1, 1.0 and True are not.

    >>> equal({"a": [1]}, {"a": [1]}), equal(1, 1.0), equal("1", 1)
    (True, False, False)
    """
    if type(one) is type(other) and type(one) in (str, int):
        return bool(one == other)
    return encode(one) == encode(other)


def text_digest(text: str) -> str:
    """Return the SHA-256 of an ASCII text, as 64 hexadecimal digits."""
    return sha256(text.encode("ascii")).hexdigest()
