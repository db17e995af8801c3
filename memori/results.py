"""What a stage or a pipeline returns."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memori.digest.values import JSON


class Results(dict[str, "JSON"]):
    """Values by output name, in the order declared.

    A dict in every way. ``other.run(**results)`` passes it by name, and so does
    ``other.run(results)``, which leaves out the names that the other stage does not take.

    Attributes
    ----------
    ran : tuple of str
        Names of the stages that were executed for these results, rather than remembered.
    """

    ran: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Results({dict.__repr__(self)})"
