"""A process is taken for gone only where that is certain: what it holds may be removed then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memori.processes.owner import is_gone, is_this_process, this_process

ROOT = Path(__file__).parents[2]
TELL = (
    "import json; from memori.processes.owner import this_process; "
    "print(json.dumps(this_process()))"
)
needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/stat"),
    reason="when a process started is read from Linux's /proc",
)


def other(*before: str, then: str = "import sys; sys.stdin.read()") -> subprocess.Popen[str]:
    """Start a process that tells who it is and lives until its input is closed."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", f"{TELL[:-1]}, flush=True)\n{then}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def told(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())  # type: ignore[no-any-return]


def test_a_process_that_goes_on_is_not_gone() -> None:
    """Neither this one nor another, and only this one is this one."""
    process = other()
    owner = told(process)
    assert (False, False) == (is_gone(owner), is_this_process(owner))
    assert (False, True) == (is_gone(this_process()), is_this_process(this_process()))
    process.communicate()


def test_a_process_that_ended_is_gone() -> None:
    """Its id stands for nobody any more."""
    process = other()
    owner = told(process)
    process.communicate()
    assert is_gone(owner) is True


def test_a_killed_process_that_nobody_waited_for_is_gone() -> None:
    """Its id is still taken (a zombie), but it does nothing any more."""
    process = other()
    owner = told(process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(owner) is True
    process.communicate()


@needs_proc
def test_a_process_that_took_over_an_id_is_not_its_earlier_owner() -> None:
    """The same id with another time of its start is another process, also where it is our own."""
    started = this_process()["started"]
    assert isinstance(started, int)
    earlier = {**this_process(), "started": started - 1}
    assert (True, False) == (is_gone(earlier), is_this_process(earlier))


@pytest.mark.parametrize(
    "elsewhere", [{"host": "another"}, {"boot": "another"}, {"process": "7"}, {"process": None}]
)
def test_nothing_is_known_of_processes_elsewhere(elsewhere: dict[str, object]) -> None:
    """On another host, before a restart, or of a kind to come: not gone, whatever runs here."""
    process = other()
    owner = {**told(process), **elsewhere}
    process.communicate()
    assert (False, False) == (is_gone(owner), is_this_process(owner))


@pytest.mark.parametrize("owner", [None, "7", 7, [], {}, {"process": 7}])
def test_what_is_no_owner_is_not_gone(owner: object) -> None:
    """A note that was damaged, or made by another version, gives nothing away."""
    assert (False, False) == (is_gone(owner), is_this_process(owner))


def test_a_process_in_another_namespace_of_ids_is_not_known() -> None:
    """A container may have the id of a process here: whether it goes on cannot be seen."""
    process = other("unshare", "--pid", "--fork", "--mount-proc")
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        pytest.skip(f"no other namespace of process ids here: {process.communicate()[1].strip()}")
    owner = json.loads(line)
    assert this_process()["host"] == owner["host"]
    assert 1 == owner["process"]
    assert False is is_gone({**owner, "started": None})
    process.communicate()
    assert False is is_gone(owner)


HIDDEN = """
import os, sys
from memori.processes.owner import is_gone, this_process
owner = this_process()
child = os.fork()
if child == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    assert not os.path.exists(f"/proc/{owner['process']}/stat")
    print(is_gone(owner), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_process_that_the_system_hides_is_not_gone() -> None:
    """On many clusters /proc shows a user no process of others (hidepid); they go on."""
    if not shutil.which("unshare") or os.geteuid() != 0:
        pytest.skip("another mount of /proc needs root and unshare: run the tests as root")
    mount = "mount -t proc -o hidepid=2 proc /proc && exec "
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} "$0" -c "$1"', sys.executable, HIDDEN],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if "mount" in done.stderr:
        pytest.skip(f"/proc cannot be mounted with hidepid here: {done.stderr.strip()}")
    assert ("False\n", "") == (done.stdout, done.stderr)


def test_a_forked_process_is_another_one() -> None:
    """A child of a process is not taken for it, though it remembers all that its parent knew."""
    owner = this_process()
    child = os.fork()
    if child == 0:
        os._exit(0 if not is_this_process(owner) and not is_gone(owner) else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
