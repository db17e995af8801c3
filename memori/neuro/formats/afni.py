"""AFNI datasets: HEAD and BRIK as one artifact, whichever of the two is named.

What counts: every attribute of the HEAD but those that say who, when and from what (`is_volatile`);
the voxels, inflated (``.gz``, ``.bz2``). Numbers count as they are written, white space between
them does not. The byte order counts, because it is an attribute (``BYTEORDER_STRING``).

Declined: a HEAD without its BRIK, or with several; a BRIK.Z, which Python cannot inflate;
attributes that are not as long as they say; a HEAD that nibabel refuses, because it is not UTF-8,
has an empty line in a text or none between attributes; voxels more or fewer than it promises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

_MOST_HEAD = 1 << 21  # bytes; as numbers they take twenty times as much
_BYTES = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 5: 8, 6: 3, 7: 4}  # by BRICK_TYPES

_ATTRIBUTE = re.compile(
    rb"\s*type[ \t]*=[ \t]*(string|integer|float)-attribute[ \t]*\n"
    rb"name[ \t]*=[ \t]*(\w+)[ \t]*\ncount[ \t]*=[ \t]*(\d{1,9})[ \t]*\n"
)
_NEXT = re.compile(rb"\n[ \t]{0,8}type[ \t]*=")


_SUFFIXES = (".HEAD", ".BRIK", ".BRIK.gz", ".BRIK.bz2", ".BRIK.Z")

# Random codes, histories and dates; labels of the dataset itself, which begin with the prefix that
# the program was given (its folder, too); codes and names of the datasets that it was made of.
_VOLATILE = re.compile(
    r"HISTORY_NOTE|IDCODE_.*|NOTE_DATE_.*|LABEL_\d+|DATASET_NAME|(ANATOMY|WARP)_PARENTNAME"
    r"|.*_IDCODE|.*_(INPUT|BASE|WEIGHT|\w*PARENT)_NAME"
)


def is_volatile(name: str) -> bool:
    """Tell whether an attribute says who, when and from what, rather than what.

    >>> is_volatile("VOLREG_BASE_IDCODE"), is_volatile("BRICK_LABS")
    (True, False)
    """
    return _VOLATILE.fullmatch(name) is not None


class _Attribute(NamedTuple):
    kind: str
    name: str
    value: bytes | list[bytes]

    def numbers(self) -> list[int]:
        if not isinstance(self.value, list):
            raise BrokenFileError(f"{self.name} is no list of numbers")
        return [int(number) for number in self.value]


class _Dataset:
    family = "afni 2"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the BRIK of a HEAD, however packed, and the HEAD of a BRIK."""
        stem = re.sub(r"\.(HEAD|BRIK(\.gz|\.bz2|\.Z)?)$", "", path, flags=re.IGNORECASE)
        names = [stem + suffix for suffix in _SUFFIXES]
        return tuple(os.path.basename(name) for name in names if name != path)

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put attributes and voxels into `fields`."""
        folder = os.path.dirname(path)
        names = [os.path.join(folder, name) for name in self.companions(path)]
        files = [path, *(name for name in names if os.path.isfile(name))]
        if len(files) != 2:
            raise BrokenFileError("a HEAD needs one BRIK")
        head, brik = files if path.lower().endswith(".head") else reversed(files)
        with Source(head) as source:
            text = source.rest_below(_MOST_HEAD)
        text.decode("utf-8")
        attributes = list(_attributes(text))
        for attribute in attributes:
            if isinstance(attribute.value, bytes) and b"\n\n" in attribute.value:
                raise BrokenFileError(f"an empty line in {attribute.name}")
            if not is_volatile(attribute.name):
                fields.field("name", f"{attribute.kind} {attribute.name}")
                value = attribute.value
                fields.field("value", b" ".join(value) if isinstance(value, list) else value)
        packing = os.path.splitext(brik)[1].lower()
        if packing == ".z":
            raise BrokenFileError("a BRIK that compress packed")
        with Source(brik, gzipped=packing == ".gz", bzipped=packing == ".bz2") as source:
            fields.stream("voxels", source.pieces(_length(attributes)))
            source.end()


AFNI = _Dataset()


def _attributes(text: bytes) -> Iterator[_Attribute]:
    """Yield the attributes of a HEAD."""
    at = 0
    while found := _ATTRIBUTE.match(text, at):
        start = text.index(b"type", found.start())
        if at and not text.endswith(b"\n\n", 0, start):
            raise BrokenFileError("no empty line between attributes")
        kind, name, count = found[1].decode(), found[2].decode("latin-1"), int(found[3])
        if kind == "string":
            start = text.find(b"'", found.end()) + 1
            at = start + count
            value: bytes | list[bytes] = text[start:at]
            if not start or text[found.end() : start - 1].strip() or len(value) != count:
                raise BrokenFileError(f"{name} is not {count} characters long")
        else:
            following = _NEXT.search(text, found.end() - 1)
            at = following.start() if following else len(text)
            value = text[found.end() : at].split()
            if len(value) != count:
                raise BrokenFileError(f"{name} has {len(value)} numbers, not {count}")
        yield _Attribute(kind, name, value)
    if text[at:].strip():
        raise BrokenFileError("something that is no attribute")


def _length(attributes: list[_Attribute]) -> int:
    """Return the bytes that the voxels take."""
    named = {attribute.name: attribute for attribute in attributes}
    if not {"DATASET_DIMENSIONS", "DATASET_RANK", "BRICK_TYPES"} <= named.keys():
        raise BrokenFileError("no AFNI HEAD")
    if len(named) != len(attributes):
        raise BrokenFileError("an attribute twice")
    voxels = 1
    for size in named["DATASET_DIMENSIONS"].numbers()[:3]:
        voxels *= size
    types = named["BRICK_TYPES"].numbers()
    ranks = named["DATASET_RANK"].numbers()
    if voxels < 1 or len(ranks) < 2 or ranks[1] != len(types) or not set(types) <= _BYTES.keys():
        raise BrokenFileError("sizes or types that no AFNI dataset has")
    return voxels * sum(_BYTES[kind] for kind in types)
