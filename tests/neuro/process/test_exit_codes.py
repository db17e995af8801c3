"""How a program ended is known, whatever this process was started with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memori.neuro import CommandError, InterfaceError, NipypeStage, ShellStage, Stdout


@pytest.fixture(autouse=True)
def _ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("watch", [True, False])
def test_a_command_that_fails_does_so_below_a_daemon_that_ignores_its_children(
    tmp_path: Path, watch: bool
) -> None:
    """Where SIGCHLD is ignored the system forgets exit codes; it is ignored again afterwards."""
    bad = ShellStage("sh -c 'exit 3'", stage_name="bad", hash_output=tmp_path, watch=watch)
    with pytest.raises(CommandError) as caught:
        bad.run()
    assert 3 == caught.value.code
    good = ShellStage("echo {x}", outputs=Stdout(int), hash_output=tmp_path, watch=watch)
    assert {"output": 1} == good.run(x=1)
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN


def test_an_interface_whose_command_fails_does_so_there_too(tmp_path: Path) -> None:
    """Also one that has Nipype write what it prints to files."""
    from nipype.interfaces.base import CommandLine

    for printed in ("stream", "file_split"):
        stage = NipypeStage(CommandLine("sh", terminal_output=printed), hash_output=tmp_path)
        with pytest.raises(InterfaceError) as caught:
            stage.run(args="-c 'exit 3'")
        assert 3 == caught.value.code


def test_of_several_threads_each_knows_whether_its_command_failed(tmp_path: Path) -> None:
    """Also if another one is over before it."""
    stage = ShellStage("sh -c 'sleep 0.{x}; exit {x}'", hash_output=tmp_path)

    def code(x: int) -> int:
        with pytest.raises(CommandError) as caught:
            stage.run(x=x)
        return int(caught.value.code)

    with ThreadPoolExecutor(2) as pool:
        assert [1, 3] == list(pool.map(code, [1, 3]))
    status = Path("/proc/self/status")
    if status.exists():
        ignored = status.read_text().partition("SigIgn:")[2].split()[0]
        assert int(ignored, 16) >> (signal.SIGCHLD - 1) & 1
