"""A run that is ended from outside: nothing of it goes on, and what was finished is kept."""

from __future__ import annotations

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
ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, multiprocessing, os, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from memori import Pipeline, Stage, workdir

def be_deaf():
    while True:
        try:
            time.sleep(300)
        except BaseException:
            pass

def work(x):
    (workdir() / "begun").touch()
    if x:
        return x
    open(f"ready-{os.getpid()}", "w").close()
    {wait}
    return x

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test may run in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and under nohup
    pipeline = Pipeline([("start", Stage(work, "y", "work"))])
    {before}
    {run}
"""
BESIDE = 'subprocess.Popen(["sleep", "300"]); time.sleep(300)'
PROGRAM = 'subprocess.run(["sh", "-c", "sleep 300; true"])'
SLOW = (  # it is forked three seconds after Python has said that it starts
    "os.register_at_fork(before=lambda: (open('forking', 'w').close(), time.sleep(3))); "
    "subprocess.run(['sleep', '300'], preexec_fn=lambda: None)"
)
CASES = 'print(pipeline.map([{"x": 2}, {"x": 1}, {"x": 0}], %s))'
RUNS = {
    "stage": "pipeline.stages[0].run(1); print(pipeline.stages[0].run(0))",
    "serial": CASES % "",
    "n_jobs": CASES % "n_jobs=2",
    "run": "print(pipeline.run(0, n_jobs=2))",
    "fork": CASES % "executor=ProcessPoolExecutor(2)",
    "spawn": CASES % 'executor=ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))',
    "threads": CASES % "executor=ThreadPoolExecutor(2)",
    "submitit": CASES % 'executor=__import__("submitit").LocalExecutor("jobs")',
    "dask": """from dask.distributed import Client, LocalCluster
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    """
    + CASES % "executor=Client(cluster).get_executor()",
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
                    line = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if self.token.encode() in variables:
                    found.append(f"{entry} {line}".replace("\0", " "))
        return found

    def leavings(self) -> list[str]:
        """Return the locks and temporary folders that lie about."""
        locks = [*self.folder.rglob("*.running"), *self.folder.glob("tmp/*memori*")]
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
@pytest.mark.parametrize("run", [name for name in RUNS if name not in ("threads", "submitit")])
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
    assert [] == script.leavings()
    if run != "run":
        assert script.remembers(1)
    assert not script.remembers(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("program", [PROGRAM, SLOW], ids=["a program", "one that is starting"])
def test_threads_are_not_waited_for_longer_than_what_they_started(
    start: Callable[..., Script], program: str, number: signal.Signals
) -> None:
    """A thread hears no signal; the program that it waits for is ended, and its case not kept."""
    script = start(run=RUNS["threads"], wait=program)
    forking = script.folder / "forking"
    assert wait_until(forking.exists if program == SLOW else script.is_at_work)
    script.process.send_signal(number)
    assert -number == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()
    assert [script.remembers(x) for x in (0, 1)] == [False, True]


@pytest.mark.parametrize("run", ["serial", "n_jobs", "fork", "threads"])
def test_a_run_whose_program_was_ended_is_not_remembered(
    start: Callable[..., Script], run: str
) -> None:
    """A function that ignores how its program ended has no result to show."""
    script = start(run=RUNS[run], wait="subprocess.call(['sleep', '300'])")
    assert wait_until(script.is_at_work)
    script.process.terminate()
    assert -signal.SIGTERM == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()
    assert not script.remembers(0)


STUBBORN = {
    "a shell": "os.system('sleep 300')",
    "a with block": "with subprocess.Popen(['sleep', '300']) as program: program.wait()",
    "a daemon": "os.system('setsid sleep 300 & setsid sleep 300 &'); time.sleep(300)",
    "a trap": "subprocess.call(['sh', '-c', 'trap : TERM INT; while :; do sleep 0.1; done'])",
    "a pool": "ProcessPoolExecutor(2).submit(time.sleep, 300).result()",
    "a fork": "os.fork() or time.sleep(300); time.sleep(300)",
    "a slow fork": "os.register_at_fork(before=lambda: time.sleep(3)); os.fork(); time.sleep(300)",
    "an environment": "subprocess.call(['env', '-u', 'MEMORI_RUN', 'sleep', '300'])",
}


WAYS_TO_WAIT = [
    pytest.param(run, wait, id=f"{run}-{name}")
    for run in ("stage", "n_jobs")
    for name, wait in STUBBORN.items()
]


@pytest.mark.parametrize(("run", "wait"), WAYS_TO_WAIT)
def test_a_stage_ends_with_its_script_whatever_it_waits_for(
    start: Callable[..., Script], run: str, wait: str
) -> None:
    """However a function starts its programs, SIGTERM to the script ends them."""
    script = start(run=RUNS[run], wait=wait)
    assert wait_until(script.is_at_work)
    script.process.terminate()
    assert -signal.SIGTERM == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()
    assert [] == script.leavings()


@pytest.mark.parametrize("run", ["n_jobs", "fork"])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_worker_that_does_not_heed_is_killed(
    start: Callable[..., Script], run: str, number: signal.Signals
) -> None:
    """A function that swallows every exception cannot outlive its script in a worker."""
    script = start(run=RUNS[run], wait="be_deaf()")
    assert wait_until(script.is_at_work)
    script.process.send_signal(number)
    assert -number == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()


@pytest.mark.parametrize("run", ["stage", "serial", "n_jobs", "threads"])
def test_what_was_there_before_is_not_touched(start: Callable[..., Script], run: str) -> None:
    """A program of the user's own outlives the run that was interrupted."""
    script = start(before="subprocess.Popen(['sleep', '301'])", run=RUNS[run], wait=PROGRAM)
    assert wait_until(script.is_at_work)
    script.process.send_signal(signal.SIGINT)
    script.process.wait(60)
    assert wait_until(lambda: not any("300" in line for line in script.left())), script.left()
    assert 1 == len([line for line in script.left() if "sleep 301" in line])


def test_a_session_goes_on_after_an_interrupt(start: Callable[..., Script]) -> None:
    """Who catches Ctrl-C runs the next thing, in the same workers or new ones."""
    again = """
    for _ in range(2):
        try:
            pipeline.map([{"x": 0}, {"x": 1}], n_jobs=2)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            for name in os.listdir():
                name.startswith("ready") and os.remove(name)
    print(pipeline.map([{"x": 3}, {"x": 4}], n_jobs=2).executed)
    """
    script = start(run=again, wait=PROGRAM)
    for _ in range(2):
        assert wait_until(script.is_at_work)
        script.process.send_signal(signal.SIGINT)
        assert wait_until(lambda: not script.is_at_work())
    out, err = script.process.communicate(timeout=60)
    assert ["interrupted", "interrupted", "2"] == out.decode().split(), err.decode()


HANDLERS = {
    "a handler": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))",
    "ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
}


@pytest.mark.parametrize(("before", "code"), [("a handler", 7), ("ignored", -9)])
def test_the_users_own_handler_stays(start: Callable[..., Script], before: str, code: int) -> None:
    """Only a signal that nobody has asked for is heard by memori."""
    script = start(before=HANDLERS[before], run=RUNS["stage"], wait="time.sleep(300)")
    assert wait_until(script.is_at_work)
    script.process.terminate()
    if code == -9:
        with pytest.raises(subprocess.TimeoutExpired):
            script.process.wait(1)
        script.process.kill()
    assert code == script.process.wait(60)


def test_dispositions_are_given_back(start: Callable[..., Script]) -> None:
    """After a run SIGTERM and SIGHUP do what they did, and no environment has changed."""
    look = """
    before = [signal.getsignal(n) for n in range(1, 32)], dict(os.environ)
    pipeline.map([{"x": 1}, {"x": 2}], n_jobs=2)
    pipeline.run(3)
    subprocess.run(["true"])
    print(before == ([signal.getsignal(n) for n in range(1, 32)], dict(os.environ)))
    print(subprocess.run(["env"], capture_output=True, text=True).stdout.count("MEMORI_RUN"))
    """
    out, err = start(run=look, wait="pass").process.communicate(timeout=60)
    assert ["True", "0"] == out.decode().split(), err.decode()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_nothing_submitted_is_left_behind(
    start: Callable[..., Script], number: signal.Signals
) -> None:
    """Jobs that wait are cancelled, and those that run are ended, with what they started."""
    script = start(run=RUNS["submitit"], wait=BESIDE)
    assert wait_until(script.is_at_work), script.process.communicate()
    script.process.send_signal(number)
    assert -number == script.process.wait(60)
    assert wait_until(lambda: not script.left()), script.left()
    assert not script.remembers(0)
