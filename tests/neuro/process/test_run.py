"""Running a process: how it ends, and that nothing of it is left."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memori.neuro.process import rest
from memori.neuro.process import run as process
from memori.neuro.process.run import Ended, end_all, run_process

PYTHONPATH = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
TREE = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "{0}"])
subprocess.Popen(["sleep", "{0}"], start_new_session=True)
subprocess.Popen(["sh", "-c", "trap '' TERM; sleep {0}; sleep {0}"])
open("ready", "w").close()
time.sleep(300)
"""


def run(folder: Path, *argv: str, **more: object) -> Ended:
    """Run a program found on the PATH in a folder."""
    return run_process(
        argv,
        executable=shutil.which(argv[0]) or "",
        folder=str(folder),
        stdout=str(folder / "out"),
        stderr=str(folder / "err"),
        environment=os.environ,
        **more,  # type: ignore[arg-type]
    )


def nap(mark: int) -> str:
    """Return seconds that tell the children of a test from all others on the machine."""
    return f"300.{os.getpid():07d}{mark:02d}"


def sleepers(mark: int) -> list[str]:
    """Return the command lines of the sleeping children of a test."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if nap(mark) in line and entry.isdigit():
            found.append(line.replace("\0", " "))
    return found


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    """Forget the interrupts that a stage of an earlier test noted for a command of this thread."""
    process._thread.__dict__.clear()


def wait_until(condition: object, seconds: float = 10.0) -> bool:
    """Wait for something to become true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_a_command_that_ends_well(tmp_path: Path) -> None:
    """Its exit code and what it printed are kept."""
    ended = run(tmp_path, "sh", "-c", "echo a; echo b >&2; exit 3")
    assert (3, False) == (ended.code, ended.timed_out)
    assert ("a\n", "b\n") == ((tmp_path / "out").read_text(), (tmp_path / "err").read_text())


def test_a_command_reads_nothing_from_the_terminal(tmp_path: Path) -> None:
    """Its standard input is empty, so that it cannot wait for an answer."""
    assert 0 == run(tmp_path, "cat").code


def test_a_signal_is_told_as_a_negative_code(tmp_path: Path) -> None:
    """As subprocess tells it."""
    assert -signal.SIGSEGV == run(tmp_path, "sh", "-c", "kill -SEGV $$").code


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_a_timeout_ends_children_of_every_kind(tmp_path: Path) -> None:
    """Children in other sessions and those that ignore SIGTERM end, too."""
    ended = run(tmp_path, sys.executable, "-c", TREE.format(nap(1)), timeout=1.0)
    assert ended.timed_out
    assert (tmp_path / "ready").exists()
    assert wait_until(lambda: not sleepers(1))


def test_what_a_script_leaves_running_is_waited_for(tmp_path: Path) -> None:
    """Its log through `tee` and the files of its jobs are whole, as they are without memori."""
    script = """
exec > >(while read -r line; do sleep 0.05; echo "[$line]"; done | tee log) 2>&1
(sleep 0.3; echo late > late) > /dev/null &
echo start; echo end
"""
    ended = run(tmp_path, "bash", "-c", script)
    assert (0, "") == (ended.code, ended.left)
    assert "[start]\n[end]\n" == (tmp_path / "out").read_text() == (tmp_path / "log").read_text()
    assert "late\n" == (tmp_path / "late").read_text()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_what_goes_on_without_work_ends_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that a script leaves holds nobody up for ever, and nothing of it is left."""
    monkeypatch.setattr(rest, "IDLE", 0.2)
    ended = run(tmp_path, "sh", "-c", f"sleep {nap(2)} & exit 3")
    assert 3 == ended.code
    assert ended.left.startswith(f"sleep {nap(2)} (process ")
    assert ended.left.endswith(", which did no work for 0.2 s")
    assert wait_until(lambda: not sleepers(2))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc what is used")
def test_what_works_on_is_waited_for_until_enough_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that computes is no idle server; yet one that never ends holds nobody up."""
    monkeypatch.setattr(rest, "IDLE", 0.5)
    monkeypatch.setattr(rest, "LONGEST", 3.0)
    ended = run(tmp_path, "sh", "-c", "while :; do :; done & exit 0")
    assert ended.left.endswith("went on for 3 s")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_what_is_left_ends_when_time_is_over_or_by_an_interrupt(tmp_path: Path) -> None:
    """Whoever waits for what a script left running can end it as the script itself."""
    leaves = ("sh", "-c", f"sleep {nap(11)} & touch over")
    assert run(tmp_path, *leaves, timeout=0.3).timed_out
    assert wait_until(lambda: not sleepers(11))
    (tmp_path / "over").unlink()
    ended: list[Ended] = []
    thread = threading.Thread(target=lambda: ended.append(run(tmp_path, *leaves)))
    thread.start()
    assert wait_until(lambda: (tmp_path / "over").exists() and bool(sleepers(11)))
    end_all()
    thread.join(10)
    assert ended[0].interrupted
    assert wait_until(lambda: not sleepers(11))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
@pytest.mark.parametrize(
    ("number", "mark"), [(signal.SIGKILL, 3), (signal.SIGTERM, 4), (signal.SIGINT, 5)]
)
def test_a_kill_of_the_parent_ends_all_children(tmp_path: Path, number: int, mark: int) -> None:
    """By SIGKILL too, no child of any kind survives the process that runs memori."""
    program = f"""
import os
from memori.neuro.process.run import run_process
run_process([{sys.executable!r}, "-c", {TREE.format(nap(mark))!r}], executable={sys.executable!r},
            folder={str(tmp_path)!r}, stdout={str(tmp_path / "out")!r},
            stderr={str(tmp_path / "err")!r}, environment=os.environ)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    assert wait_until((tmp_path / "ready").exists)
    assert sleepers(mark)
    parent.send_signal(number)
    parent.wait()
    assert wait_until(lambda: not sleepers(mark)), sleepers(mark)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
@pytest.mark.parametrize(("kind", "mark"), [("loky", 6), ("fork", 7), ("spawn", 8)])
def test_a_kill_of_the_main_process_ends_what_workers_run(
    tmp_path: Path, kind: str, mark: int
) -> None:
    """Worker processes, which outlive it otherwise, end with their commands."""
    if kind == "loky":
        pytest.importorskip("loky", reason="loky is not installed: pip install loky")
    (tmp_path / "main.py").write_text(f"""
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

def work(number):
    from memori.neuro.process.run import run_process
    run_process(["sleep", "{nap(mark)}"], executable="/bin/sleep", folder=".",
                stdout=f"o{{number}}", stderr=f"e{{number}}", environment=os.environ)

if __name__ == "__main__":
    if {kind!r} == "loky":
        from loky import get_reusable_executor
        pool = get_reusable_executor(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({kind!r}))
    list(pool.map(work, range(2)))
""")
    main = subprocess.Popen(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )
    assert wait_until(lambda: len(sleepers(mark)) == 2)
    main.kill()
    main.wait()
    assert wait_until(lambda: not sleepers(mark))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
def test_the_watching_process_can_be_killed_and_comes_back(tmp_path: Path) -> None:
    """The next command starts another; the pipe that broke does no harm."""
    assert 0 == run(tmp_path, "true").code
    assert wait_until(lambda: len(_watchers()) == 1)
    os.kill(_watchers()[0], signal.SIGKILL)
    assert wait_until(lambda: not _watchers())
    assert 0 == run(tmp_path, "true").code
    assert 0 == run(tmp_path, "true").code


def _watchers() -> list[int]:
    """Find what watches over this process, by its words."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[-2:-1] == [str(os.getpid()).encode()] and words[-3].endswith(b"watchdog.py"):
            found.append(int(entry))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to see descriptors")
def test_the_watching_process_keeps_nothing_open(tmp_path: Path) -> None:
    """A descriptor that children inherit would keep a pipe from ending while it lives."""
    program = f"""
import os, subprocess, sys
from memori.neuro.process.run import run_process
os.set_inheritable(os.open("/dev/zero", os.O_RDONLY), True)
run_process(["true"], executable="/bin/true", folder={str(tmp_path)!r}, stdout="o", stderr="e",
            environment=os.environ)
words = f"watchdog.py\\0{{os.getpid()}}\\0".encode()
def is_watcher(process):
    try:
        return open(f"/proc/{{process}}/cmdline", "rb").read().endswith(words)
    except OSError:
        return False
[child] = filter(is_watcher, filter(str.isdigit, os.listdir("/proc")))
for _ in range(100):
    listed = subprocess.run(["ls", "-l", f"/proc/{{child}}/fd"], capture_output=True, text=True)
    if "/dev/zero" not in listed.stdout:
        break
print("pipe:" in listed.stdout, "/dev/zero" in listed.stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ("True False\n", "") == (done.stdout, done.stderr)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_runs_commands_of_its_own(tmp_path: Path) -> None:
    """After a fork (multiprocessing) the child starts its own watching process."""
    assert 0 == run(tmp_path, "true").code
    child = os.fork()
    if not child:
        code = 1
        try:
            code = run(tmp_path, "true").code
        finally:
            os._exit(code)
    assert 0 == os.waitpid(child, 0)[1]


def test_end_all_ends_what_other_threads_wait_for(tmp_path: Path) -> None:
    """A Ctrl-C reaches the main thread only; from there all commands can be ended."""
    ended: list[Ended] = []
    thread = threading.Thread(target=lambda: ended.append(run(tmp_path, "sleep", "300")))
    thread.start()
    assert wait_until(lambda: process._running)
    end_all()
    thread.join(10)
    assert -signal.SIGTERM == ended[0].code


def test_what_is_printed_can_be_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG each line is logged while the command runs, and a listener gets the bytes."""
    heard: list[tuple[str, bytes]] = []
    with caplog.at_level(logging.DEBUG, logger="memori.neuro.process.run"):
        run(
            tmp_path,
            "sh",
            "-c",
            "echo one; sleep 0.2; printf 'two\\nthree'; echo bad >&2",
            listen=lambda name, chunk: heard.append((name, chunk)),
        )
    assert {"stdout: one", "stdout: two", "stdout: three", "stderr: bad"} == set(caplog.messages)
    assert b"one\ntwo\nthree" == b"".join(chunk for name, chunk in heard if name == "stdout")
    assert heard[0] == ("stdout", b"one\n")


def test_a_program_that_is_none_is_an_oserror(tmp_path: Path) -> None:
    """What cannot be started raises, and is not waited for."""
    (tmp_path / "no program").write_text("nothing")
    with pytest.raises(PermissionError):
        run_process(
            ["x"],
            executable=str(tmp_path / "no program"),
            folder=str(tmp_path),
            stdout=str(tmp_path / "out"),
            stderr=str(tmp_path / "err"),
            environment={},
        )
    assert not process._running


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc to find survivors")
@pytest.mark.parametrize(("executor", "mark"), [("ThreadPoolExecutor(2)", 9), ("None", 10)])
def test_a_ctrl_c_ends_what_a_pipeline_runs(tmp_path: Path, executor: str, mark: int) -> None:
    """In threads, too, of which only the main one hears of it."""
    (tmp_path / "main.py").write_text(f"""
from concurrent.futures import ThreadPoolExecutor
from memori import Pipeline
from memori.neuro import ShellStage
stage = ShellStage("sleep {nap(mark)} {{x}}", hash_output="work")
Pipeline([("start", stage)]).map([{{"x": x}} for x in (0, 1)], executor={executor})
""")
    main = subprocess.Popen(
        [sys.executable, "main.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert wait_until(lambda: len(sleepers(mark)) == (2 if "Thread" in executor else 1))
    main.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in main.communicate(timeout=20)[1]
    assert not sleepers(mark)
