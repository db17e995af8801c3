"""A Nipype interface as a stage: what it takes and returns, and when it runs again."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nipype.algorithms.confounds import TSNR
from nipype.interfaces import afni, ants, dcm2nii, freesurfer, fsl, mrtrix3, spm, workbench
from nipype.interfaces import utility as niu
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    CommandLine,
    CommandLineInputSpec,
    Directory,
    File,
    OutputMultiPath,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from nipype.interfaces.io import DataGrabber, DataSink, SelectFiles

from memori import Pipeline, TimeLimitError
from memori.neuro import NipypeStage
from memori.neuro.nipype.cloning import defined_values
from memori.neuro.nipype.interface_run import InterfaceError
from memori.neuro.nipype.stage import InterfaceInputError
from memori.neuro.process import own_cwd
from memori.neuro.tools.identity import ToolError

# Nipype looks for nested classes of just these names.
# ruff: noqa: N801

NIIMATH = os.path.join(sysconfig.get_path("scripts"), "niimath")


@pytest.fixture
def bold(tmp_path):
    path = tmp_path / "bold.nii.gz"
    voxels = np.random.default_rng(0).random((4, 4, 4, 10), dtype=np.float32)
    nib.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    return str(path)


class NamedSpec(BaseInterfaceInputSpec):
    """Traits that are called like options of a stage."""

    stage_name = traits.Str()
    uses = traits.Int()


class NamedOutput(TraitedSpec):
    """What they were."""

    told = traits.List()


class Named(SimpleInterface):
    """Tell what the traits are."""

    input_spec = NamedSpec
    output_spec = NamedOutput

    def _run_interface(self, runtime):
        self._results["told"] = [self.inputs.stage_name, self.inputs.uses]
        return runtime


def test_a_trait_is_meant_before_an_option():
    """The option is set by with_options, as for every kind of stage."""
    stage = NipypeStage(Named(), stage_name="value", uses=3)
    assert ("Named", ["value", 3]) == (stage.stage_name, stage.run()["told"])
    other = stage.with_options(stage_name="records", always_run=True)
    assert ("records", True, ["value", 3]) == (
        other.stage_name, other.always_runs, other.run()["told"])  # fmt: skip
    assert "records" == NipypeStage(niu.Merge(2), stage_name="records").stage_name


@pytest.fixture(autouse=True)
def _fslmaths(tmp_path_factory, monkeypatch):
    """The program niimath under the name by which FSL's interfaces call it."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "fslmaths").symlink_to(NIIMATH)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FSLOUTPUTTYPE", "NIFTI_GZ")


def runs(stage, **inputs):
    stage.run(**inputs)
    return stage.state


# In and out


def test_runs_once_and_then_hits(tmp_path, bold):
    """An interface runs in its own folder, and the same inputs are a hit."""
    stage = NipypeStage(TSNR(), hash_output=tmp_path / "work", regress_poly=1)
    first = stage.run(in_file=bold)
    assert stage.state
    assert str(tmp_path / "work" / "TSNR") == os.path.dirname(os.path.dirname(first["tsnr_file"]))
    assert first == stage.run(in_file=bold)
    assert not stage.state


def test_signature_shows_traits():
    """The signature lists the traits: mandatory ones without default, set ones with theirs."""
    found = inspect.signature(NipypeStage(fsl.BET(frac=0.25)).function).parameters
    assert found["in_file"].default is inspect.Parameter.empty
    assert 0.25 == found["frac"].default


def test_values_of_one_run_do_not_reach_the_next(tmp_path, bold):
    """A value that is passed replaces the interface's for that run only."""
    stage = NipypeStage(fsl.ImageMaths(op_string="-mul 2"), hash_output=tmp_path / "work")
    twice = nib.load(stage.run(in_file=bold)["out_file"]).get_fdata()
    thrice = nib.load(stage.run(in_file=bold, op_string="-mul 3")["out_file"]).get_fdata()
    np.testing.assert_allclose(1.5 * twice, thrice, rtol=1e-5)
    stage.run(in_file=bold)
    assert not stage.state


def test_interface_that_has_run_leaks_nothing(tmp_path, bold):
    """The stage does not see what the interface found when its owner ran it."""

    class Two(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            twice = traits.Bool(mandatory=True)

        class output_spec(TraitedSpec):
            first = traits.Int()
            second = traits.Int()

        def _run_interface(self, runtime):
            self._results["first"] = 1
            if self.inputs.twice:
                self._results["second"] = 2
            return runtime

    interface = Two(twice=True)
    interface.run()
    assert {"first": 1} == NipypeStage(interface).run(twice=False)


def test_handlers_of_a_class_work():
    """ANTs passes its threads, and FSL its output type, to the environment of the command."""
    stage = NipypeStage(ants.N4BiasFieldCorrection(num_threads=3))
    assert "3" == stage.function.recipe.values["environ"]["NSLOTS"]
    made = NipypeStage(fsl.BET(output_type="NIFTI")).function.recipe
    assert "NIFTI" == made.values["environ"]["FSLOUTPUTTYPE"]


def test_output_type_names_the_output(tmp_path, bold):
    """A value passed to a run goes through the handlers too."""
    stage = NipypeStage(fsl.maths.MeanImage(), hash_output=tmp_path / "work")
    assert stage.run(in_file=bold)["out_file"].endswith("bold_mean.nii.gz")
    assert stage.run(in_file=bold, output_type="NIFTI")["out_file"].endswith("bold_mean.nii")


def test_tuples_and_single_lists_keep_their_shape():
    """JSON's lists become the tuples of a trait; a list of one stays what its trait says."""

    class Shapes(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            pair = traits.Tuple(traits.Int(), traits.Float())
            either = traits.Either(traits.Bool(), traits.Tuple(traits.Int(), traits.Int()))

        class output_spec(TraitedSpec):
            one = OutputMultiPath(traits.Int())
            many = traits.List(traits.Int())
            kinds = traits.List(traits.Str())

        def _run_interface(self, runtime):
            kinds = [type(self.inputs.pair).__name__, type(self.inputs.either).__name__]
            self._results.update(one=[4], many=[4], kinds=kinds)
            return runtime

    found = NipypeStage(Shapes()).run(pair=[1, 2.0], either=[3, 4])
    assert {"one": 4, "many": [4], "kinds": ["tuple", "tuple"]} == found


def test_generic_interfaces():
    """Merge, Select, Split and Function work with the arguments of their constructors."""
    assert [1, 2] == NipypeStage(niu.Merge(2, axis="vstack")).run(in1=1, in2=2)["out"]
    assert 20 == NipypeStage(niu.Select(index=1)).run(inlist=[10, 20])["out"]
    assert {"out1": [1], "out2": [2, 3]} == NipypeStage(niu.Split(splits=[1, 2])).run(
        inlist=[1, 2, 3]
    )
    add = niu.Function(["a", "b"], "c", function="def add(a, b=3):\n    return a + b")
    assert "add" == NipypeStage(add).stage_name
    assert 5 == NipypeStage(add).run(a=2)["c"]
    fields = niu.IdentityInterface(fields=["x", "y"], mandatory_inputs=False)
    assert {"x": 1} == NipypeStage(fields).run(x=1)
    listed = NipypeStage(CommandLine("echo", terminal_output="allatonce"))
    assert {} == listed.run(args="hello")


@pytest.mark.parametrize(
    "interface",
    [
        fsl.MCFLIRT(mean_vol=True),
        fsl.Eddy(),
        ants.Registration(num_threads=2),
        afni.Volreg(),
        freesurfer.ReconAll(),
        freesurfer.MRIConvert(),
        spm.Realign(),
        spm.Smooth(fwhm=[6, 6, 6]),
        workbench.CiftiSmooth(),
        SelectFiles({"anat": "*.nii"}),
        niu.IdentityInterface(fields=["a"]),
    ],
    ids=lambda interface: type(interface).__name__,
)
def test_interfaces_of_all_suites_are_made_anew(interface):
    """A fresh instance has the class, the traits, the values and the handlers of the original."""
    stage = NipypeStage(interface)
    made = stage.recipe.make()
    assert type(interface) is type(made)
    assert made is not interface
    expected = set(interface.inputs.copyable_trait_names())
    assert expected == set(made.inputs.copyable_trait_names())
    assert defined_values(interface.inputs) == defined_values(stage.model.inputs)
    assert set(stage.outputs) == set(interface._outputs().copyable_trait_names())


def test_constructor_arguments_are_kept():
    """A class with a constructor of its own is made with the same arguments."""

    class Scale(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            x = traits.Float(mandatory=True)

        class output_spec(TraitedSpec):
            y = traits.Float()

        def __init__(self, factor, **inputs):
            super().__init__(**inputs)
            self._factor = factor

        def _run_interface(self, runtime):
            self._results["y"] = self._factor * self.inputs.x
            return runtime

    assert 6.0 == NipypeStage(Scale(3)).run(x=2)["y"]
    assert 8.0 == NipypeStage(Scale(4)).run(x=2)["y"]


def test_out_file_of_another_stage_is_not_overwritten(tmp_path, bold):
    """A trait that names an output is never filled with another stage's output of that name."""
    mean = NipypeStage(fsl.maths.MeanImage(), tmp_path / "work", aliases={"out_file": "in_file"})
    double = NipypeStage(fsl.ImageMaths(op_string="-mul 2"), tmp_path / "work")
    for _ in range(2):
        first = mean.run(in_file=bold)
        second = double.run(first)
        assert first["out_file"] != second["out_file"]
    assert not double.state
    piped = Pipeline([("start", mean), (mean, double)]).run(in_file=bold)
    assert second["out_file"] == piped["out_file"]


# Where it runs


def test_caller_stays_in_its_folder(tmp_path, bold, monkeypatch):
    """A run does not change the current folder of the process, and takes relative inputs."""
    monkeypatch.chdir(tmp_path)
    NipypeStage(TSNR()).run(in_file="bold.nii.gz")
    assert str(tmp_path) == os.getcwd()
    assert ["bold.nii.gz"] == os.listdir()


def _where(x):
    import os
    import time

    time.sleep(0.05)
    here = os.getcwd()
    with open(f"{x}.txt", "w") as file:
        file.write("x")
    time.sleep(0.05)
    return os.path.abspath(f"{x}.txt"), here == os.getcwd()


def test_threads_run_in_folders_of_their_own(tmp_path, monkeypatch):
    """Eight threads at once each have their own current folder, and the caller keeps its own."""
    monkeypatch.chdir(tmp_path)
    stage = NipypeStage(niu.Function(["x"], ["path", "same"], function=_where), tmp_path / "work")
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(os.getcwd())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: stage.run(x=x), range(8)))
    stop.set()
    watcher.join()
    assert {str(tmp_path)} == seen
    assert all(result["same"] for result in found)
    assert 8 == len({os.path.dirname(result["path"]) for result in found})


def test_worker_process_where_threads_cannot(tmp_path, monkeypatch):
    """Where the system gives a thread no folder of its own, the run goes to a process."""
    monkeypatch.setattr(own_cwd, "_allowed", False)
    stage = NipypeStage(niu.Function(["x"], ["path", "same"], function=_where), tmp_path / "work")
    found = stage.run(x=1)
    assert found["same"]
    assert os.path.exists(found["path"])
    maths = NipypeStage(fsl.maths.MeanImage())
    with pytest.raises(InterfaceInputError):
        maths.run(in_file="/nowhere.nii")


def test_copyfile_traits_are_copied_and_linked(tmp_path):
    """A trait with copyfile=True gets a copy beside the command, with copyfile=False a link."""

    class Touch(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            changed = File(exists=True, mandatory=True, copyfile=True)
            read = File(exists=True, mandatory=True, copyfile=False)

        class output_spec(TraitedSpec):
            changed = File(exists=True)
            is_link = traits.Bool()

        def _run_interface(self, runtime):
            with open(self.inputs.changed, "a") as file:
                file.write("more")
            self._results["changed"] = self.inputs.changed
            self._results["is_link"] = os.path.islink(self.inputs.read)
            return runtime

    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    stage = NipypeStage(Touch(), tmp_path / "work")
    found = stage.run(changed=tmp_path / "a.txt", read=tmp_path / "b.txt")
    assert "a" == (tmp_path / "a.txt").read_text()
    with open(found["changed"]) as file:
        assert "amore" == file.read()
    assert found["is_link"]


@pytest.mark.parametrize("copyfile", [False, True])
@pytest.mark.parametrize(
    "command",
    ["echo x > {}", "echo x >> {}", "printf R | dd of={} conv=notrunc", "sed -i s/r/R/ {}"],
)
def test_raw_data_are_not_changed_through_a_link(tmp_path, copyfile, command):
    """An interface that writes a file named like its input, or changes it, leaves the raw file."""

    class WriteInputSpec(CommandLineInputSpec):
        in_file = File(exists=True, mandatory=True, argstr="", copyfile=copyfile)

    class WriteOutputSpec(TraitedSpec):
        out_file = File(exists=True)

    class Write(CommandLine):
        _cmd = "sh"
        input_spec = WriteInputSpec
        output_spec = WriteOutputSpec

        @property
        def cmdline(self):
            name = os.path.basename(self.inputs.in_file)
            return f"sh -c '{command.format(name)}'"

        def _list_outputs(self):
            return {"out_file": os.path.basename(self.inputs.in_file)}

    raw = tmp_path / "raw" / "a.txt"
    raw.parent.mkdir()
    raw.write_text("raw")
    found = NipypeStage(Write(), tmp_path / "work").run(in_file=raw)
    assert "raw" == raw.read_text()
    with open(found["out_file"]) as file:
        assert "raw" != file.read()
    assert not os.path.samefile(raw, found["out_file"])
    assert ["a.txt"] == os.listdir(raw.parent)


def test_files_that_were_brought_do_not_stay(tmp_path):
    """The memory keeps what an interface made; an input that is an output, too, stays whole."""

    def last(path):
        return sorted(os.listdir(os.path.dirname(path)))

    class Look(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            read = File(exists=True, mandatory=True, copyfile=False)
            passed = File(exists=True, mandatory=True, copyfile=False)

        class output_spec(TraitedSpec):
            made = File(exists=True)
            passed = File(exists=True)

        def _run_interface(self, runtime):
            self._results["made"] = os.path.join(runtime.cwd, "made.txt")
            shutil.copyfile(self.inputs.read, self._results["made"])
            self._results["passed"] = self.inputs.passed
            return runtime

    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    stage = NipypeStage(Look(), tmp_path / "work")
    found = stage.run(read=tmp_path / "a.txt", passed=tmp_path / "b.txt")
    assert ["b.txt", "inputs", "made.txt"] == last(found["made"])
    with open(found["passed"], "a") as file:
        file.write("edited")
    assert "b.txt" == (tmp_path / "b.txt").read_text()


# What fails


def test_exit_code_is_a_failure(tmp_path, bold):
    """A command that fails raises with its line, folder, code and all of its stderr."""
    stage = NipypeStage(fsl.maths.MathsCommand(args="-nonsense"), tmp_path / "work")
    with pytest.raises(InterfaceError) as caught:
        stage.run(in_file=bold)
    error = caught.value
    assert error.code != 0
    assert "-nonsense" in error.cmdline
    assert os.path.isdir(error.folder)
    assert error.stderr
    assert error.stderr.splitlines()[-1] in str(error)
    assert any("stage 'MathsCommand'" in note for note in error.__notes__)
    assert "first run" == stage.explain(in_file=bold).changes[0].kind


def test_exit_code_that_an_interface_calls_right(tmp_path):
    """An interface may say that a code other than 0 is right."""

    class Odd(CommandLine):
        _cmd = "sh"
        input_spec = CommandLineInputSpec

        def _run_interface(self, runtime, correct_return_codes=(0, 3)):
            return super()._run_interface(runtime, correct_return_codes)

    assert {} == NipypeStage(Odd()).run(args="-c 'exit 3'")
    with pytest.raises(InterfaceError, match="exited with code 4"):
        NipypeStage(Odd()).run(args="-c 'echo broken >&2; exit 4'")


@pytest.mark.parametrize(
    ("interface", "inputs", "message"),
    [
        (fsl.BET(), {"in_file": "/nowhere.nii"}, "stage 'BET'.*in_file"),
        (fsl.BET(), {"in_file": __file__, "frac": "much"}, "stage 'BET'.*frac"),
        (fsl.BET(), {"in_file": __file__, "robust": True, "padding": True}, "'BET'.*exclusive"),
        (fsl.ImageMaths(), {"in_file": __file__, "mask_file": __file__, "in_file2": 3}, "in_file2"),
        (fsl.maths.Threshold(), {"in_file": __file__, "thresh": 1.0, "direction": "up"}, "directi"),
        (dcm2nii.Dcm2nii(), {"source_names": [__file__], "source_dir": "."}, "exclusive"),
        (mrtrix3.MRConvert(), {"in_file": __file__, "out_file": 3}, "'MRConvert'.*out_file"),
        (
            fsl.ApplyTOPUP(encoding_file=__file__, method="jac"),
            {"in_files": [__file__], "in_topup_fieldcoef": __file__},
            "'ApplyTOPUP'.*in_topup_movpar",
        ),
    ],
)
def test_inputs_are_checked_before_anything_runs(tmp_path, interface, inputs, message):
    """Missing, exclusive, unmet and mistyped traits are an error that names the stage."""
    with pytest.raises(InterfaceInputError, match=message):
        NipypeStage(interface, tmp_path / "work").run(**inputs)


def test_missing_mandatory_input_and_program(bold):
    """A mandatory trait that is not given, and a program that is not there, are errors."""
    with pytest.raises(TypeError, match="stage 'BET' needs 'in_file'"):
        NipypeStage(fsl.BET()).run()
    with pytest.raises(ToolError, match="no-such-program"):
        NipypeStage(CommandLine("no-such-program")).run()


def test_a_class_is_no_interface():
    """A class in place of an instance is an error that shows the remedy."""
    with pytest.raises(TypeError, match="instance"):
        NipypeStage(fsl.BET)


# What counts


def test_values_count_exactly(tmp_path):
    """Numbers that agree in ten decimals, and long lists that differ in the middle, differ."""
    stage = NipypeStage(niu.Function(["x"], ["y"], function="def f(x):\n    return x"), tmp_path)
    assert 1e-12 == stage.run(x=1e-12)["y"]
    assert 2e-12 == stage.run(x=2e-12)["y"]
    long = list(range(2000))
    other = [*long[:1000], -1, *long[1001:]]
    assert long == stage.run(x=long)["y"]
    assert other == stage.run(x=other)["y"]
    arrays = []
    for middle in (0.0, 1.0):
        x = np.zeros(5000)
        x[2500] = middle
        source = "def f(x):\n    return float(x.sum())"
        function = niu.Function(["x"], ["y"], function=source)
        function.inputs.x = x
        arrays.append(NipypeStage(function, tmp_path / "arrays").run()["y"])
    assert [0.0, 1.0] == arrays


def test_input_counts_by_content_and_name(tmp_path, bold):
    """A copy elsewhere under the same name is a hit; another name or content is not."""
    stage = NipypeStage(fsl.maths.MeanImage(), tmp_path / "work")
    stage.run(in_file=bold)
    os.makedirs(tmp_path / "copy")
    copy = shutil.copy(bold, tmp_path / "copy")
    assert not runs(stage, in_file=copy)
    assert runs(stage, in_file=shutil.copy(bold, tmp_path / "copy" / "other.nii.gz"))
    nib.Nifti1Image(np.ones((4, 4, 4, 10), "f4"), np.eye(4)).to_filename(copy)
    assert runs(stage, in_file=copy)


def test_companions_of_an_input_count(tmp_path):
    """The other half of an image pair, and SPM's .mat beside it, count as the input does."""
    pair = nib.Nifti1Pair(np.ones((2, 2, 2), "f4"), np.eye(4))
    pair.to_filename(tmp_path / "a.img")
    stage = NipypeStage(niu.Rename(format_string="b.img"), tmp_path / "work")
    size = NipypeStage(_Size(), tmp_path / "work")
    assert runs(size, in_file=tmp_path / "a.img")
    assert not runs(size, in_file=tmp_path / "a.img")
    header = bytearray((tmp_path / "a.hdr").read_bytes())
    header[80] ^= 1
    (tmp_path / "a.hdr").write_bytes(header)
    assert runs(size, in_file=tmp_path / "a.img")
    (tmp_path / "a.mat").write_bytes(b"orientation")
    assert runs(size, in_file=tmp_path / "a.img")
    assert not runs(size, in_file=tmp_path / "a.img")
    assert stage.stage_name == "Rename"


class _Size(SimpleInterface):
    class input_spec(BaseInterfaceInputSpec):
        in_file = File(exists=True, mandatory=True)
        secret = traits.Str(nohash=True)
        num_threads = traits.Int(1, usedefault=True)

    class output_spec(TraitedSpec):
        size = traits.Int()

    def _run_interface(self, runtime):
        self._results["size"] = os.path.getsize(self.inputs.in_file)
        return runtime


def test_what_cannot_matter_does_not_count(tmp_path):
    """Neither `nohash` traits nor threads count, nor are they recorded."""
    (tmp_path / "a.txt").write_text("a")
    stage = NipypeStage(_Size(), tmp_path / "work")
    stage.run(in_file=tmp_path / "a.txt", secret="hunter2")
    assert not runs(stage, in_file=tmp_path / "a.txt", secret="other", num_threads=4)
    for above, _, names in os.walk(tmp_path / "work"):
        for name in names:
            with open(os.path.join(above, name), errors="replace") as file:
                assert "hunter2" not in file.read()


def test_environ_is_not_recorded(tmp_path):
    """What is passed in `environ` is not in any record, and does not count for an unknown tool."""
    stage = NipypeStage(CommandLine("true"), tmp_path / "work")
    stage.run(environ={"TOKEN": "hunter2"})
    for path in (tmp_path / "work").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()


def test_file_in_a_text_of_options_counts(tmp_path, bold):
    """A file that `args` names counts by its content."""
    mask = tmp_path / "mask.nii.gz"
    nib.Nifti1Image(np.ones((4, 4, 4), "u1"), np.eye(4)).to_filename(mask)
    stage = NipypeStage(fsl.maths.MathsCommand(args=f"-mas {mask}"), tmp_path / "work")
    assert runs(stage, in_file=bold)
    assert not runs(stage, in_file=bold)
    nib.Nifti1Image(np.zeros((4, 4, 4), "u1"), np.eye(4)).to_filename(mask)
    assert runs(stage, in_file=bold)


def test_folder_of_a_directory_trait_counts(tmp_path):
    """A folder counts with all that it holds where the trait is a Directory."""

    class Count(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            folder = Directory(exists=True, mandatory=True)

        class output_spec(TraitedSpec):
            count = traits.Int()

        def _run_interface(self, runtime):
            self._results["count"] = len(os.listdir(self.inputs.folder))
            return runtime

    folder = tmp_path / "subject"
    folder.mkdir()
    stage = NipypeStage(Count(), tmp_path / "work")
    assert 0 == stage.run(folder=folder)["count"]
    assert not runs(stage, folder=folder)
    (folder / "new.txt").write_text("x")
    assert 1 == stage.run(folder=folder)["count"]


def test_copied_folder_hits_for_a_command(tmp_path):
    """Unwatched, a folder of a command's Directory trait counts by its name and what it holds."""

    class List(CommandLine):
        _cmd = "ls"

        class input_spec(CommandLineInputSpec):
            folder = Directory(exists=True, mandatory=True, argstr="%s")

    folder = tmp_path / "subject"
    folder.mkdir()
    (folder / "new.txt").write_text("x")
    stage = NipypeStage(List(), tmp_path / "work", watch=False)
    assert runs(stage, folder=folder)
    assert not runs(stage, folder=shutil.copytree(folder, tmp_path / "copy" / "subject"))


def test_program_counts(tmp_path, bold, monkeypatch):
    """Another program under the same name runs again."""
    folder = tmp_path / "tool"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    script = folder / "mytool"
    stage = NipypeStage(CommandLine("mytool"), tmp_path / "work")
    for text in ("exit 0", "exit 0 # other"):
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        assert runs(stage, args="x")
        assert not runs(stage, args="x")


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "code")
    (tmp_path / "code").mkdir()

    def write(name, text):
        path = tmp_path / "code" / f"{name}.py"
        path.write_text(text)
        os.utime(path, (time.time() + write.count, time.time() + write.count))
        write.count += 10
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    write.count = 0
    yield write
    for name in ("user_interfaces", "user_library"):
        sys.modules.pop(name, None)


_USER = """
from nipype.interfaces.base import *
class _In(BaseInterfaceInputSpec):
    x = traits.Int(mandatory=True)
class _Out(TraitedSpec):
    y = traits.Int()
class Mine(SimpleInterface):
    input_spec = _In
    output_spec = _Out
    def _run_interface(self, runtime):
        self._results["y"] = self.inputs.x + 1  # comment
        return runtime
"""


def test_code_of_a_users_interface_counts(tmp_path, user_module):
    """An edited subclass runs again; an edited comment does not."""

    def found(text):
        stage = NipypeStage(user_module("user_interfaces", text).Mine(), tmp_path / "work")
        return stage.run(x=1)["y"], stage.state

    assert (2, True) == found(_USER)
    assert (2, False) == found(_USER)
    assert (2, False) == found(_USER.replace("# comment", "# another"))
    assert (3, True) == found(_USER.replace("x + 1", "x + 2"))
    assert (2, False) == found(_USER)


def test_code_of_a_function_counts(tmp_path, user_module):
    """A Function runs again after its source, its imports, or what they import, changed."""
    user_module("user_library", "def add(x):\n    return x + 1\n")

    def found(source, imports=None):
        function = niu.Function(["x"], ["y"], function=source, imports=imports)
        stage = NipypeStage(function, tmp_path / "work")
        return stage.run(x=1)["y"], stage.state

    assert (2, True) == found("def f(x):\n    return x + 1\n")
    assert (2, False) == found("def f(x):\n    # why\n    return x + 1\n")
    assert (3, True) == found("def f(x):\n    return x + 2\n")
    source, imports = "def f(x):\n    return add(x)\n", ["from user_library import add"]
    assert (2, True) == found(source, imports)
    assert (2, False) == found(source, imports)
    user_module("user_library", "def add(x):\n    return x + 10\n")
    assert (11, True) == found(source, imports)
    inside = "def f(x):\n    from user_library import add\n    return add(x)\n"
    assert (11, True) == found(inside)
    user_module("user_library", "def add(x):\n    return x + 20\n")
    assert (21, True) == found(inside)


# Sinks and sources


def test_sink_is_verified_and_shares_no_file(tmp_path, bold):
    """A DataSink hits while what it wrote is intact, and an edit of it leaves memori's copy."""
    mean = NipypeStage(fsl.maths.MeanImage(), tmp_path / "work").run(in_file=bold)["out_file"]
    sink = NipypeStage(DataSink(base_directory=str(tmp_path / "out")), tmp_path / "work")
    written = sink.run(**{"stats.@mean": mean})["out_file"]
    assert [str(tmp_path / "out" / "stats" / "bold_mean.nii.gz")] == written
    written = written[0]
    assert not runs(sink, **{"stats.@mean": mean})
    before = Path(mean).read_bytes()
    with open(written, "r+b") as file:
        file.write(b"broken")
    assert before == Path(mean).read_bytes()
    assert runs(sink, **{"stats.@mean": mean})
    assert before == Path(written).read_bytes()
    os.unlink(written)
    assert runs(sink, **{"stats.@mean": mean})
    assert os.path.exists(written)


def test_grabber_always_runs(tmp_path):
    """An interface that looks what is there looks each time."""
    grabber = DataGrabber(base_directory=str(tmp_path), template="*.txt", sort_filelist=True)
    stage = NipypeStage(grabber, tmp_path / "work")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    assert [str(tmp_path / f"{name}.txt") for name in "ab"] == stage.run()["outfiles"]
    (tmp_path / "c.txt").write_text("c")
    assert 3 == len(stage.run()["outfiles"])
    assert "forced" == stage.explain().changes[0].kind


def test_outputs_may_be_named_by_an_input(tmp_path):
    """An interface whose outputs are the columns of its table is a stage before it is given one."""
    table = tmp_path / "subjects.csv"
    stage = NipypeStage(niu.CSVReader(header=True), tmp_path / "work")
    for text, columns in [("a,b\n1,2\n", {"a": ["1"], "b": ["2"]}), ("c\n3\n", {"c": ["3"]})]:
        table.write_text(text)
        assert columns == stage.run(in_file=str(table))


def test_companion_of_an_output_is_kept(tmp_path):
    """What a command leaves beside its declared outputs stays beside them on a hit."""

    class Pair(SimpleInterface):
        class input_spec(BaseInterfaceInputSpec):
            x = traits.Int(mandatory=True)

        class output_spec(TraitedSpec):
            out_file = File(exists=True)

        def _run_interface(self, runtime):
            for suffix in ("txt", "json"):
                with open(f"out.{suffix}", "w") as file:
                    json.dump(self.inputs.x, file)
            self._results["out_file"] = "out.txt"
            return runtime

    stage = NipypeStage(Pair(), tmp_path / "work")
    stage.run(x=1)
    found = stage.run(x=1)["out_file"]
    assert os.path.isabs(found)
    assert os.path.exists(found.replace(".txt", ".json"))


def hangs():
    import time

    time.sleep(300)


def test_an_interface_past_its_time_shows_where_it_was(tmp_path):
    """It runs in a thread of its own, with a folder of its own, and the text is of that."""
    stage = NipypeStage(niu.Function([], ["y"], hangs), hash_output=tmp_path, timeout=0.3)
    with pytest.raises(TimeLimitError):
        stage.run()
    (text,) = tmp_path.glob("*/*/failure.txt")
    assert "in hangs" in text.read_text()
