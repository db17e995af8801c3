"""Outputs that nobody is given, kept from Nipype while it saves what a node returned.

Memori keeps all outputs of a run, because another workflow may need others. Nipype would drop
those that nobody needs before it walks through them, pickles them and writes its report, and not
every value survives that (a lambda, an open file, a text that is no UTF-8). So Nipype is shown a
stand-in: what is needed as it is, and of the rest the files that it names, which are to stay.

Files that no output names are removed then, too, unless a workflow keeps them
(``remove_unnecessary_outputs = false``). Which there were is noted before: a workflow that keeps
them finds no run remembered that lost some.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import DynamicTraitedSpec, Interface, isdefined, traits

from memori.neuro.nipype.engine_api import str2bool
from memori.neuro.nipype.node_files import files_of, has_lost_files
from memori.neuro.nipype.node_folder import is_whole
from memori.neuro.nipype.traits.parts import texts

if TYPE_CHECKING:
    from memori.store import Entry


def removes_unneeded(config: Mapping[str, Any]) -> bool:
    """Tell whether a node's settings ask to remove what nobody needs."""
    return bool(str2bool(config["execution"]["remove_unnecessary_outputs"]))


def holds_all(entry: Entry, root: str, needed: Collection[str], config: Mapping[str, Any]) -> bool:
    """Tell whether an entry has all outputs and files that a node with these settings keeps."""
    kept = os.path.join(root, entry.folder or "\0")
    return is_whole(entry, needed) and (removes_unneeded(config) or not has_lost_files(kept))


def copies_of_inputs(
    paths: Iterable[str], folder: str, config: Mapping[str, Any]
) -> list[str] | None:
    """Return where copies of inputs lie in a node's folder, if its settings ask to keep them."""
    if not str2bool(config["execution"]["keep_inputs"]):
        return None
    return [os.path.join(folder, os.path.basename(path)) for path in paths]


class StandIn:
    """Around one run of an interface: shows a stand-in of its outputs until they are asked for.

    Parameters
    ----------
    interface : nipype Interface
        It runs in the with block.
    needed : collection of str
        The outputs that others are given; empty for all.
    folder : str
        The node's, where the interface runs.
    """

    def __init__(self, interface: Interface, needed: Collection[str], folder: str) -> None:
        self._made: list[str] = []
        self._folder = folder
        self._interface = interface
        self._run = interface.run
        self._needed = needed
        self._hidden: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        self._interface.run = self._shown

    def __exit__(self, *error: object) -> None:
        vars(self._interface).pop("run", None)

    def _shown(self, *args: Any, **options: Any) -> Any:
        del self._interface.run  # what the run copies or pickles of itself is as always
        result = self._run(*args, **options)
        inputs = set(texts(list(self._interface.inputs.trait_get().values())))
        made = (os.path.join(self._folder, name) for name in files_of(self._folder, ()))
        self._made = [path for path in made if path not in inputs]
        if self._needed and result.outputs is not None:
            self._hidden.append((result, result.outputs))
            result.outputs = _stand_in(result.outputs, self._needed)
        return result

    @property
    def has_lost(self) -> bool:
        """Whether files that the run had made are gone."""
        return not all(map(os.path.lexists, self._made))

    def reveal(self) -> None:
        """Give the result of the run its outputs."""
        for result, outputs in self._hidden:
            result.outputs = outputs


def _stand_in(outputs: Any, needed: Collection[str]) -> Any:
    """Return outputs in which what is not needed is no more than the files that it names."""
    shown = DynamicTraitedSpec()
    for name in outputs.copyable_trait_names():
        shown.add_trait(name, traits.Any)
        value = getattr(outputs, name)
        if isdefined(value):
            setattr(shown, name, value if name in needed else _files_in(value))
    return shown


def _files_in(value: Any) -> list[str]:
    return [text for text in texts(value) if text[:1] == os.sep and os.path.lexists(text)]
