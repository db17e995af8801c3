"""A MapNode with a memory, and how any node is given one.

A MapNode keeps no memory of its own: each of its elements does, and the results are collected anew,
unless they were collected from just these.

Not promised: a memory for a map with an element that has none.
"""

from __future__ import annotations

from typing import Any

from nipype.pipeline.engine import MapNode

from memori.digest.values import encode, text_digest
from memori.neuro.nipype.engine_api import (
    ElementHook,
    complete_config,
    result_file,
    take_inputs,
)
from memori.neuro.nipype.kinds import before
from memori.neuro.nipype.node_folder import LazyResult, mark_of, passed_on
from memori.neuro.nipype.remembered_node import RememberedNode
from memori.neuro.nipype.traits.values import NotPlainError, to_plain


class RememberedMapNode(RememberedNode, ElementHook):
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
            complete_config(self)
            if not updatehash and self._is_collected():
                return LazyResult(result_file(self))
            with self.own_folder().lock():
                self._memori["running"] = False
                try:
                    result = super(RememberedNode, self).run()
                finally:
                    del self._memori["running"]
                key = self._collection_key()
                if key is not None:
                    self.own_folder().write(key, self.wanted(), [result_file(self)], [])
                return result
        except BaseException:
            self._memori["failed"] = True
            raise

    def _is_collected(self) -> bool:
        """Tell whether the result file was made of just these elements and inputs."""
        note = self.own_folder().read()
        if note is None or self.own_folder().changed(note) or note["needed"] != self.wanted():
            return False
        key = self._collection_key()
        return key is not None and key == note["key"]

    def _collection_key(self) -> str | None:
        """Return a digest of the elements and the inputs; None if one is not remembered."""
        take_inputs(self)
        keys = []
        for node in self.elements():
            entry = None if node.runs_always() else node.hit()
            if entry is None:
                return None
            passed = passed_on(entry, node.interface.inputs, self._memori["root"])
            keys.append([mark_of(entry), passed])
        try:
            values = to_plain([getattr(self.inputs, name) for name in self.iterfield], str)
        except NotPlainError:
            return None
        return text_digest(encode([keys, values]))

    def before_element(self, node: Any) -> None:
        """Give each element the memory of the map."""
        base = self._memori.get("base") or self.base_dir  # an element's own is the map's folder
        remember_node(node, {**self._memori, "remember": self.is_remembered(), "base": base})


def remember_node(node: Any, options: dict[str, Any]) -> None:
    """Give a node a memory.

    Parameters
    ----------
    node : nipype Node
        It becomes one of a subclass.
    options : dict
        ``root`` (the folder of the memory, absolute), ``verify`` (whether nodes that always run
        are verified instead), ``remember`` (whether runs are kept), ``watch`` (whether they are
        watched), ``ignore_reads`` (what does not count though a run reads it) and, of an element
        of a map, ``base`` (the base folder of the map).
    """
    if not isinstance(node, RememberedNode):
        own = RememberedMapNode if isinstance(node, MapNode) else RememberedNode
        node.__class__ = before(own, type(node))
    node._memori = dict(options)
