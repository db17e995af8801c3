"""Cases: which files belong together, and what is told of those that do not."""

import json
import os
import pickle
from pathlib import Path

import pytest

from memori import Pipeline, Stage
from memori.errors import MemoriWarning
from memori.neuro import BIDSError, BIDSFile, CasesError, ContentError, Dataset

BOLD, T1W = {"suffix": "bold"}, {"suffix": "T1w"}


def names(cases):
    """Cases with base names in the place of paths."""

    def name(value):
        if isinstance(value, list):
            return [name(each) for each in value]
        return os.path.basename(value) if value else value

    return [{key: name(value) for key, value in case.items()} for case in cases]


def test_one_t1w_for_several_runs(tree):
    """Each run is a case, in the order of the files, with the subject's T1w."""
    bids = Dataset(
        tree(
            [
                "sub-01/anat/sub-01_T1w.nii.gz",
                "sub-01/func/sub-01_task-rest_run-1_bold.nii.gz",
                "sub-01/func/sub-01_task-rest_run-2_bold.nii.gz",
                "sub-02/anat/sub-02_acq-mprage_T1w.nii.gz",
                "sub-02/func/sub-02_task-rest_acq-mb_bold.nii.gz",
            ]
        )
    )

    assert [
        {"subject": "01", "session": None, "bold": "sub-01_task-rest_run-1_bold.nii.gz",
         "t1w": "sub-01_T1w.nii.gz"},
        {"subject": "01", "session": None, "bold": "sub-01_task-rest_run-2_bold.nii.gz",
         "t1w": "sub-01_T1w.nii.gz"},
        {"subject": "02", "session": None, "bold": "sub-02_task-rest_acq-mb_bold.nii.gz",
         "t1w": "sub-02_acq-mprage_T1w.nii.gz"},
    ] == names(bids.cases(bold=BOLD, t1w=T1W))  # fmt: skip


def test_the_nearest_t1w_serves_a_session(tree):
    """The session's own where there is one, else the subject's; never another session's."""
    bids = Dataset(
        tree(
            [
                "sub-01/anat/sub-01_T1w.nii.gz",
                "sub-01/ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz",
                "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
                "sub-01/ses-2/func/sub-01_ses-2_task-rest_bold.nii.gz",
                "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
                "sub-02/ses-1/func/sub-02_ses-1_task-rest_bold.nii.gz",
                "sub-02/ses-2/func/sub-02_ses-2_task-rest_bold.nii.gz",
            ]
        )
    )

    with pytest.raises(CasesError) as caught:
        bids.cases(bold=BOLD, t1w=T1W)
    assert {"sub-02 ses-2": ["no t1w (suffix='T1w')"]} == caught.value.problems
    assert [
        ("01", "1", "sub-01_T1w.nii.gz"),
        ("01", "2", "sub-01_ses-2_T1w.nii.gz"),
        ("02", "1", "sub-02_ses-1_T1w.nii.gz"),
        ("02", "2", None),
    ] == [
        (case["subject"], case["session"], case["t1w"])
        for case in names(bids.cases(bold=BOLD, t1w=T1W, optional=("t1w",)))
    ]
    fixed = bids.cases(bold=BOLD, t1w={"suffix": "T1w", "session": "1"}, where={"subject": "02"})
    assert ["sub-02_ses-1_T1w.nii.gz"] * 2 == [case["t1w"] for case in names(fixed)]


def test_echoes_are_one_list(tree):
    """In the order of their numbers, with the reference of the run they belong to."""
    run = "sub-01/func/sub-01_task-rest_run-{}_echo-{}_bold.nii.gz"
    bids = Dataset(
        tree(
            [run.format(r, e) for r in (1, 2) for e in (1, 2, 10)]
            + ["sub-01/func/sub-01_task-rest_run-1_sbref.nii.gz",
               "sub-01/func/sub-01_task-rest_run-2_sbref.nii.gz"]
        )
    )  # fmt: skip

    first, second = bids.cases(bold=BOLD, sbref={"suffix": "sbref"})
    assert [os.path.basename(run.format(1, e)) for e in (1, 2, 10)] == names([first])[0]["bold"]
    assert "sub-01_task-rest_run-2_sbref.nii.gz" == names([second])[0]["sbref"]
    alone = bids.cases(bold={"suffix": "bold", "echo": 1})
    assert [os.path.basename(run.format(r, 1)) for r in (1, 2)] == [
        case["bold"] for case in names(alone)
    ]
    assert 6 == len(bids.cases(bold=BOLD, lists=()))


def test_collections_of_other_kinds(tree):
    """Inversions of MP2RAGE, and parts of an MEG recording, when they are asked for."""
    bids = Dataset(
        tree([f"sub-01/anat/sub-01_inv-{n}_MP2RAGE.nii.gz" for n in (2, 1)]
             + [f"sub-01/meg/sub-01_task-x_split-{n:02}_meg.fif" for n in (1, 2, 3)])
    )  # fmt: skip

    (case,) = bids.cases(
        images={"suffix": "MP2RAGE"}, meg={"suffix": "meg"}, lists=("inversion", "split")
    )
    assert (2, 3) == (len(case["images"]), len(case["meg"]))
    assert "1" == case["images"][0].inversion


def test_what_is_wrong_is_told_of_all_subjects_at_once(tree):
    """Missing and ambiguous alike, before anything runs, with what could be done."""
    bids = Dataset(
        tree(
            [
                "sub-01/anat/sub-01_run-1_T1w.nii.gz",
                "sub-01/anat/sub-01_run-2_T1w.nii.gz",
                "sub-01/func/sub-01_task-a_run-1_bold.nii.gz",
                "sub-01/func/sub-01_task-b_run-1_bold.nii.gz",
                "sub-02/anat/sub-02_T1w.nii.gz",
                "sub-03/func/sub-03_task-a_bold.nii.gz",
                "sub-04/anat/sub-04_T1w.nii.gz",
                "sub-04/func/sub-04_task-a_bold.nii.gz",
            ]
        )
    )

    with pytest.raises(CasesError, match=r"(?s)sub-01.*sub-02.*sub-03.*optional=") as caught:
        bids.cases(bold=BOLD, t1w=T1W)
    problems = {
        "sub-01": ["2 files could be t1w: 'sub-01_run-1_T1w.nii.gz', 'sub-01_run-2_T1w.nii.gz'"],
        "sub-02": ["no bold (suffix='bold')"],
        "sub-03": ["no t1w (suffix='T1w')"],
    }
    assert problems == caught.value.problems
    assert problems == pickle.loads(pickle.dumps(caught.value)).problems
    with pytest.warns(MemoriWarning) as told:
        skipped = bids.cases(bold=BOLD, t1w=T1W, missing="skip")
    assert (["04"], 3) == ([case["subject"] for case in skipped], len(told))
    assert ["04"] == [c["subject"] for c in bids.cases(bold=BOLD, t1w=T1W, where={"sub": "sub-04"})]
    (one, two) = bids.cases(bold=BOLD, t1w=T1W, several=("t1w",), where={"subject": 1})
    assert 2 == len(one["t1w"]) == len(two["t1w"])


@pytest.mark.parametrize(
    ("query", "files"),
    [
        ({"suffix": "bold"}, ["func/sub-01_run-1_bold.nii", "func/sub-01_run-01_bold.nii"]),
        ({"suffix": "bold"}, ["func/sub-01_bold.nii", "func/sub-01_bold.nii.gz"]),
        ({"suffix": "eeg"}, ["eeg/sub-01_task-a_eeg.vhdr", "eeg/sub-01_task-a_eeg.eeg"]),
    ],
)
def test_one_recording_under_two_names_is_not_run_twice(tree, query, files):
    """Neither is chosen, and no case is made of each; extension= says which."""
    bids = Dataset(tree([f"sub-01/{each}" for each in files]))

    with pytest.raises(CasesError, match="2 files are one x: 'sub-01"):
        bids.cases(x=query)
    if "run" not in files[0]:
        extension = files[0].partition(".")[2]
        assert 1 == len(bids.cases(x={**query, "extension": f".{extension}"}))


def test_field_maps_go_by_what_they_say(tree):
    """The one intended for a run is joined with it, though all are of one session."""
    files = {f"sub-01/func/sub-01_task-x_run-{n}_bold.nii.gz": None for n in (1, 2, 3)}
    for n in (1, 2):
        files[f"sub-01/fmap/sub-01_run-{n}_epi.nii.gz"] = None
        files[f"sub-01/fmap/sub-01_run-{n}_epi.json"] = {
            "IntendedFor": f"bids::sub-01/func/sub-01_task-x_run-{3 - n}_bold.nii.gz"
        }
    bids = Dataset(tree(files))

    cases = bids.cases(bold=BOLD, fmap={"suffix": "epi"}, optional=["fmap"])
    assert ["sub-01_run-2_epi.nii.gz", "sub-01_run-1_epi.nii.gz", None] == [
        case["fmap"] for case in names(cases)
    ]


def test_events_at_the_root_serve_all(tree):
    """The inheritance principle holds among cases, too."""
    bids = Dataset(
        tree(["task-a_events.tsv", "sub-01/func/sub-01_task-a_bold.nii.gz",
              "sub-02/func/sub-02_task-a_bold.nii.gz", "sub-02/func/sub-02_task-a_events.tsv"])
    )  # fmt: skip

    cases = bids.cases(bold=BOLD, events={"suffix": "events"})
    assert ["task-a_events.tsv", "sub-02_task-a_events.tsv"] == [
        case["events"] for case in names(cases)
    ]


def test_files_that_were_found_elsewhere_can_be_joined(tree):
    """Lists of paths, such as a query of pybids gives, stand where a query could."""
    root = tree(["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/func/sub-01_task-a_bold.nii.gz",
                 "sub-02/anat/sub-02_T1w.nii.gz"])  # fmt: skip
    bids = Dataset(root)
    bold = [root / "sub-01/func/sub-01_task-a_bold.nii.gz"]

    (case,) = bids.cases(bold=bold, t1w=bids.files(suffix="T1w"))
    assert ("01", "sub-01_T1w.nii.gz") == (case["subject"], names([case])[0]["t1w"])


def test_queries_of_pybids(tree):
    """Its BIDSFile and its results are taken by cases, metadata and stages."""
    bids_package = pytest.importorskip("bids", reason="no pybids: pip install pybids")
    root = tree({"sub-01/anat/sub-01_T1w.nii.gz": None, "bold.json": {"RepetitionTime": 2},
                 "sub-01/func/sub-01_task-a_bold.nii.gz": None})  # fmt: skip
    layout = bids_package.BIDSLayout(root, validate=False)
    bids = Dataset(root)
    found = layout.get(suffix="bold", extension=".nii.gz")

    (case,) = bids.cases(bold=found, t1w=layout.get(suffix="T1w"))
    assert bids.cases(bold=BOLD, t1w=T1W) == [case]
    assert {"RepetitionTime": 2} == bids.metadata(found[0])
    assert {"name": found[0].filename} == Stage(os.path.basename, "name").run(found[0])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"bold": None}, TypeError, "bold=None: give what the names of its files say"),
        ({}, TypeError, "got no input"),
        ({"bold": BOLD, "optional": ("blod",)}, TypeError, "did you mean 'bold'"),
        ({"bold": BOLD, "t1w": T1W, "optional": "t1w"}, TypeError, "is one text"),
        ({"bold": BOLD, "optional": ("bold",)}, TypeError, "makes the cases"),
        ({"subject": BOLD}, TypeError, "in by="),
        ({"bold": {"sufix": "bold"}}, TypeError, "did you mean 'suffix'"),
        ({"bold": BOLD, "by": ("subjct",)}, TypeError, "did you mean 'subject'"),
        ({"bold": BOLD, "missing": "ignore"}, ValueError, "'error' or 'skip'"),
    ],
)
def test_what_cannot_be_meant_is_an_error(tree, given, error, message):
    """Misspelt names and impossible wishes are told before anything is joined."""
    with pytest.raises(error, match=message):
        Dataset(tree(["sub-01/func/sub-01_task-a_bold.nii"])).cases(**given)


def test_cases_run(tree, tmp_path):
    """As cases of a map; subjects with and without sessions have folders of their own."""
    bids = Dataset(
        tree({"sub-01/func/sub-01_task-a_bold.nii": "one",
              "sub-02/ses-x/func/sub-02_ses-x_task-a_bold.nii": "two"})
    )  # fmt: skip
    place = tmp_path / "work/sub-{subject}/ses-{session}"
    stage = Stage(lambda bold: Path(bold).read_text(), "text", place, stage_name="read")

    outcome = Pipeline([("start", stage)]).map(bids.cases(bold=BOLD))

    assert ["one", "two"] == [result["text"] for _, result in outcome]
    assert (tmp_path / "work/sub-01/.memori").is_dir()
    assert (tmp_path / "work/sub-02/ses-x/.memori").is_dir()
    assert 0 == Pipeline([("start", stage)]).map(bids.cases(bold=BOLD)).executed


@pytest.mark.parametrize("unlocked", [False, True])
def test_content_that_is_not_here_is_told_before_anything_runs(tree, unlocked):
    """A DataLad dataset lists its files; the error says how to get them."""
    name = "sub-01/func/sub-01_task-a_bold.nii.gz"
    text = "/annex/objects/MD5E-s1--abc.nii.gz\n"
    root = tree({name: text} if unlocked else [])
    if not unlocked:
        (root / name).parent.mkdir(parents=True)
        (root / name).symlink_to("../../.git/annex/objects/a/b/MD5E-s1--abc.nii.gz")
    bids = Dataset(root)

    assert [str(root / name)] == bids.files(suffix="bold")
    with pytest.raises(ContentError, match=r"datalad get .*sub-01_task-a_bold.nii.gz") as caught:
        bids.cases(bold=BOLD)
    assert [str(root / name)] == caught.value.paths
    assert isinstance(caught.value, BIDSError)


def test_metadata_that_are_not_here(tree):
    """A sidecar in git-annex is told as well, and not taken for an empty one."""
    root = tree(["sub-01/func/sub-01_task-a_bold.nii.gz"])
    (root / "bold.json").symlink_to(".git/annex/objects/x")

    with pytest.raises(ContentError, match=r"datalad get .*bold.json"):
        Dataset(root).metadata("sub-01/func/sub-01_task-a_bold.nii.gz")


def test_cases_are_json_for_a_stage(tree):
    """What a case holds passes between processes, and as text."""
    bids = Dataset(tree(["sub-01/func/sub-01_task-a_bold.nii"]))
    (case,) = bids.cases(bold=BOLD)

    again = pickle.loads(pickle.dumps(case))
    assert (case, bids) == (again, again["bold"].dataset)
    assert case == json.loads(json.dumps(case))


PREPROC, MASK = {"suffix": "bold", "desc": "preproc"}, {"suffix": "mask", "desc": "brain"}


def test_what_both_queries_fix_is_not_compared(tree):
    """A mask belongs to its image, a phase to its magnitude, a later session to an earlier one."""
    stem = "sub-01/ses-1/func/sub-01_ses-1_task-rest_"
    bids = Dataset(
        tree(
            [
                *(f"{stem}run-{run}_desc-preproc_bold.nii.gz" for run in (1, 2)),
                *(f"{stem}run-{run}_desc-brain_mask.nii.gz" for run in (1, 2)),
                "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
                "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
            ]
        )
    )
    masks = [f"sub-01_ses-1_task-rest_run-{run}_desc-brain_mask.nii.gz" for run in (1, 2)]

    found = names(bids.cases(bold=PREPROC, mask=MASK))
    assert masks == [case["mask"] for case in found]
    found = names(bids.cases(bold=bids.files(**PREPROC), mask=bids.files(**MASK)))
    assert masks == [case["mask"] for case in found]
    (case,) = bids.cases(pre=T1W | {"session": 1}, post=T1W | {"session": "2"}, by=["subject"])
    assert ("1", "2") == (case["pre"].session, case["post"].session)
    for query in ({"suffix": "mask", "desc": "brain", "run": 1}, bids.files(suffix="mask", run=1)):
        with pytest.raises(CasesError, match="no mask"):  # run 1 is not for run 2
            bids.cases(bold=PREPROC, mask=query)


def test_several_labels_are_joined_by(tree):
    """A query that names subjects or tasks takes of each what is its own."""
    bids = Dataset(
        tree(
            f"sub-{subject}/func/sub-{subject}_task-{task}_{suffix}.nii.gz"
            for subject in ("01", "02")
            for task in ("a", "b")
            for suffix in ("bold", "sbref")
        )
    )
    both = {"subject": ["01", "02"], "task": ["a", "b"]}

    cases = bids.cases(bold={"suffix": "bold"} | both, sbref={"suffix": "sbref"} | both)
    assert 4 == len(cases)
    assert all(case["bold"].entities == case["sbref"].entities for case in cases)


def test_where_tells_what_is_nowhere(tree):
    """A wanted subject or session that nobody has is an error; one that lacks nothing is none."""
    bids = Dataset(
        tree(
            [
                "sub-01/ses-pre/func/sub-01_ses-pre_task-rest_bold.nii.gz",
                "sub-02/func/sub-02_task-rest_bold.nii.gz",
            ]
        )
    )

    (case,) = bids.cases(bold=BOLD, where={"session": None})
    assert "02" == case["subject"]
    with pytest.raises(CasesError, match=r"sub-1: none is there, .*did you mean '01'"):
        bids.cases(bold=BOLD, where={"subject": ["1", "sub-02"]})
    with pytest.raises(CasesError, match=r"ses-prae: none is there, .*did you mean 'pre'"):
        bids.cases(bold=BOLD, where={"session": "prae"})
    with pytest.warns(MemoriWarning, match="sub-10: none is there|sub-10 is left out"):
        cases = bids.cases(bold=BOLD, where={"subject": ["02", "10"]}, missing="skip")
    assert ["02"] == [case["subject"] for case in cases]


def test_one_text_and_files_that_are_not_there(tree):
    """A text where names are expected is not read by letters, and no path is made of a suffix."""
    bids = Dataset(tree(["sub-01/func/sub-01_task-rest_bold.nii.gz"]))

    with pytest.raises(TypeError, match=r"by='subject' is one text; expected names"):
        bids.cases(bold=BOLD, by="subject")
    with pytest.raises(FileNotFoundError, match=r"bold=dict\(suffix='bold'\)"):
        bids.cases(bold="bold")


def test_a_stage_is_given_a_plain_path(tree, tmp_path):
    """A stage reads what the name says by making a BIDSFile of the path, as the docs say."""
    bids = Dataset(tree(["sub-01/func/sub-01_task-rest_bold.nii.gz"]))

    def label(bold):
        return type(bold).__name__, BIDSFile(bold).subject

    result = Stage(label, stage_outputs=["kind", "subject"], hash_output=tmp_path / "work").run(
        bids.one(suffix="bold")
    )
    assert ("str", "01") == (result["kind"], result["subject"])
