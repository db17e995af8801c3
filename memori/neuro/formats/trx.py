"""Tractograms in .trx: arrays in a zip archive.

What counts: the names of the members and their bytes, inflated; the order of members, their dates
and permissions, and how each is packed do not.

Declined: archives that are encrypted, packed otherwise than by deflate, in which a name occurs
twice or a checksum is wrong, or whose members promise more than the file can hold.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from memori.digest.formats import FieldDigest
from memori.digest.sources import DEFLATE_LIMIT, PIECE, BrokenFileError

MOST_DIRECTORY = 1 << 19  # bytes; parsed, it takes many times as much

_END = struct.Struct("<4s4H2LH")  # PK\5\6, disks, members, size and place of the directory, comment


class _Trx:
    family = "trx 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put the members into `fields`, in the order of their names."""
        with open(path, "rb") as file:
            _check(file)
            with zipfile.ZipFile(file) as archive:
                members = sorted(archive.infolist(), key=lambda member: member.filename)
                promised = sum(member.file_size for member in members)
                if promised > os.fstat(file.fileno()).st_size * DEFLATE_LIMIT:
                    raise BrokenFileError(f"members of {promised} bytes")
                names = [member.filename for member in members]
                if len(names) != len(set(names)) or "header.json" not in names:
                    raise BrokenFileError("no TRX file")
                for member in members:
                    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                        raise BrokenFileError("packed otherwise than by deflate")
                    if stat.S_ISLNK(member.external_attr >> 16):
                        raise BrokenFileError("a link inside")
                    fields.field("name", member.filename)
                    with archive.open(member) as part:  # checks the checksum at its end
                        fields.stream("bytes", _pieces(part))


TRX = _Trx()


def _check(file: IO[bytes]) -> None:
    """Refuse an archive without a directory at its end, and one that is large."""
    length = os.fstat(file.fileno()).st_size
    if file.read(4) != b"PK\3\4" or length < _END.size:
        raise BrokenFileError("no zip archive")
    file.seek(length - _END.size)
    mark, _, _, _, _, size, _, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\5\6" or comment:
        raise BrokenFileError("no directory at the end")
    if size > MOST_DIRECTORY:
        raise BrokenFileError(f"a directory of {size} bytes")
    file.seek(0)


def _pieces(part: IO[bytes]) -> Iterator[bytes]:
    while piece := part.read(PIECE):
        yield piece
