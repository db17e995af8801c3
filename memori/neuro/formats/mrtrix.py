"""MRtrix images: .mif, .mif.gz, and .mih with its data.

What counts: every line of the header but ``command_history``, ``mrtrix_version`` and ``file``,
each key with its values in the order written; the voxels as they are stored. Layout and data type
(with its byte order) count as written, so an image that MRtrix stored with other strides is
another image.

Declined: a header that ends early, sizes that do not agree with the data, sparse images, and data
files with a number range in their name (``name-[0:9].dat``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import NamedTuple

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

MOST_HEADER = 1 << 20  # bytes; histories grow with every command
MOST_LINES = 10_000

_NOT_COUNTED = frozenset({"command_history", "mrtrix_version", "file", "timestamp"})

_BITS = {
    "bit": 1,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "uint16": 16,
    "int32": 32,
    "uint32": 32,
    "int64": 64,
    "uint64": 64,
    "float16": 16,
    "float32": 32,
    "float64": 64,
    "cfloat16": 32,
    "cfloat32": 64,
    "cfloat64": 128,
}


class Header(NamedTuple):
    """The lines of an MRtrix header.

    Attributes
    ----------
    lines
        (key, value) in the order written.
    read
        Bytes read from the source to get here.
    """

    lines: tuple[tuple[str, bytes], ...]
    read: int

    def all(self, key: str) -> list[bytes]:
        """Return every value under a key."""
        return [value for name, value in self.lines if name == key]

    def one(self, key: str) -> bytes:
        """Return the value of a key that must be there once."""
        values = self.all(key)
        if len(values) != 1:
            raise BrokenFileError(f"{len(values)} lines of {key!r}")
        return values[0]

    def put(self, fields: FieldDigest, paths: Collection[str] = ()) -> None:
        """Put what counts of the header into `fields`; of keys that hold a path, its last part."""
        for key, value in self.lines:
            if key not in _NOT_COUNTED:
                fields.field("key", key)
                fields.field("value", value.rpartition(b"/")[2] if key in paths else value)


def read_header(source: Source, first: bytes) -> Header:
    """Read a header that starts with the line `first` and ends with the line ``END``."""
    text = source.read(len(first))
    if text != first:
        raise BrokenFileError("no MRtrix header")
    text += source.through(b"\nEND\n", MOST_HEADER)
    text.decode()  # what is no UTF-8 is no header that every program reads
    written = text.split(b"\n")
    if written[0].strip() != first or len(written) > MOST_LINES:
        raise BrokenFileError(f"{len(written)} lines of header, the first {written[0][:80]!r}")
    lines = []
    for number, line in enumerate(written):
        key, colon, value = line.partition(b":")
        if number and line.strip() and line.strip() != b"END":
            if not colon:
                raise BrokenFileError(f"line {number + 1} of the header has no colon")
            lines.append((key.strip().decode("latin-1"), value.strip()))
    return Header(tuple(lines), len(text))


class _Image:
    family = "mrtrix 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the data files of a .mih."""
        if not path.lower().endswith(".mih"):
            return ()
        with Source(path) as source:
            header = _read_mih(source)
        names = [os.fsdecode(_place(value)[0]) for value in header.all("file")]
        return tuple(dict.fromkeys(names))

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put header and voxels into `fields`."""
        with Source(path) as source:
            if path.lower().endswith(".mih"):
                header = _read_mih(source)
                header.put(fields)
                self._put_files(os.path.dirname(path), header, fields)
                return
            header = read_header(source, b"mrtrix image")
            name, offset = _place(header.one("file"))
            if name != b"." or offset < header.read:
                raise BrokenFileError("voxels elsewhere than after the header")
            header.put(fields)
            source.blank(offset - header.read, "header and voxels")
            fields.stream("voxels", source.pieces(_length(header)))
            source.end()

    def _put_files(self, folder: str, header: Header, fields: FieldDigest) -> None:
        places = [_place(value) for value in header.all("file")]
        length, remainder = divmod(_length(header), max(len(places), 1))
        if not places or remainder:
            raise BrokenFileError(f"{len(places)} files for the voxels")
        for name, offset in places:
            path = os.path.join(folder, os.fsdecode(name))
            if not os.path.isfile(path):
                raise BrokenFileError(f"no file {name!r}")
            with Source(path, gzipped=path.lower().endswith(".gz")) as source:
                source.skip(offset)
                fields.stream("voxels", source.pieces(length))
                source.end()


IMAGE = _Image()


def _read_mih(source: Source) -> Header:
    """Read a header that is a file of its own: END may be left out."""
    text = source.rest_below(MOST_HEADER)
    return read_header(Source.of(text.rstrip() + b"\nEND\n"), b"mrtrix image")


def _place(value: bytes) -> tuple[bytes, int]:
    """Read ``name offset``; the offset may be left out."""
    name, _, offset = value.rpartition(b" ")
    if not name or not offset.isdigit():
        name, offset = value, b"0"
    return name.strip(), int(offset)


def _length(header: Header) -> int:
    """Return the bytes that the voxels take."""
    dims = [int(size) for size in header.one("dim").split(b",")]
    kind = header.one("datatype").decode("latin-1").lower()
    bits = _BITS.get(kind.removesuffix("le").removesuffix("be"), 0)
    if min(dims) < 1 or len(dims) > 16 or not bits:
        raise BrokenFileError("sizes or a data type that no MRtrix image has")
    return -(-math.prod(dims) * bits // 8)
