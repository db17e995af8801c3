"""From which module a package takes a name when that is first asked for.

A package that loads its modules lazily answers for a missing name by a `__getattr__` (PEP 562)
that looks into a table: `{"smooth": "filters"}`, `{"filters": ["smooth"]}`,
`{"smooth": ("pkg.filters", "smooth")}` or `"pkg.filters:smooth"`, a set of submodules. The tables
are looked at, and `__getattr__` is not called: it would import. A name that no table knows is not
found here; what a run then imports is seen when it runs.
"""

from __future__ import annotations

import sys
from types import CellType, FunctionType, ModuleType

from memori.fingerprint.bytecode import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Chain = tuple[str, ...]
    Target = tuple[str, Chain]

_NAMES = (list, tuple, set, frozenset)
_MOST = 5000  # names that are looked through in a list


def tables_of(module: ModuleType) -> list[object]:
    """Return the tables that a loaded module may look a missing name up in."""
    computed = module.__dict__.get("__getattr__")
    found: list[object] = []
    kind: type = type(module)
    if kind is not ModuleType:  # put into the place of the module
        found += [*module.__dict__.values(), *kind.__dict__.values()]
    if isinstance(computed, FunctionType):
        for cell in computed.__closure__ or ():
            found += _content(cell)
        found += computed.__defaults__ or ()
        space = computed.__globals__
        found += [space[name] for name, *_ in scan(computed.__code__).chains if name in space]
    return [each for each in found if type(each) in (dict, *_NAMES)]


def _content(cell: CellType) -> list[object]:
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def target(
    package: str, tables: Iterable[object], name: str, offers: Callable[[str, str], bool | None]
) -> Target | None:
    """Return the module that a package takes a name from, and the names that are read there.

    Parameters
    ----------
    package : str
        Full name of the package.
    tables : iterable
        What `tables_of` found.
    name : str
        The name that it lacks.
    offers : callable
        Tells whether a module (by its full name) offers a name; None if there is no such module.
    """
    for table in tables:
        for said in _said_of(table, name):
            found = _meant(package, said, name, offers)
            if found is not None:
                return found
    return None


def _said_of(table: object, name: str) -> Iterator[object]:
    if isinstance(table, dict):
        if name in table:
            yield table[name]
        for key, value in list(table.items()):
            if type(key) is str and isinstance(value, (*_NAMES, dict)) and len(value) <= _MOST:
                if name not in value:
                    continue
                own = value[name] if isinstance(value, dict) else name
                yield (key, own) if type(own) is str else key
    elif isinstance(table, _NAMES) and len(table) <= _MOST and name in table:
        yield name


def _meant(
    package: str, said: object, name: str, offers: Callable[[str, str], bool | None]
) -> Target | None:
    """Return what an entry of a table means, if there is such a module."""
    if isinstance(said, (list, tuple)) and len(said) == 2:
        where, what = said
    elif type(said) is str and ":" in said:
        where, _, what = said.partition(":")
    elif type(said) is str:
        where, what = said, name
    else:
        return None
    if type(where) is not str or not (what is None or type(what) is str):
        return None
    for module in _spelled(package, where):
        has = offers(module, what or "")
        if has is not None:
            return module, (what,) if what and has else ()
    above, _, last = where.rpartition(".")
    for module in _spelled(package, above) if above.strip(".") else ():
        if offers(module, last):  # `"pkg.filters.smooth"`
            return module, (last,)
    return None


def _spelled(package: str, where: str) -> list[str]:
    """Return the modules that a spelling may name: below the package, or from the top."""
    below = where.lstrip(".")
    parts = package.split(".")
    parts = parts[: len(parts) - max(len(where) - len(below) - 1, 0)]
    relative = ".".join([*parts, below] if below else parts)
    return [relative] if below != where else [relative, where]


def is_given(module: ModuleType, found: Target, value: object) -> bool:
    """Tell whether a name of a module holds what its table leads to, once that was asked for."""
    inner: object = sys.modules.get(found[0])
    for name in found[1]:
        inner = getattr(inner, "__dict__", {}).get(name)
    return inner is value
