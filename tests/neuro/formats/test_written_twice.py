"""The real tools write the same artifact twice, seconds apart, in two folders: one content.

The files in tests/data/formats were written so by Workbench and MRtrix3 (make.sh there). Where the
tools are installed they are run again; `TOOLS` says how to install them.
"""

import os
import shutil
import subprocess
import sysconfig
import time
from pathlib import Path

import nibabel
import nibabel.freesurfer as fs
import numpy as np
import pytest

NIBABEL = Path(nibabel.__file__).parent
DATA = Path(__file__).parents[2] / "data" / "formats"
KEPT = sorted(path.name for path in (DATA / "first").iterdir() if path.suffix != ".dat")

TOOLS = {
    "mrconvert": "apt-get install mrtrix3",
    "wb_command": "apt-get install connectome-workbench",
    "dcm2niix": "apt-get install dcm2niix",
    "nifti_tool": "apt-get install nifti-bin",
    "gifti_tool": "apt-get install gifti-bin",
    "niimath": "pip install niimath",
}
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])

WRITES = {  # command with {folder} -> the file it writes; run in that folder
    "mrconvert {anat} {folder}/m.mif": "m.mif",
    "mrconvert {anat} {folder}/m.mif.gz": "m.mif.gz",
    "mrconvert {anat} {folder}/m.mih": "m.mih",
    "mrconvert {anat} {folder}/m.nii.gz": "m.nii.gz",
    "mrconvert {anat} {folder}/b.mif -datatype bit": "b.mif",
    "wb_command -surface-create-sphere 100 s.surf.gii": "s.surf.gii",
    "wb_command -volume-math x*2 w.nii.gz -var x {anat}": "w.nii.gz",
    "wb_command -cifti-math x*2 d.dscalar.nii -var x {dscalar}": "d.dscalar.nii",
    "dcm2niix -z y -f d -o {folder} {dicom}": "d.nii.gz",
    "nifti_tool -copy_im -infiles {anat} -prefix n.nii.gz": "n.nii.gz",
    "nifti_tool -add_comment_ext hello -infiles {anat} -prefix c.nii": "c.nii",
    "gifti_tool -infile {gifti} -write_gifti g.gii": "g.gii",
    "niimath {anat} -mul 2 i.nii.gz": "i.nii.gz",
    "niimath {anat} -gz 0 -mul 2 i": "i.nii",
}


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Two folders in which every installed tool wrote its files, more than a second apart."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    for folder in folders:
        if folder == folders[1]:
            time.sleep(1.1)
        dicom = folder / "dicom"
        dicom.mkdir()
        shutil.copy(NIBABEL / "nicom/tests/data/0.dcm", dicom)
        shutil.copy(NIBABEL / "nicom/tests/data/1.dcm", dicom)
        for command in WRITES:
            arguments = command.format(
                folder=folder,
                anat=NIBABEL / "tests/data/anatomical.nii",
                gifti=DATA / "first" / "xyz.func.gii",
                dscalar=DATA / "first" / "xyz.dscalar.nii",
                dicom=dicom,
            ).split()
            if shutil.which(arguments[0], path=PATH):
                subprocess.run(
                    arguments,
                    cwd=folder,
                    env={**os.environ, "PATH": PATH, "FSLOUTPUTTYPE": "NIFTI_GZ"},
                    check=False,  # the test says which file is missing
                    capture_output=True,
                )
    return folders


@pytest.mark.parametrize("command", WRITES)
def test_a_tool_writes_one_content_twice(twice, content, command):
    """Dates, folders, user names and provenance that a tool writes do not count."""
    tool, name = command.split()[0], WRITES[command]
    if not shutil.which(tool, path=PATH):
        pytest.skip(f"{tool} is not installed ({TOOLS[tool]})")
    first, second = (content(folder / name) for folder in twice)
    assert first is not None
    assert first == second


@pytest.mark.parametrize("name", KEPT)
def test_kept_files_have_one_content(content, name):
    """What Workbench and MRtrix3 wrote seconds apart differs in bytes, not in content."""
    first, second = (DATA / folder / name for folder in ("first", "second"))
    assert first.read_bytes() != second.read_bytes()
    assert content(first) == content(second) is not None


def test_no_two_kept_files_are_equal_but_the_mrtrix_image(content):
    """Different things have different contents; .mif, .mif.gz and .mih of one image have one."""
    contents = {name: content(DATA / "first" / name) for name in KEPT}
    images = {contents.pop(name) for name in ("standard.mif", "standard.mif.gz", "standard.mih")}
    assert 1 == len(images)
    assert len(contents) == len({*contents.values()} - images)


def test_nibabel_writes_one_content_twice(tmp_path, content, monkeypatch):
    """What nibabel writes names user and date, or the time: surfaces, and gzip."""
    vertices, faces = np.eye(4, 3, dtype=">f4"), np.array([[0, 1, 2], [1, 2, 3]])
    image = nibabel.load(NIBABEL / "tests/data/anatomical.nii")
    for number, stamp in enumerate(["created by a on Monday", "created by bob on Tuesday"]):
        fs.write_geometry(tmp_path / f"lh.{number}", vertices, faces, create_stamp=stamp)
        fs.write_geometry(tmp_path / f"rh.{number}", vertices, faces[:1], create_stamp=stamp)
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda at=number: 1e9 + at)
            nibabel.save(image, tmp_path / f"{number}.nii.gz")
    assert content(tmp_path / "lh.0") == content(tmp_path / "lh.1") is not None
    assert content(tmp_path / "lh.0") != content(tmp_path / "rh.0") is not None
    assert content(tmp_path / "0.nii.gz") == content(tmp_path / "1.nii.gz") is not None
