"""The file that a program really wrote, where it was told another name.

FSL's programs take and give image names without extension (``brain``) and put their own in place
of one (``brain.nii`` becomes ``brain.nii.gz`` under FSLOUTPUTTYPE=NIFTI_GZ). AFNI's add a view to
a prefix (``brain`` becomes ``brain+orig.HEAD`` and ``brain+orig.BRIK``) and may compress the BRIK.
`real_file` finds the file where an output is looked for.

A file of exactly the name that was asked for always wins. Of an image in two files the header is
returned; its content covers both. Where several files could be meant, none is guessed.
"""

from __future__ import annotations

import errno
import os
import re

from memori.errors import MemoriError

_IMAGE = (".nii.gz", ".nii", ".hdr", ".hdr.gz")
_VIEWS = ("+orig", "+acpc", "+tlrc")


class AmbiguousFileError(MemoriError):
    """Several files could be meant by one name.

    Attributes
    ----------
    path : str
        The name that was looked for.
    candidates : list of str
        The files that are there.
    """

    def __init__(self, path: str, candidates: list[str]) -> None:
        super().__init__(
            f"{path!r} could mean {len(candidates)} files: {', '.join(map(repr, candidates))};"
            " remove all but one, or name the output with its extension"
        )
        self.path = path
        self.candidates = candidates


def real_file(path: str | os.PathLike[str]) -> str:
    """Return the existing file or folder that an output name means.

    Parameters
    ----------
    path : str or os.PathLike
        As it was given to the program.

    Raises
    ------
    AmbiguousFileError
        If several files could be meant.
    FileNotFoundError
        If there is none; the message lists the names that were looked for.
    """
    path = os.fspath(path)
    if os.path.exists(path):
        return path
    names = _names(path)
    found = [name for name in names if os.path.isfile(name)]
    if len(found) > 1:
        raise AmbiguousFileError(path, found)
    if not found:
        also = ", ".join(os.path.basename(name) for name in names)
        raise FileNotFoundError(errno.ENOENT, f"no such file (nor, beside it, {also})", path)
    return found[0]


def _names(path: str) -> list[str]:
    """List what a program may have made of a name."""
    if re.search(r"\.(HEAD|BRIK|BRIK\.gz)$", path):
        return [path + ".gz"] if path.endswith(".BRIK") else []
    if path.endswith(_VIEWS):
        return [path + ".HEAD"]
    stem = re.sub(r"\.(nii|hdr|img)(\.gz)?$", "", path)
    names = [stem + extension for extension in _IMAGE if stem + extension != path]
    return names if stem != path else names + [f"{path}{view}.HEAD" for view in _VIEWS]
