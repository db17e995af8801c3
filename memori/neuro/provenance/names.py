"""What files of a lineage are called: their paths relative to the folder that was asked for."""

from __future__ import annotations

import os
import shlex

from memori.neuro.provenance.lineage import File, Lineage, Run


def folder_of(lineage: Lineage) -> str:
    """Return the folder that was asked for, or that holds the file that was."""
    where = lineage.where
    return where if os.path.isdir(where) else os.path.dirname(where)


def location(lineage: Lineage, file: File) -> str:
    """Return where a file lies, relative to the folder; nothing if nobody knows."""
    return os.path.relpath(file.path, folder_of(lineage)) if file.path else ""


def relative(lineage: Lineage, file: File) -> str:
    """Return a name that no other file has; with its digest, where another had its path before."""
    if not file.path:
        return f"{file.sha256}/{file.name}"
    name = location(lineage, file)
    return name if lineage.is_present(file) else f"{name}@{file.sha256[:12]}"


def command(lineage: Lineage, run: Run) -> str:
    """Return the command line of a run, with files relative to the folder; nothing without one."""
    own = {file.path for file in [*run.used, *lineage.made_by(run)] if file.path}
    own |= {artifact.locate(run.root) for artifact in run.entry.artifacts}
    return shlex.join(_short(word, own, folder_of(lineage)) for word in run.command)


def _short(word: str, known: set[str], folder: str) -> str:
    before, sign, path = word.rpartition("=")
    if path.startswith(os.sep) and os.path.normpath(path) in known:
        return before + sign + os.path.relpath(path, folder)
    return word


def is_inside(lineage: Lineage, file: File) -> bool:
    """Tell whether a file lies in the folder."""
    return bool(file.path) and not location(lineage, file).startswith(os.pardir)
