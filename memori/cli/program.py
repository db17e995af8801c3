"""A Python program, run in this process with each Nipype workflow that it runs remembered.

As `coverage run` does: the program finds its own words in `sys.argv`, is ``__main__``, and exits as
it would. Each workflow (and node that is run by itself) is given a memory when it is about to run.

Not promised: workflows that the program runs in Python processes which it starts anew; those that
it forks are remembered.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from nipype import Node, Workflow

from memori.errors import MemoriError
from memori.neuro import remember_workflow

_PYTHON = re.compile(r"python[\d.]*")


def remember_all(folder: str) -> None:
    """Have each workflow that runs in this process from now on remembered in a folder."""
    run_workflow, run_node = Workflow.run, Node.run
    root = os.path.abspath(folder)

    def run_remembered_workflow(self: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self, "_memori"):
            return run_workflow(self, *args, **kwargs)
        return remember_workflow(self, root).run(*args, **kwargs)  # its class has another now

    def run_remembered_node(self: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self, "_memori"):
            return run_node(self, *args, **kwargs)
        return remember_workflow(self, root).run(*args, **kwargs)

    Workflow.run, Node.run = run_remembered_workflow, run_remembered_node


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
