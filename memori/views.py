"""Records as people read them: JSON over many lines, files shown with their digests."""

from __future__ import annotations

import json

from memori.digest.values import copy_json, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.digest.values import JSON

_flat = json.JSONEncoder(check_circular=False).encode


def with_files(values: dict[str, JSON], artifacts: list[Artifact]) -> dict[str, JSON]:
    """Return values in which each file is shown with its digest."""
    shown: dict[str, JSON] = copy_json(values)
    for artifact in artifacts:
        if artifact.file is not None:
            record = {"file": artifact.path, "hash": artifact.file.hash}
            if artifact.file.content is not None:
                record["content"] = artifact.file.content
            put(shown, artifact.pointer, record)
        elif artifact.kind == "folder":
            put(shown, artifact.pointer, {"folder": artifact.path, "hash": artifact.folder})
    return shown


def indented(record: dict[str, JSON]) -> bytes:
    """Return a record as the content of a JSON file whose dicts are spread over lines."""
    return f"{_lines(record, '')}\n".encode("ascii")


def _lines(value: JSON, margin: str) -> str:
    """Spread dicts over lines, and leave the rest to the encoder that is written in C."""
    if not isinstance(value, dict) or not value:
        return _flat(value)
    inner = margin + "  "
    items = (f"{inner}{_flat(key)}: {_lines(part, inner)}" for key, part in value.items())
    return "{\n" + ",\n".join(items) + f"\n{margin}}}"
