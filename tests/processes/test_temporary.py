"""Nothing of memori's stays among the temporary files, however a process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="reads /proc to find what is left"
)
ROOT = Path(__file__).parents[2]
SCRIPT = """
import multiprocessing, os, signal, subprocess, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from memori import Pipeline, Stage, workdir

MAIN = os.getpid()

def work(x):
    (workdir() / "file").touch()
    subprocess.run([sys.executable, "-c", "print(open(__import__('os').__file__).readline())"],
                   stdout=subprocess.DEVNULL)
    {fork}
    if x == 1:
        {end}
    return x

if __name__ == "__main__":
    pipeline = Pipeline([("start", Stage(work, "y", {store}))])
    {run}
"""
CASES = "pipeline.map([{'x': 0}, {'x': 1}, {'x': 2}], on_error='continue', %s)"
RUNS = {
    "a stage": "pipeline.stages[0].run(0); pipeline.stages[0].run(1)",
    "n_jobs": CASES % "n_jobs=2",
    "fork": CASES % "executor=ProcessPoolExecutor(2, multiprocessing.get_context('fork'))",
    "spawn": CASES % "executor=ProcessPoolExecutor(2, multiprocessing.get_context('spawn'))",
    "threads": CASES % "executor=ThreadPoolExecutor(2)",
}
FORK = """with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        pool.submit(open, os.devnull).exception()"""
STORED = ("n_jobs", "spawn")
ENDS = {
    "well": "pass",
    "by an exception": "raise ValueError",
    "by sys.exit": "sys.exit(3)",
    "by os._exit": "os._exit(3)",
    "by SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "by SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "with its script, by Ctrl-C": "os.kill(MAIN if MAIN == os.getpid() else os.getppid(), 2)",
    "with its script, by SIGKILL": "os.kill(MAIN if MAIN == os.getpid() else os.getppid(), 9)",
}


def is_left(token: str) -> bool:
    """Tell whether a process goes on whose environment holds a text."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                if token.encode() in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    return True
            except OSError:
                continue
    return False


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("run", RUNS)
def test_nothing_stays_among_temporary_files(tmp_path: Path, run: str, end: str) -> None:
    """Whoever runs thousands of cases does not fill /tmp, whatever becomes of them."""
    text = SCRIPT
    parts = {
        "end": ENDS[end],
        "run": RUNS[run],
        "fork": "pass" if run == "threads" else FORK,  # a thread and a fork do not go together
        "store": "'w'" if run in STORED else "None",
    }
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    (tmp_path / "script.py").write_text(text)
    (tmp_path / "tmp").mkdir()
    token = f"MEMORI_TEST={os.getpid()}.{time.monotonic_ns()}"
    name, _, value = token.partition("=")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {name: value, "PYTHONPATH": path, "TMPDIR": str(tmp_path / "tmp")}
    with open(tmp_path / "told", "w") as told:
        process = subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdout=told,
            stderr=told,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        process.wait(120)
    until = time.monotonic() + 60
    while is_left(token) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_left(token)
    assert [] == [each.name for each in (tmp_path / "tmp").iterdir() if "memori" in each.name]
    if end == "well":
        assert 0 == process.returncode, (tmp_path / "told").read_text()


RELATIVE = """
import os
from memori import Stage
from memori.neuro import ShellStage, Stdout

def made(x):
    with os.popen("mktemp") as said:
        os.unlink(said.read().strip())
    return x

stage = ShellStage("sh -c 'rm -v $(mktemp)'", outputs=Stdout(str), stage_name="mk", hash_output="w")
if __name__ == "__main__":
    said = stage.run()["output"]
    function = Stage(made, hash_output="w")
    function.run(1)
    print(os.path.abspath("tmp/") in said, stage.state, function.state, os.listdir("tmp"))
"""


def test_a_relative_folder_for_temporary_files_is_that_of_where_the_script_runs(
    tmp_path: Path,
) -> None:
    """Commands run in folders of their own, and tools make their temporary files there."""
    (tmp_path / "script.py").write_text(RELATIVE)
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": "./tmp"}
    for ran in ("True True True []", "True False False []"):
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert f"{ran}\n" == done.stdout, done.stderr
