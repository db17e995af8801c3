"""A remembered workflow: the same results, fewer runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    CommandLine,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
)
from nipype.interfaces.io import DataSink
from nipype.pipeline.engine import JoinNode, MapNode, Node, Workflow
from nipype.scripts.crash_files import display_crash_file
from nipype.utils.filemanip import loadcrash

from memori.errors import MemoriWarning
from memori.neuro import remember_workflow


def write(text, name="a.txt"):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("write\n")
    with open(name, "w") as file:
        file.write(str(text))
    return os.path.abspath(name)


def double(in_file):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("double\n")
    with open(in_file) as file:
        content = file.read()
    with open("double.txt", "w") as file:
        file.write(content * 2)
    return os.path.abspath("double.txt"), len(content)


def join(in_files):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("join\n")
    return "".join(open(each).read() for each in in_files)


def shape(x):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("shape\n")
    return (x, [x]), {1: {x}}, None, b"x"


def chain(folder, text="x"):
    """Two nodes, one after the other."""
    first = Node(niu.Function(["text"], ["out_file"], write), "first")
    first.inputs.text = text
    second = Node(niu.Function(["in_file"], ["out_file", "length"], double), "second")
    workflow = Workflow("chain", base_dir=str(folder))
    workflow.connect(first, "out_file", second, "in_file")
    return workflow


def result_of(graph, name):
    (node,) = [each for each in graph.nodes() if each.fullname.endswith(name)]
    return node.result.outputs


class LinkInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, copyfile=False)


class LinkOutputSpec(TraitedSpec):
    out_file = File(exists=True)


class Link(SimpleInterface):
    input_spec = LinkInputSpec
    output_spec = LinkOutputSpec

    def _run_interface(self, runtime):
        self._results["out_file"] = self.inputs.in_file
        return runtime


BOTH = {"write": 1, "double": 1}


def test_same_workflow_runs_once(tmp_path, log):
    """A second run, in place, runs nothing and gives the same."""
    memory = tmp_path / "memory"
    first = result_of(remember_workflow(chain(tmp_path / "base"), memory).run(), "second")
    assert BOTH == log()
    second = result_of(remember_workflow(chain(tmp_path / "base"), memory).run(), "second")
    assert {} == log()
    assert (first.out_file, first.length) == (second.out_file, second.length)
    assert str(tmp_path / "base" / "chain" / "second" / "double.txt") == second.out_file


@pytest.mark.parametrize("how", ["moved", "copied", "other", "deleted"])
def test_base_folder_does_not_matter(tmp_path, log, how):
    """Nothing runs after the base folder was moved, copied, replaced by another or deleted."""
    memory = tmp_path / "memory"
    remember_workflow(chain(tmp_path / "base"), memory).run()
    log()
    folder = tmp_path / ("base" if how == "deleted" else "new")
    if how == "moved":
        shutil.move(tmp_path / "base", folder)
    elif how == "copied":
        shutil.copytree(tmp_path / "base", folder)
    elif how == "deleted":
        shutil.rmtree(folder)
    found = result_of(remember_workflow(chain(folder), memory).run(), "second")
    assert {} == log()
    assert found.out_file.startswith(str(folder))
    assert Path(found.out_file).read_text() == "xx"
    node = folder / "chain" / "second"
    assert (node / "result_second.pklz").exists()
    assert (node / "_report" / "report.rst").exists()


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
def test_missing_output_is_put_back(tmp_path, log, plugin):
    """An output or a result file that was deleted, emptied or broken is made good."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    remember_workflow(chain(base), memory).run()
    log()
    node = base / "chain" / "first"
    for damage in (
        lambda: (node / "a.txt").unlink(),
        lambda: (node / "result_first.pklz").unlink(),
        lambda: (node / "result_first.pklz").write_bytes(b""),
        lambda: (node / "result_first.pklz").write_bytes(b"broken"),
        lambda: (base / "chain" / "second" / "result_second.pklz").write_bytes(b""),
    ):
        damage()
        graph = remember_workflow(chain(base), memory).run(plugin=plugin)
        assert Path(result_of(graph, "second").out_file).read_text() == "xx"
        assert Path(result_of(graph, "first").out_file).read_text() == "x"
    assert {} == log()


def test_edited_output_runs_again(tmp_path, log):
    """An output that was edited, in place or by a new file, is made again."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    remember_workflow(chain(base), memory).run()
    path = base / "chain" / "second" / "double.txt"
    for edit in (lambda: path.write_text("zz"), lambda: (path.unlink(), path.write_text("zz"))):
        log()
        edit()
        remember_workflow(chain(base), memory).run()
        assert {"double": 1} == log()
        assert path.read_text() == "xx"


def test_earlier_parameters_and_other_names(tmp_path, log):
    """Going back to earlier values, and the same node in another workflow, run nothing."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    for text in ("x", "y", "x"):
        graph = remember_workflow(chain(base, text), memory).run()
        assert Path(result_of(graph, "second").out_file).read_text() == text * 2
    assert {"write": 2, "double": 2} == log()
    other = Node(niu.Function(["text"], ["out_file"], write), "another_name")
    other.inputs.text = "y"
    outer, inner = Workflow("outer", base_dir=str(tmp_path / "other")), Workflow("inner")
    inner.add_nodes([other])
    outer.add_nodes([inner])
    graph = remember_workflow(outer, memory).run()
    assert {} == log()
    assert Path(result_of(graph, "another_name").out_file).read_text() == "y"


def test_other_plugin_hits(tmp_path, log):
    """What ran under one plugin is a hit under another."""
    memory = tmp_path / "memory"
    arguments = {"n_procs": 2}
    workflow = remember_workflow(chain(tmp_path / "a"), memory)
    workflow.run(plugin="MultiProc", plugin_args=arguments)
    assert BOTH == log()
    remember_workflow(chain(tmp_path / "b"), memory).run()
    workflow = remember_workflow(chain(tmp_path / "c"), memory)
    workflow.run(plugin="MultiProc", plugin_args=arguments)
    assert {} == log()


def _reading(folder, path):
    node = Node(niu.Function(["in_file"], ["out_file", "length"], double), "reader")
    node.inputs.in_file = str(path)
    workflow = Workflow("reading", base_dir=str(folder))
    workflow.add_nodes([node])
    return workflow


def test_inputs_count_by_content(tmp_path, log):
    """A touched input hits; one changed at the same size and mtime does not."""
    memory = tmp_path / "memory"
    path = tmp_path / "in.txt"
    path.write_text("abc")
    remember_workflow(_reading(tmp_path / "base", path), memory).run()
    os.utime(path, (1, 1))
    remember_workflow(_reading(tmp_path / "base", path), memory).run()
    assert {"double": 1} == log()
    path.write_text("xyz")
    os.utime(path, (1, 1))
    graph = remember_workflow(_reading(tmp_path / "base", path), memory).run()
    assert {"double": 1} == log()
    assert Path(result_of(graph, "reader").out_file).read_text() == "xyzxyz"


def test_class_source_and_imports_count(tmp_path, log):
    """Another function, its source or its imports run again, even with equal inputs."""
    memory = tmp_path / "memory"

    def run(source, imports=None):
        node = Node(niu.Function(["x"], ["y"], source, imports=imports), "node")
        node.inputs.x = 1
        workflow = Workflow("wf", base_dir=str(tmp_path / "base"))
        workflow.add_nodes([node])
        return result_of(remember_workflow(workflow, memory).run(), "node").y

    source = "def f(x):\n    return floor(x + 0.5)\n"
    assert run(source, ["from math import floor"]) == 1
    assert run(source, ["from math import ceil as floor"]) == 2
    assert run(source.replace("0.5", "3.5"), ["from math import floor"]) == 4


def test_program_counts(tmp_path, monkeypatch):
    """A program that was replaced runs again."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for text in ("one", "two", "two"):
        script = folder / "mytool"
        script.unlink(missing_ok=True)
        script.write_text(f"#!/bin/sh\necho {text} > out.txt\necho ran >> {tmp_path}/log\n")
        script.chmod(0o755)
        wf = Workflow("tools", base_dir=str(tmp_path / "base"))
        wf.add_nodes([Node(CommandLine("mytool"), "node")])
        remember_workflow(wf, tmp_path / "memory").run()
    assert 2 == len((tmp_path / "log").read_text().split())


def mapped(folder, texts):
    node = MapNode(niu.Function(["text"], ["out_file"], write), "text", "mapped")
    node.inputs.text = texts
    last = Node(niu.Function(["in_files"], ["text"], join), "last")
    workflow = Workflow("mapping", base_dir=str(folder))
    workflow.connect(node, "out_file", last, "in_files")
    return workflow


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
def test_elements_of_a_map_are_remembered_each(tmp_path, log, plugin):
    """A list that was reordered or extended runs only what is new in it."""
    memory, base = tmp_path / "memory", tmp_path / "base"

    def run(texts):
        graph = remember_workflow(mapped(base, texts), memory).run(plugin=plugin)
        return result_of(graph, "last").text, log()

    assert run(list("abc")) == ("abc", {"write": 3, "join": 1})
    assert run(list("abc")) == ("abc", {})
    assert run(list("cab")) == ("cab", {"join": 1})
    assert run(list("cabd")) == ("cabd", {"write": 1, "join": 1})
    assert run(list("d")) == ("d", {"join": 1})


def iterated(folder, values):
    """Iterables, a JoinNode over them, and a connect function in between."""
    source = Node(niu.IdentityInterface(["text"]), "source", iterables=("text", values))
    first = Node(niu.Function(["text"], ["out_file"], write), "first")
    joined = JoinNode(
        niu.Function(["in_files"], ["text"], join),
        "joined",
        joinsource="source",
        joinfield="in_files",
    )
    workflow = Workflow("iterating", base_dir=str(folder))
    workflow.connect(source, ("text", upper), first, "text")
    workflow.connect(first, "out_file", joined, "in_files")
    return workflow


def upper(text):
    return text.upper()


def test_iterables_and_joins(tmp_path, log):
    """Iterables add only what is new; a JoinNode sees the collected values."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    graph = remember_workflow(iterated(base, ["a", "b"]), memory).run()
    assert result_of(graph, "joined").text == "AB"
    assert {"write": 2, "join": 1} == log()
    remember_workflow(iterated(base, ["a", "b"]), memory).run()
    assert {} == log()
    graph = remember_workflow(iterated(base, ["b", "a", "c"]), memory).run()
    assert result_of(graph, "joined").text == "BAC"
    assert {"write": 1, "join": 1} == log()


def test_values_keep_their_types(tmp_path, log):
    """Tuples, dicts, sets, None and bytes come back as they were, on a run as on a hit."""
    for _ in range(2):
        node = Node(niu.Function(["x"], ["pair", "dict", "none", "bytes"], shape), "node")
        node.inputs.x = 1.5
        workflow = Workflow("types", base_dir=str(tmp_path / "base"))
        workflow.add_nodes([node])
        found = result_of(remember_workflow(workflow, tmp_path / "memory").run(), "node")
        shutil.rmtree(tmp_path / "base")
        assert found.pair == (1.5, [1.5])
        assert found.dict == {1: {1.5}}
        assert found.none is None
        assert found.bytes == b"x"
    assert {"shape": 1} == log()


def test_exact_arrays_as_inputs(tmp_path, log):
    """Two long arrays that differ in the middle are two inputs."""
    found = []
    for middle in (0.0, 1.0):
        node = Node(niu.Function(["x"], ["y"], "def f(x):\n    return float(x.sum())"), "node")
        node.inputs.x = np.zeros(5000)
        node.inputs.x[2500] = middle
        workflow = Workflow("arrays", base_dir=str(tmp_path / "base"))
        workflow.add_nodes([node])
        found.append(result_of(remember_workflow(workflow, tmp_path / "memory").run(), "node").y)
    assert found == [0.0, 1.0]


def test_what_cannot_be_written_down_runs_each_time(tmp_path):
    """An output that is an object gives a warning, the right result, and no memory."""
    source = "def f(x):\n    import nipype\n    return nipype.interfaces.base.Bunch(x=x)"
    for _ in range(2):
        node = Node(niu.Function(["x"], ["y"], source), "node")
        node.inputs.x = 3
        workflow = Workflow("objects", base_dir=str(tmp_path / "base"))
        workflow.add_nodes([node])
        with pytest.warns(MemoriWarning, match="not remembered"):
            graph = remember_workflow(workflow, tmp_path / "memory").run()
        assert result_of(graph, "node").y.x == 3


def sinking(base, out):
    sink = Node(DataSink(base_directory=str(out)), "sink")
    sink.inputs.substitutions = [("double", "twice")]
    workflow = chain(base)
    workflow.connect(workflow.get_node("second"), "out_file", sink, "results.@file")
    return workflow


@pytest.mark.parametrize("verify", [False, True])
def test_sink_shares_nothing_with_the_memory(tmp_path, log, verify):
    """An edit of what a DataSink wrote leaves memori's copy; the sink is made good."""
    memory, base, out = (tmp_path / name for name in ("memory", "base", "out"))
    for _ in range(2):
        wf = remember_workflow(sinking(base, out), memory, verify_always_run=verify)
        wf.run()
        sunk = out / "results" / "twice.txt"
        assert sunk.read_text() == "xx"
        with sunk.open("r+") as file:
            file.write("yy")
        assert (base / "chain" / "second" / "double.txt").read_text() == "xx"
    assert BOTH == log()
    wf.run()
    assert {} == log()
    assert "xx" == sunk.read_text()


def test_the_memory_shares_nothing_with_raw_data(tmp_path, log):
    """A file that Nipype linked into a node's folder is copied, not linked, into the memory."""
    raw = tmp_path / "raw.txt"
    raw.write_text("raw")

    for base in ("one", "two"):
        workflow = Workflow("w", base_dir=tmp_path / base)
        workflow.add_nodes([Node(Link(in_file=str(raw)), "link")])
        remember_workflow(workflow, tmp_path / "memory").run()
    copies = [each for each in tmp_path.rglob("raw.txt") if not each.is_symlink() and each != raw]
    assert copies
    assert [False] * len(copies) == [os.path.samefile(raw, each) for each in copies]
    for each in copies:
        each.write_text("edited")
    assert "raw" == raw.read_text()


def append(in_file, text):
    with open(in_file, "a") as file:
        file.write(text)
    with open(in_file) as file:
        return file.read()


def test_equal_elements_share_no_file(tmp_path, log):
    """What edits its input in place after equal elements of a map edits one of them, each run."""
    results = []
    for _ in range(2):
        first = MapNode(niu.Function(["text"], ["out_file"], write), "text", name="first")
        first.inputs.text = ["x", "x"]
        iterfield = ["in_file", "text"]
        second = MapNode(niu.Function(iterfield, ["out"], append), iterfield, name="second")
        second.inputs.text = ["1", "2"]
        workflow = Workflow("in_place", base_dir=str(tmp_path / "base"))
        workflow.connect(first, "out_file", second, "in_file")
        with pytest.warns(MemoriWarning, match="changed while the stage ran"):
            graph = remember_workflow(workflow, tmp_path / "memory").run()
        results.append(result_of(graph, "second").out)
    assert [["x1", "x2"], ["x1", "x2"]] == results


def test_needed_outputs_and_unneeded_files(tmp_path, log):
    """Unneeded outputs are removed as Nipype does, and come back where they are needed."""
    memory = tmp_path / "memory"
    wf = remember_workflow(chain(tmp_path / "base"), memory)
    wf.config["execution"]["remove_unnecessary_outputs"] = "true"
    graph = wf.run()
    log()
    last = Node(niu.Function(["x"], ["y"], "def f(x):\n    return x"), "last")
    wf = chain(tmp_path / "base")
    wf.connect(wf.get_node("second"), "length", last, "x")
    graph = remember_workflow(wf, memory).run()
    assert {} == log()
    assert result_of(graph, "last").y == 1
    assert not isdefined(result_of(graph, "second").out_file)
    assert not (tmp_path / "base" / "chain" / "second" / "double.txt").exists()
    graph = remember_workflow(chain(tmp_path / "base"), memory).run()
    assert Path(result_of(graph, "second").out_file).read_text() == "xx"
    assert {} == log()


class _CopiedSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, copyfile=True)


class _CopiedOutputs(TraitedSpec):
    out_file = File()
    more = File()


class Copied(SimpleInterface):
    """Is given a copy of its input."""

    input_spec = _CopiedSpec
    output_spec = _CopiedOutputs

    def _run_interface(self, runtime):
        for name in ("out_file", "more"):
            path = Path(runtime.cwd, name)
            path.write_text(Path(self.inputs.in_file).read_text())
            self._results[name] = str(path)
        return runtime


def test_copies_of_inputs_come_back_where_they_are_to_be_kept(tmp_path):
    """With ``keep_inputs`` the copy of an input lies in the node's folder after each run."""
    (tmp_path / "in.txt").write_text("x")
    for base in ("a", "b", "b"):
        copied = Node(Copied(in_file=str(tmp_path / "in.txt")), "copied")
        wf = Workflow("w", base_dir=str(tmp_path / base))
        wf.connect(copied, "out_file", Node(niu.Merge(1), "merge"), "in1")
        wf.config["execution"] = {"keep_inputs": "true"}
        remember_workflow(wf, tmp_path / "memory").run()
        assert "x" == (tmp_path / base / "w/copied/in.txt").read_text()


def converts(text):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("converts\n")
    for name in ("image.txt", "image.tsv"):
        with open(name, "w") as file:
            file.write(text)
    return os.path.abspath("image.txt")


def sidecar_of(image):
    with open(image.replace(".txt", ".tsv")) as file:
        return file.read()


def test_files_that_no_output_names_are_there_once_they_are_kept(tmp_path, log):
    """Nipype removes them unless it is told to keep them; then they are not missed for ever."""
    for keeps, ran in ((False, 1), (True, 1), (True, 0), (False, 0), (True, 0)):
        convert = Node(niu.Function(["text"], ["image"], converts), "convert")
        convert.inputs.text = "t"
        sidecar = Node(niu.Function(["image"], ["out"], sidecar_of), "sidecar")
        wf = Workflow("w", base_dir=str(tmp_path / "base"))
        wf.connect(convert, "image", sidecar, "image")
        wf.config["execution"]["remove_unnecessary_outputs"] = str(not keeps).lower()
        wf.config["execution"]["crashdump_dir"] = str(tmp_path)
        remember_workflow(wf, tmp_path / "memory")
        if keeps:
            assert "t" == result_of(wf.run(), "sidecar").out
        else:
            with pytest.raises(Exception, match=r"image\.tsv"):
                wf.run()
        assert ({"converts": 1} if ran else {}) == log()


def test_passed_on_inputs_follow_the_base_folder(tmp_path, log):
    """An output that is an input (Merge, Select) is found in the new base folder."""
    memory = tmp_path / "memory"
    for name in ("one", "two"):
        wf = chain(tmp_path / name)
        merge = Node(niu.Merge(2), "merge")
        wf.connect(wf.get_node("first"), "out_file", merge, "in1")
        wf.connect(wf.get_node("second"), "out_file", merge, "in2")
        found = result_of(remember_workflow(wf, memory).run(), "merge").out
        assert all(path.startswith(str(tmp_path / name)) for path in found)
        if name == "one":
            shutil.rmtree(tmp_path / "one")
    assert BOTH == log()


def test_passed_on_inputs_follow_the_input(tmp_path):
    """An output that is an input is the input as it is named now, in place and in maps, too."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "in.txt"
        path.write_text("abc")
        merge, each = Node(niu.Merge(1), "merge"), MapNode(niu.Merge(1), "in1", "each")
        merge.inputs.in1 = str(path)
        each.inputs.in1 = [str(path)]
        wf = Workflow("passing", base_dir=str(base))
        wf.add_nodes([merge, each])
        graph = remember_workflow(wf, memory).run()
        assert [str(path)] == result_of(graph, "merge").out
        assert [[str(path)]] == result_of(graph, "each").out
        (tmp_path / name / "in.txt").unlink()


def test_updatehash_adopts_what_is_there(tmp_path, log):
    """With updatehash a stale result is taken for good, as Nipype does."""
    memory, base = tmp_path / "memory", tmp_path / "base"
    chain(base, "x").run()
    log()
    wf = remember_workflow(chain(base, "y"), memory)
    wf.run(updatehash=True)
    assert {} == log()
    assert Path(result_of(wf.run(), "first").out_file).read_text() == "x"
    assert {} == log()


def test_overwrite_runs(tmp_path, log):
    """A node with overwrite=True runs each time."""
    for _ in range(2):
        wf = chain(tmp_path / "base")
        wf.get_node("first").overwrite = True
        remember_workflow(wf, tmp_path / "memory").run()
    assert {"write": 2, "double": 1} == log()


def fail(x):
    raise ValueError("this fails")


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
def test_failure_is_nipypes_own(tmp_path, log, plugin):
    """A node that fails leaves a crash file, stops what depends on it and nothing else."""
    wf = chain(tmp_path / "base")
    wf.config["execution"]["crashdump_dir"] = str(tmp_path / "crash")
    bad = Node(niu.Function(["x"], ["out_file"], fail), "bad")
    bad.inputs.x = 1
    after = Node(niu.Function(["in_file"], ["a", "b"], double), "after")
    wf.connect(bad, "out_file", after, "in_file")
    with pytest.raises(RuntimeError, match="this fails"):
        remember_workflow(wf, tmp_path / "memory").run(plugin=plugin)
    assert BOTH == log()
    assert len(list((tmp_path / "crash").glob("crash-*bad*"))) == 1


HANGS = """
import sys
from nipype import config
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import Node, Workflow, MapNode
from memori.neuro import remember_workflow
config.set("execution", "poll_sleep_duration", "0.05")
base, how, plugin = sys.argv[1:]
def raises(x):
    raise ValueError("connect function")
if __name__ == "__main__":
    a = Node(niu.Function(["x"], ["y"], "def f(x):\\n    return x"), "a")
    a.inputs.x = 1
    b = Node(niu.Function(["x"], ["y"], "def f(x):\\n    return x"), "b")
    wf = Workflow("wf", base_dir=base)
    wf.config["execution"]["crashdump_dir"] = base
    wf.config["execution"]["create_report"] = "false"
    if how == "connect":
        wf.connect(a, ("y", raises), b, "x")
    else:
        wf.connect(a, "y", b, "x")
        import os
        os.makedirs(f"{base}/wf")
        open(f"{base}/wf/b", "w").close()
    remember_workflow(wf, f"{base}/memory").run(plugin=plugin, plugin_args={"n_procs": 2})
"""


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
@pytest.mark.parametrize("how", ["connect", "folder"])
def test_nothing_hangs(tmp_path, how, plugin):
    """A connect function that raises, and a folder that cannot be made, end the workflow."""
    script = tmp_path / "script.py"
    script.write_text(HANGS)
    command = [sys.executable, str(script), str(tmp_path / "base"), how, plugin]
    (tmp_path / "base").mkdir()
    ended = subprocess.run(command, timeout=60, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ("connect function" if how == "connect" else "should be a directory") in ended.stderr


TWICE = """
import os, sys, time
from nipype.interfaces import utility as niu
from nipype.interfaces.io import DataSink
from nipype.pipeline.engine import Node, Workflow, MapNode
from memori.neuro import remember_workflow
def slow(x):
    import os, time
    with open(os.environ["RAN"], "a") as file:
        file.write("slow\\n")
    time.sleep(0.4)
    with open("out.txt", "w") as file:
        file.write(str(x))
    return os.path.abspath("out.txt")
if __name__ == "__main__":
    base = sys.argv[1]
    first = MapNode(niu.Function(["x"], ["y"], slow), "x", "first")
    first.inputs.x = [1, 2, 3]
    second = MapNode(niu.Function(["x"], ["y"], slow), "x", "second")
    sink = Node(DataSink(base_directory=base + "/out"), "sink")
    wf = Workflow("wf", base_dir=base)
    wf.config["execution"]["crashdump_dir"] = base
    wf.connect(first, "y", second, "x")
    wf.connect(second, "y", sink, "out")
    remember_workflow(wf, base + "/memory").run()
"""


def test_two_processes_at_once(tmp_path, log):
    """Two processes in one base folder run each node once, and both succeed."""
    script = tmp_path / "script.py"
    script.write_text(TWICE)
    command = [sys.executable, str(script), str(tmp_path / "base")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, printed = process.communicate(timeout=60)
        assert process.returncode == 0, printed
    assert {"slow": 6} == log()


def test_killed_and_resumed(tmp_path, log):
    """After kill -9 in the middle, what had ended is not run again."""
    script = tmp_path / "script.py"
    script.write_text(TWICE)
    command = [sys.executable, str(script), str(tmp_path / "base")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ran = Path(os.environ["RAN"])
    until = time.monotonic() + 30
    while time.monotonic() < until and not (ran.exists() and ran.read_text().count("slow") == 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {"slow": 4} == log()
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    assert {"slow": 3} == log()


def test_nodes_added_later_and_copies_are_remembered(tmp_path, log):
    """What is added to a remembered workflow, and a clone of it, are remembered too."""
    memory = tmp_path / "memory"
    wf = remember_workflow(Workflow("later", base_dir=str(tmp_path / "base")), memory)
    node = Node(niu.Function(["text"], ["out_file"], write), "node")
    node.inputs.text = "t"
    wf.add_nodes([node])
    wf.run()
    clone = wf.clone("clone")
    clone.base_dir = str(tmp_path / "base")
    clone.run()
    assert {"write": 1} == log()
    assert type(clone.get_node("node")).__name__ == "Node"
    assert isinstance(clone.get_node("node"), Node)


def test_no_base_folder_is_any_base_folder(tmp_path, log, monkeypatch):
    """A workflow without a base folder runs in a temporary one, and is remembered in the next."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for ran in ({"write": 1, "double": 1}, {}):
        wf = chain(tmp_path)
        wf.base_dir = None
        remember_workflow(wf, tmp_path / "memory").run()
        assert wf.base_dir is None
        assert ran == log()


def fails_until(flag):
    import os

    if not os.path.exists(flag):
        raise ValueError("not yet")
    return "at last"


@pytest.mark.parametrize("plugin", ["Linear", "MultiProc", "Memori"])
def test_node_runs_again_from_its_crash_file(tmp_path, plugin):
    """`nipypecli crash -r` runs a remembered node, whichever plugin left the crash file."""
    node = Node(niu.Function(["flag"], ["said"], fails_until), "late")
    node.inputs.flag = str(tmp_path / "flag")
    workflow = Workflow("crashing", base_dir=str(tmp_path / "base"))
    workflow.add_nodes([node])
    crashes = {"crashdump_dir": str(tmp_path / "crash"), "crashfile_format": "pklz"}
    workflow.config["execution"] = crashes
    (tmp_path / "crash").mkdir()
    with pytest.raises(RuntimeError, match="not yet"):
        remember_workflow(workflow, tmp_path / "memory").run(plugin=plugin)
    (tmp_path / "flag").touch()
    (crash,) = (tmp_path / "crash").iterdir()

    display_crash_file(str(crash), True, False, str(tmp_path / "again"))

    assert "at last" == loadcrash(str(crash))["node"].run().outputs.said


def test_only_workflows():
    """Anything else is an error that names what is there for it."""
    with pytest.raises(TypeError, match="NipypeStage"):
        remember_workflow(niu.Merge(2), "memory")


def test_records_hold_no_environment(tmp_path, log, monkeypatch):
    """Memori's own records hold nothing of the environment."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    remember_workflow(chain(tmp_path / "base"), tmp_path / "memory").run()
    for path in (tmp_path / "memory").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()
