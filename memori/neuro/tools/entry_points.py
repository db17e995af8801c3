"""Programs that pip wrote: what stands behind them.

For each entry point of a distribution pip writes a script of a few lines that imports a function.
Its text says nothing of what it does and stays the same when the distribution is upgraded, so the
distribution stands for it: by name and version, or, where it was installed to be edited in place
(``pip install -e``), by its Python files.

Not promised: to see a change in another distribution that it imports.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from importlib.metadata import Distribution, distributions
from urllib.parse import unquote, urlsplit

_LAUNCHER = re.compile(  # what pip, uv and conda write for an entry point of a distribution
    rb"\A#!.*python.*\n(?:'''exec' .*\n' '''\n)?(?:#.*\n)*(?:import (?:re|sys)\n)+from [\w.]+ im"
)
_MOST_FILES = 20_000


def distribution_behind(path: str) -> tuple[str, list[str]] | None:
    """Return what stands behind a program, and on what that depends.

    Parameters
    ----------
    path : str
        The program.

    Returns
    -------
    tuple or None
        What it is, and the files and folders on whose stat the answer depends (an upgrade in place
        changes the folder of the packages). None if pip did not write it.

    Raises
    ------
    OSError
        If something cannot be read.
    """
    with open(path, "rb") as file:
        if _LAUNCHER.match(file.read(4096)) is None:
            return None
    found, looked = _owner(path)
    if found is None:
        return None
    label = f"{found.metadata['Name']} {found.version}"
    project = _edited_in_place(found)
    if project is None:
        return label, looked
    sources, evidence = _sources(project)
    return f"{label}, sources {_digest(project, sources)}", looked + evidence


def _owner(path: str) -> tuple[Distribution | None, list[str]]:
    """Return the distribution of a launcher, and the folders on whose entries that depends."""
    libraries = os.path.join(os.path.dirname(os.path.dirname(path)), "lib")
    looked = []
    for version in sorted(os.listdir(libraries)) if os.path.isdir(libraries) else ():
        packages = os.path.join(libraries, version, "site-packages")
        looked.append(packages)
        for found in distributions(path=[packages]):
            scripts = found.entry_points.select(group="console_scripts")
            if os.path.basename(path) in scripts.names:
                return found, looked
    return None, looked


def _edited_in_place(found: Distribution) -> str | None:
    """Return the folder of a distribution that was installed by ``pip install -e``."""
    try:
        told = json.loads(found.read_text("direct_url.json") or "{}")
        if told["dir_info"]["editable"] is True:
            return unquote(urlsplit(told["url"]).path)
    except (ValueError, KeyError, TypeError):
        pass  # installed from an index
    return None


def _sources(project: str) -> tuple[list[str], list[str]]:
    """Return the Python files of a project, and these with the folders that hold them."""
    sources: list[str] = []
    folders: list[str] = []
    for above, inner, names in os.walk(project):
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.exists(os.path.join(above, name, "pyvenv.cfg"))
        )
        folders.append(above)
        sources += sorted(os.path.join(above, name) for name in names if name.endswith(".py"))
        if len(sources) > _MOST_FILES:
            raise OSError(f"{project} holds more than {_MOST_FILES} Python files")
    return sources, folders + sources


def _digest(project: str, sources: list[str]) -> str:
    hasher = hashlib.sha256()
    for path in sources:
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).digest()
        hasher.update(os.fsencode(os.path.relpath(path, project)) + b"\0" + content)
    return hasher.hexdigest()
