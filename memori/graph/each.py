"""Fan-out: a stage over each element of a list, and its outputs as lists.

What an earlier stage found (runs, slices, echoes) is a list of a length that nobody knows before.
`Each` stands in a pipeline as the stage would; it is given the list, calls the stage once for each
element, and offers each output as a list in the same order, so that the next stage joins them. Each
element is a run of its own: of a longer list only what is new runs. With workers the elements run
side by side, as cases do (`memori.graph.division`).

Not promised: which element runs first; and elements side by side where a stage's function runs a
pipeline itself.
"""

from __future__ import annotations

from memori.digest.values import to_json
from memori.errors import note
from memori.graph.wiring import Wiring
from memori.results import Outcome, Results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from memori.calls.acceptance import Acceptance
    from memori.calls.decision import Decision
    from memori.digest.values import JSON
    from memori.graph.division import Given
    from memori.node import Node
    from memori.signature.resources import Resources


class Each:
    """A stage over each element of a list, in a pipeline.

    Parameters
    ----------
    stage : Stage or Pipeline
        What is called.
    **over : str
        For a parameter of the stage the name of the list whose elements it is given. Of several
        lists the first elements go together, then the second ones, and so on.

    Raises
    ------
    TypeError
        If the stage takes no such parameter, or it has a static value, or none is given.

    Examples
    --------
    >>> from memori import Pipeline, Stage
    >>> find = Stage(lambda count: list(range(count)), "numbers", stage_name="find")
    >>> square = Stage(lambda number: number**2, "square", stage_name="square")
    >>> add = Stage(lambda square: sum(square), "total", stage_name="add")
    >>> squares = Each(square, number="numbers")
    >>> Pipeline([("start", find), (find, squares), (squares, add)]).run(4)
    Results({'numbers': [0, 1, 2, 3], 'square': [0, 1, 4, 9], 'total': 14})
    """

    def __init__(self, stage: Node, /, **over: str) -> None:
        self._node = stage
        self._lists = over
        self.inner = Wiring([("start", stage)])
        if not over:
            raise TypeError(
                f"Each({stage.title}) needs the name of a list, such as Each(stage, image='images')"
            )
        for name in over:
            if not stage.takes(name) or name in stage.args:
                raise TypeError(
                    f"{stage.title} is to take elements as {name!r}, which is no parameter of it "
                    f"or has a static value (parameters: {', '.join(stage.inputs)})"
                )

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def stages(self) -> list[Node]:
        """The stage that is called for each element."""
        return [self._node]

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self._node.title} over each of {' and '.join(map(repr, self._lists.values()))}"

    def _outside(self, names: list[str]) -> list[str]:
        return list(dict.fromkeys(self._lists.get(name, name) for name in names))

    @property
    def inputs(self) -> list[str]:
        """Names that a run can fill: the lists, and the other parameters."""
        return self._outside(self._node.inputs)

    @property
    def required(self) -> list[str]:
        """Names that a run must fill."""
        lists = self._lists.values()
        return list(dict.fromkeys([*self._outside(self._node.required), *lists]))

    @property
    def args(self) -> dict[str, JSON]:
        """The static values of the stage."""
        return self._node.args

    @property
    def offers(self) -> list[str]:
        """Names under which the lists of results can be taken."""
        return self._node.offers

    @property
    def resources(self) -> Resources:
        """What the run of an element needs."""
        return self._node.resources

    # In parts (`memori.graph.division`)

    is_divided = True

    def parts(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[Given]:
        """Return what the stage is given for each element."""
        return [self.inner.check((), inputs) for inputs in self._elements(args, kwargs)]

    def part_told(self, part: int) -> str:
        """Return which element a part is."""
        return f"element {part} of {', '.join(self._lists.values())}"

    def joined(self, outcomes: list[Outcome]) -> Outcome:
        """Return what came of the elements: lists, in their order.

        What is skipped for an element is None there, and what is skipped for all is left out.
        """
        results = {
            name: [each.results.get(name) for each in outcomes]
            for name in self.offers
            if not outcomes or any(name in each.results for each in outcomes)
        }
        ran = tuple(name for each in outcomes for name in each.results.ran)
        reasons = {k: why for each in outcomes for k, why in each.results.reasons.items()}
        entries = tuple(path for each in outcomes for path in each.entries)
        outcome = Outcome({}, Results(results), ran, reasons, entries)
        skipped = (each.results.skipped.items() for each in outcomes)
        outcome.results.skipped = {name: reason for some in skipped for name, reason in some}
        return outcome

    def takes(self, name: str) -> bool:
        """Tell whether a value can be passed under this name."""
        lists = self._lists.values()
        return name in lists or (name not in self._lists and self._node.takes(name))

    def positional_names(self, count: int) -> list[str]:
        """Return the names that so many positional arguments fill."""
        return self._outside(self._node.positional_names(count))

    def check_positional(self, values: tuple[JSON, ...]) -> None:
        """Raise a TypeError if so many positional arguments cannot be taken."""
        self._node.check_positional(values)

    def overruled(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[str]:
        """Say which values that a run is given itself lose to static ones that differ."""
        given = {n: v for n, v in kwargs.items() if n not in self._lists.values()}
        return self._node.overruled((), given)

    # Running

    def call(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome:
        """Call the stage for each element."""
        outcomes = []
        for place, inputs in enumerate(self._elements(args, kwargs)):
            with _noted(f"memori: in {self.part_told(place)}"):
                outcomes.append(self._node.call((), inputs))
        return self.joined(outcomes)

    def recall(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Outcome | None:
        """Return the run if all elements are remembered, else None."""
        outcomes = []
        for inputs in self._elements(args, kwargs):
            outcome = self._node.recall((), inputs)
            if outcome is None:
                return None
            outcomes.append(outcome)
        return self.joined(outcomes)

    def foresee(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[list[Decision], Results | None]:
        """Return what a run would decide for each element."""
        found = [self._node.foresee((), inputs) for inputs in self._elements(args, kwargs)]
        decisions = [each for some, _ in found for each in some]
        known = [results for _, results in found if results is not None]
        if len(known) < len(found):
            return decisions, None
        return decisions, self.joined([Outcome({}, results) for results in known]).results

    def foresee_after(self, makers: list[str]) -> list[Decision]:
        """Return what is known while nobody knows how long the list will be."""
        return self._node.foresee_after(makers)

    def plan_acceptance(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        waived: Collection[str],
        sources: Mapping[str, str],
    ) -> tuple[Outcome, list[Acceptance]]:
        """Return what a run will be once present outputs are taken as those of all elements."""
        elements = self._elements(args, kwargs)
        found = [self._node.plan_acceptance((), each, waived, sources) for each in elements]
        return self.joined([run for run, _ in found]), [each for _, some in found for each in some]

    def show(self, run: Outcome | None) -> None:
        """Show no run: of which element would it be."""
        self._node.show(None)

    def _elements(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Iterator[dict[str, object]]:
        """Yield what the stage is given for each element."""
        given = {**dict(zip(self.positional_names(len(args)), args, strict=False)), **kwargs}
        lists = {name: to_json(given.pop(name)) for name in set(self._lists.values())}
        for name, values in lists.items():
            if not isinstance(values, list):
                raise TypeError(f"{self.title} takes a list as {name!r}, got {values!r}")
        if len({len(values) for values in lists.values()}) > 1:
            told = ", ".join(f"{name!r} has {len(lists[name])}" for name in sorted(lists))
            raise TypeError(f"{self.title} takes lists of one length: {told}")
        for place in range(len(next(iter(lists.values())))):
            yield {**given, **{name: lists[of][place] for name, of in self._lists.items()}}


class _noted:  # noqa: N801  a context manager, read as a word
    """Note on what is raised inside a with block where it was."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            note(error, self._text)
