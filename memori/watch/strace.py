"""Watching a command by strace, where that is possible.

strace stops a process at each call that has to do with files or programs, and at no other
(``--seccomp-bpf``); a command that computes is not slowed down. The tracer is no parent of the
command (``-DD``): exit code, signals, standard input, process group and children stay the
command's, and the tracer ends when the last of them does.

A tracer is never a requirement. Where there is none, or where the system permits none, a command
runs as ever, and the run names it as one of which nobody told (`memori.watch.told.misses`). So does
a program that cannot be traced (`memori.watch.untraceable`).

Not promised: what a program does on another machine, or in a container of its own.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
from typing import NamedTuple

from memori.watch.children import SPOOL
from memori.watch.observed import Observed, aside, current
from memori.watch.told import Marks, misses, tell_of
from memori.watch.trace import CALLS, Trace
from memori.watch.untraceable import loses_rights, note, untraceable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

log = logging.getLogger(__name__)
_OPTIONS = (
    *("-DD", "-f", "-q", "--seccomp-bpf", "-y", "-s", "4096", "-e", "signal=none"),
    *("-e", "abbrev=!getdents64", "-e", "trace=" + ",".join(f"?{each}" for each in CALLS)),
)
_PATIENCE = 10.0  # seconds that the tracer has to tell of the command's end
_GRACE = 0.2  # seconds to tell of the end of what was ended with the command
_LOOKS_ELSEWHERE = ("ssh", "srun", "sbatch", "qsub", "bsub", "systemd-run", "at", "batch")
_usable: dict[str, str] = {}  # by path of strace: why it cannot be used; empty if it can
_said: set[str] = set()


class Started(NamedTuple):
    """What is really started.

    Attributes
    ----------
    argv : list of str
        The words.
    executable : str
        The program.
    environment : dict of str to str
        All of it.
    """

    argv: list[str]
    executable: str
    environment: dict[str, str]


class traced:  # noqa: N801  a context manager, read as a word
    """Have a command watched that is run to its end inside a with block.

    Parameters
    ----------
    argv : sequence of str
        The command.
    executable : str
        Its program, absolute.
    environment : Mapping of str to str
        All of it.
    cwd : str
        Where it will run.
    counted : iterable of str, optional
        Paths of programs that count already.

    Attributes
    ----------
    powerless : str or None
        After the block: a program below the command that lost the rights of its owner by being
        watched. It will not be watched again; what came out of this run is of no use.
    """

    def __init__(
        self,
        argv: Sequence[str],
        executable: str,
        environment: Mapping[str, str],
        cwd: str,
        counted: Iterable[str] = (),
    ) -> None:
        self._plain = Started(list(argv), executable, dict(environment))
        self._cwd = os.path.abspath(cwd)
        self._counted = {executable, *counted}
        self._log: str | None = None
        self._run: Observed | None = None
        self.powerless: str | None = None

    def __enter__(self) -> Started:
        run = current.get()
        self._aside = aside()
        self._aside.__enter__()
        if run is None or not run.live:
            return self._plain
        self._run = run
        self._marks = Marks([tempfile.gettempdir(), self._cwd])
        started = self._plain
        strace = shutil.which("strace") or ""
        reason = _why_unusable(strace) or untraceable(*started, self._cwd)
        if reason:
            self._goes_unwatched(run, reason)
            return started
        file, self._log = tempfile.mkstemp(prefix="memori-strace-")
        os.close(file)
        self._marks.wait()
        return _under(strace, self._log, started)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if self._log is not None and self._run is not None and kind is None:
                with open(self._log, "rb") as written:
                    self._tell(self._run, written)
        finally:
            if self._log is not None:
                os.unlink(self._log)
            self._aside.__exit__()

    def _goes_unwatched(self, run: Observed, reason: str) -> None:
        words = tuple(self._plain.argv)
        if reason not in _said:
            _said.add(reason)
            log.info("unwatched: commands (%s)", reason)
        for each in _with_outer(run):
            each.starts(words)
            misses(each, f"{os.path.basename(words[0])} ({reason})")

    def _tell(self, run: Observed, written: BinaryIO) -> None:
        spool = self._plain.environment.get(SPOOL)
        temporary = {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}
        trace = Trace(self._cwd, spool, temporary)
        _read(written, trace)
        trace.ends()
        trace.found.pop(self._plain.environment.get("PWD", ""), None)  # shells look whether it is
        for path in self._counted.union(map(os.path.realpath, self._counted)):
            trace.files.forgets(path)
            trace.found.pop(path, None)
        self.powerless = next((path for path, _ in trace.programs if loses_rights(path)), None)
        if self.powerless is not None:
            note(*self._plain, self._cwd, self.powerless)
        for each in _with_outer(run):
            tell_of(each, trace, self._marks)
            for who in _unseen(trace, os.path.basename(self._plain.argv[0])):
                misses(each, who)


def _with_outer(run: Observed | None) -> list[Observed]:
    found = []
    while run is not None:
        found.append(run)
        run = run.outer
    return found


def _under(strace: str, log_path: str, plain: Started) -> Started:
    """Return the command as strace starts it.

    strace looks for a name on its own PATH, so it gets one of a single folder. It is also kept away
    from the libraries that the command is told to load.
    """
    own = {name: text for name, text in plain.environment.items() if not name.startswith("LD_")}
    moved = {name: text for name, text in plain.environment.items() if name.startswith("LD_")}
    program = plain.argv[0]
    if os.sep in program:
        program = plain.executable
    else:
        path = plain.environment.get("PATH")
        own["PATH"] = os.path.dirname(plain.executable)
        moved |= {} if path is None else {"PATH": path}
    settings = [f"{name}={text}" for name, text in moved.items()]
    if "PATH" in own and "PATH" not in plain.environment:
        settings.append("PATH")  # it gets none
    options = [word for each in settings for word in ("-E", each)]
    argv = ["strace", *_OPTIONS, "-o", log_path, *options, "--", program, *plain.argv[1:]]
    return Started(argv, strace, own)


def _why_unusable(strace: str) -> str:
    """Say why commands cannot be watched here; nothing if they can. It is tried once."""
    if not strace:
        return "strace is not installed"
    if strace not in _usable:
        _usable[strace] = _tried(strace)
    return _usable[strace]


def _tried(strace: str) -> str:
    true = shutil.which("true")
    if true is None:
        return "strace cannot be tried"
    with tempfile.NamedTemporaryFile(prefix="memori-strace-") as file:
        started = _under(strace, file.name, Started(["true"], true, dict(os.environ)))
        try:
            done = subprocess.run(
                started.argv,
                executable=strace,
                env=started.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"strace cannot be used: {error}"
    said = done.stderr.strip().splitlines()
    if done.returncode or said:
        return f"strace cannot be used: {said[0] if said else f'exit code {done.returncode}'}"
    return ""


def _read(written: BinaryIO, trace: Trace) -> None:
    """Read what the tracer wrote, until it has told of the end of all that was ended."""
    until = time.monotonic() + _PATIENCE
    pause = 0.0005
    rest = ""
    while True:
        text = rest + written.read().decode("latin-1")
        whole, newline, rest = text.rpartition("\n")
        if newline:
            trace.reads(whole.split("\n"))
        if trace.is_over and not trace.alive:
            return
        if trace.is_over:
            until = min(until, time.monotonic() + _GRACE)
        if time.monotonic() >= until:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _unseen(trace: Trace, command: str) -> list[str]:
    """Name who may have read files of which the tracer did not tell."""
    found = [f"{each} (a container of its own)" for each in trace.contained]
    for path, _ in trace.programs:
        if os.path.basename(path) in _LOOKS_ELSEWHERE:
            found.append(f"{os.path.basename(path)} (what it starts elsewhere)")
    if not trace.is_over or trace.lost:
        found.append(f"{command} (the tracer was ended)")
    elif trace.alive:
        found.append(f"{command} (what it left running)")
    return found
