"""Parameters that are annotated as paths are given paths, and members of an enumeration those.

Values between stages are JSON, where a path is a text. A callable that says ``in_file: Path`` is
given a `pathlib.Path` all the same, on every run; so is one that says ``Path | None``,
``list[Path]``, ``dict[str, Path]``, ``tuple[Path, int]``, ``os.PathLike``, or a subclass of `Path`.
Where an annotation admits ``str`` as well, a text stays one. So it is with an `Enum` whose members
are texts or numbers (``class Mode(str, Enum)``, `IntEnum`), also where there is no annotation and a
member is the default; what is no member's value stays what it is. An annotation by which a value is
converted changes what the callable sees, so it counts as code.

Not promised: annotations inside dataclasses and typed dicts, and a name that is no path elsewhere
but called ``Path`` here and imported for type checkers only.
"""

from __future__ import annotations

import re
import sys
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from memori.digest.values import JSON

_NAMES = ("Path", "PathLike")
_BASES = ("PurePath", "PathLike", "Enum")
_INSIDE = ("__origin__", "__forward_arg__", "__value__", "__supertype__")
_DEEPEST = 8  # an annotation may hold itself
_WORD = r"[A-Za-z_]\w*"


class Shape:
    """Where in the values of a parameter there are paths.

    Attributes
    ----------
    path : type or None
        What a text is made to.
    members : type or None
        The enumeration of which a text or number is made a member.
    items : Shape or None
        Of the elements of a list.
    places : tuple of Shape or None
        Of the elements of a list, each on its own.
    values : Shape or None
        Of the values of a dict.
    """

    __slots__ = ("items", "members", "path", "places", "values")

    def __init__(
        self,
        path: type | None = None,
        items: Shape | None = None,
        places: tuple[Shape, ...] = (),
        values: Shape | None = None,
        members: type | None = None,
    ) -> None:
        self.path = path
        self.members = members
        self.items = items
        self.places = places
        self.values = values

    def __bool__(self) -> bool:
        return any((self.path, self.members, self.items, any(self.places), self.values))

    def __str__(self) -> str:
        texts = [
            self.path and self.path.__qualname__,
            self.members and self.members.__qualname__,
            self.items and f"list[{self.items}]",
            self.places and f"tuple[{', '.join(str(each) or '-' for each in self.places)}]",
            self.values and f"dict[{self.values}]",
        ]
        return " | ".join(text for text in texts if text)

    def convert(self, value: JSON) -> Any:
        """Return a value with its paths and members as such."""
        if self.members is not None and type(value) in self.members.__mro__:
            try:
                return self.members(value)
            except ValueError:
                pass  # no member's
        if isinstance(value, str):
            return value if self.path is None else self.path(value)
        if isinstance(value, list):
            if self.places and len(self.places) == len(value):
                return [shape.convert(v) for shape, v in zip(self.places, value, strict=True)]
            return value if self.items is None else [self.items.convert(v) for v in value]
        if isinstance(value, dict) and self.values is not None:
            return {key: self.values.convert(part) for key, part in value.items()}
        return value


def shapes_of(function: Callable[..., Any]) -> dict[str, Shape]:
    """Return the shapes of the parameters that hold paths or members, by name.

    ``*NAME`` stands for further positional ones, ``**`` for further keywords; where these are
    paths, those that are none have a shape as well.

    Parameters
    ----------
    function : callable
        What will be called.
    """
    annotations = _annotations_of(function)
    found = {name: _shape(each, function) for name, each in annotations.items()}
    for name in found:
        if name[:1] == "*" and name != "**":
            found[name] = Shape(items=found[name] or None)
    return {name: shape for name, shape in found.items() if shape or found.get("**")}


def with_paths(bound: Mapping[str, JSON], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return what a callable is given, with its paths as such.

    Parameters
    ----------
    bound : Mapping of str to JSON
        Values by name; under ``*NAME`` a list of further positional ones.
    shapes : Mapping of str to Shape
        As `shapes_of` returned it.
    """
    if not shapes:
        return dict(bound)
    further = shapes.get("**", Shape())
    return {name: shapes.get(name, further).convert(value) for name, value in bound.items()}


def classes_of(shapes: Iterable[Shape]) -> list[type]:
    """Return the classes that are not Python's own: what they do counts, too."""
    found: dict[type, None] = {}
    for shape in shapes:
        if shape.members is not None:
            found[shape.members] = None
        if shape.path is not None and not shape.path.__module__.startswith("pathlib"):
            found[shape.path] = None
        inner = [each for each in (shape.items, *shape.places, shape.values) if each is not None]
        found.update(dict.fromkeys(classes_of(inner)))
    return list(found)


def told(shapes: Mapping[str, Shape]) -> dict[str, str]:
    """Return what counts of the shapes, by a name for people."""
    return {f"annotation of {name}": str(shape) for name, shape in shapes.items() if shape}


def _annotations_of(function: Callable[..., Any]) -> dict[str, object]:
    """Return the annotations by parameter; none if a quick look finds no path in them."""
    if type(function) is FunctionType and "__wrapped__" not in function.__dict__:
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        try:
            plain = (*function.__annotations__.values(), *filter(None, map(_class_of, defaults)))
        except NameError:  # evaluated late, and named for type checkers only
            pass
        else:
            if not any(_may_be_path(each, function.__globals__) for each in plain):
                return {}
    import inspect

    try:
        parameters = inspect.signature(function, **_as_written()).parameters.values()
    except (ValueError, TypeError):
        return {}
    found = {}
    for each in parameters:
        is_further = each.kind is each.VAR_KEYWORD
        star = "*" if each.kind is each.VAR_POSITIONAL else ""
        is_silent = each.annotation is each.empty
        annotation = _class_of(each.default) if is_silent else each.annotation
        found["**" if is_further else f"{star}{each.name}"] = annotation
    return found


def _class_of(default: object) -> type | None:
    """Return what a default stands for that is a member of an enumeration."""
    kind = type(default)
    return kind if any(each.__name__ == "Enum" for each in kind.__mro__) else None


def _as_written() -> dict[str, Any]:
    """Return what lets `inspect` look at annotations that cannot be evaluated (Python 3.14)."""
    if sys.version_info < (3, 14):
        return {}
    from importlib import import_module

    return {"annotation_format": import_module("annotationlib").Format.FORWARDREF}


def _may_be_path(annotation: Any, names: Mapping[str, object], depth: int = 0) -> bool:
    """Tell, without what is slow to import, whether a path may be in an annotation."""
    if depth > _DEEPEST:
        return False
    if isinstance(annotation, str):
        words = re.findall(_WORD, annotation)
        found = [names[word] for word in words if word in names]
        return any("Path" in word for word in words) or any(
            _may_be_path(each, names, depth + 1) for each in found if not isinstance(each, str)
        )
    arguments = getattr(annotation, "__args__", None)
    if not isinstance(arguments, tuple):  # of a class that has a slot of this name: typing.Union
        arguments = None
    if isinstance(annotation, type) and arguments is None:
        return any(each.__name__ in _BASES for each in annotation.__mro__)
    inner = [getattr(annotation, name, None) for name in _INSIDE]
    inner += arguments or ()
    return any(_may_be_path(each, names, depth + 1) for each in inner if each is not None)


def _shape(annotation: Any, function: Callable[..., Any], depth: int = 0) -> Shape:
    import os
    import typing
    from collections import abc
    from enum import Enum
    from pathlib import Path, PurePath

    def shape(inner: object) -> Shape:
        return _shape(inner, function, depth + 1)

    annotation = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(annotation, str):
        return shape(_evaluated(annotation, function)) if depth <= _DEEPEST else Shape()
    for attribute in ("__value__", "__supertype__"):  # of a ``type X = ...``, and a `NewType`
        if not isinstance(annotation, type) and hasattr(annotation, attribute):
            annotation = getattr(annotation, attribute)
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if depth > _DEEPEST:
        return Shape()
    if annotation is os.PathLike or origin is os.PathLike:
        return Shape(Path)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        is_json = issubclass(annotation, (str, int, float))
        return Shape(members=annotation if is_json else None)
    if isinstance(annotation, type) and origin is None:
        return Shape(annotation) if issubclass(annotation, PurePath) else Shape()
    if origin is typing.Annotated:
        return shape(inner[0])
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        return _union(list(map(shape, inner)), [each for each in inner if isinstance(each, type)])
    if not isinstance(origin, type) or not inner:
        return Shape()
    if issubclass(origin, tuple) and inner[-1] is not Ellipsis:
        return Shape(places=tuple(map(shape, inner)))
    if issubclass(origin, abc.Mapping):
        return Shape(values=shape(inner[-1]) or None)
    return Shape(items=shape(inner[0]) or None) if issubclass(origin, abc.Iterable) else Shape()


def _union(shapes: list[Shape], plain: list[type]) -> Shape:
    """Merge shapes; where a plain text or number is admitted, it stays one."""
    merged, scalars = Shape(), {str, int, float}.intersection(plain)
    for shape in shapes:
        merged.path = merged.path or shape.path
        merged.items = merged.items or shape.items
        merged.places = merged.places or shape.places
        merged.values = merged.values or shape.values
        if shape.members and not any(issubclass(shape.members, each) for each in scalars):
            merged.members = shape.members
    if str in plain:
        merged.path = None
    return merged


# Annotations that are texts


def holds_function(thing: object) -> bool:
    """Tell whether something holds a function as partials do, and does not just say so.

    What answers any attribute (a mock, a command of ``sh``) would have a `func` without end.
    """
    return "func" in getattr(thing, "__dict__", ()) or hasattr(type(thing), "func")


def _evaluated(text: str, function: Callable[..., Any]) -> object:
    """Return what the text of an annotation means where the function was written."""
    import inspect

    inner: Any = function
    while holds_function(inner) and not hasattr(inner, "__code__"):
        inner = inner.func
    inner = inspect.unwrap(inner)
    if isinstance(inner, type):
        inner = inner.__init__  # type: ignore[misc]
    elif not hasattr(inner, "__code__") and not hasattr(inner, "__func__"):
        inner = type(inner).__call__
    inner = inspect.unwrap(getattr(inner, "__func__", inner))
    try:
        return eval(text, {}, _Names(inner))
    except Exception:  # whatever it is, it is no path that we know
        return None


class _Unknown:
    """Stands in an annotation for what only type checkers know: it is no path."""

    def __getattr__(self, name: str) -> object:
        if name[:2] == "__":
            raise AttributeError(name)
        return _path() if name in _NAMES else self

    def __getitem__(self, key: object) -> object:
        return self

    def __or__(self, other: object) -> object:
        return other

    __ror__ = __or__


class _Names(dict[str, object]):
    """The names that an annotation may use: the function's own, then what they are called as."""

    def __init__(self, function: Any) -> None:
        super().__init__(getattr(function, "__globals__", {}))
        code = getattr(function, "__code__", None)
        cells = zip(getattr(code, "co_freevars", ()), function.__closure__ or (), strict=False)
        for name, cell in cells if code is not None else ():
            try:
                self[name] = cell.cell_contents
            except ValueError:
                continue

    def __missing__(self, name: str) -> object:
        import builtins
        import typing

        if hasattr(builtins, name):
            return getattr(builtins, name)
        if name in _NAMES:
            return _path()
        return getattr(typing, name, _Unknown())


def _path() -> type:
    from pathlib import Path

    return Path
