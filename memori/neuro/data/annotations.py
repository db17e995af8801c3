"""What a function's annotations ask to have loaded.

A parameter annotated ``np.ndarray``, ``nib.Nifti1Image`` or ``pd.DataFrame`` wants the thing, not
the path that stands for it. `wishes` reads that off a function once, as plain values (strings and
lists: they take part in the function's fingerprint, which annotations do not), and `load` fulfils
one wish. A wish is

- ``"array"``, ``"table"`` or ``"image MODULE.CLASS"`` (a nibabel image class),
- ``["any", wish, ...]``: whichever the file turns out to be,
- ``["each", wish]`` for a list, ``["values", wish]`` for a dict, ``["places", wish, ...]`` for a
  tuple of fixed length (None: as it is).

Annotations that are strings are evaluated, also where ``np``, ``nib`` and ``pd`` are imported for
type checkers only; other names that only a type checker knows ask for nothing. Neither does an
annotation that also allows a path (``str | np.ndarray``): the function copes with paths.

Not promised: that dtypes or shapes in an annotation are checked.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Wish = str | list[Any]

_ALIASES = {"np": "numpy", "npt": "numpy.typing", "nib": "nibabel", "nb": "nibabel", "pd": "pandas"}
_PATHS = (str, bytes, os.PathLike)


def wishes(function: Callable[..., Any]) -> dict[str, Wish]:
    """Return by parameter what the function wants loaded; parameters that want nothing are absent.

    That of ``*args`` or ``**kwargs`` is a wish for each of them.

    Examples
    --------
    >>> import numpy as np
    >>> def mean_of(images: "list[nib.Nifti1Image]", mask: np.ndarray | None, fwhm: float): ...
    >>> wishes(mean_of)
    {'images': ['each', 'image nibabel.nifti1.Nifti1Image'], 'mask': 'array'}
    """
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        wish = wish_of(evaluated(parameter.annotation, function))
        if wish is not None:
            found[name] = wish
    return found


def load(value: Any, wish: Wish | None, name: str) -> Any:
    """Return `value` with the paths in it loaded as wished; what is no path stays as it is.

    Parameters
    ----------
    value : object
        A path, a list or dict of paths, or anything else.
    wish : Wish or None
        What it is loaded as.
    name : str
        The parameter, for the messages.

    Raises
    ------
    FileNotFoundError
        If a path names no file.
    TypeError
        If a file is of another kind than wished.
    """
    if isinstance(value, _PATHS):
        return value if wish is None or isinstance(value, bytes) else _loaded(value, wish, name)
    if not isinstance(wish, list):
        return value
    kind, *inner = wish
    if kind == "any":
        fitting = [one for one in inner if isinstance(one, list) and _suits(value, one[0])]
        return load(value, fitting[0], name) if fitting else value
    if not _suits(value, kind):
        return value
    if kind == "values":
        return {key: load(one, inner[0], f"{name}[{key!r}]") for key, one in value.items()}
    asked = inner * len(value) if kind == "each" else inner
    rest = [None] * (len(value) - len(asked))
    items = zip(value, [*asked, *rest], strict=False)
    return type(value)(load(one, want, f"{name}[{i}]") for i, (one, want) in enumerate(items))


def _suits(value: object, kind: str) -> bool:
    return isinstance(value, dict) if kind == "values" else type(value) in (list, tuple)


# Loading ---------------------------------------------------------------------------------------


def _loaded(path: str | os.PathLike[str], wish: Wish, name: str) -> Any:
    where = os.fspath(path)
    if not os.path.exists(where):
        raise FileNotFoundError(f"parameter {name!r}: there is no file {where!r} to load")
    choices = [one for one in _leaves(wish) if _may_hold(where, one)]
    if not choices:
        raise TypeError(
            f"parameter {name!r} is annotated to be loaded as {wish}, got the file {where!r}: "
            "annotate it as what the file is (np.ndarray for .npy, dict[str, np.ndarray] for .npz, "
            "a nibabel class for images, pd.DataFrame for .tsv), or as str to get the path"
        )
    if choices[0] in ("array", "arrays"):
        from memori.neuro.data.arrays import load_array

        return load_array(where)
    if choices[0] == "table":
        from memori.neuro.data.tables import load_table

        return load_table(where)
    return _image(where, [image_class(choice) for choice in choices], name)


def _leaves(wish: Wish) -> list[str]:
    """Return the kinds of file that can stand for the whole value."""
    if isinstance(wish, str):
        return [wish]
    if wish[0] == "any":
        return [leaf for one in wish[1:] for leaf in _leaves(one)]
    return ["arrays"] if wish == ["values", "array"] else []  # a dict of them: .npz


def _may_hold(path: str, leaf: str) -> bool:
    suffix = os.path.splitext(path.removesuffix(".gz") if path.endswith(".tsv.gz") else path)[1]
    of_suffix = {".npy": "array", ".npz": "arrays", ".tsv": "table"}.get(suffix)
    return leaf == of_suffix if of_suffix else leaf.startswith("image ")


def _image(path: str, classes: list[type], name: str) -> Any:
    import nibabel

    image = nibabel.load(path)  # type: ignore[attr-defined,unused-ignore]
    if not isinstance(image, tuple(classes)):
        wanted = " or ".join(one.__name__ for one in classes)
        raise TypeError(
            f"parameter {name!r} is annotated {wanted}, but {path!r} is a {type(image).__name__}"
        )
    return image


def image_class(leaf: str) -> type:
    """Return the nibabel class that a wish ``"image MODULE.CLASS"`` names."""
    module, _, name = leaf.removeprefix("image ").rpartition(".")
    kind: type = getattr(importlib.import_module(module), name)
    return kind


# Reading annotations ---------------------------------------------------------------------------


class _Unknown:
    """What stands for a name that only a type checker knows: it asks for nothing."""

    def __class_getitem__(cls, item: object) -> type:
        return cls


class _Known(dict[str, Any]):
    """The names in which a string annotation is evaluated: the function's, then the usual ones."""

    def __missing__(self, name: str) -> Any:
        module = _ALIASES.get(name, name)
        if module in {"numpy", "numpy.typing", "nibabel", "pandas", "typing"}:
            return importlib.import_module(module)
        for place in (typing, sys.modules["collections.abc"], sys.modules["builtins"]):
            if hasattr(place, name):
                return getattr(place, name)
        return _Unknown


def evaluated(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return an annotation of a function, also where it is a string; None if nothing knows it."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    known = _Known(getattr(inner, "__globals__", {}))
    try:
        closure = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
        known.update(closure)
        # The function's own annotation, as typing.get_type_hints would evaluate it.
        return eval(annotation, {"__builtins__": {}}, known)
    except Exception:
        return None


def wish_of(annotation: Any) -> Wish | None:
    """Return what an evaluated annotation asks for."""
    annotation = getattr(annotation, "__value__", annotation)  # type Alias = ...
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, (str, typing.ForwardRef)):
        return wish_of(evaluated(annotation, wish_of))
    if origin is typing.Annotated:
        return wish_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _any_of(arguments)
    kind = origin or annotation
    if not isinstance(kind, type):
        return None
    leaf = _leaf(kind)
    if leaf is not None or not arguments:
        return leaf
    if issubclass(kind, tuple) and arguments[-1] is not Ellipsis:
        places = [wish_of(one) for one in arguments]
        return ["places", *places] if any(places) else None
    if issubclass(kind, Mapping):
        inner = wish_of(arguments[-1])
        return ["values", inner] if inner else None
    if issubclass(kind, Iterable):
        inner = wish_of(arguments[0])
        return ["each", inner] if inner else None
    return None


def _any_of(arguments: tuple[Any, ...]) -> Wish | None:
    if any(isinstance(one, type) and issubclass(one, _PATHS) for one in arguments):
        return None
    choices = [wish for wish in map(wish_of, arguments) if wish is not None]
    return choices[0] if len(choices) == 1 else ["any", *choices] if choices else None


def _leaf(kind: type) -> str | None:
    """Name what is loaded for a class, by the classes that it derives from: nothing is imported."""
    for parent in kind.__mro__:
        name = f"{parent.__module__}.{parent.__name__}"
        if name == "numpy.ndarray":
            return "array"
        if name in {"pandas.DataFrame", "pandas.core.frame.DataFrame"}:
            return "table"
        if name == "nibabel.filebasedimages.FileBasedImage":
            return f"image {kind.__module__}.{kind.__name__}"
    return None
