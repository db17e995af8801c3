"""Libraries in C announce the files that they open.

HDF5, Arrow, ITK or OpenCV open files by themselves, and Python tells no audit hook of it. But each
is given the name by Python, at few places (`OPENERS`). What stands there is wrapped when the
library is imported, or at the first run after that, and raises the audit event ``open`` that
Python's own `open` would raise, before the library opens the file. So one hook understands both.

The finder that waits for them tells as well what is looked for by any import, however it is spelled
(`importlib.import_module` raises no audit event).

A folder (a partitioned table) is announced with all files below it, a pattern with those that fit.

So do functions in Python that look into a file which they then write anew: announced as written
first, what they find there is no input.

Not promised: files that the content of another one names (external links of HDF5, ``.mhd`` with
its ``.raw``), functions that a module of yours took by name before the first run
(``from cv2 import imread``), and libraries that are not in the table
(`memori.watch.libraries.unseen` names those that are known).
"""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase
from functools import wraps

from memori.fingerprint.opaque import StandIn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Opener:
    """A function, or a method of a class in Python, that is given the name of a file.

    Parameters
    ----------
    name : str
        Its name in the module; of functions, a pattern.
    parameter : str
        The parameter that names the file, or several.
    place : int
        Where that stands among positional arguments, after ``self``.
    mode : str
        As `open` takes it, or a parameter that says so; ``words`` are those of a command, of which
        some are files; ``nifti`` is how ITK reads: the data of ``x.nii.gz`` come from an ``x.nii``
        beside it, if there is one.
    mode_place : int
        Where that parameter stands.
    """

    __slots__ = ("mode", "mode_place", "name", "parameter", "place")

    def __init__(
        self, name: str, parameter: str, place: int = 0, mode: str = "r", mode_place: int = 1
    ) -> None:
        self.name = name
        self.parameter, self.place = parameter, place
        self.mode, self.mode_place = mode, mode_place


_ITK = (Opener("imread", "filename", mode="nifti"), Opener("*[hm]read", "filename"))
OPENERS = {
    "h5py.h5f": (Opener("open", "name", mode="flags"), Opener("create", "name", mode="w")),
    "tables.file": (Opener("File.__init__", "filename", mode="mode"),),
    "SimpleITK.SimpleITK": (
        Opener("ImageFileReader.SetFileName", "fn", mode="nifti"),
        Opener("ImageSeriesReader.SetFileNames", "fileNames", mode="nifti"),
        Opener("ImageFileWriter.SetFileName", "fileName", mode="w"),
        Opener("_SimpleITK.ReadTransform", "filename"),
    ),
    "itk.support.extras": _ITK,
    "itk": _ITK,
    "ants.lib": (
        Opener("imageRead*", "filename", mode="nifti"),
        Opener("readTransform*", "filename"),
        Opener("antsImageHeaderInfo", "filename"),
        Opener("antsApplyTransforms*", "args", mode="words"),
        Opener("antsRegistration*", "args", mode="words"),
    ),
    "pyarrow": (
        Opener("memory_map", "path", mode="mode"),
        Opener("OSFile", "path", mode="mode"),
        Opener("input_stream", "source"),
    ),
    "pyarrow.ipc": (
        Opener("RecordBatchFileReader.__init__", "source"),
        Opener("RecordBatchStreamReader.__init__", "source"),
    ),
    "pyarrow.csv": (Opener("read_csv", "input_file"), Opener("open_csv", "input_file")),
    "pyarrow.json": (Opener("read_json", "input_file"), Opener("open_json", "input_file")),
    "pyarrow.dataset": (Opener("dataset", "source"),),
    "pyarrow.orc": (Opener("ORCFile.__init__", "source"),),
    "pyarrow.parquet.core": (
        Opener("ParquetFile.__init__", "source"),
        Opener("ParquetDataset.__init__", "path_or_paths"),
        Opener("ParquetWriter.__init__", "where", mode="w"),
        Opener("read_metadata", "where"),
        Opener("read_schema", "where"),
    ),
    "pyarrow._feather": (
        Opener("FeatherReader", "source"),
        Opener("write_feather", "dest", 1, mode="w"),
    ),
    "polars": (Opener("read_*", "source"), Opener("scan_*", "source")),
    "cv2": (
        Opener("imread*", "filename"),
        Opener("imwrite*", "filename", mode="w"),
    ),
    "safetensors": (Opener("safe_open", "filename"),),
    "safetensors.numpy": (Opener("safe_open", "filename"),),
    "safetensors.torch": (Opener("safe_open", "filename"),),
    # of netCDF4 itself `Dataset` is a class in C, in whose place nothing else can stand
    "xarray.backends.netCDF4_": (
        Opener("NetCDF4BackendEntrypoint.open_dataset", "filename_or_obj"),
    ),
    "indexed_gzip.indexed_gzip": (Opener("IndexedGzipFile.__init__", "filename"),),
    "lxml.etree": (Opener("parse", "source"),),
    "lxml.objectify": (Opener("parse", "f"),),
    "pyreadstat": (
        Opener("read_*", "filename_path"),
        Opener("write_*", "dst_path", 1, mode="w"),
    ),
    "pyreadr": (Opener("read_r", "path"), Opener("write_*", "path", mode="w")),
    "pyedflib.edfreader": (Opener("EdfReader.__init__", "file_name"),),
    "pyedflib.edfwriter": (Opener("EdfWriter.__init__", "file_name", mode="w"),),
    "soundfile": (Opener("SoundFile.__init__", "file", mode="mode"),),
    "scipy.io._fast_matrix_market._fmm_core": (
        Opener("open_read_file", "arg0"),
        Opener("open_write_file", "arg0", mode="w"),
    ),
    "xgboost.core": (
        Opener("Booster.load_model", "fname"),
        Opener("Booster.save_model", "fname", mode="w"),
    ),
    "lightgbm.basic": (
        Opener("Booster.__init__", "model_file", 2),
        Opener("Booster.save_model", "filename", mode="w"),
    ),
    # These look for the format of what stands where they are about to write.
    "nibabel.streamlines": (Opener("save", "filename", 1, mode="w"),),
    "dipy.io.streamline": (Opener("detect_format", "fileobj", mode="w"),),  # only to save
}
"""By module."""
LOOKED_FOR = "memori.looked_for"
"""The audit event of a module that is looked for: its name, and the folders."""
_MODES = ("r", "w", "words", "nifti")
_waiting = dict(OPENERS)  # those that are not imported yet


def follow_libraries() -> None:
    """Let libraries that are imported announce what they open, and the others once they are."""
    if not any(type(each) is _AfterImport for each in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    for name in tuple(_waiting):
        module = sys.modules.get(name)
        if module is not None and not _is_importing(module):
            _follow(name, module)


def _is_importing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _AfterImport:
    """A finder that finds what the others find, and follows it when it was run."""

    def find_spec(
        self, name: str, path: Iterable[object] | None = None, target: object = None
    ) -> ModuleSpec | None:
        sys.audit(LOOKED_FOR, name, sys.path if path is None else list(path))
        openers = _waiting.pop(name, None)
        if openers is None:
            return None
        from importlib.util import find_spec

        try:
            spec = find_spec(name)
        finally:
            _waiting[name] = openers
        run = getattr(spec and spec.loader, "exec_module", None)
        if spec is None or run is None:
            return None

        def run_and_follow(module: ModuleType) -> None:
            del spec.loader.exec_module  # type: ignore[union-attr]
            run(module)
            _follow(name, module)

        spec.loader.exec_module = run_and_follow  # type: ignore[union-attr,method-assign]
        return spec


def _follow(name: str, module: ModuleType) -> None:
    for opener in _waiting.pop(name, ()):
        owner, _, method = opener.name.rpartition(".")
        holder = getattr(module, owner, None) if owner else module
        is_class = isinstance(holder, type)  # whose method may be that of a class in C above it
        names = dir(holder) if is_class else vars(holder or object)
        for each in [key for key in names if fnmatchcase(key, method)]:
            original = getattr(holder, each)
            if not callable(original) or isinstance(original, StandIn):
                continue
            if original is not object.__init__:  # which would take no file
                setattr(holder, each, _announcing(original, opener, name, is_class))


def _announcing(original: Any, opener: Opener, module: str, is_method: bool) -> Any:
    if not is_method:
        return _Announcing(original, module, opener)

    @wraps(original)
    def announcing(*args: Any, **named: Any) -> Any:
        _announce(opener, args[1:], named)
        return original(*args, **named)

    return announcing


class _Announcing(StandIn):
    """In the place of a function, or of a class that opens what it is given, in C."""

    def __init__(self, original: Callable[..., Any], module: str, opener: Opener) -> None:
        super().__init__(original, module)
        self.__wrapped__ = original  # whose signature it has
        self._opener = opener

    def __call__(self, *args: Any, **named: Any) -> Any:
        _announce(self._opener, args, named)
        return self.original(*args, **named)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.original)  # type: ignore[arg-type]  # of a class

    def __mro_entries__(self, bases: object) -> tuple[Any, ...]:
        return (self.original,)


def _announce(opener: Opener, args: Sequence[Any], named: Mapping[str, Any]) -> None:
    given = _given(opener.parameter, opener.place, args, named)
    mode = opener.mode
    if mode not in _MODES:
        said = _given(mode, opener.mode_place, args, named)
        mode = said if isinstance(said, str) else "r+" if said else "r"
    try:
        paths = _paths(given)
        if mode == "words":
            paths = [*filter(os.path.isfile, paths)]
        elif mode == "nifti":
            paths += [path[:-3] for path in paths if path.lower().endswith(".nii.gz")]
            mode = "r"
        for path in paths:
            sys.audit("open", path, mode[:1], os.O_RDWR if "+" in mode or mode == "a" else 0)
    except OSError:
        pass  # a folder that is no more: the library will say so


def _given(parameter: str, place: int, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    return args[place] if len(args) > place else named.get(parameter)


def _paths(given: object) -> list[str]:
    """Return the files that an argument names."""
    if isinstance(given, list | tuple | set):
        return [path for each in given for path in _paths(each)]
    if not isinstance(given, str | bytes | os.PathLike):
        return []
    path = os.fsdecode(given).removeprefix("file://")
    if not path or "://" in path or path[0] in "<[" or "\0" in path:
        return []
    if os.path.isdir(path):
        return [os.path.join(above, name) for above, _, names in os.walk(path) for name in names]
    from glob import glob, has_magic

    if has_magic(path) and not os.path.lexists(path):
        return [each for found in glob(path, recursive=True) for each in _paths(found)]
    return [path]
