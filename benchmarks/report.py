"""What every benchmark shares: the machine and versions, and medians of timed calls."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version


def heading(title: str, *packages: str) -> None:
    """Print a title, the machine, and the versions of what is compared."""
    print(f"\n{title}\n{'=' * len(title)}")
    print(f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(", ".join([f"Python {platform.python_version()}", *map(_named_version, packages)]))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _named_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (not installed)"


def median_seconds(call: Callable[[int], object], repeats: int) -> float:
    """Return the median time of `call(0)`, `call(1)`, ... after a few that do not count."""
    for number in range(-3, 0):
        call(number)
    times = []
    for number in range(repeats):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def process_seconds(code: str, folder: str, repeats: int) -> float:
    """Return the median processor time (user and system) of a Python process in a folder."""
    times = []
    for _ in range(repeats):
        before = _spent_by_children()
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
        times.append(_spent_by_children() - before)
    return statistics.median(times)


def _spent_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def row(name: str, value: float, unit: str, target: str = "") -> None:
    """Print one figure with its target."""
    print(f"  {name:<58}{value:>10.3g} {unit:<6}{target}")
