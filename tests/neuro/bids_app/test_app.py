"""An app as it is called: what it runs, says, writes and exits with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Pipeline, Stage, when
from tests.neuro.bids_app.measure import (
    CASES,
    SCRIPT,
    describe,
    everything,
    length,
    saved,
)

ROOT = Path(__file__).parents[3]


def test_it_runs_all_and_saves_derivatives(run, tmp_path):
    """All participants by default; one without a run is left out, which is said."""
    ran = run()

    assert 0 == ran.code, ran
    assert sorted(CASES) == saved(tmp_path / "out")
    assert "5 cases: 5 ran, 0 remembered, 0 failed" in ran.out
    assert "sub-03: left out, no bold (suffix='bold')" in ran.out
    said = json.loads((tmp_path / "out/dataset_description.json").read_text())
    assert "derivative" == said["DatasetType"]


def test_a_second_call_does_nothing_but_say_so(run, tmp_path):
    """Not a byte of the derivatives changes, and no log is left of it."""
    run()
    before = everything(tmp_path / "out")

    ran = run()

    assert 0 == ran.code
    assert "5 cases: 0 ran, 5 remembered, 0 failed" in ran.out
    assert "nothing to do" in ran.out
    assert before == everything(tmp_path / "out")


@pytest.mark.parametrize(
    "words", [["sub-01", "02"], ["01", "sub-02"], ["01,02"], ["sub-02", "sub-01", "01"]]
)
def test_labels_come_with_and_without_their_prefix(run, tmp_path, words):
    """Several after blanks or commas, in either spelling, under either name of the option."""
    assert 0 == run("--participant-label", *words).code
    assert sorted(CASES) == saved(tmp_path / "out")
    assert "0 ran, 5 remembered" in run("--participant_label", *words).out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--session-label", "pre"], CASES[2:4]),
        (["--session-id", "ses-pre", "post"], CASES[2:5]),
        (["--task-id", "nback"], CASES[2:3]),
        (["-t", "task-rest", "--session_label", "post"], CASES[4:5]),
    ],
)
def test_sessions_and_tasks_are_chosen(run, tmp_path, words, expected):
    """Participants without such a session or task are left out."""
    ran = run(*words)

    assert 0 == ran.code, ran
    assert sorted(expected) == saved(tmp_path / "out")
    assert "sub-01: left out" in ran.out or "rest" in words


def test_the_group_is_the_reduce_stage(run, tmp_path):
    """It is given lists of what all made, and is remembered; its derivative is nobody's own."""
    run()

    first, again = run(level="group"), run(level="group")

    assert 0 == first.code == again.code
    assert "group: of 5 of 5\n  ran: total" in first.out
    assert "  remembered\n" in again.out.partition("group: of")[2]
    (path,) = (tmp_path / "out").glob("func/desc-total_stat.json")
    assert ["01", "01", "02", "02", "02"] == json.loads(path.read_text())["of"]


def test_the_group_leaves_out_who_failed_and_says_so(run, bids, tmp_path):
    """The exit code is 1, the group is made of the others, and made anew once all is well."""
    path = bids / "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz"
    path.write_bytes(b"")
    ran = run(level="group")
    assert 1 == ran.code
    assert "group: of 4 of 5" in ran.out
    path.write_bytes(b"mended")

    assert 0 == run(level="group").code
    (path,) = (tmp_path / "out").glob("func/desc-total_stat.json")
    assert 5 == len(json.loads(path.read_text())["of"])


def test_a_group_of_one_is_of_no_participant(run, tmp_path):
    """The name says so whether one or many took part."""
    run("--participant-label", "02", "--session-label", "post", level="group")

    assert ["ses-post_task-rest_desc-total_stat.json"] == os.listdir(tmp_path / "out/func")


def test_options_of_the_pipeline(run):
    """What the function that makes the pipeline takes counts, as everywhere."""
    run()

    changed, back = run("--scale", "2"), run("--scale=1")

    assert "5 ran, 0 remembered" in changed.out
    assert "0 ran, 5 remembered" in back.out
    assert "--scale SCALE" in run("--help").out


def test_a_call_that_only_saves_says_so(run, tmp_path):
    """Options of an earlier call bring back what it saved, as a deleted derivative comes back."""
    run()
    first, *_ = derivatives = sorted((tmp_path / "out").glob("sub-*/**/*_desc-length_stat.json"))
    before = [path.read_bytes() for path in derivatives]
    run("--scale", "2")

    back = run()

    assert before == [path.read_bytes() for path in derivatives]
    assert "nothing ran: 5 cases saved anew from what is remembered" in back.out
    assert 5 == back.out.count(": remembered, saved anew")
    first.unlink()
    assert "nothing ran: 1 case saved anew" in run().out
    assert "nothing to do" in run().out


def test_version_and_help_go_to_stdout_with_code_0(run):
    """Help tells what the app is; the version names the app."""
    helped, version = run("--help", description="Measures files."), run("--version", version="2.1")

    assert 0 == helped.code == version.code
    assert "Measures files." in helped.out
    assert "--participant-label" in helped.out
    assert version.out.startswith("measure 2.1 (memori ")


def test_an_app_without_a_group_has_no_such_level(run):
    """The level is a wrong argument."""
    assert 2 == run(level="group", group=None).code


def test_memory_bounds_what_runs_at_once(run, tmp_path):
    """By what earlier runs took, or else the first run; never less than one."""
    assert 0 == run("--mem", "1M", "--n-jobs", "2").code
    assert "5 remembered" in run("--mem_mb", "8000", "--nprocs", "2").out


def test_a_line_that_holds_for_some_participants(run, tmp_path):
    """One with a T1w alone runs what it has data for."""

    def describe_t1w(t1w):
        return {"t1w": Path(t1w).name}

    anatomy = Stage(describe_t1w, "anatomy", hash_output="sub-{subject}")
    function = Stage(length, "length", scale=1, hash_output="sub-{subject}")
    made = Pipeline([("start", anatomy), ("start", function, when("bold"))])

    ran = run(
        made=made,
        inputs={"t1w": {"suffix": "T1w"}, "bold": {"suffix": "bold", "run": 1}},
        optional=("bold",),
        outputs={"anatomy": {"desc": "a", "suffix": "stat"}, "length": {"desc": "length",
                 "suffix": "stat"}},
        source="t1w",
    )  # fmt: skip

    assert 0 == ran.code, ran
    assert ["sub-01"] == saved(tmp_path / "out")
    assert 3 == len(list((tmp_path / "out").glob("sub-*/**/*_desc-a_stat.json")))


def test_two_calls_at_once(tmp_path, bids):
    """Both succeed, and together they leave what one would."""
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT)
    words = [sys.executable, script, bids, "out", "participant", "--skip-bids-validation"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}

    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **options) for _ in "ab"]

    assert [("", 0), ("", 0)] == [(each.communicate()[1], each.returncode) for each in both]
    assert sorted(CASES) == saved(tmp_path / "out")


def test_derivatives_of_others_are_an_input_too(run, bids, tmp_path):
    """An app may run over what fMRIPrep made."""
    describe(bids, DatasetType="derivative", GeneratedBy=[{"Name": "fMRIPrep"}])
    for path in bids.rglob("*_bold.nii.gz"):
        path.rename(path.with_name(path.name.replace("_bold", "_space-MNI_desc-preproc_bold")))

    ran = run("--task-id", "rest", inputs={"bold": {"suffix": "bold", "desc": "preproc"}})

    assert 0 == ran.code, ran
    assert 4 == len(saved(tmp_path / "out"))
