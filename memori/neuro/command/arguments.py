"""The arguments that a function returns, asked for once for each run.

A function for a command is itself remembered. What it answered is kept in the user's cache, and
used to decide again while its code, what it is given, the content of the files and folders that
this names, the environment and the current folder are the same; so a hit does not call it. What a
run executes was always answered for that run, and what the function was seen to read counts for
it like all that a run reads. A function that opened or listed anything but its inputs (and logs to
which it only appends), asked what is there, or ran a program, is asked for each decision.

There are `PLACES` places for answers, each of which holds the latest: losing one costs a call.

The paths of outputs that a function is given lie in a folder that is not there yet: it may take
them apart and join them, but not make them relative.

Not promised: to see that a function asked what time it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memori.digest.files import file_digest, reads_always
from memori.digest.folder import folder_digest
from memori.digest.values import encode, strings, text_digest
from memori.files import atomic_write, remove_if_there, sealed, unsealed
from memori.neuro.command.fields import TemplateError, text_of
from memori.neuro.tools.identity import cache_folder
from memori.signature.paths import with_paths
from memori.watch import watching
from memori.watch.observed import current
from memori.watch.told import adopts

if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.signature.paths import Shape
    from memori.watch import Observed

PLACES = 65_536
_MOST = 1024  # answers that a process remembers
_recalled: dict[str, list[str]] = {}


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
    seen : Observed or None
        What it was seen to do when it was asked before its run.
    """

    argv: tuple[str, ...]
    given: str
    recalled: str | None = None
    seen: Observed | None = None

    def count_for_run(self) -> None:
        """Let what the function read and listed count for the run that goes on."""
        run = current.get()
        if run is not None and self.seen is not None:
            adopts(run, self.seen)


def answer(
    function: Callable[..., Sequence[object]],
    name: str,
    given: Mapping[str, JSON],
    code: Code | None,
    shapes: Mapping[str, Shape],
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
    shapes : Mapping of str to Shape
        Which of its parameters are given paths as such.

    Raises
    ------
    TemplateError
        If it returns no list of arguments.
    """
    text = encode(dict(given))
    if code is None:
        return Answer(tuple(_ask(function, name, given, shapes)), text)
    files = dict(_files(given))
    about = text_digest(encode([code.fast, text, files, _environment(), os.getcwd()]))
    known = _recall(about)
    if known is not None:
        return Answer(tuple(known), text, recalled=about)
    try:
        with watching() as seen:
            argv = _ask(function, name, given, shapes)
    finally:
        code.settle()
    if _looked_only_at(seen, files):
        _keep(about, argv)
    return Answer(tuple(argv), text, seen=seen)


def forget(said: Answer) -> None:
    """Ask again next time: a function gave another answer to the same."""
    if said.recalled is not None:
        _recalled.pop(said.recalled, None)
        remove_if_there(_place(said.recalled))


def _ask(
    function: Callable[..., Sequence[object]],
    name: str,
    given: Mapping[str, JSON],
    shapes: Mapping[str, Shape],
) -> list[str]:
    made = function(**with_paths(given, shapes))
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


def _environment() -> dict[str, str]:
    """Return the variables, but for those by which memori's own processes know each other."""
    return {name: text for name, text in os.environ.items() if not name.startswith("MEMORI_")}


def _looked_only_at(seen: Observed, files: Collection[str]) -> bool:
    """Tell whether a function did nothing but read some files, and write a log, as was seen."""
    did_more = seen.programs or seen.folders or seen.globs or seen.network or seen.made
    asked = seen.found or seen.looked_up or seen.links
    return not (did_more or asked or seen.faults) and all(
        touch.appends if touch.written else path in files for path, touch in seen.touched.items()
    )


def _identity(path: str) -> str:
    return file_digest(path, cache_folder("files")).identity


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
