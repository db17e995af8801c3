"""A stretch: as much of a case as one worker does in one go.

A worker recalls what is remembered of a case, and runs what is not, as long as there is one thing
to run: a case whose stages stand in a row is one piece of work, and nothing travels between them.
Where several stages can run at once the worker recalls those that hit and says which do not; the
rest is for whoever has sent it to place, each on any worker. So what is remembered is decided next
to the data, and costs a message for each case, and not for each stage.

What is done in parts (`memori.graph.division`) and is not remembered is given back, too; a worker
is then asked for its parts as it is for cases.
"""

from __future__ import annotations

from memori.calls.telling import telling_of
from memori.errors import BusyError
from memori.fingerprint.versions import reached_codes
from memori.graph.division import divided, inside
from memori.pipeline_run import PipelineRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

    from memori.digest.values import JSON
    from memori.graph.wiring import Wiring
    from memori.node import Node
    from memori.results import Outcome
    from memori.signature.resources import Resources


class Stretch:
    """What a worker is asked to do of a case.

    Attributes
    ----------
    case : int
        Which case it belongs to.
    path : tuple of int
        Where among the stages those are that it goes through: none for the case itself, else the
        places of what is divided.
    values, given : tuple, dict
        What the pipeline is given by position and by name.
    known : dict of int to Outcome or None
        What came of stages, by their place in the order; None where it is not needed.
    first : int or None
        The stage to begin with, which is not remembered; None for whatever is ready.
    resources : Resources
        What it was given room for.
    waits : bool
        Whether it may wait for another run that makes the very same.
    merges : bool
        Whether nobody asks what came of each stage of a case that is finished.
    """

    def __init__(
        self,
        case: int,
        values: tuple[JSON, ...],
        given: dict[str, JSON],
        *,
        known: Mapping[int, Outcome | None] | None = None,
        path: tuple[int, ...] = (),
        first: int | None = None,
        resources: Resources,
        waits: bool = True,
        merges: bool = True,
    ) -> None:
        self.case = case
        self.path = path
        self.values = values
        self.given = given
        self.known = known or {}
        self.first = first
        self.resources = resources
        self.waits = waits
        self.merges = merges


class Reached:
    """How far a worker came with a case.

    Attributes
    ----------
    whole : Outcome or None
        What came of the case, if it was begun and finished in this stretch.
    made : dict of int to Outcome
        Else what came of the stages that it recalled and ran.
    busy : int or None
        The stage that another run is making right now.
    """

    def __init__(
        self, whole: Outcome | None, made: Mapping[int, Outcome], busy: int | None = None
    ) -> None:
        self.whole = whole
        self.made = made
        self.busy = busy


class Track:
    """The stages of a pipeline, as they travel to the workers that run cases through them.

    Parameters
    ----------
    wiring : Wiring
        The stages.
    title : str
        What messages call the pipeline.
    """

    def __init__(self, wiring: Wiring, title: str) -> None:
        self.wiring = wiring
        self.title = title

    def __repr__(self) -> str:
        return self.title

    def codes(self) -> set[CodeType]:
        """Return the code of the functions that the stages reach."""
        return reached_codes(self.wiring.order)

    def carry_out(
        self, asked: tuple[Stretch, ...], is_stopped: Callable[[], bool]
    ) -> list[Reached]:
        """Do what is asked of some cases; of several, recall only."""
        if len(asked) > 1:
            return [self._recalled(each, is_stopped) for each in asked]
        return [self._ran(asked[0], is_stopped)]

    def _recalled(self, asked: Stretch, is_stopped: Callable[[], bool]) -> Reached:
        wiring, run = self._begun(asked)
        with telling_of(asked.case):
            recall_far(run, is_stopped)
        return _reached(wiring, run, asked)

    def _begun(self, asked: Stretch) -> tuple[Wiring, PipelineRun]:
        wiring = inside(self.wiring, asked.path)
        run = PipelineRun(wiring, asked.values, asked.given)
        for place, outcome in asked.known.items():
            if outcome is None:
                run.leave([wiring.order[place]])
            else:
                run.know(wiring.order[place], outcome)
        return wiring, run

    def _ran(self, asked: Stretch, is_stopped: Callable[[], bool]) -> Reached:
        (wiring, run), first = self._begun(asked), None
        if asked.first is not None:
            first = wiring.order[asked.first]
            run.leave([stage for stage in run.ready() if stage is not first])
        with telling_of(asked.case):
            while not is_stopped():
                ready = run.ready()
                if first is None and not _goes_on_here(ready, asked):
                    ready = recall_far(run, is_stopped)
                    if not _goes_on_here(ready, asked):
                        break
                stage, first = first or ready[0], None
                try:
                    run.note(stage, run.call(stage, waits=asked.waits))
                except BusyError:
                    return _reached(wiring, run, asked, wiring.places[stage])
        return _reached(wiring, run, asked)


def _goes_on_here(ready: list[Node], asked: Stretch) -> bool:
    """Tell whether there is one thing to do, which needs what the stretch has."""
    is_one = len(ready) == 1 and ready[0].resources == asked.resources
    return is_one and divided(ready[0]) is None


def _reached(wiring: Wiring, run: PipelineRun, asked: Stretch, busy: int | None = None) -> Reached:
    if run.is_over and asked.merges and not asked.known:
        return Reached(run.merged(), {})
    made = {wiring.places[stage]: each for stage, each in run.made.items()}
    return Reached(None, made, busy)


def recall_far(run: PipelineRun, is_stopped: Callable[[], bool]) -> list[Node]:
    """Recall what is remembered of a case, as far as that goes.

    Parameters
    ----------
    run : PipelineRun
        The case, which is told what was recalled.
    is_stopped : callable
        Whether to go no further.

    Returns
    -------
    list of Node
        The stages that could run and are not remembered.
    """
    missed: list[Node] = []
    while not is_stopped():
        ready = [stage for stage in run.ready() if stage not in missed]
        if not ready:
            break
        for stage in ready:
            try:
                outcome = run.recall(stage)
            except Exception:
                outcome = None  # the call meets the same, and tells it
            if outcome is None:
                missed.append(stage)
            else:
                run.note(stage, outcome)
    return missed
