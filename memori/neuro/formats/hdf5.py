"""HDF5, and what is kept in it: tables of pandas, ITK transforms, MATLAB 7.3, NWB, SNIRF, MINC-2.

HDF5 notes when each of its objects was made and changed, so that two files of one content differ
in a few bytes. What counts is every byte but these times, the checksums of the headers that hold
them, and the description at the start of a MATLAB file, which holds a date; in MINC-2 (.mnc) also
not the history and the identifier of the file, if they are as long in both.

The times are found by walking from the root from object to object, through groups as they are
kept in old files and small ones in new files; new files are searched for headers, too, which have
a signature and a checksum. A time that is not found so counts: that is a rerun too many. Nothing
else of the file is understood, and libhdf5, which trusts files, is not asked.

Declined: a file that ends before its superblock says, headers of more than `MOST_READ` bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO

from memori.digest.formats import FieldDigest
from memori.digest.sources import READ, BrokenFileError
from memori.neuro.formats.lookup3 import lookup3

MOST_READ = 1 << 26  # bytes of headers and groups
MOST_AT_ONCE = 1 << 22  # bytes of one header
MOST_CHECKED = 1 << 22  # bytes of headers whose checksum is computed
MOST_USER_BLOCK = 1 << 20

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF
_LINK, _ATTRIBUTE, _OLD_TIME, _CONTINUED, _GROUP, _TIME = 0x06, 0x0C, 0x0E, 0x10, 0x11, 0x12
_MINC_VOLATILE = (b"history", b"ident")

Spans = set[tuple[int, int]]  # (position, length) of bytes that do not count


class _Hdf5:
    def __init__(self, family: str, attributes: tuple[bytes, ...] = ()) -> None:
        self.family = family
        self._attributes = attributes

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none: what another file holds of a dataset is not looked for."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put all bytes but the times into `fields`."""
        with open(path, "rb", buffering=0) as file:
            spans = _Walk(file, self._attributes).spans()
            file.seek(0)
            fields.stream("bytes", _blanked(iter(lambda: file.read(READ), b""), spans))


HDF5 = _Hdf5("hdf5 1")
MINC2 = _Hdf5("minc-2 1", _MINC_VOLATILE)


class _Walk:
    """Goes from object to object of a file, and notes where there are times."""

    def __init__(self, file: IO[bytes], attributes: tuple[bytes, ...]) -> None:
        self._file = file
        self._attributes = attributes
        self._size = os.fstat(file.fileno()).st_size
        self._base = 0
        self._room = MOST_READ
        self._unchecked = MOST_CHECKED
        self._spans: Spans = set()
        self._waiting: list[int] = []
        self._seen: set[int] = set()

    def spans(self) -> Spans:
        """Return the bytes that do not count."""
        version, root = self._superblock()
        self._waiting = [root]
        while self._waiting:
            at = self._waiting.pop()
            if at not in self._seen and at < self._size:
                self._seen.add(at)
                self._object(at)
        if version >= 2 or self._attributes:
            self._search()
        return self._spans

    def _read(self, at: int, length: int) -> bytes:
        length = max(0, min(length, self._size - at))
        self._room -= length
        if self._room < 0 or length > MOST_AT_ONCE:
            raise BrokenFileError(f"{length} bytes of headers at {at}")
        if at > self._size:
            return b""
        self._file.seek(at)
        return self._file.read(length)

    def _superblock(self) -> tuple[int, int]:
        """Return its version and the place of the root object."""
        start = 0
        while self._read(start, 8) != _SIGNATURE:
            start = 2 * start or 512
            if start > min(self._size, MOST_USER_BLOCK):
                raise BrokenFileError("no HDF5 file")
        if start and self._read(0, 10) == b"MATLAB 7.3":
            self._spans.add((0, 116))
        block = self._read(start + 8, 96)
        version = block[0]
        sizes, place = (block[5:7], 16 + 4 * version) if version < 2 else (block[1:3], 4)
        if version > 3 or sizes != b"\x08\x08":
            raise BrokenFileError(f"superblock {version} with addresses of {sizes.hex()} bytes")
        self._base, _, end, last = struct.unpack_from("<4Q", block, place)
        root = struct.unpack_from("<Q", block, place + 40)[0] if version < 2 else last
        if end > self._size:
            raise BrokenFileError(f"ends at byte {self._size}, not {end}")
        return version, self._base + root

    def _object(self, at: int) -> None:
        start = self._read(at, 64)
        if start[:4] == b"OHDR":
            self._new_header(at, start)
        elif start[:1] == b"\1" and len(start) >= 16:
            self._messages(at + 16, struct.unpack_from("<I", start, 8)[0])
        elif start[:5] == b"TREE\0":
            count = struct.unpack_from("<H", start, 6)[0]
            self._visit(self._read(at + 24, 16 * count + 8), 8, 16)
        elif start[:4] == b"SNOD":
            count = struct.unpack_from("<H", start, 6)[0]
            self._visit(self._read(at + 8, 40 * count), 8, 40)

    def _visit(self, table: bytes, first: int, step: int) -> None:
        for place in range(first, len(table) - 7, step):
            self._point_to(struct.unpack_from("<Q", table, place)[0])

    def _point_to(self, address: int) -> None:
        if address != _UNDEFINED:
            self._waiting.append(self._base + address)

    def _new_header(self, at: int, start: bytes) -> None:
        """Note the times of a header of version 2, and its checksum, if that is right."""
        flags = start[5]
        timed, phased = bool(flags & 0x20), bool(flags & 0x10)
        place = 6 + 16 * timed + 4 * phased
        width = 1 << (flags & 3)
        size = int.from_bytes(start[place : place + width], "little")
        length = place + width + size
        if start[4] != 2 or size > self._unchecked or at + length + 4 > self._size:
            return
        self._unchecked -= length
        raw = self._read(at, length + 4)
        if lookup3(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            return
        if timed:
            self._spans |= {(at + 6, 16), (at + length, 4)}
        self._messages(at + place + width, size, ordered=bool(flags & 4), new=True)

    def _messages(self, at: int, size: int, ordered: bool = False, new: bool = False) -> None:
        """Go through the messages of a header and of what continues it."""
        blocks, seen = [(at, size)], set()
        while blocks:
            at, size = blocks.pop()
            if (at, size) in seen:
                continue
            seen.add((at, size))
            raw, place = self._read(at, size), 0
            head = 4 + 2 * ordered if new else 8
            while place + head <= len(raw):
                kind, length = struct.unpack_from("<BH" if new else "<HH", raw, place)
                place += head
                body = raw[place : place + length]
                if kind == _CONTINUED and len(body) >= 16:
                    address, size = struct.unpack_from("<QQ", body)
                    # In new files a block has a signature in front and a checksum behind.
                    blocks.append((self._base + address + 4 * new, max(0, size - 8 * new)))
                else:
                    self._message(kind, body, at + place)
                place += length

    def _message(self, kind: int, body: bytes, at: int) -> None:
        if kind == _TIME and body[:1] == b"\1":
            self._spans.add((at + 4, 4))
        elif kind == _OLD_TIME:
            self._spans.add((at, len(body)))
        elif kind == _GROUP and len(body) >= 16:
            self._point_to(struct.unpack_from("<Q", body)[0])
        elif kind == _LINK:
            self._point_to(_linked(body))
        elif kind == _ATTRIBUTE:
            self._spans |= _value_of(body, at, self._attributes)

    def _search(self) -> None:
        """Look through the file for headers, and for the blocks in which many attributes lie."""
        for at in _found(self._file, b"OHDR"):
            if at not in self._seen:
                self._new_header(at, self._read(at, 64))
        for at in _found(self._file, b"FHDB") if self._attributes else ():
            self._heap_block(at)

    def _heap_block(self, at: int) -> None:
        """Note the values of volatile attributes in a block of a heap, and its checksum."""
        header = self._base + int.from_bytes(self._read(at + 5, 8), "little")
        heap = self._read(header, 144)
        if heap[:4] != b"FRHP" or len(heap) < 144 or not heap[9] & 2:
            return
        size = int.from_bytes(heap[112:120], "little")
        place = 13 + (int.from_bytes(heap[128:130], "little") + 7) // 8
        if not place + 4 < size <= self._unchecked:
            return
        self._unchecked -= size
        raw = self._read(at, size)
        unsummed = raw[:place] + bytes(4) + raw[place + 4 :]
        if lookup3(unsummed) != int.from_bytes(raw[place : place + 4], "little"):
            return
        for name in self._attributes:
            start = raw.find(b"\0" + name + b"\0") + 1 - 9  # behind nine bytes of its message
            if start > 0 and (spans := _value_of(raw[start:], at + start, self._attributes)):
                self._spans |= {*spans, (at + place, 4)}


def _linked(body: bytes) -> int:
    """Return where a link message points, if it is a hard link."""
    flags, place = body[1], 2
    if flags & 8:
        if body[place]:
            return _UNDEFINED
        place += 1
    place += (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    place += width + int.from_bytes(body[place : place + width], "little")
    address = body[place : place + 8]
    return int.from_bytes(address, "little") if len(address) == 8 else _UNDEFINED


def _value_of(body: bytes, at: int, names: tuple[bytes, ...]) -> Spans:
    """Return where the value of an attribute lies, if it is a text of one of these names."""
    if len(body) < 9 or body[0] not in (1, 2, 3):
        return set()
    version, name_size, type_size, space_size = struct.unpack_from("<BxHHH", body)
    place = 9 if version == 3 else 8
    padded = (lambda size: size + -size % 8) if version == 1 else int
    name = body[place : place + name_size].rstrip(b"\0")
    place += padded(name_size)
    kind = body[place : place + type_size]
    place += padded(type_size) + padded(space_size)
    if name not in names or len(kind) < 8 or kind[0] & 0xF != 3:
        return set()
    length = int.from_bytes(kind[4:8], "little")
    return {(at + place, length)} if place + length <= len(body) else set()


def _found(file: IO[bytes], mark: bytes) -> Iterator[int]:
    """Yield each position of a mark in a file."""
    seam, position = b"", 0
    while True:
        file.seek(position)
        piece = file.read(READ)
        if not piece:
            return
        whole = seam + piece
        at = whole.find(mark)
        while at >= 0:
            yield position - len(seam) + at
            at = whole.find(mark, at + 1)
        position += len(piece)
        seam = whole[-len(mark) + 1 :]


def _blanked(pieces: Iterable[bytes], spans: Spans) -> Iterator[bytes]:
    """Yield pieces with zeros where bytes do not count."""
    ahead = sorted(spans, reverse=True)
    position = 0
    for piece in pieces:
        end = position + len(piece)
        if ahead and ahead[-1][0] < end:
            changed = bytearray(piece)
            while ahead and ahead[-1][0] < end:
                start, length = ahead.pop()
                here, there = max(start, position), min(start + length, end)
                changed[here - position : there - position] = bytes(max(0, there - here))
                if start + length > end:
                    ahead.append((end, start + length - end))
                    break
            piece = bytes(changed)
        yield piece
        position = end
