"""Where tests of commands run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from memori.neuro.tools import identity


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in a folder of its own, with programs and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    yield
    identity._known.clear()
