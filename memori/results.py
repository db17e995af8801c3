"""What a stage or a pipeline returns, and what is known of a run once it is over."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from memori.digest.values import JSON


class Results(dict[str, "JSON"]):
    """Values by output name, in the order declared.

    A dict in every way. ``other.run(**results)`` passes it by name, and so does
    ``other.run(results)``, which leaves out the names that the other stage does not take.

    Attributes
    ----------
    ran : tuple of str
        Names of the stages that were executed for these results, rather than remembered.
    reasons : dict of str to str
        Why each of them was executed.
    """

    ran: tuple[str, ...] = ()
    reasons: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Results({dict.__repr__(self)})"


class Outcome:
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
        self,
        inputs: dict[str, JSON],
        results: Results,
        ran: tuple[str, ...] = (),
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self.inputs = inputs
        self.results = results
        self.results.ran = ran
        if reasons:
            self.results.reasons = dict(reasons)

    @property
    def executed(self) -> bool:
        """Whether a callable was executed, rather than remembered."""
        return bool(self.results.ran)
