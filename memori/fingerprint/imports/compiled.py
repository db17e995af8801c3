"""Whether what Python would run is what the source of a module says.

Python runs a module's compiled file if that notes the size of the source and the second in which it
was modified. A source that was edited again within that second, at the same size, is not noticed:
what was compiled before runs, and its results are not those of the source. A compiled file that is
never compared with its source (``--invalidation-mode unchecked-hash``) goes on running after every
edit.

A compiled file that was written after the last change of its source is believed; only otherwise is
the source compiled to compare.
"""

from __future__ import annotations

import os
import sys

from memori.digest.memo import Memo
from memori.fingerprint.bytecode import code_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_HEAD = 16  # bytes before the code: magic number, flags, then a hash, or time and size
_BY_HASH, _CHECKED = 1, 2
_COMPILING = 100_000_000  # ns that may pass between the reading of a source and the writing
_WORD = 0xFFFFFFFF
_known: Memo[str, tuple[object, str]] = Memo(1000)


def outdated(path: str) -> str:
    """Return the digest of the compiled code that runs in the place of a source.

    Parameters
    ----------
    path : str
        The source.

    Returns
    -------
    str
        Hexadecimal; empty if what runs is what the source says, or if nobody can tell.
    """
    system: Any = sys.modules["_frozen_importlib_external"]
    try:
        compiled = system.cache_from_source(path)
        source, made = os.stat(path), os.stat(compiled)
    except (OSError, NotImplementedError):
        return ""
    stamps = [(each.st_mtime_ns, each.st_ctime_ns, each.st_size) for each in (source, made)]
    known = _known.get(path)
    if known is None or known[0] != stamps:
        try:
            found = _outdated(path, compiled, source, made, system.MAGIC_NUMBER)
        except (OSError, ValueError, EOFError, TypeError, SyntaxError, RecursionError):
            found = ""  # Python cannot run one of them either
        known = stamps, found
        _known.keep(path, known)
    return known[1]


def was_compiled(compiled: str, source: os.stat_result) -> bool:
    """Tell whether a compiled file notes the second and the size of a source.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(compiled, "rb") as file:
        return _noted(file.read(_HEAD))[1:] == _notes_of(source)


def _noted(content: bytes) -> tuple[int, int, int]:
    """Return flags, second and size from the head of a compiled file."""
    flags, second, size = (
        int.from_bytes(content[at : at + 4], "little") for at in range(4, _HEAD, 4)
    )
    return flags, second, size


def _notes_of(source: os.stat_result) -> tuple[int, int]:
    return int(source.st_mtime) & _WORD, source.st_size & _WORD


def _outdated(
    path: str, compiled: str, source: os.stat_result, made: os.stat_result, magic: bytes
) -> str:
    with open(compiled, "rb") as file:
        content = file.read()
    flags, *noted = _noted(content)
    if content[:4] != magic or (flags & _BY_HASH and flags & _CHECKED):
        return ""
    if not flags & _BY_HASH:
        if tuple(noted) != _notes_of(source):
            return ""  # Python notices, and compiles anew
        if made.st_mtime_ns > source.st_ctime_ns + _COMPILING:
            return ""
    from marshal import loads

    load: Callable[[bytes], CodeType] = loads
    with open(path, "rb") as file:
        now = compile(file.read(), path, "exec", dont_inherit=True)
    then = code_digest(load(content[_HEAD:]))
    return "" if then == code_digest(now) else then.hex()
