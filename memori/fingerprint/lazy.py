"""Modules that a function imports when it runs, and that nobody has imported yet.

They are not executed to look at them: the import machinery finds their files, and their source
counts.
"""

from __future__ import annotations

import sys

from memori.fingerprint.distributions import is_extension, module_origin
from memori.fingerprint.graph import Node
from memori.fingerprint.project import module_label
from memori.fingerprint.walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.graph import State


def absolute_name(space: dict[str, object], module: str, level: int) -> str:
    """Return the full name of what `from ...module import` names in a module with these globals."""
    if not level:
        return module
    spec = space.get("__spec__")
    package = space.get("__package__") or getattr(spec, "parent", None)
    if type(package) is not str:
        name = str(space.get("__name__"))
        package = name if "__path__" in space else name.rpartition(".")[0]
    parts = package.split(".")
    parts = parts[: len(parts) - level + 1]
    return ".".join([*parts, module] if module else parts)


def put_unloaded(
    walk: Walk, name: str, chain: tuple[str, ...], out: State, *, quiet: bool = False
) -> bool:
    """Append what is known of the module called `name` without importing it."""
    spec = find(name)
    if spec is None:
        if not quiet:
            out.append(b"not found %b;" % name.encode())
        return False
    origin = module_origin(name, spec.origin if spec.has_location else None)
    if origin.kind != "user":
        out.append(b"X%b;" % name.encode())
        walk.external(origin, out)
        return True
    return True


def find(name: str):
    """Find a module by the path finder alone, without importing its parents."""
    from importlib.machinery import PathFinder

    path = None
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        partial = ".".join(parts[:end])
        spec = PathFinder.find_spec(partial, path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and end < len(parts):
            return None
    return spec
