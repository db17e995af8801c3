"""Twins: equal runs that are remembered in different folders.

A stage in ``"work/{subject}"`` whose callable takes no subject would run for each subject, though
it makes the same of the same. In a map it runs for one of them; the others are given copies of what
it left, in folders of their own, with entries of their own. A copy counts only if it is a hit by
the same comparison as any other entry; else the stage runs.

Not promised: twins of runs that wrote outside their own folder, or on machines that do not share
the map's temporary folder.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

from memori.artifacts import relative_values, spelled_values
from memori.calls.current_run import current
from memori.calls.decision import exact_hit
from memori.digest.values import put
from memori.errors import RemovedError, warn
from memori.files import copy_file, remove_if_there
from memori.processes.lock import lock
from memori.store import Entry, Store
from memori.store.outputs import find_outputs
from memori.store.use import in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.key import Key

meeting_place: ContextVar[str | None] = ContextVar("memori_meeting_place", default=None)
"""The folder in which the runs of a map say what they made where; None outside of one."""


class twins:  # noqa: N801  a context manager, read as a word
    """Keep equal runs in other folders apart inside a with block, and know what they made.

    The value is whether nobody else is at it; False if somebody is and one would not wait.

    Parameters
    ----------
    key : Key
        Of the run.
    store : Store
        Where it is remembered.
    wanted : bool
        Whether it can have twins.
    wait : bool
        Whether to wait for one that goes on.
    """

    def __init__(self, key: Key, store: Store, *, wanted: bool, wait: bool) -> None:
        place = meeting_place.get() if wanted and current() is None else None
        self._place = place if place is not None and os.path.isdir(place) else None
        self._key = key
        self._store = store
        number = int(key.digest[:15], 16)
        self._lock = lock(f"{self._place}/twins", number, wait=wait) if self._place else None

    def __enter__(self) -> bool:
        return self._lock is None or self._lock.__enter__() is not False

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._lock.__exit__(*error)  # type: ignore[arg-type]

    @property
    def _note(self) -> str:
        return f"{self._place}/twin-{self._store.name}-{self._key.digest}"

    def copy(self) -> Entry | None:
        """Return an entry like that of a twin that has run; None if there is none."""
        if self._place is None:
            return None
        try:
            with open(self._note, encoding="utf-8", errors="surrogateescape") as file:
                other = Store(file.read(), self._store.name)
        except OSError:
            return None
        entry = None if other.root == self._store.root else exact_hit(self._key, other)
        if entry is None:
            return None
        paths = [each.locate(other.root) for each in entry.artifacts]
        try:
            with in_use(self._store.name, paths):
                return copied(entry, other, self._key, self._store)
        except (OSError, RemovedError):
            return None  # the run itself says what is amiss

    def tell(self) -> None:
        """Say that this run is remembered; without room for that, another will run it again."""
        if self._place is None:
            return
        try:
            with open(self._note, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(self._store.root)
        except OSError:
            remove_if_there(self._note)


def brought(entry: Entry, other: Store, key: Key, store: Store) -> Entry | None:
    """Copy what a run left in a further place to the stage's own; None, with a warning, if not."""
    try:
        made = copied(entry, other, key, store)
    except OSError as error:
        warn(f"what {other.root} holds of {store.name} cannot be copied to {store.root}: {error}")
        return None
    return made


def copied(entry: Entry, other: Store, key: Key, store: Store) -> Entry | None:
    """Copy what a run left into a folder of its own in another store, and file it there.

    Returns
    -------
    Entry or None
        None if the copy would be no hit there.
    """
    import shutil

    if any((entry.record.get("observed") or {}).get(kind) for kind in ("written", "edited")):
        return None
    values = spelled_values(entry.outputs, entry.artifacts, other.root)
    folder = own = None
    if entry.folder is not None:
        folder = store.new_folder(key)
        own = os.path.join(store.root, folder)
        theirs = os.path.join(other.root, entry.folder)
        try:
            shutil.copytree(theirs, own, symlinks=True, dirs_exist_ok=True, copy_function=copy_file)
        except BaseException:
            store.drop_folder(folder)
            raise
        for artifact in entry.artifacts:
            path = artifact.locate(other.root)
            if path == theirs or path.startswith(theirs + os.sep):
                put(values, artifact.pointer, own + path[len(theirs) :])
    artifacts = find_outputs(values, store.root, store.memo, own, key.files)
    if len(artifacts) != len(entry.artifacts):  # what lay there went meanwhile
        if folder is not None:
            store.drop_folder(folder)
        return None
    record = {
        **entry.record,
        "inputs": key.inputs,
        "files": [file.to_record() for file in key.files],
        "outputs": relative_values(values, artifacts),
        "artifacts": [artifact.to_record() for artifact in artifacts],
        "folder": folder,
    }
    copy = Entry(record)
    store.write(copy, key)
    store.finished(key, folder)
    found = exact_hit(key, store)
    if found is None:
        store.forget(copy)
        if folder is not None:
            store.drop_folder(folder)
        return None
    store.show(found)
    return found
