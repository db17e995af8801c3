"""`--bids-filter-file`: what fMRIPrep's grammar finds, by what pybids finds with it."""

import json

import pytest

from memori.neuro import Dataset
from memori.neuro.bids_app.errors import AppError
from memori.neuro.bids_app.filters import narrowed, read_filters

NAMES = [
    "sub-01/anat/sub-01_T1w",
    "sub-01/ses-a/anat/sub-01_ses-a_acq-mp2rage_T1w",
    "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-01_bold",
    "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-2_bold",
    "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-2_part-phase_bold",
    "sub-01/ses-b/func/sub-01_ses-b_task-nback_acq-fast_bold",
    "sub-01/ses-b/func/sub-01_ses-b_task-restingstate_echo-1_bold",
    "sub-01/ses-b/func/sub-01_ses-b_task-restingstate_echo-2_bold",
]
QUERIES = {"bold": {"suffix": "bold"}, "t1w": {"suffix": "T1w"}}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "ds"
    for name in NAMES:
        path = root / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return root


def found(root, tmp_path, name, filter_):
    """The names of the files that an input has with a filter."""
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({name: filter_}))
    filters = read_filters(str(path), QUERIES, pytest.fail)
    query = narrowed(Dataset(root), QUERIES[name], filters[name], ["sub", "ses"])
    files = Dataset(root).files(**query) if isinstance(query, dict) else query
    return sorted(file.rpartition("/")[2] for file in files)


def found_by_pybids(root, name, filter_):
    """The same as fMRIPrep asks pybids: null is Query.NONE, a star Query.ANY, in lists too."""
    layout = pytest.importorskip("bids.layout", reason="no pybids")
    words = {None: layout.Query.NONE, "*": layout.Query.ANY}
    query = {
        entity: [words.get(each, each) for each in value]
        if isinstance(value, list)
        else words.get(value, value)
        for entity, value in filter_.items()
    }
    default = {"suffix": QUERIES[name]["suffix"], "extension": [".nii", ".nii.gz"]}
    files = layout.BIDSLayout(root, validate=False).get(**{**default, **query})
    return sorted(file.filename for file in files)


@pytest.mark.parametrize(
    ("name", "filter_"),
    [
        ("bold", {}),
        ("bold", {"session": "a"}),
        ("bold", {"session": ["a", "b"], "task": "rest"}),
        ("bold", {"datatype": "func", "suffix": "bold", "task": "nback"}),
        ("bold", {"run": 1}),
        ("bold", {"run": "01"}),
        ("bold", {"run": [1, 2]}),
        ("bold", {"run": 2, "part": None}),
        ("bold", {"part": None}),
        ("bold", {"acquisition": "*"}),
        ("bold", {"acquisition": None, "run": "*"}),
        ("bold", {"echo": "*"}),
        ("bold", {"echo": [None, 1]}),
        ("bold", {"part": [None, "phase"]}),
        ("bold", {"task": "rest.*", "regex_search": True}),
        ("bold", {"task": "^rest$", "regex_search": True}),
        ("bold", {"task": ["^n", "state$"], "regex_search": True}),
        ("bold", {"session": "*"}),
        ("bold", {"extension": ".nii.gz"}),
        ("t1w", {"acquisition": None}),
        ("t1w", {"session": None}),
        ("t1w", {"session": "*"}),
        ("t1w", {"session": "a", "acquisition": "mp2rage", "suffix": "T1w"}),
    ],
)
def test_a_filter_finds_what_pybids_finds(root, tmp_path, name, filter_):
    assert found_by_pybids(root, name, filter_) == found(root, tmp_path, name, filter_)


def test_a_filter_may_be_written_with_the_words_of_pybids(root, tmp_path):
    """`Query.NONE` and `Query.ANY` as texts, as older pages have them."""
    assert found(root, tmp_path, "t1w", {"session": None}) == found(
        root, tmp_path, "t1w", {"session": "Query.NONE"}
    )
    assert found(root, tmp_path, "bold", {"run": "*"}) == found(
        root, tmp_path, "bold", {"run": "Query.ANY"}
    )


def test_a_session_of_the_t1w_serves_all_runs(run, tmp_path, bids):
    """`{"t1w": {"session": "pre"}}`: the runs of another session get that T1w."""
    path = tmp_path / "filter.json"
    path.write_text('{"T1w": {"session": "pre"}, "bold": {"session": ["pre", "post"]}}')
    found = []

    def outputs(case):
        found.append((case["session"], case["t1w"].rpartition("/")[2]))
        return {"length": {"desc": "length", "suffix": "stat"}}

    ran = run(
        "--bids-filter-file", path, "--participant-label", "02", "--task-id", "rest",
        inputs={"bold": {"suffix": "bold"}, "t1w": {"suffix": "T1w"}}, outputs=outputs,
    )  # fmt: skip

    assert 0 == ran.code, ran
    name = "sub-02_ses-pre_T1w.nii.gz"
    assert {("pre", name), ("post", name)} == set(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"bold": {"run": 2},}', "it is no JSON: "),
        ("[]", "expected an object of objects"),
        ('{"bold": "rest"}', "expected an object of objects"),
        ('{"blod": {}}', "did you mean 'bold'?"),
        ('{"bold": {"sesion": "a"}}', "did you mean 'session'?"),
        ('{"bold": {"run": {"min": 2}}}', "run is {'min': 2}; expected a label"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(tmp_path, text, said):
    """With the file, and the nearest name."""
    path = tmp_path / "filter.json"
    path.write_text(text)

    with pytest.raises(AppError, match=r"filter\.json") as raised:
        read_filters(str(path), QUERIES, pytest.fail)

    assert said in str(raised.value)
    assert 2 == raised.value.code


def test_inputs_of_other_apps_are_left_alone(tmp_path):
    """A lab has one file for fMRIPrep and all others."""
    path = tmp_path / "filter.json"
    path.write_text('{"flair": {"session": "a"}, "t1w": {"acquisition": null}}')
    notes = []

    filters = read_filters(str(path), QUERIES, notes.append)

    assert {"t1w": {"acq": None}} == filters
    assert ["the filters for 'flair' are for nothing: the app has no such input"] == notes
