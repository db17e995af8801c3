"""NIfTI: which fields count, whatever the packing."""

import bz2
import gzip
import json
import os
import struct
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.digest.formats import FieldDigest, companions_of
from memori.neuro.formats.nifti import NIFTI

NOT_COUNTED = {  # as docs/formats.md has it
    *("data_type", "db_name", "extents", "session_error", "regular", "glmax", "glmin"),
    *("cal_max", "cal_min", "descrip", "aux_file", "unused_str"),
}
HEADERS = {1: nib.Nifti1Header, 2: nib.Nifti2Header}
IMAGES = {1: nib.Nifti1Image, 2: nib.Nifti2Image}
SPANS = {
    version: {
        name: (offset, dtype.itemsize)
        for name, (dtype, offset, *_) in header.template_dtype.fields.items()
    }
    for version, header in HEADERS.items()
}


def header_of(version=1, dtype="f4", shape=(4, 3, 2)):
    """A header whose fields all hold something."""
    header = HEADERS[version]()
    header.set_data_dtype("<" + dtype)
    header.set_data_shape(shape)
    header["magic"] = {1: b"n+1", 2: b"n+2\0\r\n\x1a\n"}[version]
    header["vox_offset"] = {1: 352, 2: 544}[version]
    header["descrip"], header["aux_file"] = b"made today", b"none"
    header["toffset"], header["slice_duration"], header["slice_code"] = 1.5, 0.1, 1
    header["pixdim"] = [-1, 2, 2, 3, 0.5, 0, 0, 0]
    header["scl_slope"], header["scl_inter"] = 2, -1
    header.set_sform(np.diag([2, 2, 3, 1]), "mni")
    header.set_qform(np.diag([2, 2, 3, 1]), "scanner")
    header.set_xyzt_units("mm", "sec")
    header.set_dim_info(0, 1, 2)
    header.set_intent("t test", (12,), name="contrast")
    return header


def voxels_of(header):
    """Voxels for a header, in its byte order."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    return (np.arange(np.prod(shape)) * 3 % 251).astype(dtype).tobytes()


def raw_of(version=1, order="<", **how):
    """The bytes of a single uncompressed file."""
    header = header_of(version, **how)
    if order == ">":
        header = header.as_byteswapped(">")
    return header.binaryblock + b"\0\0\0\0" + voxels_of(header)


@pytest.fixture(scope="module")
def digest_of(tmp_path_factory, content):
    """The content of bytes written under a name."""
    folder = tmp_path_factory.mktemp("bytes")

    def digest(raw, name="x.nii"):
        (folder / name).write_bytes(raw)
        return content(folder / name)

    return digest


@pytest.mark.parametrize("version", [1, 2])
@given(choice=st.data())
def test_a_bit_of_the_header_counts_if_and_only_if_the_table_says(digest_of, version, choice):
    """Any bit of any field changes the content, unless docs/formats.md says that it does not."""
    raw = bytearray(raw_of(version))
    name = choice.draw(st.sampled_from(sorted(SPANS[version])))
    start, length = SPANS[version][name]
    at = choice.draw(st.integers(start, start + length - 1))
    raw[at] ^= 1 << choice.draw(st.integers(0, 7))
    same = digest_of(bytes(raw)) == digest_of(raw_of(version)) is not None
    assert (name in NOT_COUNTED) == same


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"],
)
def test_byte_order_does_not_count(digest_of, version, dtype):
    """A big-endian file of any type is the same image, and one bit makes it another."""
    little, big = (raw_of(version, order, dtype=dtype) for order in "<>")
    assert little != big
    assert digest_of(little) == digest_of(big) is not None
    assert digest_of(big) != digest_of(big[:-1] + bytes([big[-1] ^ 1]))


def test_packing_does_not_count(tmp_path, content):
    """Plain, gzipped at any level, in several members, and as a pair: one image.

    Not so a file that is packed otherwise than its name says: most readers refuse it.
    """
    raw, pair = raw_of(), header_of()
    pair["magic"], pair["vox_offset"] = b"ni1", 0
    (tmp_path / "a.nii").write_bytes(raw)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(raw, 1, mtime=1))
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(raw, 9, mtime=2))
    (tmp_path / "d.nii.gz").write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]))
    (tmp_path / "e.nii").write_bytes(gzip.compress(raw))
    (tmp_path / "e.nii.gz").write_bytes(raw)
    (tmp_path / "f.hdr").write_bytes(pair.binaryblock)
    (tmp_path / "f.img").write_bytes(raw[352:])
    (tmp_path / "g.hdr.gz").write_bytes(gzip.compress(pair.binaryblock + bytes(4)))
    (tmp_path / "g.img.gz").write_bytes(gzip.compress(raw[352:]))
    names = ["a.nii", "b.nii.gz", "c.nii.gz", "d.nii.gz"]
    names += ["f.hdr", "f.img", "g.hdr.gz", "g.img.gz"]
    digests = {content(tmp_path / name) for name in names}
    assert 1 == len(digests)
    assert None not in digests
    for name in ("e.nii", "e.nii.gz"):
        assert content(tmp_path / name) not in digests


def test_a_pair_of_which_one_half_is_packed_is_the_bytes_of_both(tmp_path, content):
    """An x.img.gz beside an x.hdr, which nibabel does not find, is not x.img."""
    pair = header_of()
    pair["magic"], pair["vox_offset"] = b"ni1", 0
    (tmp_path / "x.hdr").write_bytes(pair.binaryblock)
    (tmp_path / "x.img").write_bytes(raw_of()[352:])
    before = content(tmp_path / "x.hdr")
    (tmp_path / "x.img.gz").write_bytes(gzip.compress(raw_of()[352:]))
    (tmp_path / "x.img").unlink()
    assert before != content(tmp_path / "x.hdr") == content(tmp_path / "x.img.gz") is not None


def test_a_pair_is_one_artifact_under_either_name(tmp_path, content):
    """Each half of a pair names the other, and a change in either changes both."""
    nib.save(nib.Nifti1Pair(np.zeros((2, 2, 2), "f4"), np.eye(4)), tmp_path / "x.img")
    before = content(tmp_path / "x.hdr")
    assert ("x.img",) == companions_of(str(tmp_path / "x.hdr"))
    assert ("x.hdr",) == companions_of(str(tmp_path / "x.img"))
    (tmp_path / "x.img").write_bytes(b"\1" + (tmp_path / "x.img").read_bytes()[1:])
    assert before != content(tmp_path / "x.hdr") == content(tmp_path / "x.img")


def test_an_analyze_pair_is_the_bytes_of_both(tmp_path, content):
    """ANALYZE 7.5 has no magic; both its files count to the byte, and the .mat that says where."""
    nib.save(nib.AnalyzeImage(np.zeros((2, 2, 2), "f4"), np.eye(4)), tmp_path / "x.img")
    before = content(tmp_path / "x.hdr")
    assert before is not None
    assert before == content(tmp_path / "x.img")
    header = (tmp_path / "x.hdr").read_bytes()
    (tmp_path / "x.hdr").write_bytes(header[:150] + b"d" + header[151:])
    assert before != content(tmp_path / "x.hdr")
    (tmp_path / "x.hdr").write_bytes(header)
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    assert ("x.hdr", "x.mat") == companions_of(str(tmp_path / "x.img"))
    assert before != content(tmp_path / "x.hdr") == content(tmp_path / "x.img")


def test_versions_differ(digest_of):
    """NIfTI-1 and NIfTI-2 of one image are two: not every program reads the second."""
    assert digest_of(raw_of(1)) != digest_of(raw_of(2))


def test_unscaled_is_compared_as_it_is_written(digest_of):
    """scl_slope 0, 1 and NaN are three: not every program reads them alike."""
    slopes = [struct.pack("<f", slope) for slope in (0, 1, float("nan"))]
    start, _ = SPANS[1]["scl_slope"]
    raw = raw_of()
    assert 3 == len({digest_of(raw[:start] + slope + raw[start + 4 :]) for slope in slopes})


def with_extensions(*extensions, gap=0):
    """A single file with extensions (code, content) and `gap` bytes more before the voxels."""
    raw = raw_of()
    block = b"".join(
        struct.pack("<ii", 8 + len(content), code) + content for code, content in extensions
    )
    offset = struct.pack("<f", 352 + len(block) + gap)
    return raw[:108] + offset + raw[112:348] + b"\1\0\0\0" + block + b"\0" * gap + raw[352:]


def test_extensions_count(digest_of):
    """The code, the content and the order of extensions count."""
    first, second = (6, b"a comment here!!" + b"\0" * 8), (6, b"another comment." + b"\0" * 8)
    plain = digest_of(with_extensions(first, second))
    others = [(second, first), (first,), (first, (44, second[1])), (first, second, second)]
    digests = {digest_of(with_extensions(*other)) for other in others}
    assert None not in digests
    assert 5 == len({plain, *digests})


def test_a_gap_counts_if_a_reader_stumbles_over_it(digest_of):
    """Zeros between header and voxels do not count; those after extensions end nibabel's reading.

    Neither does SPM read voxels that start at no multiple of 16, nor nifti_clib extensions that
    are no multiple of 16 bytes long or behind another flag than 1.
    """
    extension = (6, b"a comment here!!" + b"\0" * 8)
    plain, raw = digest_of(raw_of()), with_extensions(extension)

    def with_gap(size):
        offset = struct.pack("<f", 352 + size)
        return raw_of()[:108] + offset + raw_of()[112:352] + bytes(size) + raw_of()[352:]

    assert plain == digest_of(with_gap(16)) == digest_of(with_gap(64)) is not None
    assert digest_of(with_gap(8)) is None
    assert digest_of(raw) is not None
    assert digest_of(with_extensions(extension, gap=64)) is None
    assert digest_of(with_extensions((6, b"abcd"), (6, b"abcdefghijkl"))) is None
    assert digest_of(raw[:348] + b"\2" + raw[349:]) is None


AFNI = b"""<?xml version='1.0' ?>
<AFNI_attributes self_idcode="%s" NIfTI_nums="4,3,2,1,1,16" ni_form="ni_group" >
<AFNI_atr ni_type="String" ni_dimen="1" atr_name="IDCODE_STRING" >"%s"</AFNI_atr>
<AFNI_atr ni_type="String" ni_dimen="1" atr_name="IDCODE_DATE" >"%s"</AFNI_atr>
<AFNI_atr ni_type="String" ni_dimen="1" atr_name="HISTORY_NOTE" >"[me@%s] 3dcalc"</AFNI_atr>
<AFNI_atr ni_type="String" ni_dimen="1" atr_name="BRICK_LABS" >"%s"</AFNI_atr>
<AFNI_atr ni_type="int" ni_dimen="5" atr_name="BRICK_STATAUX" > 0 3 3 %s 2</AFNI_atr>
</AFNI_attributes>"""


def afni(*values):
    """A file with AFNI's extension, padded as AFNI does."""
    text = AFNI % tuple(value.encode() for value in values)
    return with_extensions((4, text + b"\0" * (16 - (len(text) + 8) % 16)))


def test_afni_extension_counts_labels_and_statistics_only(digest_of):
    """Identifiers, dates and history of AFNI's extension do not count; labels and statistics do."""
    old = digest_of(afni("AFN_1", "AFN_1", "Mon", "here", "Coef~Tstat", "40"))
    assert old == digest_of(afni("AFN_22", "AFN_22", "Tuesday", "there", "Coef~Tstat", "40"))
    assert old != digest_of(afni("AFN_1", "AFN_1", "Mon", "here", "Coef~Fstat", "40"))
    assert old != digest_of(afni("AFN_1", "AFN_1", "Mon", "here", "Coef~Tstat", "41"))


def test_an_extension_that_is_no_xml_counts_to_the_byte(digest_of):
    """A broken or hostile extension is compared by its bytes, and the image by its content."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    texts = [b"<AFNI_attributes", b"<AFNI_attributez", bomb, bomb.replace(b"aaaa", b"aaab")]
    digests = [digest_of(with_extensions((4, text.ljust(88)))) for text in texts]
    assert None not in digests
    assert len(texts) == len(set(digests))


@pytest.mark.parametrize(
    ("field", "new"),
    [
        ("dim", struct.pack("<h", 0)),
        ("dim", struct.pack("<h", 8)),
        ("dim", struct.pack("<2h", 3, -4)),
        ("dim", struct.pack("<2h", 3, 0)),
        ("dim", struct.pack("<8h", 7, *[32767] * 7)),
        ("datatype", struct.pack("<h", 1)),
        ("datatype", struct.pack("<h", 77)),
        ("bitpix", struct.pack("<h", 31)),
        ("vox_offset", struct.pack("<f", 352.5)),
        ("vox_offset", struct.pack("<f", 0)),
        ("vox_offset", struct.pack("<f", -352)),
        ("vox_offset", struct.pack("<f", float("nan"))),
        ("vox_offset", struct.pack("<f", float("inf"))),
        ("vox_offset", struct.pack("<f", 1e30)),
        ("magic", b"n+3\0"),
        ("magic", b"ni1\0"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_contradicts_the_file_is_declined(digest_of, field, new, pack):
    """Sizes, types and offsets that cannot be leave the bytes as the identity."""
    raw, (at, _) = raw_of(), SPANS[1][field]
    spoilt = raw[:at] + new + raw[at + len(new) :]
    assert digest_of(pack(spoilt)) is None


@pytest.mark.parametrize("size", [-1, 0, 7, 33, 1 << 30, -(1 << 31)])
def test_an_extension_that_does_not_fit_is_declined(digest_of, size):
    """A chain of extensions that ends elsewhere than it says leaves the bytes as the identity."""
    raw = with_extensions((6, b"a comment here!!" + b"\0" * 8))
    assert digest_of(raw) is not None
    assert digest_of(raw[:352] + struct.pack("<i", size) + raw[356:]) is None


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: b""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_file_of_another_length_is_declined(digest_of, change, pack):
    """Truncated, longer and empty files, packed or not, are compared by their bytes."""
    name = "x.nii.gz" if pack is gzip.compress else "x.nii"
    assert digest_of(pack(change(raw_of())), name) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[:-4],
        lambda packed: packed + b"x",
        lambda packed: packed + b"\0" * 512,
        lambda packed: packed + packed,
        lambda packed: packed[:-8] + b"\0" * 4 + packed[-4:],
        lambda packed: packed[:60] + bytes([packed[60] ^ 255]) + packed[61:],
        lambda packed: packed[:3] + b"\xe0" + packed[4:],
        lambda packed: packed[:3] + b"\x02" + packed[4:10] + b"xx" + packed[10:],
    ],
)
def test_unsound_gzip_is_declined(digest_of, spoil):
    """A cut, wrong checksums and flags, garbage behind, a second image: the bytes decide."""
    assert digest_of(spoil(gzip.compress(raw_of())), "x.nii.gz") is None


def test_describing_puts_the_same_fields_without_isal(tmp_path, monkeypatch):
    """Without isal, zlib gives the same content."""
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(raw_of(shape=(64, 64, 8))))
    with_isal = FieldDigest("x")
    NIFTI.describe(str(path), with_isal)
    monkeypatch.setitem(sys.modules, "isal", None)
    with_zlib = FieldDigest("x")
    NIFTI.describe(str(path), with_zlib)
    assert with_isal.hexdigest() == with_zlib.hexdigest()


def test_real_images_have_content(real, content):
    """The NIfTI files in nibabel's test data are all sound."""
    for name in ("anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"):
        path = real(name)
        before = content(path)
        assert before is not None, name
        raw = path.read_bytes()
        voxels = bytearray(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        voxels[-100] ^= 1
        path.write_bytes(voxels)
        assert before != content(path) is not None


@pytest.mark.skipif("MEMORI_TEST_BIDS" not in os.environ, reason="MEMORI_TEST_BIDS is not set")
def test_a_real_dataset(tmp_path, content):
    """Every image and sidecar of a real BIDS dataset has content, however it is packed again."""
    files = [*Path(os.environ["MEMORI_TEST_BIDS"]).rglob("sub-*.nii.gz")]
    assert files
    for path in files:
        (tmp_path / "x.nii").write_bytes(gzip.decompress(path.read_bytes()))
        assert content(path) == content(tmp_path / "x.nii") is not None
    for path in Path(os.environ["MEMORI_TEST_BIDS"]).rglob("*.json"):
        (tmp_path / "x.json").write_text(json.dumps(json.loads(path.read_text()), indent=7))
        assert content(path) == content(tmp_path / "x.json") is not None
