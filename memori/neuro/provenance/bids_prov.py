"""A lineage as BIDS has it: provenance objects of BIDS-Prov (BEP 28).

What is followed is the text of the chapter "Provenance" that the proposal brought to the BIDS
specification after its release 1.11: activities, provEntities, software and environments, in files
with the suffixes `act`, `ent`, `soft` and `env`; and its `provenance-context.json` for JSON-LD. One
document holds all of it, as those of the examples do; in a dataset it is four files in `prov/`.

Two things differ. All files of the dataset are provEntities in the file `ent`, though the text
would have those of the dataset itself in sidecars: what memori wrote it does not edit. And
`AtLocation` and `ProvEntities`, which the text has and the context has not, are terms here.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from hashlib import sha256
from typing import Any

from memori.digest.values import finite
from memori.files import atomic_write
from memori.neuro.bids import ignored
from memori.neuro.bids.content import BIDSError
from memori.neuro.bids.description import NAME, description_of, root_of
from memori.neuro.bids.uris import Links
from memori.neuro.provenance.lineage import File, Lineage, Run
from memori.neuro.provenance.names import command, folder_of, is_inside, relative
from memori.version import __version__

_LABEL = "memori"
_ID, _TERM = "bids::prov#", "http://www.w3.org/ns/prov#"
_SUFFIXES = {"Activities": "act", "ProvEntities": "ent", "Software": "soft", "Environments": "env"}
CONTEXT = {
    "@version": 1.1,
    "Records": {"@container": "@type", "@id": "@graph"},
    "prov": _TERM,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "RRID": "http://scicrunch.org/resolver/",
    "Id": "@id",
    "Type": "@type",
    "Label": "rdfs:label",
    "StartedAtTime": {"@id": "prov:startedAtTime", "@type": "xsd:dateTime"},
    "EndedAtTime": {"@id": "prov:endedAtTime", "@type": "xsd:dateTime"},
    **{
        name: {"@id": f"prov:{term}", "@type": "@id"}
        for name, term in {
            "GeneratedBy": "wasGeneratedBy",
            "AttributedTo": "wasAttributedTo",
            "AssociatedWith": "wasAssociatedWith",
            "InformedBy": "wasInformedBy",
            "DerivedFrom": "wasDerivedFrom",
            "Used": "used",
        }.items()
    },
    "ProvEntities": "prov:Entity",
    "Environments": "prov:Entity",
    "Activities": "prov:Activity",
    "Software": "prov:Agent",
    "AtLocation": "prov:atLocation",
}


def document(lineage: Lineage) -> dict[str, Any]:
    """Return a lineage as one JSON-LD document."""
    return {"@context": CONTEXT, "Records": records(lineage)}


def records(lineage: Lineage) -> dict[str, list[dict[str, Any]]]:
    """Return the objects, by kind."""
    folder = folder_of(lineage)
    root = root_of(os.path.join(folder, "any")) or folder
    try:
        known = dict(description_of(root).get("DatasetLinks", {}))
    except BIDSError:
        known = {}
    names = _Names(lineage, root, Links(root, known))
    own = {"Id": f"{_ID}memori-{_uid(__version__)}", "Label": "memori", "Version": __version__}
    software, environments = {own["Id"]: own}, {}
    activities = []
    for run in lineage.runs:
        agents = [_software(name, version) for name, version in run.software]
        place = _environment(run)
        software |= {each["Id"]: each for each in agents}
        environments[place["Id"]] = place
        activities.append(_activity(names, run, agents, place))
    entities = [_entity(names, file, own["Id"]) for file in lineage.files]
    return {
        "Activities": activities,
        "ProvEntities": entities,
        "Software": list(software.values()),
        "Environments": list(environments.values()),
    }


class _Names:
    """The identifiers of files: BIDS URIs for those of datasets."""

    def __init__(self, lineage: Lineage, root: str, links: Links) -> None:
        self.lineage = lineage
        self._root = root
        self._links = links

    def of(self, file: File) -> str:
        if file.path and self.lineage.is_present(file):
            dataset = root_of(file.path) or self._root
            is_described = os.path.exists(os.path.join(dataset, NAME))
            if is_described or is_inside(self.lineage, file):
                return self._links.uri(file.path)
        return f"{_ID}provEntity-{_uid(relative(self.lineage, file))}"

    def place(self, file: File) -> str:
        return os.path.relpath(file.path, self._root) if file.path else ""


def _activity(
    names: _Names, run: Run, agents: list[dict[str, Any]], place: dict[str, Any]
) -> dict[str, Any]:
    told = {
        "Id": _activity_id(run),
        "Label": run.stage,
        "Command": command(names.lineage, run),
        "Parameters": run.parameters,
        "AssociatedWith": [each["Id"] for each in agents],
        "Used": [*(names.of(file) for file in run.used), place["Id"]],
        "StartedAtTime": _time(run.began) if run.began else "",
        "EndedAtTime": _time(run.ended) if run.ended else "",
    }
    return {name: value for name, value in told.items() if value}


def _entity(names: _Names, file: File, memori: str) -> dict[str, Any]:
    run = file.run
    told = {
        "Id": names.of(file),
        "Label": file.name,
        "AtLocation": names.place(file),
        "GeneratedBy": _activity_id(run) if run else "",
        "DerivedFrom": [names.of(source) for source in file.sources],
        "AttributedTo": memori if file.is_sidecar else "",
        "Digest": {"sha256": file.sha256} if file.sha256 else {},
    }
    return {name: value for name, value in told.items() if value}


def _software(name: str, version: str) -> dict[str, Any]:
    told = {"Id": f"{_ID}{_plain(name)}-{_uid(name, version)}", "Label": name, "Version": version}
    return {key: value for key, value in told.items() if value}


def _environment(run: Run) -> dict[str, Any]:
    label = run.container or run.host or "unknown"
    depends = {"python": run.python} if run.python else {}
    uid = _uid(label, run.host, run.python)
    told = {
        "Id": f"{_ID}{_plain(os.path.basename(label))}-{uid}",
        "Label": f"{label} on {run.host}" if run.container else label,
        "Dependencies": depends,
    }
    return {name: value for name, value in told.items() if value}


def _activity_id(run: Run) -> str:
    return f"{_ID}{_plain(run.title)}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-") or "x"


def _uid(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def write(lineage: Lineage, root: str) -> list[str]:
    """Write the objects into `prov/` of a dataset, and return the files.

    `.bidsignore` gets the folder, for validators of releases that have no such chapter.
    """
    folder = os.path.join(root, "prov")
    os.makedirs(folder, exist_ok=True)
    written = []
    for kind, found in records(lineage).items():
        path = os.path.join(folder, f"prov-{_LABEL}_{_SUFFIXES[kind]}.json")
        _put(path, json.dumps(finite({kind: found}), indent=2, ensure_ascii=False) + "\n")
        written.append(path)
    table = f"provenance_label\tdescription\nprov-{_LABEL}\tWhat memori remembered of the runs.\n"
    _put(os.path.join(folder, "provenance.tsv"), table)
    if os.path.exists(os.path.join(root, NAME)):
        ignored.add(root, ["prov"])
    return [*written, os.path.join(folder, "provenance.tsv")]


def _put(path: str, text: str) -> None:
    atomic_write(path, text.encode("utf-8", "surrogateescape"))
