"""How a command is started under strace: through ``env``, which becomes the command.

So the environment of the command is its own, and no list of processes shows its words twice.
"""

from __future__ import annotations

import os
import shutil
from functools import lru_cache
from typing import NamedTuple

from memori.watch.commands.trace import CALLS

_HARMLESS = "chld,cont,urg,winch"  # signals that end nothing
_OPTIONS = (
    *("-DD", "-f", "-q", "--seccomp-bpf", "-y", "-s", "4096", "-e", f"signal=!{_HARMLESS}"),
    *("-e", "abbrev=!getdents64", "-e", "trace=" + ",".join(f"?{each}" for each in CALLS)),
)
_WORD = "MEMORI_WORD_"
_ELF = b"\x7fELF"
_LINE = 256  # of a script, that the system reads
_LONGEST = 30_000  # characters of one variable; Linux takes 128 KiB, with its name
_MOST_WORDS = 2000  # that env can be given in one text


class Started(NamedTuple):
    """What is really started.

    Attributes
    ----------
    argv : list of str
        The words.
    executable : str
        The program.
    environment : dict of str to str
        All of it.
    """

    argv: list[str]
    executable: str
    environment: dict[str, str]


def under(strace: str, log_path: str, plain: Started) -> Started:
    """Return the command as strace starts it: through ``env``, which becomes the command.

    So the environment of the command is its own (strace and env are kept away from the libraries
    that it is told to load, and from its language), and no list of processes shows its words twice.
    """
    env = shutil.which("env") or "/usr/bin/env"
    own = {name: text for name, text in plain.environment.items() if not name.startswith("LD_")}
    moved = {*plain.environment.keys() - own.keys(), *plain.environment.keys() & {"LC_ALL"}}
    program = plain.argv[0]
    if shutil.which(program, path=plain.environment.get("PATH", "")) != plain.executable:
        program = plain.executable
    words = [f"{name}={plain.environment[name]}" for name in moved]
    words += [program, *plain.argv[1:]]
    parts = [_cut(word) for word in words]
    variables = {
        f"{_WORD}{place}_{at}": part
        for place, each in enumerate(parts)
        for at, part in enumerate(each)
    }
    own = {**own, **variables, "LC_ALL": "C"}
    unset = [*variables, *([] if "LC_ALL" in moved else ["LC_ALL"])]
    told = [
        '"{}"'.format("".join(f"${{{_WORD}{place}_{at}}}" for at in range(len(each))))
        for place, each in enumerate(parts)
    ]
    text = " ".join([*(f"-u {name}" for name in unset), *told])
    options = (*_OPTIONS, *_more_options(strace))
    return Started(["strace", *options, "-o", log_path, env, "-S", text], strace, own)


@lru_cache(maxsize=8)
def _more_options(strace: str) -> tuple[str, ...]:
    """Return the options that older versions do not have.

    One tells the number of a process in a namespace of its own as it is outside of it.
    """
    import subprocess

    option = "--pidns-translation"
    done = subprocess.run(
        [strace, option, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return () if done.returncode else (option,)


def _cut(word: str) -> list[str]:
    """Return the parts of a word, each short enough for a variable."""
    return [word[at : at + _LONGEST] for at in range(0, len(word), _LONGEST)] or [""]


def why_unstartable(plain: Started) -> str:
    """Say why a command cannot be started as `under` says; nothing if it can."""
    try:
        with open(plain.executable, "rb") as file:
            start = file.read(_LINE)
    except OSError:
        start = _ELF  # it may be run and not read
    words = start[2:].split(b"\n")[0].split()
    is_script = start[:2] == b"#!" and words and os.access(words[0], os.X_OK)
    if start[:4] != _ELF and not is_script:
        return "a program that the system may not run by itself"
    if len(plain.argv) > _MOST_WORDS or "=" in plain.executable or "=" in plain.argv[0]:
        return "a command that env cannot start"
    return ""
