"""Where a saved value goes, and how it gets there whole.

Every `save_*` of memori.neuro ends here. A value is streamed to a file of a unique name beside its
target and renamed over it: a reader, or the next run after a kill, finds the old file or the new
one, never half, and a program that still maps the old file keeps it.

Without a path the file goes to the folder of the running stage (`memori.workdir()`) under a name
of its kind: ``array.npy``, ``array-2.npy``, ``array-3.npy`` in the order of the calls. A name is
claimed in the folder itself, at the start of the call, so that threads and child processes of one
run never share one.

Not promised: names in the order of the code when several threads save at once (give paths there),
and the newest file after a power failure (nothing is fsynced; a digest would notice).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import BinaryIO

from memori.errors import MemoriError
from memori.files import partial_of
from memori.neuro.filenames import split


def save(
    write: Callable[[BinaryIO], object],
    path: str | os.PathLike[str] | None,
    *,
    default: str,
    caller: str,
) -> str:
    """Let `write` fill a new file and put it at `path`, whole or not at all.

    Parameters
    ----------
    write : callable
        Called once with a binary file open for writing (a real one: it has a descriptor).
    path : str, os.PathLike or None
        The target; None stands for a free name in the running stage's own folder.
    default : str
        The file name for that case, with its suffix.
    caller : str
        The function that the user called, for the messages.

    Returns
    -------
    str
        The target's path, as it was given.

    Raises
    ------
    MemoriError
        If no path is given and no stage is running.
    FileNotFoundError
        If the target's folder does not exist.
    OSError
        If the file cannot be written; what stood at `path` before still stands.
    """
    if path is not None:
        target = os.fspath(path)
        _write_whole(target, write, caller)
        return target
    target = _claim(default, caller)
    try:
        _write_whole(target, write, caller)
    except BaseException:
        os.unlink(target)
        raise
    return target


def suffix_of(path: str | os.PathLike[str], suffixes: tuple[str, ...], caller: str) -> str:
    """Which of `suffixes` (longest first) the path ends with; ValueError if none."""
    name = os.fspath(path)
    for suffix in suffixes:
        if name.endswith(suffix) and os.path.basename(name) != suffix:
            return suffix
    raise ValueError(f"{caller} writes {' or '.join(suffixes)}, by the name: got {name!r}")


def _write_whole(target: str, write: Callable[[BinaryIO], object], caller: str) -> None:
    folder, name = os.path.split(target)
    if not os.path.isdir(folder or "."):
        raise FileNotFoundError(
            f"{caller}: the folder {folder!r} of {name!r} does not exist: make it first"
        )
    partial = partial_of(target)
    with open(partial, "xb") as stream:
        try:
            write(stream)
            stream.close()  # a full disk may show only here, and must before the rename
            os.replace(partial, target)
        except BaseException:
            os.unlink(partial)
            raise


def _claim(default: str, caller: str) -> str:
    """Create an empty file under the first free name of this kind in the run's folder."""
    folder = _run_folder(default, caller)
    stem, suffix = split(default)
    for number in count(1):
        name = default if number == 1 else f"{stem}-{number}{suffix}"
        path = os.path.join(folder, name)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable: the numbers do not end")


def _run_folder(default: str, caller: str) -> str:
    from memori import workdir

    try:
        return os.fspath(workdir())
    except MemoriError as error:
        raise MemoriError(
            f"{caller} got no path, and no stage is running whose folder it could use: "
            f"give a path, such as {caller}(..., 'results/{default}')"
        ) from error
