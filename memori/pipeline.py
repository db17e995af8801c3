"""A pipeline: stages wired as a directed acyclic graph.

Each line of the definition says from which stages a stage takes its inputs, by name: what an
earlier stage offers under a name that the later one takes is passed on. Names that no edge and no
static value fill are filled by the run's own keywords. Everything that can be wrong with the
wiring or the call is an error before anything runs.

A pipeline can stand where a stage can. It has no memory of its own: each of its stages does.

Not promised: an order among stages that do not depend on each other.
"""

from __future__ import annotations

from memori.cases import Cases, run_cases
from memori.digest.values import to_json, to_json_as
from memori.results import Outcome, Results
from memori.schedule import ordered, run_graph
from memori.stage import Stage
from memori.workers import workers_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Executor
    from typing import Literal, TypeAlias

    from memori.digest.values import JSON
    from memori.node import Inputs, Node
    from memori.orders import Answer

    Sources: TypeAlias = Node | Literal["start"] | tuple[Node | Literal["start"], ...]


class Pipeline:
    """Stages wired as a directed acyclic graph.

    Parameters
    ----------
    definition : iterable of (sources, stage)
        `sources` is ``"start"``, a stage, or a tuple of stages; where two of them offer the same
        name, the right-most wins. The order of the lines does not matter.

    Raises
    ------
    TypeError
        If something in it is neither a stage nor a pipeline.
    ValueError
        If it is empty, a stage has no line of its own, or stages need each other in a circle.

    Examples
    --------
    >>> add = Stage(lambda x, y: x + y, "total", stage_name="add")
    >>> double = Stage(lambda total: 2 * total, "doubled", stage_name="double")
    >>> Pipeline([("start", add), (add, double)]).run(1, y=2)
    Results({'total': 3, 'doubled': 6})
    """

    def __init__(self, definition: Iterable[tuple[Sources, Node]]) -> None:
        self._sources: dict[Node, tuple[Node, ...]] = {}
        self._starts: list[Node] = []
        for line in definition:
            self._add(line)
        if not self._sources:
            raise ValueError("a pipeline needs at least one line such as ('start', stage)")
        for stage, sources in self._sources.items():
            for source in sources:
                if source not in self._sources:
                    raise ValueError(
                        f"{source.title} feeds {stage.title} and has no line of its own: add "
                        "('start', ...) for it, or say what it takes its inputs from"
                    )
        self._order = self._ordered()
        self._last = Outcome({}, Results())

    def _add(self, line: object) -> None:
        if not isinstance(line, (tuple, list)) or len(line) != 2:
            raise TypeError(f"a pipeline is made of pairs (sources, stage), got {line!r}")
        sources, stage = line
        listed = sources if isinstance(sources, (tuple, list)) else (sources,)
        for each in (*(s for s in listed if s != "start"), stage):
            if not isinstance(each, (Stage, Pipeline)):
                raise TypeError(
                    f"a pipeline is made of stages, pipelines and 'start', got {each!r}"
                    + (": wrap the function in Stage(...)" if callable(each) else "")
                )
        if "start" in listed and stage not in self._starts:
            self._starts.append(stage)
        nodes = tuple(s for s in listed if s != "start")
        self._sources[stage] = self._sources.get(stage, ()) + nodes

    def _ordered(self) -> list[Node]:
        from graphlib import CycleError

        try:
            return ordered(self._sources)
        except CycleError as error:
            circle = " -> ".join(node.title for node in error.args[1])
            raise ValueError(
                f"stages of a pipeline need each other in a circle: {circle}"
            ) from None

    def __repr__(self) -> str:
        return f"<Pipeline of {', '.join(node.title for node in self._order)}>"

    # What a pipeline shows, as a stage does

    @property
    def title(self) -> str:
        """What messages call it."""
        return repr(self)

    @property
    def stages(self) -> list[Node]:
        """The stages, each after those that it takes inputs from."""
        return list(self._order)

    @property
    def inputs(self) -> list[str]:
        """Names that a run can fill: parameters that no edge and no static value fills."""
        return self._open("inputs")

    @property
    def required(self) -> list[str]:
        """Names that a run must fill."""
        return self._open("required")

    def _open(self, which: str) -> list[str]:
        names: dict[str, None] = {}
        for stage in self._order:
            filled = self._offered(stage)
            for name in getattr(stage, which):
                if name not in filled and name not in stage.args:
                    names[name] = None
        return list(names)

    @property
    def args(self) -> dict[str, JSON]:
        """The static values: none, each stage has its own."""
        return {}

    @property
    def outputs(self) -> list[str]:
        """Names of all outputs of all stages, aliases included."""
        return list(dict.fromkeys(name for stage in self._order for name in stage.offers))

    @property
    def offers(self) -> list[str]:
        """Names under which results can be taken."""
        return self.outputs

    @property
    def threads(self) -> int:
        """The most threads that one of the stages keeps busy."""
        return max(stage.threads for stage in self._order)

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
        return any(stage.takes(name) and name not in self._offered(stage) for stage in self._order)

    def _offered(self, stage: Node) -> set[str]:
        return {name for source in self._sources[stage] for name in source.offers}

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
        for stage in self._order:
            stage.show(None)
        for name, value in (("n_jobs", n_jobs), ("executor", executor)):
            if value is not None and name in self.inputs:
                raise TypeError(
                    f"a stage of the pipeline takes {name!r} as well: give that stage a static "
                    f"value, or run the one case by map([{{...}}], {name}=...)"
                )
        workers = workers_for(n_jobs, executor)
        plan = _StagePlan(self, *self._checked(args, kwargs))
        if workers is None:
            plan.run_all()
        else:
            run_graph(self._sources, workers, plan)
        run = plan.merged()
        self.show(run)
        return run.results

    def show(self, run: Outcome | None) -> None:
        """Show this run as the last; None for none."""
        self._last = Outcome({}, Results()) if run is None else run

    def __getstate__(self) -> dict[str, object]:
        """Travel, to workers and into copies, without the last run."""
        return {**self.__dict__, "_last": Outcome({}, Results())}

    def map(
        self,
        cases: Iterable[Mapping[str, object]],
        *,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        on_error: Literal["continue", "raise"] = "continue",
    ) -> Cases:
        """Run many cases, each on its own: a failed case never takes another down.

        Parameters
        ----------
        cases : iterable of mappings
            Keyword arguments of `run`, one mapping for each case.
        n_jobs : int, optional
            Run that many cases at once, in processes; -1 for one per core.
        executor : concurrent.futures.Executor, optional
            Run the cases on this one instead.
        on_error : {"continue", "raise"}, optional
            Whether a failure comes back as the case's result, or is raised when it is met.

        Returns
        -------
        Cases
            A list of (case, result) in the order given; a result is `Results` or a `Failure`.

        Raises
        ------
        TypeError
            If a case cannot be run for its names or values; before any case runs.
        """
        if on_error not in ("continue", "raise"):
            raise ValueError(f"on_error is 'continue' or 'raise', got {on_error!r}")
        listed = [dict(case) for case in cases]
        for place, case in enumerate(listed):
            try:
                self._checked((), case)
            except TypeError as error:
                error.add_note(f"memori: in case {place}: {case!r}")
                raise
        return run_cases(self, listed, workers_for(n_jobs, executor), on_error)

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Run every stage that is not remembered, and return all that is known of that."""
        plan = _StagePlan(self, *self._checked(args, kwargs))
        plan.run_all()
        return plan.merged()

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome | None:
        """Return the run if every stage is remembered, else None; nothing is run."""
        plan = _StagePlan(self, *self._checked(args, kwargs))
        return plan.merged() if plan.recall_all() else None

    def inputs_of(
        self,
        stage: Node,
        runs: Mapping[Node, Outcome],
        values: tuple[JSON, ...],
        given: dict[str, JSON],
    ) -> tuple[tuple[JSON, ...], dict[str, JSON]]:
        """Return what a stage is called with, given the runs of those before it."""
        offered: dict[str, JSON] = {}
        for source in self._sources[stage]:
            offered.update(runs[source].results)
        positional = self._positional(stage, values)
        by_position = stage.positional_names(len(positional))
        passed = {**given, **offered}
        return positional, {
            name: value
            for name, value in passed.items()
            if stage.takes(name) and name not in by_position
        }

    def _positional(self, stage: Node, values: tuple[JSON, ...]) -> tuple[JSON, ...]:
        """Return the positional arguments that a stage is given: those before what edges fill."""
        if stage not in self._starts:
            return ()
        offered = self._offered(stage)
        names = stage.positional_names(len(values))
        filled = next((n for n, name in enumerate(names) if name in offered), None)
        return values if filled is None else values[:filled]

    def _checked(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[JSON, ...], dict[str, JSON]]:
        """Return the arguments as JSON, or raise before anything runs."""
        if len(args) == 1 and isinstance(args[0], Results):
            offered = {name: value for name, value in args[0].items() if self.takes(name)}
            args, kwargs = (), {**offered, **kwargs}
        subject = "pipeline, argument {!r}"
        given = {name: to_json_as(subject.format(name), each) for name, each in kwargs.items()}
        values = tuple(to_json_as(subject.format(n), each) for n, each in enumerate(args))
        for name in given:
            if not any(stage.takes(name) for stage in self._order):
                raise TypeError(f"no stage of the pipeline takes {name!r}{self._nearest(name)}")
        for stage in self._order:
            self._check_filled(stage, self._positional(stage, values), given)
        return values, given

    def _check_filled(
        self, stage: Node, positional: tuple[JSON, ...], given: Mapping[str, JSON]
    ) -> None:
        stage.check_positional(positional)
        by_position = stage.positional_names(len(positional))
        for name in by_position:
            if name in given:
                raise TypeError(f"{stage.title} got {name!r} by position and by name: give it once")
        filled = {*by_position, *given, *self._offered(stage)}
        missing = [name for name in stage.required if name not in filled]
        if missing:
            raise TypeError(
                f"{stage.title} needs {', '.join(map(repr, missing))}: no edge, static value or "
                "argument of run() fills it (edges offer: "
                f"{', '.join(sorted(self._offered(stage))) or 'nothing'})"
            )

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        names = (name for stage in self._starts for name in stage.positional_names(count))
        return list(dict.fromkeys(names))

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if a start stage cannot take so many positional arguments."""
        for stage in self._starts:
            stage.check_positional(values)

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, self.inputs, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        return f"{meant} (parameters: {', '.join(self.inputs) or 'none'})"


class _StagePlan:
    """One run of a pipeline: what is to be run in each stage, and what was."""

    def __init__(
        self, pipeline: Pipeline, values: tuple[JSON, ...], given: dict[str, JSON]
    ) -> None:
        self._pipeline = pipeline
        self._values = values
        self._given = given
        self._runs: dict[Node, Outcome] = {}

    def run_all(self) -> None:
        """Run the stages here, one after the other."""
        for stage in self._pipeline.stages:
            self.finish(stage, stage.call(*self._inputs_of(stage)))

    def recall_all(self) -> bool:
        """Tell whether every stage is remembered."""
        for stage in self._pipeline.stages:
            run = stage.recall(*self._inputs_of(stage))
            if run is None:
                return False
            self._runs[stage] = run
        return True

    def merged(self) -> Outcome:
        """Return the runs of the stages as one."""
        merged = Results()
        ran: list[str] = []
        for stage in self._pipeline.stages:
            merged.update(self._runs[stage].results)
            ran += self._runs[stage].results.ran
        return Outcome(self._given, merged, tuple(ran))

    def order(self, key: Node) -> tuple[Node, Inputs]:
        return key, self._inputs_of(key)

    def finish(self, key: Node, run: Outcome) -> None:
        self._runs[key] = run
        key.show(run)

    def fail(self, key: Node, answer: Answer) -> bool:
        return False

    def threads(self, key: Node) -> int:
        return key.threads

    def describe(self, key: Node, stage: str | None) -> str:
        inner = None if stage is None else f"stage {stage!r}"
        return key.title if inner in (None, key.title) else f"{inner} of {key.title}"

    def _inputs_of(self, stage: Node) -> tuple[tuple[JSON, ...], dict[str, JSON]]:
        return self._pipeline.inputs_of(stage, self._runs, self._values, self._given)
