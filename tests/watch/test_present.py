"""What a run was seen to do, of which a person has accepted the outputs: it counts as it is now."""

from __future__ import annotations

import glob
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memori import Stage


def put(path: str, text: str = "") -> Callable[[], object]:
    def put_it() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)

    return put_it


def opened() -> object:
    """Read a file if there is one."""
    try:
        return Path("settings.txt").read_text()
    except OSError:
        return None


def listed() -> object:
    """List a folder if there is one."""
    return sorted(os.listdir("data")) if os.path.isdir("data") else None


def says(command: str) -> object:
    """Have programs look."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


def imported() -> object:
    """Import what is found when it runs."""
    sys.modules.pop(f"present_{os.getpid()}", None)
    importlib.invalidate_caches()
    return importlib.import_module(f"present_{os.getpid()}").VALUE


LONGER = "VALUE = 22\n"
WAYS: dict[str, tuple[Callable[[], object], Callable[[], object], Callable[[], object]]] = {
    "a file": (opened, put("settings.txt", "two"), put("settings.txt", "three")),
    "a file that goes": (opened, lambda: os.remove("settings.txt"), put("settings.txt", "x")),
    "a folder": (listed, put("data/b.txt"), put("data/c.txt")),
    "a folder that goes": (listed, lambda: shutil.rmtree("data"), put("data/c.txt")),
    "a question": (lambda: os.path.isdir("masks"), put("masks/m.txt"),
                   lambda: (shutil.rmtree("masks"), put("masks")())),
    "all below": (lambda: len([*os.walk("data")]), put("data/in/b.txt"), put("data/in/deep/c")),
    "a size": (lambda: os.path.getsize("settings.txt"), put("settings.txt", "longer"),
               put("settings.txt", "longer still")),
    "a pattern": (lambda: len(glob.glob("data/*.txt")), put("data/b.txt"), put("data/c.txt")),
    "a pattern below": (lambda: len(glob.glob("data/**/*.txt", recursive=True)),
                        put("data/in/b.txt"), put("data/in/c.txt")),
    "a pattern of folders": (lambda: len(glob.glob("*/m.txt")), put("masks/m.txt"),
                             put("more/m.txt")),
    "programs below": (lambda: says("find data -type f | wc -l"), put("data/in/b.txt"),
                       put("data/in/c.txt")),
    "programs": (lambda: says("cat settings.txt; ls data; [ -e masks/m.txt ] && echo masked"),
                 put("masks/m.txt"), put("data/b.txt")),
    "a module": (imported, put(f"present_{os.getpid()}.py", LONGER),
                 put(f"present_{os.getpid()}.py", LONGER * 2)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_an_accepted_run_saw_counts_as_it_is_now(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is accepted is a hit until something is changed again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for make in (put("settings.txt", "one"), put("data/a.txt"), put("more/n.txt"),
                 put(f"present_{os.getpid()}.py", "VALUE = 1\n")):  # fmt: skip
        make()
    function, change, later = WAYS[way]
    stage = Stage(function, "seen", "work", stage_name="sees")
    first = stage.run()["seen"]
    change()
    assert not stage.is_remembered()
    stage.accept()
    assert (first, False) == (stage.run()["seen"], stage.state)
    later()
    assert not stage.is_remembered()
    assert (function(), True) == (stage.run()["seen"], stage.state)


def test_what_lies_in_a_new_folder_does_not_count_for_a_run_that_looked_into_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listed the subjects alone, one of whom was added before the run was accepted."""
    monkeypatch.chdir(tmp_path)
    put("bids/sub-01/scan")()
    stage = Stage(lambda: sorted(os.listdir("bids")), "seen", "work", stage_name="sees")
    stage.run()
    put("bids/sub-02/scan")()
    stage.accept()
    put("bids/sub-02/another")()
    assert stage.is_remembered()
    put("bids/sub-03/scan")()
    assert not stage.is_remembered()
