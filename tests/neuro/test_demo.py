"""The demo, as a user runs it: what runs, what hits, and whether its results are sound."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from memori.neuro import Dataset

pytest.importorskip("niimath", reason="no niimath: pip install niimath")
pytest.importorskip("nilearn", reason="no nilearn: pip install nilearn")
image = pytest.importorskip("matplotlib.image", reason="no matplotlib: pip install matplotlib")

ROOT = Path(__file__).parents[2]
STAGES = {
    *("make", "motion", "mean", "mask", "smooth"),
    *("tsnr", "register", "resample", "confounds", "picture"),
}
SUBJECTS = ("01", "02", "03")


class Demo:
    """The demo in one folder, and what it says when it is run there."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *arguments):
        """Run `memori demo` in a fresh process; return what it prints, ran and hit by subject."""
        command = "import sys; from memori.cli import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run(
            [sys.executable, "-c", command, "demo", "--out", "out", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        said = re.findall(r"^  sub-(\d+)  (ran|hit): (.*)$", done.stdout, re.MULTILINE)
        return done.stdout, {
            verb: {subject: set(names.split()) for subject, which, names in said if which == verb}
            for verb in ("ran", "hit")
        }

    def derivative(self, pattern):
        """The one derivative that fits a pattern."""
        (path,) = (self.folder / "out" / "derivatives" / "demo").glob(pattern)
        return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo after a first run, in which everything ran."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    _, happened = demo.run()
    assert {"ran": dict.fromkeys(SUBJECTS, STAGES), "hit": {}} == happened
    return demo


def test_run_again_nothing_runs(demo):
    """The second run is all hits and takes a fraction of the first one's time."""
    said, happened = demo.run()

    assert {"ran": {}, "hit": dict.fromkeys(SUBJECTS, STAGES)} == happened
    assert "30 stages: 0 ran, 30 hit" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("fwhm", {"smooth", "tsnr", "resample", "picture"}),
        pytest.param(
            "threshold=35",
            {"mask", "smooth", "tsnr", "resample", "confounds", "picture"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_changed_parameter_reruns_what_depends_on_it(demo, change, expected):
    """Only the stages below the change run; going back runs nothing."""
    _, happened = demo.run("--change", change)
    _, back = demo.run()

    assert dict.fromkeys(SUBJECTS, expected) == happened["ran"]
    assert dict.fromkeys(SUBJECTS, STAGES - expected) == happened["hit"]
    assert {} == back["ran"]


def test_a_lost_result_is_made_again(demo):
    """Where an output was deleted, its stage runs again for that subject alone."""
    latest = demo.folder / "out" / "work" / "sub-02" / "picture" / "latest"
    (latest / "picture.png").unlink()

    _, happened = demo.run()

    assert {"02": {"picture"}} == happened["ran"]


def test_every_subject_has_a_picture(demo):
    """The pictures show something, in colour."""
    for subject in SUBJECTS:
        pixels = image.imread(demo.derivative(f"sub-{subject}/figures/*_desc-tsnr_bold.png"))

        assert (500, 900) == pixels.shape[:2]
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 1000


def test_the_brain_signal_is_the_real_course(demo):
    """What comes out of each made run is the course over time of the real one it was given."""
    values = nib.load(Path(nib.__file__).parent / "tests/data/functional.nii").get_fdata()
    course = values[values.mean(axis=-1) > values.mean()].mean(axis=0)

    for subject in SUBJECTS:
        table = np.genfromtxt(
            demo.derivative(f"sub-{subject}/func/*_desc-confounds_timeseries.tsv"), names=True
        )
        # brain that moves out of the imaged slab takes signal with it
        nuisance = np.c_[np.ones(20), np.arange(20), table["superior"]]
        clean = np.eye(20) - nuisance @ np.linalg.pinv(nuisance)
        assert np.corrcoef(clean @ table["global_signal"], clean @ course)[0, 1] > 0.75
        assert 0 < table["framewise_displacement"][1:].min()


def test_the_map_lies_on_the_subjects_t1w(demo):
    """The tSNR map has the grid of the T1w, and values inside the brain only."""
    for t1w in Dataset(demo.folder / "out" / "bids").files(suffix="T1w"):
        head = nib.load(t1w)
        tsnr = nib.load(demo.derivative(f"sub-{t1w.subject}/func/*space-T1w*tsnr*.nii.gz"))
        inside = tsnr.get_fdata() > 0

        assert head.shape == tsnr.shape
        assert np.allclose(head.affine, tsnr.affine)
        assert (head.get_fdata()[inside] > 0).mean() > 0.9


def test_the_dataset_is_the_same_every_time(demo, tmp_path):
    """A subject made again, elsewhere, has the same bytes."""
    from memori.neuro.demo.subjects import make_subject

    for path in make_subject("02", str(tmp_path)):
        there = demo.folder / "out" / "bids" / Path(path).relative_to(tmp_path)
        assert there.read_bytes() == Path(path).read_bytes()


def test_the_raw_dataset_is_left_alone(demo):
    """Nothing but what was made at first lies in the raw dataset."""
    found = {path.name for path in (demo.folder / "out" / "bids").rglob("*") if path.is_file()}

    expected = {"dataset_description.json", "README"}
    for subject in SUBJECTS:
        expected |= {f"sub-{subject}_T1w.nii.gz", f"sub-{subject}_task-rest_bold.json"}
        expected |= {f"sub-{subject}_task-rest_bold.nii.gz"}
    assert expected == found


@pytest.mark.parametrize("wish", ["fwmh", "fwhm=wide"])
def test_a_wrong_wish_is_an_error_without_a_traceback(wish, tmp_path, monkeypatch, capsys):
    """A misspelt parameter is answered in one line."""
    from memori.cli import main

    monkeypatch.chdir(tmp_path)

    assert 1 == main(["demo", "--change", wish])
    assert "Traceback" not in capsys.readouterr().err
    assert [] == os.listdir(tmp_path)


def test_a_misspelt_parameter_is_answered_with_the_nearest(tmp_path, monkeypatch, capsys):
    """`--change fwmh` suggests fwhm."""
    from memori.cli import main

    monkeypatch.chdir(tmp_path)

    assert 1 == main(["demo", "--change", "fwmh"])
    assert "did you mean 'fwhm'?" in capsys.readouterr().err
