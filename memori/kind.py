"""What a kind of stage may change.

A call of a stage (`memori.calls.call`) binds, compares, executes and records in one way for all
kinds. What differs from kind to kind is asked of the stage through this protocol. `Stage` answers
for a plain callable; `ShellStage`, `NipypeStage` and a kind of your own override what differs::

    class Seeded(Stage):
        def surroundings(self, inputs, root):
            return {"seed": os.environ.get("SEED", "0")}
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, Protocol

    from memori.digest.values import JSON
    from memori.fingerprint import Code
    from memori.results import Results

    class Kind(Protocol):
        """What a call asks of its stage."""

        @property
        def subject(self) -> str:
            """What errors call the stage."""

        @property
        def stage_name(self) -> str:
            """The name of its records."""

        @property
        def function_name(self) -> str:
            """The callable's full name, for the record."""

        @property
        def files_count_by(self) -> Literal["path", "name"]:
            """Whether a file's place counts, or its name alone (as where a program gets copies)."""

        @property
        def texts(self) -> frozenset[str]:
            """The inputs whose strings name no files."""

        @property
        def always_runs(self) -> bool:
            """Whether a call runs though it is remembered."""

        @property
        def remembered(self) -> bool:
            """Whether runs are recorded, to be hits."""

        @property
        def is_scattered(self) -> bool:
            """Whether equal calls may be remembered in different folders."""

        @property
        def watched(self) -> bool:
            """Whether runs are watched (`memori.calls.observations`)."""

        @property
        def ignored_reads(self) -> Sequence[str]:
            """Paths and patterns of files that a run may read without that they count."""

        @property
        def max_age(self) -> float | None:
            """The age in seconds from which on an entry has expired; None for never."""

        @property
        def retries(self) -> int:
            """How often a run that fails is begun again."""

        @property
        def timeout(self) -> float | None:
            """The seconds after which a run is interrupted; None for never."""

        @property
        def outputs(self) -> list[str]:
            """The declared names."""

        def alone(self) -> str:
            """Return source that makes it anew; a LookupError says why that cannot be.

            Asked for when a run has failed (`memori.calls.reproduction`).
            """

        def code(self) -> Code:
            """Return what the callable is and reaches now; asked for each decision."""

        def counted(self, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
            """Return the inputs that can change a result; asked for each decision."""

        def surroundings(self, inputs: Mapping[str, JSON], root: str) -> dict[str, JSON]:
            """Name what counts besides code and inputs, such as a tool's version.

            Asked for each decision, so it must be quick and change nothing. None stands for what
            cannot be asked now; it matches whatever was recorded. The stage is remembered in the
            folder `root`.
            """

        def execute(self, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
            """Run the callable; return each output's value by name. Asked for each miss."""

        def results_of(self, values: dict[str, JSON]) -> Results:
            """Return the values of the outputs, and their aliases."""
