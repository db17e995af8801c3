"""CIFTI-2 files: values on grayordinates, vertices or parcels, with their axes.

A CIFTI file is a matrix whose axes say what each row and column is. `save_cifti` takes the matrix
from you and the axes from another file. Its dtype on disk is that of the data, as in
memori.neuro.data.images; the other file's history (date, user, program) is not carried over.

The same values on the same axes make the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import nibabel
import numpy as np
import numpy.typing as npt

from memori.neuro.data.dtypes import Array, as_array, on_disk, refuse_changed
from memori.neuro.data.gifti import xml_text
from memori.neuro.data.saving import save, suffix_of

nib: Any = nibabel  # only half of it is typed
_CODES: dict[
    tuple[str, ...], tuple[str, int]
] = {  # the two axes' kinds (rows, columns): suffix and intent code
    ("Series", "BrainModel"): ("dtseries", 3002),
    ("Scalar", "BrainModel"): ("dscalar", 3006),
    ("Label", "BrainModel"): ("dlabel", 3007),
    ("BrainModel", "BrainModel"): ("dconn", 3001),
    ("Series", "Parcels"): ("ptseries", 3004),
    ("Scalar", "Parcels"): ("pscalar", 3008),
    ("Label", "Parcels"): ("plabel", 3000),
    ("Parcels", "Parcels"): ("pconn", 3003),
    ("Parcels", "BrainModel"): ("pdconn", 3009),
    ("BrainModel", "Parcels"): ("dpconn", 3010),
}


def save_cifti(
    data: npt.ArrayLike | nibabel.Cifti2Image,
    path: str | os.PathLike[str] | None = None,
    *,
    like: nibabel.Cifti2Image | str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    dtype: npt.DTypeLike | None = None,
) -> str:
    """Save a matrix on the axes of another CIFTI file.

    Parameters
    ----------
    data : array-like of shape (rows, columns) or (columns,), or nibabel Cifti2Image
        The values; the columns are grayordinates or parcels, as in `like`. A Cifti2Image brings
        its own axes. bool is stored as uint8.
    path : str or os.PathLike, optional
        A name in ``.nii``, by convention with the kind before it (``.dscalar.nii``). By default
        ``cifti`` and the suffix of its axes in the folder of the running stage.
    like : nibabel Cifti2Image, str or os.PathLike
        The file whose axes hold here too: both if the shapes are equal, else the columns.
    names : sequence of str, optional
        One name for each row: the rows become named maps (a ``.dscalar.nii`` or ``.pscalar.nii``)
        instead of what they are in `like`. Data of shape (columns,) are one such map.
    dtype : dtype-like, optional
        The type on disk, if not that of the data; float32 is usual. See `save_image`.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If the shape does not fit the axes, or values would change in `dtype`.
    TypeError
        If `like` is missing or no CIFTI file, or the dtype is one that few tools read.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> cortex = nibabel.cifti2.BrainModelAxis.from_mask(np.ones(4), name="cortex_left")
    >>> bold = nibabel.Cifti2Image(
    ...     np.zeros((10, 4), np.float32), (nibabel.cifti2.SeriesAxis(0, 2, 10), cortex)
    ... )
    >>> mean = np.ones(4, np.float32)
    >>> path = save_cifti(mean, f"{folder.name}/mean.dscalar.nii", like=bold, names=["mean"])
    >>> nibabel.load(path).header.get_axis(0).name.tolist()
    ['mean']
    """
    if path is not None:
        suffix_of(path, (".nii",), "save_cifti")
    model = _model(data, like)
    if isinstance(data, nibabel.Cifti2Image):
        if names is not None:
            raise TypeError("save_cifti: names= is for arrays; an image has its own axes")
        refuse_changed(data, "save_cifti", "nib.Cifti2Image(image.get_fdata(), image.header)")
        own = as_array(np.asanyarray(data.dataobj), "save_cifti")
        values = on_disk(own, dtype, caller="save_cifti")
        axes = _axes(model)
    else:
        values = on_disk(as_array(data, "save_cifti"), dtype, caller="save_cifti")
        values, axes = _placed(values, model, names)
    _check_names(axes)
    kinds = [type(axis).__name__.removesuffix("Axis") for axis in axes]
    suffix, code = _CODES.get(tuple(kinds), ("cifti", 3000))
    image = _image(values, axes, code)

    def write(stream: BinaryIO) -> None:
        image.to_stream(stream)

    return save(write, path, default=f"cifti.{suffix}.nii", caller="save_cifti")


def _model(data: object, like: Any) -> Any:
    given = isinstance(data, nibabel.Cifti2Image)
    if given == (like is not None):
        raise TypeError(
            "save_cifti needs the axes once: like=(a CIFTI image or its path) for an array, "
            "and none for a nibabel Cifti2Image"
        )
    model = data if given else like
    if isinstance(model, (str, os.PathLike)):
        model = nib.load(model)
    if not isinstance(model, nibabel.Cifti2Image):
        raise TypeError(f"save_cifti: like is a {type(model).__name__}: expected a CIFTI-2 file")
    return model


def _axes(model: Any) -> tuple[Any, ...]:
    return tuple(model.header.get_axis(place) for place in range(model.ndim))


def _check_names(axes: tuple[Any, ...]) -> None:
    """Raise unless readers can read every name of maps, parcels and labels."""
    for axis in axes:
        for name in getattr(axis, "name", ()):
            if name:
                xml_text(name, "a name on an axis", "save_cifti")
        for table in getattr(axis, "label", ()):
            for key, (name, _) in table.items():
                xml_text(name, f"the name of label {key}", "save_cifti")


def _placed(
    values: Array, model: Any, names: Sequence[str] | None
) -> tuple[Array, tuple[Any, ...]]:
    """Give each dimension of the values its axis; a single map gets its row."""
    axes = _axes(model)
    if isinstance(names, (str, bytes)):
        names = [names]
    if names is not None:
        names = [xml_text(name, "the name of a map", "save_cifti") for name in names]
    rows = values[None] if values.ndim == 1 and len(axes) == 2 else values
    if names is None and rows is not values:
        names = ["map"]
    if names is None and rows.shape == model.shape:
        return rows, axes
    fits = len(axes) == 2 and rows.ndim == 2 and rows.shape[1] == model.shape[1]
    if not fits or names is None or len(names) != len(rows):
        raise ValueError(
            f"save_cifti: data of shape {values.shape} do not fit the axes of like, shape "
            f"{model.shape}: give the same shape, or rows of {model.shape[-1]} values with a name "
            f"for each (names=, got {'none' if names is None else len(names)})"
        )
    return rows, (nib.cifti2.ScalarAxis(list(names)), axes[1])


def _image(values: Array, axes: tuple[Any, ...], code: int) -> Any:
    shape = tuple(len(axis) for axis in axes)
    if values.shape != shape:
        raise ValueError(f"save_cifti: data of shape {values.shape} on axes of lengths {shape}")
    header = nib.Nifti2Header(endianness="<")
    header.set_intent(code, name=nib.nifti1.intent_codes.label[code])
    try:
        header.set_data_dtype(values.dtype)
    except nibabel.spatialimages.HeaderDataError as error:
        raise TypeError(
            f"save_cifti: NIfTI cannot hold {values.dtype}: pass dtype='float32'"
        ) from error
    return nib.Cifti2Image(values, axes, nifti_header=header)
