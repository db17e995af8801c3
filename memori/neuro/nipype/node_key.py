"""What the result of a node depends on.

It is what the result of its interface depends on (`memori.neuro.nipype.what_counts`). Where the
node lies, what it is called, its settings and which of its outputs the workflow needs do not count,
so that the same node is the same in another workflow, another base folder and at another place of a
list.

Not promised: attributes that were set on an interface and that memori cannot follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nipype.interfaces.base import Interface

from memori.artifacts import find_inputs
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.layout import memo_of
from memori.neuro.nipype.what_counts import code_of, counted_values, facts_of

if TYPE_CHECKING:
    from memori.digest.values import JSON


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
        spec = interface.inputs
        values = {name: getattr(spec, name) for name in spec.copyable_trait_names()}
        self._counted, unwritten = counted_values(interface, values)
        code = code_of(interface, unwritten)
        self.name = code.__name__
        self._code = fingerprint(code)
        written = {name: values[name] for name in self._counted}
        self._surroundings: dict[str, JSON] = facts_of(
            interface, written, root=root, memo=self._memo, unwritten=unwritten
        )

    def key(self) -> Key:
        """Look at the files as they are now."""
        inputs, files = find_inputs(self._counted, self._root, self._memo, by_name=True)
        return Key(inputs, files, self._code, self._surroundings, ())
