"""The level `group`: one stage over what all participants made, saved as a derivative of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memori.neuro.bids.derivatives import Derivatives
from memori.neuro.bids_app.levels import Done, reduce
from memori.results import Results


def save_group(
    stage: Any,
    outputs: Mapping[str, Mapping[str, Any]],
    derivatives: Derivatives,
    done: Sequence[Done],
    source: str,
) -> tuple[str, ...]:
    """Make a group's results and save them; return the names of the stages that ran.

    A name has the entities that all sources share, and no participant.

    Raises
    ------
    TypeError
        If an output that is to be saved is none of the stage's.
    """
    for output in outputs:
        if output not in stage.offers:
            raise TypeError(
                f"{stage.title} has no output {output!r} to save; it has {', '.join(stage.offers)}"
            )
    found: Results = reduce(stage, done)
    values = [each.case[source] for each in done]
    sources = [file for each in values for file in (each if isinstance(each, list) else [each])]
    for output, names in outputs.items():
        given = {"subject": None, "overwrite": "edited", **names}
        derivatives.save(found[output], source=sources, **given)
    derivatives.note_tools(found.values())
    return found.ran
