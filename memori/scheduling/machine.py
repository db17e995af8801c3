"""How much of this machine a process may use.

Not promised: GPUs that neither a variable nor a device of NVIDIA's driver names.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_CGROUPS = "/sys/fs/cgroup"


def cores_here() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def memory_here() -> int:
    """Return how many bytes this process and what it starts may hold."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    of_job = os.environ.get("SLURM_MEM_PER_NODE", "")  # in MiB
    limits = [int(of_job) << 20] if of_job.isdecimal() and int(of_job) else []
    return min([whole, *limits, *_limits_of_groups()])


def gpus_here() -> int | None:
    """Return how many GPUs are to be seen here; None if nothing tells."""
    for name in _VISIBLE:
        if name in os.environ:
            named = [each.strip() for each in os.environ[name].split(",")]
            return len([each for each in named if each and each not in ("-1", "NoDevFiles")])
    try:
        devices = [name for name in os.listdir("/dev") if re.fullmatch(r"nvidia\d+", name)]
    except OSError:
        return None
    return len(devices) or None


def _limits_of_groups() -> Iterator[int]:
    """Yield the limits of the control groups that this process is in."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:  # not Linux
        return
    for _, controllers, path in lines:
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (
            (os.path.join(_CGROUPS, "memory"), "memory.limit_in_bytes")
            if controllers
            else (_CGROUPS, "memory.max")
        )
        while True:  # inside a container the own group is the root
            text = _text(os.path.join(root, path.strip("/"), name))
            if text.isdecimal():
                yield int(text)
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
