"""FreeSurfer: all but who made it, when, and by which command."""

import gzip
import struct

import nibabel as nib
import nibabel.freesurfer as fs
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHHeader, MGHImage

VERTICES = np.arange(12, dtype=">f4").reshape(4, 3)
FACES = np.array([[0, 1, 2], [1, 2, 3]], ">i4")
GEOMETRY = {
    "head": np.array([2, 0, 20], "i4"),
    "valid": "1  # volume info valid",
    "filename": "../mri/wm.mgz",
    "volume": np.array([256, 256, 256]),
    "voxelsize": np.ones(3),
    "xras": np.array([-1.0, 0, 0]),
    "yras": np.array([0, 0, -1.0]),
    "zras": np.array([0, 1.0, 0]),
    "cras": np.array([1.0, 2, 3]),
}


def command(text):
    """A tag as programs append it: their command line with date, user and machine."""
    return struct.pack(">iq", 3, len(text)) + text


GROUP_AREA = struct.pack(">iqf", 21, 4, 1.5)


@pytest.fixture
def surface(tmp_path):
    """A surface with a volume geometry behind it."""
    path = tmp_path / "lh.white"
    fs.write_geometry(
        path, VERTICES, FACES, create_stamp="created by me on Monday", volume_info=GEOMETRY
    )
    return path


def test_who_and_when_do_not_count(surface, content, edited):
    """The line "created by" and the command lines at the end do not count."""
    before = content(surface)
    assert before is not None
    assert before == content(edited(surface, b"me on Monday", b"somebody else on Tuesday"))
    raw = surface.read_bytes()
    for tail in (command(b"mris_smooth 2020"), command(b"a") + command(b"TimeStamp: now")):
        surface.write_bytes(raw + tail)
        assert before == content(surface)


def test_a_creator_whom_nibabel_cannot_read_is_declined(surface, content, edited):
    """A user's name in Latin-1 ends nibabel's reading: the bytes decide."""
    other = edited(surface, b"me on Monday", "Jos\u00e9".encode("latin-1"))
    assert content(other) is None
    with pytest.raises(UnicodeDecodeError):
        fs.read_geometry(other, read_stamp=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n\n", b"\nx\n"),
        (b"wm.mgz", b"wm.mgh"),
        (b"valid = 1", b"valid = 0"),
        (struct.pack(">f", 11), struct.pack(">f", 10)),
        (struct.pack(">3i", 1, 2, 3), struct.pack(">3i", 1, 3, 2)),
        (b"cras   =", b"cras  ="),
    ],
)
def test_vertices_faces_and_geometry_count(surface, content, edited, old, new):
    """One coordinate, one face, one word of the volume geometry make another surface."""
    assert content(surface) != content(edited(surface, old, new)) is not None


def test_other_tags_count(surface, content):
    """A group's surface area, an unknown tag, and one of unknown length count."""
    raw, digests = surface.read_bytes(), {content(surface)}
    for tail in (GROUP_AREA, GROUP_AREA[:-1] + b"\1", struct.pack(">iq", 77, 0), b"\1\2\3" * 9):
        surface.write_bytes(raw + tail)
        digests.add(content(surface))
    assert 5 == len(digests)
    assert None not in digests


@pytest.mark.parametrize("counts", [(-1, 2), (4, -2), (2**31 - 1, 2), (5, 2)])
def test_impossible_counts_are_declined(surface, content, edited, counts):
    """More vertices or faces than the file can hold leave the bytes as the identity."""
    old = struct.pack(">ii", 4, 2)
    raw = surface.read_bytes()
    surface.write_bytes(raw[: raw.index(old) + 8 + 72])  # no tags
    assert content(surface) is not None
    assert content(edited(surface, old, struct.pack(">ii", *counts))) is None


def test_morphometry_is_compared_by_its_bytes(tmp_path, content):
    """Nothing in lh.curv is volatile."""
    fs.write_morph_data(tmp_path / "lh.curv", np.arange(4.0))
    assert content(tmp_path / "lh.curv") is None


def volume(path, **how):
    """An MGH volume with all its scan parameters."""
    header = MGHHeader()
    header.set_data_dtype(">f4")
    image = MGHImage(np.arange(8, dtype=">f4").reshape(2, 2, 2), np.eye(4), header)
    for name, value in {"tr": 2000, "te": 30, **how}.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def test_mgh_and_mgz_are_one_content(tmp_path, content):
    """Compression and command lines do not count."""
    plain, packed = volume(tmp_path / "x.mgh"), volume(tmp_path / "x.mgz")
    before = content(plain)
    assert before == content(packed) is not None
    raw = plain.read_bytes()
    packed.write_bytes(gzip.compress(raw + command(b"mri_convert; 2024; me@host")))
    assert before == content(packed)
    packed.write_bytes(gzip.compress(raw + GROUP_AREA))
    assert before != content(packed) is not None


def test_every_byte_of_a_volume_counts(tmp_path, content):
    """Any byte of header, voxels or scan parameters makes another volume, or none."""
    path = volume(tmp_path / "x.mgh")
    before, raw = content(path), path.read_bytes()
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert before != content(path), at


@pytest.mark.parametrize(
    ("at", "value"), [(0, 2), (4, 0), (4, -2), (4, 2**31 - 1), (16, 9), (20, 5)]
)
def test_impossible_volumes_are_declined(tmp_path, content, at, value):
    """Another version, sizes that cannot be, an unknown type: the bytes decide."""
    path = volume(tmp_path / "x.mgh")
    raw = path.read_bytes()
    path.write_bytes(raw[:at] + struct.pack(">i", value) + raw[at + 4 :])
    assert content(path) is None


def test_real_volume(real, content):
    """The MGZ in nibabel's test data is read."""
    assert content(real("test.mgz")) is not None


def annotation(folder, labels=(0, 1, 1, 0), names=("unknown", "V1"), red=255):
    """An annotation of four vertices."""
    colours = np.array([[0, 0, 0, 0], [red, 0, 0, 0]])
    folder.mkdir(exist_ok=True)
    fs.write_annot(folder / "lh.x.annot", np.array(labels), colours, list(names), fill_ctab=True)
    return folder / "lh.x.annot"


def test_annotation_counts_labels_names_and_colours(tmp_path, content, edited):
    """Vertices, names and colours count; the file that the colours came from does not."""
    path = annotation(tmp_path / "a")
    before, raw = content(path), path.read_bytes()
    others = [
        annotation(tmp_path / "b", labels=(0, 1, 0, 0)),
        annotation(tmp_path / "c", names=("unknown", "V2")),
        annotation(tmp_path / "d", red=254),
    ]
    assert 4 == len({before, *map(content, others)} - {None})
    at = raw.index(b"NOFILE")  # as nibabel names it, after its length
    length = struct.unpack(">i", raw[at - 4 : at])[0]
    name = b"/elsewhere/colours.txt"
    path.write_bytes(raw[: at - 4] + struct.pack(">i", len(name)) + name + raw[at + length :])
    assert before == content(path)
    path.write_bytes(raw[: at - 4] + struct.pack(">i", 2**30) + raw[at:])
    assert content(path) is None
    path.write_bytes(struct.pack(">i", 2**30) + raw[4:])
    assert content(path) is None


LTA = """# transform file {folder}/t.lta
# created by {user} on {date}

type      = 1 # LINEAR_RAS_TO_RAS
nxforms   = 1
mean      = 0.0000 0.0000 0.0000
sigma     = 1.0000
1 4 4
1.0 0.0 0.0 {x}
0.0 1.0 0.0 0.0
0.0 0.0 1.0 0.0
0.0 0.0 0.0 1.0
src volume info
valid = 1  # volume info valid
filename = orig.mgz
"""


def test_who_made_a_transform_and_when_does_not_count(tmp_path, content):
    """Folder, user and date at the start of an .lta do not count; the matrix and volumes do."""
    path, how = tmp_path / "t.lta", {"folder": "/a", "user": "me", "date": "Mon", "x": "1.0"}

    def digest(**changed):
        path.write_text(LTA.format(**{**how, **changed}))
        return content(path)

    before = digest()
    assert before == digest(folder="/b/c") == digest(user="you") == digest(date="Tue Jan  1")
    assert None is not before != digest(x="2.0")
    path.write_text(LTA.format(**how).replace("orig.mgz", "T1.mgz"))
    assert before != content(path) is not None
    path.write_text(LTA.format(**how).partition("\n\n")[2])
    assert before != content(path) is not None
    for raw in (
        b"",
        b"# created by me\n",
        LTA.format(**{**how, "user": "\u00e9"}).encode("latin-1"),
    ):
        path.write_bytes(raw)
        assert content(path) is None


STATS = """# Title Segmentation Statistics
#
# generating_program mri_segstats
# cvs_version $Id: mri_segstats.c,v 1.121 $
# cmdline mri_segstats --seg /scratch/{run}/aseg.mgz
# sysname  Linux
# hostname {run}
# machine  x86_64
# user     {run}
# CreationTime 2020/01/01-12:00:{run}-GMT
# SegVolFileTimeStamp  2020/01/01 12:00:{run}
# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, {volume}, mm^3
# TableCol  1 ColHeader Index
  1   4      6563     6563.0  Left-Lateral-Ventricle
"""


def test_when_and_where_statistics_were_made_does_not_count(tmp_path, content):
    """Command line, host, user and times of an aseg.stats do not count; measures do."""
    path = tmp_path / "aseg.stats"
    digests = []
    for run, volume in (("01", "100"), ("12345", "100"), ("01", "101")):
        path.write_text(STATS.format(run=run, volume=volume))
        digests.append(content(path))
    assert None is not digests[0] == digests[1] != digests[2] is not None
    path.write_text("# a comment\n# cmdline x\n")
    assert content(path) is None
