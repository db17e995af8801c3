"""What is known of a run once it is over."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.digest.values import JSON
    from memori.results import Results


class Run:
    """A run of a stage or pipeline that is over.

    Attributes
    ----------
    inputs : dict of str to JSON
        What it was given, defaults included.
    results : Results
        What it returned.
    """

    __slots__ = ("inputs", "results")

    def __init__(
        self, inputs: dict[str, JSON], results: Results, ran: tuple[str, ...] = ()
    ) -> None:
        self.inputs = inputs
        self.results = results
        self.results.ran = ran

    @property
    def executed(self) -> bool:
        """Whether a callable was executed, rather than remembered."""
        return bool(self.results.ran)
