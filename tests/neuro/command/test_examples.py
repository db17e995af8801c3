"""The examples of each suite, with the tools that install here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memori.neuro.command.stage import Glob, ShellStage

ROOT = Path(__file__).parents[3]
FAKE_AFNI = """#!/bin/sh
# what AFNI's programs do to a name: PREFIX becomes PREFIX+orig.HEAD and PREFIX+orig.BRIK
for word; do test -n "$take" && prefix=$word && take=; test "$word" = -prefix && take=1; done
if test -n "$prefix"; then echo "$0" > "$prefix+orig.HEAD"; echo data > "$prefix+orig.BRIK"; fi
case "$0" in *3dmaskave) echo "12.5" ;; esac
"""


def run(name: str, folder: Path, path: str = "") -> str:
    """Run an example on nibabel's BOLD image, as a user would."""
    import nibabel

    image = Path(nibabel.__file__).parent / "tests/data/functional.nii"
    if not image.exists():
        pytest.skip("nibabel is installed without its test data: pip install nibabel")
    shutil.copy(image, folder / "sub-01_task-rest_bold.nii")
    search = [path, str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        [sys.executable, ROOT / "examples/tools" / name, "sub-01_task-rest_bold.nii"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": os.pathsep.join(filter(None, search)),
             "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("suite", "tool", "how"),
    [
        ("fsl", "niimath", "pip install niimath"),
        ("mrtrix", "mrmath", "apt-get install mrtrix3"),
        ("workbench", "wb_command", "apt-get install connectome-workbench"),
    ],
)
def test_an_example_runs_and_is_remembered(suite: str, tool: str, how: str, tmp_path: Path) -> None:
    """Every stage runs once; the second time none does, and the value is the same."""
    if shutil.which(tool) is None and not (Path(sys.executable).parent / tool).exists():
        pytest.skip(f"{tool} is not installed: {how}")
    first, second = (run(f"preprocess_{suite}.py", tmp_path) for _ in range(2))
    assert (4, 0) == (first.count(" ran\n"), first.count(" remembered\n"))
    assert (0, 4) == (second.count(" ran\n"), second.count(" remembered\n"))
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert float(first.split()[-1]) > 0
    if suite == "fsl":
        assert ("stands in for" in first) == (shutil.which("fslmaths") is None)


def test_the_example_of_afni_finds_its_datasets(tmp_path: Path) -> None:
    """AFNI installs from nowhere here; programs that name their files as it does stand in."""
    for name in ("3dTstat", "3dmerge", "3dAutomask", "3dmaskave"):
        path = tmp_path / "abin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAKE_AFNI)
        path.chmod(0o755)
    first, second = (run("preprocess_afni.py", tmp_path, str(tmp_path / "abin")) for _ in range(2))
    assert (4, 4) == (first.count(" ran\n"), second.count(" remembered\n"))
    assert (tmp_path / "work/afni/mask/latest").is_dir()
    names = sorted(path.name for path in (tmp_path / "work/afni/mask/latest").iterdir())
    assert [
        "stderr.txt",
        "stdout.txt",
        "sub-01_task-rest_bold_mean_smooth_mask+orig.BRIK",
        "sub-01_task-rest_bold_mean_smooth_mask+orig.HEAD",
    ] == names


def test_dcm2niix_converts_a_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of DICOMs counts with all it holds; what the program names itself is found."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed: apt-get install dcm2niix")
    import nibabel

    source = Path(nibabel.__file__).parent / "nicom/tests/data/0.dcm"
    if not source.exists():
        pytest.skip("nibabel is installed without its test data: pip install nibabel")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("dicoms").mkdir()
    shutil.copy(source, "dicoms/0.dcm")
    convert = ShellStage(
        "dcm2niix -z y -f %p_%s -o {folder} {dicoms}",
        outputs={"folder": "nii/", "images": Glob("nii/*.nii.gz"), "sidecars": "nii/*.json"},
        hash_output="work",
    )
    results = convert.run("dicoms")
    assert 3 == len(nibabel.load(results["images"][0]).shape)
    assert [Path(results["images"][0]).name.replace(".nii.gz", ".json")] == [
        Path(path).name for path in results["sidecars"]
    ]
    convert.run("dicoms")
    assert not convert.state
    (tmp_path / "dicoms/readme.txt").write_text("another file")
    convert.run("dicoms")
    assert convert.state
