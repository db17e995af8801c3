"""Headers whose data lie in other files: the data count, whichever way the header names them."""

import bz2
import gzip
import os
import time

import pytest

from memori.digest.files import file_digest, unchanged
from memori.digest.formats import companions_of, possible_companions_of

MHD = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\n# a comment\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n"
VHDR = "Brain Vision Data Exchange Header File Version 1.0\n; a comment\n[Common Infos]\n"
PAR = "# === DATA DESCRIPTION FILE ===\n#\n.    Patient name : x\n"

HEADERS = {  # name, text -> the files that it names
    ("x.mhd", MHD + "ElementDataFile = x.raw\n"): ["x.raw"],
    ("y.mhd", MHD + "CompressedData = True\nElementDataFile = x.zraw"): ["x.zraw"],
    ("dots.v2.mhd", MHD + "ElementDataFile: data/x y.raw\r\n"): ["data/x y.raw"],
    ("slices.mhd", MHD + "ElementDataFile = s%03d.raw 1 3 1\n"): [
        "s001.raw",
        "s002.raw",
        "s003.raw",
    ],
    ("every.mhd", MHD + "ElementDataFile = s%d.raw 1 5 2\n"): ["s1.raw", "s3.raw", "s5.raw"],
    ("listed.mhd", MHD + "ElementDataFile = LIST 2\na.raw\nb.raw\n"): ["a.raw", "b.raw"],
    ("apart.mha", MHD + "ElementDataFile = x.raw\n"): ["x.raw"],
    ("x.nhdr", NRRD + "data file: x.raw\n"): ["x.raw"],
    ("y.nhdr", NRRD + "datafile: ./x.raw.gz\n"): ["./x.raw.gz"],
    ("apart.nrrd", NRRD + "Data File: x.raw\n"): ["x.raw"],
    ("slices.nhdr", NRRD + "data file: s%02d.raw 1 3 1 2\n"): ["s01.raw", "s02.raw", "s03.raw"],
    ("back.nhdr", NRRD + "data file: s%d.raw 3 1 -1\n"): ["s3.raw", "s2.raw", "s1.raw"],
    ("listed.nhdr", NRRD + "data file: LIST\na.raw\nb.raw\n"): ["a.raw", "b.raw"],
    ("x.vhdr", VHDR + "DataFile=x.eeg\nMarkerFile=x.vmrk\n"): ["x.eeg", "x.vmrk"],
    ("y.vhdr", VHDR + "Codepage=UTF-8\ndatafile = $b.dat\nMarkerFile=$b.vmrk"): ["y.dat", "y.vmrk"],
    ("renamed.vhdr", VHDR + "DataFile=old.eeg\nMarkerFile=old.vmrk\n"): [
        "renamed.eeg",
        "renamed.vmrk",
    ],
    ("x.ahdr", VHDR + "DataFile=x.eeg\n"): ["x.eeg"],
    ("x.PAR", PAR): ["x.REC"],
    ("y.par", PAR): ["y.rec"],
    ("x.XML", "<?xml version='1.0'?>\n<PRIDE_V5>\n"): ["x.REC"],
    ("x.hdr", "ENVI\nsamples = 4\n"): ["x"],
    ("y.hdr", "ENVI\nsamples = 4\n"): ["y.bsq"],
    ("z.img.hdr", "ENVI\nsamples = 4\n"): ["z.img"],
    ("pet.hdr", "!INTERFILE :=\n!name of data file := pet.i\n"): ["pet.i"],
    ("pet.hv", "!INTERFILE  :=\nname of data file:=pet.v\n"): ["pet.v"],
    ("x.lay", "[FileInfo]\nFile=C:\\eeg\\x.dat\nFileType=Interleaved\n"): ["x.dat"],
}


def written(folder, name, text):
    """The path of a header in a folder."""
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(("header", "data"), HEADERS.items(), ids=[name for name, _ in HEADERS])
def test_the_data_of_a_header_count(tmp_path, content, header, data):
    """Every file that a header names counts by its content, and is known to belong to it."""
    path = written(tmp_path, *header)
    for name in data:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(64))
    before = content(path)
    assert before is not None
    assert sorted(data) == sorted(companions_of(str(path)))
    for name in data:
        (tmp_path / name).write_bytes(bytes(63) + b"\1")
        assert before != content(path), name
        (tmp_path / name).write_bytes(bytes(64))
    assert before == content(path)
    path.write_bytes(path.read_bytes() + b"\n")
    assert before != content(path)


@pytest.mark.parametrize(("header", "data"), HEADERS.items(), ids=[name for name, _ in HEADERS])
def test_data_that_come_go_or_change_later_are_seen(tmp_path, header, data):
    """What is remembered of a header holds only while its data are what, and where, they were."""
    path = str(written(tmp_path, *header))
    place = tmp_path / data[0]
    place.parent.mkdir(exist_ok=True)

    def known():
        """The digest of the header, from when on its stat can vouch for it."""
        while not unchanged(found := file_digest(path), path):
            time.sleep(0.005)
        return found

    alone = known()
    place.write_bytes(bytes(64))
    assert not unchanged(alone, path)
    whole = known()
    assert alone.identity != whole.identity
    place.write_bytes(bytes(63) + b"\1")
    assert not unchanged(whole, path)
    assert whole.identity != known().identity
    place.unlink()
    assert alone.identity == known().identity


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.mha", MHD + "ElementDataFile = LOCAL\n" + "\0" * 64),
        ("x.nrrd", NRRD + "\n" + "data file: x.raw\n"),
        ("mc.par", "0.1 0.2 0.3 0.4 0.5 0.6\n"),
        ("x.xml", "<note/>"),
        ("x.hdr", "some text"),
        ("x.vhdr", "[Common Infos]\nDataFile=x.eeg\n"),
        ("x.lay", "nothing"),
        ("huge.mhd", MHD + "ElementDataFile = s%d.raw 1 99999999999 1\n"),
        ("still.mhd", MHD + "ElementDataFile = s%d.raw 1 9 0\n"),
        ("itself.mhd", MHD + "ElementDataFile = itself.mhd\n"),
        ("odd.mhd", MHD + "ElementDataFile = s%s.raw 1 9 1\n"),
        (
            "long.nhdr",
            NRRD + "data file: LIST\n" + "a.raw\n" + "".join(f"{i}\n" for i in range(20_000)),
        ),
    ],
)
def test_what_only_looks_like_such_a_header_is_its_bytes(tmp_path, content, name, text):
    """A file without data elsewhere, or with names beyond reason, is compared by its bytes."""
    path = written(tmp_path, name, text)
    for other in ("x.raw", "x.eeg", "mc.rec", "x.rec", "x.dat"):
        (tmp_path / other).write_bytes(bytes(64))
    assert content(path) is None


def test_a_name_that_is_no_file_is_not_opened(tmp_path, content):
    """A header that names a pipe, a device or a folder waits for nothing."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", ".", "\0", "x" * 5000):
        assert content(written(tmp_path, "x.mhd", MHD + f"ElementDataFile = {name}\n")) is None


def test_a_name_in_latin_1_is_found(tmp_path):
    """Older BrainVision headers are written in the code page of their machine."""
    (tmp_path / "é.eeg").write_bytes(b"1")
    path = tmp_path / "x.vhdr"
    path.write_bytes((VHDR + "DataFile=é.eeg\n").encode("latin-1"))
    assert ("é.eeg",) == companions_of(str(path))


def test_par_and_rec_are_one_artifact(real, content):
    """A real PAR/REC pair has one content under either name, and the voxels count."""
    par, rec = (real(f"phantom_EPI_asc_CLEAR_2_1.{suffix}") for suffix in ("PAR", "REC"))
    before = content(par)
    assert before == content(rec) is not None
    rec.write_bytes(b"\1" + rec.read_bytes()[1:])
    assert before != content(par) == content(rec)


def test_a_brik_counts_however_it_is_packed(real, content):
    """BRIK, BRIK.gz and BRIK.bz2 of one HEAD are one dataset; BRIK.Z counts by its bytes."""
    head, packed = real("example4d+orig.HEAD"), real("example4d+orig.BRIK.gz")
    raw, before = gzip.decompress(packed.read_bytes()), content(head)
    packed.unlink()
    for suffix, pack in (("BRIK", bytes), ("BRIK.bz2", bz2.compress)):
        brik = head.with_name(f"example4d+orig.{suffix}")
        brik.write_bytes(pack(raw))
        assert before == content(head) == content(brik)
        brik.write_bytes(pack(raw[:-1] + bytes([raw[-1] ^ 1])))
        assert before != content(head) == content(brik) is not None
        brik.write_bytes(pack(raw) + b"x")
        assert before != content(head) is not None  # the bytes of both
        brik.unlink()
    brik = head.with_name("example4d+orig.BRIK.Z")
    brik.write_bytes(b"\x1f\x9d\x90abc")
    other = content(head)
    assert other == content(brik) not in (None, before)
    brik.write_bytes(b"\x1f\x9d\x90abd")
    assert other != content(head)
    assert "example4d+orig.BRIK.gz" in possible_companions_of(str(head))
