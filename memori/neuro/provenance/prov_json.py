"""A lineage as PROV-JSON of the W3C, by the package `prov`, which Nipype brings along.

Files are entities, runs are activities, software and machines are agents. A file's name is its path
relative to the folder that was asked for.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from memori.digest.values import finite
from memori.neuro.provenance.lineage import File, Lineage, Run
from memori.neuro.provenance.names import command, location, relative
from memori.version import __version__

_NAMESPACES = {"file": "urn:memori:file:", "run": "urn:memori:run:", "agent": "urn:memori:agent:"}
_MEMORI = "urn:memori:terms:"


def document(lineage: Lineage) -> Any:
    """Return a lineage as PROV-JSON."""
    from prov.model import ProvDocument

    made = ProvDocument()
    for prefix, uri in _NAMESPACES.items():
        made.add_namespace(prefix, uri)
    made.add_namespace("memori", _MEMORI)
    made.agent("agent:memori", _agent("memori", __version__))
    for file in lineage.files:
        _add_file(made, lineage, file)
    for run in lineage.runs:
        _add_run(made, lineage, run)
    return json.loads(made.serialize(format="json") or "{}")


def _file(lineage: Lineage, file: File) -> str:
    return f"file:{quote(relative(lineage, file), safe='/')}"


def _add_file(made: Any, lineage: Lineage, file: File) -> None:
    told = {"prov:label": file.name, "memori:sha256": file.sha256}
    told |= {"prov:location": location(lineage, file)} if file.path else {}
    told |= {"prov:type": "prov:Collection"} if file.is_folder else {}
    name = _file(lineage, file)
    made.entity(name, {key: value for key, value in told.items() if value})
    for source in file.sources:
        made.wasDerivedFrom(name, _file(lineage, source))
    if file.is_sidecar:
        made.wasAttributedTo(name, "agent:memori")


def _add_run(made: Any, lineage: Lineage, run: Run) -> None:
    told = {
        "prov:label": run.stage,
        "memori:function": str(run.record["function"]),
        "memori:code": run.code,
        "memori:parameters": json.dumps(finite(run.parameters)),
        "memori:command": command(lineage, run),
        "memori:container": run.container,
        "memori:python": run.python,
        "memori:seconds": run.seconds,
        "memori:version": str(run.record["memori"]),
        "memori:accepted": "; ".join(run.accepted()),
    }
    name = f"run:{quote(run.title.replace('/', '-'), safe='')}"
    given = {key: value for key, value in told.items() if value not in ("", None)}
    made.activity(name, run.began, run.ended, given)
    for software in run.software:
        agent = f"agent:{quote('-'.join(part for part in software if part), safe='')}"
        if not made.get_record(agent):
            made.agent(agent, _agent(*software))
        made.wasAssociatedWith(name, agent)
    if run.host:
        host = f"agent:host-{quote(run.host, safe='')}"
        if not made.get_record(host):
            made.agent(host, {"prov:label": run.host, "memori:host": run.host})
        made.wasAssociatedWith(name, host, other_attributes={"prov:role": "machine"})
    for file in run.used:
        made.used(name, _file(lineage, file))
    for file in lineage.made_by(run):
        made.wasGeneratedBy(_file(lineage, file), name)
        for source in run.used:
            made.wasDerivedFrom(_file(lineage, file), _file(lineage, source), name)


def _agent(name: str, version: str) -> dict[str, str]:
    told = {"prov:label": name, "prov:type": "prov:SoftwareAgent", "memori:version": version}
    return {key: value for key, value in told.items() if value}
