"""Where code comes from: whose it is, what its module is called, which folder moves with it.

A module belongs to the standard library if it is built in, frozen or lies in the library's folder;
to a distribution if the folder that holds its top-level package also holds the `.dist-info` that
claims it; and to the user otherwise. So an editable install or a development checkout is the
user's (its `.dist-info` lies elsewhere), a virtual environment inside the project is not. Only the
one folder is listed, once per process: asking `importlib.metadata` for everything installed is
far slower than a whole fingerprint. A distribution counts by name and version. One that was
installed from a folder or a repository (`direct_url.json`) may change under the same version: it
counts by its RECORD as well.

A script runs as `__main__` and is imported under its own name elsewhere; both must be called the
same. And a project that moves takes its paths along: a string or path that lies below the project's
folder counts relative to it.
"""

from __future__ import annotations

import os
import re
import sys
from hashlib import sha256
from types import FunctionType

from memori.digest.memo import Memo
from memori.fingerprint.atoms import sized, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    Listed = list[tuple[str, str, str]]  # of each distribution: normal name, folder name, version

Anchor = tuple[str, str]
NOWHERE: Anchor = ("", "")


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
OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""The folder of memori's own code."""

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_CELL = r"/(?:ipykernel|xpython|marimo)_\d+/"  # a notebook's, run as a file of its own
SCRIPTS = ("__main__", "__mp_main__")

_by_module: Memo[tuple[str, str | None], Origin] = Memo(10_000)
_folders: Memo[str, Listed] = Memo(1000)
_anchors: Memo[tuple[str, str], Anchor] = Memo(10_000)


def module_origin(name: str, path: str | None) -> Origin:
    """Return the origin of the module called `name` whose file is `path` (None without a file)."""
    known = _by_module.get((name, path))
    if known is None:
        known = _find(name, path)
        _by_module.keep((name, path), known)
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


def is_extension(path: object) -> bool:
    """Return whether the file at `path` is a compiled extension module.

    An object in the place of a module may have anything as its `__file__`.
    """
    return type(path) is str and path.endswith(_EXTENSIONS)


def _find(name: str, path: str | None) -> Origin:
    top = name.partition(".")[0]
    if path is None:
        standard = top in sys.stdlib_module_names and top != "__main__"
        made = top.startswith("_cython_")  # the types that Cython gives to functions
        return STDLIB if standard or made or name in sys.builtin_module_names else USER
    path = os.path.abspath(path)
    if path.startswith(OWN):
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


def _listed(folder: str) -> Listed:
    """Return the installed distributions of `folder`."""
    known = _folders.get(folder)
    if known is None:
        known = _list(folder)
        _folders.keep(folder, known)  # whole: another thread may look at once
    return known


def _list(folder: str) -> Listed:
    found: Listed = []
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for entry in names:
        stem, suffix = os.path.splitext(entry)
        if suffix == ".dist-info" and "-" in stem:
            name, _, version = stem.rpartition("-")
            found.append((_normal(name), entry, version))
        elif suffix == ".egg-info" and "-" in stem and folder.endswith("-packages"):
            name, version = stem.split("-")[:2]
            found.append((_normal(name), entry, version))
    return found


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


def is_cell(path: str) -> bool:
    """Tell whether a file stands for a cell of a notebook, under a name of the process's own."""
    return re.search(_CELL, path) is not None


def file_of(namespace: dict[str, object]) -> str | None:
    """Return the file of the module whose globals are `namespace`, or None if nothing says it."""
    path, name = namespace.get("__file__"), namespace.get("__name__")
    if path is None and type(name) is str and name not in SCRIPTS:
        path = getattr(sys.modules.get(name), "__file__", None)
    return path if type(path) is str else None


def module_label(namespace: dict[str, object], file: str = "") -> str:
    """Return the name of the module whose globals are `namespace`.

    For `__main__` it is the name under which the same file would be imported; `file` is used
    where the namespace does not say (a function that was pickled by value).
    """
    name = namespace.get("__name__")
    if type(name) is not str:
        return "?"
    if name not in SCRIPTS:
        return name
    spec = namespace.get("__spec__")
    known = getattr(spec, "name", None)
    if type(known) is str and known not in SCRIPTS:
        return known.removesuffix(".__main__")
    path = namespace.get("__file__")
    if type(path) is not str:
        path = "" if re.search(_CELL, file) else file
    stem = os.path.basename(path)
    return os.path.splitext(stem)[0] if stem and not stem.startswith("<") else "__main__"


def place_of(thing: FunctionType | type) -> str:
    """Return the qualified name of a function or class, as every version of Python gives it.

    Until Python 3.11 a comprehension is a function of its own, and in the names of those in it.
    """
    name = thing.__qualname__
    if "comp>." in name:
        for inlined in ("<listcomp>.", "<setcomp>.", "<dictcomp>."):
            name = name.replace(inlined, "")
    return name


def anchor_of(namespace: dict[str, object]) -> Anchor:
    """Return the project's folder for the module with these globals, and the import folder in it.

    The import folder holds the module's top-level package; the project's folder is that, or one
    of the three above it if that holds a project file or a repository. Both are "" if unknown.
    """
    path = namespace.get("__file__")
    if type(path) is not str:
        return NOWHERE
    label = module_label(namespace)
    known = _anchors.get((label, path))
    if known is None:
        known = _anchor(label, os.path.abspath(path))
        _anchors.keep((label, path), known)
    return known


def _anchor(label: str, path: str) -> Anchor:
    folder = os.path.dirname(path)
    levels = label.count(".") + os.path.basename(path).startswith("__init__.")
    for _ in range(levels):
        folder = os.path.dirname(folder)
    project = above = folder
    for _ in range(4):
        if any(os.path.exists(os.path.join(above, marker)) for marker in _MARKERS):
            project = above
            break
        above = os.path.dirname(above)
    return NOWHERE if project == os.path.dirname(project) else (project, folder)


def relative(path: str, anchor: Anchor) -> bytes:
    """Encode a string that may name a place in the project, which then counts relative to it.

    >>> relative("/home/me/proj/data.csv", ("/home/me/proj", "/home/me/proj"))
    b'p9:/data.csv'
    >>> relative("/home/me/projector", ("/home/me/proj", "/home/me/proj"))
    b's18:/home/me/projector'
    """
    project, folder = anchor
    for start in (folder, project):
        rest = path[len(start) :]
        if path.startswith(start) and rest[:1] in ("", os.sep):
            ups = os.path.relpath(project, folder) if start != folder else ""
            return sized(b"p", (ups + rest).encode("utf-8", "surrogatepass"))
    return text(path)
