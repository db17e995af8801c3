"""Scripts that were written for the first memori run unchanged."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Pipeline, Stage, hashable, redefine_result_key

SCRIPT = """
from memori import Pipeline, Stage, hashable, redefine_result_key
from memori.helpers import hashable as marked

@hashable
def more(c):
    return c + 1

@marked
class Model:
    def fit(self, c):
        return 2 * c

def test_function(a, b):
    return a + b

def test_function2(c):
    return hashable(more)(c)

def test_function3(d):
    return Model().fit(d)

first = Stage(test_function, stage_outputs=["c"], aliases={"d": "c"}, hash_output="hashes")
second = Stage(test_function2, stage_outputs=["e"], hash_output="hashes")
third = Stage(test_function3, stage_outputs=["f"], hash_output="hashes")
pipeline = Pipeline([("start", first), (first, second), (first, third)])
results = pipeline.run(1, 2)
print(results["c"], results["e"], results["f"], first.state, second.state, third.state)
print(redefine_result_key(first.results, "c", "g")["g"])
"""


def python(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_script_of_the_first_memori_runs_and_is_remembered(tmp_path: Path) -> None:
    """What it marks as hashable counts, as everything does."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert ["3 4 6 True True True", "3"] == python(tmp_path)
    assert ["3 4 6 False False False", "3"] == python(tmp_path)
    for name in ("inputs", "stage", "outputs"):
        assert (tmp_path / f"hashes/test_function.{name}").exists()
    script.write_text(SCRIPT.replace("c + 1", "c + 2").replace("2 * c", "3 * c"))
    assert ["3 5 9 False True True", "3"] == python(tmp_path)


def test_hashable_changes_nothing() -> None:
    """The function, the class: the very same."""
    assert len is hashable(len)
    assert Path is hashable(Path)
    assert hashable is importlib.import_module("memori.helpers").hashable


def test_what_is_not_there_is_told() -> None:
    """An import of the file functions of the first memori says what to use instead."""
    helpers = importlib.import_module("memori.helpers")
    with pytest.raises(ImportError, match="use pathlib"):
        helpers.create_output_path  # noqa: B018
    assert not hasattr(helpers, "_private")


def test_static_values_are_set_and_freed(tmp_path: Path) -> None:
    """On the stage itself, for its next runs."""
    stage = Stage(lambda x, y=1: x + y, stage_outputs=["z"], stage_name="add", hash_output=tmp_path)
    stage.set_stage_arg("x", 3)
    assert ({"z": 5}, {"x": 3}) == (stage.run(y=2), stage.args)
    stage.set_stage_arg("y", 4)
    assert {"z": 7} == stage.run()
    stage.del_stage_arg("y")
    assert {"z": 4} == stage.run()
    with pytest.raises(TypeError, match="takes no 'z'"):
        stage.set_stage_arg("z", 3)
    with pytest.raises(KeyError):
        stage.del_stage_arg("z")


def test_a_key_is_renamed() -> None:
    """The others keep their order, and the dict that was given its content."""
    given = {"hello": 1, "test": 2}
    assert {"testing": 1, "test": 2} == redefine_result_key(given, "hello", "testing")
    assert {"hello": 1, "test": 2} == given


# Aliases, in both directions


def offered(aliases: dict[str, object]) -> dict[str, object]:
    stage = Stage(lambda: (1, 2), ["a", "b"], stage_name="s", aliases=aliases)  # type: ignore[arg-type]
    results = stage.run()
    assert list(results) == stage.offers
    return dict(results)


@pytest.mark.parametrize(
    ("aliases", "further"),
    [
        ({"a": "x"}, {"x": 1}),
        ({"x": "a"}, {"x": 1}),
        ({"x": "a", "b": "y"}, {"x": 1, "y": 2}),
        ({"x": "a", "y": "a"}, {"x": 1, "y": 1}),
        ({"a": ["x", "y"]}, {"x": 1, "y": 1}),
    ],
)
def test_an_alias_is_understood_in_both_directions(
    aliases: dict[str, object], further: dict[str, object]
) -> None:
    """Where one of the two is an output and the other is none."""
    assert {"a": 1, "b": 2, **further} == offered(aliases)


@pytest.mark.parametrize(
    "aliases", [{"a": "b"}, {"x": "y"}, {"a": "x", "b": "x"}, {"a": "x", "x": "b"}, {"a": 3}]
)
def test_an_alias_that_is_ambiguous_is_refused(aliases: dict[str, object]) -> None:
    """Two outputs, no output, or one name for two."""
    with pytest.raises((ValueError, TypeError)):
        offered(aliases)


def test_aliases_are_shown_by_output() -> None:
    """One name as a text, several as a list."""
    stage = Stage(len, "n", aliases={"m": "n"})
    assert {"n": "m"} == stage.aliases
    assert {"n": ["m", "k"]} == Stage(len, "n", aliases={"n": ["m", "k"]}).aliases


def test_an_alias_of_an_interface_in_both_directions(tmp_path: Path) -> None:
    """Its outputs are known, so the direction is."""
    from nipype.interfaces.utility import Merge

    from memori.neuro import NipypeStage

    for aliases in ({"out": "in_files"}, {"in_files": "out"}):
        results = NipypeStage(Merge(1), hash_output=tmp_path, aliases=aliases).run(in1=[1])
        assert {"out": [1], "in_files": [1]} == results


def test_a_pipeline_takes_the_names(tmp_path: Path) -> None:
    """What is offered under an alias reaches the stage that takes it."""
    first = Stage(lambda x: x, ["c"], stage_name="first", aliases={"d": "c"})
    second = Stage(lambda d: d + 1, ["e"], stage_name="second")
    assert 3 == Pipeline([("start", first), (first, second)]).run(2)["e"]
