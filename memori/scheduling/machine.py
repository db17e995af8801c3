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
        whole = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    return min([whole, *_shares_of_groups()])


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
    """Yield the most memory of the control groups that this process is in."""
    for folder, is_of_memory in _groups("memory"):
        text = _text(
            os.path.join(folder, "memory.limit_in_bytes" if is_of_memory else "memory.max")
        )
        if text.isdecimal():
            yield int(text)


def _shares_of_groups() -> Iterator[int]:
    """Yield the most cores of the control groups that this process is in (``docker --cpus``)."""
    for folder, is_of_cpu in _groups("cpu"):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_of_cpu else ("cpu.max",)
        words = " ".join(_text(os.path.join(folder, name)) for name in names).split()
        if len(words) == 2 and all(map(str.isdecimal, words)):
            yield max(1, -(-int(words[0]) // int(words[1])))


def _groups(controller: str) -> Iterator[tuple[str, bool]]:
    """Yield folders of the control groups around this process, and whether one is of the old kind.

    Groups of the old kind have a folder for each controller.
    """
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:  # not Linux
        return
    for _, controllers, path in lines:
        if controllers and controller not in controllers.split(","):
            continue
        root = os.path.join(_CGROUPS, controller) if controllers else _CGROUPS
        while True:  # inside a container the own group is the root
            yield os.path.join(root, path.strip("/")), bool(controllers)
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
