"""NiWrap's tools through memori's runner, with the tools that install here."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from memori.neuro.command.errors import CommandError
from memori.neuro.command.styx import Execution, StyxRunner
from memori.neuro.tools import identity as tools

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
        with pytest.raises(tools.ToolError, match="FSL"):
            fsl.bet(image)


def test_images_that_niwrap_names(tmp_path: Path) -> None:
    """An engine alone takes the image of each tool."""
    runner = StyxRunner(tmp_path, container="podman://")
    container = runner.start_execution(fsl.BET_METADATA).stage.command.options.container
    assert container is not None
    assert fsl.BET_METADATA.container_image_tag == container.image
