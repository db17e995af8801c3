"""Where libraries keep what a script has set in them, and how it is set again in a worker.

Of each: its settings now, and as it comes. What equals is the same object each time it is asked
for, as long as nobody has set it anew, so that a hit compares by identity.

Not promised: settings of other libraries than these, warnings' filters, hidden generators of random
numbers, whose state is another one after each use.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    Settings = Mapping[str, object]

_FLOATS = ("divide", "over", "under", "invalid")
_NUMPY = {  # as it comes; what later versions know besides is None there
    "edgeitems": 3, "threshold": 1000, "floatmode": "maxprec", "precision": 8, "suppress": False,
    "linewidth": 75, "nanstr": "nan", "infstr": "inf", "sign": "-", "legacy": False,
}  # fmt: skip
_NUMBERS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_SAME_RESULTS = ("compute.", "mode.chained_assignment")
_DIALECT = ("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting",
            "skipinitialspace", "strict")  # fmt: skip
_DIALECTS = ("excel", "excel-tab", "unix")
_CATEGORIES = ("LC_COLLATE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME")
_alike: dict[object, object] = {}


class Library:
    """A library that keeps settings; each function is given its module.

    Attributes
    ----------
    users : frozenset of str
        Libraries for whose callers they count.
    now, usual : callable
        Return what is set, by name, and what is as the library comes.
    put : callable
        Sets a name to a value.
    """

    __slots__ = ("now", "put", "users", "usual")

    def __init__(
        self,
        users: str,
        now: Callable[[Any], Settings],
        usual: Callable[[Any], Settings],
        put: Callable[[Any, str, Any], object],
    ) -> None:
        self.users = frozenset(users.split())
        self.now, self.usual, self.put = now, usual, put


def _of_numpy(library: Any) -> Settings:
    errors = {name: how for name, how in library.geterr().items() if how in ("raise", "call")}
    return {**library.get_printoptions(), **errors}  # else there is a warning, or none


def _put_into_numpy(library: Any, name: str, value: Any) -> None:
    if name in _FLOATS:
        library.seterr(**{name: value or ("ignore" if name == "under" else "warn")})
    else:
        library.set_printoptions(**{name: value})


def _of_pandas(_: Any) -> Settings:
    config = sys.modules["pandas._config.config"]
    now = dict(_leaves(config._global_config, config._registered_options, ""))
    return {name: value for name, value in now.items() if not name.startswith(_SAME_RESULTS)}


def _leaves(
    tree: Mapping[str, Any], options: Mapping[str, object], above: str
) -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if above + name in options:
            yield above + name, value
        else:
            yield from _leaves(value, options, f"{above}{name}.")


def _usual_of_pandas(_: Any) -> Settings:
    options = sys.modules["pandas._config.config"]._registered_options
    return {name: option.defval for name, option in options.items()}


def _of_context(context: Any) -> Settings:
    numbers = {name: _same(getattr(context, name)) for name in _NUMBERS}
    return {**numbers, **{kind.__name__: is_set for kind, is_set in context.traps.items()}}


def _put_into_decimal(library: Any, name: str, value: Any) -> None:
    context = library.getcontext()
    if name in _NUMBERS:
        setattr(context, name, value)
    else:
        context.traps[getattr(library, name)] = value


def _of_csv(library: Any) -> Settings:
    found = {name: library.get_dialect(name) for name in library.list_dialects()}
    return {
        name: _same(tuple((each, getattr(dialect, each)) for each in _DIALECT))
        for name, dialect in found.items()
        if name not in _DIALECTS
    }


def _put_into_csv(library: Any, name: str, value: Any) -> None:
    if value is None:
        library.unregister_dialect(name)
    else:
        library.register_dialect(name, **dict(value))


def _of_locale(library: Any) -> Settings:
    return {name: _same(library.setlocale(getattr(library, name))) for name in _CATEGORIES}


def _same(value: object) -> object:
    return _alike.setdefault(value, value)


LIBRARIES = {
    "matplotlib": Library(
        "matplotlib seaborn",
        lambda library: dict(dict.items(library.rcParams)),  # by name, a backend would be chosen
        lambda library: library.rcParamsDefault,
        lambda library, name, value: library.rcParams.update({name: value}),
    ),
    "sklearn": Library(
        "sklearn nilearn",
        lambda library: library.get_config(),
        lambda _: sys.modules["sklearn._config"]._global_config,
        lambda library, name, value: library.set_config(**{name: value}),
    ),
    "numpy": Library(
        "numpy nibabel nilearn pandas scipy", _of_numpy, lambda _: _NUMPY, _put_into_numpy
    ),
    "pandas": Library(
        "pandas nilearn seaborn",
        _of_pandas,
        _usual_of_pandas,
        lambda library, name, value: library.set_option(name, value),
    ),
    "decimal": Library(
        "decimal",
        lambda library: _of_context(library.getcontext()),
        lambda library: _of_context(library.DefaultContext),
        _put_into_decimal,
    ),
    "csv": Library("csv", _of_csv, lambda _: {}, _put_into_csv),
    "locale": Library(
        "locale time datetime",
        _of_locale,
        lambda _: dict.fromkeys(_CATEGORIES, "C"),
        lambda library, name, value: library.setlocale(getattr(library, name), value),
    ),
}
