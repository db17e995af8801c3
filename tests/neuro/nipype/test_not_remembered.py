"""Runs that are not to be shared: replicates, unseeded tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori import Pipeline, Stage, workdir
from memori.neuro import NipypeStage, ShellStage, remember_workflow

PLUGINS = pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])


def noise(x):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("noise\n")
    with open("noise.txt", "wb") as file:
        file.write(os.urandom(16))
    return os.path.abspath("noise.txt")


def size(in_file):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("size\n")
    with open(in_file, "rb") as file:
        return file.read()


def function():
    return niu.Function(["x"], ["out_file"], noise)


def replicates(base, mark):
    """Two equal nodes, one of them in a workflow of its own, and what comes after one."""
    first, second = Node(function(), "noise"), Node(function(), "noise")
    last = Node(niu.Function(["in_file"], ["out"], size), "last")
    for node in (first, second):
        node.inputs.x = 1
        mark(node)
    inner = Workflow("inner")
    inner.add_nodes([second])
    workflow = Workflow("w", base_dir=str(base))
    workflow.add_nodes([inner])
    workflow.connect(first, "out_file", last, "in_file")
    return workflow


def _of_node(node):
    node.remember = False


def _of_interface(node):
    node.interface.remember = False


HOW = {
    "node": (_of_node, {}),
    "interface": (_of_interface, {}),
    "names": (lambda node: None, {"not_remembered": ["noise"]}),
    "full names": (lambda node: None, {"not_remembered": ["w.noise", "inner.noise"]}),
}


@PLUGINS
@pytest.mark.parametrize("how", HOW)
def test_replicates_of_a_workflow(tmp_path, log, how, plugin):
    """Nodes that are not to be remembered run each time; what comes after them is remembered."""
    mark, options = HOW[how]
    for _ in range(2):
        workflow = remember_workflow(replicates(tmp_path / "b", mark), tmp_path / "m", **options)
        graph = workflow.run(plugin=plugin)
        found = {node.fullname: node.result.outputs for node in graph.nodes()}
        one, two = (Path(found[f"w.{name}"].out_file) for name in ("noise", "inner.noise"))
        assert one.read_bytes() != two.read_bytes()
        assert found["w.last"].out == one.read_bytes()
        assert {"noise": 2, "size": 1} == log()


def test_only_the_named_node(tmp_path, log):
    """A full name leaves its namesake remembered."""
    for expected in ({"noise": 2, "size": 1}, {"noise": 1}):
        workflow = replicates(tmp_path / "b", lambda node: None)
        remember_workflow(workflow, tmp_path / "m", not_remembered=["inner.noise"]).run()
        assert expected == log()


def test_elements_of_a_map(tmp_path, log):
    """Equal elements of a map that is not to be remembered differ."""
    node = MapNode(function(), "x", "noise")
    node.inputs.x = [1, 1]
    node.remember = False
    workflow = Workflow("w", base_dir=str(tmp_path / "b"))
    workflow.add_nodes([node])
    for _ in range(2):
        (found,) = remember_workflow(workflow, tmp_path / "m").run().nodes()
        one, two = found.result.outputs.out_file
        assert Path(one).read_bytes() != Path(two).read_bytes()
        assert {"noise": 2} == log()


def test_unknown_name_is_an_error(tmp_path):
    """A name that no node has is an error that lists the nodes, before anything runs."""
    workflow = replicates(tmp_path / "b", lambda node: None)
    remember_workflow(workflow, tmp_path / "m", not_remembered=["nose"])
    with pytest.raises(ValueError, match=r"'nose'.*w\.inner\.noise, w\.last"):
        workflow.run()


def draw(x):
    path = workdir() / "noise.txt"
    path.write_bytes(os.urandom(16))
    return path


def test_replicates_of_stages(tmp_path, log):
    """A stage with `remember=False` runs each time, says so, and leaves each run its own files."""
    plain = NipypeStage(function(), tmp_path / "n", remember=False, x=1)
    marked = function()
    marked.remember = False
    cases = [
        (Stage(draw, "out_file", tmp_path / "p", remember=False), {"x": 1}),
        (
            ShellStage(
                "sh -c 'head -c 16 /dev/urandom'", hash_output=tmp_path / "s", remember=False
            ),
            {},
        ),
        (plain, {}),
        (NipypeStage(marked, tmp_path / "i", x=1), {}),
    ]
    for stage, inputs in cases:
        one, two = stage.run(**inputs), stage.run(**inputs)
        assert (one.ran, two.ran) == ((stage.stage_name,), (stage.stage_name,))
        assert "remember=False" in str(stage.explain(**inputs))
        assert not stage.is_remembered(**inputs)
        if "out_file" in one:
            assert Path(one["out_file"]).read_bytes() != Path(two["out_file"]).read_bytes()


def length(out):
    return len(Path(out).read_bytes())


def test_what_comes_after_in_a_pipeline(tmp_path):
    """What comes after a stage that is not remembered counts its files by content, as ever."""
    fixed = Stage(lambda x: _fixed(x), "out", tmp_path / "a", "fixed", remember=False)
    pipeline = Pipeline([("start", fixed), (fixed, Stage(length, "length", tmp_path / "a"))])
    assert {"fixed", "length"} == set(pipeline.run(1).ran)
    assert ("fixed",) == tuple(pipeline.run(1).ran)


def _fixed(x):
    path = workdir() / "x.txt"
    path.write_text(str(x))
    return path
