"""Running a command to its end, or to an error that says what happened.

Everything that runs a command for a stage ends here: templates, what `memori run` is given, and
Nipype's command lines. The program is found as the environment says; what it prints goes to two
files; what it does with files is told to the run that waits for it, where a tracer can be had
(`memori.watch.commands.strace`); and one that cannot be started, is ended, or exits with a code
that means no success is a `CommandError`.

Not promised: evidence of a failure on disk; the stage that runs it keeps that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from subprocess import DEVNULL

from memori.calls.current_run import current
from memori.calls.fault import met
from memori.calls.reproduction import command_source
from memori.errors import TimeLimitError
from memori.neuro.command.containers import Launch
from memori.neuro.command.errors import STREAMS, CommandError, CommandTimeLimitError, ended
from memori.neuro.command.scripts import programs_of
from memori.neuro.process.exit_codes import exit_codes_kept
from memori.neuro.process.run import Ended, Listener, run_process
from memori.neuro.tools.identity import find, require
from memori.watch.commands.strace import traced

_SHELL = "/bin/sh"
_LINE = 256  # of a program; compiled ones hold zeros


@dataclass(frozen=True)
class Execution:
    """One command, about to run.

    Attributes
    ----------
    argv : sequence of str
        The command, as people call it.
    folder : str
        Where what it prints is kept.
    stage_name : str
        What errors call the stage.
    environment : Mapping of str to str
        All of it.
    cwd : str, optional
        Where it runs; in `folder` unless given.
    streams : tuple of str, optional
        Names of the files for what it prints.
    programs : sequence of str, optional
        The programs that count already, as the environment finds them; by default the first word,
        and what stands behind a wrapper.
    launch : context manager, optional
        What is really started, instead of `argv` in `environment`: an engine of containers.
    launched : list of Launch
        What was started so far.
    """

    argv: Sequence[str]
    folder: str
    stage_name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    streams: tuple[str, str] = STREAMS
    programs: Sequence[str] | None = None
    launch: AbstractContextManager[Launch] | None = None
    launched: list[Launch] = field(default_factory=list, init=False)

    def run(
        self,
        *,
        timeout: float | None = None,
        exit_codes: Collection[int] | None = (0,),
        listen: Listener | None = None,
        stdin: int = DEVNULL,
    ) -> Ended:
        """Run it to its end.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which it is ended.
        exit_codes : collection of int, optional
            Those that mean success; None for any.
        listen : callable, optional
            Gets what it prints, while it runs.
        stdin : int, optional
            What it reads from its standard input; nothing unless given.

        Raises
        ------
        ToolError
            If its program is not installed.
        CommandTimeLimitError
            If it does not end in time.
        CommandError
            If it fails in another way.
        """
        stdout, stderr = (os.path.join(self.folder, name) for name in self.streams)
        plain = nullcontext(Launch(list(self.argv), None, dict(self.environment)))
        folder = self.cwd or self.folder
        try:
            with self.launch or plain as launch:
                program = require(launch.argv[0], launch.environment, self.cwd)
                argv, program = _as_started(launch.argv, program)
                self.launched.append(launch)
                names = programs_of(launch.argv) if self.programs is None else self.programs
                counted = [find(name, launch.environment, self.cwd) for name in names]
                watch = traced(argv, program, launch.environment, folder, filter(None, counted))
                with watch as started, exit_codes_kept():
                    done = run_process(
                        started.argv,
                        executable=started.executable,
                        folder=folder,
                        stdout=stdout,
                        stderr=stderr,
                        environment=started.environment,
                        timeout=timeout,
                        listen=listen,
                        stop=launch.stop,
                        stdin=stdin,
                    )
                    if done.timed_out or done.interrupted:  # and so was its tracer ended
                        raise self._ended(done, timeout)
                    if done.left:
                        watch.spoils(
                            f"{self.argv[0]} left running {done.left} and was ended; have the "
                            "command wait for it, or end it"
                        )
        except (TimeLimitError, BrokenPipeError):
            raise  # OSErrors too: its time, or that of the stage around it, or nobody listens
        except (OSError, ValueError) as error:
            raise self.failure(f"could not be started: {error}", None, error) from error
        if watch.powerless is not None:
            raise self.failure(
                f"called {watch.powerless}, which has rights of its own and lost them because the "
                "command was watched; run it again: from now on it is not",
                done,
            )
        if exit_codes is not None and done.code not in exit_codes:
            raise self.failure(ended(done.code, done.seconds), done)
        note_command(self.argv, self.argv[0], launch.image)
        return done

    def failure(
        self, reason: str, done: Ended | None, cause: Exception | None = None
    ) -> CommandError:
        """Return an error of this command.

        Parameters
        ----------
        reason : str
            What went wrong.
        done : Ended or None
            How it ended; None if it never started.
        cause : Exception, optional
            Why it did not start.
        """
        error = CommandError(
            reason,
            argv=self.argv,
            code=None if done is None else done.code,
            seconds=0.0 if done is None else done.seconds,
            stage_name=self.stage_name,
            folder=self.folder,
            interrupted=isinstance(cause, InterruptedError) if done is None else done.interrupted,
        )
        self._meets(error)
        return error

    def _ended(self, done: Ended, timeout: float | None) -> CommandError:
        """Return the error of a command that memori ended."""
        if not done.timed_out or timeout is None:
            return self.failure(f"was interrupted after {done.seconds:.1f} s", done)
        error = CommandTimeLimitError(
            timeout,
            argv=self.argv,
            code=done.code,
            stage_name=self.stage_name,
            folder=self.folder,
            interrupted=done.interrupted,
        )
        self._meets(error)
        return error

    def _meets(self, error: CommandError) -> None:
        if self.launched:
            launch = self.launched[-1]
            folder = self.cwd or self.folder
            met(error, command=command_source(launch.argv, folder, launch.environment))


def _as_started(argv: list[str], program: str) -> tuple[list[str], str]:
    """Return what the system can start: a text that names no interpreter is a script of `_SHELL`.

    So do shells take it, and ``env``, ``nice`` and ``xargs``; `subprocess` does not.
    """
    try:
        with open(program, "rb") as file:
            start = file.read(_LINE)
    except OSError:  # it may be run and not read
        return argv, program
    is_text = start[:2] != b"#!" and b"\0" not in start
    return ([_SHELL, program, *argv[1:]], _SHELL) if is_text else (argv, program)


def note_command(argv: Sequence[str], program: str, image: str = "") -> None:
    """Have the entry of the running stage say which command ran.

    Parameters
    ----------
    argv : sequence of str
        The command.
    program : str
        What stands for the tool among the surroundings that count.
    image : str, optional
        The container that it ran in, as ``engine://image``.
    """
    run = current()
    if run is not None:
        told = {"container": image} if image else {}
        run.command = {"argv": list(argv), "tool": program, **told}
