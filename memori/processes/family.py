"""What this process has started, thread by thread, as Linux tells it.

Not promised: anything on other systems, where nothing is known.
"""

from __future__ import annotations

import os


def children(thread: str) -> set[int]:
    """Return the child processes that a thread of this process has started."""
    try:
        descriptor = os.open(f"/proc/self/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the thread is gone, or the system has no such list
        return set()
    try:
        return {int(number) for number in os.read(descriptor, 1 << 20).split()}
    finally:
        os.close(descriptor)


def threads() -> set[str]:
    """Return the threads of this process."""
    try:
        return set(os.listdir("/proc/self/task"))
    except OSError:
        return set()


def is_tracker(process: int) -> bool:
    """Tell whether a child is multiprocessing's own, which serves the whole process."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return b"resource_tracker" in file.read()
    except OSError:
        return False
