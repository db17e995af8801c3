"""A pipeline: stages wired as a directed acyclic graph.

Each line of the definition says from which stages a stage takes its inputs, by name: what an
earlier stage offers under a name that the later one takes is passed on. Names that no edge and no
static value fill are filled by the run's own keywords. Everything that can be wrong with the
wiring or the call is an error before anything runs.

A pipeline can stand where a stage can. It has no memory of its own: each of its stages does.

Not promised: an order among stages that do not depend on each other.
"""

from __future__ import annotations

from memori.digest.values import to_json
from memori.errors import warn
from memori.graph.division import InOnePart
from memori.graph.drawing import Graph, drawn
from memori.graph.wiring import Wiring
from memori.mapping.case_runs import CaseRuns
from memori.mapping.mapped import Mapped
from memori.pipeline_run import PipelineRun
from memori.plan import Decisions, Plan
from memori.processes.interrupts import terminable
from memori.results import Outcome, Results
from memori.scheduling.workers import workers_for
from memori.signature.resources import most_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from typing import Literal, TypeAlias

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.graph.condition import when
    from memori.graph.keep import Keep
    from memori.node import Node
    from memori.signature.resources import Resources

    Sources: TypeAlias = Node | Literal["start"] | tuple[Node | Literal["start"], ...]


class Pipeline(Mapped, InOnePart):
    """Stages wired as a directed acyclic graph.

    Parameters
    ----------
    definition : iterable of (sources, stage)
        `sources` is ``"start"``, a stage, or a tuple of stages; where two of them offer the same
        name, the right-most wins. The order of the lines does not matter. A third part says
        when a line holds: ``("start", motion, when("bold"))``.
    keep : {"all", "outputs", "final"} or list of str, optional
        What stays on disk of a case that is over. ``"outputs"``: what stages returned, and no
        scratch of their runs' own folders. ``"final"``: what the last stages returned, from which
        no other stage takes anything. A list: outputs of these names, too. What was removed
        counts by its digest from then on, and is made again when a run needs it.

    Raises
    ------
    TypeError
        If something in it is neither a stage nor a pipeline.
    ValueError
        If it is empty, a stage has no line of its own, or stages need each other in a circle.

    Examples
    --------
    >>> from memori import Stage
    >>> add = Stage(lambda x, y: x + y, "total", stage_name="add")
    >>> double = Stage(lambda total: 2 * total, "doubled", stage_name="double")
    >>> Pipeline([("start", add), (add, double)]).run(1, y=2)
    Results({'total': 3, 'doubled': 6})
    """

    def __init__(
        self,
        definition: Iterable[tuple[Sources, Node] | tuple[Sources, Node, when]],
        *,
        keep: Keep = "all",
    ) -> None:
        self._wiring = Wiring(definition)
        if keep != "all":
            from memori.graph.keep import checked

            self._wiring.keep = checked(keep, self.outputs)
        self._last = Outcome({}, Results())

    def __repr__(self) -> str:
        return f"<Pipeline of {', '.join(node.title for node in self.stages)}>"

    def _repr_svg_(self) -> str:
        return self.graph().svg

    def _repr_markdown_(self) -> str:
        return self.graph()._repr_markdown_()

    def graph(self, decisions: Iterable[Decision] | None = None) -> Graph:
        """Return the pipeline as a graph in Mermaid's text, which GitHub draws; `.svg` is its SVG.

        Stages are coloured by what came of them in the last run. A pipeline in it is one box.

        Parameters
        ----------
        decisions : iterable of Decision, optional
            What `explain` returned: stages are coloured by what would run instead.

        Examples
        --------
        >>> from memori import Stage
        >>> add = Stage(lambda x, y: x + y, "total", stage_name="add")
        >>> double = Stage(lambda total: 2 * total, "doubled", stage_name="double")
        >>> print(Pipeline([("start", add), (add, double)]).graph())
        flowchart TD
            start([start])
            n0["add"]
            n1["double"]
            start -->|"x, y"| n0
            n0 -->|"total"| n1
        """
        last = self._last.results
        states = dict.fromkeys(last.skipped, "skipped")
        if decisions is not None:
            states = {e.stage_name: "remembered" if e.hit else "ran" for e in decisions}
        elif last:
            states = dict.fromkeys(self._stage_names(), "remembered") | states
            states |= dict.fromkeys(last.ran, "ran")
        return drawn(self._wiring, states)

    def _stage_names(self) -> Iterator[str]:
        for stage in self._wiring.order:
            if isinstance(stage, Pipeline):
                yield from stage._stage_names()
            else:
                yield str(getattr(stage, "stage_name", stage.title))

    # What a pipeline shows, as a stage does

    @property
    def title(self) -> str:
        """What messages call it."""
        return repr(self)

    @property
    def stages(self) -> list[Node]:
        """The stages, each after those that it takes inputs from."""
        return list(self._wiring.order)

    @property
    def inputs(self) -> list[str]:
        """Names that a run can fill: parameters that no edge and no static value fills."""
        return self._wiring.open("inputs")

    @property
    def required(self) -> list[str]:
        """Names that a run must fill."""
        return self._wiring.open("required")

    @property
    def args(self) -> dict[str, JSON]:
        """The static values: none, each stage has its own."""
        return {}

    @property
    def outputs(self) -> list[str]:
        """Names of all outputs of all stages, aliases included."""
        return list(dict.fromkeys(name for stage in self._wiring.order for name in stage.offers))

    @property
    def offers(self) -> list[str]:
        """Names under which results can be taken."""
        return self.outputs

    @property
    def final_outputs(self) -> list[str]:
        """Names of the outputs of the last stages, from which no other stage takes anything."""
        taken = {each for sources in self._wiring.sources.values() for each in sources}
        last = [each for each in self._wiring.order if each not in taken]
        names = (getattr(each, "final_outputs", each.offers) for each in last)
        return list(dict.fromkeys(name for some in names for name in some))

    @property
    def resources(self) -> Resources:
        """The most of each that one of the stages needs."""
        return most_of([stage.resources for stage in self._wiring.order])

    @property
    def results(self) -> Results:
        """The results of the last run."""
        return Results(to_json(self._last.results))

    @property
    def state(self) -> bool:
        """Whether the last run executed any stage."""
        return self._last.executed

    def takes(self, name: str) -> bool:
        """Tell whether some stage can be given a value under this name."""
        return self._wiring.takes(name)

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        return self._wiring.positional_names(count)

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if a start stage cannot take so many positional arguments."""
        self._wiring.check_positional(values)

    def overruled(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[str]:
        """Say which keywords of a run reach no stage."""
        return list(self._wiring.without_effect(kwargs))

    # Running

    def run(
        self,
        /,
        *args: object,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        **kwargs: object,
    ) -> Results:
        """Run every stage that is not remembered and return the results of all.

        Parameters
        ----------
        *args : object
            Go to each start stage by position. A single `Results` stands for its values by name.
        n_jobs : int, optional
            Run independent branches in that many processes; -1 for one per core.
        executor : concurrent.futures.Executor, optional
            Run independent branches on this one instead.
        **kwargs : object
            Reach every stage that takes the name and is not given it by an edge or a static value.

        Returns
        -------
        Results
            The outputs of all stages; where two share a name, of the later one.

        Raises
        ------
        TypeError
            For names that no stage takes, parameters that nothing fills, values that are not
            JSON; before anything runs.
        """
        self.show(None)
        for stage in self._wiring.order:
            stage.show(None)
        for name, value in (("n_jobs", n_jobs), ("executor", executor)):
            if value is not None and name in self.inputs:
                raise TypeError(
                    f"a stage of the pipeline takes {name!r} as well: give that stage a static "
                    f"value, or run the one case by map([{{...}}], {name}=...)"
                )
        workers = workers_for(n_jobs, executor)
        given = self._wiring.check(args, kwargs)
        for each in self.overruled(args, kwargs):
            warn(each)
        if workers is None:
            plan = PipelineRun(self._wiring, *given)
            plan.run_all()
            if self._wiring.keep != "all":
                from memori.graph.keep import Keeping

                Keeping(self._wiring, [given]).case_is_over(0, plan.runs)
        else:
            runs = CaseRuns(self._wiring, repr(self), [given], None, continues=False)
            with terminable():
                list(runs.outcomes(workers))
            assert runs.last is not None
            plan = runs.last
            plan.show()
        run = plan.merged()
        self.show(run)
        return run.results

    def show(self, run: Outcome | None) -> None:
        """Show this run as the last; None for none."""
        self._last = Outcome({}, Results()) if run is None else run

    def __getstate__(self) -> dict[str, object]:
        """Travel, to workers and into copies, without the last run."""
        return {**self.__dict__, "_last": Outcome({}, Results())}

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Run every stage that is not remembered, and return all that is known of that."""
        plan = PipelineRun(self._wiring, *self._wiring.check(args, kwargs))
        plan.run_all()
        return plan.merged()

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome | None:
        """Return the run if every stage is remembered, else None; nothing is run."""
        plan = PipelineRun(self._wiring, *self._wiring.check(args, kwargs))
        return plan.merged() if plan.recall_all() else None

    def explain(self, /, *args: object, **kwargs: object) -> Decisions:
        """Return what `run` would decide for each stage, with its reasons, without running.

        A stage below one that would run says who is to make its inputs.
        """
        plan = PipelineRun(self._wiring, *self._wiring.check(args, kwargs))
        decisions = Decisions(plan.foresee_all())
        decisions.skipped = plan.skipped
        return decisions

    def plan(self, cases: Iterable[Mapping[str, object]]) -> Plan:
        """Return what `map` would do with these cases, without running anything.

        Parameters
        ----------
        cases : iterable of mappings
            Keyword arguments of `run`, one mapping for each case.
        """
        return Plan((case, self.explain(**case)) for case in map(dict, cases))

    def foresee(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[list[Decision], Results | None]:
        """Return what a run would decide, and what it would return if all is remembered."""
        plan = PipelineRun(self._wiring, *self._wiring.check(args, kwargs))
        decisions = plan.foresee_all()
        return decisions, plan.merged().results if all(each.hit for each in decisions) else None

    def foresee_after(self, makers: list[str]) -> list[Decision]:
        """Return what is known of a run whose inputs these stages are still to make."""
        return [each for stage in self._wiring.order for each in stage.foresee_after(makers)]

    def accept(
        self,
        /,
        *args: object,
        accept_inputs: Iterable[str] = (),
        accept_from: Mapping[str, str] | None = None,
        **kwargs: object,
    ) -> list[Decision]:
        """Take the present outputs of all stages as those of the present code and inputs.

        As `Stage.accept`, for each stage after those that it takes inputs from, so that what is
        below an accepted stage hits. All of it is accepted, or nothing. A stage that runs at every
        call runs here too.

        Parameters
        ----------
        *args, **kwargs
            A case, as for `map`, or the arguments of `run`.
        accept_inputs : iterable of str, optional
            Inputs that may have other values than in the runs that are accepted.
        accept_from : mapping of str to str, optional
            Of stages that were renamed: ``{"new name": "old name"}``.

        Returns
        -------
        list of Decision
            What each stage's run finds from now on; `accepted` tells what was waved through.

        Raises
        ------
        StageError
            If no run of a stage can be accepted; nothing is accepted then.
        """
        case = args[0] if len(args) == 1 else None
        if isinstance(case, dict) and not isinstance(case, Results):
            args, kwargs = (), {**case, **kwargs}
        names = (accept_inputs,) if isinstance(accept_inputs, str) else accept_inputs
        _, plans = self.plan_acceptance(args, kwargs, frozenset(names), accept_from or {})
        for plan in plans:
            plan.file()
        return [plan.decision for plan in plans]

    def plan_acceptance(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        waived: Collection[str],
        sources: Mapping[str, str],
    ) -> tuple[Outcome, list[Acceptance]]:
        """Return what a run will be once the outputs of all stages are accepted."""
        plan = PipelineRun(self._wiring, *self._wiring.check(args, kwargs))
        found = plan.accept_all(waived, sources)
        return plan.merged(), found
