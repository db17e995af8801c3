"""Shells complete the commands and options that there are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from memori.cli import main


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    capsys.readouterr()
    assert 0 == main(["completion", shell])
    path = folder / f"_memori.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ver"], ["verify", "version"]),
        (["--debug", "sta"], ["status"]),
        (["prune", "--not"], ["--not-latest"]),
        (["ls", "--s"], ["--stage"]),
        (["completion", "z"], ["zsh"]),
        (["show", "any"], []),  # a file: the shell completes it
    ],
)
def test_bash_completes(
    words: list[str], offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands first, then their options."""
    path = script("bash", tmp_path, capsys)
    command = '. "$0"; COMP_WORDS=(memori "$@"); COMP_CWORD=$#; _memori; printf "%s\\n" '
    done = subprocess.run(
        ["bash", "-c", command + '"${COMPREPLY[@]}"', str(path), *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (offered, "") == (done.stdout.split(), done.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands in the help of an option."""
    path = script(shell, tmp_path, capsys)
    assert "--not-latest" in path.read_text() or shell == "fish"
    assert "not-latest" in path.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not there")
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
