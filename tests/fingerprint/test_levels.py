"""Code is compared at one level: what has no source is not blamed for it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from memori.calls.levels import comparable
from memori.fingerprint import Code, fingerprint
from memori.fingerprint import code as code_module
from tests.fingerprint.test_catalogue import write

ROOT = Path(__file__).parents[2]
SOURCE = """
RATE = 2
class Scale:
    def __call__(self, x):
        return x * RATE
def helper(x):
    return x + 1
def other(x):
    return x - 1
def run(x):
    return helper(x) + other(x) + Scale()(x)
"""


def module_of(source: str, file: Path | None) -> Any:
    """Return a module made of `source`, which lies in a file or (as in a worker) nowhere."""
    module = types.ModuleType("levels")
    if file is not None:
        file.write_text(source)
    name = "<dynamic-code>" if file is None else str(file)
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    return module


def changed(old: Code, new: Code) -> list[str]:
    """Return the components that differ, and fail where some cannot be compared."""
    before, now, unlike = comparable(old.components(), new.components())
    assert {} == unlike
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def test_code_with_and_without_source_is_the_same(tmp_path: Path) -> None:
    """A worker that has no source says of no component that it has changed."""
    here = fingerprint(module_of(SOURCE, tmp_path / "levels.py").run)
    there = fingerprint(module_of(SOURCE, None).run)

    assert here.canonical() is not None
    assert there.canonical() is None
    assert here.fast == there.fast
    assert here.components() != there.components()
    assert [] == changed(here, there) == changed(there, here)


def test_only_what_was_edited_is_blamed_across_levels(tmp_path: Path) -> None:
    """Against a record made without source, the edited helper is named and nothing else."""
    edited = SOURCE.replace("x + 1", "x + 2")
    there = fingerprint(module_of(SOURCE, None).run)
    here = fingerprint(module_of(edited, tmp_path / "levels.py").run)

    assert ["helper levels.helper"] == changed(there, here)
    assert ["global levels.RATE"] == changed(
        there, fingerprint(module_of(SOURCE.replace("RATE = 2", "RATE = 3"), None).run)
    )


def test_what_is_harmless_at_either_level_is_not_blamed(tmp_path: Path) -> None:
    """A renamed local changes the syntax, a nested annotation the bytecode: neither is an edit."""
    source = SOURCE + "def last(x):\n    y = x\n    def inner(a: int):\n        return a\n"
    source += "    return helper(inner(y))\n"
    found = [
        fingerprint(module_of(text, tmp_path / f"{number}.py").last)
        for number, text in enumerate(
            [
                source,
                source.replace("y = x", "z = x").replace("inner(y)", "inner(z)"),
                source.replace("a: int", "a: str"),
                source.replace("a: int", "a: str").replace("x + 1", "x + 2"),
            ]
        )
    ]

    assert [[], [], ["helper levels.helper"]] == [changed(found[0], each) for each in found[1:]]


def test_bytecode_of_two_versions_is_not_compared() -> None:
    """Code without source that another version of Python recorded is named as incomparable."""
    old = {"function a.f": "bytecode 3.11 0123456789ab", "global a.X": "1"}
    new = {"function a.f": "bytecode 3.13 ba9876543210", "global a.X": "2"}

    before, now, unlike = comparable(old, new)

    assert {"function a.f": (old["function a.f"], new["function a.f"])} == unlike
    assert ({"global a.X": "1"}, {"global a.X": "2"}) == (before, now)


def test_a_shown_value_is_not_taken_for_a_level() -> None:
    """A global whose text looks like a digest is compared as the text that it is."""
    old, new = {"g": "'bytecode 3.11 0123456789ab'"}, {"g": "'bytecode 3.12 0123456789ab'"}

    assert (old, new, {}) == comparable(old, new)


def test_components_recorded_before_levels_were_are_compared() -> None:
    """A bare digest of an older record is that of either level."""
    both = "syntax aaaaaaaaaaaa, bytecode 3.11 bbbbbbbbbbbb"
    for bare, same in (("aaaaaaaaaaaa", True), ("bbbbbbbbbbbb", True), ("cccccccccccc", False)):
        old, new, unlike = comparable({"f": bare}, {"f": both})
        assert {} == unlike
        assert same == (old == new)


def test_functions_that_share_a_label_keep_their_numbers(tmp_path: Path) -> None:
    """Two lambdas of one name are the same two with and without source, in whatever order."""
    source = "fs = (lambda x: x + 1,\n      lambda x: x + 2)\ndef run(x):\n    return fs[1](x)\n"
    here = fingerprint(module_of(source, tmp_path / "levels.py").run)
    there = fingerprint(module_of(source, None).run)

    assert 2 == sum("<lambda>" in label for label in here.components())
    assert [] == changed(here, there)


def test_functions_that_share_a_label_are_numbered_as_they_are_defined() -> None:
    """Which of two lambdas code names first, or a version of Python sees first, does not matter."""
    source = "f = lambda x: x + 1\ng = lambda x: x + 2\ndef run(x):\n    return g(x), f(x)\n"
    first = fingerprint(module_of(source, None).run)
    second = fingerprint(module_of(source.replace("x + 2", "x + 3"), None).run)

    assert ["helper levels.<lambda> (2)"] == changed(first, second)


def test_a_run_recorded_without_source_is_hit_and_explained(tmp_path: Path) -> None:
    """What a worker without source recorded is a hit for who has it, and an edit is named."""
    work = tmp_path / "work"
    there = Stage(module_of(SOURCE, None).run, hash_output=work)
    assert {"output": 8} == there.run(2)

    here = Stage(module_of(SOURCE, tmp_path / "levels.py").run, hash_output=work)
    edited = SOURCE.replace("x - 1", "x - 2")
    later = Stage(module_of(edited, tmp_path / "later.py").run, hash_output=work)

    assert here.explain(2).hit
    assert "stage 'run': miss: helper levels.other edited" == str(later.explain(2))


def test_code_that_cannot_be_compared_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade of Python without the source blames nothing, but says what it lacks."""
    source = "def run(x):\n    return x\n"
    with monkeypatch.context() as older:
        older.setattr(code_module, "_LEVEL", "bytecode 2.7")
        older.setattr(code_module, "_HEAD", b"memori code 1 bytecode 2.7")
        Stage(module_of(source, None).run, hash_output=tmp_path).run(1)

    (change,) = Stage(module_of(source, None).run, hash_output=tmp_path).explain(1).changes

    assert ("code", "function levels.run") == (change.kind, change.subject)
    assert change.old.startswith("bytecode 2.7 ")
    assert change.new.endswith(", which cannot be compared")


def test_an_edit_that_only_the_bytecode_shows_is_a_hit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest over syntax finds the entry where the one over bytecode does not."""
    file = tmp_path / "annotated.py"
    source = "def run(x):\n    def inner(a: int):\n        return a\n    return inner(x)\n"
    file.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("annotated")
    first = Stage(module.run, hash_output=tmp_path / "work")
    first.run(1)
    before = fingerprint(module.run).fast

    file.write_text(source.replace("a: int", "a: float"))
    module = importlib.reload(module)
    again = Stage(module.run, hash_output=tmp_path / "work")
    again.run(1)

    assert before != fingerprint(module.run).fast
    assert not again.state


MAP = """
import dataclasses, sys
from memori import Pipeline, Stage
@dataclasses.dataclass
class Point:
    x: int = 1
class Outer:
    class Inner:
        __slots__ = ("b", "a")
        def size(self):
            return 0
def helper(x):
    return x + 1
def other(x):
    return x
def measure(x):
    if x == 3:
        raise ValueError("too large")
    return helper(x) + other(x) + Point().x + Outer.Inner().size()
stage = Stage(measure, hash_output="work")
if __name__ == "__main__":
    cases = Pipeline([("start", stage)]).map([{"x": x} for x in (1, 2, 3)], n_jobs=2)
    print(cases.failures[0].traceback)
"""
EXPLAIN = "import main; print(main.stage.explain(1))"


def python(*arguments: str, cwd: Path) -> str:
    """Return what a new interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_what_workers_of_a_script_record_is_told_as_by_the_script(tmp_path: Path) -> None:
    """After a map on workers an edit blames what was edited, and a failure shows its line."""
    write({"main.py": MAP}, tmp_path)
    printed = python("main.py", cwd=tmp_path)
    hit = python("-c", EXPLAIN, cwd=tmp_path)
    write({"main.py": MAP.replace("x + 1", "x + 2")}, tmp_path)
    miss = python("-c", EXPLAIN, cwd=tmp_path)

    assert '    raise ValueError("too large")\n' in printed
    assert "stage 'measure': hit\n" == hit
    verdict, *diff = miss.splitlines()
    assert "stage 'measure': miss: helper main.helper edited" == verdict
    assert ["-    return x + 1", "+    return x + 2"] == [line.strip(" ") for line in diff[-2:]]
    records = [json.loads(path.read_text()) for path in tmp_path.glob("work/measure.stage")]
    assert [True] == [record["code"]["canonical"] is not None for record in records]


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(text):
    shell.run_cell(text, store_history=True).raise_error()
cell("from memori import Pipeline, Stage")
cell("def helper(x):\\n    return x + 1\\ndef other(x):\\n    return x")
cell("def measure(x):\\n    return helper(x) + other(x)")
cell("stage = Stage(measure, hash_output='work')")
cell("_ = Pipeline([('start', stage)]).map([{'x': x} for x in (1, 2)], n_jobs=2)")
cell("print(stage.explain(1))")
cell("def helper(x):\\n    return x + 2")
cell("print(stage.explain(1))")
"""


def test_what_workers_of_a_notebook_record_is_told_as_by_the_notebook(tmp_path: Path) -> None:
    """Workers see no cells; yet what they recorded hits, and an edited cell is named alone."""
    pytest.importorskip("IPython", reason="pip install ipython")

    printed = python("-c", NOTEBOOK, cwd=tmp_path).splitlines()

    edited = "stage 'measure': miss: helper __main__.helper edited"
    assert ["stage 'measure': hit", edited] == printed[-2:]
