"""NiWrap's tools through memori's runner, with the tools that install here."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from memori.errors import MemoriWarning
from memori.neuro.command.errors import CommandError
from memori.neuro.command.styx import Execution, StyxRunner
from memori.neuro.tools.identity import ToolError

niwrap = pytest.importorskip("niwrap", reason="niwrap is not installed: pip install niwrap")
afni, dcm2niix, fsl, mrtrix, workbench = (
    importlib.import_module(f"niwrap.{suite}")
    for suite in ("afni", "dcm2niix", "fsl", "mrtrix", "workbench")
)


class Counting(StyxRunner):
    """A runner that remembers which tools were executed."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.begun: list[Execution] = []

    def start_execution(self, metadata: object) -> Execution:
        """Keep each call."""
        self.begun.append(super().start_execution(metadata))  # type: ignore[arg-type]
        return self.begun[-1]

    @property
    def states(self) -> list[bool]:
        """Whether each call executed its tool."""
        return [each.stage.state for each in self.begun]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """Set up memori as NiWrap's runner: the one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = niwrap.get_global_runner()
    made = Counting("work")
    niwrap.set_global_runner(made)
    yield made
    niwrap.set_global_runner(before)


@pytest.fixture
def image(tmp_path: Path) -> str:
    """Write a small image with a bright cube in it."""
    data = np.zeros((8, 8, 8), np.float32)
    data[2:6, 2:6, 2:6] = 10
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "image.nii.gz")
    return str(tmp_path / "image.nii.gz")


def needs(command: str, package: str) -> None:
    """Skip where a tool is not installed."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed: apt-get install {package}")


def test_a_tool_of_mrtrix_is_remembered(runner: Counting, image: str) -> None:
    """The same call hits; another parameter runs; a changed input runs."""
    needs("mrthreshold", "mrtrix3")
    for _ in range(2):
        mask = mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
        assert 64 == nib.load(mask.output).get_fdata().sum()
    assert [True, False] == runner.states
    mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=20)
    assert [True, False, True] == runner.states
    shutil.copy(image, "other.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4)), image)
    mask = mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
    assert runner.states[-1]
    assert 0 == nib.load(mask.output).get_fdata().sum()


def test_a_copy_of_an_input_elsewhere_hits(runner: Counting, image: str) -> None:
    """Only its base name and content count."""
    needs("mrthreshold", "mrtrix3")
    mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
    os.mkdir("elsewhere")
    shutil.copy(image, "elsewhere/image.nii.gz")
    mask = mrtrix.mrthreshold("elsewhere/image.nii.gz", config=[], output="mask.nii.gz", abs=5)
    assert [True, False] == runner.states
    assert 64 == nib.load(mask.output).get_fdata().sum()


def test_tools_follow_each_other(runner: Counting, image: str) -> None:
    """The path that one returns is the input of the next, which hits as well."""
    needs("mrthreshold", "mrtrix3")
    for _ in range(2):
        mask = mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
        grown = mrtrix.maskfilter(mask.output, "dilate", "grown.nii.gz", config=[])
        assert nib.load(grown.output).get_fdata().sum() > 64
    assert [True, True, False, False] == runner.states


def test_a_tool_of_workbench_is_remembered(runner: Counting, image: str) -> None:
    """An expression with several volumes, and what it prints."""
    needs("wb_command", "connectome-workbench")
    for _ in range(2):
        out = workbench.volume_math(
            "x * 2", "double.nii.gz", var=[workbench.volume_math_var_params("x", image)]
        )
        assert 20 == nib.load(out.volume_out).get_fdata().max()
    assert [True, False] == runner.states


def test_an_edited_output_reruns(runner: Counting, image: str) -> None:
    """All that the tool left is verified."""
    needs("mrthreshold", "mrtrix3")
    mask = mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
    Path(mask.output).write_bytes(b"edited")
    mrtrix.mrthreshold(image, config=[], output="mask.nii.gz", abs=5)
    assert [True, True] == runner.states
    assert 64 == nib.load(mask.output).get_fdata().sum()


def test_what_a_tool_prints_is_replayed(runner: Counting, image: str) -> None:
    """Wrappers that return printed lines do so on a hit, too."""
    needs("mrinfo", "mrtrix3")
    lines: list[list[str]] = [[], []]
    for heard in lines:
        execution = runner.start_execution(mrtrix.MRINFO_METADATA)
        execution.params({"image": image})
        execution.run(["mrinfo", "-size", execution.input_file(image)], handle_stdout=heard.append)
    assert [["8 8 8"], ["8 8 8"]] == lines
    assert [True, False] == runner.states


def test_a_folder_among_the_inputs_counts(runner: Counting, tmp_path: Path) -> None:
    """dcm2niix reads all that a folder holds."""
    needs("dcm2niix", "dcm2niix")
    folder = tmp_path / "dicoms"
    folder.mkdir()
    (folder / "no.dcm").write_bytes(b"nothing")
    for _ in range(2):
        execution = runner.start_execution(dcm2niix.DCM2NIIX_METADATA)
        execution.stage.command.options.__dict__["exit_codes"] = (0, 2)
        execution.run(["dcm2niix", "-o", ".", execution.input_file(folder)])
    (folder / "no.dcm").write_bytes(b"something")
    execution = runner.start_execution(dcm2niix.DCM2NIIX_METADATA)
    execution.stage.command.options.__dict__["exit_codes"] = (0, 2)
    execution.run(["dcm2niix", "-o", ".", execution.input_file(folder)])
    assert [True, False, True] == runner.states


def test_an_input_that_is_changed_in_place_is_a_copy(runner: Counting, image: str) -> None:
    """AFNI's 3drefit in NiWrap; any command stands in for it here."""
    before = Path(image).read_bytes()
    for _ in range(2):
        execution = runner.start_execution(afni.V_3DREFIT_METADATA)
        name = execution.input_file(image, mutable=True)
        changed = execution.mutable_copy(image)
        execution.run(["sh", "-c", 'echo changed > "$0"', name])
        assert "changed\n" == changed.read_text()
    assert before == Path(image).read_bytes()
    assert [True, False] == runner.states


def test_a_failure_is_memoris(runner: Counting, image: str) -> None:
    """With the command and the tool's own last words; a missing tool is named."""
    needs("mrthreshold", "mrtrix3")
    with pytest.raises(CommandError, match="mrthreshold exited with code 1"):
        mrtrix.mrthreshold("missing.nii.gz", config=[], output="mask.nii.gz")
    if shutil.which("bet") is None:
        with pytest.raises(ToolError, match="FSL"):
            fsl.bet(image)


def call(
    runner: Counting, command: list[str], *declared: str, optional: bool = False
) -> list[Path]:
    """Run a command as NiWrap would run a tool that declares these outputs."""
    execution = runner.start_execution(mrtrix.MRINFO_METADATA)
    execution.params({"command": command})
    found = [execution.output_file(name, optional=optional) for name in (".", *declared)][1:]
    execution.run(command)
    return found


def test_failures_are_those_of_styx_as_well(runner: Counting) -> None:
    """Who catches StyxRuntimeError catches them, finds its fields, and can send them on."""
    with pytest.raises(niwrap.StyxRuntimeError) as caught:
        call(runner, ["sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3"])
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, CommandError)
    assert (3, ["out"], ["one", "two"]) == (error.return_code, error.stdout_tail, error.stderr_tail)
    assert (3, "sh", error.command_args) == (error.code, error.command_args[0], error.argv)
    with pytest.raises(niwrap.StyxRuntimeError) as caught:
        call(runner, ["no-such-tool", "-x"])
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, ToolError)
    assert (None, ["no-such-tool", "-x"]) == (error.return_code, error.command_args)
    with pytest.raises(FileNotFoundError, match="no such file"):
        runner.start_execution(afni.V_3DREFIT_METADATA).input_file("missing.nii", mutable=True)


def test_an_output_that_is_declared_elsewhere_is_verified_there(
    runner: Counting, tmp_path: Path
) -> None:
    """Deleted or edited, it is made again; so is one beside the run's folder."""
    outside = tmp_path / "results/out.txt"
    outside.parent.mkdir()
    for name in (str(outside), "../beside.txt"):
        runner.begun.clear()
        command = ["sh", "-c", 'echo x > "$0"', name]
        (found,) = call(runner, command, name)
        assert "x\n" == found.read_text()
        call(runner, command, name)
        found.unlink()
        call(runner, command, name)
        assert "x\n" == found.read_text()
        found.write_text("edited")
        call(runner, command, name)
        assert "x\n" == found.read_text()
        assert [True, False, True, True] == runner.states


def test_a_tool_that_wrote_under_another_name_is_told(runner: Counting) -> None:
    """What a suite made of the name is there, but not where the caller looks."""
    for name, written in (("a.nii.gz", "a.nii"), ("b", "b+orig.HEAD"), ("c.txt", "d.txt")):
        runner.begun.clear()
        for _ in range(2):
            told = f"writes is not there: {name};.*{re.escape(written)}"
            with pytest.warns(MemoriWarning, match=told):
                call(runner, ["touch", written], name)
        assert [True, False] == runner.states


def test_a_tool_that_wrote_nothing_where_memori_looks_is_not_remembered(
    runner: Counting, tmp_path: Path
) -> None:
    """Nobody could tell whether what it wrote elsewhere is still there."""
    elsewhere = tmp_path / "elsewhere"
    for _ in range(2):
        with pytest.warns(MemoriWarning, match="holds nothing, so this call is run again"):
            call(runner, ["touch", str(elsewhere)], "declared.txt")
        elsewhere.unlink()
    assert [True, True] == runner.states


@pytest.mark.filterwarnings("error")
def test_what_niwrap_declares_too_much_is_no_fault(runner: Counting) -> None:
    """Some outputs depend on options, some are what is printed; one that is there is enough."""
    for _ in range(2):
        call(runner, ["touch", "a", "more"], "a", "b", "stdout")
        call(runner, ["echo", "x"], "stdout")
        call(runner, ["true"], "maybe", optional=True)
    assert [True] * 3 + [False] * 3 == runner.states


def test_copies_of_one_name_are_told_apart(runner: Counting, tmp_path: Path) -> None:
    """Each input that is changed in place has its own copy, whatever it is called."""
    sources = [tmp_path / folder / name for folder in "ab" for name in ("x.txt", "stdout.txt")]
    sources.append(tmp_path / "2-x.txt")
    for number, source in enumerate(sources):
        source.parent.mkdir(exist_ok=True)
        source.write_text(str(number))
    execution = runner.start_execution(afni.V_3DREFIT_METADATA)
    names = [execution.input_file(source, mutable=True) for source in sources]
    changed = [execution.mutable_copy(source) for source in sources]
    execution.run(["sh", "-c", 'for each; do echo changed >> "$each"; done', "x", *names])
    assert [f"{number}changed\n" for number in range(5)] == [path.read_text() for path in changed]
    assert list("01234") == [source.read_text() for source in sources]


def test_both_files_of_a_pair_may_be_changed(runner: Counting, image: str, tmp_path: Path) -> None:
    """A header brings its data along, and these may be given as well."""
    loaded = nib.load(image)
    nib.save(nib.Nifti1Pair(loaded.get_fdata(), loaded.affine), tmp_path / "pair.hdr")
    execution = runner.start_execution(afni.V_3DREFIT_METADATA)
    names = [execution.input_file(f"pair{end}", mutable=True) for end in (".hdr", ".img")]
    execution.run(["sh", "-c", 'echo >> "$0"; echo >> "$1"', *names])
    assert ["pair.hdr", "pair.img"] == names


def test_images_that_niwrap_names(tmp_path: Path) -> None:
    """An engine alone takes the image of each tool."""
    runner = StyxRunner(tmp_path, container="podman://")
    container = runner.start_execution(fsl.BET_METADATA).stage.command.options.container
    assert container is not None
    assert fsl.BET_METADATA.container_image_tag == container.image
