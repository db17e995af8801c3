"""A whole workflow as one stage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from nipype.interfaces.io import DataGrabber, SelectFiles
from nipype.pipeline.engine import JoinNode, MapNode, Node, Workflow

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


# Files that the workflow itself names


def told(x, extra=None):
    """Return all texts of the files in a value."""
    import os

    def read(value):
        if isinstance(value, dict):
            return "".join(map(read, value.values()))
        if isinstance(value, (list, tuple)):
            return "".join(map(read, value))
        return open(str(value)).read() if os.path.isfile(str(value)) else ""

    return read(x) + read(extra)


def reader(kind=Node, **options):
    """A node that reads the files in its inputs."""
    return kind(niu.Function(["x", "extra"], ["y"], told), name="read", **options)


def passing(trait, values=None):
    """A node that passes one input on, perhaps one by one."""
    node = Node(niu.IdentityInterface([trait]), f"pass_{trait}")
    if values is not None:
        node.iterables = (trait, values)
    return node


def alone(node, name="naming"):
    """A workflow of one node."""
    workflow = Workflow(name)
    workflow.add_nodes([node])
    return workflow


def one_by_one(a, b, name="naming"):
    node = reader()
    node.iterables = ("x", [a, b])
    return alone(node, name)


def several_iterables(a, b):
    node = reader()
    node.iterables = [("x", [1, 2]), ("extra", [Path(a), {"deep": [(b,)]}])]
    return alone(node)


def together(a, b):
    node = reader()
    node.synchronize = True
    node.iterables = [("x", "extra"), [(a, 1), (2, b)]]
    return alone(node)


def by_source(a, b):
    source, node = passing("which", ["first", "second"]), reader()
    node.itersource = (source.name, ["which"])
    node.iterables = ("x", {"first": [a], "second": [b]})
    workflow = Workflow("naming")
    workflow.connect(source, "which", node, "extra")
    return workflow


def by_function(a, b):
    node = reader()
    node.iterables = {"x": lambda: [a, b]}
    return alone(node)


def mapped(a, b):
    node = reader(MapNode, iterfield="x")
    node.inputs.x = [[a], [(b,)]]
    return alone(node)


def beside_a_map(a, b):
    node = reader(MapNode, iterfield="x")
    node.inputs.x = [1, 2]
    node.inputs.extra = {"deep": (a, [Path(b)])}
    return alone(node)


def joined(a, b):
    source, node = passing("x", [a, b]), reader(JoinNode, joinsource="pass_x", joinfield="x")
    workflow = Workflow("naming")
    workflow.connect(source, "x", node, "x")
    return workflow


def beside_a_join(a, b):
    workflow = joined(1, 2)
    workflow.get_node("read").inputs.extra = (a, b)
    return workflow


def argument(a, b):
    def through(value, files):
        return files["deep"][0]

    source, node = passing("x"), reader()
    source.inputs.x = 1
    made = Node(niu.Function(["x"], ["x"], "def f(x):\n    return x"), "made")
    workflow = Workflow("naming")
    workflow.connect(source, "x", made, "x")
    workflow.connect(made, ("x", through, {"deep": ((a, b),)}), node, "x")
    return workflow


def nested(a, b):
    outer = Workflow("naming")
    outer.add_nodes([one_by_one(a, b, "inner")])
    return outer


def argument_into_a_nested_one(a, b):
    def through(value, files):
        return files

    inner, outer = alone(reader(), "inner"), Workflow("outer")
    made = Node(niu.Function(["x"], ["x"], "def f(x):\n    return x"), "made")
    made.inputs.x = 1
    outer.connect(made, ("x", through, [a, b]), inner, "read.x")
    return outer


def selected(a, b):
    folder = os.path.dirname(a)
    grabber = Node(SelectFiles({"found": "{which}.txt"}, base_directory=folder), "grab")
    source, workflow = passing("which", ["a", "b"]), Workflow("naming")
    workflow.connect([(source, grabber, [("which", "which")])])
    workflow.connect(grabber, "found", reader(), "x")
    return workflow


def selected_by_pattern(a, b):
    grabber = Node(SelectFiles({"found": f"{os.path.dirname(a)}/*.txt"}), "grab")
    workflow = Workflow("naming")
    workflow.connect(grabber, "found", reader(), "x")
    return workflow


def selected_by_a_map(a, b):
    folder = os.path.dirname(a)
    select = SelectFiles({"found": "{which}.txt"}, base_directory=folder)
    grabber = MapNode(select, "which", "grab")
    grabber.inputs.which = ["a", "b"]
    workflow = Workflow("naming")
    workflow.connect(grabber, "found", reader(), "x")
    return workflow


def grabbed(a, b):
    interface = DataGrabber(infields=["which"], outfields=["found"], sort_filelist=True)
    interface.inputs.base_directory = os.path.dirname(a)
    interface.inputs.template = "%s.txt"
    grabber = Node(interface, "grab")
    grabber.inputs.which = ["a", "b"]
    workflow = Workflow("naming")
    workflow.connect(grabber, "found", reader(), "x")
    return workflow


class _FolderIn(BaseInterfaceInputSpec):
    folder = Directory(exists=True)


class _FolderOut(TraitedSpec):
    y = traits.Str()


class ReadFolder(SimpleInterface):
    input_spec = _FolderIn
    output_spec = _FolderOut

    def _run_interface(self, runtime):
        folder = Path(self.inputs.folder)
        self._results["y"] = "".join(path.read_text() for path in sorted(folder.iterdir()))
        return runtime


def folder(a, b):
    return alone(Node(ReadFolder(folder=os.path.dirname(a)), "read"))


def each_folder(a, b):
    node = Node(ReadFolder(), "read")
    node.iterables = ("folder", [os.path.dirname(a)])
    return alone(node)


NAMING = [
    *(one_by_one, several_iterables, together, by_source, by_function, nested),
    *(mapped, beside_a_map, joined, beside_a_join, argument, argument_into_a_nested_one),
    *(selected, selected_by_pattern, selected_by_a_map, grabbed, folder, each_folder),
]


@pytest.mark.parametrize("naming", NAMING, ids=lambda naming: naming.__name__)
@pytest.mark.parametrize("edited", ["a", "b"])
def test_files_that_a_workflow_names_count(tmp_path, naming, edited):
    """A file counts by its content wherever a workflow names it, and a second run is a hit."""
    paths = [tmp_path / "in" / "a.txt", tmp_path / "in" / "b.txt"]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text("before")

    def run():
        workflow = naming(*map(str, paths))
        name = next(name for name in workflow.list_node_names() if name.endswith("read"))
        stage = as_stage(workflow, {}, {"said": f"{name}.y"}, hash_output=tmp_path / "work")
        return str(stage.run()["said"]), stage.state

    first = run()
    assert first[1]
    assert (first[0], False) == run()
    (tmp_path / "in" / f"{edited}.txt").write_text("after!")
    second = run()
    assert second[1]
    assert "after!" in second[0]
    assert (second[0], False) == run()


def test_file_that_a_grabber_finds_later_counts(tmp_path):
    """A file that appears where a workflow looks for files runs it again."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one")

    def run():
        workflow = selected_by_pattern(str(tmp_path / "in" / "a.txt"), None)
        stage = as_stage(workflow, {}, {"said": "read.y"}, hash_output=tmp_path / "work")
        return stage.run()["said"], stage.state

    assert [("one", True), ("one", False)] == [run(), run()]
    (tmp_path / "in" / "b.txt").write_text("two")
    assert [("onetwo", True), ("onetwo", False)] == [run(), run()]


def test_grabber_is_asked_for_what_the_run_is_given(tmp_path):
    """Of a dataset only what belongs to the given subject counts."""
    for subject in ("01", "02"):
        (tmp_path / f"{subject}.txt").write_text(subject)

    def run():
        source = passing("subject")
        select = SelectFiles({"found": "{subject}.txt"}, base_directory=str(tmp_path))
        grabber = Node(select, "grab")
        workflow = Workflow("of_a_subject")
        workflow.connect(source, "subject", grabber, "subject")
        workflow.connect(grabber, "found", reader(), "x")
        fields = {"subject": "pass_subject.subject"}, {"said": "read.y"}
        stage = as_stage(workflow, *fields, hash_output=tmp_path / "work")
        return stage.run(subject="01")["said"], stage.state

    assert [("01", True), ("01", False)] == [run(), run()]
    (tmp_path / "02.txt").write_text("another")
    assert ("01", False) == run()
    (tmp_path / "01.txt").write_text("mine")
    assert ("mine", True) == run()


def test_what_only_a_run_can_tell_always_runs(tmp_path):
    """Where a node computes which files are looked for, the stage runs each time."""
    (tmp_path / "a.txt").write_text("one")

    def run():
        made = Node(niu.Function(["x"], ["which"], "def f(x):\n    return 'a'"), "made")
        made.inputs.x = 1
        select = SelectFiles({"found": "{which}.txt"}, base_directory=str(tmp_path))
        workflow = Workflow("computing")
        workflow.connect(made, "which", (grabber := Node(select, "grab")), "which")
        workflow.connect(grabber, "found", reader(), "x")
        return as_stage(workflow, {}, {"said": "read.y"}, hash_output=tmp_path / "work").run()

    assert {"said": "one"} == run()
    (tmp_path / "a.txt").write_text("two")
    assert {"said": "two"} == run()


@pytest.mark.parametrize(("overwrite", "runs"), [(None, False), (True, True), (False, False)])
def test_node_that_is_told_to_overwrite_always_runs(tmp_path, overwrite, runs):
    """A workflow with a node that is to run in any case runs in any case."""
    for _ in range(2):
        workflow = alone(reader(overwrite=overwrite))
        workflow.get_node("read").inputs.x = "x"
        stage = as_stage(workflow, {}, {"said": "read.y"}, hash_output=tmp_path / "work")
        stage.run()

    assert runs == stage.state


def test_settings_that_cannot_change_a_result_do_not_count(tmp_path):
    """How a node is scheduled, and what its `config` says of the run, are no reason to run."""
    states = []
    for more in ({}, {"run_without_submitting": True, "mem_gb": 3, "n_procs": 2}):
        workflow = alone(reader(**more))
        workflow.get_node("read").inputs.x = "x"
        workflow.get_node("read").config = {"execution": {"keep_inputs": bool(more)}}
        stage = as_stage(workflow, {}, {"said": "read.y"}, hash_output=tmp_path / "work")
        stage.run()
        states.append(stage.state)

    assert [True, False] == states


def test_output_of_a_node_that_only_passes_on(tmp_path):
    """An output may be that of an `outputnode`, which Nipype removes before it runs."""

    def shout(text):
        return text.upper()

    source, node = passing("x"), Node(niu.Merge(2), "merge")
    end = Node(niu.IdentityInterface(["merged", "loud", "same"]), "outputnode")
    workflow = Workflow("passing")
    workflow.connect(source, "x", node, "in1")
    workflow.connect(node, "out", end, "merged")
    workflow.connect(source, ("x", shout), end, "loud")
    workflow.connect(source, "x", end, "same")
    outputs = {name: f"outputnode.{name}" for name in ("merged", "loud", "same")}
    stage = as_stage(workflow, {"x": "pass_x.x"}, outputs, hash_output=tmp_path / "work")

    assert {"merged": ["a"], "loud": "A", "same": "a"} == stage.run(x="a")
    assert {"merged": ["a"], "loud": "A", "same": "a"} == stage.run(x="a")
    assert not stage.state


def test_folder_as_an_input_counts_with_what_it_holds(tmp_path):
    """An input that fills a Directory trait counts by the contents of the folder."""
    (tmp_path / "in").mkdir()
    fields = {"folder": "read.folder"}, {"said": "read.y"}
    stage = as_stage(alone(Node(ReadFolder(), "read")), *fields, hash_output=tmp_path / "work")
    found = []
    for text in ("one", "two", "two"):
        (tmp_path / "in" / "a.txt").write_text(text)
        found.append((stage.run(folder=tmp_path / "in")["said"], stage.state))

    assert [("one", True), ("two", True), ("two", False)] == found
