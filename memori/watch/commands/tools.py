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
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from memori.watch.observed import Observed

    Told = dict[str, str | None]

_SYSTEM = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/lib", "/lib")
_LANGUAGE = re.compile(r"python[\d.]*|perl|R|Rscript|octave|julia|ruby|node")
_PROGRAMS = ("bin", "sbin", "libexec", "scripts")
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


def called_among(commands: Iterable[tuple[str, ...]], programs: Collection[str]) -> dict[str, str]:
    """Return where those of some programs (absolute paths) lie that were called by their names.

    Of one that was reached through a link, by whatever path, also where it lies without.
    """
    names = {words[0] for words in commands if words and "/" not in words[0]}
    found = {name: path for name, path in looked_up_now(names).items() if path in programs}
    own = [path for path in sorted(programs) if not path.startswith(_SYSTEM)]
    real = {path: os.path.realpath(path) for path in own if os.path.isfile(path)}
    return {**found, **{path: lies for path, lies in real.items() if path != lies}}


def looked_up_now(names: Iterable[str]) -> dict[str, str]:
    """Return where programs lie that were looked up by name; nothing for one that is not there."""
    folders = _folders()
    return {name: _which(name, folders) or "" for name in sorted(names)}


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
    folders = _folders()
    return {name: _which(name, folders) or path for name, path in called.items()}


def call_differences(
    called: Mapping[str, str],
    tools: Mapping[str, Told],
    memo: str | None,
    absent: Collection[str],
    is_around: Callable[[str, str, str], bool],
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the names under which another program is found than a run found: ("tool", ...).

    Or one, where there was none. A PATH that leads to another version (``module load``) changes no
    file. Where a program lies does not count, but for one of an environment, and where what the run
    read around it is not around the other: a launcher is the same in all versions. The system's
    own count by their names, as long as none that is found before them is another.

    Parameters
    ----------
    absent : collection of str
        Paths where nothing is, as when the run looked for them.
    is_around : callable
        Tells of two programs whether what the run saw around the first, below a folder, is so
        around the second.
    """
    folders = _folders()
    for name, path in called.items():
        now = _which(name, folders, path, absent)
        if now is not None and not path:
            yield "tool", name, "not there", now
            continue
        if now is None or now == path or not os.path.isabs(now) or not os.path.isfile(path):
            continue
        if _is_system(name, path, tools) and _is_system(name, now, tools):
            continue
        if not (_is_same(path, now, tools.get(path), memo) and _are_around(path, now, is_around)):
            yield "tool", name, path, now


def _folders() -> list[str]:
    """Return the folders in which programs are looked for; a PATH that a run has set is undone."""
    return (counted_value("PATH") or os.defpath).split(os.pathsep)


def _which(
    name: str, folders: Iterable[str], known: str = "", absent: Collection[str] = ()
) -> str | None:
    """Return where a program is found, or of a path, where it lies without links.

    It is not asked whether one is at `known`, nor where nothing is.
    """
    if os.path.isabs(name):
        return os.path.realpath(name) if os.path.isfile(name) else None
    if os.sep in name:
        return name if _is_program(name) else None
    for folder in folders:
        path = f"{folder or os.curdir}/{name}"
        if path == known or (path not in absent and _is_program(path)):
            return path
    return None


def _is_program(path: str) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


def _is_system(name: str, path: str, tools: Collection[str]) -> bool:
    """Tell whether a program is the system's, and neither a tool nor a language with packages."""
    return path.startswith(_SYSTEM) and path not in tools and not _LANGUAGE.fullmatch(name)


def _is_same(path: str, now: str, then: Told | None, memo: str | None) -> bool:
    marks = ("conda-meta",) if then else ("conda-meta", "pyvenv.cfg")  # a distribution is told
    if any(_is_environment(each, marks) for each in (path, now)):
        return False
    if os.path.realpath(path) == os.path.realpath(now):
        return True
    if then and _is_familiar(now):
        return _placeless(then, path) == _placeless(_ask(now), now)
    from memori.digest.files import file_digest

    try:
        return file_digest(path, memo).hash == file_digest(now, memo).hash
    except OSError:  # one of them may be run and not read
        return False


def _is_environment(program: str, marks: Iterable[str]) -> bool:
    """Tell whether a program is one of an environment: of conda, or a virtual one of Python."""
    above = os.path.join(os.path.dirname(program), "..")
    return any(os.path.exists(os.path.join(above, each)) for each in marks)


def _are_around(path: str, now: str, is_around: Callable[[str, str, str], bool]) -> bool:
    """Tell whether a run that found one program by its name had found the same around another."""
    pairs = {(path, now), (os.path.realpath(path), os.path.realpath(now))}
    return all(
        one == other or is_around(one, other, _home(one, other))
        for one, other in pairs
        if not (one.startswith(_SYSTEM) or other.startswith(_SYSTEM))  # whose files do not count
    )


def _home(program: str, other: str) -> str:
    """Return the folder in which a program's own files lie, unless another lies otherwise."""
    folders = os.path.dirname(program), os.path.dirname(other)
    is_below = any(os.path.basename(folder) in _PROGRAMS for folder in folders)
    return os.path.dirname(folders[0]) if is_below else folders[0]


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
