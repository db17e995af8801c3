"""Dispatch: the orders of one run are placed, waited for, and found again when a worker died.

What had not begun when its pool broke, or ran in a worker that was well, begins again; what a dead
worker was at is tried once more, alone (`memori.scheduling.deaths`). So one case that cannot work
costs two workers, and no other case.

A run that is left by an exception (Ctrl-C, SIGTERM) leaves nothing: what waits is cancelled, what
works is interrupted, then ended.

Not promised: which of several was at fault, where the engine does not tell of what its workers
died; each of them is then tried alone.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from memori.errors import MemoriError
from memori.processes import interrupts, watchdog
from memori.scheduling.board import Board
from memori.scheduling.deaths import Deaths, Placed
from memori.scheduling.futures import cancel, is_done
from memori.scheduling.orders import Answer, Home, Order, Parcel, carry_out
from memori.scheduling.peaks import Peaks
from memori.scheduling.post import Post
from memori.scheduling.witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from memori.scheduling.deaths import Outcome
    from memori.scheduling.orders import Carrier
    from memori.scheduling.workers import Workers
    from memori.signature.resources import Resources

    Key: TypeAlias = Any

PATIENCE = 0.5  # seconds in which a worker that was interrupted with us has answered
SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 0.5  # seconds between two looks at what does not tell
LONGEST_SILENCE = 0.1  # seconds in which what workers say is heard
LONGEST_WAIT = 0.2  # seconds in which a signal is noticed, and how workers grow


class Dispatch:
    """The orders of one run.

    Parameters
    ----------
    workers : Workers
        Where they go.
    describe : callable
        Given a key and the name of a stage (or None), returns what a message calls them.
    hear : callable, optional
        What is given what stages tell.
    """

    def __init__(
        self,
        workers: Workers,
        describe: Callable[[Key, str | None], str],
        hear: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        from queue import SimpleQueue

        self._workers = workers
        self._describe = describe
        self._board = Board()
        self._post = Post(self._board.folder, hear)
        self._mark = interrupts.new_mark()
        interrupts.tell(self._mark, "begin", None)
        interrupts.tell(self._mark, "workers", self._board.folder)
        self._home = Home(with_environment=workers.are_local)
        self._parcels: dict[int, Parcel] = {}
        self._going: dict[str, Placed] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._polled: dict[str, Any] = {}  # the futures that do not tell when they are done
        self._is_checked = self._is_closed = False
        self._witness = Witness(self._at_work)
        self._peaks = Peaks(self._orders_of_workers)
        self._deaths = Deaths(self._board, self._witness, self._peaks, describe)

    def close(self, *, is_left: bool = False) -> None:
        """Let go of everything, and end what is going on, for who leaves before the end."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if is_left:
                self._end()
        finally:
            self._workers.close()
            self._board.close()
            interrupts.tell(self._mark, "end")

    @contextmanager
    def ended_by_errors(self) -> Iterator[None]:
        """End what is going on when something is raised inside a with block."""
        try:
            yield
        except BaseException:
            self.close(is_left=True)
            raise

    def __len__(self) -> int:
        return len(self._going)

    # Placing

    def place(
        self, key: Key, carrier: Carrier, asked: object, wanted: Resources, *, alone: bool = False
    ) -> None:
        """Ask a worker to do something that needs so much.

        Raises
        ------
        MemoriError
            If there is no worker to ask.
        """
        parcel = self._parcels.get(id(carrier))
        if parcel is None:
            by_name = self._workers.find_by_name
            parcel = self._parcels[id(carrier)] = Parcel(carrier, by_name=by_name)
            if by_name or self._workers.are_local:
                parcel.pickled()  # it will have to travel: if it cannot, say so at once
                self._workers.serve(carrier.codes())
        order = Order(parcel, asked, self._home, self._board, self._post, tries=1 if alone else 2)
        self._witness.look()
        future = self._submit(order, wanted)
        self._going[order.name] = Placed(key, order, future, alone=alone)
        for process in self._witness.look_again():
            self._board.name_worker(process)
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(lambda done: self._note(order.name, done))
        else:
            self._polled[order.name] = future

    def _submit(self, order: Order, wanted: Resources) -> Any:
        from concurrent.futures import BrokenExecutor

        while True:
            executor = self._workers.executor
            try:
                future = self._workers.submit(carry_out, order, wanted)
            except BrokenExecutor as error:
                self._workers.replace(error)
                continue
            self._check(executor, future)
            return future

    def _check(self, executor: object, future: Any) -> None:
        """Refuse, at the first call, an executor that nothing can be heard of."""
        if self._is_checked:
            return
        self._is_checked = True
        try:
            if not callable(future.result):
                raise TypeError(f"{future.result!r} is no method")
            future.done()
        except Exception as error:
            cancel(future)
            raise MemoriError(
                f"{executor!r} returned for a call {type(future).__name__}, which cannot be asked "
                f"for done() and result() ({error}): give an executor as concurrent.futures has "
                "them, outside of any batch"
            ) from error

    def _note(self, name: str, future: Any) -> None:
        """Take note that a future is done; in a thread of the engine, before it tidies up."""
        from concurrent.futures import BrokenExecutor

        try:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, BrokenExecutor):
                self._witness.examine(error)
        finally:
            self._ended.put(name)

    # Waiting

    def collect(self, *, wait: bool) -> list[tuple[Key, Outcome]]:
        """Return what came of the orders that ended since the last call.

        Parameters
        ----------
        wait : bool
            Whether to wait for one, if none did.

        Returns
        -------
        list of (key, outcome)
            An `Answer`; or "again" for what is to be placed again, and "alone" for what is to be
            placed again when nothing else is out.
        """
        return [(each.key, self._outcome(each)) for each in self._take(wait=wait)]

    def _take(self, *, wait: bool) -> list[Placed]:
        pause = SHORTEST_PAUSE
        while True:
            found: list[Placed] = []
            while not self._ended.empty():
                placed = self._going.pop(self._ended.get(), None)
                found += [] if placed is None else [placed]  # None for one that was cancelled
            self._post.deliver()
            self._peaks.look()
            if found or not wait or not self._going:
                return found
            self._end_overdue()
            done = [name for name, future in self._polled.items() if is_done(future)]
            for name in done:
                del self._polled[name]
                self._ended.put(name)
            if not done:
                longest = LONGEST_SILENCE if self._post.is_wanted else LONGEST_WAIT
                self._wait_for_note(min(pause, longest) if self._polled else longest)
                pause = min(1.5 * pause, LONGEST_PAUSE)

    def _end_overdue(self) -> None:
        """End the workers whose stage goes on past its time, though it was interrupted."""
        import signal

        marks = [self._board.marks(placed.order.name) for placed in list(self._going.values())]
        late = {each[-1].process for each in marks if each and each[-1].is_overdue}
        for process in late & self._board.workers() if late else ():
            watchdog.send(os.kill, process, signal.SIGKILL)

    def _wait_for_note(self, seconds: float) -> None:
        from queue import Empty

        try:
            self._ended.put(self._ended.get(timeout=seconds))
        except Empty:
            pass

    def _outcome(self, placed: Placed) -> Outcome:
        from concurrent.futures import BrokenExecutor, CancelledError

        if not hasattr(placed.future, "add_done_callback") and self._deaths.is_deserted(placed):
            return self._deaths.of_unanswered(placed, None)  # some wait long before they say so
        try:
            answer = placed.future.result()
        except BrokenExecutor as error:
            return self._deaths.of_broken(placed, error)
        except CancelledError as error:
            who = self._describe(placed.key, None)
            return Answer(
                None, MemoriError(f"{who}: it was cancelled by its executor"), repr(error)
            )
        except BaseException as error:
            return self._deaths.of_unanswered(placed, error)
        if not isinstance(answer, Answer):
            told = f"the executor returned {answer!r} in the place of an answer"
            return Answer(None, MemoriError(told), told)
        self._witness.fruitless = 0
        self._post.deliver(answer.told)
        return self._deaths.of_answered(placed, answer) if answer.deaths else answer

    # Ending

    def stop(self) -> None:
        """Begin nothing more; what is at work goes on."""
        self._board.stop()
        for placed in list(self._going.values()):
            if not self._board.marks(placed.order.name) and cancel(placed.future):
                self._forget(placed)

    def _end(self) -> None:
        """End all that is going on, for a user who interrupts."""
        self.stop()
        for future in self._polled.values():
            cancel(future)
        elsewhere = [p for p in self._going.values() if self._board.marks(p.order.name)]
        interrupts.end_started()
        self._end_workers()
        self._workers.end()
        for placed in elsewhere:  # an engine may go on with it; threads of ours are waited for
            self._board.withdraw(placed.order.name)
            if placed.order.name in self._polled or cancel(placed.future):
                self._forget(placed)
        again = time.monotonic() + interrupts.GRACE
        until = again if interrupts.is_terminating() else None
        while not _is_over(until) and not all(is_done(p.future) for p in self._going.values()):
            time.sleep(SHORTEST_PAUSE)
            if _is_over(again):  # a thread that hears no signal may have started something since
                interrupts.end_started()
                again = time.monotonic() + interrupts.GRACE

    def _forget(self, placed: Placed) -> None:
        self._polled.pop(placed.order.name, None)
        self._going.pop(placed.order.name, None)

    def _at_work(self) -> set[int]:
        """Return the worker processes that are at an order."""
        return set(self._orders_of_workers())

    def _orders_of_workers(self) -> dict[int, str]:
        names = [placed.order.name for placed in list(self._going.values())]
        marks = [(name, self._board.marks(name)) for name in names]
        return {each[-1].process: name for name, each in marks if each}

    def _end_workers(self) -> None:
        """Interrupt the workers below this process that are at work; end those that do not heed."""
        import signal

        ours = self._board.workers()
        heeding: set[int] = set()
        for placed in self._going.values():
            for mark in self._board.marks(placed.order.name):
                if mark.is_main_thread:
                    heeding.add(mark.process)
                else:
                    self._board.withdraw(placed.order.name)
        heeding &= ours
        self._wait_for(heeding, PATIENCE)
        goes_on = not self._workers.are_local and not interrupts.is_terminating()
        for process in heeding & self._at_work():  # who will not be needed tidies up and ends
            watchdog.send(os.kill, process, signal.SIGINT if goes_on else signal.SIGTERM)
        self._wait_for(heeding, interrupts.GRACE / 2)
        ended = heeding & self._at_work()
        if interrupts.is_terminating():
            ended |= ours | self._witness.started
        watchdog.end(ended, [self._board.mark_of(process) for process in ours], grace=1.0)

    def _wait_for(self, processes: set[int], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not _is_over(until) and processes & self._at_work():
            time.sleep(0.02)


def _is_over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until
