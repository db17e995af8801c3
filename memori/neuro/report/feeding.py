"""Who feeds whom: which runs made what a run was given.

A file leads to its maker by its place, or by its name and content. A value that is no file does so
by what a pipeline passes on: an output of the same name and value, in the same folder; an element
of a list that was returned there (`Each`), if it is a text, a list or a mapping; and a list of
what several runs returned under its name.

Not promised: values that were renamed or changed between two stages. A value that two stages
returned alike is told as made by the later one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from memori.digest.values import strings

if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.neuro.report.runs import Run

_RUN = re.compile(r"/[0-9a-f]{8}(?:-\d+)?(?=/|$)")
_MOST_ELEMENTS = 500


class _Made:
    """What runs made: files by place and by name with content, values by name.

    Where only the name of an input counts (commands get copies) its record has no place.
    """

    def __init__(self, runs: list[Run]) -> None:
        self.by_place: dict[str, list[tuple[Run, Artifact]]] = {}
        self.by_name: dict[tuple[str, str | None], list[tuple[Run, Artifact]]] = {}
        self.values: dict[tuple[str, str], list[Run]] = {}
        self.elements: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            for artifact in run.entry.artifacts if run.entry else ():
                place, name = _plain(artifact.locate(run.root)), os.path.basename(artifact.path)
                self.by_place.setdefault(place, []).append((run, artifact))
                self.by_name.setdefault((name, artifact.identity), []).append((run, artifact))
            for name, value in run.entry.outputs.items() if run.entry else ():
                self.values.setdefault((name, _text(value)), []).append(run)
                for each in value[:_MOST_ELEMENTS] if isinstance(value, list) else ():
                    if isinstance(each, (str, list, dict)) and each:
                        self.elements.setdefault((run.root, _text(each)), []).append(run)

    def maker(self, user: Run, path: str, identity: str | None) -> tuple[Run, Artifact] | None:
        """Return the latest run that made just this, with what it made."""
        found = [
            (run, its)
            for run, its in self.by_place.get(_plain(path), ())
            if identity in (None, its.identity)
        ]
        if not found and identity is not None and not os.path.lexists(path):
            named = self.by_name.get((os.path.basename(path), identity), ())
            found = [each for each in named if each[0].root == user.root] or list(named)
        found = [each for each in found if each[0] is not user]
        return found[-1] if found else None

    def makers_of_value(self, user: Run, name: str, value: JSON) -> list[Run]:
        """Return the latest runs that returned a value, or what it is a list of."""
        found = self._returned(user, self.values.get((name, _text(value)), ()))
        if not found:
            found = self._returned(user, self.elements.get((user.root, _text(value)), ()))
        if not found and isinstance(value, list):
            parts = [self.values.get((name, _text(each)), ()) for each in value[:_MOST_ELEMENTS]]
            found = [each for part in parts for each in self._returned(user, part, anywhere=True)]
        return found

    def _returned(
        self, user: Run, runs: list[Run] | tuple[()], *, anywhere: bool = False
    ) -> list[Run]:
        """Return the latest of some runs, of the user's own folder if one is."""
        others = [run for run in runs if run.stage != user.stage]
        own = [run for run in others if run.root == user.root]
        return (own or (others if anywhere else []))[-1:]


def _plain(path: str) -> str:
    """Return a path as it counts for the next stage: without the key of the run that made it."""
    return _RUN.sub("/*", path)


def _text(value: JSON) -> str:
    return json.dumps(value, sort_keys=True)


def tell_feeding(runs: list[Run]) -> None:
    """Tell each run by whom it was fed, and where the files lie that it was given."""
    made = _Made(runs)
    for run in runs:
        for name, path, identity in _named_files(run):
            makers = run.given.setdefault(name, [])
            found = made.maker(run, path, identity)
            if found is not None:
                makers.append(found[0])
                path = found[1].locate(found[0].root)
            run.files.append((name, path))
        for name, value in run.inputs.items():
            if name not in run.given:
                run.given[name] = made.makers_of_value(run, name, value)


def _named_files(run: Run) -> Iterator[tuple[str, str, str | None]]:
    """Yield the files and folders among the inputs: input, absolute path, identity."""
    if run.entry is not None:
        for file in run.entry.files:
            if file.kind != "path":
                yield str(file.pointer[0]), file.locate(run.root), file.identity
        return
    for pointer, text in strings(run.inputs, ()):
        if text.startswith("/"):
            yield str(pointer[0]), text, None
