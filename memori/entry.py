"""Fingerprints and entries: what a run was made of, and the record of it.

A `Fingerprint` names everything that a result may depend on: the inputs, the files among them,
the code, and the surroundings (a tool's version, say). Its `key` is the digest of all of it;
`names` is the digest of the inputs without the contents of files, so that the entries of one set
of parameters lie together. An `Entry` is the record of one run under such a key.

An entry is one JSON file that carries the SHA-256 of its own text. What is broken, written by
hand, by another memori or in another schema does not pass `Entry.from_bytes`.
"""

from __future__ import annotations

import json

from memori.artifacts import Artifact
from memori.digest.values import encode, part_at, text_digest
from memori.files import sealed, unsealed
from memori.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.fingerprint import Code

SCHEMA = 1


class Fingerprint:
    """Everything that the result of one run may depend on.

    Attributes
    ----------
    inputs : dict of str to JSON
        The inputs, with each path as it counts.
    files : list of Artifact
        The files and folders among them.
    code : Code
        What the callable reaches.
    surroundings : dict of str to JSON
        What else counts; None where it cannot be asked now.
    outputs : tuple of str
        The declared names.
    names, given, key : str
        Digests (64 hexadecimal digits) of the inputs without the contents of files, of the inputs
        with them, and of everything.
    """

    __slots__ = ("code", "files", "given", "inputs", "key", "names", "outputs", "surroundings")

    def __init__(
        self,
        inputs: dict[str, JSON],
        files: list[Artifact],
        code: Code,
        surroundings: dict[str, JSON],
        outputs: tuple[str, ...],
    ) -> None:
        self.inputs = inputs
        self.files = files
        self.code = code
        self.surroundings = surroundings
        self.outputs = outputs
        values = encode(inputs)
        contents = [(file.pointer, file.kind, file.identity) for file in files]
        self.names = text_digest(values)
        self.given = text_digest(f"{values}\n{encode(contents)}") if files else self.names
        self.key = text_digest(encode([self.given, code.fast, surroundings, outputs]))

    @property
    def may_name_files(self) -> bool:
        """Whether an input is a string, so that a run may have made the file it names."""
        return any(isinstance(value, (str, list, dict)) for value in self.inputs.values())


class Entry:
    """The record of one run.

    Attributes
    ----------
    key : str
        Of the fingerprint that the run was filed under.
    record : dict
        All of the entry, as its file holds it.
    inputs, outputs : dict of str to JSON
        Values, with each path relative to `hash_output`.
    files, artifacts : list of Artifact
        The files and folders among the inputs and among the outputs.
    """

    __slots__ = ("artifacts", "files", "inputs", "key", "outputs", "record")

    def __init__(self, record: dict[str, JSON]) -> None:
        self.record = record
        self.key: str = record["key"]
        self.inputs: dict[str, JSON] = record["inputs"]
        self.outputs: dict[str, JSON] = record["outputs"]
        self.files = [Artifact.from_record(each) for each in record["files"]]
        self.artifacts = [Artifact.from_record(each) for each in record["artifacts"]]
        self._require_shape()

    def _require_shape(self) -> None:
        code = self.record["code"]
        shapes = (
            (self.key, str),
            (self.inputs, dict),
            (self.outputs, dict),
            (code["fast"], str),
            (code["components"], dict),
            (self.record["surroundings"], dict),
        )
        for value, shape in shapes:
            if not isinstance(value, shape):
                raise TypeError(f"{value!r} stands where a {shape.__name__} belongs")
        code["canonical"]
        for artifact in self.artifacts:
            if not isinstance(part_at(self.outputs, artifact.pointer), str):
                raise TypeError(f"no path stands at {artifact.pointer}")
        if not isinstance(self.record["folder"], (str, type(None))):
            raise TypeError(f"{self.record['folder']!r} is no folder")

    @property
    def folder(self) -> str | None:
        """The run's own folder, relative to `hash_output`."""
        folder: str | None = self.record["folder"]
        return folder

    def to_bytes(self) -> bytes:
        """Return the entry as the content of its file."""
        return sealed(json.dumps(self.record, check_circular=False).encode("ascii"))

    @classmethod
    def from_bytes(cls, content: bytes) -> Entry:
        """Read an entry, trusting nothing.

        Raises
        ------
        ValueError
            If it is broken, edited, or of another memori or schema; the message says which.
        """
        try:
            record = json.loads(unsealed(content))
            written_by = (record["memori"], record["schema"])
            if written_by != (__version__, SCHEMA):
                raise ValueError(
                    f"it was written by memori {written_by[0]}, schema {written_by[1]}; "
                    f"this is memori {__version__}, schema {SCHEMA}"
                )
            return cls(record)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"it lacks what an entry has ({error!r})") from error
