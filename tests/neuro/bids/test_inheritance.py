"""Metadata: what the sidecars at all levels say of a file."""

import pytest

from memori.neuro import BIDSError, Dataset

BOLD = "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-1_bold.nii.gz"


def test_the_nearest_sidecar_wins_field_by_field(tree):
    """Root, subject, session and the file's own folder each have their say."""
    bids = Dataset(
        tree(
            {
                BOLD: None,
                "bold.json": {"all": 1, "Manufacturer": "S"},
                "task-rest_bold.json": {"TaskName": "rest", "RepetitionTime": 1},
                "task-other_bold.json": {"TaskName": "other"},
                "sub-01/sub-01_bold.json": {"RepetitionTime": 2, "subject": 1},
                "sub-01/ses-a/sub-01_ses-a_task-rest_bold.json": {"RepetitionTime": 3, "ses": 1},
                BOLD.replace("nii.gz", "json"): {"RepetitionTime": 4, "own": {"x": [1]}},
                "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-2_bold.json": {"own": 2},
                "task-rest_events.json": {"not": "mine"},
            }
        )
    )

    assert {
        "all": 1,
        "Manufacturer": "S",
        "TaskName": "rest",
        "RepetitionTime": 4,
        "subject": 1,
        "ses": 1,
        "own": {"x": [1]},
    } == bids.metadata(bids.one(suffix="bold"))


def test_at_one_level_the_one_with_more_entities_wins(tree):
    """As in datasets with a general and a special sidecar at the root."""
    bids = Dataset(
        tree(
            {
                BOLD: None,
                "bold.json": {"a": 1, "b": 1},
                "task-rest_bold.json": {"b": 2, "c": 2},
                "task-rest_run-1_bold.json": {"c": 3},
            }
        )
    )

    assert {"a": 1, "b": 2, "c": 3} == bids.metadata(BOLD)


def test_two_sidecars_that_disagree_are_an_error(tree):
    """Neither is guessed to be the right one; that they agree is no error."""
    root = tree({BOLD: None, "run-1_bold.json": {"a": 1, "b": 0}, "task-rest_bold.json": {"b": 0}})
    assert {"a": 1, "b": 0} == Dataset(root).metadata(BOLD)

    (root / "task-rest_bold.json").write_text('{"a": 2}')
    with pytest.raises(BIDSError, match=r"'a' two values.*leave one"):
        Dataset(root).metadata(BOLD)


@pytest.mark.parametrize(("text", "message"), [("{", "is no JSON"), ("[1]", "holds a list")])
def test_a_broken_sidecar_is_named(tree, text, message):
    """The error gives the file."""
    root = tree({BOLD: None, "task-rest_bold.json": text})

    with pytest.raises(BIDSError, match=rf"task-rest_bold.json.*{message}"):
        Dataset(root).metadata(BOLD)


def test_without_sidecars_there_are_no_metadata(tree):
    """No sidecar is no error; fields that somebody needs are looked for where they are needed."""
    assert {} == Dataset(tree([BOLD])).metadata(BOLD)


def test_what_lies_elsewhere_is_refused(tree, tmp_path):
    """The metadata of another dataset's file would be made up."""
    tree([BOLD], "other")

    with pytest.raises(BIDSError, match="does not lie in"):
        Dataset(tree([BOLD])).metadata(tmp_path / "other" / BOLD)


def test_recordings_that_are_folders_have_metadata(tree):
    """CTF's .ds has a sidecar beside it."""
    meg = "sub-01/meg/sub-01_task-x_meg"
    bids = Dataset(tree({f"{meg}.ds/a.meg4": None, f"{meg}.json": {"PowerLineFrequency": 50}}))

    assert {"PowerLineFrequency": 50} == bids.metadata(bids.one(extension=".ds"))
    assert {"PowerLineFrequency": 50} == bids.metadata(f"{bids.root}/{meg}.ds/")


def test_a_relative_root_and_a_link_to_it(tree, tmp_path, monkeypatch):
    """Sidecars are found whichever way the dataset is reached."""
    tree({BOLD: None, "bold.json": {"a": 1}})
    (tmp_path / "link").symlink_to(tmp_path / "ds")
    monkeypatch.chdir(tmp_path)

    for root in ("ds", "link", "./ds/", tmp_path / "link"):
        bids = Dataset(root)
        assert {"a": 1} == bids.metadata(bids.one(suffix="bold"))


def test_a_run_of_one_echo_beside_one_of_several(tree):
    """The sidecar without echo applies to every echo, and each echo's own wins over it."""
    run = "sub-01/func/sub-01_task-rest_run-1"
    files = {f"{run}_echo-{n}_bold.nii.gz": None for n in (1, 2)}
    files |= {f"{run}_echo-{n}_bold.json": {"EchoTime": n / 100} for n in (1, 2)}
    bids = Dataset(tree({**files, f"{run}_bold.json": {"EchoTime": 9, "TaskName": "rest"}}))

    assert [{"EchoTime": n / 100, "TaskName": "rest"} for n in (1, 2)] == [
        bids.metadata(file) for file in bids.files(suffix="bold")
    ]


def test_a_dataset_that_is_reached_by_a_link(tree, tmp_path):
    """A resolved path lies in the dataset whose root is a link to it."""
    name = "sub-01/func/sub-01_task-rest_bold"
    root = tree({f"{name}.nii.gz": None, f"{name}.json": {"RepetitionTime": 2}})
    (tmp_path / "link").symlink_to(root)
    found = Dataset(tmp_path / "link").metadata((root / f"{name}.nii.gz").resolve())
    assert {"RepetitionTime": 2} == found
