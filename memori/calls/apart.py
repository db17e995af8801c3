"""A callable run in a process of its own, so that all that it does can be watched.

A library in C opens files without telling Python (h5py, SimpleITK, SQLite). A program is seen whole
where commands are watched (`memori.watch.commands`); so for a stage with ``watch="process"`` a new
Python, started like any program of the run, makes the call. It has the folder, the environment, the
streams and the search path of this process, and the run's own folder.

It ends with this process. What the callable returns or raises comes back by pickle.

Not promised: what the callable changes in this process (globals, caches), as in any worker.
"""

from __future__ import annotations

import os
import pickle
import sys

from memori.calls.current_run import CurrentRun, current, entered
from memori.errors import StageError, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_START = "from memori.calls.apart import answer; answer()"
_CALL, _ANSWER = "call", "answer"


def call_apart(function: Callable[..., Any], *args: object) -> Any:
    """Return ``function(*args)``, called in a new process.

    Parameters
    ----------
    function : callable
        What to call.
    *args : object
        What it is given.

    Raises
    ------
    StageError
        If it cannot be sent there, or the process dies.
    BaseException
        What the callable raises.
    """
    import subprocess
    import tempfile

    run = current()
    about = (list(sys.path), None if run is None else (run.stage_name, run.own_folder()))
    with tempfile.TemporaryDirectory(prefix="memori-apart-") as folder:
        _put(f"{folder}/{_CALL}", (about, _packed((function, args))))
        reader, writer = os.pipe()  # closed when this process ends, in whatever way
        words = [sys.executable, "-c", _START, folder, str(reader)]
        try:
            with subprocess.Popen(words, pass_fds=[reader]) as process:
                os.close(reader)
                try:
                    code = process.wait()
                except BaseException:  # Ctrl-C
                    process.kill()
                    raise
        finally:
            os.close(writer)
        try:
            with open(f"{folder}/{_ANSWER}", "rb") as file:
                is_error, value = pickle.load(file)
        except FileNotFoundError:
            raise StageError(
                f"the process in which the stage ran (watch='process') died: exit code {code}"
            ) from None
    if is_error:
        raise value
    return value


def answer() -> None:
    """Make the call that this process was started for."""
    folder, reader = sys.argv[1], int(sys.argv[2])
    _end_with(reader)
    with open(f"{folder}/{_CALL}", "rb") as file:
        (path, about), packed = pickle.load(file)
    sys.path[:] = path
    try:
        function, args = pickle.loads(packed)
        if about is None:
            found = False, function(*args)
        else:
            with entered(CurrentRun(about[0], (), lambda: about[1])):
                found = False, function(*args)
    except BaseException as error:
        import traceback

        note(error, "".join(traceback.format_exception(error)))
        found = True, error
    _put(f"{folder}/{_ANSWER}", found)
    sys.stdout.flush()


def _put(path: str, value: object) -> None:
    packed = _packed(value)
    with open(f"{path}.new", "wb") as file:
        file.write(packed)
    os.replace(f"{path}.new", path)


def _packed(value: object) -> bytes:
    from memori.processes.pickles import pickled

    try:
        return pickled(value)
    except Exception as error:
        if isinstance(value, tuple) and len(value) == 2 and value[0] is True:
            return pickled((True, StageError(repr(value[1]))))
        raise StageError(f"watch='process': {value!r} cannot be sent to another process") from error


def _end_with(reader: int) -> None:
    """End this process when the one that started it does."""
    from threading import Thread

    def wait() -> None:
        os.read(reader, 1)
        os._exit(1)

    Thread(target=wait, daemon=True).start()
