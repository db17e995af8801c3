"""AFNI: HEAD and BRIK are one artifact; identifiers, dates and history do not count."""

import gzip
import re
import shutil

import nibabel as nib
import pytest
from nibabel.brikhead import AFNIHeaderError

from memori.digest.formats import companions_of

VOLATILE = {
    *("IDCODE_STRING", "IDCODE_DATE", "IDCODE_ANAT_PARENT", "HISTORY_NOTE"),
    *("LABEL_1", "LABEL_2", "DATASET_NAME"),
}


@pytest.fixture
def dataset(real):
    """Copy HEAD and BRIK of a real dataset."""

    def copy(stem, brik):
        return real(f"{stem}.HEAD"), real(f"{stem}.{brik}")

    return copy


SETS = [("example4d+orig", "BRIK.gz"), ("scaled+tlrc", "BRIK")]


@pytest.mark.parametrize(("stem", "brik"), SETS)
def test_head_and_brik_are_one_artifact(dataset, content, stem, brik):
    """Both names have one content and name each other; packing the BRIK does not count."""
    head, voxels = dataset(stem, brik)
    before = content(head)
    assert before == content(voxels) is not None
    assert (voxels.name,) == companions_of(str(head))
    assert (head.name,) == companions_of(str(voxels))
    raw = voxels.read_bytes()
    if brik == "BRIK":
        voxels.unlink()
        voxels = voxels.with_name(f"{stem}.BRIK.gz")
        voxels.write_bytes(gzip.compress(raw))
    else:
        voxels.unlink()
        voxels = voxels.with_name(f"{stem}.BRIK")
        voxels.write_bytes(gzip.decompress(raw))
    assert before == content(head) == content(voxels)


@pytest.mark.parametrize(("stem", "brik"), SETS)
def test_each_attribute_counts_unless_it_is_volatile(dataset, content, stem, brik):
    """One letter in any attribute makes another dataset, unless it is an identifier or history."""
    head, _ = dataset(stem, brik)
    before, raw = content(head), head.read_bytes()
    names = set()
    for found in re.finditer(rb"name\s*=\s*(\S+)\s+count\s*=\s*\d+\s+'?", raw):
        at, name = found.end(), found[1].decode()
        letter = b"7" if raw[at : at + 1] != b"7" else b"8"
        head.write_bytes(raw[:at] + letter + raw[at + 1 :])
        assert (name in VOLATILE) == (before == content(head)), name
        names.add(name)
    assert {"IDCODE_STRING", "BRICK_TYPES", "ORIGIN", "TYPESTRING"} <= names


def test_a_longer_history_does_not_count(dataset, content):
    """A history, even one that speaks of attributes, leaves the content as it is."""
    head, _ = dataset("scaled+tlrc", "BRIK")
    before, raw = content(head), head.read_bytes().rstrip()
    for text in (b"[me] 3dcalc", b"[me] 3dcalc\n[me]\ntype = integer-attribute\nname = X"):
        history = b"\n\ntype = string-attribute\nname = HISTORY_NOTE\ncount = %d\n'%s~\n"
        head.write_bytes(raw + history % (len(text) + 1, text))
        assert before == content(head)


def with_attribute(raw, name, text):
    """The bytes of a HEAD with one more text, as AFNI writes it."""
    text = text.encode() + b"~"
    line = b"\n\ntype = string-attribute\nname = %s\ncount = %d\n'%s\n"
    return raw.rstrip() + line % (name.encode(), len(text), text)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("HISTORY_NOTE", "3dmerge -1blur_fwhm 4 -prefix x", "3dmerge -1blur_fwhm 4.0 -prefix x"),
        ("LABEL_3", "/data/run-1/subjec", "/data/run-2/subjec"),
        ("IDCODE_WARP_PARENT", "AFN_a", "AFN_b"),
        ("WARP_PARENTNAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("ANATOMY_PARENTNAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("VOLREG_INPUT_IDCODE", "NII_a", "NII_b"),
        ("VOLREG_INPUT_NAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("VOLREG_BASE_IDCODE", "NII_a", "NII_b"),
        ("VOLREG_BASE_NAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("VOLREG_GRIDPARENT_IDCODE", "NII_a", "NII_b"),
        ("VOLREG_ROTPARENT_NAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("WARPDRIVE_INPUT_IDCODE", "NII_a", "NII_b"),
        ("WARPDRIVE_INPUT_NAME", "/a/x+orig.HEAD", "/b/x+orig.HEAD"),
        ("WARPDRIVE_BASE_IDCODE", "NII_a", "NII_b"),
        ("WARPDRIVE_WEIGHT_IDCODE", "NII_a", "NII_b"),
        ("NOTE_DATE_001", "Mon", "Tue"),
    ],
)
def test_codes_and_paths_do_not_count(dataset, content, name, old, new):
    """Random codes, dates, and paths of what a dataset was made from do not count."""
    head, _ = dataset("scaled+tlrc", "BRIK")
    raw = head.read_bytes()
    plain = content(head)
    head.write_bytes(with_attribute(raw, name, old))
    before = content(head)
    head.write_bytes(with_attribute(raw, name, new))
    assert plain == before == content(head) is not None


@pytest.mark.parametrize(
    "name",
    ["TEMPLATE_SPACE", "NOTE_NUMBER_001", "VOLREG_ROTCOM_000000", "ATLAS_NAME", "BRICK_KEYWORDS"],
)
def test_what_a_dataset_says_of_itself_counts(dataset, content, name):
    """Spaces, notes, rotations and names that are no provenance count."""
    head, _ = dataset("scaled+tlrc", "BRIK")
    raw, digests = head.read_bytes(), {content(head)}
    for text in ("one", "two"):
        head.write_bytes(with_attribute(raw, name, text))
        digests.add(content(head))
    assert 3 == len(digests - {None})


@pytest.mark.parametrize("text", ["universit\u00e9".encode("latin-1"), b"a\n\nb"])
def test_a_history_that_nibabel_refuses_is_another_file(dataset, content, text):
    """A history in Latin-1, or with an empty line, ends nibabel's reading: the bytes decide."""
    head, _ = dataset("scaled+tlrc", "BRIK")
    before, raw = content(head), head.read_bytes()
    line = b"\n\ntype = string-attribute\nname = HISTORY_NOTE\ncount = %d\n'%s~\n"
    head.write_bytes(raw.rstrip() + line % (len(text) + 1, text))
    assert before != content(head) is not None
    with pytest.raises((UnicodeDecodeError, AFNIHeaderError)):
        nib.load(head)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\n\ntype", b"\ntype"), (b"\nname", b"\n\nname"), (b"\ncount", b" count")],
)
def test_a_layout_that_nibabel_refuses_is_another_file(dataset, content, old, new):
    """An attribute is three lines and a value, and an empty line ends it."""
    head, _ = dataset("scaled+tlrc", "BRIK")
    before = content(head)
    head.write_bytes(head.read_bytes().replace(old, new, 2))
    assert before != content(head) is not None
    with pytest.raises((AFNIHeaderError, ValueError, KeyError)):
        nib.load(head)


def test_voxels_count(dataset, content):
    """One bit of the BRIK makes another dataset under both names."""
    head, voxels = dataset("scaled+tlrc", "BRIK")
    before, raw = content(head), voxels.read_bytes()
    voxels.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert before != content(head) == content(voxels)


@pytest.mark.parametrize("change", ["shorter", "longer", "both", "head"])
def test_unsound_datasets_are_the_bytes_of_all(dataset, content, change):
    """A BRIK of another length, two BRIKs, a broken HEAD: the bytes of all files decide."""
    head, voxels = dataset("scaled+tlrc", "BRIK")
    before, raw, text = content(head), voxels.read_bytes(), head.read_bytes()
    if change == "both":
        voxels.with_name("scaled+tlrc.BRIK.gz").write_bytes(gzip.compress(raw))
    elif change == "head":
        head.write_bytes(text.replace(b"count = ", b"count = 9", 1))
    else:
        voxels.write_bytes(raw[:-1] if change == "shorter" else raw + b"\0")
    broken = content(head)
    assert broken not in (None, before)
    head.write_bytes(head.read_bytes() + b"\n")
    assert broken != content(head)


def test_a_head_alone_is_compared_by_its_bytes(dataset, content, tmp_path):
    """Without a BRIK there is nothing to read."""
    head, voxels = dataset("scaled+tlrc", "BRIK")
    shutil.move(voxels, tmp_path / "elsewhere")
    assert content(head) is None
