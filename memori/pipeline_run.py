"""One run of a pipeline: what each stage is given, and what came of it.

A run, a recall, a look ahead and an acceptance go through the stages in the same way, each after
those that it takes inputs from.
"""

from __future__ import annotations

from memori.errors import RemovedError, warn
from memori.graph.condition import Skipped
from memori.keep.demand import digests_do
from memori.results import Outcome, Results
from memori.stage import Stage
from memori.store.entries import read as read_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.graph.wiring import Wiring
    from memori.node import Inputs, Node


class PipelineRun:
    """One run of a pipeline: what is to be run in each stage, and what was."""

    def __init__(self, wiring: Wiring, values: tuple[JSON, ...], given: dict[str, JSON]) -> None:
        self._wiring = wiring
        self._values = values
        self._given = given
        self._runs: dict[Node, Outcome] = {}
        self.made: dict[Node, Outcome] = {}
        self._aside: set[Node] = set()
        self._keeps_less = wiring.keep != "all"
        self._awaited: dict[Node, int] | None = None  # how many sources nothing came of yet
        self._ready: set[Node] = set()

    def leave(self, stages: Collection[Node]) -> None:
        """Leave stages to others; nothing else that is to be run here takes from them."""
        self._aside.update(stages)

    def ready(self) -> list[Node]:
        """Return the stages that nothing came of yet, and whose sources are known."""
        if self._awaited is None:
            runs, sources = self._runs, self._wiring.sources
            self._awaited = {s: len({*sources[s]}.difference(runs)) for s in self._wiring.order}
            self._ready = {s for s, number in self._awaited.items() if not number and s not in runs}
        found = self._ready.difference(self._aside)
        return sorted(found, key=self._wiring.places.__getitem__) if len(found) > 1 else [*found]

    def unknown(self) -> list[Node]:
        """Return the stages that nothing came of yet."""
        return [stage for stage in self._wiring.order if stage not in self._runs]

    @property
    def is_over(self) -> bool:
        """Whether it is known of every stage what came of it."""
        return len(self._runs) == len(self._wiring.order)

    def know(self, stage: Node, outcome: Outcome) -> None:
        """Take what came of a stage elsewhere."""
        self._put(stage, _after(self._runs.get(stage), outcome))

    def _put(self, stage: Node, outcome: Outcome) -> None:
        is_new = stage not in self._runs
        self._runs[stage] = outcome
        if self._awaited is None or not is_new:
            return
        self._ready.discard(stage)
        for each in self._wiring.takers[stage]:
            self._awaited[each] -= 1
            if not self._awaited[each] and each not in self._runs:
                self._ready.add(each)

    def note(self, stage: Node, outcome: Outcome) -> None:
        """Note what came of a stage here."""
        self.made[stage] = outcome
        self._put(stage, outcome)

    @property
    def runs(self) -> Mapping[Node, Outcome]:
        """What came of each stage so far."""
        return self._runs

    def known(self) -> dict[int, Outcome | None]:
        """Return what came of stages, by their place; None where it is not needed any more."""
        runs, order = self._runs, self._wiring.order
        if self._keeps_less:  # what was removed may have to be made anew
            return {n: runs[s] for n, s in enumerate(order) if s in runs}
        wanted = {each for s in order if s not in runs for each in self._wiring.sources[s]}
        return {n: runs[s] if s in wanted else None for n, s in enumerate(order) if s in runs}

    def outcome(self, stage: Node) -> Outcome | None:
        """Return what came of a stage, if it is known."""
        return self._runs.get(stage)

    def show(self) -> None:
        """Have each stage show what came of it as its last run."""
        for stage, outcome in self._runs.items():
            stage.show(outcome)

    def run_all(self) -> None:
        """Run the stages here, one after the other."""
        for stage in self._wiring.order:
            self._runs[stage] = self.call(stage)
            stage.show(self._runs[stage])

    def call(self, stage: Node, *, waits: bool = True) -> Outcome:
        """Run a stage, and before it those that make anew what it needs and was removed."""
        lacking: frozenset[str] = frozenset()
        while True:
            node, inputs = self.order(stage)
            try:
                with digests_do((), holds=self._keeps_less):
                    if not waits and isinstance(node, Stage):
                        return node.call(*inputs, waits=False)
                    return node.call(*inputs)
            except RemovedError as error:
                if lacking.issuperset(error.paths):
                    raise  # no stage before it makes them
                lacking = lacking.union(error.paths)
                self._make_anew(self._wiring.sources[stage], lacking)

    def _make_anew(self, stages: Collection[Node], wanted: Collection[str]) -> None:
        """Have stages make files again that were removed, and nothing else."""
        for stage in stages:
            before = self._runs[stage]
            then = _identities(before)
            with digests_do(wanted):
                self.note(stage, _after(before, self.call(stage)))
            if _identities(self._runs[stage]) != then:
                warn(
                    f"{stage.title} made something else than what was removed to save room: it is "
                    "not reproducible, and what was made of that runs again"
                )
                for each in self._made_of(stage):
                    self.note(each, _after(self._runs[each], self.call(each)))

    def _made_of(self, stage: Node) -> Iterator[Node]:
        """Yield, in order, the stages below one of which something came already."""
        below = {stage}
        for each in self._wiring.order:
            if each in self._runs and not below.isdisjoint(self._wiring.sources[each]):
                below.add(each)
                yield each

    def recall(self, stage: Node) -> Outcome | None:
        """Return what came of a stage if it is remembered; nothing is run."""
        node, inputs = self.order(stage)
        with digests_do((), holds=self._keeps_less):
            return node.recall(*inputs)

    def recall_all(self) -> bool:
        """Tell whether every stage is remembered."""
        for stage in self._wiring.order:
            run = self.recall(stage)
            if run is None:
                return False
            self._runs[stage] = run
        return True

    def foresee_all(self) -> list[Decision]:
        """Return what the stages would decide, each as far as can be known."""
        found: dict[Node, list[Decision]] = {}
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
                with digests_do((), holds=self._keeps_less):
                    decisions, results = node.foresee(*inputs)
                if results is not None:
                    self._runs[stage] = Outcome({}, results)
            if stage not in self._runs:
                will_run[stage] = [each.stage_name for each in decisions if not each.hit]
            found[stage] = decisions
        wanted: set[str] = set()
        for stage in reversed(self._wiring.order):
            if wanted and stage in self._runs:
                node, inputs = self.order(stage)
                with digests_do(wanted):
                    found[stage], _ = node.foresee(*inputs)
            keys = (each.key for each in found[stage] if not each.hit)
            wanted.update(f.absolute for key in keys if key for f in key.files if f.removed)
        return [each for stage in self._wiring.order for each in found[stage]]

    def accept_all(self, waived: Collection[str], sources: Mapping[str, str]) -> list[Acceptance]:
        """Plan to accept each stage."""
        found: list[Acceptance] = []
        for stage in self._wiring.order:
            node, inputs = self.order(stage)
            with digests_do((), holds=self._keeps_less):
                run, plans = node.plan_acceptance(*inputs, waived, sources)
            self._runs[stage] = run
            found += plans
        return found

    def merged(self) -> Outcome:
        """Return the runs of the stages as one."""
        merged = Results()
        ran: list[str] = []
        reasons: dict[str, str] = {}
        entries: list[str] = []
        for stage in self._wiring.order:
            results = self._runs[stage].results
            merged.update(results)
            ran += results.ran
            reasons.update(results.reasons)
            entries += self._runs[stage].entries
        merged.skipped = self.skipped
        return Outcome(self._given, merged, tuple(ran), reasons, tuple(entries))

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


def _identities(outcome: Outcome) -> list[str | None]:
    """Return what counts of the files that came of a stage."""
    found = map(read_entry, outcome.entries)
    return [each.identity for entry in found if entry is not None for each in entry.artifacts]


def _after(before: Outcome | None, outcome: Outcome) -> Outcome:
    """Return what came of a stage that was called again, with what the calls before ran."""
    results = outcome.results
    if before is not None:
        results.ran = tuple(dict.fromkeys((*before.results.ran, *results.ran)))
        results.reasons = {**before.results.reasons, **results.reasons}
    return outcome


def _nothing_of(stage: Node, reason: str) -> Skipped:
    return Skipped({getattr(stage, "stage_name", stage.title): reason})
