"""An entry: the record of one run.

An entry is one JSON file that carries the SHA-256 of its own text. What is broken, written by
hand or in a schema that this memori does not know does not pass `Entry.from_bytes`; which memori
wrote it does not matter. docs/store.md lists what a record holds.
"""

from __future__ import annotations

import json

from memori.artifacts import Artifact, anchors_of
from memori.digest.values import encode, from_text
from memori.files import sealed, unsealed
from memori.store.shape import require_places, require_shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memori.digest.values import JSON

SCHEMA = 2
_READ = (1, 2)


class SchemaError(ValueError):
    """An entry is sound and in a schema that this memori does not know."""


class Entry:
    """The record of one run.

    Attributes
    ----------
    key : str
        The digest of the key that the run was filed under.
    record : dict
        All of the entry, as its file holds it.
    inputs, outputs : dict of str to JSON
        Values, with each path relative to `hash_output`.
    files, artifacts : list of Artifact
        The files and folders among the inputs and among the outputs.
    path : str
        Its file; empty before it is written.
    """

    __slots__ = ("artifacts", "files", "inputs", "key", "outputs", "path", "record")

    def __init__(self, record: dict[str, JSON], brackets: int | None = None) -> None:
        require_shape(record, brackets)
        self.record = record
        self.path = ""
        self.key: str = record["key"]
        self.inputs: dict[str, JSON] = record["inputs"]
        self.outputs: dict[str, JSON] = record["outputs"]
        self.files = [Artifact.from_record(each) for each in record["files"]]
        self.artifacts = [Artifact.from_record(each) for each in record["artifacts"]]
        require_places(self.inputs, self.files)
        require_places(self.outputs, self.artifacts)

    @property
    def folder(self) -> str | None:
        """The run's own folder, relative to `hash_output`."""
        folder: str | None = self.record["folder"]
        return folder

    @property
    def consumed(self) -> bool:
        """Whether the run took away files that it had read and that were there before."""
        return bool((self.record.get("observed") or {}).get("consumed"))

    @property
    def seen(self) -> str:
        """What two entries have in common whose runs saw the same: all but the stats."""
        record = self.record.get("observed")
        if not record:
            return ""
        counted = {kind: facts for kind, facts in record.items() if kind != "root"}
        for kind in ("read", "written", "edited", "modules"):
            if kind in counted:
                counted[kind] = [counted[kind]["files"], counted[kind]["digests"]]
        if "listed" in counted:
            counted["listed"] = [[each["folder"], each["digest"]] for each in counted["listed"]]
        return encode(counted)

    def placed(self, files: Iterable[Artifact], root: str) -> Entry:
        """Return it with the outputs that lie beside an input where they lie for a call.

        Parameters
        ----------
        files : iterable of Artifact
            The files among the inputs of the call.
        root : str
            The `hash_output`, absolute.
        """
        if not any(each.beside for each in self.artifacts):
            return self
        anchors = anchors_of(files)
        placed = object.__new__(Entry)
        for name in self.__slots__:
            setattr(placed, name, getattr(self, name))
        placed.artifacts = [each.placed(anchors, root) for each in self.artifacts]
        return placed

    def to_bytes(self) -> bytes:
        """Return the entry as the content of its file."""
        return sealed(json.dumps(self.record, check_circular=False).encode("ascii"))

    @classmethod
    def from_bytes(cls, content: bytes) -> Entry:
        """Read an entry, trusting nothing.

        Raises
        ------
        SchemaError
            If it is in a schema that this memori does not know.
        ValueError
            If it is broken or was edited; the message says which.
        """
        try:
            record = from_text(unsealed(content).decode())
            if record["schema"] not in _READ:
                raise SchemaError(
                    f"it is in schema {record['schema']}, written by memori {record['memori']}; "
                    f"this memori reads schema {' and '.join(map(str, _READ))}"
                )
            return cls(record, content.count(b"{") + content.count(b"["))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"it lacks what an entry has ({error!r})") from error
