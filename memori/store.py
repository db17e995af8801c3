"""The store: where the entries of one stage lie.

Below a stage's `hash_output`::

    NAME.inputs  NAME.outputs  NAME.stage    the latest run, for people to read
    NAME/KEY8/                               a run's own folder; NAME/latest links to the latest
    .memori/stages/NAME/NAMES16/KEY32.json   one entry per (code, inputs)
    .memori/stages/NAME/folders/KEY8.json    which entry a run's folder belongs to
    .memori/stages/NAME/NAMES16/*.unfinished the folder of a run that goes on, or failed
    .memori/stages/NAME/made/                marks of files that a run wrote where an input said
    .memori/files/                           digests of files, remembered by stat

An entry is written whole under its final name or not at all, so a kill leaves none or one. A
reader never writes. Whoever is about to run a stage holds the lock of its key; the lock dies
with its holder. Only rename and lock are asked of the file system.

Not promised: one run at a time on a file system that has no locks, or for a stage that is forced.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256

from memori.digest.values import encode, text_digest
from memori.entry import Entry
from memori.errors import MemoriWarning
from memori.files import atomic_write, lock, make_folder, remove_if_there
from memori.views import indented, with_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.entry import Fingerprint

    Stats = tuple[tuple[int, int, int], ...]

_MOST_PARSED = 2048
_LARGEST_PARSED = 16384
_KEY = re.compile(r"[0-9a-f]{64}")
_KEY8 = re.compile(r"[0-9a-f]{8}(-\d+)?")
_parsed: dict[str, tuple[bytes, Entry]] = {}
_views_seen: dict[str, tuple[Stats, str]] = {}


def file_name(name: str) -> str:
    """Return a stage's name as a file name: short, visible and without separators.

    Examples
    --------
    >>> file_name("smooth"), file_name("<lambda>")
    ('smooth', 'lambda')
    """
    plain = re.sub(r"[^\w.+=@,-]+", "_", name).strip("_").lstrip(".") or "stage"
    if len(os.fsencode(plain)) > 100:
        plain = f"{plain[:20]}-{sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return plain


class Store:
    """The entries of one stage in one folder.

    Parameters
    ----------
    root : str
        The stage's `hash_output`, absolute.
    stage_name : str
        The stage's name.
    """

    __slots__ = ("_records", "memo", "name", "root")

    def __init__(self, root: str, stage_name: str) -> None:
        self.root = root
        self.name = file_name(stage_name)
        self.memo = os.path.join(root, ".memori", "files")
        self._records = os.path.join(root, ".memori", "stages", self.name)

    def _path(self, names: str, key: str) -> str:
        return f"{self._records}/{names[:16]}/{key[:32]}.json"

    # Reading

    def has_records(self) -> bool:
        """Tell whether the stage ever recorded anything here."""
        return os.path.isdir(self._records)

    def entry(self, names: str, key: str) -> Entry | None:
        """Return the entry of exactly this key, if there is a sound one."""
        found = self._read(self._path(names, key))
        return found if found is not None and found.key == key else None

    def entries(self, names: str) -> Iterator[Entry]:
        """Yield the sound entries of one set of inputs (whatever the contents of its files)."""
        yield from self._newest_first(_listed(f"{self._records}/{names[:16]}"))

    def _newest_first(self, paths: list[str]) -> Iterator[Entry]:
        records = [path for path in paths if path.endswith(".json")]
        for path in sorted(records, key=_written, reverse=True):
            found = self._read(path)
            if found is not None:
                yield found

    def latest(self) -> Entry | None:
        """Return the entry of the latest run, or else the one written last."""
        latest = self._read_views()
        if latest is not None:
            found = self._read(os.path.join(self.root, str(latest.get("entry"))))
            if found is not None:
                return found
        folders = [path for path in _listed(self._records) if not path.endswith("/folders")]
        return next(self._newest_first([path for each in folders for path in _listed(each)]), None)

    def _read(self, path: str) -> Entry | None:
        try:
            content = _content(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            _warn(path, f"it cannot be read ({error})")
            return None
        known = _parsed.get(path)
        if known is not None and known[0] == content:
            return known[1]
        try:
            entry = Entry.from_bytes(content)
        except ValueError as error:
            _warn(path, str(error))
            return None
        if len(_parsed) >= _MOST_PARSED:
            _parsed.clear()
        if len(content) <= _LARGEST_PARSED:
            _parsed[path] = (content, entry)
        return entry

    # Writing

    def lock(
        self, names: str, key: str, *, wait: bool = True
    ) -> AbstractContextManager[bool | None]:
        """Hold the lock of a key, waiting for whoever runs the same."""
        return lock(f"{self._path(names, key)[:-5]}.running", wait=wait, passing=True)

    def write(self, entry: Entry, names: str) -> None:
        """Write an entry, replacing the one under its key.

        Raises
        ------
        OSError
            If it cannot be written; what was there before still stands.
        """
        path = self._path(names, entry.key)
        make_folder(os.path.dirname(path))
        atomic_write(path, entry.to_bytes())
        if entry.folder is not None:
            claim = f"{self._records}/folders/{os.path.basename(entry.folder)}.json"
            atomic_write(claim, json.dumps({"entry": os.path.relpath(path, self.root)}).encode())

    def mark_made(self, files: list[Artifact]) -> None:
        """Note which files, named by inputs, a run of the stage wrote itself."""
        for file in files:
            mark = self._mark(file)
            make_folder(os.path.dirname(mark))
            with open(mark, "a", encoding="ascii"):
                pass

    def was_made(self, file: Artifact) -> bool:
        """Tell whether a run of the stage itself wrote this content under this name."""
        return os.path.exists(self._mark(file))

    def _mark(self, file: Artifact) -> str:
        return f"{self._records}/made/{text_digest(encode([file.path, file.identity]))[:32]}"

    def drop_others(self, entry: Entry, names: str, same: Callable[[Entry], bool]) -> None:
        """Remove the entries that tell of the same run as one that replaces them."""
        own = self._path(names, entry.key)
        others = [path for path in _listed(os.path.dirname(own)) if path != own]
        for other in list(self._newest_first(others)):
            if same(other):
                remove_if_there(self._path(names, other.key))

    def new_folder(self, found: Fingerprint, *, alone: bool) -> str:
        """Make the empty folder of a run and return it, relative to the root.

        Who is alone (holds the lock of the key) empties the folder of a run that failed and uses
        it again, and removes one that failed with other code. That of an entry is left alone.
        """
        names, key = found.names, found.key
        if alone:
            self._drop_unfinished(found)
        claims = f"{self._records}/folders"
        make_folder(claims)
        owner = os.path.relpath(self._path(names, key), self.root)
        attempt = 0
        while True:
            name = f"{key[:8]}-{attempt}" if attempt else key[:8]
            claim = f"{claims}/{name}.json"
            folder = os.path.join(self.name, name)
            if self._claim(claim, owner) or (alone and self._is_abandoned(claim, owner, folder)):
                self._make_empty(folder)
                unfinished = json.dumps({"key": key, "folder": folder}).encode()
                make_folder(f"{self._records}/{names[:16]}")
                atomic_write(self._unfinished(found), unfinished)
                return folder
            attempt += 1

    def _unfinished(self, found: Fingerprint) -> str:
        return f"{self._records}/{found.names[:16]}/{found.given[:16]}.unfinished"

    def mark_finished(self, found: Fingerprint) -> None:
        """Note that the run of a fingerprint is in the store."""
        remove_if_there(self._unfinished(found))

    def _drop_unfinished(self, found: Fingerprint) -> None:
        """Remove what a failed run with the same inputs and other code left behind."""
        names, key = found.names, found.key
        try:
            told = json.loads(_content(self._unfinished(found)))
            other, folder = str(told["key"]), str(told["folder"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if other == key or not _KEY.fullmatch(other):
            return
        with self.lock(names, other, wait=False) as is_over:
            entry = self._read(self._path(names, other))
            if is_over and (entry is None or entry.folder != folder):
                self.drop_folder(folder)

    def _claim(self, claim: str, owner: str) -> bool:
        try:
            descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"entry": owner}, file)
        return True

    def _is_abandoned(self, claim: str, owner: str, folder: str) -> bool:
        """Tell whether a folder is left from a failed run of the same key."""
        try:
            told = json.loads(_content(claim))
        except FileNotFoundError:
            return False
        except ValueError:
            told = {"entry": owner}  # killed while claiming: nothing ran in it
        if not isinstance(told, dict) or told.get("entry") != owner:
            return False
        entry = self._read(os.path.join(self.root, owner))
        return entry is None or entry.folder != folder

    def _make_empty(self, folder: str) -> None:
        import shutil

        path = os.path.join(self.root, folder)
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.isdir(path):
            shutil.rmtree(path)
        os.makedirs(path)

    def drop_folder(self, folder: str) -> None:
        """Remove the folder of a run that failed or was replaced."""
        import shutil

        path = os.path.join(self.root, folder)
        is_own = os.path.dirname(folder) == self.name and _KEY8.fullmatch(os.path.basename(folder))
        if is_own and os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
            claim = f"{self._records}/folders/{os.path.basename(folder)}.json"
            remove_if_there(claim)

    # The latest run, for people

    def _views(self) -> tuple[str, str, str]:
        base = os.path.join(self.root, self.name)
        return f"{base}.inputs", f"{base}.outputs", f"{base}.stage"

    def _read_views(self) -> dict[str, JSON] | None:
        try:
            told = json.loads(_content(self._views()[2]))
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def views_show(self, key: str) -> bool:
        """Tell whether the three files describe the run of this key."""
        try:
            stats: Stats = tuple(
                (found.st_ino, found.st_mtime_ns, found.st_size)
                for found in map(os.stat, self._views())
            )
        except OSError:
            return False
        place = f"{self.root}/{self.name}"
        if _views_seen.get(place) == (stats, key):
            return True
        told = self._read_views()
        if told is None or told.get("key") != key:
            return False
        if len(_views_seen) >= _MOST_PARSED:
            _views_seen.clear()
        _views_seen[place] = (stats, key)
        return True

    def show(self, entry: Entry, names: str) -> None:
        """Write the three files that describe a run, and link its folder as the latest.

        Raises
        ------
        OSError
            If one cannot be written; the entries are not touched.
        """
        with lock(self._records, wait=False) as is_mine:
            # Another run that is just being shown is the latest as well.
            if is_mine is not False:
                self._show(entry, names)

    def _show(self, entry: Entry, names: str) -> None:
        inputs, outputs, stage = self._views()
        # The first vouches for the others, so it goes first and comes last.
        for path in (stage, inputs, outputs):
            remove_if_there(path)
        atomic_write(inputs, indented(with_files(entry.inputs, entry.files)))
        atomic_write(outputs, indented(with_files(entry.outputs, entry.artifacts)))
        record = {k: v for k, v in entry.record.items() if k not in _SHOWN_ELSEWHERE}
        where = os.path.relpath(self._path(names, entry.key), self.root)
        atomic_write(stage, indented({**record, "entry": where}))
        if entry.folder is not None:
            self._link_latest(os.path.basename(entry.folder))

    def _link_latest(self, folder: str) -> None:
        link = os.path.join(self.root, self.name, "latest")
        partial = f"{link}.{os.urandom(6).hex()}.partial"
        try:
            os.symlink(folder, partial)
            os.replace(partial, link)
        except (NotImplementedError, OSError):
            remove_if_there(partial)  # a file system without links does without the convenience


_SHOWN_ELSEWHERE = ("inputs", "files", "outputs", "artifacts")


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, 65536)
        while more := os.read(descriptor, 1 << 20):
            content += more
        return content
    finally:
        os.close(descriptor)


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _warn(path: str, reason: str) -> None:
    import warnings

    warnings.warn(f"memori does not trust {path}: {reason}", MemoriWarning, stacklevel=2)
