"""What a command line runs besides its first word: an interpreter's script, a wrapper's program.

``bash -e clean.sh x`` runs clean.sh, ``python -W ignore fit.py`` runs fit.py, ``bash -c '...'`` and
``python -m package`` run no script. `INTERPRETERS` says of each family which options hold the code
itself, which take the next word, and which name the script. ``env FSLOUTPUTTYPE=NIFTI bet in out``
runs bet.

A mistake here costs little: a word that is no file is never a script, and a program that is not
found counts as one that cannot be asked.

Not promised: what a shell's code (``-c``) or a script calls; name it with ``uses=`` and
``depends_on=``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Interpreter(NamedTuple):
    """How an interpreter's options are read; short ones as letters, that may be bundled.

    Attributes
    ----------
    inline : str
        With one of these the code is given in words: there is no script.
    valued : str
        These take a value: the rest of their word, or else the next word.
    glued : str
        These take the rest of their word.
    script : str
        The value of these is the script.
    long_inline, long_valued, long_script : tuple of str
        The same for long options, with their dashes.
    first_is_code : bool
        Whether the first word that is no option is code, unless a script was given before.
    """

    inline: str = ""
    valued: str = ""
    glued: str = ""
    script: str = ""
    long_inline: tuple[str, ...] = ()
    long_valued: tuple[str, ...] = ()
    long_script: tuple[str, ...] = ()
    first_is_code: bool = False


_SHELL = Interpreter(inline="cs", valued="oO", long_valued=("--rcfile", "--init-file"))
_CSHELL = Interpreter(inline="cs")
_PYTHON = Interpreter(inline="cm", valued="WX", long_valued=("--check-hash-based-pycs",))
_NODE = Interpreter(
    inline="ep",
    valued="rC",
    long_inline=("--eval", "--print"),
    long_valued=("--require", "--import", "--loader", "--conditions"),
)
_R = Interpreter(inline="e", script="f", long_inline=("-e",), long_script=("--file",))
_OCTAVE = Interpreter(
    valued="p", long_inline=("--eval",), long_valued=("--path", "--image-path", "--exec-path")
)
_JAVA = Interpreter(
    long_valued=("-cp", "-classpath", "--class-path", "-p", "--module-path"),
    long_script=("-jar",),
    first_is_code=True,
)
_AWK = Interpreter(valued="Fv", script="f", long_script=("--file",), first_is_code=True)

INTERPRETERS = {
    **dict.fromkeys(("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish"), _SHELL),
    **dict.fromkeys(("csh", "tcsh"), _CSHELL),
    **dict.fromkeys(("python", "pypy", "ipython", "pvpython"), _PYTHON),
    "perl": Interpreter(inline="eE", valued="I", glued="MmFidDxCV"),
    "ruby": Interpreter(inline="e", valued="IrCE", glued="FiKTWx0"),
    "php": Interpreter(inline="r", valued="cdz", script="f"),
    "lua": Interpreter(inline="e", valued="l"),
    "luajit": Interpreter(inline="e", valued="l", glued="jO"),
    "node": _NODE,
    "nodejs": _NODE,
    "R": _R,
    "Rscript": _R,
    "julia": Interpreter(
        inline="eE", valued="LCJpt", glued="gO", long_inline=("--eval", "--print")
    ),
    "octave": _OCTAVE,
    "octave-cli": _OCTAVE,
    "tclsh": Interpreter(),
    "wish": Interpreter(long_valued=("-display", "-geometry", "-name")),
    "java": _JAVA,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _AWK),
    "sed": Interpreter(inline="e", glued="iEl", script="f", long_inline=("--expression",),
                       long_script=("--file",), first_is_code=True),
}  # fmt: skip
_WRAPPERS = {
    "env": "uCS", "nice": "n", "ionice": "cnpPu", "nohup": "", "setsid": "", "time": "fo",
    "timeout": "sk", "stdbuf": "ioe", "taskset": "", "chrt": "", "xvfb-run": "sefnlpw",
    "catchsegv": "", "mpirun": "", "mpiexec": "", "srun": "",
}  # fmt: skip
"""Programs that run another, each with its short options that take the next word."""

_VERSION = re.compile(r"-?\d[\d.]*\Z")
_SETTING = re.compile(r"[A-Za-z_]\w*=.*|[\d.,:-]+[smhd]?|0x[\da-f]+", re.DOTALL)


def script_place(argv: Sequence[str]) -> int | None:
    """Return which argument is the script that an interpreter is to run, if one is.

    Examples
    --------
    >>> script_place(["bash", "-e", "-c", "echo"]), script_place(["python", "no such file"])
    (None, None)
    """
    begin = list(_programs(argv))[-1]
    known = INTERPRETERS.get(_VERSION.sub("", os.path.basename(argv[begin])))
    if known is None:
        return None
    for place in _operands(argv, begin + 1, known):
        return place if os.path.isfile(argv[place]) else None
    return None


def programs_of(argv: Sequence[str]) -> list[str]:
    """Return the programs that a command line runs: its own, and the one behind a wrapper.

    Examples
    --------
    >>> programs_of(["env", "FSLOUTPUTTYPE=NIFTI", "nice", "-n", "5", "bet", "a", "b"])
    ['env', 'nice', 'bet']
    """
    return [argv[place] for place in _programs(argv)]


def _programs(argv: Sequence[str]) -> Iterator[int]:
    place: int | None = 0
    while place is not None:
        yield place
        place = _wrapped(argv, place)


def _wrapped(argv: Sequence[str], wrapper: int) -> int | None:
    """Return the place of the program that a wrapper runs."""
    valued = _WRAPPERS.get(os.path.basename(argv[wrapper]))
    if valued is None:
        return None
    place = wrapper + 1
    while place < len(argv):
        word = argv[place]
        if word[:1] == "-":
            place += 1 + (len(word) == 2 and word[1] in valued)
        elif _SETTING.fullmatch(word):
            place += 1
        else:
            return place
    return None


def _operands(argv: Sequence[str], begin: int, known: Interpreter) -> Iterator[int]:
    """Yield the places at which an interpreter finds its script; the first is the one."""
    place = begin
    while place < len(argv):
        word = argv[place]
        name, separator, _ = word.partition("=")
        if word == "--":
            place += 1
            break
        if word in ("-", "+") or word[:1] not in ("-", "+"):
            break
        if name in known.long_inline:
            return
        if name in known.long_script and not separator:
            yield place + 1
            return
        if word in known.long_valued:
            place += 1
        elif word[:2] != "--":
            ends, skipped, script = _bundle(word[1:], known)
            if ends:
                return
            if script:
                yield place + 1
                return
            place += skipped
        place += 1
    if place < len(argv) and not known.first_is_code:
        yield place


def _bundle(letters: str, known: Interpreter) -> tuple[bool, int, bool]:
    """Read short options: whether the code is inline, how many words follow, if one is the script.

    The options of shells take no value from their own word: ``-euo pipefail``.
    """
    skipped = 0
    for at, letter in enumerate(letters):
        is_last = at == len(letters) - 1
        if letter in known.inline:
            return True, 0, False
        if letter in known.script:
            return False, 0, is_last
        if letter in known.valued and known is _SHELL:
            skipped += 1
        elif letter in known.valued:
            return False, int(is_last), False
        elif letter in known.glued:
            return False, 0, False
    return False, skipped, False
