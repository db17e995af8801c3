"""Nipype's command lines, watched wherever a run that is watched comes to one.

A node runs its command through Nipype's own ``run_command``, which keeps what Nipype promises of it
(what is streamed, ``stdout.nipype``, ``command.txt``). So does a Python interface that runs another
interface inside (SPM through MATLAB; niworkflows). `watch_commands` has that function start the
command under a tracer, if there is one (`memori.watch.commands.strace`), and only while a run is
watched. What Nipype notes of the command is what it would be without.

Not promised: commands that a Python interface starts by itself.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any

from memori.aside import aside
from memori.errors import MemoriError
from memori.neuro.nipype.engine_api import around_function
from memori.watch.commands.strace import traced

_SHELL = "/bin/sh"


def watch_commands() -> None:
    """Watch the commands of Nipype from now on, where a run is watched."""
    around_function("run_command", _watched)
    around_function("get_dependencies", _unwatched)


def _unwatched(ask: Callable[..., Any], *args: Any) -> Any:
    """Do what Nipype's `get_dependencies` does: what `ldd` reads is nothing of the run's."""
    with aside():
        return ask(*args)


def _watched(
    run_command: Callable[..., Any],
    runtime: Any,
    *args: Any,
    write_cmdline: bool = False,
    **more: Any,
) -> Any:
    """Do what Nipype's `run_command` does, with the command under a tracer."""
    environment = {str(name): str(value) for name, value in runtime.environ.items()}
    argv = [_SHELL, "-c", runtime.cmdline]
    watch = traced(argv, _SHELL, environment, str(runtime.cwd), [runtime.command_path])
    with watch as started:
        if started.argv == argv and started.environment == environment:  # nobody watches
            return run_command(runtime, *args, write_cmdline=write_cmdline, **more)
        if write_cmdline:
            with open(os.path.join(runtime.cwd, "command.txt"), "w", encoding="utf-8") as file:
                file.write(runtime.cmdline)
        shown = runtime.cmdline, runtime.environ
        if started.argv != argv:
            runtime.cmdline = f"exec {shlex.join([started.executable, *started.argv[1:]])}"
        runtime.environ = started.environment
        try:
            done = run_command(runtime, *args, **more)
        finally:
            runtime.cmdline, runtime.environ = shown
    if watch.powerless is not None:
        raise MemoriError(
            f"{runtime.cmdline!r} called {watch.powerless}, which has rights of its own and lost "
            "them because the command was watched; run it again: from now on it is not"
        )
    return done
