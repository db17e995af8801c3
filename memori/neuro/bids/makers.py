"""What made a file: the stage, with its parameters, its command and its tool.

A result that lies in the own folder of a run says so by the entry of that run. Of one that lies
elsewhere nothing is known here.

Not promised: what made the inputs of that run.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

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
    tool : Mapping of str to str
        Name and Version of the program, as `GeneratedBy` has them.
    """

    stage: str = ""
    parameters: Mapping[str, Any] = {}
    command: list[str] = []
    tool: Mapping[str, str] = {}

    def said(self) -> dict[str, Any]:
        """Return it as fields of a sidecar."""
        fields = {
            "Stage": self.stage,
            "Parameters": dict(self.parameters),
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
    tool = {"Name": name} | ({"Version": str(version)} if version else {})
    return Maker(str(entry.record["stage"]), parameters, argv, tool if name else {})


def _plain(word: str) -> str:
    before, sign, path = word.rpartition("=")
    return before + sign + (os.path.basename(path.rstrip("/")) if path.startswith("/") else path)
