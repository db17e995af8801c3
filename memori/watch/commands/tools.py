"""Which tools a run started, where their content alone does not tell what they are.

A tool of a suite (FSL, AFNI, FreeSurfer, ...) or of a Python distribution is what its version says,
and it listens to variables of the environment. So of such programs, however deep below a run they
were started, counts what counts of the tool of a `ShellStage`. So does a program of an environment,
whose files do not count one by one. Any other counts as a file.

`memori.neuro.tools` knows them; it is asked by its name when a run has started a program.
"""

from __future__ import annotations

import os
import re

from memori.watch.environment import counted_value
from memori.watch.installed import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from memori.watch.observed import Observed

    Told = dict[str, str | None]

_SYSTEM = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/lib", "/lib")
_LANGUAGE = re.compile(r"python[\d.]*|perl|R|Rscript|octave|julia|ruby|node")
_WHO_KNOWS = "memori.neuro.tools.identity"


def tools_among(programs: Iterable[str]) -> dict[str, Told]:
    """Return what counts of those of some programs (absolute paths) that are tools."""
    found = {path: _ask(path) for path in sorted(programs) if os.path.isfile(path)}
    return {path: told for path, told in found.items() if told}


def tool_differences(tools: Mapping[str, Told]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is not any more as a run found it: ("tool", what, old, new).

    A program that is not there any more differs in nothing: a hit does not need it. One that this
    user has never asked, and would not find under its name, is not asked: it may be started for
    that, and a record names whatever its writer wanted.
    """
    for path, then in tools.items():
        if os.path.isfile(path):
            if not _is_familiar(path):
                yield "tool", path, "another user's", "not known here"
                continue
            now = _ask(path)
            for name in dict.fromkeys((*then, *now)):
                if then.get(name) != now.get(name):
                    yield "tool", name, str(then.get(name)), str(now.get(name))


def tools_now(tools: Mapping[str, Told]) -> dict[str, Told]:
    """Return what counts now of tools that a run started; then, of one that cannot be asked."""
    return {
        path: _ask(path) if os.path.isfile(path) and _is_familiar(path) else then
        for path, then in tools.items()
    }


def called_among(
    commands: Iterable[tuple[str, ...]], programs: Collection[str], tools: Collection[str]
) -> dict[str, str]:
    """Return where those of some programs (absolute paths) lie that were called by their names.

    The system's own are left out, but for languages, which bring their packages, and tools.
    """
    names = {words[0] for words in commands if words and "/" not in words[0]}
    found = looked_up_now(names, tools)
    return {name: path for name, path in found.items() if path in programs}


def looked_up_now(names: Iterable[str], tools: Collection[str]) -> dict[str, str]:
    """Return where programs lie that code has looked up by name; nothing for one that is not there.

    The system's own are left out, but for languages and tools.
    """
    found = {name: _which(name) or "" for name in sorted(names)}
    return {
        name: path
        for name, path in found.items()
        if not path.startswith(_SYSTEM) or path in tools or _LANGUAGE.fullmatch(name)
    }


def sought_in_vain(seen: Observed) -> set[str]:
    """Return the names that programs of a run looked for in all folders of the PATH in vain.

    That they are in none of these tells nothing of a folder that comes into the PATH later.
    """
    if not seen.programs:
        return set()
    absent: dict[str, set[str]] = {}
    for path, touch in seen.touched.items():
        if touch.look is None:
            folder, _, name = path.rpartition("/")
            absent.setdefault(folder, set()).add(name)
    folders = (counted_value("PATH") or "").split(os.pathsep)
    names = [absent.get(os.path.realpath(each), set()) for each in folders if os.path.isabs(each)]
    return set.intersection(*names) if names else set()


def called_now(called: Mapping[str, str]) -> dict[str, str]:
    """Return where programs are found now by their names; where they were, if nowhere."""
    return {name: _which(name) or path for name, path in called.items()}


def call_differences(
    called: Mapping[str, str], tools: Mapping[str, Told], memo: str | None
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the names under which another program is found than a run found: ("tool", ...).

    Or one, where there was none. A PATH that leads to another version (``module load``) changes no
    file. Where a program lies does not count, but for the environment of a Python.
    """
    for name, path in called.items():
        now = _which(name)
        if now is not None and not path:
            yield "tool", name, "not there", now
            continue
        if now is None or now == path or not os.path.isabs(now) or not os.path.isfile(path):
            continue
        if not _is_same(path, now, tools.get(path), memo):
            yield "tool", name, path, now


def _which(name: str) -> str | None:
    """Return where a program is found; a PATH that a run has set is what it was before."""
    from shutil import which

    return which(name, path=counted_value("PATH"))


def _is_same(path: str, now: str, then: Told | None, memo: str | None) -> bool:
    if os.path.realpath(path) == os.path.realpath(now):
        return not (_is_environment(path) or _is_environment(now))
    if then and _is_familiar(now):
        return _placeless(then, path) == _placeless(_ask(now), now)
    from memori.digest.files import file_digest

    try:
        return file_digest(path, memo).hash == file_digest(now, memo).hash
    except OSError:  # one of them may be run and not read
        return False


def _is_environment(program: str) -> bool:
    """Tell whether a program is the Python of a virtual environment."""
    return os.path.isfile(os.path.join(os.path.dirname(program), "..", "pyvenv.cfg"))


def _placeless(told: Told, path: str) -> Told:
    return {what.replace(path, ""): value for what, value in told.items()}


def _is_familiar(path: str) -> bool:
    from importlib import import_module

    is_known: bool = import_module(_WHO_KNOWS).is_familiar(path, os.environ)
    return is_known


def _ask(path: str) -> Told:
    from importlib import import_module

    is_packaged = not path.startswith(_SYSTEM) and bool(installed([path]))
    try:
        ask = import_module(_WHO_KNOWS).told_of
        told: Told = ask(path, os.environ, always=is_packaged)
    except OSError:  # it cannot be read
        return {}
    return told
