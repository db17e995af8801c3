"""The key of a run: everything that its result may depend on, with digests of it.

The inputs, the files among them, the code, the surroundings (a tool's version, say) and the names
of the outputs. `digest` is over all of it. `contents_digest` is over the inputs with the contents
of files, `inputs_digest` over the inputs with the names of files alone: runs that differ in code,
or in the content of a file, are found by what they share.
"""

from __future__ import annotations

from memori.digest.values import NotJSONError, encode, text_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.artifacts import Artifact
    from memori.digest.values import JSON
    from memori.fingerprint import Code


_PARAMETERS = (float, bool, type(None))


class Key:
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
    not_before : float or None
        What is older has expired (seconds since 1970); it is no part of the digests.
    inputs_digest, contents_digest, digest : str
        64 hexadecimal digits: of the inputs without the contents of files, of the inputs with
        them, and of everything.
    """

    __slots__ = (
        "code",
        "contents_digest",
        "digest",
        "files",
        "inputs",
        "inputs_digest",
        "not_before",
        "outputs",
        "surroundings",
    )

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
        self.not_before: float | None = None
        try:
            values = encode(inputs)
        except ValueError as error:  # Python turns no number of so many digits into text
            raise _refused(inputs, error) from error
        contents = [(file.pointer, file.kind, file.identity) for file in files]
        self.inputs_digest = text_digest(values)
        self.contents_digest = (
            text_digest(f"{values}\n{encode(contents)}") if files else self.inputs_digest
        )
        self.digest = text_digest(encode([self.contents_digest, code.fast, surroundings, outputs]))

    @property
    def case(self) -> tuple[str, str]:
        """Digests of what tells one case from another: inputs that are no switches or fractions.

        In the second, whole numbers do not count either: they may be parameters, or labels.
        """
        whole = {n: each for n, each in self.inputs.items() if type(each) not in _PARAMETERS}
        others = {name: each for name, each in whole.items() if type(each) is not int}
        return text_digest(encode(whole)), text_digest(encode(others))

    @property
    def may_name_files(self) -> bool:
        """Whether an input is a string, so that a run may have made the file it names."""
        return any(isinstance(value, (str, list, dict)) for value in self.inputs.values())


def _refused(inputs: dict[str, JSON], error: ValueError) -> NotJSONError:
    """Name the input that cannot be written down."""
    for name, value in inputs.items():
        try:
            encode(value)
        except ValueError:
            refused = NotJSONError(value, (), f"a whole number in it is too long ({error})")
            refused.subject = f"argument {name!r}"
            return refused
    raise error
