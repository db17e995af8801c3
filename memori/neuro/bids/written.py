"""What memori wrote into a folder of derivatives, and from which sources.

A derivative is overwritten only if memori wrote it, from the same source, and nobody changed it
since. Each has a record, below `.memori/derivatives` in the folder itself, that goes where the
folder goes: the source (relative to the folder) and the digests of what memori wrote. It is
written before the file, so that a kill in between leaves a file that is still known.

The same source is the same path; after a dataset has moved, the same name of its folder and the
same path below that. A path in a run's own folder counts without the key of the run.

Not promised: that two processes which save one derivative from two sources at once are told apart
where the file system has no locks.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from memori.errors import MemoriError
from memori.files import atomic_write
from memori.layout import derivative_record, is_run_folder, locks_of
from memori.processes.lock import lock

_MOST = 20  # digests in a record


class DerivativeError(MemoriError):
    """A derivative was not saved because a file that memori may not overwrite has its name.

    Attributes
    ----------
    path : str
        The file.
    source : str
        What the derivative was made from.
    """

    def __init__(self, path: str, source: str, reason: str) -> None:
        super().__init__(
            f"{path!r} is not overwritten by a derivative of {source!r}: {reason}. Give this one "
            "another name (desc=..., acq=...) or folder; or, if it can go, remove the file"
        )
        self.path = path
        self.source = source

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self.args, self.__dict__)


def _restore(args: tuple[object, ...], facts: dict[str, object]) -> DerivativeError:
    error = DerivativeError.__new__(DerivativeError, *args)
    error.__dict__.update(facts)
    return error


@contextmanager
def claimed(root: str, target: str, source: str, digest: str) -> Iterator[bool]:
    """Hold a derivative's name while its file is written; tell whether it has to be.

    Parameters
    ----------
    root : str
        The folder of derivatives.
    target : str
        The derivative's path in it.
    source : str
        What it was made from.
    digest : str
        SHA-256 of what it is going to hold.

    Raises
    ------
    DerivativeError
        If a file is there that memori did not write, that was changed since, or that was made
        from another source.
    """
    name = os.path.relpath(target, root)
    record = derivative_record(root, name)
    os.makedirs(os.path.dirname(record), exist_ok=True)
    number = int(hashlib.sha256(os.fsencode(name)).hexdigest()[:15], 16)
    with lock(locks_of(root), number):
        there = os.path.lexists(target)
        known, digests = _read(record) if there else (None, [])
        origin = _origin(source, root)
        if known is not None and not _is_same(known, origin, source, root):
            other = os.path.normpath(os.path.join(root, known))
            raise DerivativeError(target, source, f"it was made from another source, {other!r}")
        now = digest_of(target) if os.path.isfile(target) else None
        if there and now != digest:
            if known is None:
                reason = "memori has no record of having written it"
                raise DerivativeError(target, source, reason)
            if now is not None and now not in digests:
                raise DerivativeError(target, source, "it was changed since memori wrote it")
        if known != origin or digest not in digests:
            _write(record, origin, [*digests[1 - _MOST :], digest])
        yield now != digest


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(record: str) -> tuple[str | None, list[str]]:
    """Return the source that a record names and the digests; a broken one is none."""
    try:
        with open(record, encoding="utf-8") as stream:
            found = json.load(stream)
        return str(found["source"]), [str(each) for each in found["sha256"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None, []


def _write(record: str, source: str, digests: list[str]) -> None:
    text = json.dumps({"source": source, "sha256": digests}, indent=2, ensure_ascii=False)
    atomic_write(record, f"{text}\n".encode("utf-8", "surrogateescape"))


def _origin(source: str, root: str) -> str:
    """Return a source relative to the root, without links on the way and the key of a run."""
    folder, name = os.path.split(os.path.abspath(source))
    folder = os.path.realpath(folder)  # the file itself may be a link, of DataLad
    stage = os.path.dirname(folder)
    if is_run_folder(os.path.dirname(stage), os.path.relpath(folder, os.path.dirname(stage))):
        folder = os.path.join(stage, "*")
    return os.path.relpath(os.path.join(folder, name), os.path.realpath(root))


def _is_same(known: str, origin: str, source: str, root: str) -> bool:
    if known == origin:
        return True
    moved = not os.path.lexists(os.path.join(root, known)) and os.path.lexists(source)
    return moved and "/*/" not in known and _in_dataset(known) == _in_dataset(origin)


def _in_dataset(path: str) -> list[str]:
    """Return the name of the dataset's folder and the path below it, as parts."""
    parts = path.split(os.sep)
    first = next((n for n, part in enumerate(parts) if part.startswith("sub-")), len(parts) - 1)
    return parts[max(0, first - 1) :]
