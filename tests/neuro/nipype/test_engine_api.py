"""What memori takes each name of Nipype to mean that Nipype does not promise.

These run on the oldest Nipype that pyproject.toml admits and on the newest.
"""

from __future__ import annotations

import ast
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    CommandLine,
    File,
    LibraryBaseInterface,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)
from nipype.interfaces.io import SelectFiles
from nipype.pipeline.engine import JoinNode, MapNode, Node, Workflow

import memori.neuro.nipype
from memori.neuro.nipype import engine_api
from memori.neuro.nipype.kinds import before, reduced
from memori.neuro.nipype.node_folder import LazyResult
from memori.stage import Stage


def add(x, y=0):
    import os

    with open("left.txt", "w") as file:
        file.write("left")
    return x + y, os.path.abspath("left.txt")


def adding(kind=Node, name="add", **options):
    return kind(niu.Function(["x", "y"], ["sum", "left"], add), name=name, **options)


@pytest.fixture
def done(tmp_path):
    """A node that has run."""
    node = adding(base_dir=str(tmp_path))
    node.inputs.x = 1
    node.run()
    return node


class _In(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, copyfile=False)
    use_gpu = traits.Bool()


class _Out(TraitedSpec):
    size = traits.Int()


class Size(LibraryBaseInterface, SimpleInterface):
    _pkg = "nibabel"
    input_spec = _In
    output_spec = _Out

    def _run_interface(self, runtime):
        self._results["size"] = os.path.getsize(self.inputs.in_file)
        return runtime


# Interfaces


def test_outputs_of_kind():
    """The names of an interface's outputs are known before it runs."""
    assert ["size"] == engine_api.outputs_of_kind(Size()).copyable_trait_names()


def test_program_of():
    """The program is the first word of the command, after a prefix."""
    assert "echo" == engine_api.program_of(CommandLine("echo -n", args="x"))

    class Prefixed(CommandLine):
        _cmd = "echo"
        _cmd_prefix = "/bin/"

    assert "/bin/echo" == engine_api.program_of(Prefixed())


def test_own_environment():
    """Variables are those of `environ`; an interface without a command sets none."""
    assert {"A": "1"} == engine_api.own_environment(CommandLine("echo", environ={"A": "1"}))
    assert {} == engine_api.own_environment(Size())


def test_named_package():
    """The interface of a library names its package."""
    assert "nibabel" == engine_api.named_package(Size())
    assert engine_api.named_package(CommandLine("echo")) is None


def test_check_inputs(tmp_path):
    """What is missing is an error; what is complete is none."""
    with pytest.raises(ValueError, match="in_file"):
        engine_api.check_inputs(Size())
    (tmp_path / "a.txt").touch()
    engine_api.check_inputs(Size(in_file=tmp_path / "a.txt"))


def test_found_by(tmp_path):
    """An interface that looks for files can be asked without a run."""
    (tmp_path / "a.txt").touch()
    select = SelectFiles({"found": "{which}.txt"}, base_directory=str(tmp_path))
    select.inputs.which = "a"

    assert {"found": str(tmp_path / "a.txt")} == engine_api.found_by(select)


def test_without_dependencies(tmp_path):
    """An interface that is told so does not ask for the libraries of its program."""
    interface = CommandLine("true")
    engine_api.without_dependencies(interface)

    assert "<skipped>" == interface.run(cwd=str(tmp_path)).runtime.dependencies


def test_run_state(tmp_path):
    """A run leaves or replaces no other attributes of an interface than these."""
    (tmp_path / "a.txt").touch()
    for made in (Size(in_file=tmp_path / "a.txt"), CommandLine("true"), niu.Merge(1, in1=[1])):
        before = dict(vars(made))
        made.run(cwd=str(tmp_path))
        changed = {name for name, value in vars(made).items() if before.get(name) is not value}
        assert {name.lstrip("_") for name in changed} <= engine_api.RUN_STATE


def test_argument_kept_as():
    """Some arguments of constructors are kept under another name."""
    assert "echo" == vars(CommandLine("echo"))[engine_api.ARGUMENT_KEPT_AS["command"]]
    assert 3 == vars(niu.Merge(3))[engine_api.ARGUMENT_KEPT_AS["numinputs"]]


def test_files_that_are_brought(tmp_path):
    """A trait with `copyfile` wants its file in the folder of the run, linked or copied."""
    (tmp_path / "a.txt").write_text("a")
    wishes = engine_api.get_filecopy_info(Size(in_file=tmp_path / "a.txt"))
    assert [("in_file", False)] == [(wish["key"], wish["copy"]) for wish in wishes]
    target = str(tmp_path / "b.txt")
    source = str(tmp_path / "a.txt")
    assert target == engine_api.copyfile(source, target, copy=True, create_new=True)
    assert "a" == Path(target).read_text()


def test_related_files(tmp_path):
    """The header of an image belongs to it."""
    for name in ("a.img", "a.hdr"):
        (tmp_path / name).touch()
    found = engine_api.get_related_files(str(tmp_path / "a.img"), include_this_file=False)

    assert str(tmp_path / "a.hdr") in found


def test_functions_from_source():
    """The text of a `Function`, and of a connect function, can be called."""
    text = "def f(x, y=0):\n    return x + y\n"

    assert 3 == engine_api.create_function_from_source(text, None)(1, 2)
    assert 3 == engine_api.evaluate_connect_function(text, (2,), 1)


# Nodes


def test_files_of_nipype(done):
    """Beside what the interface writes, only these lie in a node's folder."""
    known = (*engine_api.FILES_OF_NIPYPE, *engine_api.FOLDERS_OF_NIPYPE)
    names = os.listdir(done.output_dir())
    others = [name for name in names if not any(fnmatchcase(name, each) for each in known)]

    assert ["left.txt"] == others


def test_folder_of_the_elements_of_a_map(tmp_path):
    """The elements of a map lie in a folder of Nipype's own."""
    node = adding(MapNode, iterfield="x", base_dir=str(tmp_path))
    node.inputs.x = [1, 2]
    node.run()

    assert "mapflow" in {*os.listdir(node.output_dir())} & {*engine_api.FOLDERS_OF_NIPYPE}


def test_result_file(done):
    """The result of a node is read from its file, when it is looked at."""
    path = engine_api.result_file(done)
    assert 1 == engine_api.load_resultfile(path).outputs.sum
    lazy = LazyResult(path)
    assert 1 == lazy.outputs.sum
    os.unlink(path)
    assert 1 == lazy.outputs.sum
    with pytest.raises(FileNotFoundError):
        _ = LazyResult(path).outputs


def test_load_results(done):
    """A node gives the result that lies in its folder, without a run."""
    os.unlink(os.path.join(done.output_dir(), "left.txt"))
    assert 1 == engine_api.load_results(done).outputs.sum
    assert not os.path.exists(os.path.join(done.output_dir(), "left.txt"))


def test_complete_config():
    """Settings that a node does not have are those of Nipype; its own stay."""
    node = adding()
    node.config = {"execution": {"hash_method": "content"}}
    engine_api.complete_config(node)

    assert "content" == node.config["execution"]["hash_method"]
    assert "remove_unnecessary_outputs" in node.config["execution"]
    assert "crashdump_dir" in node.config["execution"]


def test_inputs_are_taken_from_earlier_nodes(done, tmp_path):
    """Before a node runs, what earlier nodes made is read into its inputs."""
    node = adding(name="next", base_dir=str(tmp_path))
    node.input_source = {"x": (engine_api.result_file(done), "sum")}
    assert not isdefined(node.inputs.x)
    engine_api.take_inputs(node)

    assert 1 == node.inputs.x


def test_lists_of_a_map_must_be_as_long_as_each_other():
    """A map whose lists differ in length is an error before it runs."""
    node = adding(MapNode, iterfield=["x", "y"])
    node.inputs.x, node.inputs.y = [1, 2], [1]
    with pytest.raises(ValueError, match="same length"):
        engine_api.take_inputs(node)


def test_inputs_are_joined(tmp_path):
    """What a join collects is a list in the inputs of its interface."""
    source = Node(niu.IdentityInterface(["x"]), "source")
    source.iterables = ("x", [1, 2])
    join = JoinNode(niu.Merge(1), joinsource="source", joinfield="in1", name="join")
    workflow = Workflow("wf", base_dir=str(tmp_path))
    middle = adding()
    workflow.connect(source, "x", middle, "x")
    workflow.connect(middle, "sum", join, "in1")
    (run,) = [node for node in workflow.run().nodes() if node.name == "join"]
    run.interface.inputs.trait_set(in1=[])
    engine_api.take_inputs(run)

    assert [1, 2] == run.interface.inputs.in1
    assert engine_api.joins_unique(join) is False
    assert engine_api.joins_unique(middle) is None


def test_what_a_run_leaves(tmp_path):
    """A result that is written as a run leaves it is one that Nipype itself takes for cached."""
    first = adding(base_dir=str(tmp_path / "one"))
    first.inputs.x = 5
    result = first.run()
    second = adding(base_dir=str(tmp_path / "two"))
    second.inputs.x = 5
    engine_api.complete_config(second)
    os.makedirs(second.output_dir())
    engine_api.save_result(second, result)
    engine_api.save_run_files(second, result)

    assert (True, True) == second.is_cached()
    assert 5 == second.run().outputs.sum
    assert not os.path.exists(os.path.join(second.output_dir(), "left.txt"))


def test_all_outputs_are_kept(tmp_path):
    """A node that is to keep all outputs has the hash of one that keeps what is needed."""
    node = adding(needed_outputs=["sum"], base_dir=str(tmp_path))
    node.inputs.x = 1
    engine_api.complete_config(node)
    engine_api.hash_inputs(node)
    with engine_api.all_outputs_kept(node):
        assert [] == node.needed_outputs
        node.run()
    assert ["sum"] == node.needed_outputs
    assert (True, True) == node.is_cached()


def test_outputs_that_nobody_needs_are_removed(done):
    """What is left of a node's folder is what the needed outputs name."""
    engine_api.complete_config(done)
    folder = done.output_dir()
    outputs = done.result.outputs
    engine_api.clean_working_directory(outputs, folder, done.inputs, ["sum"], done.config)
    assert not os.path.exists(os.path.join(folder, "left.txt"))
    engine_api.emptydirs(folder, noexist_ok=True)
    assert [] == os.listdir(folder)


def test_what_a_node_needs(tmp_path):
    """Memory and places on GPUs are known of every node."""
    (tmp_path / "a.txt").touch()
    node = Node(Size(in_file=tmp_path / "a.txt"), "n", mem_gb=3, n_procs=2)

    assert 3.0 == engine_api.memory_of(node)
    assert 0 == engine_api.gpus_of(node)
    node.inputs.use_gpu = True
    assert engine_api.gpus_of(node) in ({2} if hasattr(node, "is_gpu_node") else {0})


# Workflows


def test_edges_and_elements():
    """Nodes, inner workflows and what is passed between them can be read."""
    first, second, inner = adding(name="first"), adding(name="second"), Workflow("inner")
    inner.add_nodes([adding(name="deep")])
    workflow = Workflow("wf")
    workflow.connect(first, "sum", second, "x")
    workflow.connect(first, ("sum", add, 2), inner, "deep.x")

    assert {first, second, inner} == set(engine_api.elements_of(workflow))
    passed = {target.name: told for _, target, told in engine_api.edges_of(workflow)}
    assert [("sum", "x")] == passed["second"]
    (((source, text, arguments), into),) = passed["inner"]
    assert ("sum", (2,), "deep.x") == (source, arguments, into)
    assert text.startswith("def add(x, y=0):")


class NotingPlugin(engine_api.PluginBase):
    """Notes the nodes that it is given."""

    def __init__(self, plugin_args=None):
        super().__init__(plugin_args=plugin_args)
        self.ran = plugin_args["ran"]

    def run(self, graph, config, updatehash=False):
        assert config["execution"]
        self.ran += [each.name for each in engine_api.topological_sort(graph)[0]]
        engine_api.status_callback_of(self)("node", "status")


def test_plugin_is_found_by_its_name(tmp_path):
    """`run(plugin=...)` takes a class that was added, and gives it the nodes in an order."""
    engine_api.add_plugin(NotingPlugin)
    first, second = adding(name="first"), adding(name="second")
    workflow = Workflow("wf", base_dir=str(tmp_path))
    workflow.connect(first, "sum", second, "x")
    ran, told = [], []
    arguments = {"ran": ran, "status_callback": lambda *what: told.append(what)}
    workflow.run(plugin="Noting", plugin_args=arguments)

    assert ["first", "second"] == ran
    assert [("node", "status")] == told


def test_crash_is_reported(tmp_path, caplog):
    """A failed node leaves a crash file, and is named with those that did not run."""
    node = adding(base_dir=str(tmp_path))
    node.config = {"execution": {"crashdump_dir": str(tmp_path / "crash")}}
    engine_api.complete_config(node)
    crash = engine_api.report_crash(node, traceback=["Traceback", "ValueError: no"])
    assert os.path.isfile(crash)
    engine_api.report_nodes_not_run([{"node": node, "dependents": [], "crashfile": crash}])

    assert "could not run node: None.add" in caplog.text


class Adding(engine_api.GraphHook):
    """Adds a node as late as can be."""

    def before_graph(self):
        self.add_nodes([adding(name="late")])


def test_graph_hook(tmp_path):
    """What is put before a workflow's class is called before the nodes are laid out."""
    workflow = Workflow("wf", base_dir=str(tmp_path))
    workflow.add_nodes([adding(name="early")])
    workflow.__class__ = before(Adding, Workflow)
    engine_api.add_plugin(NotingPlugin)
    arguments = {"ran": [], "status_callback": print}
    workflow.run(plugin="Noting", plugin_args=arguments)

    assert {"early", "late"} == set(arguments["ran"])


class Doubling(engine_api.ElementHook):
    """Gives each element twice what the map gives."""

    def before_element(self, node):
        node.inputs.x *= 2

    def __reduce_ex__(self, protocol):
        return reduced(self, self.__getstate__())


def test_element_hook(tmp_path):
    """What is put before a map's class is given each element before it runs."""
    node = adding(MapNode, iterfield="x", base_dir=str(tmp_path))
    node.inputs.x = [1, 2]
    node.__class__ = before(Doubling, MapNode)

    assert [2, 4] == [element.inputs.x for element in node.elements()]
    assert [2, 4] == node.run().outputs.sum


def test_words_of_settings():
    """Settings are texts; the memory of the machine is a number of gigabytes."""
    assert [True, False] == [engine_api.str2bool(text) for text in ("true", "0")]
    assert engine_api.get_system_total_memory_gb() > 0.1


# Nowhere else


WING = Path(memori.neuro.nipype.__file__).parent
PROMISED = {
    "nipype",
    "nipype.interfaces",
    "nipype.interfaces.base",
    "nipype.interfaces.io",
    "nipype.interfaces.utility",
    "nipype.pipeline.engine",
}


@pytest.mark.parametrize(
    "path", sorted({*WING.glob("*.py")} - {WING / "engine_api.py"}), ids=lambda path: path.stem
)
def test_private_names_stand_in_one_module(path):
    """No other module imports or reads what Nipype does not promise."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    read = {node.attr for node in attributes if re.match("_[a-z]", node.attr)}
    own = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    of_memori = {"_memori", "_memori_own", "_memori_kind", *dir(Stage(len))}

    assert set() == {name for name in imported if name.startswith("nipype")} - PROMISED
    assert set() == read - own - of_memori
