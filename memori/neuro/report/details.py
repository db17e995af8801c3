"""What the page tells of one run: inputs, code, command, what it printed, versions, changes."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from memori.neuro.report.runs import Run
from memori.neuro.report.table import edits_of, reasons_of
from memori.signature.parameters import shown
from memori.store import NOTE

if TYPE_CHECKING:
    from memori.digest.values import JSON

_LOGS = ("stderr.txt", "stdout.txt")
_MOST_LOG = 6_000  # bytes of the end of what a command printed
_MOST_TEXT = 12_000  # of a failure
_MOST_VALUE = 400
_MOST_FILES = 20
_MOST_EARLIER = 10


def details_of(runs: list[Run]) -> dict[str, JSON]:
    """Return what is told of the runs of one cell, the latest first."""
    run = runs[0]
    told: dict[str, JSON] = {
        "stage": run.stage,
        "case": run.case,
        "state": run.state,
        "folder": run.folder or run.root,
        "seconds": run.seconds,
        "inputs": [[name, _brief(value)] for name, value in run.inputs.items()],
        "files": [[name, path] for name, path in run.files[:_MOST_FILES]],
        "fed_by": [_title(each) for each in run.fed_by],
        "logs": _logs(run),
        "earlier": [_earlier(each) for each in runs[1 : 1 + _MOST_EARLIER]],
        "more_earlier": max(0, len(runs) - 1 - _MOST_EARLIER),
    }
    if run.entry is not None:
        told.update(_of_entry(run))
        before = next((each for each in runs[1:] if each.entry is not None), None)
        told["changed"] = [] if before is None else _compared(run, before)
    elif run.unfinished is not None:
        text = run.unfinished.text or "nothing is told of its end: it was killed, or goes on"
        told["failure"] = _end(text, _MOST_TEXT)
        told["reproduce"] = reproduction_beside(run.unfinished.folder)
    return told


def _of_entry(run: Run) -> dict[str, JSON]:
    assert run.entry is not None
    record = run.entry.record
    ran = record.get("ran") or {}
    command = record.get("command") or {}
    return {
        "key": run.entry.key,
        "function": record["function"],
        "code": str(record["code"].get("canonical") or record["code"]["fast"])[:16],
        "components": [f"{label} {its}" for label, its in record["code"]["components"].items()],
        "at": ran.get("at"),
        "host": ran.get("host"),
        "cpu": ran.get("cpu"),
        "peak": run.peak,
        "versions": [
            [f"Python on {ran.get('host')}", str(ran.get("python"))],
            ["memori", str(record["memori"])],
            *([name, _brief(value)] for name, value in record["surroundings"].items()),
        ],
        "command": shlex.join(map(str, command["argv"])) if command.get("argv") else "",
        "reasons": reasons_of(run),
        "edits": edits_of([run]),
        "outputs": [[name, _brief(value)] for name, value in run.entry.outputs.items()],
    }


def _compared(run: Run, before: Run) -> list[list[str]]:
    """Say which outputs are as the run before made them."""
    assert run.entry is not None
    assert before.entry is not None
    old = {artifact.pointer: artifact.identity for artifact in before.entry.artifacts}
    told = []
    for artifact in run.entry.artifacts:
        if artifact.identity is not None and artifact.pointer in old:
            is_same = old[artifact.pointer] == artifact.identity
            name = ".".join(map(str, artifact.pointer))
            told.append([name, "as before" if is_same else "differs"])
    return told


def _earlier(run: Run) -> dict[str, JSON]:
    why = reasons_of(run) if run.entry is not None else [run.state]
    if run.unfinished is not None:
        why += run.unfinished.text.splitlines()[:1]
    return {
        "title": _title(run),
        "at": run.began,
        "inputs": shown(run.inputs)[:300],
        "why": why,
        "state": run.state,
        "last": run.is_last,
        "outputs": shown(run.entry.outputs)[:300] if run.entry else "",
    }


def _title(run: Run) -> str:
    return f"{run.stage}/{run.entry.key[:8]}" if run.entry is not None else run.stage


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else shown({"": value})[1:]
    return text if len(text) <= _MOST_VALUE else f"{text[:_MOST_VALUE]}... ({len(text)} characters)"


def _logs(run: Run) -> list[list[str]]:
    """Return the end of what the run's command printed, by file."""
    if run.folder is None:
        return []
    found = []
    for name in _LOGS:
        path = os.path.join(run.folder, name)
        if not os.path.isfile(path):  # to read a pipe would wait for ever
            continue
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - _MOST_LOG))
                text = file.read().decode("utf-8", "replace").replace("\r", "\n").strip()
        except OSError:
            continue
        if text:
            found.append([name, text if size <= _MOST_LOG else f"[...]\n{text}"])
    return found


def reproduction_beside(folder: str) -> str:
    """Return what runs a failed stage again, beside its log; an empty text if there is nothing."""
    path = os.path.join(folder, "reproduce.py")
    return path if os.path.isfile(path) and os.path.isfile(os.path.join(folder, NOTE)) else ""


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}\n[...]\n{text[-most // 2 :]}"
