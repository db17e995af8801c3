"""Files outside runs' folders that one run wrote and another one wrote over: kept, and put back.

Runs of one stage may write one file anew (a ``summary.txt`` for all subjects). Without memory the
file is that of whoever ran last. With it, too: a hit puts back what its run left there, if what
lies there now was left by another remembered run. So an unchanged script hits, and the file ends as
its last call left it. What a run is about to write over is kept beside the records, by digest.

Not promised: that of files larger than `MOST_BYTES`, of many files at once, of runs that went on
side by side, and of files outside of the folder that the memory lies in; then the run runs again.
"""

from __future__ import annotations

import errno
import os
import re
from hashlib import sha256

from memori.digest.files import file_digest
from memori.files import atomic_write, content_of, make_folder, replacing
from memori.layout import replaced_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_BYTES = 256 * 1024
_DIGEST = "[0-9a-f]{64}"
_MOST_AT_ONCE = 1024 * 1024
_MOST_KEPT = 1000


def contents_of(paths: Iterable[str], memo: str) -> dict[str, tuple[str, bytes]]:
    """Return what stands at some absolute paths, by path: its digest, and all of it."""
    found: dict[str, tuple[str, bytes]] = {}
    left = _MOST_AT_ONCE
    for path in paths:
        content = _content_of(path, min(left, MOST_BYTES), memo)
        if content is not None:
            found[path] = content
            left -= len(content[1])
    return found


def _content_of(path: str, most: int, memo: str) -> tuple[str, bytes] | None:
    try:
        before = os.stat(path)
        if not os.path.isfile(path) or before.st_size > most:
            return None
        with open(path, "rb") as file:
            content = file.read()
        identity = file_digest(path, memo).identity
        after = os.stat(path)
    except (OSError, UnicodeError):
        return None  # gone meanwhile, nobody may read it, or no name here: then it is not kept
    is_same = (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    return (identity, content) if is_same else None


def keep(root: str, contents: Mapping[str, bytes]) -> None:
    """Keep contents, by digest."""
    folder = replaced_of(root)
    for identity, content in contents.items():
        path = os.path.join(folder, identity)
        if not is_kept(root, identity):
            make_folder(folder)
            atomic_write(path, b"\n".join((_sha256(content), content)))
            _trim(folder)


def is_kept(root: str, identity: str) -> bool:
    """Tell whether a content is kept, and sound."""
    return _kept(root, identity) is not None


def _kept(root: str, identity: str) -> bytes | None:
    """Return a content that is kept; the line before it says what it was when it was written."""
    kept = os.path.join(replaced_of(root), identity)
    if not re.fullmatch(_DIGEST, identity) or os.path.islink(kept):
        return None
    try:
        digest, _, content = content_of(kept).partition(b"\n")
    except OSError:
        return None
    return content if digest == _sha256(content) else None


def _sha256(content: bytes) -> bytes:
    return sha256(content).hexdigest().encode("ascii")


def is_place(root: str, path: str) -> bool:
    """Tell whether a hit may write at an absolute path: beside the memory or below, not hidden.

    A record names whatever its writer wanted, and a hit is no place to write over `~/.bashrc`.
    """
    above = os.path.realpath(os.path.dirname(root))
    relative = os.path.relpath(os.path.realpath(path), above)
    return not any(part.startswith(".") for part in relative.split(os.sep))


def put_back(root: str, path: str, identity: str, memo: str) -> None:
    """Let a content that is kept stand at an absolute path, and keep what stood there.

    Raises
    ------
    OSError
        If it cannot: what stood there still stands.
    """
    content = _kept(root, identity)
    if content is None:
        raise FileNotFoundError(errno.ENOENT, "what was kept of it is gone", path)
    path = os.path.realpath(path)
    stood = _content_of(path, MOST_BYTES, memo)
    if stood is not None:
        keep(root, dict([stood]))
    with replacing(path) as partial:
        with open(partial, "xb") as file:
            file.write(content)
        os.chmod(partial, os.stat(path).st_mode & 0o7777)


def _trim(folder: str) -> None:
    """Remove the older half of what is kept, if it is too much."""
    kept = [os.path.join(folder, name) for name in os.listdir(folder)]
    if len(kept) > _MOST_KEPT:
        try:
            kept.sort(key=lambda path: os.stat(path).st_mtime_ns)
            for path in kept[: len(kept) // 2]:
                os.unlink(path)
        except OSError:
            pass  # another process trims; what is left costs room only
