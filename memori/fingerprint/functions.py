"""How functions and other callables count.

A function of the user's counts by its name, code, defaults, cells and attributes, and by what its
code names. One of a library's counts by name, unless it was made at run time (a wrapper, a
dispatcher): then by what it closes over as well.
"""

from __future__ import annotations

import os
import sys
from functools import partial, partialmethod
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType

from memori.fingerprint.atoms import text
from memori.fingerprint.bytecode import scan
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import attributes_view, items_seen, mapping_view
from memori.fingerprint.names import follow
from memori.fingerprint.origins import anchor_of, is_cell, module_label, place_of, relative
from memori.fingerprint.walk import (
    ANNOTATIONS,
    DOCS,
    FILES,
    LINES,
    NAMES,
    SOURCE,
    WRAPPED,
    Walk,
    annotations_of,
    is_defined,
    name_of_module,
    origin_of_class,
    origin_of_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.fingerprint.graph import State


def function_label(kind: str, function: FunctionType) -> str:
    """Return the label of a function, such as `helper mypkg.filters.smooth`."""
    module = module_label(function.__globals__, function.__code__.co_filename)
    return f"{kind} {module}.{place_of(function)}"


def put_function(walk: Walk, function: FunctionType, out: State, kind: str = "helper") -> None:
    """Append a reference to a function."""
    origin = origin_of_function(function)
    if origin.kind == "user":
        out.append(walk.node(function, _fill_function, function_label(kind, function)))
        return
    module = function.__globals__.get("__name__")
    name = f"{str(module).partition('.')[0]}.{function.__qualname__}"
    out.append(b"X%b;" % name.encode())
    walk.external(origin, out)
    walk.libraries.add(name.partition(".")[0])
    plain = not function.__closure__ and not function.__dict__
    if not plain and not is_defined(function, module, function.__qualname__):
        out.append(walk.node(function, _fill_wrapper))


def _fill_function(walk: Walk, node: Node) -> None:
    function = node.origin
    assert isinstance(function, FunctionType)
    walk.guards.function(function)
    code = node.code = function.__code__
    _enter(walk, function)
    place = place_of(function)
    path = f"{walk.module}.{place}"
    state = node.state
    state.append(b"F" + text(function.__name__) + text(place))
    _put_defaults(walk, function, code, path, state)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        walk.put_cell(cell, name, f"closure {path}.{name}", state)
    put_attributes(walk, function, state)
    if walk.outlines:
        return
    if DOCS in walk.modes:
        walk.put(function.__doc__, state)
    if ANNOTATIONS in walk.modes:
        walk.put(annotations_of(function), state)
    if NAMES in walk.modes:
        walk.put_all((code.co_varnames, code.co_cellvars, code.co_freevars), state)
    if LINES in walk.modes:
        walk.put_all((code.co_firstlineno, code.co_linetable), state)
    if FILES in walk.modes:
        _put_file(walk, function, state)
    if SOURCE in walk.modes:
        walk.put(source_text(function), state)
    follow(walk, function, scan(code), node)


def _put_file(walk: Walk, function: FunctionType, out: State) -> None:
    """Append the file that a function is written in, and the name of its module."""
    path = function.__code__.co_filename
    if not path.startswith("<") and not is_cell(path):
        out.append(relative(os.path.abspath(path), walk.anchor))
    out.append(text(name_of_module({"__name__": function.__module__})))


def _enter(walk: Walk, function: FunctionType) -> None:
    """Let the walk know whose names it is about to follow."""
    walk.space, walk.file = function.__globals__, function.__code__.co_filename
    walk.anchor = anchor_of(walk.space)
    walk.module = module_label(walk.space, walk.file)


def follow_code(walk: Walk, function: FunctionType, node: Node) -> None:
    """Add to `node` what the names in the code of `function` lead to."""
    _enter(walk, function)
    follow(walk, function, scan(function.__code__), node)


def source_text(function: FunctionType) -> str | None:
    """Return the text that `inspect.getsource` would, as code may that calls it."""
    from inspect import getsource

    from memori.fingerprint.syntax import syntax_of

    syntax_of(function.__code__, function.__globals__)  # lets a worker find the lines
    try:
        return getsource(function)
    except (OSError, TypeError):
        return None


def _put_defaults(
    walk: Walk, function: FunctionType, code: CodeType, path: str, out: State
) -> None:
    defaults = function.__defaults__ or ()
    values = defaults[-code.co_argcount :] if code.co_argcount else ()  # a wrapper may copy more
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    for name, value in zip(names, values, strict=True):
        out += (b"=", walk.slot(defaults, name, value, f"default {path}.{name}"))
    keywords = dict(function.__kwdefaults__ or {})
    owner = function.__kwdefaults__
    for name in sorted(keywords):
        slot = walk.slot(owner, name, keywords[name], f"default {path}.{name}")
        out += (b"*" + text(name), slot)


def put_attributes(walk: Walk, function: FunctionType, out: State) -> None:
    """Append what was set as attributes on a function."""
    owner = function.__dict__
    walk.listed.add(id(owner))
    attributes = dict(owner)
    for name in sorted(attributes):
        if name != "__wrapped__" or WRAPPED in walk.modes:
            out += (b"." + text(name), walk.slot(owner, name, attributes[name]))


def _fill_wrapper(walk: Walk, node: Node) -> None:
    """Fill the node of a function that a library made at run time: what it holds counts."""
    function = node.origin
    assert isinstance(function, FunctionType)
    walk.guards.function(function)
    state = node.state
    registry = function.__dict__.get("registry")
    if function.__globals__.get("__name__") == "functools" and registry is not None:
        put_registry(walk, registry, state)
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        walk.put_cell(cell, name, "", state)
    walk.put_all(function.__defaults__ or (), state)
    put_attributes(walk, function, state)


def put_registry(walk: Walk, registry: dict[object, object], out: State) -> None:
    """Append the implementations of a single-dispatch function, whatever their order."""
    seen = walk.guards.view(mapping_view, registry)

    def place(item: tuple[object, object]) -> str:
        return f"{getattr(item[0], '__module__', '')}.{getattr(item[0], '__qualname__', item[0])}"

    for kind, function in sorted(items_seen(seen), key=place):
        walk.put(kind, out)
        walk.put(function, out)


def put_method(walk: Walk, value: object, out: State) -> None:
    """Append a bound method."""
    assert isinstance(value, MethodType)
    if not _is_ready_made(walk, value, out):
        out.append(b"M")
        walk.put(value.__func__, out)
        walk.put(value.__self__, out)


def put_builtin(walk: Walk, value: object, out: State) -> None:
    """Append a function or method that is not written in Python."""
    assert isinstance(value, BuiltinFunctionType)
    owner = value.__self__
    if owner is None or isinstance(owner, type(sys)):
        module = value.__module__ or getattr(owner, "__name__", "")
        out.append(b"X%b.%b;" % (str(module).encode(), value.__qualname__.encode()))
        loaded = sys.modules.get(str(module))
        if loaded is not None:
            walk.external_module(loaded, out)
    elif not _is_ready_made(walk, value, out):
        out.append(b"M" + text(value.__name__))
        walk.put(owner, out)


def _is_ready_made(walk: Walk, value: MethodType | BuiltinFunctionType, out: State) -> bool:
    """Encode by name a bound method that a library offers as a function (`random.random`)."""
    owner = type(value.__self__)
    module = owner.__module__
    if origin_of_class(owner).kind == "user" or isinstance(value.__self__, type):
        return False
    loaded = sys.modules.get(module)
    if getattr(loaded, "__dict__", {}).get(value.__name__) != value:
        return False
    out.append(b"X%b.%b;" % (module.encode(), value.__name__.encode()))
    walk.external(origin_of_class(owner), out)
    return True


def put_partial(walk: Walk, value: object, out: State) -> None:
    """Append a partial function or method."""
    out.append(walk.node(value, _fill_partial))


def _fill_partial(walk: Walk, node: Node) -> None:
    value = node.origin
    assert isinstance(value, (partial, partialmethod))
    state = node.state
    state.append(b"P")
    walk.put(value.func, state)
    walk.put_all(value.args, state)
    keywords = dict(items_seen(walk.guards.view(mapping_view, value.keywords)))
    for name in sorted(keywords):
        state.append(text(name))
        walk.put(keywords[name], state)
    attributes = dict(items_seen(walk.guards.view(attributes_view, value)[1:]))
    for name in sorted(attributes):
        if name not in ("func", "args", "keywords", "__wrapped__"):
            state.append(b"." + text(name))
            walk.put(attributes[name], state)


def put_root(walk: Walk, function: object, out: State) -> None:
    """Append the callable itself."""
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    inner = getattr(inner, "__func__", inner)
    if type(inner) is FunctionType:  # a proxy may say that it is one
        kept: State = []
        put_function(walk, inner, kept, "function")
    walk.where = "function"
    if type(function) is FunctionType:
        put_function(walk, function, out, "function")
        return
    label = f"callable {getattr(function, '__name__', None) or type(inner).__qualname__}"
    owner = getattr(function, "__self__", function)  # a slot: runs may change what it holds
    out.append(walk.slot(owner, label, function, label))
