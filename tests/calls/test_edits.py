"""An edit of code is shown as what it is: a unified diff, before the run and after it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from memori.cli import main

FILTERS = '''
import math

RATE = 2

def smooth(x, fwhm=3):
    """Smooth."""
    wide = x * fwhm  # a remark
    return wide + RATE

class Filter:
    def apply(self, x):
        return x + 1

    def skip(self, x):
        return x
'''
STEP = """
from {name} import Filter, smooth

def step(x):
    from {name}_late import late
    return smooth(Filter().apply(x)) + late(x)
"""
LATE = """
OFFSET = 1

def late(x):
    return x - OFFSET
"""


class Project:
    """A package that is edited between runs, each in an import of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.texts = {name: FILTERS, f"{name}_late": LATE, f"{name}_step": STEP}
        self.write()

    def write(self) -> None:
        for name, text in self.texts.items():
            Path(self.folder, f"{name}.py").write_text(text.replace("{name}", self.name))

    def edit(self, old: str, new: str) -> None:
        assert any(old in text for text in self.texts.values())
        self.texts = {name: text.replace(old, new) for name, text in self.texts.items()}
        self.write()

    def stage(self) -> Stage:
        for name in self.texts:
            sys.modules.pop(name, None)
        invalidate_caches()
        return Stage(import_module(f"{self.name}_step").step, "y", "work")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Project]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return lambda name: Project(tmp_path, name)


def sources() -> dict[str, str]:
    return {path.stem: path.read_text() for path in Path("work/.memori/sources").glob("*")}


def test_the_diff_of_a_helper_is_told_by_explain_and_by_why(
    project: Callable[[str], Project], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the run and after it, with what counts and without remarks."""
    mine = project("edited_filters")
    mine.stage().run(1)
    mine.edit("x * fwhm  # a remark", "x ** fwhm  # another remark")
    decision = mine.stage().explain(1)
    assert ["helper edited_filters.smooth edited"] == [str(each) for each in decision.changes]
    (diff,) = decision.edits.values()
    expected = """\
--- helper edited_filters.smooth (as it ran)
+++ helper edited_filters.smooth (now)
@@ -1,3 +1,3 @@
 def smooth(x, fwhm=3):
-    wide = x * fwhm
+    wide = x ** fwhm
     return wide + RATE"""
    assert expected == diff
    assert "  +    wide = x ** fwhm" in str(decision).splitlines()
    mine.stage().run(1)
    assert 0 == main(["why"])
    assert "+    wide = x ** fwhm" in capsys.readouterr().out
    assert 0 == main(["why", "--json"])
    runs = json.loads(capsys.readouterr().out)["step"]
    assert [{"helper edited_filters.smooth": expected}] == [e for r in runs if (e := r["edits"])]


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("edited_method", "return x + 1", "return x + 2", "+    return x + 2"),
        ("edited_late", "return x - OFFSET", "return OFFSET", "+    return OFFSET"),
        ("edited_value_late", "OFFSET = 1", "OFFSET = 2", "+OFFSET = 2"),
        ("edited_stage", "Filter().apply(x)", "x", "+    return smooth(x) + late(x)"),
    ],
)
def test_all_kinds_of_code_have_their_diff(
    project: Callable[[str], Project], name: str, old: str, new: str, line: str
) -> None:
    """Methods, what only the function imports when it runs, and the function itself."""
    mine = project(name)
    mine.stage().run(1)
    mine.edit(old, new)
    assert line in "\n".join(mine.stage().explain(1).edits.values()).splitlines()


def test_each_text_is_kept_once(project: Callable[[str], Project]) -> None:
    """Whatever inputs it ran with, however often, and whatever remarks are made in it."""
    mine = project("kept_once")
    stage = mine.stage()
    for x in range(3):
        stage.run(x)
    kept = sources()
    assert 1 == sum("def smooth" in text for text in kept.values())
    mine.edit("# a remark", "# another remark")
    stage = mine.stage()
    stage.run(7)
    assert kept == sources()
    mine.edit("x * fwhm", "x ** fwhm")
    mine.stage().run(1)
    assert 1 == len(sources().keys() - kept.keys())


def test_sources_that_are_gone_cost_the_diff_alone(project: Callable[[str], Project]) -> None:
    """The change is named all the same, and nothing else depends on them."""
    mine = project("sources_gone")
    mine.stage().run(1)
    for path in Path("work/.memori/sources").glob("*"):
        path.unlink()
    assert mine.stage().explain(1).hit
    mine.edit("x * fwhm", "x ** fwhm")
    decision: Any = mine.stage().explain(1)
    assert "helper sources_gone.smooth edited" == str(decision.changes[0])
    assert {} == decision.edits
    mine.stage().run(1)
    assert 0 == main(["why"])


def test_a_changed_value_has_no_diff(project: Callable[[str], Project]) -> None:
    """Old and new value say it all."""
    mine = project("values_changed")
    mine.stage().run(1)
    mine.edit("RATE = 2", "RATE = 3")
    decision = mine.stage().explain(1)
    assert ["global values_changed.RATE: 2 -> 3"] == [str(each) for each in decision.changes]
    assert {} == decision.edits
