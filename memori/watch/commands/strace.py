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

from memori.aside import aside
from memori.errors import warn
from memori.processes import temporary
from memori.processes.interrupts import going_here, mark_of_start
from memori.watch.children import SPOOL, learn_from, new_spool
from memori.watch.commands import beginning
from memori.watch.commands.named import ELSEWHERE, Named
from memori.watch.commands.through_env import Started, under, why_unstartable
from memori.watch.commands.trace import Trace
from memori.watch.commands.tracer_log import read_log, reap
from memori.watch.commands.untraceable import loses_rights, note, untraceable
from memori.watch.observed import current
from memori.watch.threads import with_outer
from memori.watch.told import (
    Marks,
    executes,
    is_followed_above,
    leaves_above,
    misses,
    ran,
    spoils,
    tell_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from memori.watch.observed import Observed

log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds that a tracer has to show that it can be used
_ROOM = 1 << 20  # bytes that a tracer may need for its log
_usable: dict[str, str] = {}  # by path of strace: why it cannot be used; empty if it can
_said: set[str] = set()


class Watched:
    """One command, watched from before it starts until it is over.

    Parameters
    ----------
    runs : sequence of Observed
        Those that are told of it: the innermost first.
    plain : Started
        The command.
    cwd : str
        Where it will run.
    spool : str, optional
        The folder into which Pythons below it write what they do.
    counted : collection of str, optional
        Paths of programs that count already.

    Attributes
    ----------
    reason : str or None
        Why it is not watched, once it begins.
    powerless : str or None
        At the end: a program below the command that lost the rights of its owner by being
        watched. It will not be watched again; what came out of this run is of no use.
    """

    def __init__(
        self,
        runs: Sequence[Observed],
        plain: Started,
        cwd: str,
        spool: str | None = None,
        counted: Collection[str] = (),
    ) -> None:
        self._runs = runs
        self._plain = plain
        self._cwd = os.path.abspath(cwd)
        self._spool = spool
        self._counted = {*counted, *map(os.path.realpath, counted)}
        self._log: str | None = None
        self._named: list[str] = []
        self._is_spoilt = False
        self.reason: str | None = None
        self.powerless: str | None = None

    def begins(self, why_not: str | None = None) -> Started:
        """Return what is to be started.

        Parameters
        ----------
        why_not : str, optional
            Why it shall not be watched.
        """
        for run in self._runs[:1]:
            run.counted |= self._counted
        strace = shutil.which("strace") or ""
        self._marks = Marks([tempfile.gettempdir(), self._cwd])
        if os.path.basename(self._plain.argv[0]) in ELSEWHERE:
            why_not = why_not or "it starts programs elsewhere"
        is_followed = is_followed_above(self._runs)
        if is_followed:  # to try would leave processes that the tracer above cannot place
            why_not = why_not or "the tracer of a run around this one follows it"
        self.reason = why_not or _why_unusable(strace) or why_unstartable(self._plain)
        self.reason = self.reason or untraceable(*self._plain, self._cwd)
        path = temporary.new_name("strace")
        self.reason = self.reason or _why_full(os.path.dirname(path))
        if self.reason:
            tell_unwatched(self._runs, self._plain, self._cwd, self.reason)
            if is_followed and not untraceable(*self._plain, self._cwd):
                leaves_above(self._runs, self._plain.argv[0])
            return self._plain
        found = Named(self._plain.argv, self._cwd, self._plain.environment).found
        self._named = [path for path in found.files if not _fits(path, found.patterns)]
        self._log = path
        os.close(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._beginning = beginning.begins(self._log)
        self._marks.wait()
        return under(strace, self._log, self._plain)

    def ends(self, *, patience: float | None = None) -> None:
        """Tell the runs what it did.

        Parameters
        ----------
        patience : float, optional
            Seconds to wait for its end; by default, as long as a tracer may take to tell of it.

        Raises
        ------
        OSError
            If the system refused to start it.
        """
        if self._log is None:
            return
        folders = {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}
        trace = Trace(self._cwd, self._spool, folders)  # begins with the command, after env
        read_log(self._log, trace, **({} if patience is None else {"patience": patience}))
        reap(self._log, waits=not trace.alive)
        trace.ends()
        if trace.refused is not None:
            raise OSError(trace.refused, os.strerror(trace.refused), self._plain.executable)
        folder = self._plain.environment.get("PWD", "")
        trace.files.found.pop(folder, None)  # shells look whether it is theirs
        self.powerless = next((path for path, _ in trace.programs if loses_rights(path)), None)
        if self.powerless is not None:
            note(*self._plain, self._cwd, self.powerless)
        for each in self._runs:
            ran(each, tuple(self._plain.argv))
            tell_of(each, trace, self._marks)
            for who in _unseen(trace, os.path.basename(self._plain.argv[0])):
                misses(each, who)
            for path in self._named:  # what words name counts, although it was not opened
                if each.own_touch(path) is None:
                    each.names(path)
        if patience is None and not self._is_spoilt and (why := self._why_spoilt(trace)):
            self.spoils(why)

    def spoils(self, why: str) -> None:
        """Tell the runs why what came of it is of no use."""
        self._is_spoilt = True
        for each in self._runs:
            spoils(each, why)

    def _why_spoilt(self, trace: Trace) -> str:
        """Say why what came of it is of no use; nothing if it is, or memori itself ended it."""
        program = self._plain.executable
        going = going_here()
        if going is not None and going.is_interrupted:
            return f"{program} was ended"
        kills = trace.kills or any(each.kills for each in self._runs)
        if not trace.is_over and not (kills and not trace.programs):  # which refuses calls
            return f"the tracer of {program} was ended while it ran"
        if trace.lost:
            return f"the tracer of {program} did not tell who started process {trace.lost[0]}"
        if trace.killed and not kills:
            who = f"process {trace.killed[0]} of {program}" if len(trace.programs) > 1 else program
            return f"{who} was killed by somebody else, as where memory is short"
        return ""

    def goes(self) -> None:
        """Remove what was kept for watching it."""
        if self._log is not None:
            beginning.is_over(self._beginning, self._log)
            os.unlink(self._log)
            self._log = None


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
        After the block, as of `Watched`.
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
        self._cwd = cwd
        self._counted = {executable, *counted}
        self._watched: Watched | None = None
        self.powerless: str | None = None

    def __enter__(self) -> Started:
        run = current.get()
        self._aside = aside()
        self._aside.__enter__()
        if run is None or not run.live:
            return self._plain
        self._spool = new_spool()
        plain = self._plain._replace(environment={**self._plain.environment, SPOOL: self._spool})
        self._runs = with_outer(run)
        self._watched = Watched(self._runs, plain, self._cwd, self._spool, self._counted)
        return self._watched.begins()

    def spoils(self, why: str) -> None:
        """Say why what came of the command is of no use; the run that waits for it is told."""
        if self._watched is None:
            warn(why)
        else:
            self._watched.spoils(why)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if self._watched is not None and kind is None:
                self._watched.ends()
                self.powerless = self._watched.powerless
                learn_from(self._spool, self._runs)
        finally:
            if self._watched is not None:
                self._watched.goes()
                shutil.rmtree(self._spool, ignore_errors=True)
            self._aside.__exit__()


def tell_unwatched(runs: Iterable[Observed], plain: Started, cwd: str, reason: str) -> None:
    """Tell runs of a command that is about to start and of which no tracer tells."""
    words = tuple(plain.argv)
    if reason not in _said:
        _said.add(reason)
        log.info("unwatched: commands (%s)", reason)
    named = Named(plain.argv, cwd, plain.environment)
    for each in runs:
        if words not in each.programs:
            each.starts(words)
        executes(each, plain.executable)
        each.reads(plain.executable)
        named.tell(each)
        misses(each, f"{os.path.basename(words[0])} ({reason})")


def _why_unusable(strace: str) -> str:
    """Say why commands cannot be watched here; nothing if they can. It is tried once."""
    if not strace:
        return "strace is not installed"
    if strace not in _usable:
        _usable[strace] = _tried(strace) and _tried(strace)  # once, somebody may have killed it
    return _usable[strace]


def _why_full(folder: str) -> str | None:
    """Say why a tracer has no room in a folder; None if it has."""
    room = os.statvfs(folder)
    return f"{folder} is full" if room.f_bavail * room.f_frsize < _ROOM else None


def _tried(strace: str) -> str:
    true = shutil.which("true")
    if true is None:
        return "strace cannot be tried"
    with tempfile.NamedTemporaryFile(prefix=f"memori-strace-{os.getpid()}-") as file:
        mark = mark_of_start()  # so that the trial ends with this process
        environment = {**os.environ, **({} if mark is None else {"MEMORI_RUN": mark})}
        started = under(strace, file.name, Started(["true"], true, environment))
        begun = beginning.begins(file.name)
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
        finally:
            beginning.is_over(begun, file.name)
    said = done.stderr.strip().splitlines()
    if done.returncode or said:
        return f"strace cannot be used: {said[0] if said else f'exit code {done.returncode}'}"
    return ""


def _fits(path: str, patterns: Sequence[str]) -> bool:
    from fnmatch import fnmatch

    return any(fnmatch(path, each) for each in patterns)


def _unseen(trace: Trace, command: str) -> list[str]:
    """Name who may have read files of which the tracer did not tell."""
    found = [f"{each} (a container of its own)" for each in trace.contained]
    found += [f"{each} (what it asks of io_uring)" for each in trace.queues]
    for path, _ in trace.programs:
        if os.path.basename(path) in ELSEWHERE:
            found.append(f"{os.path.basename(path)} (what it starts elsewhere)")
    if not trace.is_over:
        found += [f"{command} (the tracer was ended)"] if trace.programs else []
    elif trace.lost:
        found.append(f"{command} (process {trace.lost[0]}, which nobody was seen to start)")
    elif trace.alive:
        found.append(f"{command} (what it left running)")
    return found
