"""MINC: volumes of version 1 (.mnc, which is NetCDF), and transforms (.xfm).

Of a volume counts everything but the attributes ``history`` and ``ident``, which hold command
lines, dates, users and machines, and where in the file the voxels lie. Of a transform counts
everything but its comments (lines that begin with ``%``); the grid of a non-linear one is its
companion and counts by its content. Volumes of version 2 are HDF5 (`memori.neuro.formats.hdf5`).

Declined: headers that do not agree with the file; a transform without its grid.
"""

from __future__ import annotations

import os
import re

from memori.digest.formats import FieldDigest, content_of
from memori.digest.sources import BrokenFileError, Source

MOST_HEADER = 1 << 22  # bytes: histories grow with every command
MOST_ITEMS = 10_000  # dimensions, variables, or attributes of one
MOST_TRANSFORM = 1 << 20

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}  # by the type of an attribute
_VOLATILE = frozenset({b"history", b"ident"})

_GRID = re.compile(rb"^\s*Displacement_Volume\s*=\s*([^;\n]+?)\s*;", re.MULTILINE)


class _Volume:
    family = "minc-1 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put header and voxels into `fields`."""
        with Source(path) as source:
            header = _Header(source, fields)
            header.read()
            starts = header.starts
            gap = min(starts, default=header.position) - header.position
            if gap < 0:
                raise BrokenFileError("voxels inside the header")
            for start in starts:
                fields.field("start", str(start - min(starts)))
            source.blank(gap, "header and voxels")
            fields.stream("voxels", source.rest())


class _Header:
    """Reads the header of a NetCDF file into fields."""

    def __init__(self, source: Source, fields: FieldDigest) -> None:
        self._source = source
        self._fields = fields
        self.position = 0
        self.starts: list[int] = []

    def read(self) -> None:
        """Read all of it."""
        magic = self._bytes(4)
        if magic not in (b"CDF\1", b"CDF\2"):
            raise BrokenFileError("no NetCDF file")
        self._fields.field("magic", magic)
        self._put("records")
        for _ in range(self._count(_DIMENSIONS)):
            self._fields.field("dimension", self._name())
            self._put("size")
        self._attributes()
        for _ in range(self._count(_VARIABLES)):
            self._fields.field("variable", self._name())
            for _ in range(self._put("rank")):
                self._put("axis")
            self._attributes()
            self._put("type")
            self._put("length")
            self.starts.append(int.from_bytes(self._bytes(4 * magic[3]), "big"))

    def _bytes(self, length: int) -> bytes:
        self.position += length
        if self.position > MOST_HEADER:
            raise BrokenFileError(f"a header of more than {MOST_HEADER} bytes")
        return self._source.read(length)

    def _number(self) -> int:
        return int.from_bytes(self._bytes(4), "big")

    def _put(self, what: str) -> int:
        number = self._number()
        self._fields.field(what, str(number))
        return number

    def _padded(self, length: int) -> bytes:
        value = self._bytes(length)
        self._bytes(-length % 4)
        return value

    def _name(self) -> bytes:
        return self._padded(self._number())

    def _count(self, wanted: int) -> int:
        tag, count = self._number(), self._number()
        if count > MOST_ITEMS or tag not in ((wanted,) if count else (wanted, 0)):
            raise BrokenFileError(f"{count} items of kind {tag}")
        return count

    def _attributes(self) -> None:
        for _ in range(self._count(_ATTRIBUTES)):
            name, kind = self._name(), self._number()
            value = self._padded(self._number() * _BYTES.get(kind, 1 << 40))
            if name not in _VOLATILE:
                self._fields.field("attribute", name)
                self._fields.field("kind", str(kind))
                self._fields.field("value", value)


class _Transform:
    family = "mni transform 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the grids of non-linear transforms."""
        names = [os.fsdecode(found[1]) for found in _GRID.finditer(_text(path))]
        return tuple(dict.fromkeys(names))

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put all but comments into `fields`, and the content of grids."""
        lines = _text(path).splitlines(keepends=True)
        counted = [line for line in lines if not line.lstrip().startswith(b"%")]
        fields.field("text", b"".join(counted))
        for name in self.companions(path):
            grid = os.path.join(os.path.dirname(path), name)
            if not os.path.isfile(grid):
                raise BrokenFileError(f"no grid {name!r}")
            content = content_of(grid)
            if content is not None:
                fields.field("grid", content.digest)
            else:
                with Source(grid, gzipped=False) as source:
                    fields.stream("grid", source.rest())


VOLUME = _Volume()
TRANSFORM = _Transform()


def _text(path: str) -> bytes:
    with Source(path, gzipped=False) as source:
        text = source.up_to(MOST_TRANSFORM)
        if not text.startswith(b"MNI Transform File") or len(text) == MOST_TRANSFORM:
            raise BrokenFileError("no MNI transform")
    text.decode("utf-8")
    return text
