"""Nipype's nodes with a memory.

`remembered` gives a class of nodes (Node, JoinNode, MapNode, or a user's) a subclass of the same
name that asks memori before it runs. A node carries one plain dict, ``_memori``, and is pickled as
a node of its original class, so that it goes wherever nodes go: to worker processes, into crash
files, through copies.

A MapNode keeps no memory of its own: each of its elements does, and the results are collected anew.
Nodes that always run (sinks, grabbers) run, unless they are asked to verify instead. What a sink
wrote never shares its content with memori's copy (see
`memori.neuro.nipype.interface_run.part_links`).

Not promised: the memory of a node whose outputs are objects that cannot be written down. It runs
each time, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nipype.pipeline.engine import MapNode

from memori.digest.values import encode, text_digest
from memori.neuro.nipype.remembered_node import LazyResult, RememberedNode
from memori.neuro.nipype.trait_json import NotPlainError, to_plain

_kinds: dict[type, type] = {}


def remembered(kind: type) -> type:
    """Return the class of nodes with a memory for a class of nodes."""
    if issubclass(kind, RememberedNode):
        return kind
    if kind not in _kinds:
        own = RememberedMapNode if issubclass(kind, MapNode) else RememberedNode
        names = {"__module__": kind.__module__, "__doc__": kind.__doc__, "_memori_kind": kind}
        _kinds[kind] = type(kind.__name__, (own, kind), names)
    return _kinds[kind]


def original_kind(kind: type) -> type:
    """Return the class of nodes that a class of nodes with a memory stands for."""
    own: type = vars(kind).get("_memori_kind", kind)
    return own


def blank(kind: type) -> Any:
    """Begin to make a node again from its pickle."""
    return object.__new__(remembered(kind))


def remember_node(node: Any, options: dict[str, Any]) -> None:
    """Give a node a memory.

    Parameters
    ----------
    node : nipype Node
        It becomes one of a subclass.
    options : dict
        ``root`` (the folder of the memory, absolute) and ``verify`` (whether nodes that always
        run are verified instead).
    """
    node.__class__ = remembered(type(node))
    node._memori = dict(options)


class RememberedMapNode(RememberedNode):
    """A MapNode, each of whose elements has a memory."""

    def is_cached(self, rm_outdated: bool = False) -> tuple[bool, bool]:
        """Tell whether all elements are remembered and were collected as they are."""
        if "running" in self._memori:
            return False, False
        try:
            collected = self._is_collected()
        except Exception:  # the run will raise it, where it can be reported
            collected = False
        return collected, collected

    def run(self, updatehash: bool = False) -> Any:
        """Run what is not remembered of the elements, and collect the results."""
        self._memori["updatehash"] = updatehash
        self._memori.pop("failed", None)
        try:
            self._complete_config()
            if not updatehash and self._is_collected():
                return LazyResult(self._result_file())
            with self._place().lock():
                self._memori["running"] = False
                try:
                    result = super(RememberedNode, self).run()
                finally:
                    del self._memori["running"]
                key = self._collection_key()
                if key is not None:
                    self._place().write(key, self._wanted(), [self._result_file()], [])
                return result
        except BaseException:
            self._memori["failed"] = True
            raise

    def _is_collected(self) -> bool:
        """Tell whether the result file was made of just these elements and inputs."""
        note = self._place().read()
        if note is None or self._place().changed(note) or note["needed"] != self._wanted():
            return False
        key = self._collection_key()
        return key is not None and key == note["key"]

    def _collection_key(self) -> str | None:
        """Return a digest of the elements and the inputs; None if one is not remembered."""
        self._get_inputs()
        self._check_iterfield()
        keys = []
        for _, node in self._make_nodes():
            entry = None if node._always_runs() else node._hit()
            if entry is None:
                return None
            keys.append(entry.key)
        try:
            values = to_plain([getattr(self.inputs, name) for name in self.iterfield], str)
        except NotPlainError:
            return None
        return text_digest(encode([keys, values]))

    def _make_nodes(self, cwd: str | None = None) -> Iterator[tuple[int, Any]]:
        for place, node in super()._make_nodes(cwd):
            remember_node(node, self._memori)
            yield place, node
