"""Marks of files that runs wrote.

A stage that is told where to write (``out="smooth.nii.gz"``) finds its own product there when it
runs again. Where nothing else tells who wrote a file, a mark does: this content, under this name,
was left by a run of the stage. Another mark says that any remembered run wrote what lies at a path,
so that a stage which lists the folder is not run again for it.

Marks are kept in tables of fixed size, one slot for each value of a part of their digest. A mark
that another one took the slot of costs one run.
"""

from __future__ import annotations

import os

from memori.digest.values import encode, text_digest
from memori.files import make_folder, opened
from memori.layout import written_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.layout import Layout

_SLOTS = 4096
_WRITTEN_SLOTS = 65536
_WIDTH = 33  # 32 hexadecimal digits and a line feed


def mark(layout: Layout, files: list[Artifact]) -> None:
    """Note which files, named by inputs, a run of the stage wrote itself."""
    _add(layout.marks, [_content_mark(file) for file in files], _SLOTS)


def is_marked(layout: Layout, file: Artifact) -> bool:
    """Tell whether a run of the stage itself wrote this content under this name."""
    return _has(layout.marks, _content_mark(file), _SLOTS)


def mark_written(root: str, paths: list[str], returned: tuple[str, ...] = ()) -> None:
    """Note which files a remembered run wrote outside its folder, some in folders it returned."""
    names = [_inside(path) if path.startswith(returned) else path for path in paths]
    _add(written_of(root), [_path_mark(root, name) for name in names], _WRITTEN_SLOTS)


def is_written(root: str, path: str, returned: tuple[str, ...] = ()) -> bool:
    """Tell whether a remembered run wrote a file; of those in folders returned, only in these."""
    names = [path, _inside(path)] if path.startswith(returned) else [path]
    return any(_has(written_of(root), _path_mark(root, name), _WRITTEN_SLOTS) for name in names)


def _inside(path: str) -> str:
    return f"{path}/returned"  # the name of no file, because the path is that of one


def _content_mark(file: Artifact) -> str:
    return text_digest(encode([file.path, file.identity]))[:32]


def _path_mark(root: str, path: str) -> str:
    return text_digest(encode(os.path.relpath(path, root)))[:32]


def _add(table: str, marks: list[str], slots: int) -> None:
    if not marks:
        return
    make_folder(os.path.dirname(table))
    descriptor = opened(table)
    try:
        for digest in marks:
            os.pwrite(descriptor, f"{digest}\n".encode("ascii"), _place(digest, slots))
    finally:
        os.close(descriptor)


def _has(table: str, digest: str, slots: int) -> bool:
    try:
        descriptor = os.open(table, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # of a pipe, too
    except OSError:
        return False
    try:
        return os.pread(descriptor, _WIDTH - 1, _place(digest, slots)) == digest.encode("ascii")
    except OSError:  # it is no file
        return False
    finally:
        os.close(descriptor)


def _place(digest: str, slots: int) -> int:
    return int(digest[:8], 16) % slots * _WIDTH
