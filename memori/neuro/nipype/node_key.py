"""What the result of a node depends on.

It is what the result of its interface depends on (`memori.neuro.nipype.stage`): class, arguments of
the constructor, values, contents of files, the program. Where the node lies, what it is called and
which of its outputs the workflow needs do not count, so that the same node is the same in another
workflow, another base folder and at another place of a list.

Not promised: attributes that were set on an interface and that memori cannot follow.
"""

from __future__ import annotations

from typing import Any

from nipype.interfaces.base import Interface, isdefined

from memori.artifacts import find_inputs
from memori.digest.values import encode
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.neuro.nipype.stage import SHOWN_ONLY, compiled_function, name_of
from memori.neuro.nipype.trait_json import NotPlainError, to_plain
from memori.neuro.nipype.traits import THREADS, as_folders, names_output, uncounted
from memori.neuro.nipype.what_counts import file_facts, packages_of, tool_facts
from memori.store import memo_of

_RUN_STATE = frozenset({"inputs", "results", "out", "environ", "version", "runtime", "outputs"})
_codes: dict[str, NodeCode] = {}


class NodeCode:
    """The code of an interface, as what `memori.fingerprint` looks at."""

    def __init__(self, name: str, parts: tuple[object, ...]) -> None:
        self.__name__ = name
        self._parts = parts

    def __call__(self) -> None:
        """Stand where a callable is expected; a node is run by Nipype."""

    def __fingerprint__(self) -> tuple[object, ...]:
        """Return what counts."""
        return self._parts


def code_of(interface: Interface, unwritten: dict[str, Any]) -> NodeCode:
    """Return the code of an interface; the same object for the same code where possible.

    Parameters
    ----------
    interface : nipype Interface
        An instance with its inputs.
    unwritten : dict
        Values that are no JSON and count as code.
    """
    kind = type(interface)
    state = {
        name: value
        for name, value in vars(interface).items()
        if name.lstrip("_") not in _IGNORED and not isinstance(value, Interface)
    }
    source = getattr(interface.inputs, "function_str", None)
    place = ""
    if not unwritten:
        try:
            values = [to_plain(part, str) for part in (state, source)]
            place = f"{kind.__module__}.{kind.__qualname__} {id(kind)} {encode(values)}"
        except NotPlainError:
            pass
    known = _codes.get(place)
    if known is not None and known._parts[0] is kind:
        return known
    function = compiled_function(interface) if source else None
    name = getattr(function, "__name__", None) or name_of(interface)
    parts = (kind, state, unwritten, function or source, packages_of(interface))
    made = NodeCode(name, parts)
    if place:
        if len(_codes) >= 4096:
            _codes.clear()
        _codes[place] = made
    return made


_IGNORED = _RUN_STATE | SHOWN_ONLY | THREADS


class Identity:
    """What a node's result depends on, as found at one time.

    Parameters
    ----------
    interface : nipype Interface
        With all its inputs.
    root : str
        The folder of the memory.

    Attributes
    ----------
    name : str
        Under which the node is remembered.
    """

    def __init__(self, interface: Interface, root: str) -> None:
        self._root = root
        self._memo = memo_of(root)
        self._counted: dict[str, Any] = {}
        values, unwritten = self._values(interface)
        code = code_of(interface, unwritten)
        self.name = code.__name__
        self._code = fingerprint(code)
        self._surroundings = {
            **dict(tool_facts(interface, {}, ())),
            **dict(file_facts(interface, values, self._memo)),
        }

    def _values(self, interface: Interface) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values that count, and those that only code can tell apart."""
        spec = interface.inputs
        ignored = uncounted(interface) | {"function_str"}
        values: dict[str, Any] = {}
        unwritten: dict[str, Any] = {}
        for name in spec.copyable_trait_names():
            value = getattr(spec, name)
            if not isdefined(value) or name in ignored:
                continue
            if not names_output(interface, name):
                value = as_folders(spec.trait(name), value)
            try:
                self._counted[name] = to_plain(value, _as_it_is)
                values[name] = value
            except NotPlainError:
                unwritten[name] = value
        return values, unwritten

    def key(self) -> Key:
        """Look at the files as they are now."""
        inputs, files = find_inputs(self._counted, self._root, self._memo, by_name=True)
        return Key(inputs, files, self._code, self._surroundings, ())


def _as_it_is(text: str) -> str:
    return text
