"""Runs that read and change one file: of another case they go on, of the same case they replace."""

from __future__ import annotations

import json
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from memori import Stage


def _add(subject: str, width: int | float, note: str | None = None) -> str:
    table = Path("all.json")
    rows = json.loads(table.read_text()) if table.exists() else {}
    rows[subject] = [width, note]
    table.write_text(json.dumps(rows))
    return str(table)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows() -> dict[str, list[object]]:
    found: dict[str, list[object]] = json.loads(Path("all.json").read_text())
    return found


@pytest.mark.filterwarnings("ignore:.*runs again because")
def test_going_back_to_an_earlier_number_makes_the_rows_anew() -> None:
    """With 6, 8 and 6 the file holds 6 in the end, and each sweep hits when it is repeated."""
    stage = Stage(_add, "table", "work")
    for width in (6, 8, 6, 2.5):
        for is_first in (True, False):
            for subject in ("s1", "s2"):
                stage.run(subject, width)
                assert stage.state is is_first
        assert {"s1": [width, None], "s2": [width, None]} == rows()


def test_a_table_grows_by_a_case_and_no_other_runs() -> None:
    """What was added before stays, and hits."""
    stage = Stage(_add, "table", "work")
    for count in (1, 2, 3):
        for number in range(count):
            stage.run(f"s{number}", 6)
            assert stage.state is (number == count - 1)
    assert {"s0", "s1", "s2"} == set(rows())


def module(text: str) -> ModuleType:
    Path("going_back_code.py").write_text(text)
    sys.modules.pop("going_back_code", None)
    spec = util.spec_from_file_location("going_back_code", "going_back_code.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["going_back_code"] = found = util.module_from_spec(spec)
    exec(compile(text, "going_back_code.py", "exec"), found.__dict__)
    return found


def test_going_back_to_earlier_code_changes_the_file_again() -> None:
    """The code that was put back runs, because what it made is gone."""
    code = (
        "from pathlib import Path\n"
        "def patch(path):\n"
        "    header = Path('header.txt')\n"
        "    header.write_text(header.read_text().split('=')[0] + '=2.0')\n"
        "    return 'done'\n"
    )
    Path("header.txt").write_text("TR=1")
    for time in ("2.0", "2.5", "2.0"):
        for is_first in (True, False):
            stage = Stage(module(code.replace("2.0", time)).patch, "x", "work", stage_name="patch")
            stage.run("a")
            assert stage.state is is_first
            assert f"TR={time}" == Path("header.txt").read_text()
    sys.modules.pop("going_back_code")


def _first() -> str:
    Path("out.txt").write_text("first")
    return "out.txt"


def _second() -> str:
    Path("out.txt").write_text("second")
    return "out.txt"


@pytest.mark.filterwarnings("ignore:.*runs again because")
def test_what_a_later_stage_wrote_over_a_returned_file_is_no_result_of_the_first() -> None:
    """Each of two stages that write one file has its own content there when it is asked."""
    first, second = Stage(_first, "file", "work"), Stage(_second, "file", "work")
    for stage, text in [(first, "first"), (second, "second"), (first, "first"), (second, "second")]:
        stage.run()
        assert stage.state
        assert Path("out.txt").read_text() == text
    second.run()
    assert not second.state
