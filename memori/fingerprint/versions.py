"""Versions of code, to be compared between processes: a worker may hold a module of before an edit.

A process goes on with the modules that it once imported, whatever becomes of their files. So a
worker that outlives an edit does what its functions did before, and one that is started after an
edit does what they do now, while the process that asks holds the older ones. What is told between
two processes is 16 bytes for each function: half of a digest of where it is defined, and half of
one of what it does. Only functions that both hold are compared, and so what one process has filled
in (globals, registries, late imports) makes no difference. What caches held before the first run
(`memori.fingerprint.opaque.put_cached_before`) is told besides: a worker's own are empty.
So are plain values that modules hold, which a script may have set since it imported them
(``config.threshold = args.threshold``), what it has set in libraries (``plt.rcParams``), and what
it does to them at its top or in its ``main`` (``np.random.seed(1)``).

Not promised: to notice functions that one of the two does not reach, what was edited in a
module other than its functions, and what a script has set in a module to other than plain values.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from types import CodeType

from memori.errors import MemoriError, warn
from memori.fingerprint.bytecode import code_digest
from memori.fingerprint.imports.set_up import hear_of_set_up, told_of_set_up
from memori.fingerprint.imports.settings import library_of, take_of_libraries
from memori.fingerprint.opaque import cached_before, hear_of_caches
from memori.fingerprint.walk import is_walking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from memori.fingerprint.code import Code

    Set = dict[tuple[str, str], object]
    Told = tuple[tuple[str, int], Set, Set]

_HALF = 8  # bytes
_MOST = 1000  # items of one setting


class Versions(bytes):
    """What another process is told of functions; there it hears what caches held here, too.

    Attributes
    ----------
    settings : tuple of tuple and two dicts
        Machine and process, the plain values that modules hold there, by the names of the module
        and of the value, and those set in libraries; None if nobody is to take them.
    """

    settings: Told | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _heard, (bytes(self), cached_before(), self.settings, told_of_set_up())


def _heard(
    versions: bytes, cached: dict[str, list[object]], settings: Told | None, set_up: bytes | None
) -> bytes:
    hear_of_caches(cached)
    hear_of_set_up(set_up)
    told = Versions(versions)
    told.settings = settings
    return told


def told_of(node: Any) -> bytes:
    """Return what another process is told of a stage: its functions, and the settings it reads."""
    told = versions_of(reached_codes([node]))
    if is_walking():  # a fingerprint asks what a stage holds, which no process may change
        return told
    told.settings = _process(), {}, {}
    try:
        values = node.code().values
        told.settings = _process(), _settings(values), _settings_of_libraries(values)
    except Exception:
        pass  # the call meets the same, and tells it
    return told


def _settings(values: Iterable[tuple[object, str, object]]) -> Set:
    """Return the plain ones among (namespace, name, value) of modules that others import, too."""
    found: Set = {}
    for space, name, value in values:
        module = space.get("__name__") if isinstance(space, dict) else None
        if type(module) is not str or module == "__main__" or not _is_plain(value):
            continue
        if getattr(sys.modules.get(module), "__dict__", None) is space:
            found[module, name] = value
    return found


def _settings_of_libraries(values: Iterable[tuple[object, str, object]]) -> Set:
    """Return the plain ones among (place, name, value) that were set in libraries."""
    found = ((library_of(place), name, value) for place, name, value in values)
    return {(of, name): value for of, name, value in found if of and _is_plain(value)}


def _is_plain(value: object) -> bool:
    """Tell whether a value is one that compares by what it says, in any process."""
    if isinstance(value, (dict, list, tuple)) and len(value) > _MOST:
        return False  # data, and no setting
    if isinstance(value, dict):
        return type(value) is dict and all(map(_is_plain, (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def take_settings(subject: str, theirs: bytes, here: Code) -> bool:
    """Set what modules hold here as in the process that asks; tell whether anything was set.

    A worker imports a module anew, and so without what a script has set in it since. On another
    machine it may have to differ (a folder for scratch): there is a warning.
    """
    told: Told | None = getattr(theirs, "settings", None)
    if told is None or told[0] == _process():
        return False
    process, settings, of_libraries = told
    is_set = take_of_libraries(of_libraries, _settings_of_libraries(here.values))
    for (module, name), value in _settings(here.values).items():
        asked = settings.get((module, name), value)
        if type(asked) is type(value) and repr(asked) == repr(value):
            continue
        if process[0] != _process()[0]:
            warn(
                f"{subject}: {module}.{name} is {asked!r} in the script and {value!r} in the "
                f"worker process {os.getpid()}, which goes by its own: pass it to the stage as an "
                f"argument, or set it in the file of {module}"
            )
            continue
        is_set = True
        if isinstance(value, dict) and isinstance(asked, dict):  # others may hold the same one
            value.clear()
            value.update(asked)
        elif isinstance(value, list) and isinstance(asked, list):
            value[:] = asked
        else:
            setattr(sys.modules[module], name, asked)
    return is_set


def _process() -> tuple[str, int]:
    return os.uname().nodename, os.getpid()


def versions_of(codes: Iterable[CodeType]) -> Versions:
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
