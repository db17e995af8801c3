"""End the commands of a process that is gone.

A program of its own, started once by a process that runs commands (`memori.neuro.process.run`), not
imported by it. It reads from a pipe what its owner starts and finishes, one JSON list per line:

    ["begin", MARK, STOP]     before a command starts; its environment holds MEMORI_RUN=MARK, and
                              STOP is a command that also ends it (a container), or null
    ["group", MARK, NUMBER]   its process group, once it runs
    ["end", MARK]             it is over

The pipe ends when its owner does, however that comes about: by SIGKILL, too. Whatever has begun
and not ended is then ended: the process groups, and (on Linux) every process whose environment
holds the mark, so that children in a session of their own do not survive either. No signal
handler, thread or fork in the owner is involved; a thread that ends, unlike with
``PR_SET_PDEATHSIG``, takes no command with it.

Not promised: a child that left both its process group and its environment behind, a program of
another user, and anything if this process is killed too (a cluster's cgroup ends them all).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GRACE = 0.5  # seconds between asking and killing
STOP = 10.0  # seconds that commands have which end something (a container's engine may hang)


def marked(marks: Iterable[str]) -> list[int]:
    """Return the processes whose environment holds one of the marks."""
    wanted = [f"MEMORI_RUN={mark}".encode() for mark in marks]
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
            except OSError:
                continue  # gone, or another user's
            if any(each in variables for each in wanted):
                found.append(int(name))
    return found


def end(marks: list[str], groups: list[int]) -> None:
    """End processes, asking first."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 0.05), (signal.SIGKILL, 0)):
        for group in groups:
            send(os.killpg, group, number)
        for process in marked(marks):
            send(os.kill, process, number)
        until = time.monotonic() + patience
        while time.monotonic() < until and (marked(marks) or any(map(_is_there, groups))):
            time.sleep(0.02)


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


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def main() -> None:
    """Read until the owner is gone, then end what it left."""
    os.closerange(
        3, os.sysconf("SC_OPEN_MAX")
    )  # what the owner's children inherit keeps pipes open
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    running: dict[str, dict[str, object]] = {}
    for line in sys.stdin.buffer:
        kind, mark, *rest = json.loads(line)
        if kind == "end":
            running.pop(mark, None)
        else:
            running.setdefault(mark, {"begin": None, "group": None})[kind] = rest[0]
    if not running:
        return
    stop(each["begin"] for each in running.values() if isinstance(each["begin"], list))
    groups = [each["group"] for each in running.values()]
    end(list(running), [group for group in groups if isinstance(group, int)])


if __name__ == "__main__":
    main()
