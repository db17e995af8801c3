"""What a folder remembers, for whoever only asks: lists of stages, entries and unfinished runs.

Safe beside runs that go on: what appears or goes meanwhile is seen or not, and nothing is written
but by `Memory.drop`.
"""

from __future__ import annotations

import os

from memori.files import remove_if_there
from memori.layout import HIDDEN, INSIDE, Layout, stages_of
from memori.store import entries, folders
from memori.store.failures import Unfinished, unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from memori.store.entry import Entry


class Memory:
    """All that is remembered in one folder.

    Parameters
    ----------
    root : str
        A `hash_output`, absolute.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def stages(self) -> list[str]:
        """Return the names of the stages that recorded something, as file names."""
        return sorted(entries.listed(stages_of(self.root)))

    def entries(self, stage: str) -> Iterator[Entry]:
        """Yield the sound entries of a stage, the newest first."""
        paths = list(entries.everything(Layout(self.root, stage)))
        for path in entries.newest_first(paths):
            found = entries.read(path)
            if found is not None:
                yield found

    def unfinished(self) -> Iterator[Unfinished]:
        """Yield each run that goes on, or left no entry and was not mended since."""
        for stage in self.stages():
            yield from unfinished(Layout(self.root, stage))

    def drop(self, stage: str, entry: Entry) -> None:
        """Forget one run: its entry, and the folder that belongs to it."""
        remove_if_there(entry.path)
        if entry.folder is not None:
            folders.drop(Layout(self.root, stage), entry.folder)


def maker_of(path: str) -> Entry | None:
    """Return the entry whose run's own folder holds a file, whatever link leads there."""
    inside = os.path.dirname(os.path.realpath(path))
    while True:
        stage, name = os.path.split(inside)
        root, stage_name = os.path.split(stage)
        if name == "" or stage_name == "":
            return None
        layout = Layout(root, stage_name)
        if os.path.isfile(layout.claim(name)):
            return entries.of_folder(layout, f"{stage_name}/{name}")
        inside = stage


def memories_below(folder: str) -> Iterator[Memory]:
    """Yield the memory of each `hash_output` at or below a folder, hidden ones included."""
    for above, inner, _ in os.walk(folder):
        if os.path.basename(above) == HIDDEN:
            inner[:] = [name for name in inner if name not in INSIDE]
        inner.sort()
        if HIDDEN in inner and os.path.isdir(stages_of(above)):
            yield Memory(above)
