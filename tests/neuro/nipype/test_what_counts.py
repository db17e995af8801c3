"""What counts of an interface is one thing: as a stage, as a node, inside a workflow."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Bunch,
    CommandLine,
    CommandLineInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    Undefined,
    traits,
)
from nipype.interfaces.freesurfer import MRIConvert
from nipype.pipeline.engine import Node, Workflow

from memori.fingerprint import fingerprint
from memori.neuro import NipypeStage, as_stage, remember_workflow
from memori.neuro.nipype.what_counts import code_of


class _Out(TraitedSpec):
    out = File(exists=True)


class Tool(CommandLine):
    """A program that leaves out.txt."""

    _cmd = "mytool"
    input_spec = CommandLineInputSpec
    output_spec = _Out

    def _list_outputs(self):
        return {"out": os.path.abspath("out.txt")}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Write the program that `Tool` calls."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def write(text, name="mytool"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Count how often a program has noted in $RAN that it ran."""
    path = tmp_path / "ran"
    monkeypatch.setenv("RAN", str(path))
    return lambda: len(path.read_text().split())


def as_a_stage(interface, folder, output="out"):
    """Run an interface as a NipypeStage."""
    return NipypeStage(interface, folder / "stages").run()[output]


def as_a_node(interface, folder, output="out"):
    """Run an interface as a remembered node."""
    node = remember_workflow(Node(interface, "n", base_dir=str(folder / "base")), folder / "nodes")
    return getattr(node.run().outputs, output)


def in_a_workflow(interface, folder, output="out"):
    """Run an interface as the only node of a workflow that is a stage."""
    workflow = Workflow("wf")
    workflow.add_nodes([Node(interface, "n")])
    return as_stage(workflow, {}, {"out": f"n.{output}"}, folder / "workflows").run()["out"]


HOW = pytest.mark.parametrize("how", [as_a_stage, as_a_node, in_a_workflow])


@HOW
def test_variables_that_are_set_on_an_interface_count(tmp_path, tool, how, ran):
    """Another value in `environ` is another run; going back to the first is a hit."""
    tool("echo $SCALE >out.txt; echo ran >>$RAN")
    found = [
        Path(how(Tool(environ={"SCALE": value}), tmp_path)).read_text() for value in ("2", "3", "2")
    ]

    assert ["2\n", "3\n", "2\n"] == found
    assert 2 == ran()


@HOW
@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "NSLOTS", "DISPLAY"])
def test_variables_of_threads_and_session_do_not_count(tmp_path, tool, how, name, ran):
    """How many threads a program is given, and on which screen it would draw, never count."""
    tool("echo x >out.txt; echo ran >>$RAN")
    for value in (":1", ":2"):
        how(Tool(environ={name: value}), tmp_path)

    assert 1 == ran()


@HOW
def test_file_that_a_variable_names_counts_by_content(tmp_path, tool, how, ran):
    """An edited file behind a variable runs again; a project that moved as a whole does not."""
    tool("cat $SETTINGS >out.txt; echo ran >>$RAN")
    project = tmp_path / "project"
    project.mkdir()
    for text in ("one", "two"):
        (project / "settings").write_text(text)
        given = Tool(environ={"SETTINGS": f"{project / 'settings'}"})
        assert text == Path(how(given, project)).read_text()
    moved = project.rename(tmp_path / "moved")
    given = Tool(environ={"SETTINGS": f"{moved / 'settings'}"})
    assert "two" == Path(how(given, moved)).read_text()
    assert 2 == ran()


@HOW
def test_subjects_folder_moves_with_its_project(tmp_path, tool, how, ran):
    """FreeSurfer's interfaces set SUBJECTS_DIR to a path; it counts from the memory's folder."""
    tool('cp "$2" "$4"; echo ran >>$RAN', "mri_convert")

    def converted(project):
        given = {"in_file": project / "t1.mgz", "subjects_dir": str(project / "subjects")}
        return how(MRIConvert(**given, out_file="out.mgz"), project, "out_file")

    (tmp_path / "project" / "subjects").mkdir(parents=True)
    (tmp_path / "project" / "t1.mgz").write_text("scan")
    converted(tmp_path / "project")
    converted((tmp_path / "project").rename(tmp_path / "moved"))
    assert 1 == ran()


class _Printed(TraitedSpec):
    out = traits.Str()


class Printing(Tool):
    """Returns what the program prints."""

    output_spec = _Printed

    def aggregate_outputs(self, runtime=None, needed_outputs=None):
        return _Printed(out=runtime.stdout)


def test_output_that_is_kept_from_an_interface_counts(tmp_path, tool, ran):
    """An interface that reads its results from what is printed has none where it is not told."""
    tool("echo printed; echo ran >>$RAN")
    found = [
        as_a_node(Printing(terminal_output=terminal), tmp_path)
        for terminal in ("stream", "allatonce", "none")
    ]

    assert ["printed", "printed", ""] == found
    assert 2 == ran()


class _In(BaseInterfaceInputSpec):
    what = traits.Any()


class _Text(TraitedSpec):
    out = traits.Str()


class Atlas(SimpleInterface):
    """Reads a file that it was made with, and one inside an object."""

    input_spec = _In
    output_spec = _Text

    def __init__(self, atlas, **inputs):
        super().__init__(**inputs)
        self._atlas = atlas

    def _run_interface(self, runtime):
        paths = [self._atlas, getattr(self.inputs.what, "path", None)]
        self._results["out"] = "".join(Path(path).read_text() for path in paths if path)
        return runtime


@HOW
def test_file_that_an_attribute_names_counts(tmp_path, how):
    """A file that an interface was made with counts by its content."""
    atlas = tmp_path / "atlas.txt"
    found = []
    for text in ("one", "two", "two"):
        atlas.write_text(text)
        found.append(how(Atlas(str(atlas)), tmp_path))

    assert ["one", "two", "two"] == found


@pytest.mark.parametrize("how", [as_a_node, in_a_workflow])
def test_file_inside_an_object_counts(tmp_path, how):
    """A file counts by its content also where a Bunch names it (as those of SpecifyModel)."""
    path = tmp_path / "regressors.txt"
    found = []
    for text in ("one", "two"):
        path.write_text(text)
        found.append(how(Atlas("", what=Bunch(path=str(path))), tmp_path))

    assert ["one", "two"] == found


@HOW
def test_what_a_function_imports_counts(tmp_path, how, monkeypatch):
    """A Function whose `imports` name code of the user's runs again after that was edited."""
    monkeypatch.syspath_prepend(tmp_path / "code")
    (tmp_path / "code").mkdir()
    module = tmp_path / "code" / "own_library_of_mine.py"
    source, imports = "def f(x):\n    return add(x)\n", ["from own_library_of_mine import add"]
    found = []
    for number, added in enumerate((1, 10)):
        module.write_text(f"def add(x):\n    return x + {added}\n")
        os.utime(module, (number, number))
        importlib.invalidate_caches()
        sys.modules.pop("own_library_of_mine", None)
        function = niu.Function(["x"], ["y"], function=source, imports=imports)
        function.inputs.x = 1
        found.append(how(function, tmp_path, "y"))

    assert [2, 11] == found


def test_a_class_is_the_same_whatever_its_instances_were_asked():
    """Traits note each name that was ever asked of an instance in its class; that is no edit."""

    def of(interface):
        found = fingerprint(code_of(interface, {}))
        return found.canonical()

    before = of(Atlas("x"))
    assert not hasattr(Atlas("x").inputs, "num_threads")
    assert "num_threads" in _In.__class_traits__

    assert before == of(Atlas("x"))
    _In.add_class_trait("added", traits.Int(3))
    try:
        assert before != of(Atlas("x"))
    finally:
        for kind in (_In.__base_traits__, _In.__class_traits__):
            del kind["added"]


# The path of a file


class _Copying(CommandLineInputSpec):
    in_file = File(exists=True, mandatory=True, argstr="%s", position=0)
    out_file = File(name_source="in_file", name_template="%s_copy", argstr="%s", position=1)


class _Copy(TraitedSpec):
    out_file = File(exists=True)


class Copy(CommandLine):
    """A command with nothing around it that sees a path."""

    input_spec, output_spec, _cmd = _Copying, _Copy, "cp"


class Beside(Copy):
    """A command that writes beside its input, as the example in Nipype's documentation does."""

    def _filename_from_source(self, name, chain=None):
        return self.inputs.in_file + ".copy"


def subject_of(in_file):
    """Take a subject out of a path."""
    import os

    return os.path.basename(os.path.dirname(in_file))


def among_nodes(interface, folder, output="out"):
    """Run a workflow that is a stage, with an input that is passed on to the interface."""
    names = ["in_file"]
    passing = Node(niu.IdentityInterface(names), "passing")
    workflow = Workflow("wf")
    workflow.connect(passing, "in_file", Node(interface, "n"), "in_file")
    given = {"in_file": "passing.in_file"}
    stage = as_stage(workflow, given, {output: f"n.{output}"}, hash_output=folder / "given")
    value = interface.inputs.in_file
    interface.inputs.in_file = Undefined
    return stage.run(in_file=value)[output]


WAYS = pytest.mark.parametrize("how", [as_a_stage, as_a_node, in_a_workflow, among_nodes])


def equal_files(folder):
    """Leave equal files of one name in two folders."""
    for subject in ("sub-01", "sub-02"):
        (folder / subject).mkdir()
        (folder / subject / "dwi.bval").write_text("0 1000\n")
        yield folder / subject / "dwi.bval"


@WAYS
def test_command_whose_python_code_sees_the_path(tmp_path, how):
    """An interface that names its output after the folder of its input does so for each input."""
    for path in (*equal_files(tmp_path), tmp_path / "sub-01" / "dwi.bval"):
        assert f"{path}.copy" == how(Beside(in_file=str(path)), tmp_path, "out_file")
        assert "0 1000\n" == Path(f"{path}.copy").read_text()


@WAYS
def test_function_that_sees_the_path(tmp_path, how):
    """A function that takes the subject out of a path does so for each path."""
    for path in equal_files(tmp_path):
        function = niu.Function(["in_file"], ["out"], subject_of)
        function.inputs.in_file = str(path)
        assert path.parent.name == how(function, tmp_path)


@WAYS
def test_command_alone_is_not_asked_for_an_equal_file(tmp_path, how, tool, ran):
    """An equal file of the same name elsewhere is a hit where no Python code sees the path."""
    tool('echo x >> "$RAN"; /bin/cp "$@"', name="cp")
    for path in equal_files(tmp_path):
        found = how(Copy(in_file=str(path)), tmp_path, "out_file")
        assert "0 1000\n" == Path(found).read_text()
    assert 1 == ran()
