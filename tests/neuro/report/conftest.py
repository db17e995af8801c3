"""A folder with runs, and the report of it, made once for all tests of this folder."""

from __future__ import annotations

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from memori.neuro.report.page import Report, report


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """The pipeline, imported by its path as a user's script is."""
    spec = spec_from_file_location("report_pipeline", Path(__file__).with_name("pipeline.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    import sys

    sys.modules["report_pipeline"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def remembered(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the pipeline ran; subject 02 failed early, and a tool everywhere."""
    folder = tmp_path_factory.mktemp("report")
    before = Path.cwd()
    os.chdir(folder)
    try:
        script.run()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def made(remembered: Path) -> Report:
    """The report, which also lies in the folder."""
    pytest.importorskip("nilearn", reason="no pictures: pip install 'memori-neuro[report]'")
    found = report(str(remembered))
    (remembered / "report.html").write_bytes(found.html)
    return found
