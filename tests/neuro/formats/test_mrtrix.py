"""MRtrix images and tractograms: all lines of the header but history, version and place."""

import gzip

import pytest

from memori.digest.formats import companions_of


def test_data_of_a_mih_are_its_companion(real, content):
    """A .mih covers its data; one bit there makes another image."""
    path, data = real("first/standard.mih"), real("first/standard.dat")
    before = content(path)
    assert ("standard.dat",) == companions_of(str(path))
    raw = data.read_bytes()
    data.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert before != content(path) is not None
    data.write_bytes(raw + b"\0")
    unsound = content(path)
    data.write_bytes(raw + b"\1")
    assert unsound != content(path)
    data.unlink()
    assert content(path) is None


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"command_history: mrconvert", b"command_history: mrconverd", True),
        (b"mrtrix_version: 3.0.3", b"mrtrix_version: 3.0.4", True),
        (b"transform: 1", b"transform: 2", False),
        (b"vox: ", b"vox: 1", False),
        (b"layout: +0", b"layout: -0", False),
        (b"datatype: UInt8", b"datatype: Int8", False),
        (b"file:", b"comments: x\nfile:", False),
        (b"file: standard.dat", b"file: standard.dat 0", True),
    ],
)
def test_lines_of_the_header(real, content, edited, old, new, same):
    """History and version do not count; every other line does."""
    path = real("first/standard.mih")
    real("first/standard.dat")
    other = edited(path, old, new)
    (other.parent / "standard.dat").write_bytes((path.parent / "standard.dat").read_bytes())
    assert same == (content(path) == content(other))


def test_an_image_must_be_as_long_as_it_says(real, content):
    """Cut, longer, gapped with bytes, or without END: the bytes decide."""
    path = real("first/standard.mif")
    raw = path.read_bytes()
    assert content(path) is not None
    for spoilt in (
        raw[:-1],
        raw + b"\0",
        raw.replace(b"\nEND\n", b"\nENT\n"),
        raw.replace(b"dim: ", b"dim: 9"),
        raw.replace(b"dim: ", b"dim: -"),
        raw.replace(b"file: . ", b"file: . 9"),
        raw.replace(b"file: . ", b"file: x "),
        raw.replace(b"mrtrix image", b"mrtrix imagE"),
        b"mrtrix image\n" + b"x" * 100,
        b"mrtrix image\n" + b"a: b\n" * 10**6,
        b"",
    ):
        path.write_bytes(spoilt)
        assert content(path) is None, spoilt[:40]
        packed = path.with_suffix(".mif.gz")
        packed.write_bytes(gzip.compress(spoilt, 1))
        assert content(packed) is None


def test_bits_are_counted_in_whole_bytes(real, content):
    """An image of single bits is read, and its last byte counts."""
    path = real("first/bit.mif")
    before, raw = content(path), path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 0x80]))
    assert None is not before != content(path) is not None


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"timestamp: 1", b"timestamp: 2", True),
        (b"command_history: tckedit", b"command_history: tckEdit", True),
        (b"mrtrix_version: 3", b"mrtrix_version: 4", True),
        (b"count: 3", b"count: 4", False),
        (b"total_count: ", b"rotal_count: ", False),
        (b"datatype: Float32LE", b"datatype: Float32BE", False),
    ],
)
def test_header_of_a_tractogram(real, content, edited, old, new, same):
    """Time and history of a tractogram do not count; counts and parameters do."""
    path = real("first/three.tck")
    assert same == (content(path) == content(edited(path, old, new)))


def test_the_folder_of_the_tracked_image_does_not_count(real, content, edited):
    """Its name does: the same tracts are the same in another working folder."""
    path = real("first/three.tck")

    def tracked(source):
        line = b"source: %s\n" % source
        return content(edited(path, b"file: . 260", line + b"file: . %d" % (260 + len(line))))

    assert None is not tracked(b"/one/wm.mif") == tracked(b"/another/folder/wm.mif")
    assert tracked(b"/one/wm.mif") != tracked(b"/one/gm.mif")


def test_points_of_a_tractogram_count(real, content):
    """One bit of a point makes another tractogram; one without its end is declined."""
    for name in ("first/three.tck", "standard.tck", "simple.tck", "simple_big_endian.tck"):
        path = real(name)
        before, raw = content(path), path.read_bytes()
        path.write_bytes(raw[:-30] + bytes([raw[-30] ^ 1]) + raw[-29:])
        assert None is not before != content(path) is not None, name
        path.write_bytes(raw[:-12])
        assert content(path) is None, name
        path.write_bytes(raw + b"\0")
        assert content(path) is None, name
