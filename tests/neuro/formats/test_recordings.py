"""EEG and MEG: a dataset of EEGLAB with its samples, the parts of a FIF file."""

import struct
import zlib

import pytest

from memori.digest.formats import companions_of, possible_companions_of

MATLAB = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM"


def element(text, *, packed):
    """One element of a MATLAB file around a text of one or two bytes a letter."""
    raw = struct.pack("<II", 14, len(text)) + text
    if packed:
        raw = zlib.compress(raw)
        raw = struct.pack("<II", 15, len(raw)) + raw
    return raw


NAMES = {  # how a .set holds the name of its samples
    "plain": MATLAB + element(b"\1\0\0\0sub-01_eeg.fdt\0\0", packed=False),
    "wide": MATLAB + element("xxsub-01_eeg.fdt\0".encode("utf-16-le")[4:], packed=False),
    "compressed": MATLAB + element(bytes(9 << 20) + b"sub-01_eeg.fdt\0", packed=True),
    "second": MATLAB + element(b"one", packed=True) + element(b"\0sub-01_eeg.fdt\0", packed=True),
    "v7.3": b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n\0"
    + "sub-01_eeg.fdt\0".encode("utf-16-le"),
    "cut by a read": MATLAB + element(bytes((1 << 18) - 150) + b"sub-01_eeg.fdt\0", packed=False),
}  # fmt: skip


@pytest.mark.parametrize("how", NAMES)
def test_samples_of_eeglab_count(tmp_path, content, how):
    """The .fdt that a .set names counts, or one of its own name; so does the .set."""
    path = tmp_path / "renamed.set"
    path.write_bytes(NAMES[how])
    alone = content(path)
    for name in ("sub-01_eeg.fdt", "renamed.fdt"):
        (tmp_path / name).write_bytes(bytes(8))
        before = content(path)
        assert before not in (None, alone)
        assert (name,) == companions_of(str(path))
        (tmp_path / name).write_bytes(bytes(7) + b"\1")
        assert before != content(path) is not None
        (tmp_path / name).unlink()
    assert alone == content(path)


def test_the_date_in_a_set_does_not_count(tmp_path, content):
    """The description at the start of the MATLAB file holds a date, which does not count."""
    (tmp_path / "x.fdt").write_bytes(bytes(8))
    digests = set()
    for date in (b"Monday ", b"Tuesday"):
        raw = MATLAB.replace(b"GLNXA64", date) + element(b"x.fdt\0", packed=True)
        (tmp_path / "x.set").write_bytes(raw)
        digests.add(content(tmp_path / "x.set"))
    assert 1 == len(digests - {None})


def test_a_set_without_samples_elsewhere_is_its_bytes(tmp_path, content):
    """A broken MATLAB file, or another file in .set, is compared by its bytes."""
    (tmp_path / "x.fdt").write_bytes(bytes(8))
    for raw in (b"", b"set", MATLAB[:100], b"MATLAB 4"):
        (tmp_path / "x.set").write_bytes(raw)
        assert content(tmp_path / "x.set") is None or raw == MATLAB[:100]
    (tmp_path / "x.set").write_bytes(MATLAB + struct.pack("<II", 15, 1 << 31) + b"x")
    assert content(tmp_path / "x.set") is None


def tag(kind, value, type=10):
    """One tag of a FIF file."""
    return struct.pack(">iIii", kind, type, len(value), 0) + value


def identity(seconds):
    """A file or block identifier: version, machine, time."""
    return struct.pack(">5i", 0x10003, 7, 8, seconds, seconds % 1000)


def part(samples, following=None, seconds=1, date=1000):
    """A part of a recording that names the next."""
    raw = tag(100, identity(seconds), 31) + tag(101, b"\xff" * 4, 3)
    raw += tag(103, identity(seconds), 31) + tag(204, struct.pack(">2i", date, 0), 3)
    raw += tag(300, samples, 4)
    if following is not None:
        raw += tag(115, b"\0\0\0\2", 3) + tag(116, identity(seconds), 31)
        raw += tag(118, following.encode())
    return raw + struct.pack(">iIii", 108, 0, 0, -1)


@pytest.fixture
def recording(tmp_path):
    """Write a recording of three parts."""

    def write(last=b"c" * 9, **how):
        names = ["x_meg.fif", "x-1_meg.fif", "x-2_meg.fif"]
        parts = [b"a" * 9, b"b" * 9, last]
        for name, samples, following in zip(names, parts, [*names[1:], None], strict=True):
            (tmp_path / name).write_bytes(part(samples, following, **how))
        return tmp_path / names[0]

    return write


def test_parts_of_a_fif_count(recording, content):
    """A reader is given the first part and reads them all, so they all count."""
    path = recording()
    before = content(path)
    assert ("x-1_meg.fif", "x-2_meg.fif") == companions_of(str(path))
    assert before != content(recording(last=b"c" * 8 + b"d")) is not None
    assert before == content(recording())


def test_when_a_fif_was_written_does_not_count(recording, content):
    """Identifiers of files and blocks do not count, the date of the measurement does."""
    before = content(recording(seconds=1))
    assert before == content(recording(seconds=2)) is not None
    assert before != content(recording(date=1001)) is not None


def test_a_missing_part_is_looked_for(recording, content, tmp_path):
    """Without its last part a recording is the bytes of those that are there."""
    path = recording()
    before = content(path)
    (tmp_path / "x-2_meg.fif").unlink()
    assert ("x-1_meg.fif",) == companions_of(str(path))
    assert ("x-1_meg.fif", "x-2_meg.fif") == possible_companions_of(str(path))
    assert content(path) not in (None, before)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: raw[4:],
        lambda raw: raw[:8] + struct.pack(">i", -16) + raw[12:],
        lambda raw: raw[:8] + struct.pack(">i", 1 << 30) + raw[12:],
        lambda raw: b"",
    ],
)
def test_unsound_fif_is_declined(tmp_path, content, spoil):
    """Tags that do not follow one another to the end leave the bytes as the identity."""
    (tmp_path / "x.fif").write_bytes(part(b"abc"))
    assert content(tmp_path / "x.fif") is not None
    (tmp_path / "x.fif").write_bytes(spoil(part(b"abc")))
    assert content(tmp_path / "x.fif") is None


def test_parts_that_name_each_other_end(tmp_path, content):
    """Two parts that each name the other are no endless recording."""
    (tmp_path / "x.fif").write_bytes(part(b"a", "y.fif"))
    (tmp_path / "y.fif").write_bytes(part(b"b", "x.fif"))
    assert ("y.fif",) == companions_of(str(tmp_path / "x.fif"))
    assert content(tmp_path / "x.fif") is not None
