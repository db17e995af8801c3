"""What this process runs at the moment, told to whoever asks from another terminal.

A process that runs stages keeps one small file that says who it is and, in one line each, what goes
on in it; `memori status` reads those of this machine. Where the system has files in memory (Linux)
it is one of these, which others find below ``/proc`` and which goes with its process, however that
ends; elsewhere it is a temporary one. Telling costs two writes for each run, and nothing depends
on it.

Not promised: what runs on other machines, for other users, or, without such files, with another
``TMPDIR`` or in a process that was killed.
"""

from __future__ import annotations

import json
import os
import time

from memori.aside import aside
from memori.processes import temporary
from memori.processes.owner import is_gone, this_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_KIND = "status"
_NAME = f"memori-{_KIND}"
_PROCESSES = "/proc/"
_LARGEST = 1 << 20
_END = b"\0"
_file: list[tuple[int, int, int, int]] = []  # process, descriptor, inode, where the lines begin
_lines: dict[object, bytes] = {}


def begin(which: object, kind: str, *facts: object) -> None:
    """Note that something goes on, or what is new of it.

    Parameters
    ----------
    which : object
        Tells it from others, to `end` it.
    kind : str
        ``"run"``, with the stage, the root and the key; or ``"cases"``, with what they run, how
        many there are, are over and have failed.
    *facts : str or int
        The facts of its kind.
    """
    get_ready()
    line = _lines.get(which)
    since = time.time() if line is None else json.loads(line)[1]
    _lines[which] = json.dumps([kind, since, *facts]).encode()
    _write()


def get_ready() -> None:
    """Make the file of this process, unless it is there."""
    if not _file or _file[0][0] != os.getpid():
        with aside():
            _open()


def end(which: object) -> None:
    """Note that it is over."""
    if _lines.pop(which, None) is not None:
        _write()


def _open() -> None:
    """Make the file of this process; a parent's is left alone."""
    _lines.clear()
    head = f"{json.dumps(this_process())}\n".encode()
    try:
        descriptor = _in_memory() if hasattr(os, "memfd_create") else _temporary()
        os.write(descriptor, head)
        inode = os.fstat(descriptor).st_ino
    except OSError:
        descriptor = inode = -1  # nobody can be told
    _file[:] = [(os.getpid(), descriptor, inode, len(head))]


def _in_memory() -> int:
    return os.memfd_create(_NAME, os.MFD_CLOEXEC)


def _temporary() -> int:
    path = temporary.new_name(_KIND)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    temporary.goes_with_process(path)
    return descriptor


def _write() -> None:
    _, descriptor, inode, place = _file[0]
    if descriptor >= 0:
        try:
            if os.fstat(descriptor).st_ino != inode:
                return  # the user closed all files, and has opened another one
            os.pwrite(descriptor, b"\n".join(list(_lines.values())) + _END, place)
        except OSError:
            pass  # the disk is full: what goes on is not known then


def told() -> Iterator[tuple[int, list[list[object]]]]:
    """Yield each process of this machine that runs something, and what: (kind, since, facts...)."""
    for path in [*_files_in_memory(), *_temporary_files()]:
        try:
            with open(path, "rb") as stream:
                head, _, rest = stream.read(_LARGEST).partition(b"\n")
            owner = json.loads(head)
            if is_gone(owner):
                if not path.startswith(_PROCESSES):
                    os.unlink(path)
                continue
            lines = [json.loads(line) for line in rest.partition(_END)[0].splitlines()]
        except (OSError, ValueError):
            continue  # it just begins, is another user's, or is over
        if lines:
            yield owner["process"], lines


def _files_in_memory() -> Iterator[str]:
    """Yield the file of each process that has one in memory; a forked one has its parent's too."""
    found: dict[int, str] = {}
    for process in filter(str.isdigit, _names(_PROCESSES)):
        for name in _names(f"{_PROCESSES}{process}/fd"):
            path = f"{_PROCESSES}{process}/fd/{name}"
            try:
                if os.readlink(path).startswith(f"/memfd:{_NAME}"):
                    found.setdefault(os.stat(path).st_ino, path)
            except OSError:
                continue  # it is over
    yield from found.values()


def _temporary_files() -> list[str]:
    from glob import glob

    above, name = os.path.dirname(temporary.new_name(_KIND)), f"memori-{_KIND}-*"
    found = [*glob(name, root_dir=above), *glob(f"memori-own-*/{name}", root_dir=above)]
    return sorted(os.path.join(above, each) for each in found)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # of another user, over, or on another system
