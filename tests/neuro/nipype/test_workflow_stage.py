"""A whole workflow as one stage."""

from __future__ import annotations

import os

import pytest
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori import Pipeline, Stage
from memori.neuro import as_stage, remember_workflow


def write(text, suffix):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("write\n")
    with open("out.txt", "w") as file:
        file.write(text + suffix)
    return os.path.abspath("out.txt")


def read(in_file, extra=None):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("read\n")
    return open(in_file).read() + (open(extra).read() if extra else "")


@pytest.fixture
def ran(tmp_path, monkeypatch):
    path = tmp_path / "ran.txt"
    monkeypatch.setenv("RAN", str(path))

    def found():
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    return found


def workflow(suffix="!"):
    first = Node(niu.Function(["text", "suffix"], "out_file", write), "first")
    first.inputs.suffix = suffix
    second = Node(niu.Function(["in_file", "extra"], "text", read), "second")
    inner = Workflow("inner")
    inner.connect(first, "out_file", second, "in_file")
    outer = Workflow("outer")
    outer.add_nodes([inner])
    return outer


FIELDS = {"inputs": {"word": "inner.first.text"}, "outputs": {"said": "inner.second.text"}}


def test_runs_once(tmp_path, ran):
    """The stage runs the workflow, and then hits; an edited node runs again."""
    stage = as_stage(workflow(), **FIELDS, hash_output=tmp_path / "work")
    assert "outer" == stage.stage_name
    assert {"said": "hi!"} == stage.run(word="hi")
    assert {"said": "hi!"} == stage.run(word="hi")
    assert ["write", "read"] == ran()
    other = as_stage(workflow("?"), **FIELDS, hash_output=tmp_path / "work")
    assert {"said": "hi?"} == other.run(word="hi")
    again = as_stage(workflow(), **FIELDS, hash_output=tmp_path / "work")
    ran()
    again.run(word="hi")
    assert [] == ran()


def test_remembered_nodes_run_only_where_needed(tmp_path, ran):
    """A stage that runs again runs only the nodes that changed, if they are remembered."""
    for extra in (None, "more"):
        wf = workflow()
        if extra:
            (tmp_path / "extra.txt").write_text(extra)
            wf.get_node("inner.second").inputs.extra = str(tmp_path / "extra.txt")
        remember_workflow(wf, tmp_path / "memory")
        stage = as_stage(wf, **FIELDS, hash_output=tmp_path / "work")
        assert "hi!" + (extra or "") == stage.run(word="hi")["said"]
    assert ["write", "read", "read"] == ran()
    (tmp_path / "extra.txt").write_text("less")
    assert "hi!less" == stage.run(word="hi")["said"]


def test_in_a_pipeline(tmp_path, ran):
    """A workflow stands between two stages, and leaves the caller where it was."""
    before = os.getcwd()
    stage = as_stage(workflow(), **FIELDS, hash_output=tmp_path / "work")
    name = Stage(lambda who: f"hi {who}", "word")
    shout = Stage(lambda said: said.upper(), "shouted")
    pipeline = Pipeline([("start", name), (name, stage), (stage, shout)])
    assert "HI YOU!" == pipeline.run(who="you")["shouted"]
    assert before == os.getcwd()


def test_maps_and_iterables_give_lists(tmp_path):
    """The outputs of a MapNode, and of iterables, are lists."""
    source = "def f(x, y):\n    return x + y"
    node = MapNode(niu.Function(["x", "y"], "z", source), "x", "mapped")
    node.iterables = ("y", [10, 20])
    wf = Workflow("listing")
    wf.add_nodes([node])
    stage = as_stage(wf, {"x": "mapped.x"}, {"z": "mapped.z"})
    assert {"z": [[11, 12], [21, 22]]} == stage.run(x=[1, 2])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({"a": "nothing.x"}, "names no node"), ({"a": "inner.first.x"}, "no input 'x'")],
)
def test_wrong_fields(inputs, message):
    """A field that is not there is an error that lists what is."""
    with pytest.raises(ValueError, match=message):
        as_stage(workflow(), inputs, {})
