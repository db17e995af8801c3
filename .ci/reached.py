"""A plugin of pytest, for `mutants.py`: which test ran which line, and how long each took.

It runs below `coverage run`. What a test's own child processes run is not told.
"""

import json
import os
import time

import coverage
import pytest

TIMES: dict[str, float] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Have coverage note the test that runs."""
    coverage.Coverage.current().switch_context(item.nodeid)
    began = time.process_time()
    try:
        return (yield)
    finally:
        TIMES[item.nodeid] = time.process_time() - began
        coverage.Coverage.current().switch_context("")


def pytest_sessionfinish():
    """Write down the times."""
    with open(os.environ["MEMORI_TIMES"], "w", encoding="utf-8") as file:
        json.dump(TIMES, file)
