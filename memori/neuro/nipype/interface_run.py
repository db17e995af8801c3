"""One run of an interface: a fresh instance in its own folder; outputs, or a clear error.

Nipype's own `run` does the work (checks, hooks, the reading of outputs). What it would run through
its `run_command`, `memori.neuro.command.execution` runs instead: what is printed goes to files,
nothing survives the run, and neither a poll nor a garbage collection slows it down. A class that is
put between the interface's class and `CommandLine` does this, so that what a subclass adds to
``_run_interface`` still happens.

A command that exits with a code other than those that its interface calls right is an error,
although Nipype goes on and only notes it.

Not promised: commands that a Python interface starts by itself.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from functools import partial
from typing import Any

from nipype.interfaces.base import CommandLine, Interface, isdefined
from nipype.interfaces.io import DataSink

from memori.calls.current_run import CurrentRun, current, entered
from memori.calls.fault import met
from memori.calls.reproduction import command_source
from memori.errors import MemoriError
from memori.neuro.command.copies import Copies
from memori.neuro.command.errors import ended, silence
from memori.neuro.command.execution import Execution, note_command
from memori.neuro.nipype.cloning import Recipe
from memori.neuro.nipype.engine_api import (
    copyfile,
    get_filecopy_info,
    own_environment,
    program_of,
    without_dependencies,
)
from memori.neuro.nipype.given_folders import count_folders
from memori.neuro.nipype.traits.parts import assign, outputs_of, with_texts
from memori.neuro.nipype.watched_command import watch_commands
from memori.neuro.process.exit_codes import exit_codes_kept
from memori.neuro.tools.identity import require

_kinds: dict[type, type] = {}
watch_commands()


class InterfaceError(MemoriError):
    """The command of an interface failed.

    Attributes
    ----------
    interface : str
        Name of the interface's class.
    cmdline : str
        The command line.
    code : int
        Its exit code, minus the number of the signal that killed it.
    folder : str
        Where it ran; what it left is there.
    stdout, stderr : str
        All that it printed.
    """

    def __init__(self, interface: str, runtime: Any, reason: str) -> None:
        self.interface = interface
        self.cmdline = str(runtime.cmdline)
        self.code = int(runtime.returncode)
        self.folder = str(runtime.cwd)
        self.stdout = getattr(runtime, "stdout", None) or ""
        self.stderr = getattr(runtime, "stderr", None) or getattr(runtime, "merged", None) or ""
        stream = "stderr" if self.stderr.strip() else "stdout"
        printed = getattr(self, stream).splitlines() or [silence(self.folder)]
        lines = [
            f"{interface} {reason}",
            f"  $ {self.cmdline}",
            f"  folder: {self.folder}",
            f"  {stream}: {printed[0]}",
            *(f"          {line}" for line in printed[1:]),
        ]
        super().__init__("\n".join(lines))


class _Launched(CommandLine):  # type: ignore[misc]
    """Stands between an interface's class and `CommandLine`, and runs its command line."""

    _memori_runtime: Any = None

    def _run_interface(self, runtime: Any, correct_return_codes: tuple[int, ...] = (0,)) -> Any:
        without_dependencies(self)
        self._memori_runtime = runtime
        if self.terminal_output.startswith("file"):  # the file is an output of the interface
            with exit_codes_kept():
                self._memori_runtime = super()._run_interface(runtime, correct_return_codes)
            note_command(argv_of(self._memori_runtime.cmdline), program_of(self))
            return self._memori_runtime
        try:
            runtime.cmdline = self.cmdline
        except Exception as error:
            raise RuntimeError("Error raised when interpolating the command line") from error
        runtime.environ.update(own_environment(self))
        runtime.success_codes = correct_return_codes
        runtime.command_path = require(program_of(self), runtime.environ)
        runtime.dependencies = "<skipped>"
        _launch(runtime)
        note_command(argv_of(runtime.cmdline), program_of(self))
        return runtime


def argv_of(cmdline: str) -> list[str]:
    """Return what people call the command of an interface, without the shell around it."""
    try:
        return shlex.split(cmdline)
    except ValueError:  # it is for a shell alone
        return [cmdline]


def _launch(runtime: Any) -> None:
    """Run the command line as Nipype does, through a shell: interfaces rely on one."""
    folder = str(runtime.cwd)
    names = [os.path.basename(_free(os.path.join(folder, name))) for name in ("stdout", "stderr")]
    done = Execution(
        ["/bin/sh", "-c", runtime.cmdline],
        folder,
        os.path.basename(runtime.command_path),
        {str(name): str(value) for name, value in runtime.environ.items()},
        streams=(names[0], names[1]),
        programs=[runtime.command_path],
    ).run(exit_codes=None)
    runtime.returncode = done.code
    printed = []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            printed.append("\n".join(file.read().splitlines()))
    runtime.stdout, runtime.stderr = printed
    runtime.merged = "\n".join(text for text in printed if text)


def _free(path: str) -> str:
    """Return a name for a stream's file that another command of the same run has not taken."""
    number, name = 1, f"{path}.txt"
    while os.path.lexists(name):
        number += 1
        name = f"{path}-{number}.txt"
    return name


def launched(kind: type) -> type:
    """Return an interface's class as one whose commands memori runs."""
    if kind not in _kinds:
        made = kind
        if issubclass(kind, CommandLine):
            parents = (_Launched,) if kind is CommandLine else (kind, _Launched)
            try:
                made = type(kind.__name__, parents, {"__module__": kind.__module__})
            except TypeError:  # an order of bases that leaves no room
                made = kind
        _kinds[kind] = made
    return _kinds[kind]


def run_and_tell(
    recipe: Recipe, inputs: dict[str, Any], folder: str, origin: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Do what `run_interface` does; also return the command, if nobody here keeps it.

    Where a system gives threads no folder of their own, this is another process than that of the
    running stage.
    """
    if current() is not None:
        return run_interface(recipe, inputs, folder, origin), None
    with entered(CurrentRun(recipe.kind.__name__, (), lambda: folder)) as run:
        return run_interface(recipe, inputs, folder, origin), run.command


def run_interface(
    recipe: Recipe, inputs: dict[str, Any], folder: str, origin: str
) -> dict[str, Any]:
    """Run an interface in the current folder and return its outputs.

    Parameters
    ----------
    recipe : Recipe
        How to make it.
    inputs : dict
        Trait values that replace those of the recipe.
    folder : str
        The current folder, empty.
    origin : str
        The folder that relative paths of inputs refer to.

    Raises
    ------
    InterfaceError
        If its command fails.
    Exception
        What a Python interface raises.
    """
    interface = recipe.make(launched(recipe.kind))
    assign(interface, {**recipe.values, **inputs}, origin)
    _bring_files(interface, folder)
    copies = Copies(folder)
    copies.part_links()  # those of `copyfile=False` lead into the raw data
    began = time.monotonic()
    try:
        result = interface.run(cwd=folder, ignore_exception=False)
    except Exception as error:
        _reject_failed(interface, getattr(interface, "_memori_runtime", None), began, error)
        raise
    _reject_failed(interface, result.runtime, began, None)
    count_folders(interface)
    if isinstance(interface, DataSink):
        part_links(result.outputs.out_file if isdefined(result.outputs.out_file) else [])
    outputs = outputs_of(result.outputs, folder)
    copies.drop_untouched(list(outputs.values()))
    return outputs


def _reject_failed(
    interface: Interface, runtime: Any, began: float, cause: Exception | None
) -> None:
    """Raise if a command ended with a code that its interface does not call right."""
    code = getattr(runtime, "returncode", None)
    if code is None or not hasattr(runtime, "cmdline"):
        return
    if code in getattr(runtime, "success_codes", (0,)):
        return
    reason = ended(code, time.monotonic() - began)
    error = InterfaceError(type(interface).__name__, runtime, reason)
    environment = {str(name): str(value) for name, value in runtime.environ.items()}
    met(error, command=command_source(error.cmdline, error.folder, environment))
    raise error from cause


def _bring_files(interface: Interface, folder: str) -> None:
    """Bring the files that the interface wants to have beside it; some come as links."""
    for wish in get_filecopy_info(interface):
        value = interface.inputs.trait_get().get(wish["key"])
        if value:
            brought = with_texts(value, partial(_brought, folder=folder, copy=wish["copy"]))
            setattr(interface.inputs, wish["key"], brought)


def _brought(text: str, folder: str, copy: bool) -> str:
    if not os.path.isfile(text):
        return text
    target = os.path.join(folder, os.path.basename(text))
    brought: str = copyfile(os.path.abspath(text), target, copy=copy, create_new=True)
    return brought


def part_links(paths: Any) -> None:
    """Make each file its own where it shares its content with another name (a hard link).

    A sink that shares its files with the memory would let an edit of the one change the other.
    """
    for path in [paths] if isinstance(paths, str) else paths:
        if os.path.isdir(path):
            for above, _, names in os.walk(path):
                part_links([os.path.join(above, name) for name in names])
        elif os.path.isfile(path) and not os.path.islink(path) and os.stat(path).st_nlink > 1:
            _part_link(path)


def _part_link(path: str) -> None:
    partial = os.path.join(os.path.dirname(path), f".{os.urandom(6).hex()}.partial")
    try:
        shutil.copy2(path, partial)
        os.replace(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
