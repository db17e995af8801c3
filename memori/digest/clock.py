"""How far the clocks that stamp files are behind the one of this machine.

A file on a server carries times of the server's clock. Whether a file rests, or changed while a run
went on, is asked by comparing them with the time here; so what the server's clock lags behind has
to be known. It is measured where memori can write: a file is made, and its time is looked at. Of a
file system of another machine on which nothing can be made, the worst is assumed (`UNKNOWN`).

Not promised: a clock that is set back, or one that drifts by more than a file's tick in ten
minutes; and on systems without ``/proc``, where every file system is taken for a local one.
"""

from __future__ import annotations

import os
import time

from memori.aside import aside

UNKNOWN = 300_000_000_000
"""What a clock that cannot be asked may be behind, in ns."""
MOST = 3_600_000_000_000
"""A file that is older than that, in ns, rests by any clock."""
_HOLDS = 600  # seconds for which a measure stands
_REMOTE = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
     "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs"}
)  # fmt: skip
_kinds: dict[int, str] = {}
_measured: dict[int, tuple[float, int]] = {}


def behind(device: int, folder: str | None = None) -> int:
    """Return how many ns the clock that stamps files on a device is behind ours, at most.

    Parameters
    ----------
    device : int
        The `st_dev` of a file; that of this machine's own file systems is never behind.
    folder : str, optional
        Where a file may be made to find out, if it lies on the device.
    """
    if not is_remote(device):
        return 0
    known = _measured.get(device)
    if known is not None and time.monotonic() - known[0] < _HOLDS:
        return known[1]
    lag = None if folder is None else _measure(folder, device)
    if lag is None:
        return UNKNOWN if known is None else known[1]
    _measured[device] = time.monotonic(), lag
    return lag


def most_behind() -> int:
    """Return how many ns the clocks that were asked so far are behind ours; 0 if none is."""
    return max(0, *(lag for _, lag in _measured.values())) if _measured else 0


def ahead(device: int) -> int:
    """Return how many ns the clock of a device is ahead of ours; 0 for one that was not asked."""
    return max(0, -_measured[device][1]) if device in _measured else 0


def earliest_now() -> int:
    """Return the time in ns by the clock that is behind most, of those that were asked."""
    return time.time_ns() - most_behind()


def learn(folder: str) -> None:
    """Ask the clock of the file system that a folder, which may be yet to be made, lies on."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    try:
        behind(os.stat(folder).st_dev, folder)
    except OSError:
        pass  # nobody may look there


def is_remote(device: int) -> bool:
    """Tell whether another machine, or a program, keeps the files of a device."""
    kind = _kinds.get(device)
    if kind is None:
        _kinds.update(_mounted())
        kind = _kinds.setdefault(device, "")
    return kind in _REMOTE or kind.startswith("fuse.")


def look_again(path: str) -> bool:
    """Tell whether something is there after all, where a host may not see yet what others made.

    A client of NFS remembers for a while that a name was not there; listing the folder has it ask
    the server.
    """
    above = os.path.dirname(path)
    while not os.path.isdir(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    try:
        if not is_remote(os.stat(above).st_dev):
            return False
        with aside():
            for name in (*os.path.relpath(path, above).split(os.sep),):
                os.listdir(above)
                above = os.path.join(above, name)
                os.stat(above)
    except OSError:
        return False
    return True


def _mounted() -> dict[int, str]:
    """Return the kinds of the file systems that are mounted, by device."""
    found = {}
    try:
        with aside(), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                major, _, minor = before.split()[2].partition(":")
                found[os.makedev(int(major), int(minor))] = after.split()[0]
    except (OSError, ValueError, IndexError):
        pass  # another system
    return found


def _measure(folder: str, device: int) -> int | None:
    path = os.path.join(folder, f".clock.{os.getpid()}.{os.urandom(6).hex()}.partial")
    try:
        with aside():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                os.utime(path)
                look = os.stat(path)
            finally:
                os.close(descriptor)
                os.unlink(path)
    except OSError:
        return None
    return time.time_ns() - look.st_ctime_ns if look.st_dev == device else None
