"""Images on disk: what the numbers are is explicit, where they lie is carried over.

An image is numbers on a grid in space. `save_image` takes the numbers from you and the grid from
another image (``like=``) or an affine, and writes what it was given: the dtype on disk is the
dtype of the numbers with slope 1 and intercept 0, never that of the other image's header (float
results in an int16 header, quietly rescaled, are the classic accident).

What is carried over from ``like``, bit for bit where both are NIfTI: voxel sizes, units, qform and
sform with their codes, dim_info; if both have a fourth axis also the repetition time and the slice
timing. Its intent and time offset only if shape and kind of number (whole, floating, complex) are
the same: a mask of a z map is no z map. Never: display range, description, file names, extensions
(they tell the other image's story, at times with names and dates).

The same numbers on the same grid make the same bytes, always little-endian, with no date in the
gzip header. Not promised: the same compressed bytes from another version of zlib.
"""

from __future__ import annotations

import gzip
import os
from typing import Any, BinaryIO

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.arrayproxy import ArrayProxy
from nibabel.brikhead import AFNIImage
from nibabel.filebasedimages import FileBasedImage
from nibabel.nifti1 import Nifti1Pair
from nibabel.parrec import PARRECImage
from nibabel.spatialimages import HeaderDataError, SpatialImage

from memori.neuro.data.dtypes import Array, Scaling, as_array, on_disk, refuse_changed, scaled
from memori.neuro.data.saving import save, suffix_of

nib: Any = nibabel  # only half of it is typed

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh")
_SPACE = (
    "pixdim", "dim_info", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
_TIMING = ("slice_code", "slice_start", "slice_end", "slice_duration")
_MEANING = ("intent_code", "intent_name", "intent_p1", "intent_p2", "intent_p3", "toffset")
_PACKING = ("sizeof_hdr", "magic", "vox_offset")  # set by nibabel for the file that it writes
_SPACE_UNITS, _SECONDS = 0b000111, 8  # of the field xyzt_units
_AFNI_SECONDS = {77001: 0.001, 77002: 1.0}  # by the unit in TAXIS_NUMS: milliseconds, seconds
_LARGEST_NIFTI1 = 32767
_MGH_SPACE = ("goodRASFlag", "delta", "Mdc", "Pxyz_c")
_MGH_TIMING = ("flip_angle", "te", "ti", "fov")
_MGH_DTYPES = (np.uint8, np.int16, np.int32, np.float32)
_ANEW = "type(image)(image.get_fdata(), image.affine, image.header)"
_NO_DTYPE = "save_image: {} cannot hold {}: choose a type that it can, such as dtype='float32'"


def save_image(
    data: npt.ArrayLike | FileBasedImage,
    path: str | os.PathLike[str] | None = None,
    *,
    like: FileBasedImage | str | os.PathLike[str] | None = None,
    affine: npt.ArrayLike | None = None,
    dtype: npt.DTypeLike | None = None,
    scaling: str | Scaling | None = None,
    tr: float | None = None,
) -> str:
    """Save numbers on a grid as a NIfTI (or MGH) image.

    Parameters
    ----------
    data : array-like of shape (x, y), (x, y, z) or (x, y, z, t, ...), or nibabel image
        The numbers: whole, floating, complex, or RGB (``[("R", "u1"), ("G", "u1"), ("B", "u1")]``).
        bool is stored as uint8, 0 and 1. A nibabel image brings its own grid and header, and its
        numbers are stored as they lay on disk. If what its ``get_fdata()`` gave was changed in
        place, it is refused: nibabel keeps the old numbers beside.
    path : str or os.PathLike, optional
        A name in ``.nii.gz``, ``.nii``, ``.mgz`` or ``.mgh``. By default ``image.nii.gz`` in the
        folder of the running stage, and ``image-2.nii.gz`` and so on for further ones.
    like : nibabel image, str or os.PathLike, optional
        The image (or its path) whose grid the data lie on: equal in the first three axes (a slice
        has one voxel in the third). A 3-D result of a 4-D image and the reverse are welcome.
    affine : array-like of shape (4, 4), optional
        Instead of `like`: voxel indices to mm in RAS+ world space.
    dtype : dtype-like, optional
        The type on disk, if not that of the data. Floats may be rounded to shorter floats by it;
        anything else that would change a value is an error.
    scaling : "auto" or (slope, intercept), optional
        Store floats in the whole numbers of `dtype`: value = slope * stored + intercept, rounded
        to the nearest stored number. ``"auto"`` spans the range of the data.
    tr : float, optional
        The repetition time in seconds, for data of four axes. By default that of a 4-D `like`;
        else the fourth axis counts volumes (1, unit unknown).

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If `data` does not lie on the grid of `like`, values would change in `dtype`, or an image
        was changed in memory.
    TypeError
        If the format cannot hold the dtype. 64-bit integers, which most tools cannot read, are
        refused unless asked for by `dtype`.
    MemoriError
        If no path is given and no stage is running.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> bold = nib.Nifti1Image(np.zeros((2, 2, 2, 5), np.int16), np.diag([3, 3, 3, 1]))
    >>> mean = bold.get_fdata(dtype=np.float32).mean(axis=3)
    >>> path = save_image(mean, f"{folder.name}/mean.nii.gz", like=bold)
    >>> image = nib.load(path)
    >>> image.shape, image.get_data_dtype().name, image.header.get_zooms()[0].item()
    ((2, 2, 2), 'float32', 3.0)
    """
    if path is not None:
        suffix = suffix_of(path, SUFFIXES, "save_image")
    else:
        suffix = ".mgz" if isinstance(data, nib.MGHImage) else ".nii.gz"
    if isinstance(data, FileBasedImage):
        _refuse_grid(like, affine)
        source = _spatial(data, "data")
        refuse_changed(source, "save_image", _ANEW)
        numbers, pair = _numbers_of(source, dtype, scaling)
        grid, header = source.affine, _own_header(source)
    else:
        source, grid = _source(like, affine)
        numbers, pair = _stored(as_array(data, "save_image"), dtype, scaling)
        _check_grid(numbers.shape, source)
        header = _header_like(numbers, source)
    _set_tr(header, numbers.ndim, tr)
    convert = _mgh if suffix in (".mgz", ".mgh") else _nifti
    image = convert(numbers, pair, grid, header, source)

    def write(stream: BinaryIO) -> None:
        if suffix in (".nii.gz", ".mgz"):
            write_gzip(image, stream)
        else:
            image.to_stream(stream)

    return save(write, path, default=f"image{suffix}", caller="save_image")


def write_gzip(image: Any, stream: BinaryIO) -> None:
    """Write a nibabel image to `stream`, compressed, with neither name nor date in the header."""
    with gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed:
        image.to_stream(packed)


# What the grid is ------------------------------------------------------------------------------


def _refuse_grid(like: object, affine: object) -> None:
    if like is not None or affine is not None:
        raise TypeError(
            "save_image: a nibabel image has its own grid: pass its array to use another "
            "(save_image(numpy.asanyarray(image.dataobj), like=...))"
        )


def _source(
    like: FileBasedImage | str | os.PathLike[str] | None, affine: npt.ArrayLike | None
) -> tuple[Any, Any]:
    """Return the image that the data lie on (None if there is none), and the affine."""
    if (like is None) == (affine is None):
        raise TypeError(
            "save_image needs to know where the data lie, once: like=(an image on the same grid, "
            "or its path) or affine=(4 x 4, voxels to mm)"
        )
    if like is not None:
        if not isinstance(like, (FileBasedImage, str, os.PathLike)):
            raise TypeError(
                f"save_image: like={type(like).__name__}; expected an image on the same grid, or "
                "its path; an affine is passed as affine="
            )
        image = _spatial(like if isinstance(like, FileBasedImage) else nib.load(like), "like")
        return image, image.affine
    grid = np.asarray(affine, dtype=np.float64)
    if grid.shape != (4, 4) or not np.isfinite(grid).all():
        raise ValueError(
            f"save_image: an affine is a finite array of shape (4, 4), got shape {grid.shape}"
        )
    return None, grid


def _spatial(image: object, what: str) -> Any:
    if isinstance(image, SpatialImage):
        return image
    remedy = "save_gifti" if isinstance(image, nib.GiftiImage) else "save_cifti"
    raise TypeError(
        f"save_image: {what} is a {type(image).__name__}, which has no grid: use {remedy}"
    )


def _check_grid(shape: tuple[int, ...], like: Any) -> None:
    if like is not None and _grid(shape) != _grid(like.shape):
        name = like.get_filename()
        raise ValueError(
            f"save_image: data of shape {shape} do not lie on the grid of "
            f"{repr(name) if name else 'like'} with shape {like.shape}: the first three axes must "
            "be equal; resample the data, choose another like, or give affine="
        )


def _grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1, 1)[:3] if len(shape) > 1 else shape


# What the header says --------------------------------------------------------------------------


def _header_like(numbers: Array, like: Any) -> Any:
    """Make a header for the numbers, with what still holds of that of `like` (None: nothing)."""
    source = like.header if isinstance(like, Nifti1Pair) else None
    header = _blank_header(numbers.shape, source)
    if source is None:
        _set_zooms(header, like)
        return header
    _copy(source, header, _SPACE)
    both = min(numbers.ndim, len(like.shape))
    header["pixdim"][1 + max(both, 3) :] = 1
    if both < 4:
        header["xyzt_units"] = header["xyzt_units"] & _SPACE_UNITS
    else:
        _copy(source, header, _TIMING)
    if numbers.shape == like.shape and _kind(numbers.dtype) == _kind(_value_dtype(like)):
        _copy(source, header, _MEANING)
    return header


def _own_header(image: Any) -> Any:
    """Return the header of an image that is saved as it is."""
    header = _blank_header(image.shape, image.header)
    if isinstance(image, Nifti1Pair):
        own = set(image.header) - set(_PACKING)
        _copy(image.header, header, tuple(name for name in header if name in own))
        if header.get_data_shape() != image.shape:  # of a long vector, as FreeSurfer has them
            header.set_data_shape(image.shape)
        header.extensions.extend(image.header.extensions)
    else:
        _set_zooms(header, image)
    return header


def _set_zooms(header: Any, image: Any) -> None:
    """Take over the voxel sizes of an image that is not NIfTI, and its repetition time."""
    header.set_xyzt_units("mm")
    if image is None:
        return
    zooms = image.header.get_zooms()
    header["pixdim"][1 : len(zooms[:3]) + 1] = zooms[:3]
    both = min(len(image.shape), len(zooms), len(header.get_data_shape()))
    if both < 4:
        return
    if isinstance(image, nib.AnalyzeImage):
        header["pixdim"][4] = zooms[3]  # in a unit that ANALYZE does not know
    elif seconds := _repetition_time(image, float(zooms[3])):
        _set_tr(header, both, seconds)


def _repetition_time(image: Any, zoom: float) -> float:
    """Return the step of an image's fourth axis in seconds; 0 if that is no time, or unknown."""
    if isinstance(image, nib.MGHImage):
        return zoom / 1000
    if isinstance(image, AFNIImage):
        unit = (image.header.info.get("TAXIS_NUMS") or (0, 0, 0))[2]
        return zoom * _AFNI_SECONDS.get(unit, 0)
    if isinstance(image, PARRECImage):
        return zoom if image.header.general_info["max_dynamics"] > 1 else 0
    return 0


def _blank_header(shape: tuple[int, ...], source: object) -> Any:
    large = max(shape, default=0) > _LARGEST_NIFTI1
    kind = nib.Nifti2Header if large or isinstance(source, nib.Nifti2Header) else nib.Nifti1Header
    header = kind(endianness="<")
    try:
        header.set_data_shape(shape)
    except HeaderDataError as error:
        raise ValueError(f"save_image: NIfTI cannot hold shape {shape}: {error}") from error
    return header


def _copy(source: Any, target: Any, fields: tuple[str, ...]) -> None:
    for field in fields:
        target[field] = source[field]


def _set_tr(header: Any, ndim: int, tr: float | None) -> None:
    if tr is None:
        return
    if ndim < 4:
        raise ValueError(f"save_image: tr is for data of four axes, got {ndim}: leave it out")
    header["pixdim"][4] = tr
    header["xyzt_units"] = (header["xyzt_units"] & _SPACE_UNITS) | _SECONDS


def _value_dtype(image: Any) -> Any:
    """Return the dtype of an image's values, after scaling, without reading them."""
    proxy = image.dataobj
    scales = isinstance(proxy, ArrayProxy) and (proxy.slope, proxy.inter) != (1, 0)
    return np.dtype(np.float64) if scales else proxy.dtype


def _kind(dtype: np.dtype[Any]) -> str:
    return "whole" if dtype.kind in "iu" else dtype.kind


# What the numbers are --------------------------------------------------------------------------


def _numbers_of(
    image: Any, dtype: npt.DTypeLike | None, scaling: str | Scaling | None
) -> tuple[Array, Scaling | None]:
    """Return an image's numbers: as they lie on disk, if they do and nothing else is asked."""
    proxy = image.dataobj
    if type(proxy) is not ArrayProxy or dtype is not None or scaling is not None:
        return _stored(as_array(np.asanyarray(proxy), "save_image"), dtype, scaling)
    pair = (float(proxy.slope), float(proxy.inter))
    return np.asanyarray(image.dataobj.get_unscaled()), None if pair == (1, 0) else pair


def _stored(
    numbers: Array, dtype: npt.DTypeLike | None, scaling: str | Scaling | None
) -> tuple[Array, Scaling | None]:
    """Return the numbers as they go to disk, with their slope and intercept if they have such."""
    if scaling is not None:
        return scaled(numbers, dtype, scaling, caller="save_image")
    return on_disk(numbers, dtype, caller="save_image"), None


# The image -------------------------------------------------------------------------------------


def _nifti(numbers: Array, pair: Scaling | None, grid: Any, header: Any, source: Any) -> Any:
    try:
        header.set_data_dtype(numbers.dtype)
    except HeaderDataError as error:
        raise TypeError(_NO_DTYPE.format("NIfTI", numbers.dtype)) from error
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    image = kind(numbers, grid, header)
    # Set, so that nibabel writes the numbers as they are and computes no scaling of its own.
    image.header.set_slope_inter(*(pair or (1, 0)))
    return image


def _mgh(numbers: Array, pair: Scaling | None, grid: Any, header: Any, source: Any) -> Any:
    if pair is not None:
        raise TypeError("save_image: MGH has no slope and intercept: save to .nii.gz")
    if numbers.dtype.newbyteorder("=") not in _MGH_DTYPES or numbers.ndim not in (3, 4):
        what = f"{numbers.dtype} of shape {numbers.shape}"
        raise TypeError(_NO_DTYPE.format("MGH", what))
    image = nib.MGHImage(numbers, header.get_best_affine() if grid is None else grid)
    unit = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}.get(header.get_xyzt_units()[1])
    if numbers.ndim == 4 and unit:
        image.header["tr"] = header["pixdim"][4] * unit
    if isinstance(source, nib.MGHImage):
        _copy(source.header, image.header, _MGH_SPACE + _MGH_TIMING)
    return image
