"""Companions: what belongs to a file, by its name and by what the dataset says."""

import os

import pytest

from memori.neuro import Dataset

FUNC = "sub-01/func/sub-01_task-rest_run-1"


def named(found):
    """Kinds, and the names of the files."""
    return {kind: [os.path.basename(each) for each in files] for kind, files in found.items()}


def test_what_lies_beside_a_run(tree):
    """Events, physiology of each recording, the reference of the same run and no other."""
    bids = Dataset(
        tree(
            [
                f"{FUNC}_bold.nii.gz",
                f"{FUNC}_events.tsv",
                f"{FUNC}_sbref.nii.gz",
                f"{FUNC}_recording-cardiac_physio.tsv.gz",
                f"{FUNC}_recording-belt_physio.tsv.gz",
                f"{FUNC}_stim.tsv.gz",
                f"{FUNC.replace('run-1', 'run-2')}_events.tsv",
                f"{FUNC.replace('run-1', 'run-2')}_sbref.nii.gz",
                "sub-01/anat/sub-01_T1w.nii.gz",
            ]
        )
    )

    assert {
        "events": ["sub-01_task-rest_run-1_events.tsv"],
        "physio": [
            "sub-01_task-rest_run-1_recording-belt_physio.tsv.gz",
            "sub-01_task-rest_run-1_recording-cardiac_physio.tsv.gz",
        ],
        "sbref": ["sub-01_task-rest_run-1_sbref.nii.gz"],
        "stim": ["sub-01_task-rest_run-1_stim.tsv.gz"],
    } == named(bids.companions(bids.one(suffix="bold")))


def test_events_of_all_subjects_and_of_one(tree):
    """One at the root serves all; where a subject has its own, that is taken."""
    other = FUNC.replace("sub-01", "sub-02")
    bids = Dataset(
        tree([f"{FUNC}_bold.nii", f"{other}_bold.nii", "task-rest_events.tsv",
              f"{other}_events.tsv"])
    )  # fmt: skip

    first, second = bids.files(suffix="bold")
    assert ["task-rest_events.tsv"] == named(bids.companions(first))["events"]
    assert ["sub-02_task-rest_run-1_events.tsv"] == named(bids.companions(second))["events"]


def test_gradients_beside_and_above(tree):
    """A bval at the root goes with the bvec of the subject."""
    bids = Dataset(tree(["sub-01/dwi/sub-01_dwi.nii.gz", "sub-01/dwi/sub-01_dwi.bvec", "dwi.bval"]))

    assert {"bval": ["dwi.bval"], "bvec": ["sub-01_dwi.bvec"]} == named(
        bids.companions(bids.one(suffix="dwi"))
    )


@pytest.mark.parametrize(
    "intended",
    [
        "bids::sub-01/func/sub-01_task-rest_run-1_bold.nii.gz",
        "func/sub-01_task-rest_run-1_bold.nii.gz",
        "/func/sub-01_task-rest_run-1_bold.nii.gz",
        "bids::/sub-01/func/sub-01_task-rest_run-1_bold.nii.gz",
        ["func/other.nii.gz", "func/sub-01_task-rest_run-1_bold.nii.gz"],
    ],
)
def test_field_maps_by_what_they_are_intended_for(tree, intended):
    """As a BIDS URI, as the older path below the subject, with a slash before, of several."""
    bids = Dataset(
        tree(
            {
                f"{FUNC}_bold.nii.gz": None,
                f"{FUNC.replace('run-1', 'run-2')}_bold.nii.gz": None,
                "sub-01/fmap/sub-01_acq-a_phasediff.nii.gz": None,
                "sub-01/fmap/sub-01_acq-a_phasediff.json": {"IntendedFor": intended},
                "sub-01/fmap/sub-01_acq-b_phasediff.nii.gz": None,
                "sub-01/fmap/sub-01_acq-b_phasediff.json": {"IntendedFor": ["anat/x.nii"]},
            }
        )
    )
    first, second = bids.files(suffix="bold")

    assert ["sub-01_acq-a_phasediff.nii.gz"] == named(bids.companions(first))["fmap"]
    assert "fmap" not in bids.companions(second)


def test_field_maps_by_their_identifier(tree):
    """B0FieldSource goes before IntendedFor, and takes any number of images."""
    bids = Dataset(
        tree(
            {
                f"{FUNC}_bold.nii.gz": None,
                f"{FUNC}_bold.json": {"B0FieldSource": ["pepolar0"]},
                "sub-01/fmap/sub-01_dir-AP_epi.nii.gz": None,
                "sub-01/fmap/sub-01_dir-PA_epi.nii.gz": None,
                "sub-01/fmap/sub-01_epi.json": {"B0FieldIdentifier": "pepolar0"},
                "sub-01/fmap/sub-01_phasediff.nii.gz": None,
                "sub-01/fmap/sub-01_phasediff.json": {
                    "IntendedFor": "func/sub-01_task-rest_run-1_bold.nii.gz"
                },
            }
        )
    )

    assert ["sub-01_dir-AP_epi.nii.gz", "sub-01_dir-PA_epi.nii.gz"] == named(
        bids.companions(bids.one(suffix="bold"))
    )["fmap"]


@pytest.mark.parametrize(
    ("files", "of", "expected"),
    [
        (["eeg/sub-01_task-x_eeg.vhdr", "eeg/sub-01_task-x_channels.tsv",
          "eeg/sub-01_task-x_events.tsv", "eeg/sub-01_space-CapTrak_electrodes.tsv",
          "eeg/sub-01_space-CapTrak_coordsystem.json"], "eeg", {"channels", "events",
          "electrodes"}),
        (["meg/sub-01_task-x_meg.ds/a.meg4", "meg/sub-01_task-x_channels.tsv",
          "meg/sub-01_coordsystem.json", "meg/sub-01_headshape.pos"], "meg",
          {"channels", "coordsystem", "headshape"}),
        (["perf/sub-01_asl.nii.gz", "perf/sub-01_aslcontext.tsv", "perf/sub-01_m0scan.nii.gz"],
          "asl", {"aslcontext", "m0scan"}),
        (["pet/sub-01_pet.nii.gz", "pet/sub-01_recording-manual_blood.tsv"], "pet", {"blood"}),
        (["nirs/sub-01_task-x_nirs.snirf", "nirs/sub-01_optodes.tsv",
          "nirs/sub-01_task-x_channels.tsv"], "nirs", {"optodes", "channels"}),
        (["motion/sub-01_task-x_tracksys-a_motion.tsv",
          "motion/sub-01_task-x_tracksys-a_channels.tsv"], "motion", {"channels"}),
        (["fmap/sub-01_phasediff.nii.gz", "fmap/sub-01_magnitude1.nii.gz"], "phasediff",
          {"magnitude1"}),
    ],
)  # fmt: skip
def test_each_kind_of_recording_has_its_companions(tree, files, of, expected):
    """As the public example datasets have them."""
    bids = Dataset(tree([f"sub-01/{each}" for each in files]))

    assert expected <= bids.companions(bids.one(suffix=of)).keys()


def test_sidecars_of_other_sessions_need_not_be_here(tree):
    """Of a DataLad dataset people get the session that they process."""
    root = tree(
        {
            "sub-01/ses-1/func/sub-01_ses-1_task-a_bold.nii.gz": None,
            "sub-01/ses-1/fmap/sub-01_ses-1_epi.nii.gz": None,
            "sub-01/ses-1/fmap/sub-01_ses-1_epi.json": {
                "IntendedFor": "ses-1/func/sub-01_ses-1_task-a_bold.nii.gz"
            },
            "sub-01/ses-2/fmap/sub-01_ses-2_epi.nii.gz": None,
        }
    )
    (root / "sub-01/ses-2/fmap/sub-01_ses-2_epi.json").symlink_to("../.git/annex/objects/x")
    bids = Dataset(root)

    assert ["sub-01_ses-1_epi.nii.gz"] == named(bids.companions(bids.one(suffix="bold")))["fmap"]
