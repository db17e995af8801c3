"""A module that an import looked for in vain, or found only in a later folder, counts."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Stage
from memori.neuro import ShellStage, Stdout

OPTIONAL = """\
width = 6
try:
    from local_settings import width
except ImportError:
    pass
print(width)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def forget(*names: str) -> None:
    importlib.invalidate_caches()
    for name in names:
        sys.modules.pop(name, None)


def in_a_child(number: int) -> str:
    """The number tells runs apart."""
    return subprocess.check_output([sys.executable, "tool.py"], text=True)


def test_a_child_that_looks_for_its_settings() -> None:
    """They appear, as a module or as a package, are edited, and go again."""
    Path("tool.py").write_text(OPTIONAL)
    as_stage = Stage(in_a_child, "width", "work")
    as_command = ShellStage("python tool.py", outputs={"width": Stdout()}, hash_output="work")

    def widths(*, ran: bool) -> set[str]:
        found = {as_stage.run(1)["width"].strip(), as_command.run()["width"].strip()}
        assert [ran, ran] == [as_stage.state, as_command.state]
        return found

    assert {"6"} == widths(ran=True) == widths(ran=False)
    Path("local_settings.py").write_text("width = 8\n")
    assert {"8"} == widths(ran=True) == widths(ran=False)
    Path("local_settings.py").unlink()
    assert {"6"} == widths(ran=False)
    Path("local_settings").mkdir()
    Path("local_settings/__init__.py").write_text("width = 100\n")
    assert {"100"} == widths(ran=True) == widths(ran=False)


def test_a_run_that_sets_its_search_path() -> None:
    """What is put into an earlier folder comes first."""
    for folder in ("mine", "common"):
        Path(folder).mkdir()
    Path("common/shadowed_kernel.py").write_text("width = 1\n")

    def width(name: str) -> int:
        forget(name)
        sys.path[:0] = [str(Path("mine").resolve()), str(Path("common").resolve())]
        return int(importlib.import_module(name).width)

    stage = Stage(width, "width", "work")
    for state in (True, False):
        assert ({"width": 1}, state) == (stage.run("shadowed_kernel"), stage.state)
    Path("mine/shadowed_kernel.py").write_text("width = 2\n")
    for state in (True, False):
        assert ({"width": 2}, state) == (stage.run("shadowed_kernel"), stage.state)
    forget("shadowed_kernel")


def test_what_an_installation_may_look_for_counts_not() -> None:
    """A file that is called like a module of the standard library, or like a package."""
    Path("tool.py").write_text("import wave, numpy, nibabel\nprint(1)\n")
    stage = Stage(in_a_child, "width", "work")
    stage.run(2)
    Path("notes.py").write_text("")
    stage.run(2)
    assert not stage.state
