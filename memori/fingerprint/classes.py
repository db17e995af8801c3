"""How classes count: whole.

A class of the user's counts by its name, metaclass, bases and everything in its namespace, whoever
put it there. What it is nested in counts where code reads it: a class that was pickled by value has
lost it. What the interpreter or the standard library writes into a
namespace (`__module__`, the methods that `dataclass` generates, the tables of an `Enum`) differs
between versions of Python and says nothing of its own: fields, parameters and members stand for it.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, MappingProxyType, MemberDescriptorType

from memori.fingerprint.atoms import atom, own_attributes, text, words
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.graph import Node
from memori.fingerprint.guards import class_view, items_seen, mapping_view
from memori.fingerprint.origins import is_extension, place_of
from memori.fingerprint.walk import (
    ANNOTATIONS,
    DOCS,
    FILES,
    ORDER,
    PLACES,
    SUBCLASSES,
    Walk,
    annotations_of,
    is_defined,
    label_of,
    name_of_module,
    origin_of_class,
    origin_of_function,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from memori.fingerprint.graph import State

_HEAP = 1 << 9

_OWN = words(
    "__module__ __dict__ __weakref__ __doc__ __annotations__ __firstlineno__ "
    "__static_attributes__ __qualname__ __slotnames__ __abstractmethods__ _abc_impl "
    "__parameters__ __type_params__ __orig_bases__ __annotate__ __annotate_func__ "
    "__annotations_cache__ __protocol_attrs__ __non_callable_proto_members__ "
    "__readonly_keys__ __mutable_keys__ __closed__ __extra_items__ "
    "__callable_proto_members_only__ "
    "__dataclass_fields__ __dataclass_params__ __replace__ __classdictcell__ __classcell__"
)
_GENERATED = words(
    "__init__ __repr__ __eq__ __hash__ __lt__ __le__ __gt__ __ge__ __setattr__ __delattr__ "
    "__getstate__ __setstate__ __replace__"
)
_ENUM_OWN = words(
    "_generate_next_value_ _member_names_ _member_map_ _value2member_map_ _unhashable_values_ "
    "_unhashable_values_map_ _hashable_values_ _use_args_ _value_repr_ _sort_order_ "
    "_boundary_ _flag_mask_ _all_bits_ _singles_mask_ _inverted_ _member_type_ __new__ "
    "__new_member__ _new_member_ __reduce_ex__ __members__ __set_name__ __dir__ _missing_ "
    "__and__ __or__ __xor__ __invert__ __rand__ __ror__ __rxor__ _add_alias_ "
    "_add_value_alias_"
)
_TUPLE_OWN = words("_make _replace _asdict __replace__ __repr__ __getnewargs__ __getnewargs_ex__")
_PYDANTIC = words(
    "__pydantic_core_schema__ __pydantic_validator__ __pydantic_serializer__ __signature__ "
    "__pydantic_complete__ __pydantic_fields_complete__ __pydantic_parent_namespace__ "
    "__pydantic_setattr_handlers__"
)
_FIELD = ("name", "init", "repr", "hash", "compare", "kw_only")
_PARAMS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")


def put_class(walk: Walk, value: object, out: State) -> None:
    """Append a reference to a class."""
    assert isinstance(value, type)
    module, path = str(value.__module__), value.__qualname__
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    compiled = is_extension(file) or (file is None and origin_of_class(value).kind == "stdlib")
    if compiled or not value.__flags__ & _HEAP:
        out.append(b"X%b.%b;" % (module.encode(), path.encode()))
        walk.external_module(loaded, out)
        return
    origin = origin_of_class(value)
    if origin.kind != "user" and is_defined(value, module, path):
        out.append(b"X%b.%b;" % (module.partition(".")[0].encode(), path.encode()))
        walk.external(origin, out)
        walk.libraries.add(module.partition(".")[0])
        _put_patches(walk, value, out)
        return
    space = _home_of(walk, value) or getattr(loaded, "__dict__", {"__name__": module})
    label = label_of("class", space, value.__name__, walk.file)
    out.append(walk.node(value, _fill_class, label))


def _home_of(walk: Walk, owner: type) -> dict[str, Any] | None:
    """Return the globals that a class was made in, as its functions, or what reaches it, know them.

    A worker's own `__main__` is not the one that the class comes from.
    """
    functions = map(_function_of, list(owner.__dict__.values()))
    spaces = [each.__globals__ for each in functions if isinstance(each, FunctionType)]
    for space in (*spaces, walk.space):
        if space.get("__name__") == owner.__module__:
            return space
    return None


def _put_patches(walk: Walk, owner: type, out: State) -> None:
    """Append what the user has put into a class of a library."""
    for place in owner.__mro__:
        if not place.__flags__ & _HEAP:
            continue
        for name, value in _names_seen(walk, place):
            if _is_users(value) and not _is_written_by_dataclass(_function_of(value)):
                out += (text(name), walk.slot(place, name, value))


def put_named_patches(walk: Walk, out: State) -> None:
    """Append what the user has put into classes of libraries under names that code reads.

    The code need not name the class: objects of it may come from anywhere in the library. Those
    classes are looked at that the code names, and those that the libraries offer at their top.
    """
    kinds = set(walk.classes)
    for name in walk.libraries:
        space = getattr(sys.modules.get(name), "__dict__", {})
        kinds.update(each for each in list(space.values()) if issubclass(type(each), type))
    places = {place for kind in kinds for place in kind.__mro__ if place.__flags__ & _HEAP}
    found: list[tuple[type, str]] = []
    for place in places:
        found += ((place, name) for name in walk.named & place.__dict__.keys())
    if not found:
        return
    spaces = [place.__dict__ for place in places]
    walk.guards.redo(_sizes, spaces, _sizes(spaces))
    asked = [place.__dict__ for place, _ in found], [name for _, name in found]
    values = walk.guards.view(_values_at, asked)
    patches = [
        (f"{place.__module__}.{place.__qualname__}.{name}", place, name, value)
        for (place, name), value in zip(found, values, strict=True)
        if _is_patch(value) and origin_of_class(place).kind != "user"
    ]
    for label, place, name, value in sorted(patches, key=lambda each: each[0]):
        out += (text(label), walk.slot(place, name, value))


def _sizes(spaces: list[Any]) -> list[int]:
    return list(map(len, spaces))


def _values_at(asked: tuple[list[Any], list[str]]) -> Iterator[object]:
    return map(MappingProxyType.get, *asked)


def _is_patch(value: Any) -> bool:
    """Return whether the user wrote what a name of a library's class leads to."""
    if isinstance(value, property):
        return any(map(_is_users, (value.fget, value.fset, value.fdel)))
    if isinstance(value, type):
        return origin_of_class(value).kind == "user"
    return _is_users(value) or any(
        (isinstance(each, type) and origin_of_class(each).kind == "user") or _is_users(each)
        for each in list(own_attributes(value).values())
    )


def _fill_class(walk: Walk, node: Node) -> None:
    owner = node.origin
    assert isinstance(owner, type)
    space = dict(_names_seen(walk, owner))
    state = node.state
    if walk.outlines:
        _outline(node, space)
        return
    state.append(b"K" + text(place_of(owner) if PLACES in walk.modes else owner.__name__))
    walk.put(type(owner), state)
    walk.put_all(owner.__bases__, state)
    skipped = _OWN
    if "__dataclass_fields__" in space:
        _put_fields(walk, owner, state)
    if "_member_map_" in space:
        _put_members(walk, owner, state)
        skipped |= {*space["_member_map_"]}
    if "__attrs_attrs__" in space:  # what attrs generated, which its attributes describe
        state.append(text(" ".join(sorted(name for name in _GENERATED if name in space))))
    if "__pydantic_core_schema__" in space:  # which its fields and decorators say
        skipped |= _PYDANTIC
    if "class_type" in space and "_ctor" in space:  # numba's: what makes an instance
        skipped |= {"_ctor", "_ctor_sig"}
    if "__base_traits__" in space:  # of traits: all that is declared
        skipped |= {"__class_traits__"}  # the same, and each name that was ever asked for
    _put_namespace(walk, owner, space, skipped, state)
    if FILES in walk.modes:
        state.append(text(name_of_module({"__name__": owner.__module__})))
    if DOCS in walk.modes:
        walk.put(space.get("__doc__"), state)
    if ANNOTATIONS in walk.modes or _may_read_annotations(owner):
        walk.put(annotations_of(owner), state)
        walk.put(space.get("__orig_bases__"), state)  # what generic bases were given
    if SUBCLASSES in walk.modes:
        walk.guards.redo(_subclasses, owner, _subclasses(owner))
        walk.put_all(_subclasses(owner), state)
    if "_abc_impl" in space:
        _put_virtual(walk, owner, state)


def _outline(node: Node, space: dict[str, Any]) -> None:
    """Fill the node of a class with what tells it from others of its name."""
    for name in sorted(space.keys() - _OWN, key=str):
        code = getattr(_function_of(space[name]), "__code__", None)
        if getattr(code, "co_filename", "").startswith("<"):
            continue  # made from text, with whatever numbers
        told = code_digest(code) if isinstance(code, CodeType) else atom(space[name])
        node.state += (text(str(name)), told or b"?")


def _names_seen(walk: Walk, owner: type) -> Iterator[tuple[Any, Any]]:
    """Return the names and values of a class's own namespace, and guard them and its bases."""
    seen = walk.guards.view(class_view, owner)
    return items_seen(seen[1 + len(owner.__bases__) :])


def _put_namespace(
    walk: Walk, owner: type, space: dict[str, Any], skipped: frozenset[str], out: State
) -> None:
    walk.listed.add(id(owner))
    is_enum = "_member_map_" in space
    for name in space if ORDER in walk.modes else sorted(space, key=str):
        value = space[name]
        if name in skipped or (is_enum and name in _ENUM_OWN and not _is_users(value)):
            continue
        if _is_generated(owner, name, value) or _is_slot(owner, name, value):
            continue
        out += (b"." + text(str(name)), walk.slot(owner, str(name), value))


def _is_users(value: object) -> bool:
    function = _function_of(value)
    if not isinstance(function, FunctionType) or "__name__" not in function.__globals__:
        return False  # what a library makes from text has no module
    return origin_of_function(function).kind == "user"


def _function_of(value: Any) -> Any:
    return value.__func__ if isinstance(value, (staticmethod, classmethod)) else value


def _is_written_by_dataclass(function: FunctionType) -> bool:
    """Return whether `dataclass` made the text of a function, by a mark that travels with it."""
    return function.__code__.co_qualname.startswith("__create_fn__.")


def _is_generated(owner: type, name: str, value: object) -> bool:
    """Return whether the standard library wrote this method for the class."""
    function = _function_of(value)
    if not isinstance(function, FunctionType):
        return False
    module = function.__globals__.get("__name__")
    if module in ("typing", f"namedtuple_{owner.__name__}"):
        return True
    if name in _TUPLE_OWN and "_fields" in owner.__dict__ and module == "collections":
        return True
    if function.__code__.co_filename.startswith("<attrs generated"):
        return "__attrs_attrs__" in owner.__dict__
    if name not in _GENERATED or "__dataclass_fields__" not in owner.__dict__:
        return False
    inner = getattr(function, "__wrapped__", function)
    return _is_written_by_dataclass(inner) or origin_of_function(inner).kind == "stdlib"


def _is_slot(owner: type, name: str, value: object) -> bool:
    """Return whether a name stands for one in `__slots__`, which says it already."""
    is_member = isinstance(value, MemberDescriptorType)
    return is_member and value.__objclass__ is owner and value.__name__ == name  # type: ignore[attr-defined]


def _put_fields(walk: Walk, owner: Any, out: State) -> None:
    """Append the fields of a dataclass, in order: of the annotations, what `dataclass` read."""
    parameters = owner.__dataclass_params__
    out.append(repr([getattr(parameters, name, None) for name in _PARAMS]).encode())
    fields = owner.__dataclass_fields__
    for _, field in items_seen(walk.guards.view(mapping_view, fields)):
        out.append(b"|")
        walk.put_all(tuple(getattr(field, name, None) for name in _FIELD), out)
        out.append(text(str(field._field_type)))
        for name in ("default", "default_factory"):
            value = getattr(field, name)
            if type(value).__name__ != "_MISSING_TYPE":
                out += (text(name), walk.slot(field, name, value))
        if field.metadata:
            walk.put(field.metadata, out)


def _put_members(walk: Walk, owner: Any, out: State) -> None:
    """Append the members of an enumeration, in order, with their values and attributes."""
    walk.put(getattr(owner, "_member_type_", None), out)
    boundary = owner.__dict__.get("_boundary_")
    out.append(text(str(getattr(boundary, "name", ""))))
    for name, member in list(owner._member_map_.items()):
        out.append(text(name))
        walk.put(member._value_, out)
        attributes = dict(getattr(member, "__dict__", {}))
        for key in sorted(attributes):
            if key not in ("_value_", "_name_", "__objclass__", "_sort_order_"):
                out.append(b"." + text(key))
                walk.put(attributes[key], out)


def _may_read_annotations(owner: type) -> bool:
    """Return whether a library is among metaclass and bases: it may act on the annotations."""
    return any(
        origin_of_class(kind).kind == "distribution" for kind in (type(owner), *owner.__mro__)
    )


def _subclasses(owner: type) -> tuple[type, ...]:
    def place(kind: type) -> str:
        return f"{kind.__module__}.{kind.__qualname__}"

    return tuple(sorted(type.__subclasses__(owner), key=place))


def _put_virtual(walk: Walk, owner: type, out: State) -> None:
    """Append the classes that were registered as virtual subclasses of an abstract class."""
    try:
        from _abc import _get_dump, get_cache_token  # type: ignore[import-not-found]
    except ImportError:
        return
    walk.guards.redo(lambda _: get_cache_token(), None, get_cache_token())
    kinds = [reference() for reference in _get_dump(owner)[0]]
    kept = [kind for kind in kinds if kind is not None]
    for kind in sorted(kept, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"):
        out.append(b"v")
        walk.put(kind, out)
