"""Dataset and BIDSFile: what a name says, and which files are found by it."""

import json
import os
import pickle
from pathlib import Path

import pytest

from memori.neuro import BIDSFile, Dataset
from memori.neuro.bids.dataset import ENTITIES

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


def test_a_file_is_its_path_and_knows_its_entities():
    """A BIDS file is a string, so that a stage takes it, and reads its name."""
    bold = BIDSFile("ds/sub-01/ses-b/func/sub-01_ses-b_task-rest_acq-fast_run-2_bold.nii.gz")

    assert "ds/sub-01/ses-b/func/sub-01_ses-b_task-rest_acq-fast_run-2_bold.nii.gz" == bold
    assert json.dumps(str(bold)) == json.dumps(bold)
    assert ("01", "b", "rest", "fast", "2") == (
        bold.subject,
        bold.session,
        bold.task,
        bold.acquisition,
        bold.run,
    )
    assert ("01", "fast") == (bold.sub, bold.acq)
    assert ("bold", ".nii.gz", "func") == (bold.suffix, bold.extension, bold.datatype)


def test_a_file_goes_to_another_process():
    """A pickled BIDS file is one again."""
    bold = BIDSFile("sub-01/func/sub-01_bold.nii.gz")

    there = pickle.loads(pickle.dumps(bold))

    assert (bold, "01", BIDSFile) == (there, there.subject, type(there))


def test_an_absent_entity_is_none():
    """An entity that the name does not hold is None."""
    assert BIDSFile("sub-01_T1w.nii").session is None


def test_an_unknown_attribute_names_the_nearest():
    """A misspelt entity is an AttributeError that gives the right one."""
    with pytest.raises(AttributeError, match="did you mean 'subject'"):
        _ = BIDSFile("sub-01_T1w.nii").subjct


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_T1w.nii", ({"sub": "01"}, "T1w", ".nii")),
        ("sub-01_scans.tsv", ({"sub": "01"}, "scans", ".tsv")),
        ("sub-01_task-a+b_bold.nii.gz", ({"sub": "01", "task": "a+b"}, "bold", ".nii.gz")),
        ("sub-01_custom-7_bold.nii", ({"sub": "01", "custom": "7"}, "bold", ".nii")),
        ("sub-01_task-rest_meg.ds/", ({"sub": "01", "task": "rest"}, "meg", ".ds")),
        ("sub-01", ({"sub": "01"}, "", "")),
        ("README", ({}, "README", "")),
        ("", ({}, "", "")),
    ],
)
def test_names_of_all_kinds(name, expected):
    """Entities, suffix and extension of usual and odd names."""
    file = BIDSFile(name)

    assert expected == (file.entities, file.suffix, file.extension)


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


def test_entities_are_those_of_bids_in_its_order():
    """The table agrees with the schema of the BIDS specification."""
    schema = pytest.importorskip(
        "bidsschematools.schema", reason="no BIDS schema: pip install bids2table"
    ).load_schema()

    expected = {schema.objects.entities[key].name: key for key in schema.rules.entities}

    assert list(expected.items()) == [pair for pair in ENTITIES.items() if pair[0] in expected]
    assert set() == expected.keys() - ENTITIES.keys()


def test_files_agree_with_bids2table(bids, tmp_path):
    """Another reader of BIDS finds the same files with the same entities."""
    bids2table = pytest.importorskip("bids2table", reason="no oracle: pip install bids2table")
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


@needs_real
def test_a_real_dataset_where_not_every_subject_has_everything():
    """Only sub-01 has BOLD; every subject has a T1w."""
    bids = Dataset(REAL)

    assert ["01", "01"] == [bold.subject for bold in bids.files(suffix="bold")]
    assert ["01", "02", "03"] == [t1w.subject for t1w in bids.files(suffix="T1w")]
    assert [] == bids.files(subject="02", suffix="bold")
