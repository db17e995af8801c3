"""Scripts at random, each as stages in processes of their own, beside no memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("random_scripts.py")
AT_ONCE = 50
SLOW = [pytest.param(first, marks=pytest.mark.slow) for first in range(AT_ONCE, 500, AT_ONCE)]


@pytest.mark.parametrize("first", [0, *SLOW])
def test_no_result_is_stale_and_no_run_needless(first, tmp_path):
    """Threads, children, caches, shared folders, late imports, odd names, globs and logs."""
    done = subprocess.run(
        [sys.executable, SCRIPT, str(first), str(AT_ONCE)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert {"scripts": AT_ONCE, "stale": [], "needless": []} == json.loads(done.stdout)
