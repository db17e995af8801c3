"""What holds for the whole suite: how long Hypothesis may take, and that Ctrl-C arrives."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.store.contract")  # it fails as fully as a test's own module

# No deadline: a machine that is busy is no defect. In CI the same examples each time.
settings.register_profile("memori", deadline=None)
settings.register_profile("memori-ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("memori-ci" if os.environ.get("CI") else "memori")


if "coverage" in sys.modules:  # which sees into an audit hook only if that says so
    from memori.cli.why.planning import Planning
    from memori.processes import interrupts
    from memori.watch import hook

    for each in (hook._hook, interrupts._hear_of_event, Planning._guard):
        each.__cantrace__ = True

    def pytest_sessionfinish(session: pytest.Session) -> None:
        """Save what a worker ran: one that takes long to end is killed."""
        from coverage import Coverage

        measured = Coverage.current()
        if measured is not None and hasattr(session.config, "workerinput"):
            measured.stop()
            measured.save()


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Let SIGINT arrive here and in what tests start, though pytest was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
