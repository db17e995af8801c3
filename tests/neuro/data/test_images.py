"""Images keep their grid, and no number changes unless the script says so."""

import gzip
import os
import shutil
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from memori import MemoriError
from memori.neuro.data.images import save_image

PACKAGED = Path(nib.__file__).parent / "tests" / "data"
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
STORED_AS_THEY_ARE = ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "c8", "c16"]


@pytest.fixture
def bold():
    """Make a 4-D image with everything that a scanner says about a run."""
    affine = np.array([[-3, 0, 0.1, 90], [0, 3, 0, -126], [0.1, 0, 3.5, -72], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(np.zeros((3, 4, 5, 6), np.int16), affine)
    header = image.header
    header.set_zooms((3.001, 3, 3.501, 2.5))
    header.set_xyzt_units("mm", "sec")
    header.set_qform(affine, 1)
    header.set_sform(affine, 4)
    header.set_dim_info(freq=0, phase=1, slice=2)
    header.set_intent("estimate", name="of something")
    header["slice_code"], header["slice_end"], header["slice_duration"] = 3, 4, 0.5
    header["toffset"], header["cal_max"] = 1.5, 100
    header["descrip"], header["aux_file"], header["db_name"] = b"by me", b"secret", b"Jane Doe"
    header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"by Jane Doe"))
    return nib.Nifti1Image(image.dataobj, header.get_best_affine(), header)


def raw(image):
    """Return the numbers as they lie on disk, and slope and intercept."""
    return image.dataobj.get_unscaled(), (image.dataobj.slope, image.dataobj.inter)


@settings(max_examples=100)
@given(
    array=nps.arrays(
        st.sampled_from([np.dtype(order + kind) for order in "<>" for kind in STORED_AS_THEY_ARE]),
        nps.array_shapes(min_dims=3, max_dims=5, max_side=3),
    ),
    order=st.sampled_from("CF"),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
)
def test_numbers_come_back_as_they_were(tmp_path_factory, array, order, suffix):
    """Each value and the dtype survive, without any scaling."""
    path = tmp_path_factory.getbasetemp() / f"round_trip{suffix}"
    save_image(np.asarray(array, order=order), path, affine=np.eye(4))
    numbers, scaling = raw(nib.load(path))

    assert array.dtype.newbyteorder("<") == numbers.dtype
    assert scaling == (1, 0)
    np.testing.assert_array_equal(array, numbers)


def test_float_results_are_not_rescaled_into_the_header_of_like(tmp_path, bold):
    """The dtype on disk is that of the data, not the int16 of the scanner's header."""
    data = np.random.default_rng(0).normal(size=bold.shape)
    image = nib.load(save_image(data, tmp_path / "x.nii.gz", like=bold))

    assert np.float64 == image.get_data_dtype()
    np.testing.assert_array_equal(data, np.asarray(image.dataobj))


@pytest.mark.parametrize("kind", ["image", "path", "str"])
def test_grid_of_like_is_carried_over_bit_for_bit(tmp_path, bold, kind):
    """Affine, zooms, TR, units, both transforms with codes and dim_info are those of like."""
    nib.save(bold, tmp_path / "bold.nii")
    like = {"image": bold, "path": tmp_path / "bold.nii", "str": str(tmp_path / "bold.nii")}[kind]
    header = nib.load(save_image(bold.get_fdata(), tmp_path / "x.nii", like=like)).header

    fields = ["pixdim", "xyzt_units", "dim_info", "qform_code", "sform_code", "quatern_b"]
    fields += ["quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
    fields += ["srow_x", "srow_y", "srow_z", "slice_code", "slice_end", "slice_duration"]
    for field in fields:
        assert bold.header[field].tobytes() == header[field].tobytes(), field
    assert 2.5 == pytest.approx(header.get_zooms()[3])
    assert ("mm", "sec") == header.get_xyzt_units()


def test_what_tells_the_story_of_like_is_left_out(tmp_path, bold):
    """Description, names, display range and extensions are not carried over."""
    path = save_image(bold.get_fdata(), tmp_path / "x.nii", like=bold)
    header = nib.load(path).header

    assert (b"", b"", b"", 0) == tuple(
        header[field].item() for field in ("descrip", "aux_file", "db_name", "cal_max")
    )
    assert [] == list(header.extensions)
    assert b"Doe" not in Path(path).read_bytes()


def test_three_dimensional_result_of_a_series(tmp_path, bold):
    """A mean image has the space of the series, and no repetition time."""
    header = nib.load(save_image(np.ones((3, 4, 5)), tmp_path / "x.nii", like=bold)).header

    assert (3, 4, 5) == header.get_data_shape()
    assert bold.header.get_zooms()[:3] == header.get_zooms()
    assert ("mm", "unknown") == header.get_xyzt_units()
    assert [1, 1, 1, 1] == header["pixdim"][4:].tolist()
    assert ("none", (), "") == header.get_intent()
    assert 0 == header["slice_code"]
    np.testing.assert_array_equal(bold.affine, header.get_best_affine())


def test_series_on_the_grid_of_a_volume(tmp_path, bold):
    """The fourth axis counts volumes, unless the repetition time is given."""
    volume = bold.slicer[..., 0]
    data = np.ones((3, 4, 5, 7), np.float32)
    counted = nib.load(save_image(data, tmp_path / "x.nii", like=volume)).header
    timed = nib.load(save_image(data, tmp_path / "y.nii", like=volume, tr=0.72)).header

    assert (1, "unknown") == (counted.get_zooms()[3], counted.get_xyzt_units()[1])
    assert (np.float32(0.72), "sec") == (timed.get_zooms()[3], timed.get_xyzt_units()[1])


def test_censored_series_keeps_its_repetition_time(tmp_path, bold):
    """With fewer volumes the repetition time holds, the time offset does not."""
    header = nib.load(save_image(np.ones((3, 4, 5, 2)), tmp_path / "x.nii", like=bold)).header

    assert (2.5, 0) == (header.get_zooms()[3], header["toffset"])


def test_intent_holds_for_the_same_kind_of_number_only(tmp_path, bold):
    """A mask of a statistical map is no statistical map."""
    z_map = nib.Nifti1Image(np.ones((3, 4, 5), np.float32), np.eye(4))
    z_map.header.set_intent("z score")
    smooth = nib.load(save_image(np.ones((3, 4, 5)), tmp_path / "x.nii", like=z_map))
    mask = nib.load(save_image(np.ones((3, 4, 5), bool), tmp_path / "y.nii", like=z_map))

    assert "z score" == smooth.header.get_intent()[0]
    assert "none" == mask.header.get_intent()[0]


def test_intent_of_a_scaled_like_is_that_of_floats(tmp_path):
    """Floats that lie on disk as scaled integers are floats."""
    z_map = nib.Nifti1Image(np.linspace(-3, 3, 27).reshape(3, 3, 3), np.eye(4), dtype=np.int16)
    z_map.header.set_intent("z score")
    nib.save(z_map, tmp_path / "z.nii")
    back = nib.load(save_image(np.ones((3, 3, 3)), tmp_path / "x.nii", like=tmp_path / "z.nii"))

    assert "z score" == back.header.get_intent()[0]


@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 3, 5), (3, 4), (3, 4, 5, 6, 2)[1:]])
def test_another_grid_names_both(tmp_path, bold, shape):
    """Data that do not lie on the grid are an error that shows both shapes."""
    nib.save(bold, tmp_path / "bold.nii")
    message = rf"shape \({shape[0]}, .*do not lie on the grid of '.*bold.nii' with shape \(3, 4, 5"

    with pytest.raises(ValueError, match=message):
        save_image(np.zeros(shape), tmp_path / "x.nii", like=tmp_path / "bold.nii")
    assert not (tmp_path / "x.nii").exists()


def test_where_the_data_lie_is_said_once(tmp_path, bold):
    """Neither or both of like and affine are an error."""
    with pytest.raises(TypeError, match="where the data lie, once"):
        save_image(np.zeros((3, 4, 5)), tmp_path / "x.nii")
    with pytest.raises(TypeError, match="where the data lie, once"):
        save_image(np.zeros((3, 4, 5)), tmp_path / "x.nii", like=bold, affine=np.eye(4))
    with pytest.raises(TypeError, match="has its own grid"):
        save_image(bold, tmp_path / "x.nii", like=bold)


def test_image_without_an_affine_of_its_own(tmp_path, bold):
    """Where only the header of like knows the grid, the header is believed."""
    like = nib.Nifti1Image(bold.dataobj, None, bold.header)
    for suffix in (".nii", ".mgz"):
        image = nib.load(save_image(np.zeros((3, 4, 5), "f4"), tmp_path / f"x{suffix}", like=like))
        np.testing.assert_allclose(bold.affine, image.affine, atol=1e-4)


def test_affine_alone(tmp_path):
    """An affine without an image gives voxel sizes and mm."""
    affine = np.diag([2.0, 3, 4, 1])
    image = nib.load(save_image(np.zeros((2, 2, 2), "f4"), tmp_path / "x.nii", affine=affine))

    np.testing.assert_array_equal(affine, image.affine)
    assert (2, 3, 4) == image.header.get_zooms()
    assert ("mm", "unknown") == image.header.get_xyzt_units()
    with pytest.raises(ValueError, match=r"shape \(4, 4\), got shape \(3, 3\)"):
        save_image(np.zeros((2, 2, 2), "f4"), tmp_path / "x.nii", affine=np.eye(3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"few tools read images of int64: pass dtype='int32' \(all values fit\)"),
        (
            [1, 2**40],
            r"they do not all fit int32: pass dtype='float64', or dtype='int64'",
        ),
        (np.array([1], np.uint64), r"uint64: pass dtype='int32'"),
        (np.array([1], np.longdouble), r"pass dtype='float64'"),
        (np.array([1], np.float16), r"NIfTI cannot hold float16: .*dtype='float32'"),
        (np.array(["a label"]), r"NIfTI cannot hold <U7"),
        (np.array([None]), r"dtype is object"),
        (np.ma.masked_array([1.0], [True]), r"lose its mask"),
    ],
)
def test_what_few_tools_read_is_refused_with_the_remedy(tmp_path, values, message):
    """The message says what to pass instead."""
    with pytest.raises(TypeError, match=f"save_image: .*{message}"):
        save_image(np.reshape(values, (-1, 1, 1)), tmp_path / "x.nii", affine=np.eye(4))
    assert [] == os.listdir(tmp_path)


def test_64_bit_integers_are_written_on_insistence(tmp_path):
    """dtype='int64' is honoured, and nothing is lost."""
    data = np.full((2, 2, 2), 2**60)
    image = nib.load(save_image(data, tmp_path / "x.nii", affine=np.eye(4), dtype="int64"))

    np.testing.assert_array_equal(data, raw(image)[0])


def test_bool_becomes_uint8(tmp_path):
    """Masks are 0 and 1 in the smallest type."""
    mask = np.array([True, False]).reshape(2, 1, 1)
    image = nib.load(save_image(mask, tmp_path / "x.nii.gz", affine=np.eye(4)))

    assert np.uint8 == image.get_data_dtype()
    np.testing.assert_array_equal(mask, np.asarray(image.dataobj))


def test_colours(tmp_path):
    """RGB voxels are kept as such."""
    data = np.zeros((2, 2, 2), RGB)
    data["G"] = 200
    image = nib.load(save_image(data, tmp_path / "x.nii.gz", affine=np.eye(4)))

    assert data.tobytes() == np.asarray(image.dataobj).tobytes()


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([0.5, 1.0], "int16", r"1 of 2 float64 values would change as int16 \(first: 0.5 at \(0, "),
        ([1.0, 40000.0], "int16", r"\(first: 40000.0 at \(1, 0, 0\)\): round first"),
        ([np.nan], "uint8", r"first: nan"),
        ([-1.0], "uint8", r"first: -1.0"),
        (np.array([2**24 + 1], "i4"), "float32", r"would change as float32"),
        ([1e300], "float32", r"would change as float32 .*keep a wider dtype"),
    ],
)
def test_asking_for_a_dtype_loses_no_value_silently(tmp_path, values, dtype, message):
    """Values that the asked type cannot hold are an error that shows the first."""
    data = np.reshape(values, (-1, 1, 1))
    with pytest.raises(ValueError, match=message):
        save_image(data, tmp_path / "x.nii", affine=np.eye(4), dtype=dtype)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.1, np.nan, np.inf], "float32"),
        ([0.0, 7.0], "uint8"),
        (np.array([1, -2], "i8"), "int16"),
        ([True, False], "int16"),
        ([1 + 0.1j], "complex64"),
    ],
)
def test_a_dtype_that_holds_the_values_is_used(tmp_path, values, dtype):
    """Floats may be rounded to shorter floats; the rest is exact."""
    data = np.reshape(values, (-1, 1, 1))
    image = nib.load(save_image(data, tmp_path / "x.nii", affine=np.eye(4), dtype=dtype))

    assert dtype == image.get_data_dtype()
    np.testing.assert_array_equal(data.astype(dtype), raw(image)[0])


def test_complex_to_real_is_not_guessed(tmp_path):
    """The imaginary part is not dropped."""
    data = np.ones((1, 1, 1), complex)
    with pytest.raises(TypeError, match=r"complex128 does not convert to float32: .*array\.real"):
        save_image(data, tmp_path / "x.nii", affine=np.eye(4), dtype="float32")


@settings(max_examples=60)
@given(
    data=nps.arrays(
        np.float64, (2, 2, 2), elements=st.floats(-1e6, 1e6, allow_nan=False, width=32)
    ),
    dtype=st.sampled_from(["int16", "uint8", "uint16", "int8", "int32"]),
)
def test_automatic_scaling_spans_the_values(tmp_path_factory, data, dtype):
    """Each value comes back within half a step of the stored numbers."""
    path = tmp_path_factory.getbasetemp() / "scaled.nii"
    save_image(data, path, affine=np.eye(4), dtype=dtype, scaling="auto")
    image = nib.load(path)
    slope, _ = raw(image)[1]

    assert dtype == image.get_data_dtype()
    assert np.abs(np.asarray(image.dataobj) - data).max() <= slope * 0.5001


def test_given_scaling_is_written(tmp_path):
    """Slope and intercept are stored as given, and values rounded to the nearest step."""
    data = np.array([1.0, 1.24, 1.26]).reshape(3, 1, 1)
    path = save_image(
        data, tmp_path / "x.nii", affine=np.eye(4), dtype="int16", scaling=(0.25, 1.0)
    )
    numbers, scaling = raw(nib.load(path))

    assert scaling == (0.25, 1)
    assert [0, 1, 1] == numbers.ravel().tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scaling": "auto"}, TypeError, "it needs dtype= of such a kind, such as 'int16'"),
        ({"scaling": "auto", "dtype": "float32"}, TypeError, "it needs dtype= of such a kind"),
        ({"scaling": "best", "dtype": "int16"}, ValueError, "'auto' or .slope, intercept., got"),
        ({"scaling": (0, 1), "dtype": "int16"}, ValueError, "slope must not be 0"),
        ({"scaling": (1e-9, 0), "dtype": "int16"}, ValueError, "choose a larger slope"),
        ({"tr": 2.0}, ValueError, "tr is for data of four axes, got 3"),
    ],
)
def test_scaling_that_makes_no_sense(tmp_path, arguments, error, message):
    """Each mistake has its remedy."""
    with pytest.raises(error, match=message):
        save_image(np.ones((2, 2, 2)), tmp_path / "x.nii", affine=np.eye(4), **arguments)


def test_nan_does_not_scale(tmp_path):
    """NaN would silently become 0."""
    with pytest.raises(ValueError, match="int16 cannot hold NaN or infinity: fill them first"):
        save_image(
            np.full((2, 2, 2), np.nan),
            tmp_path / "x.nii",
            affine=np.eye(4),
            dtype="int16",
            scaling="auto",
        )


# nibabel images as they are --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"]
)
def test_packaged_images_are_saved_as_they_lie(tmp_path, name):
    """An image that was only loaded keeps its stored numbers, scaling, header and extensions."""
    image = nib.load(PACKAGED / name)
    back = nib.load(save_image(image, tmp_path / name))

    assert type(image) is type(back)
    np.testing.assert_array_equal(raw(image)[0], raw(back)[0])
    assert raw(image)[1] == raw(back)[1]
    np.testing.assert_array_equal(image.affine, back.affine)
    assert image.header.get_zooms() == back.header.get_zooms()
    assert image.header.get_intent() == back.header.get_intent()
    assert len(image.header.extensions) == len(back.header.extensions)


def test_image_made_with_a_foreign_header_is_not_rescaled(tmp_path, bold):
    """By itself, nibabel would squeeze these floats into the header's int16."""
    data = np.random.default_rng(0).normal(size=bold.shape).astype(np.float32)
    image = nib.Nifti1Image(data, bold.affine, bold.header)
    back = nib.load(save_image(image, tmp_path / "x.nii.gz"))

    assert np.float32 == back.get_data_dtype()
    np.testing.assert_array_equal(data, np.asarray(back.dataobj))
    assert "estimate" == back.header.get_intent()[0]


def test_saving_does_not_change_the_image(tmp_path, bold):
    """Neither the header of the image nor that of like is touched."""
    before = bold.header.binaryblock
    save_image(bold, tmp_path / "x.nii")
    save_image(np.zeros((3, 4, 5)), tmp_path / "y.nii", like=bold)

    assert before == bold.header.binaryblock


def test_header_and_image_pair_is_read_but_not_written(tmp_path, bold):
    """A pair serves as like; two files cannot be replaced at once, so none is written."""
    nib.save(nib.Nifti1Pair(bold.dataobj, bold.affine, bold.header), tmp_path / "pair.hdr")
    path = save_image(np.zeros(bold.shape), tmp_path / "x.nii", like=tmp_path / "pair.img")

    assert bold.header["srow_x"].tobytes() == nib.load(path).header["srow_x"].tobytes()
    with pytest.raises(ValueError, match=r"save_image writes \.nii\.gz or \.nii or \.mgz"):
        save_image(bold, tmp_path / "x.img")


def test_a_vector_too_long_for_nifti1_becomes_nifti2(tmp_path):
    """Nibabel gives it the header of FreeSurfer's long vectors, which few tools read."""
    numbers = np.arange(40_000, dtype=np.int32).reshape(-1, 1, 1)
    with pytest.warns(UserWarning, match="large vector"):
        vector = nib.Nifti1Image(numbers, np.diag([2, 2, 2, 1]))
    saved = nib.load(save_image(vector, tmp_path / "v.nii.gz"))

    assert isinstance(saved, nib.Nifti2Image)
    np.testing.assert_array_equal(saved.dataobj, numbers)
    np.testing.assert_array_equal(saved.affine, vector.affine)


def test_nifti2_begets_nifti2(tmp_path):
    """The version of like is kept, and large grids take version 2."""
    like = nib.load(PACKAGED / "example_nifti2.nii.gz")
    kept = save_image(np.zeros(like.shape, "f4"), tmp_path / "x.nii", like=like)
    long = save_image(np.zeros((40000, 1, 1), "u1"), tmp_path / "y.nii", affine=np.eye(4))

    assert nib.Nifti2Image is type(nib.load(kept))
    assert nib.Nifti2Image is type(nib.load(long))
    assert like.header["srow_x"].tobytes() == nib.load(kept).header["srow_x"].tobytes()


def test_big_endian_like(tmp_path, bold):
    """A big-endian scanner's header is carried over into a little-endian file."""
    header = bold.header.as_byteswapped(">")
    nib.save(nib.Nifti1Image(bold.dataobj, None, header), tmp_path / "bold.nii")
    path = save_image(np.zeros(bold.shape), tmp_path / "x.nii", like=tmp_path / "bold.nii")

    assert "<" == nib.load(path).header.endianness
    np.testing.assert_array_equal(bold.affine, nib.load(path).affine)


@pytest.mark.parametrize("suffix", [".mgz", ".mgh"])
def test_freesurfer_images(tmp_path, suffix, bold):
    """MGH in and out, in the types that it holds."""
    like = nib.load(PACKAGED / "test.mgz")
    data = np.zeros(like.shape, np.float32)
    same = nib.load(save_image(data, tmp_path / f"x{suffix}", like=like))
    series = nib.load(save_image(bold.get_fdata(dtype="f4"), tmp_path / f"y{suffix}", like=bold))
    nifti = nib.load(save_image(data, tmp_path / "x.nii", like=like))

    np.testing.assert_allclose(like.affine, same.affine, atol=1e-5)
    assert like.header.get_zooms()[:3] == same.header.get_zooms()[:3]
    assert 2500 == series.header["tr"]
    np.testing.assert_allclose(like.affine, nifti.affine, atol=1e-5)
    with pytest.raises(TypeError, match=r"MGH cannot hold float64 of shape .*dtype='float32'"):
        save_image(data.astype(float), tmp_path / f"z{suffix}", like=like)
    with pytest.raises(TypeError, match=r"MGH has no slope and intercept: save to \.nii\.gz"):
        save_image(data, tmp_path / f"z{suffix}", like=like, dtype="int16", scaling=(2, 1))


@pytest.mark.parametrize(
    "name", ["example4d+orig.HEAD", "tiny.mnc", "phantom_EPI_asc_CLEAR_2_1.PAR", "test.mgz"]
)
def test_images_of_other_formats(tmp_path, name):
    """AFNI, MINC, PAR/REC and MGH become NIfTI with the same values on the same grid."""
    image = nib.load(PACKAGED / name)
    values = np.asarray(image.dataobj)
    whole = nib.load(save_image(image, tmp_path / "x.nii.gz"))
    volume = values if values.ndim == 3 else values[..., 0]
    result = nib.load(save_image(volume, tmp_path / "y.nii", like=image))

    np.testing.assert_array_equal(values, np.asarray(whole.dataobj))
    np.testing.assert_array_equal(volume, np.asarray(result.dataobj))
    np.testing.assert_allclose(image.affine, whole.affine, atol=1e-5)
    np.testing.assert_allclose(image.affine, result.affine, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("example4d+orig.HEAD", 3),
        ("phantom_EPI_asc_CLEAR_2_1.PAR", 2),
        ("phantom_varscale.PAR", 2),
    ],
)
def test_repetition_time_of_other_formats(tmp_path, name, seconds):
    """The repetition time of AFNI and PAR/REC survives, with like= and by the image itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel's, of the phantom
        image = nib.load(PACKAGED / name)
        values = image.get_fdata(dtype="f4")
    for path in (
        save_image(values, tmp_path / "a.nii.gz", like=image),
        save_image(image, tmp_path / "b.nii.gz"),
    ):
        header = nib.load(path).header
        assert (seconds, "sec") == (header.get_zooms()[3], header.get_xyzt_units()[1])
        np.testing.assert_allclose(image.header.get_zooms()[:3], header.get_zooms()[:3], rtol=1e-6)
    same = nib.load(save_image(values, tmp_path / "c.mgz", like=image))
    assert 1000 * seconds == same.header["tr"]
    mean = nib.load(save_image(values.mean(axis=3), tmp_path / "d.nii", like=image))
    assert 3 == len(mean.header.get_zooms())
    assert 1 == mean.header["pixdim"][4]


def test_units_of_time_in_afni(tmp_path):
    """AFNI's milliseconds become seconds; a step that is no time becomes none."""
    shutil.copy(PACKAGED / "example4d+orig.BRIK.gz", tmp_path / "x+orig.BRIK.gz")
    text = (PACKAGED / "example4d+orig.HEAD").read_text()
    steps = {"77001": (0.003, "sec"), "77003": (1, "unknown"), "0": (1, "unknown")}
    for unit, expected in steps.items():
        (tmp_path / "x+orig.HEAD").write_text(text.replace(" 77002 ", f" {unit} "))
        header = nib.load(save_image(nib.load(tmp_path / "x+orig.HEAD"), tmp_path / "x.nii")).header
        assert expected == (round(float(header.get_zooms()[3]), 6), header.get_xyzt_units()[1])


@pytest.mark.parametrize("kind", [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage])
def test_the_fourth_step_of_analyze_is_kept(tmp_path, kind):
    """ANALYZE does not say what its fourth axis is; its step is carried over without a unit."""
    image = kind(np.zeros((2, 3, 4, 5), "f4"), np.diag([2, 2, 3, 1]))
    image.header.set_zooms((2, 2, 3, 2.5))
    for path in (
        save_image(image, tmp_path / "a.nii"),
        save_image(np.zeros((2, 3, 4, 9)), tmp_path / "b.nii", like=image),
    ):
        header = nib.load(path).header
        assert (2, 2, 3, 2.5) == tuple(header.get_zooms())
        assert "unknown" == header.get_xyzt_units()[1]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti1Pair, nib.Nifti2Image, nib.Nifti2Pair])
def test_an_image_keeps_its_whole_header(tmp_path, bold, kind, order):
    """Saved as it is, an image of any byte order, in one file or two, keeps all that it says."""
    made = kind(bold.dataobj, bold.affine, kind.header_class.from_header(bold.header))
    for name in ("toffset", "descrip", "aux_file", "slice_code", "slice_end", "slice_duration"):
        made.header[name] = bold.header[name]
    made.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a second"))
    image = kind(bold.dataobj, None, made.header.as_byteswapped(order))
    image.header.extensions.extend(made.header.extensions)
    nib.save(image, tmp_path / f"x{image.files_types[0][1]}")
    loaded = nib.load(tmp_path / f"x{image.files_types[0][1]}")
    back = nib.load(save_image(loaded, tmp_path / "y.nii.gz"))

    assert order == loaded.header.endianness
    contents = [each.get_content() for each in back.header.extensions]
    assert [each.get_content() for each in loaded.header.extensions] == contents
    assert b"a second" == contents[-1].rstrip(b"\0")
    packed = {"sizeof_hdr", "magic", "vox_offset", "scl_slope", "scl_inter"}
    for name in set(loaded.header.keys()) - packed:
        np.testing.assert_array_equal(loaded.header[name], back.header[name], err_msg=name)


def test_a_slice_lies_on_the_grid_of_a_slice(tmp_path):
    """2-D images are grids like others, and (x, y, 1) is the same one."""
    affine = np.diag([0.5, 0.25, 4, 1])
    nib.save(nib.Nifti1Image(np.zeros((4, 5), "f4"), affine), tmp_path / "slice.nii")
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 1), "f4"), affine), tmp_path / "thick.nii")
    for like in ("slice.nii", "thick.nii"):
        for shape in ((4, 5), (4, 5, 1), (4, 5, 1, 3)):
            values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
            back = nib.load(save_image(values, tmp_path / "out.nii", like=tmp_path / like))
            np.testing.assert_array_equal(values, np.asarray(back.dataobj))
            np.testing.assert_allclose(affine, back.affine)
        for shape in ((4, 4), (5, 4), (4, 5, 2), (4,), (20,)):
            with pytest.raises(ValueError, match="do not lie on the grid"):
                save_image(np.zeros(shape), tmp_path / "out.nii", like=tmp_path / like)


def test_surfaces_are_no_grids(tmp_path):
    """A file without a grid is named, with the function that saves it."""
    gifti = nib.GiftiImage()
    with pytest.raises(TypeError, match="data is a GiftiImage, which has no grid: use save_gifti"):
        save_image(gifti, tmp_path / "x.nii")


# Bytes -----------------------------------------------------------------------------------------


def test_same_bytes_seconds_apart(tmp_path, bold):
    """Neither time, name nor folder is recorded."""
    (tmp_path / "other").mkdir()
    data = np.arange(60, dtype="f4").reshape(3, 4, 5)
    first = [save_image(data, tmp_path / f"x{s}", like=bold) for s in (".nii", ".nii.gz", ".mgz")]
    time.sleep(1.1)
    later = [
        save_image(data, tmp_path / "other" / f"y{s}", like=bold)
        for s in (".nii", ".nii.gz", ".mgz")
    ]

    for one, other in zip(first, later, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()


def test_gzip_header_is_empty(tmp_path):
    """No flags, no date: the compressed bytes say nothing but the image."""
    path = save_image(np.zeros((2, 2, 2), "f4"), tmp_path / "x.nii.gz", affine=np.eye(4))
    content = Path(path).read_bytes()

    assert bytes(6) == content[3:8] + bytes(1)
    assert 352 + 32 == len(gzip.decompress(content))


def test_without_path_outside_a_stage():
    """The message says what to give."""
    with pytest.raises(MemoriError, match=r"save_image got no path.*results/image\.nii\.gz"):
        save_image(np.zeros((2, 2, 2), "f4"), affine=np.eye(4))


BIDS = os.environ.get("MEMORI_TEST_BIDS")


@pytest.mark.skipif(not BIDS, reason="MEMORI_TEST_BIDS names no BIDS dataset")
def test_real_scans(tmp_path):
    """On real scans, a float result has the scan's grid and exactly its own values."""
    scans = sorted(Path(BIDS).rglob("*.nii.gz"))
    assert scans
    for scan in scans:
        image = nib.load(scan)
        data = np.asarray(image.dataobj, np.float32) / 3
        data = data[..., :5] if data.ndim == 4 else data
        back = nib.load(save_image(data, tmp_path / "x.nii", like=scan))

        np.testing.assert_array_equal(data, np.asarray(back.dataobj))
        np.testing.assert_array_equal(image.affine, back.affine)
        assert image.header.get_zooms() == back.header.get_zooms()
        assert image.header["qform_code"] == back.header["qform_code"]
        assert image.header["sform_code"] == back.header["sform_code"]
