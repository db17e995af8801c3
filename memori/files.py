"""Small file primitives: write whole or not at all.

A file is written under a unique name in the folder it belongs to and renamed over its target, so
that a reader (or the next run after a kill) finds the old content or the new one, never half.
The rename is the only promise; it holds on local and on network file systems. Nothing here calls
fsync, because a record damaged by a power failure is recognised by its own digest and costs one
rerun, while an fsync would cost milliseconds at every one.

Not promised: that the newest content survives a power failure; and that the old content can be
found at each moment on a file system in user space (sshfs, bindfs), which moves a file that
somebody reads out of the way before it renames another one over it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Give a unique name beside `path` to write to, and rename what was written over `path`.

    If the block raises, what was written is removed, and what stood at `path` still stands.

    Parameters
    ----------
    path : str
        Where the file goes; its folder must exist.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.partial")
    try:
        yield partial
        move(partial, path)
    except BaseException:
        remove_if_there(partial)
        raise


def atomic_write(path: str, content: bytes) -> None:
    """Replace the file at `path` by `content`, whole or not at all.

    Parameters
    ----------
    path : str
        Where the file goes; its folder must exist.
    content : bytes
        All of the file.

    Raises
    ------
    OSError
        If the content cannot be written; what stood at `path` before still stands.
    """
    with replacing(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


_MOST_MOVES = 100


def move(source: str, target: str) -> None:
    """Rename a file over another one.

    A file system in user space (sshfs, bindfs) moves a target that somebody reads out of the way
    first; if it was removed elsewhere at that moment, the rename says that a file is not there.
    """
    for _ in range(_MOST_MOVES):
        try:
            os.replace(source, target)
            return
        except FileNotFoundError:
            if not (os.path.lexists(source) and os.path.isdir(os.path.dirname(target) or ".")):
                raise
    os.replace(source, target)


_HEAD = b'{"sha256": "'
_MIDDLE = b'",\n"record": '
_BODY = len(_HEAD) + 64 + len(_MIDDLE)


def sealed(record: bytes) -> bytes:
    """Return a JSON text as the content of a file that carries the text's own SHA-256."""
    return b"".join((_HEAD, sha256(record).hexdigest().encode(), _MIDDLE, record, b"}\n"))


def unsealed(content: bytes) -> bytes:
    """Return the JSON text of a file that `sealed` made.

    Raises
    ------
    ValueError
        If the file is broken or was edited.
    """
    record = content[_BODY:-2]
    if content != sealed(record):
        raise ValueError("it is broken or was edited by hand")
    return record


def make_folder(folder: str) -> None:
    """Make a folder and those above it, unless it is there; one system call where it is simple."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def remove_if_there(path: str) -> None:
    """Remove a file, unless somebody else did."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
