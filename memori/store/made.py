"""Marks of files that runs wrote where an input said.

A stage that is told where to write (``out="smooth.nii.gz"``) finds its own product there when it
runs again. Where nothing else tells who wrote a file, a mark does: this content, under this name,
was left by a run of the stage. The marks are a table of fixed size, one slot for each value of a
part of their digest; a mark that another one took the slot of costs one run that is not remembered.
"""

from __future__ import annotations

import os

from memori.digest.values import encode, text_digest
from memori.files import make_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.layout import Layout

_SLOTS = 4096
_WIDTH = 33  # 32 hexadecimal digits and a line feed


def mark(layout: Layout, files: list[Artifact]) -> None:
    """Note which files, named by inputs, a run of the stage wrote itself."""
    if not files:
        return
    make_folder(layout.records)
    descriptor = os.open(layout.marks, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        for file in files:
            digest = _digest(file)
            os.pwrite(descriptor, f"{digest}\n".encode("ascii"), _slot(digest))
    finally:
        os.close(descriptor)


def is_marked(layout: Layout, file: Artifact) -> bool:
    """Tell whether a run of the stage itself wrote this content under this name."""
    digest = _digest(file)
    try:
        descriptor = os.open(layout.marks, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pread(descriptor, _WIDTH - 1, _slot(digest)) == digest.encode("ascii")
    finally:
        os.close(descriptor)


def _digest(file: Artifact) -> str:
    return text_digest(encode([file.path, file.identity]))[:32]


def _slot(digest: str) -> int:
    return int(digest[:8], 16) % _SLOTS * _WIDTH
