"""What the GIFTI files of memori.neuro have in common: writing, reading a model, checking arrays.

GIFTI stores float32, int32 and uint8, nothing else. Other dtypes are converted only where no value
changes (float64 coordinates that FreeSurfer's float32 file held, int64 vertex numbers); results
that would be rounded need ``dtype=numpy.float32``, so that the rounding is written in the script.

The files hold what is given and the few metadata that say which structure they lie on. No dates,
user names or file names: equal arrays make equal bytes (gzip-compressed inside; not promised: by
another version of zlib).
"""

from __future__ import annotations

import copy
import os
import re
from typing import Any, BinaryIO

import nibabel
import nibabel.gifti
import numpy as np
import numpy.typing as npt

from memori.neuro.data.dtypes import Array, as_array, asked, exact
from memori.neuro.data.saving import save, suffix_of

gii: Any = nibabel.gifti  # only half of it is typed
Gifti = nibabel.GiftiImage | str | os.PathLike[str]

_TRIANGLE, _NODE_INDEX = 1009, 2002  # intents
_ASCII, _GZIPPED, _EXTERNAL = 1, 3, 4  # encodings
_AS_TEXT = "%f"  # as nibabel writes it
_TYPES: Any = nibabel.nifti1.data_type_codes
_ANEW = "make a new array of them, nibabel.gifti.GiftiDataArray(data.astype('float32'), intent)"
_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STRUCTURE = "AnatomicalStructurePrimary"
_ROUND = "pass dtype=numpy.float32 to round them"


def save_gifti(image: nibabel.GiftiImage, path: str | os.PathLike[str] | None = None) -> str:
    """Save a nibabel GIFTI image as it is.

    Parameters
    ----------
    image : nibabel GiftiImage
        Its arrays must be float32, int32 or uint8.
    path : str or os.PathLike, optional
        A name in ``.gii``. By default ``image.gii`` in the folder of the running stage.

    Returns
    -------
    str
        The path.
    """
    return write_gifti(image, path, "image.gii", "save_gifti")


def write_gifti(
    image: nibabel.GiftiImage, path: str | os.PathLike[str] | None, default: str, caller: str
) -> str:
    """Write an image to `path`, or to a name like `default` in the run's folder."""
    if path is not None:
        suffix_of(path, (".gii",), caller)
    if not isinstance(image, nibabel.GiftiImage):
        raise TypeError(
            f"{caller}: expected a nibabel GiftiImage, got {type(image).__name__}; of arrays "
            "save_surface, save_metric and save_labels make one"
        )
    _check_texts(image, caller)
    exactly = copy.copy(image)
    exactly.darrays = [_without_loss(array, caller) for array in image.darrays]

    def write(stream: BinaryIO) -> None:
        stream.write(exactly.to_xml())

    return save(write, path, default=default, caller=caller)


def _without_loss(array: Any, caller: str) -> Any:
    """Return a data array that a file holds as it is.

    That is in binary where text would round it, or where it was loaded from a file of its own.

    Raises
    ------
    ValueError
        If its type is one of whole numbers, by what it was made of, and its numbers are no more.
    """
    if array.data is None:
        return array
    data, held = np.asanyarray(array.data), _TYPES.dtype[array.datatype]
    if held.kind in "iu":
        exact(data, held, caller=caller, remedy=_ANEW)
    is_packed = array.encoding == _EXTERNAL or (
        array.encoding == _ASCII and held.kind == "f" and _is_rounded(data.astype(held))
    )
    if is_packed:
        array = copy.copy(array)
        array.encoding, array.ext_fname, array.ext_offset = _GZIPPED, "", 0
    return array


def _is_rounded(numbers: Array) -> bool:
    """Tell whether the text that nibabel writes for numbers gives other ones."""
    back = np.char.mod(_AS_TEXT, numbers).astype(numbers.dtype)
    return not np.array_equal(back, numbers, equal_nan=True)


# Arrays ----------------------------------------------------------------------------------------


def shaped(values: npt.ArrayLike, shape: tuple[int | None, ...], what: str, caller: str) -> Array:
    """Return the values as an array of the given shape (None: any length), or raise ValueError."""
    array = as_array(values, caller)
    fits = array.ndim == len(shape) and all(
        wanted in (None, got) for wanted, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{caller}: expected {what}, got shape {array.shape}")
    return np.ascontiguousarray(array)


def float32(array: Array, dtype: npt.DTypeLike | None, caller: str) -> Array:
    """Return the array as float32; rounded only if `dtype` says so."""
    if dtype is None:
        return exact(array, np.float32, caller=caller, remedy=_ROUND)
    if np.dtype(dtype) != np.float32:
        raise TypeError(f"{caller}: GIFTI coordinates are float32, got dtype={dtype!r}")
    return asked(array, np.float32, caller=caller)


def storable(array: Array, dtype: npt.DTypeLike | None, caller: str) -> Array:
    """Convert to one of GIFTI's three types: unasked, to the one that holds every value."""
    storable = (np.float32, np.int32, np.uint8)
    if dtype is not None:
        if np.dtype(dtype) not in storable:
            raise TypeError(f"{caller}: GIFTI holds float32, int32 and uint8, got {dtype!r}")
        return asked(array, dtype, caller=caller, remedy="choose another dtype")
    if array.dtype in storable:
        return array
    wanted = {"b": np.uint8, "i": np.int32, "u": np.int32}.get(array.dtype.kind, np.float32)
    return exact(array, wanted, caller=caller, remedy=_ROUND)


def check_vertices(number: int, model: Any, caller: str) -> None:
    """Raise ValueError unless the model has this number of vertices, as far as it says so."""
    arrays = [] if model is None else model.darrays
    if any(array.intent == _NODE_INDEX for array in arrays):
        return  # it lists some vertices, and not how many there are
    counts = [array.dims[0] for array in arrays if array.intent != _TRIANGLE]
    if counts and number != counts[0]:
        raise ValueError(
            f"{caller}: {number} vertices, but like has {counts[0]}: they lie on different surfaces"
        )


# What is said about them -----------------------------------------------------------------------


def loaded(like: Gifti | None) -> Any:
    """Return the GIFTI image that serves as a model, loaded if it is a path."""
    if like is None or isinstance(like, nibabel.GiftiImage):
        return like
    image = nibabel.load(like)
    if not isinstance(image, nibabel.GiftiImage):
        raise TypeError(f"like: expected a GIFTI file, got {type(image).__name__}: {like!s}")
    return image


def on_structure(structure: str | None, model: Any) -> Any:
    """Make the metadata that name the structure: the one given, else that of the model."""
    if structure is None and model is not None:
        places = [model.meta, *(array.meta for array in model.darrays)]
        structure = next((meta[STRUCTURE] for meta in places if STRUCTURE in meta), None)
    return gii.GiftiMetaData({} if structure is None else {STRUCTURE: structure})


def xml_text(text: object, what: str, caller: str) -> str:
    """Return a text that XML can hold; bytes are UTF-8.

    Raises
    ------
    ValueError
        If it is empty, or holds control characters.
    TypeError
        If it is no text.
    """
    try:
        plain = str(text, "utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise ValueError(f"{caller}: {what} is {text!r}, which is no UTF-8: decode it") from error
    if not isinstance(plain, str):
        raise TypeError(f"{caller}: {what} is {text!r}: expected a text")
    plain = str(plain)  # of numpy's kind, too
    if not plain.strip():
        raise ValueError(f"{caller}: {what} is empty, and readers would find none: name it")
    if _NO_XML.search(plain):
        raise ValueError(
            f"{caller}: {what} is {plain!r}, with a character that XML cannot hold: remove it"
        )
    return plain


def _check_texts(image: Any, caller: str) -> None:
    """Raise unless readers can read every name in an image."""
    for label in image.labeltable.labels:
        xml_text(getattr(label, "label", ""), f"the name of label {label.key}", caller)
    for meta in (image.meta, *(array.meta for array in image.darrays)):
        for name, value in meta.items():
            xml_text(name, "a name of metadata", caller)
            if value:
                xml_text(f".{value}", f"the metadata {name!r}", caller)
