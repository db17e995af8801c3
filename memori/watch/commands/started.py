"""Programs that a Python function starts: watched like commands of a stage, where that can be.

Python starts them by `subprocess.Popen` (and all that is made of it: `run`, `check_output`,
`os.popen`) and by `os.system`. Both are wrapped: while a run goes on, the program is started by way
of a tracer (`memori.watch.commands.strace`), which leaves its process, streams, signals and exit
code as they are. What it did is told when it is waited for, so before the function goes on; at the
latest when the run ends.

Where no tracer can be had, or the program is to be started as somebody else, it runs as ever: then
the files count that its words name (`memori.watch.commands.named`).

Not promised: `os.posix_spawn`, `os.exec` and `os.fork` with it: of these the words alone are read.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from functools import wraps

from memori.aside import aside
from memori.errors import warn
from memori.fingerprint.opaque import StandIn
from memori.processes.interrupts import mark_of_start
from memori.watch.children import SPOOL
from memori.watch.observed import ASIDE, Observed, current
from memori.watch.threads import runs_here
from memori.watch.told import is_followed_above, looks_up, spoils

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from memori.watch.commands.strace import Watched

_MARK = "_memori_watched"
_wrapped: list[bool] = []
_BEHIND = r"(?<![&>|])&(?![&>0-9])|\b(?:nohup|setsid|disown|daemon)\b|--?daemon\b"
_SERVERS = frozenset(
    ("tmux", "screen", "ssh-agent", "gpg-agent", "dbus-launch", "Xvfb", "pg_ctl", "redis-server")
)
_OTHER_USER = ("preexec_fn", "gid", "gids", "uid")
_MOST_BYTES = 60_000  # of one word: Linux takes 128 KiB, and a shell gets it inside a text
_GRACE = 0.05  # seconds to tell what a program did that goes on behind its run


def follow_programs(live: Sequence[Observed]) -> None:
    """Wrap what starts programs, as far as it is imported; each is wrapped once.

    Parameters
    ----------
    live : sequence of Observed
        All runs that go on, at any time.
    """
    if "subprocess" in sys.modules:
        follow_popen(live)
    if not isinstance(os.system, StandIn):
        _follow_system(live)


def follow_popen(live: Sequence[Observed]) -> None:
    """Wrap `subprocess.Popen`, whose import takes longer than many a stage."""
    if _wrapped:
        return
    _wrapped.append(True)  # first: the import tells of itself
    import subprocess

    popen: Any = subprocess.Popen
    execute, handle = popen._execute_child, popen._handle_exitstatus
    names = execute.__code__.co_varnames[1 : execute.__code__.co_argcount]

    @wraps(execute)
    def executing(self: Any, *args: Any, **named: Any) -> None:
        runs = runs_here(live)
        if not runs:
            execute(self, *args, **named)
            return
        call = {**dict(zip(names, args, strict=False)), **named}
        with _watched(self, runs, call):
            execute(self, **call)

    @wraps(handle)
    def handling(self: Any, *args: Any, **named: Any) -> None:
        handle(self, *args, **named)
        watched = self.__dict__.pop(_MARK, None)
        if watched is not None and self.returncode is not None:
            _is_over(watched)

    popen._execute_child, popen._handle_exitstatus = executing, handling


def _follow_system(live: Sequence[Observed]) -> None:
    system = os.system

    class Calling(StandIn):
        def __call__(self, command: Any) -> int:
            runs = runs_here(live)
            return system(command) if not runs else _system(system, runs, os.fsdecode(command))

    os.system = Calling(system, "os")


# One program


class _Started:
    """A program that was started for runs, in one process."""

    def __init__(self, watched: Watched, runs: Sequence[Observed], process: int) -> None:
        self.watched = watched
        self.runs = runs
        self.process = process
        self.owner = os.getpid()


@contextmanager
def _watched(popen: Any, runs: Sequence[Observed], call: dict[str, Any]) -> Iterator[None]:
    """Have a program started by way of a tracer; `call` is what `_execute_child` is given."""
    watched, fault = None, ""
    try:
        with aside():
            watched = _begin(runs, call)
    except (OSError, ValueError, TypeError) as error:  # it starts as it would without memori
        fault = str(error)
    if watched is None:
        # The tracer above tells in what order files are read and written; what words name would
        # come first, and what the program only writes would be taken for what it has read.
        is_told = current.set(ASIDE) if is_followed_above(runs[:1]) else None
        try:
            yield
        finally:
            if is_told is not None:
                current.reset(is_told)
        if fault:
            _tell_fault(runs, fault)
        return
    token = current.set(ASIDE)  # what is told of the program, is told
    try:
        yield
    except BaseException:
        watched.goes()
        raise
    finally:
        current.reset(token)
    started = _Started(watched, runs, popen.pid)
    popen.__dict__[_MARK] = started
    runs[0].waiting.append(started)


def _begin(runs: Sequence[Observed], call: dict[str, Any]) -> Watched | None:
    """Return the watch over a program, and put into its call what is started instead."""
    from memori.watch.commands.strace import Watched
    from memori.watch.commands.through_env import Started

    argv, executable, environment = _meant(call)
    cwd = os.path.abspath(os.fsdecode(call["cwd"] or "."))
    if executable is None or not os.path.isdir(cwd):
        _misses(runs, argv[0], cwd, environment)  # Python says so
        return None
    for run in runs:
        run.starts(tuple(argv))
    if is_followed_above(runs[:1]):
        return None
    plain = Started(argv, executable, environment)
    watched = Watched(runs, plain, cwd, environment.get(SPOOL))
    started = watched.begins(_why_not(call, argv, executable, environment))
    if watched.reason is None:
        call.update(args=started.argv, executable=started.executable, shell=False)
        call["env"] = started.environment
    return watched


def _meant(call: dict[str, Any]) -> tuple[list[str], str | None, dict[str, str]]:
    """Return the words, the program and the environment that a call of `Popen` means."""
    given, executable = call["args"], call["executable"]
    is_one = isinstance(given, (str, bytes, os.PathLike))
    argv = [os.fsdecode(each) for each in ([given] if is_one else given)]
    if call["shell"]:
        argv = [os.fsdecode(executable or "/bin/sh"), "-c", *argv]
    env = os.environ if call["env"] is None else call["env"]
    environment = {os.fsdecode(name): os.fsdecode(text) for name, text in env.items()}
    mark = mark_of_start() if call["env"] is None else None  # which `os.environ` does not know
    if mark is not None:
        environment["MEMORI_RUN"] = mark
    name = os.fsdecode(executable or argv[0])
    if "/" in name:
        paths = [os.path.abspath(os.path.join(os.fsdecode(call["cwd"] or "."), name))]
    else:
        paths = [os.path.join(folder, name) for folder in os.get_exec_path(environment)]
    found = (path for path in paths if os.access(path, os.X_OK) and os.path.isfile(path))
    return argv, next(found, None), environment


def _misses(runs: Sequence[Observed], name: str, cwd: str, environment: dict[str, str]) -> None:
    """Note what is not there, where no program can be started: the function may do without."""
    for run in runs:
        if not os.path.lexists(cwd):
            run.reads(cwd)
        elif "/" in name:
            path = os.path.abspath(os.path.join(cwd, name))
            if not os.path.lexists(path):
                run.reads(path)
        elif environment.get("PATH") == os.environ.get("PATH"):
            looks_up(run, name)


def _why_not(
    call: dict[str, Any], argv: Sequence[str], executable: str, environment: dict[str, str]
) -> str | None:
    """Say why a program is better not watched."""
    if any(call.get(name) not in (None, -1) for name in _OTHER_USER):
        return "started as another user, or with a function that prepares it"
    is_called_so = os.path.basename(argv[0]) == os.path.basename(executable)
    if not is_called_so:
        return "a program that is called by another name"
    if any(len(os.fsencode(each)) > _MOST_BYTES for each in (*argv, *environment.values())):
        return "words that are too long"
    if call["errwrite"] != -1 or call["pass_fds"]:  # the tracer would keep it open
        text = argv[2] if len(argv) > 2 and argv[1] == "-c" else ""
        leaves = re.search(_BEHIND, text) and not re.search(r"\bwait\b", text)
        if leaves or os.path.basename(argv[0]) in _SERVERS:
            return "what it starts goes on behind it"
    return None


def _is_over(started: _Started, *, patience: float | None = None) -> None:
    """Tell the runs of a program that has ended."""
    if started.owner != os.getpid():
        return  # a process that was forked meanwhile
    run = started.runs[0]
    if started in run.waiting:
        run.waiting.remove(started)
    with aside():
        try:
            if run.live:
                started.watched.ends(patience=patience)
                _tell_powerless(started)
        except (OSError, ValueError) as error:
            _tell_fault(started.runs, str(error))
        finally:
            started.watched.goes()


def _tell_fault(runs: Iterable[Observed], fault: str) -> None:
    """Say that a program went on, and that nobody knows what it did."""
    for run in runs:
        run.faults.append(f"a program was not watched: {fault}")
        run.tells("faults", run.faults[-1])


def _tell_powerless(started: _Started) -> None:
    """Say that a program has lost its rights; the next time it is not watched."""
    program = started.watched.powerless
    if program is not None:
        for run in started.runs:
            spoils(run, f"watching {program} changed what it did")
        warn(
            f"{program} has rights of its own and lost them because it was watched, so this run is "
            "of no use and is not remembered; run it again: from now on it is not watched"
        )


def end_waiting(run: Observed) -> None:
    """Tell a run that ends of the programs that nobody has waited for."""
    for started in list(run.waiting):
        _is_over(started, patience=_GRACE if _goes_on(started.process) else None)


def _goes_on(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False  # somebody else has waited for it


def _system(system: Callable[[str], int], runs: Sequence[Observed], command: str) -> int:
    """Call `os.system` by way of a tracer."""
    call = {
        "args": ["sh", "-c", command], "executable": "/bin/sh", "cwd": None, "env": None,
        "shell": False, "errwrite": -1, "pass_fds": (),
    }  # fmt: skip
    with aside():
        watched = _begin(runs, call)
        if watched is None or watched.reason is not None:
            return system(command)
        try:
            code = system("exec " + _as_text(call))
        except BaseException:  # a signal's, which the user may catch
            _is_over(_Started(watched, runs, 0), patience=_GRACE)
            raise
    _is_over(_Started(watched, runs, 0))
    return code


def _as_text(call: dict[str, Any]) -> str:
    """Return the call of a tracer as a shell's text."""
    env = call["env"]
    words = ["env", *(f"-u{name}" for name in os.environ.keys() - env.keys())]
    words += [f"{name}={text}" for name, text in env.items() if os.environ.get(name) != text]
    from shlex import join

    return join([*words, call["executable"], *call["args"][1:]])
