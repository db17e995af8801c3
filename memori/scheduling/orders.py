"""Orders: what travels to a worker and back, and what a worker does with it.

An order asks a worker to do something of a case, or of several (`memori.graph.stretch`). Nothing is
asked of the engine that carries it (threads, processes, loky, Dask, submitit) but to call one
function with one argument and to bring back what it returns: whatever happens in the worker comes
back as an answer.
No two orders are equal, so an engine that keeps results by what was called has none to give.

A worker runs in the working folder (ours also in the environment) from which it is asked, and
leaves a mark while it is at work (`memori.scheduling.board`).

Not promised: to carry back an error that cannot be pickled; its text comes in its place.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache, partial

from memori.calls.current_run import watcher
from memori.calls.fault import taken
from memori.calls.twin import meeting_place
from memori.errors import MemoriError, note, text_of
from memori.processes.interrupts import adopt, terminable
from memori.scheduling.post import posted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any, Protocol

    from memori.scheduling.board import Board, Mark
    from memori.scheduling.post import Post

    class Carrier(Protocol):
        """Who does in a worker what an order asks for."""

        def carry_out(self, asked: Any, is_stopped: Callable[[], bool], /) -> object:
            """Do it; begin nothing more once it is stopped."""

        def codes(self) -> Iterable[CodeType]:
            """Return the code of the functions that it reaches."""


_HERE = os.urandom(8)  # with the process number, no other process anywhere has it


class Order:
    """One call that a worker is asked to make.

    Attributes
    ----------
    name : str
        That of no other order.
    parcel : Parcel
        With who does what is asked.
    asked : object
        What that is.
    home : Home
        Where it is asked for.
    board : Board
        Where the worker leaves its mark.
    post : Post
        Where it sends what it says.
    tries : int
        How often an engine may begin it, should its workers die of it.
    """

    def __init__(
        self,
        parcel: Parcel,
        asked: object,
        home: Home,
        board: Board,
        post: Post,
        tries: int,
    ) -> None:
        self.name = os.urandom(8).hex()
        self.parcel = parcel
        self.asked = asked
        self.home = home
        self.board = board
        self.post = post
        self.tries = tries

    def call(self) -> object:
        """Do what is asked; it is also asked whether nothing more is to begin."""
        token = meeting_place.set(self.board.folder)
        try:
            return self.parcel.content.carry_out(self.asked, lambda: self.board.is_stopped)
        finally:
            meeting_place.reset(token)


class Answer:
    """What came of an order.

    Attributes
    ----------
    made : object
        What was returned; None if something was raised.
    error : BaseException or None
        What it raised.
    traceback : str
        Where, as Python prints it.
    deaths : tuple of Mark
        What workers left that died of this order before; it is not begun for ever.
    skipped : bool
        Whether it was not begun, because nobody wants it any more.
    told : list of dict
        What the worker said, if it could not be heard before.
    stage, log : str or None
        The stage that failed, and the file that tells of it.
    """

    def __init__(
        self,
        made: Any = None,
        error: BaseException | None = None,
        traceback: str = "",
        *,
        deaths: tuple[Mark, ...] = (),
        skipped: bool = False,
    ) -> None:
        self.made = made
        self.error = error
        self.traceback = traceback
        self.deaths = deaths
        self.skipped = skipped
        self.told: list[dict[str, Any]] = []
        self.stage, self.log = (None, None) if error is None else taken(error)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.error is not None:
            state["error"] = _sealed(self.error)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        import pickle

        if state["error"] is not None:
            state["error"] = pickle.loads(state["error"])
            state["error"].__cause__ = WorkerTraceback(state["traceback"])
        self.__dict__.update(state)


class WorkerTraceback(Exception):  # noqa: N818  it is no error, but where one was raised
    """Where an error was raised that came from another process: its cause, as it is printed."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def answer_of(call: Callable[[], object]) -> Answer:
    """Make a call; whatever it raises is the answer."""
    try:
        return Answer(call())
    except BaseException as error:
        import traceback

        return Answer(None, error, "".join(traceback.format_exception(error)))


def carry_out(order: Order) -> Answer:
    """Carry out an order, in a worker."""
    if order.home.is_here:
        with posted(order.post, is_here=True):
            return answer_of(order.call)
    if order.home.is_deserted:
        os._exit(1)  # the engine starts one order after the other, for nobody
    board = order.board
    is_below = board.register(order.home.process)
    if board.is_stopped or (is_below and not board.is_there):
        return Answer(skipped=True)
    begun = tuple(board.marks(order.name))
    if len(begun) >= order.tries or any(each.is_overdue for each in begun):
        return Answer(deaths=begun)
    mark = board.begin(order.name)
    if mark is None:  # another machine, or a disk that is full
        return _answered(order, None)
    token = watcher.set(mark)
    try:
        with terminable():  # if it ends this process, the mark stays
            own = board.mark_of(os.getpid()) if is_below else None
            answer = _answered(order, own)
            answer.deaths = begun
    finally:
        watcher.reset(token)
        os.close(mark)
    board.withdraw(order.name)
    if is_below:
        _end_pool_of_joblib()
    return answer


def _end_pool_of_joblib() -> None:
    """End the processes that joblib keeps for later, which would keep this one from ending."""
    loaded = sys.modules.get("joblib.externals.loky.reusable_executor")
    kept = getattr(loaded, "_executor", None)
    if kept is not None:
        kept.shutdown(wait=True, kill_workers=True)


def _answered(order: Order, mark: str | None) -> Answer:
    said = posted(order.post, is_here=False)
    answer = answer_of(partial(_call, order, mark, said))
    answer.told = said.kept
    return answer


def _call(order: Order, mark: str | None, said: posted) -> object:
    """Make the call, marking what it starts."""
    order.home.enter()
    adopt(mark)
    try:
        order.parcel.unpack()  # which imports modules that may set up logging
        with said:
            return order.call()
    finally:
        adopt(None)


class Parcel:
    """Stages that travel: pickled once, at their first journey.

    Parameters
    ----------
    content : Carrier
        What travels.
    by_name : bool
        Whether functions of `__main__` are found there by their name, rather than sent along.
    """

    def __init__(self, content: Carrier, *, by_name: bool) -> None:
        self._content: Carrier | None = content
        self._pickled: bytes | None = None
        self._by_name = by_name

    @property
    def content(self) -> Carrier:
        """What has travelled, made anew after each journey."""
        if self._content is None:
            import pickle

            assert self._pickled is not None
            self._content = pickle.loads(self._pickled)
        return self._content

    def unpack(self) -> None:
        """Make the content anew, if that is still to be done."""
        _ = self.content

    def pickled(self) -> bytes:
        """Return the content as bytes.

        Raises
        ------
        MemoriError
            If it cannot be pickled.
        """
        if self._pickled is None:
            try:
                self._pickled = _pickled(self._content, by_name=self._by_name)
            except Exception as error:
                raise MemoriError(
                    f"{self._content!r} cannot be sent to a worker process "
                    f"({type(error).__name__}: {error}); run it in threads, with "
                    "executor=ThreadPoolExecutor(...), or make inside the function what cannot be "
                    "pickled"
                ) from error
        return self._pickled

    def __getstate__(self) -> bytes:
        return self.pickled()

    def __setstate__(self, pickled: bytes) -> None:
        self._content, self._by_name, self._pickled = None, False, pickled


def _pickled(value: object, *, by_name: bool) -> bytes:
    import pickle

    from memori.processes.pickles import pickled

    if by_name:
        try:
            return pickle.dumps(value)
        except Exception:
            pass  # a lambda or closure, which has no name to be found by
    return pickled(value)


def _sealed(error: BaseException) -> bytes:
    """Pickle an error; one that cannot be made again goes as its text."""
    import pickle

    try:
        pickled = _pickled(error, by_name=False)
        pickle.loads(pickled)
    except Exception:
        return pickle.dumps(portable(error))
    return pickled


def portable(error: BaseException) -> BaseException:
    """Return an error that can leave this process: itself, or one with its text."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        kinds = (KeyboardInterrupt, SystemExit)
        kind = next((kind for kind in kinds if isinstance(error, kind)), MemoriError)
        replacement = kind(f"{type(error).__name__}: {text_of(error)}")
        for text in getattr(error, "__notes__", ()):
            note(replacement, text)
        return replacement
    return error


class Home:
    """Where a call was asked for: the process, its working folder and its environment.

    Worker processes outlive the call that started them, and would go on in the folder and
    environment of that moment.
    """

    def __init__(self, *, with_environment: bool) -> None:
        self.process = os.getpid()
        self._here = _HERE
        self._folder = os.getcwd()
        self._environment = dict(os.environ) if with_environment else None
        self._pickled: bytes | None = None

    def __reduce__(self) -> tuple[Callable[[bytes], Home], tuple[bytes]]:
        """Travel with every order, and be pickled once."""
        if self._pickled is None:
            import pickle

            self._pickled = pickle.dumps(self.__dict__)
        return _home_of, (self._pickled,)

    @property
    def is_here(self) -> bool:
        """Whether this is the very process."""
        return os.getpid() == self.process and self._here == _HERE

    @property
    def is_deserted(self) -> bool:
        """Whether that process started this one, and is gone."""
        loaded = sys.modules.get("multiprocessing.process")
        parent = None if loaded is None else loaded.parent_process()
        if parent is None or parent.pid != self.process or os.getppid() == parent.pid:
            return False
        try:  # the child of a fork server, or of nobody
            os.kill(parent.pid, 0)
        except OSError as error:
            return isinstance(error, ProcessLookupError)
        return False

    def enter(self) -> None:
        """Make this process like the one where the call was asked for."""
        if self.is_here:
            return
        os.chdir(self._folder)
        if self._environment is not None and dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)


@lru_cache(1)
def _home_of(pickled: bytes) -> Home:
    import pickle

    home = Home.__new__(Home)
    home.__dict__.update(pickle.loads(pickled))
    return home
