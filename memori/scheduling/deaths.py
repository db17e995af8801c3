"""Deaths: what becomes of an order whose worker died, and what is said of it.

What a dead worker was at is tried once more, alone, and a warning says so; if it takes its worker
down again it has failed, with a `WorkerError`. What a worker that was well was at begins again.
"""

from __future__ import annotations

from memori.errors import MemoriError, TimeLimitError, WorkerError, note, warn
from memori.processes import watchdog
from memori.scheduling.orders import Answer
from memori.scheduling.witness import ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, TypeAlias

    from memori.scheduling.board import Board, Mark
    from memori.scheduling.orders import Order
    from memori.scheduling.peaks import Peaks
    from memori.scheduling.witness import Witness

    Key: TypeAlias = Any
    Outcome: TypeAlias = Answer | Literal["again", "alone"]


class Placed:
    """An order that is out.

    Attributes
    ----------
    key : object
        What it is to who placed it.
    order : Order
        The order.
    future : object
        What the executor returned for it.
    is_alone : bool
        Whether nothing else is out.
    """

    def __init__(self, key: Key, order: Order, future: Any, *, alone: bool) -> None:
        self.key = key
        self.order = order
        self.future = future
        self.is_alone = alone


class Deaths:
    """What is known of the workers of a run that died.

    Parameters
    ----------
    board : Board
        Where workers leave their marks.
    witness : Witness
        Who tells the dead from the living.
    peaks : Peaks
        Who knows what memory they held.
    describe : callable
        Given a key and the name of a stage (or None), returns what a message calls them.
    """

    def __init__(
        self,
        board: Board,
        witness: Witness,
        peaks: Peaks,
        describe: Callable[[Key, str | None], str],
    ) -> None:
        self._board = board
        self._witness = witness
        self._peaks = peaks
        self._describe = describe
        # how often a worker died of it, or it came back unanswered
        self._tried: dict[Key, int] = {}

    def of_answered(self, placed: Placed, answer: Answer) -> Outcome:
        """Say what becomes of an order of which workers died before one answered."""
        if answer.made is not None or answer.error is not None:
            told, _ = self._told(placed, answer.deaths[-1])
            warn(f"{told}. It was tried once more by its executor")
            return answer
        self._tried[placed.key] = self._tried.get(placed.key, 0) + len(answer.deaths)
        was_beside = any(self._board.beside(placed.order.name, d.process) for d in answer.deaths)
        return self._of_dead(placed, answer.deaths[-1], is_certain=not was_beside)

    def of_broken(self, placed: Placed, error: BaseException) -> Outcome:
        """Say what becomes of an order whose pool broke."""
        marks = self._board.marks(placed.order.name)
        if not marks and self._witness.fruitless > 2:
            who = self._describe(placed.key, None)
            text = f"{who} was not tried: the worker processes end before they begin ({error})"
            return Answer(None, WorkerError(text), text)
        if not marks or marks[-1].process in self._witness.outlived:
            return "alone" if placed.is_alone else "again"
        self._tried[placed.key] = self._tried.get(placed.key, 0) + 1
        return self._of_dead(placed, marks[-1], is_certain=marks[-1].process in self._witness.died)

    def is_deserted(self, placed: Placed) -> bool:
        """Tell whether who began an order is dead."""
        marks = self._board.marks(placed.order.name)
        return bool(marks) and watchdog.birth(marks[-1].process) is None

    def of_unanswered(self, placed: Placed, error: BaseException | None) -> Outcome:
        """Say what becomes of an order that came back with an error of its engine."""
        if isinstance(error, (MemoriError, KeyboardInterrupt)):
            return Answer(None, error, repr(error))
        marks = self._board.marks(placed.order.name)
        tries = self._tried[placed.key] = self._tried.get(placed.key, 0) + max(1, len(marks))
        if marks:
            return self._of_dead(placed, marks[-1], is_certain=True, error=error)
        if error is not None and tries > 1:
            note(error, f"memori: {self._describe(placed.key, None)} came back unanswered")
            return Answer(None, error, repr(error))
        who = self._describe(placed.key, None)
        warn(f"{who} came back unanswered, and is tried once more: {error!r}")
        return "again"

    def _of_dead(
        self,
        placed: Placed,
        mark: Mark,
        *,
        is_certain: bool,
        error: BaseException | None = None,
    ) -> Outcome:
        """Say what becomes of an order that a worker was at when it died."""
        watchdog.end(marks=[self._board.mark_of(mark.process)])
        told, peak = self._told(placed, mark)
        if mark.is_overdue:
            told += (
                f"; it had gone on past its timeout of {mark.timeout:g} s, and was ended with it"
            )
            told += f"\nit was at\n{mark.stack}" if mark.stack else ""
            return Answer(None, TimeLimitError(told, mark.stage, mark.timeout), told)
        tries = self._tried[placed.key]
        if is_certain and (placed.is_alone or tries > 1):
            told += f", in {tries} tries" + ("" if error is None else f" ({error})")
            code = self._witness.exit_code(mark.process)
            return Answer(None, WorkerError(told, mark.stage, code, tries, peak), told)
        perhaps = "" if is_certain else "; perhaps because of what ran beside it"
        warn(f"{told}{perhaps}. It is tried once more, when nothing runs beside it")
        return "alone"

    def _told(self, placed: Placed, mark: Mark) -> tuple[str, int | None]:
        """Return what is said of a worker's death, and the most bytes that it held."""
        who = self._describe(placed.key, mark.stage)
        code = self._witness.exit_code(mark.process)  # first: then the system has noted its end
        peak = self._peaks.of_dead(mark.process)
        how = ""  # of what was ended for its time, the rest of the message tells
        if not mark.is_overdue:
            how = ending(code, peak, is_out_of_memory=self._peaks.is_out_of_memory())
        return f"{who}: its worker process {mark.process} died{how}", peak
