"""A stage as a Nipype node: alone, mapped, joined, nested, under Nipype's plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nipype import Workflow, config
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)
from nipype.pipeline.engine import Node

from memori import Pipeline, Stage, workdir
from memori.neuro import NipypeStage, ShellStage, as_interface, as_node


def count(in_file: Path, factor: int = 2):
    """Write the length of a file."""
    path = workdir() / "length.txt"
    path.write_text(str(factor * os.path.getsize(in_file)))
    return path


def add(a, b=1):
    return a + b


def total(values):
    return sum(values)


@pytest.fixture(autouse=True)
def _polls_often():
    """MultiProc looks every two seconds for what has ended; a test need not wait so long."""
    before = config.get("execution", "poll_sleep_duration")
    config.set("execution", "poll_sleep_duration", "0.05")
    yield
    config.set("execution", "poll_sleep_duration", before)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    return str(tmp_path / "a.txt")


def test_traits_come_from_the_signature():
    """A path is a File trait, a required parameter is mandatory, a static value is no trait."""
    inputs = as_interface(Stage(count, factor=3)).inputs
    assert isinstance(inputs.trait("in_file").trait_type, File)
    assert inputs.trait("in_file").mandatory
    assert ["in_file"] == inputs.copyable_trait_names()
    inputs = as_interface(Stage(count)).inputs
    assert isinstance(inputs.trait("factor").trait_type, traits.Int)
    with pytest.raises(ValueError, match="in_file"):
        as_interface(Stage(count)).run()


def test_memory_is_memoris(tmp_path, text):
    """The node runs each time, and the stage in it hits; an edited output runs again."""
    node = as_node(Stage(count, stage_outputs="length", hash_output=tmp_path / "work"), "count")
    node.base_dir = str(tmp_path / "nipype")
    node.inputs.in_file = text
    path = node.run().outputs.length
    assert node.interface.stage.state
    assert path == node.run().outputs.length
    assert not node.interface.stage.state
    Path(path).write_text("edited")
    assert "6" == Path(node.run().outputs.length).read_text()
    assert node.interface.stage.state


def test_stage_without_memory_writes_into_the_nodes_folder(tmp_path, text):
    """Without hash_output the outputs lie where the node is."""
    node = as_node(Stage(count), "count", base_dir=str(tmp_path / "nipype"))
    node.inputs.in_file = text
    assert node.run().outputs.output.startswith(node.output_dir())


def test_relative_hash_output_is_where_the_node_was_made(tmp_path, text, monkeypatch):
    """A relative hash_output does not end up in the node's folder."""
    monkeypatch.chdir(tmp_path)
    node = as_node(Stage(count, hash_output="work"), base_dir=str(tmp_path / "nipype"))
    node.inputs.in_file = text
    assert node.run().outputs.output.startswith(str(tmp_path / "work"))


def _workflow(tmp_path):
    """Iterables, then a MapNode, a nested workflow and a JoinNode of stages."""
    work = str(tmp_path / "work")
    source = Node(niu.IdentityInterface(["a"]), "source", iterables=("a", [1, 2, 3]))
    mapped = as_node(Stage(add, "c", work), "mapped", iterfield="b")
    mapped.inputs.b = [10, 20]
    summed = as_node(Stage(total, "sum", work, "sum_of_one"), "summed")
    joined = as_node(
        Stage(total, "sum", work, "sum_of_all"),
        "joined",
        joinsource="source",
        joinfield="values",
    )
    inner = Workflow("inner")
    inner.connect(mapped, "c", summed, "values")
    outer = Workflow("outer", base_dir=str(tmp_path / "nipype"))
    outer.connect(source, "a", inner, "mapped.a")
    outer.connect(inner, "summed.sum", joined, "values")
    return outer


@pytest.mark.parametrize(
    ("plugin", "arguments"), [("Linear", {}), ("MultiProc", {"n_procs": 2}), ("Memori", {})]
)
def test_in_workflows(tmp_path, plugin, arguments):
    """Mapped, nested, iterated and joined stages work under each plugin."""
    graph = _workflow(tmp_path).run(plugin=plugin, plugin_args=arguments)
    (joined,) = [node for node in graph.nodes() if node.name == "joined"]
    assert 3 * 30 + 2 * (1 + 2 + 3) == joined.result.outputs.sum


def test_interface_and_shell_stages(tmp_path, text):
    """The traits of a NipypeStage are the interface's; a ShellStage gives files."""
    rename = as_interface(NipypeStage(niu.Rename(format_string="b.txt"), tmp_path / "work"))
    assert "b.txt" == rename.inputs.format_string
    assert rename.run(in_file=text).outputs.out_file.endswith("b.txt")
    shell = as_interface(ShellStage("cp {in_file} {out}", {"out": "c.txt"}, tmp_path / "work"))
    found = shell.run(in_file=text).outputs
    assert isinstance(found.trait("out").trait_type, File)
    assert "abc" == Path(found.out).read_text()


def test_pipeline_stands_where_a_stage_can(tmp_path):
    """A pipeline is an interface too."""
    first, second = Stage(add, "values"), Stage(add, "sum", stage_name="second")
    pipeline = Pipeline([("start", first), (first, Stage(lambda values: [values], "listed"))])
    assert [5] == as_interface(pipeline).run(a=4).outputs.listed
    assert not isdefined(as_interface(second).inputs.a)


def test_closures_travel_to_other_processes(tmp_path):
    """A stage of a function that pickle cannot name works under MultiProc."""
    offset = 5
    node = as_node(Stage(lambda a: a + offset, "b", tmp_path / "work"), "shift")
    node.inputs.a = 1
    workflow = Workflow("closures", base_dir=str(tmp_path / "nipype"))
    workflow.add_nodes([node])
    graph = workflow.run(plugin="MultiProc", plugin_args={"n_procs": 1})
    assert [6] == [each.result.outputs.b for each in graph.nodes()]


def test_only_stages():
    """Anything else is an error that says what is needed."""
    with pytest.raises(TypeError, match="Stage or a Pipeline"):
        as_interface(add)


SCRIPT = """
import sys
from nipype import Workflow, config
from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, TraitedSpec, traits
from memori.neuro import NipypeStage, as_node

config.set("execution", "poll_sleep_duration", "0.05")


class In(BaseInterfaceInputSpec):
    x = traits.Int()


class Out(TraitedSpec):
    y = traits.Int()


class Double(SimpleInterface):
    input_spec = In
    output_spec = Out

    def _run_interface(self, runtime):
        self._results["y"] = 2 * self.inputs.x
        return runtime


if __name__ == "__main__":
    workflow = Workflow("wf", base_dir=".")
    workflow.add_nodes([as_node(NipypeStage(Double(x=4)), "double")])
    (node,) = workflow.run(plugin=sys.argv[1]).nodes()
    print("result", node.result.outputs.y)
"""


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
def test_interface_of_a_script(tmp_path, plugin):
    """A stage of an interface that the script itself defines is a node under every plugin."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", plugin]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert "result 8" in done.stdout, done.stderr


class TracksInput(BaseInterfaceInputSpec):
    output_file = File("tracks.trk", usedefault=True, exists=True)


class TracksOutput(TraitedSpec):
    name = traits.Str()


class Tracks(SimpleInterface):
    """Tells its default."""

    input_spec = TracksInput
    output_spec = TracksOutput

    def _run_interface(self, runtime):
        self._results["name"] = self.inputs.output_file
        return runtime


def test_default_that_its_trait_refuses(tmp_path):
    """A default that names a file to come (as of DTITracker) is one of the node's, too."""
    node = as_node(NipypeStage(Tracks(), tmp_path / "work"), "tracks")
    node.base_dir = str(tmp_path)
    assert "tracks.trk" == node.run().outputs.name
