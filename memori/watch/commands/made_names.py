r"""Variables of the environment whose names a script makes up, as patterns.

``${!v}`` where ``v=FW_$task``, ``eval "x=\$FW_$task"``, ``$ENV{"FW_$task"}``, ``${!FW_*}`` and
``env | grep ^FW_`` read whatever is called ``FW_*``. A pattern counts as a variable does: by the
names and values of all that fit it, so that one that was not there before counts, too.

Not promised: names of which the text shows no part (``${!1}``), and what goes through all
variables without saying which (``env | sort > log``), as those of a session are among them.
"""

from __future__ import annotations

import re

_FILLED = re.compile(r"\$(?:\{[^{}\n]*\}|\([^()\n]*\)|\w+)")
_PART = r"(?:\w|\$\w+|\$\{\w+\})+"
_WHOLE = re.compile(
    r"\$\{!([A-Za-z_]\w*)[*@]\}"
    r"|\bcompgen\s+(?:-[ve]|-A\s+(?:variable|export))\s+[\"']?([A-Za-z_]\w*)"
    r"|(?:\$ENV\{|\bENVIRON\[|\bgetenv\((?:paste0\()?)\s*[\"']([A-Za-z_]\w*)"
    r"(?:\$|[\"']\s*[^\s\]}),]|[\"']\s*,\s*\w+\s*\)\s*\))"
)
_WALKED = re.compile(
    r"%ENV\b|\bin\s+ENVIRON\b|\b(?:env|printenv|set|export -p|declare -[xp]+)\s*\|"
)
_BEGINS = re.compile(r"(?<!\[)\^(?:export |declare -x )?([A-Za-z_]\w*)")
_LOOKED_FOR = re.compile(r"\b(?:env|printenv|export -p)\s*\|\s*grep\s+[\"']?([A-Za-z_]\w*)")
_POINTER = re.compile(r"\$\{!([A-Za-z_]\w*)(?![\w*@\[])")
_EVALUATED = re.compile(rf"\\\$\{{?({_PART})")
_ALONE = re.compile(r"\$\{?(\w+)\}?")
_GIVEN = re.compile(rf"(?:^|[\s;&(])([A-Za-z_]\w*)=[\"']?({_PART})", re.MULTILINE)
_REFERENCE = re.compile(rf"\b(?:declare|local|typeset)\s+-n\s+\w+=[\"']?({_PART})")
_LOOP = re.compile(r"\bfor\s+([A-Za-z_]\w*)\s+in\s+([^;\n]*)")
_OF_A_SESSION = ("SLURM", "SBATCH", "PBS", "LSB", "SGE", "PMI", "OMPI", "SSH", "XDG", "TERM")
_SHORTEST = 3  # letters that a pattern has to show


def made_names(text: str) -> set[str]:
    r"""Return the names that a script's text makes up; ``*`` stands for what it does not show.

    Examples
    --------
    >>> made_names('v=FW_$task\necho ${!v}')
    {'FW_*'}
    """
    found = {f"{next(filter(None, each))}*" for each in _WHOLE.findall(text)}
    if _WALKED.search(text):
        found.update(f"{each}*" for each in _BEGINS.findall(text))
        found.update(f"*{each}*" for each in _LOOKED_FOR.findall(text))
    found.update(_behind_pointers(text))
    return {each for each in found if _shows_enough(each)}


def _behind_pointers(text: str) -> set[str]:
    """Return the names that variables of a shell hold (``${!v}``), or that it evaluates."""
    found = {*_REFERENCE.findall(text)}
    pointers = set(_POINTER.findall(text))
    for part in _EVALUATED.findall(text) if re.search(r"\beval\b", text) else ():
        alone = _ALONE.fullmatch(part)
        if alone is not None:
            pointers.add(alone[1])
        else:
            found.add(part)
    if pointers:
        found.update(value for name, value in _GIVEN.findall(text) if name in pointers)
        for name, words in _LOOP.findall(text):
            found.update(words.split() if name in pointers else ())
    return {_FILLED.sub("*", each.strip("\"'")) for each in found}


def _shows_enough(name: str) -> bool:
    shown = name.replace("*", "")
    if re.fullmatch(r"[A-Za-z_]\w*", shown) is None:
        return False
    return "*" not in name or (
        len(shown) >= _SHORTEST and not shown.upper().startswith(_OF_A_SESSION)
    )
