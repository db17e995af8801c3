"""Who may have read files of which Python does not tell.

Libraries in C open files by themselves, and not all of them announce it
(`memori.watch.libraries.announced`); a database or the network is no file. What was loaded when a
run ended is named, so that a person knows where memori could not look.
"""

from __future__ import annotations

import sys
from types import CodeType, ModuleType

from memori.watch.libraries.announced import OPENERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FunctionType

READERS = {
    "h5py": "HDF5 files",
    "tables": "HDF5 files",
    "netCDF4": "netCDF files",
    "zarr": "Zarr stores",
    "SimpleITK": "images",
    "itk": "images",
    "ants": "images",
    "vtk": "surfaces",
    "vtkmodules": "surfaces",
    "pyvista": "surfaces",
    "pyarrow.dataset": "Arrow and Parquet files",
    "pyarrow.parquet": "Parquet files",
    "pyarrow.csv": "tables",
    "pyarrow.feather": "Feather files",
    "pyarrow.orc": "ORC files",
    "fastparquet": "Parquet files",
    "polars": "tables",
    "duckdb": "databases",
    "lmdb": "databases",
    "sqlite3": "databases",
    "cv2": "images",
    "openslide": "images",
    "python_calamine": "spreadsheets",
    "torch": "tensors",
    "tensorflow": "records",
    "matlab.engine": "whatever MATLAB opens",
    "oct2py": "whatever Octave opens",
    "rpy2": "whatever R opens",
}
"""By module: what it reads without Python's help."""
TOLD_OF = frozenset({"sqlite3"})
"""Of these, those that tell which file they open, and not what they then read of it."""
_ANNOUNCED = {name.partition(".")[0] for name in OPENERS}


def programs_among(unseen: Iterable[str]) -> list[str]:
    """Return those of the unseen that are programs, and no libraries.

    >>> programs_among(["h5py (HDF5 files)", "cat (a program)"])
    ['cat (a program)']
    """
    return [each for each in unseen if each.partition(" (")[0] not in READERS]


def used_among(unseen: Iterable[str], functions: Iterable[FunctionType]) -> list[str]:
    """Return those of the unseen that are libraries which functions name: import, call or hold.

    Parameters
    ----------
    unseen : iterable of str
        Who may have read files of which nobody tells.
    functions : iterable of function
        The code that ran.

    Examples
    --------
    >>> def volumes(path):
    ...     import h5py
    ...
    ...     return len(h5py.File(path))
    >>> used_among(["h5py (HDF5 files)", "SimpleITK (images)"], [volumes])
    ['h5py (HDF5 files)']
    """
    libraries = [each for each in unseen if each.partition(" (")[0] in READERS]
    named: set[str] = set()
    for function in functions if libraries else ():
        names = _names_in(function.__code__)
        named.update(each.partition(".")[0] for each in names)
        for value in map(function.__globals__.get, names):
            own = value.__name__ if isinstance(value, ModuleType) else _module_of(value)
            named.add(own.partition(".")[0])
    return [each for each in libraries if each.partition(" (")[0].partition(".")[0] in named]


def _names_in(code: CodeType) -> set[str]:
    found = set(code.co_names)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found |= _names_in(each)
    return found


def _module_of(value: object) -> str:
    module = getattr(value, "__module__", None)
    return module if isinstance(module, str) else ""


def blind_readers() -> list[str]:
    """Return who is loaded that may read files of which nobody knows."""
    return [each for each in unseen_readers() if each.partition(" (")[0] not in TOLD_OF]


def unseen_readers(loaded: Iterable[str] | None = None) -> list[str]:
    """Return who is loaded that reads without telling, with what it reads.

    >>> unseen_readers(["numpy", "h5py", "netCDF4"])
    ['netCDF4 (netCDF files)']
    """
    every = readers(loaded)
    return [each for each in every if each.partition(" (")[0].partition(".")[0] not in _ANNOUNCED]


def readers(loaded: Iterable[str] | None = None) -> list[str]:
    """Return who is loaded that reads and writes files in C, with what it reads.

    >>> readers(["numpy", "h5py"])
    ['h5py (HDF5 files)']
    """
    names = sys.modules if loaded is None else set(loaded)
    return [f"{name} ({what})" for name, what in READERS.items() if name in names]
