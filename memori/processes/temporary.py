"""Temporary files and folders of memori's own, which go with their process, however it ends.

A process has one folder for them, made when it needs one. In a worker it lies in that of the
process whose work it does (`lie_below`), which outlives its workers: one that is killed leaves
nothing elsewhere. What other processes make, or what is removed at once, is only named after its
process (``memori-KIND-PROCESS-...``). A process removes its own when it ends, or is ended by a
signal that it hears; else `memori.processes.watchdog` does.

Not promised: anything if the watchdog is killed too.
"""

from __future__ import annotations

import os
import sys

from memori.files import remove_if_there
from memori.processes import interrupts

_above: str | None = None
_own: tuple[int, str] | None = None
_kept: dict[str, int] = {}


def new_name(kind: str) -> str:
    """Return a path that nothing has, for something temporary of this process."""
    above = os.environ.get("TMPDIR")
    if _above is not None and os.path.isdir(_above):
        above = _above
    elif not above or not os.path.isdir(above):
        above = "/tmp"
    return os.path.abspath(f"{above}/memori-{kind}-{os.getpid()}-{os.urandom(8).hex()}")


def told_elsewhere() -> dict[str, str]:
    """Return what the environment says of temporary files, for a program in another folder."""
    above = os.environ.get("TMPDIR", "/")
    return (
        {}
        if os.path.isabs(above) or not os.path.isdir(above)
        else {"TMPDIR": os.path.abspath(above)}
    )


def owner_of(path: str) -> int | None:
    """Return the number of the process after which something temporary is named."""
    owner = os.path.basename(path).split("-")[2:3]
    return int(owner[0]) if owner and owner[0].isdigit() else None


def own_folder() -> str:
    """Return the folder for what is temporary of this process, and of its workers."""
    global _own
    if _own is None or _own[0] != os.getpid() or not os.path.isdir(_own[1]):
        path = new_name("own")
        interrupts.tell(interrupts.new_mark(), "temporary", path)
        goes_with_process(path)
        _make(path)
        _own = os.getpid(), path
    return _own[1]


def new_folder() -> str:
    """Make a folder in that of this process."""
    path = os.path.join(own_folder(), f"memori-{os.urandom(8).hex()}")
    _make(path)
    return path


def lie_below(folder: str) -> None:
    """Put what is temporary from now on into the folder of the process that gives the work."""
    global _above
    _above = folder


def goes_with_process(path: str) -> None:
    """Remove a folder or file when this process ends, if it is there then."""
    if os.getpid() not in _kept.values():
        import atexit

        atexit.register(_remove_all)
        interrupts.at_death(_remove_all)
    _kept[path] = os.getpid()


def _make(path: str) -> None:
    sys.audit("tempfile.mkdtemp", path)  # so says who makes such a folder to who watches
    os.mkdir(path, 0o700)


def _remove_all() -> None:
    for path, owner in list(_kept.items()):
        if owner == os.getpid() and os.path.lexists(path):  # a forked one leaves its parent's alone
            import shutil

            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                remove_if_there(path)
