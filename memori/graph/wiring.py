"""Wiring: which stage of a pipeline takes its inputs from which, by name.

What an earlier stage offers under a name that the later one takes is passed on; where two offer
the same name the right-most wins. Names that no edge and no static value fill are open: a run fills
them.

Not promised: an order among stages that do not depend on each other.
"""

from __future__ import annotations

from memori.digest.values import to_json_as
from memori.graph.condition import when
from memori.node import is_node
from memori.results import Results, came_from_results
from memori.scheduling.schedule import ordered
from memori.signature.parameters import by_name, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from memori.digest.values import JSON
    from memori.node import Node
    from memori.results import Outcome


class Wiring:
    """A graph of stages, made of lines (sources, stage), or (sources, stage, condition).

    Attributes
    ----------
    sources : dict of Node to tuple of Node
        What each stage takes inputs from.
    order : list of Node
        The stages, each after those that it takes inputs from.
    keep : str or tuple of str
        What stays of what they made (`memori.graph.keep`).
    places : dict of Node to int
        Where in it each stage stands.
    takers : dict of Node to list of Node
        The stages that take inputs from each.

    Raises
    ------
    TypeError
        If something in it is neither a stage nor a pipeline.
    ValueError
        If it is empty, a stage has no line of its own, or stages need each other in a circle.
    """

    def __init__(self, definition: Iterable[object]) -> None:
        self.keep: str | tuple[str, ...] = "all"
        self.sources: dict[Node, tuple[Node, ...]] = {}
        self._starts: list[Node] = []
        self._conditions: dict[Node, list[when]] = {}
        if not hasattr(definition, "__iter__"):
            raise TypeError(
                "a pipeline is made of a list of lines such as ('start', stage), got "
                f"{definition!r}"
            )
        for line in definition:
            self._add(line)
        if not self.sources:
            raise ValueError("a pipeline needs at least one line such as ('start', stage)")
        for stage, sources in self.sources.items():
            for source in sources:
                if source not in self.sources:
                    raise ValueError(
                        f"{source.title} feeds {stage.title} and has no line of its own: add "
                        "('start', ...) for it, or say what it takes its inputs from"
                    )
        self.order = self._ordered()
        self.places = {stage: place for place, stage in enumerate(self.order)}
        self.takers: dict[Node, list[Node]] = {stage: [] for stage in self.order}
        for stage, sources in self.sources.items():
            for source in dict.fromkeys(sources):
                self.takers[source].append(stage)
        self._offered = {
            stage: {name for source in sources for name in source.offers}
            for stage, sources in self.sources.items()
        }

    def _add(self, line: object) -> None:
        parts = tuple(line) if isinstance(line, (tuple, list)) else ()
        if len(parts) not in (2, 3) or not all(isinstance(each, when) for each in parts[2:]):
            raise TypeError(
                "a pipeline is made of pairs (sources, stage), or (sources, stage, when('input')), "
                f"got {line!r}"
            )
        sources, stage, conditions = parts[0], parts[1], parts[2:]
        listed = sources if isinstance(sources, (tuple, list)) else (sources,)
        for each in (*(s for s in listed if s != "start"), stage):
            if not is_node(each):
                hint = ": wrap the function in Stage(...)" if callable(each) else ""
                if stage == "start":
                    hint = " where a stage belongs: 'start' stands first, ('start', stage)"
                raise TypeError(
                    f"a pipeline is made of stages, pipelines and 'start', got {each!r}{hint}"
                )
        if "start" in listed and stage not in self._starts:
            self._starts.append(stage)
        nodes = tuple(s for s in listed if s != "start")
        self.sources[stage] = self.sources.get(stage, ()) + nodes
        self._conditions.setdefault(stage, []).extend(conditions)

    def _ordered(self) -> list[Node]:
        from graphlib import CycleError

        try:
            return ordered(self.sources)
        except CycleError as error:
            circle = " -> ".join(node.title for node in error.args[1])
            raise ValueError(
                f"stages of a pipeline need each other in a circle: {circle}"
            ) from None

    def open(self, which: str) -> list[str]:
        """Return the names, of a property of stages, that no edge and no static value fills."""
        names: dict[str, None] = {}
        left_out = self.surely_skipped((), {}) if which == "required" else ()
        for stage in self.order:
            filled = self._offered[stage]
            if stage in left_out:
                continue
            for name in getattr(stage, which):
                if name not in filled and name not in stage.args:
                    names[name] = None
        asked = self._asked() if which == "inputs" else ()
        return list(dict.fromkeys([*names, *asked]))

    def _asked(self) -> list[str]:
        """Return the names that conditions look at, and that no edge fills."""
        return [
            name
            for stage, conditions in self._conditions.items()
            for condition in conditions
            for name in condition.names
            if name not in self._offered[stage]
        ]

    def surely_skipped(
        self, values: tuple[JSON, ...], given: Mapping[str, JSON]
    ) -> dict[Node, str]:
        """Return the stages that are skipped whatever is made, and why, before anything runs."""
        there = self._by_name(values, given)
        skipped: dict[Node, str] = {}
        for stage in self.order:
            made = {n for each in self.sources[stage] if each not in skipped for n in each.offers}
            reason = self._reason(stage, there, made)
            if reason is not None:
                skipped[stage] = reason
        return skipped

    def reason_to_skip(
        self,
        stage: Node,
        runs: Mapping[Node, Outcome],
        values: tuple[JSON, ...],
        given: dict[str, JSON],
    ) -> str | None:
        """Return why a stage is skipped, given the runs of those before it; None if it is not."""
        there = self._by_name(values, given)
        for source in self.sources[stage]:
            there.update(runs[source].results)
        return self._reason(stage, there, frozenset())

    def _reason(self, stage: Node, there: Mapping[str, JSON], made: Collection[str]) -> str | None:
        """Return why a stage is skipped when these values are there, and others will be made."""
        for condition in self._conditions[stage]:
            reason = condition.fails(there, unknown=made)
            if reason is not None:
                return reason
        for name in stage.required:
            if name in self._offered[stage] and name not in made and name not in there:
                makers = [each.title for each in self.sources[stage] if name in each.offers]
                return f"{' or '.join(makers)}, which makes its {name!r}, is skipped"
        return None

    def _by_name(self, values: tuple[JSON, ...], given: Mapping[str, JSON]) -> dict[str, JSON]:
        names = (
            zip(each.positional_names(len(values)), values, strict=False) for each in self._starts
        )
        return {**{name: value for some in names for name, value in some}, **given}

    def takes(self, name: str) -> bool:
        """Tell whether some stage can be given a value under this name."""
        is_taken = (s.takes(name) and name not in self._offered[s] for s in self.order)
        return any(is_taken) or name in self._asked()

    def inputs_of(
        self,
        stage: Node,
        runs: Mapping[Node, Outcome],
        values: tuple[JSON, ...],
        given: dict[str, JSON],
    ) -> tuple[tuple[JSON, ...], dict[str, JSON]]:
        """Return what a stage is called with, given the runs of those before it."""
        offered: dict[str, JSON] = {}
        for source in self.sources[stage]:
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
        offered = self._offered[stage]
        names = stage.positional_names(len(values))
        filled = next((n for n, name in enumerate(names) if name in offered), None)
        return values if filled is None else values[:filled]

    def check(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[JSON, ...], dict[str, JSON]]:
        """Return the arguments as JSON, or raise before anything runs.

        What is None, and no stage takes it, is left out: an entity, say, that a case has not got.
        """
        if len(args) == 1 and isinstance(args[0], Results):
            offered = {name: value for name, value in args[0].items() if self.takes(name)}
            args, kwargs = (), {**offered, **kwargs}
        subject = "pipeline, argument {!r}"
        given = {name: to_json_as(subject.format(name), each) for name, each in kwargs.items()}
        values = tuple(to_json_as(subject.format(n), each) for n, each in enumerate(args))
        for name, value in list(given.items()):
            if not any(stage.takes(name) for stage in self.order) and name not in self._asked():
                if value is not None:
                    near = _nearest(name, self.open("inputs"))
                    if name in ("force_run_stage", "force_skip_stage"):
                        near = f": it is given to one stage, stage.run(..., {name}=True)"
                    raise TypeError(f"no stage of the pipeline takes {name!r}{near}")
                del given[name]
        skipped = self.surely_skipped(values, given)
        for stage in self.order:
            if stage not in skipped:
                self._check_filled(stage, self._positional(stage, values), given, values)
        return values, given

    def _check_filled(
        self,
        stage: Node,
        positional: tuple[JSON, ...],
        given: Mapping[str, JSON],
        values: tuple[JSON, ...],
    ) -> None:
        stage.check_positional(positional)
        by_position = stage.positional_names(len(positional))
        for name in by_position:
            if name in given:
                raise TypeError(f"{stage.title} got {name!r} by position and by name: give it once")
        filled = {*by_position, *given, *self._offered[stage]}
        missing = [name for name in stage.required if name not in filled]
        if missing:
            raise TypeError(
                f"{stage.title} needs {', '.join(map(repr, missing))}: no edge, static value or "
                "argument of run() fills it (edges offer: "
                f"{', '.join(sorted(self._offered[stage])) or 'nothing'})"
                + by_name(values, missing)
            )

    def without_effect(self, kwargs: Mapping[str, object]) -> Iterator[str]:
        """Say of each keyword that a run is given itself, and that reaches no stage, why."""
        for name, value in kwargs.items():
            reasons: list[str] = []
            for stage in self.order if not came_from_results(name, value) else ():
                if name in self._offered[stage] and stage.takes(name):
                    reasons.append(
                        f"the pipeline was given {shown({name: value})}, which has no effect: "
                        f"{stage.title} takes {name!r} from a stage before it"
                    )
                elif stage.takes(name):
                    lost = stage.overruled((), {name: value})
                    if not lost:
                        break  # here it has its effect
                    reasons += lost
            else:
                yield from reasons

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        names = (name for stage in self._starts for name in stage.positional_names(count))
        return list(dict.fromkeys(names))

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if a start stage cannot take so many positional arguments."""
        for stage in self._starts:
            stage.check_positional(values)


def _nearest(name: str, inputs: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, inputs, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{meant} (parameters: {', '.join(inputs) or 'none'})"
