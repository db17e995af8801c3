"""MRtrix tractograms (.tck).

What counts: every line of the header but ``timestamp``, ``command_history``, ``mrtrix_version``,
the folder of ``source`` (the image that was tracked) and the offset of the points; the points as
they are stored. A track scalar file (.tsf) names the tractogram it belongs to by its timestamp: it
is compared by its bytes, and so is TrackVis' .trk, in which nothing is volatile.

Declined: a file that does not end with the three infinities that close a tractogram.
"""

from __future__ import annotations

from collections.abc import Iterator

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source
from memori.neuro.formats.mrtrix import read_header

# little- or big-endian infinity, by data type
_INFINITY = {
    b"Float32LE": b"\0\0\x80\x7f",
    b"Float32BE": b"\x7f\x80\0\0",
    b"Float64LE": b"\0\0\0\0\0\0\xf0\x7f",
    b"Float64BE": b"\x7f\xf0\0\0\0\0\0\0",
}


class _Tck:
    family = "tck 2"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none: a tractogram is one file."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put header and points into `fields`."""
        with Source(path) as source:
            header = read_header(source, b"mrtrix tracks")
            name, _, offset = header.one("file").partition(b" ")
            gap = int(offset) - header.read
            if name != b"." or gap < 0:
                raise BrokenFileError("points elsewhere than after the header")
            header.put(fields, paths=("source",))
            source.blank(gap, "header and points")
            close = _INFINITY.get(header.one("datatype"), b"") * 3
            if not close:
                raise BrokenFileError("points of an unknown data type")
            ends = _Ends(source.rest(), len(close))
            length = fields.stream("points", ends)
            if length % len(close) or ends.last != close:
                raise BrokenFileError("a tractogram without its end")


TCK = _Tck()


class _Ends:
    """Passes pieces on and keeps the last bytes."""

    def __init__(self, pieces: Iterator[bytes], length: int) -> None:
        self._pieces = pieces
        self._length = length
        self.last = b""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.last = (self.last + piece[-self._length :])[-self._length :]
            yield piece
