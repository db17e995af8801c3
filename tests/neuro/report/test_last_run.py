"""What a report tells of the last run: what changed, what followed of it, and elements of lists."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from memori import Cases, Each, Pipeline, Stage
from memori.neuro.report.details import details_of
from memori.neuro.report.gathering import gather
from memori.neuro.report.table import Table, changes, of_stages, table_of

MODULE = """
def find(subject):
    return [f"{subject}_run-{n}" for n in (1, 2)]

def smooth(image, fwhm=4):
    if "02_run-2" in image:
        raise ValueError("no voxels")
    return f"{image} smoothed by {fwhm}"

def join(smoothed):
    return " + ".join(smoothed)
"""


def load(path: Path, text: str) -> Callable[..., Cases]:
    """Write a module of a user, import it, and return what maps its pipeline over two subjects."""
    path.write_text(text)
    spec = spec_from_file_location("elements", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["elements"] = module
    spec.loader.exec_module(module)
    found = Stage(module.find, "runs", "work/{subject}")
    each = Each(Stage(module.smooth, "smoothed", "work/{subject}"), image="runs")
    joined = Stage(module.join, "joined", "work/{subject}")
    pipeline = Pipeline([("start", found), (found, each), (each, joined)])
    cases = [{"subject": "sub-01"}, {"subject": "sub-02"}]
    return lambda **given: pipeline.map([{**case, **given} for case in cases])


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Of a pipeline over elements that ran, was edited, and ran with another value."""
    monkeypatch.chdir(tmp_path)
    load(tmp_path / "elements.py", MODULE)()
    edited = MODULE.replace('" + ".join', '" & ".join')
    load(tmp_path / "elements2.py", edited)(fwhm=6)
    return table_of(gather(str(tmp_path)))


def test_values_that_are_no_files_join_stages(table: Table) -> None:
    """Elements of a list that was returned, and the list of what was made of them."""
    assert [("find", "smooth"), ("smooth", "join")] == table.edges
    assert ["find", "smooth", "join"] == table.stages


def test_an_element_that_failed_is_what_its_stage_is_told_as(table: Table) -> None:
    """The cell says that it failed; the elements that ran stand behind it."""
    assert "failed" == table.state("sub-02", "smooth")
    told = details_of(table.cells["sub-02", "smooth"])
    assert "no voxels" in told["failure"]
    assert {"failed", "ran"} == {each["state"] for each in told["earlier"]}
    assert all(each["last"] for each in told["earlier"])


def test_a_reason_is_told_apart_from_what_follows_of_it(table: Table) -> None:
    """What a person changed stands alone; what ran because of it names the stage before."""
    runs = [run for each in table.cells.values() for run in each]
    told = {each["reason"]: each["stages"] for each in changes(table, runs)}
    assert {
        "input fwhm: 4 -> 6": ["smooth"],
        "function elements.join edited": ["join"],
    } == told
    (joined,) = (each for each in of_stages(table) if each["name"] == "join")
    assert [1, "function elements.join edited; smooth ran before it"] in joined["why"]


def test_the_edit_for_which_a_stage_ran_is_shown(table: Table) -> None:
    """As a diff, of the stage and of the run."""
    (joined,) = (each for each in of_stages(table) if each["name"] == "join")
    (diff,) = joined["edits"]
    assert "-    return ' + '.join(smoothed)\n+    return ' & '.join(smoothed)" in diff
    runs = table.cells["sub-01", "join"]
    assert [[diff], []] == [details_of([run])["edits"] for run in runs]


def test_what_was_mended_within_the_last_run_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who makes the input anew and runs again sees that it ran."""
    monkeypatch.chdir(tmp_path)

    def check(path: str) -> str:
        if not Path(path).read_text():
            raise ValueError("nothing in it")
        return "fine"

    stage = Stage(check, "state", "work/sub-01")
    for text in ("", "something"):
        Path("in.txt").write_text(text)
        with contextlib.suppress(ValueError):
            stage.run("in.txt")

    table = table_of(gather(str(tmp_path)))

    assert ["ran"] == [table.state(*place) for place in table.cells]
