"""Versions of code, to be compared between processes: a worker may hold a module of before an edit.

A process goes on with the modules that it once imported, whatever becomes of their files. So a
worker that outlives an edit does what its functions did before, and one that is started after an
edit does what they do now, while the process that asks holds the older ones. What is told between
two processes is 16 bytes for each function: half of a digest of where it is defined, and half of
one of what it does. Only functions that both hold are compared, and so what one process has filled
in (globals, registries, late imports) makes no difference. What caches held before the first run
(`memori.fingerprint.opaque.put_cached_before`) is told besides: a worker's own are empty.

Not promised: to notice functions that one of the two does not reach, and what was edited in a
module other than its functions.
"""

from __future__ import annotations

import os
from hashlib import sha256
from types import CodeType

from memori.errors import MemoriError, warn
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.opaque import cached_before, hear_of_caches
from memori.fingerprint.walk import is_walking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

_HALF = 8  # bytes


class Versions(bytes):
    """What another process is told of functions; there it hears what caches held here, too."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _heard, (bytes(self), cached_before())


def _heard(versions: bytes, cached: dict[str, list[object]]) -> bytes:
    hear_of_caches(cached)
    return versions


def versions_of(codes: Iterable[CodeType]) -> bytes:
    """Return what another process is told of functions that are reached here."""
    return Versions(b"".join(sorted({_place(code) + code_digest(code)[:_HALF] for code in codes})))


def unlike(theirs: bytes, codes: Iterable[CodeType]) -> list[CodeType]:
    """Return those of the functions reached here that do something else in another process.

    Parameters
    ----------
    theirs : bytes
        What the other process told.
    codes : iterable of code
        Of the functions that are reached here.
    """
    there = _by_place(theirs)
    return [
        code
        for code in codes
        if _place(code) in there and code_digest(code)[:_HALF] not in there[_place(code)]
    ]


def reached_codes(nodes: Iterable[Any]) -> set[CodeType]:
    """Return the code of the functions that stages reach, and those inside what stands as one.

    None of a stage that a walk has met: the walk follows its function, which may reach the stage.
    """
    found: set[CodeType] = set()
    if is_walking():
        return found
    for node in nodes:
        if hasattr(node, "code"):
            try:
                found |= node.code().codes
            except Exception:
                continue  # the call meets the same, and tells it
        else:
            found |= reached_codes(getattr(node, "stages", ()))
    return found


def reject_outdated(subject: str, theirs: bytes, codes: Collection[CodeType]) -> None:
    """Raise an error if functions here are older than in the process that asks for them.

    Parameters
    ----------
    subject : str
        Who reaches the functions, for messages.
    theirs : bytes
        What that process told.
    codes : collection of code
        Of the functions that are reached here.

    Raises
    ------
    MemoriError
        If that is so. Functions that are newer here only give a warning.
    """
    other = unlike(theirs, codes)
    for code in other:
        if not is_of_file(code):
            raise MemoriError(
                f"{subject}: the worker process {os.getpid()} holds {_where(code)} as it was "
                "before an edit: start the workers anew (a new executor; with Dask, "
                "client.restart())"
            )
    for code in other:
        warn(
            f"{subject}: {_where(code)} was edited after the script had imported it, and workers "
            "run it as it is now: run the script again"
        )


def contradict(one: bytes, other: bytes) -> bool:
    """Tell whether two processes, by what they told, hold different versions of a function."""
    there = _by_place(other)
    mine = _by_place(one).items()
    return any(place in there and versions.isdisjoint(there[place]) for place, versions in mine)


def is_of_file(code: CodeType) -> bool:
    """Tell whether a function does what its file says now."""
    try:
        with open(code.co_filename, "rb") as file:
            module = compile(file.read(), code.co_filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    return code_digest(code) in {
        code_digest(each) for each in _nested(module) if each.co_qualname == code.co_qualname
    }


def _where(code: CodeType) -> str:
    return f"{code.co_qualname} ({code.co_filename})"


def _by_place(told: bytes) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for start in range(0, len(told), 2 * _HALF):
        place, version = told[start : start + _HALF], told[start + _HALF : start + 2 * _HALF]
        found.setdefault(place, set()).add(version)
    return found


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _nested(each)


def _place(code: CodeType) -> bytes:
    return sha256(f"{code.co_filename}\0{code.co_qualname}".encode(errors="replace")).digest()[
        :_HALF
    ]
