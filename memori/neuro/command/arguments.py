"""The arguments that a function returns, asked for once for each run.

A function for a command is itself remembered. What it answered is kept in the user's cache, and
used to decide again while its code, what it is given, the content of the files and folders that
this names, the environment and the current folder are the same; so a hit does not call it. What a
run executes was always answered in that run. A function that opened or listed anything but its
inputs, or ran a program, is asked each time.

There are `PLACES` places for answers, each of which holds the latest: losing one costs a call.

The paths of outputs that a function is given lie in a folder that is not there yet: it may take
them apart and join them, but not make them relative.

Not promised: to see that a function asked whether a file is there, or what time it is.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from memori.digest.files import file_digest, reads_always
from memori.digest.folder import folder_digest
from memori.digest.values import encode, strings, text_digest
from memori.files import atomic_write, remove_if_there, sealed, unsealed
from memori.neuro.command.fields import TemplateError, text_of
from memori.neuro.tools.identity import cache_folder

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.fingerprint import Code

PLACES = 65_536
_MOST = 1024  # answers that a process remembers
_recalled: dict[str, list[str]] = {}
_LOOKS = frozenset({"open", "os.listdir", "os.scandir", "subprocess.Popen", "os.system", "os.exec",
                    "os.posix_spawn", "os.fork", "socket.connect"})  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a function said.

    Attributes
    ----------
    argv : tuple of str
        The arguments.
    given : str
        What it was given, as text.
    recalled : str or None
        What it was asked in an earlier run, if it was not asked now.
    """

    argv: tuple[str, ...]
    given: str
    recalled: str | None = None


def answer(
    function: Callable[..., Sequence[object]],
    name: str,
    given: Mapping[str, JSON],
    code: Code | None,
) -> Answer:
    """Return the arguments for what a function is given.

    Parameters
    ----------
    function : callable
        Returns a list of arguments.
    name : str
        What errors call it.
    given : Mapping of str to JSON
        Its keywords; paths are absolute.
    code : Code, optional
        Its fingerprint; without one it is asked in any case, and nothing is kept.

    Raises
    ------
    TemplateError
        If it returns no list of arguments.
    """
    text = encode(dict(given))
    if code is None:
        return Answer(tuple(_ask(function, name, given)), text)
    files = dict(_files(given))
    about = text_digest(encode([code.fast, text, files, dict(os.environ), os.getcwd()]))
    known = _recall(about)
    if known is not None:
        return Answer(tuple(known), text, recalled=about)
    try:
        with _Looking() as seen:
            argv = _ask(function, name, given)
    finally:
        code.settle()
    if all(path in files for path in seen.paths):
        _keep(about, argv)
    return Answer(tuple(argv), text)


def forget(said: Answer) -> None:
    """Ask again next time: a function gave another answer to the same."""
    if said.recalled is not None:
        _recalled.pop(said.recalled, None)
        remove_if_there(_place(said.recalled))


def _ask(
    function: Callable[..., Sequence[object]], name: str, given: Mapping[str, JSON]
) -> list[str]:
    made = function(**given)
    if not isinstance(made, (list, tuple)):
        raise TemplateError(
            f"{name!r} returned {made!r}; a function for a command returns the list of its "
            "arguments, each an element of its own"
        )
    return [text_of(f"an argument of {name}", each) for each in flat(made)]


def flat(values: Iterable[Any]) -> Iterator[Any]:
    """Yield the elements of lists inside lists."""
    for each in values:
        if isinstance(each, (list, tuple)):
            yield from flat(each)
        else:
            yield each


def _files(given: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Yield the path and the content of each file and folder that the values name."""
    for name, value in given.items():
        for _, path in strings(value, (name,)) if isinstance(value, (str, list, dict)) else ():
            if path[:1] != os.sep or "\0" in path:
                continue
            if os.path.isfile(path):
                yield path, _identity(path)
            elif os.path.isdir(path):
                yield path, folder_digest(path, _identity)


def _identity(path: str) -> str:
    return file_digest(path, cache_folder("files")).identity


# What a function looks at while it is asked


class _Looking:
    """Notes what this thread opens, lists and runs inside a with block, imports aside."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __enter__(self) -> _Looking:
        global _hooked
        if not _hooked:
            _hooked = True
            sys.addaudithook(_note)
        self.frame = sys._getframe(1)
        self.outer = getattr(_thread, "looking", None)
        _thread.looking = self
        return self

    def __exit__(self, *error: object) -> None:
        _thread.looking = self.outer


_thread = threading.local()
_hooked = False


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _LOOKS:
        return
    looking = getattr(_thread, "looking", None)
    if looking is None:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not looking.frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return  # what an import reads is code, and counts as such
        frame = frame.f_back
    opened = arguments[0] if event == "open" else None
    looking.paths.append(os.path.abspath(opened) if isinstance(opened, str) else event)


# What was answered


def _place(about: str) -> str:
    return os.path.join(cache_folder("arguments"), f"{int(about[:8], 16) % PLACES:04x}")


def _recall(about: str) -> list[str] | None:
    if reads_always():
        return None
    if about in _recalled:
        return _recalled[about]
    try:
        with open(_place(about), "rb") as file:
            told = json.loads(unsealed(file.read()))
        if told["about"] == about:
            return _remember(about, list(map(str, told["argv"])))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # lost, broken, or of another: it is asked
    return None


def _remember(about: str, argv: list[str]) -> list[str]:
    if len(_recalled) >= _MOST:
        _recalled.clear()
    _recalled[about] = argv
    return argv


def _keep(about: str, argv: list[str]) -> None:
    _remember(about, argv)
    place = _place(about)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        atomic_write(place, sealed(json.dumps({"about": about, "argv": argv}).encode()))
    except OSError:
        pass  # costs a call only
