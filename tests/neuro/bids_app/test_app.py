"""An app as it is called: what it runs, says, writes and exits with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Pipeline, Stage, when
from memori.neuro import app
from tests.neuro.bids_app.measure import describe, length, pipeline

CASES = ["sub-01_task-rest_run-01", "sub-01_task-rest_run-02", "sub-02_ses-pre_task-nback_acq-fast",
         "sub-02_ses-pre_task-rest", "sub-02_ses-post_task-rest"]  # fmt: skip
ROOT = Path(__file__).parents[3]


def saved(folder):
    """The derivatives of a folder, by name."""
    found = folder.rglob("*_desc-length_stat.json")
    return sorted(path.name.partition("_desc-")[0] for path in found if ".memori" not in path.parts)


def everything(folder):
    """All files below a folder with what they hold."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--participant-label", "1"], "no participant '1' in"),
        (["--participant-label", "1"], "did you mean '01'?"),
        (["--participant-label", "01", "sub-011"], "did you mean '01'?"),
        (["--session-label", "prae"], "did you mean 'pre'?"),
        (["--task-id", "resting"], "did you mean 'rest'?"),
        (["--participant-lable", "01"], "did you mean --participant-label?"),
        (["\u2013-skip-bids-validation"], "type '--skip-bids-validation'"),
        (["--mem", "lots"], "'lots' is no size"),
        (["--nprocs", "0"], "no number of processors"),
        (["--scale", "big"], "invalid int value"),
        (["--bids-filter-file", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_wrong_words_are_told_in_one_line_before_anything_runs(run, tmp_path, words, said):
    """The exit code is 2, and the nearest that there is is named."""
    ran = run(*words)

    assert 2 == ran.code
    assert said in ran.err
    assert 1 == len(ran.err.splitlines())
    assert ran.err.startswith("measure: ")
    assert not (tmp_path / "out").exists()


def test_options_before_the_positionals_are_explained(bids, capsys):
    """`--participant-label 01 BIDS OUT participant` takes all of it for labels."""
    with pytest.raises(SystemExit) as ended:
        app(pipeline, {"bold": {}}, {}, arguments=["--participant-label", "01", str(bids), "o",
                                                   "participant"])  # fmt: skip

    assert 2 == ended.value.code
    assert "first, before options that take several values" in capsys.readouterr().err


def test_a_participant_that_is_asked_for_and_has_no_data_failed(run):
    """Left out is only what nobody named."""
    ran = run("--participant-label", "03", "01")

    assert 1 == ran.code
    assert "sub-03: FAILED: no bold" in ran.err
    assert "measure: 1 participant failed: sub-03" == ran.err.splitlines()[-1]
    assert "2 cases: 2 ran" in ran.out


def test_a_failed_participant_does_not_stop_the_others(run, bids, tmp_path):
    """It is named at the end, has a crash file where fMRIPrep has it, and the exit code is 1."""
    (bids / "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz").write_bytes(b"")

    ran = run("--nprocs", "2")

    assert 1 == ran.code
    assert sorted(CASES[1:]) == saved(tmp_path / "out")
    assert "measure: 1 participant failed: sub-01" == ran.err.splitlines()[-1]
    (crash,) = (tmp_path / "out/sub-01/log").rglob("crash-*.txt")
    assert "ValueError" in crash.read_text()
    assert "--participant-label 01" in crash.read_text()
    (log,) = (tmp_path / "out/logs").iterdir()
    assert "sub-01_task-rest_run-01: FAILED" in log.read_text()
    assert log.read_text().startswith("$ measure ")


def test_what_is_mended_runs_alone(run, bids):
    """After a failure the same call runs what failed, and nothing else."""
    path = bids / "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz"
    path.write_bytes(b"")
    run()
    path.write_bytes(b"mended")

    ran = run()

    assert 0 == ran.code
    assert "5 cases: 1 ran, 4 remembered, 0 failed" in ran.out


def test_what_is_wrong_with_one_participant_is_its_own(run, bids, tmp_path):
    """Two T1w where one is expected: that participant fails, the others run."""
    (bids / "sub-01/anat/sub-01_acq-b_T1w.nii.gz").write_bytes(b"another")
    (bids / "sub-02/ses-pre/anat/sub-02_ses-pre_T1w.nii.gz").rename(
        bids / "sub-02/sub-02_T1w.nii.gz"
    )
    (bids / "sub-02/anat").mkdir()
    (bids / "sub-02/sub-02_T1w.nii.gz").rename(bids / "sub-02/anat/sub-02_T1w.nii.gz")
    made = Pipeline([("start", Stage(length, "length", scale=1, hash_output="x{subject}"))])

    ran = run(inputs={"bold": {"suffix": "bold"}, "t1w": {"suffix": "T1w"}}, made=made)

    assert 1 == ran.code
    assert "sub-01: FAILED: 2 files could be t1w" in ran.err
    assert sorted(CASES[2:]) == saved(tmp_path / "out")


def test_a_file_whose_content_is_elsewhere_is_its_participants_own(run, bids, tmp_path):
    """Of a DataLad clone with one participant's data that participant runs."""
    path = bids / "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/xx/yy/SHA256E-s10--abc/SHA256E-s10--abc")

    whole, one = run(), run("--participant-label", "02")

    assert 1 == whole.code
    assert 0 == one.code
    assert "datalad get" in whole.err
    assert sorted(CASES[2:]) == saved(tmp_path / "out")


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


def test_a_group_that_fails_is_an_error(run):
    """It is told in a line, with a file that says more."""

    def broken(length):
        raise RuntimeError("no such group")

    ran = run(level="group", group=Stage(broken, "total", hash_output="group"))

    assert 1 == ran.code
    assert "group: FAILED: RuntimeError: no such group" in ran.err


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


@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (lambda root: root / "nowhere", 2, "is no folder"),
        (lambda root: root, 1, "no BIDS dataset at"),
        (lambda root: describe(root) or root, 1, "has no participants"),
    ],
)
def test_what_is_no_dataset_is_told_in_one_line(run, tmp_path, prepare, code, said):
    """A folder that is not there, that is no dataset, that has no participants."""
    (tmp_path / "empty").mkdir()

    ran = run(bids_dir=prepare(tmp_path / "empty"))

    assert code == ran.code
    assert said in ran.err
    assert 1 == len(ran.err.splitlines())


def test_a_dataset_with_nothing_for_the_app(run):
    """No participant has what the app takes: that is an error, not a success of nothing."""
    ran = run(inputs={"bold": {"suffix": "asl"}})

    assert 1 == ran.code
    assert "there is nothing to do" in ran.err


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


def test_options_of_the_pipeline(run):
    """What the function that makes the pipeline takes counts, as everywhere."""
    run()

    changed, back = run("--scale", "2"), run("--scale=1")

    assert "5 ran, 0 remembered" in changed.out
    assert "0 ran, 5 remembered" in back.out
    assert "--scale SCALE" in run("--help").out


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


def test_stages_remember_in_the_work_folder(run, tmp_path, monkeypatch):
    """Nothing is written beside it, wherever the app is called, and stages are as they were."""
    monkeypatch.chdir(tmp_path)
    stage = Stage(length, "length", scale=1, hash_output="deep/sub-{subject}")

    assert 0 == run(made=Pipeline([("start", stage)]), work="scratch {x}").code
    assert "deep/sub-{subject}" == stage.hash_output
    assert {"my study", "out", "scratch {x}"} == set(os.listdir(tmp_path))
    assert {"sub-01", "sub-02"} == set(os.listdir(tmp_path / "scratch {x}/deep"))


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


def test_a_fault_of_the_app_is_raised(run):
    """An output that the pipeline has not got is for who writes the app, with a traceback."""
    with pytest.raises(TypeError, match="no output 'lenght' to save"):
        run(outputs={"lenght": {"desc": "x"}})


SCRIPT = """
import sys, time
from memori import Pipeline, Stage
from memori.neuro import app


def length(bold):
    time.sleep(0.2)
    with open(bold) as stream:
        return {"length": len(stream.read())}

if __name__ == "__main__":
    pipeline = Pipeline([("start", Stage(length, "length", hash_output="sub-{subject}"))])
    app(pipeline, {"bold": {"suffix": "bold"}}, {"length": {"desc": "length", "suffix": "stat"}})
"""


def test_two_calls_at_once(tmp_path, bids):
    """Both succeed, and together they leave what one would."""
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT)
    words = [sys.executable, script, bids, "out", "participant", "--skip-bids-validation"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}

    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **options) for _ in "ab"]

    assert [("", 0), ("", 0)] == [(each.communicate()[1], each.returncode) for each in both]
    assert sorted(CASES) == saved(tmp_path / "out")


def test_a_file_of_somebody_elses_is_not_overwritten(run, tmp_path):
    """That participant failed, the others are saved, and the file is as it was."""
    path = tmp_path / "out/sub-01/func/sub-01_task-rest_run-01_desc-length_stat.json"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    describe(tmp_path / "out", DatasetType="derivative")

    ran = run()

    assert 1 == ran.code
    assert "not saved: " in ran.err
    assert "memori has no record of having written it" in ran.err
    assert "mine" == path.read_text()
    assert sorted(CASES) == saved(tmp_path / "out")


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


def test_derivatives_of_others_are_an_input_too(run, bids, tmp_path):
    """An app may run over what fMRIPrep made."""
    describe(bids, DatasetType="derivative", GeneratedBy=[{"Name": "fMRIPrep"}])
    for path in bids.rglob("*_bold.nii.gz"):
        path.rename(path.with_name(path.name.replace("_bold", "_space-MNI_desc-preproc_bold")))

    ran = run("--task-id", "rest", inputs={"bold": {"suffix": "bold", "desc": "preproc"}})

    assert 0 == ran.code, ran
    assert 4 == len(saved(tmp_path / "out"))


def test_ctrl_c_ends_it_with_130_and_the_next_call_goes_on(tmp_path, bids):
    """What was done is remembered."""
    import signal

    script = tmp_path / "measure.py"
    script.write_text(
        SCRIPT.replace(
            "time.sleep(0.2)",
            "open('begun', 'a').write('x')\n    time.sleep(60 if 'run-02' in bold else 0)",
        )
    )
    words = [sys.executable, script, bids, "out", "participant", "--skip-bids-validation"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}

    begun = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **options)
    while not (tmp_path / "begun").exists() or (tmp_path / "begun").stat().st_size < 2:
        assert begun.poll() is None
    begun.send_signal(signal.SIGINT)
    told = begun.communicate()[1]

    assert 130 == begun.returncode, told
    assert "interrupted; what was done is remembered" in told.splitlines()[-1]
    assert 1 == len(list((tmp_path / "work/sub-01/.memori/stages/length").glob("??/*-*.json")))
