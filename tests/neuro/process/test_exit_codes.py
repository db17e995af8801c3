"""How a program ended is known, whatever this process was started with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memori.neuro import CommandError, ShellStage, Stdout


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


def test_a_thread_that_cannot_know_whether_a_command_failed_says_so(tmp_path: Path) -> None:
    """Only the main thread may ask the system to keep exit codes."""
    stage = ShellStage("sh -c 'exit 3'", stage_name="bad", hash_output=tmp_path)
    with ThreadPoolExecutor(1) as pool, pytest.raises(CommandError, match="SIGCHLD is ignored"):
        pool.submit(stage.run).result()
