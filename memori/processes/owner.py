"""Who owns what is under way: a process, told so that another one can see whether it is gone.

A process id says nothing after a restart, in another container or on another host. With the boot
of the machine, the namespace of process ids and the time at which the process started it says
exactly one process. That one is gone is claimed only by who shares boot and namespace with it; of
any other, nothing is known (`is_elsewhere`), and whoever waits for it goes by what it leaves.

Not promised: the end of a process on a system without ``/proc``, whose id another one took over.
"""

from __future__ import annotations

import os

_own: list[tuple[int, dict[str, object]]] = []


def this_process() -> dict[str, object]:
    """Return who this process is, as JSON."""
    process = os.getpid()
    if not _own or _own[-1][0] != process:
        told: dict[str, object] = {
            "host": os.uname().nodename,
            "boot": _boot(),
            "process": process,
            "started": _started(process),
        }
        _own[:] = [(process, told)]
    return dict(_own[-1][1])


def is_this_process(owner: object) -> bool:
    """Tell whether an owner is this very process."""
    return owner == this_process()


def is_elsewhere(owner: object) -> bool:
    """Tell whether an owner lives, or lived, where nobody here can see it end: another host."""
    here = this_process()
    return isinstance(owner, dict) and any(owner.get(k) != here[k] for k in ("host", "boot"))


def is_gone(owner: object) -> bool:
    """Tell whether an owner has certainly ended; False if it goes on or cannot be known."""
    if not isinstance(owner, dict) or is_elsewhere(owner):
        return False
    process = owner.get("process")
    if not isinstance(process, int):
        return False
    started = _started(process)
    if started is not None:
        return started != owner.get("started")
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    except OverflowError:  # no process has such a number
        return False
    return False  # it is there, and the system hides other users' processes


def _boot() -> str:
    """Return what tells one boot of a machine, and one namespace of process ids, from others."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return f"{file.read().strip().decode()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(process: int) -> int | None:
    """Return when a process started, in ticks since the boot; -1 if it is over, None if unknown."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
