"""What is said of a worker that was killed for its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, WorkerError
from memori.scheduling.peaks import Peaks
from memori.scheduling.witness import ending

MB = 1_000_000


def greedy(x: int) -> int:
    """Hold much memory in case 1, and be killed as the system kills what holds too much."""
    if x == 1:
        held = bytearray(b"x" * (300 * MB))
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
        del held
    return x


@pytest.mark.filterwarnings("ignore::memori.MemoriWarning")
def test_a_worker_that_is_killed_is_named_with_its_stage_and_what_it_held(tmp_path: Path) -> None:
    """The pool is replaced and the other cases go on."""
    pipeline = Pipeline([("start", Stage(greedy, "x", tmp_path))])
    found = pipeline.map([{"x": x} for x in range(4)], n_jobs=2)
    assert [0, None, 2, 3] == [result["x"] if result else None for _, result in found]
    [failure] = found.failures
    error: Any = failure.error
    assert isinstance(error, WorkerError)
    assert ("greedy", -signal.SIGKILL) == (error.stage, error.exit_code)
    assert 300 * MB <= error.peak <= 1500 * MB
    assert "stage 'greedy' of case {'x': 1}" in failure.headline
    assert ", having held " in failure.headline
    assert "out of memory" in failure.headline


def test_what_a_worker_has_started_is_held_by_it() -> None:
    """A program that eats the memory is not the worker's own, and counts."""
    text = (
        "import subprocess, sys\n"
        "eater = \"b = b'x' * 200_000_000; print('ready', flush=True); input()\"\n"
        "child = subprocess.Popen([sys.executable, '-c', eater], stdin=0)\n"
        "child.wait()\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert worker.stdout is not None
        assert b"ready\n" == worker.stdout.readline()
        peaks = Peaks(lambda: {worker.pid: "order"})
        peaks.look()
    finally:
        worker.communicate(b"\n")
    if sys.platform == "linux":
        assert (peaks.of_dead(worker.pid) or 0) >= 200 * MB
    assert peaks.of_dead(worker.pid) is None


@pytest.mark.parametrize(
    ("code", "held", "is_out", "told"),
    [
        (-9, 2_000_000_000, True, "having held 2 GB: .* SIGKILL .the system was out of memory"),
        (-9, None, False, "^: it was ended by SIGKILL .the system may have been out of memory"),
        (-11, 5, False, "^: it was ended by SIGSEGV .a crash in native code"),
        (3, 5, False, "^: it exited with code 3$"),
        (None, 1_500_000, False, "^, having held 1.5 MB$"),
    ],
)
def test_an_end_is_told_as_far_as_it_is_known(
    code: int | None, held: int | None, is_out: bool, told: str
) -> None:
    """What was held is told where memory may be the reason."""
    import re

    assert re.search(told, ending(code, held, is_out_of_memory=is_out))
