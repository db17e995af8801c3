"""A run that is ended from outside: nothing of it goes on, and what was finished is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="reads /proc to find what is left"
)
ROOT = Path(__file__).parents[1]
SCRIPT = """
import json, multiprocessing, os, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from memori import Pipeline, Stage, workdir

def work(x):
    (workdir() / "begun").touch()
    if x:
        return x
    open(f"ready-{os.getpid()}", "w").close()
    {wait}
    return x

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test may run in the background
    pipeline = Pipeline([("start", Stage(work, "y", "work"))])
    {before}
    {run}
"""
BESIDE = 'subprocess.Popen(["sleep", "300"]); time.sleep(300)'
PROGRAM = 'subprocess.run(["sh", "-c", "sleep 300; true"])'
CASES = 'print(pipeline.map([{"x": 2}, {"x": 1}, {"x": 0}], %s))'
RUNS = {
    "stage": 'pipeline.stages[0].run(1); print(pipeline.stages[0].run(0))',
    "serial": CASES % "",
    "n_jobs": CASES % "n_jobs=2",
    "run": "print(pipeline.run(0, n_jobs=2))",
    "fork": CASES % "executor=ProcessPoolExecutor(2)",
    "spawn": CASES % 'executor=ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))',
    "threads": CASES % "executor=ThreadPoolExecutor(2)",
}


class Script:
    """A script that runs a pipeline, in a folder, marked so that all it starts is found."""

    def __init__(self, folder: Path, **parts: str) -> None:
        self.folder = folder
        self.token = f"MEMORI_TEST={os.getpid()}.{time.monotonic_ns()}"
        text = SCRIPT
        for name, part in {"before": "pass", **parts}.items():
            text = text.replace("{" + name + "}", part)
        (folder / "script.py").write_text(text)
        (folder / "tmp").mkdir()
        name, _, value = self.token.partition("=")
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=folder,
            env={**os.environ, name: value, "PYTHONPATH": path, "TMPDIR": str(folder / "tmp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def is_at_work(self) -> bool:
        """Tell whether the stage that lasts is running."""
        return any(self.folder.glob("ready-*"))

    def left(self) -> list[str]:
        """Return the command lines of what is running of it."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                try:
                    variables = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                    line = Path(f"/proc/{entry}/cmdline").read_bytes().decode()
                except OSError:
                    continue
                if self.token.encode() in variables:
                    found.append(f"{entry} {line}".replace("\0", " "))
        return found

    def leavings(self) -> list[str]:
        """Return the locks and temporary folders that lie about."""
        locks = [*self.folder.rglob("*.running"), *self.folder.glob("tmp/memori-*")]
        return [str(path.relative_to(self.folder)) for path in locks]

    def remembers(self, x: int) -> bool:
        """Tell whether the run of a case was kept."""
        code = (
            "import script; from memori import Stage; "
            f"print(Stage(script.work, 'y', 'work').explain({x}).hit)"
        )
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout == "True\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Script]]:
    """Start scripts, and end what is left of them."""
    scripts: list[Script] = []

    def begin(**parts: str) -> Script:
        scripts.append(Script(tmp_path, **parts))
        return scripts[-1]

    yield begin
    for script in scripts:
        for line in script.left():
            os.kill(int(line.split()[0]), signal.SIGKILL)
        script.process.communicate()


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Wait for something to become true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("run", [name for name in RUNS if name != "threads"])
def test_nothing_outlives_a_run_that_is_ended(
    start: Callable[..., Script], run: str, number: signal.Signals
) -> None:
    """Workers and the programs that they started end with the script, however that ends."""
    script = start(run=RUNS[run], wait=BESIDE)
    assert wait_until(script.is_at_work), script.process.communicate()
    assert run == "run" or wait_until(lambda: script.remembers(1))
    script.process.send_signal(number)
    assert -number == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()
    if number != signal.SIGKILL:
        assert [] == script.leavings()
    if run != "run":
        assert script.remembers(1)
    assert not script.remembers(0)
