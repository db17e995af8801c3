"""The latest run: a pointer for memori, and three files for people.

The pointer names the entry of the latest run, which `force_skip_stage` and explanations follow, and
the one that the files show. The three files (``NAME.inputs``, ``NAME.outputs``, ``NAME.stage``,
JSON over many lines, files shown with their digests) are written when a run was executed, and where
one is missing. A hit on an entry that they show writes nothing; one on another entry moves the
pointer, and the three files follow: at once for the first hits of a process, for further ones at
the end of a map, or when the process ends.

Not promised: the three files for runs whose process was killed before it ended, and a whole one
to who opened it before it was rewritten and reads it after.
"""

from __future__ import annotations

import json
import os

from memori.digest.values import copy_json, put
from memori.files import move, opened, partial_of, remove_if_there
from memori.layout import locks_of
from memori.processes.lock import lock
from memori.store.entries import everything, names_in, newest_first, put_names, read, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.layout import Layout
    from memori.store.entry import Entry

_MOST_FOLLOWED = 4096
_AT_ONCE = 2  # hits of a process on other entries of one stage that are shown at once
_SHOWN_ELSEWHERE = ("inputs", "files", "outputs", "artifacts")
_LOCK = 1 << 61  # above the numbers of keys
_flat = json.JSONEncoder(check_circular=False).encode
_quoted = json.encoder.encode_basestring_ascii
_followed: dict[str, int] = {}
_behind: dict[str, tuple[int, Layout, Entry]] = {}


def latest(layout: Layout) -> Entry | None:
    """Return the entry of the latest run, or else the one written last."""
    for path in [*names_in(layout, layout.latest), *newest_first(list(everything(layout)))]:
        found = read(path)
        if found is not None:
            return found
    return None


def follow(layout: Layout, entry: Entry) -> None:
    """Make a remembered run the latest one: the pointer now, the files for people later.

    Raises
    ------
    OSError
        If something cannot be written.
    """
    names = names_in(layout, layout.latest)
    use(entry, always=names[:1] != [entry.path])
    if not all(map(os.path.exists, layout.views)):
        show(layout, entry)
    elif names[1:] == [entry.path]:  # the files show it
        if names[0] != entry.path:
            _point(layout, entry)
    elif _may_show_at_once(layout):
        show(layout, entry)
    else:
        if names[:1] != [entry.path]:
            _point(layout, entry)
        if len(_behind) >= _MOST_FOLLOWED:
            catch_up()
        if not _behind:
            import atexit

            atexit.register(catch_up)
        _behind[layout.records] = (os.getpid(), layout, entry)


def _may_show_at_once(layout: Layout) -> bool:
    followed = _followed.get(layout.records, 0) + 1
    if len(_followed) >= _MOST_FOLLOWED:
        _followed.clear()
    _followed[layout.records] = followed
    return followed <= _AT_ONCE


def _point(layout: Layout, entry: Entry) -> None:
    """Name an entry as the latest one, and leave what the three files show."""
    put_names(layout, layout.latest, [entry.path])  # in place: what follows it stays


def catch_up() -> None:
    """Write the files for people that lag behind the pointer."""
    while _behind:
        _, (process, layout, entry) = _behind.popitem()
        names = names_in(layout, layout.latest)
        if process == os.getpid() and names[:1] == [entry.path] != names[1:]:
            try:
                show(layout, entry)
            except OSError:
                pass  # the folder is gone, or full: the entries say the same


def show(layout: Layout, entry: Entry) -> None:
    """Point to an entry, write the three files that describe it, and link its folder as latest.

    Raises
    ------
    OSError
        If something cannot be written; the entries are not touched.
    """
    with lock(locks_of(layout.root), _LOCK + hash_of(layout.name), wait=False) as is_mine:
        # Another run that is just being shown is the latest as well.
        if is_mine is not False:
            put_names(layout, layout.latest, [entry.path])
            _show(layout, entry)
            put_names(layout, layout.latest, [entry.path, entry.path])


def hash_of(name: str) -> int:
    """Return a number of 32 bits for a text, the same in every process."""
    from zlib import crc32

    return crc32(name.encode("utf-8", "surrogateescape"))


def _show(layout: Layout, entry: Entry) -> None:
    inputs, outputs, stage = layout.views
    record = {k: v for k, v in entry.record.items() if k not in _SHOWN_ELSEWHERE}
    where = entry.path[len(layout.root) + 1 :]
    # The first vouches for the others, so it goes first and comes last.
    with _rewriting(stage, _indented({**record, "entry": where})):
        with _rewriting(inputs, _indented(with_files(entry.inputs, entry.files))):
            pass
        with _rewriting(outputs, _indented(with_files(entry.outputs, entry.artifacts))):
            pass
    if entry.folder is not None:
        _link_latest(layout, os.path.basename(entry.folder))


class _rewriting:  # noqa: N801  a context manager, read as a word
    """Take a file away inside a with block, and put it back with another content at its end.

    Its inode is used again: a new one costs a hundred microseconds where a disk is old or full.
    """

    __slots__ = ("_content", "_partial", "_path")

    def __init__(self, path: str, content: bytes) -> None:
        self._path = path
        self._content = content
        self._partial = partial_of(path)

    def __enter__(self) -> None:
        try:
            os.rename(self._path, self._partial)
        except FileNotFoundError:
            pass

    def __exit__(self, *error: object) -> None:
        try:
            self._write()
            move(self._partial, self._path)
        except IsADirectoryError:  # the user's: it goes back
            os.rename(self._partial, self._path)
            raise
        except BaseException:
            remove_if_there(self._partial)
            raise

    def _write(self) -> None:
        descriptor = opened(self._partial)
        try:
            view = memoryview(self._content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.ftruncate(descriptor, len(self._content))
        finally:
            os.close(descriptor)


def _link_latest(layout: Layout, folder: str) -> None:
    link = f"{layout.root}/{layout.name}/latest"
    partial = f"{layout.records}/.latest.{os.urandom(6).hex()}.partial"
    try:
        os.symlink(folder, partial)
        move(partial, link)
    except (NotImplementedError, OSError):
        remove_if_there(partial)  # a file system without links does without the convenience


def with_files(values: dict[str, JSON], artifacts: list[Artifact]) -> dict[str, JSON]:
    """Return values in which each file is shown with its digest."""
    shown: dict[str, JSON] = copy_json(values)
    for artifact in artifacts:
        if artifact.file is not None:
            record = {"file": artifact.path, "hash": artifact.file.hash}
            if artifact.file.content is not None:
                record["content"] = artifact.file.content
            put(shown, artifact.pointer, record)
        elif artifact.kind == "folder":
            put(shown, artifact.pointer, {"folder": artifact.path, "hash": artifact.folder})
    return shown


def _indented(record: dict[str, JSON]) -> bytes:
    """Return a record as the content of a JSON file whose dicts are spread over lines."""
    return f"{_lines(record, '')}\n".encode("ascii")


def _lines(value: JSON, margin: str) -> str:
    """Spread dicts over lines, and leave the rest to the encoder that is written in C."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int:
        return repr(value)
    if value is None:
        return "null"
    if kind is not dict or not value:
        return _flat(value)
    inner = margin + "  "
    items = [f"{inner}{_quoted(key)}: {_lines(part, inner)}" for key, part in value.items()]
    return "{\n" + ",\n".join(items) + f"\n{margin}}}"
