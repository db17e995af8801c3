"""Variables of the environment that scripts read.

A script that a run started is no code that memori follows; its text tells which variables it
names, whether a shell, Perl, awk, make or another Python reads it, and so does what a shell reads
in (``. params.cfg``, ``< script``) or was given as text (``sh -c``). They count by
the values that they had before the run, not being set among them (``${FWHM:-6}``). A name that a
script sets for itself, at its head and before it reads it, does not count, and neither does what
says where and how to run: threads, temporary folders, the numbers of jobs.

What it makes up is a pattern (`memori.watch.commands.made_names`).

Not promised: what a compiled program asks for.
"""

from __future__ import annotations

import os
import re
from fnmatch import translate

from memori.watch.commands.made_names import made_names
from memori.watch.commands.named import code_and_script, text_of
from memori.watch.installed import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from memori.watch.observed import Observed

_SUFFIXES = (".sh", ".bash", ".zsh", ".ksh", ".csh", ".tcsh", ".fish")
_OTHERS = (
    ".py",
    ".pl",
    ".pm",
    ".awk",
    ".R",
    ".r",
    ".rb",
    ".jl",
    ".tcl",
    ".lua",
    ".m",
    ".mk",
    ".jq",
    ".js",
    ".mjs",
    ".cjs",
)
_INTERPRETERS = re.compile(
    r"(?:python|perl|ruby|lua|tclsh|wish|expect|octave|octave-cli|julia|Rscript|R|[gmn]?awk|g?make"
    r"|jq|node|nodejs|deno|bun)[\d.]*"
)
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_OF_LANGUAGES = re.compile(
    r"/(?:site-packages|dist-packages|node_modules)/|/lib/(?:python|R|perl)[\d.]*/"
)
_SOURCED = re.compile(
    r"(?:^|[\s;&|({])(?:\.|source)[ \t]+([^\s;&|<>)]+)|<[ \t]*([^\s;&|<>()$]+)", re.MULTILINE
)
_FILLED = re.compile(r"\$(?:\{[^}]*\}|\([^)]*\)?|\w+)")
_SHEBANG_OF_OTHERS = re.compile(
    r"#!.*\b(?:python|perl|ruby|lua|tclsh|wish|expect|Rscript|awk|julia|(?:node(?:js)?|deno|bun)\b)"
)
_OF_MAKE = re.compile(r"(?:\$\((?:(?:origin|value|flavor) )?|^[ ]*ifn?def )([A-Za-z_]\w*)")
_NO_SHELL = re.compile(  # a makefile's rule, a module's imports
    r"^[^\s#:=]+[ \t]*:(?!=)[^\n]*\n\t|^(?:import|from)[ ]+[A-Za-z_]", re.MULTILINE
)
_DOCUMENT = re.compile(r"(?<!<)<<-?[ \t]*[\\\"']?([A-Za-z_]\w*)")
_COMPARED = re.compile(
    r"\b([A-Za-z_]\w*)\s+-(?:eq|ne|lt|le|gt|ge)\b|\s-(?:eq|ne|lt|le|gt|ge)\s+([A-Za-z_]\w*)"
)
_MOST_FILES = 200  # that one text may read its commands from
_READ = re.compile(
    r"(?:\$ENV\{|\bENVIRON\[|\bgetenvb?\(|\benviron(?:\.get\(|\[)"
    r"|\$?\b(?:ENV|env)(?:\.fetch\(|[.\[(]))"  # jq, Ruby, Julia, Tcl, JavaScript
    r"\s*[\"']?([A-Za-z_]\w*)"
    r"|\$\{?[#!?]?([A-Za-z_]\w*)"
    r"|(?:\s-v|\bset -q|\bprintenv|\bdeclare -p|\btypeset -p)\s+([A-Za-z_]\w*)"
)
_TAKEN_APART = re.compile(r"\{([^{}]*)\}\s*=\s*process\.env\b")  # JavaScript
_SEARCHED = {
    "LD_LIBRARY_PATH": re.compile(r"\.so(?:\.[\d.]+)?$"),
    "PERL5LIB": re.compile(r"\.p[lm]$"),
    "PYTHONPATH": re.compile(r"\.pyc?$"),  # of a Python that does not tell of itself
}
_FUNCTION = "BASH_FUNC_"
_COMMAND = re.compile(r"[^\s;&|()<>$`{}\"']+")
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
    r"|XDG_(?:RUNTIME|SESSION|SEAT|VTNR)\w*|TERM_\w+|COLORTERM|VTE_VERSION|WINDOWID|TMUX\w*|STY|GPG_TTY"
)


def names_in_script(text: str, *, is_shell: bool = True) -> set[str]:
    r"""Return the variables whose values a script may take from the environment.

    Parameters
    ----------
    text : str
        Its text.
    is_shell : bool, optional
        Whether what it sets (``FWHM=5``) are variables of the environment.

    Examples
    --------
    >>> sorted(names_in_script('out=$1\nfwhm=${FWHM:-6}\necho $fwhm $out $ATLAS'))
    ['ATLAS', 'FWHM']
    """
    names: set[str] = set()
    own: set[str] = set()
    is_head, end = is_shell, ""
    for line in text.splitlines():
        found = {next(filter(None, each)) for each in _READ.findall(line)}
        found.update(_OF_MAKE.findall(line) if not is_shell else ())
        if is_shell:  # which computes with names that have no sign before them
            found.update(_WORD.findall(line.partition("((")[2].rpartition("))")[0]))
            found.update(left or right for left, right in _COMPARED.findall(line))
        names |= found - own
        if end:  # a document in the script, whose lines are none of its own
            end = "" if line.lstrip("\t") == end else end
            continue
        is_head = is_head and _BRANCHES.match(line) is None
        made = _SET.match(line) if is_head else None
        if made is not None:
            own |= {made[1] or made[3]} - found
        document = _DOCUMENT.search(line)
        end = document[1] if document is not None else ""
    for each in _TAKEN_APART.findall(text):
        names.update(_WORD.findall(each))
    return set(filter(counts_below, names | made_names(text)))


def counts_below(name: str) -> bool:
    """Tell whether a variable that a program asked for counts for the run that started it."""
    return _OF_ONE_RUN.fullmatch(name) is None


def variables_below(run: Observed, scripts: Iterable[str]) -> set[str]:
    """Return the variables that scripts, and the texts in a run's commands, name."""
    texts = [(text, _is_of_shell(path, text)) for path in scripts for text in (text_of(path),)]
    for words in run.programs:
        code, _ = code_and_script(words)
        if code is not None:
            texts.append((words[code], True))
        elif _is_interpreter(words):
            texts.append(("\n".join(words[1:]), False))
        elif os.path.basename(words[0]) == "printenv":
            texts.append((" ".join(words), True))
    names = {name for text, is_shell in texts for name in names_in_script(text, is_shell=is_shell)}
    names |= _functions_in([text for text, is_shell in texts if is_shell])
    return names | _searched(run)


def _searched(run: Observed) -> set[str]:
    """Return the variables by which programs found a library: elsewhere lies another of its name.

    One that is set and led to nothing that was read does not count: sessions differ in them.
    """
    found: set[str] = set()
    for name, ends in _SEARCHED.items():
        folders = tuple(f"{each.rstrip('/')}/" for each in os.environ.get(name, "").split(":"))
        folders = tuple(each for each in folders if each != "/")
        for path, touch in run.touched.items() if folders else ():
            if path.startswith(folders) and touch.look is not None and ends.search(path):
                found.add(name)
                break
    return found


def _functions_in(texts: list[str]) -> set[str]:
    """Return the variables that hold the functions (``export -f``) that shells' texts name."""
    held = {}
    for variable, body in os.environ.items():
        if variable.startswith(_FUNCTION):
            held[variable] = (variable[len(_FUNCTION) :].rstrip("%()"), body)
    found: set[str] = set()
    for text in texts if held else ():
        waiting = [text]
        while waiting:
            words = frozenset(_COMMAND.findall(waiting.pop()))
            new = {each for each in held.keys() - found if held[each][0] in words}
            found |= new
            waiting += [held[each][1] for each in new]
    return found


def scripts_of(run: Observed) -> set[str]:
    """Return the files among those that a run read that are scripts, absolute.

    These are the scripts that were run, those that an interpreter was told of, and what shells'
    texts name behind ``source`` or ``<``; no data are among them unless they are text as well.
    """
    read = [path for path, touch in run.touched.items() if touch.how == "read"]
    given = {os.path.basename(name) for words in run.programs for name in _script_in(words)}
    found = {path for path in run.executed if _is_script(path)}
    for path in read:
        is_other = path.endswith(_OTHERS) and not _OF_LANGUAGES.search(path)
        if path.endswith(_SUFFIXES) or is_other or os.path.basename(path) in given:
            found.add(path)
    texts = [words[code] for words in run.programs if (code := code_and_script(words)[0])]
    waiting = [*found]
    while texts or waiting:
        path = "" if texts else waiting.pop()
        text = text_of(path) if path else texts.pop()
        fits = _sourced_in(text) if _is_of_shell(path, text) else None
        if fits is None:
            continue
        new = [each for each in read if each not in found and fits(os.path.basename(each))]
        new = new[:_MOST_FILES]
        found.update(new)
        waiting += new
    return found - installed([path for path in found if path not in run.executed])


def _sourced_in(text: str) -> Callable[[str], object] | None:
    """Return what tells by its name whether a text may read its commands from a file, if any."""
    named = (left or right for left, right in _SOURCED.findall(text))
    names = {os.path.basename(_FILLED.sub("*", each).strip("\"'")) for each in named} - {""}
    return re.compile("|".join(map(translate, sorted(names)))).match if names else None


def _script_in(words: Sequence[str]) -> list[str]:
    if _is_interpreter(words):
        return [*words[1:], *(word[2:] for word in words if word[:1] == "-"), *_MAKEFILES]
    code, script = code_and_script(words)
    return [words[script]] if code is None and script else []


def _is_interpreter(words: Sequence[str]) -> bool:
    return _INTERPRETERS.fullmatch(os.path.basename(words[0])) is not None


def _is_of_shell(path: str, text: str) -> bool:
    is_other = path.endswith((*_OTHERS, *_MAKEFILES)) or _SHEBANG_OF_OTHERS.match(text)
    return not is_other and (text[:2] == "#!" or _NO_SHELL.search(text) is None)


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:  # it is gone, or may be run and not read
        return False
