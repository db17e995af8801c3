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


def serves_whole_process(child: int) -> bool:
    """Tell whether a child is no callable's: multiprocessing's own, or memori's watchdog.

    The latter is a child of the first process of a container alone, which inherits all others.
    """
    from memori.processes import watchdog

    try:
        with open(f"/proc/{child}/cmdline", "rb") as file:
            words = file.read()
    except OSError:
        return False
    return b"resource_tracker" in words or os.fsencode(watchdog.__file__) in words
