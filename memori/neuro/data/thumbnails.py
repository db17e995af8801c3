"""A small picture of a NIfTI image: its three middle slices, in gray, as PNG.

Made for people to see that an output looks as it should; nothing is decided by it.

Not promised: a picture of images that are large, complex, coloured or damaged.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

import nibabel as nib
import numpy as np

_LARGEST = 40_000_000  # bytes of a file that is read for a picture
_SIDE = 96  # pixels


def thumbnail(path: str) -> bytes | None:
    """Return the picture of an image; None if there is none."""
    try:
        if os.path.getsize(path) > _LARGEST:
            return None
        image: Any = nib.load(path)
        if len(image.shape) < 3 or not np.issubdtype(image.get_data_dtype(), np.number):
            return None
        first = (slice(None),) * 3 + (0,) * (len(image.shape) - 3)
        canonical: Any = nib.as_closest_canonical
        volume = np.asarray(canonical(image).dataobj[first])
    except Exception:  # whatever is wrong with the file: a picture is no place to say so
        return None
    if np.iscomplexobj(volume) or volume.size == 0:
        return None
    volume = np.nan_to_num(volume.astype(np.float32), posinf=0, neginf=0)
    middle = [length // 2 for length in volume.shape]
    slices = [np.take(volume, at, axis).T[::-1] for axis, at in enumerate(middle)]
    low, high = np.percentile(np.concatenate([each.ravel() for each in slices]), (1, 99))
    scale = 255 / (high - low) if high > low else 1.0
    return _png(np.hstack([_squared((each - low) * scale) for each in slices]))


def _squared(slice_: Any) -> Any:
    """Return a slice in a square of a fixed size, by its nearest pixels."""
    rows, columns = slice_.shape
    step = max(rows, columns) / _SIDE
    found = np.zeros((_SIDE, _SIDE), np.uint8)
    at = [np.minimum(np.arange(int(n / step)) * step, n - 1).astype(int) for n in (rows, columns)]
    inner = np.clip(slice_[np.ix_(*at)], 0, 255).astype(np.uint8)
    top, left = ((_SIDE - each) // 2 for each in inner.shape)
    found[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return found


def _png(pixels: Any) -> bytes:
    """Return gray pixels as a PNG file."""
    rows, columns = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = (
        (b"IHDR", struct.pack(">2I5B", columns, rows, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
