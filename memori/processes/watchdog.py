"""End what a process that is gone has left running.

A program of its own, started once by a process that runs something (`memori.processes.interrupts`),
which imports only its functions. It reads from a pipe what its owner starts and finishes, one JSON
list per line:

    ["begin", MARK, STOP]      before something starts; the environment of what it starts holds
                               MEMORI_RUN=MARK, and STOP is a command that also ends it (a
                               container), or null
    ["group", MARK, NUMBER]    its process group, once it runs
    ["workers", MARK, FOLDER]  each file in the folder names a worker process, see `workers_in`
    ["called", MARK, true]     it was started by what the owner calls; it also ends when the owner
                               is told to, by SIGTERM or SIGHUP
    ["temporary", MARK, PATH]  a folder that is removed when the owner is gone
    ["tracer", MARK, LOG]      a strace begins that writes there; what it leaves waiting is ended
    ["end", MARK]              it is over

Between lines stands each signal that the owner gets, as one byte (`signal.set_wakeup_fd`).

The pipe ends when its owner does, however that comes about: by SIGKILL, too. Whatever has begun
and not ended is then ended: workers, process groups, and (on Linux) every process whose environment
holds the mark, so that children in a session of their own do not survive either, with all that
descends from them. No thread or fork in the owner is involved, and no child of it, for which a
callable might wait (but where the owner is the first process of a container, which inherits all
others: ``docker run --init`` has one for that); a thread that ends, unlike with
``PR_SET_PDEATHSIG``, takes nothing with it.

strace begins as three processes: the program to be, the tracer, and one that waits until the tracer
holds the program, and is killed by it then. If the tracer is killed before (or, a moment earlier,
the program to be), what waits does so for ever, and with it the program, and whoever reads what the
program prints. So where a log stays empty, what waits for nothing is ended; the program then
fails, as one does whose tracer was ended.

Not promised: a child that left both its parents and its environment behind, a program of another
user, and anything if this process is killed too (a cluster's cgroup ends them all).
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

GRACE = 0.5  # seconds between asking and killing
_PAUSE = 0.25  # seconds until a tracer that has told nothing is looked at; then twice that, ...
_LONGEST = 5.0
STOP = 10.0  # seconds that commands have which end something (a container's engine may hang)
WORKER = "worker-"
_SIGNALS = bytes(number for number in range(32) if number != ord("\n"))
_LATER_SIGNALS = bytes(range(32, 65))  # of real time, which look like parts of a line
_HAS_PROC = os.path.isdir("/proc/self")


def marked(marks: Iterable[str]) -> list[int]:
    """Return the processes whose environment holds one of the marks."""
    wanted = [f"MEMORI_RUN={mark}".encode() for mark in marks]
    found = []
    for number in _numbers() if wanted else ():
        if number != os.getpid():
            try:
                with open(f"/proc/{number}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
            except OSError:
                continue  # gone, or another user's
            if any(each in variables for each in wanted):
                found.append(number)
    return found


def birth(process: int) -> str | None:
    """Return what tells a living process from a later one of its number; None if it is gone."""
    found = _parent_and_birth(process)
    return None if found is None else found[1]


def parent_of(process: int) -> int | None:
    """Return the parent of a living process; None if it is gone, or the system does not tell."""
    found = _parent_and_birth(process)
    return None if found is None else found[0]


def with_descendants(roots: Iterable[int]) -> dict[int, str]:
    """Return living processes and all that descends from them, each with its birth."""
    roots = set(roots)
    found = {n: each for n in {*_numbers(), *roots} if (each := _parent_and_birth(n))}
    children: dict[int, list[int]] = {}
    for number, (parent, _) in found.items():
        children.setdefault(parent, []).append(number)
    family: dict[int, str] = {}
    waiting = [n for n in roots.intersection(found) if found[n][0] not in roots]
    for number in waiting:  # it grows meanwhile, and parents stand before their children
        if number not in family and number != os.getpid():
            family[number] = found[number][1]
            waiting += children.get(number, ())
    return family


def end(
    processes: Collection[int] = (),
    marks: Collection[str] = (),
    groups: Collection[int] = (),
    grace: float = GRACE,
) -> None:
    """End processes, groups and what holds a mark, with all that descends from them, asking first.

    The parents are asked before their children: who is told to end must not take the end of a
    child for a result.
    """
    known = with_descendants([*processes, *marked(marks)])
    rounds = ((signal.SIGTERM, grace), (signal.SIGKILL, 0.05), (signal.SIGKILL, 0.0))
    for number, patience in rounds:
        for group in groups:
            send(os.killpg, group, number)
        for process in _living(known):
            send(os.kill, process, number)
        until = time.monotonic() + patience
        while (_living(known) or any(map(_is_there, groups))) and time.monotonic() < until:
            time.sleep(0.02)
        known |= with_descendants([*_living(known), *marked(marks)])
        if not _living(known) and not any(map(_is_there, groups)):
            return


def stop(commands: Iterable[list[str]]) -> list[list[str]]:
    """Run commands that end something, all at once; return those that did not end in time."""
    import subprocess

    started = []
    for command in commands:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            continue  # the engine is gone
        started.append((command, process))
    until = time.monotonic() + STOP
    late = []
    for command, process in started:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            late.append(command)
            send(os.killpg, process.pid, signal.SIGKILL)
            process.wait()
    return late


def send(how: Callable[[int, int], None], target: int, number: int) -> None:
    """Send a signal to what may be gone."""
    try:
        how(target, number)
    except OSError:
        pass


def workers_in(folder: str) -> dict[int, bool]:
    """Return for each process that a folder names (worker-NUMBER, its birth) whether it lives."""
    found = {}
    for name in _listed(folder):
        if name.startswith(WORKER):
            number = int(name.removeprefix(WORKER))
            try:
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    found[number] = birth(number) == file.read()
            except OSError:
                continue
    return found


def mark_of_worker(folder: str, process: int) -> str:
    """Return the mark of what a worker that a folder names has started."""
    return f"{os.path.basename(folder)}.{process}"


class Beginning:
    """A strace that has begun, until it holds its program.

    Parameters
    ----------
    log : str
        The file that it writes, which is empty until then; its processes are known by it.

    Attributes
    ----------
    due : float
        When it is to be looked at.
    suspects : dict of int to str
        What waited for nothing when it was last looked at, each with its birth.
    """

    def __init__(self, log: str) -> None:
        self._log = log
        self._pause = _PAUSE
        self.due = time.monotonic() + _PAUSE
        self.suspects: dict[int, str] = {}

    def looks(self) -> bool:
        """Look, end what was found waiting for nothing twice; False if no look is needed again."""
        try:
            if os.stat(self._log).st_size:
                return False
        except OSError:
            return False  # its command is over
        found = _waiting_in_vain(self._log)
        for number, born in found.items() & self.suspects.items():
            if birth(number) == born:
                send(os.kill, number, signal.SIGKILL)
        is_new = found.keys() - self.suspects.keys()
        self.suspects = found
        self._pause = self._pause if is_new else min(2 * self._pause, _LONGEST)
        self.due = time.monotonic() + self._pause
        return True


def _waiting_in_vain(log: str) -> dict[int, str]:
    """Return what strace started for a log that sleeps without a child or a program to hold.

    Or a child of strace's own trial whose parent was killed: held by who inherited it, or stopped,
    and alone. Nothing, while anything else of strace does not sleep: a tracer that had no turn yet
    on a machine that is overloaded, or that somebody stopped.
    """
    found = {number: known for number in _numbers() if (known := _status(number))}
    ours = [number for number in found if _is_of_tracer(number, log)]
    states = {number: found[number]["State"][0] for number in ours}
    held = [number for number in ours if states[number] == "t"]
    lost = {number for number in held if int(found[number]["TracerPid"]) not in ours}
    lost |= states.keys() if [*states.values()] == ["T"] else set()
    if any(states[number] not in "SZX" for number in states.keys() - lost):
        return {}
    needed = {int(known["TracerPid"]) for known in found.values()}
    needed |= {int(known["PPid"]) for known in found.values() if known["State"][0] not in "ZX"}
    idle = {number for number in ours if states[number] == "S"}
    return {number: born for number in lost | idle - needed if (born := birth(number))}


def _is_of_tracer(process: int, log: str) -> bool:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        if os.fsencode(log) not in words or b"-DD" not in words:
            return False
        return "strace" in os.path.basename(os.readlink(f"/proc/{process}/exe"))
    except OSError:
        return False


def _status(process: int) -> dict[str, str]:
    try:
        with open(f"/proc/{process}/status", encoding="latin-1") as file:
            lines = (line.partition(":") for line in file)
            known = {name: text.strip() for name, _, text in lines}
    except OSError:
        return {}
    return known if "TracerPid" in known else {}


def remove_folder(folder: str) -> None:
    """Remove a folder that holds files only, as far as that can be done."""
    try:
        for name in _listed(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except OSError:
        pass


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _numbers() -> list[int]:
    return [int(name) for name in _listed("/proc") if name.isdigit()]


def _parent_and_birth(process: int) -> tuple[int, str] | None:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None if _HAS_PROC or not _exists(process) else (0, "")
    return None if fields[0] in b"ZX" else (int(fields[1]), fields[19].decode())


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _living(known: dict[int, str]) -> list[int]:
    return [number for number, born in known.items() if birth(number) == born]


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def main(owner: int) -> None:
    """Read until the owner is gone, then end what it left."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what its children inherit keeps pipes open
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    running: dict[str, dict[str, object]] = {}
    beginning: dict[str, Beginning] = {}
    rest = b""
    while chunk := _next(beginning):
        *lines, rest = (rest + chunk.translate(None, _SIGNALS)).split(b"\n")
        for line in lines:
            if line := line.lstrip(_LATER_SIGNALS):  # SIGUSR1 looks like the end of a line
                _note(running, beginning, *json.loads(line))
        if signal.SIGTERM in chunk or signal.SIGHUP in chunk:
            end(marks=[mark for mark, known in running.items() if "called" in known])
    if running:
        _end_all(running)
    _remove_temporary(owner)


def _next(beginning: dict[str, Beginning]) -> bytes:
    """Return what the owner tells next; look after tracers meanwhile."""
    while beginning:
        patience = min(each.due for each in beginning.values()) - time.monotonic()
        if patience > 0 and select.select([0], [], [], patience)[0]:
            break
        for mark, each in [*beginning.items()]:
            if each.due <= time.monotonic() and not each.looks():
                del beginning[mark]
    return os.read(0, 1 << 16)


def _remove_temporary(owner: int) -> None:
    """Remove what is named as a process names something temporary (`processes.temporary`)."""
    above = os.environ.get("TMPDIR") or "/tmp"
    for name in _listed(above):
        if name.startswith("memori-") and name.split("-")[2:3] == [str(owner)]:
            _remove(os.path.join(above, name))


def _remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    try:
        os.unlink(path)
    except OSError:
        pass  # it was a folder


def _note(
    running: dict[str, dict[str, object]],
    beginning: dict[str, Beginning],
    kind: str,
    mark: str,
    *fact: object,
) -> None:
    if kind == "end":
        running.pop(mark, None)
        beginning.pop(mark, None)
    elif kind == "tracer":
        beginning[mark] = Beginning(str(fact[0]))
    else:
        running.setdefault(mark, {})[kind] = fact[0]


def _end_all(running: dict[str, dict[str, object]]) -> None:
    stop(told for each in running.values() if isinstance(told := each.get("begin"), list))
    groups = [group for each in running.values() if isinstance(group := each.get("group"), int)]
    folders = [path for each in running.values() if isinstance(path := each.get("workers"), str)]
    workers = [(folder, *each) for folder in folders for each in workers_in(folder).items()]
    marks = [mark_of_worker(folder, process) for folder, process, _ in workers]
    end([process for _, process, lives in workers if lives], [*running, *marks], groups)
    for told in running.values():
        if "temporary" in told:
            _remove(str(told["temporary"]))
    for _, process, _ in workers:
        _remove_temporary(process)


if __name__ == "__main__":
    main(int(sys.argv[1]))
