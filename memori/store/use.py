"""Runs' own folders in use: a run holds those that its inputs lie in, and nobody removes from them.

Not promised: that a folder is held where locks are refused. Then nothing is removed by policy
either (`memori.store.removing`); where two hosts do not see each other's locks, a run can lose a
file to the other one's policy, and fails.
"""

from __future__ import annotations

import os

from memori.digest.values import strings
from memori.errors import RemovedError
from memori.keep.removed import removed_at, was_removed
from memori.layout import claim_of, locks_of, root_of_claim
from memori.processes.lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memori.digest.values import JSON

_FOLDERS = 1 << 60  # their locks are above those of keys, and below those of the latest runs


def folder_lock(claim: str, *, shared: bool = False) -> lock:
    """Return the lock of a run's own folder: shared by who uses it, alone for who removes."""
    from hashlib import sha256

    number = int(sha256(os.fsencode(claim.rpartition("/.memori/")[2])).hexdigest()[:14], 16)
    where = locks_of(root_of_claim(claim))
    return lock(where, _FOLDERS + number, wait=shared, shared=shared)


def _paths_in(values: Mapping[str, JSON]) -> list[str]:
    """Return the strings in some inputs that may be paths, absolute."""
    return [
        text
        for name, each in values.items()
        for _, text in strings(each, (name,))
        if text.startswith("/")
    ]


class in_use:  # noqa: N801  a context manager, read as a word
    """Hold the runs' own folders that some files lie in, while a run that is given them goes on.

    Parameters
    ----------
    subject : str
        What errors call the stage.
    files : iterable of str, or inputs
        Absolute paths; others than those in a run's own folder are left alone.

    Raises
    ------
    RemovedError
        On entering, if some were removed by policy.
    """

    def __init__(self, subject: str, files: Iterable[str] | dict[str, JSON]) -> None:
        self._subject = subject
        paths = _paths_in(files) if isinstance(files, dict) else files
        self._paths = [path for path in paths if path]
        self._locks: list[lock] = []

    def __enter__(self) -> None:
        places = (claim_of(path) for path in self._paths)
        try:
            for claim in dict.fromkeys(place[0] for place in places if place):
                held = folder_lock(claim, shared=True)
                held.__enter__()
                self._locks.append(held)
            gone = [path for path in self._paths if was_removed(path)]
            if gone:
                raise _removed(self._subject, gone)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        while self._locks:
            self._locks.pop().__exit__(None, None, None)


def _removed(subject: str, gone: list[str]) -> RemovedError:
    known = removed_at(gone[0]) or {"keep": "all"}
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return RemovedError(
        f"{subject} is to run and needs {gone[0]}{more}, which memori removed by "
        f"keep={known['keep']!r}; run the stage or the pipeline that makes it, and give this one "
        "what it returns",
        gone,
    )
