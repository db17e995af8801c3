"""What files a word of a command names, as the tools of the field read words.

A tool makes paths of words in its own way. AFNI takes ``epi+orig[0..5]`` for a part of
``epi+orig.HEAD``, and ``epi`` for any view of it; FSL and niimath take ``img`` for ``img.nii.gz``;
MRtrix takes ``vol[0:2].nii`` for three files; ANTs joins paths in brackets, others by commas or
behind ``--in=``, or list them in a file (``@list.txt``). `files_of` knows these ways, for all
tools alike: a name that is no file costs a look.

Where several names would do (``img.nii`` and ``img.nii.gz``), those that are not there are named
as well: that one appears may change what is read. niimath's order is known: it takes the first.

Not promised: what a tool makes of words by a way of its own.
"""

from __future__ import annotations

import os
import re
from glob import glob
from typing import NamedTuple

from memori.watch.listings import literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_VIEWS = ("+orig", "+acpc", "+tlrc")
_IMAGES = (".nii.gz", ".nii", ".img.gz", ".img", ".hdr.gz", ".hdr")
_IN_ORDER = {"niimath": (".nii", ".nii.gz", ".hdr", ".hdr.gz")}
"""Of tools that take the first that is there."""
_ANY = (*(f"{view}.HEAD" for view in _VIEWS), *_IMAGES)
_SELECTED = re.compile(r"([^\[\]<>{}]+?)(?:\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\\?')+")
_LISTED = re.compile(r"\w*\[(.+)\]")
_NUMBERED = re.compile(r"\[[\d:,]*\](?=.)")
_MOST_TEXT = 1 << 16
_MOST_NAMES = 1000
_LONGEST = 4096


class Found(NamedTuple):
    """What one word names: absolute paths.

    Attributes
    ----------
    files, folders, absent : list of str
        What is there, and what would be meant if it were there.
    patterns : list of str
        Patterns for names.
    """

    files: list[str]
    folders: list[str]
    absent: list[str]
    patterns: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is named that is there."""
        return not (self.files or self.folders or self.patterns)

    def adds(self, other: Found) -> None:
        """Take in what another word names."""
        for mine, others in zip(self, other, strict=True):
            mine += others


def nothing() -> Found:
    """Return that nothing is named."""
    return Found([], [], [], [])


def files_of(word: str, folder: str, program: str = "") -> Found:
    """Return what a word of a command names.

    Parameters
    ----------
    word : str
        As the program gets it.
    folder : str
        Where the program runs, absolute.
    program : str, optional
        Its name.
    """
    found = nothing()
    if not word or "\0" in word:
        return found
    for text in dict.fromkeys(_spellings(word)):
        one = _named(text, folder, program)
        found.adds(one)
        if text == word and not one.is_empty:
            return found  # the word itself is a name
    if word[0] == "@" and found.files:
        for path in list(found.files):
            for each in _listed_in(path):
                found.adds(_named(each, folder, program))
    return found


def _spellings(word: str) -> Iterator[str]:
    """Yield the texts in a word that may be names."""
    yield word
    name, sign, value = word.partition("=")
    if sign and value and "/" not in name:
        yield from _spellings(value)
    if word[0] == "@":
        yield word[1:]
    listed = _LISTED.fullmatch(word)
    pieces = [] if listed is None else listed[1].split(",")
    pieces += word.split(",") if "," in word else []
    if any(sign.isspace() for sign in word):
        pieces += word.replace('"', " ").replace("'", " ").split()
    for piece in filter(None, pieces):
        yield from _spellings(piece)
    selected = _SELECTED.fullmatch(word)
    if selected is not None:
        yield selected[1]


def _named(text: str, folder: str, program: str) -> Found:
    """Return what one text names."""
    found = nothing()
    if not text or text[0] == "-" or len(text) > _LONGEST:
        return found
    spelled = os.path.join(folder, text)
    path = os.path.normpath(spelled)
    if "/../" in spelled and os.path.realpath(path) != os.path.realpath(spelled):
        path = os.path.realpath(spelled)  # above a link is what lies above where it leads
    if os.path.isfile(path):
        found.files.extend([] if text[-1] == "/" else [path])
    elif os.path.isdir(path):
        found.folders.append(path)
    elif _NUMBERED.search(os.path.basename(path)):
        above, name = os.path.split(path)
        pattern = f"{literal(above)}/{_NUMBERED.sub('*', name)}"
        fitting = [each for each in glob(pattern)[:_MOST_NAMES] if os.path.isfile(each)]
        if fitting:
            found.files.extend(fitting)
            found.patterns.append(pattern)
    elif text[-1] != "/" and not os.path.lexists(path):
        _without_extension(found, path, os.path.basename(program))
    return found


def _without_extension(found: Found, path: str, program: str) -> None:
    """Find images whose names a text does not spell to the end."""
    ends = _IN_ORDER.get(program, _ANY)
    if path.endswith(_VIEWS):
        ends = (".HEAD",)
    there = [f"{path}{end}" for end in ends if os.path.isfile(f"{path}{end}")]
    if not there:
        return
    for end in ends:
        each = f"{path}{end}"
        (found.files if each in there else found.absent).append(each)
        if program in _IN_ORDER and each in there:
            break


def _listed_in(path: str) -> list[str]:
    """Return the words in a file that lists names."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(_MOST_TEXT).split()[:_MOST_NAMES]
    except OSError:
        return []
