"""Trees as the public example datasets have them: which files are found, and as what."""

import os

import pytest

from memori.neuro import BIDSError, BIDSFile, Dataset
from memori.neuro.bids.entities import BIDSFolder

SHAPES = [  # (kind, files, what is asked, what is found)
    ("eeg", [f"eeg/sub-01_task-x_eeg.{e}" for e in ("vhdr", "eeg", "vmrk", "json")],
     {"suffix": "eeg", "extension": ".vhdr"}, 1),
    ("ctf", ["meg/sub-01_task-x_meg.ds/x.meg4", "meg/sub-01_task-x_meg.ds/hz.ds/y"],
     {"suffix": "meg"}, 1),
    ("bti", ["meg/sub-01_task-x_meg/config", "meg/sub-01_task-x_meg/c,rfDC"], {"suffix": "meg"}, 1),
    ("split", [f"meg/sub-01_task-x_split-{n:02}_meg.fif" for n in (1, 2)], {"suffix": "meg"}, 2),
    ("crosstalk", ["meg/sub-01_acq-crosstalk_meg.fif", "meg/sub-01_acq-calibration_meg.dat"],
     {"acquisition": "calibration"}, 1),
    ("micr", ["micr/sub-01_sample-A_stain-B_SPIM.ome.zarr/0/.zarray",
              "micr/sub-01_sample-A_photo.jpg"],
     {"sample": "A", "suffix": "SPIM"}, 1),
    ("pet", ["pet/sub-01_trc-DASB_pet.nii.gz", "pet/sub-01_trc-DASB_recording-manual_blood.tsv"],
     {"tracer": "DASB", "suffix": "pet"}, 1),
    ("perf", ["perf/sub-01_asl.nii.gz", "perf/sub-01_aslcontext.tsv"], {"datatype": "perf"}, 2),
    ("dwi", ["dwi/sub-01_dir-AP_dwi.nii.gz", "dwi/sub-01_dir-AP_dwi.bval"], {"direction": "AP"}, 1),
    ("fmap", [f"fmap/sub-01_{s}.nii.gz" for s in ("phase1", "phase2", "magnitude1", "magnitude2")],
     {"datatype": "fmap"}, 4),
    ("nirs", ["nirs/sub-01_task-x_nirs.snirf", "nirs/sub-01_optodes.tsv"], {"suffix": "nirs"}, 1),
    ("motion", ["motion/sub-01_task-x_tracksys-imu_motion.tsv"], {"tracksys": "imu"}, 1),
    ("qmri", [f"anat/sub-01_flip-{f}_mt-{m}_MPM.nii.gz" for f in (1, 2) for m in ("on", "off")],
     {"mt": "on", "flip": [1, 2]}, 2),
    ("mrs", ["mrs/sub-01_nuc-1H_voi-acc_svs.nii.gz"], {"nucleus": "1H"}, 1),
    ("ieeg", ["ieeg/sub-01_task-x_ieeg.mefd/a.timd", "ieeg/sub-01_space-Tal_electrodes.tsv"],
     {"suffix": "ieeg"}, 1),
    ("beh", ["beh/sub-01_task-x_beh.tsv"], {"suffix": "beh"}, 1),
    ("emg", ["emg/sub-01_task-x_emg.edf"], {"datatype": "emg"}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "files", "asked", "count"), SHAPES, ids=[s[0] for s in SHAPES])
@pytest.mark.parametrize("session", [False, True])
def test_recordings_of_every_kind_are_found(tree, kind, files, asked, count, session):
    """By their entities, with and without sessions; folders that are recordings are one file."""
    folder = "sub-01/ses-1" if session else "sub-01"
    own = [f"{folder}/{each.replace('sub-01', folder.replace('/', '_'), 1)}" for each in files]
    found = Dataset(tree(own)).files(**asked)

    assert count == len(found)
    assert ["01"] * count == [each.subject for each in found]
    assert all(isinstance(each, BIDSFolder) == os.path.isdir(each) for each in found)


def test_templates_and_atlases(tree):
    """A template's files lie below tpl-*, in cohorts and datatypes or in neither."""
    bids = Dataset(
        tree(
            {
                "dataset_description.json": {"Name": "t", "DatasetType": "derivative"},
                "tpl-MNI/tpl-MNI_res-1_T1w.nii.gz": None,
                "tpl-Infant/cohort-1/tpl-Infant_cohort-1_res-1_T1w.nii.gz": None,
                "tpl-fsLR/anat/tpl-fsLR_hemi-L_den-32k_sphere.surf.gii": None,
                "atlas-DK_description.json": {"Name": "DK"},
                "tpl-MNI/anat/tpl-MNI_atlas-DK_res-1_dseg.nii.gz": None,
            }
        )
    )

    assert 2 == len(bids.files(suffix="T1w"))
    assert "Infant" == bids.one(cohort="1", suffix="T1w").template
    assert ".surf.gii" == bids.one(template="fsLR").extension
    assert "anat" == bids.one(atlas="DK", suffix="dseg").datatype
    assert "DK" == bids.one(suffix="description", extension=".json").atlas


def test_derivatives_and_nested_datasets(tree):
    """Derivatives of derivatives, groups of them, and the raw data of a study."""
    description = {"Name": "d", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
    bids = Dataset(
        tree(
            {
                "sub-01/anat/sub-01_T1w.nii.gz": None,
                "derivatives/fmriprep/dataset_description.json": description,
                "derivatives/fmriprep/sub-01/func/sub-01_task-x_desc-preproc_bold.nii.gz": None,
                "derivatives/fmriprep/derivatives/qc/dataset_description.json": description,
                "derivatives/group/anova/dataset_description.json": description,
                "derivatives/nothing/readme.txt": None,
                "sourcedata/raw/sub-01/anat/sub-01_T1w.nii.gz": None,
            }
        )
    )

    assert ["fmriprep", "fmriprep/derivatives/qc", "group/anova"] == list(bids.derivatives)
    assert ["raw"] == list(bids.sources)
    fmriprep = bids.derivatives["fmriprep"]
    assert (True, False) == (fmriprep.is_derivative, bids.is_derivative)
    assert "preproc" == fmriprep.one(suffix="bold").desc
    assert [] == bids.files(suffix="bold")


def test_tables_of_the_dataset(tree):
    """Participants, sessions and scans as data frames, labels as texts."""
    pytest.importorskip("pandas")
    bids = Dataset(
        tree(
            {
                "participants.tsv": "participant_id\tage\n01\t31\nsub-02\tn/a\n",
                "sub-01/sub-01_sessions.tsv": "session_id\tdate\nses-1\tn/a\n",
                "sub-01/ses-1/sub-01_ses-1_scans.tsv": "filename\tq\nanat/x.nii\t1\n",
                "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii": None,
            }
        )
    )

    assert ["01", "sub-02"] == bids.participants()["participant_id"].tolist()
    assert ["ses-1"] == bids.sessions("sub-01")["session_id"].tolist()
    assert ["anat/x.nii"] == bids.scans("01", "1")["filename"].tolist()
    with pytest.raises(FileNotFoundError, match=r"has no sub-02/sub-02_sessions.tsv"):
        bids.sessions("02")


def test_bidsignore_of_a_raw_dataset(tree):
    """What is named there is not found, nor what lies in a folder that is named."""
    name = "sub-0{}/func/sub-0{}_task-x_{}bold.nii.gz"
    files = {name.format(n, n, a): None for n in (1, 2) for a in ("", "acq-pilot_")}
    root = tree({**files, ".bidsignore": "*_acq-pilot_*\n/sub-02\n"})

    assert ["sub-01_task-x_bold.nii.gz"] == [os.path.basename(f) for f in Dataset(root).files()]


def test_a_subject_that_bidsignore_names_lacks_nothing(tree):
    """A pilot that was left out is no subject that has no image."""
    name = "sub-{}/func/sub-{}_task-x_bold.nii.gz"
    files = {name.format(label, label): None for label in ("01", "pilot")}
    bids = Dataset(tree({**files, ".bidsignore": "sub-pilot\n"}))

    assert ["01"] == bids.subjects()
    assert ["01"] == [case["subject"] for case in bids.cases(bold={"suffix": "bold"})]


def test_what_an_editor_kept_and_a_link_to_above_are_no_recordings(tree):
    """An earlier text of a sidecar makes no second recording, nor does a subject in a subject."""
    bold = "sub-01/func/sub-01_task-x_bold"
    root = tree([f"{bold}.nii.gz", f"{bold}.json~", f"{bold}.nii.gz~"])
    (root / "sub-01/again").symlink_to("..")

    assert [f"{root}/{bold}.nii.gz"] == Dataset(root).files()
    assert 1 == len(Dataset(root).cases(bold={"suffix": "bold"}))


def test_an_extension_may_be_asked_for_without_its_dot(tree):
    """As people who come from pybids write it."""
    bids = Dataset(tree(["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T1w.json"]))

    assert bids.files(extension=".nii.gz") == bids.files(extension="nii.gz") != []
    assert 2 == len(bids.files(extension=["json", ".nii.gz"]))


def test_an_empty_table_is_named(tree):
    """With its path, where pandas only says that there are no columns."""
    bids = Dataset(tree({"sub-01/anat/sub-01_T1w.nii": None, "participants.tsv": ""}))

    with pytest.raises(ValueError, match=r"participants.tsv' is no table"):
        bids.participants()


def test_bidsignore_of_derivatives_hides_nothing(tree):
    """FMRIPrep lists there what the validator does not know, and its confounds are wanted."""
    name = "sub-01/func/sub-01_task-x_desc-confounds_timeseries.tsv"
    description = {"Name": "fMRIPrep", "DatasetType": "derivative"}
    root = tree({name: None, ".bidsignore": "*_timeseries.tsv\nfigures/\n",
                 "sub-01/figures/sub-01_task-x_bold.svg": None,
                 "dataset_description.json": description})  # fmt: skip

    assert [str(root / name)] == Dataset(root).files(suffix="timeseries")
    assert "figures" == Dataset(root).one(extension=".svg").datatype


def test_a_dataset_made_of_links_to_subjects(tree, tmp_path):
    """People make one of a few subjects by links to their folders."""
    root = tree(["sub-01/anat/sub-01_T1w.nii", "sub-02/anat/sub-02_T1w.nii"])
    (tmp_path / "few").mkdir()
    (tmp_path / "few/sub-02").symlink_to(root / "sub-02")

    assert [f"{tmp_path}/few/sub-02/anat/sub-02_T1w.nii"] == Dataset(tmp_path / "few").files()


# Broken datasets


def test_a_broken_description_does_not_hide_the_files(tree):
    """Only who asks what it says is told."""
    bids = Dataset(tree({"dataset_description.json": "{", "sub-01/anat/sub-01_T1w.nii": None}))

    assert 1 == len(bids.files())
    with pytest.raises(BIDSError, match=r"dataset_description.json.*is no JSON"):
        _ = bids.description


def test_no_description_at_all(tree):
    """A folder of subjects is taken for a dataset."""
    root = tree(["sub-01/anat/sub-01_T1w.nii"])
    (root / "dataset_description.json").unlink()

    assert (1, {}) == (len(Dataset(root).files()), Dataset(root).description)


def test_an_empty_subdataset_says_how_to_get_it(tmp_path):
    """DataLad leaves an empty folder where a subdataset was not asked for."""
    with pytest.raises(FileNotFoundError, match="datalad get -n"):
        Dataset(tmp_path)


def test_prefixes_in_labels(tree):
    """People say sub-01; and a name that holds the prefix twice is found by either."""
    bids = Dataset(tree(["sub-01/anat/sub-01_T1w.nii", "sub-sub-02/anat/sub-sub-02_T1w.nii"]))

    for label in ("01", "sub-01", ["sub-01"]):
        assert "01" == bids.one(subject=label).subject
    assert "sub-02" == bids.one(subject="sub-02").subject


def test_one_says_what_there_is(tree):
    """Too many are listed; for none, the values that the rest of the question leaves."""
    bids = Dataset(tree([f"sub-01/func/sub-01_task-{t}_bold.nii" for t in ("rest", "nback")]))

    with pytest.raises(BIDSError, match=r"2 files .*task-nback.*one more entity"):
        bids.one(suffix="bold")
    with pytest.raises(BIDSError, match=r"no file .*task='res'.*task: 'nback', 'rest'"):
        bids.one(suffix="bold", task="res")
    assert "rest" == bids.one(suffix="bold", task="rest").task


def test_an_entity_of_a_lab_can_be_asked_for(tree):
    """One that BIDS does not know, if a file has it; else the nearest is named."""
    bids = Dataset(tree(["sub-01/anat/sub-01_slab-3_T1w.nii", "sub-01/anat/sub-01_slab-4_T1w.nii"]))

    assert "3" == bids.one(slab=3).slab
    with pytest.raises(TypeError, match="did you mean 'session'"):
        bids.files(sesion="1")


def test_a_file_knows_its_dataset(tree):
    """Also one that is given by its path, relative to the root or to the current folder."""
    root = tree(["sub-01/anat/sub-01_T1w.nii"])
    bids = Dataset(root)

    assert bids is bids.one().dataset
    assert bids.one() == bids.file("sub-01/anat/sub-01_T1w.nii") == bids.file(bids.one())
    assert BIDSFile(bids.one()).dataset is None


def test_a_dataset_that_grows_is_seen_to(tree):
    """Files that come and go between two calls are seen, also a moment later."""
    root = tree([f"sub-{n:02}/anat/sub-{n:02}_T1w.nii" for n in range(3)])
    bids = Dataset(root)
    old = 1_000_000_000
    for folder, _, _ in os.walk(root):
        os.utime(folder, (old, old))
    assert 3 == len(bids.files()) == len(bids.files())

    (root / "sub-00/anat/sub-00_T2w.nii").touch()
    assert 4 == len(bids.files())
    (root / "sub-00/anat/sub-00_PDw.nii").touch()
    assert 5 == len(bids.files())
    (root / "sub-00/anat/sub-00_T2w.nii").unlink()
    assert 4 == len(bids.files())
