"""A lock excludes threads and processes, ends with its holder, and stops nobody where it fails."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memori.processes.lock import _opened, lock

HOLDER = """
import sys
from memori.processes.lock import lock
with lock(sys.argv[1], int(sys.argv[2]), wait=len(sys.argv) < 4) as held:
    print(held, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=["ranges", "whole files"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the locks are: as bytes of one file, or as a file each, as on other systems."""
    if request.param == "whole files":
        monkeypatch.delattr(fcntl, "F_OFD_SETLK")
        monkeypatch.setenv("MEMORI_TEST_WHOLE", "1")
    elif not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("this system has no locks of open file descriptions")
    return str(tmp_path / "folder" / "locks")


@pytest.fixture
def hold() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that take a lock, say so, and keep it until they are told to end."""
    started: list[subprocess.Popen[str]] = []

    def start(path: str, number: int, *options: str, script: str = HOLDER) -> subprocess.Popen[str]:
        whole = "import fcntl; del fcntl.F_OFD_SETLK\n" if "MEMORI_TEST_WHOLE" in os.environ else ""
        process = subprocess.Popen(
            [sys.executable, "-c", whole + script, path, str(number), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_free(path: str, number: int) -> bool | None:
    """Whether somebody who would not wait gets the lock."""
    with lock(path, number, wait=False) as is_mine:
        return is_mine


def test_who_waits_gets_the_lock_when_its_holder_ends(
    path: str, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    """Two processes never hold one lock at once, and the second gets it."""
    with lock(path, 7) as held:
        assert held is True
        second = hold(path, 7)
        assert "False" == said(hold(path, 7, "no wait"))
    assert "True" == said(second)


def test_two_threads_exclude_each_other(path: str) -> None:
    """A lock tells threads of one process apart, as it does processes."""
    left = threading.Event()
    entered_after: list[bool] = []

    def second() -> None:
        with lock(path, 7):
            entered_after.append(left.is_set())
            assert is_free(path, 7) is False
            entered_after.append(True)

    thread = threading.Thread(target=second)
    with lock(path, 7):
        thread.start()
        thread.join(0.2)
        assert is_free(path, 7) is False
        left.set()
    thread.join()
    assert [True, True] == entered_after


def test_other_numbers_are_other_locks(
    path: str, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    """One holder of a folder's locks is in nobody's way who wants another one."""
    most = 2**62
    with lock(path, 0), lock(path, 1), lock(path, most):
        assert [False, False, True, False] == [is_free(path, n) for n in (0, 1, 2, most)]
        assert "True" == said(hold(path, 3, "no wait"))
    assert [True, True, True] == [is_free(path, n) for n in (0, 1, most)]


def test_the_lock_of_a_killed_holder_is_free(
    path: str, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    """However a process ends, nothing of its lock is left."""
    holder = hold(path, 7)
    assert "True" == said(holder)
    assert is_free(path, 7) is False
    holder.kill()
    holder.wait()
    assert is_free(path, 7) is True


def test_an_error_inside_lets_go(path: str) -> None:
    """A run that fails does not block the next one."""
    with pytest.raises(RuntimeError), lock(path, 7):
        raise RuntimeError("no")
    assert is_free(path, 7) is True


def open_files() -> int:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("open files are counted in Linux's /proc")
    return len(os.listdir("/proc/self/fd"))


def test_a_lock_leaves_no_open_file(path: str) -> None:
    """Held, refused or let go: a thousand locks later the process has as many files open."""
    with lock(path, 7), lock(path, 7, wait=False):
        pass
    before = open_files()
    for _ in range(5):
        with lock(path, 7), lock(path, 7, wait=False):
            pass
    assert before == open_files()


WAITER = """
import os, signal, sys
from memori.processes.lock import lock
before = len(os.listdir("/proc/self/fd"))
try:
    print("waits", flush=True)
    with lock(sys.argv[1], int(sys.argv[2])):
        print("got it")
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(len(os.listdir("/proc/self/fd")) - before, "more open")
"""


def is_asleep_with(process: int, path: str) -> bool:
    """Tell whether a process sleeps that has a file open, or one whose name begins so."""
    folder = f"/proc/{process}"
    state = Path(folder, "stat").read_text().rpartition(")")[2].split()[0]
    files = [os.readlink(f"{folder}/fd/{each}") for each in os.listdir(f"{folder}/fd")]
    return state == "S" and any(each.startswith(path) for each in files)


def test_an_interrupt_ends_the_wait_and_leaves_no_open_file(
    path: str, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    """Ctrl-C reaches who waits for a lock, and what was opened to ask for it is closed."""
    open_files()
    with lock(path, 7):
        waiting = hold(path, 7, script=WAITER)
        assert "waits" == said(waiting)
        while not is_asleep_with(waiting.pid, path):
            time.sleep(0.01)
        waiting.send_signal(signal.SIGINT)
        assert "0 more open" == said(waiting)


def in_child(check: Callable[[], bool]) -> bool:
    """What a process that is forked here finds."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_process_does_not_hold_the_lock_of_its_parent(path: str) -> None:
    """It would have to wait like any other, also when it leaves the block that it was forked in."""
    with lock(path, 7):
        assert in_child(lambda: is_free(path, 7) is False)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert is_free(path, 7) is False
    if not child:
        os._exit(0)
    assert is_free(path, 7) is True


def test_a_forked_process_lets_go_of_its_own_lock_alone(path: str) -> None:
    """What a child opens under the number of its parent's file is not closed for it."""

    def own_is_kept() -> bool:
        mine = lock(path, 8)
        mine.__enter__()
        held.__exit__(None, None, None)
        return is_free(path, 8) is False

    held = lock(path, 7)
    with held:
        assert in_child(own_is_kept)
        assert is_free(path, 7) is False


@pytest.mark.parametrize("when", ["held", "waited for"])
def test_a_forked_process_that_lives_on_keeps_no_lock(path: str, when: str) -> None:
    """Worker processes that were forked while a lock was held, or waited for, do not block it."""
    holding, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(path, 7):
            holding.set()
            enough.wait()

    first, second = threading.Thread(target=hold), threading.Thread(target=hold)
    first.start()
    holding.wait()
    if when == "waited for":
        second.start()
        wait_until_it_waits(second.native_id)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent ends it
        os._exit(0)
    enough.set()
    first.join()
    if when == "waited for":
        second.join()
    found = is_free(path, 7)
    os.close(writing)
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert found is True


def wait_until_it_waits(thread: int | None) -> None:
    """Return when the kernel has a thread wait for a file; where it does not tell, a bit later."""
    for _ in range(200):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/wchan") as file:
            if any(word in file.read() for word in ("setlk", "flock", "locks")):
                return
        time.sleep(0.01)


def test_a_process_forked_at_the_worst_moment_keeps_no_lock(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that is forked when the file was just opened, before anybody knows of it."""
    reading, writing = os.pipe()
    children: list[int] = []

    def opened(*args: Any) -> int:
        descriptor = _opened(*args)
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent ends it
            os._exit(0)
        children.append(child)
        return descriptor

    def wait() -> None:
        with lock(path, 7):
            entered.set()

    entered = threading.Event()
    waiting = threading.Thread(target=wait, daemon=True)
    held = lock(path, 7)
    with monkeypatch.context() as patched:
        patched.setattr("memori.processes.lock._opened", opened)
        held.__enter__()
    waiting.start()
    wait_until_it_waits(waiting.native_id)
    held.__exit__(None, None, None)
    waiting.join(20)
    found = entered.is_set() and is_free(path, 7)
    os.close(writing)
    os.close(reading)
    for child in children:
        os.waitpid(child, 0)
    assert found is True


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_that_somebody_holds_is_told_by_either_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """POSIX lets a system choose between two."""

    def refuse(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with lock(str(tmp_path / "locks"), 7, wait=False) as held:
        assert held is False


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOLCK])
def test_a_kernel_without_such_locks_locks_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Python may know a lock that the kernel does not; one that is refused is not asked again."""

    def refuse(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    path = str(tmp_path / "locks")
    with lock(path, 7) as held:
        assert (None if number == errno.ENOLCK else True) is held
        assert (None if number == errno.ENOLCK else False) is is_free(path, 7)


def test_where_no_lock_can_be_had_the_work_goes_on(tmp_path: Path) -> None:
    """A folder that is a file holds no locks, and that is said by None."""
    (tmp_path / "file").write_text("")
    with lock(str(tmp_path / "file" / "locks"), 7) as held:
        assert held is None


def test_without_fcntl_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that knows no such locks there is no error."""
    monkeypatch.setattr("memori.processes.lock.fcntl", None)
    with lock(str(tmp_path / "locks"), 7) as held:
        assert held is None


def test_ranges_leave_one_file_and_whole_files_none(path: str, tmp_path: Path) -> None:
    """Nothing is left of a thousand locks but the file that stands for all of them."""
    for number in range(20):
        with lock(path, number):
            pass
    expected = [] if "MEMORI_TEST_WHOLE" in os.environ else [Path(path)]
    assert expected == list((tmp_path / "folder").iterdir())


def test_a_lock_whose_file_was_removed_excludes_from_then_on(path: str) -> None:
    """Somebody who cleans the folder makes a lock void for whoever holds it, not for the next."""
    with lock(path, 7):
        for each in Path(path).parent.iterdir():
            each.unlink()
        with lock(path, 7, wait=False) as held:
            assert held is True
            assert is_free(path, 7) is False
    assert is_free(path, 7) is True
