"""What the standard's own validator says of what memori writes: the demo and a tree of all kinds.

`bids-validator-deno` carries its program in the wheel. Of its warnings those are left out that only
a dataset's owner can mend: authors, licences, what a scanner was.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Pipeline, Stage, workdir
from memori.neuro import Dataset, Derivatives, save_image

np = pytest.importorskip("numpy")
VALIDATOR = shutil.which("bids-validator-deno") or str(
    Path(sys.executable).with_name("bids-validator-deno")
)
pytestmark = pytest.mark.skipif(
    not os.path.exists(VALIDATOR), reason="no validator: pip install bids-validator-deno"
)
OWNERS = {"TOO_FEW_AUTHORS", "NO_AUTHORS", "JSON_KEY_RECOMMENDED"}
REAL = os.environ.get("MEMORI_TEST_BIDS", "")


def issues(root, *, raw=False):
    """What the validator finds that is not its owner's to mend."""
    done = subprocess.run(
        [VALIDATOR, "--format", "json", str(root)], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    owners = OWNERS | ({"SIDECAR_KEY_RECOMMENDED"} if raw else set())
    return sorted(
        f"{i['code']} {i.get('subCode', '')} {i.get('location')}"
        for i in found
        if i["code"] not in owners and i["severity"] in ("error", "warning")
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A small image of five volumes."""
    path = tmp_path_factory.mktemp("image") / "image.nii.gz"
    return save_image(np.ones((4, 4, 4, 5), np.int16), path, affine=np.eye(4), tr=2.0)


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A small image of one volume."""
    path = tmp_path_factory.mktemp("volume") / "volume.nii.gz"
    return save_image(np.ones((4, 4, 4), np.uint8), path, affine=np.eye(4))


@pytest.fixture
def raw(tree, image, volume):
    """A raw dataset that passes, of one subject with a session."""
    root = tree(
        {
            "dataset_description.json": {
                "Name": "raw", "BIDSVersion": "1.10.0", "DatasetType": "raw",
                "License": "CC0", "Authors": ["A", "B"],
            },
            "README": "A dataset of nothing at all, which lies here for the sake of a test. " * 5,
            "sub-01/ses-1/anat/": None,
            "sub-01/ses-1/func/": None,
            "sub-01/ses-1/dwi/": None,
            "task-rest_bold.json": {"TaskName": "rest", "RepetitionTime": 2.0},
            "sub-01/ses-1/dwi/sub-01_ses-1_dwi.bval": "0 0 0 0 1000\n",
            "sub-01/ses-1/dwi/sub-01_ses-1_dwi.bvec": "0 0 0 0 1\n0 0 0 0 0\n0 0 0 0 0\n",
        }
    )  # fmt: skip
    for name, each in {
        "anat/sub-01_ses-1_T1w": volume,
        "func/sub-01_ses-1_task-rest_bold": image,
        "dwi/sub-01_ses-1_dwi": image,
    }.items():
        shutil.copy(each, root / f"sub-01/ses-1/{name}.nii.gz")
    assert [] == issues(root, raw=True)
    return Dataset(root)


def test_derivatives_of_every_kind_pass(raw, image, volume, tmp_path):
    """Images, masks, segmentations, surfaces, tables, transforms, gradients, figures, folders."""
    out = Derivatives(tmp_path / "derivatives/all", version="1.0", SkullStripped=False)
    bold, t1w, dwi = (raw.one(suffix=suffix) for suffix in ("bold", "T1w", "dwi"))
    table = tmp_path / "table.tsv"
    table.write_text("index\tname\n1\tcortex\n")
    for name in ("x.png", "x.svg", "x.h5", "x.txt", "x.surf.gii", "x.shape.gii", "x.dtseries.nii"):
        (tmp_path / name).write_bytes(b"some")
    gradients = tmp_path / "dwi"
    gradients.mkdir()
    for end in ("bval", "bvec"):
        shutil.copy(dwi.replace("nii.gz", end), gradients / f"image.{end}")
    shutil.copy(image, gradients / "image.nii.gz")
    zarr = tmp_path / "x.ome.zarr"
    (zarr / "0").mkdir(parents=True)
    (zarr / "0/0.0").write_text("some")
    std = {"space": "MNI152NLin2009cAsym", "res": "2", "Resolution": "2 mm isotropic"}

    out.save(image, source=bold, desc="preproc")
    out.save(image, source=bold, desc="preproc", **std)
    out.save(image, source=bold, desc="preproc", space="T1w", SpatialReference=t1w)
    out.save(volume, source=bold, desc="brain", suffix="mask")
    out.save(volume, source=bold, desc="mean", suffix="boldref")
    out.save(volume, sources=[t1w, bold], desc="brain", SkullStripped=True)
    out.save(volume, source=t1w, suffix="dseg", seg="aseg")
    out.save(table, source=t1w, suffix="dseg", seg="aseg")
    out.save(volume, source=t1w, suffix="probseg", label="GM", **std)
    out.save(volume, source=t1w, suffix="mask", label="lesion", Type="Lesion")
    out.save(tmp_path / "x.surf.gii", source=t1w, suffix="pial", hemi="L")
    out.save(tmp_path / "x.shape.gii", source=t1w, suffix="thickness", hemi="L", den="32k",
             Density="32k")  # fmt: skip
    out.save(tmp_path / "x.dtseries.nii", source=bold, space="fsLR", den="91k", Density="91k")
    out.save(tmp_path / "x.h5", source=t1w, suffix="xfm", mode="image",
             **{"from": "T1w", "to": "MNI152NLin2009cAsym"})  # fmt: skip
    out.save(tmp_path / "x.txt", source=bold, suffix="xfm", mode="image",
             **{"from": "boldref", "to": "T1w"})  # fmt: skip
    out.save(table, source=bold, desc="confounds", suffix="timeseries")
    out.save(gradients / "image.nii.gz", source=dwi, desc="preproc")
    out.save(volume, source=dwi, suffix="FA")
    out.save(tmp_path / "x.png", source=bold, desc="carpet", datatype="figures")
    out.save(tmp_path / "x.svg", source=t1w, datatype="figures", suffix="dseg")
    out.save({"snr": 1.5}, source=bold, suffix="qc")
    micr = f"{raw.root}/sub-01/ses-1/micr/sub-01_ses-1_sample-A_SPIM.ome.zarr"
    out.save(zarr, source=micr, desc="pyramid", PixelSize=[1, 1], PixelSizeUnits="um")

    assert [] == issues(out.root)
    saved = {os.path.basename(file) for file in Dataset(out.root).files()}
    assert 21 == len(saved)
    assert "sub-01_ses-1_desc-preproc_dwi.bval" in os.listdir(
        tmp_path / "derivatives/all/sub-01/ses-1/dwi"
    )


def test_multi_echo_and_other_kinds_of_recordings_pass(tree, image, volume, tmp_path):
    """What BIDS requires of the source's kind comes from the source's own sidecars."""
    files = {
        "sub-01/func/sub-01_task-a_echo-1_bold": {"EchoTime": 0.01, "TaskName": "a",
                                                  "RepetitionTime": 2.0},
        "sub-01/anat/sub-01_part-phase_T1w": {"Units": "rad"},
        "sub-01/anat/sub-01_inv-1_MP2RAGE": {
            "InversionTime": 0.7, "FlipAngle": 4, "RepetitionTimeExcitation": 0.005,
            "RepetitionTimePreparation": 5, "NumberShots": 160, "MagneticFieldStrength": 7},
        "sub-01/fmap/sub-01_dir-AP_epi": {"PhaseEncodingDirection": "j", "TotalReadoutTime": 0.05},
    }  # fmt: skip
    named = {f"{name}.json": said for name, said in files.items()}
    bids = Dataset(tree({**named, **dict.fromkeys(f"{name}.nii.gz" for name in files)}))
    out = Derivatives(tmp_path / "derivatives/x", name="x", version="1", SkullStripped=False)

    for file in bids.files(extension=".nii.gz"):
        many = file.suffix in ("bold", "epi")
        more = {"TotalReadoutTime": 0.05} if file.suffix == "epi" else {}
        out.save(image if many else volume, source=file, desc="preproc", **more)

    assert [] == issues(out.root)
    (echo,) = Dataset(out.root).files(suffix="bold")
    assert 0.01 == Dataset(out.root).metadata(echo)["EchoTime"]


@pytest.mark.skipif(not REAL, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest")
def test_derivatives_of_a_real_dataset_pass(tmp_path):
    """A pipeline over it, its copies saved with all that BIDS requires."""

    def copy(image):
        return shutil.copy(image, workdir() / "copy.nii.gz")

    bids = Dataset(REAL)
    pipeline = Pipeline([("start", Stage(copy, "copied", tmp_path / "work", aliases={}))])
    cases = [{"image": file} for file in bids.files(extension=".nii.gz")]
    out = Derivatives(tmp_path / "out", name="copies", version="1.0", SkullStripped=False)

    _, saved = out.map(pipeline, cases, {"copied": {"desc": "copy"}}, source="image")

    assert len(cases) == len(saved) > 0
    assert [] == issues(out.root)


@pytest.mark.skipif(not REAL, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest")
def test_the_example_passes(tmp_path):
    """What examples/timeseries.py writes of a real dataset."""
    pytest.importorskip("niimath", reason="no niimath: pip install niimath")
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(
        [sys.executable, root / "examples/timeseries.py", REAL],
        cwd=tmp_path, env={**os.environ, "PATH": path, "PYTHONPATH": str(root)},
        capture_output=True, check=True,
    )  # fmt: skip

    assert [] == issues(tmp_path / "derivatives/timeseries")


def test_the_tutorial_passes(tmp_path):
    """What docs/bids_tutorial.md writes, run as a reader would."""
    pytest.importorskip("niimath", reason="no niimath: pip install niimath")
    page = Path(__file__).parents[3] / "docs/bids_tutorial.md"
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    script = tmp_path / "tutorial.py"
    script.write_text("\n".join(blocks))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(page.parents[1])}
    subprocess.run([sys.executable, script], cwd=tmp_path, env=env, capture_output=True, check=True)

    assert [] == issues(tmp_path / "study/derivatives/smooth")


@pytest.mark.slow
def test_the_demo_passes(tmp_path):
    """Both the dataset that it makes and its derivatives."""
    for package in ("niimath", "nilearn", "matplotlib"):
        pytest.importorskip(package, reason=f"no {package}: pip install {package}")
    from memori.neuro.demo.session import run_session

    assert run_session(str(tmp_path / "demo"), {}, 1)
    assert [] == issues(tmp_path / "demo/derivatives/demo")
    assert [] == issues(tmp_path / "demo/bids", raw=True)
