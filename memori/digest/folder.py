"""Folders as artifacts: names and contents of all that is in them.

A string that names a folder counts as a name only, because a folder may hold anything.
`Folder(path)` declares that what it holds counts (a FreeSurfer subject, a FEAT folder).

Names, nesting, empty folders and file contents count, as do symbolic links (by where they point)
and that something is a pipe, a socket or a device, which is never opened. Times, owners and
permissions do not. A link is not followed: what it points to counts where it lies, if that is
inside. Of a link that points out of the folder the text counts, and *not* what is there, unless
the digest is asked to follow it.
"""

from __future__ import annotations

import hashlib
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPECIAL = {
    stat.S_IFIFO: b"pipe",
    stat.S_IFSOCK: b"socket",
    stat.S_IFCHR: b"character device",
    stat.S_IFBLK: b"block device",
}


class Folder(str):
    """A folder whose content counts; otherwise its path as an ordinary string.

    >>> Folder("derivatives/sub-01").count("/")
    1
    """

    __slots__ = ()

    def __new__(cls, path: str | os.PathLike[str]) -> Folder:  # noqa: D102
        return super().__new__(cls, os.fspath(path))

    def __repr__(self) -> str:
        return f"Folder({str(self)!r})"


def folder_digest(path: str, file_digest: Callable[[str], str], *, follow: bool = False) -> str:
    """Return one digest of the names and contents in a folder.

    Parameters
    ----------
    path : str
        The folder; it may itself be reached through a link.
    file_digest : callable
        Called with the path of each regular file, in the order of names.
    follow : bool, optional
        Whether what lies behind links that lead out of the folder counts, rather than where they
        point. One that leads to nothing counts by where it points.

    Raises
    ------
    OSError
        If the folder or something in it cannot be read.
    """
    hasher = hashlib.sha256(b"memori folder 1\0")
    for name, kind, what in _contents(path, file_digest, follow):
        for part in (name, kind, what):
            hasher.update(b"%d:" % len(part))
            hasher.update(part)
    return hasher.hexdigest()


def _contents(
    path: str, file_digest: Callable[[str], str], follow: bool
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (relative name, kind, what counts of it) in one order on every machine."""
    root = os.path.realpath(path)
    entered = {root}  # what links lead to is entered once, however they go round
    waiting = [(b"", os.fspath(path))]
    while waiting:
        above, folder = waiting.pop()
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        for entry in ordered:
            name, where = above + os.fsencode(entry.name), entry.path
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            if kind == stat.S_IFLNK:
                beyond = _beyond(where, root) if follow else None
                if beyond is None or beyond in entered:
                    yield name, *_link(where, root)
                    continue
                where, kind = beyond, stat.S_IFMT(os.stat(beyond).st_mode)
            if kind == stat.S_IFDIR:
                if where != entry.path:
                    entered.add(where)
                waiting.append((name + b"/", where))
                yield name, b"folder", b""
            elif kind == stat.S_IFREG:
                yield name, b"file", file_digest(where).encode()
            else:
                yield name, _SPECIAL.get(kind, b"unknown"), b""


def _beyond(link: str, root: str) -> str | None:
    """Return what a link leads to, outside of a folder; None if that is nothing, or inside."""
    target = os.path.realpath(link)
    is_inside = target == root or target.startswith(root + os.sep)
    return target if os.path.exists(target) and not is_inside else None


def _link(path: str, root: str) -> tuple[bytes, bytes]:
    """Say where a link points; into the folder, from its root, so that the folder can move."""
    text = os.readlink(path)
    if text.startswith(root + os.sep):
        return b"link from the root", os.fsencode(text[len(root) + 1 :])
    return b"link", os.fsencode(text)
