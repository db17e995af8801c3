"""Files and folders that the values of a stage name.

A string among the inputs or outputs that names an existing file stands for the file's content; a
`Folder` stands for the contents of a folder. The path itself counts too, relative to the stage's
`hash_output`, so that a project moved as a whole keeps its memory. The path of a folder, or of
nothing yet, counts in the same way, by its name alone.

A path inside a run's own folder (``NAME/KEY8/brain.nii.gz``) counts without the key: whether
the file came from this run or from an equal one of a changed stage makes no difference.

Not promised: the contents of a folder that is passed as a plain string (wrap it in `Folder`), and
the files that the keys of a dict name.
"""

from __future__ import annotations

import os
import stat

from memori.digest.clock import look_again
from memori.digest.files import (
    FileDigest,
    file_digest,
    from_record,
    kind_of,
    to_record,
    unchanged,
)
from memori.digest.folder import Folder, folder_digest
from memori.digest.values import copy_json, put, strings
from memori.files import is_path
from memori.keep.demand import fault_of_missing
from memori.keep.removed import digest_of_removed
from memori.layout import without_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Literal

    from memori.digest.values import JSON, Pointer

    Kind = Literal["file", "folder", "path"]

_DOT = "./"  # what shells need to find a program in the current folder
_GONE = "/memori-current-folder-is-gone"


class Artifact:
    """A file, a folder, or only a path, that a value names.

    Attributes
    ----------
    pointer : tuple of str and int
        Where the string sits; the first element is the name of the input or output.
    kind : {"file", "folder", "path"}
        What counts: a file's content, a folder's, or the name alone.
    path : str
        Relative to the stage's `hash_output`.
    relative : bool or "./"
        Whether the user wrote it relative to the current folder, and if it began so.
    file : FileDigest or None
        Of a file.
    folder : str or None
        Digest of a folder's names and contents.
    absolute : str
        Where it was found in this process; empty for one that was read from a record.
    anchor : str
        A folder, absolute, that it lies in and that may be another one for the next run, such as
        that of a Nipype node, or of a run that makes it again; empty for none.
    beside : tuple of str
        Of an output that lies in the anchor of an input: that input's name, and the path below
        the anchor. It is found in the anchor of that input now, wherever it lay.
    removed : bool
        Whether memori removed it by policy, so that its digest is all that there is.
    """

    __slots__ = (
        "absolute",
        "anchor",
        "beside",
        "file",
        "folder",
        "kind",
        "path",
        "pointer",
        "relative",
        "removed",
    )

    def __init__(
        self,
        pointer: Pointer,
        kind: Kind,
        path: str,
        relative: bool | str,
        file: FileDigest | None = None,
        folder: str | None = None,
    ) -> None:
        self.pointer = pointer
        self.kind = kind
        self.path = path
        self.relative = relative
        self.file = file
        self.folder = folder
        self.absolute = ""
        self.anchor = ""
        self.beside: tuple[str, ...] = ()
        self.removed = False

    @property
    def identity(self) -> str | None:
        """What two interchangeable files or folders have in common; None for a mere path."""
        return self.file.identity if self.file is not None else self.folder

    def locate(self, root: str) -> str:
        """Return the absolute path, under a `hash_output` that may have moved."""
        return os.path.normpath(os.path.join(root, self.path))

    def spell(self, root: str) -> str:
        """Return the path as the user wrote it: absolute, or relative to the current folder."""
        text = located = self.locate(root)
        if self.relative:
            here = current_folder()
            dot = _DOT if self.relative == _DOT else ""
            text = located if here == _GONE else dot + os.path.relpath(located, here)
        return Folder(text) if self.kind == "folder" else text

    def fault(self, root: str, memo: str | None) -> tuple[str, str] | None:
        """Say how a recorded artifact differs from what is there: ("missing" or "edited", now)."""
        path = self.locate(root)
        if self.kind == "path":
            return None if os.path.isdir(path) or not self.folder else ("missing", "nothing")
        if self.kind == "file" and self.file is not None and unchanged(self.file, path):
            return None
        found = _identify(self.kind, path, memo)
        if found is None and kind_of(path) == 0 and look_again(path):
            found = _identify(self.kind, path, memo)
        if found is None:
            if kind_of(path):
                return "missing", "nothing"
            return fault_of_missing(path, self.kind, self.identity)
        now = found.identity if isinstance(found, FileDigest) else found
        return None if now == self.identity else ("edited", now)

    def present(self, root: str, memo: str | None) -> Artifact | None:
        """Return it as it is now; None if nothing of its kind is there."""
        path = self.locate(root)
        found = self.folder if self.kind == "path" else _identify(self.kind, path, memo)
        found = digest_of_removed(path, self.kind) if found is None else found
        if found is None or (self.kind == "path" and not os.path.isdir(path)):
            return self if self.kind == "path" and not self.folder else None
        pair = (found, None) if isinstance(found, FileDigest) else (None, found)
        now = Artifact(self.pointer, self.kind, self.path, self.relative, *pair)
        now.beside = self.beside
        return now

    def placed(self, anchors: Mapping[str, str], root: str) -> Artifact:
        """Return a recorded output as it lies beside the inputs of the present call."""
        name, *below = self.beside or ("",)
        if name not in anchors:
            return self
        path = relative_path(os.path.normpath(os.path.join(anchors[name], *below)), root)
        now = Artifact(self.pointer, self.kind, path, self.relative, self.file, self.folder)
        now.beside = self.beside
        return now

    def to_record(self) -> JSON:
        """Return the artifact as JSON."""
        record: dict[str, JSON] = {"at": list(self.pointer), "kind": self.kind, "path": self.path}
        if self.relative:
            record["relative"] = self.relative
        if self.folder is not None:
            record["folder"] = self.folder
        if self.beside:
            record["beside"] = list(self.beside)
        return record if self.file is None else {**record, **to_record(self.file)}

    @classmethod
    def from_record(cls, record: JSON) -> Artifact:
        """Return the artifact that `to_record` wrote; raise KeyError, TypeError or ValueError."""
        kind = record["kind"]
        if kind not in ("file", "folder", "path"):
            raise ValueError(f"{kind!r} is no kind of artifact")
        file = from_record(record) if kind == "file" else None
        pointer = tuple(record["at"])
        path, folder, beside = record["path"], record.get("folder"), record.get("beside", [])
        if not pointer or not isinstance(pointer[0], str) or not is_path(path):
            raise ValueError("an artifact has a place and a path")
        if not isinstance(folder, (str, type(None))):
            raise ValueError(f"{folder!r} is no digest of a folder")
        if beside != [] and not _is_below(beside):
            raise ValueError(f"{beside!r} names no input and no path below its folder")
        made = cls(pointer, kind, path, record.get("relative", False), file, folder)
        made.beside = tuple(beside)
        return made


def _is_below(beside: object) -> bool:
    """Tell whether a record names an input and a path that stays below its anchor."""
    if type(beside) is not list or [*map(type, beside)] != [str, str] or not is_path(beside[1]):
        return False
    return not os.path.isabs(beside[1]) and os.pardir not in beside[1].split(os.sep)


def _identify(kind: Kind, path: str, memo: str | None) -> FileDigest | str | None:
    found = kind_of(path)
    if kind == "file" and found == stat.S_IFREG:
        return file_digest(path, memo)
    if kind == "folder" and found == stat.S_IFDIR:
        return folder_digest(path, lambda inner: file_digest(inner, memo).identity)
    return None


def find_inputs(
    values: dict[str, JSON],
    root: str,
    memo: str | None,
    *,
    by_name: bool,
    texts: frozenset[str] = frozenset(),
    here: str | None = None,
    further: Sequence[str] = (),
    anchor: Callable[[str], tuple[str, str] | None] | None = None,
) -> tuple[dict[str, JSON], list[Artifact]]:
    """Find the files and folders that the inputs of a stage name.

    Parameters
    ----------
    values : dict of str to JSON
        The inputs.
    root : str
        The `hash_output`, absolute.
    memo : str or None
        The folder in which digests of files are remembered.
    by_name : bool
        Whether only the base name of a file counts.
    texts : frozenset of str, optional
        Inputs whose strings name no files.
    here : str, optional
        The folder that relative paths start from, by default the current one.
    further : sequence of str, optional
        Further places of the stage, absolute: what lies below one counts by its path there.
    anchor : callable, optional
        Returns for an absolute path its anchor (see `Artifact`) and how it counts from there.

    Returns
    -------
    values : dict of str to JSON
        The inputs with each path as it counts.
    artifacts : list of Artifact
        What was found, in order; their paths are as they count.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    artifacts = []
    here = here or current_folder()
    for pointer, text in path_candidates(values):
        artifact = None if pointer[0] in texts else find(pointer, text, root, memo, here)
        if artifact is not None:
            path = artifact.locate(root)
            anchored = None if anchor is None else anchor(path)
            if anchored is not None:
                artifact.anchor, artifact.path = anchored
            else:
                above = next((each for each in further if path.startswith(each + os.sep)), root)
                artifact.path = relative_path(path, above)
            if artifact.kind != "path":
                artifact.absolute = path
                if by_name:  # what lies beside it counts as beside it, wherever that is
                    artifact.anchor = artifact.anchor or os.path.dirname(path)
                    artifact.path = os.path.basename(path)
                elif anchored is None:
                    artifact.path, artifact.anchor = without_key(artifact.path, above)
            artifacts.append(artifact)
    return relative_values(values, artifacts), artifacts


def anchors_of(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """Return the anchors of inputs, by names that hold for the next run, too."""
    return {"/".join(map(str, each.pointer)): each.anchor for each in artifacts if each.anchor}


def path_candidates(values: dict[str, JSON]) -> Iterator[tuple[Pointer, str]]:
    """Yield each string that may name a file, with where it sits."""
    for name, value in values.items():
        if isinstance(value, (str, list, dict)):
            yield from strings(value, (name,))


def relative_values(values: dict[str, JSON], artifacts: list[Artifact]) -> dict[str, JSON]:
    """Return outputs with each path relative to `hash_output`."""
    if artifacts:
        values = copy_json(values)
        for artifact in artifacts:
            put(values, artifact.pointer, artifact.path)
    return values


def spelled_values(
    values: dict[str, JSON], artifacts: list[Artifact], root: str
) -> dict[str, JSON]:
    """Return recorded outputs, freshly copied, with each path as the user wrote it."""
    spelled: dict[str, JSON] = copy_json(values)
    for artifact in artifacts:
        put(spelled, artifact.pointer, artifact.spell(root))
    return spelled


def find(pointer: Pointer, text: str, root: str, memo: str | None, here: str) -> Artifact | None:
    """Return what a string names; None if that is nothing."""
    if not text or len(text) > 16384 or "\0" in text:
        return None
    kind: Kind = "folder" if isinstance(text, Folder) else "file"
    relative = _DOT if text[:2] == _DOT else not os.path.isabs(text)
    path = _absolute(text, here)
    there = _identify(kind, path, memo)
    is_gone = there is None and not os.path.lexists(path)
    if is_gone and not relative and look_again(path):
        is_gone, there = False, _identify(kind, path, memo)
    found = digest_of_removed(path, kind) if is_gone else there
    if found is not None:
        known = (pointer, kind, relative_path(path, root), relative)
        pair = (found, None) if isinstance(found, FileDigest) else (None, found)
        artifact = Artifact(*known, *pair)
        artifact.removed = is_gone
        return artifact
    is_plain = os.path.normpath(text) == text and text[:2] != "//"  # else it would be respelled
    if is_plain and (not relative or os.path.isdir(path)):
        return Artifact(pointer, "path", relative_path(path, root), relative)
    return None


def current_folder() -> str:
    """Return the current folder; a place where nothing is if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return _GONE


def _absolute(text: str, here: str) -> str:
    """Return an absolute path to the same thing: behind a link, ``..`` is the target's parent."""
    path = os.path.join(here, text)
    if os.pardir not in text.split(os.sep):
        return os.path.normpath(path)
    folder, name = os.path.split(path)
    if name in ("", os.curdir, os.pardir):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)


def relative_path(path: str, root: str) -> str:
    """Return an absolute path relative to a root."""
    if path.startswith(root + os.sep):
        return path[len(root) + 1 :]
    return os.path.relpath(path, root)
