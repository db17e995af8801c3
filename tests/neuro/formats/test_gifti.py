"""GIFTI: values however they are encoded, and every label, space and metadata that counts."""

import base64
import zlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.gifti.util import gifti_encoding_codes

from memori.digest.formats import companions_of
from memori.neuro.formats import gifti

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE GIFTI SYSTEM "http://www.nitrc.org/frs/download.php/115/gifti.dtd">
<GIFTI Version="1.0" NumberOfDataArrays="1">
<MetaData>
<MD><Name><![CDATA[Date]]></Name><Value><![CDATA[Monday]]></Value></MD>
<MD><Name>UserName</Name><Value>me</Value></MD>
<MD><Name>AnatomicalStructurePrimary</Name><Value>CortexLeft</Value></MD>
</MetaData>
<LabelTable><Label Key="1" Red="1" Green="0" Blue="0.5" Alpha="1">V1</Label></LabelTable>
<DataArray Intent="NIFTI_INTENT_POINTSET" DataType="NIFTI_TYPE_{kind}"
 ArrayIndexingOrder="{order}" Dimensionality="{rank}" {dims} Encoding="{encoding}"
 Endian="{endian}" ExternalFileName="{file}" ExternalFileOffset="{offset}">
<MetaData><MD><Name>Date</Name><Value>now</Value></MD>
<MD><Name>Name</Name><Value>x</Value></MD></MetaData>
<CoordinateSystemTransformMatrix><DataSpace>NIFTI_XFORM_TALAIRACH</DataSpace>
<TransformedSpace>NIFTI_XFORM_UNKNOWN</TransformedSpace>
<MatrixData>1 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1</MatrixData></CoordinateSystemTransformMatrix>
<Data>{data}</Data>
</DataArray>
</GIFTI>
"""
KINDS = {"u1": "UINT8", "i4": "INT32", "f4": "FLOAT32", "f8": "FLOAT64", "i2": "INT16"}


def document(values, encoding="ASCII", endian="LittleEndian", order="RowMajorOrder", file=""):
    """A GIFTI document of one array; returns its text and, if external, the bytes of the file."""
    kind = values.dtype.str[1:]
    raw = values.astype(("<" if endian == "LittleEndian" else ">") + kind)
    raw = raw.tobytes("C" if order == "RowMajorOrder" else "F")
    flat = values.flatten("C" if order == "RowMajorOrder" else "F")
    text = " ".join(map(repr, flat.tolist()))
    data = {
        "ASCII": text,
        "Base64Binary": base64.encodebytes(raw).decode(),
        "GZipBase64Binary": base64.b64encode(zlib.compress(raw)).decode(),
        "ExternalFileBinary": "",
    }[encoding]
    return DOCUMENT.format(
        kind=KINDS[kind],
        order=order,
        rank=values.ndim,
        dims=" ".join(f'Dim{axis}="{size}"' for axis, size in enumerate(values.shape)),
        encoding=encoding,
        endian=endian,
        file=file,
        offset=7 if file else "",
        data=data,
    ), b"1234567" + raw


@pytest.fixture
def digest_of(tmp_path, content):
    """The content of a document, with an external file beside it."""

    def digest(document, name="x.surf.gii"):
        text, raw = document
        (tmp_path / name).write_text(text)
        (tmp_path / "x.dat").write_bytes(raw)
        return content(tmp_path / name)

    return digest


VALUES = np.arange(12, dtype="i4").reshape(4, 3) - 5


@pytest.mark.parametrize("dtype", KINDS)
def test_encoding_and_orders_do_not_count(digest_of, dtype):
    """Every encoding, byte order and indexing order of equal values has one content."""
    values = VALUES.clip(0 if dtype == "u1" else -9).astype(dtype)
    if dtype.startswith("f"):
        values = values * np.array(0.1, dtype)
        values[0, 0], values[0, 1] = np.inf, -0.0
    digests = {
        digest_of(document(values, encoding, endian, order, file))
        for encoding, file in [
            ("ASCII", ""),
            ("Base64Binary", ""),
            ("GZipBase64Binary", ""),
            ("ExternalFileBinary", "x.dat"),
        ]
        for endian in ("LittleEndian", "BigEndian")
        for order in ("RowMajorOrder", "ColumnMajorOrder")
    }
    assert 1 == len(digests)
    assert None not in digests


@given(
    old=st.lists(st.integers(-99, 99), min_size=6, max_size=6),
    new=st.lists(st.integers(-99, 99), min_size=6, max_size=6),
    shape=st.sampled_from([(6,), (2, 3), (3, 2), (6, 1), (1, 6)]),
)
def test_content_is_equal_if_and_only_if_the_values_are(tmp_path_factory, content, old, new, shape):
    """Two arrays have one content exactly if shape and values are equal."""
    folder = tmp_path_factory.getbasetemp()
    first, second = np.array(old, "i4"), np.array(new, "i4").reshape(shape)
    (folder / "a.gii").write_text(document(first, "Base64Binary")[0])
    (folder / "b.gii").write_text(document(second, "GZipBase64Binary", "BigEndian")[0])
    same = first.shape == second.shape and bool((first == second).all())
    assert same == (content(folder / "a.gii") == content(folder / "b.gii"))


def test_large_column_major_arrays_are_compared_among_themselves(digest_of, monkeypatch):
    """An array too large to turn keeps its order in the content."""
    monkeypatch.setattr(gifti, "MOST_TURNED", 4)
    row = digest_of(document(VALUES, "ASCII"))
    column = digest_of(document(VALUES, "ASCII", order="ColumnMajorOrder"))
    packed = digest_of(document(VALUES, "GZipBase64Binary", order="ColumnMajorOrder"))
    assert row != column == packed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Monday", "Tuesday"),
        (">me<", ">you<"),
        (">now<", ">then<"),
        ("<Name>UserName</Name><Value>me</Value>", "<Name>WorkingDirectory</Name><Value>/</Value>"),
        ("<![CDATA[Monday]]>", "Monday"),
        ("  0 1 0 0  ", "\n\t0 1 0 0 "),
        ("<LabelTable><Label", "<LabelTable>\n  <Label"),
        ("V1", "&#86;1"),
        ('Key="1" Red="1"', 'Red="1" Key="1"'),
        ("<LabelTable>", "<!-- of 2020 --><LabelTable>"),
        ('encoding="UTF-8"', 'encoding="ISO-8859-1"'),
    ],
)
def test_what_does_not_count(digest_of, old, new):
    """Dates, users, folders, white space between elements, how a letter is written."""
    text, raw = document(VALUES)
    assert old in text
    assert digest_of((text, raw)) == digest_of((text.replace(old, new, 1), raw)) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NIFTI_INTENT_POINTSET", "NIFTI_INTENT_VECTOR"),
        ("INT32", "FLOAT32"),
        ('Dim0="4" Dim1="3"', 'Dim0="3" Dim1="4"'),
        ('Dimensionality="2" Dim0="4" Dim1="3"', 'Dimensionality="1" Dim0="12"'),
        ('Key="1"', 'Key="2"'),
        ('Blue="0.5"', 'Blue="0.6"'),
        ('Alpha="1"', 'Alpha="0"'),
        ("V1", "V2"),
        ("V1", "V1 "),
        ("CortexLeft", "CortexRight"),
        ("<Name>Name</Name>", "<Name>name</Name>"),
        ("<Value>x</Value>", "<Value>y</Value>"),
        ("NIFTI_XFORM_TALAIRACH", "NIFTI_XFORM_MNI_152"),
        ("NIFTI_XFORM_UNKNOWN", "NIFTI_XFORM_SCANNER_ANAT"),
        ("<MatrixData>1 0", "<MatrixData>1 1"),
        ("<MatrixData>1 0", "<MatrixData>10"),
        ('Version="1.0" N', 'Version="1.1" N'),
        ("<Data>-5", "<Data>-4"),
        ("<Name>UserName</Name>", "<Name>UserName</Name><Name>V2</Name>"),
    ],
)
def test_what_counts(digest_of, old, new):
    """Every intent, type, size, label, colour, space, metadata and value makes another content."""
    text, raw = document(VALUES)
    assert old in text
    assert digest_of((text, raw)) != digest_of((text.replace(old, new, 1), raw)) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RowMajorOrder", "Diagonal"),
        ("LittleEndian", "MiddleEndian"),
        ("NIFTI_TYPE_INT32", "NIFTI_TYPE_INT31"),
        ('Dim0="4"', 'Dim0="5"'),
        ('Dim0="4"', 'Dim0="-4"'),
        ('Dim0="4"', f'Dim0="{10**30}"'),
        ('Dimensionality="2"', 'Dimensionality="99999999"'),
        ("Base64Binary", "Base65Binary"),
        ("Base64Binary", "GZipBase64Binary"),
        ("<Data>", "<Data>!"),
        ("<Data>", "<Data>AAAA"),
        ("</Data>", "AAAA</Data>"),
        ("</Data>", "<x/></Data>"),
        ("</Data>", "</Data><Data></Data>"),
        ("</GIFTI>", ""),
        ("</GIFTI>", "</GIFTI><GIFTI/>"),
        ("<GIFTI ", "<GIFTY "),
        ('gifti.dtd">', "gifti.dtd\" [<!ENTITY a 'b'>]>"),
        ('gifti.dtd">', "gifti.dtd\" [<!ENTITY % a SYSTEM 'b'>]>"),
        (">me<", ">&unknown;<"),
        ("<LabelTable>", "<x>" * 100 + "</x>" * 100 + "<LabelTable>"),
    ],
)
def test_what_is_declined(digest_of, old, new):
    """Data that do not fill their dimensions, unknown words, entities: the bytes decide."""
    text, raw = document(VALUES, "Base64Binary")
    assert old in text
    assert digest_of((text.replace(old, new, 1), raw)) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.replace("UTF-8", "UTF-16").encode("utf-16"),
        lambda text: text[text.index("<GIFTI") :].encode("utf-16-le"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace('version="1.0"', 'version="1.1"', 1).encode(),
        lambda text: text.replace("UTF-8", "windows-1252").encode(),
        lambda text: text.replace('.dtd"', '.dtd" [<!ATTLIST GIFTI Version CDATA "1">]').encode(),
    ],
)
def test_xml_that_not_every_reader_reads_is_declined(tmp_path, content, write):
    """UTF-16, a byte order mark, other versions and attributes by declaration are other files."""
    (tmp_path / "x.gii").write_bytes(write(document(VALUES)[0]))
    assert content(tmp_path / "x.gii") is None


def test_numbers_are_numbers(digest_of):
    """What Python reads as a number and other programs do not is declined."""
    text, raw = document(VALUES)
    assert digest_of((text.replace("<Data>-5", "<Data>-0_5"), raw)) is None
    assert digest_of((text.replace("<Data>-5", "<Data>-5.0"), raw)) is None


@pytest.mark.parametrize("cut", [10, -1, -5])
def test_compressed_values_must_be_whole(digest_of, cut):
    """A stream that ends early, or with bytes behind it, is declined."""
    text, raw = document(VALUES, "GZipBase64Binary")
    data = text.split("<Data>")[1].split("</Data>")[0]
    packed = base64.b64decode(data)
    for spoilt in (packed[:cut], packed + b"x", packed + packed):
        again = base64.b64encode(spoilt).decode()
        assert digest_of((text.replace(data, again), raw)) is None


def test_external_files_are_companions(tmp_path, digest_of, content):
    """A change in the external file changes the content; a missing one is declined."""
    made = document(VALUES, "ExternalFileBinary", file="x.dat")
    before = digest_of(made)
    path = tmp_path / "x.surf.gii"
    assert ("x.dat",) == companions_of(str(path))
    assert before != digest_of((made[0], made[1][:-1] + b"\1")) is not None
    (tmp_path / "x.dat").write_bytes(made[1][:-1])  # too short: the bytes of both decide
    short = content(path)
    (tmp_path / "x.dat").write_bytes(made[1][:-2] + b"z")
    assert short != content(path)
    (tmp_path / "x.dat").unlink()
    assert content(path) is None


def test_real_files(real, content, edited):
    """Real GIFTI files of five programs are read, and one letter in a label is seen."""
    names = ["ascii.gii", "base64bin.gii", "gzipbase64.gii", "label.gii", "task.func.gii"]
    for name in [*names, "rh.aparc.annot.gii", "rh.shape.curv.gii"]:
        assert content(real(name)) is not None, name
    path = real("rh.aparc.annot.gii")
    assert content(path) != content(edited(path, b"precuneus", b"precuneuz"))


@pytest.mark.parametrize("name", ["task.func.gii", "ascii.gii"])
def test_another_encoding_by_nibabel_is_the_same_content(tmp_path, content, real, name):
    """What nibabel writes in one binary encoding and the other is one content."""
    image = nib.load(real(name))
    digests = set()
    for encoding in ("Base64Binary", "GZipBase64Binary"):
        for values in image.darrays:
            values.encoding = gifti_encoding_codes[encoding]
        (tmp_path / f"{encoding}.gii").write_bytes(image.to_xml())
        digests.add(content(tmp_path / f"{encoding}.gii"))
    assert 1 == len(digests)
    assert None not in digests
