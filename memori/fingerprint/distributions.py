"""Whose code is it: the interpreter's, an installed distribution's, or the user's.

A module belongs to the standard library if it is built in, frozen or lies in the library's folder;
to a distribution if the folder that holds its top-level package also holds the `.dist-info` that
claims it; and to the user otherwise. So an editable install or a development checkout is the
user's (its `.dist-info` lies elsewhere), a virtual environment inside the project is not. Only the
one folder is listed, once per process: asking `importlib.metadata` for everything installed is
far slower than a whole fingerprint.

A distribution counts by name and version. One that was installed from a folder or a repository
(`direct_url.json`) may change under the same version: it counts by its RECORD as well.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class Origin:
    """Where code comes from: `kind` is "stdlib", "distribution" or "user"."""

    __slots__ = ("kind", "name", "version")

    def __init__(self, kind: str, name: str = "", version: str = "") -> None:
        self.kind = kind
        self.name = name
        self.version = version


STDLIB = Origin("stdlib")
USER = Origin("user")

_LIBRARY = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
_LIBRARIES = (os.path.dirname(os.__file__) + os.sep, _LIBRARY)
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_EXTENSIONS = (".so", ".pyd", ".dylib", ".dll")
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_by_module: dict[tuple[str, str | None], Origin] = {}
_folders: dict[
    str, list[tuple[str, str, str]]
] = {}  # folder -> (normal name, folder name, version)


def module_origin(name: str, path: str | None) -> Origin:
    """Return the origin of the module called `name` whose file is `path` (None without a file)."""
    known = _by_module.get((name, path))
    if known is None:
        known = _by_module[name, path] = _find(name, path)
    return known


def origin_of_module(module: ModuleType) -> Origin:
    """Return the origin of a live module."""
    return origin_of_namespace(module.__dict__)


def origin_of_namespace(namespace: dict[str, object]) -> Origin:
    """Return the origin of the code whose globals are `namespace`."""
    name, path = namespace.get("__name__"), namespace.get("__file__")
    if type(name) is not str:
        return USER
    if type(path) is not str:
        path = None
        if namespace.get("__path__"):  # a namespace package
            paths = list(namespace["__path__"])  # type: ignore[call-overload]
            path = os.path.join(paths[0], "__init__.py") if paths else None
    return module_origin(name, path)


def is_extension(path: str | None) -> bool:
    """Return whether the file at `path` is a compiled extension module."""
    return path is not None and path.endswith(_EXTENSIONS)


def _find(name: str, path: str | None) -> Origin:
    top = name.partition(".")[0]
    if path is None:
        standard = top in sys.stdlib_module_names and top != "__main__"
        return STDLIB if standard or name in sys.builtin_module_names else USER
    path = os.path.abspath(path)
    if path.startswith(_OWN):
        return Origin("distribution", "memori-neuro", _own_version())
    if path.startswith(_LIBRARIES) and not any(site in path for site in _SITES):
        return STDLIB
    folder = os.path.dirname(path)
    levels = name.count(".") + os.path.basename(path).startswith("__init__.")
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return _distribution(top, name, path, folder) or USER


def _own_version() -> str:
    package = sys.modules.get("memori")
    version = getattr(package, "__version__", None)
    if type(version) is str:
        return version
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version("memori-neuro")
    except PackageNotFoundError:
        return "unknown"


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _listed(folder: str) -> list[tuple[str, str, str]]:
    """Return the installed distributions of `folder`."""
    known = _folders.get(folder)
    if known is None:
        known = _folders[folder] = []
        try:
            names = os.listdir(folder)
        except OSError:
            names = []
        for entry in names:
            stem, suffix = os.path.splitext(entry)
            if suffix == ".dist-info" and "-" in stem:
                name, _, version = stem.rpartition("-")
                known.append((_normal(name), entry, version))
            elif suffix == ".egg-info" and "-" in stem and folder.endswith("-packages"):
                name, version = stem.split("-")[:2]
                known.append((_normal(name), entry, version))
    return known


def _distribution(top: str, name: str, path: str, folder: str) -> Origin | None:
    found = _listed(folder)
    if not found:
        return None
    wanted = _normal(top)
    for normal, entry, version in found:
        if normal == wanted:
            return _counted(folder, entry, version)
    relative = os.path.relpath(path, folder).replace(os.sep, "/")
    for _, entry, version in found:
        if _claims(os.path.join(folder, entry), top, relative):
            return _counted(folder, entry, version)
    return None


def _counted(folder: str, entry: str, version: str) -> Origin:
    name = os.path.splitext(entry)[0].rpartition("-")[0]
    where = os.path.join(folder, entry)
    if os.path.exists(os.path.join(where, "direct_url.json")):
        lines = _read(os.path.join(where, "RECORD")).splitlines()
        kept = sorted(line for line in lines if b".dist-info/" not in line and b".pyc," not in line)
        version += f" ({sha256(b';'.join(kept)).hexdigest()[:12]})"
    return Origin("distribution", name.replace("_", "-"), version)


def _claims(where: str, top: str, relative: str) -> bool:
    """Return whether the distribution described in `where` installed the file `relative`."""
    record = _read(os.path.join(where, "RECORD"))
    if record:
        return (b"\n" + record).find(b"\n" + relative.encode() + b",") >= 0
    tops = _read(os.path.join(where, "top_level.txt")).decode("utf-8", "replace").split()
    return top in tops


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
