"""What code goes on without because it is not there counts, in whatever way it was asked for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nibabel
import numpy as np
import pytest

from memori import Stage


def opened_to_change() -> str:
    """Read the state that an earlier call left."""
    with open("there", "r+") as file:
        return file.read()


def opened_by_the_system() -> str:
    """Do so by the bare call."""
    descriptor = os.open("there", os.O_RDWR)
    try:
        return os.read(descriptor, 9).decode()
    finally:
        os.close(descriptor)


def resolved() -> str:
    """Follow all links, and fail where something is missing."""
    return Path("there").resolve(strict=True).name


def loaded_by_a_spec() -> object:
    """Take the settings that a module by this path holds."""
    spec = spec_from_file_location("settings_here", "there.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VALUE


def loaded_by_a_loader() -> object:
    """Do so as old recipes have it."""
    return SourceFileLoader("settings_here", "there.py").get_data("there.py").decode()


def started() -> str:
    """Start a program by its path."""
    return subprocess.check_output(["./there"], text=True)


def started_elsewhere() -> str:
    """Start one in a folder."""
    return subprocess.check_output(["ls"], cwd="folder", text=True)


def loaded_by_a_library() -> object:
    """Let a library look for it before it opens it."""
    return list(nibabel.load("there.nii").shape)


WAYS = [opened_to_change, opened_by_the_system, resolved, loaded_by_a_spec, loaded_by_a_loader,
        loaded_by_a_library, started, started_elsewhere]  # fmt: skip


@pytest.mark.parametrize("ask", WAYS)
def test_what_was_missing_counts_when_it_is_there(
    ask: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that goes on without it runs again with it, and is remembered each time."""
    monkeypatch.chdir(tmp_path)

    def with_or_without() -> object:
        try:
            return ask()
        except FileNotFoundError:
            return "without it"

    stage = Stage(with_or_without, "y", "work")
    assert ["without it"] * 2 == [stage.run()["y"] for _ in range(2)]
    assert not stage.state
    Path("there").write_text("#!/bin/sh\necho 1\n")
    Path("there").chmod(0o755)
    Path("there.py").write_text("VALUE = 1\n")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), None), "there.nii")
    Path("folder").mkdir()
    Path("folder/a").write_text("")
    expected = ask()
    assert [expected] * 2 == [stage.run()["y"] for _ in range(2)]
    assert not stage.state


def test_a_folder_that_is_asked_for_counts_though_nothing_is_found_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed, and what was missing in it is missing as before."""
    monkeypatch.chdir(tmp_path)
    Path("masks").mkdir()
    asked = "[ -d masks ] && echo there; cat masks/m.txt 2>/dev/null; true"
    stage = Stage(lambda: subprocess.check_output(asked, shell=True, text=True), "x", "work", "f")
    assert ["there\n"] * 2 == [stage.run()["x"] for _ in range(2)]
    assert not stage.state
    Path("masks").rmdir()
    assert ("", True) == (stage.run()["x"], stage.state)
