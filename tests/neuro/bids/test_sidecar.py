"""Sidecars and descriptions: what derivatives say of themselves, and what they must."""

import json
import os
import shutil
import warnings
from pathlib import Path

import pytest

from memori import Pipeline, Stage, workdir
from memori.errors import MemoriWarning
from memori.neuro import (
    ContentError,
    Dataset,
    DerivativeError,
    Derivatives,
    MissingFieldError,
    ShellStage,
)

BOLD = "sub-01/func/sub-01_task-rest_bold.nii.gz"
T1W = "sub-01/anat/sub-01_T1w.nii.gz"


@pytest.fixture
def raw(tree):
    """A raw dataset of one subject."""
    sidecar = {"TaskName": "rest", "RepetitionTime": 2.0, "SliceTiming": [0, 1]}
    return Dataset(tree({BOLD: "bold", T1W: "t1w", "task-rest_bold.json": sidecar}))


@pytest.fixture
def out(tmp_path):
    """Derivatives that are to be complete."""
    return Derivatives(tmp_path / "derivatives/demo", name="demo", version="1.2")


@pytest.fixture
def image(tmp_path):
    """What is saved."""
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"image")
    return path


def said(path):
    """The sidecar of a file."""
    return json.loads(Path(path).with_name(Path(path).name.split(".")[0] + ".json").read_text())


def test_a_sidecar_names_the_sources_and_what_bids_requires(raw, out, image):
    """Sources as BIDS URIs; what the raw sidecars know is not asked for again."""
    bold = raw.one(suffix="bold")

    saved = out.save(image, sources=[bold, raw.one(suffix="T1w")], desc="x", SkullStripped=False)

    assert {
        "Description": "x bold of sub-01_task-rest_bold.nii.gz",
        "Sources": [f"bids:raw:{BOLD}", f"bids:raw:{T1W}"],
        "RawSources": [f"bids:raw:{BOLD}", f"bids:raw:{T1W}"],
        "SkullStripped": False,
        "TaskName": "rest",
        "RepetitionTime": 2.0,
    } == said(saved)
    description = json.loads(Path(out.root, "dataset_description.json").read_text())
    assert {"raw": "../../ds"} == description["DatasetLinks"]
    assert [{"URL": "../../ds"}] == description["SourceDatasets"]
    assert {"Name": "demo", "Version": "1.2"} in description["GeneratedBy"]


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"desc": "x"}, "SkullStripped"),
        ({"space": "T1w", "SkullStripped": True}, "SpatialReference"),
        ({"space": "MNI152NLin2009cAsym", "res": "2", "SkullStripped": True}, "Resolution"),
        ({"suffix": "mask", "res": "2", "desc": "brain"}, "Resolution"),
    ],
)
def test_a_required_field_that_nobody_knows_is_an_error(raw, out, image, names, field):
    """Before anything is run or written; the message names the field and says where to give it."""
    bold = raw.one(suffix="bold")

    for call in (out.check, lambda bold, **names: out.save(image, source=bold, **names)):
        with pytest.raises(MissingFieldError, match=rf"needs {field}.*Give {field}=") as caught:
            call(bold, **names)
    assert [field] == caught.value.fields
    assert not os.path.exists(out.root)
    filled = Derivatives(out.root, version="1", **{field: "said"})
    assert "said" == said(filled.save(image, source=bold, **names))[field]


def test_without_a_version_a_missing_field_is_a_warning(raw, tmp_path, image):
    """A folder to try things out in need not be complete; each field is told of once."""
    out = Derivatives(tmp_path / "derivatives/demo")
    bold = raw.one(suffix="bold")

    with pytest.warns(MemoriWarning, match="SkullStripped"):
        out.save(image, source=bold, desc="x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out.save(image, source=bold, desc="y")


def test_a_field_that_bids_nearly_has_is_an_error(raw, out, image):
    """A misspelt field would leave the real one out; a lab's own field is kept."""
    with pytest.raises(TypeError, match="did you mean 'SkullStripped'"):
        out.save(image, source=raw.one(suffix="T1w"), desc="x", SkulStripped=True)
    with pytest.raises(TypeError, match="begin with a capital letter"):
        Derivatives(out.root, skull_stripped=True)
    saved = out.save(
        image, source=raw.one(suffix="T1w"), desc="x", SkullStripped=True, OurScore=0.5
    )
    assert 0.5 == said(saved)["OurScore"]


def test_a_path_in_a_field_is_a_bids_uri(raw, out, image):
    """The reference of a space is a file of a dataset."""
    t1w = raw.one(suffix="T1w")

    saved = out.save(image, source=raw.one(suffix="bold"), space="T1w", SkullStripped=False,
                     SpatialReference=t1w)  # fmt: skip

    assert f"bids:raw:{T1W}" == said(saved)["SpatialReference"]


def test_derivatives_of_derivatives_name_the_raw_files_too(raw, out, image, tmp_path):
    """Sources are what it was made from, RawSources what that was made from."""
    first = out.save(image, source=raw.one(suffix="T1w"), desc="brain", SkullStripped=True)
    second = Derivatives(tmp_path / "derivatives/next", version="1", SkullStripped=True)

    saved = second.save(image, source=first, desc="smooth")

    assert ["bids:demo:sub-01/anat/sub-01_desc-brain_T1w.nii.gz"] == said(saved)["Sources"]
    assert [f"bids:raw:{T1W}"] == said(saved)["RawSources"]
    links = json.loads(Path(second.root, "dataset_description.json").read_text())["DatasetLinks"]
    assert {"demo": "../demo", "raw": "../../ds"} == links
    own = out.save(image, source=first, desc="twice", SkullStripped=True)
    assert ["bids::sub-01/anat/sub-01_desc-brain_T1w.nii.gz"] == said(own)["Sources"]


def test_a_stage_is_named_with_parameters_and_command(raw, out, tmp_path):
    """As its entry has them; paths of this machine are not told."""
    sort = ShellStage("sort -k{column} {table} -o {sorted_}", outputs={"sorted_": "sorted.tsv"},
                      stage_name="sort", column=2, hash_output=tmp_path / "work")  # fmt: skip
    (tmp_path / "in.tsv").write_text("a\tb\n")

    saved = out.save(
        sort.run(table=str(tmp_path / "in.tsv"))["sorted_"],
        source=raw.one(suffix="bold"),
        suffix="timeseries",
    )

    found = said(saved)
    assert ("sort", {"column": 2}) == (found["Stage"], found["Parameters"])
    assert "sort -k2 in.tsv -o sorted.tsv" == found["CommandLine"]
    assert str(tmp_path) not in json.dumps(found)
    description = json.loads(Path(out.root, "dataset_description.json").read_text())
    assert "sort" in [each["Name"] for each in description["GeneratedBy"]]


def test_parameters_without_an_end_are_told_as_texts(raw, out, tmp_path):
    """`high=inf` is a usual way to say that nothing is cut; a sidecar has to be valid JSON."""

    def clip(low, bounds):
        path = workdir() / "clipped.tsv"
        path.write_text("a\n1\n")
        return str(path)

    clipped = Stage(clip, "clipped", tmp_path / "work").run(float("-inf"), [0.5, float("nan")])

    saved = out.save(clipped["clipped"], source=raw.one(suffix="bold"), suffix="timeseries")

    assert {"low": "-inf", "bounds": [0.5, "nan"]} == said(saved)["Parameters"]


def test_a_description_is_added_to_and_never_replaced(raw, out, image):
    """Authors that somebody wrote down stay; nothing stands there twice."""
    t1w = raw.one(suffix="T1w")
    out.save(image, source=t1w, desc="x", SkullStripped=True)
    path = Path(out.root, "dataset_description.json")
    mine = json.loads(path.read_text()) | {"Authors": ["Me"], "Name": "mine"}
    path.write_text(json.dumps(mine))

    out.save(image, source=t1w, desc="y", SkullStripped=True)

    assert mine == json.loads(path.read_text())


def test_what_bids_has_no_name_for_is_kept_and_listed(raw, out, tmp_path):
    """For the validator; what somebody listed there stays."""
    (tmp_path / "x.tsv").write_text("a\n")
    os.makedirs(out.root)
    Path(out.root, ".bidsignore").write_text("mine")
    bold = raw.one(suffix="bold")

    for _ in range(2):
        out.save(tmp_path / "x.tsv", source=bold, suffix="timeseries", desc="confounds")
        out.save([1], source=bold, suffix="timeseries", desc="other")

    assert "mine\n*_timeseries.*\n" == Path(out.root, ".bidsignore").read_text()


def test_gradients_come_along(raw, out, tmp_path):
    """A diffusion image without them is of no use."""
    for end in ("nii.gz", "bval", "bvec"):
        (tmp_path / f"eddy.{end}").write_text(end)
    dwi = f"{raw.root}/sub-01/dwi/sub-01_dwi.nii.gz"

    saved = out.save(tmp_path / "eddy.nii.gz", source=dwi, desc="x", SkullStripped=False)

    for end in ("bval", "bvec"):
        assert end == Path(saved.replace("nii.gz", end)).read_text()


def test_what_a_tool_says_beside_its_image_is_taken_over(raw, out, image):
    """As dcm2niix and others leave a .json; what is given by name wins."""
    image.with_name("image.json").write_text('{"EchoTime": 0.03, "SkullStripped": true}')

    saved = out.save(image, source=raw.one(suffix="T1w"), desc="x", SkullStripped=False)

    assert (0.03, False) == (said(saved)["EchoTime"], said(saved)["SkullStripped"])


def test_a_folder_that_is_one_file_is_saved_whole(raw, out, tmp_path):
    """And replaced whole: what is gone from it is gone."""
    zarr = tmp_path / "x.ome.zarr"
    (zarr / "0").mkdir(parents=True)
    (zarr / "0/a").write_text("a")
    source = f"{raw.root}/sub-01/micr/sub-01_sample-A_SPIM.ome.zarr"
    given = {"PixelSize": [1, 1], "PixelSizeUnits": "um"}
    out.save(zarr, source=source, desc="x", **given)
    (zarr / "0/a").rename(zarr / "0/b")

    saved = out.save(zarr, source=source, desc="x", **given)

    assert saved.endswith("sub-01/micr/sub-01_sample-A_desc-x_SPIM.ome.zarr")
    assert ["b"] == os.listdir(f"{saved}/0")
    assert [saved] == Dataset(out.root).files(suffix="SPIM")
    left = [name for name in os.listdir(os.path.dirname(saved)) if "partial" in name]
    assert [] == left


def test_links_where_they_are_asked_for(raw, out, image):
    """Terabytes are not there twice; an edit is seen as one of memori's own file."""
    linked = Derivatives(out.root, version="1", link=True, SkullStripped=False)

    saved = linked.save(image, source=raw.one(suffix="T1w"), desc="x")

    assert os.path.samefile(saved, image)


def test_a_value_that_git_annex_has_elsewhere(raw, out, tmp_path):
    """It cannot be saved before it is here."""
    (tmp_path / "x.nii.gz").symlink_to("../.git/annex/objects/x")

    with pytest.raises(ContentError, match="datalad get"):
        out.save(tmp_path / "x.nii.gz", source=raw.one(suffix="T1w"), desc="x")


def test_a_sidecar_of_the_users_own_stays(raw, out, image):
    """Saved as a derivative before or edited after, it is not replaced by a made one."""
    t1w = raw.one(suffix="T1w")
    out.save({"Mine": 1}, source=t1w, desc="x")

    saved = out.save(image, source=t1w, desc="x", SkullStripped=False)
    assert {"Mine": 1} == said(saved)

    saved = out.save(image, source=t1w, desc="y", SkullStripped=False)
    Path(saved.replace(".nii.gz", ".json")).write_text('{"Mine": 2}')
    out.save(image, source=t1w, desc="y", SkullStripped=True)
    assert {"Mine": 2} == said(saved)


def test_overwrite_when_told(raw, out, image):
    """What another program left goes only if that is said."""
    t1w = raw.one(suffix="T1w")
    path = Path(out.path(t1w, desc="x"))
    path.parent.mkdir(parents=True)
    path.write_text("of another program")
    Path(out.root, "dataset_description.json").write_text('{"DatasetType": "derivative"}')

    with pytest.raises(DerivativeError):
        out.save(image, source=t1w, desc="x", SkullStripped=False)
    out.save(image, source=t1w, desc="x", SkullStripped=False, overwrite=True)
    assert b"image" == path.read_bytes()


def test_templates_have_derivatives(tree, tmp_path, image):
    """Of a template's file the folder is the template's."""
    root = tree(["tpl-MNI/anat/tpl-MNI_T1w.nii.gz"], "templates")

    path = Derivatives(tmp_path / "out").path(root / "tpl-MNI/anat/tpl-MNI_T1w.nii.gz", desc="x")

    assert path.endswith("out/tpl-MNI/anat/tpl-MNI_desc-x_T1w.nii.gz")


def test_a_combination_of_echoes_is_no_echo(tree, out, image):
    """Of several sources the entities count that they share; each is a source."""
    echoes = [f"sub-01/func/sub-01_task-a_run-1_echo-{n}_bold.nii.gz" for n in (1, 2)]
    said_of = {"TaskName": "a", "RepetitionTime": 2.0}
    bids = Dataset(tree({**dict.fromkeys(echoes), "task-a_bold.json": said_of}))
    (case,) = bids.cases(bold={"suffix": "bold"})

    saved = out.save(image, source=case["bold"], desc="optcom", SkullStripped=False)

    assert saved.endswith("sub-01_task-a_run-1_desc-optcom_bold.nii.gz")
    assert [f"bids:raw:{each}" for each in echoes] == said(saved)["Sources"]
    assert "optcom bold of 2 files" == said(saved)["Description"]
    assert out.path(case["bold"], desc="x", echo=1).endswith("run-1_echo-1_desc-x_bold.nii.gz")


# Derivatives.map


@pytest.fixture
def two(tree):
    """Two subjects."""
    return Dataset(tree([f"sub-0{n}/anat/sub-0{n}_T1w.nii.gz" for n in (1, 2)]))


def pipeline(tmp_path, fails=(), text="made"):
    """One stage that writes a file; for some subjects it fails."""

    def make(subject, t1w):
        if subject in fails:
            raise RuntimeError("no memory left")
        path = workdir() / "made.nii.gz"
        path.write_text(text + subject)
        return str(path)

    return Pipeline([("start", Stage(make, "made", tmp_path / "work", stage_name="make"))])


def cases(bids):
    """A case for each subject."""
    return bids.cases(t1w={"suffix": "T1w"}, by=("subject",))


def run(out, tmp_path, bids, **options):
    """Run and save."""
    outputs = {"made": {"desc": "made", "SkullStripped": False}}
    return out.map(pipeline(tmp_path, **options), cases(bids), outputs, source="t1w")


def test_a_run_over_cases_is_saved(two, out, tmp_path):
    """Each case under its own name; the sources are the files of the case."""
    done, paths = run(out, tmp_path, two)

    assert [True, True] == [bool(result) for _, result in done]
    assert ["made01", "made02"] == [Path(each["made"]).read_text() for each in paths]
    assert ["bids:raw:sub-02/anat/sub-02_T1w.nii.gz"] == said(paths[1]["made"])["Sources"]
    assert 0 == run(out, tmp_path, two).cases.executed


def test_what_was_deleted_or_edited_is_there_again(two, out, tmp_path):
    """Nothing runs for it; an edited one is kept aside."""
    _, paths = run(out, tmp_path, two)
    first, second = (Path(each["made"]) for each in paths)
    first.unlink()
    second.write_text("edited")

    with pytest.warns(MemoriWarning, match="changed since memori wrote it"):
        done, _ = run(out, tmp_path, two)

    assert (0, "made01", "made02") == (done.executed, first.read_text(), second.read_text())
    aside = Path(out.root, ".memori/edited", second.relative_to(out.root))
    assert "edited" == aside.read_text()


def test_where_the_rerun_failed_the_old_one_is_retracted(two, out, tmp_path):
    """It is not what the pipeline makes today; made again, it is back."""
    _, paths = run(out, tmp_path, two)
    first, second = (Path(each["made"]) for each in paths)

    with pytest.warns(MemoriWarning, match="rerun failed"):
        done, again = run(out, tmp_path, two, fails=("02",), text="other")

    assert (1, [{}]) == (len(done.failures), again[1:])
    assert ("other01", False) == (first.read_text(), second.exists())
    assert not second.with_name("sub-02_desc-made_T1w.json").exists()
    assert "sub-02/anat/sub-02_desc-made_T1w.nii.gz" in out.outdated()
    assert [] == Dataset(out.root).files(subject="02")
    run(out, tmp_path, two, text="other")
    assert ("other02", []) == (second.read_text(), out.outdated())


def test_an_edited_derivative_is_not_retracted(two, out, tmp_path):
    """It is somebody's work."""
    _, paths = run(out, tmp_path, two)
    Path(paths[1]["made"]).write_text("edited")

    run(out, tmp_path, two, fails=("02",), text="other")

    assert "edited" == Path(paths[1]["made"]).read_text()


def test_echoes_through_a_map(tree, out, tmp_path):
    """A list of echoes gives one name, for what is made and for what is retracted."""
    names = [f"sub-01/func/sub-01_task-a_echo-{n}_bold.nii.gz" for n in (1, 2)]
    bids = Dataset(tree({**dict.fromkeys(names), "bold.json": {"RepetitionTime": 2}}))

    def first(bold):
        return shutil.copy(bold[0], workdir() / "first.nii.gz")

    stage = Stage(first, "first", tmp_path / "work")
    outputs = {"first": {"desc": "optcom", "SkullStripped": False, "TaskName": "a"}}
    _, (saved,) = out.map(
        Pipeline([("start", stage)]), bids.cases(bold={"suffix": "bold"}, by=()), outputs,
        source="bold",
    )  # fmt: skip

    assert saved["first"].endswith("sub-01/func/sub-01_task-a_desc-optcom_bold.nii.gz")
    assert [f"bids:raw:{name}" for name in names] == said(saved["first"])["Sources"]


@pytest.mark.parametrize(
    ("outputs", "error", "message"),
    [
        ({"mde": {"desc": "x", "SkullStripped": True}}, TypeError, "no output 'mde'"),
        ({"made": {"desc": "x"}}, MissingFieldError, "SkullStripped"),
        (
            {
                "made": {
                    "suffix": "bold",
                    "datatype": "func",
                    "task": "a",
                    "space": "own",
                    "SkullStripped": True,
                }
            },
            MissingFieldError,
            "SpatialReference",
        ),
        (
            {"made": {"suffix": "dseg", "hemi": "L", "space": "own"}},
            MissingFieldError,
            "SpatialReference",
        ),
        ({"made": {"desc": "a_b", "SkullStripped": True}}, ValueError, "no BIDS label"),
        ({"made": {"dsec": "x"}}, TypeError, "did you mean 'desc'"),
    ],
)
def test_what_cannot_be_saved_is_told_before_anything_runs(
    two, out, tmp_path, outputs, error, message
):
    """Not after hours."""
    with pytest.raises(error, match=message):
        out.map(pipeline(tmp_path), cases(two), outputs, source="t1w")

    assert not (tmp_path / "work").exists()


def test_fields_that_depend_on_the_case(two, out, tmp_path):
    """The outputs may be a function of the case."""

    def outputs(case):
        return {"made": {"space": "own", "SpatialReference": case["t1w"], "SkullStripped": True}}

    _, paths = out.map(pipeline(tmp_path), cases(two), outputs, source="t1w")

    assert "bids:raw:sub-01/anat/sub-01_T1w.nii.gz" == said(paths[0]["made"])["SpatialReference"]


def test_a_moved_study_keeps_its_links(raw, out, image, tmp_path):
    """They are relative, so the URIs still resolve."""
    t1w = raw.one(suffix="T1w")
    out.save(image, source=t1w, desc="x", SkullStripped=False)
    (tmp_path / "study").mkdir()
    for name in ("ds", "derivatives"):
        shutil.move(tmp_path / name, tmp_path / "study" / name)
    moved = tmp_path / "study/derivatives/demo"

    link = json.loads((moved / "dataset_description.json").read_text())["DatasetLinks"]["raw"]

    assert (moved / link / T1W).is_file()
