"""What a command is: where it lies, its version, and which environment it listens to.

The identity of a command is the version that its suite reports (`memori.neuro.tools.suites`), else
that of the Python distribution which installed it (for the launchers that pip writes, whose content
never changes), else the SHA-256 of its executable or script (its size and time where it may not be
read). A script that lies where a suite is installed, and whose name only looks like the suite's,
has both.

Asking takes up to half a second, so the answer is kept, in memory and below
``~/.cache/memori/tools`` (``XDG_CACHE_HOME``), as long as the stat of the files that it depends on
stays the same, and none appears that would have been asked first. Losing that cache costs time
only; ``MEMORI_VERIFY=content`` turns it off.

Not promised: to see a changed shared library, or a changed program that a script calls. Name
such programs with ``uses=`` and such files with ``depends_on=``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from memori.digest.files import file_digest, reads_always, stat_of
from memori.errors import MemoriError
from memori.files import atomic_write
from memori.neuro.tools.entry_points import distribution_behind
from memori.neuro.tools.suites import Suite, suite_of

Stats = list[list[int] | None]

_PATIENCE = 60  # seconds that a tool has to tell its version
_YOUNG = 2.0  # seconds before a stat can vouch for a content
_SCHEMA = 2  # of what is kept; the first knew no files that are not there


class _Known(NamedTuple):
    """An answer, and the stats of the files that it depends on; None for one that is not there."""

    evidence: list[str]
    stats: Stats
    identity: str


_known: dict[str, _Known] = {}


class ToolError(MemoriError):
    """A program that a stage needs cannot be used.

    Attributes
    ----------
    command : str
        Its name.
    provided_by : str
        Where to get it, where that is known.
    """

    def __init__(self, message: str, command: str, provided_by: str = "") -> None:
        super().__init__(message)
        self.command = command
        self.provided_by = provided_by


def find(command: str, environment: Mapping[str, str], cwd: str | None = None) -> str | None:
    """Return the absolute path of a program, or None if there is none.

    Folders of PATH that are not absolute are passed over, unless it runs in a folder `cwd` of the
    user's: a command runs in a folder of its own else, and what lies there is not a program. After
    PATH comes the folder of this Python, where pip puts programs (niimath), so that a virtual
    environment need not be activated.
    """
    if os.sep in command:
        path = os.path.abspath(command)
        return path if _is_program(path) else None
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    for folder in (*folders, os.path.dirname(sys.executable or "")):
        folder = folder if cwd is None else os.path.abspath(os.path.join(cwd, folder))
        if folder[:1] == os.sep and _is_program(f"{folder}/{command}"):
            return f"{folder}/{command}"
    return None


def _is_program(path: str) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


def require(command: str, environment: Mapping[str, str], cwd: str | None = None) -> str:
    """Return the path of a program, as `find` does.

    Raises
    ------
    ToolError
        If it is not installed; the message says where to get it.
    """
    path = find(command, environment, cwd)
    if path is not None:
        return path
    suite = suite_of(os.path.basename(command))
    if os.sep in command:
        reason = "is not executable" if os.path.exists(command) else "does not exist"
        raise ToolError(f"the program {command} {reason}", command)
    if len(command.split()) > 1:
        raise ToolError(
            f"there is no program {command!r}: a program and its arguments are words of their own, "
            f"such as {command.split()}",
            command,
        )
    hint = "install it"
    if suite is not None:
        is_part = "is" if command in suite.commands else "may be"
        hint = f"it {is_part} part of {suite.name} ({suite.provided_by})"
    raise ToolError(
        f"the program {command!r} is not installed, or not on the PATH: {hint}, or add its folder "
        "to the PATH",
        command,
        suite.provided_by if suite else "",
    )


def identity(command: str, path: str) -> str:
    """Return what a program is, for people to read and to compare.

    Parameters
    ----------
    command : str
        The name under which it is called.
    path : str
        Where it lies, as `find` returned it.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if not reads_always():
        known = _known.get(path) or _recall(path)
        if known is not None and _stats(known.evidence) == known.stats:
            _known[path] = known
            return known.identity
    evidence = _evidence(command, path)
    before = _stats(evidence)
    answer, further = _ask(command, path)
    evidence = [*evidence, *further]
    before += _stats(further)
    fresh = _Known(evidence, before, answer)
    if not (_are_settled(before) and _stats(evidence) == before):
        fresh = fresh._replace(stats=[])  # no stat vouches for it: it is asked again
    _known[path] = fresh
    _keep(path, fresh)
    return fresh.identity


def facts(
    program: str,
    environment: Mapping[str, str],
    *,
    ignored: Iterable[str] = (),
    cwd: str | None = None,
) -> dict[str, str | None]:
    """Return what a program is (None if it is not there), and what else counts when it runs.

    Parameters
    ----------
    program : str
        As the command line names it.
    environment : Mapping of str to str
        What it would run in.
    ignored : iterable of str
        Variables that do not count.
    cwd : str, optional
        The folder of the user's in which it would run.
    """
    path = find(program, environment, cwd)
    asked = None if path is None else identity(program, path)
    return {f"tool {program}": asked, **_surroundings(program, path, environment, ignored)}


def told_of(
    path: str, environment: Mapping[str, str], *, always: bool = False
) -> dict[str, str | None]:
    """Return `facts` of a program, where its content alone does not tell what it is; else nothing.

    Parameters
    ----------
    path : str
        Where it lies, absolute.
    environment : Mapping of str to str
        What it would run in.
    always : bool, optional
        Whether its content is not looked at in any case.
    """
    is_tool = always or _suite_at(path, path) is not None or distribution_behind(path) is not None
    return facts(path, environment) if is_tool else {}


def is_familiar(path: str, environment: Mapping[str, str]) -> bool:
    """Tell whether a program is one that the user starts: by its name, or it was asked before."""
    name = os.path.basename(path)
    return path in _known or find(name, environment) == path or _recall(path) is not None


def surroundings(
    command: str, environment: Mapping[str, str], *, ignored: Iterable[str] = ()
) -> dict[str, str]:
    """Return the parts of the environment that change the results of a command, by name.

    Only variables on the list of its suite count, and the suite's own settings in the home.
    """
    return _surroundings(command, find(command, environment), environment, ignored)


def _surroundings(
    command: str, path: str | None, environment: Mapping[str, str], ignored: Iterable[str]
) -> dict[str, str]:
    suite = _suite_at(command, path)
    if suite is None:
        return {}
    counted = {
        f"env {name}": environment[name]
        for name in _counted_names(suite, environment)
        if name in environment and name not in ignored
    }
    if suite.name == "FSL" and "FSLDIR" in environment:
        version = _read_version(suite, os.path.join(environment["FSLDIR"], "etc", "fslversion"))
        counted["FSLDIR"] = f"FSL {version}"
    for name in suite.settings:
        settings = os.path.join(environment.get("HOME", ""), name)
        if os.path.isfile(settings):
            counted[f"file ~/{name}"] = file_digest(settings).hash
    return counted


def _suite_at(command: str, path: str | None) -> Suite | None:
    """Return the suite of a command: by its name, or by a name like its and by where it lies."""
    name = os.path.basename(command)
    suite = suite_of(name)
    if suite is None or path is None or name in suite.commands:
        return suite
    return suite if suite.source(path)[0] is not None else None


def _counted_names(suite: Suite, environment: Mapping[str, str]) -> list[str]:
    plain = [name for name in suite.variables if "*" not in name]
    patterns = [name for name in suite.variables if "*" in name]
    if not patterns:
        return plain
    return sorted({*plain, *(n for n in environment for p in patterns if fnmatchcase(n, p))})


def thread_variables(number: int) -> dict[str, str]:
    """Return the environment that gives a program so many threads."""
    names = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "MRTRIX_NTHREADS")
    return dict.fromkeys(names, str(number))


# Asking


def _evidence(command: str, path: str) -> list[str]:
    """Name the files on whose stat an answer depends, there or not."""
    suite = suite_of(os.path.basename(command))
    return [path] if suite is None else [path, *suite.source(path)[1]]


def _ask(command: str, path: str) -> tuple[str, list[str]]:
    """Return what a program is, and further files on which that depends."""
    name = os.path.basename(command)
    suite = suite_of(name)
    source = None if suite is None else suite.source(path)[0]
    version = None if suite is None or source is None else _read_version(suite, source)
    told = None if suite is None or version is None else f"{suite.name} {version}"
    if suite is not None and told is not None and (name in suite.commands or not _is_script(path)):
        return told, []
    if not os.access(path, os.R_OK):  # clusters have programs that may be run and not read
        size, mtime, *_ = stat_of(os.stat(path))
        return f"unreadable, {size} bytes of {mtime}", []
    behind, further = distribution_behind(path) or (None, [])
    content = behind or f"sha256 {file_digest(path, cache_folder('files')).hash}"
    return content if told is None else f"{told}, {content}", further


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # it may be run and not read
        return False


def _read_version(suite: Suite, source: str) -> str | None:
    try:
        if suite.question and os.access(source, os.X_OK):
            asked = subprocess.run(
                [source, *suite.question],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE,
                check=False,
            )
            text = asked.stdout
        else:
            with open(source, "rb") as file:
                text = file.read(1 << 16)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return suite.version_in(text.decode("utf-8", "replace"))


# Remembering


def _stats(paths: list[str]) -> Stats:
    stats: Stats = []
    for path in paths:
        try:
            stats.append(list(stat_of(os.stat(path))))
        except OSError:
            stats.append(None)
    return stats


def _are_settled(stats: Stats) -> bool:
    return all(each is None or time.time() - each[2] / 1e9 > _YOUNG for each in stats)


def cache_folder(what: str) -> str:
    """Return the folder of the user's in which something may be remembered and lost."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "memori", what)


def _cache_path(path: str) -> str:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return os.path.join(cache_folder("tools"), f"{name}.json")


def _recall(path: str) -> _Known | None:
    try:
        with open(_cache_path(path), encoding="ascii") as file:
            told = json.load(file)
        is_of_this = told["path"] == path and told["schema"] == _SCHEMA
        if is_of_this and isinstance(told["identity"], str):
            return _Known(list(map(str, told["evidence"])), told["stats"], told["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # lost or broken: it is asked again
    return None


def _keep(path: str, known: _Known) -> None:
    target = _cache_path(path)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        record = {"path": path, "schema": _SCHEMA, **known._asdict()}
        atomic_write(target, json.dumps(record).encode("ascii"))
    except OSError:
        pass  # costs time only
