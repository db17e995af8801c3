"""Derivatives: names made from their source, and files that appear whole."""

import json
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import pytest

from memori import Pipeline, Stage, workdir
from memori.neuro import BIDSFile, Dataset, Derivatives
from memori.neuro.bids import description
from memori.neuro.bids.derivatives import DerivativeError, RawDatasetError

REAL = os.environ.get("MEMORI_TEST_BIDS", "")
BOLD = "ds/sub-01/ses-a/func/sub-01_ses-a_task-rest_run-1_bold.nii.gz"


def contents(folder):
    """Every file below a folder with its bytes."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"desc": "smooth"}, "sub-01_ses-a_task-rest_run-1_desc-smooth_bold.nii.gz"),
        ({"description": "smooth"}, "sub-01_ses-a_task-rest_run-1_desc-smooth_bold.nii.gz"),
        ({"space": "MNI", "acquisition": "x"},
         "sub-01_ses-a_task-rest_acq-x_run-1_space-MNI_bold.nii.gz"),
        ({"run": None, "suffix": "tsnr"}, "sub-01_ses-a_task-rest_tsnr.nii.gz"),
        ({"run": 2, "desc": "x"}, "sub-01_ses-a_task-rest_run-2_desc-x_bold.nii.gz"),
        ({"suffix": "timeseries", "extension": ".tsv"},
         "sub-01_ses-a_task-rest_run-1_timeseries.tsv"),
    ],
)  # fmt: skip
def test_path_keeps_entities_in_their_order(changes, expected):
    """Entities of the source stay, new ones stand where BIDS wants them."""
    assert f"out/sub-01/ses-a/func/{expected}" == Derivatives("out").path(BOLD, **changes)


@pytest.mark.parametrize(
    ("source", "changes", "expected"),
    [
        ("ds/sub-01/anat/sub-01_acq-0.5_T1w.nii", {"acq": "05mm"}, "sub-01_acq-05mm_T1w.nii"),
        ("ds/sub-01/anat/sub-01_acq-high-res_T1w.nii", {"acquisition": None, "desc": "x"},
         "sub-01_desc-x_T1w.nii"),
        ("ds/sub-01/anat/sub-01_cut-2_acq-a_T1w.nii", {"desc": "x"},
         "sub-01_cut-2_acq-a_desc-x_T1w.nii"),
        ("ds/sub-01/anat/sub-01_from-T1w_to-fsnative_mode-image_xfm.txt", {"desc": "x"},
         "sub-01_from-T1w_to-fsnative_mode-image_desc-x_xfm.txt"),
    ],
)  # fmt: skip
def test_what_a_source_says_is_kept_or_replaced_by_name(source, changes, expected):
    """Entities that BIDS does not know stay; labels that it does not admit can be replaced."""
    assert f"out/sub-01/anat/{expected}" == Derivatives("out").path(source, **changes)


def test_a_table_of_a_whole_subject_stays_there():
    """A derivative of sessions.tsv and scans.tsv lies in no datatype's folder either."""
    derivatives = Derivatives("out")

    assert "out/sub-01/sub-01_desc-x_sessions.tsv" == derivatives.path(
        "ds/sub-01/sub-01_sessions.tsv", desc="x"
    )
    assert "out/sub-01/ses-1/sub-01_ses-1_desc-x_scans.tsv" == derivatives.path(
        "ds/sub-01/ses-1/sub-01_ses-1_scans.tsv", desc="x"
    )


def test_path_in_another_datatype():
    """The folder can be another one than the source's."""
    expected = "out/sub-01/ses-a/figures/sub-01_ses-a_task-rest_run-1_bold.png"

    assert expected == Derivatives("out").path(BOLD, datatype="figures", extension=".png")


@pytest.mark.parametrize(
    ("source", "changes", "error", "message"),
    [
        (BOLD, {}, ValueError, "same name as the file itself"),
        (BOLD, {"desc": "a_b"}, ValueError, "no BIDS label"),
        (BOLD, {"desc": "../x"}, ValueError, "no BIDS label"),
        (BOLD, {"desc": "x", "run": "two"}, ValueError, r"run='two' is no BIDS index.*digits only"),
        (BOLD, {"desc": "x", "datatype": "../.."}, ValueError, r"datatype='\.\./\.\.' is no BIDS"),
        (BOLD, {"desc": "x", "datatype": ""}, ValueError, "datatype='' is no BIDS"),
        (BOLD, {"suffix": "../../x"}, ValueError, "is no BIDS suffix"),
        (BOLD, {"extension": "/../../x.nii"}, ValueError, "is no BIDS extension"),
        (BOLD, {"session": "ses-b", "desc": "x"}, ValueError, "session='b'"),
        (BOLD, {"session": "../a"}, ValueError, "session='../a' is no BIDS label"),
        (BOLD, {"sub": ".."}, ValueError, "sub='..' is no BIDS label"),
        ("ds/my images/sub-01_bold.nii", {"desc": "x"}, ValueError, "'my images'.*is no BIDS"),
        ("ds/anat/sub-01_acq-0.5_T1w.nii", {"desc": "x"}, ValueError,
         r"acq='0\.5' is no BIDS label.*letters, digits and \+ only.*acq=\.\.\. for"),
        ("ds/anat/sub-01_brain_T1w.nii", {"desc": "x"}, ValueError, "'brain' in the name of"),
        ("ds/anat/sub-01_acq-a_acq-b_T1w.nii", {"desc": "x"}, ValueError, "'acq-a' in the name"),
        (BOLD, {"dsec": "x"}, TypeError, "did you mean 'desc'"),
        ("image.nii.gz", {"desc": "x"}, ValueError, "no BIDS name"),
    ],
)  # fmt: skip
def test_path_refuses(source, changes, error, message):
    """What would give no BIDS name is an error that says why."""
    with pytest.raises(error, match=message):
        Derivatives("out").path(source, **changes)


def test_path_writes_nothing(tmp_path):
    """Asking for a name leaves the disk alone."""
    Derivatives(tmp_path / "out").path(BOLD, desc="x")

    assert [] == os.listdir(tmp_path)


def test_save_copies_a_file_and_describes_the_dataset(tmp_path):
    """The copy has the value's extension, and the folder says who made it."""
    (tmp_path / "series.npy").write_bytes(b"numbers")
    derivatives = Derivatives(tmp_path / "derivatives/demo")

    saved = derivatives.save(str(tmp_path / "series.npy"), source=BOLD, suffix="timeseries")

    assert b"numbers" == Path(saved).read_bytes()
    assert "sub-01_ses-a_task-rest_run-1_timeseries.npy" == os.path.basename(saved)
    description = json.loads((tmp_path / "derivatives/demo/dataset_description.json").read_text())
    assert ("demo", "derivative", "memori") == (
        description["Name"],
        description["DatasetType"],
        description["GeneratedBy"][0]["Name"],
    )


def test_save_writes_json(tmp_path):
    """A value that is no path is written as JSON."""
    saved = Derivatives(tmp_path).save({"mean": 0.25, "runs": [1, 2]}, source=BOLD, suffix="qc")

    assert saved.endswith("run-1_qc.json")
    assert {"mean": 0.25, "runs": [1, 2]} == json.loads(Path(saved).read_text())


def test_saved_twice_the_bytes_are_the_same_and_the_file_untouched(tmp_path):
    """Two folders of the same results are equal byte for byte; an equal file keeps its time."""
    (tmp_path / "x.nii").write_bytes(b"image")
    for root in ("one", "two"):
        derivatives = Derivatives(tmp_path / root, name="demo")
        derivatives.save(tmp_path / "x.nii", source=BOLD, desc="x")
        derivatives.save({"a": 1}, source=BOLD, suffix="qc")
    before = [os.stat(path).st_ino for path in sorted((tmp_path / "one").rglob("*_*"))]

    Derivatives(tmp_path / "one").save(tmp_path / "x.nii", source=BOLD, desc="x")
    Derivatives(tmp_path / "one").save({"a": 1}, source=BOLD, suffix="qc")

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert before == [os.stat(path).st_ino for path in sorted((tmp_path / "one").rglob("*_*"))]


def test_a_changed_file_of_equal_size_and_time_is_replaced(tmp_path):
    """Bytes are compared, not sizes and times."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")
    source.write_bytes(b"two")
    os.utime(source, ns=(os.stat(saved).st_atime_ns, os.stat(saved).st_mtime_ns))

    Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    assert b"two" == Path(saved).read_bytes()


def test_the_saved_file_is_a_copy(tmp_path):
    """An edit of the derivative does not reach the file it was saved from."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    with open(saved, "ab") as stream:
        stream.write(b" edited")

    assert b"one" == source.read_bytes()


def test_a_copy_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """An interrupted copy leaves the earlier derivative and no partial file."""
    source = tmp_path / "x.nii"
    source.write_bytes(b"one")
    saved = Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")
    source.write_bytes(b"newer")

    def interrupted(source, target):
        Path(target).write_bytes(b"new")
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Derivatives(tmp_path / "out").save(source, source=BOLD, desc="x")

    assert b"one" == Path(saved).read_bytes()
    name = os.path.basename(saved)
    assert [name.replace(".nii", ".json"), name] == sorted(os.listdir(os.path.dirname(saved)))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("nowhere.nii", FileNotFoundError, "no file 'nowhere.nii'"),
        (os.curdir, FileNotFoundError, "is a folder"),
        ({1, 2}, TypeError, "save_array"),
        ({"fd": float("nan")}, ValueError, "no NaN"),
    ],
)
def test_save_refuses_what_it_cannot_save(tmp_path, value, error, message):
    """A missing file and a value that is no JSON are errors, and nothing is left behind."""
    with pytest.raises(error, match=message):
        Derivatives(tmp_path / "out").save(value, source=BOLD, desc="x")

    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"dataset_description.json": '{"Name": "raw", "BIDSVersion": "1.9.0"}'},
        {"dataset_description.json": '{"DatasetType": "raw"}'},
        {"dataset_description.json": '{"DatasetType": "study"}'},
        {"dataset_description.json": '{"GeneratedBy": [{"Name": "HeuDiConv"}]}'},
        {"dataset_description.json": '\ufeff{"DatasetType": "raw", "GeneratedBy": [{}]}'},
        {"dataset_description.json": '["derivative"]'},
        {"dataset_description.json": "broken"},
        {"sub-01": None},
    ],
)
def test_a_raw_dataset_is_refused(tmp_path, files):
    """Derivatives never go into a folder that holds raw images."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8") if text else (tmp_path / name).mkdir()

    with pytest.raises(RawDatasetError, match="raw dataset") as caught:
        Derivatives(tmp_path)

    assert str(tmp_path) == caught.value.root


def test_another_programs_description_is_kept(tmp_path):
    """A description that is there already is not replaced."""
    description = tmp_path / "dataset_description.json"
    description.write_text('{"DatasetType": "derivative", "GeneratedBy": [{"Name": "other"}]}')

    Derivatives(tmp_path).save([1], source=BOLD, suffix="qc")

    assert "other" in description.read_text()


@pytest.fixture
def raw(tmp_path):
    """A raw dataset that a converter made."""
    root = tmp_path / "ds"
    (root / "sub-01/ses-a/func").mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "HeuDiConv"}]}')
    (root / "sub-01/ses-a/func" / os.path.basename(BOLD)).write_bytes(b"bold")
    return root


@pytest.mark.parametrize("place", ["", "sub-01", "sub-01/ses-a/func", "out", "sourcedata/x"])
def test_no_folder_of_a_raw_dataset_takes_derivatives(raw, place, tmp_path):
    """Nor does a link to one; the folder that BIDS has for them is named."""
    (tmp_path / "link").symlink_to(raw)

    for root in (raw / place, tmp_path / "link" / place):
        with pytest.raises(RawDatasetError, match="ds/derivatives/NAME"):
            Derivatives(root)


@pytest.mark.parametrize("place", ["derivatives/demo", "derivatives/a/b", "../derivatives/demo"])
def test_derivatives_lie_below_a_raw_dataset_or_beside_it(raw, place):
    """As BIDS has it, both before they are there and after."""
    for _ in range(2):
        saved = Derivatives(raw / place).save([1], source=raw / BOLD[3:], suffix="qc")

    assert "[\n  1\n]\n" == Path(saved).read_text()


def test_a_link_on_the_way_does_not_lead_into_a_raw_dataset(raw, tmp_path):
    """Subjects' folders are sometimes links to those of the raw dataset."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub-01").symlink_to(raw / "sub-01")
    before = contents(raw)

    with pytest.raises(RawDatasetError):
        Derivatives(tmp_path / "out").save([1], source=raw / BOLD[3:], suffix="qc")
    assert before == contents(raw)


def test_a_dataset_that_became_raw_meanwhile_is_refused(tmp_path):
    """What counts is what is there when something is saved."""
    derivatives = Derivatives(tmp_path / "new")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/dataset_description.json").write_text('{"Name": "x"}')

    with pytest.raises(RawDatasetError):
        derivatives.save([1], source=BOLD, suffix="qc")


# What is overwritten


def test_the_newer_result_of_the_same_source_replaces_the_older(tmp_path):
    """That is what saving again is for."""
    for value in ("one", "two", "three", "one"):
        saved = Derivatives(tmp_path / "out").save([value], source=BOLD, suffix="qc")

        assert [value] == json.loads(Path(saved).read_text())


@pytest.mark.parametrize("value", [["one"], ["two"]])
def test_two_sources_never_share_a_derivative(tmp_path, value):
    """Two datasets, or folders that are not in the name: the second is told of the first."""
    sources = [f"{folder}/sub-01/func/sub-01_bold.nii" for folder in ("a", "b", "a/sub-01/ses-1")]
    derivatives = Derivatives(tmp_path / "out")
    saved = derivatives.save(["one"], source=tmp_path / sources[0], suffix="qc")
    before = contents(tmp_path)

    for other in sources[1:]:
        with pytest.raises(
            DerivativeError, match=r"made from another source, '.*a/sub-01"
        ) as caught:
            derivatives.save(value, source=tmp_path / other, suffix="qc")
    assert (saved, str(tmp_path / other)) == (caught.value.path, caught.value.source)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (saved, str(caught.value)) == (again.path, str(again))
    assert before == contents(tmp_path)


def test_what_others_wrote_or_edited_is_not_overwritten(tmp_path):
    """A mask that was corrected by hand is hours of work."""
    derivatives = Derivatives(tmp_path / "out")
    edited = Path(derivatives.save([1], source=BOLD, suffix="qc"))
    foreign = Path(derivatives.path(BOLD, suffix="mask", extension=".json"))
    foreign.write_text("of another program")
    with pytest.raises(DerivativeError, match="no record of having written it"):
        derivatives.save([1], source=BOLD, suffix="mask")
    edited.write_text("[2]")
    with pytest.raises(DerivativeError, match=r"changed since.*remove the file"):
        derivatives.save([3], source=BOLD, suffix="qc")

    assert ("of another program", "[2]") == (foreign.read_text(), edited.read_text())


def test_a_file_that_was_removed_is_saved_again(tmp_path):
    """As the errors advise, from whichever source."""
    derivatives = Derivatives(tmp_path / "out")
    saved = Path(derivatives.save([1], source=BOLD, suffix="qc"))
    saved.write_text("edited")
    saved.unlink()

    derivatives.save([2], source=f"other/{BOLD}", suffix="qc")

    assert [2] == json.loads(saved.read_text())


def test_a_moved_project_or_dataset_is_the_same_source(raw, tmp_path):
    """All moved together, or the dataset alone under its own name."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.move(raw, project / "ds")
    Derivatives(project / "out").save([1], source=project / BOLD, suffix="qc")
    shutil.move(project, tmp_path / "elsewhere")
    Derivatives(tmp_path / "elsewhere/out").save(
        [2], source=tmp_path / "elsewhere" / BOLD, suffix="qc"
    )
    shutil.move(tmp_path / "elsewhere/ds", tmp_path / "ds")
    saved = Derivatives(tmp_path / "elsewhere/out").save([3], source=tmp_path / BOLD, suffix="qc")

    assert [3] == json.loads(Path(saved).read_text())


def test_a_source_is_the_same_through_links(raw, tmp_path):
    """A dataset is often reached by several paths, and its files may be links (DataLad)."""
    (tmp_path / "link").symlink_to(raw)
    store = tmp_path / "annex"
    shutil.move(raw / BOLD[3:], store)
    for number in (1, 2):
        (raw / f"sub-01/ses-a/func/sub-01_ses-a_run-{number}_bold.nii").symlink_to(store)
    derivatives = Derivatives(tmp_path / "out")
    first = "sub-01/ses-a/func/sub-01_ses-a_run-1_bold.nii"
    saved = derivatives.save([1], source=raw / first, suffix="qc", run=None)

    derivatives.save([2], source=tmp_path / "link" / first, suffix="qc", run=None)

    assert [2] == json.loads(Path(saved).read_text())
    with pytest.raises(DerivativeError, match="another source"):
        derivatives.save([2], source=raw / first.replace("run-1", "run-2"), suffix="qc", run=None)


def test_a_source_in_a_runs_own_folder_is_the_same_in_the_next_run(tmp_path):
    """Another parameter gives another folder; what the derivative was made from stays."""

    def smooth(fwhm):
        path = workdir() / "sub-01_desc-smooth_bold.txt"
        path.write_text(str(fwhm))
        return str(path)

    stage = Stage(smooth, "image", tmp_path / "work")
    derivatives = Derivatives(tmp_path / "out")
    for fwhm in (4, 6):
        image = stage.run(fwhm)["image"]
        saved = derivatives.save([fwhm], source=image, suffix="qc", datatype="func")

    assert [6] == json.loads(Path(saved).read_text())


def test_a_kill_in_the_middle_blocks_nothing(tmp_path, monkeypatch):
    """Old file or new one, both are known to be memori's own."""
    source = tmp_path / "x.nii"
    derivatives = Derivatives(tmp_path / "out")
    source.write_bytes(b"one")
    saved = derivatives.save(source, source=BOLD, desc="x")
    for content in (b"two", b"three"):
        source.write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                derivatives.save(source, source=BOLD, desc="x")
        assert b"one" == Path(saved).read_bytes()

    derivatives.save(source, source=BOLD, desc="x")

    assert b"three" == Path(saved).read_bytes()


def _save_from(root, source, barrier, answers):
    barrier.wait()
    try:
        Derivatives(root).save([source], source=source, suffix="qc")
        answers.put((source, "saved"))
    except DerivativeError:
        answers.put((source, "refused"))


@pytest.mark.parametrize("after", ["_dataset_of", "_has_subjects"])
def test_a_folder_that_another_process_begins_meanwhile_is_not_raw(after, tmp_path, monkeypatch):
    """It describes the folder, and adds a subject then; between two looks it may do both."""
    root, look = tmp_path / "out", getattr(description, after)

    def look_before_it(folder):
        monkeypatch.undo()
        found = look(folder)
        description.describe(str(root), "memori")
        (root / "sub-01").mkdir()
        return found

    monkeypatch.setattr(description, after, look_before_it)
    Derivatives(root)


def test_of_two_sources_at_once_one_is_refused(tmp_path):
    """Processes that save under one name at the same time do not overwrite each other."""
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    sources = [str(tmp_path / name / BOLD) for name in "abcd"]
    for each in (
        workers := [
            context.Process(target=_save_from, args=(tmp_path / "out", source, barrier, answers))
            for source in sources
        ]
    ):
        each.start()
    found = dict(answers.get(timeout=60) for _ in sources)
    for each in workers:
        each.join()

    (winner,) = [source for source, outcome in found.items() if outcome == "saved"]
    saved = Derivatives(tmp_path / "out").path(BOLD, suffix="qc", extension=".json")
    assert [winner] == json.loads(Path(saved).read_text())


def test_records_leave_nothing_else_behind(tmp_path):
    """Beside the file and what describes the folder there is one record, as text."""
    Derivatives(tmp_path).save([1], source=tmp_path / BOLD, suffix="qc")
    name = "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-1_qc.json"
    record = f".memori/derivatives/{name}.json"

    beside = {"dataset_description.json", "README", ".bidsignore", ".memori/locks"}
    assert {name, record, *beside} == contents(tmp_path).keys()
    assert BOLD == json.loads((tmp_path / record).read_text())["source"]


# Copies


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_derivative_that_is_a_link_to_its_value_becomes_a_copy(tmp_path, link):
    """Else an edit of the one would change the other."""
    value = tmp_path / "x.nii"
    value.write_bytes(b"one")
    derivatives = Derivatives(tmp_path / "out")
    target = Path(derivatives.save(value, source=BOLD, desc="x"))
    target.unlink()
    link(value, target)

    derivatives.save(value, source=BOLD, desc="x")
    target.write_bytes(b"edited")

    assert (b"one", False) == (value.read_bytes(), target.is_symlink())


def test_a_link_in_the_place_of_a_derivative_is_never_written_through(raw, tmp_path):
    """The raw file that it leads to stays as it is."""
    derivatives = Derivatives(tmp_path / "out")
    target = Path(derivatives.save([1], source=raw / BOLD[3:], suffix="qc"))
    target.unlink()
    target.symlink_to(raw / BOLD[3:])

    with pytest.raises(DerivativeError, match="changed since"):
        derivatives.save([2], source=raw / BOLD[3:], suffix="qc")
    assert b"bold" == (raw / BOLD[3:]).read_bytes()


def test_a_derivative_can_be_saved_onto_itself(tmp_path):
    """A result that is already where it should go stays there."""
    derivatives = Derivatives(tmp_path / "out")
    (tmp_path / "x.nii").write_bytes(b"one")
    saved = derivatives.save(tmp_path / "x.nii", source=BOLD, desc="x")

    assert saved == derivatives.save(saved, source=BOLD, desc="x")
    assert b"one" == Path(saved).read_bytes()


@pytest.mark.parametrize(
    ("name", "extra", "expected"),
    [
        ("bold_2.5mm.nii.gz", {"desc": "res"}, "sub-01_desc-res_bold.nii.gz"),
        ("lh.thickness.shape.gii", {"hemi": "L", "suffix": "thickness"},
         "sub-01_hemi-L_thickness.shape.gii"),
        ("aparc.stats.tsv", {"seg": "aparc", "suffix": "morph"}, "sub-01_seg-aparc_morph.tsv"),
        ("t.dtseries.nii", {"den": "91k"}, "sub-01_den-91k_bold.dtseries.nii"),
        ("motion.1D", {"suffix": "motion"}, "sub-01_motion.1D"),
    ],
)  # fmt: skip
def test_dots_in_the_name_of_a_result_are_no_extension(tmp_path, name, extra, expected):
    """Resolutions, thresholds and hemispheres stay out of the derivative's name."""
    (tmp_path / name).write_bytes(b"x")

    saved = Derivatives(tmp_path / "out").save(
        tmp_path / name, source="ds/sub-01/func/sub-01_bold.nii", **extra
    )

    assert expected == os.path.basename(saved)


def test_a_result_without_an_extension_is_given_one(tmp_path):
    """BIDS has no names without; the message says how."""
    (tmp_path / "matrix").write_bytes(b"1 0")
    derivatives = Derivatives(tmp_path / "out")

    with pytest.raises(ValueError, match="give extension="):
        derivatives.save(tmp_path / "matrix", source=BOLD, suffix="xfm")
    saved = derivatives.save(tmp_path / "matrix", source=BOLD, suffix="xfm", extension=".txt")
    assert b"1 0" == Path(saved).read_bytes()


@pytest.mark.parametrize(
    ("saved", "others"),
    [
        ("x.hdr", ["x.img"]),
        ("x.img", ["x.hdr"]),
        ("x.hdr.gz", ["x.img.gz"]),
        ("x+orig.HEAD", ["x+orig.BRIK"]),
        ("x+orig.BRIK.gz", ["x+orig.HEAD"]),
        ("x.mih", ["x.dat"]),
        ("x.vhdr", ["x.eeg", "x.vmrk"]),
    ],
)
def test_one_file_of_several_is_not_saved_alone(tmp_path, saved, others):
    """Half an image, or a header that names files by their old names, would be lost data."""
    for name in (saved, *others):
        (tmp_path / name).write_text("mrtrix image\nfile: x.dat\nEND\n")

    with pytest.raises(ValueError, match="belong together"):
        Derivatives(tmp_path / "out").save(tmp_path / saved, source=BOLD, desc="x")
    assert not (tmp_path / "out").exists()


VHDR = "Brain Vision Data Exchange Header File Version 1.0\r\n[Common Infos]\r\n"
NAMES = "DataFile=old.name.eeg\r\nMarkerFile=old.name.vmrk\r\nNumberOfChannels=2\r\n"


def test_a_recording_takes_its_data_and_markers_along_under_their_new_names(tmp_path):
    """Whoever opens the header finds them; a second time nothing is written."""
    (tmp_path / "old.name.vhdr").write_text(VHDR + NAMES)
    (tmp_path / "old.name.vmrk").write_text("[Common Infos]\nDataFile=old.name.eeg\n")
    (tmp_path / "old.name.eeg").write_bytes(b"\0\1\2\3")
    source = "ds/sub-01/eeg/sub-01_task-rest_eeg.vhdr"
    derivatives = Derivatives(tmp_path / "out")

    saved = Path(derivatives.save(tmp_path / "old.name.vhdr", source=source, desc="clean"))

    name = "sub-01_task-rest_desc-clean_eeg"
    ends = (".eeg", ".json", ".vhdr", ".vmrk")
    assert [name + end for end in ends] == sorted(each.name for each in saved.parent.iterdir())
    assert VHDR + NAMES.replace("old.name", name) == saved.read_bytes().decode()
    assert f"DataFile={name}.eeg" in saved.with_suffix(".vmrk").read_text()
    assert b"\0\1\2\3" == saved.with_suffix(".eeg").read_bytes()
    before = {each: each.stat().st_mtime_ns for each in saved.parent.iterdir()}
    derivatives.save(tmp_path / "old.name.vhdr", source=source, desc="clean")
    assert before == {each: each.stat().st_mtime_ns for each in saved.parent.iterdir()}


def test_a_recording_whose_data_are_missing_is_not_saved(tmp_path):
    """Half of it would be lost data."""
    (tmp_path / "old.name.vhdr").write_text(VHDR + NAMES)
    (tmp_path / "old.name.vmrk").write_text("[Common Infos]\n")
    with pytest.raises(ValueError, match="belong together"):
        Derivatives(tmp_path / "out").save(tmp_path / "old.name.vhdr", source=BOLD, desc="x")


@pytest.mark.skipif(not REAL, reason="no real dataset: MEMORI_TEST_BIDS=/path/to/bids pytest")
def test_derivatives_of_a_real_dataset(tmp_path):
    """Every file of it has a derivative of its own, and the dataset itself takes none."""
    derivatives = Derivatives(tmp_path / "out")
    files = Dataset(REAL).files(extension=[".nii.gz", ".json", ".tsv"])
    files = [file for file in files if file.datatype]

    saved = [derivatives.save(file, source=file, desc="copy") for file in files]

    assert len(files) == len(set(saved)) > 0
    assert [Path(file).read_bytes() for file in files] == [Path(s).read_bytes() for s in saved]
    expected = [file.entities | {"desc": "copy"} for file in files]
    assert expected == [BIDSFile(path).entities for path in saved]
    for place in ("", "sub-01", "sub-01/anat"):
        with pytest.raises(RawDatasetError):
            Derivatives(os.path.join(REAL, place))


def test_cases_that_share_a_name_and_differ_are_told(tmp_path):
    """What replaced another case's derivative is named with both; equal ones may share a name."""
    out = Derivatives(tmp_path / "out")
    pipeline = Pipeline([("start", Stage(lambda t1w, run: run % 2, "parity", tmp_path / "work"))])
    cases = [{"t1w": BOLD, "run": run} for run in (1, 2, 3)]
    outputs = {"parity": {"desc": "parity", "suffix": "stat"}}

    with pytest.raises(ValueError, match=r"is the name of 'parity' of .*'run': 2.* replaced it"):
        out.map(pipeline, cases, outputs, source="t1w")

    _, saved = out.map(pipeline, cases[::2], outputs, source="t1w")
    assert saved[0] == saved[1]
