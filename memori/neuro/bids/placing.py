"""What is saved as a derivative, and how it gets under its name whole.

A value is the path of a file, which is copied, of a folder that is one file (`.ome.zarr`, `.ds`),
which is copied with all it holds, or a JSON value. A copy takes no room where the file system
shares blocks (Btrfs, XFS); with `link` it is a hard link. It appears whole or not at all. The
header of a BrainVision recording takes its data and markers along, and names them anew.

Not promised: that a folder is there at every moment while another takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from typing import BinaryIO

from memori.digest.formats import companions_of
from memori.errors import MemoriError
from memori.files import copy_content, partial_of, replacing
from memori.keep.removed import removed_at, was_removed
from memori.neuro.bids.content import require
from memori.neuro.bids.written import digest_of
from memori.neuro.data.saving import save as save_whole
from memori.neuro.filenames import split
from memori.neuro.filenames import suffix as extension_of

# One file of several: alone, under another name, nobody can read it.
_PARTS = (".hdr", ".img", ".HEAD", ".BRIK", ".vhdr", ".vmrk", ".eeg", ".fdt", ".mhd", ".nhdr")
_NAMING = (".vhdr", ".vmrk")  # which name the other files of a recording
_NAMED = re.compile(rb"(?mi)^(DataFile|MarkerFile)=(?!\$b)[^\r\n]*(\.[^\r\n.]*)")
_LINE = re.compile(rb"(?mi)^(?:DataFile|MarkerFile)=")
_BESIDE = {"dwi": (".bval", ".bvec"), "epi": (".bval", ".bvec"), "dseg": (".tsv",)}


class Value:
    """What is saved: a file, a folder that is one file, or JSON.

    Attributes
    ----------
    path : str or None
        The file or folder.
    extension : str
        What the derivative's name ends in.
    digest : str
        SHA-256 of what it holds.
    """

    def __init__(self, value: object, extension: str | None, *, is_part: bool = False) -> None:
        self.path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        self._content = b""
        if self.path is None:
            self.extension = ".json" if extension is None else extension
            self._content = as_json(value)
            self.digest = hashlib.sha256(self._content).hexdigest()
            return
        gone = removed_at(self.path) if was_removed(self.path) else None
        if gone is not None:
            raise MemoriError(
                f"{self.path} was removed by keep={gone['keep']!r} when its case was over: name "
                "the output in keep=[...] of the pipeline to save it as a derivative"
            )
        require([self.path])
        if not is_part:
            _refuse_parts(self.path, extension)
        self.extension = _extension_of(self.path) if extension is None else extension
        self.digest = digest_of(self.path)

    def under(self, stem: str) -> Value:
        """Return what is written under a name: the texts of a recording name its other files."""
        if self.path is None or not self.path.endswith(_NAMING):
            return self
        name = os.fsencode(os.path.basename(stem))
        with open(self.path, "rb") as file:
            content = _NAMED.sub(lambda m: b"%s=%s%s" % (m[1], name, m[2]), file.read())
        new = object.__new__(Value)
        new.path, new.extension, new._content = None, self.extension, content
        new.digest = hashlib.sha256(content).hexdigest()
        return new

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that is one file."""
        return self.path is not None and os.path.isdir(self.path)

    def beside(self, suffix: str) -> dict[str, str]:
        """Return the files that go along, by extension: gradients, labels' names, recordings."""
        if self.path is None:
            return {}
        if self.path.endswith(".vhdr"):
            folder = os.path.dirname(self.path)
            return {
                extension_of(each): os.path.join(folder, each) for each in companions_of(self.path)
            }
        stem, _ = split(self.path)
        found = {end: stem + end for end in _BESIDE.get(suffix, ()) if end != self.extension}
        return {end: path for end, path in found.items() if os.path.isfile(path)}

    def own_sidecar(self) -> str | None:
        """Return the JSON that a tool left beside the file, such as dcm2niix does."""
        path = None if self.path is None else f"{split(self.path)[0]}.json"
        return path if path and path != self.path and os.path.isfile(path) else None

    def put(self, target: str, *, wanting: bool, link: bool) -> None:
        """Write it under its name, if it is not there; a link to the value becomes a copy."""
        if self.path is None:
            if wanting:
                content = self._content
                _put(target, lambda stream: stream.write(content))
        elif wanting or (not link and not self.is_folder and _is_link_to(target, self.path)):
            if self.is_folder:
                _put_folder(self.path, target)
            elif not (link and _linked(self.path, target)):
                path = self.path
                _put(target, lambda stream: copy_content(path, stream))


def _put(target: str, write: Callable[[BinaryIO], object]) -> None:
    save_whole(write, target, default="", caller="Derivatives.save")


def _linked(source: str, target: str) -> bool:
    try:
        with replacing(target) as partial:
            os.link(os.path.realpath(source), partial)
        return True
    except OSError:
        return False  # another file system: a copy does


def _put_folder(source: str, target: str) -> None:
    if os.path.realpath(source) == os.path.realpath(target):
        return
    partial = partial_of(target)
    old = f"{partial}.old"
    try:
        shutil.copytree(source, partial, symlinks=False)
        if os.path.lexists(target):
            os.rename(target, old)
        os.rename(partial, target)
    finally:
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)


def _extension_of(file: str) -> str:
    """Return the extension of a result's own name, in which other dots may stand."""
    extension = extension_of(file)
    if not extension:
        raise ValueError(
            f"{file!r} has no extension that its derivative could have; give extension=, such as "
            "'.txt'"
        )
    return extension


def _refuse_parts(file: str, extension: str | None) -> None:
    """Raise if a file cannot be saved, or not under another name."""
    is_one = os.path.isfile(file) or (os.path.isdir(file) and (extension or extension_of(file)))
    if not is_one:
        what = f"{file!r} is a folder" if os.path.isdir(file) else f"there is no file {file!r}"
        raise FileNotFoundError(f"nothing to save as a derivative: {what}")
    others = companions_of(file)
    if file.endswith(".vhdr") and extension in (None, ".vhdr") and _is_complete(file, others):
        return  # they go along
    if others or file.removesuffix(".gz").endswith(_PARTS):
        raise ValueError(
            f"{file!r} is one of several files that belong together "
            f"({', '.join([os.path.basename(file), *others])}), and alone, under another name, "
            "nobody could read it; save it as one file first: an image as .nii.gz by "
            "memori.neuro.save_image"
        )


def _is_complete(header: str, others: tuple[str, ...]) -> bool:
    """Tell whether the other files of a recording, as many as its header names, are there."""
    with open(header, "rb") as file:
        return 0 < len(_LINE.findall(file.read())) <= len(others)


def _is_link_to(target: str, file: str) -> bool:
    """Tell whether a derivative is the very file that it should be a copy of."""
    return os.path.samefile(target, file) and os.path.abspath(target) != os.path.abspath(file)


def as_json(value: object) -> bytes:
    """Return a JSON value as the content of its derivative."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except TypeError as error:
        raise TypeError(
            f"cannot save a {type(value).__name__} as a derivative: expected the path of a file or "
            "a JSON value; memori.neuro.save_array, save_image and save_table make files"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"cannot save a value as JSON: {error}; BIDS asks for valid JSON, which has no NaN "
            "and no infinity: give None, or 'n/a', in their place"
        ) from error
