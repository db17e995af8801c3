"""XML as a stream of events, safely, and a digest of what a document says.

`read_xml` hands the events of a document to three callbacks as the bytes come in. Nothing is ever
loaded from elsewhere, declarations of entities are refused (the "billion laughs" are made of
them), and no document makes it hold more than `MOST_PENDING` bytes. What expat reads and other
parsers of the field do not is refused too: UTF-16, a byte order mark, attributes that only a
declaration gives.

`Canonical` digests the elements, attributes and text of a document. The order of attributes, the
way a character is written, comments, and the white space between elements do not count; nor does
what its `Rules` leave out. The order of elements counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple
from xml.parsers import expat

from memori.digest.sources import BrokenFileError

MOST_PENDING = 1 << 22  # bytes of one tag or comment
MOST_TEXT = 1 << 23  # bytes of text in one element that is compared as text
MOST_DEPTH = 64
MOST_ELEMENTS = 500_000

_ENCODINGS = frozenset({"utf-8", "us-ascii", "iso-8859-1"})

VOLATILE_METADATA = frozenset(
    {
        # Workbench and Caret
        "Caret-Version",
        "Date",
        "ParentProvenance",
        "ProgramProvenance",
        "Provenance",
        "UniqueID",
        "UserName",
        "WorkingDirectory",
        # gifticlib
        "gifticlib-version",
    }
)
"""Names of metadata (an MD element with Name and Value) that say when, where and by whom."""


class Rules(NamedTuple):
    """What of a document does not count.

    Attributes
    ----------
    numbers
        Elements whose text is a list of numbers: the white space between them does not count.
    left_out
        Asked for each element (name, attributes); True leaves it out with all it holds.
    attributes
        Pairs (element, attribute) that are left out.
    """

    numbers: frozenset[str] = frozenset()
    left_out: Callable[[str, dict[str, str]], bool] = lambda name, attributes: False
    attributes: frozenset[tuple[str, str]] = frozenset()


def read_xml(
    pieces: Iterable[bytes],
    start: Callable[[str, dict[str, str]], None],
    text: Callable[[bytes], None],
    end: Callable[[str], None],
) -> None:
    """Call back for each element and text (as UTF-8, cut anywhere); ValueError if not sound XML."""

    def refuse(*_: object) -> int:
        raise BrokenFileError("declares an entity, or needs something from elsewhere")

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0" or (encoding or "utf-8").lower() not in _ENCODINGS:
            raise BrokenFileError(f"XML {version} in {encoding}")

    parser = expat.ParserCreate()
    parser.XmlDeclHandler = declared
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda characters: text(characters.encode())
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.AttlistDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SkippedEntityHandler = refuse
    seen = 0
    try:
        for piece in pieces:
            if not seen and (piece[:1] not in b"< \n\r\t" or piece[1:2] == b"\0"):
                raise BrokenFileError("starts with something else than a tag")
            seen += len(piece)
            parser.Parse(piece, False)
            if seen - max(parser.CurrentByteIndex, 0) > MOST_PENDING + len(piece):
                raise BrokenFileError(f"a tag of more than {MOST_PENDING} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BrokenFileError(f"not well-formed XML: {error}") from error


class Canonical:
    """A digest of what a document says; three of its methods are callbacks of `read_xml`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._hasher = hashlib.sha256()
        self._text = bytearray()
        self._open: list[_Element] = []
        self._elements = 0
        self._skipped = 0  # depth below an element that is left out

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note the start of an element."""
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise BrokenFileError(f"more than {MOST_ELEMENTS} elements")
        if self._skipped or self._rules.left_out(name, attributes):
            self._skipped += 1
            return
        if len(self._open) >= MOST_DEPTH:
            raise BrokenFileError(f"elements nested more than {MOST_DEPTH} deep")
        self._between()
        if self._open:
            self._open[-1].children += 1
        self._open.append(_Element(self._hasher))
        if name == "MD":  # digested apart, because its name comes inside
            self._hasher = hashlib.sha256()
        self.put(b"<", name.encode())
        for key in sorted(attributes):
            if (name, key) not in self._rules.attributes:
                self.put(b"@", key.encode())
                self.put(b"=", attributes[key].encode())

    def text(self, characters: bytes) -> None:
        """Note a piece of text."""
        if not self._skipped:
            self._text += characters
            if len(self._text) > MOST_TEXT:
                raise BrokenFileError(f"more than {MOST_TEXT} bytes of text in one element")

    def end(self, name: str) -> None:
        """Note the end of an element."""
        if self._skipped:
            self._skipped -= 1
            return
        element = self._open.pop()
        if element.children:
            self._between()
        else:
            text = bytes(self._text)
            self._text.clear()
            if name in self._rules.numbers:
                text = _evenly_spaced(text)
            self.put(b"text", text)
            if name in ("Name", "Value") and self._open:
                self._open[-1].texts[name] = text
        self.put(b">", b"")
        if name == "MD":
            entry, self._hasher = self._hasher.digest(), element.hasher
            if not element.is_volatile():
                self.put(b"MD", entry)

    def put(self, kind: bytes, value: bytes) -> None:
        """Add anything else that counts here."""
        for part in (kind, value):
            self._hasher.update(b"%d:" % len(part))
            self._hasher.update(part)

    def hexdigest(self) -> str:
        """Return the digest of the document so far."""
        return self._hasher.hexdigest()

    def _between(self) -> None:
        """Add the text between elements, where it is more than white space."""
        if self._text and (text := bytes(self._text).strip()):
            self.put(b"text", text)
        self._text.clear()


def _evenly_spaced(text: bytes) -> bytes:
    r"""Return words with single spaces; without a list of them, which would be large.

    >>> _evenly_spaced(b" 1 2\n   3 ")
    b'1 2 3'
    """
    text = text.translate(bytes.maketrans(b"\t\n\r", b"   "))
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.strip()


class _Element:
    """An open element: how many children it has, and the texts of those named Name and Value."""

    __slots__ = ("children", "hasher", "texts")

    def __init__(self, hasher: hashlib._Hash) -> None:
        self.hasher = hasher
        self.children = 0
        self.texts: dict[str, bytes] = {}

    def is_volatile(self) -> bool:
        """Tell whether this is an MD of exactly one Name, a volatile one, and one Value."""
        if self.children != 2 or len(self.texts) != 2:
            return False
        return self.texts["Name"].strip().decode() in VOLATILE_METADATA
