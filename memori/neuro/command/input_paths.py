"""Texts that stand for files and folders: where they are, and whether they are as they were.

A command runs in a folder of its own, so whatever its inputs name must be found from there.

Not promised: to tell a text that only happens to be the name of a file from one that means it.
Declare the field's kind as str where that can be.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from memori.aside import aside
from memori.calls.current_run import current
from memori.digest.files import is_file, kind_of
from memori.digest.values import strings
from memori.errors import warn

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


@contextmanager
def reporting_changes(inputs: Mapping[str, Any], folder: str, command: str) -> Iterator[None]:
    """Warn of inputs that change meanwhile: folders, and files of runs that are not recorded.

    Parameters
    ----------
    inputs : Mapping of str to JSON
        The inputs of the running stage (whose record tells of its other files).
    folder : str
        The run's own folder; what is around it changes.
    command : str
        What the warning calls the command.
    """
    run = current()
    is_recorded = run is not None and bool(run.key)
    paths = [
        path
        for path in input_paths(inputs)
        if not folder.startswith(path.rstrip(os.sep) + os.sep)
        and (os.path.isdir(path) or not is_recorded)
    ]
    with aside():
        before = _states(paths)
    try:
        yield
    finally:
        with aside():
            after = _states(paths)
        changed = sorted(p for p in {**before, **after} if before.get(p) != after.get(p))
        if changed:
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            warn(
                f"{command}: {', '.join(changed[:5])}{more}, of its inputs, changed while it ran. "
                "If it changes its input itself, give it a copy: by an output Copy('NAME'), or by "
                "link_inputs=True"
            )


def _states(paths: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return what a change shows in, of files and of all that folders hold."""
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        inside = (os.path.join(above, name) for above, _, names in os.walk(path) for name in names)
        for each in (path, *inside):
            try:
                status = os.stat(each)
            except OSError:
                continue  # a link to nothing
            if not stat.S_ISDIR(status.st_mode):
                found[each] = status.st_size, status.st_mtime_ns, status.st_ino
    return found
