"""What an app says: lines on stdout and stderr, a log of each run, and a file for each crash.

As of fMRIPrep, `OUT_DIR/logs` holds the log of each run, and `sub-01/log/RUN/crash-*.txt` tells of
a participant's failure. A run in which nothing ran and nothing failed leaves no log: it changes
nothing.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from memori.files import remove_if_there
from memori.neuro.bids_app.levels import Done

IGNORED = ("logs", "sub-*/log")
"""What `.bidsignore` of the derivatives needs for these files."""


class Telling:
    """Says things, and keeps them.

    Parameters
    ----------
    name : str
        The app.
    folder : str
        OUT_DIR.
    words : sequence of str
        The command line, which the log begins with.
    """

    def __init__(self, name: str, folder: str, words: Sequence[str]) -> None:
        self.name = name
        self.folder = folder
        self.run = f"{time.strftime('%Y%m%d-%H%M%S')}_{os.urandom(3).hex()}"
        self.path = os.path.join(folder, "logs", f"{name}-{self.run}.log")
        self._lines = [f"$ {shlex.join([name, *words])}"]
        self._is_open = False

    def open(self) -> None:
        """Write from now on, too, what is said; OUT_DIR is there."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._is_open = True
        self._write(self._lines)

    def say(self, text: str = "", *, is_error: bool = False) -> None:
        """Say a line."""
        stream = sys.stderr if is_error else sys.stdout
        try:
            print(text, file=stream, flush=True)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # the terminal is gone
        stamped = [f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}" for line in text.splitlines()]
        self._lines += stamped
        if self._is_open:
            self._write(stamped)

    def warn(self, text: str) -> None:
        """Say a warning."""
        self.say(f"{self.name}: warning: {text}", is_error=True)

    def _write(self, lines: Sequence[str]) -> None:
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    def forget(self) -> None:
        """Remove the log of a run that changed nothing."""
        self._is_open = False
        remove_if_there(self.path)
        try:
            os.rmdir(os.path.dirname(self.path))
        except OSError:
            pass  # it holds logs of other runs

    @contextmanager
    def hearing_warnings(self) -> Iterator[None]:
        """Have warnings said in one line each."""
        with warnings.catch_warnings():

            def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
                self.warn(" ".join(str(message).split()))

            warnings.showwarning = show
            yield

    def crash(self, label: str, title: str, done: Done, again: str) -> str:
        """Write what is known of a failure, and return the file."""
        failure = done.failure
        stage = (failure.stage if failure else None) or "app"
        plain = re.sub(r"[^0-9A-Za-z]+", "-", f"{stage}-{title.removeprefix(f'sub-{label}')}")
        name = f"crash-{self.run}-{plain.strip('-')}.txt"
        place = [f"sub-{label}", "log", self.run] if label else ["logs"]
        path = os.path.join(self.folder, *place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        told = [title, done.problem, f"again: {again}"]
        if failure and failure.log:
            told.append(f"the stage's own log: {failure.log}")
        told += ["", failure.traceback] if failure else []
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write("\n".join(told) + "\n")
        return path
