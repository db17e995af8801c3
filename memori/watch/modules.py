"""Modules that a run imported, and that the code's fingerprint did not follow.

A module that is imported through a table, a finder or a computed name is the user's code all the
same. It counts by the canonical text of its source, in which comments, docstrings and annotations
do not appear, or, if it is compiled, by its file. Where Python runs what was compiled of an earlier
source, it counts by that.

So do the modules of what a run took from a pickle by its name, which no code names: a model that
was saved, whose class stands in a module that was loaded before.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256

from memori.aside import aside
from memori.digest.files import file_digest
from memori.fingerprint.imports.compiled import outdated
from memori.watch.questions.users import is_users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

_SOURCE = ".py"
_digests: dict[str, tuple[str, str]] = {}  # path -> digest of the bytes, and of the text


def module_digest(path: str, memo: str | None = None) -> str:
    """Return what the module in a file does, as 64 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    raw = file_digest(path, memo).hash
    if not path.endswith(_SOURCE):
        return raw
    runs = outdated(path)
    if runs:
        return runs
    known = _digests.get(path)
    if known is None or known[0] != raw:
        known = _digests[path] = raw, _text_digest(path) or raw
    return known[1]


def _text_digest(path: str) -> str | None:
    from memori.fingerprint.writer import Writer, parsed

    with open(path, "rb") as file:
        content = file.read()
    try:
        writer = Writer()
        writer.body(parsed(content, path).body, documented=True)
    except (SyntaxError, ValueError, RecursionError):
        return None  # of another version, or no Python at all: its bytes count
    return sha256(b"memori module 1\n" + writer.text()).hexdigest()


def looked_for(name: str, path: Sequence[object]) -> list[str]:
    """Return where a module, made there, would be found instead of where it is, or in vain now.

    Only in folders of the user's, and only for what no installation holds: nobody is expected to
    put a module in the place of an installed one.

    Parameters
    ----------
    name : str
        Of a module that is about to be imported.
    path : sequence of str
        Where it is looked for: `sys.path`, or the folders of its package.
    """
    above, _, stem = name.rpartition(".")
    if not above and name in sys.stdlib_module_names:
        return []
    folders = [os.path.abspath(each) for each in path if isinstance(each, str)]
    if all(map(_is_library, folders)):
        return []
    from importlib.machinery import PathFinder

    with aside():
        found = PathFinder.find_spec(name, folders)
    if found is not None:
        place = found.origin if found.has_location else None
        inner = next(iter(found.submodule_search_locations or ()), place)
        folder = os.path.dirname(inner or "")
        if folder not in folders or _is_library(folder):
            return []
        folders = folders[: folders.index(folder)]
    paths = (os.path.join(each, stem) for each in folders if not _is_library(each))
    return [path for each in paths for path in (each, f"{each}{_SOURCE}")]


def _is_library(folder: str) -> bool:
    return not is_users(f"{folder}/") or folder.endswith(".zip")


def loaded_files() -> list[str]:
    """Return the files of the modules that are loaded, without that of the script."""
    found = [
        getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name not in ("__main__", "__mp_main__")
    ]
    return [path for path in found if type(path) is str and os.path.isfile(path)]


def modules_behind(taken: Iterable[str], reached: Container[int]) -> set[str]:
    """Return the files of the user's modules that unpickled things come from, and use in turn.

    Parameters
    ----------
    taken : iterable of str
        What was unpickled by name, as ``module:name``.
    reached : container of int
        The ids of what the code's fingerprint follows: their modules are not asked for.
    """
    from memori.fingerprint.origins import module_origin

    names = []
    for what in taken:
        name, _, path = what.partition(":")
        thing: object = sys.modules.get(name)
        for part in path.split("."):
            thing = getattr(thing, part, None)
        while thing is not None and id(thing) not in reached:
            thing = getattr(thing, "__wrapped__", None) or getattr(thing, "py_func", None)
        if thing is None:
            names.append(name)
    files: set[str] = set()
    while names:
        name = names.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if type(file) is str and file not in files and module_origin(name, file).kind == "user":
            files.add(file)
            names += _imported_by(name, file)
    return files


def _imported_by(name: str, path: str) -> Iterator[str]:
    """Yield the names of the modules that a module's source may import, and of those above them."""
    from ast import Import, ImportFrom, walk

    from memori.fingerprint.writer import parsed

    package = str(getattr(sys.modules[name], "__package__", None) or "")
    found = [name]
    try:
        with open(path, "rb") as file:
            tree = parsed(file.read(), path)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # compiled, or of another version
    for node in walk(tree):
        if isinstance(node, Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            whole = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            found += [f"{whole}.{each.name}" for each in node.names]
    for each in found:
        while each:
            yield each
            each = each.rpartition(".")[0]


def user_modules(paths: Iterable[str]) -> dict[str, str]:
    """Return those of some modules' files that are the user's, with the modules' names."""
    paths = set(paths)
    if not paths:
        return {}
    from memori.fingerprint.origins import module_origin
    from memori.watch.installed import installed

    names: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if type(file) is str and file in paths:
            names.setdefault(file, name)
    users = {
        path
        for path in paths
        if path not in names or module_origin(names[path], path).kind == "user"
    }
    return {path: names.get(path, "") for path in sorted(users - installed(users))}
