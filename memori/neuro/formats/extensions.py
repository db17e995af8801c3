"""What the extensions of a NIfTI header say.

AFNI (code 4), Workbench (30) and CIFTI-2 (32) keep XML there. Of it, dates, identifiers, user
names, working folders, histories and provenance do not count; labels, statistics, axes, maps and
all else do. An extension of another code, or one that is no sound XML, counts to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError
from memori.neuro.formats.afni import is_volatile
from memori.neuro.formats.markup import Canonical, Rules, read_xml

MOST = 1 << 24  # bytes of all extensions in the header file of a pair

MOST_EXTENSIONS = 10_000

AFNI, WORKBENCH, CIFTI = 4, 30, 32

_RULES = {
    AFNI: Rules(
        left_out=lambda name, attributes: (
            name == "AFNI_atr" and is_volatile(attributes.get("atr_name", ""))
        ),
        attributes=frozenset({("AFNI_attributes", "self_idcode")}),
    ),
    WORKBENCH: Rules(left_out=lambda name, attributes: name == "Date"),
    CIFTI: Rules(
        numbers=frozenset(
            {
                "TransformationMatrixVoxelIndicesIJKtoXYZ",
                "VertexIndices",
                "Vertices",
                "VoxelIndicesIJK",
            }
        )
    ),
}


def put(code: int, pieces: Iterable[bytes], fields: FieldDigest) -> None:
    """Put what an extension says into `fields`, by the rules of its code, else its bytes."""
    if code not in _RULES:
        fields.stream("bytes", pieces)
        return
    raw = hashlib.sha256()
    canonical = Canonical(_RULES[code])
    pieces = _noted(pieces, raw)
    try:
        read_xml(_without_padding(pieces), canonical.start, canonical.text, canonical.end)
    except ValueError:
        for _ in pieces:
            pass  # to the end of the extension
        fields.field("bytes", raw.hexdigest())
    else:
        fields.field("xml", canonical.hexdigest())


def _noted(pieces: Iterable[bytes], hasher: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        hasher.update(piece)
        yield piece


def _without_padding(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Drop the NULs that fill an extension up to a multiple of 16 bytes."""
    padded = False
    for piece in pieces:
        stripped = piece.rstrip(b"\0")
        if padded and stripped:
            raise BrokenFileError("text after the padding")
        padded = len(stripped) < len(piece)
        if stripped:
            yield stripped
