"""The examples, run as a user would, on a real BIDS dataset."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BIDS = os.environ.get("MEMORI_TEST_BIDS", "")


def run(example, *arguments, cwd):
    """Run an example in a fresh process and return what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.skipif(not BIDS, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest")
def test_timeseries(tmp_path):
    """Each BOLD run of a dataset where not every subject has one gives its series, once."""
    pytest.importorskip("niimath", reason="no niimath: pip install niimath")

    first = run("timeseries.py", BIDS, cwd=tmp_path)
    again = run("timeseries.py", BIDS, cwd=tmp_path)

    assert "2 cases: 2 ran, 0 remembered, 0 failed" in first
    assert "2 cases: 0 ran, 2 remembered, 0 failed" in again
    saved = sorted((tmp_path / "derivatives" / "timeseries").rglob("*_timeseries.npy"))
    assert [
        "sub-01_task-oneback_run-01_timeseries.npy",
        "sub-01_task-oneback_run-02_timeseries.npy",
    ] == [path.name for path in saved]
    for path in saved:
        series = np.load(path)
        assert (12,) == series.shape
        assert 0 < series.std() / series.mean() < 0.1
