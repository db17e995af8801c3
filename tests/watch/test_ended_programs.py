"""A run is remembered that ended programs which it started, or that saw some end by signals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memori import MemoriWarning, Stage
from tests.watch.edits import runs_again

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace: apt-get install strace"
)
SCRIPT = """
import json, os, signal, subprocess, time
from memori import Stage

def DATA():
    return open("data.txt").read()

def server(**options):
    command = ["sh", "-c", "cat data.txt; exec sleep 100"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **options)

def ended(process, ends, waits=True):
    said = process.stdout and process.stdout.readline().decode()
    ends(process)
    return said, waits and process.wait()

def until(seconds, command):
    try:
        subprocess.run(command, shell=True, timeout=seconds, stdout=subprocess.PIPE)
    except subprocess.TimeoutExpired as error:
        return error.stdout.decode()

def says(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout

def f(x):
    return {asked}

if __name__ == "__main__":
    stage = Stage(f, "found", "work")
    print(json.dumps([stage.run(1)["found"], stage.state]))
"""
ENDS = {
    "terminate": "ended(server(), subprocess.Popen.terminate)",
    "kill": "ended(server(), subprocess.Popen.kill)",
    "interrupt": "ended(server(), lambda process: process.send_signal(signal.SIGINT))",
    "its group": "ended(server(start_new_session=True), lambda it: os.killpg(it.pid, 15))",
    "not waited for": "ended(server(), subprocess.Popen.terminate, waits=False)",
    "as it begins": "ended(subprocess.Popen(['sleep', '9']), subprocess.Popen.kill), DATA()",
    "a time limit": "until(0.5, 'cat data.txt; exec sleep 100')",
    "a pipe that closes": "says('yes | head -n 1; cat data.txt')",
    "a crash": "says(\"sh -c 'kill -SEGV $$'; echo $?; cat data.txt\")",
    "its own crash": "says('cat data.txt'), os.system('kill -ABRT $$')",
    "timeout": "says('timeout 0.3 sleep 9; echo $?; cat data.txt')",
    "timeout by KILL": "says('timeout -s KILL 0.3 sleep 9; echo $?; cat data.txt')",
    "a job of a shell": "says('sleep 100 & kill $!; wait $!; echo $?; cat data.txt')",
}


def run(folder: Path, asked: str) -> tuple[object, bool]:
    """Run a script in a new process; return what it found, and whether it ran."""
    (folder / "script.py").write_text(SCRIPT.replace("{asked}", asked))
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (0, False) == (done.returncode, "Warning: " in done.stderr), done.stderr
    found, state = json.loads(done.stdout)
    return found, state


@pytest.mark.parametrize("case", ENDS)
def test_a_run_that_ends_programs_is_remembered(case: str, tmp_path: Path) -> None:
    """With what these read until then."""
    data = tmp_path / "data.txt"
    data.write_text("one\n")
    runs_again(lambda: run(tmp_path, ENDS[case]), lambda: data.write_text("two\n"))


@pytest.mark.parametrize(
    "command", ["echo $$ > up; exec sleep 100", "sleep 100 & echo $! > up; wait"]
)
def test_what_somebody_else_killed_is_not_remembered(command: str, tmp_path: Path) -> None:
    """As the system does where memory is short: what came of it is of no use."""

    def f(x: int) -> int:
        return subprocess.run(["sh", "-c", command], cwd=folder).returncode

    folder = str(tmp_path)

    def kills() -> None:
        up = tmp_path / "up"
        while not up.exists() or not up.read_text():
            threading.Event().wait(0.01)
        subprocess.run(["kill", "-KILL", up.read_text().strip()], check=True)

    stage = Stage(f, "found", tmp_path / "work")
    killer = threading.Thread(target=kills)
    killer.start()
    with pytest.warns(MemoriWarning, match="sh was killed by somebody else.*not remembered"):
        stage.run(1)
    killer.join()
    assert not stage.explain(1).hit
