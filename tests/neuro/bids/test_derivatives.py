"""Derivatives: names made from their source, and files that appear whole."""

import json
import os
from pathlib import Path

import pytest

from memori.neuro import Derivatives
from memori.neuro.bids.derivatives import RawDatasetError

BOLD = "ds/sub-01/ses-a/func/sub-01_ses-a_task-rest_run-1_bold.nii.gz"


def contents(folder):
    """Every file below a folder with its bytes."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"desc": "smooth"}, "sub-01_ses-a_task-rest_run-1_desc-smooth_bold.nii.gz"),
        ({"description": "smooth"}, "sub-01_ses-a_task-rest_run-1_desc-smooth_bold.nii.gz"),
        ({"space": "MNI", "acquisition": "x"},
         "sub-01_ses-a_task-rest_acq-x_run-1_space-MNI_bold.nii.gz"),
        ({"run": None, "suffix": "tsnr"}, "sub-01_ses-a_task-rest_tsnr.nii.gz"),
        ({"run": 2, "desc": "x"}, "sub-01_ses-a_task-rest_run-2_desc-x_bold.nii.gz"),
        ({"suffix": "timeseries", "extension": ".tsv"},
         "sub-01_ses-a_task-rest_run-1_timeseries.tsv"),
    ],
)  # fmt: skip
def test_path_keeps_entities_in_their_order(changes, expected):
    """Entities of the source stay, new ones stand where BIDS wants them."""
    assert f"out/sub-01/ses-a/func/{expected}" == Derivatives("out").path(BOLD, **changes)


def test_path_in_another_datatype():
    """The folder can be another one than the source's."""
    expected = "out/sub-01/ses-a/figures/sub-01_ses-a_task-rest_run-1_bold.png"

    assert expected == Derivatives("out").path(BOLD, datatype="figures", extension=".png")


@pytest.mark.parametrize(
    ("source", "changes", "error", "message"),
    [
        (BOLD, {}, ValueError, "same name as the file itself"),
        (BOLD, {"desc": "a_b"}, ValueError, "no BIDS label"),
        (BOLD, {"desc": "../x"}, ValueError, "no BIDS label"),
        (BOLD, {"dsec": "x"}, TypeError, "did you mean 'desc'"),
        ("image.nii.gz", {"desc": "x"}, ValueError, "no BIDS name"),
    ],
)
def test_path_refuses(source, changes, error, message):
    """What would give no BIDS name is an error that says why."""
    with pytest.raises(error, match=message):
        Derivatives("out").path(source, **changes)


def test_path_writes_nothing(tmp_path):
    """Asking for a name leaves the disk alone."""
    Derivatives(tmp_path / "out").path(BOLD, desc="x")

    assert [] == os.listdir(tmp_path)


def test_save_copies_a_file_and_describes_the_dataset(tmp_path):
    """The copy has the value's extension, and the folder says who made it."""
    (tmp_path / "series.npy").write_bytes(b"numbers")
    derivatives = Derivatives(tmp_path / "derivatives/demo")

    saved = derivatives.save(str(tmp_path / "series.npy"), source=BOLD, suffix="timeseries")

    assert b"numbers" == Path(saved).read_bytes()
    assert "sub-01_ses-a_task-rest_run-1_timeseries.npy" == os.path.basename(saved)
    description = json.loads((tmp_path / "derivatives/demo/dataset_description.json").read_text())
    assert ("demo", "derivative", "memori") == (
        description["Name"],
        description["DatasetType"],
        description["GeneratedBy"][0]["Name"],
    )


def test_save_writes_json(tmp_path):
    """A value that is no path is written as JSON."""
    saved = Derivatives(tmp_path).save({"mean": 0.25, "runs": [1, 2]}, source=BOLD, suffix="qc")

    assert saved.endswith("run-1_qc.json")
    assert {"mean": 0.25, "runs": [1, 2]} == json.loads(Path(saved).read_text())


def test_saved_twice_the_bytes_are_the_same_and_the_file_untouched(tmp_path):
    """Two folders of the same results are equal byte for byte; an equal file keeps its time."""
    (tmp_path / "x.nii").write_bytes(b"image")
    for root in ("one", "two"):
        derivatives = Derivatives(tmp_path / root, name="demo")
        derivatives.save(tmp_path / "x.nii", source=BOLD, desc="x")
        derivatives.save({"a": 1}, source=BOLD, suffix="qc")
    before = [os.stat(path).st_ino for path in sorted((tmp_path / "one").rglob("*_*"))]

    Derivatives(tmp_path / "one").save(tmp_path / "x.nii", source=BOLD, desc="x")
    Derivatives(tmp_path / "one").save({"a": 1}, source=BOLD, suffix="qc")

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert before == [os.stat(path).st_ino for path in sorted((tmp_path / "one").rglob("*_*"))]


def test_a_changed_file_of_equal_size_and_time_is_replaced(tmp_path):
    """Bytes are compared, not sizes and times."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")
    source.write_bytes(b"two")
    os.utime(source, ns=(os.stat(saved).st_atime_ns, os.stat(saved).st_mtime_ns))

    Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    assert b"two" == Path(saved).read_bytes()


def test_the_saved_file_is_a_copy(tmp_path):
    """An edit of the derivative does not reach the file it was saved from."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    with open(saved, "ab") as stream:
        stream.write(b" edited")

    assert b"one" == source.read_bytes()


def test_a_copy_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """An interrupted copy leaves the earlier derivative and no partial file."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")
    source.write_bytes(b"newer")

    def interrupted(source, target):
        Path(target).write_bytes(b"new")
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    assert b"one" == Path(saved).read_bytes()
    assert [os.path.basename(saved)] == os.listdir(os.path.dirname(saved))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("nowhere.nii", FileNotFoundError, "no file 'nowhere.nii'"),
        ({1, 2}, TypeError, "save_array"),
    ],
)
def test_save_refuses_what_it_cannot_save(tmp_path, value, error, message):
    """A missing file and a value that is no JSON are errors, and nothing is left behind."""
    with pytest.raises(error, match=message):
        Derivatives(tmp_path / "out").save(value, source=BOLD, desc="x")

    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"dataset_description.json": '{"Name": "raw", "BIDSVersion": "1.9.0"}'},
        {"dataset_description.json": '{"DatasetType": "raw"}'},
        {"dataset_description.json": "broken"},
        {"sub-01": None},
    ],
)
def test_a_raw_dataset_is_refused(tmp_path, files):
    """Derivatives never go into a folder that holds raw images."""
    for name, text in files.items():
        (tmp_path / name).write_text(text) if text else (tmp_path / name).mkdir()

    with pytest.raises(RawDatasetError, match="raw dataset") as caught:
        Derivatives(tmp_path)

    assert str(tmp_path) == caught.value.root


def test_another_programs_description_is_kept(tmp_path):
    """A description that is there already is not replaced."""
    description = tmp_path / "dataset_description.json"
    description.write_text('{"DatasetType": "derivative", "GeneratedBy": [{"Name": "other"}]}')

    Derivatives(tmp_path).save([1], source=BOLD, suffix="qc")

    assert "other" in description.read_text()
