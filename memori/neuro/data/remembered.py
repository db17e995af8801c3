"""A function that remembers: called as before, it returns what it returned.

`remembered` makes a `Stage` of a function behind its own face. Arrays, images, tables and paths go
through files where an annotation says so, among the arguments and in what is returned. The first
run and a hit return the same, for both read what was recorded; so what would come back as something
else (a tuple as a list, a path as a text, an array as a path) is refused unless the return
annotation names it. So is a table that its file would make another one of.

Not promised: numpy scalars, which come back as Python's numbers; a tuple among the arguments, which
the function is given as a list; and what a file does not keep (`memori.neuro.arrays_to_disk`).
"""

from __future__ import annotations

import functools
import inspect
import os
import shutil
import sys
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from memori.aside import aside
from memori.calls.current_run import CurrentRun, entered
from memori.digest.files import file_digest
from memori.digest.values import NotJSONError
from memori.files import move
from memori.layout import arguments_of
from memori.neuro.data.annotations import evaluated, image_class, load, wish_of, wishes
from memori.neuro.data.arrays_to_disk import is_saved, loading, saved
from memori.signature.callables import parameters_of
from memori.stage import Stage

if TYPE_CHECKING:
    from memori.digest.values import JSON

_HOW = (
    "A remembered function says by annotations what goes through files and comes back as what it "
    "was: `-> np.ndarray`, nib.Nifti1Image, pd.DataFrame, Path, tuple[...], an Enum of texts or "
    "numbers, also inside list[...] and dict[str, ...]; and so for its parameters"
)

Function = TypeVar("Function", bound=Callable[..., Any])


def remembered(
    folder: str | os.PathLike[str], /, *, outputs: str | list[str] | None = None, **options: Any
) -> Callable[[Function], Function]:
    """Make a function remember: called as before, it returns what it returned.

    Parameters
    ----------
    folder : str or os.PathLike
        Where its runs are remembered; may hold fields (``"work/{subject}"``).
    outputs : list of str, optional
        A name for each value of the tuple that it returns.
    **options
        Those of `Stage`, such as ``ignore=["n_jobs"]`` and ``stage_name``.

    Returns
    -------
    callable
        A decorator. The function it returns has the `Stage` as its attribute ``stage``, and the
        plain function as ``__wrapped__``.

    Raises
    ------
    TypeError
        If the folder is missing. When called: for an argument or a returned value that JSON cannot
        hold and no annotation names.

    Examples
    --------
    >>> import tempfile
    >>> @remembered(tempfile.mkdtemp())
    ... def square(n):
    ...     print("computing")
    ...     return n * n
    >>> square(3), square(3)
    computing
    (9, 9)
    """
    if callable(folder):
        raise TypeError('remembered takes the folder to remember in: write @remembered("work")')

    def decorate(function: Function) -> Function:
        parameters_of(function)  # the generator itself is refused, before it is wrapped
        stage: _Remembered = _Remembered(loading(function, saves=False), outputs, folder)
        stage = stage.with_options(**options) if options else stage
        stage.returns = _parts(function, len(stage.outputs))
        for annotation in stage.returns:
            _refuse_unwritten(wish_of(annotation))
        wanted, signature = wishes(function), inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if wanted:
                bound = signature.bind(*args, **kwargs)
                for name in wanted.keys() & bound.arguments.keys():
                    place = f"{stage.subject}, parameter {name!r}"
                    bound.arguments[name] = _on_disk(bound.arguments[name], stage, place)
                args, kwargs = bound.args, bound.kwargs
            try:
                results = stage.run(*args, **kwargs)
            except NotJSONError as error:
                how = "" if error.is_of_self else f" {_HOW}"
                raise TypeError(f"{error}{how}") from error
            found = zip(stage.outputs, stage.returns, strict=True)
            values = [_restored(results[name], annotation) for name, annotation in found]
            return values[0] if len(values) == 1 else tuple(values)

        call.stage = stage  # type: ignore[attr-defined]
        return cast(Function, call)

    return decorate


class _Remembered(Stage):
    """A stage that saves what its function returns, and refuses what would not come back."""

    returns: list[Any]

    def named(self, value: object) -> dict[str, JSON]:
        for name, each, annotation in self._outputs_of(value):
            _refuse_lost(each, annotation, f"{self.subject}, output {name!r}")
        kept = saved(value)
        with aside():  # what cannot be given back is not worth remembering
            back = [_restored(each, annotation) for _, each, annotation in self._outputs_of(kept)]
        for (name, each, _), found in zip(self._outputs_of(value), back, strict=True):
            _refuse_other_tables(each, found, f"{self.subject}, output {name!r}")
        return super().named(kept)

    def _outputs_of(self, value: object) -> list[tuple[str, Any, Any]]:
        """Return the name, the value and the annotation of each output."""
        values: Sequence[object] = [value]
        if len(self.outputs) != 1:
            values = value if isinstance(value, (tuple, list)) else []
        return list(zip(self.outputs, values, self.returns, strict=False))


def _parts(function: Callable[..., Any], count: int) -> list[Any]:
    """Return the annotation of each output, evaluated; None where there is none."""
    given = inspect.signature(function).return_annotation
    annotation = None if given is inspect.Signature.empty else evaluated(given, function)
    if count == 1:
        return [annotation]
    inner = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else ()
    if len(inner) == 2 and inner[1] is Ellipsis:
        return [inner[0]] * count
    return list(inner) if len(inner) == count else [None] * count


# What is returned


def _refuse_unwritten(wish: Any) -> None:
    """Raise a TypeError if images of a class are to be returned that no file is written for."""
    kind, *inner = wish if isinstance(wish, list) else [wish]
    leaves = [each for each in (inner if kind == "any" else [kind]) if isinstance(each, str)]
    classes = [image_class(each) for each in leaves if each.startswith("image ")]
    if classes and len(classes) == len(inner or [kind]):
        import nibabel

        written = (nibabel.Nifti2Image, nibabel.MGHImage, nibabel.GiftiImage, nibabel.Cifti2Image)
        if not any(issubclass(each, kind) for each in written for kind in classes):
            raise TypeError(
                f"remembered: a returned {' or '.join(one.__name__ for one in classes)} would "
                "come back as another image: they are saved as NIfTI, MGH, GIFTI or CIFTI. "
                "Annotate it as nib.Nifti1Image, and convert it: nib.Nifti1Image.from_image(image)"
            )
    elif kind != "any":
        for each in inner:
            _refuse_unwritten(each)


def _refuse_lost(value: Any, annotation: Any, place: str) -> None:
    """Raise a TypeError if a value would come back from the record as something else."""
    kind = type(value)
    if isinstance(value, os.PathLike) and not isinstance(value, str):
        branch = _branch(annotation, "text")
        is_kept = isinstance(branch, type) and issubclass(branch, os.PathLike)
    elif isinstance(value, (list, tuple)):
        branch = _branch(annotation, "list")
        is_kept = kind is (tuple if _origin(branch) is tuple else list)
        if is_kept:
            for number, (each, inner) in enumerate(_items(value, branch)):
                _refuse_lost(each, inner, f"{place}[{number}]")
    elif isinstance(value, dict):
        inner = _values(_branch(annotation, "dict"))
        is_kept = kind is dict
        for key in value:
            _refuse_lost(value[key], inner, f"{place}[{key!r}]")
    elif isinstance(value, Enum):
        is_kept = kind in _enumerations(annotation)
    elif is_saved(value):
        is_kept = not _computes_otherwise(kind) and wish_of(annotation) is not None
    else:
        is_kept = True  # or is refused where it becomes JSON
    if not is_kept:
        raise TypeError(
            f"{place}: got {kind.__module__}.{kind.__qualname__}, which JSON cannot hold, so that "
            f"it would come back as something else. {_HOW}"
        )


def _computes_otherwise(kind: type) -> bool:
    """Tell whether a class of arrays gives other results than the plain array that a file holds."""
    ours = ("__array_ufunc__", "__mul__", "__getattribute__")  # units, masks, matrices, records
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and issubclass(kind, numpy.ndarray)
        and any(getattr(kind, name) is not getattr(numpy.ndarray, name) for name in ours)
    )


def _refuse_other_tables(value: Any, found: Any, place: str) -> None:
    """Raise a TypeError if a table among some values comes back as another."""
    if isinstance(value, dict):
        for key in value:
            _refuse_other_tables(value[key], found[key], f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for number, (one, other) in enumerate(zip(value, found, strict=True)):
            _refuse_other_tables(one, other, f"{place}[{number}]")
    elif (pandas := sys.modules.get("pandas")) and isinstance(value, pandas.DataFrame):
        from memori.neuro.data.tables import lost

        difference = lost(value, found)
        if difference:
            raise TypeError(
                f"{place}: the table would come back as another, with {difference}, for a .tsv "
                "holds texts. Put its index into columns (frame.reset_index()) and times into "
                "texts or seconds; make categories where they are used, of texts "
                "(column.astype(str)); where texts look like numbers, pass the path of the file: "
                "save_table(frame), and load_table(path, text=[...]) where it is used"
            )


def _restored(value: Any, annotation: Any) -> Any:
    """Return what was recorded as its annotation says."""
    for kind in _enumerations(annotation):
        if type(value) in kind.__mro__:
            try:
                return kind(value)
            except ValueError:
                pass  # no member's
    if isinstance(value, str):
        branch = _branch(annotation, "text")
        wish = wish_of(branch)
        if wish is not None:
            return load(value, wish, "return")
        if isinstance(branch, type) and issubclass(branch, os.PathLike):
            return (Path if branch is os.PathLike else branch)(value)  # type: ignore[call-arg]
    elif isinstance(value, (list, tuple)):  # a tuple, before it was in a record
        branch = _branch(annotation, "list")
        items = [_restored(each, inner) for each, inner in _items(value, branch)]
        return tuple(items) if _origin(branch) is tuple else items
    elif isinstance(value, dict):
        branch = _branch(annotation, "dict")
        return {key: _restored(each, _values(branch)) for key, each in value.items()}
    return value


def _branch(annotation: Any, kind: str) -> Any:
    """Return the part of a union that stands for a text, a list or a dict in the record."""
    annotation = getattr(annotation, "__value__", annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        return _branch(typing.get_args(annotation)[0], kind)
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        origin = _origin(annotation)
        return (
            origin if isinstance(origin, type) and issubclass(origin, os.PathLike) else annotation
        )
    if kind == "text" and wish_of(annotation) is not None:
        return annotation
    fitting: dict[str, tuple[type, ...]] = {
        "text": (str, os.PathLike), "list": (list, tuple, Sequence), "dict": (Mapping,)
    }  # fmt: skip
    for each in typing.get_args(annotation):
        branch = _branch(each, kind)
        origin = _origin(branch)
        is_fit = isinstance(origin, type) and issubclass(origin, fitting[kind])
        if is_fit and not (kind == "list" and origin is str):
            return branch
    return None


def _enumerations(annotation: Any) -> list[type]:
    """Return the enumerations that texts and numbers in the record are members of."""
    choices = _choices(annotation)
    plain = tuple({str, int, float}.intersection(choices))
    return [each for each in choices if issubclass(each, Enum) and not issubclass(each, plain)]


def _choices(annotation: Any) -> list[type]:
    """Return the classes that an annotation is, or is a union of."""
    annotation = getattr(annotation, "__value__", annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        return _choices(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [kind for each in typing.get_args(annotation) for kind in _choices(each)]
    return [annotation] if isinstance(annotation, type) else []


def _origin(annotation: Any) -> Any:
    return typing.get_origin(annotation) or annotation


def _items(values: Sequence[Any], branch: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each item of a list or tuple with its annotation."""
    inner = typing.get_args(branch)
    if _origin(branch) is tuple and not (len(inner) == 2 and inner[1] is Ellipsis):
        yield from zip_longest(values, inner[: len(values)])
    else:
        yield from ((each, inner[0] if inner else None) for each in values)


def _values(branch: Any) -> Any:
    inner = typing.get_args(branch)
    return inner[-1] if inner else None


# What is given


def _on_disk(value: Any, stage: Stage, place: str) -> Any:
    """Return an argument with the arrays, images and tables in it as files, each kept once."""
    if isinstance(value, (list, tuple)):
        return [_on_disk(each, stage, place) for each in value]
    if isinstance(value, dict):
        return {key: _on_disk(each, stage, place) for key, each in value.items()}
    if not is_saved(value):
        return value
    kind = type(value)
    if kind.__module__ != "numpy.ma" and _computes_otherwise(kind):  # `saved` refuses masks better
        raise TypeError(
            f"{place}: got {kind.__module__}.{kind.__qualname__}, and the function would be given "
            "the plain array that a file holds, which computes otherwise: give it numbers alone "
            "(np.asarray(value)), and make of them what they were inside the function"
        )
    text = stage.hash_output or ""
    root = os.path.dirname(text.partition("{")[0]) if "{" in text else text
    above = arguments_of(os.path.abspath(root or "."))
    os.makedirs(above, exist_ok=True)
    partial = tempfile.mkdtemp(prefix=".", suffix=".partial", dir=above)
    try:
        with aside(), entered(CurrentRun("arguments", (), lambda: partial)):
            path = str(saved(value))
        target = os.path.join(above, file_digest(path).identity[:32], os.path.basename(path))
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            move(path, target)
        if wish_of(type(value)) == "table":
            with aside():
                found = load(target, "table", place)
            _refuse_other_tables(value, found, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
