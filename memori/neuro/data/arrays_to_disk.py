"""Functions that take and return arrays, images and tables, as stages.

Between stages passes JSON, and a path stands for a file's content. `arrays_to_disk` lets a function
ignore that: what it returns is saved and its results hold the paths; what it declares by an
annotation is loaded before the call. The function stays what it was: called outside a stage, it
takes and returns the things themselves, so that it can be tried and tested as it stands.

Not promised: types that a file does not keep. A table comes back from text, an array subclass as a
plain array, an image without the caches and file names that it had in memory.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, TypeVar, cast

from memori.calls.current_run import current
from memori.neuro.data.annotations import load, wishes
from memori.signature.parameters import name_of

Function = TypeVar("Function", bound=Callable[..., Any])
_COPY = (
    "memori: an array that comes from a file is read-only, so that nobody changes the file: copy "
    "it before it is changed, series = np.array(series)"
)


def arrays_to_disk(function: Function) -> Function:
    """Let a stage's function take and return arrays, images and tables.

    Parameters
    ----------
    function : callable
        What it returns, alone or inside lists, tuples and dicts, is saved in the folder of the
        running stage, and the results hold the paths:

        ==========================  =======================================
        numpy.ndarray               `save_array`: ``array.npy``
        nibabel volume              `save_image`: ``image.nii.gz``
        nibabel GiftiImage          `save_gifti`: ``image.gii``
        nibabel Cifti2Image         `save_cifti`: ``cifti.dscalar.nii`` etc.
        pandas.DataFrame            `save_table`: ``table.tsv``
        ==========================  =======================================

        A parameter annotated ``np.ndarray`` (or ``npt.NDArray[...]``), a nibabel image class, or
        ``pd.DataFrame`` gets the file loaded (arrays memory-mapped, read-only); also inside
        ``... | None``, ``list[...]``, ``tuple[...]``, ``dict[str, ...]`` and in annotations that
        are strings. Other parameters, and values that are no paths, arrive as they are.

    Returns
    -------
    callable
        With the name, documentation and signature of `function`. Outside a running stage it loads
        paths all the same, and returns what `function` returned.

    Raises
    ------
    TypeError
        If `function` is a generator or coroutine function. When called: if a file is of another
        kind than the annotation.
    FileNotFoundError
        When called: if a parameter is to be loaded and its file is not there.

    Examples
    --------
    >>> import numpy as np
    >>> @arrays_to_disk
    ... def demeaned(series: np.ndarray) -> np.ndarray:
    ...     return series - series.mean(axis=0)
    >>> demeaned(np.array([1.0, 3.0]))
    array([-1.,  1.])

    As a stage, ``Stage(demeaned, stage_outputs="series", hash_output="work")`` takes the path of
    an array and gives the path of one.
    """
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(
            f"arrays_to_disk: {function!r} is a generator or coroutine function, which returns "
            "before it has run: return a list"
        )
    return cast(Function, loading(function, saves=True))


def loading(function: Callable[..., Any], *, saves: bool) -> Callable[..., Any]:
    """Return a function that loads what its annotations ask for, and saves what it returns."""
    # The closure holds plain values, for it counts in the fingerprint: what is loaded, but neither
    # a signature nor annotations, which the same wishes can have in many spellings.
    wanted = wishes(function)
    order, variadic, names, keywords = _parameters(function)

    @functools.wraps(function)
    def natural(*args: Any, **kwargs: Any) -> Any:
        places = zip(args, chain(order, repeat(variadic)))  # noqa: B905  repeat does not end
        loaded = [load(value, wanted.get(name), name) for value, name in places]
        for name, value in kwargs.items():
            wish = wanted.get(name if name in names else keywords)
            kwargs[name] = load(value, wish, name)
        try:
            returned = function(*loaded, **kwargs)
        except ValueError as error:
            if wanted and str(error).endswith("read-only"):  # numpy's words
                error.add_note(_COPY)
            raise
        return saved(returned) if saves and current() is not None else returned

    natural.__name__ = name_of(function)  # partials and instances have none that `wraps` takes
    return natural


def _parameters(function: Callable[..., Any]) -> tuple[list[str], str, list[str], str]:
    """Name the positional parameters in order, the variadic one, all, and the one for the rest."""
    parameters = inspect.signature(function).parameters.values()

    def of(*kinds: Any) -> list[str]:
        return [one.name for one in parameters if one.kind in kinds]

    kind = inspect.Parameter
    variadic, keywords = of(kind.VAR_POSITIONAL), of(kind.VAR_KEYWORD)
    order = of(kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD)
    names = of(kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
    return order, "".join(variadic), names, "".join(keywords)


def is_saved(value: Any) -> bool:
    """Tell whether `saved` makes a file of a value itself, rather than of something in it."""
    numpy, nibabel, pandas = (sys.modules.get(name) for name in ("numpy", "nibabel", "pandas"))
    return (
        (numpy is not None and isinstance(value, numpy.ndarray))
        or (pandas is not None and isinstance(value, pandas.DataFrame))
        or (nibabel is not None and isinstance(value, nibabel.filebasedimages.FileBasedImage))
    )


def saved(value: Any) -> Any:
    """Return `value` with what is saved in files replaced by the paths; the rest as it is."""
    if isinstance(value, (list, tuple)):
        kept = [saved(one) for one in value]
        return tuple(kept) if isinstance(value, tuple) else kept
    if isinstance(value, dict):
        return {key: saved(one) for key, one in value.items()}
    numpy, nibabel, pandas = (sys.modules.get(name) for name in ("numpy", "nibabel", "pandas"))
    if numpy is not None and isinstance(value, numpy.ndarray):
        from memori.neuro.data.arrays import save_array

        return save_array(value)
    if pandas is not None and isinstance(value, pandas.DataFrame):
        from memori.neuro.data.tables import save_table

        return save_table(value)
    if nibabel is not None and isinstance(value, nibabel.filebasedimages.FileBasedImage):
        return _saved_image(value, nibabel)
    return value


def _saved_image(image: Any, nibabel: Any) -> str:
    if isinstance(image, nibabel.GiftiImage):
        from memori.neuro.data.gifti import save_gifti

        return save_gifti(image)
    if isinstance(image, nibabel.Cifti2Image):
        from memori.neuro.data.cifti import save_cifti

        return save_cifti(image)
    from memori.neuro.data.images import save_image

    return save_image(image)
