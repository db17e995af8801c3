"""One command, run where it is called, as a stage: what `memori run` and `memori map` do.

Its inputs are its words and the files that they name. Words that name outputs are marked, so that a
file that is there the second time is no input. What it was seen to read and list counts as well.

Not promised: where it cannot be watched, files that it reads or writes without a word that names
them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memori.calls.acceptance import reject_unfit
from memori.calls.current_run import workdir
from memori.calls.observations import watching_is_off
from memori.cli.running.handed_on import handed_on
from memori.cli.told import place_of
from memori.digest.folder import Folder
from memori.errors import MemoriError
from memori.neuro.command.errors import STREAMS, CommandError
from memori.neuro.command.execution import Execution
from memori.neuro.command.scripts import programs_of
from memori.neuro.process.standard_input import empty_input
from memori.neuro.tools.identity import ToolError, facts
from memori.stage import Stage
from memori.watch.observed import current as observed
from memori.watch.threads import with_outer
from memori.watch.told import spoils

if TYPE_CHECKING:
    import argparse

    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.neuro.process.run import Listener

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells tell it
_MARK = "output "


class FailedError(MemoriError):
    """The command failed; what it said has been said.

    Attributes
    ----------
    code : int
        Its exit code, as shells tell it.
    """

    def __init__(self, told: str, code: int) -> None:
        super().__init__(told)
        self.code = code


class Invocation:
    """One command in the current folder, as a callable for a stage.

    Parameters
    ----------
    words : sequence of str
        The command.
    outputs : sequence of str
        Paths that it writes.
    listen : callable, optional
        Gets what it prints, while it runs.
    """

    __name__ = __qualname__ = "command"

    def __init__(
        self, words: Sequence[str], outputs: Sequence[str], listen: Listener | None = None
    ) -> None:
        self.words = list(words)
        self.outputs = list(outputs)
        self._listen = listen

    def __fingerprint__(self) -> str:
        """Nothing but the inputs counts."""
        return "memori run"

    def __call__(
        self, words: list[str], values: list[str], folders: list[str], depends: list[str],
        place: str,
    ) -> tuple[str, str, list[str]]:  # fmt: skip
        """Run the command; return its streams and its outputs."""
        folder = str(workdir())
        name = os.path.basename(self.words[0])
        execution = Execution(self.words, folder, name, os.environ, cwd=os.getcwd())
        began = time.time()
        try:
            with empty_input() as empty:
                execution.run(listen=self._listen, stdin=empty.stdin)
                is_missed = empty.is_missed()
        except CommandError as error:
            if error.code is None:
                raise MemoriError(f"{self.words[0]} {error.reason}") from error
            code = error.code if error.code > 0 else 128 - error.code
            raise FailedError(str(error), code) from error
        if is_missed:
            raise MemoriError(
                f"{self.words[0]} read its standard input, which is empty here: what comes through "
                "a pipe or stands behind < cannot be compared later, so this run is not "
                "remembered; have a shell inside do it (memori run -- bash -c 'COMMAND < FILE'), "
                "or say </dev/null"
            )
        missing = [path for path in self.outputs if not os.path.exists(path)]
        if missing:
            raise MemoriError(
                f"{self.words[0]} exited with code 0 and did not write {', '.join(missing)} (-o)"
            )
        path = handed_on(os.path.join(folder, STREAMS[0]), self.words, began)
        for run in with_outer(observed.get()) if path is not None else ():
            spoils(
                run,
                f"{self.words[0]} printed the name of a temporary file ({path}), which is gone "
                "once somebody has read it; give it a file of its own (-o), or put the whole pipe "
                "into bash -c '...'",
            )
        return self._left_in(folder)

    def _left_in(self, folder: str) -> tuple[str, str, list[str]]:
        stdout, stderr = (os.path.join(folder, name) for name in STREAMS)
        return stdout, stderr, [_as_artifact(path) for path in self.outputs]

    def adopted(self) -> tuple[str, str, list[str]]:
        """Return what a call would, of outputs that are there, having printed nothing."""
        folder = str(workdir())
        for name in STREAMS:
            Path(folder, name).touch()
        return self._left_in(folder)


class CommandStage(Stage):
    """Remembers an `Invocation`.

    Parameters
    ----------
    invocation : Invocation
        The command.
    hash_output : str
        Where it is remembered.
    stage_name : str
        Under which name.
    depends : sequence of str
        Further files and folders that count.
    """

    def __init__(
        self, invocation: Invocation, hash_output: str, stage_name: str, depends: Sequence[str] = ()
    ) -> None:
        _reject_descriptors(invocation.words[0], (*invocation.words, *depends))
        for path in depends:
            if not os.path.exists(path):
                raise MemoriError(f"-c {path}: there is no such file or folder")
        self._programs = programs_of(invocation.words)
        outputs = {os.path.abspath(path) for path in invocation.outputs}
        words = [f"{_MARK}{w}" if os.path.abspath(w) in outputs else w for w in invocation.words]
        own = [os.path.abspath(hash_output), os.getcwd()]
        super().__init__(
            invocation,
            ["stdout", "stderr", "outputs"],
            hash_output,
            stage_name,
            words=words,
            values=_values_of_options(invocation.words, outputs),
            folders=_folders(invocation.words, [*outputs, *own]) if watching_is_off() else [],
            depends=[_as_artifact(path) for path in depends],
            place=os.path.relpath(os.getcwd(), hash_output),
        )

    def adopt_present(self) -> Decision:
        """File the outputs that are there as those of the command."""
        invocation, call = self.function, self.remembered_call((), {})
        assert isinstance(invocation, Invocation)
        assert call is not None
        missing = [path for path in invocation.outputs if not os.path.exists(path)]
        if missing:
            raise MemoriError(f"cannot adopt {', '.join(missing)} (-o): it is not there")
        reject_unfit(self.subject, {"outputs": invocation.outputs})
        return call.adopt(lambda: self.named(invocation.adopted()))

    def surroundings(self, inputs: Mapping[str, JSON], memo: str) -> dict[str, JSON]:
        """Return what the programs are that the command runs."""
        found: dict[str, JSON] = {}
        for program in self._programs:
            found.update(facts(program, os.environ, cwd=os.getcwd()))
        return found


def _reject_descriptors(program: str, words: Iterable[str]) -> None:
    """Refuse open files of the calling shell: the command has none, and nothing can compare them.

    Raises
    ------
    MemoriError
        If a word names one that is open.
    """
    for word in words:
        path = word.rpartition("=")[2]
        folder, _, number = path.rpartition("/")
        is_open = folder in ("/dev/fd", "/proc/self/fd") and os.path.exists(path)
        if is_open and number.isdecimal() and int(number) > 2:
            raise MemoriError(
                f"{program} is given {word}, an open file of the shell, such as <(COMMAND) is: it "
                "cannot be compared later; have a shell inside open it (memori run -- bash -c "
                f"'{os.path.basename(program)} <(COMMAND)'), or write to a file first"
            )


def _as_artifact(path: str) -> str:
    return Folder(path) if os.path.isdir(path) else path


def _values_of_options(words: Iterable[str], outputs: set[str]) -> list[str]:
    """Return the files in words such as ``--in=FILE``, there or not."""
    values = [word.partition("=")[2] for word in words]
    return [value for value in values if value and os.path.abspath(value) not in outputs]


def _folders(words: Sequence[str], outputs: Iterable[str]) -> list[Folder]:
    """Return the folders that the words name, without those that hold something of ours."""
    found = []
    for word in words[1:]:
        path = os.path.abspath(word)
        inside = path.rstrip(os.sep) + os.sep
        if os.path.isdir(path) and not any(
            f"{each}{os.sep}".startswith(inside) for each in outputs
        ):
            found.append(Folder(word))
    return found


def stage_of(
    words: Sequence[str],
    options: argparse.Namespace,
    outputs: Sequence[str],
    listen: Listener | None = None,
) -> CommandStage:
    """Return the stage of a command, with the options that `add_call_options` declares."""
    name = options.name or os.path.basename(words[0])
    return CommandStage(
        Invocation(words, outputs, listen), place_of(options), name, options.depends
    )


def remember(
    words: Sequence[str],
    options: argparse.Namespace,
    outputs: Sequence[str],
    listen: Listener,
) -> int:
    """Run a command or replay it; return the exit code.

    Parameters
    ----------
    words, outputs : sequence of str
        The command, and what it writes.
    options : argparse.Namespace
        As `add_options` declares them.
    listen : callable
        Gets what it prints, by ``"stdout"`` or ``"stderr"`` and bytes; on a hit, too.
    """
    stage = stage_of(words, options, outputs, listen)
    try:
        if options.verbose:
            listen("stderr", _line(stage.explain()))
        results = stage.run(force_run_stage=options.force)
    except FailedError as error:
        return error.code
    except ToolError as error:
        listen("stderr", _line(error))
        return NOT_EXECUTABLE if os.path.exists(words[0]) and os.sep in words[0] else NOT_FOUND
    if not stage.state:
        for stream in ("stdout", "stderr"):
            listen(stream, Path(results[stream]).read_bytes())
    return 0


def _line(what: object) -> bytes:
    """Return what memori says as it is printed; names of files may hold any bytes."""
    return f"memori: {what}\n".encode("utf-8", "surrogateescape")
