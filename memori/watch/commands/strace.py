"""Watching a command by strace, where that is possible.

strace stops a process at each call that has to do with files or programs, and at no other
(``--seccomp-bpf``); a command that computes is not slowed down. The tracer is no parent of the
command (``-DD``): exit code, signals, standard input, process group and children stay the
command's, and the tracer ends when the last of them does.

A tracer is never a requirement. Where there is none, or where the system permits none, a command
runs as ever, and the run names it as one of which nobody told (`memori.watch.told.misses`). So does
a program that cannot be traced (`memori.watch.commands.untraceable`).

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

from memori.aside import aside
from memori.processes import temporary
from memori.watch.children import SPOOL, learn_from, new_spool
from memori.watch.commands.trace import CALLS, Trace
from memori.watch.commands.untraceable import loses_rights, note, untraceable
from memori.watch.observed import Observed, current
from memori.watch.told import Marks, misses, tell_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

log = logging.getLogger(__name__)
_OPTIONS = (
    *("-DD", "-f", "-q", "--seccomp-bpf", "-y", "-s", "4096", "-e", "signal=none"),
    *("-e", "abbrev=!getdents64", "-e", "trace=" + ",".join(f"?{each}" for each in CALLS)),
)
_PATIENCE = 10.0  # seconds that the tracer has to tell of the command's end
_WORD = "MEMORI_WORD_"
_ELF = b"\x7fELF"
_MOST_WORDS = 2000  # that env can be given in one text
_PAUSE = 0.0005  # seconds until the first look at what it told; then twice that, and so on
_LATE = 0.05
_CHUNK = 1 << 22
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
        strace = shutil.which("strace") or ""
        reason: str | None = _why_unusable(strace) or _why_unstartable(self._plain)
        reason = reason or untraceable(*self._plain, self._cwd)
        self._spool = new_spool()
        started = self._plain._replace(environment={**self._plain.environment, SPOOL: self._spool})
        if reason:
            self._goes_unwatched(run, reason)
            return started
        self._log = temporary.new_name("strace")
        os.close(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._marks.wait()
        return _under(strace, self._log, started)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if self._run is not None and kind is None:
                if self._log is not None:
                    self._tell(self._run, self._log)
                learn_from(self._spool, _with_outer(self._run))
        finally:
            if self._log is not None:
                os.unlink(self._log)
            if self._run is not None:
                shutil.rmtree(self._spool, ignore_errors=True)
            self._aside.__exit__()

    def _goes_unwatched(self, run: Observed, reason: str) -> None:
        words = tuple(self._plain.argv)
        if reason not in _said:
            _said.add(reason)
            log.info("unwatched: commands (%s)", reason)
        for each in _with_outer(run):
            each.starts(words)
            misses(each, f"{os.path.basename(words[0])} ({reason})")

    def _tell(self, run: Observed, log_path: str) -> None:
        temporary = {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}
        trace = Trace(self._cwd, self._spool, temporary)  # begins with the command, after env
        _read(log_path, trace)
        _reap()
        trace.ends()
        if trace.refused is not None:
            raise OSError(trace.refused, os.strerror(trace.refused), self._plain.executable)
        trace.found.pop(self._plain.environment.get("PWD", ""), None)  # shells look whether it is
        self.powerless = next((path for path, _ in trace.programs if loses_rights(path)), None)
        if self.powerless is not None:
            note(*self._plain, self._cwd, self.powerless)
        run.counted |= self._counted.union(map(os.path.realpath, self._counted))
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
    """Return the command as strace starts it: through ``env``, which becomes the command.

    So the environment of the command is its own (strace and env are kept away from the libraries
    that it is told to load, and from its language), and no list of processes shows its words twice.
    """
    env = shutil.which("env") or "/usr/bin/env"
    own = {name: text for name, text in plain.environment.items() if not name.startswith("LD_")}
    moved = {*plain.environment.keys() - own.keys(), *plain.environment.keys() & {"LC_ALL"}}
    program = plain.argv[0]
    if shutil.which(program, path=plain.environment.get("PATH", "")) != plain.executable:
        program = plain.executable
    words = [f"{name}={plain.environment[name]}" for name in moved]
    words += [program, *plain.argv[1:]]
    variables = {f"{_WORD}{place}": word for place, word in enumerate(words)}
    own = {**own, **variables, "LC_ALL": "C"}
    unset = [*variables, *([] if "LC_ALL" in moved else ["LC_ALL"])]
    text = " ".join([*(f"-u {name}" for name in unset), *(f'"${{{name}}}"' for name in variables)])
    return Started(["strace", *_OPTIONS, "-o", log_path, env, "-S", text], strace, own)


def _why_unusable(strace: str) -> str:
    """Say why commands cannot be watched here; nothing if they can. It is tried once."""
    if not strace:
        return "strace is not installed"
    if strace not in _usable:
        _usable[strace] = _tried(strace)
    return _usable[strace]


def _why_unstartable(plain: Started) -> str:
    """Say why a command cannot be started as `_under` says; nothing if it can."""
    try:
        with open(plain.executable, "rb") as file:
            start = file.read(4)
    except OSError:
        start = _ELF  # it may be run and not read
    if start != _ELF and start[:2] != b"#!":
        return "a program that the system may not run by itself"
    if len(plain.argv) > _MOST_WORDS or "=" in plain.executable or "=" in plain.argv[0]:
        return "a command that env cannot start"
    return ""


def _tried(strace: str) -> str:
    true = shutil.which("true")
    if true is None:
        return "strace cannot be tried"
    with tempfile.NamedTemporaryFile(prefix=f"memori-strace-{os.getpid()}-") as file:
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


def _read(path: str, trace: Trace) -> None:
    """Read what the tracer writes, until it has told of the end of all that was ended."""
    until = time.monotonic() + _PATIENCE
    pause = _PAUSE
    rest = ""
    with open(path, encoding="latin-1", newline="\n") as file:
        while True:
            is_last = pause > _LATE and not _is_open(path, file.fileno())
            text = file.read(_CHUNK)
            whole, newline, rest = (rest + text).rpartition("\n")
            if newline:
                trace.reads(whole.split("\n"))
            if len(text) == _CHUNK:
                continue
            if is_last or (trace.is_over and not trace.alive):
                return
            if trace.is_over:
                until = min(until, time.monotonic() + _GRACE)
            if time.monotonic() >= until:
                return
            time.sleep(pause)
            pause = 2 * pause


def _is_open(path: str, own: int) -> bool:
    """Tell whether another process has a file open, as far as this one may know."""
    look = os.fstat(own)
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{process}/fd"
        try:
            if int(process) != os.getpid() and any(
                os.path.samestat(look, os.stat(f"{folder}/{each}")) for each in os.listdir(folder)
            ):
                return True
        except OSError:
            pass  # gone meanwhile, or another user's
    return False


def _reap() -> None:
    """Take an ended tracer off the list of processes where nobody else does: in a container."""
    if os.getpid() != 1:
        return
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as file:
                if " (strace) Z 1 " in file.read():
                    os.waitpid(int(process), os.WNOHANG)
        except OSError:
            pass  # gone meanwhile


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
