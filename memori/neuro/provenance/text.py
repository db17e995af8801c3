"""A lineage for people: each file with the run that made it, below it what that used."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from memori.neuro.provenance.lineage import File, Lineage, Run, above


def lines(lineage: Lineage) -> Iterator[str]:
    """Yield the lines: whatever came up before is not told again."""
    told: set[int] = set()
    for file in lineage.asked:
        if not file.is_sidecar:
            yield from _of(file, "", told)


def _of(file: File, indent: str, told: set[int]) -> Iterator[str]:
    yield f"{indent}{_place(file)}"
    run = file.run
    if run is None:
        if not file.sources and indent == "":
            yield f"{indent}    nobody knows what made it"
    elif id(run) in told:
        yield f"{indent}    by {run.title}, as above"
        return
    else:
        told.add(id(run))
        yield f"{indent}    by {_by(run)}"
        yield from (f"{indent}    {each}" for each in run.accepted())
    for source in above(file):
        yield from _of(source, f"{indent}    ", told)


def _by(run: Run) -> str:
    tool = " ".join(part for part in run.software[0] if part)
    words = map(os.path.basename, run.command)
    what = (
        shlex.join(words)
        if run.command
        else ", ".join(f"{n}={v!r}" for n, v in run.parameters.items())
    )
    where = f" in {run.container}" if run.container else ""
    at = f"{run.began:%Y-%m-%d %H:%M:%S} UTC" if run.began else "at an unknown time"
    took = f"{run.seconds:.3g} s on {run.host}"
    said = f"{run.title} ({tool}){where}, {at}, {took}: {what}"
    return said.removesuffix(": ")


def _place(file: File) -> str:
    if not file.path:
        return f"{file.name} (sha256 {file.sha256[:12]})"
    short = os.path.relpath(file.path)
    return file.path if short.startswith(os.pardir) else short
