"""Variables of the environment that a shell puts into a command count by their values."""

import os
import subprocess

import pytest

from memori import Stage
from memori.neuro import ShellStage


def by_subprocess():
    """Have a shell put it in."""
    return subprocess.run("echo ${LEVEL:-0}", shell=True, capture_output=True, text=True).stdout


def by_system():
    """Have a shell put it in, by os.system."""
    path = os.path.abspath("out.txt")
    os.system(f"echo $LEVEL > {path}")
    with open(path) as file:
        return file.read()


@pytest.mark.parametrize("kind", ["subprocess", "system", "shell"])
def test_a_variable_in_a_command_counts(kind, tmp_path, monkeypatch):
    """Another value runs again; going back is known."""
    monkeypatch.chdir(tmp_path)
    text = "sh -c 'echo $LEVEL'"
    stage = {
        "subprocess": lambda: Stage(by_subprocess, hash_output="work"),
        "system": lambda: Stage(by_system, hash_output="work"),
        "shell": lambda: ShellStage(text, hash_output="work"),
    }[kind]()
    for value in ("1", "2"):
        monkeypatch.setenv("LEVEL", value)
        assert value == stage.run()["output"].strip()
        assert stage.state
        assert value == stage.run()["output"].strip()
        assert not stage.state
