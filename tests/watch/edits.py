"""What tests of observed facts ask: what a run depends on is run again once it changes."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[[], tuple[object, bool]]
"""Returns what was found, and whether it ran."""


def runs_again(run: Run, change: Callable[[], object]) -> None:
    """Unchanged, nothing runs; changed, it runs and finds something else, once."""
    first, _ = run()
    assert (first, False) == run()
    change()
    second, ran = run()
    assert (True, True) == (ran, first != second)
    assert (second, False) == run()
