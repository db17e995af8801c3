"""One run of a pipeline: what each stage is given, and what came of it.

A run, a recall, a look ahead and an acceptance go through the stages in the same way, each after
those that it takes inputs from.
"""

from __future__ import annotations

from memori.graph.condition import Skipped
from memori.results import Outcome, Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.graph.wiring import Wiring
    from memori.node import Inputs, Node
    from memori.scheduling.orders import Answer


class PipelineRun:
    """One run of a pipeline: what is to be run in each stage, and what was."""

    def __init__(self, wiring: Wiring, values: tuple[JSON, ...], given: dict[str, JSON]) -> None:
        self._wiring = wiring
        self._values = values
        self._given = given
        self._runs: dict[Node, Outcome] = {}

    def run_all(self) -> None:
        """Run the stages here, one after the other."""
        for stage in self._wiring.order:
            node, inputs = self.order(stage)
            self.finish(stage, node.call(*inputs))

    def recall_all(self) -> bool:
        """Tell whether every stage is remembered."""
        for stage in self._wiring.order:
            node, inputs = self.order(stage)
            run = node.recall(*inputs)
            if run is None:
                return False
            self._runs[stage] = run
        return True

    def foresee_all(self) -> list[Decision]:
        """Return what the stages would decide, each as far as can be known."""
        found: list[Decision] = []
        will_run: dict[Node, list[str]] = {}
        skipped = self._wiring.surely_skipped(self._values, self._given)
        for stage in self._wiring.order:
            makers = [
                name for each in self._wiring.sources[stage] for name in will_run.get(each, ())
            ]
            if stage in skipped:
                decisions, self._runs[stage] = [], _nothing_of(stage, skipped[stage]).outcome()
            elif makers:
                decisions = stage.foresee_after(makers)
            else:
                node, inputs = self.order(stage)
                decisions, results = node.foresee(*inputs)
                if results is not None:
                    self._runs[stage] = Outcome({}, results)
            if stage not in self._runs:
                will_run[stage] = [each.stage_name for each in decisions if not each.hit]
            found += decisions
        return found

    def accept_all(self, waived: Collection[str], sources: Mapping[str, str]) -> list[Acceptance]:
        """Plan to accept each stage."""
        found: list[Acceptance] = []
        for stage in self._wiring.order:
            node, inputs = self.order(stage)
            run, plans = node.plan_acceptance(*inputs, waived, sources)
            self._runs[stage] = run
            found += plans
        return found

    def merged(self) -> Outcome:
        """Return the runs of the stages as one."""
        merged = Results()
        ran: list[str] = []
        reasons: dict[str, str] = {}
        for stage in self._wiring.order:
            results = self._runs[stage].results
            merged.update(results)
            ran += results.ran
            reasons.update(results.reasons)
        merged.skipped = self.skipped
        return Outcome(self._given, merged, tuple(ran), reasons)

    @property
    def skipped(self) -> dict[str, str]:
        """The stages that were skipped, and why."""
        found = (run.results.skipped.items() for run in self._runs.values())
        return {name: reason for some in found for name, reason in some}

    def order(self, key: Node) -> tuple[Node, Inputs]:
        """Return what to run for a stage, which is nothing where it is skipped."""
        about = key, self._runs, self._values, self._given
        reason = self._wiring.reason_to_skip(*about)
        if reason is None:
            return key, self._wiring.inputs_of(*about)
        return _nothing_of(key, reason), ((), {})  # type: ignore[return-value]

    def finish(self, key: Node, run: Outcome) -> None:
        """Note what came of a stage."""
        self._runs[key] = run
        key.show(run)

    def fail(self, key: Node, answer: Answer) -> bool:
        """Go on after no failure."""
        return False

    def threads(self, key: Node) -> int:
        """Return how many threads a stage keeps busy."""
        return key.threads

    def describe(self, key: Node, stage: str | None) -> str:
        """Name a stage, or one inside it."""
        inner = None if stage is None else f"stage {stage!r}"
        return key.title if inner in (None, key.title) else f"{inner} of {key.title}"


def _nothing_of(stage: Node, reason: str) -> Skipped:
    return Skipped({getattr(stage, "stage_name", stage.title): reason})
