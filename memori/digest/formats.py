"""What a file means, whatever its packing: a registry of formats.

The SHA-256 of a file's bytes changes whenever a tool writes a date, a user name or another gzip
header. `content_of` digests what a format says *counts* and nothing else, so that two files with
equal content are interchangeable. docs/formats.md lists what counts, format by format.

The name's suffix proposes formats, the file's own first bytes decide: a format that finds something
else, or a file that is truncated, corrupt or hostile, declines, and the bytes are the file's
identity. Formats are found by import strings when a file of their suffix is first met, so that the
core imports no package of the field, and a file has the same content whether or not memori.neuro
was imported.

Some formats keep one image in several files (.hdr and .img, HEAD and BRIK). Each of these names
stands for all of them: the content covers its *companions*. If such files are not sound, their
content is the bytes of all. A companion that is not there yet (a header is often fetched before its
data) is looked for again whenever the file is.

Another package adds a format with an entry point in the group ``memori.formats``, named by the
suffix, that loads a `Format`; it cannot replace the formats below nor claim a suffix in `PLAIN`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from memori.digest.sources import Source, is_misnamed, sha256_ahead
from memori.errors import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Format(Protocol):
        """What one file format counts.

        Attributes
        ----------
        family
            Enters every digest, so that files of two formats never share one. To change what
            counts, change it too ("nifti 1" to "nifti 2").
        """

        family: str

        def companions(self, path: str) -> tuple[str, ...]:
            """Return names, relative to the file's folder, of further files that belong to it.

            Also those that do not exist: a digest holds only while they do not.
            """
            ...

        def describe(self, path: str, fields: FieldDigest) -> None:
            """Put all that counts into `fields`; raise ValueError if the file is not a sound one.

            Called once for a new file. It must read forwards in bounded memory and trust no number
            in the file (see `memori.digest.sources.Source`).
            """
            ...


_NEURO = "memori.neuro.formats."
_NIFTI = (_NEURO + "nifti:NIFTI",)
_AFNI = (_NEURO + "afni:AFNI",)
_GIFTI = (_NEURO + "gifti:GIFTI",)
_MRTRIX = (_NEURO + "mrtrix:IMAGE",)
_FREESURFER = (_NEURO + "freesurfer:SURFACE",)
_GZIPPED = (_NEURO + "gzipped:TEXT",)

_HEADERS = _NEURO + "headers:"
_HDF5 = (_NEURO + "hdf5:HDF5",)

FORMATS: dict[str, tuple[str, ...]] = {
    ".nii": _NIFTI,
    ".nii.gz": _NIFTI,
    ".hdr": (_HEADERS + "ENVI", _HEADERS + "INTERFILE", *_NIFTI),
    ".hdr.gz": _NIFTI,
    ".img": _NIFTI,
    ".img.gz": _NIFTI,
    ".gii": _GIFTI,
    ".gii.gz": _GIFTI,
    ".head": _AFNI,
    ".brik": _AFNI,
    ".brik.gz": _AFNI,
    ".brik.bz2": _AFNI,
    ".brik.z": _AFNI,
    ".mif": _MRTRIX,
    ".mif.gz": _MRTRIX,
    ".mih": _MRTRIX,
    ".tck": (_NEURO + "tracts:TCK",),
    ".mgh": (_NEURO + "freesurfer:VOLUME",),
    ".mgz": (_NEURO + "freesurfer:VOLUME",),
    ".mgh.gz": (_NEURO + "freesurfer:VOLUME",),
    ".annot": (_NEURO + "freesurfer:ANNOTATION",),
    ".lta": (_NEURO + "freesurfer:TRANSFORM",),
    ".stats": (_NEURO + "freesurfer:STATISTICS",),
    ".mnc": (_NEURO + "minc:VOLUME", _NEURO + "hdf5:MINC2"),
    ".mnc.gz": (_NEURO + "minc:VOLUME",),
    ".xfm": (_NEURO + "minc:TRANSFORM",),
    ".trx": (_NEURO + "trx:TRX",),
    ".mat": (_NEURO + "matlab:MATLAB", *_HDF5),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".hdf": _HDF5,
    ".h5ad": _HDF5,
    ".nc": _HDF5,
    ".nwb": _HDF5,
    ".snirf": _HDF5,
    ".json": (_NEURO + "sidecars:JSON_TEXT",),
    ".par": (_HEADERS + "PAR",),
    ".rec": (_HEADERS + "REC",),
    ".xml": (_HEADERS + "XML_REC",),
    ".mhd": (_HEADERS + "META_IMAGE",),
    ".mha": (_HEADERS + "META_IMAGE",),
    ".nhdr": (_HEADERS + "NRRD",),
    ".nrrd": (_HEADERS + "NRRD",),
    ".hv": (_HEADERS + "INTERFILE",),
    ".hs": (_HEADERS + "INTERFILE",),
    ".h33": (_HEADERS + "INTERFILE",),
    ".vhdr": (_HEADERS + "BRAIN_VISION",),
    ".ahdr": (_HEADERS + "BRAIN_VISION",),
    ".lay": (_HEADERS + "PERSYST",),
    ".set": (_NEURO + "recordings:EEGLAB",),
    ".fif": (_NEURO + "recordings:FIF",),
    ".fif.gz": (_NEURO + "recordings:FIF",),
    ".tsv.gz": _GZIPPED,
    ".csv.gz": _GZIPPED,
    ".txt.gz": _GZIPPED,
    ".1d.gz": _GZIPPED,
}

PREFIXES: dict[str, tuple[str, ...]] = {"lh.": _FREESURFER, "rh.": _FREESURFER}
"""FreeSurfer names its surfaces by hemisphere, and by suffixes without number (lh.pial.T1)."""

_PLAIN = """
.1d .avi .bash .bdf .bval .bvec .csv .dat .dcm .dpi .edf .gif .html .ini .jpeg .jpg .label .log .m
.md .mp4 .npy .npz .pdf .pickle .pkl .png .ps .py .r .rst .sh .svg .tar .tgz .toml .trk .tsf .tsv
.txt .yaml .yml .zip
"""
PLAIN = frozenset(_PLAIN.split())
"""Suffixes whose bytes are their meaning: no plug-in is looked for."""

GROUP = "memori.formats"

_loaded: dict[str, Format] = {}
_plugins: dict[str, tuple[Format, ...]] | None = None


class Content:
    """What a file means.

    Attributes
    ----------
    digest
        64 hexadecimal digits, equal for files that are interchangeable.
    companions
        Names, relative to the file's folder, of the further files that the digest covers.
    """

    __slots__ = ("companions", "digest")

    def __init__(self, digest: str, companions: tuple[str, ...] = ()) -> None:
        self.digest = digest
        self.companions = companions

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Content):
            return NotImplemented
        return self.digest == other.digest and self.companions == other.companions

    def __hash__(self) -> int:
        return hash((self.digest, self.companions))

    def __repr__(self) -> str:
        return f"Content({self.digest!r}, {self.companions!r})"


class FieldDigest:
    """A SHA-256 of named fields, injective: no two sequences of fields give the same bytes.

    >>> fields = FieldDigest("example 1")
    >>> fields.field("size", "64 64")
    >>> fields.stream("voxels", [b"many ", b"bytes"])
    10
    >>> fields.hexdigest()[:8]
    'ef34c69a'
    """

    __slots__ = ("_hasher",)

    def __init__(self, family: str) -> None:
        self._hasher = hashlib.sha256(b"memori content\0")
        self.field("family", family)

    def field(self, name: str, value: bytes | str) -> None:
        """Add one small named value."""
        self._put(
            b"field",
            name,
            value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value,
        )

    def stream(self, name: str, pieces: Iterable[bytes]) -> int:
        """Add a value of any size and return its length; how it is cut does not count."""
        digest, length = sha256_ahead(pieces)
        self._put(b"stream", name, digest.encode())
        return length

    def hexdigest(self) -> str:
        """Return the digest of all fields so far."""
        return self._hasher.hexdigest()

    def _put(self, kind: bytes, name: str, value: bytes) -> None:
        for part in (kind, name.encode(), value):
            self._hasher.update(b"%d:" % len(part))
            self._hasher.update(part)


_UNMISTAKABLE = frozenset(
    {".nii", ".nii.gz", ".gii", ".gii.gz", ".mif", ".mif.gz", ".tck", ".trx", ".mgh", ".mgz"}
    | {".mnc", ".h5", ".hdf5", ".nwb", ".fif", ".fif.gz", ".json", ".annot"}
)
"""Suffixes that nobody gives to files of another format."""
_FAULTS_OF_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW)  # what it says led to no place in it


def content_of(path: str) -> Content | None:
    """Return what a file means, or None if its bytes say all there is.

    None for a file of no known format, and for one that only looks like it or is damaged.

    Raises
    ------
    OSError
        If the file, or one that belongs to it, cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        return None  # opening a pipe would wait for ever
    for known in formats_of(path):
        fields = FieldDigest(known.family)
        try:
            known.describe(path, fields)
            companions = _existing(path, known.companions(path))
            _put_misnamed(path, companions, fields)
            return Content(fields.hexdigest(), companions)
        except Exception as error:  # whatever a hostile file brings about, its bytes remain
            if isinstance(error, OSError) and error.errno not in _FAULTS_OF_CONTENT:
                raise
    companions = companions_of(path)
    return Content(_bytes_of(path, companions), companions) if companions else None


def is_damaged(path: str) -> bool:
    """Tell whether a file is not what its name says: empty, cut off or broken.

    False where that cannot be known, as of a text.
    """
    name = os.path.basename(path).lower()
    suffixes = [name[at:] for at, letter in enumerate(name) if letter == "."]
    return bool(_UNMISTAKABLE.intersection(suffixes)) and content_of(path) is None


def _put_misnamed(path: str, companions: tuple[str, ...], fields: FieldDigest) -> None:
    """Put into `fields` what is gzip under a plain name, or plain under that of gzip."""
    folder, name = os.path.split(path)
    for each in sorted((name, *companions)):
        if is_misnamed(os.path.join(folder, each)):
            fields.field("misnamed", os.path.splitext(each)[1].lower())


def companions_of(path: str) -> tuple[str, ...]:
    """Return names, relative to the file's folder, of further files that belong to it."""
    return _existing(path, possible_companions_of(path))


def possible_companions_of(path: str) -> tuple[str, ...]:
    """Return names as `companions_of` does, also of files that do not exist."""
    for known in formats_of(path):
        try:
            if companions := known.companions(path):
                return companions
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
    return ()


def _existing(path: str, names: tuple[str, ...]) -> tuple[str, ...]:
    folder = os.path.dirname(path)
    return tuple(name for name in names if os.path.isfile(os.path.join(folder, name)))


def may_be_known(path: str) -> bool:
    """Tell from the name alone whether `content_of` has a format to propose."""
    return next(formats_of(path), None) is not None


def formats_of(path: str) -> Iterator[Format]:
    """Yield the formats that a file's name proposes, the most specific first."""
    name = os.path.basename(path).lower()
    suffixes = [name[at:] for at, letter in enumerate(name) if letter == "."]
    for suffix in suffixes:
        for where in FORMATS.get(suffix, ()):
            yield _load(where)
    for where in PREFIXES.get(name[:3], ()):
        yield _load(where)
    if suffixes and suffixes[-1] not in PLAIN and not any(suffix in FORMATS for suffix in suffixes):
        plugins = _found_plugins()
        for suffix in suffixes:
            yield from plugins.get(suffix, ())


def _load(where: str) -> Format:
    if where not in _loaded:
        from importlib import import_module

        module, _, name = where.partition(":")
        _loaded[where] = getattr(import_module(module), name)
    return _loaded[where]


def _found_plugins() -> dict[str, tuple[Format, ...]]:
    """Load the formats of other packages, once; one that cannot be loaded is a warning."""
    global _plugins
    if _plugins is None:
        from importlib.metadata import entry_points

        found: dict[str, tuple[Format, ...]] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
            try:
                found[entry.name.lower()] = (*found.get(entry.name.lower(), ()), entry.load())
            except Exception as error:
                warn(f"format {entry.name!r} ({entry.value}) was not loaded: {error}")
        _plugins = found
    return _plugins


def _bytes_of(path: str, companions: tuple[str, ...]) -> str:
    fields = FieldDigest("bytes of several files")
    folder, name = os.path.split(path)
    for each in sorted((name, *companions)):
        fields.field("suffix", each.lower().partition(".")[2])
        with Source(os.path.join(folder, each), gzipped=False) as source:
            fields.stream("bytes", source.rest())
    return fields.hexdigest()
