"""A Python program, run in this process: a script, a module or a console script.

As `coverage run` does: the program finds its own words in `sys.argv`, is ``__main__``, and exits as
it would.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from collections.abc import Sequence

from memori.errors import MemoriError

_PYTHON = re.compile(r"python[\d.]*")


def run_program(words: Sequence[str]) -> int:
    """Run a script, ``-m module`` or a console script; return the exit code.

    Raises
    ------
    MemoriError
        If the first word is no Python program.
    SystemExit
        As the program raises it.
    """
    words = list(words[1:] if _PYTHON.fullmatch(os.path.basename(words[0])) else words)
    module = words[1] if words[:1] == ["-m"] and len(words) > 1 else None
    script = None if module else _script(words)
    sys.argv = words[1:] if script is None else [script, *words[1:]]
    sys.path[0] = os.getcwd() if script is None else os.path.dirname(os.path.realpath(script))
    try:
        if script is None:
            runpy.run_module(str(module), run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _script(words: Sequence[str]) -> str:
    """Return the file of a program."""
    name = words[0] if words else ""
    beside = os.path.dirname(sys.executable)  # of an environment that is not activated
    path = name if os.path.isfile(name) else shutil.which(name) or shutil.which(name, path=beside)
    if path is None:
        raise MemoriError(f"{name!r} is no file, and no program of that name is found")
    if not path.endswith(".py"):
        with open(path, "rb") as stream:
            first = stream.read(2) + stream.readline(1000) + stream.readline(1000)
        if not (first.startswith(b"#!") and b"python" in first):
            raise MemoriError(
                f"{path} is no Python program; give a script, -m MODULE or a console script"
            )
    return path
