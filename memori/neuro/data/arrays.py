"""Arrays on disk: ``.npy`` for one, ``.npz`` for several.

What passes between stages is JSON, and an array is not. `save_array` puts it in a file and returns
the path, which stands for the file's content; `load_array` maps it back. Type, byte order, shape
and C or Fortran order come back as they were, and equal arrays make equal bytes: neither format
records a date or a name here.

Not promised: subclasses (a `numpy.matrix` or a record array comes back as a plain array), strides
other than C or Fortran order, and the `metadata` of a dtype. Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from memori.neuro.data.dtypes import Array, as_array
from memori.neuro.data.saving import save, suffix_of

# The earliest date that a zip file can hold.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_OF_ANOTHER_PACKAGE = 2  # of what numpy tells in `isbuiltin`
_LONGEST_HEADER = 1 << 18  # letters: some ten thousand fields, where numpy reads some hundred


def save_array(
    array: npt.ArrayLike | Mapping[str, npt.ArrayLike], path: str | os.PathLike[str] | None = None
) -> str:
    """Save an array, or several by name, with dtype, shape and order exactly kept.

    Parameters
    ----------
    array : array-like or mapping of str to array-like
        An array of any shape (0-d and empty included) and any dtype but Python objects: numbers,
        bool, complex, strings of fixed length, dates, structured; either byte order.
        A mapping saves all of its arrays in one ``.npz`` file, in its order.
    path : str or os.PathLike, optional
        A name in ``.npy``, or in ``.npz`` for a mapping. By default ``array.npy`` (``arrays.npz``)
        in the folder of the running stage, and ``array-2.npy`` and so on for further ones.

    Returns
    -------
    str
        The path.

    Raises
    ------
    TypeError
        If the dtype holds Python objects or is of another package (bfloat16), the array is masked,
        or a name is not a plain string.
    ValueError
        If the path ends otherwise.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = save_array(np.eye(2, dtype=np.float32), f"{folder.name}/identity.npy")
    >>> load_array(path)
    memmap([[1., 0.],
            [0., 1.]], dtype=float32)
    >>> path = save_array({"mean": [1.5, 2.5], "n": 12}, f"{folder.name}/summary.npz")
    >>> load_array(path)["mean"]
    array([1.5, 2.5])
    """
    if isinstance(array, Mapping):
        return _save_several(array, path)
    one = _plain_array(array)
    if path is not None:
        suffix_of(path, (".npy",), "save_array of one array")

    def write(stream: BinaryIO) -> None:
        np.lib.format.write_array(stream, one, allow_pickle=False)

    return save(write, path, default="array.npy", caller="save_array")


def load_array(path: str | os.PathLike[str], *, mmap_mode: Literal["r", "c"] | None = "r") -> Any:
    """Load what `save_array` saved.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.npy`` or ``.npz`` file.
    mmap_mode : {"r", "c", None}, optional
        How a ``.npy`` is opened: ``"r"`` (default) maps it read-only, so that only what is used is
        read; ``"c"`` maps it copy-on-write: changes stay in memory; None reads it all. Modes that
        write to the file are not offered, for an artifact is not changed in place.

    Returns
    -------
    numpy.ndarray or dict of str to numpy.ndarray
        The array (a `numpy.memmap` if mapped), or for an ``.npz`` file its arrays by name, read
        whole.

    Raises
    ------
    ValueError
        If the file is not of these formats, is damaged, or holds pickled objects.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = save_array(np.arange(4), f"{folder.name}/series.npy")
    >>> series = load_array(path, mmap_mode="c")
    >>> series[0] = 7  # in memory only
    >>> load_array(path).tolist()
    [0, 1, 2, 3]
    """
    if mmap_mode not in ("r", "c", None):
        raise ValueError(
            f"load_array: mmap_mode is 'r', 'c' or None, got {mmap_mode!r}: "
            "save a changed array under its own name"
        )
    name = os.fspath(path)
    try:
        with open(name, "rb") as stream:
            kind = stream.read(6)
            stream.seek(0)
            if kind.startswith(b"PK"):
                return _read_several(stream)
            if mmap_mode is None:
                return _read_one(stream)
        return np.lib.format.open_memmap(name, mode=mmap_mode, max_header_size=_LONGEST_HEADER)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"load_array: {name!r} is no .npy or .npz file: {error}") from error


def _save_several(arrays: Mapping[str, npt.ArrayLike], path: str | os.PathLike[str] | None) -> str:
    several = {_plain_name(key): _plain_array(one) for key, one in arrays.items()}
    if path is not None:
        suffix_of(path, (".npz",), "save_array of several arrays")

    def write(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for key, one in several.items():
                member = zipfile.ZipInfo(f"{key}.npy", _NO_DATE)
                member.create_system = 3  # the same bytes on every system
                with archive.open(member, "w", force_zip64=True) as part:
                    np.lib.format.write_array(cast(BinaryIO, part), one, allow_pickle=False)

    return save(write, path, default="arrays.npz", caller="save_array")


def _read_several(stream: BinaryIO) -> dict[str, Array]:
    with zipfile.ZipFile(stream) as archive:
        arrays = {}
        for member in archive.namelist():
            with archive.open(member) as part:
                arrays[member.removesuffix(".npy")] = _read_one(cast(BinaryIO, part))
        return arrays


def _read_one(stream: BinaryIO) -> Array:
    return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_LONGEST_HEADER)


def _plain_array(values: object) -> Array:
    """Return an array whose dtype a file can say: `.npy` knows those of numpy itself."""
    array = as_array(values, "save_array")
    if not _is_kept(array.dtype):
        raise TypeError(
            f"save_array: .npy cannot hold the dtype {array.dtype}, so that the array would come "
            "back as another, or not at all: convert it, such as array.astype('float32'), or "
            "numpy.lib.recfunctions.repack_fields(array) where the fields lie in another order"
        )
    return array


def _is_kept(dtype: np.dtype[Any]) -> bool:
    """Tell whether `.npy` has words for a dtype: not for those of ml_dtypes (bfloat16)."""
    if dtype.subdtype is not None:
        dtype = dtype.subdtype[0]
    if dtype.names is None:
        return dtype.isbuiltin != _OF_ANOTHER_PACKAGE
    try:
        return bool(dtype.descr) and all(_is_kept(dtype[name]) for name in dtype.names)
    except ValueError:
        return False  # fields that overlap, or lie in another order than they are named


def _plain_name(key: object) -> str:
    if not isinstance(key, str) or not key or any(c in key for c in "/\\\0"):
        raise TypeError(f"save_array: an array's name is a string without slashes, got {key!r}")
    return key
