"""What the result of a node depends on.

It is what the result of its interface depends on (`memori.neuro.nipype.what_counts`). Where the
node lies, what it is called, its settings and which of its outputs the workflow needs do not count,
so that the same node is the same in another workflow, another base folder and at another place of a
list.

A file in the folder of another node counts by its path in that folder (`NodeFolders`), so that the
base folder of a workflow does not count. Python code that is given the path may take a subject or a
parameter out of it: where a node lies below folders of iterables (``_subject_01``), these count for
it, too. For a command a file's base name and content count, as everywhere, unless there is Python
code around it that sees the path (`memori.neuro.nipype.base_names`).

Not promised: attributes that were set on an interface and that memori cannot follow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import Interface

from memori.artifacts import find_inputs
from memori.calls.observations import environment_of
from memori.fingerprint import fingerprint
from memori.key import Key
from memori.layout import memo_of
from memori.neuro.nipype.base_names import counts_by_name
from memori.neuro.nipype.engine_api import is_node_folder
from memori.neuro.nipype.what_counts import code_of, counted_values, facts_of

if TYPE_CHECKING:
    from memori.digest.values import JSON


class NodeFolders:
    """The folders of a workflow's nodes, below the workflow's base folder.

    Parameters
    ----------
    base : str or None
        That folder; None for none.
    by_name : bool
        Whether what is given paths is a command, and no Python code sees them.
    """

    def __init__(self, base: str | None, by_name: bool) -> None:
        self._base = None if base is None else os.path.realpath(base)
        self._by_name = by_name
        self._known: dict[str, str] = {}

    def anchor(self, path: str) -> tuple[str, str] | None:
        """Return the folder of the node that a path lies in, and how the path counts from there.

        None for a path in no node's folder.
        """
        if self._base is None or not path.startswith(self._base + os.sep):
            return None
        folder = self._node_of(path)
        if not folder:
            return None
        inside = "" if path == folder else path[len(folder) + 1 :]
        return folder, os.path.join(*self._iterables(folder), inside)

    def _node_of(self, path: str) -> str:
        known = self._known.get(path)
        if known is None:
            if is_node_folder(path):
                known = path
            else:
                above = os.path.dirname(path)
                known = "" if above == self._base or above == path else self._node_of(above)
            self._known[path] = known
        return known

    def _iterables(self, folder: str) -> list[str]:
        """Return the folders of iterables that a node lies in, for code that sees the path."""
        if self._by_name or self._base is None:
            return []
        *above, _ = folder[len(self._base) :].split(os.sep)
        if above[-1] == "mapflow":  # the folder of an element says only where it stands in a list
            above.pop()
        return [part for part in above if part.startswith("_")]


class Identity:
    """What a node's result depends on, as found at one time.

    Parameters
    ----------
    node : nipype Node
        With all its inputs.
    root : str
        The folder of the memory.
    base : str or None
        The base folder of its workflow.
    is_watched : bool
        Whether its runs are watched.

    Attributes
    ----------
    name : str
        Under which the node is remembered.
    code : Code
        Of its interface.
    """

    def __init__(self, node: Any, root: str, base: str | None, *, is_watched: bool) -> None:
        interface: Interface = node.interface
        self._root = root
        self._memo = memo_of(root)
        self._by_name = counts_by_name(interface)
        self._folders = NodeFolders(base, self._by_name)
        spec = interface.inputs
        values = {name: getattr(spec, name) for name in spec.copyable_trait_names()}
        self._counted, unwritten = counted_values(interface, values, is_watched=is_watched)
        code = code_of(interface, unwritten)
        self.name = code.__name__
        self.code = fingerprint(code)
        written = {name: values[name] for name in self._counted}
        self._surroundings: dict[str, JSON] = facts_of(
            interface, written, root=root, memo=self._memo, unwritten=unwritten
        )
        self._surroundings.update(environment_of(self.code))

    def key(self) -> Key:
        """Look at the files as they are now."""
        inputs, files = find_inputs(
            self._counted,
            self._root,
            self._memo,
            by_name=self._by_name,
            anchor=self._folders.anchor,
        )
        return Key(inputs, files, self.code, self._surroundings, ())
