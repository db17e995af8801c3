"""Instances of classes that the walk does not enter, and objects that say what counts of them.

An object whose type defines ``__fingerprint__`` counts by what that returns; of a dict, each item
is a component of its own, so that a change is told by its name, with old and new text. An instance
of a library's class counts by its class and by what it would hand to `copy.copy`, without being
copied or pickled. What hands over nothing and has no attributes cannot be followed: it is noted.
What stands in the place of a builtin function (`StandIn`), to see its calls, counts as it. An open
file counts by what it is, and is kept for the watch, because who reads it opens nothing
(`file_behind`); a pool of workers counts by what its workers begin with.
"""

from __future__ import annotations

import gc
import os
import sys
from weakref import WeakKeyDictionary

from memori.fingerprint.atoms import atom, text, words
from memori.fingerprint.compilers import is_proxy, put_held, put_proxy, put_statements
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import attributes_view
from memori.fingerprint.origins import is_extension, origin_of_module
from memori.fingerprint.values import fill_instance
from memori.fingerprint.walk import Walk, is_defined, name_of_module, origin_of_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from memori.fingerprint.graph import State
    from memori.fingerprint.walk import Handler

_IMMUTABLE = frozenset({"datetime", "decimal", "operator", "zoneinfo", "ipaddress", "_decimal"})

# whose objects are what they hold; clients, loggers, engines and dates differ in each process
_HOLDING_VALUES = words(
    "argparse array builtins collections configparser decimal enum fractions functools nibabel "
    "numpy pandas pathlib re scipy types"
)

_EXTRA = 0x04 | 0x08  # flags of code that takes *args, **kwargs
_LONGEST = 2000  # characters of a text that is shown whole
_cached_before: WeakKeyDictionary[Any, list[object]] = WeakKeyDictionary()
_heard: dict[str, list[object]] = {}  # by name: what caches held in the process that asks for runs


def put_declared(walk: Walk, value: object, out: State) -> None:
    """Append an object by what its `__fingerprint__` returns."""
    out.append(walk.node(value, _fill_declared))


def _fill_declared(walk: Walk, node: Node) -> None:
    kind = type(node.origin)
    told = kind.__fingerprint__(node.origin)  # type: ignore[attr-defined]
    walk.kept.append(told)
    walk.guards.redo(_declared, node.origin, _declared(node.origin))
    node.state.append(b"O" + text(kind.__qualname__))
    if origin_of_class(kind).kind == "user":
        walk.put(kind, node.state)
    else:
        walk.external(origin_of_class(kind), node.state)
    if type(told) is not dict:
        walk.put(told, node.state)
        return
    for name, value in told.items():
        state: State = []
        walk.put(value, state)
        node.state += (text(str(name)), walk.component(str(name), state, _shown(walk, value)))


def _shown(walk: Walk, value: object) -> str:
    shown = walk.shown(value)
    if shown or type(value) is not str or len(value) > _LONGEST:
        return shown
    return "" if walk.anchor[0] and walk.anchor[0] in value else repr(value)


def _declared(value: Any) -> bytes:
    return _outline(type(value).__fingerprint__(value))


def _outline(value: object) -> bytes:
    """Encode plain values by content, everything else (guarded by itself) by identity."""
    encoded = atom(value)
    if encoded is not None:
        return encoded
    if type(value) in (list, tuple):
        return b"(%b)" % b"".join(map(_outline, value))  # type: ignore[call-overload]
    if type(value) is dict:
        inner = b"".join(_outline(item) for pair in value.items() for item in pair)
        return b"{%b}" % inner
    return b"@%d;" % id(value)


def put_foreign(walk: Walk, value: Any, out: State) -> None:
    """Append an instance of a library's class."""
    kind = type(value)
    origin = origin_of_class(kind)
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if callable(value) and is_defined(value, module, name):
        home = sys.modules[str(module)]
        is_compiled = is_extension(getattr(home, "__file__", None))
        if is_compiled or origin_of_module(home).kind != "user":
            out.append(b"X%b.%b;" % (str(module).encode(), str(name).encode()))
            walk.external(origin, out)
            if is_compiled:
                walk.external_module(home, out)
            return
    walk.external(origin, out)
    if is_proxy(kind):
        put_proxy(walk, value, out)
        return
    walk.classes.add(kind)
    out.append(walk.node(value, _fill_foreign))


def _fill_foreign(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    kind = type(value)
    try:
        reduced = value.__reduce_ex__(4) if _may_reduce(kind) else None
    except Exception:  # whatever a foreign method raises, it gave nothing
        reduced = None
    if isinstance(reduced, str):
        node.state.append(text(reduced))
        _put_hidden(walk, node)
        return
    if reduced is None:
        _put_attributes(walk, node)
        return
    if callable(value):  # the name of a function may be all that it would hand over
        put_held(walk, value, node.state)
    node.state.append(b"I")
    walk.put(kind, node.state)
    if hasattr(value, "__dict__"):
        walk.guards.view(attributes_view, value)
    if not _is_plain(kind) and kind.__module__ not in _IMMUTABLE:
        walk.guards.volatile = True
    walk.kept.append(reduced)
    for part in reduced:
        if (
            part is None
            or isinstance(part, (tuple, dict, str, int, float, bytes, list))
            or callable(part)
        ):
            walk.put(part, node.state)
        else:  # the iterators over items of containers
            walk.put_all(tuple(part) if hasattr(part, "__next__") else (part,), node.state)


def _put_hidden(walk: Walk, node: Node) -> bool:
    """Append what of the user's an object was made of, where it does not say itself what it is."""
    value = node.origin
    return put_held(walk, value, node.state) or put_statements(walk, value, node.state)


def _is_plain(kind: Any) -> bool:
    """Return whether instances have no state but their attributes, which can be guarded."""
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    return all(getattr(kind, name) is getattr(object, name) for name in names)


def _may_reduce(kind: type) -> bool:
    """Return whether asking is safe: a generator or iterator must not be drawn from."""
    return kind.__module__ != "_thread"


def _put_attributes(walk: Walk, node: Node) -> None:
    value = node.origin
    kind = type(value)
    if getattr(value, "__dict__", None) and kind.__module__ not in ("io", "_io", "threading"):
        fill_instance(walk, node)
        if callable(value):
            _put_hidden(walk, node)
        return
    if callable(value) and _put_hidden(walk, node):
        return
    named = f"{kind.__module__}.{kind.__qualname__}"
    walk.note(f"{walk.where}: a {named.removeprefix('builtins.')}, ignored")


def put_cached_before(walk: Walk, cache: Any, out: State) -> None:
    """Append what a cache without arguments held when it was first met, before any run of it.

    What runs put into a cache is no state: it is seen how they come by it. What a script put there
    before nobody saw, and a call does not come by it again.
    """
    known = _cached_before.get(cache)
    if known is None:
        known = _cached_before[cache] = _heard.get(_name_of(cache)) or _cached(cache)
    for value in known:
        state: State = [b"C"]
        walk.put(value, state)
        out.append(walk.component(f"cached {cache.__qualname__}", state, _shown(walk, value)))


def cached_before() -> dict[str, list[object]]:
    """Return what caches held that were met here, where it is plain, for other processes."""
    met = list(_cached_before.items())
    return {_name_of(cache): known for cache, known in met if _is_made_of_atoms(known)}


def hear_of_caches(elsewhere: dict[str, list[object]]) -> None:
    """Let caches that are met from now on count as in the process that asks for runs here."""
    _heard.update(elsewhere)


def _name_of(cache: Any) -> str:
    module = name_of_module({"__name__": cache.__module__})
    return f"{module}:{getattr(cache, '__qualname__', '')}"  # one around a partial has no name


def _is_made_of_atoms(value: object, depth: int = 50) -> bool:
    if type(value) is dict:
        value = [*value, *value.values()]
    if type(value) in (list, tuple, set, frozenset):
        return depth > 0 and all(_is_made_of_atoms(each, depth - 1) for each in value)  # type: ignore[attr-defined]
    return atom(value) is not None


def _cached(cache: Any) -> list[object]:
    """Return the one value that is cached, but nothing for what stands for something outside."""
    from memori.digest.values import NotJSONError, copy_json, to_json

    code = getattr(cache.__wrapped__, "__code__", None)
    takes = code is None or code.co_argcount or code.co_kwonlyargcount or code.co_flags & _EXTRA
    if takes or cache.cache_info().currsize != 1:
        return []
    value = cache()
    try:
        return [copy_json(to_json(value))]
    except (NotJSONError, RecursionError):
        kind = type(value)
        is_known = kind.__module__.partition(".")[0] in _HOLDING_VALUES
        is_known &= not kind.__module__.startswith("numpy.random")  # it may be seeded by nothing
        return [value] if is_known or origin_of_class(kind).kind == "user" else []


class StandIn:
    """Something callable in the place of a builtin function.

    Like the builtin it is bound to no instance where a class holds it, and it is pickled by its
    name, so that another process gets what stands there.

    Parameters
    ----------
    original : callable
        The builtin.
    module : str
        The module in which it stands, under the builtin's name.
    """

    def __init__(self, original: Callable[..., Any], module: str) -> None:
        self.original = original
        self.__module__ = module
        self.__name__ = self.__qualname__ = original.__name__
        self.__doc__ = original.__doc__
        self.__text_signature__ = getattr(original, "__text_signature__", None)

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> str:
        return self.__name__


def _handle(walk: Walk, value: object, out: State) -> None:
    kind = type(value)
    out.append(b"X" + text(kind.__qualname__))
    if file_behind(value) is not None:
        walk.handles.append(value)
    else:
        walk.note(f"{walk.where}: a {kind.__module__}.{kind.__qualname__}, ignored")


def _reader(walk: Walk, value: Any, out: State) -> None:
    """Append a reader of lines, of which only the garbage collector tells what it reads from."""
    walk.guards.volatile = True
    out.append(b"X" + text(type(value).__qualname__))
    walk.put_all(tuple(getattr(value.dialect, name) for name in _DIALECT), out)
    walk.put(value.line_num, out)
    for held in gc.get_referents(value):
        if hasattr(held, "fileno"):
            walk.handles.append(held)
        elif hasattr(held, "__next__"):
            walk.put(held, out)


_DIALECT = (
    *("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting"),
    *("skipinitialspace", "strict"),
)


def _queue(walk: Walk, value: Any, out: State) -> None:
    """Append a queue that shows its items to the garbage collector alone."""
    walk.guards.volatile = True
    out.append(b"X" + text(type(value).__qualname__))
    held = [each for each in gc.get_referents(value) if each is not type(value)]
    if sys.version_info < (3, 13):  # one list, in which gaps stand for what was taken out
        (held,) = held
        held = held[len(held) - value.qsize() :]
    walk.put_all(tuple(held), out)


def _element(walk: Walk, value: object, out: State) -> None:
    """Append an element of a document of lxml: all of that, and its place there."""
    written = _written(value)
    walk.guards.redo(_written, value, written)
    out.append(b"X" + text(type(value).__qualname__) + text(written))


def _written(value: Any) -> str:
    tree = value.getroottree() if hasattr(value, "getroottree") else value
    place = "" if tree is value else tree.getpath(value)
    return f"{place} {sys.modules['lxml.etree'].tostring(tree)!r}"


def _pool(walk: Walk, value: object, out: State) -> None:
    out.append(b"X" + text(type(value).__qualname__))
    walk.put_all((getattr(value, "_initializer", None), getattr(value, "_initargs", None)), out)


def _parallel(walk: Walk, value: object, out: State) -> None:
    out.append(b"X" + text(type(value).__qualname__))
    names = ("return_generator", "return_ordered")
    walk.put_all(tuple(getattr(value, name, None) for name in names), out)


def _trait(walk: Walk, value: Any, out: State) -> None:
    """Append a trait by its parts: one that is a property ends Python when it is to be copied."""
    out.append(b"X" + text(type(value).__qualname__))
    parts = (value.handler, value.default_value(), value.property_fields, vars(value))
    walk.kept.append(parts)
    walk.put_all(parts, out)


RESOURCES: dict[str, Handler] = {
    "traits.ctraits.cTrait": _trait,
    "_io.TextIOWrapper": _handle,
    "_io.BufferedReader": _handle,
    "_io.BufferedRandom": _handle,
    "_io.FileIO": _handle,
    "_csv.reader": _reader,
    "_queue.SimpleQueue": _queue,
    "lxml.etree._Element": _element,
    "lxml.etree._ElementTree": _element,
    "sqlite3.Connection": _handle,
    "h5py._hl.base.HLObject": _handle,
    "netCDF4._netCDF4.Dataset": _handle,
    "netCDF4.Dataset": _handle,
    "concurrent.futures._base.Executor": _pool,
    "multiprocessing.pool.Pool": _pool,
    "joblib.parallel.Parallel": _parallel,
}
"""What stands for something outside of Python's objects, or in the memory of compiled code."""


def file_behind(handle: Any) -> tuple[str, bool] | None:
    """Return which file an open one reads, and whether it may write it.

    Parameters
    ----------
    handle : object
        An open file, or a connection to a database in a file.

    Returns
    -------
    tuple of str and bool, or None
        None if it reads no file, or does not say which.
    """
    try:
        if hasattr(handle, "execute"):
            path = str(handle.execute("PRAGMA database_list").fetchone()[2])
            return (path, True) if path else None
        if hasattr(handle, "filepath"):
            return os.path.abspath(handle.filepath()), True
        if hasattr(handle, "file"):
            return os.path.abspath(handle.file.filename), handle.file.mode != "r"
        if handle.closed or not handle.readable():
            return None
        shown = f"/proc/self/fd/{handle.fileno()}"
        path = os.readlink(shown) if os.path.lexists(shown) else os.path.abspath(handle.name)
        return path, bool(handle.writable())
    except Exception:  # a connection of another thread, a file that is closed
        return None
