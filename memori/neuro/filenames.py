"""Names of files, as the field writes them: where a suffix begins, and what a program made of one.

A suffix is what says the format, whole: ``.nii.gz``, ``.dtseries.nii``, ``.surf.gii``,
``.tar.gz``, ``+orig.BRIK.gz``. A dot before a digit is part of the name (``mask_0.5``,
``vol.0001``), so is the dot at the start of a hidden file, and so is all of a FreeSurfer name that
ends in no format (``lh.pial``, ``rh.sphere.reg``). What stands before the suffix is the stem.
`split` is the one place that knows this; only BIDS names end as BIDS has it, at their first dot.

FSL's programs take and give image names without suffix (``brain``) and put their own in place
of one (``brain.nii`` becomes ``brain.nii.gz`` under FSLOUTPUTTYPE=NIFTI_GZ). AFNI's add a view to
a prefix (``brain`` becomes ``brain+orig.HEAD`` and ``brain+orig.BRIK``) and may compress the BRIK.
`real_file` finds the file where an output is looked for. A file of exactly the name that was asked
for always wins. Of an image in two files the header is returned; its content covers both. Where
several files could be meant, none is guessed.

Not promised: to know every format. Up to eight letters and digits after the last dot are taken for
one, so ``notes.final`` has the suffix ``.final``.
"""

from __future__ import annotations

import errno
import os
import re

from memori.errors import MemoriError

_PACKED = r"(?:\.(?:gz|bz2|xz|zst|z))?"
_INNER = r"""(?:
    \.(?:p|d|pd|dp)(?:series|tseries|scalar|label|conn|connseries|connscalar)(?=\.nii)   # CIFTI
  | \.(?:func|surf|shape|label|coord|topo|rgba|time|vector|tensor)(?=\.gii)             # GIFTI
  | \.(?:niml|1D)(?=\.(?:dset|roi)) | \.ome(?=\.(?:tiff?|btf|zarr)) | \.4dfp(?=\.(?:img|hdr|ifh))
)?"""
_VIEW = rf"\+(?:orig|acpc|tlrc)(?:\.|\.(?:HEAD|BRIK){_PACKED})?"
_SUFFIX = re.compile(
    rf"(?:{_VIEW}|{_INNER}\.(?:[a-z][a-z0-9]{{0,7}}|1D|7z){_PACKED})\Z", re.IGNORECASE | re.VERBOSE
)
_OF_HEMISPHERE = re.compile(
    rf"""{_INNER}\.(?:
    nii|gii|mgh|mgz|annot|label|asc|gcs|stats|ctab|w|tiff?|png|jpe?g|obj|stl|ply|vtk|srf|dset|roi
  | txt|tsv|csv|json|dat|log|mat|npy|lta|m3z|xfm|tar
    ){_PACKED}\Z""",
    re.IGNORECASE | re.VERBOSE,
)  # what a name such as lh.thickness.fwhm10.mgh ends in, where it is no FreeSurfer name of old

_IMAGE = (".nii.gz", ".nii", ".hdr", ".hdr.gz")
_PACKINGS = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img")
_VIEWS = ("+orig", "+acpc", "+tlrc")


def split(path: str) -> tuple[str, str]:
    """Return a path without the suffix of its last part, and the suffix ("" if it has none).

    Examples
    --------
    >>> split("/data/mask_0.5.nii.gz"), split("x.dtseries.nii"), split("dicoms/")
    (('/data/mask_0.5', '.nii.gz'), ('x', '.dtseries.nii'), ('dicoms', ''))
    >>> split("rest+orig.HEAD"), split("surf/lh.pial"), split("lh.pial.gii"), split(".hidden")
    (('rest', '+orig.HEAD'), ('surf/lh.pial', ''), ('lh.pial', '.gii'), ('.hidden', ''))
    """
    path = path.rstrip("/")
    name = os.path.basename(path)
    rule = _OF_HEMISPHERE if name[:3] in ("lh.", "rh.") else _SUFFIX
    found = rule.search(name)
    end = "" if found is None or found.start() == 0 else found[0]  # a hidden file has a name
    return path[: len(path) - len(end)], end


def stem(path: str) -> str:
    """Return a file's name without folder and suffix.

    Examples
    --------
    >>> stem("/data/sub-01_T1w.nii.gz"), stem("a.v2.dtseries.nii")
    ('sub-01_T1w', 'a.v2')
    """
    return os.path.basename(split(path)[0])


def suffix(path: str) -> str:
    """Return the suffix of a file's name, the whole of ``.nii.gz``; "" if it has none."""
    return split(path)[1]


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
    names = spellings(path)
    found = [name for name in names if os.path.isfile(name)]
    if len(found) > 1:
        raise AmbiguousFileError(path, found)
    if not found:
        also = ", ".join(os.path.basename(name) for name in names)
        raise FileNotFoundError(errno.ENOENT, f"no such file (nor, beside it, {also})", path)
    return found[0]


def spellings(path: str) -> list[str]:
    """List what a program may make of a name that it is told, besides that name."""
    if path.endswith((".HEAD", ".BRIK", ".BRIK.gz")):
        return [path + ".gz"] if path.endswith(".BRIK") else []
    if path.endswith(_VIEWS):
        return [path + ".HEAD"]
    packing = next((each for each in _PACKINGS if path.endswith(each)), "")
    bare = path.removesuffix(packing)
    names = [bare + each for each in _IMAGE if bare + each != path]
    return names if packing else names + [f"{path}{view}.HEAD" for view in _VIEWS]
