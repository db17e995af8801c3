"""Recordings of EEG and MEG in several files: EEGLAB's .set and .fdt, the parts of a split .fif.

EEGLAB keeps a dataset in a MATLAB file (.set), and its samples often apart (.fdt): under the name
that the .set holds, or under that of the .set itself, for people rename files and readers look for
both. Every byte of both counts but the date that a MATLAB file holds.

A FIF file is a series of tags, each with a kind, a type and a value. Its writers cut a recording of
more than 2 GB into parts, each of which names the next; a reader is given the first. What counts:
every tag of every part but the identifiers of files and blocks, which hold the machine and the time
of writing. (When the recording was made has a tag of its own, which counts.)

Declined: tags that do not follow one another to the end of the file.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator

from memori.digest.formats import FieldDigest
from memori.digest.sources import PIECE, BrokenFileError, Source
from memori.neuro.formats.hdf5 import HDF5
from memori.neuro.formats.matlab import MATLAB

MOST_PARTS = 1000
MOST_TAGS = 200_000
MOST_ELEMENTS = 10_000
MOST_INFLATED = 1 << 30  # bytes of a .set that are searched for names

_COMPRESSED = 15  # miCOMPRESSED, an element of a MATLAB file
_SEAM = 1024  # bytes: a name of 255 letters, two bytes each, may lie across two pieces

# Kinds of FIF tags: those that stand for a file or block, and those that speak of another file.
_FILE_ID, _BLOCK_ID, _OTHER_ROLE, _OTHER_ID, _OTHER_NAME = 100, 103, 115, 116, 118
_NEXT = b"\0\0\0\2"  # the role of the part that follows


class _Eeglab:
    family = "eeglab 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the names under which the samples may lie beside a .set."""
        with Source(path, gzipped=False) as source:
            start = source.up_to(128)
            if not start.startswith((b"MATLAB 5.0", b"MATLAB 7.3")):
                return ()
            pieces = source.rest() if start.startswith(b"MATLAB 7.3") else _inflated(source)
            found = list(_named(pieces))
        stem = os.path.splitext(os.path.basename(path))[0]
        return tuple(dict.fromkeys([*found, stem + ".fdt", stem + ".dat"]))

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put the MATLAB file and the samples into `fields`."""
        with Source(path, gzipped=False) as source:
            is_hdf5 = source.up_to(10) == b"MATLAB 7.3"
        (HDF5 if is_hdf5 else MATLAB).describe(path, fields)
        for name in self.companions(path):
            samples = os.path.join(os.path.dirname(path), name)
            if os.path.isfile(samples):
                fields.field("name", name)
                with Source(samples, gzipped=False) as source:
                    fields.stream("samples", source.rest())


def _inflated(source: Source) -> Iterator[bytes]:
    """Yield what the elements of a MATLAB file hold; searched is no more than `MOST_INFLATED`."""
    room = MOST_INFLATED
    for _ in range(MOST_ELEMENTS):
        tag = source.up_to(8)
        if len(tag) < 8:
            return
        kind, size = struct.unpack("<II", tag)
        inflater = zlib.decompressobj()
        for piece in source.pieces(size):
            if kind != _COMPRESSED:
                yield piece
            while kind == _COMPRESSED and piece and room > 0:
                inflated = inflater.decompress(piece, PIECE)
                piece, room = inflater.unconsumed_tail, room - len(inflated)
                yield inflated


def _named(pieces: Iterator[bytes]) -> Iterator[str]:
    """Yield names that end in .fdt, in text of one or two bytes a letter."""
    seam, found = b"", 0
    for piece in pieces:
        whole = seam + piece
        texts = [whole] if b".fdt" in whole else []
        if b".\0f\0d\0t" in whole:
            texts += [whole[::2], whole[1::2]]
        for text in texts:
            for each in re.finditer(rb"[^\0-\x1f/\\'\"]{1,251}\.fdt(?![\w.])", text):
                yield each[0].decode("utf-8", "replace").strip()
                found += 1
        if found > MOST_PARTS:
            raise BrokenFileError(f"names more than {MOST_PARTS} files")
        seam = whole[-_SEAM:]


class _Fif:
    family = "fif 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the parts that follow, as each names the next; the last may not be there."""
        folder, name = os.path.split(path)
        names = [name]
        while len(names) < MOST_PARTS:
            following = _following(os.path.join(folder, names[-1]))
            if not following or following in names:
                break
            names.append(following)
            if not os.path.isfile(os.path.join(folder, following)):
                break
        return tuple(names[1:])

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put the tags of all parts into `fields`."""
        folder = os.path.dirname(path)
        for name in (os.path.basename(path), *self.companions(path)):
            part = os.path.join(folder, name)
            if not os.path.isfile(part):
                raise BrokenFileError(f"no part {name!r}")
            with Source(part) as source:
                _put_tags(source, fields)


EEGLAB = _Eeglab()
FIF = _Fif()


def _put_tags(source: Source, fields: FieldDigest) -> None:
    """Put the tags of one part into `fields`."""
    for number in range(MOST_TAGS):
        head = source.up_to(16)
        if number and not head:
            return
        kind, type, size, _ = struct.unpack(">iIii", head)
        if size < 0 or (number == 0 and kind != _FILE_ID):
            raise BrokenFileError("no FIF file")
        if kind in (_FILE_ID, _BLOCK_ID, _OTHER_ID):
            source.skip(size)
        else:
            fields.field("tag", f"{kind} {type}")
            fields.field("next", head[12:])
            fields.stream("value", source.pieces(size))
    raise BrokenFileError(f"more than {MOST_TAGS} tags")


def _following(path: str) -> str | None:
    """Return the name of the part that follows a part of a recording, passing over its samples."""
    with open(path, "rb") as file:
        is_next = False
        for number in range(MOST_TAGS):
            head = file.read(16)
            if len(head) < 16:
                return None
            kind, _, size, _ = struct.unpack(">iIii", head)
            if size < 0 or (number == 0 and kind != _FILE_ID):
                return None
            if kind == _OTHER_ROLE:
                is_next = file.read(size) == _NEXT if size == 4 else False
            elif kind == _OTHER_NAME and is_next and size < 4096:
                name = file.read(size).rstrip(b"\0").decode("utf-8", "replace")
                return os.path.basename(name) or None
            else:
                file.seek(size, os.SEEK_CUR)
    return None
