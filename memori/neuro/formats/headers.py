"""Headers whose data lie in other files: one artifact, by the name of the header.

A reader is given the header, which names its data: in a line of its text (MetaImage, NRRD,
BrainVision, Interfile, Persyst), or by its own name (PAR/REC, ENVI). The content of such a header
is the bytes of it and of all files that it names, of those that are there. Where readers look for
the data under the name of the header, too, because people rename files (BrainVision), or where the
spelling of a suffix varies, every such name is looked for.

Declined: a file that only has the suffix, and a list of more than `MOST_FILES` names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

MOST_HEADER = 1 << 20  # bytes
MOST_FILES = 10_000


class _Header:
    """A format of several files that is compared by the bytes of all.

    Parameters
    ----------
    family
        As in `memori.digest.formats.Format`.
    start
        What the header begins with; a pattern.
    named
        Gives the names of the data from the text of the header and its stem.
    """

    def __init__(
        self, family: str, start: bytes, named: Callable[[bytes, str], Iterable[str]]
    ) -> None:
        self.family = family
        self._start = re.compile(start)
        self._named = named

    def companions(self, path: str) -> tuple[str, ...]:
        """Return the names that the header gives to its data, there or not."""
        with Source(path, gzipped=False) as source:
            text = source.up_to(MOST_HEADER)
        if not self._start.match(text):
            return ()
        stem, name = os.path.splitext(os.path.basename(path))[0], os.path.basename(path)
        names: dict[str, None] = {}
        for each in self._named(text, stem):
            if each != name and "\0" not in each:
                names[each] = None
            if len(names) > MOST_FILES:
                raise BrokenFileError(f"a header that names more than {MOST_FILES} files")
        return tuple(names)

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Decline: the bytes of all its files are compared."""
        raise BrokenFileError("a header is compared by its bytes and those of its data")


def _text(value: bytes) -> str:
    """Return a name that a header spells in UTF-8, or in Latin-1 as older ones do."""
    name = value.strip().strip(b'"')
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _values(text: bytes, key: bytes) -> Iterator[str]:
    """Yield the values of lines such as ``key = value``, in any case."""
    line = rb"^[ \t!]*%s[ \t]*:?=[ \t]*(\S.*)$" % key
    for found in re.finditer(line, text, re.IGNORECASE | re.MULTILINE):
        yield _text(found[1])


def _listed(value: str, following: bytes) -> Iterator[str]:
    r"""Yield what a name of MetaImage or NRRD stands for: a file, a pattern, or lines below it.

    >>> list(_listed("slice%02d.raw 1 5 2", b"")), list(_listed("LIST", b"a.raw\nb.raw\n"))
    (['slice01.raw', 'slice03.raw', 'slice05.raw'], ['a.raw', 'b.raw'])
    """
    words = value.split()
    if words[0].upper() == "LIST":
        yield from (_text(line) for line in following.splitlines() if line.strip())
    elif re.fullmatch(r"[^%]*%0?\d{0,2}d[^%]*", words[0]) and len(words) >= 3:
        low, high, step = (int(word) for word in [*words[1:], "1"][:3])
        for number in range(low, high + (1 if step > 0 else -1), step):
            yield words[0] % number
    elif value.upper() != "LOCAL":
        yield value


def _metaimage(text: bytes, stem: str) -> Iterator[str]:
    found = re.search(rb"^[ \t]*ElementDataFile[ \t]*[=:][ \t]*(\S.*)$", text, re.MULTILINE)
    if found:
        yield from _listed(_text(found[1]), text[found.end() :])


def _nrrd(text: bytes, stem: str) -> Iterator[str]:
    # Fields end with an empty line, after which data may follow in the same file.
    fields = re.split(rb"\r?\n\r?\n", text, maxsplit=1)[0]
    found = re.search(rb"^data ?file: *(\S.*)$", fields, re.IGNORECASE | re.MULTILINE)
    if found:
        yield from _listed(_text(found[1]), fields[found.end() :])


def _brainvision(text: bytes, stem: str) -> Iterator[str]:
    for key in (b"DataFile", b"MarkerFile"):
        for value in _values(text, key):
            yield value.replace("$b", stem)  # the name of the header, as the format has it
    yield from (stem + suffix for suffix in (".eeg", ".dat", ".vmrk"))


def _interfile(text: bytes, stem: str) -> Iterator[str]:
    return _values(text, rb"name of data file")


def _persyst(text: bytes, stem: str) -> Iterator[str]:
    for value in _values(text, b"File"):
        yield value.replace("\\", "/").rpartition("/")[2]  # looked for beside the header


def _envi(text: bytes, stem: str) -> Iterator[str]:
    yield stem
    for suffix in (".img", ".dat", ".raw", ".bil", ".bip", ".bsq", ".sli"):
        yield from (stem + suffix, stem + suffix.upper())


def _rec(text: bytes, stem: str) -> Iterator[str]:
    return (stem + suffix for suffix in (".REC", ".rec", ".Rec"))


def _par(text: bytes, stem: str) -> Iterator[str]:
    return (stem + suffix for suffix in (".PAR", ".par", ".Par"))


META_IMAGE = _Header("metaimage 1", rb"(?s)\s*\w+[ \t]*[=:].*ElementDataFile", _metaimage)
NRRD = _Header("nrrd 1", rb"NRRD00", _nrrd)
BRAIN_VISION = _Header("brainvision 1", rb"(?i)\s*(\xef\xbb\xbf)?Brain ?Vision", _brainvision)
INTERFILE = _Header("interfile 1", rb"(?i)\s*!?INTERFILE", _interfile)
PERSYST = _Header("persyst 1", rb"(?i)\s*\[FileInfo\]", _persyst)
ENVI = _Header("envi 1", rb"ENVI\s", _envi)
PAR = _Header("par/rec 1", rb"# === DATA DESCRIPTION FILE", _rec)
XML_REC = _Header("xml/rec 1", rb"(?s).{0,1000}<PRIDE_V5", _rec)
REC = _Header("rec 1", rb"", _par)
