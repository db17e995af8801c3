"""Environment variables that code reads by name.

Where reached code deals with the environment (`os.environ`, `os.getenv`, `os.path.expandvars`),
each text in it that can name a variable counts by the variable's value. A text that names none is
not set, today as tomorrow, and costs nothing. Where code starts programs, what a shell would put
in for ``$NAME`` in its texts counts likewise. Where code that deals with the environment looks for
names that begin with a text (``name.startswith("PIPE_")``), all variables that do count; so do
those that hold one, where it goes through them with a filter (``if "CONF_" in name``).

A run may set variables itself. The value before the run counts, as in a new process: a value
found later exactly as a run left it counts as what it was before.

Names that are computed are seen while the code runs (`memori.watch.questions.variables`).

Not promised: variables that only libraries read.
"""

from __future__ import annotations

import os
import re
from types import CodeType

from memori.digest.values import text_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FunctionType

_READERS = frozenset({"environ", "environb", "getenv", "getenvb", "expandvars"})
_STARTERS = frozenset({"subprocess", "system", "Popen", "check_output", "getoutput", "popen"})
_FILTERS = frozenset({"startswith", "removeprefix"})
_ALL = frozenset({"items", "keys"})
_HOLDING = frozenset({
    "endswith", "removesuffix", "match", "search", "fullmatch", "fnmatch", "fnmatchcase",
    "__contains__",
})  # fmt: skip
_IN_PATTERNS = "^$.*"  # around the plain text of a pattern
_OF_A_SESSION = ("SLURM", "SBATCH", "PBS", "LSB", "SGE", "PMI", "OMPI", "SSH", "XDG", "TERM")
"""What names begin with that a scheduler or a terminal sets, and that code mostly filters out."""
_SHORTEST = 3  # letters that names are taken to begin with
_OF_A_SHELL = frozenset(
    {"PWD", "OLDPWD", "SHLVL", "TMPDIR", "HOSTNAME", "RANDOM", "PATH", "LD_LIBRARY_PATH"}
)
"""Of the session and the machine; a program that is found elsewhere counts itself."""
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,79}"
_EXPANDED = r"\$(?:(\w+)|\{([^}]*)\})"
_FILLED = rf"(?<!\$)(?:\{{|%\()({_NAME})(?=[}}!:)])"
_SECRET = r"(?i)key|token|secret|pass|auth|credential"
_left: dict[str, dict[str | None, str | None]] = {}  # name -> value left by a run -> value before


def environment_names(functions: Iterable[FunctionType]) -> list[str]:
    """Return the names of variables that functions may read, sorted.

    >>> def subjects_dir():
    ...     return os.environ.get("SUBJECTS_DIR", "/data")
    >>> environment_names([subjects_dir])
    ['SUBJECTS_DIR']
    """
    found: set[str] = set()
    for function in functions:
        texts: set[str] = set()
        names: set[str] = set()
        _gather(function.__code__, texts, names)
        space = function.__globals__
        values = [space[name] for name in names if name in space]
        is_reading = not _READERS.isdisjoint(names) or any(
            value is os.environ or value is os.getenv for value in values
        )
        if is_reading:
            for value in (*values, function.__defaults__, function.__kwdefaults__):
                texts.update(_texts(value))
            found.update(_variables(texts))
            if not _FILTERS.isdisjoint(names):
                found.update(_that_begin(texts))
            if not _ALL.isdisjoint(names) and not _HOLDING.isdisjoint(names):
                found.update(_that_hold(texts))
        elif not _STARTERS.isdisjoint(names):
            for value in (*values, function.__defaults__, function.__kwdefaults__):
                texts.update(_texts(value))
            found.update(names_in_shell(texts))
    return sorted(found)


def _gather(code: CodeType, texts: set[str], names: set[str]) -> None:
    names.update(code.co_names)
    if "items" in names or "keys" in names:
        _gather_filters(code, names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _gather(constant, texts, names)
        else:
            texts.update(_texts(constant))


def _gather_filters(code: CodeType, names: set[str]) -> None:
    """Add that code asks whether something is in a text, which the names in it do not say."""
    from opcode import opmap

    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    if any(opmap["CONTAINS_OP"] in each.co_code[::2] for each in (code, *inner)):
        names.add("__contains__")


def _texts(value: object) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif type(value) is bytes:
        yield os.fsdecode(value)
    elif isinstance(value, (tuple, list, set, frozenset)):
        yield from (each for each in value if type(each) is str)
    elif type(value) is dict:
        yield from _texts([*value, *value.values()])


def _variables(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if re.fullmatch(_NAME, text):
            yield text
        elif len(text) < 4096:
            if "$" in text:
                yield from (plain or braced for plain, braced in re.findall(_EXPANDED, text))
            if "{" in text or "%(" in text:
                yield from re.findall(_FILLED, text)


def _that_begin(texts: Iterable[str]) -> list[str]:
    """Return the names of variables that are set, and begin with one of the texts."""
    begins = tuple(
        text
        for text in texts
        if len(text) >= _SHORTEST
        and re.fullmatch(_NAME, text)
        and not text.startswith(_OF_A_SESSION)
    )
    return [name for name in os.environ if begins and name.startswith(begins)]


def _that_hold(texts: Iterable[str]) -> list[str]:
    """Return the names of variables that are set, and hold one of the texts."""
    parts = {text.strip(_IN_PATTERNS) for text in texts if text not in os.environ}
    parts = {part for part in parts if len(part) >= _SHORTEST and re.fullmatch(_NAME, part)}
    return [
        name
        for name in os.environ
        if name not in _OF_A_SHELL
        and not name.startswith(_OF_A_SESSION)
        and any(part in name for part in parts)
    ]


def names_in_shell(texts: Iterable[str]) -> list[str]:
    """Return the names of the variables that are set and that a shell would put into texts.

    >>> names_in_shell(["cat ${HOME}/a", "$PWD", "a $b_that_is_not_set"])
    ['HOME']
    """
    found = {
        plain or braced.partition(":")[0]
        for text in texts
        if "$" in text and len(text) < 4096
        for plain, braced in re.findall(_EXPANDED, text)
    }
    return sorted(name for name in found - _OF_A_SHELL if name in os.environ)


def counted_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Return the values that count now; of what may be secret, a digest; None if it is not set."""
    return {name: shown_value(name, counted_value(name)) for name in names}


def counted_value(name: str) -> str | None:
    """Return the value that counts now: what a run left stands for what was there before it.

    A pattern (``FSL*``) has as value the names and values of all that fit it.
    """
    if "*" in name:
        return _counted_together(name)
    value = os.environ.get(name)
    return _left.get(name, {}).get(value, value)


def _counted_together(pattern: str) -> str | None:
    from fnmatch import filter as fitting

    from memori.watch.commands.variables import counts_below

    names = sorted(filter(counts_below, fitting(os.environ, pattern)))
    values = ((name, shown_value(name, counted_value(name))) for name in names)
    return " ".join(f"{name}={value}" for name, value in values if value is not None) or None


def may_be_secret(name: str) -> bool:
    """Tell by its name whether the value of a variable is to be shown to nobody."""
    return re.search(_SECRET, name) is not None


def shown_value(name: str, value: str | None) -> str | None:
    """Return a value as it is recorded: of what may be secret, a digest."""
    if value is None or not may_be_secret(name):
        return value
    return f"(digest {text_digest(value)[:16]})"


def values_of(names: Iterable[str]) -> dict[str, str | None]:
    """Return the values as they are, to be given to `settle_environment` after a run."""
    return {name: os.environ.get(name) for name in names}


def settle_environment(before: Mapping[str, str | None]) -> None:
    """Take note, right after a run, of which variables it set itself."""
    for name, then in before.items():
        now = os.environ.get(name)
        if now != then:
            states = _left.setdefault(name, {})
            states[now] = states.get(then, then)
