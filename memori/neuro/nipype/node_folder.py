"""The memory of a workflow's nodes: from a node's folder to an entry and back.

A node runs as it always did, in its own folder of the workflow's base folder. Then what it made is
kept: its files, in ``hash_output/NAME/KEY8/``, and its outputs, in an entry. On a hit, in whatever
base folder, the files are put back where the node would have made them, with the result file that
Nipype's other parts read. A note per node folder says what was put there, so that a folder that is
as it was left is not touched.

An edit of a file that is shared with memori's copy changes that, and its digest tells. An output
that is one of the inputs is kept as just that, so that it follows the input to another folder.

Not promised: paths of a base folder inside the content of files.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from nipype.interfaces.base import Interface, InterfaceResult, isdefined, traits

from memori.artifacts import spelled_values
from memori.digest.files import file_digest, is_file, stat_of
from memori.digest.values import copy_json, from_text, part_at, strings
from memori.files import atomic_write
from memori.layout import locks_of, node_note
from memori.neuro.nipype.engine_api import load_resultfile, outputs_of_kind
from memori.neuro.nipype.node_files import keep_array
from memori.neuro.nipype.traits.values import NotPlainError, from_plain, to_plain
from memori.processes.lock import lock
from memori.store import Store

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.neuro.nipype.node_files import Pointer
    from memori.store import Entry


class NodeStore(Store):
    """A store without files that describe the latest run: nodes have one result each.

    Parameters
    ----------
    root, stage_name : str
        As for any store.
    node : str
        The node's name in its workflow: nodes with one interface are steps of their own.
    """

    __slots__ = ()

    def __init__(self, root: str, stage_name: str, node: str) -> None:
        super().__init__(root, stage_name)
        self.writer = node

    def follow(self, entry: Entry) -> None:
        """Write nothing."""

    def show(self, entry: Entry) -> None:
        """Write nothing."""

    def latest(self) -> Entry | None:
        """Return None: among the runs of many nodes the latest says nothing."""
        return None


class LazyResult(InterfaceResult):  # type: ignore[misc]
    """A result that is read from its file when somebody looks at it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_path" not in self.__dict__:
            raise AttributeError(name)
        found = load_resultfile(self.__dict__.pop("_path"))
        self.__dict__.update(found.__dict__)
        return getattr(found, name)


class NodeFolder:
    """A node's folder, and the note of what was put there.

    Parameters
    ----------
    root : str
        The folder of the memory.
    folder : str
        The node's folder.
    """

    def __init__(self, root: str, folder: str) -> None:
        self.path = folder
        self._note = node_note(root, folder)
        self._locks = locks_of(root)

    def lock(self) -> lock:
        """Hold the folder, so that two processes do not work in it at once."""
        return lock(self._locks, int(os.path.basename(self._note)[:15], 16))

    def read(self) -> dict[str, Any] | None:
        """Return the note, if there is a sound one."""
        try:
            with open(self._note, encoding="ascii") as file:
                note = from_text(file.read())
            note["key"], note["needed"], note["passed"], note["files"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return note  # type: ignore[no-any-return]

    def write(self, key: str, needed: list[str], paths: list[str], passed: list[str]) -> None:
        """Note what lies here.

        Parameters
        ----------
        key : str
            The mark of the entry.
        needed : list of str
            The outputs that the workflow needs; empty for all.
        paths : list of str
            The files.
        passed : list of str
            The inputs that are outputs, too.
        """
        files = {
            os.path.relpath(path, self.path): stat_of(os.stat(path))
            for path in paths
            if os.path.isfile(path)
        }
        os.makedirs(os.path.dirname(self._note), exist_ok=True)
        note: dict[str, Any] = {
            "folder": self.path,
            "key": key,
            "needed": needed,
            "passed": passed,
        }
        note["files"] = files
        atomic_write(self._note, json.dumps(note).encode("ascii"))

    def changed(self, note: Mapping[str, Any]) -> list[str]:
        """List the noted files that are not as they were left."""
        return [name for name, stat in note["files"].items() if not self._is_as(name, stat)]

    def _is_as(self, name: str, stat: list[int]) -> bool:
        try:
            return list(stat_of(os.stat(f"{self.path}/{name}"))) == stat
        except OSError:
            return False


def mark_of(entry: Entry) -> str:
    """Return what tells an entry from others, of the same key and other observations, too."""
    return f"{entry.key} {entry.folder}"


def was_edited(node_folder: NodeFolder, names: list[str], kept: str, memo: str) -> bool:
    """Tell whether a file of a node's folder now has another content than memori's copy."""
    for name in names:
        here, there = os.path.join(node_folder.path, name), os.path.join(kept, name)
        both = is_file(here) and is_file(there)
        if both and file_digest(here, memo).identity != file_digest(there, memo).identity:
            return True
    return False


# Writing down


def outputs_to_plain(
    outputs: Any,
    passed: Mapping[str, JSON],
    folder: str,
    kept: str,
    needed: Collection[str],
) -> dict[str, JSON]:
    """Return the defined outputs of a node as JSON.

    Parameters
    ----------
    outputs : spec
        Of the node's interface.
    passed : dict
        The paths among its inputs, as `paths_in` found them before it ran.
    folder, kept : str
        The node's folder, and memori's, whose paths replace its paths, and where large arrays go.
    needed : collection of str
        The outputs that others are given; empty for all.

    Raises
    ------
    NotPlainError
        If an output that is needed cannot be written down; another one is left out.
    """

    def text(value: str) -> JSON:
        if value == folder or value.startswith(folder + os.sep):
            return kept + value[len(folder) :]
        if value in passed:
            return {"memori": "input", "at": passed[value]}
        is_path = value[:1] == os.sep and os.path.isdir(os.path.dirname(value))
        parts = _parts(value, folder, {} if is_path else passed)
        return {"memori": "spelled", "of": parts} if len(parts) > 1 else value

    def keep(array: Any) -> JSON:
        return {"memori": "array file", "file": keep_array(kept, array)}

    found: dict[str, JSON] = {}
    for name in outputs.copyable_trait_names():
        value = getattr(outputs, name)
        try:
            if isdefined(value):
                found[name] = to_plain(value, text, keep)
        except NotPlainError as error:
            if not needed or name in needed:
                raise NotPlainError(f"its output {name!r} holds {error}") from error
            found[name] = {"memori": "left out"}
    return found


def _parts(value: str, folder: str, passed: Mapping[str, JSON]) -> list[JSON]:
    """Split a text at the node's folder (None stands for it), and at inputs that it names."""
    parts: list[JSON] = []
    for number, stretch in enumerate(value.split(folder)):
        parts += [None] if number else []
        named = [path for path in passed if path in stretch]
        whole = "|".join(map(re.escape, sorted(named, key=len, reverse=True)))
        split = re.split(rf"({whole})(?![\w.+@%-])", stretch) if named else [stretch]
        parts += [
            {"memori": "input", "at": passed[each]} if at % 2 else each
            for at, each in enumerate(split)
        ]
    return [each for each in parts if each != ""]


def is_whole(entry: Entry, needed: Collection[str]) -> bool:
    """Tell whether an entry holds all outputs that others are given; empty for all."""
    left_out = {name for name, value in entry.outputs.items() if value == {"memori": "left out"}}
    return not (left_out.intersection(needed) if needed else left_out)


def paths_in(inputs: Any) -> dict[str, list[str | int]]:
    """Return each absolute path among the inputs with the pointer to where it first stands."""
    values = {name: getattr(inputs, name) for name in inputs.copyable_trait_names()}
    return {
        text: list(pointer)
        for name, value in reversed(values.items())
        for pointer, text in reversed(list(strings(value, (name,))))
        if text[:1] == os.sep and os.path.lexists(text)
    }


def references(value: JSON) -> Iterator[list[str | int]]:
    """Yield the pointer to each input that is an output, too."""
    if isinstance(value, list):
        for part in value:
            yield from references(part)
    elif isinstance(value, dict):
        if value.get("memori") == "input":
            yield value["at"]
        else:
            for part in value.values():
                yield from references(part)


def passed_on(entry: Entry, inputs: Any, root: str) -> list[str]:
    """Return the inputs that are outputs, too, and what lies beside inputs, as they are now."""
    passed = [str(input_at(inputs, pointer)) for pointer in references(entry.outputs)]
    return [*passed, *beside_inputs(entry, root)]


def beside_inputs(entry: Entry, root: str) -> list[str]:
    """Return the outputs that lie beside inputs."""
    return [each.locate(root) for each in entry.artifacts if each.beside]


def input_at(inputs: Any, pointer: list[str | int]) -> Any:
    """Return the value among a node's inputs that a pointer names."""
    return part_at(getattr(inputs, str(pointer[0])), tuple(pointer[1:]))


def led_from(links: Mapping[str, tuple[Pointer | None, str]], inputs: Any) -> dict[str, str]:
    """Return where links that `links_of` found lead to, with the inputs as they are now."""
    return {
        name: inside if to is None else os.path.normpath(os.path.join(input_at(inputs, to), inside))
        for name, (to, inside) in links.items()
    }


def outputs_from_plain(
    interface: Interface, values: Mapping[str, JSON], kept: str, folder: str
) -> Any:
    """Return the outputs that `outputs_to_plain` wrote, for a node in `folder`.

    Parameters
    ----------
    interface : nipype Interface
        With its inputs.
    values : dict
        What was written.
    kept, folder : str
        Memori's folder, and the node's.
    """

    def text(value: str) -> str:
        inside = value == kept or value.startswith(kept + os.sep)
        return folder + value[len(kept) :] if inside else value

    def part(value: JSON) -> str:
        if isinstance(value, dict):
            return str(input_at(interface.inputs, value["at"]))
        return folder if value is None else str(value)

    def marked(value: JSON) -> Any:
        if value["memori"] == "spelled":
            return "".join(map(part, value["of"]))
        if value["memori"] == "text":  # as it was written once
            return folder.join(value["parts"])
        if value["memori"] == "array file":
            if not text(value["file"]).startswith(folder + os.sep):
                raise ValueError(f"the array {value['file']!r} lies outside of the run's folder")
            return np.load(value["file"], allow_pickle=False)
        return input_at(interface.inputs, value["at"])

    outputs = outputs_of_kind(interface)
    if outputs is None:
        return None
    for name, value in values.items():
        if value == {"memori": "left out"}:
            continue
        if name not in outputs.copyable_trait_names():
            outputs.add_trait(name, traits.Any)
        setattr(outputs, name, from_plain(copy_json(value), text, marked))
    return outputs


def restored_outputs(entry: Entry, root: str) -> dict[str, JSON]:
    """Return an entry's outputs with each path as it is now."""
    return spelled_values(entry.outputs, entry.artifacts, root)
