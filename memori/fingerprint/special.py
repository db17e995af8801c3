"""Values of types that are known by name: arrays, paths, patterns, caches, what never counts.

Nothing here imports the library that a type comes from: who has such a value has imported it.
Immutable values are encoded in place; what can change gets a guard.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from types import CellType, FunctionType

from memori.fingerprint.atoms import sized, text, words
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import whole
from memori.fingerprint.imports.settings import put_parameters
from memori.fingerprint.opaque import RESOURCES, StandIn, put_cached_before
from memori.fingerprint.origins import relative
from memori.fingerprint.values import fill_instance, put_unordered
from memori.fingerprint.walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from memori.fingerprint.graph import State
    from memori.fingerprint.walk import Handler


_EXTENDED = 63  # bits of the mantissa of a long double of Intel's


def _ignored(walk: Walk, value: object, out: State) -> None:
    out.append(b"-")


def _path(walk: Walk, value: object, out: State) -> None:
    out.append(b"/" + relative(str(value), walk.anchor))


def _pattern(walk: Walk, value: Any, out: State) -> None:
    out.append(b"R%d" % value.flags)
    walk.put(value.pattern, out)


def _member(walk: Walk, value: Any, out: State) -> None:
    out.append(b"E")
    walk.put(type(value), out)
    # the name of an unnamed combination of flags is made differently from version to version
    known = type(value).__members__.get(value.name or "")
    walk.put(value.name if known is value else value.value, out)


def _property(walk: Walk, value: Any, out: State) -> None:
    out.append(b"p")
    walk.put_all((value.fget, value.fset, value.fdel), out)


def _inner_function(walk: Walk, value: Any, out: State) -> None:
    out.append(type(value).__name__.encode() + b" ")
    walk.put(value.__func__ if hasattr(value, "__func__") else value.func, out)


def _cache(walk: Walk, value: Any, out: State) -> None:
    out.append(f"L{sorted(value.cache_parameters().items())}".encode())
    walk.caches.append(value)
    walk.put(value.__wrapped__, out)
    put_cached_before(walk, value, out)


def _dispatch_method(walk: Walk, value: Any, out: State) -> None:
    out.append(b"S")
    walk.put(value.dispatcher, out)
    walk.put(value.func, out)


def _descriptor(walk: Walk, value: Any, out: State) -> None:
    out.append(b"X" + text(type(value).__name__) + text(getattr(value, "__qualname__", "")))


def _fraction(walk: Walk, value: Any, out: State) -> None:
    out.append(b"r")
    walk.put_all((value.numerator, value.denominator), out)


def _uuid(walk: Walk, value: Any, out: State) -> None:
    out.append(b"u")
    walk.put(value.int, out)


def _machine_array(walk: Walk, value: Any, out: State) -> None:
    out.append(walk.node(value, _fill_machine_array))


def _fill_machine_array(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    walk.guards.redo(bytes, value, bytes(value))
    kind = value.typecode if hasattr(value, "typecode") else type(value).__name__
    if isinstance(value, memoryview):
        kind = f"{value.format}{value.shape}"
    node.state += (b"a" + text(kind), sized(b"b", bytes(value)))


def _array(walk: Walk, value: object, out: State) -> None:
    out.append(walk.node(value, _fill_array))


def _fill_array(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    state = node.state
    if type(value).__name__ not in ("ndarray", "memmap"):
        fill_instance(walk, node)
    flags = value.flags
    state.append(b"a" + text(_dtype(value.dtype)) + repr(value.shape).encode())
    state.append(b"F" if flags.fnc else b"C" if flags.writeable else b"R")
    if value.dtype.hasobject:
        walk.guards.volatile = True
        walk.put_all(tuple(value.ravel().tolist()), state)
        return
    content = array_content(value)
    walk.guards.redo(array_content, value, content)
    state.append(content)


def _dtype(dtype: Any) -> str:
    return f"{dtype.descr!r}" if dtype.names else str(dtype.str)


def array_content(value: Any) -> bytes:
    """Return the digest of an array's type, shape and items."""
    digest = sha256(f"{_dtype(value.dtype)}{value.shape}".encode())
    digest.update(b"F" if value.flags.fnc else b"C" if value.flags.writeable else b"R")
    for content in _items(value.view(sys.modules["numpy"].ndarray)):
        digest.update(content)
    return digest.digest()


def _items(value: Any) -> Iterator[Any]:
    """Yield the memory of an array's items, without the padding in it, which says nothing."""
    numpy = sys.modules["numpy"]
    kind = value.dtype
    if kind.names:
        for name in kind.names:
            yield from _items(value[name])
    elif kind.kind in "fc" and numpy.finfo(kind).nmant == _EXTENDED:  # 10 bytes in 12 or 16
        size = kind.itemsize // (2 if kind.kind == "c" else 1)
        parts = numpy.ascontiguousarray(value).reshape(-1).view("u1").reshape(-1, size)
        yield parts[:, :10].tobytes()
    elif value.flags.c_contiguous and value.size:
        yield value.reshape(-1).view("u1").data
    else:
        yield value.tobytes()


def _number(walk: Walk, value: Any, out: State) -> None:
    if value.dtype.hasobject:
        walk.note(f"{walk.where}: a {type(value).__name__} holding objects, ignored")
        return
    content = b"".join(map(bytes, _items(sys.modules["numpy"].asarray(value))))
    out.append(b"y" + text(_dtype(value.dtype)) + sized(b"b", content))


def _random_state(walk: Walk, value: Any, out: State) -> None:
    """Append a random generator; the one of the library itself, which nobody holds, by name."""
    from memori.fingerprint.opaque import put_foreign

    if value is getattr(sys.modules["numpy.random.mtrand"], "_rand", None):
        out.append(b"Xnumpy.random.mtrand._rand;")
    else:
        put_foreign(walk, value, out)


def _numpy_type(walk: Walk, value: Any, out: State) -> None:
    out.append(b"t" + text(_dtype(value)))


def _reference(walk: Walk, value: Any, out: State) -> None:
    out.append(b"w")
    walk.put(value(), out)
    walk.guards.redo(id_of_referent, value, id_of_referent(value))


def id_of_referent(reference: Any) -> int:
    """Return the identity of what a weak reference leads to."""
    return id(reference())


def _weak_mapping(walk: Walk, value: Any, out: State) -> None:
    walk.guards.volatile = True
    out.append(text(type(value).__name__))
    for pair in whole(lambda each: list(each.items()), value):
        walk.put(pair, out)


def _weak_set(walk: Walk, value: Any, out: State) -> None:
    walk.guards.volatile = True
    out.append(b"W")
    put_unordered(walk, whole(iter, value), out)


def _generic(walk: Walk, value: Any, out: State) -> None:
    out.append(b"A")
    walk.put(getattr(value, "__origin__", None), out)
    walk.put(value.__args__, out)
    if hasattr(value, "__metadata__"):  # Annotated
        walk.put(value.__metadata__, out)


def _match(walk: Walk, value: Any, out: State) -> None:
    out.append(b"m")
    walk.put_all((value.re, value.string, value.pos, value.endpos, value.regs), out)


def _entry(walk: Walk, value: os.DirEntry[Any], out: State) -> None:
    """Append an entry of a folder, without asking the system, whose answers it would keep."""
    kinds = value.is_dir(follow_symlinks=False), value.is_file(follow_symlinks=False)
    out.append(b"e")
    walk.put_all((value.path, *kinds), out)


def _row(walk: Walk, value: Any, out: State) -> None:
    out.append(b"r")
    walk.put_all((tuple(value.keys()), tuple(value)), out)


def _flat(walk: Walk, value: Any, out: State) -> None:
    """Append an iterator over arrays by the arrays, and by where it stands."""
    walk.guards.volatile = True
    out.append(text(type(value).__name__))
    held = value.operands if hasattr(value, "operands") else (value.base,)
    walk.kept.append(held)
    walk.put_all((*held, value.iterindex if hasattr(value, "iterindex") else value.index), out)


def _view(walk: Walk, value: Any, out: State) -> None:
    out.append(text(type(value).__name__))
    walk.put(value.mapping, out)
    walk.guards.volatile = True


def _struct(walk: Walk, value: Any, out: State) -> None:
    out.append(b"Z" + text(value.format))


def _hash(walk: Walk, value: Any, out: State) -> None:
    walk.guards.redo(_hash_state, value, _hash_state(value))
    out.append(text(_hash_state(value)))


def _hash_state(value: Any) -> str:
    return f"{value.name} {value.copy().hexdigest(*[32] * (value.digest_size == 0))}"


def _generator(walk: Walk, value: object, out: State) -> None:
    out.append(walk.node(value, _fill_generator))


def _fill_generator(walk: Walk, node: Node) -> None:
    """Fill the node of a suspended generator: its code, where it stands, and its variables."""
    from memori.fingerprint.functions import follow_code

    value: Any = node.origin
    walk.guards.volatile = True
    prefix = {"generator": "gi", "coroutine": "cr", "async_generator": "ag"}[type(value).__name__]
    code, frame = getattr(value, f"{prefix}_code"), getattr(value, f"{prefix}_frame")
    node.state.append(text(type(value).__name__))
    if frame is None:  # it has ended
        return
    walk.put(frame.f_lasti, node.state)
    names = frame.f_locals
    for name in code.co_varnames + code.co_cellvars + code.co_freevars:
        if name in names:
            node.state.append(text(name))
            walk.put(names[name], node.state)
    node.code = code
    cells = tuple(CellType() for _ in code.co_freevars)
    follow_code(walk, FunctionType(code, frame.f_globals, closure=cells), node)


def _iterator(walk: Walk, value: Any, out: State) -> None:
    """Append an iterator of itertools by what it would hand to `copy`, else by what it holds."""
    import gc
    import warnings
    from operator import length_hint

    walk.guards.volatile = True
    out.append(text(type(value).__name__))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            held = value.__reduce__()
    except TypeError:  # from Python 3.14
        held = *gc.get_referents(value), length_hint(value, -1)
    walk.kept.append(held)
    walk.put(held, out)


def _simple_namespace(walk: Walk, value: Any, out: State) -> None:
    """Append a namespace; its order shows when it is printed."""
    out.append(b"n")
    walk.put(value.__dict__, out)


def _progress_bar(walk: Walk, value: Any, out: State) -> None:
    """Append a bar by what it goes through: when it began, and how far it is, is only shown."""
    walk.guards.volatile = True
    walk.put(value.iterable, out)


def _shown(walk: Walk, value: object, out: State) -> None:
    walk.guards.redo(repr, value, repr(value))
    out.append(text(repr(value)))


def _stood_for(walk: Walk, value: object, out: State) -> None:
    assert isinstance(value, StandIn)
    walk.put(value.original, out)


SPECIAL: dict[str, Handler] = {
    **RESOURCES,
    f"{StandIn.__module__}.StandIn": _stood_for,
    "matplotlib.RcParams": put_parameters,
    "pathlib.PurePath": _path,
    "pathlib._local.PurePath": _path,
    "re.Pattern": _pattern,
    "re.Match": _match,
    "posix.DirEntry": _entry,
    "nt.DirEntry": _entry,
    "sqlite3.Row": _row,
    "enum.Enum": _member,
    "builtins.property": _property,
    "types.DynamicClassAttribute": _property,
    "builtins.classmethod": _inner_function,
    "builtins.staticmethod": _inner_function,
    "functools.cached_property": _inner_function,
    "functools._lru_cache_wrapper": _cache,
    "functools.singledispatchmethod": _dispatch_method,
    "builtins.wrapper_descriptor": _descriptor,
    "builtins.method_descriptor": _descriptor,
    "builtins.classmethod_descriptor": _descriptor,
    "builtins.getset_descriptor": _descriptor,
    "builtins.member_descriptor": _descriptor,
    "builtins.method-wrapper": _descriptor,
    "collections._tuplegetter": _ignored,
    "_collections._tuplegetter": _ignored,
    "fractions.Fraction": _fraction,
    "uuid.UUID": _uuid,
    "array.array": _machine_array,
    "builtins.memoryview": _machine_array,
    "mmap.mmap": _machine_array,
    "numpy.ndarray": _array,
    "numpy.generic": _number,
    "numpy.dtype": _numpy_type,
    "numpy.flatiter": _flat,
    "numpy.nditer": _flat,
    "numpy.random.mtrand.RandomState": _random_state,
    "weakref.ReferenceType": _reference,
    "weakref.WeakKeyDictionary": _weak_mapping,
    "weakref.WeakValueDictionary": _weak_mapping,
    "_weakrefset.WeakSet": _weak_set,
    "types.UnionType": _generic,
    "typing.Union": _generic,
    "typing._GenericAlias": _generic,
    "itertools.count": _shown,
    "types.SimpleNamespace": _simple_namespace,
    "builtins.dict_keys": _view,
    "builtins.dict_values": _view,
    "builtins.dict_items": _view,
    "_struct.Struct": _struct,
    "_hashlib.HASH": _hash,
    "_blake2.blake2b": _hash,
    "_blake2.blake2s": _hash,
    "builtins.generator": _generator,
    "builtins.coroutine": _generator,
    "builtins.async_generator": _generator,
    "logging.Logger": _ignored,
    "logging.LoggerAdapter": _ignored,
    "logging.Manager": _ignored,
    "logging.Handler": _ignored,
    "loguru._logger.Logger": _ignored,
    "rich.progress.Progress": _ignored,
    "tqdm.std.tqdm": _progress_bar,
    "psutil.Process": _ignored,
    "beartype._conf.confmain.BeartypeConf": _shown,  # it holds its hash, another in each process
    "typing.TypeVar": _ignored,
    "typing.ParamSpec": _ignored,
    "typing.TypeVarTuple": _ignored,
    "typing.NewType": _ignored,
    "typing.TypeAliasType": _ignored,
}

for _name in words(
    "accumulate batched chain combinations combinations_with_replacement compress cycle dropwhile"
    " filterfalse groupby islice pairwise permutations product repeat starmap takewhile"
    " zip_longest _tee"
):
    SPECIAL[f"itertools.{_name}"] = _iterator
