"""Dataset: which files are found by what their names say."""

import os
from pathlib import Path

import pytest

from memori import Stage
from memori.errors import MemoriWarning
from memori.neuro import Dataset

REAL = os.environ.get("MEMORI_TEST_BIDS", "")
needs_real = pytest.mark.skipif(
    not REAL, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest"
)


@pytest.fixture
def bids(tmp_path):
    """A dataset of empty files: two subjects, one of them with sessions, and what lies around."""
    for name in [
        "dataset_description.json",
        "README",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/func/sub-01_task-rest_run-01_bold.json",
        "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz",
        "sub-01/func/sub-01_task-rest_run-02_bold.nii.gz",
        "sub-01/func/sub-01_task-rest_run-02_events.tsv",
        "sub-02/ses-a/dwi/sub-02_ses-a_dwi.bval",
        "sub-02/ses-a/dwi/sub-02_ses-a_dwi.bvec",
        "sub-02/ses-a/dwi/sub-02_ses-a_dwi.nii.gz",
        "sub-02/ses-b/func/sub-02_ses-b_task-rest_bold.nii.gz",
        "sub-02/ses-b/sub-02_ses-b_scans.tsv",
        "derivatives/x/sub-01/func/sub-01_task-rest_desc-x_bold.nii.gz",
        "sourcedata/sub-01/func/sub-01_task-rest_bold.nii.gz",
        "sub-01/func/.sub-01_task-rest_bold.nii.gz.partial",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Dataset(tmp_path)


def names(files):
    """The names without their folders."""
    return [os.path.basename(file) for file in files]


def test_files_by_suffix_leaves_out_what_describes_them(bids):
    """Sidecars and gradient tables are found only if they are asked for."""
    assert [
        "sub-01_task-rest_run-01_bold.nii.gz",
        "sub-01_task-rest_run-02_bold.nii.gz",
        "sub-02_ses-b_task-rest_bold.nii.gz",
    ] == names(bids.files(suffix="bold"))
    assert ["sub-02_ses-a_dwi.nii.gz"] == names(bids.files(suffix="dwi"))
    assert ["sub-01_task-rest_run-01_bold.json"] == names(bids.files(extension=".json"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"subject": "02", "datatype": "func"}, ["sub-02_ses-b_task-rest_bold.nii.gz"]),
        ({"sub": "01", "suffix": "T1w"}, ["sub-01_T1w.nii.gz"]),
        ({"run": 2, "suffix": "bold"}, ["sub-01_task-rest_run-02_bold.nii.gz"]),
        ({"run": "2"}, []),
        ({"session": ["b", "c"]}, ["sub-02_ses-b_task-rest_bold.nii.gz"]),
        ({"session": None, "suffix": ["T1w", "events"]},
         ["sub-01_T1w.nii.gz", "sub-01_task-rest_run-02_events.tsv"]),
        ({"task": None, "datatype": ("anat", "dwi")},
         ["sub-01_T1w.nii.gz", "sub-02_ses-a_dwi.nii.gz"]),
    ],
)  # fmt: skip
def test_files_by_entities(bids, wanted, expected):
    """Labels, numbers, several values and None choose among the files."""
    assert expected == names(bids.files(**wanted))


def test_an_unknown_entity_is_an_error(bids):
    """A misspelt entity would silently find everything or nothing; it raises instead."""
    with pytest.raises(TypeError, match=r"'sufix'.*did you mean 'suffix'"):
        bids.files(sufix="bold")


def test_paths_begin_as_the_root_was_given(bids, tmp_path, monkeypatch):
    """A relative root gives relative paths, so that a project folder can be moved."""
    monkeypatch.chdir(tmp_path.parent)

    found = Dataset(Path(tmp_path.name)).files(suffix="T1w")

    assert [f"{tmp_path.name}/sub-01/anat/sub-01_T1w.nii.gz"] == found


def test_a_missing_or_foreign_folder_is_an_error(tmp_path):
    """A wrong path is told apart from a dataset without files."""
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Dataset(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"dataset_description\.json"):
        Dataset(tmp_path)


def test_files_agree_with_bids2table(bids, tmp_path):
    """Another reader of BIDS finds the same files with the same entities."""
    why = "no bids2table, or one whose pyarrow refuses this numpy: pip install -U bids2table numpy"
    bids2table = pytest.importorskip("bids2table", reason=why, exc_type=ImportError)
    root = REAL or str(tmp_path)

    rows = bids2table.index_dataset(root).to_pylist()
    ours = Dataset(root).files(extension=[".nii.gz"])

    keep = {row["path"]: row for row in rows if row["ext"] == ".nii.gz"}
    assert sorted(keep) == sorted(os.path.relpath(file, root) for file in ours)
    for file in ours:
        row = keep[os.path.relpath(file, root)]
        assert (row["sub"], row["suffix"], row["datatype"]) == (
            file.subject,
            file.suffix,
            file.datatype,
        )


def test_tables_of_a_subject_or_session_are_found_when_asked_for(bids, tmp_path):
    """scans.tsv and sessions.tsv lie in no datatype's folder; nothing else brings them along."""
    (tmp_path / "sub-02/sub-02_sessions.tsv").touch()

    assert ["sub-02_ses-b_scans.tsv"] == names(bids.files(suffix="scans"))
    assert ["sub-02_sessions.tsv"] == names(bids.files(suffix="sessions", session=None))
    assert [
        "sub-01_task-rest_run-02_events.tsv",
        "sub-02_ses-b_scans.tsv",
        "sub-02_sessions.tsv",
    ] == names(bids.files(extension=".tsv"))
    assert [] == [file for file in bids.files(subject="02") if file.extension == ".tsv"]
    assert ["sub-02_sessions.tsv"] == names(bids.files(suffix=["sessions"], datatype=None))


def test_numbers_of_numpy_and_pandas_are_numbers(bids):
    """A column of run numbers finds the files that plain numbers find, alone and as several."""
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    runs = pandas.DataFrame({"run": [2, 1, 1]})["run"]
    expected = names(bids.files(run=[1, 2], suffix="bold"))

    assert 2 == len(expected)
    assert expected[:1] == names(bids.files(run=numpy.int64(1), suffix="bold"))
    assert expected[1:] == names(bids.files(run=numpy.uint8(2), suffix="bold"))
    for several in ([numpy.int32(1), 2], numpy.array([1, 2]), runs, set(runs), runs.astype(float)):
        assert expected == names(bids.files(run=several, suffix="bold"))
    assert expected == names(bids.files(run=(number for number in (1, 2)), suffix="bold"))


def test_transforms_are_found_by_what_they_lead_between(tmp_path):
    """As fMRIPrep names them: from, to and mode are entities."""
    (tmp_path / "sub-10/anat").mkdir(parents=True)
    for one, other in (("T1w", "fsnative"), ("fsnative", "T1w")):
        (tmp_path / f"sub-10/anat/sub-10_from-{one}_to-{other}_mode-image_xfm.txt").touch()

    found = Dataset(tmp_path).files(suffix="xfm", to="fsnative", **{"from": "T1w"})

    assert ["sub-10_from-T1w_to-fsnative_mode-image_xfm.txt"] == names(found)


@needs_real
def test_a_real_dataset_where_not_every_subject_has_everything():
    """Only sub-01 has BOLD; every subject has a T1w."""
    bids = Dataset(REAL)

    assert ["01", "01"] == [bold.subject for bold in bids.files(suffix="bold")]
    assert ["01", "02", "03"] == [t1w.subject for t1w in bids.files(suffix="T1w")]
    assert [] == bids.files(subject="02", suffix="bold")


@pytest.mark.parametrize("name", ["sub-01_meg.ds", "sub-01_eeg.mff", "sub-01_micr.ome.zarr"])
def test_a_folder_that_is_a_file_counts_by_all_it_holds(tmp_path, name):
    """A change deep inside of a CTF or Zarr folder runs the stage again; nothing else does."""
    folder = tmp_path / "ds" / "sub-01" / "meg" / name
    (folder / "hz.ds").mkdir(parents=True)
    (folder / "x.meg4").write_text("one")
    (folder / "hz.ds" / "y.acq").write_text("one")
    (tmp_path / "ds" / "sub-01" / "meg" / "sub-01_meg.json").touch()
    (found,) = Dataset(tmp_path / "ds").files()
    assert str(folder) == found
    assert ("01", "meg", name[name.index(".") :]) == (
        found.subject,
        found.datatype,
        found.extension,
    )
    stage = Stage(os.path.basename, stage_outputs="name", hash_output=tmp_path / "work")

    def ran():
        stage.run(Dataset(tmp_path / "ds").files()[0])
        return stage.state

    assert [True, False] == [ran(), ran()]
    (folder / "hz.ds" / "y.acq").write_text("two")
    assert [True, False] == [ran(), ran()]
    (folder / "new").touch()
    assert [True, False] == [ran(), ran()]


def test_odd_files_do_not_take_the_dataset_down(tmp_path):
    """What `.bidsignore` holds or where a link leads is no reason to find nothing."""
    root = tmp_path / "odd"
    for name in ("sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    both = ["sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz"]
    (root / "sub-01/ses-1").symlink_to(".")
    assert both == [os.path.basename(file) for file in Dataset(root).files(suffix="T1w")]
    (root / ".bidsignore").write_bytes("# M\xfcller\nnotes[z-a]\nsub-02*\n".encode("latin-1"))
    assert both[:1] == [os.path.basename(file) for file in Dataset(root).files(suffix="T1w")]
    (root / ".bidsignore").unlink()
    (root / ".bidsignore").symlink_to(".git/annex/objects/x/y")
    with pytest.warns(MemoriWarning, match=r"datalad get .*\.bidsignore"):
        assert both == [os.path.basename(file) for file in Dataset(root).files(suffix="T1w")]
