"""The post: what workers say while they work, as it comes in.

What stages tell (`memori.calls.telling`), and what is logged there. A worker that sees the folder
of the run writes it to a file there, a line for each; another one sends it along with its answer.
The logging of a worker is that of the process of the run: its levels hold, and its handlers get
what is logged, once. Handlers that a worker has of its own, other than to the terminal, get it too.

Not promised: what a worker logs beside its orders.
"""

from __future__ import annotations

import json
import os
import sys
from _thread import allocate_lock

from memori.calls.current_run import current
from memori.calls.telling import listener
from memori.errors import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from contextvars import Token
    from typing import Any

    from memori.calls.telling import Listener

    Told = dict[str, Any]

_FILE = "told-"


class Post:
    """What the workers of one run say.

    Parameters
    ----------
    folder : str
        Which they share with the process of the run, where they can.
    hear : callable or None
        What is given what stages tell; None if nobody wants to know.
    """

    def __init__(self, folder: str, hear: Callable[[Told], None] | None) -> None:
        from queue import SimpleQueue

        self.folder = folder
        self.tells = hear is not None
        self.levels = _levels()
        self._hear = hear
        self._here: SimpleQueue[Told] = SimpleQueue()
        self._read: dict[str, int] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "tells": self.tells, "levels": self.levels}

    @property
    def is_wanted(self) -> bool:
        """Whether workers have something to say."""
        return self.tells or self.levels is not None

    # In the process of the run

    def deliver(self, further: list[Told] | None = None) -> None:
        """Pass on what came in."""
        if not self.is_wanted:
            return
        while not self._here.empty():
            self._pass_on(self._here.get())
        for each in further or ():
            self._pass_on(each)
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(_FILE):
                for line in self._new_lines(name):
                    self._pass_on(json.loads(line))

    def _new_lines(self, name: str) -> list[bytes]:
        with open(os.path.join(self.folder, name), "rb") as file:
            file.seek(self._read.get(name, 0))
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._read[name] = self._read.get(name, 0) + len(whole) + 1
        return whole.splitlines()

    def _pass_on(self, told: Told) -> None:
        if "log" in told:
            import logging

            record = logging.makeLogRecord(told["log"])
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        elif self._hear is not None:
            self._hear(told)

    def say_here(self, told: Told) -> None:
        """Take what is told in this very process."""
        self._here.put(told)


class posted:  # noqa: N801  a context manager, read as a word
    """Send what a worker says inside a with block.

    Attributes
    ----------
    kept : list of dict
        What is to travel with the answer, because the folder is not to be seen from here.
    """

    def __init__(self, post: Post, *, is_here: bool) -> None:
        self._post = post
        self._is_here = is_here
        self._hits: list[Told] = []
        self._descriptor: int | None = None
        self._token: Token[Listener | None] | None = None
        self.kept: list[Told] = []

    def __enter__(self) -> posted:
        if not self._post.is_wanted:
            return self
        if self._post.tells:
            self._token = listener.set(self._post.say_here if self._is_here else self._tell)
        if not self._is_here:
            path = os.path.join(self._post.folder, f"{_FILE}{os.getpid()}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            try:
                self._descriptor = os.open(path, flags, 0o600)
            except OSError:
                pass  # another machine
            if self._post.levels is not None:
                _forward(self._post.levels, self._log)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            listener.reset(self._token)
        if self._post.levels is not None and not self._is_here:
            _forward_no_more(self._log)
        self._send([])
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _tell(self, told: Told) -> None:
        if "error" in told:
            told = {**told, "error": f"{type(told['error']).__name__}: {text_of(told['error'])}"}
        if told.get("hit"):
            self._hits.append(told)  # there may be very many
        else:
            self._send([told])

    def _log(self, record: Told) -> None:
        self._send([{"log": record}])

    def _send(self, told: list[Told]) -> None:
        sent, self._hits = [*self._hits, *told], []
        if self._descriptor is None:
            self.kept += sent
        elif sent:
            text = "".join(f"{json.dumps(each)}\n" for each in sent)
            try:
                os.write(self._descriptor, text.encode())
            except OSError:  # the disk is full
                self.kept += sent


# Logging


class _Levels:
    """How logging is set in the process of a run."""

    def __init__(
        self, levels: dict[str, int], handlers: frozenset[int], files: frozenset[str]
    ) -> None:
        self.levels = levels
        self.handlers = handlers
        self.files = files


def _levels() -> _Levels | None:
    """Return how logging is set here; None if nothing hears it."""
    if "logging" not in sys.modules:
        return None
    loggers = _loggers()
    handlers = [each for logger in loggers for each in logger.handlers]
    if not handlers:
        return None
    files = frozenset(name for each in handlers if (name := getattr(each, "baseFilename", "")))
    levels = {each.name: each.level for each in loggers if each.level}
    return _Levels(levels, frozenset(map(id, handlers)), files)


def _loggers() -> list[logging.Logger]:
    import logging

    known = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]


_guard = allocate_lock()
_targets: list[Callable[[Told], None]] = []
_before: list[tuple[logging.Logger, list[logging.Handler], int]] = []


def _forward(levels: _Levels, target: Callable[[Told], None]) -> None:
    """Have what is logged in this process given to a target."""
    import logging

    with _guard:
        _targets.append(target)
        if len(_targets) > 1:
            return
        for name in levels.levels:
            logging.getLogger(None if name == "root" else name)
        for logger in _loggers():
            _before.append((logger, logger.handlers, logger.level))
            logger.handlers = [h for h in logger.handlers if not _is_of_run(h, levels)]
            if logger.level in (logging.NOTSET, logging.WARNING):
                logger.level = levels.levels.get(logger.name, logger.level)
        logging.root.handlers = [*logging.root.handlers, _forwarder()]
        logging.root.manager._clear_cache()  # type: ignore[attr-defined]


def _is_of_run(handler: logging.Handler, levels: _Levels) -> bool:
    """Tell whether a handler came with a fork, or writes where those of the run do."""
    import logging

    if id(handler) in levels.handlers or getattr(handler, "baseFilename", "") in levels.files:
        return True
    streams = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    return type(handler) is logging.StreamHandler and handler.stream in streams


def _forward_no_more(target: Callable[[Told], None]) -> None:
    import logging

    with _guard:
        if target in _targets:
            _targets.remove(target)
        if not _targets:
            for logger, handlers, level in _before:
                logger.handlers, logger.level = handlers, level
            _before.clear()
            logging.root.manager._clear_cache()  # type: ignore[attr-defined]


def _forwarder() -> logging.Handler:
    import logging

    class Forwarder(logging.Handler):
        """Gives what is logged to the run for which it was."""

        def emit(self, record: logging.LogRecord) -> None:
            plain = (str, int, float, bool, type(None))
            told = {k: v for k, v in record.__dict__.items() if isinstance(v, plain)}
            told["msg"] = record.getMessage()
            told.pop("args", None)
            if record.exc_info and not record.exc_text:
                told["exc_text"] = logging.Formatter().formatException(record.exc_info)
            run = current()
            told.setdefault("stage", None if run is None else run.stage_name)
            if _targets:
                _targets[-1](told)

    return Forwarder()
