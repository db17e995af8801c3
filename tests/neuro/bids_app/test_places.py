"""Where an app reads, remembers and writes, and where it does not."""

import json
import os

import pytest

from memori import Each, Pipeline, Stage
from tests.neuro.bids_app.measure import (
    CASES,
    describe,
    everything,
    length,
    saved,
)


@pytest.mark.parametrize("place", ["", "out", "sub-01/out", "code/../out"])
def test_nothing_is_written_into_the_dataset(run, bids, place):
    """OUT_DIR and the work folder lie outside, or below derivatives."""
    before = everything(bids)

    assert 2 == run(out=bids / place).code
    ran = run(work=bids / place)

    assert 2 == ran.code
    assert "which nothing is written to" in ran.err
    assert before == everything(bids)


def test_derivatives_of_the_dataset_are_a_place(run, bids):
    """`BIDS/derivatives/NAME`, with the work folder beside it."""
    ran = run(out=bids / "derivatives/measure", work=bids / "derivatives/work")

    assert 0 == ran.code
    assert sorted(CASES) == saved(bids / "derivatives/measure")
    assert "0 ran, 5 remembered" in run(
        out=bids / "derivatives/measure", work=bids / "derivatives/work"
    ).out  # fmt: skip


def test_an_existing_description_stays(run, tmp_path):
    """Of another pipeline's derivatives what they say is kept, and what is new is added."""
    describe(tmp_path / "out", DatasetType="derivative", GeneratedBy=[{"Name": "fMRIPrep"}])

    assert 0 == run(version="1.0").code
    said = json.loads((tmp_path / "out/dataset_description.json").read_text())
    assert ["fMRIPrep", "measure"] == [each["Name"] for each in said["GeneratedBy"]]


def test_a_raw_dataset_is_no_place_for_derivatives(run, tmp_path):
    """Whatever says that it is raw is not written to."""
    describe(tmp_path / "out", DatasetType="raw")

    ran = run()

    assert 1 == ran.code
    assert "looks like a raw dataset" in ran.err
    assert 1 == len(ran.err.splitlines())


def test_input_that_cannot_be_written_to(run, bids, tmp_path):
    """A dataset may be mounted read-only."""
    for path in [bids, *bids.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        ran = run()
    finally:
        for path in [bids, *bids.rglob("*")]:
            path.chmod(0o755)

    assert 0 == ran.code, ran
    assert sorted(CASES) == saved(tmp_path / "out")


def test_stages_remember_in_the_work_folder(run, tmp_path, monkeypatch):
    """Nothing is written beside it, wherever the app is called, and stages are as they were."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(length, "length", scale=1, hash_output="deep/sub-{subject}")

    assert 0 == run(made=Pipeline([("start", stage)]), work="scratch {x}").code
    assert "deep/sub-{subject}" == stage.hash_output
    assert {"my study", "out", "scratch {x}"} == set(os.listdir(tmp_path))
    assert {"sub-01", "sub-02"} == set(os.listdir(tmp_path / "scratch {x}/deep"))


def test_what_a_lab_remembers_serves_an_app_too(run, tmp_path):
    """A further place of a stage is looked in, and is the same after the call."""
    run(work=tmp_path / "lab")
    places = ["sub-{subject}/ses-{session}", f"{tmp_path}/lab/sub-{{subject}}/ses-{{session}}"]
    stage = Stage(length, "length", scale=1, hash_output=places)

    ran = run(made=Pipeline([("start", stage)]), work=tmp_path / "own")

    assert "0 ran, 5 remembered" in ran.out
    assert places == [stage.hash_output, *stage.further_places]


def test_a_work_folder_in_the_derivatives_is_none_of_them(run, tmp_path):
    """`-w OUT/work`, as many have it: the validator passes it by."""
    assert 0 == run(work=tmp_path / "out" / "work").code
    assert "work" in (tmp_path / "out/.bidsignore").read_text().splitlines()
    assert "5 remembered" in run(work=tmp_path / "out" / "work").out
    assert 2 == run(work=tmp_path / "out").code


def test_a_place_that_cannot_be_made_is_told(run, tmp_path):
    """In one line, before anything runs."""
    (tmp_path / "taken").write_text("a file")

    ran = run(out=tmp_path / "taken")

    assert 1 == ran.code
    assert "cannot be made: File exists" in ran.err
    assert 1 == len(ran.err.splitlines())


def test_stages_over_lists_and_inner_pipelines_remember_there_too(run, tmp_path, monkeypatch):
    """`Each` and a pipeline in a pipeline: all of their stages, and as they were afterwards."""
    monkeypatch.chdir(tmp_path)
    listed = Stage(lambda bold: [bold, bold], "files", "listed/{subject}", stage_name="list")
    each = Stage(length, "length", "each/{subject}", scale=1)
    joined = Stage(lambda length: {"all": length}, "joined", "join/{subject}", stage_name="join")
    inner = Pipeline(
        [("start", listed), (listed, over := Each(each, bold="files")), (over, joined)]
    )

    ran = run(
        made=Pipeline([("start", inner)]),
        outputs={"joined": {"desc": "length", "suffix": "stat"}},
        group=None, group_outputs=None,
    )  # fmt: skip

    assert 0 == ran.code, ran
    assert "sub-01_task-rest_run-01: ran list length join\n" in ran.out
    assert {"listed", "each", "join"} == set(os.listdir(tmp_path / "work"))
    assert {"my study", "out", "work"} == set(os.listdir(tmp_path))
    assert "each/{subject}" == each.hash_output
