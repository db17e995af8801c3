"""`memori nipype`: a program's workflows are remembered without an edit of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MEMORI = [sys.executable, "-c", "import sys; from memori.cli import main; sys.exit(main())"]
PROGRAM = """
import sys
from nipype import Function, Node, Workflow

def stamp(n):
    import time
    return n, time.time_ns()

def show(at):
    print("made", at)

if __name__ == "__main__":
    base_dir, numbers = sys.argv[1], sys.argv[2:]
    for number in map(int, numbers):
        first = Node(Function(["n"], ["n", "at"], stamp), name="first")
        first.inputs.n = number
        workflow = Workflow(f"number{number}", base_dir=base_dir)
        workflow.add_nodes([first])
        (node,) = workflow.run(plugin="MultiProc" if number == 1 else "Linear").nodes
        print(number, node.result.outputs.at)
    if not numbers:
        sys.exit(3)
    if "0" in numbers:
        raise ValueError("no such number")
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the program as a script, a module and a console script."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/program"
    script.write_text(f"#!{sys.executable}\n{PROGRAM}")
    script.chmod(0o755)
    return tmp_path


def run(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(here / "bin"), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [*MEMORI, "nipype", "-d", "memory", *words],
        cwd=here, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def made(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the program printed of its results."""
    assert 0 == done.returncode, done.stderr
    return [line for line in done.stdout.splitlines() if line[:1].isdigit() and " " in line[:2]]


def test_a_program_is_remembered_however_it_is_started(here: Path) -> None:
    """In another working folder too; what changed alone runs."""
    first = made(run(here, "--", "program.py", "one", "1", "2"))
    assert 2 == len(first)
    assert first == made(run(here, "--", "program.py", "other", "1", "2"))
    assert first == made(run(here, "python", "program.py", "one", "1", "2"))
    (second, third) = made(run(here, "program.py", "one", "2", "4"))
    assert (first[1], "4") == (second, third[0])


def test_another_plugin_may_run_it(here: Path) -> None:
    """In place of the program's; one that is not there is Nipype's own error."""
    first = made(run(here, "--plugin", "Memori", "program.py", "one", "1", "2"))
    assert first == made(run(here, "--plugin=Linear", "--", "program.py", "other", "1", "2"))
    done = run(here, "--plugin", "Nonsense", "--", "program.py", "third", "3")
    assert (1, True) == (done.returncode, "Nonsense" in done.stderr)


@pytest.mark.parametrize("words", [["-m", "program"], ["program"]], ids=["module", "console"])
def test_modules_and_console_scripts_are_programs(here: Path, words: list[str]) -> None:
    """As they are for `coverage run`."""
    first = made(run(here, "--", *words, "one", "2"))
    assert 1 == len(first)
    assert first == made(run(here, "--", *words, "other", "2"))


def test_the_exit_is_that_of_the_program(here: Path) -> None:
    """Its code, and the traceback of its error."""
    assert 3 == run(here, "--", "program.py", "one").returncode
    done = run(here, "--", "program.py", "one", "0")
    assert (1, True) == (done.returncode, done.stderr.rstrip().endswith("no such number"))
    assert "Traceback" in done.stderr


def test_programs_of_the_own_environment_are_found(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not activated."""
    from memori.cli.running.program import _script

    monkeypatch.setattr(sys, "executable", str(here / "bin/python"))
    assert str(here / "bin/program") == _script(["program"])


def test_what_is_no_python_program_is_refused(here: Path) -> None:
    """It says what is taken."""
    done = run(here, "--", "sh", "-c", "true")
    assert (1, True) == (done.returncode, "is no Python program" in done.stderr)


def test_a_program_does_not_wait_for_the_polls_of_its_plugin(here: Path) -> None:
    """Not in its first run either: what has ended, and what is remembered, is seen at once."""
    (here / "polls.py").write_text(POLLS)
    for base_dir in ("one", "other"):
        done = run(here, "--", "polls.py", base_dir)
        assert (0, "[3, 4]") == (done.returncode, done.stdout.splitlines()[-1])


POLLS = """
import sys
from nipype import Function, MapNode, Workflow

def add(n):
    return n + 1

if __name__ == "__main__":
    workflow = Workflow("polls", base_dir=sys.argv[1])
    first, second = (MapNode(Function(["n"], ["m"], add), "n", name) for name in ("a", "b"))
    first.inputs.n = [1, 2]
    workflow.connect(first, "m", second, "n")
    workflow.config["execution"]["poll_sleep_duration"] = 600
    (*_, last) = workflow.run(plugin="MultiProc", plugin_args={"n_procs": 2}).nodes
    print(last.result.outputs.m)
"""
