"""Orders: what travels to a worker and back, and what a worker does with it.

An order asks a worker to call a stage, or a pipeline for one case. Nothing is asked of the engine
that carries it (threads, processes, loky, Dask, submitit) but to call one function with one
argument and to bring back what it returns: whatever happens in the worker comes back as an answer.
No two orders are equal, so an engine that keeps results by what was called has none to give.

While a worker carries out an order it leaves a mark on a *board*, a temporary folder of the run:
its process, and the stage that it is at. Who sees a worker die finds there what it was doing.

Not promised: marks where workers do not see the folder, on another machine.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from memori.current_run import watcher
from memori.errors import MemoriError
from memori.files import remove_if_there
from memori.interrupts import adopt, terminable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from memori.node import Node
    from memori.results import Outcome

_HERE = os.urandom(8)  # with the process number, no other process anywhere has it


class Order:
    """One call that a worker is asked to make.

    Attributes
    ----------
    name : str
        That of no other order.
    parcel : Parcel
        With what is to be called.
    inputs : tuple of (tuple, mapping)
        Its arguments.
    home : Home
        Where it is asked for.
    board : Board
        Where the worker leaves its mark.
    tries : int
        How often an engine may begin it, should its workers die of it.
    """

    def __init__(
        self,
        parcel: Parcel,
        inputs: tuple[tuple[object, ...], Mapping[str, object]],
        home: Home,
        board: Board,
        tries: int,
    ) -> None:
        self.name = os.urandom(8).hex()
        self.parcel = parcel
        self.inputs = inputs
        self.home = home
        self.board = board
        self.tries = tries

    def call(self) -> Outcome:
        """Make the call."""
        args, kwargs = self.inputs
        return self.parcel.content.call(args, kwargs)


class Answer:
    """What came of an order.

    Attributes
    ----------
    run : Outcome or None
        What the call returned.
    error : BaseException or None
        What it raised.
    traceback : str
        Where, as Python prints it.
    deaths : tuple of Mark
        What workers left that died of this order before; it is not begun for ever.
    skipped : bool
        Whether it was not begun, because nobody wants it any more.
    """

    def __init__(
        self,
        run: Outcome | None = None,
        error: BaseException | None = None,
        traceback: str = "",
        *,
        deaths: tuple[Mark, ...] = (),
        skipped: bool = False,
    ) -> None:
        self.run = run
        self.error = error
        self.traceback = traceback
        self.deaths = deaths
        self.skipped = skipped

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


def answer_of(call: Callable[[], Outcome]) -> Answer:
    """Make a call; whatever it raises is the answer."""
    try:
        return Answer(call())
    except BaseException as error:
        import traceback

        return Answer(None, error, "".join(traceback.format_exception(error)))


def carry_out(order: Order) -> Answer:
    """Carry out an order, in a worker."""
    if order.home.is_here:
        return answer_of(order.call)
    if order.home.is_deserted:
        os._exit(1)  # the engine starts one order after the other, for nobody
    return order.board.marked(order)


class Parcel:
    """A stage or pipeline that travels: pickled once, at its first journey.

    Parameters
    ----------
    content : Node
        What travels.
    by_name : bool
        Whether functions of `__main__` are found there by their name, rather than sent along.
    """

    def __init__(self, content: Node, *, by_name: bool) -> None:
        self._content: Node | None = content
        self._pickled: bytes | None = None
        self._by_name = by_name

    @property
    def content(self) -> Node:
        """What has travelled, made anew after each journey."""
        if self._content is None:
            import pickle

            assert self._pickled is not None
            self._content = pickle.loads(self._pickled)
        return self._content

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

    import cloudpickle  # type: ignore[import-untyped]

    if by_name:
        try:
            return pickle.dumps(value)
        except Exception:
            pass  # a lambda or closure, which has no name to be found by
    return cloudpickle.dumps(value)  # type: ignore[no-any-return]


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
        replacement = kind(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            replacement.add_note(note)
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

    def is_above(self) -> bool:
        """Tell whether this process descends from that one."""
        from memori.watchdog import parent_of

        process: int | None = os.getppid()
        while process is not None and process > 1 and process != self.process:
            process = parent_of(process)
        return process == self.process

    def enter(self) -> None:
        """Make this process like the one where the call was asked for."""
        if self.is_here:
            return
        os.chdir(self._folder)
        if self._environment is not None and dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)


class Mark:
    """What a worker leaves while it carries out an order.

    Attributes
    ----------
    process : int
        Its number.
    is_main_thread : bool
        Whether the work is done in its main thread, where signals are heard.
    stage : str or None
        The stage that it was at, if it was at one.
    """

    def __init__(self, process: int, stage: str | None, *, is_main_thread: bool) -> None:
        self.process = process
        self.stage = stage
        self.is_main_thread = is_main_thread


class Board:
    """The folder of one run in which its workers leave their marks.

    A file ORDER.TRY for each order that is being carried out, a file worker-NUMBER for each
    worker process below this one (see `memori.watchdog`), and a file `stop` once nothing more
    is to begin.
    """

    _known: tuple[str, int] | None = None  # the board that this process is registered on

    def __init__(self) -> None:
        import tempfile

        self.folder = tempfile.mkdtemp(prefix="memori-")

    # In the process of the run

    def stop(self) -> None:
        """Let no further order begin."""
        os.close(os.open(os.path.join(self.folder, "stop"), os.O_CREAT | os.O_WRONLY))

    def close(self) -> None:
        """Remove the folder."""
        from memori.watchdog import remove_folder

        remove_folder(self.folder)

    def marks(self, order: Order) -> list[Mark]:
        """Return the marks that the workers of an order left: one for each time it was begun."""
        found = [self._read(f"{order.name}.{number}") for number in range(order.tries)]
        return [mark for mark in found if mark is not None]

    def beside(self, order: Order, process: int) -> bool:
        """Tell whether a process was at another order as well."""
        names = (n for n in os.listdir(self.folder) if "." in n and not n.startswith(order.name))
        return any(mark.process == process for n in names if (mark := self._read(n)) is not None)

    def withdraw(self, order: Order) -> None:
        """Have what comes of an order that is being carried out not be remembered."""
        for number in range(order.tries):
            remove_if_there(os.path.join(self.folder, f"{order.name}.{number}"))

    def workers(self) -> set[int]:
        """Return the living worker processes below this one."""
        from memori.watchdog import workers_in

        return {process for process, lives in workers_in(self.folder).items() if lives}

    def mark_of(self, process: int) -> str:
        """Return what marks the environment of all that a worker starts."""
        from memori.watchdog import mark_of_worker

        return mark_of_worker(self.folder, process)

    def _read(self, name: str) -> Mark | None:
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                process, thread, *stages = file.read().split(b"\0")[:-1]
        except (OSError, ValueError):
            return None
        stage = stages[-1].decode() or None if stages else None
        return Mark(int(process), stage, is_main_thread=thread == b"main")

    # In a worker

    def marked(self, order: Order) -> Answer:
        """Carry out an order with a mark on the board, unless nobody wants it any more."""
        is_below = self._register(order.home)
        if os.path.exists(os.path.join(self.folder, "stop")):
            return Answer(skipped=True)
        begun = self.marks(order)
        if len(begun) >= order.tries:
            return Answer(deaths=tuple(begun))
        path = os.path.join(self.folder, f"{order.name}.{len(begun)}")
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError:  # another machine, or nobody is there any more
            call = partial(self._call, order, adopted=False)
            return Answer(skipped=True) if is_below else answer_of(call)
        thread = "main" if _is_main_thread() else "other"
        os.write(descriptor, f"{os.getpid()}\0{thread}\0".encode())
        token = watcher.set(descriptor)
        try:
            with terminable():  # if it ends this process, the mark stays
                answer = answer_of(partial(self._call, order, adopted=is_below))
                answer.deaths = tuple(begun)
        finally:
            watcher.reset(token)
            os.close(descriptor)
        remove_if_there(path)
        return answer

    def _call(self, order: Order, *, adopted: bool) -> Outcome:
        order.home.enter()
        if not adopted:
            return order.call()
        adopt(self.mark_of(os.getpid()))
        try:
            return order.call()
        finally:
            adopt(None)

    def _register(self, home: Home) -> bool:
        """Tell whether this process descends from that of the run, which ends what it leaves."""
        known = (self.folder, os.getpid())
        if Board._known != known:
            if not home.is_above():
                return False
            _write_worker_file(self.folder)
            Board._known = known
        return True


def _write_worker_file(folder: str) -> None:
    from memori.watchdog import WORKER, birth

    try:
        with open(os.path.join(folder, f"{WORKER}{os.getpid()}"), "w", encoding="ascii") as file:
            file.write(birth(os.getpid()) or "")
    except OSError:
        pass  # the run is over


def _is_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()
