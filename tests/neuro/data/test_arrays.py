"""Arrays come back from disk as they were, and equal ones make equal bytes."""

import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from memori.neuro.data.arrays import load_array, save_array

try:  # a dtype that is not numpy's own, as bfloat16
    from numpy._core._rational_tests import rational
except ImportError:  # before numpy 2
    from numpy.core._rational_tests import rational

DTYPES = st.one_of(
    nps.boolean_dtypes(),
    nps.integer_dtypes(endianness="?"),
    nps.unsigned_integer_dtypes(endianness="?"),
    nps.floating_dtypes(endianness="?"),
    nps.complex_number_dtypes(endianness="?"),
    nps.datetime64_dtypes(endianness="?"),
    nps.timedelta64_dtypes(endianness="?"),
    nps.byte_string_dtypes(min_len=1),
    nps.unicode_string_dtypes(endianness="?", min_len=1),
    nps.array_dtypes(nps.scalar_dtypes(), min_size=1),
)
OUT_OF_ORDER = np.dtype({"names": ["a", "b"], "formats": ["u2", "u4"], "offsets": [4, 0]})
SHAPES = nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def assert_same(expected, actual):
    """Assert that two arrays agree in everything that an array is."""
    assert expected.dtype == actual.dtype
    assert expected.shape == actual.shape
    assert expected.flags.c_contiguous == actual.flags.c_contiguous
    assert expected.flags.f_contiguous == actual.flags.f_contiguous
    assert expected.tobytes("A") == actual.tobytes("A")


@settings(max_examples=150)
@given(array=nps.arrays(DTYPES, SHAPES), order=st.sampled_from("CF"), mode=st.sampled_from("rc-"))
def test_round_trip(tmp_path_factory, array, order, mode):
    """dtype, byte order, shape, order and bytes survive, mapped and read."""
    array = np.asarray(array, order=order)
    path = save_array(array, tmp_path_factory.getbasetemp() / "round_trip.npy")

    assert_same(array, load_array(path, mmap_mode=None if mode == "-" else mode))


@settings(max_examples=30)
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1),
        nps.arrays(DTYPES, SHAPES),
        max_size=3,
    )
)
def test_round_trip_of_several(tmp_path_factory, arrays):
    """Several arrays come back by name and in order."""
    path = save_array(arrays, tmp_path_factory.getbasetemp() / "round_trip.npz")
    back = load_array(path)

    assert list(arrays) == list(back)
    for name, array in arrays.items():
        assert_same(array, back[name])


def test_loads_mapped_and_read_only(tmp_path):
    """By default an array is mapped, so that only what is used is read."""
    array = load_array(save_array(np.arange(4), tmp_path / "a.npy"))

    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_copy_on_write_leaves_the_file(tmp_path):
    """Mode "c" lets the array be changed in memory."""
    path = save_array(np.arange(4), tmp_path / "a.npy")
    load_array(path, mmap_mode="c")[0] = 9

    assert [0, 1, 2, 3] == load_array(path).tolist()


@pytest.mark.parametrize("mode", ["r+", "w+", "x"])
def test_modes_that_write_are_refused(tmp_path, mode):
    """An artifact is not changed in place."""
    path = save_array(np.arange(4), tmp_path / "a.npy")

    with pytest.raises(ValueError, match=r"mmap_mode is 'r', 'c' or None, got .* own name"):
        load_array(path, mmap_mode=mode)


@pytest.mark.parametrize("step", [2, -1])
def test_strided_arrays_are_stored_in_c_order(tmp_path, step):
    """A view with gaps or reversed keeps its values."""
    array = np.arange(24.0).reshape(4, 6)[:, ::step]

    np.testing.assert_array_equal(array, load_array(save_array(array, tmp_path / "a.npy")))


@pytest.mark.parametrize("values", [1.5, [1, 2], ((1.0,), (2.0,)), np.float32(2), range(3)])
def test_what_numpy_understands_is_saved(tmp_path, values):
    """Lists and scalars become the array that numpy makes of them."""
    back = load_array(save_array(values, tmp_path / "a.npy"))

    assert np.asarray(values).dtype == back.dtype
    np.testing.assert_array_equal(values, back)


def test_a_table_of_a_thousand_fields_comes_back(tmp_path):
    """Of a structured array, the names of the fields make a long header, which numpy refuses."""
    wide = np.ones(2, [(f"region_{number}", "f4") for number in range(1000)])

    assert_same(wide, load_array(save_array(wide, tmp_path / "a.npy")))
    assert_same(wide, load_array(save_array(wide, tmp_path / "b.npy"), mmap_mode=None))
    assert_same(wide, load_array(save_array({"a": wide}, tmp_path / "c.npz"))["a"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([{}, None]), r"dtype is object, and .* pickle.*astype\(float\).*save_table"),
        (np.zeros(2, [("a", "f4"), ("b", "O")]), "pickle"),
        (np.zeros(2, rational), r"cannot hold the dtype .*astype\('float32'\)"),
        (np.zeros(2, [("a", [("b", rational, 3)])]), "cannot hold the dtype"),
        ({"a": np.zeros(2, rational)}, "cannot hold the dtype"),
        (np.zeros(2, OUT_OF_ORDER), r"cannot hold the dtype .*repack_fields"),
        (np.ma.masked_array([1, 2], [0, 1]), r"lose its mask.*filled\(0\)"),
        ([[1], [1, 2]], "the values make no array"),
        ({"a/b": 1}, "a string without slashes, got 'a/b'"),
        ({1: 1}, "a string without slashes, got 1"),
        ({"": 1}, "a string without slashes, got ''"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, values, message):
    """The message names the way out, and no file is written."""
    path = tmp_path / ("a.npz" if isinstance(values, dict) else "a.npy")
    with pytest.raises(TypeError, match=f"save_array: .*{message}"):
        save_array(values, path)
    assert not path.exists()


def test_other_things_name_their_function(tmp_path):
    """Tables and images are not flattened into arrays."""
    nib = pytest.importorskip("nibabel")
    pandas = pytest.importorskip("pandas")

    with pytest.raises(TypeError, match="got DataFrame: use save_table"):
        save_array(pandas.DataFrame({"a": [1]}), tmp_path / "a.npy")
    with pytest.raises(TypeError, match="got Nifti1Image: use save_image"):
        save_array(nib.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)), tmp_path / "a.npy")


def test_same_bytes_seconds_apart(tmp_path):
    """Neither the time nor the folder is recorded."""
    (tmp_path / "other").mkdir()
    array = np.arange(6.0).reshape(2, 3)
    paths = [save_array(array, tmp_path / "a.npy"), save_array({"a": array}, tmp_path / "a.npz")]
    time.sleep(2.1)  # the resolution of a time in a zip file is 2 s
    later = [
        save_array(array, tmp_path / "other" / "a.npy"),
        save_array({"a": array}, tmp_path / "other" / "a.npz"),
    ]

    for one, other in zip(paths, later, strict=True):
        with open(one, "rb") as first, open(other, "rb") as second:
            assert first.read() == second.read()


def test_numpy_reads_the_files(tmp_path):
    """The files are numpy's own: memori is not needed to read them."""
    array = np.arange(6.0).reshape(2, 3)
    one = save_array(array, tmp_path / "a.npy")
    several = save_array({"x": array, "n": 3}, tmp_path / "a.npz")

    np.testing.assert_array_equal(array, np.load(one))
    with np.load(several) as loaded:
        assert ["x", "n"] == list(loaded)
        np.testing.assert_array_equal(array, loaded["x"])


def test_compressed_npz_of_others_is_read(tmp_path):
    """What numpy.savez_compressed wrote is loaded, too."""
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(3))

    assert [0, 1, 2] == load_array(tmp_path / "a.npz")["x"].tolist()


def test_pickles_are_never_read(tmp_path):
    """A file with Python objects is refused, in .npy and .npz."""
    objects = np.array([{}], dtype=object)
    np.save(tmp_path / "a.npy", objects)
    np.savez(tmp_path / "a.npz", x=objects)

    for name in ("a.npy", "a.npz"):
        for mode in ("r", None):
            with pytest.raises(ValueError, match=r"a\.np. ?.*is no \.npy or \.npz file"):
                load_array(tmp_path / name, mmap_mode=mode)


@pytest.mark.parametrize("content", [b"", b"abc", b"\x93NUMPY\x01", b"PK\x03\x04rest"])
def test_files_that_are_none_are_named(tmp_path, content):
    """A damaged or foreign file is a ValueError with its path."""
    path = tmp_path / "broken.npy"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"load_array: .*broken\.npy' is no \.npy or \.npz file"):
        load_array(path)


def test_truncated_array_is_named(tmp_path):
    """A file shorter than its header says is never mapped."""
    path = tmp_path / "a.npy"
    save_array(np.arange(1000), path)
    path.write_bytes(path.read_bytes()[:-8])

    for mode in ("r", None):
        with pytest.raises(ValueError, match=r"a\.npy' is no \.npy"):
            load_array(path, mmap_mode=mode)


def test_missing_file_stays_file_not_found(tmp_path):
    """The usual error, with the path."""
    with pytest.raises(FileNotFoundError, match=r"absent\.npy"):
        load_array(tmp_path / "absent.npy")


def test_members_are_stored_plainly(tmp_path):
    """Arrays in an .npz file are not compressed: they are as quick to load as to save."""
    path = save_array({"a": np.zeros(10)}, tmp_path / "a.npz")

    with zipfile.ZipFile(path) as archive:
        assert [zipfile.ZIP_STORED] == [member.compress_type for member in archive.infolist()]
