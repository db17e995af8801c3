"""Fitting: whether the workers have what the stages that are to run need.

Asked before anything runs. What is remembered needs nothing: where a stage needs too much, each
case is looked at, and a study that a cluster has finished is recalled on any laptop.
"""

from __future__ import annotations

from memori.errors import ResourceError
from memori.graph.division import stages_of
from memori.pipeline_run import PipelineRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from memori.graph.division import Given
    from memori.graph.wiring import Wiring
    from memori.node import Node
    from memori.scheduling.workers import Workers


def reject_what_does_not_fit(wiring: Wiring, given: Iterable[Given], workers: Workers) -> None:
    """Raise a ResourceError if a stage is to run that needs more than any worker has."""
    by_node = {node: _unfit(node, workers) for node in wiring.order}
    unfit = {node: found for node, found in by_node.items() if found}
    for each in given if unfit else ():
        for node in _to_run(PipelineRun(wiring, *each)):
            for stage, lacks in unfit.get(node, ()):
                told = "; ".join(lacks)
                raise ResourceError(
                    f"{stage.title} needs {told}{workers.where}. Let it need less "
                    "(`with_options`), or give it workers that have it; nothing was run",
                    getattr(stage, "stage_name", stage.title),
                    lacks,
                )


def _unfit(node: Node, workers: Workers) -> list[tuple[Node, list[str]]]:
    """Return the stages, of a node, that need too much, and of what."""
    inner = getattr(node, "inner", None)
    stages = [node] if inner is None else stages_of(inner)
    found = [(each, workers.lacks(each.resources)) for each in stages]
    return [(stage, lacks) for stage, lacks in found if lacks]


def _to_run(run: PipelineRun) -> list[Node]:
    """Return the nodes of which something is to run; all, if that cannot be told."""
    try:
        run.foresee_all()
    except Exception:  # the case meets the same, and fails of it
        pass
    return run.unknown()
