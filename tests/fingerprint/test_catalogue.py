"""The catalogue of edits, judged by running each project in a fresh process before and after."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fingerprint.catalogue import (
    Edit,
    body,
    classes,
    harmless,
    held,
    hidden,
    imports,
    reach,
    stable,
    unlisted,
    values,
)

MODULES = (body, reach, classes, values, imports, harmless, unlisted, hidden, held, stable)
OTHERWISE_BEFORE_3_14 = ("metaclass reading annotations", "annotations of the module")
LIBRARIES = (
    "attr",
    "attrs",
    "cattrs",
    "click",
    "dask",
    "decorator",
    "formulaic",
    "joblib",
    "lazy_loader",
    "lxml",
    "nibabel",
    "nipype",
    "numba",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "sklearn",
    "toolz",
    "traits",
    "typer",
    "wrapt",
)


def libraries(edit: Edit) -> list[str]:
    """Return the libraries that a project imports."""
    text = "\n".join(edit.before.values())
    return [name for name in LIBRARIES if re.search(rf"\n?(import|from) {name}\b", text)]


ROOT = Path(__file__).parents[2]
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
DRIVER = Path(__file__).with_name("driver.py")
EDITS = [
    pytest.param(edit, id=f"{module.__name__.rpartition('.')[2]}: {edit.name}")
    for module in MODULES
    for edit in module.EDITS
    if not any(find_spec(name) is None for name in libraries(edit))
]


def write(files: dict[str, str], folder: Path) -> None:
    """Write a project."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def drive(
    requests: list[dict[str, str]], seed: str = "0", python: str = sys.executable
) -> list[dict[str, object]]:
    """Fingerprint and run projects, each in a process of its own."""
    done = subprocess.run(
        [python, str(DRIVER)],
        input="\n".join(map(json.dumps, requests)),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PATH": "", **COVERAGE},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    """What each project gives before and after its edit, with two hash seeds."""
    root = tmp_path_factory.mktemp("edits")
    found: list[list[dict[str, object]]] = []
    for when, seed in (("before", "1"), ("after", "2")):
        projects = [getattr(param.values[0], when) for param in EDITS]
        once = {json.dumps(files): files for files in projects}
        requests = []
        for number, files in enumerate(once.values()):
            folder = root / when / str(number)
            write(files, folder)
            requests.append({"folder": str(folder)})
        told = dict(zip(once, drive(requests, seed), strict=True))
        found.append([told[json.dumps(files)] for files in projects])
    return {
        param.id: [before, after]  # type: ignore[misc]
        for param, before, after in zip(EDITS, *found, strict=True)
    }


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reruns_if_and_only_if_it_changes_the_result(
    edit: Edit, judged: dict[str, list[dict[str, object]]], request: pytest.FixtureRequest
) -> None:
    """An edit that changes the result changes both digests; another leaves one of them."""
    if edit.name in OTHERWISE_BEFORE_3_14 and sys.version_info >= (3, 14):
        pytest.skip("Python keeps annotations elsewhere since: the edit has no effect")
    name = request.node.callspec.id
    before, after = judged[name]
    assert "error" not in before, before["error"]
    assert "error" not in after, after["error"]
    assert edit.reruns == (before["result"] != after["result"]), "the catalogue is wrong"

    same = before["fast"] == after["fast"] or (
        before["canonical"] is not None and before["canonical"] == after["canonical"]
    )

    assert edit.reruns != same, (before["components"], after["components"])
    if edit.reruns:
        assert before["components"] != after["components"]
    assert before["settled"]
    assert after["settled"]
