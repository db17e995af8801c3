"""Files that a program asked for and did not open: whether they are there, and what they are.

``[ -e flag ]`` asks whether a file is there, ``[ -s bvals ]`` whether it is empty, ``ls -l`` how
large it is, ``[ -r scan ]`` whether it may be read, ``max(files, key=os.path.getmtime)`` which one
is the newest, ``readlink`` where a link leads, ``os.path.islink`` whether it is one. The answer is
kept as a few words, first of what it is, then of what else was asked (``file of 12 bytes, may be
read``), and compared with what the same questions would give now.

Not promised: owners, whether a file may be written, and the times of folders, of which a program is
told as well.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NOTHING = "nothing"
FOLDER = "folder"
LINK = "link to "
FILE = "file"
"""Of which no more was asked."""
THERE = "there"
"""Of what was asked for nothing but that, links not followed."""
OTHER = "neither file nor folder"
NO_FOLDER = "no folder"
"""Of what is a folder or not, and was asked for nothing but that."""
EMPTY = "nothing in it"
"""Of a file that is not there, or holds nothing: a database's log."""
NOWHERE = "link that leads nowhere"
A_LINK, NO_LINK = "itself a link", "itself no link"
"""What is told beside what a link leads to."""

LOGS = ("-wal", "-journal")
"""With what the names end of files beside a database of SQLite, which hold part of it."""

MODIFIED, CHANGED, PERMISSIONS = "modified", "changed", "permissions"
"""What a stat tells of a file beside its kind and size: its mtime, its ctime, its mode."""
_AND = ", "
_MAY, _MAY_NOT = "may be ", "may not be "
_MODES = {"read": os.R_OK, "run": os.X_OK}


def file_of(size: int) -> str:
    """Return the words for a file of so many bytes."""
    return f"file of {size} bytes"


def link_to(target: str) -> str:
    """Return the words for a link."""
    return f"{LINK}{target}"


def detailed(words: str, look: os.stat_result, details: Iterable[str]) -> str:
    """Add details of its stat to what is said of a file.

    Parameters
    ----------
    words : str
        What is said of it.
    look : os.stat_result
        Its stat.
    details : iterable of str
        `MODIFIED`, `CHANGED` and `PERMISSIONS`, in the order in which they are to be told.
    """
    return _AND.join([words, *(_detail(each, "", look) for each in details)])


def has_details(words: str) -> bool:
    """Tell whether more was asked of a path than what it is.

    >>> has_details("file of 3 bytes"), has_details("file, may be read")
    (False, True)
    """
    return len(_parts(words)) > 1


def permitted(words: str, mode: int, is_so: bool) -> str:
    """Add to what is said of a path whether it may be read or run.

    >>> permitted(FOLDER, os.R_OK | os.X_OK, False), permitted(FILE, os.F_OK, True)
    ('folder, may not be read and run', 'file')
    """
    names = " and ".join(name for name, bit in _MODES.items() if mode & bit)
    return f"{words}{_AND}{_MAY if is_so else _MAY_NOT}{names}" if names else words


def joined(known: str, words: str) -> str:
    """Return the answers to two questions for one path as one; what was told first holds.

    >>> joined("file, may be read", "file of 3 bytes, may not be read, may be run")
    'file of 3 bytes, may be read, may be run'
    >>> joined("nothing", "file"), joined("there, itself a link", "link that leads nowhere")
    ('nothing', 'link that leads nowhere, itself a link')
    """
    kind, *more = _parts(known)
    new_kind, *new = _parts(words)
    if kind == NOTHING or new_kind == NOTHING or known.startswith(LINK) or words.startswith(LINK):
        return known
    is_finer = (
        kind == THERE
        or (kind == FILE and new_kind.startswith(FILE))
        or (kind == NO_FOLDER and new_kind not in (THERE, FOLDER))
    )
    if not (is_finer or new_kind in (kind, FILE, THERE, NO_FOLDER)):
        return known
    asked = set(map(_question, more))
    more += [each for each in new if _question(each) not in asked]
    return _AND.join([new_kind if is_finer else kind, *more])


def answer(path: str, then: str) -> str:
    """Return what a path is now, in answer to the questions that were answered then.

    >>> answer("/", "folder"), answer("/nowhere", "there"), answer("/", "folder, may not be read")
    ('folder', 'nothing', 'folder, may be read')
    """
    kind, *more = _parts(then)
    if kind == EMPTY:
        return file_of(os.path.getsize(path)) if holds_something(path) else EMPTY
    try:
        if kind.startswith(LINK):
            return link_to(os.readlink(path))
        look = os.stat(path) if kind != THERE else os.lstat(path)
    except OSError:
        if kind == THERE or not os.path.lexists(path):
            return NOTHING
        if kind.startswith(LINK):
            return THERE
        return then if kind in (NOWHERE, NO_FOLDER) else NOWHERE
    return _AND.join([_kind_now(look, kind), *(_detail(each, path, look) for each in more)])


def of_read(words: str) -> str:
    """Return what is left of what is said of a file once its content counts: whether it may be run.

    >>> of_read("file of 12 bytes, may be read"), of_read("file, may not be run")
    ('file', 'file, may not be run')
    """
    return _AND.join([FILE, *(each for each in _parts(words)[1:] if each.endswith("run"))])


def behind_link(words: str) -> str:
    """Return what is said of the place that a link leads to, of what is said of the link.

    >>> behind_link("link that leads nowhere, itself a link"), behind_link("there, itself a link")
    ('nothing', '')
    """
    kind, *more = _parts(words)
    if kind == THERE:
        return ""
    more = [each for each in more if each not in (A_LINK, NO_LINK)]
    return _AND.join([NOTHING if kind == NOWHERE else kind, *more])


def holds_something(path: str) -> bool:
    """Tell whether there is a file that is not empty."""
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def of_itself(words: str, is_link: bool) -> str:
    """Add to what is said of a path whether it is a link."""
    return _AND.join([words, A_LINK if is_link else NO_LINK])


def is_answered(known: str | None, *, is_of_link: bool) -> bool:
    """Tell whether it is known what a path is: whether it is a link, or what it leads to."""
    if known is None or known.startswith(LINK):
        return False
    if is_of_link:
        return known == NOTHING or A_LINK in known or NO_LINK in known
    return not known.startswith((THERE, NO_FOLDER))


def _parts(words: str) -> list[str]:
    return [words] if words.startswith(LINK) else words.split(_AND)


def _kind_now(look: os.stat_result, then: str) -> str:
    if then == THERE:
        return THERE
    if then == NO_FOLDER and not stat.S_ISDIR(look.st_mode):
        return NO_FOLDER
    if stat.S_ISREG(look.st_mode):
        return FILE if then == FILE else file_of(look.st_size)
    return FOLDER if stat.S_ISDIR(look.st_mode) else OTHER


def _question(more: str) -> str:
    return more.replace(_MAY_NOT, _MAY) if more.startswith("may ") else more.partition(" ")[0]


def _detail(then: str, path: str, look: os.stat_result) -> str:
    """Answer a question anew, of which the answer then is given."""
    if then in (A_LINK, NO_LINK):
        return A_LINK if os.path.islink(path) else NO_LINK
    asked = _question(then)
    if asked.startswith(_MAY):
        names = asked.removeprefix(_MAY)
        mode = sum(bit for name, bit in _MODES.items() if name in names.split())
        return f"{_MAY if os.access(path, mode) else _MAY_NOT}{names}"
    if asked == PERMISSIONS:
        return f"{asked} {stat.S_IMODE(look.st_mode):03o}"
    seconds, rest = divmod(look.st_mtime_ns if asked == MODIFIED else look.st_ctime_ns, 10**9)
    return f"{asked} {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{rest:09d}"
