"""Texts that stand for files and folders: where they are, and links to them.

A command runs in a folder of its own, so whatever its inputs name must be found from there.

Not promised: to tell a text that only happens to be the name of a file from one that means it.
Declare the field's kind as str where that can be.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import Any

from memori.digest.files import is_file, kind_of
from memori.digest.values import strings
from memori.neuro.command.outputs import with_companions

_LABEL = re.compile(r"(?:sub|ses)-[A-Za-z0-9]+")


def absolute(text: str) -> str:
    """Return a text that names an existing file or folder as an absolute path, any other as it is.

    A bare BIDS label is text, even where a folder of that name lies in the current folder.

    Examples
    --------
    >>> absolute("no such file"), absolute("/"), absolute("sub-01")
    ('no such file', '/', 'sub-01')
    """
    return os.path.abspath(text) if is_file(text) or is_folder(text) else text


def is_folder(text: str) -> bool:
    """Tell whether a text stands for an existing folder."""
    return kind_of(text) == stat.S_IFDIR and _LABEL.fullmatch(text) is None


def input_paths(inputs: Mapping[str, Any]) -> list[str]:
    """Return the absolute path of each existing file and folder that the inputs name."""
    texts = (
        text
        for name, value in inputs.items()
        if isinstance(value, (str, list, dict))
        for _, text in strings(value, (name,))
    )
    return [path for path in map(absolute, texts) if path[:1] == os.sep and os.path.exists(path)]


class Links:
    """Inputs as links in the run's folder, for tools that write beside their input."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._links: dict[str, str] = {}
        self.made: frozenset[str] = frozenset()

    def link(self, text: str) -> str:
        """Return the link to what a text names, or the text if it names nothing."""
        path = absolute(text)
        if not (is_file(path) or is_folder(path)):
            return text
        if path not in self._links:
            place = os.path.basename(path)
            if os.path.lexists(os.path.join(self._folder, place)):  # two inputs of one name
                place = os.path.join(str(len(self._links) + 1), place)
                os.mkdir(os.path.dirname(os.path.join(self._folder, place)))
            self._links[path] = os.path.join(self._folder, place)
            for each in with_companions(path) if os.path.isfile(path) else [path]:
                name = os.path.join(os.path.dirname(place), os.path.basename(each))
                os.symlink(each, os.path.join(self._folder, name))
                self.made |= {name}
        return self._links[path]
