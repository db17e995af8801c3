"""What `os.scandir` returns to the user's code: entries that note what they were asked.

They tell of files without asking `os.stat`. `os.walk` asks each whether it is a folder; that counts
of links alone, as what they lead to changes nothing in their folder, whose names count.

Not promised: a name that changed from a file to a folder, for `os.walk`.
"""

from __future__ import annotations

import os

from memori.watch.events import absolute
from memori.watch.questions import found
from memori.watch.questions.users import LIBRARY, is_users
from memori.watch.threads import runs_here
from memori.watch.told import finds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

    from memori.watch.observed import Observed

    Tell = Callable[..., None]

_WALKS = frozenset({"walk", "fwalk", "_fwalk", "_walk"})
_HOLD_WALKS = ("<frozen os>", f"{LIBRARY}os.py", f"{LIBRARY}pathlib")


def asks_of_entries(frame: FrameType | None) -> tuple[bool, bool]:
    """Tell whether the user's code lists a folder, and whether `os.walk` does so for it."""
    walks = False
    while (
        frame is not None
        and frame.f_code.co_name in _WALKS
        and frame.f_code.co_filename.startswith(_HOLD_WALKS)
    ):
        walks, frame = True, frame.f_back
    return frame is not None and is_users(frame.f_code.co_filename), walks


class Entries:
    """What `os.scandir` returns.

    Parameters
    ----------
    entries : iterator of os.DirEntry
        What it returned.
    live : sequence of Observed
        All runs that go on, at any time.
    folder : int or None
        The folder's descriptor, if that is how it was given.
    tell : callable
        Told of a stat, as if `os.stat` had been asked.
    only_links : bool
        Whether what they tell of anything but links counts for nothing.
    """

    def __init__(
        self,
        entries: Any,
        live: Sequence[Observed],
        folder: int | None,
        tell: Tell,
        *,
        only_links: bool,
    ) -> None:
        self._entries, self._only_links = entries, only_links
        self._about = live, folder, tell

    def __iter__(self) -> Entries:
        return self

    def __next__(self) -> Any:
        entry = next(self._entries)
        if self._only_links and not entry.is_symlink():
            return entry
        return _Entry(entry, *self._about)

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        self._entries.close()


class _Entry:
    """An `os.DirEntry` that notes what it was asked."""

    __slots__ = ("_entry", "_folder", "_live", "_tell")

    def __init__(
        self, entry: Any, live: Sequence[Observed], folder: int | None, tell: Tell
    ) -> None:
        self._entry, self._live, self._folder, self._tell = entry, live, folder, tell

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # what isinstance(entry, os.DirEntry) goes by
        return os.DirEntry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def __fspath__(self) -> Any:
        return self._entry.path

    def __repr__(self) -> str:
        return repr(self._entry)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        answer: os.stat_result = self._entry.stat(follow_symlinks=follow_symlinks)
        self._tell(
            self._live,
            self._entry.path,
            self._folder,
            answer,
            "stat" if follow_symlinks else "lstat",
        )
        return answer

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        answer: bool = self._entry.is_dir(follow_symlinks=follow_symlinks)
        self._note(found.FOLDER if self._entry.is_dir() else found.NO_FOLDER, follow_symlinks)
        return answer

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        answer: bool = self._entry.is_file(follow_symlinks=follow_symlinks)
        if self._entry.is_file():
            self._note(found.FILE, follow_symlinks)
        elif self._entry.is_dir():
            self._note(found.FOLDER, follow_symlinks)
        else:
            is_there = os.path.exists(self._entry)
            self._note(found.OTHER if is_there else found.NOWHERE, follow_symlinks)
        return answer

    def is_symlink(self) -> bool:
        self._note(found.THERE, follows=False)
        is_link: bool = self._entry.is_symlink()
        return is_link

    def _note(self, kind: str, follows: bool) -> None:
        """Note what it is, and whether it is a link where links are not followed."""
        runs = runs_here(self._live)
        path = absolute(self._entry.path, -1 if self._folder is None else self._folder)
        if path is None:
            return
        if not follows:
            is_link = self._entry.is_symlink()
            kind = found.of_itself(found.THERE if is_link else kind, is_link)
        for run in runs:
            finds(run, path, kind)
