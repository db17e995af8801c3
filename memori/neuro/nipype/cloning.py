"""How to make an interface again, fresh, as it was given.

A Nipype interface is a mutable object: a copy of it loses the handlers that react to its traits
(ANTs' `num_threads`, FSL's `output_type`), and one that has run keeps what it found. So each run
gets a new instance, made from the class, the arguments of its constructor and the values of its
traits.

Python does not keep the arguments of a constructor. They are read from the instance by the habit
that all of Nipype follows: an argument ``fields`` is kept as ``fields`` or ``_fields``. The new
instance is compared with the old one; where its traits differ, the class does not follow the
habit, and a deep copy is used.

Not promised: attributes that hold what cannot be copied; the new instance shares those.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

from nipype.interfaces.base import CommandLine, Interface, Undefined, isdefined

from memori.neuro.nipype.engine_api import ARGUMENT_KEPT_AS, RUN_STATE

_MISSING = object()


class Recipe:
    """What an interface is made of.

    Attributes
    ----------
    kind : type
        The interface's class.
    arguments : dict of str to object
        Of the constructor, without trait values.
    attributes : dict of str to object
        What was set on the instance after it was made.
    added : dict of str to object
        Traits that were added to the instance's own inputs.
    changes_program : bool
        Whether the program that it calls may depend on trait values.
    values : dict of str to object
        The defined traits; `make` leaves it to its caller to set them.
    """

    def __init__(self, interface: Interface) -> None:
        self.kind = type(interface)
        self.values: dict[str, Any] = defined_values(interface.inputs)
        self.changes_program = _changes_program(self.kind)
        self.attributes: dict[str, Any] = {}
        self.added: dict[str, Any] = {}
        self._original: Interface | None = None
        self.arguments = _constructor_arguments(interface)
        try:
            fresh = self.kind(**_copied(self.arguments))
        except Exception:
            fresh = None
        names = set(interface.inputs.copyable_trait_names())
        if fresh is None or not set(fresh.inputs.copyable_trait_names()) <= names:
            self._original = copy.deepcopy(interface)
            return
        self.added = {
            name: interface.inputs.trait(name)
            for name in names - set(fresh.inputs.copyable_trait_names())
        }
        self.attributes = {
            name: _copied(value)
            for name, value in vars(interface).items()
            if name.lstrip("_") not in RUN_STATE
            and not _same(vars(fresh).get(name, _MISSING), value)
        }

    def make(self, kind: type[Interface] | None = None) -> Interface:
        """Return a new instance, on which no trait is set but by its constructor.

        Parameters
        ----------
        kind : type, optional
            A subclass to make instead.
        """
        if self._original is not None:
            made = copy.deepcopy(self._original)
            if kind is not None:
                made.__class__ = kind
            return made
        made = (kind or self.kind)(**_copied(self.arguments))
        for name, trait in self.added.items():
            made.inputs.add_trait(name, trait)
            made.inputs.trait_set(trait_change_notify=False, **{name: Undefined})
        vars(made).update(_copied(self.attributes))
        return made


def _changes_program(kind: type) -> bool:
    """Tell whether the program may depend on trait values."""
    if not issubclass(kind, CommandLine):
        return False
    own = kind.__mro__[: kind.__mro__.index(CommandLine)]
    for owner in own:
        for value in vars(owner).values():
            code = getattr(getattr(value, "fget", value), "__code__", None)
            if code is not None and ARGUMENT_KEPT_AS["command"] in code.co_names:
                return True
    return getattr(kind, "cmd", None) is not CommandLine.cmd


def defined_values(spec: Any) -> dict[str, Any]:
    """Return the defined traits of a spec as a user would read them."""
    values = {name: getattr(spec, name) for name in spec.copyable_trait_names()}
    return {name: _plain(value) for name, value in values.items() if isdefined(value)}


def _plain(value: Any) -> Any:
    """Copy trait containers into ordinary ones, which hold no handlers."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if type(value) is tuple:
        return tuple(_plain(part) for part in value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, set):
        return {_plain(part) for part in value}
    return _copied(value)


def _constructor_arguments(interface: Interface) -> dict[str, Any]:
    traits = set(interface.inputs.copyable_trait_names())
    found: dict[str, Any] = {}
    state = vars(interface)
    for owner in type(interface).__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        for parameter in parameters:
            name = parameter.name
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if name in found or name in ("from_file", "check_import"):
                continue
            if name in traits:
                value = getattr(interface.inputs, name)
                if isdefined(value):
                    found[name] = _plain(value)
                continue
            for attribute in (name, f"_{name}", ARGUMENT_KEPT_AS.get(name, name)):
                if attribute in state:
                    if _same(state[attribute], parameter.default):
                        break  # a class may not pass on what it does not know
                    found[name] = _copied(state[attribute])
                    break
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def _same(one: Any, other: Any, depth: int = 0) -> bool:
    """Tell whether two attributes say the same; objects without an `==` do if their states do."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if "__eq__" not in {name for owner in type(one).__mro__[:-1] for name in vars(owner)}:
        if isinstance(one, Interface):
            return True  # made by the constructor, like SPM's `mlab`
        states = getattr(one, "__dict__", None), getattr(other, "__dict__", None)
        return depth < 3 and states[0] is not None and _same(*states, depth + 1)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k], depth) for k in one)
    try:
        return bool(one == other)
    except Exception:
        return False
