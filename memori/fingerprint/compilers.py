"""Objects of libraries that stand for a function of the user's: compiled, delayed, wrapped.

And for a dataset of the user's: an index of pybids, and the files that it has found.

What such an object is made of is the function and the options that it was made with. What the
library adds (machine code, addresses, tokens that are random in each process) says nothing of its
own, and differs from process to process. Where an object does not show at all what it was made of,
the statements stand for it that make it, in the source of the module that holds it.
"""

from __future__ import annotations

import gc
import os
from functools import partial
from types import FunctionType, GetSetDescriptorType, MethodType

from memori.fingerprint.atoms import text, words
from memori.fingerprint.guards import items_seen, mapping_view, whole
from memori.fingerprint.imports.unloaded import Piece, slices, stamp
from memori.fingerprint.modules import is_users, put_parts
from memori.fingerprint.origins import file_of, module_label, relative
from memori.fingerprint.values import COPIED
from memori.fingerprint.walk import Walk, origin_of_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memori.fingerprint.graph import Node, State
    from memori.fingerprint.walk import Handler

_SOURCES = ("py_func", "_pyfunc", "__wrapped__")
_OPTIONS = words(
    "targetoptions _sig _identity identity signature mode neighborhood options reorderable "
    "_is_dynamic _frozen"
)
_MADE_OF = (FunctionType, MethodType, partial)


def put_compiled(walk: Walk, value: object, out: State) -> None:
    """Append a function that numba compiles."""
    out.append(walk.node(value, _fill_compiled))


def _fill_compiled(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    held = vars(value)
    made_of = [held[name] for name in _SOURCES if name in held][:1]
    if not made_of:  # a stencil
        made_of = [value.kernel_ir.func_id.func]
    inner = getattr(value, "_dispatcher", value)
    state = node.state
    state.append(b"J" + text(type(value).__qualname__))
    walk.external(origin_of_class(type(value)), state)
    walk.put_all(tuple(made_of), state)
    for name in sorted(_OPTIONS):
        option = getattr(value, name, None) or getattr(inner, name, None)
        if option is not None:
            state.append(text(name))
            _put_option(walk, option, state)
    if not getattr(inner, "_can_compile", True) or getattr(value, "_frozen", False):
        types = getattr(value, "types", None) or getattr(inner, "signatures", None)
        state.append(text(repr(types)))


def _put_option(walk: Walk, option: object, out: State) -> None:
    if isinstance(option, dict):
        for name in sorted(option, key=str):
            out.append(text(str(name)))
            _put_option(walk, option[name], out)
    elif isinstance(option, (str, int, type(None))):
        walk.put(option, out)
    else:  # a type or signature of numba's
        out.append(text(repr(option)))


def put_compiled_class(walk: Walk, value: object, out: State) -> None:
    """Append what numba knows of a class that it compiles."""
    out.append(walk.node(value, _fill_compiled_class))


def _fill_compiled_class(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    node.state.append(b"J" + text(value.class_name) + text(repr(value.struct)))
    for methods in (value.jit_methods, value.jit_static_methods, value.jit_props):
        for name in sorted(methods):
            node.state.append(text(name))
            walk.put(methods[name], node.state)


def put_delayed(walk: Walk, value: Any, out: State) -> None:
    """Append a function that dask delays."""
    out.append(b"J" + text(type(value).__qualname__))
    walk.external(origin_of_class(type(value)), out)
    walk.put_all((value._obj, value._pure, value._nout), out)


def is_proxy(kind: type) -> bool:
    """Return whether instances of a compiled class say that they are of another class (wrapt)."""
    return any(
        type(owner.__dict__.get("__class__")) is GetSetDescriptorType
        for owner in kind.__mro__
        if owner is not object
    )


def put_proxy(walk: Walk, value: object, out: State) -> None:
    """Append a proxy: its class, what it stands for and what it holds itself.

    Every attribute that it is asked for is one of what it stands for; only the garbage collector
    tells the two apart.
    """
    out.append(walk.node(value, _fill_proxy))


def _fill_proxy(walk: Walk, node: Node) -> None:
    kind = type(node.origin)
    node.state.append(b"Y" + text(kind.__qualname__))
    if origin_of_class(kind).kind == "user":
        walk.put(kind, node.state)
    for held in walk.guards.view(gc.get_referents, node.origin):
        if type(held) is dict:
            seen = items_seen(walk.guards.view(mapping_view, held))
            own = sorted(
                (item for item in seen if item[0] not in COPIED), key=lambda item: str(item[0])
            )
            walk.put_all(tuple(own), node.state)
        elif held is not kind:
            walk.put(held, node.state)


def put_held(walk: Walk, value: object, out: State) -> bool:
    """Append the functions and classes that an object holds; return whether there are any."""
    found = _held_by(value)
    walk.kept.append(found)
    walk.guards.redo(_ids_of_held, value, _ids_of_held(value))
    walk.put_all(tuple(found), out)
    return bool(found)


def _held_by(value: object) -> list[object]:
    held = whole(gc.get_referents, value)
    for each in held:
        if type(each) is dict:
            held += whole(dict.values, each)
    kept = {id(each): each for each in held if each is not type(value) and _is_code(each)}
    return list(kept.values())


def _is_code(value: object) -> bool:
    if isinstance(value, type):
        return is_users(value)
    kind = type(value)
    return kind in _MADE_OF or is_proxy(kind) or origin_of_class(kind).kind == "user"


def _ids_of_held(value: object) -> list[int]:
    return [id(each) for each in _held_by(value)]


def put_statements(walk: Walk, value: object, out: State) -> bool:
    """Append the statements that make what a global of the user's holds, if they can be found."""
    space, name = walk.holders.get(id(value), ({}, ""))
    path = file_of(space)
    cut = None if path is None else slices(path, stamp(path))
    if path is None or cut is None or name not in cut.binders:
        return False
    if all(name in cut.statements[position].imports for position in cut.binders[name]):
        return False
    walk.guards.redo(stamp, path, stamp(path))
    put_parts(
        walk, [Piece(cut, str(space.get("__package__") or ""), module_label(space), name)], out
    )
    return True


def _library(walk: Walk, value: object, out: State) -> None:
    """Append a shared library that ctypes has loaded."""
    out.append(walk.node(value, _fill_library))


def _fill_library(walk: Walk, node: Node) -> None:
    """Fill in a library: its file, if it names one, and what was declared of its functions."""
    value: Any = node.origin
    path = os.path.abspath(value._name) if value._name else ""
    node.state.append(b"l" + relative(value._name or "", walk.anchor))
    if os.path.isfile(path):
        node.state.append(walk.file_component(path, f"library {os.path.basename(path)}"))
    walk.put_all(walk.guards.view(_declarations, value), node.state)


def _declarations(library: Any) -> list[object]:
    """Return what was declared of functions of a library, which keeps those it was asked for."""
    found: list[object] = []
    for name, each in sorted(vars(library).items()):
        if isinstance(each, library._FuncPtr):
            declared = each.restype, each.argtypes, each.errcheck
            if declared != (library._FuncPtr._restype_, None, None):
                found += name, *declared
    return found


def _library_function(walk: Walk, value: object, out: State) -> None:
    """Append a function of a shared library, or one of Python's that C code is to call."""
    out.append(walk.node(value, _fill_library_function))


def _fill_library_function(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    node.state.append(b"L" + text(str(getattr(value, "__name__", ""))))
    walk.put_all(walk.guards.view(_declaration, value), node.state)
    put_held(walk, value, node.state)
    for held in (value._objects or {}).values():
        if type(held).__name__ in ("CDLL", "PyDLL"):
            walk.put(held, node.state)


def _declaration(function: Any) -> tuple[object, ...]:
    return function.restype, function.argtypes, function.errcheck


def _ufunc(walk: Walk, value: Any, out: State) -> None:
    """Append a universal function of numpy, or of the user's (`frompyfunc`)."""
    out.append(b"X" + text(value.__name__) + b"%d,%d;" % (value.nin, value.nout))
    if not put_held(walk, value, out):
        put_statements(walk, value, out)


def _type_adapter(walk: Walk, value: Any, out: State) -> None:
    """Append what pydantic adapts; the schema made of it holds addresses."""
    out.append(b"T")
    walk.put_all((value._type, value._config), out)


def _decorator(walk: Walk, value: Any, out: State) -> None:
    """Append what decorates a method for pydantic, without the address of its class."""
    out.append(b"T" + text(value.cls_var_name))
    walk.put_all((value.func, value.shim, value.info), out)


def _put_memorized(walk: Walk, value: Any, out: State) -> None:
    """Append a function that joblib caches, without where in its file joblib found it."""
    out.append(b"J" + text(type(value).__qualname__))
    walk.external(origin_of_class(type(value)), out)
    walk.put_all(walk.guards.view(_memorized, value), out)


def _memorized(value: Any) -> tuple[object, ...]:
    place = getattr(value.store_backend, "location", None)
    return (value.func, value.ignore, value.mmap_mode, value.cache_validation_callback, place)


def _put_layout(walk: Walk, value: object, out: State) -> None:
    """Append an index of a BIDS dataset by its rows: its engine leads everywhere."""
    out.append(walk.node(value, _fill_layout))


def _fill_layout(walk: Walk, node: Node) -> None:
    value: Any = node.origin
    walk.guards.redo(_asked_how, value, _asked_how(value))
    walk.external(origin_of_class(type(value)), node.state)
    node.state.append(b"X" + text(type(value).__qualname__) + relative(value.root, walk.anchor))
    node.state.append(text(_rows(value)) + text(str(value.regex_search)))
    walk.put(walk.guards.view(_derivatives, value), node.state)


def _rows(layout: Any) -> str:
    """Return the rows of an index, without the folder of the dataset, in an order of their own."""
    lines = layout.session.connection().connection.driver_connection.iterdump()
    return "".join(sorted(line.replace(layout.root, "") for line in lines))


def _asked_how(layout: Any) -> str:
    """Return what a question to an index is answered by, as far as it may change."""
    connection = layout.session.connection().connection.driver_connection
    return f"{connection.total_changes} {layout.regex_search}"


def _derivatives(layout: Any) -> tuple[object, ...]:
    return tuple(layout.derivatives.values())


def _put_indexed(walk: Walk, value: Any, out: State) -> None:
    """Append a file that a BIDS index has found by its path and entities."""
    out.append(b"X" + text(type(value).__qualname__) + relative(str(value.path), walk.anchor))
    entities = value.get_entities(metadata=None)
    walk.kept.append(entities)
    walk.put_all(tuple(sorted((str(name), str(held)) for name, held in entities.items())), out)


SPECIAL: dict[str, Handler] = {
    "bids.layout.layout.BIDSLayout": _put_layout,
    "bids.layout.models.BIDSFile": _put_indexed,
    "numba.core.dispatcher.Dispatcher": put_compiled,
    "numba.core.ccallback.CFunc": put_compiled,
    "numba.np.ufunc.dufunc.DUFunc": put_compiled,
    "numba.np.ufunc.gufunc.GUFunc": put_compiled,
    "numba.stencils.stencil.StencilFunc": put_compiled,
    "numba.core.types.misc.ClassType": put_compiled_class,
    "ctypes.CDLL": _library,
    "_ctypes.CFuncPtr": _library_function,
    "numpy.ufunc": _ufunc,
    "pydantic._internal._decorators.Decorator": _decorator,
    "pydantic.type_adapter.TypeAdapter": _type_adapter,
    "joblib.memory.MemorizedFunc": _put_memorized,
    "dask.delayed.DelayedLeaf": put_delayed,
}
