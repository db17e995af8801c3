"""Number types on disk, without a silent loss.

A format holds some number types and not others. This is the one rule by which memori.neuro
converts: unasked, only where no value changes; asked (``dtype=``), floats may be rounded to
shorter floats, while everything else must still be exact and finite values must stay finite. What
fails says how many values would change, shows the first, and names the ways out.

Whole numbers can also stand for floats, as value = slope * stored + intercept; that, too, only if
asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Scaling = tuple[float, float]  # slope and intercept


def as_array(values: object, caller: str) -> Array:
    """`values` as a numpy array, less the kinds that lose something on the way.

    Raises
    ------
    TypeError
        For masked arrays, tables, images, and what numpy cannot hold without Python objects.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{caller}: a masked array would lose its mask: fill it (array.filled(0)), "
            "or save both: save_array({'values': array.data, 'mask': np.ma.getmaskarray(array)})"
        )
    helper = _helper_for(values)
    if helper:
        raise TypeError(f"{caller}: expected an array, got {type(values).__name__}: use {helper}")
    try:
        array = np.asanyarray(values)
    except ValueError as error:  # nested lists of unequal lengths
        raise TypeError(f"{caller}: the values make no array: {error}") from error
    if array.dtype.hasobject:
        raise TypeError(
            f"{caller}: the array's dtype is {array.dtype}, and Python objects would need pickle, "
            "which memori never reads: convert it, such as array.astype(float) or "
            'array.astype("U"), or use save_table for mixed columns'
        )
    return array


def refuse_changed(image: Any, caller: str, remedy: str) -> None:
    """Raise if an image gives other numbers than those that it was made of or loaded from.

    nibabel (and nilearn) keep what ``get_fdata()`` returned; who changes that in place has an
    image of two kinds of numbers: ``get_fdata()`` gives the changed ones, ``dataobj``,
    ``nibabel.save`` and slices the old ones. No file can hold both.
    """
    for name in ("_fdata_cache", "_data_cache"):
        kept = getattr(image, name, None)
        if kept is None or kept is image.dataobj:
            continue
        own = np.asanyarray(image.dataobj, dtype=kept.dtype)
        if not np.array_equal(own, kept, equal_nan=kept.dtype.kind in "fc"):
            raise ValueError(
                f"{caller}: the numbers of this {type(image).__name__} were changed in memory: "
                "get_fdata() gives others than dataobj, and a file holds only one of them. Make "
                f"an image of those that you mean, {remedy}, or call image.uncache() to go back "
                "to the old ones"
            )


def exact(array: Array, dtype: npt.DTypeLike, *, caller: str, remedy: str) -> Array:
    """`array` as `dtype`, or ValueError if one value would change (NaN stays NaN)."""
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    with np.errstate(all="ignore"):
        converted = _converted(array, wanted, caller)
        back = converted.astype(array.dtype)
        # `!=` alone would call NaN a change; `x == x` is false for NaN only.
        changed = (back != array) & ((array == array) | (back == back))
    _refuse(changed, array, wanted, caller, remedy)
    return converted


def asked(array: Array, dtype: npt.DTypeLike, *, caller: str, remedy: str = "") -> Array:
    """`array` as the `dtype` that the user asked for; floats may round, nothing else may change."""
    wanted = np.dtype(dtype)
    if array.dtype.kind + wanted.kind not in {"ff", "cc", "fc"}:
        return exact(array, wanted, caller=caller, remedy=remedy or "keep a wider dtype")
    with np.errstate(over="ignore"):
        converted = array.astype(wanted, copy=False)
    _refuse(
        np.isfinite(array) & ~np.isfinite(converted), array, wanted, caller, "keep a wider dtype"
    )
    return converted


def on_disk(array: Array, dtype: npt.DTypeLike | None, *, caller: str) -> Array:
    """`array` in the dtype that goes to disk: `dtype`, else its own if the field's tools read it.

    bool becomes uint8. 64-bit integers and long floats are a TypeError unless asked for.
    """
    if dtype is not None:
        remedy = "round first (numpy.rint), or keep a wider dtype"
        return asked(array, dtype, caller=caller, remedy=remedy)
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    whole = array.dtype.kind in "iu"
    widest = {"i": 4, "u": 4, "f": 8, "c": 16}.get(array.dtype.kind)
    if widest is None or array.dtype.itemsize <= widest:
        return array  # colours and the like: the format itself says what it can hold
    limits = np.iinfo(np.int32)
    if not whole:
        remedy = f"pass dtype='{'float64' if array.dtype.kind == 'f' else 'complex128'}'"
    elif array.size == 0 or (array.min() >= limits.min and array.max() <= limits.max):
        remedy = "pass dtype='int32' (all values fit)"
    else:
        remedy = "they do not all fit int32: pass dtype='float64'"
    raise TypeError(
        f"{caller}: few tools read images of {array.dtype}: {remedy}, "
        f"or dtype='{array.dtype}' to insist"
    )


def scaled(
    array: Array, dtype: npt.DTypeLike | None, scaling: str | Scaling, *, caller: str
) -> tuple[Array, Scaling]:
    """Whole numbers of `dtype` that stand for `array`, with their slope and intercept.

    Each value is rounded to the nearest stored number. NaN, infinity and values beyond the range
    are a ValueError.
    """
    if dtype is None or np.dtype(dtype).kind not in "iu" or array.dtype.kind not in "iuf":
        raise TypeError(
            f"{caller}: scaling stores real numbers in whole ones: it needs dtype= of such a "
            f"kind, such as 'int16', got dtype={dtype!r} for {array.dtype} values"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{caller}: {dtype} cannot hold NaN or infinity: fill them first")
    if isinstance(scaling, str) and scaling != "auto":
        raise ValueError(f"{caller}: scaling is 'auto' or (slope, intercept), got {scaling!r}")
    pair = _spanning(array, np.iinfo(dtype)) if isinstance(scaling, str) else scaling
    slope, intercept = (float(np.float32(number)) for number in pair)  # as headers hold them
    if not slope:
        raise ValueError(f"{caller}: the slope must not be 0")
    whole = np.rint((array - np.float64(intercept)) / slope)
    remedy = "choose a larger slope, or scaling='auto'"
    return exact(whole, dtype, caller=caller, remedy=remedy), (slope, intercept)


def _spanning(array: Array, limits: np.iinfo[Any]) -> Scaling:
    """Find the finest slope and intercept, both exactly float32, by which the values fit."""
    if array.size == 0:
        return 1.0, 0.0
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind in "iu" and limits.min <= low and high <= limits.max:
        return 1.0, 0.0
    # Stored 0 stands for the intercept: the middle for signed types, the lowest for unsigned.
    start = (low + high) / 2 if limits.min < 0 else low
    intercept = float(np.nextafter(np.float32(start), np.float32(-np.inf)))
    slope = max((high - intercept) / limits.max, (low - intercept) / (limits.min or 1), 0)
    return float(np.nextafter(np.float32(slope or 1), np.float32(np.inf))), intercept


def _converted(array: Array, wanted: np.dtype[Any], caller: str) -> Array:
    numbers = "biufc"
    fits = array.dtype.kind in numbers and wanted.kind in numbers
    if not fits or (array.dtype.kind == "c" and wanted.kind != "c"):
        raise TypeError(
            f"{caller}: {array.dtype} does not convert to {wanted}: "
            "choose what to keep, such as array.real, or another dtype"
        )
    return array.astype(wanted)


def _refuse(changed: Array, array: Array, wanted: np.dtype[Any], caller: str, remedy: str) -> None:
    number = int(np.count_nonzero(changed))
    if not number:
        return
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(changed)), array.shape))
    raise ValueError(
        f"{caller}: {number} of {array.size} {array.dtype} values would change as {wanted} "
        f"(first: {array[where]} at {where}): {remedy}"
    )


def _helper_for(values: object) -> str | None:
    """Name the function that saves such a value, by its type: no package is imported for it."""
    kind = type(values)
    root = kind.__module__.partition(".")[0]
    if root == "pandas" and kind.__name__ in {"DataFrame", "Series"}:
        return "save_table"
    if root == "nibabel" and hasattr(values, "to_file_map"):
        if kind.__name__ == "GiftiImage":
            return "save_gifti, or save_surface, save_metric, save_labels for its arrays"
        return "save_cifti" if kind.__name__ == "Cifti2Image" else "save_image"
    return None
