"""Variables of the environment that scripts read.

A script that a run started is no code that memori follows; its text tells which variables it
names. So does a shell's text (``sh -c``), which holds what stood in a command line. They count by
the values that they had before the run, not being set among them (``${FWHM:-6}``). A name that a
script sets for itself, at its head and before it reads it, does not count, and neither does what
says where and how to run: threads, temporary folders, the numbers of jobs.

Not promised: names that a script makes up, and what a compiled program asks for.
"""

from __future__ import annotations

import os
import re

from memori.watch.commands.named import code_and_script, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memori.watch.observed import Observed

_SUFFIXES = (".sh", ".bash", ".zsh", ".ksh", ".csh", ".tcsh")
_READ = re.compile(
    r"(?:\$ENV\{|\bENVIRON\[|\bgetenvb?\(|\benviron(?:\.get\(|\[))\s*[\"']?([A-Za-z_]\w*)"
    r"|\$\{?[#!?]?([A-Za-z_]\w*)"
    r"|(?:\s-v|\bprintenv)\s+([A-Za-z_]\w*)"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_SET = re.compile(
    r"(?:export |readonly |declare (?:-\w+ )?)?([A-Za-z_]\w*)="
    r"((?:\"[^\"]*\"|'[^']*'|\$\([^)]*\)|(?!\$\()[^\s\"';&|])*)\s*(?:[#;].*)?$"
    r"|set(?:env)? ([A-Za-z_]\w*)[ =]+([^;&|]*)$"
)
_BRANCHES = re.compile(r"\s*(?:if|case|while|until|for|foreach|switch|function)\b|.*[({]\s*$")
_OF_ONE_RUN = re.compile(
    r"PWD|OLDPWD|SHLVL|TMPDIR|TMP|TEMP|HOST\w*|RANDOM|SECONDS|PATH|LD_LIBRARY_PATH|USER|LOGNAME"
    r"|U?ID|EUID|PPID|LINENO|IFS|OPT(?:ARG|IND|ERR)|REPLY|FUNCNAME|PIPESTATUS|BASH\w*|SHELL|TERM"
    r"|COLUMNS|LINES|DISPLAY|status|argv|_+|MEMORI_\w+"
    r"|\w+_NUM_THREADS|\w*NTHREADS|NSLOTS|NHOSTS|PE_HOSTFILE|\w*JOB_?ID"
    r"|(?:SLURM|SBATCH|PBS|LSB|SGE|SSH)_(?!(?:ARRAY_)?TASK_ID$|ARRAY_?(?:ID|INDEX)$|JOBINDEX$)\w+"
    r"|XDG_(?:RUNTIME|SESSION|SEAT|VTNR)\w*"
)


def names_in_script(text: str) -> set[str]:
    r"""Return the variables whose values a script may take from the environment.

    >>> sorted(names_in_script('out=$1\nfwhm=${FWHM:-6}\necho $fwhm $out $ATLAS'))
    ['ATLAS', 'FWHM']
    """
    names: set[str] = set()
    own: set[str] = set()
    is_head = True
    for line in text.splitlines():
        found = {next(filter(None, each)) for each in _READ.findall(line)}
        found.update(_WORD.findall(line.partition("((")[2].rpartition("))")[0]))
        names |= found - own
        is_head = is_head and _BRANCHES.match(line) is None
        made = _SET.match(line) if is_head else None
        if made is not None:
            own |= {made[1] or made[3]} - found
    return set(filter(counts_below, names))


def counts_below(name: str) -> bool:
    """Tell whether a variable that a program asked for counts for the run that started it."""
    return _OF_ONE_RUN.fullmatch(name) is None


def variables_below(run: Observed, scripts: Iterable[str]) -> set[str]:
    """Return the variables that scripts, and the texts of a run's shells, name."""
    texts = [*map(text_of, scripts)]
    for words in run.programs:
        code, _ = code_and_script(words)
        if code is not None:
            texts.append(words[code])
    return set().union(*map(names_in_script, texts))


def scripts_of(run: Observed) -> set[str]:
    """Return the files among those that a run read that are scripts, absolute."""
    given = {os.path.basename(name) for words in run.programs for name in _script_in(words)}
    read = {
        path
        for path, touch in run.touched.items()
        if touch.how == "read" and (path.endswith(_SUFFIXES) or os.path.basename(path) in given)
    }
    return read | {path for path in run.executed if _is_script(path)}


def _script_in(words: Sequence[str]) -> list[str]:
    code, script = code_and_script(words)
    return [words[script]] if code is None and script else []


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # it is gone, or may be run and not read
        return False
