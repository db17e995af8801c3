"""Files that a program asked for and did not open: whether they are there, and what they are.

``[ -e flag ]`` asks whether a file is there, ``[ -s bvals ]`` whether it is empty, ``ls -l`` how
large it is, ``readlink`` where a link leads. The answer is kept as a few words, and compared with
what the same question would give now.

Not promised: times, owners and permissions, of which a program is told as well.
"""

from __future__ import annotations

import os
import stat

NOTHING = "nothing"
FOLDER = "folder"
LINK = "link to "


def file_of(size: int) -> str:
    """Return the words for a file of so many bytes."""
    return f"file of {size} bytes"


def link_to(target: str) -> str:
    """Return the words for a link."""
    return f"{LINK}{target}"


THERE = "there"
"""Of what is neither file nor folder, or was asked for nothing but that."""


FILE = "file"
"""Of which no more was asked."""
NOWHERE = "link that leads nowhere"
NO_LINK = "no link"


def answer(path: str, then: str) -> str:
    """Return what a path is now, in answer to the question that was answered then.

    >>> answer("/", "folder"), answer("/nowhere", "there")
    ('folder', 'nothing')
    """
    try:
        if then.startswith(LINK) or then == NO_LINK:
            return link_to(os.readlink(path))
        look = os.stat(path) if then != THERE else os.lstat(path)
    except OSError:
        if then == THERE or not os.path.lexists(path):
            return NOTHING
        return then if then in (NOWHERE, NO_LINK) else THERE
    if then == THERE:
        return THERE
    if stat.S_ISREG(look.st_mode) and then == FILE:
        return FILE
    if stat.S_ISREG(look.st_mode):
        return file_of(look.st_size)
    return FOLDER if stat.S_ISDIR(look.st_mode) else THERE
