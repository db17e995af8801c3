"""What the tests of Nipype have in common."""

from __future__ import annotations

from collections import Counter

import pytest
from nipype import config


@pytest.fixture(autouse=True)
def _quick():
    """MultiProc looks every two seconds for what has ended; a test need not wait so long."""
    before = config.get("execution", "poll_sleep_duration")
    config.set("execution", "poll_sleep_duration", "0.05")
    yield
    config.set("execution", "poll_sleep_duration", before)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What ran, as a counter that starts anew at each look."""
    path = tmp_path / "ran.txt"
    monkeypatch.setenv("RAN", str(path))

    def ran():
        found = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return dict(Counter(found))

    return ran
