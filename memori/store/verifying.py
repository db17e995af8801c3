"""Whether all that is remembered is still what runs made: every file is read.

A hit trusts a file whose times and inode are as they were. Here nothing is trusted: records are
checked against their own digests, and files and folders among the outputs against those that their
records hold, by what counts of them (of an image not how it was packed).

What a pipeline removed to save room is no fault, and neither is a file that holds what another run
of the stage wrote there: the run that comes back to it puts that right.

Not promised: files that a run wrote without returning them.
"""

from __future__ import annotations

import os
import stat

from memori.digest.files import digests, in_threads, kind_of
from memori.digest.folder import folder_digest
from memori.keep.removed import identity_of_removed
from memori.store import entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from memori.artifacts import Artifact
    from memori.layout import Layout

    State = Literal["missing", "truncated", "edited", "unreadable"]


class Fault:
    """Something that is not as a run left it.

    Attributes
    ----------
    state : {"missing", "truncated", "edited", "unreadable"}
        What is wrong.
    path : str
        The file, absolute.
    stage, key : str
        Of the run that made it; the key is empty where its record is what is wrong.
    """

    __slots__ = ("key", "path", "stage", "state")

    def __init__(self, state: State, path: str, stage: str, key: str) -> None:
        self.state = state
        self.path = path
        self.stage = stage
        self.key = key


def verify(
    layout: Layout, progress: Callable[[], object] = lambda: None
) -> tuple[int, list[Fault]]:
    """Read all that a stage remembers; return how many outputs there are, and the faults.

    Parameters
    ----------
    layout : Layout
        Of the stage.
    progress : callable, optional
        Called whenever an output was read.
    """
    faults = []
    todo: dict[str, dict[str | None, tuple[Artifact, str]]] = {}
    for path in entries.everything(layout):
        entry = entries.read(path)
        if entry is None:
            if os.path.exists(path):  # else it was removed meanwhile
                faults.append(Fault("edited", path, layout.name, ""))
            continue
        for each in entry.artifacts:
            todo.setdefault(each.locate(layout.root), {})[each.identity] = each, entry.key

    def look(item: tuple[str, dict[str | None, tuple[Artifact, str]]]) -> Fault | None:
        path, made = item
        fault = None
        for artifact, key in made.values():
            state = _state(artifact, path)
            if state is None:
                fault = None
                break
            fault = Fault(state, path, layout.name, key)
        progress()
        return fault

    faults += [fault for fault in in_threads(look, list(todo.items())) if fault is not None]
    return len(todo), faults


def _state(artifact: Artifact, path: str) -> State | None:
    kind = kind_of(path)
    if artifact.kind == "path":
        return "missing" if artifact.folder and kind != stat.S_IFDIR else None
    if not kind and identity_of_removed(path, artifact.kind) == artifact.identity:
        return None  # by policy: its digest stands for it
    if kind != (stat.S_IFREG if artifact.kind == "file" else stat.S_IFDIR):
        return "missing" if not kind else "edited"
    try:
        found = folder_digest(path, _identity) if artifact.kind == "folder" else _identity(path)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    if found == artifact.identity:
        return None
    known = artifact.file
    if known is None or not known.stats or os.path.getsize(path) >= known.stats[0][0]:
        return "edited"
    is_whole = known.content is not None and digests(path)[1] is not None  # but packed smaller
    return "edited" if is_whole else "truncated"


def _identity(path: str) -> str:
    raw, content = digests(path)
    return raw if content is None else content.digest
