"""What a node was given as text, and what it was seen to read, counts under each plugin."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    CommandLine,
    CommandLineInputSpec,
    SimpleInterface,
    Str,
    TraitedSpec,
    traits,
)
from nipype.interfaces.base.specs import BaseInterfaceInputSpec
from nipype.interfaces.base.traits_extension import File
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori import Stage
from memori.neuro import NipypeStage, remember, remember_workflow
from memori.watch.commands.strace import _why_unusable

PLUGINS = pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
traces = pytest.mark.skipif(
    bool(_why_unusable(shutil.which("strace") or "")), reason="commands cannot be watched here"
)


def run(workflow, memory, plugin="Linear", **options):
    arguments = {} if plugin == "Linear" else {"n_procs": 2}
    graph = remember_workflow(workflow, memory, **options).run(plugin=plugin, plugin_args=arguments)
    return {node.fullname.partition(".")[2]: node.result.outputs for node in graph.nodes()}


def one(base, node, **inputs):
    node.inputs.trait_set(**inputs)
    workflow = Workflow("w", base_dir=str(base))
    workflow.add_nodes([node])
    return workflow


# The path that Python code is given


def subject(in_file):
    return in_file.split("/")[-3]


@pytest.fixture
def bvals(tmp_path):
    """Two subjects' files, equal but for where they lie."""
    paths = [tmp_path / f"sub-{number}" / "dwi" / "dwi.bval" for number in (1, 2)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text("0 1000\n")
    return [str(path) for path in paths]


@PLUGINS
def test_python_sees_the_path(tmp_path, bvals, plugin):
    """Two subjects' equal files give each subject's own name, and the next time nothing runs."""
    for base in ("a", "b"):
        nodes = [Node(niu.Function(["in_file"], ["who"], subject), f"n{n}") for n in (1, 2)]
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.add_nodes(nodes)
        for node, path in zip(nodes, bvals, strict=True):
            node.inputs.in_file = path
        found = run(workflow, tmp_path / "memory", plugin)
        assert ("sub-1", "sub-2") == (found["n1"].who, found["n2"].who)


def test_python_sees_the_path_in_a_map_and_as_a_stage(tmp_path, bvals):
    """The same holds within one MapNode, for a NipypeStage and for `remember`."""
    node = MapNode(niu.Function(["in_file"], ["who"], subject), "in_file", "m")
    found = run(one(tmp_path / "base", node, in_file=bvals), tmp_path / "memory")
    assert ["sub-1", "sub-2"] == found["m"].who
    stage = NipypeStage(niu.Function(["in_file"], ["who"], subject), tmp_path / "stage")
    call = remember(niu.Function(["in_file"], ["who"], subject), tmp_path / "call")
    for path, who in zip(bvals, ["sub-1", "sub-2"], strict=True):
        assert who == stage.run(in_file=path)["who"]
        assert who == call(in_file=path).outputs.who
        assert not stage.run(in_file=path).ran


def test_a_command_is_given_the_base_name(tmp_path, bvals):
    """A command runs once for two equal files of one name."""
    stage = NipypeStage(Copied(), tmp_path / "stage")
    assert stage.run(in_file=bvals[0]).ran
    assert not stage.run(in_file=bvals[1]).ran


def parameter(in_file):
    return in_file.split("_x_")[1].split("/")[0]


def constant(x):
    import os

    with open("out.txt", "w") as file:
        file.write("the same")
    return os.path.abspath("out.txt")


def test_python_sees_the_folders_of_iterables(tmp_path):
    """A parameter that a function takes out of the path of an earlier node is the node's own."""
    for base in ("a", "b"):
        first = Node(niu.Function(["x"], ["out_file"], constant), "first", iterables=("x", [1, 2]))
        second = Node(niu.Function(["in_file"], ["x"], parameter), "second")
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.connect(first, "out_file", second, "in_file")
        graph = remember_workflow(workflow, tmp_path / "memory").run()
        found = {node.result.outputs.x for node in graph.nodes() if node.name == "second"}
        assert {"1", "2"} == found


# What is read without a trait that names it


def fill(text):
    import os

    os.makedirs("slices", exist_ok=True)
    with open("slices/a.txt", "w") as file:
        file.write(text)
    return os.path.abspath("slices")


def use(folder):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("use\n")
    with open(folder + "/a.txt") as file:
        return file.read()


def filling(base, text):
    first = Node(niu.Function(["text"], ["folder"], fill), "first")
    first.inputs.text = text
    second = Node(niu.Function(["folder"], ["out"], use), "second")
    workflow = Workflow("w", base_dir=str(base))
    workflow.connect(first, "folder", second, "folder")
    return workflow


@PLUGINS
def test_folder_that_is_handed_on_as_text(tmp_path, log, plugin):
    """A node sees what is in the folder that an earlier one filled, in any base folder."""
    memory = tmp_path / "memory"
    for text, base, ran in (
        ("one", "a", {"use": 1}),
        ("two", "a", {"use": 1}),
        ("two", "b", {}),
        ("one", "b", {}),
        ("three", "b", {"use": 1}),
        ("three", "a", {}),
    ):
        assert text == run(filling(tmp_path / base, text), memory, plugin)["second"].out
        assert ran == log()


def fits(text):
    import os

    os.mkdir("maps")
    for name, content in (("maps/t.txt", text), ("mask.txt", "equal")):
        with open(name, "w") as file:
            file.write(content)
    return os.path.abspath("mask.txt"), os.path.abspath("maps")


def beside(mask):
    import os

    return os.path.join(os.path.dirname(mask), "maps")


def shows(folder):
    with open(folder + "/t.txt") as file:
        return file.read()


def fitting(base, texts):
    """A workflow for each text, in which a node names the folder beside its input."""
    workflow = Workflow("w", base_dir=str(base))
    for number, text in enumerate(texts):
        fit = Node(niu.Function(["text"], ["mask", "maps"], fits), "fit")
        name = Node(niu.Function(["mask"], ["folder"], beside), "name")
        show = Node(niu.Function(["folder"], ["out"], shows), "show")
        keep = Node(niu.IdentityInterface(["maps"]), "keep")
        fit.inputs.text = text
        subject = Workflow(f"subject{number}")
        subject.connect([(fit, name, [("mask", "mask")]), (name, show, [("folder", "folder")])])
        subject.connect(fit, "maps", keep, "maps")
        workflow.add_nodes([subject])
    workflow.config["execution"]["remove_unnecessary_outputs"] = "false"
    return workflow


def test_folder_beside_an_input_is_that_of_the_input(tmp_path):
    """Equal inputs of two subjects, and of two base folders, lie beside each one's own files."""
    for base, texts in (("a", "12"), ("b", "21"), ("a", "33"), ("b", "12"), ("b", "12")):
        found = run(fitting(tmp_path / base, texts), tmp_path / "memory")
        for number, text in enumerate(texts):
            fit = tmp_path / base / "w" / f"subject{number}" / "fit"
            assert str(fit / "maps") == found[f"subject{number}.name"].folder
            assert text == found[f"subject{number}.show"].out


def tagged(mask, tag):
    import os

    return mask, os.path.join(os.path.dirname(mask), "maps"), f"{tag} {mask}"


def test_map_names_the_inputs_of_now(tmp_path):
    """The elements of a map name an input that all are given, also after its node was renamed."""
    for name, text in (("fit", "1"), ("model", "1"), ("model", "2"), ("model", "2")):
        fit = Node(niu.Function(["text"], ["mask", "maps"], fits), name)
        tag = MapNode(niu.Function(["mask", "tag"], ["mask", "maps", "text"], tagged), "tag", "tag")
        show = MapNode(niu.Function(["folder"], ["out"], shows), "folder", "show")
        fit.inputs.text, tag.inputs.tag = text, ["a", "b"]
        workflow = Workflow("w", base_dir=str(tmp_path))
        workflow.connect([(fit, tag, [("mask", "mask")]), (tag, show, [("maps", "folder")])])
        workflow.config["execution"]["remove_unnecessary_outputs"] = "false"
        found = run(workflow, tmp_path / "memory")
        mask = str(tmp_path / "w" / name / "mask.txt")
        assert [mask, mask] == found["tag"].mask
        assert [f"a {mask}", f"b {mask}"] == found["tag"].text
        assert [text, text] == found["show"].out


def makes_mask(text):
    import os

    with open("mask.txt", "w") as file:
        file.write(text)
    return os.path.abspath("mask.txt")


def options(mask, more):
    return [f"-mas {mask} -bin", f"-in={more[0]},{more[0]}.gz"]


def masks(options):
    with open(options[0].split()[1]) as file:
        return file.read()


def test_text_of_options_names_the_inputs_of_now(tmp_path):
    """A node that makes a text of options (`op_string`) of its inputs names them in any folder."""
    (tmp_path / "raw.txt").write_text("raw")
    for base, text in (("a", "1"), ("a", "2"), ("b", "1"), ("b", "1")):
        mask = Node(niu.Function(["text"], ["mask"], makes_mask), "mask")
        option = Node(niu.Function(["mask", "more"], ["options"], options), "option")
        last = Node(niu.Function(["options"], ["out"], masks), "last")
        mask.inputs.text, option.inputs.more = text, [str(tmp_path / "raw.txt")]
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.connect([(mask, option, [("mask", "mask")])])
        workflow.connect([(option, last, [("options", "options")])])
        found = run(workflow, tmp_path / "memory")
        expected = options(str(tmp_path / base / "w" / "mask" / "mask.txt"), option.inputs.more)
        assert expected == found["option"].options
        assert text == found["last"].out


@PLUGINS
def test_function_that_opens_what_it_computes(tmp_path, log, plugin):
    """A file whose path a function makes up counts, and going back to an earlier content hits."""
    for text, ran in (("one", {"use": 1}), ("two", {"use": 1}), ("one", {}), ("two", {})):
        (tmp_path / "a.txt").write_text(text)
        node = Node(niu.Function(["folder"], ["out"], use), "n")
        workflow = one(tmp_path / "base", node, folder=str(tmp_path))
        assert text == run(workflow, tmp_path / "memory", plugin)["n"].out
        assert ran == log()


class CopiedInputs(CommandLineInputSpec):
    in_file = File(exists=True, argstr="%s > copied.txt", position=0)
    prefix = Str(argstr="%s_0.txt > copied.txt", position=1)


class CopiedOutputs(TraitedSpec):
    copied = File(exists=True)


class Copied(CommandLine):
    """Prints a file to another."""

    input_spec = CopiedInputs
    output_spec = CopiedOutputs
    _cmd = "sh -c 'echo ran >> $RAN; cat \"$0\"'"

    def _list_outputs(self):
        return {"copied": os.path.abspath("copied.txt")}


@traces
@PLUGINS
def test_prefix_that_a_command_completes(tmp_path, log, plugin):
    """What a command makes of a prefix, and opens, counts."""
    for text, ran in (("one", {"ran": 1}), ("one", {}), ("two", {"ran": 1}), ("one", {})):
        (tmp_path / "slice_0.txt").write_text(text)
        workflow = one(tmp_path / "base", Node(Copied(), "n"), prefix=str(tmp_path / "slice"))
        found = run(workflow, tmp_path / "memory", plugin)["n"]
        assert text == Path(found.copied).read_text()
        assert ran == log()


class InnerInputs(BaseInterfaceInputSpec):
    prefix = Str()


class InnerOutputs(TraitedSpec):
    text = traits.Str()


class Inner(SimpleInterface):
    """Runs a command inside."""

    input_spec = InnerInputs
    output_spec = InnerOutputs

    def _run_interface(self, runtime):
        copied = Copied(prefix=self.inputs.prefix).run(cwd=runtime.cwd).outputs.copied
        self._results["text"] = Path(copied).read_text()
        return runtime


@traces
def test_command_inside_a_python_interface(tmp_path, log):
    """A command that a Python interface runs through Nipype is watched, in a node and a stage."""
    stage = NipypeStage(Inner(), tmp_path / "stage")
    for text in ("one", "two"):
        (tmp_path / "slice_0.txt").write_text(text)
        for _ in range(2):
            workflow = one(tmp_path / "base", Node(Inner(), "n"), prefix=str(tmp_path / "slice"))
            assert text == run(workflow, tmp_path / "memory")["n"].text
        assert {"ran": 1} == log()
        for _ in range(2):
            assert text == stage.run(prefix=str(tmp_path / "slice"))["text"]
        assert {"ran": 1} == log()


def test_command_is_noted_as_without_a_tracer(tmp_path, log):
    """The report, command.txt and the runtime of a watched node say what Nipype would."""
    (tmp_path / "slice_0.txt").write_text("x")
    workflow = one(tmp_path / "base", Node(Copied(), "n"), prefix=str(tmp_path / "slice"))
    workflow.get_node("n").interface.terminal_output = "file_split"
    (node,) = remember_workflow(workflow, tmp_path / "memory").run().nodes()
    plain = Node(Copied(prefix=str(tmp_path / "slice")), "n", base_dir=str(tmp_path / "plain"))
    plain.interface.terminal_output = "file_split"
    expected = plain.run().runtime
    runtime = node.result.runtime
    assert expected.cmdline == runtime.cmdline
    assert expected.returncode == runtime.returncode
    assert "MEMORI_WORD_0" not in str(runtime.environ)
    assert (Path(plain.output_dir()) / "command.txt").read_text() == (
        Path(node.output_dir()) / "command.txt"
    ).read_text()
    assert sorted(os.listdir(plain.output_dir())) == sorted(os.listdir(node.output_dir()))


@PLUGINS
def test_elements_of_a_map_in_another_base_folder(tmp_path, log, plugin):
    """The elements of a map are given files of an earlier node, wherever the base folder is."""
    for base, ran in (("a", {"use": 1}), ("b", {})):
        workflow = filling(tmp_path / base, "one")
        mapped = MapNode(niu.Function(["folder"], ["out"], use), "folder", "mapped")
        workflow.remove_nodes([workflow.get_node("second")])
        workflow.connect(workflow.get_node("first"), ("folder", list_of), mapped, "folder")
        assert ["one"] == run(workflow, tmp_path / "m", plugin)["mapped"].out
        assert ran == log()


def list_of(folder):
    return [folder]


# Options


def test_what_is_read_may_be_left_out(tmp_path, log):
    """`ignore_reads` and `watch=False` leave out what a run reads besides its inputs."""
    path = tmp_path / "a.txt"
    for options in ({"ignore_reads": [path]}, {"watch": False}):
        place = tmp_path / "-".join(options)
        stage = NipypeStage(niu.Function(["folder"], ["out"], use), place / "stage", **options)
        for text in ("one", "two"):
            path.write_text(text)
            stage.run(folder=str(tmp_path))
            node = Node(niu.Function(["folder"], ["out"], use), "n")
            run(one(tmp_path / "base", node, folder=str(tmp_path)), place, **options)
        assert {"use": 2} == log()


def test_stage_around_a_workflow_depends_on_what_its_nodes_read(tmp_path, log):
    """A stage that runs a remembered workflow runs again after what a node read was edited."""
    path = tmp_path / "a.txt"

    def outer(base):
        node = Node(niu.Function(["folder"], ["out"], use), "n")
        workflow = one(base, node, folder=str(tmp_path))
        return run(workflow, tmp_path / "memory")["n"].out

    for text in ("one", "two"):
        path.write_text(text)
        for place in ("first", "second"):  # the second is around a hit
            stage = Stage(outer, hash_output=tmp_path / place)
            assert text == stage.run(str(tmp_path / "base"))["output"]
            assert not stage.run(str(tmp_path / "base")).ran
