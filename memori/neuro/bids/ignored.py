r"""Which files of a raw dataset its `.bidsignore` leaves out.

The patterns are those of `.gitignore`: a name that matches at any depth, a path from the root if it
holds a slash, `*`, `?`, `[...]` and `**`, a slash at the end for folders, `!` to take a file back
in. What lies in a folder that is left out is left out.

In a dataset of derivatives the file only tells the validator which names the standard does not have
yet (fMRIPrep lists its `*_timeseries.tsv` there, which is what people come for). So `Dataset`
leaves nothing out there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from memori.errors import warn
from memori.files import atomic_write
from memori.neuro.bids.content import is_absent

NAME = ".bidsignore"


class Pattern(NamedTuple):
    """One line of the file."""

    rule: re.Pattern[str]
    leaves_out: bool


def patterns_of(root: str) -> list[Pattern]:
    """Return the patterns of a dataset; none without a `.bidsignore`."""
    path = os.path.join(root, NAME)
    if os.path.lexists(path) and is_absent(path):
        warn(
            f"{path!r} is in git-annex and not here, so nothing is left out by it; "
            f"`datalad get {path}` it first"
        )
        return []
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            return parsed(stream)
    except FileNotFoundError:
        return []


def add(root: str, patterns: Iterable[str]) -> None:
    """Add patterns to the `.bidsignore` of a dataset that do not stand there."""
    path = os.path.join(root, NAME)
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    new = [each for each in dict.fromkeys(patterns) if each not in lines]
    if new:
        atomic_write(
            path, "".join(f"{line}\n" for line in lines + new).encode("utf-8", "surrogateescape")
        )


def parsed(lines: Iterable[str]) -> list[Pattern]:
    r"""Return the patterns of some lines.

    Examples
    --------
    >>> found = parsed(["# notes", "*_old.nii.gz", "/extra/", "!sub-01_old.nii.gz"])
    >>> [is_ignored(path, found) for path in ("sub-02/x_old.nii.gz", "extra/a", "sub-01/extra")]
    [True, True, False]
    """
    stripped = [re.sub(r"(?<!\\)\s+$", "", line) for line in lines]
    return [
        Pattern(_compiled(line.removeprefix("!")), not line.startswith("!"))
        for line in stripped
        if line and not line.startswith("#")
    ]


def is_ignored(path: str, patterns: list[Pattern]) -> bool:
    """Tell whether a path relative to the root is left out, or a folder that it lies in.

    A path that ends in a slash is a folder.
    """
    parts = path.rstrip("/").split("/")
    for count in range(1, len(parts) + 1):
        is_folder = count < len(parts) or path.endswith("/")
        part = "/".join(parts[:count]) + "/" * is_folder
        said = [each.leaves_out for each in patterns if each.rule.fullmatch(part)]
        if said and said[-1]:
            return True
    return False


def _compiled(pattern: str) -> re.Pattern[str]:
    only_folders = pattern.endswith("/")
    body = pattern.rstrip("/")
    at_root = "/" in body
    text = "" if at_root else "(?:.*/)?"
    for token in re.findall(r"\*\*/|/\*\*|\*|\?|\[!?\]?[^\]]*\]|\\.|.", body.removeprefix("/")):
        text += _translated(token)
    return re.compile(text + ("/" if only_folders else "/?"), re.DOTALL)


def _translated(token: str) -> str:
    known = {"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}
    if token in known:
        return known[token]
    if token.startswith("[") and len(token) > 1:
        inner = token[1:].lstrip("!").replace("\\", "\\\\")
        return _class("[" + ("^" if token[1] == "!" else "") + inner)
    return re.escape(token[-1] if token.startswith("\\") and len(token) > 1 else token)


def _class(text: str) -> str:
    """Return a class of characters; as of git, one that is none ([z-a]) matches nothing."""
    try:
        re.compile(text)
    except re.error:
        return "(?!)"
    return text
