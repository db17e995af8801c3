"""The memory of one stage in one folder: what is asked of it to decide, and to record.

Whoever is about to run a stage holds the lock of its key. The lock saves work and nothing depends
on it: an entry is written whole or not at all, whoever comes second takes what the first recorded,
and no folder is removed that somebody may still use (`memori.store.folders`). Only rename, locks
and exclusive creation are asked of the file system.

Not promised: one run at a time where locks are refused or not shared, or for a stage that is
forced.
"""

from __future__ import annotations

import os
from functools import partial

from memori.errors import StageError
from memori.files import make_folder, remove_if_there
from memori.layout import Layout, file_name, locks_of, memo_of, replaced_of
from memori.processes.lock import lock
from memori.store import entries, folders, latest, left, made, nearest, replaced, sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from memori.artifacts import Artifact
    from memori.key import Key
    from memori.store.entry import Entry
    from memori.store.failures import Unfinished


class Store:
    """The entries of one stage in one folder.

    Parameters
    ----------
    root : str
        The stage's `hash_output`, absolute.
    stage_name : str
        The stage's name.
    further : sequence of str, optional
        Other folders, absolute, in which it may be remembered, too.

    Attributes
    ----------
    memo : str
        The folder in which digests of files are remembered.
    writer : str
        Whose runs pass files on to each other: the stage's name, or a node's.
    further : tuple of Store
        The same stage in other folders, which are only looked at.
    is_further : bool
        Whether this is one of those.
    """

    __slots__ = ("further", "is_further", "layout", "memo", "name", "root", "writer")

    def __init__(self, root: str, stage_name: str, further: Sequence[str] = ()) -> None:
        self.root = root
        self.name = file_name(stage_name)
        self.layout = Layout(root, self.name)
        self.memo = memo_of(root)
        self.writer = self.name
        self.further = tuple(Store(each, stage_name) for each in further if each != root)
        self.is_further = False
        for each in self.further:
            each.memo, each.is_further = self.memo, True

    def lock(self, key: Key, *, wait: bool = True) -> lock:
        """Hold the lock of a key; whoever runs the same is waited for, or found to hold it."""
        return lock(locks_of(self.root), int(key.digest[:15], 16), wait=wait)

    def reject_unwritable(self, subject: str) -> None:
        """Raise before a run that could not be recorded here.

        To be asked where no lock could be had, which is so wherever nothing can be written.

        Raises
        ------
        StageError
            If nothing can be written; the message says why.
        """
        probe = f"{self.layout.records}/.{os.urandom(6).hex()}.partial"
        try:
            make_folder(self.layout.records)
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            remove_if_there(probe)
        except OSError as error:
            why, above = str(error), self.root
            while not os.path.lexists(above) and above != os.sep:
                above = os.path.dirname(above)
            if not os.path.isdir(above):
                why = f"{above} is no folder"
            raise StageError(
                f"{subject} was not run: it could not be recorded in hash_output {self.root} "
                f"({why}); give a folder that can be written. One that is only to be looked in "
                "comes after it in a list"
            ) from error

    # Entries

    def exact(self, key: Key) -> Entry | None:
        """Return an entry of exactly this key, if there is a sound one."""
        return entries.exact(self.layout, key)

    def under(self, key: Key) -> Iterator[Entry]:
        """Yield the sound entries of exactly this key; their runs have seen different things."""
        return (each.placed(key.files, self.root) for each in entries.under(self.layout, key))

    def neighbours(self, key: Key) -> Iterator[Entry]:
        """Yield the latest entries of the same inputs, equal contents of their files first."""
        return (each.placed(key.files, self.root) for each in entries.neighbours(self.layout, key))

    def nearest(self, key: Key) -> Entry | None:
        """Return the entry whose inputs are most like those of a key, for explanations."""
        latest = nearest.nearest(self.layout, key) or self.latest()
        return None if latest is None or nearest.is_of_another(latest, key) else latest

    def write(self, entry: Entry, key: Key) -> None:
        """Write an entry, replacing the one under its key; an OSError leaves what was there."""
        sources.keep(self.root, key.code)
        entries.write(self.layout, entry, key)
        nearest.note(self.layout, entry, key)

    def forget(self, entry: Entry) -> None:
        """Remove an entry, and nothing that it names."""
        remove_if_there(entry.path)

    # The latest run

    def latest(self) -> Entry | None:
        """Return the entry of the latest run, or else the one written last."""
        return latest.latest(self.layout)

    def follow(self, entry: Entry) -> None:
        """Make a remembered run the latest one; an OSError says that this cannot be written."""
        latest.follow(self.layout, entry)

    def show(self, entry: Entry) -> None:
        """Write the files that describe a run; an OSError says that they cannot be written."""
        latest.show(self.layout, entry)

    # Files that runs write where an input says

    def mark_made(self, files: list[Artifact]) -> None:
        """Note which files, named by inputs, a run of the stage wrote itself."""
        made.mark(self.layout, files)

    def mark_written(self, paths: list[str], artifacts: Iterable[Artifact] = ()) -> None:
        """Note which files a remembered run wrote outside its folder (absolute paths)."""
        made.mark_written(self.root, paths, self._returned(artifacts))

    def was_written(self, path: str, returned: tuple[str, ...] = ()) -> bool:
        """Tell whether a remembered run wrote what lies at an absolute path, or remembering did."""
        return made.is_written(self.root, path, returned) or self.layout.is_own(path)

    def was_written_for(self, artifacts: Iterable[Artifact]) -> Callable[[str], bool]:
        """Return `was_written`, as it is to be asked for a run that returned these artifacts.

        A file in a folder that its run returned is there to be found: only for a run that returned
        such a folder, too, is it one that another wrote.
        """
        return partial(self.was_written, returned=self._returned(artifacts))

    def _returned(self, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
        """List the folders among a run's artifacts, absolute, with a slash at the end."""
        return tuple(f"{each.locate(self.root)}/" for each in artifacts if each.kind == "folder")

    def was_made(self, file: Artifact) -> bool:
        """Tell whether a run of the stage itself wrote this content under this name."""
        return made.is_marked(self.layout, file)

    def note_left(
        self,
        key: Key,
        files: Mapping[str, tuple[str | None, str]],
        began: float,
        inside: Sequence[str] = (),
    ) -> None:
        """Note what a run left outside its folder: see `memori.store.left`."""
        if files:
            left.note(self.root, self.writer, key.digest, files, began, inside, key.case)

    def left_during(self, key: Key, paths: list[str], began: float) -> tuple[str, str] | None:
        """Return one of some paths that another run left meanwhile, and the name of its stage."""
        return left.left_during(self.root, key.digest, paths, began)

    def came_of(self, entry: Entry, path: str, pair: tuple[str, str], *, returned: bool) -> bool:
        """Tell whether what lies at a path came of what an entry's run left there."""
        key = entry.record["key"]
        own = os.path.join(self.root, entry.folder or "\0", "")
        is_own = path.startswith(own)
        return left.came_of(
            self.root, self.writer, key, path, pair, returned=returned, is_own=is_own
        )

    def is_written_anew(self, entry: Entry, path: str) -> bool:
        """Tell whether a file to which an entry's run appended was since written by another one."""
        return left.is_written_anew(self.root, entry.record["key"], path)

    def written_over(
        self, entry: Entry, pairs: Collection[tuple[str, str]]
    ) -> tuple[str, str, bool] | None:
        """Return where an entry's file became another one by a run, its stage, and if anew."""
        return left.written_over(self.root, self.writer, entry.record["key"], pairs)

    def left_by_any(self) -> set[str]:
        """Return all paths outside their folders that remembered runs left."""
        return left.left(self.root)

    def left_earlier(self, most: int, *, by_any: bool = False) -> list[str]:
        """Return paths outside their folders that this stage's runs left, so many of the latest."""
        return left.left_by(self.root, None if by_any else self.writer, most)

    def can_put_back(self, path: str, pair: tuple[str, str]) -> bool:
        """Tell whether a hit may put back at a path what its run left: that, and what is there."""
        if self.is_further or not replaced.is_kept(self.root, pair[0]):
            return False
        return replaced.is_place(self.root, path) and left.was_left(self.root, path, pair[1])

    def put_back(self, path: str, identity: str) -> None:
        """Put back at an absolute path what a run left there."""
        replaced.put_back(self.root, path, identity, self.memo)

    def has_replaced(self) -> bool:
        """Tell whether anything that could be put back was ever kept."""
        return os.path.isdir(replaced_of(self.root))

    def keep_replaced(self, contents: Mapping[str, bytes]) -> None:
        """Keep, by digest, what a run has written over."""
        replaced.keep(self.root, contents)

    def folders_around(self, paths: list[str]) -> set[str]:
        """Return the folders left by runs that some absolute paths lie in."""
        return left.folders_around(self.root, paths)

    # Runs' own folders

    def new_folder(self, key: Key) -> str:
        """Make the empty folder of a run and return it, relative to the root."""
        return folders.new_folder(self.layout, key)

    def finished(self, key: Key, folder: str | None) -> None:
        """Note that a run is in the store, with its folder or without one."""
        folders.finished(self.layout, key, folder)

    def failed(self, folder: str) -> None:
        """Note that the run of a folder is over and left no entry."""
        folders.failed(self.layout, folder)

    def unfinished(self, key: Key) -> Unfinished | None:
        """Return the run with the inputs of a key that goes on, or failed and was not mended."""
        from memori.store.failures import unfinished_of

        return unfinished_of(self.layout, key)

    def keep_failure(self, folder: str, text: str, *, whole: bool = False) -> str | None:
        """Write down in a folder why its run failed, and make room unless it is kept whole.

        Returns the file, absolute; None if it cannot be written.
        """
        from memori.store.failures import keep_failure

        return keep_failure(self.layout, folder, text, whole=whole)

    def released(self, folder: str) -> None:
        """Note that the run of a folder returned and left no entry."""
        folders.released(self.layout, folder)

    def replaced(self, folder: str) -> None:
        """Note that another entry took the place of the one of a folder."""
        folders.replaced(self.layout, folder)

    def shared(self, folder: str) -> None:
        """Note that more than one entry holds what is in the folder of a run."""
        folders.shared(self.layout, folder)

    def drop_folder(self, folder: str) -> None:
        """Remove the folder of a run."""
        folders.drop(self.layout, folder)
