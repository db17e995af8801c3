"""Edits of small projects, each judged by running the project before and after it.

`rerun` lists edits that change the result, `keep` edits that cannot. A project is a dictionary of
file name to source; its `main.py` has a function `run(x)`. An edit replaces text in one file, or
moves to other files altogether.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edit:
    """One edit: a project before and after, and whether the stage must run again."""

    name: str
    before: dict[str, str]
    after: dict[str, str]
    reruns: bool
    result_same: bool = field(default=False)


def _apply(files: dict[str, str], changes: tuple[object, ...]) -> dict[str, str]:
    after = dict(files)
    if len(changes) == 3 and all(isinstance(part, str) for part in changes):
        changes = (changes,)
    for change in changes:
        if isinstance(change, dict):
            after.update(change)
            continue
        name, old, new = change
        assert old in after[name], f"{old!r} is not in {name}"
        after[name] = after[name].replace(old, new)
    return {name: text for name, text in after.items() if text is not None}


def _files(project: str | dict[str, str]) -> dict[str, str]:
    return {"main.py": project} if isinstance(project, str) else project


def _change(files: dict[str, str], change: tuple[object, ...]) -> tuple[object, ...]:
    """Let (old, new) stand for a change of main.py."""
    if len(change) == 2 and all(isinstance(part, str) for part in change):
        return ("main.py", *change)
    return change


def rerun(name: str, project: str | dict[str, str], *change: object) -> Edit:
    """An edit that changes the result."""
    files = _files(project)
    return Edit(name, files, _apply(files, _change(files, change)), True)


def keep(name: str, project: str | dict[str, str], *change: object) -> Edit:
    """An edit that cannot change the result."""
    files = _files(project)
    return Edit(name, files, _apply(files, _change(files, change)), False)
