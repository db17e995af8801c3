"""MATLAB files (.mat) of version 5, as MATLAB, Octave and scipy write them.

What counts: every byte but the description of 116 letters at the start, which says on which system
and when the file was written. Version 7.3 is HDF5 (`memori.neuro.formats.hdf5`); version 4 has no
description, and text in .mat (FSL's matrices) is no MATLAB file: their bytes are compared.
"""

from __future__ import annotations

from memori.digest.formats import FieldDigest
from memori.digest.sources import BrokenFileError, Source

_DESCRIPTION = 116


class _Matlab:
    family = "matlab 5 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put everything behind the description into `fields`."""
        with Source(path, gzipped=False) as source:
            header = source.read(128)
            known = header[124:] in (b"\0\1IM", b"\1\0MI")  # version and byte order
            if not header.startswith(b"MATLAB 5.0 MAT-file") or not known:
                raise BrokenFileError("no MATLAB file of version 5")
            fields.field("header", header[_DESCRIPTION:])
            fields.stream("variables", source.rest())


MATLAB = _Matlab()
