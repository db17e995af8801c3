"""What files of a dataset hold: JSON, and content that git-annex keeps elsewhere.

A DataLad dataset is there with all its names before any content is: a file is a link into
`.git/annex/objects` that leads nowhere, or a short text that says which object it stands for.
Whatever would read such a file raises `ContentError`, which says how to get it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from typing import Any

from memori.digest.values import from_text
from memori.errors import MemoriError

_LONGEST_POINTER = 32_768
_MOST_SHOWN = 5


class BIDSError(MemoriError):
    """A dataset says something that cannot be used, or two things."""


class ContentError(BIDSError):
    """Files are there by name, but git-annex has their content elsewhere.

    Attributes
    ----------
    paths : list of str
        The files.
    """

    def __init__(self, paths: list[str]) -> None:
        shown = " ".join(map(shlex.quote, paths[:_MOST_SHOWN]))
        more = f" (and {len(paths) - _MOST_SHOWN} more)" if len(paths) > _MOST_SHOWN else ""
        count = "the content of a file is" if len(paths) == 1 else f"{len(paths)} contents are"
        super().__init__(
            f"{count} not here but in git-annex; get it first:\n  datalad get {shown}{more}"
        )
        self.paths = paths


def is_absent(path: str) -> bool:
    """Tell whether git-annex has the content of a file elsewhere."""
    if os.path.islink(path):
        return not os.path.exists(path) and "annex/objects/" in os.readlink(path)
    try:
        if os.path.getsize(path) > _LONGEST_POINTER or not os.path.isfile(path):
            return False
        with open(path, "rb") as stream:
            return stream.read(15) in (b"/annex/objects/", rb"/annex\objects/")
    except FileNotFoundError:
        return False


def require(paths: Iterable[str]) -> None:
    """Raise if the content of a file, or of a file in a folder that is one, is not here.

    Raises
    ------
    ContentError
        The message gives the `datalad get` to type.
    """
    absent = [path for path in paths if any(map(is_absent, _files_of(path)))]
    if absent:
        raise ContentError(absent)


def _files_of(path: str) -> Iterable[str]:
    if not os.path.isdir(path):
        return [path]
    return (os.path.join(top, name) for top, _, names in os.walk(path) for name in names)


def read_json(path: str) -> dict[str, Any]:
    """Return what a sidecar or description says.

    Raises
    ------
    ContentError
        If git-annex has it elsewhere.
    BIDSError
        If it is no JSON, or no object.
    """
    require([path])
    try:
        with open(path, encoding="utf-8-sig") as stream:
            found = from_text(stream.read())
    except ValueError as error:
        raise BIDSError(
            f"{path!r} is no JSON: {error}; mend it, `python -m json.tool` shows where"
        ) from error
    if not isinstance(found, dict):
        raise BIDSError(
            f"{path!r} holds a {type(found).__name__} where BIDS has an object of names and values"
        )
    return found
