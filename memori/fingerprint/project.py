"""Stable names for modules, and the folder of the project that a module belongs to.

A script runs as `__main__` and is imported under its own name elsewhere; both must be called the
same. And a project that moves takes its paths along: a string or path that lies below the project's
folder counts relative to it.
"""

from __future__ import annotations

import os
import re
from types import FunctionType

from memori.fingerprint.atoms import sized, text

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_CELL = re.compile(r"/(?:ipykernel|xpython|marimo)_\d+/")  # a notebook's, run as a file of its own
_MAIN = ("__main__", "__mp_main__")

Anchor = tuple[str, str]
NOWHERE: Anchor = ("", "")

_anchors: dict[tuple[str, str], Anchor] = {}


def module_label(namespace: dict[str, object], file: str = "") -> str:
    """Return the name of the module whose globals are `namespace`.

    For `__main__` it is the name under which the same file would be imported; `file` is used
    where the namespace does not say (a function that was pickled by value).
    """
    name = namespace.get("__name__")
    if type(name) is not str:
        return "?"
    if name not in _MAIN:
        return name
    spec = namespace.get("__spec__")
    known = getattr(spec, "name", None)
    if type(known) is str and known not in _MAIN:
        return known.removesuffix(".__main__")
    path = namespace.get("__file__")
    if type(path) is not str:
        path = "" if _CELL.search(file) else file
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
        known = _anchors[label, path] = _anchor(label, os.path.abspath(path))
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
