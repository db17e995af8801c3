"""Strands: what goes through a wiring; a case, or a part of something that is divided.

Cases are strands by their own numbers. Where a stage of one is divided (`memori.graph.division`)
and not remembered, each part becomes a strand as well, with a number of its own. It is worked on
as a case is, and when the last part is over the strand above goes on with what they came to.

A strand is made when it is first asked for, so that what waits costs nothing.
"""

from __future__ import annotations

from memori.graph.division import divided, inside
from memori.pipeline_run import PipelineRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from memori.graph.division import Divided, Given
    from memori.graph.wiring import Wiring
    from memori.node import Node
    from memori.results import Outcome
    from memori.signature.resources import Resources


class Piece:
    """What one worker is asked for: some strands to recall, or one to go on with.

    Attributes
    ----------
    strands : sequence of int
        Their numbers.
    stage : Node or None
        The stage to begin with; None for whatever is ready.
    resources : Resources
        What it needs.
    case : int
        The case to which the first strand belongs.
    within : str
        What messages call the part of it; nothing for the case itself.
    waits : bool
        Whether it may have to wait for another run.
    """

    __slots__ = ("case", "resources", "stage", "strands", "waits", "within")

    def __init__(
        self,
        strands: Sequence[int],
        stage: Node | None,
        resources: Resources,
        *,
        case: int,
        within: str = "",
        waits: bool = False,
    ) -> None:
        self.strands = strands
        self.stage = stage
        self.resources = resources
        self.case = case
        self.within = within
        self.waits = waits

    def split(self) -> list[Piece]:
        """Return a piece for each of several strands."""
        case, is_part = self.case, bool(self.within)
        return [
            Piece((n,), None, self.resources, case=case if is_part else n, within=self.within)
            for n in self.strands
        ]


class Strand:
    """What goes through a wiring.

    Attributes
    ----------
    path : tuple of int
        Where the wiring is (`memori.graph.division.inside`).
    wiring : Wiring
        The stages.
    given : tuple of (tuple, dict)
        What they are given.
    case : int
        The case to which it belongs.
    within : str
        What messages call it; nothing for a case.
    of : (Division, int), or None
        Which part of what it is; None for a case.
    run : PipelineRun
        What came of the stages so far.
    taken : set of Node
        The stages that are pieces of work, or divided.
    """

    __slots__ = ("case", "given", "of", "path", "run", "taken", "wiring", "within")

    def __init__(
        self,
        wiring: Wiring,
        given: Given,
        case: int,
        *,
        path: tuple[int, ...] = (),
        of: tuple[Division, int] | None = None,
        within: str = "",
    ) -> None:
        self.path = path
        self.wiring = inside(wiring, path)
        self.given = given
        self.case = case
        self.within = within
        self.of = of
        self.run = PipelineRun(self.wiring, *given)
        self.taken: set[Node] = set()


class Division:
    """A stage of a strand that is done in parts.

    Attributes
    ----------
    above : int
        The strand.
    node : Divided
        The stage.
    first : int
        The strand that its first part is.
    asked : int
        How many parts somebody was asked for.
    outcomes : list of Outcome or None
        What came of each part.
    left : int
        How many parts are not over.
    """

    __slots__ = ("above", "asked", "first", "given", "left", "node", "outcomes", "path")

    def __init__(
        self, above: int, node: Divided, path: tuple[int, ...], given: list[Given], first: int
    ) -> None:
        self.above = above
        self.node = node
        self.path = path
        self.given = given
        self.first = first
        self.asked = 0
        self.left = len(given)
        self.outcomes: list[Outcome | None] = [None] * self.left


class Strands:
    """The strands of some cases that are going on.

    Parameters
    ----------
    wiring : Wiring
        What cases go through.
    given : list of (tuple, dict)
        What each case is given.
    """

    def __init__(self, wiring: Wiring, given: Sequence[Given]) -> None:
        from collections import deque

        self._wiring = wiring
        self._given = given
        self._going: dict[int, Strand] = {}
        self._divisions: deque[Division] = deque()  # of which not all parts were asked for
        self._free = len(given)
        self.over: list[tuple[int, Outcome, PipelineRun | None]] = []  # cases

    def get(self, number: int) -> Strand | None:
        """Return a strand that is going on; None for a case that nobody began, and what failed."""
        return self._going.get(number)

    def begin(self, case: int) -> Strand:
        """Return a case that is going on from now on."""
        strand = self._going.get(case)
        if strand is None:
            strand = self._going[case] = Strand(self._wiring, self._given[case], case)
        return strand

    def is_case(self, number: int) -> bool:
        """Tell whether a strand is a case."""
        return number < len(self._given)

    # Parts that wait

    @property
    def has_parts(self) -> bool:
        """Whether there are parts that nobody was asked for."""
        return bool(self._divisions)

    @property
    def parts_path(self) -> tuple[int, ...]:
        """Where the stages are of the next parts."""
        return self._divisions[0].path

    @property
    def parts_left(self) -> int:
        """How many parts of the next division nobody was asked for."""
        return len(self._divisions[0].given) - self._divisions[0].asked

    def next_parts(self, count: int) -> range:
        """Return some parts of one division, which are going on from now on."""
        division = self._divisions[0]
        above = self._going[division.above]
        asked = range(division.asked, division.asked + count)
        for part in asked:
            told = division.node.part_told(part)
            within = ", ".join(filter(None, (told, above.within)))
            self._going[division.first + part] = Strand(
                self._wiring,
                division.given[part],
                above.case,
                path=division.path,
                of=(division, part),
                within=within,
            )
        division.asked += count
        if division.asked == len(division.given):
            self._divisions.popleft()
        return range(division.first + asked.start, division.first + asked.stop)

    # Going on

    def go_on(self, number: int, busy: Node | None = None) -> list[Piece]:
        """Return what can be done of a strand now.

        Parameters
        ----------
        number : int
            Which; what came of its stages is known.
        busy : Node, optional
            The stage that another run is making right now.
        """
        strand, pieces = self._going[number], list[Piece]()
        if busy is not None:
            strand.taken.discard(busy)
        while fresh := [each for each in strand.run.ready() if each not in strand.taken]:
            for stage in fresh:
                strand.taken.add(stage)
                if not self._divide(number, strand, stage):
                    about = (number,), stage, stage.resources
                    case, within = strand.case, strand.within
                    pieces.append(Piece(*about, case=case, within=within, waits=stage is busy))
        if strand.run.is_over:
            pieces += self.end(number, strand.run.merged())
        return pieces

    def _divide(self, number: int, strand: Strand, stage: Node) -> bool:
        """Do a stage in parts, if it can be; tell so."""
        node = divided(stage)
        if node is None or strand.wiring.keep != "all":  # which may make anew what a part needs
            return False
        try:
            known, inputs = strand.run.order(stage)
            if known is not stage:
                return False  # it is skipped
            given = node.parts(*inputs)
        except Exception:
            return False  # the call meets the same, and tells it
        if not given:
            strand.run.know(stage, node.joined([]))
            return True
        path = (*strand.path, strand.wiring.places[stage])
        self._divisions.append(Division(number, node, path, given, self._free))
        self._free += len(given)
        return True

    def end(self, number: int, outcome: Outcome) -> list[Piece]:
        """Take what came of a strand, and return what can be done now of the one above."""
        strand = self._going.pop(number, None)
        if strand is None or strand.of is None:
            self.over.append((number, outcome, None if strand is None else strand.run))
            return []
        division, part = strand.of
        division.outcomes[part] = outcome
        division.left -= 1
        if division.left:
            return []
        joined = division.node.joined([each for each in division.outcomes if each is not None])
        self._going[division.above].run.know(division.node, joined)
        return self.go_on(division.above)

    def drop(self, case: int) -> None:
        """Let go of a case and all its parts."""
        alive = [d for d in self._divisions if self._going[d.above].case != case]
        self._divisions.clear()
        self._divisions.extend(alive)
        for number in [n for n, strand in self._going.items() if strand.case == case]:
            del self._going[number]
