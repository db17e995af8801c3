"""What holds for the whole suite: how long Hypothesis may take, and that Ctrl-C arrives."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.store.contract")  # it fails as fully as a test's own module

# No deadline: a machine that is busy is no defect. In CI the same examples each time.
settings.register_profile("memori", deadline=None)
settings.register_profile("memori-ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("memori-ci" if os.environ.get("CI") else "memori")


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Let SIGINT arrive here and in what tests start, though pytest was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
