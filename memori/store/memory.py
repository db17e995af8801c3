"""What a folder remembers, for whoever only asks: lists of stages, entries and unfinished runs.

Safe beside runs that go on: what appears or goes meanwhile is seen or not, and nothing is written
but by `Memory.drop`.
"""

from __future__ import annotations

import os

from memori.digest.values import from_text
from memori.files import content_of, remove_if_there
from memori.layout import (
    HIDDEN,
    INSIDE,
    Layout,
    derivative_records,
    file_name,
    is_run_name,
    stages_of,
)
from memori.store import entries, folders, latest, room
from memori.store.failures import Unfinished, unfinished
from memori.store.verifying import verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memori.store.entry import Entry
    from memori.store.verifying import Fault


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
        above = stages_of(self.root)
        return sorted(
            name
            for name in entries.readable(above)
            if file_name(name) == name and not os.path.islink(f"{above}/{name}")
        )

    def entries(self, stage: str, *, surely: bool = False) -> Iterator[Entry]:
        """Yield the sound entries of a stage, the newest first (`memori.store.entries`)."""
        paths = list(entries.everything(Layout(self.root, stage), surely=surely))
        for path in entries.newest_first(paths):
            found = entries.read(path)
            if found is not None:
                yield found

    def latest(self, stage: str) -> Entry | None:
        """Return the entry of a stage's latest run."""
        return latest.latest(Layout(self.root, stage))

    def under(self, stage: str, digits: str) -> Iterator[Entry]:
        """Yield the entries of a stage whose key begins with these digits."""
        for path in entries.everything(Layout(self.root, stage)):
            name = os.path.basename(path)
            if name.rpartition("-")[2].startswith(digits):
                found = entries.read(path)
                if found is not None:
                    yield found

    def verify(
        self, stage: str, progress: Callable[[], object] = lambda: None
    ) -> tuple[int, list[Fault]]:
        """Read all outputs of a stage; return how many there are, and what is wrong with them."""
        return verify(Layout(self.root, stage), progress)

    def room(self, stage: str) -> room.Room:
        """Return how much room the memory of a stage takes."""
        return room.room_of(Layout(self.root, stage))

    def recent(self, stage: str) -> Iterator[tuple[float, str]]:
        """Yield when each entry of a stage was written (seconds since 1970), and its file."""
        for path in entries.everything(Layout(self.root, stage)):
            try:
                yield os.stat(path).st_mtime, path
            except OSError:
                continue  # it is just removed

    def unfinished(self) -> Iterator[Unfinished]:
        """Yield each run that goes on, or left no entry and was not mended since."""
        for stage in self.stages():
            yield from unfinished(Layout(self.root, stage))

    def makers(self, path: str) -> Iterator[Entry]:
        """Yield the entries whose outputs a file or folder (absolute) is, or lies in."""
        for stage in self.stages():
            for entry in self.entries(stage):
                places = (each.locate(self.root) for each in entry.artifacts)
                if any(path == place or path.startswith(f"{place}/") for place in places):
                    yield entry

    def drop(self, stage: str, entry: Entry) -> None:
        """Forget one run: its entry, and the folder that belongs to it."""
        remove_if_there(entry.path)
        if entry.folder is not None:
            folders.drop(Layout(self.root, stage), entry.folder)


def read_entry(path: str) -> tuple[Memory, Entry] | None:
    """Return the entry that a file of a memory is, with the memory; None for any other file."""
    above = os.path.abspath(path).split(f"/{HIDDEN}/stages/")
    entry = entries.read(path) if len(above) > 1 and path.endswith(".json") else None
    return None if entry is None else (Memory(f"/{HIDDEN}/stages/".join(above[:-1])), entry)


def memories_around(path: str) -> Iterator[Memory]:
    """Yield the memories of the folders that a path lies in, the innermost first."""
    above = os.path.abspath(path)
    while above != os.path.dirname(above):
        above = os.path.dirname(above)
        for root in (above, f"{above}/{HIDDEN}"):
            if os.path.isdir(stages_of(root)):
                yield Memory(root)


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


def memories_below(folder: str, *, inside_runs: bool = True) -> Iterator[Memory]:
    """Yield the memory of each `hash_output` at or below a folder, hidden ones included.

    Parameters
    ----------
    folder : str
        Where to look, absolute.
    inside_runs : bool, optional
        Whether to look into the own folders of runs, too, of which there may be very many.
    """
    stages: dict[str, set[str]] = {}  # of the memories found, by root

    def tell(error: OSError) -> None:
        if error.filename == folder or os.path.basename(error.filename) == HIDDEN:
            entries.warn_of(error.filename, error)  # what else may not be read is no memory's

    for above, inner, _ in os.walk(folder, onerror=tell):
        outer, name = os.path.split(above)
        if name == HIDDEN:
            inner[:] = [each for each in inner if each not in INSIDE]
        if not inside_runs and name in stages.get(outer, ()):
            inner[:] = [each for each in inner if not is_run_name(each)]
        inner.sort()
        if HIDDEN in inner and os.path.isdir(stages_of(above)):
            memory = Memory(above)
            stages[above] = set(memory.stages())
            yield memory


def sources_of_derivatives(folder: str) -> Iterator[str]:
    """Yield what the derivatives at or below a folder were made from (absolute)."""
    for above, inner, _ in os.walk(folder):
        if HIDDEN not in inner:
            continue
        inner.remove(HIDDEN)
        for place, _, names in os.walk(derivative_records(above)):
            for name in names:
                try:
                    told = from_text(content_of(f"{place}/{name}"))
                    yield os.path.normpath(os.path.join(above, told["source"]))
                except (OSError, ValueError, KeyError, TypeError):
                    continue
