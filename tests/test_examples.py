"""The examples, run as a user would, on a real BIDS dataset."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BIDS = os.environ.get("MEMORI_TEST_BIDS", "")


def run(example, *arguments, cwd):
    """Run an example in a fresh process and return what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.skipif(not BIDS, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest")
def test_timeseries(tmp_path):
    """Each BOLD run of a dataset where not every subject has one gives its series, once."""
    pytest.importorskip("niimath", reason="no niimath: pip install niimath")

    first = run("timeseries.py", BIDS, cwd=tmp_path)
    again = run("timeseries.py", BIDS, cwd=tmp_path)

    assert "2 cases: 2 ran, 0 remembered, 0 failed" in first
    assert "2 cases: 0 ran, 2 remembered, 0 failed" in again
    saved = sorted((tmp_path / "derivatives" / "timeseries").rglob("*_timeseries.npy"))
    assert [
        "sub-01_task-oneback_run-01_timeseries.npy",
        "sub-01_task-oneback_run-02_timeseries.npy",
    ] == [path.name for path in saved]
    for path in saved:
        series = np.load(path)
        assert (12,) == series.shape
        assert 0 < series.std() / series.mean() < 0.1


@pytest.fixture
def small(tmp_path):
    """A dataset of two subjects whose brain moves a little, and a third without a run."""
    import json

    from memori.neuro import save_image

    root = tmp_path / "small data"
    x, y, z = np.mgrid[:20, :20, :12]
    for number, subject in enumerate(("01", "02")):
        random = np.random.default_rng(number)
        brain = 1000.0 * ((x - 10) ** 2 + (y - 10) ** 2 + (1.6 * z - 10) ** 2 < 64)
        shifts = random.integers(0, 2, 6)
        volumes = np.stack([np.roll(brain, shift, axis=0) for shift in shifts], axis=-1)
        volumes = np.int16(volumes + random.uniform(0, 30, volumes.shape))
        path = root / f"sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
        path.parent.mkdir(parents=True)
        save_image(volumes, path, affine=np.diag([4, 4, 5, 1]), tr=2.0)
    anatomy = root / "sub-03/anat/sub-03_T1w.nii.gz"
    anatomy.parent.mkdir(parents=True)
    save_image(np.ones((4, 4, 4), np.int16), anatomy, affine=np.eye(4))
    said = {"Name": "small", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0"}
    (root / "dataset_description.json").write_text(json.dumps(said))
    (root / "task-rest_bold.json").write_text('{"TaskName": "rest", "RepetitionTime": 2.0}')
    return root


def test_the_bids_app(small, tmp_path):
    """Both levels run once; what they write is what the validator passes, and says what made it."""
    pytest.importorskip("niimath", reason="no niimath: pip install niimath")
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install matplotlib")
    words = "bids_app.py", str(small), "out"

    first = run(*words, "participant", "-w", "scratch", "--nprocs", "2", cwd=tmp_path)
    group = run(*words, "group", "-w", "scratch", cwd=tmp_path)
    again = run(*words, "group", "-w", "scratch", cwd=tmp_path)

    assert "2 cases: 2 ran, 0 remembered, 0 failed" in first
    assert "sub-03: left out" in first
    assert "2 cases: 0 ran, 2 remembered" in group
    assert "ran: group_mean" in group
    assert "group: of 2 of 2\n  remembered" in again
    names = {path.name for path in (tmp_path / "out").rglob("*.*") if ".memori" not in str(path)}
    assert {
        "sub-02_task-rest_desc-smooth_bold.nii.gz",
        "sub-02_task-rest_desc-brain_mask.nii.gz",
        "sub-02_task-rest_desc-confounds_timeseries.tsv",
        "sub-02_task-rest_desc-carpet_bold.svg",
        "task-rest_desc-mean_boldref.nii.gz",
    } <= names
    assert [] == validated(tmp_path / "out")


def validated(root):
    """The errors that the standard's validator finds, where it is installed."""
    import json

    from memori.neuro.bids_app.validation import validator

    if validator() is None:
        pytest.skip("no validator: pip install bids-validator-deno")
    done = subprocess.run(
        [validator(), "--format", "json", str(root)], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    owners = {"TOO_FEW_AUTHORS", "NO_AUTHORS", "JSON_KEY_RECOMMENDED"}
    return [each for each in found if each["code"] not in owners]


def test_the_bids_app_is_short():
    """It is one file below a hundred lines."""
    assert 100 > len((ROOT / "examples/bids_app.py").read_text().splitlines())


def test_an_example_without_its_dataset_says_how_it_is_called(tmp_path):
    """Who starts it as it is reads the lines that say what it takes."""
    command = [sys.executable, ROOT / "examples" / "timeseries.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert 1 == done.returncode
    assert "python examples/timeseries.py BIDS_FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
