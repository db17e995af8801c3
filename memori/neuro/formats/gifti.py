"""GIFTI: surfaces, metrics, labels and time series in XML.

What counts: for each array its intent, data type, dimensions, coordinate systems and values; the
label table with keys, names and colours; metadata but the volatile keys of
`memori.neuro.formats.markup`, of the file and of each array; the order of all these.

Values are compared decoded, in row-major and little-endian order: ASCII, Base64, GZip and external
files, either byte order and either indexing order of equal values are equal. (Column-major arrays
of more than `MOST_TURNED` bytes are compared among themselves only.) A float in ASCII is rounded
to the type of its array, as readers do.

Declined: data that do not fill their dimensions, unknown encodings and types, and all that
`read_xml` refuses.
"""

from __future__ import annotations

import binascii
import hashlib
import math
import os
import re
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from memori.digest.formats import FieldDigest
from memori.digest.sources import PIECE, BrokenFileError, Source, new_inflater
from memori.neuro.formats.markup import Canonical, Rules, read_xml
from memori.neuro.formats.swap import swapped

MOST_TURNED = 1 << 24

# DataType: (bytes that byte order turns together, bytes per value, array type code for ASCII)
_TYPES = {
    "UINT8": (1, 1, "B"),
    "INT8": (1, 1, "b"),
    "UINT16": (2, 2, "H"),
    "INT16": (2, 2, "h"),
    "UINT32": (4, 4, "I"),
    "INT32": (4, 4, "i"),
    "UINT64": (8, 8, "Q"),
    "INT64": (8, 8, "q"),
    "FLOAT32": (4, 4, "f"),
    "FLOAT64": (8, 8, "d"),
    "COMPLEX64": (4, 8, ""),
    "COMPLEX128": (8, 16, ""),
    "RGB24": (1, 3, ""),
    "RGBA32": (1, 4, ""),
}

# Each name as the standard has it, and as gifticlib 1.08 and before wrote it.
_BIG = {
    "BigEndian": True,
    "GIFTI_ENDIAN_BIG": True,
    "LittleEndian": False,
    "GIFTI_ENDIAN_LITTLE": False,
}
_ENCODINGS = {
    "ASCII": "ASCII",
    "GIFTI_ENCODING_ASCII": "ASCII",
    "Base64Binary": "Base64Binary",
    "GIFTI_ENCODING_B64BIN": "Base64Binary",
    "GZipBase64Binary": "GZipBase64Binary",
    "GIFTI_ENCODING_B64GZ": "GZipBase64Binary",
    "ExternalFileBinary": "ExternalFileBinary",
    "GIFTI_ENCODING_EXTBIN": "ExternalFileBinary",
}

_PACKING = (
    "ArrayIndexingOrder",
    "Encoding",
    "Endian",
    "ExternalFileName",
    "ExternalFileOffset",
)
_RULES = Rules(
    numbers=frozenset({"MatrixData"}),
    attributes=frozenset(
        {("DataArray", name) for name in _PACKING}
        | {("GIFTI", "xmlns:xsi"), ("GIFTI", "xsi:noNamespaceSchemaLocation")}
    ),
)


class _Array(NamedTuple):
    """How the values of one DataArray are packed."""

    dims: tuple[int, ...]
    turned: int
    size: int
    code: str
    column_major: bool
    encoding: str
    big: bool
    file: str
    offset: int

    @property
    def length(self) -> int:
        return math.prod(self.dims) * self.size


def _array(attributes: dict[str, str]) -> _Array:
    rank = int(attributes["Dimensionality"])
    if not 1 <= rank <= 6:
        raise BrokenFileError(f"{rank} dimensions")
    dims = tuple(int(attributes[f"Dim{axis}"]) for axis in range(rank))
    kind = attributes["DataType"].removeprefix("NIFTI_TYPE_")
    order = attributes["ArrayIndexingOrder"]
    if min(dims) < 0 or order not in ("RowMajorOrder", "ColumnMajorOrder"):
        raise BrokenFileError(f"an array of {dims} in {order}")
    return _Array(
        dims,
        *_TYPES[kind],
        order == "ColumnMajorOrder" and sum(size > 1 for size in dims) > 1,
        _ENCODINGS[attributes["Encoding"]],
        _BIG[attributes["Endian"]],
        attributes.get("ExternalFileName", ""),
        int(attributes.get("ExternalFileOffset") or 0),
    )


class _Values:
    """Takes the text of a Data element piece by piece and digests the values that it encodes."""

    def __init__(self, packing: _Array, folder: str) -> None:
        self._packing = packing
        self._folder = folder
        self._hasher = hashlib.sha256()
        self._length = 0
        self._left = b""  # an item cut in two
        self._rest = b""  # text cut in the middle of a number or of four base64 letters
        self._kept = bytearray()  # column-major values
        self.turns = packing.column_major and packing.length <= MOST_TURNED
        if packing.encoding == "GZipBase64Binary":
            self._inflater = new_inflater(zlib_format=True)
        self._take = {
            "ASCII": self._ascii,
            "Base64Binary": self._base64,
            "GZipBase64Binary": self._base64,
            "ExternalFileBinary": self._nothing,
        }[packing.encoding]

    def text(self, characters: bytes) -> None:
        """Take a piece of text."""
        self._take(characters, False)

    def hexdigest(self) -> str:
        """Return the digest of the values, which must be complete."""
        self._take(b"", True)
        packing = self._packing
        if packing.encoding == "ExternalFileBinary":
            path = os.path.join(self._folder, packing.file)
            with Source(path, gzipped=False) as source:
                source.start_at(packing.offset)
                for piece in source.pieces(packing.length):
                    self._values(piece)
        if self._length != packing.length or self._left:
            raise BrokenFileError(f"{self._length} bytes of values, not {packing.length}")
        if packing.encoding == "GZipBase64Binary" and not self._inflater.eof:
            raise BrokenFileError("compressed values end early")
        if self.turns:
            import numpy as np

            flat = np.frombuffer(self._kept, f"V{packing.size}")
            self._hasher.update(flat.reshape(packing.dims, order="F").tobytes())
        return self._hasher.hexdigest()

    def _ascii(self, characters: bytes, last: bool) -> None:
        text = self._rest + characters
        cut = len(text) if last else max(text.rfind(space) for space in b" \t\r\n") + 1
        text, self._rest = text[:cut], text[cut:]
        if len(self._rest) > 1000 or b"_" in text or not self._packing.code:
            raise BrokenFileError("no numbers")
        read = float if self._packing.code in "fd" else int
        items = array(self._packing.code, [read(number) for number in text.split()])
        raw = items.tobytes()
        self._values(raw, big=_HOST_IS_BIG)

    def _base64(self, characters: bytes, last: bool) -> None:
        text = self._rest + re.sub(rb"\s+", b"", characters)
        cut = len(text) - len(text) % 4
        self._rest = text[cut:]
        if last and self._rest:
            raise BrokenFileError("base64 ends early")
        # Strict: letters that are none, or something after the padding, are errors.
        raw = binascii.a2b_base64(text[:cut], strict_mode=True) if cut else b""
        if b"=" in text[:cut]:
            self._take = self._nothing
        if self._packing.encoding == "Base64Binary":
            self._values(raw)
            return
        while raw:
            if self._inflater.eof:
                raise BrokenFileError("bytes after the compressed values")
            self._values(self._inflater.decompress(raw, PIECE))
            while not self._inflater.needs_input and not self._inflater.eof:
                self._values(self._inflater.decompress(b"", PIECE))
            raw = self._inflater.unused_data if self._inflater.eof else b""

    def _nothing(self, characters: bytes, last: bool) -> None:
        if characters.strip():
            raise BrokenFileError("text where no more belongs")

    def _values(self, raw: bytes, big: bool | None = None) -> None:
        self._length += len(raw)
        if self._length > self._packing.length:
            raise BrokenFileError("more values than the dimensions say")
        if self._packing.big if big is None else big:
            whole = self._left + raw
            cut = len(whole) - len(whole) % self._packing.turned
            self._left = whole[cut:]
            raw = swapped(whole[:cut], self._packing.turned)
        if self.turns:
            self._kept += raw
        else:
            self._hasher.update(raw)


_HOST_IS_BIG = array("H", [1]).tobytes() == b"\0\1"


class _Document:
    """The callbacks of `read_xml`: values go to `_Values`, all else to `Canonical`."""

    def __init__(self, folder: str, *, decode: bool) -> None:
        self.files: dict[str, int | None] = {}  # bytes of each that no array has claimed yet
        self.canonical = Canonical(_RULES)
        self._folder = folder
        self._decode = decode
        self._packing: _Array | None = None
        self._values: _Values | None = None
        self._has_values = False
        self._root = True

    def read(self, path: str) -> None:
        with Source(path) as source:
            read_xml(source.rest(), self.start, self.text, self.end)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._root and name != "GIFTI":
            raise BrokenFileError(f"<{name}> is not <GIFTI>")
        self._root = False
        if self._values:
            raise BrokenFileError("an element inside Data")
        if name == "DataArray":
            if _ENCODINGS.get(attributes.get("Encoding", "")) == "ExternalFileBinary":
                self.files.setdefault(attributes.get("ExternalFileName", ""), None)
            if self._packing:
                raise BrokenFileError("a DataArray inside another")
            self._packing, self._has_values = _array(attributes), False
            if self._packing.encoding == "ExternalFileBinary" and self._decode:
                self._external(self._packing)
        self.canonical.start(name, attributes)
        if name == "Data":
            if self._packing is None or self._has_values:
                raise BrokenFileError("Data outside a DataArray, or twice in one")
            self._has_values = True
            self._values = _Values(self._packing, self._folder)

    def text(self, characters: bytes) -> None:
        if self._values is None:
            self.canonical.text(characters)
        elif self._decode:
            self._values.text(characters)

    def end(self, name: str) -> None:
        if name == "Data" and self._values:
            if self._decode:
                self.canonical.put(b"values", self._values.hexdigest().encode())
                order = self._packing and self._packing.column_major and not self._values.turns
                self.canonical.put(b"order", b"column" if order else b"row")
            self._values = None
        elif name == "DataArray":
            if not self._has_values:
                raise BrokenFileError("a DataArray without Data")
            self._packing = None
        self.canonical.end(name)

    def _external(self, packing: _Array) -> None:
        path = os.path.join(self._folder, packing.file)
        if not os.path.isfile(path):
            raise BrokenFileError(f"no external file {packing.file!r}")
        left = self.files[packing.file]
        left = (os.path.getsize(path) if left is None else left) - packing.length
        if left < 0:  # else many arrays could each read one large file
            raise BrokenFileError(f"{packing.file!r} is too small for its arrays")
        self.files[packing.file] = left


class _Gifti:
    family = "gifti 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the external files that hold values, if there are any."""
        with Source(path) as source:
            if not any(_mentions(source.rest())):
                return ()
        document = _Document(os.path.dirname(path), decode=False)
        try:
            document.read(path)
        except (ValueError, KeyError):
            pass  # a reader that asks for less may read it
        return tuple(filter(None, document.files))

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put the document, with its values decoded, into `fields`."""
        document = _Document(os.path.dirname(path), decode=True)
        document.read(path)
        fields.field("document", document.canonical.hexdigest())


GIFTI = _Gifti()


def _mentions(pieces: Iterator[bytes]) -> Iterator[bool]:
    """Yield, for each piece, whether it (or its seam) speaks of an external encoding."""
    seam = b""
    for piece in pieces:
        yield b"ExternalFileBinary" in seam + piece or b"EXTBIN" in seam + piece
        seam = piece[-32:]
