"""HDF5, and the formats of MATLAB, MINC-2 and EEGLAB on it: the times of objects do not count."""

import struct

import pytest

from memori.neuro.formats import hdf5
from memori.neuro.formats.lookup3 import lookup3

FILES = ["old.h5", "block.h5", "ordered.h5", "new.h5", "dense.h5", "composite.h5", "pandas.h5"]


@pytest.fixture
def equal(tmp_path, content):
    """Tell at which places another byte leaves the content of a file as it is."""

    def places(path, among=None):
        raw, before = bytearray(path.read_bytes()), content(path)
        assert before is not None
        found = []
        for at in among or range(len(raw)):
            raw[at] ^= 0x55
            path.write_bytes(raw)
            if content(path) == before:
                found.append(at)
            raw[at] ^= 0x55
        path.write_bytes(raw)
        return found

    return places


def test_every_byte_of_an_old_file_counts_but_its_times(real, equal):
    """Of three tables, three times of four bytes do not count; everything else does."""
    path = real("first/old.h5")
    raw = path.read_bytes()
    other = real("second/old.h5", "other.h5").read_bytes()
    differ = {at for at in range(len(raw)) if raw[at] != other[at]}
    times = equal(path)
    assert 12 == len(times)
    assert differ <= set(times)


def test_a_checksum_guards_the_times_of_a_new_file(real, equal):
    """A header whose checksum is wrong, which no reader takes, counts to the byte."""
    path = real("first/new.h5")
    assert [] == equal(path, range(48, 600))


@pytest.mark.parametrize("name", FILES)
def test_data_count(real, content, name):
    """A value, a name, an attribute or one bit at the end make another file."""
    path = real(f"first/{name}")
    before, raw = content(path), path.read_bytes()
    digests = {before}
    last = len(raw.rstrip(b"\0")) - 1
    for at in (last, len(raw) // 2, raw.index(b"\x89HDF") + 8 + 4):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        digests.add(content(path))
    assert before is not None
    assert len(digests) >= 3


def test_spans_may_lie_across_pieces():
    """How a file is read does not change which of its bytes count."""
    raw, spans = bytes(range(1, 40)), {(3, 4), (10, 20), (38, 9)}
    for size in (1, 2, 3, 7, 39, 100):
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        blanked = b"".join(hdf5._blanked(pieces, spans))
        kept = [raw[at] if at in (0, 1, 2, 7, 8, 9, *range(30, 38)) else 0 for at in range(39)]
        assert bytes(kept) == blanked


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:8],
        lambda raw: b"x" + raw,
        lambda raw: raw[:8] + b"\x09" + raw[9:],
        lambda raw: raw[:13] + b"\x04" + raw[14:],
    ],
)
def test_what_is_no_sound_file_is_declined(real, content, spoil):
    """A cut file, another version, addresses of another size: the bytes decide."""
    path = real("first/old.h5")
    path.write_bytes(spoil(path.read_bytes()))
    assert content(path) is None


def superblock(root, size):
    """The start of an old file whose root object is at a place."""
    fields = struct.pack("<4Q", 0, 2**64 - 1, size, 2**64 - 1) + struct.pack("<2Q", 0, root)
    return b"\x89HDF\r\n\x1a\n" + b"\0\0\0\0\0\x08\x08\0" + bytes(8) + fields + bytes(24)


def header(*messages):
    """An object with messages (kind, body)."""
    block = b"".join(struct.pack("<HH4x", kind, len(body)) + body for kind, body in messages)
    return struct.pack("<BxHIIxxxx", 1, len(messages), 1, len(block)) + block


@pytest.mark.parametrize(
    "body",
    [
        lambda at: header((0x11, struct.pack("<2Q", at, at))),  # a group that holds itself
        lambda at: header((0x10, struct.pack("<2Q", at + 16, 24))),  # continues in itself
        lambda at: header((0x10, struct.pack("<2Q", at, 2**63))),
        lambda at: header((0x06, b"\1\0\1a" + struct.pack("<Q", at))),
        lambda at: header((0x06, b"\1")),
        lambda at: b"TREE\0\0\xff\xff" + bytes(16) + struct.pack("<2Q", 0, at) * 9,
        lambda at: b"SNOD\1\0\xff\xff" + struct.pack("<5Q", 0, at, 0, 0, 0) * 9,
    ],
)
def test_objects_that_lead_to_themselves_end(tmp_path, content, body):
    """A file whose groups go round, or point out of it, ends in a content or none."""
    raw = body(96)
    (tmp_path / "x.h5").write_bytes(superblock(96, 96 + len(raw)) + raw)
    assert content(tmp_path / "x.h5") is None or 64 == len(content(tmp_path / "x.h5"))


def test_the_checksum_is_that_of_hdf5(real):
    """The header of a real root object ends with its checksum."""
    raw = real("first/new.h5").read_bytes()
    at = raw.index(b"OHDR")
    width = 1 << (raw[at + 5] & 3)
    place = at + 6 + 16 * bool(raw[at + 5] & 0x20) + 4 * bool(raw[at + 5] & 0x10)
    end = place + width + int.from_bytes(raw[place : place + width], "little")
    assert int.from_bytes(raw[end : end + 4], "little") == lookup3(raw[at:end])


def test_history_of_a_minc_volume_does_not_count(real, content, equal):
    """Of MINC-2, history and identifier do not count, unless their checksum is wrong."""
    path = real("minc2_1_scale.mnc")
    raw = path.read_bytes()
    at = raw.index(b">>>")
    assert [at] == equal(path, [at])
    assert [] == equal(path, range(len(raw) - 40, len(raw)))
    path = real("first/minc2.mnc")
    at = path.read_bytes().index(b">>>")
    assert [] == equal(path, [at])


def test_the_date_of_a_matlab_file_does_not_count(tmp_path, content, real):
    """Of versions 5 and 7.3 the description does not count; version, byte order, values do."""
    path = tmp_path / "x.mat"

    def digest(raw):
        path.write_bytes(raw)
        return content(path)

    def version_5(date, rest=b"\0\1IMvariables"):
        return (b"MATLAB 5.0 MAT-file, Created on: " + date).ljust(124) + rest

    before = digest(version_5(b"Monday"))
    assert before == digest(version_5(b"Tuesday")) is not None
    assert before != digest(version_5(b"Monday", b"\0\1IMvariableS")) is not None
    assert before != digest(version_5(b"Monday", b"\1\0MIvariables")) is not None
    for rest in (b"\0\2IMvariables", b"\0\1", b""):
        assert digest(version_5(b"Monday", rest)) is None
    block = real("first/block.h5").read_bytes()
    dated = [b"MATLAB 7.3 MAT-file, " + date + block[27:] for date in (b"Monday", b"Friday")]
    assert digest(dated[0]) == digest(dated[1]) is not None
    assert digest(dated[0]) != digest(dated[0][:200] + b"x" + dated[0][201:]) is not None


def test_text_in_mat_is_its_bytes(tmp_path, content):
    """A matrix of FSL, and ITK's .mat of version 4, have no description to leave out."""
    (tmp_path / "fsl.mat").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    (tmp_path / "itk.mat").write_bytes(struct.pack("<5i", 0, 12, 1, 0, 30) + bytes(100))
    assert content(tmp_path / "fsl.mat") is None
    assert content(tmp_path / "itk.mat") is None
