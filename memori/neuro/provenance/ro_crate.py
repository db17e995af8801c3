"""A lineage as an RO-Crate: `ro-crate-metadata.json` for the folder that was asked for.

It has the profile "Process Run Crate" (0.5): each run is a `CreateAction` with its instruments (the
tool, or the function and the packages that it uses), the files that it used and made, when, and on
which machine. Built by the package `rocrate` (the extra `provenance`).

Files outside of the folder are named by a fragment, `#../bids/sub-01/...`: they are no part of it.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote

from memori.digest.values import finite
from memori.errors import MemoriError
from memori.files import atomic_write
from memori.neuro.bids import ignored
from memori.neuro.bids.content import BIDSError
from memori.neuro.bids.description import NAME, description_of
from memori.neuro.provenance.lineage import File, Lineage, Run
from memori.neuro.provenance.names import command, folder_of, is_inside, relative
from memori.version import __version__

METADATA = "ro-crate-metadata.json"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # sha256, containerImage


def document(lineage: Lineage) -> dict[str, Any]:
    """Return a lineage as the metadata of an RO-Crate.

    Raises
    ------
    MemoriError
        If `rocrate` is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise MemoriError(
            "RO-Crates are built by the package rocrate, which this Python does not have: "
            "pip install 'memori-neuro[provenance]'"
        ) from error
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    made = _Crate(crate, lineage)
    made.describe()
    for file in lineage.files:
        made.add_file(file)
    for run in lineage.runs:
        made.add_run(run)
    found: dict[str, Any] = json.loads(json.dumps(crate.metadata.generate()))
    return found


class _Crate:
    """An RO-Crate that is being built."""

    def __init__(self, crate: Any, lineage: Lineage) -> None:
        self._crate = crate
        self._lineage = lineage
        self._files: dict[int, Any] = {}
        self._others: dict[str, Any] = {}

    def describe(self) -> None:
        """Say what the folder is."""
        folder = folder_of(self._lineage)
        try:
            said = description_of(folder)
        except BIDSError:
            said = {}
        root = self._crate.root_dataset
        root["name"] = said.get("Name") or os.path.basename(folder)
        root["description"] = f"Files and the runs that made them, as memori {__version__} knows."
        root["license"] = said.get("License") or "not said"
        ends = [run.ended for run in self._lineage.runs if run.ended]
        if ends:
            root["datePublished"] = _time(max(ends))
        root["conformsTo"] = self._other(
            _PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
        )

    def add_file(self, file: File) -> None:
        """Add a file, as a part of the crate or as something outside of it."""
        name = relative(self._lineage, file)
        told = {"name": file.name, "sha256": file.sha256, "encodingFormat": _format_of(file)}
        told = {key: value for key, value in told.items() if value}
        if is_inside(self._lineage, file) and self._lineage.is_present(file):
            add = self._crate.add_dataset if file.is_folder else self._crate.add_file
            self._files[id(file)] = add(dest_path=quote(name, safe="/"), properties=told)
        else:
            kind = "Dataset" if file.is_folder else "File"
            self._files[id(file)] = self._other(
                f"#{quote(name, safe='/')}", {"@type": kind, **told}
            )
        if file.is_sidecar:
            self._files[id(file)]["creator"] = self._tool("memori", __version__)

    def add_run(self, run: Run) -> None:
        """Add a run; its files are there."""
        told = {
            "name": run.stage,
            "description": command(self._lineage, run) or _text(run.parameters),
            "startTime": _time(run.began),
            "endTime": _time(run.ended),
        }
        action = self._crate.add_action(
            _single([self._tool(*each) for each in run.software]),
            identifier=f"#{quote(run.title.replace('/', '-'), safe='')}",
            object=_single([self._files[id(file)] for file in run.used]),
            result=_single([self._files[id(file)] for file in self._lineage.made_by(run)]),
            properties={key: value for key, value in told.items() if value},
        )
        if run.container:
            image = {"@type": "ContainerImage", "name": run.container}
            action["containerImage"] = self._other(f"#{quote(run.container, safe='')}", image)
        facts = {"host": run.host, "python": run.python, "code": run.code, **run.parameters}
        action["additionalProperty"] = [
            self._other(
                f"#{quote(run.title.replace('/', '-'), safe='')}-{quote(name, safe='')}",
                {"@type": "PropertyValue", "name": name, "value": _text(value)},
            )
            for name, value in facts.items()
        ]
        self._crate.root_dataset.append_to("mentions", action)

    def _tool(self, name: str, version: str) -> Any:
        told = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        given = {key: value for key, value in told.items() if value}
        return self._other(f"#{quote(f'{name}-{version}'.rstrip('-'), safe='')}", given)

    def _other(self, name: str, told: dict[str, Any]) -> Any:
        from rocrate.model.contextentity import ContextEntity

        if name not in self._others:
            self._others[name] = self._crate.add(ContextEntity(self._crate, name, told))
        return self._others[name]


def _single(found: list[Any]) -> Any:
    """Return one thing as itself, as the format has it."""
    return found[0] if len(found) == 1 else found


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _format_of(file: File) -> str:
    if file.is_folder:
        return ""
    kind, packed = guess_type(file.name, strict=False)
    return "application/gzip" if packed == "gzip" else kind or ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(finite(value))


def write(lineage: Lineage, folder: str) -> list[str]:
    """Write the metadata into the folder that it tells of, and return the file."""
    text = json.dumps(document(lineage), indent=2, ensure_ascii=False) + "\n"
    path = os.path.join(folder, METADATA)
    atomic_write(path, text.encode("utf-8", "surrogateescape"))
    if os.path.exists(os.path.join(folder, NAME)):
        ignored.add(folder, [METADATA])
    return [path]
