"""Options of a stage and parameters of the same name: which of them is meant."""

from __future__ import annotations

import inspect
import os
import pickle
from functools import partial
from pathlib import Path

import pytest

from memori import Stage
from memori.neuro import ShellStage


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """Run each test in a folder of its own, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def simulate(stage_name, hash_output="none", depends_on=0):
    """Take parameters that are called like options."""
    return [stage_name, hash_output, depends_on]


def test_a_parameter_is_meant_before_an_option():
    """Its value is a static one; the option keeps its default."""
    stage = Stage(simulate, stage_name="a", hash_output="b", depends_on=[1])

    assert ["a", "b", [1]] == stage.run()["output"]
    assert ("simulate", None) == (stage.stage_name, stage.hash_output)
    assert {"stage_name": "a", "hash_output": "b", "depends_on": [1]} == stage.args
    assert ["x", "none", 0] == Stage(simulate).run("x")["output"]


def test_an_option_is_given_by_position_or_with_options():
    """There it is the option that is meant, whatever the parameters are called."""
    stage = Stage(simulate, "values", "work", "records", stage_name="a")

    assert (["values"], "records") == (stage.outputs, stage.stage_name)
    assert ["a", "none", 0] == stage.run()["values"]
    other = stage.with_options(stage_name="others", hash_output="elsewhere")
    assert ("others", {"stage_name": "a"}) == (other.stage_name, other.args)
    assert ["a", "none", 0] == other.run()["values"]
    assert os.path.exists("work/records.stage")
    assert os.path.exists("elsewhere/others.stage")
    assert ("records", "work") == (stage.stage_name, stage.hash_output)


def test_options_that_are_no_parameters_are_options():
    """As ever, for functions of all kinds, also those that take any keyword."""

    def any_keyword(x, **settings):
        return sorted(settings)

    stage = Stage(any_keyword, hash_output="work", stage_name="records", y=1)
    assert ("work", "records") == (stage.hash_output, stage.stage_name)
    assert ["y"] == stage.run(1)["output"]
    assert "records" == Stage(partial(simulate, "a"), stage_name="records").stage_name
    assert "work" == Stage(len, hash_output="work").hash_output


def test_parameters_of_any_name_may_be_fixed():
    """Also those that are called like what the constructor itself takes."""

    def odd(self, function, static):
        return [self, function, static]

    assert [1, 2, 3] == Stage(odd, self=1, function=2, static=3).run()["output"]


def test_what_is_no_option_is_refused():
    """With the nearest that there is."""
    with pytest.raises(TypeError, match=r"no option 'hash_ouput'; did you mean 'hash_output'"):
        Stage(simulate).with_options(hash_ouput="work")
    with pytest.raises(TypeError, match="no option 'static'"):
        Stage(simulate).with_options(static=1)


def test_with_options_keeps_all_the_rest():
    """What was fixed, set since, and added by a kind of stage of one's own."""

    class Labelled(Stage):
        def __init__(self, function, label, **options):
            super().__init__(function, **options)
            self.label = label

    stage = Labelled(simulate, "mine", stage_output="values", stage_name="a", code_version="1")
    stage.hash_output = "work"
    other = stage.with_options(aliases={"values": "more"})
    assert ("mine", "work", ["values"], {"values": "more"}, {"stage_name": "a"}) == (
        other.label, other.hash_output, other.outputs, other.aliases, other.args)  # fmt: skip
    assert "work2" == other.with_options(hash_output="work2").hash_output
    assert other.with_options(hash_output=None).hash_output is None
    again = pickle.loads(pickle.dumps(Stage(simulate, stage_name="a"))).with_options(stage_name="b")
    assert ("b", {"stage_name": "a"}) == (again.stage_name, again.args)


def test_the_signature_is_still_shown():
    """Editors and help list the options."""
    assert "hash_output" in inspect.signature(Stage).parameters
    assert "timeout" in inspect.signature(ShellStage).parameters


# Commands


@pytest.mark.parametrize("option", ["timeout", "env", "retries", "container", "uses", "outputs"])
def test_a_field_is_meant_before_an_option(option):
    """Of a template, and a parameter of a function, too."""
    stage = ShellStage(f"echo {{{option}}} {{x}}", **{option: "value"})
    assert "value 1" == stage.run(x=1)["output"]
    namespace = {}
    exec(f"def say({option}): return ['echo', {option}]", namespace)
    assert "value" == ShellStage(namespace["say"], **{option: "value"}).run()["output"]


def test_fields_of_outputs_and_variables_are_meant_too():
    """A field is a field, wherever it stands."""
    stage = ShellStage("sh -c 'echo $LIMIT > $0' {out}", {"out": "{retries}.txt"},
                       env={"LIMIT": "{timeout}"}, retries="three", timeout=5)  # fmt: skip
    out = stage.run()["out"]
    assert ("three.txt", "5\n") == (os.path.basename(out), Path(out).read_text())


def test_an_option_of_a_command_is_set_beside_a_field_of_its_name():
    """The field keeps its value, and the command has its time."""
    stage = ShellStage("sleep {timeout}", timeout=30).with_options(timeout=0.2)
    assert {"timeout": 30} == stage.args
    with pytest.raises(Exception, match="ran longer than its timeout"):
        stage.run()
    line = f"echo x >> {os.path.abspath('count')}; false"
    count = ShellStage(f"sh -c '{line}' {{retries}}", retries="value")
    with pytest.raises(Exception, match="exited with code 1"):
        count.with_options(retries=2).run()
    assert "x\nx\nx\n" == Path("count").read_text()


def test_an_output_of_that_name_is_no_field_that_a_value_could_fill():
    """The option is meant."""
    stage = ShellStage("touch {timeout}", outputs={"timeout": "t.txt"}, timeout=60)
    assert "t.txt" == os.path.basename(stage.run()["timeout"])
    assert 60 == stage.command.options.timeout


def test_threads_fill_the_field_and_are_the_option():
    """They are one thing: how many the command may use."""
    stage = ShellStage("sh -c 'echo $OMP_NUM_THREADS $0' {threads}", threads=3)
    assert ("3 3", 3) == (stage.run()["output"], stage.resources.threads)
    other = stage.with_options(threads=2)
    assert ("2 2", 2) == (other.run()["output"], other.resources.threads)


def test_with_options_gives_a_command_other_outputs():
    """All that a command is made with can be changed, but for the command."""
    stage = ShellStage("sh -c 'echo $0 > o; echo $1' {x} {y}", x=1, hash_output="work")
    assert "2" == stage.run(y=2)["output"]
    other = stage.with_options(outputs={"file": "o"}, env={"A": "{z}"})
    assert (["x", "y", "z"], ["file"]) == (other.inputs, other.outputs)
    assert "1\n" == Path(other.run(y=2, z=3)["file"]).read_text()
