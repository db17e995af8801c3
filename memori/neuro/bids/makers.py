"""What made a file, and what its folder says of that: stage, parameters, command, tools, datasets.

A result that lies in the own folder of a run says so by the entry of that run. Of one that lies
elsewhere nothing is known here.

Not promised: what made the inputs of that run.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from memori.digest.values import finite
from memori.neuro.bids import ignored
from memori.neuro.bids.description import NAME, describe, description_of
from memori.neuro.bids.sidecar import spelled
from memori.neuro.bids.uris import Links, raw_sources, sources_of
from memori.neuro.bids.written import locked
from memori.store import maker_of


class Maker(NamedTuple):
    """What is known of who made a file.

    Attributes
    ----------
    stage : str
        The stage's name; empty if nothing is known.
    parameters : Mapping
        Its inputs but for files.
    command : list of str
        The command line; paths of this machine are left out, the names of the files stay.
    tool : Mapping
        Name, Version and Container of the program, as `GeneratedBy` has them.
    """

    stage: str = ""
    parameters: Mapping[str, Any] = {}
    command: list[str] = []
    tool: Mapping[str, Any] = {}

    def said(self) -> dict[str, Any]:
        """Return it as fields of a sidecar."""
        fields = {
            "Stage": self.stage,
            "Parameters": finite(dict(self.parameters)),
            "CommandLine": shlex.join(self.command),
        }
        return {name: value for name, value in fields.items() if value}


def maker(path: str | None) -> Maker:
    """Return what made a file."""
    entry = None if path is None else maker_of(path)
    if entry is None:
        return Maker()
    files = {artifact.pointer[0] for artifact in entry.files}
    parameters = {name: value for name, value in entry.inputs.items() if name not in files}
    command = entry.record.get("command") or {}
    argv = [_plain(str(word)) for word in command.get("argv", ())]
    name = os.path.basename(str(command.get("tool", "")))
    version = command.get("version")
    tool: dict[str, Any] = {"Name": name} | ({"Version": str(version)} if version else {})
    engine, _, image = str(command.get("container", "")).partition("://")
    tool |= {"Container": {"Type": engine, "Tag": os.path.basename(image)}} if image else {}
    return Maker(str(entry.record["stage"]), parameters, argv, tool if name else {})


def describe_folder(
    root: str,
    pipeline: Mapping[str, str],
    sources: Sequence[str],
    fields: Mapping[str, Any],
    makers: Sequence[Maker],
    patterns: Iterable[str],
) -> Links:
    """Write what a folder of derivatives says of itself, and return its links to other datasets.

    Parameters
    ----------
    root : str
        The folder.
    pipeline : Mapping of str to str
        Name, and Version if there is one.
    sources : sequence of str
        Files that a derivative is made from.
    fields : Mapping
        Fields of its sidecar, whose paths are linked too.
    makers : sequence of Maker
        Whose tools are named.
    patterns : iterable of str
        What `.bidsignore` needs.
    """
    os.makedirs(root, exist_ok=True)
    with locked(root, os.path.join(root, NAME)):
        links = Links(root, dict(description_of(root).get("DatasetLinks", {})))
        for each in sources:
            links.uri(each)
            raw_sources(each, links)
        spelled(fields, links)
        more = {
            "GeneratedBy": ([dict(pipeline)] if "Version" in pipeline else [])
            + [dict(each.tool) for each in makers if each.tool],
            "SourceDatasets": sources_of(root, links.links),
            "DatasetLinks": links.links,
        }
        describe(root, pipeline["Name"], more)
        ignored.add(root, patterns)
    return links


def _plain(word: str) -> str:
    before, sign, path = word.rpartition("=")
    return before + sign + (os.path.basename(path.rstrip("/")) if path.startswith("/") else path)
