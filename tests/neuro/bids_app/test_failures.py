"""What goes wrong: whose fault it is, what is told, and what goes on all the same."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memori import Pipeline, Stage
from memori.neuro import app
from tests.neuro.bids_app.measure import (
    CASES,
    SCRIPT,
    describe,
    length,
    pipeline,
    saved,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--participant-label", "1"], "no participant '1' in"),
        (["--participant-label", "1"], "did you mean '01'?"),
        (["--participant-label", "01", "sub-011"], "did you mean '01'?"),
        (["--participant-label", ""], "a label of sub- is empty"),
        (["--participant-label", "01,,02"], "a label of sub- is empty"),
        (["--session-label", "prae"], "did you mean 'pre'?"),
        (["--task-id", "resting"], "did you mean 'rest'?"),
        (["--participant-lable", "01"], "did you mean --participant-label?"),
        (["\u2013-skip-bids-validation"], "type '--skip-bids-validation'"),
        (["--mem", "lots"], "'lots' is no size"),
        (["--nprocs", "0"], "no number of processors"),
        (["--nprocs", "two"], "'two' is no number of processors"),
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


def test_a_group_that_fails_is_an_error(run):
    """It is told in a line, with a file that says more."""

    def broken(length):
        raise RuntimeError("no such group")

    ran = run(level="group", group=Stage(broken, "total", hash_output="group"))

    assert 1 == ran.code
    assert "group: FAILED: RuntimeError: no such group" in ran.err


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


def test_a_fault_of_the_app_is_raised(run):
    """An output that the pipeline has not got is for who writes the app, with a traceback."""
    with pytest.raises(TypeError, match="no output 'lenght' to save"):
        run(outputs={"lenght": {"desc": "x"}})


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


def test_ctrl_c_ends_it_and_the_next_call_goes_on(tmp_path, bids):
    """By the signal, so that a script around it ends, too. What was done is remembered."""
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

    assert -signal.SIGINT == begun.returncode, told
    assert "interrupted; what was done is remembered" in told.splitlines()[-1]
    assert 1 == len(list((tmp_path / "work/sub-01/.memori/stages/length").glob("??/*-*.json")))


def test_a_terminal_that_goes_away_ends_no_app(tmp_path, bids):
    """A connection is lost, and the app goes on below `nohup`; its log has what it says."""
    script = tmp_path / "measure.py"
    waits = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    while not os.path.exists('gone'): "
    script.write_text(
        SCRIPT.replace("import sys", "import os, signal, sys")
        .replace("time.sleep(0.2)", "time.sleep(0.01)")
        .replace("    pipeline =", f"    {waits}time.sleep(0.01)\n    pipeline =")
    )
    words = [sys.executable, script, bids, "out", "participant", "--skip-bids-validation"]
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    begun = subprocess.Popen(words, cwd=tmp_path, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.close(ours)
    (tmp_path / "gone").touch()

    assert 0 == begun.wait(timeout=100)
    assert sorted(CASES) == saved(tmp_path / "out")


def test_an_input_that_the_pipeline_does_not_take_is_told(run):
    """The name that is missing and the names that the app gives stand side by side."""
    with pytest.raises(TypeError, match="needs 'bold'") as caught:
        run(inputs={"image": {"suffix": "bold"}})

    assert "image; see its `inputs`" in caught.value.__notes__[-1]


def test_runs_that_are_saved_under_one_name_are_told(run):
    """Named after the T1w, of which a subject has one, the last run would be left alone."""
    stage = Stage(lambda bold: int(bold[-len("1_bold.nii.gz")]), "length")
    inputs = {"bold": {"suffix": "bold"}, "t1w": {"suffix": "T1w"}}
    made = Pipeline([("start", stage)])

    ran = run("--participant-label", "01", source="t1w", inputs=inputs, made=made)

    assert 1 == ran.code
    assert "tell them apart by desc=... or another source" in ran.err
