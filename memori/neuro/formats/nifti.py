"""NIfTI-1 and NIfTI-2: single files and .hdr/.img pairs, gzipped or not, in either byte order.

What counts: the version, every header field but those in `_NOT_COUNTED`, the extensions (see
`memori.neuro.formats.extensions`) and the voxels. Fields and voxels are compared in little-endian
order, so packing, byte order and the number of files do not count, and `scl_slope` 0, 1 and NaN
differ, because not all programs read them alike. NIfTI-1 and NIfTI-2 of one image differ too.

CIFTI-2 is NIfTI-2 whose extension 32 holds the axes; it needs nothing of its own here.

Declined (so that the bytes are the identity): sizes that are zero, negative or do not agree with
the file, data types of one bit, extensions that do not fit, bytes after the image; and what one of
the field's readers refuses: `vox_offset` that is no multiple of 16 (SPM) or lies inside the header,
an extension whose size is none or a flag of extensions other than 1 (nifti_clib), a pair of which
one half is gzipped (nibabel). ANALYZE 7.5 pairs have no magic and are declined; a pair's bytes then
stand for it, with those of the ``.mat`` that SPM and nibabel read beside it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source
from memori.neuro.formats import extensions
from memori.neuro.formats.swap import each_swapped, swapped


class _Field(NamedTuple):
    name: str
    width: int  # bytes per item
    items: int


def _fields(text: str) -> tuple[_Field, ...]:
    """Read a layout such as ``dim:2x8``: name, bytes per item, items."""
    parsed = []
    for word in text.split():
        name, _, size = word.partition(":")
        width, _, count = size.partition("x")
        parsed.append(_Field(name, int(width), int(count or 1)))
    return tuple(parsed)


# The order and widths of the fields are those of nifti1.h and nifti2.h.
_NIFTI1 = _fields(
    "sizeof_hdr:4 data_type:1x10 db_name:1x18 extents:4 session_error:2 regular:1 dim_info:1"
    " dim:2x8 intent_p:4x3 intent_code:2 datatype:2 bitpix:2 slice_start:2 pixdim:4x8 vox_offset:4"
    " scl_slope:4 scl_inter:4 slice_end:2 slice_code:1 xyzt_units:1 cal_max:4 cal_min:4"
    " slice_duration:4 toffset:4 glmax:4 glmin:4 descrip:1x80 aux_file:1x24 qform_code:2"
    " sform_code:2 quatern:4x3 qoffset:4x3 srow:4x12 intent_name:1x16 magic:1x4"
)
_NIFTI2 = _fields(
    "sizeof_hdr:4 magic:1x8 datatype:2 bitpix:2 dim:8x8 intent_p:8x3 pixdim:8x8 vox_offset:8"
    " scl_slope:8 scl_inter:8 cal_max:8 cal_min:8 slice_duration:8 toffset:8 slice_start:8"
    " slice_end:8 descrip:1x80 aux_file:1x24 qform_code:4 sform_code:4 quatern:8x3 qoffset:8x3"
    " srow:8x12 slice_code:4 xyzt_units:4 intent_code:4 intent_name:1x16 dim_info:1 unused_str:1x15"
)

_NOT_COUNTED = {
    *("sizeof_hdr", "magic", "vox_offset"),  # how it is packed
    *("data_type", "db_name", "extents", "session_error", "regular", "glmax", "glmin"),  # ANALYZE's
    *("cal_max", "cal_min"),  # how to show it
    *("descrip", "aux_file", "unused_str"),
}

_MAGIC = {b"n+1\0": 1, b"ni1\0": 1, b"n+2\0\r\n\x1a\n": 2, b"ni2\0\r\n\x1a\n": 2}

# datatype: (bits per voxel, bytes that are swapped together)
_TYPES = {
    2: (8, 1),  # uint8
    4: (16, 2),  # int16
    8: (32, 4),  # int32
    16: (32, 4),  # float32
    32: (64, 4),  # complex64
    64: (64, 8),  # float64
    128: (24, 1),  # RGB
    256: (8, 1),  # int8
    512: (16, 2),  # uint16
    768: (32, 4),  # uint32
    1024: (64, 8),  # int64
    1280: (64, 8),  # uint64
    1536: (128, 16),  # float128
    1792: (128, 8),  # complex128
    2048: (256, 16),  # complex256
    2304: (32, 1),  # RGBA
}


class _Header:
    """A header whose numbers agree with each other.

    Attributes
    ----------
    version, single
        NIfTI-1 or -2; whether header and voxels share one file.
    big
        Whether the file is big-endian.
    raw
        Little-endian bytes by field.
    """

    def __init__(self, source: Source) -> None:
        start = source.read(4)
        self.big = start in (b"\0\0\x01\x5c", b"\0\0\x02\x1c")
        self.size = int.from_bytes(start, "big" if self.big else "little")
        if self.size not in (348, 540):
            raise BrokenFileError("no NIfTI header")
        raw = start + source.read(self.size - 4)
        self.raw: dict[str, bytes] = {}
        at = 0
        for field in _NIFTI1 if self.size == 348 else _NIFTI2:
            part = raw[at : at + field.width * field.items]
            self.raw[field.name] = swapped(part, field.width) if self.big else part
            at += len(part)
        self.version = _MAGIC.get(self.raw["magic"], 0)
        if self.version != (1 if self.size == 348 else 2):
            raise BrokenFileError("no NIfTI magic")
        self.single = self.raw["magic"][1:2] == b"+"

    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the dimensions in use."""
        dim = struct.unpack("<8h" if self.version == 1 else "<8q", self.raw["dim"])
        shape = dim[1 : dim[0] + 1]
        if not 1 <= dim[0] <= 7 or min(shape) < 1:
            raise BrokenFileError(f"dim {dim} is no shape")
        return shape

    def length(self) -> int:
        """Return the bytes that the voxels take."""
        datatype, bitpix = struct.unpack("<hh", self.raw["datatype"] + self.raw["bitpix"])
        bits, _ = _TYPES.get(datatype, (0, 0))
        if bits == 0 or bits != bitpix:
            raise BrokenFileError(f"datatype {datatype} of {bitpix} bits per voxel")
        voxels = 1
        for size in self.shape():
            voxels *= size
        return voxels * bits // 8

    def unit(self) -> int:
        """Return the number of bytes that byte order turns together."""
        return _TYPES[int.from_bytes(self.raw["datatype"], "little")][1]

    def offset(self) -> int:
        """Return where the voxels start."""
        (offset,) = struct.unpack("<f" if self.version == 1 else "<q", self.raw["vox_offset"])
        first = self.size + 4 if self.single else 0
        if not first <= offset < 2**62 or offset % 16:
            raise BrokenFileError(f"vox_offset {offset}")
        return int(offset)


class _Nifti:
    family = "nifti 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the other half of a pair, gzipped or not; none for a single file."""
        stem, suffix, gz = _split(path)
        other = {".hdr": ".img", ".img": ".hdr"}.get(suffix.lower())
        if other is None:
            return ()
        other = other.upper() if suffix.isupper() else other
        names = [stem + other + gz, stem + other + ("" if gz else ".gz")]
        header = path if suffix.lower() == ".hdr" else names[0]
        if _is_analyze(header):
            names.append(stem + ".mat")
        return tuple(os.path.basename(name) for name in names)

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put header, extensions and voxels into `fields`."""
        header_path, image_path = path, path
        if _split(path)[1].lower() in (".hdr", ".img"):
            header_path, image_path = self._pair(path)
        with Source(header_path) as source:
            header = _Header(source)
            if header.single != (header_path == image_path):
                raise BrokenFileError("a pair's header in a single file, or the reverse")
            offset, length = header.offset(), header.length()
            fields.field("version", str(header.version))
            for name in sorted(header.raw.keys() - _NOT_COUNTED):
                fields.field(name, header.raw[name])
            if header.single:
                _put_extensions(source, offset - header.size, header, fields)
                _put_voxels(source, length, header, fields)
                return
            _put_extensions(source, None, header, fields)
        with Source(image_path, gzipped=image_path.lower().endswith(".gz")) as source:
            source.blank(offset, "the start of an .img and its voxels")
            _put_voxels(source, length, header, fields)

    def _pair(self, path: str) -> tuple[str, str]:
        folder = os.path.dirname(path)
        other, repacked = (os.path.join(folder, name) for name in self.companions(path)[:2])
        if not os.path.isfile(other) or os.path.isfile(repacked):
            raise BrokenFileError("a pair has two halves, packed alike")
        return (path, other) if _split(path)[1].lower() == ".hdr" else (other, path)


NIFTI = _Nifti()


def _split(path: str) -> tuple[str, str, str]:
    """Split ``x.img.gz`` into ``x``, ``.img``, ``.gz``.

    >>> _split("a.b/x.nii")
    ('a.b/x', '.nii', '')
    """
    stem, gz = os.path.splitext(path)
    if gz.lower() != ".gz":
        return stem, gz, ""
    stem, suffix = os.path.splitext(stem)
    return stem, suffix, gz


def _is_analyze(path: str) -> bool:
    """Tell whether a file is a header of ANALYZE 7.5, which says nothing of the place in space."""
    try:
        with Source(path) as source:
            header = source.read(348)
    except (ValueError, OSError, EOFError):
        return False
    sized = header[:4] in (b"\0\0\x01\x5c", b"\x5c\x01\0\0")
    return sized and header[344:] not in (b"n+1\0", b"ni1\0")


def _put_voxels(source: Source, length: int, header: _Header, fields: FieldDigest) -> None:
    pieces: Iterator[bytes] = source.pieces(length)
    if header.big:
        pieces = each_swapped(pieces, header.unit())
    fields.stream("voxels", pieces)
    source.end()


def _put_extensions(source: Source, room: int | None, header: _Header, fields: FieldDigest) -> None:
    """Put the extensions that lie between header and voxels, or to the end of a pair's header."""
    order = ">" if header.big else "<"
    if room is None:
        tail = source.rest_below(extensions.MOST)
        if not tail:
            return  # the four bytes after a pair's header may be left out
        source, room = Source.of(tail), len(tail)
    if room < 4:
        raise BrokenFileError("no room for the extension flag")
    flag, room = source.read(4), room - 4
    if flag[0] == 0:
        source.blank(room, "header and voxels")
        return
    if flag[0] != 1 or room % 16:
        raise BrokenFileError("extensions that not every program finds")
    for _ in range(extensions.MOST_EXTENSIONS):
        if not room:
            return
        size, code = struct.unpack(f"{order}ii", source.read(8))
        if not 16 <= size <= room or size % 16:
            raise BrokenFileError(f"an extension of {size} bytes where {room} are left")
        fields.field("extension", str(code))
        extensions.put(code, source.pieces(size - 8), fields)
        room -= size
    raise BrokenFileError(f"more than {extensions.MOST_EXTENSIONS} extensions")
