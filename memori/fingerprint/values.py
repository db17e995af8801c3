"""How values count: containers, arrays, instances of whatever class.

Containers count by type and items: sets in the order of their items' digests, dictionaries in
their own. Arrays count by type, shape and bytes. An instance of a class of the user's counts by its
class, its attributes and slots, and its items if the class derives from a container; if it derives
from a type that is known by name, by what that says of it and what it holds besides. An instance of
a library's class counts by what it would give to `copy` (`__reduce_ex__`), else by its attributes.
What gives nothing (a lock, an open file, a connection) is listed as unresolved and otherwise
ignored; loggers, progress bars and type variables never count, but for a class of the user's.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from contextvars import ContextVar
from itertools import chain
from types import CodeType, FunctionType, MappingProxyType
from weakref import ReferenceType

from memori.fingerprint.atoms import sized, text, words
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.graph import Node, fast_parts, graph_digest, order
from memori.fingerprint.guards import attributes_view, items_seen, mapping_view
from memori.fingerprint.walk import ORDER, Walk, origin_of_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from memori.fingerprint.graph import State
    from memori.fingerprint.walk import Handler


_INNER = 3  # outlines within outlines in which sets count by the names in them alone
_OWN = " of its own"
COPIED = words("__module__ __name__ __qualname__ __doc__ __wrapped__ __annotations__")
_DEEP = 50  # tuples nested deeper than this are nodes of their own


def put_sequence(walk: Walk, value: object, out: State) -> None:
    """Append a list or deque."""
    out.append(walk.node(value, _fill_sequence))


def _fill_sequence(walk: Walk, node: Node) -> None:
    value = node.origin
    assert isinstance(value, (list, deque))
    node.state.append(b"[" if isinstance(value, list) else f"q{value.maxlen};".encode())
    walk.put_all(walk.guards.view(iter, value), node.state)


def put_tuple(walk: Walk, value: object, out: State) -> None:
    """Append a tuple."""
    assert isinstance(value, tuple)
    if walk.depth > _DEEP:
        out.append(walk.node(value, _fill_tuple))
        return
    walk.depth += 1
    walk.put_all(value, out)
    walk.depth -= 1


def _fill_tuple(walk: Walk, node: Node) -> None:
    assert isinstance(node.origin, tuple)
    walk.put_all(node.origin, node.state)


def put_mapping(walk: Walk, value: object, out: State) -> None:
    """Append a dictionary, or one of the standard library's kin of it."""
    out.append(walk.node(value, _fill_mapping))


def _fill_mapping(walk: Walk, node: Node) -> None:
    value = node.origin
    assert isinstance(value, (dict, MappingProxyType))
    seen = walk.guards.view(mapping_view, value)
    node.state.append(_MAPPINGS[type(value)])
    if isinstance(value, defaultdict):
        walk.put(value.default_factory, node.state)
    put_items(walk, seen, node.state)


def put_items(walk: Walk, seen: tuple[object, ...], out: State) -> None:
    """Append the items of a mapping, in its order, given its keys and values."""
    out.append(b"{")
    for key, item in items_seen(seen):
        # matplotlib keeps weak references by the identity of what they lead to
        if type(key) is int and key == id(item() if type(item) is ReferenceType else item):
            out.append(b"@")
        else:
            walk.put(key, out)
        out.append(b":")
        walk.put(item, out)
    out.append(b"}")


_MAPPINGS = {
    dict: b"d",
    OrderedDict: b"dO",
    defaultdict: b"dD",
    Counter: b"dC",
    MappingProxyType: b"dP",
}


def put_set(walk: Walk, value: object, out: State) -> None:
    """Append a set."""
    out.append(walk.node(value, _fill_set))


def _fill_set(walk: Walk, node: Node) -> None:
    value = node.origin
    assert isinstance(value, set)
    put_unordered(walk, walk.guards.view(iter, value), node.state)


def put_frozenset(walk: Walk, value: object, out: State) -> None:
    """Append a frozen set."""
    assert isinstance(value, frozenset)
    out.append(b"z")
    put_unordered(walk, tuple(value), out)


def put_unordered(walk: Walk, items: tuple[object, ...], out: State) -> None:
    """Append items in an order that depends on what they are and not on the hash seed."""
    states: list[State] = []
    for item in items:
        states.append([])
        walk.put(item, states[-1])
    keys = _sort_keys(walk, items, states)
    out.append(b"<")
    if walk.outlines >= _INNER:  # that is enough to tell values apart
        out += sorted(keys)
        return
    for _, state in sorted(zip(keys, states, strict=True), key=lambda pair: pair[0]):
        out += state
    out.append(b">")


def _sort_keys(walk: Walk, items: tuple[object, ...], states: list[State]) -> list[bytes]:
    """Return by what each item of a set is sorted: its encoding, or its digest by itself."""
    is_plain = all(type(part) is bytes for state in states for part in state)
    if is_plain or walk.outlines >= _INNER or len(items) < 2:
        return [b"".join(map(_place, state)) for state in states]
    inner = walk.outline()
    roots = [Node() for _ in items]
    for root, item in zip(roots, items, strict=True):
        inner.put(item, root.state)
    inner.run()
    return [graph_digest(order(root, fast_parts, {})[1], b"").encode() for root in roots]


def _place(part: bytes | Node) -> bytes:
    return part if isinstance(part, bytes) else part.label.encode()


def put_bytearray(walk: Walk, value: object, out: State) -> None:
    """Append a bytearray."""
    out.append(walk.node(value, _fill_bytes))


def _fill_bytes(walk: Walk, node: Node) -> None:
    content = bytes(node.origin)  # type: ignore[call-overload]
    walk.guards.redo(bytes, node.origin, content)
    node.state.append(sized(type(node.origin).__name__.encode(), content))


def put_range(walk: Walk, value: object, out: State) -> None:
    """Append a range or slice."""
    assert isinstance(value, (range, slice))
    out.append(type(value).__name__.encode())
    walk.put_all((value.start, value.stop, value.step), out)


def put_context_variable(walk: Walk, value: object, out: State) -> None:
    """Append a context variable and its present value."""
    assert isinstance(value, ContextVar)
    out.append(b"V" + text(value.name))
    for found in walk.guards.view(_current, value):
        walk.put(found, out)


def _current(variable: ContextVar[object]) -> tuple[object, ...]:
    """Return the value or the variable's own default, which an argument of `get` would hide."""
    try:
        return (variable.get(),)
    except LookupError:
        return ()


def put_alias(walk: Walk, value: object, out: State) -> None:
    """Append a generic alias such as `list[int]`."""
    out.append(b"A")
    walk.put(value.__origin__, out)  # type: ignore[attr-defined]
    walk.put(value.__args__, out)  # type: ignore[attr-defined]


def put_nothing(walk: Walk, value: object, out: State) -> None:
    """Append a bare object, which is nothing but its type."""
    out.append(type(value).__name__.encode() + b";")


def put_code(walk: Walk, value: object, out: State) -> None:
    """Append a code object that is used as a value."""
    assert isinstance(value, CodeType)
    out.append(b"C" + code_digest(value))


def put_instance(walk: Walk, value: object, out: State) -> None:
    """Append an instance by its class, attributes, slots and items."""
    out.append(walk.node(value, fill_instance))


def fill_instance(walk: Walk, node: Node) -> None:
    """Fill the node of an instance: its class, attributes, slots and items."""
    value = node.origin
    state = node.state
    state.append(b"I")
    walk.put(type(value), state)
    found: list[tuple[Any, object]] = []
    if type(getattr(value, "__dict__", None)) is dict:
        found += items_seen(walk.guards.view(attributes_view, value)[1:])
    else:
        walk.guards.view(_class_of, value)
    if any("__slots__" in owner.__dict__ for owner in type(value).__mro__):
        found += items_seen(walk.guards.view(_slots_view, value))
    if ORDER not in walk.modes:  # attribute or slot, a class that was pickled by value may differ
        found.sort(key=lambda item: str(item[0]))
    for name, held in found:
        state.append(b"." + text(str(name)))
        walk.put(held, state)
    _put_content(walk, value, state)


def _class_of(value: object) -> tuple[type]:
    return (type(value),)


def _slots_of(value: object, owners: Iterable[type]) -> list[tuple[str, object]]:
    found = []
    for owner in owners:
        names = owner.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else tuple(names):
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{owner.__name__.lstrip('_')}{name}"
            descriptor = owner.__dict__.get(name)
            if descriptor is None or name in ("__dict__", "__weakref__"):
                continue
            try:
                found.append((name, descriptor.__get__(value, owner)))
            except AttributeError:
                continue
    return found


def _slots_view(value: object) -> tuple[object, ...]:
    slots = _slots_of(value, type(value).__mro__)
    return (*(name for name, _ in slots), *(content for _, content in slots))


def derived(special: Handler) -> Handler:
    """Return the handler of instances of the user's class that derives from a type known by name.

    Besides what `special` says of them, their class counts, and what they hold that the type
    itself does not put into them.
    """

    def put(walk: Walk, value: object, out: State) -> None:
        is_new = (id(value), _OWN) not in walk.slots
        own = walk.place(value, _OWN)
        if is_new:
            walk.later(own, _fill_own)
        out.append(own)
        special(walk, value, out)

    return put


def _fill_own(walk: Walk, node: Node) -> None:
    assert node.owner is not None
    value = node.owner[0]
    kind = type(value)
    users = [owner for owner in kind.__mro__ if origin_of_class(owner).kind == "user"]
    given = COPIED.union(*(_stored_by(owner) for owner in kind.__mro__ if owner not in users))

    def look(value: object) -> Iterable[object]:
        held = {**getattr(value, "__dict__", {}), **dict(_slots_of(value, users))}
        names = [name for name in held if name not in given]
        return (type(value), *names, *(held[name] for name in names))

    walk.put(kind, node.state)
    found = list(items_seen(walk.guards.view(look, value)[1:]))
    if ORDER not in walk.modes:
        found.sort(key=lambda item: str(item[0]))
    for name, held in found:
        node.state.append(b"." + text(str(name)))
        walk.put(held, node.state)


def _stored_by(owner: type) -> set[str]:
    """Return the names of the attributes that the methods of a library's class set."""
    from dis import get_instructions

    functions = (each for each in owner.__dict__.values() if isinstance(each, FunctionType))
    steps = (step for each in functions for step in get_instructions(each.__code__))
    return {str(step.argval) for step in steps if step.opname == "STORE_ATTR"}


def _put_content(walk: Walk, value: Any, out: State) -> None:
    """Append the items or the value of an instance whose class derives from a builtin type."""
    kind: Any = type(value)  # a proxy says that it is of another class
    if issubclass(kind, dict):
        put_items(walk, walk.guards.view(_dict_view, value), out)
        if issubclass(kind, defaultdict):
            walk.guards.redo(_factory, value, _factory(value))
            walk.put(value.default_factory, out)
    elif issubclass(kind, (list, deque)):
        own: Any = list if issubclass(kind, list) else deque
        out.append(b"" if own is list else f"q{value.maxlen};".encode())
        walk.put_all(walk.guards.view(own.__iter__, value), out)
    elif issubclass(kind, tuple):
        walk.put_all(tuple(tuple.__iter__(value)), out)
    elif issubclass(kind, (set, frozenset)):
        kind_of_set: Any = set if issubclass(kind, set) else frozenset
        put_unordered(walk, walk.guards.view(kind_of_set.__iter__, value), out)
    elif issubclass(kind, (bytearray, bytes)):
        walk.guards.redo(bytes, value, bytes(value))
        out.append(sized(b"b", bytes(value)))
    else:
        _put_foreign_content(walk, value, out)
        for kind_of_atom in (int, float, str, complex):
            if issubclass(kind, kind_of_atom):
                walk.put(_plain(kind_of_atom, value), out)


def _factory(value: Any) -> int:
    return id(value.default_factory)


def _put_foreign_content(walk: Walk, value: Any, out: State) -> None:
    """Append what an instance has from a library's class that it derives from."""
    for base in type(value).__mro__[1:-1]:
        if origin_of_class(base).kind == "user":
            continue
        for name in ("__reduce_ex__", "__reduce__"):
            if getattr(base, name) is getattr(object, name):
                continue
            walk.guards.volatile = True
            try:
                reduced = getattr(base, name)(value, *([4] if name == "__reduce_ex__" else []))
            except Exception:  # whatever a foreign method raises, it gave nothing
                continue
            walk.kept.append(reduced)
            walk.put(reduced, out)
            return


def _plain(kind: Any, value: Any) -> object:
    if kind is str:
        return str.__str__(value)
    if kind is complex:
        return complex(value.real, value.imag)
    return kind.__pos__(value)


def _dict_view(value: dict[object, object]) -> chain[object]:
    return chain(dict.keys(value), dict.values(value))
