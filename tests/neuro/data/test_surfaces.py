"""Surfaces, maps and labels on them come back from GIFTI as they were."""

import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from memori.neuro.data.gifti import save_gifti
from memori.neuro.data.surfaces import save_labels, save_metric, save_surface

PACKAGED = Path(nib.__file__).parent / "gifti" / "tests" / "data"
COORDS = np.array([[0, 0, 0], [1.5, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


@pytest.fixture
def surface(tmp_path):
    """Make a surface with a space, a structure and a history."""
    image = nib.load(save_surface(COORDS, FACES, tmp_path / "like.surf.gii"))
    points = image.darrays[0]
    points.coordsys.dataspace = points.coordsys.xformspace = 3
    points.meta.update(
        {"AnatomicalStructurePrimary": "CortexLeft", "GeometricType": "Pial", "Name": "/home/jane"}
    )
    image.meta.update({"UserName": "jane", "Date": "today"})
    nib.save(image, tmp_path / "like.surf.gii")
    return tmp_path / "like.surf.gii"


def test_surface_round_trip(tmp_path):
    """Coordinates and faces keep type, order and values."""
    path = save_surface(COORDS, FACES, tmp_path / "x.surf.gii", structure="CortexRight")
    image = nib.load(path)
    coords, faces = image.agg_data(("pointset", "triangle"))

    assert (np.float32, np.int32) == (coords.dtype, faces.dtype)
    np.testing.assert_array_equal(COORDS, coords)
    np.testing.assert_array_equal(FACES, faces)
    assert "CortexRight" == image.darrays[0].meta["AnatomicalStructurePrimary"]


def test_what_freesurfer_gives_is_taken(tmp_path):
    """float64 coordinates and int64 faces whose values fit lose nothing."""
    path = save_surface(COORDS.astype(float), FACES.tolist(), tmp_path / "x.surf.gii")

    np.testing.assert_array_equal(COORDS, nib.load(path).agg_data("pointset"))


def test_surface_like_another(tmp_path, surface):
    """Space, structure and faces are carried over; user and file names are not."""
    path = save_surface(COORDS * 2, path=tmp_path / "x.surf.gii", like=surface)
    image = nib.load(path)
    points = image.darrays[0]

    np.testing.assert_array_equal(FACES, image.agg_data("triangle"))
    assert (3, 3) == (points.coordsys.dataspace, points.coordsys.xformspace)
    assert {"AnatomicalStructurePrimary": "CortexLeft", "GeometricType": "Pial"} == dict(
        points.meta
    )
    assert b"jane" not in Path(path).read_bytes()


@pytest.mark.parametrize(
    ("coords", "faces", "arguments", "error", "message"),
    [
        (COORDS[:, :2], FACES, {}, ValueError, r"expected coords \(n, 3\), got shape \(4, 2\)"),
        (COORDS, FACES.ravel(), {}, ValueError, r"expected faces \(m, 3\), got shape \(6,\)"),
        (COORDS, FACES + 2, {}, ValueError, "faces name vertices 2 to 5, but there are 4"),
        (COORDS, FACES - 1, {}, ValueError, "faces name vertices -1 to 2"),
        (COORDS, FACES + 0.5, {}, ValueError, "faces are whole vertex numbers"),
        (COORDS + 0.1e-9, FACES, {}, None, ""),
        (COORDS + 0.1, None, {}, TypeError, "without faces, give like="),
        (COORDS.astype(float) + 0.1, FACES, {}, ValueError, "pass dtype=numpy.float32 to round"),
        (COORDS, FACES, {"dtype": "f8"}, TypeError, "GIFTI coordinates are float32"),
    ],
)
def test_surfaces_that_make_no_sense(tmp_path, coords, faces, arguments, error, message):
    """Each mistake has its remedy, and no file is left."""
    path = tmp_path / "x.surf.gii"
    if error is None:
        assert str(path) == save_surface(coords, faces, path, **arguments)
        return
    with pytest.raises(error, match=f"save_surface: {message}|{message}"):
        save_surface(coords, faces, path, **arguments)
    assert not path.exists()


def test_rounding_is_asked_for(tmp_path):
    """With dtype=float32, float64 coordinates are rounded."""
    coords = COORDS.astype(float) + 0.1
    path = save_surface(coords, FACES, tmp_path / "x.surf.gii", dtype=np.float32)

    np.testing.assert_array_equal(coords.astype("f4"), nib.load(path).agg_data("pointset"))


@settings(max_examples=60)
@given(
    values=nps.arrays(
        st.sampled_from([np.dtype(kind) for kind in ("f4", "i4", "u1", ">f4", "?", "i2", "f2")]),
        st.one_of(st.tuples(st.integers(1, 5)), st.tuples(st.integers(1, 5), st.integers(1, 3))),
    )
)
def test_metric_round_trip(tmp_path_factory, values):
    """Maps keep their values exactly, in a type that GIFTI holds."""
    path = save_metric(values, tmp_path_factory.getbasetemp() / "metric.func.gii")
    maps = [array.data for array in nib.load(path).darrays]

    np.testing.assert_array_equal(values.reshape(len(values), -1).T, maps)


def test_metric_says_what_it_is(tmp_path, surface):
    """Maps have names and the structure of the surface."""
    values = np.ones((4, 2), np.float32)
    path = save_metric(values, tmp_path / "x.func.gii", names=["a", "b"], like=surface)
    image = nib.load(path)

    assert ["a", "b"] == [array.meta["Name"] for array in image.darrays]
    assert {"AnatomicalStructurePrimary": "CortexLeft"} == dict(image.meta)


@pytest.mark.parametrize(
    ("values", "arguments", "error", "message"),
    [
        (np.full(4, 0.1), {}, ValueError, "4 of 4 float64 .* pass dtype=numpy.float32"),
        (np.zeros((4, 1, 1), "f4"), {}, ValueError, r"expected \(n, k\), got shape \(4, 1, 1\)"),
        (np.zeros((4, 2), "f4"), {"names": ["a"]}, ValueError, "1 names for 2 maps"),
        (np.zeros(5, "f4"), {"like": True}, ValueError, "5 vertices, but like has 4"),
        (np.zeros(4), {"dtype": "f8"}, TypeError, "GIFTI holds float32, int32 and uint8"),
        (np.array([2**40]), {}, ValueError, "would change as int32"),
        (np.zeros(4, complex), {}, TypeError, r"complex128 does not convert .*array\.real"),
        (np.array(["a"]), {}, TypeError, "<U1 does not convert to float32"),
    ],
)
def test_metrics_that_make_no_sense(tmp_path, surface, values, arguments, error, message):
    """Each mistake has its remedy."""
    if "like" in arguments:
        arguments = {"like": surface}
    with pytest.raises(error, match=f"save_metric: .*{message}|save_metric: {message}"):
        save_metric(values, tmp_path / "x.func.gii", **arguments)


def test_labels_round_trip(tmp_path):
    """Labels, names and colours come back as given."""
    path = save_labels(
        [0, 7, 7, 3],
        tmp_path / "x.label.gii",
        names={0: "???", 3: "V1", 7: "V2", 9: "V3"},
        colors={3: (1, 0, 0), 7: (0, 0.5, 0, 0.25)},
        structure="CortexLeft",
    )
    image = nib.load(path)
    table = {label.key: label for label in image.labeltable.labels}

    assert [0, 7, 7, 3] == image.agg_data().tolist()
    assert np.int32 == image.agg_data().dtype
    assert {0: "???", 3: "V1", 7: "V2", 9: "V3"} == image.labeltable.get_labels_as_dict()
    assert (1, 0, 0, 1) == table[3].rgba
    assert (0, 0.5, 0, 0.25) == table[7].rgba
    assert (0, 0, 0, 0) == table[0].rgba
    assert 4 == len({label.rgba for label in table.values()})


def test_labels_without_names_are_numbered(tmp_path):
    """A label file always has a table."""
    image = nib.load(save_labels([0, 2, 1], tmp_path / "x.label.gii"))

    assert {0: "???", 1: "1", 2: "2"} == image.labeltable.get_labels_as_dict()


def test_labels_like_a_real_annotation(tmp_path):
    """Names and colours of a real parcellation are carried over."""
    like = nib.load(PACKAGED / "rh.aparc.annot.gii")
    keys = like.darrays[0].data
    image = nib.load(save_labels(keys, tmp_path / "x.label.gii", like=like))

    names = {0: "???", **like.labeltable.get_labels_as_dict()}  # 0 occurs and has no name there
    assert names == image.labeltable.get_labels_as_dict()
    colors = {0: (0, 0, 0, 0), **{label.key: label.rgba for label in like.labeltable.labels}}
    assert colors == {label.key: label.rgba for label in image.labeltable.labels}
    np.testing.assert_array_equal(keys, image.darrays[0].data)


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        ([0, 1, 2], {"names": {0: "???"}}, r"no name for the labels \[1, 2\]: name every label"),
        ([0.5], {}, "labels are whole numbers"),
        ([[1, 2]], {}, r"expected labels \(n,\), got shape \(1, 2\)"),
        ([1], {"colors": {1: (255, 0, 0)}}, r"colour of label 1 is \(255, 0, 0\)"),
        ([1], {"colors": {1: (1, 0)}}, r"colour of label 1 is \(1, 0\)"),
    ],
)
def test_labels_that_make_no_sense(tmp_path, labels, arguments, message):
    """Each mistake has its remedy."""
    with pytest.raises(ValueError, match=message):
        save_labels(labels, tmp_path / "x.label.gii", **arguments)


@pytest.mark.parametrize("kind", [list, tuple, np.array, np.float32])
def test_colours_of_any_sequence(tmp_path, kind):
    """Colours come as rows of numpy numbers, too, and labels as numpy numbers."""
    colors = {np.int64(1): kind([0.25, 0.5, 1.0]), 2: kind([1.0, 0.0, 0.0, 0.5])}
    names = {np.int32(1): "V1", np.uint8(2): np.str_("V2")}
    image = nib.load(save_labels([1, 2], tmp_path / "x.label.gii", names=names, colors=colors))

    assert {1: "V1", 2: "V2"} == image.labeltable.get_labels_as_dict()
    assert [(0.25, 0.5, 1, 1), (1, 0, 0, 0.5)] == [each.rgba for each in image.labeltable.labels]


def test_an_annotation_of_freesurfer_becomes_labels(tmp_path):
    """What read_annot gives, names in bytes and colours 0 to 255, needs a division and no more."""
    given, table = np.array([0, 1, 1, 2]), np.array([[25, 5, 25], [255, 0, 0], [0, 128, 255]])
    nib.freesurfer.write_annot(
        tmp_path / "lh.x.annot",
        given,
        np.c_[table, [0, 0, 0], [0, 0, 0]],
        ["unknown", "V1", "V2 \u00e9"],
        fill_ctab=True,
    )
    labels, ctab, names = nib.freesurfer.read_annot(tmp_path / "lh.x.annot")
    rows = dict(enumerate(ctab[:, :3]))
    with pytest.raises(ValueError, match="divide those of an annotation, 0 to 255, by 255"):
        save_labels(labels, tmp_path / "x.label.gii", names=dict(enumerate(names)), colors=rows)
    with pytest.raises(TypeError, match=r"names are given by label.*dict\(enumerate\(names\)\)"):
        save_labels(labels, tmp_path / "x.label.gii", names=names)
    image = nib.load(
        save_labels(
            labels,
            tmp_path / "x.label.gii",
            names=dict(enumerate(names)),
            colors={key: row / 255 for key, row in rows.items()},
        )
    )
    assert {0: "unknown", 1: "V1", 2: "V2 \u00e9"} == image.labeltable.get_labels_as_dict()
    assert (1, 0, 0, 1) == image.labeltable.labels[1].rgba


def bare(path, *lines):
    """A label file with a table as it is written here."""
    image = nib.load(save_labels([0, 1, 2], path))
    text = image.to_xml().decode()
    start, end = text.index("<LabelTable>"), text.index("</LabelTable>")
    Path(path).write_text(text[:start] + "<LabelTable>" + "".join(lines) + text[end:])
    return path


def test_a_table_without_colours_or_names(tmp_path):
    """GIFTI need not give colours; a label without a name is as one that is not there."""
    like = bare(
        tmp_path / "like.label.gii",
        '<Label Key="0">???</Label><Label Key="1" Red="1" Green="0" Blue="0">V1</Label>',
        '<Label Key="2"><![CDATA[V2]]></Label><Label Key="3"></Label><Label Key="4"> </Label>',
    )
    image = nib.load(save_labels([2, 1, 0], tmp_path / "x.label.gii", like=like))
    assert {0: "???", 1: "V1", 2: "V2"} == image.labeltable.get_labels_as_dict()
    colors = {label.key: label.rgba for label in image.labeltable.labels}
    assert (1, 0, 0, 1) == colors[1]
    assert None not in colors[2]
    with pytest.raises(ValueError, match=r"no name for the labels \[3\]"):
        save_labels([3, 1, 0], tmp_path / "y.label.gii", like=like)
    with pytest.raises(ValueError, match="the name of label 3 is empty"):
        save_gifti(nib.load(like), tmp_path / "z.label.gii")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "the name of label 1 is empty"),
        (" ", ValueError, "the name of label 1 is empty"),
        ("a\x1bb", ValueError, "with a character that XML cannot hold"),
        ("a\0", ValueError, "with a character that XML cannot hold"),
        ("a\r", ValueError, "with a character that XML cannot hold"),
        ("\udce9", ValueError, "with a character that XML cannot hold"),
        (b"\xe9", ValueError, "which is no UTF-8"),
        (None, TypeError, "expected a text"),
        (7, TypeError, "expected a text"),
        (float("nan"), TypeError, "expected a text"),
    ],
)
def test_names_that_nobody_could_read(tmp_path, name, error, message):
    """A name that XML cannot hold, or readers would lose, is refused before anything is written."""
    with pytest.raises(error, match=f"save_labels: .*{message}"):
        save_labels([1], tmp_path / "x.label.gii", names={1: name})
    assert not (tmp_path / "x.label.gii").exists()


def test_names_and_metadata_of_maps(tmp_path):
    """Names of maps and structures are texts that readers can read."""
    one = nib.load(save_metric(COORDS[:, :1], tmp_path / "a.func.gii", names="only"))
    assert {"Name": "only"} == dict(one.darrays[0].meta)
    two = nib.load(save_metric(COORDS[:, :2], tmp_path / "b.func.gii", names=[b"one", ""]))
    assert [{"Name": "one"}, {}] == [dict(array.meta) for array in two.darrays]
    with pytest.raises(ValueError, match=r"save_metric: the name of a map is .*XML cannot hold"):
        save_metric(COORDS, tmp_path / "c.func.gii", names=["a", "b", "c\x1b"])
    with pytest.raises(ValueError, match=r"save_surface: the metadata .*XML cannot hold"):
        save_surface(COORDS, FACES, tmp_path / "c.surf.gii", structure="Cortex\x01")
    with pytest.raises(TypeError, match=r"labels.* a whole number"):
        save_labels([1], tmp_path / "d.label.gii", names={"one": "V1"})


def test_a_surface_whose_triangles_come_first_is_a_model(tmp_path):
    """Readers find arrays by intent, and files have them in either order."""
    model = nib.load(save_surface(COORDS, FACES, tmp_path / "model.surf.gii"))
    model.darrays.reverse()
    nib.save(model, tmp_path / "turned.surf.gii")
    like = tmp_path / "turned.surf.gii"
    values = np.zeros(len(COORDS), "f4")
    assert (
        values.shape
        == nib.load(save_metric(values, tmp_path / "x.gii", like=like)).agg_data().shape
    )
    save_labels(np.zeros(len(COORDS), "i4"), tmp_path / "y.gii", like=like)
    again = nib.load(save_surface(COORDS, None, tmp_path / "z.gii", like=like))
    np.testing.assert_array_equal(FACES, again.agg_data("triangle"))
    with pytest.raises(ValueError, match="they lie on different surfaces"):
        save_metric(values[:-1], tmp_path / "x.gii", like=like)


def test_a_sparse_model_does_not_say_how_many_vertices_there_are(tmp_path):
    """A file that lists some of the vertices serves any number of them."""
    arrays = [
        nib.gifti.GiftiDataArray(np.array([0, 2], "i4"), "NIFTI_INTENT_NODE_INDEX"),
        nib.gifti.GiftiDataArray(np.array([1, 2], "f4"), "NIFTI_INTENT_NONE"),
    ]
    model = nib.GiftiImage(darrays=arrays)
    path = save_metric(COORDS[:, 0], tmp_path / "x.func.gii", like=model)
    assert len(COORDS) == len(nib.load(path).agg_data())
    with pytest.raises(ValueError, match="like has no triangles: give faces"):
        save_surface(COORDS, None, tmp_path / "x.surf.gii", like=model)


@pytest.mark.parametrize("name", ["ascii.gii", "task.func.gii", "base64bin.gii"])
def test_real_files_are_saved_as_they_are(tmp_path, name):
    """A loaded GIFTI image keeps arrays, intents and metadata."""
    image = nib.load(PACKAGED / name)
    back = nib.load(save_gifti(image, tmp_path / "x.gii"))

    assert dict(image.meta) == dict(back.meta)
    for one, other in zip(image.darrays, back.darrays, strict=True):
        assert one.intent == other.intent
        np.testing.assert_array_equal(one.data, other.data)


def test_numbers_that_text_would_round_are_saved_in_binary(tmp_path):
    """In an image of text, as some programs write them, nibabel writes six decimals."""
    numbers = np.array([1e-12, -0.0, np.nan, 0.123456789], np.float32)
    for some, encoding in [(numbers, 3), (np.array([0.5, np.nan, 2], np.float32), 1)]:
        array = nib.gifti.GiftiDataArray(some, encoding="ASCII")
        back = nib.load(save_gifti(nib.GiftiImage(darrays=[array]), tmp_path / "x.gii"))
        assert some.tobytes() == back.darrays[0].data.tobytes()
        assert encoding == back.darrays[0].encoding
        assert array.encoding == 1  # the user's own is left alone


def test_what_lay_in_a_file_of_its_own_is_saved_within(tmp_path):
    """As CAT12 writes surfaces, whose .dat nibabel reads and does not write."""
    array = nib.gifti.GiftiDataArray(COORDS, intent="NIFTI_INTENT_POINTSET", encoding="B64BIN")
    text = nib.GiftiImage(darrays=[array]).to_xml().decode()
    start, end = text.index("<Data>"), text.index("</Data>") + len("</Data>")
    text = text[:start] + "<Data/>" + text[end:]
    text = text.replace('"Base64Binary"', '"ExternalFileBinary"')
    text = text.replace('ExternalFileName=""', 'ExternalFileName="x.dat"')
    (tmp_path / "x.gii").write_text(text.replace('FileOffset=""', 'FileOffset="0"'))
    COORDS.tofile(tmp_path / "x.dat")
    image = nib.load(tmp_path / "x.gii")

    path = save_gifti(image, tmp_path / "alone.gii")

    (tmp_path / "x.dat").unlink()
    assert COORDS.tobytes() == nib.load(path).agg_data().tobytes()
    assert "x.dat" not in Path(path).read_text()


def test_fractions_in_an_array_of_whole_numbers_are_refused(tmp_path):
    """Of labels that were loaded and then smoothed, nibabel would save the whole parts."""
    image = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(np.array([1, 2], np.int32))])
    image.darrays[0].data = np.array([1.0, 2.0])
    assert [1, 2] == nib.load(save_gifti(image, tmp_path / "x.gii")).agg_data().tolist()
    image.darrays[0].data = np.array([0.5, 2])
    with pytest.raises(ValueError, match=r"save_gifti: .*0\.5.*GiftiDataArray"):
        save_gifti(image, tmp_path / "y.gii")
    assert not (tmp_path / "y.gii").exists()


def test_like_of_another_kind_is_named(tmp_path):
    """A volume is no model for a surface."""
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), "u1"), np.eye(4)), tmp_path / "x.nii")
    with pytest.raises(TypeError, match="expected a GIFTI file, got Nifti1Image"):
        save_metric(np.zeros(4, "f4"), tmp_path / "x.func.gii", like=tmp_path / "x.nii")


def test_same_bytes_seconds_apart(tmp_path, surface):
    """Neither time, user nor folder is recorded."""

    def write(folder):
        folder.mkdir()
        return [
            save_surface(COORDS, FACES, folder / "x.surf.gii", like=surface),
            save_metric(COORDS, folder / "x.func.gii", like=surface),
            save_labels([0, 1, 2, 3], folder / "x.label.gii"),
        ]

    first = write(tmp_path / "a")
    time.sleep(1.1)
    later = write(tmp_path / "b")

    for one, other in zip(first, later, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()
