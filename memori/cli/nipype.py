"""`memori nipype`: run a Python program with every Nipype workflow that it runs remembered.

``memori nipype -d memory -- script.py arguments``; the program is not edited. What is remembered
holds for other working folders as well (`memori.neuro.remember_workflow`): each workflow (and node
that is run by itself) is given a memory when it is about to run. The exit code, crash files and
reports are the program's.

Not promised: workflows that the program runs in Python processes which it starts anew; those that
it forks are remembered.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from memori.cli import told
from memori.cli.run import command_of

_RUN = ("plugin", "plugin_args", "updatehash")  # what Workflow.run takes
_USAGE = "memori nipype [-d DIR] [--plugin NAME] -- program|script.py|-m module arguments..."


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "nipype",
        help="run a Python program with every Nipype workflow remembered",
        usage=_USAGE,
        description="Run a script, a module or a console script in Python, with every Nipype "
        "workflow that it runs remembered, without an edit of the program.",
    )
    told.add_place(parser)
    parser.add_argument(
        "--plugin", metavar="NAME", help="run workflows by this plugin of Nipype (such as Memori, "
        "MultiProc or Linear), whatever the program says",
    )  # fmt: skip
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- program arguments...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the program and return its exit code."""
    words = command_of(arguments.words, _USAGE)
    from memori.cli.running.program import run_program

    remember_all(told.place_of(arguments), arguments.plugin)
    return run_program(words)


def remember_all(folder: str, plugin: str | None = None) -> None:
    """Have each workflow that runs in this process from now on remembered in a folder.

    Parameters
    ----------
    folder : str
        Where.
    plugin : str, optional
        The plugin that runs them, in place of the program's own.
    """
    from nipype import Node, Workflow

    from memori.neuro import remember_workflow

    run_workflow, run_node = Workflow.run, Node.run
    root = os.path.abspath(folder)

    def run_remembered_workflow(self: Any, *args: Any, **kwargs: Any) -> Any:
        if plugin is not None:
            args, kwargs = (), {**dict(zip(_RUN, args, strict=False)), **kwargs, "plugin": plugin}
        if hasattr(self, "_memori"):
            return run_workflow(self, *args, **kwargs)
        return remember_workflow(self, root).run(*args, **kwargs)  # its class has another now

    def run_remembered_node(self: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self, "_memori"):
            return run_node(self, *args, **kwargs)
        return remember_workflow(self, root).run(*args, **kwargs)

    Workflow.run, Node.run = run_remembered_workflow, run_remembered_node
