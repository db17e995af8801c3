"""Folders that several subjects and several steps share, such as SUBJECTS_DIR."""

import glob
import os
from itertools import pairwise

import pytest
from nipype import MapNode, Node, Workflow
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    CommandLine,
    CommandLineInputSpec,
    Directory,
    File,
    SimpleInterface,
    Str,
    TraitedSpec,
    traits,
)

from memori.neuro import NipypeStage, remember_workflow
from memori.watch.libraries.unseen import blind_readers


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    os.mkdir("bin")


def put(path, text):
    """Write a file, with its folder."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def tool(name, text):
    """Write a program that says that it ran."""
    put(f"bin/{name}", f"#!/bin/sh\necho $1 >> $RAN\n{text}\n")
    os.chmod(f"bin/{name}", 0o755)


def ran():
    """Return what ran since this was last asked."""
    try:
        with open("ran") as file:
            names = file.read().split()
    except FileNotFoundError:
        return []
    os.unlink("ran")
    return names


def result(workflow, name):
    """Run a workflow, remembered; return the outputs of a node."""
    nodes = remember_workflow(workflow, "memory").run().nodes()
    return next(each.result.outputs for each in nodes if each.name == name)


# Steps that go on in each other's files

STEPS = {
    "one": "cat $4 > brain.mgz",
    "two": "(cat brain.mgz; echo edited) > x; mv x brain.mgz; cp brain.mgz wm.mgz",
    "three": "cp wm.mgz ribbon.mgz",
}


class ReconInputs(CommandLineInputSpec):
    """Of a step of a pipeline in one folder."""

    step = Str(argstr="%s", position=0, mandatory=True)
    subject = Str("s1", argstr="%s", position=1, usedefault=True)
    subjects_dir = Directory(exists=True, argstr="%s", position=2, hash_files=False)
    image = File(exists=True, argstr="%s", position=3)


class ReconOutputs(TraitedSpec):
    """All that lies in the subject's folder, whoever made it."""

    subjects_dir = Directory(exists=True)
    volumes = traits.List(File(exists=True))


class Recon(CommandLine):
    """A step of a pipeline in one folder."""

    _cmd = "recon"
    input_spec = ReconInputs
    output_spec = ReconOutputs

    def _list_outputs(self):
        folder = self.inputs.subjects_dir
        return {"subjects_dir": folder, "volumes": sorted(glob.glob(f"{folder}/s1/*.mgz"))}


def recon(names=("one", "two", "three")):
    """Return a workflow of steps in one folder."""
    os.makedirs("subjects", exist_ok=True)
    here = os.getcwd()
    nodes = [Node(Recon(step=each, subjects_dir=f"{here}/subjects"), each) for each in names]
    nodes[0].inputs.image = f"{here}/T1.nii"
    workflow = Workflow("w", base_dir=f"{here}/base")
    workflow.add_nodes(nodes[:1])
    for before, after in pairwise(nodes):
        workflow.connect(before, "subjects_dir", after, "subjects_dir")
    return workflow


def ribbon():
    """Return what the last step made."""
    with open("subjects/s1/ribbon.mgz") as file:
        return file.read()


def test_nodes_that_go_on_in_each_others_files_run_once():
    """Also where each returns all that lies in the folder, of an earlier image too."""
    cases = "".join(f"{step}) {text};;\n" for step, text in STEPS.items())
    tool("recon", f"mkdir -p $3/$2; cd $3/$2\ncase $1 in {cases} esac")
    for text in ("a\n", "b\n"):
        put("T1.nii", text)
        result(recon(), "three")
        assert (["one", "two", "three"], f"{text}edited\n") == (ran(), ribbon())
        for _ in range(2):
            result(recon(), "three")
            assert [] == ran()
    put("subjects/s1/brain.mgz", "by hand")
    result(recon(), "three")
    assert ["one", "two"] == ran()[:2]
    assert "b\nedited\n" == ribbon()


# Folders that are given whole


class StatsInputs(CommandLineInputSpec):
    """Of a program that is given all subjects."""

    word = Str("run", usedefault=True, argstr="%s", position=0)
    subjects_dir = Directory(exists=True, mandatory=True, argstr="%s", position=1)
    subject = Str("s1", usedefault=True, argstr="%s", position=2)
    out = File("out.txt", usedefault=True, argstr="%s", position=3)


class StatsOutputs(TraitedSpec):
    """A table."""

    out = File(exists=True)


class Stats(CommandLine):
    """A program that is given all subjects, and reads of one."""

    _cmd = "stats"
    input_spec = StatsInputs
    output_spec = StatsOutputs

    def _list_outputs(self):
        return {"out": os.path.abspath(self.inputs.out)}


class PythonInputs(BaseInterfaceInputSpec):
    """Of the same in Python."""

    subjects_dir = Directory(exists=True, mandatory=True)


class PythonOutputs(TraitedSpec):
    """A table."""

    out = File(exists=True)


class PythonStats(SimpleInterface):
    """The same in Python; it asks whether a file is there."""

    input_spec = PythonInputs
    output_spec = PythonOutputs

    def _run_interface(self, runtime):
        with open(os.environ["RAN"], "a") as file:
            file.write("run\n")
        folder = os.path.join(self.inputs.subjects_dir, "s1")
        with open(f"{folder}/stats.txt") as file:
            text = file.read()
        text += "new\n" if os.path.exists(f"{folder}/new") else ""
        self._results["out"] = os.path.join(runtime.cwd, "out.txt")
        put(self._results["out"], text)
        return runtime


def as_node(kind):
    """Return the table that a node makes."""
    node = Node(kind(subjects_dir=os.path.abspath("subjects")), "n")
    workflow = Workflow("w", base_dir=os.path.abspath("base"))
    workflow.add_nodes([node])
    return result(workflow, "n").out


def as_elements(kind):
    """Return the table that an element of a map makes."""
    node = MapNode(kind(), iterfield=["subjects_dir"], name="n")
    node.inputs.subjects_dir = [os.path.abspath("subjects")]
    workflow = Workflow("w", base_dir=os.path.abspath("base"))
    workflow.add_nodes([node])
    return result(workflow, "n").out[0]


def as_stage(kind):
    """Return the table that a stage makes."""
    return NipypeStage(kind(), hash_output="memory").run(subjects_dir="subjects")["out"]


@pytest.mark.parametrize("kind", [Stats, PythonStats])
@pytest.mark.parametrize("how", [as_node, as_elements, as_stage])
def test_another_subject_runs_no_first_one_again(kind, how):
    """Of a folder that is given whole, what was read there counts."""
    tool("stats", 'cat $2/$3/stats.txt > $4; if test -e $2/$3/new; then echo "new" >> $4; fi')
    put("subjects/s1/stats.txt", "1\n")
    put("subjects/fsaverage/stats.txt", "0\n")

    def got():
        with open(how(kind)) as file:
            return file.read(), ran()

    assert [("1\n", ["run"]), ("1\n", [])] == [got(), got()]
    put("subjects/s2/stats.txt", "2\n")
    put("subjects/fsaverage/stats.txt", "00\n")
    is_blind = kind is PythonStats and blind_readers()  # another test loaded h5py, say
    assert ("1\n", ["run"] if is_blind else []) == got()
    put("subjects/s1/stats.txt", "3\n")
    assert [("3\n", ["run"]), ("3\n", [])] == [got(), got()]
    put("subjects/s1/new", "")
    assert [("3\nnew\n", ["run"]), ("3\nnew\n", [])] == [got(), got()]
