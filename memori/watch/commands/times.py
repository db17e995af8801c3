"""Whether the programs of a run looked at when files were modified.

A tracer tells that a program asked for a file, and not which of the answers it used; most use none
of the times. Those that do say so by their names or words: ``ls -t``, ``[ scan -nt mask ]``,
``find -newer``, ``make``; or their scripts do: ``stat($file)`` in Perl, ``st_mtime`` in a Python
that does not tell of itself.

Not promised: tools that compare times without being told to.
"""

from __future__ import annotations

import os
import re
import shutil
import sys

from memori.watch.commands.named import code_and_script, text_of
from memori.watch.commands.variables import scripts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from memori.watch.observed import Observed

_WORDS = {
    "ls": r"-\w*[gltno]|--(?:sort=t|time|full-time)",
    "find": r"-(?:newer|mtime$|mmin$|ls$)|.*%[tT]",
    "date": r"-r|--reference",
    "make": "", "gmake": "", "ninja": "",
}  # fmt: skip
_TEST = re.compile(r"\s-[no]t\s")
_ASKED = re.compile(
    r"\bget[mc]time\b|\bst_[mc]time|->[mc]time\b|\bfile\.(?:mtime|info)\b"
    r"|(?<![.\w])l?stat(?:\(| [$\"'])"
)
_PYTHON = re.compile(r"python[\d.]*")
_OF_PYTHON = re.compile(r"#![^\n]*\bpython")


def looks_at_times(run: Observed) -> bool:
    """Tell whether a program of a run was told to look at when files were modified."""
    if any(map(_is_told_to, run.programs)):
        return True
    texts = []
    is_foreign = any(map(_tells_nothing, run.programs))
    for path in scripts_of(run) if run.programs else ():
        texts.append(text_of(path))
        if _ASKED.search(texts[-1]) and (is_foreign or not _is_of_python(path, texts[-1])):
            return True
    for words in run.programs:
        code, _ = code_and_script(words)
        texts.append(" ".join(words) if code is None else words[code])
    return any(map(_TEST.search, texts))


def _tells_nothing(words: Sequence[str]) -> bool:
    """Tell whether a program is a Python that does not tell itself of which files it asks what."""
    if _PYTHON.fullmatch(os.path.basename(words[0])) is None:
        return False
    folder = os.path.dirname(shutil.which(words[0]) or words[0])
    return folder != os.path.dirname(sys.executable) or "-S" in words


def _is_of_python(path: str, text: str) -> bool:
    return path.endswith(".py") or _OF_PYTHON.match(text) is not None


def _is_told_to(words: Sequence[str]) -> bool:
    """Tell whether the words of a program ask for times.

    >>> _is_told_to(["/bin/ls", "-1t", "scans"]), _is_told_to(["ls", "-a"])
    (True, False)
    """
    name = os.path.basename(words[0])
    if name == "stat":
        formats = [word for word in words if "%" in word]
        return not formats or any(re.search("%[yYzZ]", word) for word in formats)
    told = _WORDS.get(name)
    return told is not None and (not told or any(re.match(told, word) for word in words[1:]))
