"""A stage whose function reaches the stage itself is remembered like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from memori import Pipeline, Stage

FACTOR = {factor}

def scaled(x):
    return globals()["FACTOR"] * x

def factorial(n):
    return {step} if n == 0 else n * again.run(n - 1)["y"]

def of_all(n):
    return sum(stage.run(n)["y"] for stage in STAGES[:1])

alone = Stage(scaled, "y", "work")
again = Stage(factorial, "y", "work")
STAGES = [again]
last = Stage(of_all, "y", "work")
STAGES += [last, Pipeline([("start", last)])]
for stage in (alone, again, last):
    print(stage.run(3)["y"], stage.state)
"""


def told(folder: Path, factor: int, step: int) -> list[str]:
    (folder / "script.py").write_text(SCRIPT.format(factor=factor, step=step))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


def test_a_stage_that_reaches_itself_runs_after_edits_alone(tmp_path: Path) -> None:
    """By `globals()` (where all counts), by a call, and by a list with it and its pipeline."""
    assert ["6 True", "6 True", "6 True"] == told(tmp_path, 2, 1)
    assert ["6 False", "6 False", "6 False"] == told(tmp_path, 2, 1)
    assert ["9 True", "6 False", "6 False"] == told(tmp_path, 3, 1)
    assert ["9 True", "12 True", "12 True"] == told(tmp_path, 3, 2)
