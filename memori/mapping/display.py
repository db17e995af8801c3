"""Displays: where a map shows how far it is.

In a terminal progress is drawn by rich, in a notebook it is a text that changes, and where neither
is there it is a line now and then: by the logger ``memori.progress``, or on standard error if it
was asked for and nothing hears that logger. ``MEMORI_PROGRESS=off`` shows none.

Not promised: a display for a map inside a stage, or beside another one of the same process.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec

from memori.calls.current_run import current
from memori.mapping.progress import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, Self

    from memori.mapping.progress import Progress

    class Display(Protocol):
        """Where progress is shown."""

        def show(self, progress: Progress) -> None:
            """Show it, as it is now."""

        def close(self, progress: Progress) -> None:
            """Show how it ended."""


_PAUSE = 0.25  # seconds between two looks
_SHORTEST = 0.5  # seconds before anything is shown
_BETWEEN_LINES = 10.0


_going: list[shown] = []  # in this process, where one display is enough


class shown:  # noqa: N801  a context manager, read as a word
    """Show a progress inside a with block, by a thread that looks at it now and then."""

    def __init__(self, progress: Progress, display: Display) -> None:
        from threading import Event as Flag
        from threading import Thread

        self._progress = progress
        self._display = display
        self._is_over = Flag()
        self._has_shown = False
        self._thread = Thread(target=self._show, name="memori-progress", daemon=True)

    def __enter__(self) -> Self:
        _going.append(self)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        _going.remove(self)
        if self._has_shown:
            self._is_seen(self._display.close)

    def _show(self) -> None:
        pause = _SHORTEST
        while not self._is_over.wait(pause):
            pause = _PAUSE
            self._has_shown = True
            if not self._is_seen(self._display.show):
                return

    def _is_seen(self, how: Callable[[Progress], None]) -> bool:
        """Show it, and tell whether that went well: who cannot look on loses no result by it."""
        try:
            how(self._progress)
        except (
            OSError,
            ValueError,
        ):  # the terminal is gone, the disk of the log full, it is closed
            return False
        return True


def display_for(wish: bool | None) -> Display | None:
    """Return where progress is to be shown; None for nowhere.

    Parameters
    ----------
    wish : bool or None
        Whether it is to be shown; None for where a person looks on or a log takes it. A map
        inside a stage, or beside another one that is shown, is never shown.
    """
    if _going or current() is not None:
        return None
    if wish is False or (wish is None and os.environ.get("MEMORI_PROGRESS") in ("off", "0")):
        return None
    if _is_notebook():
        return _Notebook()
    if sys.stderr is not None and sys.stderr.isatty():
        if os.environ.get("TERM") != "dumb" and find_spec("rich") is not None:
            return _Terminal()
        return _Lines(_print)
    if _is_logged():
        return _Lines(_log)
    return _Lines(_print) if wish else None


def _is_notebook() -> bool:
    loaded = sys.modules.get("IPython")
    shell = None if loaded is None else loaded.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _is_logged() -> bool:
    if "logging" not in sys.modules:
        return False
    logger = sys.modules["logging"].getLogger("memori.progress")
    return bool(logger.isEnabledFor(20) and logger.hasHandlers())  # INFO


def _log(line: str) -> None:
    import logging

    logging.getLogger("memori.progress").info("%s", line)


def _print(line: str) -> None:
    print(f"memori: {line}", file=sys.stderr, flush=True)


class _Lines:
    """A line now and then, when something changed, and one at the end."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put
        self._next = 0.0
        self._last: tuple[object, ...] = ()

    def show(self, progress: Progress) -> None:
        now = progress.done, tuple(stage for stage, _, _ in progress.going())
        if now != self._last and time.monotonic() >= self._next:
            self._last, self._next = now, time.monotonic() + _BETWEEN_LINES
            self._put(str(progress))

    def close(self, progress: Progress) -> None:
        self._put(f"{progress.counts()} in {duration(time.monotonic() - progress.began)}")


class _Notebook:
    """A text that changes in its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, progress: Progress) -> None:
        self._put(str(progress))

    def close(self, progress: Progress) -> None:
        self._put(f"{progress.counts()} in {duration(time.monotonic() - progress.began)}")

    def _put(self, text: str) -> None:
        import IPython.display

        display: Any = IPython.display.display
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


class _Terminal:
    """A bar and the stages that run, drawn by rich at the end of what else is printed."""

    def __init__(self) -> None:
        self._live: Any = None
        self._is_refused = False
        self._streams: list[tuple[Any, Any]] = []

    def show(self, progress: Progress) -> None:
        if self._live is None and not self._is_refused:
            self._start()
        if self._live is not None:
            self._live.update(self._drawn(progress), refresh=True)

    def _start(self) -> None:
        from rich.console import Console
        from rich.errors import LiveError
        from rich.live import Live

        before = sys.stderr
        live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        try:
            live.start()
        except LiveError:  # the script draws something of its own
            self._is_refused = True
            return
        self._live = live
        for handler in _handlers_to(before):  # what is logged appears above what is drawn
            self._streams.append((handler, handler.setStream(sys.stderr)))

    def close(self, progress: Progress) -> None:
        for handler, stream in self._streams:
            handler.setStream(stream)
        if self._live is not None:
            self._live.stop()
        _print(f"{progress.counts()} in {duration(time.monotonic() - progress.began)}")

    def _drawn(self, progress: Progress) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, progress.cases), completed=progress.done, width=24)
        table.add_row(bar, Text(progress.counts()), Text(progress.left_told(), style="dim"))
        running = progress.running_now()
        return Group(table, Text(f"  {running}", style="cyan")) if running else table


def _handlers_to(stream: object) -> list[Any]:
    """Return the handlers that log to a stream."""
    if "logging" not in sys.modules:
        return []
    logging = sys.modules["logging"]
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = (handler for each in loggers for handler in getattr(each, "handlers", ()))
    return [each for each in handlers if getattr(each, "stream", None) is stream]
