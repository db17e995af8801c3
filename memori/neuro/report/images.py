"""Pictures of images: slices to scroll through, outlines of masks, carpets of time series.

A picture is one small WebP in which the slices of three planes stand side by side; the page shows
one of each plane at a time. Images are brought to the closest canonical axes (R, A, S) first, and
voxels to squares. What a mask or a segmentation outlines is drawn over an image of the same grid,
if the run has one.

Not promised: values; pictures are for the eye, windowed between the 1st and 99th percentile.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SIDE = 128  # pixels of a slice
SLICES = 16  # of each plane
PLANES = ("sagittal", "coronal", "axial")
_OUTLINE = (255, 170, 0)
_MOST_BYTES = 1_500_000_000  # of an image in memory, as float32
_MOST_VOXELS = 300  # rows of a carpet
_MOST_VOLUMES = 600  # columns

Array = NDArray[Any]


class NotDrawnError(ValueError):
    """A file has no picture, for a reason that the report tells."""


@dataclass
class Volume:
    """An image as it is drawn.

    Attributes
    ----------
    data : array (x, y, z)
        On the closest canonical axes; the mean of a time series.
    zooms : tuple of float
        The size of a voxel in mm.
    grid : tuple
        What two images have in common that can be laid over each other.
    series : array (x, y, z, t) or None
        All of a time series.
    stored : str
        Its shape and the size of its voxels, as stored.
    """

    data: Array
    zooms: tuple[float, ...]
    grid: tuple[Any, ...]
    series: Array | None = None
    stored: str = ""

    @property
    def is_mask(self) -> bool:
        """Whether it outlines something: whole numbers, few of them, and 0 around."""
        if self.series is not None:
            return False
        values = np.unique(self.data[:: max(1, self.data.shape[0] // 64)])
        return bool(
            1 < len(np.unique(self.data) if len(values) < 300 else values) <= 300
            and np.all(values == np.round(values))
            and values[0] == 0
        )


def read_volume(path: str) -> Volume:
    """Read an image to be drawn.

    Raises
    ------
    NotDrawnError
        If it is no image of voxels, or too large.
    """
    image: Any = nib.load(path)
    shape = tuple(image.shape)
    if not isinstance(image, nib.spatialimages.SpatialImage) or len(shape) < 3:
        raise NotDrawnError(f"its shape {shape} is none of voxels")
    if np.prod(shape, dtype=float) * 4 > _MOST_BYTES:
        raise NotDrawnError(f"it is too large for a picture: {' x '.join(map(str, shape))}")
    sizes = " x ".join(f"{each:.3g}" for each in np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0)))
    told = f"{' x '.join(map(str, shape))} voxels of {sizes} mm"
    stored = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine)  # type: ignore[no-untyped-call]
    image = nib.as_closest_canonical(stored)  # type: ignore[no-untyped-call]
    data = _real(np.asanyarray(image.dataobj))
    data = data.reshape(*data.shape[:3], -1) if data.ndim > 3 else data
    grid = (data.shape[:3], tuple(np.round(image.affine, 3).ravel()))
    lengths = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    zooms = tuple(float(each) or 1.0 for each in lengths)
    if data.ndim == 4 and data.shape[3] > 1:
        return Volume(data.mean(axis=3, dtype=np.float32), zooms, grid, data, told)
    return Volume(data.reshape(data.shape[:3]).astype(np.float32), zooms, grid, None, told)


def _real(data: Array) -> Array:
    """Return numbers for what is a colour, complex or a vector, and 0 for what is no number."""
    if data.dtype.names:
        data = np.stack([data[name] for name in data.dtype.names[:3]], -1).mean(-1)
    data = np.abs(data) if np.iscomplexobj(data) else data
    is_float = data.dtype.kind == "f"
    data = np.nan_to_num(data, posinf=0, neginf=0) if is_float else data
    return np.sqrt((data.astype(np.float32) ** 2).sum(axis=-1)) if data.ndim > 4 else data


# Slices


def window_of(data: Array) -> tuple[float, float]:
    """Return which values are black and white."""
    told = data[data != 0]
    if told.size == 0:
        return 0.0, 1.0
    told = told[:: max(1, told.size // 200_000)]
    low, high = (float(each) for each in np.percentile(told, (1, 99)))
    low = min(low, 0.0) if low < 0 or low < high / 2 else low
    return (low, high) if high > low else (min(0.0, low), max(low, 1.0))


def slices(volume: Volume, outline: Volume | None = None) -> bytes:
    """Return the picture of an image: 16 slices of each plane, three rows.

    Parameters
    ----------
    volume : Volume
        The image.
    outline : Volume, optional
        A mask or segmentation of the same grid, drawn as outlines.
    """
    from PIL import Image

    low, high = window_of(volume.data)
    mode = "L" if outline is None else "RGB"
    sheet = Image.new(mode, (SIDE * SLICES, SIDE * 3))
    for axis in range(3):
        zooms = [zoom for place, zoom in enumerate(volume.zooms) if place != axis]
        for column, place in enumerate(_places(volume.data, axis)):
            plane = np.take(volume.data, place, axis)
            grey = np.clip((plane - low) / (high - low), 0, 1) * 255
            picture = _square(_upright(grey.astype(np.uint8)), zooms, mode)
            if outline is not None:
                edge = _edges(np.take(outline.data, place, axis))
                mask = _square(_upright(edge), zooms, "L").point(lambda value: 255 * (value > 90))
                picture.paste(_OUTLINE, mask=mask)
            sheet.paste(picture, (SIDE * column, SIDE * axis))
    return as_webp(sheet)


def _places(data: Array, axis: int) -> list[int]:
    """Return which slices are shown: between the first and the last that hold anything."""
    others = tuple(each for each in range(3) if each != axis)
    held = np.flatnonzero(np.any(data != data.flat[0], axis=others))
    first, last = (int(held[0]), int(held[-1])) if held.size else (0, data.shape[axis] - 1)
    return [round(each) for each in np.linspace(first, last, SLICES)]


def _upright(plane: Array) -> Array:
    return np.ascontiguousarray(np.rot90(plane))


def _square(plane: Array, zooms: list[float], mode: str) -> Any:
    """Return a slice in the middle of a square, with square pixels."""
    from PIL import Image

    height, width = plane.shape[0] * zooms[1], plane.shape[1] * zooms[0]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)
    square = Image.new(mode, (SIDE, SIDE))
    square.paste(small.convert(mode), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square


def _edges(labels: Array) -> Array:
    """Return 255 where a label borders on another one, and is not 0."""
    wide = np.pad(labels, 1, mode="edge")
    middle = wide[1:-1, 1:-1]
    around = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    differs = np.logical_or.reduce([middle != each for each in around])
    return np.where(differs & (middle != 0), 255, 0).astype(np.uint8)


def as_webp(picture: Any, quality: int = 60) -> bytes:
    """Return a Pillow image as a small file."""
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, method=4)
    return stream.getvalue()


# Carpets


def carpet_of(volume: Volume) -> Array:
    """Return the time series of voxels of a 4D image, those that are bright in the mean."""
    assert volume.series is not None
    low, high = window_of(volume.data)
    inside = np.argwhere(volume.data > low + 0.2 * (high - low))
    chosen = inside[:: max(1, len(inside) // _MOST_VOXELS)][:_MOST_VOXELS]
    if not len(chosen):
        raise NotDrawnError("no voxel stands out in the mean")
    return np.asarray(volume.series[tuple(chosen.T)], np.float32)


def carpet(rows: Array) -> bytes:
    """Draw time series as a carpet: a row each, from two standard deviations below to above.

    Parameters
    ----------
    rows : array (n, t)
        The series; of very long ones every so many points.
    """
    from PIL import Image

    rows = rows[:, :: max(1, rows.shape[1] // _MOST_VOLUMES)]
    rows = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, keepdims=True)
    rows = rows / np.where(spread > 0, spread, 1)
    grey = np.clip((rows + 2) / 4 * 255, 0, 255).astype(np.uint8)
    width = max(480, grey.shape[1])
    return as_webp(Image.fromarray(grey).resize((width, 160), Image.Resampling.NEAREST))
