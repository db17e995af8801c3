"""A plugin of pytest, for `mutants.py`: which test ran which line, and how long each took.

It runs below `coverage run`. What a test's own child processes run is not told, and neither is what
tests of limits run: an error that is sent to a thread may end coverage's tracer, and never arrives.
"""

import json
import os
import time

import coverage
import pytest

TIMES: dict[str, float] = {}
HANGING = "tests/calls/test_limit.py"


def pytest_collection_modifyitems(config, items):
    """Leave out what would not end."""
    left_out = [item for item in items if item.nodeid.startswith(HANGING)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


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
