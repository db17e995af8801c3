"""What watches over a process is nothing that the user's own code has to do with."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from memori.processes import watchdog
from memori.processes.family import serves_whole_process


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_callable_may_wait_until_no_child_is_left(tmp_path):
    """It finds the children that it started, and no other, whatever memori started for it."""
    script = """
        import os, subprocess
        from memori import Stage

        def waits(n):
            subprocess.run(["true"])
            children = {os.fork() or os._exit(0) for _ in range(n)}
            found = set()
            while True:
                try:
                    found.add(os.wait()[0])
                except ChildProcessError:
                    return found == children

        print(Stage(waits, "same", hash_output="work").run(n=2)["same"])
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (0, "True\n") == (done.returncode, done.stdout), done.stderr


def test_signals_of_any_number_do_not_end_it(tmp_path):
    """Those of real time, by which a stage past its time is interrupted, look like text."""
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(over.pid)]
    watching = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    line = json.dumps(["temporary", "1.@", str(folder)]).encode() + b"\n"
    _, error = watching.communicate(bytes(range(1, 65)) + line, timeout=60)
    assert (watching.returncode, error) == (0, b"")
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_is_not_among_what_a_callable_started():
    """The first process of a container inherits it, and ends what a callable has started."""
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(over.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as watching:
        while not pathlib.Path(f"/proc/{watching.pid}/cmdline").read_bytes():
            pass  # it is just about to begin
        assert serves_whole_process(watching.pid)
    assert not serves_whole_process(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_tracer_that_had_no_turn_yet_is_waited_for(tmp_path):
    """What waits for it on a machine that is overloaded is not ended, and is when all sleep."""
    log, tracer = tmp_path / "log", tmp_path / "strace"
    log.touch()
    shutil.copy(shutil.which("sh"), tracer)
    command = [tracer, "-c", "read line", "sh", "-DD", log]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
    beginning = watchdog.Beginning(str(log))
    try:
        both[1].send_signal(signal.SIGSTOP)
        wait_until(both, "ST")
        assert [beginning.looks() for _ in range(3)] == [True] * 3
        assert [each.poll() for each in both] == [None] * 2
        both[1].send_signal(signal.SIGCONT)
        wait_until(both, "SS")
        assert [beginning.looks() for _ in range(2)] == [True] * 2
        assert [each.wait(60) for each in both] == [-signal.SIGKILL] * 2
    finally:
        for each in both:
            each.kill()
            each.communicate()


def wait_until(processes, states):
    """Return when processes are in these states, and run what they are to run."""
    for process, state in zip(processes, states, strict=True):
        place = pathlib.Path(f"/proc/{process.pid}")
        while process.poll() is None:
            words, told = (place / "cmdline").read_bytes(), (place / "stat").read_bytes()
            if b"-DD" in words and f") {state} ".encode() in told:
                break
            time.sleep(0.01)


def test_what_the_first_process_holds_in_the_place_of_a_killed_tracer_is_ended(monkeypatch):
    """A child of strace's own trial asks its parent to hold it; a parent that was killed cannot."""
    started = {7: ("t", "1"), 8: ("S", "0"), 9: ("t", "8")}
    told = {n: {"State": state, "TracerPid": by, "PPid": "1"} for n, (state, by) in started.items()}
    monkeypatch.setattr(watchdog, "_numbers", lambda: list(told))
    monkeypatch.setattr(watchdog, "_status", told.get)
    monkeypatch.setattr(watchdog, "_is_of_tracer", lambda process, log: True)
    monkeypatch.setattr(watchdog, "birth", str)
    assert {} == watchdog._waiting_in_vain("log")  # something of strace is being held, and works
    del told[9], started[9]
    assert {7: "7", 8: "8"} == watchdog._waiting_in_vain("log")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_whatever_its_owner_has_left_is_ended(tmp_path):
    """By a mark in the environment, as a group, as a worker, and what it has made for a while."""
    sleep = ["sleep", "600"]
    names = ("marked", "called", "grouped", "worker", "of_worker", "over")
    marks = {"marked": "1.a", "called": "1.b", "of_worker": "", "over": "1.c"}
    workers, made = tmp_path / "workers", tmp_path / "made"
    workers.mkdir()
    made.mkdir()
    (made / "file").touch()
    started = {name: subprocess.Popen(sleep, start_new_session=True) for name in names[2:4]}
    marks["of_worker"] = watchdog.mark_of_worker(str(workers), started["worker"].pid)
    for name, mark in marks.items():
        started[name] = subprocess.Popen(sleep, env={**os.environ, "MEMORI_RUN": mark})
    about = workers / f"{watchdog.WORKER}{started['worker'].pid}"
    about.write_text(watchdog.birth(started["worker"].pid))
    stopped = tmp_path / "stopped"
    told = [
        ["begin", "1.a", ["touch", str(stopped)]],
        ["begin", "1.b", ["an engine that is gone"]],
        ["called", "1.b", True],
        ["begin", "1.c", None],
        ["end", "1.c"],
        ["group", "1.d", started["grouped"].pid],
        ["workers", "1.e", str(workers)],
        ["temporary", "1.f", str(made)],
        ["tracer", "1.g", str(tmp_path / "no log")],
    ]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(reading, 0)
        os.close(writing)
        watchdog.main(0)
        os._exit(0)
    os.close(reading)
    try:
        os.write(writing, b"".join(json.dumps(line).encode() + b"\n" for line in told))
        os.write(writing, bytes([signal.SIGTERM]))  # as its owner gets it
        assert -signal.SIGTERM == started["called"].wait(60)
        going = [name for name in names if started[name].poll() is None]
        assert ["marked", "grouped", "worker", "of_worker", "over"] == going
        os.close(writing)
        assert 0 == os.waitpid(child, 0)[1]
        for name in going[:-1]:
            assert started[name].wait(60) in (-signal.SIGTERM, -signal.SIGKILL), name
        assert started["over"].poll() is None
        assert (stopped.exists(), made.exists()) == (True, False)
    finally:
        for each in started.values():
            each.kill()
            each.wait()
