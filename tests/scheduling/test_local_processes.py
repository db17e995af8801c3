"""Worker processes of this machine start and end under any parent."""

import subprocess
import sys

import pytest

SCRIPT = """
from memori import Pipeline, Stage
def double(x): return 2 * x
pipeline = Pipeline([("start", Stage(double, "y", "work"))])
pipeline.map([{"x": 1}, {"x": 2}], n_jobs=2).raise_failures()
"""


def test_workers_start_where_standard_output_is_closed(tmp_path):
    """What a daemon or a scheduler starts without standard streams may use worker processes."""
    (tmp_path / "script.py").write_text(SCRIPT)
    closed = f"exec {sys.executable} script.py >&- 2>error"
    assert 0 == subprocess.run(["bash", "-c", closed], cwd=tmp_path, timeout=60).returncode


NESTED = """
from memori import Pipeline, Stage
def double(x): return 2 * x
def both(x):
    from joblib import Parallel, delayed
    return Parallel(n_jobs=2)(delayed(double)(each) for each in (x, x + 1))
pipeline = Pipeline([("start", Stage(both, "y", "work"))])
pipeline.map([{"x": 1}, {"x": 2}], n_jobs=2).raise_failures()
"""


def test_a_script_ends_whose_stages_use_joblib(tmp_path):
    """Processes that joblib keeps for later do not keep the workers from ending."""
    pytest.importorskip("joblib")
    (tmp_path / "script.py").write_text(NESTED)
    assert 0 == subprocess.run([sys.executable, "script.py"], cwd=tmp_path, timeout=60).returncode
