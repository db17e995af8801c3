"""A run's own folder, in processes that the run forks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Stage
from memori.calls import current_run
from memori.watch import children

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORKED = """
import os
from memori import Stage, StageError, workdir

def in_child(do):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(do()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(reading, 1000).decode()

def refused():
    try:
        return workdir()
    except StageError as error:
        return f"refused: {error}"

def exits():
    import atexit
    atexit._run_exitfuncs()  # as in a child that ends by sys.exit
    return "ended"

def first_in_child(x):
    return in_child(refused)

def known_before(x):
    folder = workdir()
    return in_child(workdir) == str(folder)

def kept(x):
    folder = workdir()
    (folder / "a").write_text("1")
    in_child(exits)
    return (folder / "a").exists()

if __name__ == "__main__":
    print(Stage(first_in_child, hash_output="work").run(1)["output"])
    print(Stage(known_before, hash_output="work").run(1)["output"])
    print(Stage(kept).run(1)["output"])
"""


def test_a_forked_process_shares_the_folder_that_the_run_has(tmp_path: Path) -> None:
    """It is refused a folder of which the run knows nothing, and leaves a temporary one alone."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=tmp_path, capture_output=True, text=True
    )

    assert "" == done.stderr
    refused, *others = done.stdout.splitlines()
    assert refused.startswith(
        "refused: memori.workdir() of stage 'first_in_child' was first called"
    )
    assert ["True", "True"] == others


LOCKED = """
import sys
from memori import Stage
from memori.store import Store

class Watched:
    def __init__(self, lock):
        self.lock = lock
    def __enter__(self):
        held = self.lock.__enter__()
        self.before = set(sys.modules)
        return held
    def __exit__(self, *error):
        print(sorted(set(sys.modules) - self.before))
        return self.lock.__exit__(*error)

lock = Store.lock
Store.lock = lambda store, key, **how: Watched(lock(store, key, **how))

def run(x):
    return x

if __name__ == "__main__":
    Stage(run, hash_output="work", **OPTIONS).run(1)
"""


@pytest.mark.parametrize("options", ["{}", "{'code_version': '1'}", "{'watch': False}"])
def test_nothing_is_imported_while_the_lock_of_a_run_is_held(tmp_path: Path, options: str) -> None:
    """A process that others wait for, or that is forked meanwhile, is not in the middle of that."""
    (tmp_path / "main.py").write_text(LOCKED.replace("OPTIONS", options))
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True)

    assert ("", "[]\n") == (done.stderr, done.stdout)


class TimeUpError(Exception):
    """What a handler of a signal raises, at whatever moment it is called."""


def raises_once(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
    """Have a function of memori interrupted when it is called next."""

    def interrupted(*facts: object) -> None:
        monkeypatch.undo()
        raise TimeUpError

    monkeypatch.setattr(module, name, interrupted)


def test_a_run_that_is_interrupted_as_it_begins_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same process, as in a notebook: it was not run from inside itself."""
    stage = Stage(len, "length", tmp_path)
    raises_once(monkeypatch, current_run, "begin")
    with pytest.raises(TimeUpError):
        stage.run("four")
    assert {"length": 4} == stage.run("four")


@pytest.mark.parametrize("name", ["offer_spool", "learn"])
def test_what_a_function_reads_after_a_stage_was_interrupted_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It gives up on the stage inside, whose time was up when it began or had just ended."""
    atlas = tmp_path / "atlas.txt"
    atlas.write_text("one")
    inner = Stage(len, "length", tmp_path / "work")

    def outer(text: str) -> str:
        if atlas.read_text() == "one":
            raises_once(monkeypatch, children, name)
        with contextlib.suppress(TimeUpError):
            inner.run(text)
        return (tmp_path / "late.txt").read_text()

    stage = Stage(outer, "text", tmp_path / "work")
    (tmp_path / "late.txt").write_text("a")
    assert {"text": "a"} == stage.run("four")
    (tmp_path / "late.txt").write_text("b")
    assert {"text": "b"} == stage.run("four")
