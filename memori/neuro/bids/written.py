"""What memori wrote into a folder of derivatives, and from which sources.

A derivative is overwritten only if memori wrote it, from the same source, and nobody changed it
since. Each has a record, below `.memori/derivatives` in the folder itself, that goes where the
folder goes: the source (relative to the folder) and the digests of what memori wrote. It is
written before the file, so that a kill in between leaves a file that is still known. A sidecar has
one of its own; one that the user saved as a derivative is never replaced by a made one.

A derivative whose rerun failed is retracted: moved to `.memori/outdated`, under its own name, until
it is made again. So nothing stands under its name that is not what the pipeline makes today. One
that somebody changed is an error, or goes to `.memori/edited` where that is asked for.

The same source is the same path; after a dataset has moved, the same name of its folder and the
same path below that. A path in a run's own folder counts without the key of the run.

Not promised: that two processes which save one derivative from two sources at once are told apart
where the file system has no locks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

from memori.digest.files import file_digest
from memori.digest.folder import folder_digest
from memori.digest.values import from_text
from memori.errors import MemoriError, warn
from memori.files import atomic_write, remove_if_there
from memori.layout import (
    HIDDEN,
    derivative_record,
    derivative_records,
    is_run_folder,
    locks_of,
    set_aside,
)
from memori.processes.lock import lock

_MOST = 20  # digests in a record
_CHANGED = "it was changed since memori wrote it"
Overwrite: TypeAlias = bool | Literal["edited"]


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
def claimed(
    root: str,
    target: str,
    source: str,
    digest: str,
    *,
    overwrite: Overwrite = False,
    is_sidecar: bool = False,
) -> Iterator[bool | None]:
    """Hold a derivative's name while its file is written; tell whether it has to be.

    None where another file than this has the name for good.

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
    overwrite : bool or "edited", optional
        Whether whatever has the name goes; "edited": whether one that was changed since memori
        wrote it goes, to `.memori/edited`.
    is_sidecar : bool, optional
        Whether it is a made sidecar: then one that the user saved, or wrote, stays.

    Raises
    ------
    DerivativeError
        If a file is there that memori did not write, that was changed since, or that was made
        from another source.
    """
    record = _record(root, target)
    os.makedirs(os.path.dirname(record), exist_ok=True)
    with locked(root, target):
        there = os.path.lexists(target)
        known = _read(record) if there else _NOTHING
        origin = _origin(source, root)
        now = digest_of(target) if os.path.exists(target) else None
        reason = _refusal(known, now, there, origin, source, root, digest)
        if is_sidecar and there and (reason or not known.is_sidecar):
            yield None
            return
        if reason == _CHANGED and overwrite == "edited":
            kept = _move(root, target, "edited")
            warn(
                f"{target!r} was changed since memori wrote it, and is made again; the changed "
                f"one is kept as {kept!r}"
            )
        elif reason and overwrite is not True:
            raise DerivativeError(target, source, reason)
        told = _Record(origin, [*known.digests, digest][-_MOST:], is_sidecar)
        if known.source != origin or digest not in known.digests or known.is_sidecar != is_sidecar:
            _write(record, told)
        yield now != digest
        _remove(set_aside(root, "outdated", os.path.relpath(target, root)))


def _refusal(
    known: _Record, now: str | None, there: bool, origin: str, source: str, root: str, digest: str
) -> str:
    """Say why a file may not be overwritten; "" if it may."""
    if known.source is not None and not _is_same(known.source, origin, source, root):
        other = os.path.normpath(os.path.join(root, known.source))
        return f"it was made from another source, {other!r}"
    if not there or now == digest:
        return ""
    if known.source is None:
        return "memori has no record of having written it"
    if now is not None and now not in known.digests:
        return _CHANGED
    return ""


@contextmanager
def locked(root: str, target: str) -> Iterator[None]:
    """Hold the name of a file in a folder of derivatives."""
    name = os.path.relpath(target, root)
    number = int(hashlib.sha256(os.fsencode(name)).hexdigest()[:15], 16)
    with lock(locks_of(root), number):
        yield


def retract(root: str, target: str) -> bool:
    """Move a derivative that memori wrote out of the way; tell whether it was there.

    One that was edited since stays, for it is somebody's work.
    """
    with locked(root, target):
        known = _read(_record(root, target))
        if not os.path.exists(target) or digest_of(target) not in known.digests:
            return False
        _move(root, target, "outdated")
        return True


def _move(root: str, target: str, why: str) -> str:
    """Move a file or folder out of the way; return where to."""
    aside = set_aside(root, why, os.path.relpath(target, root))
    os.makedirs(os.path.dirname(aside), exist_ok=True)
    _remove(aside)
    os.rename(target, aside)
    return aside


def outdated(root: str) -> list[str]:
    """List the names of derivatives that were retracted, relative to the root."""
    above = set_aside(root, "outdated", "")
    found = [os.path.join(top, name) for top, _, names in os.walk(above) for name in names]
    return sorted(os.path.relpath(path, above) for path in found)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_if_there(path)


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, or of the names and contents in a folder."""
    if os.path.isdir(path):
        return folder_digest(path, lambda inner: file_digest(inner, None).hash)
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Known(NamedTuple):
    """A derivative that memori wrote, as it wrote it last.

    Attributes
    ----------
    path, source : str
        It, and what it was made from; absolute.
    sha256 : str
        Of what memori wrote last.
    is_sidecar : bool
        Whether it is a made sidecar.
    """

    path: str
    source: str
    sha256: str
    is_sidecar: bool


def known_below(folder: str) -> Iterator[Known]:
    """Yield the derivatives that memori wrote at or below a folder and that are there."""
    for root, inner, _ in os.walk(folder):
        if HIDDEN in inner:
            inner.remove(HIDDEN)
            yield from _known_in(root)


def known_around(path: str) -> Iterator[Known]:
    """Yield the derivatives that memori wrote in the folders that an absolute path lies in."""
    root = os.path.dirname(path)
    while root != os.path.dirname(root):
        yield from _known_in(root)
        root = os.path.dirname(root)


def _known_in(root: str) -> Iterator[Known]:
    records = derivative_records(root)
    for place, _, names in os.walk(records):
        for name in sorted(names):
            told = _read(os.path.join(place, name))
            inside = os.path.relpath(os.path.join(place, name), records)
            path = os.path.join(root, inside.removesuffix(".json"))
            if told.source is not None and told.digests and os.path.lexists(path):
                source = os.path.normpath(os.path.join(root, told.source))
                yield Known(path, source, told.digests[-1], told.is_sidecar)


class _Record(NamedTuple):
    """What memori knows of a derivative: its source, the digests of what it wrote."""

    source: str | None
    digests: list[str]
    is_sidecar: bool = False


_NOTHING = _Record(None, [])


def _record(root: str, target: str) -> str:
    return derivative_record(root, os.path.relpath(target, root))


def _read(record: str) -> _Record:
    """Return what a record says; a broken one is none."""
    try:
        with open(record, encoding="utf-8") as stream:
            found = from_text(stream.read())
        digests = [str(each) for each in found["sha256"]]
        return _Record(str(found["source"]), digests, bool(found.get("sidecar")))
    except (OSError, ValueError, KeyError, TypeError):
        return _NOTHING


def _write(record: str, told: _Record) -> None:
    said: dict[str, object] = {"source": told.source, "sha256": told.digests}
    said |= {"sidecar": True} if told.is_sidecar else {}
    text = json.dumps(said, indent=2, ensure_ascii=False)
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
