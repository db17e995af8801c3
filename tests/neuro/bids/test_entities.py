"""Names of BIDS files: what they say, and what is admitted in them."""

import json
import pickle

import pytest

from memori.neuro import BIDSFile
from memori.neuro.bids.entities import admit, label_of, ordered
from memori.neuro.bids.schema import schema


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
        ("sub-01_acq-0.5_T1w.nii.gz", ({"sub": "01", "acq": "0.5"}, "T1w", ".nii.gz")),
        ("sub-01_acq-high-res_T1w.nii", ({"sub": "01", "acq": "high-res"}, "T1w", ".nii")),
        ("sub-01_odd_T1w.nii", ({"sub": "01"}, "T1w", ".nii")),
        ("sub-10_from-T1w_to-fsnative_mode-image_xfm.h5",
         ({"sub": "10", "from": "T1w", "to": "fsnative", "mode": "image"}, "xfm", ".h5")),
        ("sub-01", ({"sub": "01"}, "", "")),
        ("README", ({}, "README", "")),
        ("", ({}, "", "")),
    ],
)  # fmt: skip
def test_names_of_all_kinds(name, expected):
    """Entities, suffix and extension of usual and odd names."""
    file = BIDSFile(name)

    assert expected == (file.entities, file.suffix, file.extension)


def test_entities_are_those_of_bids_in_its_order():
    """What is read of the standard's package is what its own loader gives."""
    from bidsschematools.schema import load_schema

    loaded = load_schema()
    expected = {loaded.objects.entities[key].name: key for key in loaded.rules.entities}
    found = schema().entities

    assert list(expected.items()) == [pair for pair in found.items() if pair[0] in expected]
    assert {"from", "to", "mode"} == found.keys() - expected.keys()
    assert loaded.bids_version.rpartition(".")[0] + ".0" == schema().bids_version


def test_an_entity_that_bids_does_not_know_is_read_too():
    """Labs have entities of their own, and a name that holds one can be asked for it."""
    file = BIDSFile("sub-01_cut-2_T1w.nii")

    assert "2" == file.cut
    with pytest.raises(AttributeError, match="has no 'knife'"):
        _ = file.knife


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ds/sub-01/func/sub-01_bold.nii", "func"),
        ("ds/sub-01/meg/sub-01_meg.ds/", "meg"),
        ("ds/sub-01/sub-01_sessions.tsv", ""),
        ("ds/sub-01/ses-1/sub-01_ses-1_scans.tsv", ""),
        ("sub-01_bold.nii", ""),
    ],
)
def test_the_folder_is_the_datatype(path, expected):
    """A table of a whole subject or session has none."""
    assert expected == BIDSFile(path).datatype


def test_an_unknown_entity_keeps_its_place():
    """Labs have entities of their own; they stay where they stood, in their order."""
    labels = {"sub": "01", "z": "1", "a": "2", "run": "1", "task": "x", "cut": "3"}

    assert ["sub", "z", "a", "task", "cut", "run"] == list(ordered(labels))
    assert labels == ordered(labels)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("run", 2, "2"),
        ("run", "02", "02"),
        ("desc", "a+b", "a+b"),
        ("echo", 0, "0"),
        ("acq", 3, "3"),
    ],
)
def test_labels_that_bids_admits(name, value, expected):
    """Numbers and texts of letters, digits and +."""
    assert expected == label_of(name, value)
    numpy = pytest.importorskip("numpy")
    if isinstance(value, int):
        assert expected == label_of(name, numpy.int16(value))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("run", "one", "digits only"),
        ("echo", "1a", "digits only"),
        ("inversion", -1, "digits only"),
        ("split", True, "digits only"),
        ("run", 1.5, "digits only"),
        ("run", "1\n", "digits only"),
        ("run", "\u0661", "digits only"),
        ("desc", "", "letters"),
        ("desc", "a_b", "letters"),
        ("acq", "high-res", "letters"),
        ("space", "../MNI", "letters"),
        ("space", "/abs", "letters"),
        ("res", "2.5", "letters"),
        ("desc", "nul\0", "letters"),
        ("task", "gef\u00fchl", "letters"),
    ],
)
def test_labels_that_bids_does_not_admit(name, value, rule):
    """The message gives entity, value and rule."""
    with pytest.raises(ValueError, match=rule) as caught:
        label_of(name, value)

    assert f"{name}={value!r} is no BIDS" in str(caught.value)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("datatype", "../.."),
        ("datatype", ""),
        ("datatype", "/"),
        ("datatype", "."),
        ("datatype", "func/x"),
        ("suffix", "a/b"),
        ("suffix", ""),
        ("suffix", "T1w_x"),
        ("suffix", "bold.nii"),
        ("extension", "nii"),
        ("extension", ""),
        ("extension", "."),
        ("extension", ".nii/../../x"),
        ("extension", ".nii..gz"),
        ("extension", ".nii\0"),
        ("extension", "+orig.HEAD"),
    ],
)
def test_no_part_leads_elsewhere(part, text):
    """Nothing that could leave the folder, or be two parts, is one."""
    with pytest.raises(ValueError, match=f"is no BIDS {part}; use"):
        admit(part, text)
