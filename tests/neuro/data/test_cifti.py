"""CIFTI files keep their axes, and the data their type."""

import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, LabelAxis, ParcelsAxis, ScalarAxis, SeriesAxis

from memori import MemoriError
from memori.neuro.data.cifti import save_cifti

DCONN = Path(nib.__file__).parent / "tests" / "data" / "row_major.dconn.nii"
CORTEX = BrainModelAxis.from_mask(np.array([1, 1, 0, 1], bool), name="cortex_left")
VOLUME = BrainModelAxis.from_mask(
    np.ones((2, 1, 1), bool), affine=np.diag([2, 2, 2, 1]), name="thalamus_left"
)
BRAIN = CORTEX + VOLUME
PARCELS = ParcelsAxis.from_brain_models([("cortex", CORTEX), ("thalamus", VOLUME)])
LABELS = LabelAxis(["areas"], [{0: ("???", (0, 0, 0, 0)), 1: ("V1", (1, 0, 0, 1))}])


@pytest.fixture
def series():
    """Make a dense time series with a history."""
    image = nib.Cifti2Image(np.zeros((10, 5), np.float32), (SeriesAxis(0, 0.72, 10), BRAIN))
    image.header.matrix.metadata = nib.cifti2.Cifti2MetaData({"UserName": "jane"})
    return image


def axes(image):
    """Return the axes of a CIFTI image."""
    return [image.header.get_axis(place) for place in range(image.ndim)]


@pytest.mark.parametrize(
    ("first", "second", "suffix", "intent"),
    [
        (SeriesAxis(1, 0.72, 3), BRAIN, "dtseries", 3002),
        (ScalarAxis(["a", "b"]), BRAIN, "dscalar", 3006),
        (LABELS, BRAIN, "dlabel", 3007),
        (BRAIN, BRAIN, "dconn", 3001),
        (SeriesAxis(1, 0.72, 3), PARCELS, "ptseries", 3004),
        (ScalarAxis(["a", "b"]), PARCELS, "pscalar", 3008),
        (PARCELS, PARCELS, "pconn", 3003),
        (PARCELS, BRAIN, "pdconn", 3009),
        (BRAIN, PARCELS, "dpconn", 3010),
    ],
)
def test_axes_are_kept(tmp_path, first, second, suffix, intent):
    """Every kind of axis comes back equal, with the intent of its kind."""
    data = np.random.default_rng(0).normal(size=(len(first), len(second))).astype(np.float32)
    like = nib.Cifti2Image(np.zeros_like(data), (first, second))
    image = nib.load(save_cifti(data, tmp_path / f"x.{suffix}.nii", like=like))

    assert [first, second] == axes(image)
    assert intent == image.nifti_header["intent_code"]
    assert np.float32 == image.get_data_dtype()
    np.testing.assert_array_equal(data, np.asarray(image.dataobj))


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_dtype_is_that_of_the_data(tmp_path, series, dtype):
    """Not that of the header of like."""
    data = np.arange(50).reshape(10, 5).astype(dtype)
    image = nib.load(save_cifti(data, tmp_path / "x.dtseries.nii", like=series))

    assert dtype == image.get_data_dtype()
    np.testing.assert_array_equal(data, np.asarray(image.dataobj))


def test_a_map_on_the_columns_of_a_series(tmp_path, series):
    """A mean over time is a named map on the same grayordinates."""
    data = np.arange(5, dtype=np.float32)
    image = nib.load(save_cifti(data, tmp_path / "x.dscalar.nii", like=series, names=["mean"]))

    assert [ScalarAxis(["mean"]), BRAIN] == axes(image)
    np.testing.assert_array_equal([data], np.asarray(image.dataobj))


def test_a_real_file_is_a_model(tmp_path):
    """The axes of a file on disk are kept, given by its path."""
    like = nib.load(DCONN)
    image = nib.load(save_cifti(np.ones(like.shape, "f4"), tmp_path / "x.dconn.nii", like=DCONN))

    assert axes(like) == axes(image)


def test_an_image_is_saved_with_its_own_axes(tmp_path, series):
    """Its float64 data are not squeezed into the type of a header from elsewhere."""
    data = np.random.default_rng(0).normal(size=(10, 5))
    image = nib.Cifti2Image(data, series.header, series.nifti_header)
    back = nib.load(save_cifti(image, tmp_path / "x.dtseries.nii"))

    assert np.float64 == back.get_data_dtype()
    np.testing.assert_array_equal(data, np.asarray(back.dataobj))
    assert axes(series) == axes(back)


@pytest.mark.parametrize(
    ("shape", "names"),
    [((9, 5), None), ((10, 4), None), ((4,), None), ((2, 5), ["one"]), ((2, 4), ["a", "b"])],
)
def test_shapes_that_do_not_fit_name_both(tmp_path, series, shape, names):
    """The message has both shapes and the way out."""
    with pytest.raises(ValueError, match=r"shape \(.*do not fit the axes of like, shape \(10, 5\)"):
        save_cifti(np.zeros(shape, "f4"), tmp_path / "x.nii", like=series, names=names)


@pytest.mark.parametrize(
    ("data", "like", "message"),
    [
        (np.zeros((10, 5)), None, "needs the axes once: like="),
        (np.zeros((10, 5), int), "series", r"of int64: pass dtype='int32' \(all values fit\)"),
        (np.zeros((10, 5), "f2"), "series", "cannot hold float16: pass dtype='float32'"),
        (np.zeros((10, 5)), nib.Nifti1Image(np.zeros((1, 1, 1)), np.eye(4)), "like is a Nifti1"),
    ],
)
def test_what_does_not_fit_has_a_remedy(tmp_path, series, data, like, message):
    """Each mistake has its remedy."""
    like = series if isinstance(like, str) else like
    with pytest.raises(TypeError, match=message):
        save_cifti(data, tmp_path / "x.nii", like=like)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["a\x1b"], ValueError, "a character that XML cannot hold"),
        ([""], ValueError, "is empty"),
        ([1], TypeError, "expected a text"),
    ],
)
def test_names_that_nobody_could_read(tmp_path, series, names, error, message):
    """A name that XML cannot hold, or readers would lose, is refused before anything is written."""
    with pytest.raises(error, match=f"save_cifti: the name of a map .*{message}"):
        save_cifti(np.ones(5, "f4"), tmp_path / "x.dscalar.nii", like=series, names=names)
    assert not (tmp_path / "x.dscalar.nii").exists()
    one = save_cifti(np.ones(5, "f4"), tmp_path / "x.dscalar.nii", like=series, names="only")
    assert ["only"] == nib.load(one).header.get_axis(0).name.tolist()


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (LabelAxis(["m"], [{0: ("???", (0, 0, 0, 0)), 1: ("V\x01", (1, 0, 0, 1))}]), CORTEX),
        (LabelAxis(["m"], [{0: ("???", (0, 0, 0, 0)), 1: ("", (1, 0, 0, 1))}]), CORTEX),
        (ScalarAxis(["m"]), ParcelsAxis.from_brain_models([("p\x02", CORTEX)])),
    ],
)
def test_axes_that_nobody_could_read(tmp_path, rows, columns):
    """The names of labels and parcels must be readable, too."""
    image = nib.Cifti2Image(np.ones((1, len(columns)), "f4"), (rows, columns))
    with pytest.raises(ValueError, match="save_cifti: "):
        save_cifti(image, tmp_path / "x.nii")
    assert not (tmp_path / "x.nii").exists()


def test_same_bytes_seconds_apart(tmp_path, series):
    """Neither time, folder nor the history of like is recorded."""
    (tmp_path / "other").mkdir()
    data = np.ones((10, 5), "f4")
    first = Path(save_cifti(data, tmp_path / "x.dtseries.nii", like=series)).read_bytes()
    time.sleep(1.1)
    later = Path(save_cifti(data, tmp_path / "other" / "y.nii", like=series)).read_bytes()

    assert first == later
    assert b"jane" not in first


def test_without_path_outside_a_stage(series):
    """The name that a stage would give is that of the axes."""
    with pytest.raises(MemoriError, match=r"results/cifti\.dtseries\.nii"):
        save_cifti(np.ones((10, 5), "f4"), like=series)


def test_an_image_changed_in_memory_is_refused(tmp_path, series):
    """What `get_fdata` gives and what a file would hold differ then."""
    series.get_fdata()[0] = 3
    with pytest.raises(ValueError, match=r"changed in memory.*Cifti2Image"):
        save_cifti(series, tmp_path / "x.dtseries.nii")
    series.uncache()
    save_cifti(series, tmp_path / "x.dtseries.nii")
