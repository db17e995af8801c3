"""What failed runs leave behind: `failure.txt` in the run's own folder, and room for it.

Of the failures of one stage the newest `KEPT` are kept, and of each what fits into `ROOM` bytes,
the largest files going first. The next try of the same run replaces what the last one left. What a
run returned that could not be recorded is kept whole, for a day at least: the user has it. A
failure is mended once there is a later entry for the same inputs: of the same contents with other
code, or of files of the same names.

Not promised: that a failure is taken for mended when the code goes back to what it was before,
because a hit leaves no trace.
"""

from __future__ import annotations

import os

from memori.files import atomic_write, content_of
from memori.layout import is_run_name
from memori.processes.owner import is_gone
from memori.store.entries import names_in, readable
from memori.store.folders import (
    claimed,
    drop_if_over,
    folder_of_mark,
    folder_of_try,
    told_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.digest.values import JSON
    from memori.key import Key
    from memori.layout import Layout

NOTE = "failure.txt"
KEPT = 10
ROOM = 100_000_000


class Unfinished:
    """A run that goes on, or is over and left no entry.

    Attributes
    ----------
    stage : str
        The stage's name, as a file name.
    folder : str
        The run's own folder, absolute.
    text : str
        What is told of its failure; empty if nothing is.
    began, failed : float or None
        When it began, and when it failed, in seconds since 1970.
    is_over : bool
        Whether it has certainly ended.
    """

    __slots__ = ("began", "failed", "folder", "is_over", "stage", "text")

    def __init__(
        self, stage: str, folder: str, text: str, began: float, failed: float | None, is_over: bool
    ) -> None:
        self.stage = stage
        self.folder = folder
        self.text = text
        self.began = began
        self.failed = failed
        self.is_over = is_over


def unfinished(layout: Layout) -> Iterator[Unfinished]:
    """Yield the runs of a stage that go on, or failed and were not mended since."""
    for folder, claim, told in claimed(layout):
        run = _unfinished(layout, folder, claim, told)
        if run is not None:
            yield run


def unfinished_at(layout: Layout, mark: str) -> Unfinished | None:
    """Return the run that goes on, or failed, and left a mark; None if it is neither."""
    folder = folder_of_mark(mark)
    claim = layout.claim(folder or "")
    told = told_of(claim) if folder else []
    if not told or "owner" not in told[0]:
        return None
    return _unfinished(layout, str(folder), claim, told)


def _unfinished(
    layout: Layout, folder: str, claim: str, told: list[dict[str, JSON]]
) -> Unfinished | None:
    path = f"{layout.root}/{folder}"
    text, failed = _text_in(path)
    if (told[-1].get("released") and failed is None) or not os.path.isdir(path):
        return None
    try:
        began = os.stat(claim).st_mtime
    except OSError:
        return None  # it is just removed
    is_over = failed is not None or "failed" in told[-1] or is_gone(told[0].get("owner"))
    if is_over and _is_mended(layout, told[0], failed or began):
        return None
    return Unfinished(layout.name, path, text, began, failed, is_over)


def unfinished_of(layout: Layout, key: Key) -> Unfinished | None:
    """Return the run with the inputs of a key that goes on, or failed and was not mended."""
    folder = folder_of_try(layout, key)
    each = None if folder is None else f"{layout.root}/{folder}"
    return next((run for run in unfinished(layout) if run.folder == each), None)


def _text_in(folder: str) -> tuple[str, float | None]:
    path = os.path.join(folder, NOTE)
    try:
        return content_of(path).decode("utf-8", "replace"), os.stat(path).st_mtime
    except OSError:
        return "", None


def _is_mended(layout: Layout, first: dict[str, JSON], since: float) -> bool:
    """Tell whether there is a later entry for the inputs of a run."""
    above, name = os.path.split(f"{layout.root}/{first.get('entry')}")
    beside = [f"{above}/{each}" for each in readable(above) if each.startswith(name[:17])]
    paths = [each for each in beside if each.endswith(".json")]
    paths += names_in(layout, f"{layout.root}/{first.get('recent')}")
    for path in paths:
        try:
            if os.stat(path).st_mtime >= since:
                return True
        except OSError:
            continue
    return False


# Keeping


def keep_failure(layout: Layout, folder: str, text: str, *, whole: bool = False) -> str | None:
    """Write down a failure in its folder, and make room; never raises an OSError.

    What cannot be removed or written now (a full disk, a folder that somebody else removes at the
    same time) is left as it is: the error itself says the same.

    Parameters
    ----------
    layout : Layout
        Of the stage.
    folder : str
        The run's own, relative to the root.
    text : str
        What is told.
    whole : bool, optional
        Whether all files in the folder are kept, because somebody was given their paths.

    Returns
    -------
    str or None
        The file, absolute; None if it cannot be written.
    """
    path = f"{layout.root}/{folder}"
    removed = [] if whole else _shrink(path)
    text = "".join((text.rstrip("\n"), *(f"\nremoved to save room: {each}" for each in removed)))
    try:
        note = os.path.join(path, NOTE)
        atomic_write(note, f"{text}\n".encode("utf-8", "backslashreplace"))
        _drop_older(layout)
    except OSError:
        return None
    return note


def _shrink(folder: str) -> list[str]:
    sizes: list[tuple[int, str]] = []
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            try:
                sizes.append((os.lstat(path).st_size, path))
            except OSError:
                continue
    removed = []
    total = sum(size for size, _ in sizes)
    for size, path in sorted(sizes, reverse=True):
        if total <= ROOM:
            break
        try:
            os.unlink(path)
        except OSError:
            continue
        total -= size
        removed.append(f"{os.path.relpath(path, folder)} ({size} bytes)")
    return removed


def _drop_older(layout: Layout) -> None:
    """Remove the oldest failures of a stage that nobody tries again just now."""
    notes = []
    for name in readable(f"{layout.root}/{layout.name}"):
        folder = f"{layout.name}/{name}"
        if is_run_name(name):
            try:
                notes.append((os.stat(f"{layout.root}/{folder}/{NOTE}").st_mtime_ns, folder))
            except OSError:
                continue  # not a failure
    for _, folder in sorted(notes, reverse=True)[KEPT:]:
        drop_if_over(layout, folder)
