"""FreeSurfer: triangle surfaces, MGH/MGZ volumes, annotations, transforms (.lta), statistics.

Of a surface everything counts but the line "created by ... on ..." and the command lines that
programs append, which hold dates, users and machines. Of a volume everything counts but those
command lines and the compression. Of an annotation everything counts but the name of the file
that its colours were read from: vertices, labels, structure names and colours do. Of a transform
everything counts but the two lines at its start that name it, its creator and the date; of
statistics (aseg.stats) everything but the lines that say when, where, by whom and by which command.

Morphometry (lh.curv, lh.thickness) and .label hold nothing volatile: their bytes are compared.
What follows a tag that is not known here counts to the byte.

Declined: quadrangle surfaces and volumes of other versions than 1, counts that do not agree with
the file, and a "created by" that is not UTF-8 (which nibabel refuses).
"""

from __future__ import annotations

import math
import re
import struct

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

MOST_TAIL = 1 << 22  # bytes of tags after the data
MOST_TEXT = 1 << 22  # bytes of a transform, or of statistics

_LTA_VOLATILE = re.compile(rb"# (transform file|created by) [^\n]*\n")
_STATS_VOLATILE = re.compile(
    rb"^# (CreationTime|cmdline|hostname|user|\w*TimeStamp)[ \t][^\n]*\n", re.MULTILINE
)

_TAG_REAL_RAS, _TAG_COMMAND, _TAG_GEOMETRY, _TAG_OLD_XFORM = 2, 3, 20, 30
_UNSIZED = {1, _TAG_REAL_RAS, _TAG_GEOMETRY, _TAG_OLD_XFORM}  # no 64-bit length follows these

_VOXEL_BYTES = {0: 1, 1: 4, 3: 4, 4: 2, 10: 2}  # uchar, int, float, short, ushort


class _OneFile:
    def companions(self, path: str) -> tuple[str, ...]:
        """Return none: each of these is one file."""
        return ()


class _Surface(_OneFile):
    family = "freesurfer surface 1"

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put vertices, faces and tags into `fields`."""
        with Source(path, gzipped=False) as source:
            if source.read(3) != b"\xff\xff\xfe":
                raise BrokenFileError("no triangle surface")
            if not source.through(b"\n", 4096).decode("utf-8").startswith("created by"):
                raise BrokenFileError("nobody created it")
            fields.field("second line", source.through(b"\n", 4096))
            vertices, faces = counts = struct.unpack(">ii", source.read(8))
            if min(counts) < 0:
                raise BrokenFileError(f"{vertices} vertices, {faces} faces")
            fields.field("counts", f"{vertices} {faces}")
            fields.stream("coordinates", source.pieces(12 * vertices))
            fields.stream("faces", source.pieces(12 * faces))
            _put_tags(source.rest_below(MOST_TAIL), fields)


class _Volume(_OneFile):
    family = "mgh 1"

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put header, voxels, scan parameters and tags into `fields`."""
        with Source(path) as source:
            header = source.read(284)
            version, *shape, kind = struct.unpack(">6i", header[:24])
            if version & 0xFF != 1 or min(shape) < 1 or kind not in _VOXEL_BYTES:
                raise BrokenFileError("no MGH volume")
            fields.field("header", header)
            fields.stream("voxels", source.pieces(math.prod(shape) * _VOXEL_BYTES[kind]))
            tail = source.rest_below(MOST_TAIL)
            # TR, flip angle, TE, TI, field of view: writers stop after any of them.
            fields.field("scan", tail[:20])
            _put_tags(tail[20:], fields)


class _Annotation(_OneFile):
    family = "freesurfer annotation 1"

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put vertices, labels and colour table into `fields`."""
        with Source(path, gzipped=False) as source:
            (vertices,) = struct.unpack(">i", source.read(4))
            if vertices < 0:
                raise BrokenFileError(f"{vertices} vertices")
            fields.field("vertices", str(vertices))
            fields.stream("labels", source.pieces(8 * vertices))
            table = source.rest_below(MOST_TAIL)
        if not table:
            return
        has_table, version = struct.unpack(">ii", table[:8])
        # Version 2 says so by a negative number; then come entries, length of name, name.
        at = 16 if version < 0 else 12
        (length,) = struct.unpack(">i", table[at - 4 : at])
        if has_table != 1 or not 0 <= length <= len(table) - at:
            raise BrokenFileError("no colour table")
        fields.field("table", table[: at - 4])
        fields.field("entries", table[at + length :])


class _Transform(_OneFile):
    family = "freesurfer lta 1"

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put all but the first lines into `fields`."""
        text = _text(path)
        while found := _LTA_VOLATILE.match(text):
            text = text[found.end() :]
        if not re.search(rb"(?m)^type\s*=", text) or not re.search(rb"(?m)^nxforms\s*=", text):
            raise BrokenFileError("no transform")
        fields.field("text", text)


class _Statistics(_OneFile):
    family = "freesurfer stats 1"

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put all but volatile comments into `fields`."""
        text = _text(path)
        if not re.search(rb"(?m)^# (generating_program|TableFormat) ", text):
            raise BrokenFileError("no statistics of FreeSurfer")
        fields.field("text", _STATS_VOLATILE.sub(b"", text))


SURFACE = _Surface()
VOLUME = _Volume()
ANNOTATION = _Annotation()
TRANSFORM = _Transform()
STATISTICS = _Statistics()


def _text(path: str) -> bytes:
    with Source(path, gzipped=False) as source:
        text = source.rest_below(MOST_TEXT)
    text.decode("utf-8")  # what is no UTF-8 is no text that every program reads
    return text


def _put_tags(tail: bytes, fields: FieldDigest) -> None:
    """Put the tags without command lines; from an unknown one on, the bytes."""
    at = 0
    while len(tail) - at >= 12:
        tag = int.from_bytes(tail[at : at + 4], "big", signed=True)
        if tag == _TAG_REAL_RAS:
            end = at + 8
        elif tag == _TAG_GEOMETRY:
            end = _geometry_end(tail, at + 4)
        elif tag in _UNSIZED or not 0 < tag < 100:
            break
        else:
            end = at + 12 + int.from_bytes(tail[at + 4 : at + 12], "big", signed=True)
        if not at < end <= len(tail):
            break
        if tag != _TAG_COMMAND:
            fields.field("tag", tail[at:end])
        at = end
    fields.field("rest", tail[at:])


def _geometry_end(tail: bytes, at: int) -> int:
    """Return where the eight lines of a volume geometry end, or -1."""
    for _ in range(8):
        at = tail.find(b"\n", at) + 1
        if at == 0:
            return -1
    return at
