"""Files made to hurt: bounded memory, bounded time, and their bytes as identity."""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from base64 import b64encode
from pathlib import Path

import nibabel as nib
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="peak memory is read from Linux's /proc"
)

REAL = sorted((Path(__file__).parents[2] / "data" / "formats" / "first").iterdir())
MEMORY = 64  # MiB over the baseline
SECONDS = 20  # of computing; each takes a second or two

MEASURE = """
import json, sys, time
import numpy
from memori.digest.formats import content_of
for path in sys.argv[2:]:
    content_of(path)  # imports what it needs
def peak():  # getrusage would tell the peak of the parent, too
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
before, began = peak(), time.process_time()
found = content_of(sys.argv[1])
print(json.dumps([found and found.digest, peak() - before, time.process_time() - began]))
"""


def nifti(shape, dtype="u1"):
    """A NIfTI-1 header of some shape."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return header.binaryblock + b"\0\0\0\0"


def gifti(text, dims=3, encoding="ASCII", kind="FLOAT32"):
    """A GIFTI document around the text of one Data element."""
    return (
        b'<GIFTI Version="1.0"><DataArray Intent="NIFTI_INTENT_NONE" DataType="NIFTI_TYPE_%s"'
        b' ArrayIndexingOrder="RowMajorOrder" Dimensionality="1" Dim0="%d" Encoding="%s"'
        b' Endian="LittleEndian"><Data>%s</Data></DataArray></GIFTI>'
        % (kind.encode(), dims, encoding.encode(), text)
    )


def zeros(compressor, mebibytes):
    """Compressed zeros, a thousand times smaller than what they inflate to."""
    block = bytes(1 << 20)
    return b"".join(compressor.compress(block) for _ in range(mebibytes)) + compressor.flush()


def extension_chain():
    """A million extensions of eight bytes."""
    count = 1_000_000
    raw = nifti((2, 2, 2))
    offset = struct.pack("<f", 352 + 8 * count)
    return raw[:108] + offset + raw[112:348] + b"\1\0\0\0" + struct.pack("<ii", 8, 6) * count


def superblock(version, root):
    """The start of an HDF5 file whose root object is at a place."""
    if version:
        return b"\x89HDF\r\n\x1a\n\2\x08\x08\0" + struct.pack("<4QI", 0, 2**64 - 1, 48, root, 0)
    fields = struct.pack("<6Q", 0, 2**64 - 1, 96, 2**64 - 1, 0, root)
    return b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0" + bytes(8) + fields + bytes(24)


def archive(count, size):
    """A zip archive of many members that inflate to many zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("header.json", "{}")
        for number in range(count):
            packed.writestr(f"dpv/{number}.uint8", bytes(size))
    return stream.getvalue()


DECLINED = {
    "terabytes.nii": lambda: nifti((32767, 32767, 32767, 32767)) + bytes(1000),
    "terabytes.nii.gz": lambda: gzip.compress(nifti((32767, 32767, 32767, 32767)) + bytes(1000)),
    "bomb.nii.gz": lambda: gzip.compress(nifti((2, 2, 2))) + zeros(zlib.compressobj(wbits=31), 300),
    "members.nii.gz": lambda: gzip.compress(nifti((9, 9, 9))) + gzip.compress(b"") * 150_000,
    "extensions.nii": lambda: extension_chain() + bytes(8),
    "bomb.mgz": lambda: gzip.compress(bytes(283)) + zeros(zlib.compressobj(wbits=31), 300),
    "tags.mgz": lambda: gzip.compress(
        struct.pack(">7i", 1, 1, 1, 1, 1, 0, 0) + bytes(257) + bytes(9_000_000)
    ),
    "lines.mif": lambda: b"mrtrix image\n" + b"a:b\n" * 2_000_000,
    "bomb.mif.gz": lambda: zeros(zlib.compressobj(wbits=31), 300),
    "newlines.gii": lambda: b"<GIFTI>" + b"\n" * 20_000_000,
    "laughs.gii": lambda: (
        b'<!DOCTYPE GIFTI [<!ENTITY a "ha">%s]><GIFTI>&b9;</GIFTI>'
        % b"".join(
            b'<!ENTITY b%d "%s">' % (depth, (b"&b%d;" % (depth - 1) if depth else b"&a;") * 10)
            for depth in range(10)
        )
    ),
    "tag.gii": lambda: b'<GIFTI a="' + b"x" * 50_000_000 + b'"></GIFTI>',
    "comment.gii": lambda: b"<GIFTI><!--" + b"x" * 50_000_000 + b"--></GIFTI>",
    "elements.gii": lambda: b"<GIFTI>" + b"<a/>" * 3_000_000 + b"</GIFTI>",
    "deep.gii": lambda: b"<GIFTI>" + b"<a>" * 3_000_000,
    "text.gii": lambda: b"<GIFTI><Label>" + b"x" * 50_000_000 + b"</Label></GIFTI>",
    "number.gii": lambda: gifti(b"1" * 50_000_000),
    "numbers.gii": lambda: gifti(b"1 " * 5_000_000),
    "bomb.gii": lambda: gifti(
        b64encode(zeros(zlib.compressobj(), 300)), encoding="GZipBase64Binary"
    ),
    "deep.json": lambda: b"[" * 1_000_000,
    "long.json": lambda: b"[" + b"0," * 50_000_000 + b"0]",
    "ends.tck": lambda: b"mrtrix tracks\n" + b"x" * 20_000_000,
    "huge.annot": lambda: struct.pack(">i", 2**31 - 1) + bytes(1000),
    "headers.h5": lambda: superblock(2, 48) + b"OHDR" * 20_000_000,
    "header.h5": lambda: (
        superblock(0, 96) + struct.pack("<BxHIIxxxx", 1, 9, 1, 2**31 - 1) + bytes(60_000_000)
    ),
    "members.trx": lambda: archive(30_000, 1),
    "bomb.trx": lambda: archive(1, 300 << 20)[:-60] + bytes(60),
    "attributes.mnc": lambda: (
        b"CDF\1" + struct.pack(">5I", 0, 0, 0, 12, 10_000) + struct.pack(">4I", 0, 2, 0, 0) * 10**6
    ),
    "name.mnc": lambda: b"CDF\1" + struct.pack(">4I", 0, 10, 1, 2**32 - 1) + bytes(60_000_000),
    "tags.fif": lambda: struct.pack(">iIii", 100, 31, 0, 0) * 3_000_000,
    "names.set": lambda: (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + b"\0\1IM"
        + struct.pack("<II", 14, 8 * 10**6)
        + b" ab.fdt\n" * 10**6
    ),
    "names.nhdr": lambda: b"NRRD0004\ndata file: LIST\n" + b"a\n" * 10 + b"b" * 60_000_000,
    "pattern.mhd": lambda: b"NDims = 3\nElementDataFile = a%d.raw 0 99999999999 1\n",
    "long.xfm": lambda: b"MNI Transform File\n" + b"%\n" * 30_000_000,
    "long.lta": lambda: b"# created by\n" * 5_000_000,
    "long.vhdr": lambda: b"Brain Vision\n" + b"DataFile=" * 7_000_000,
    "line.lh": lambda: b"\xff\xff\xfecreated by" + b"x" * 20_000_000,
}


@pytest.mark.parametrize("name", DECLINED)
def test_hostile_files_are_declined_in_bounds(tmp_path, name):
    """Each is declined, within 64 MiB and some seconds of computing, however much it promises."""
    path = tmp_path / name.replace("line.lh", "lh.line")
    path.write_bytes(DECLINED[name]())
    digest, memory, seconds = measure(path)
    assert digest is None
    assert memory < MEMORY
    assert seconds < SECONDS


def measure(path, *warm):
    """Content, peak memory over the baseline (MiB) and CPU time (s), in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(path), *map(str, warm)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


ACCEPTED = {
    "groups.h5": lambda: (
        superblock(0, 96)
        + b"TREE\0\0\xff\xff"
        + bytes(16)
        + b"".join(struct.pack("<2Q", 0, 96 + at) for at in range(4_000_000))
    ),
    "numbers.json": lambda: b"[" + b"0," * 260_000 + b"0]",
    "keys.json": lambda: b"[" + b'{"":{}},' * 65_000 + b"0]",
    "column.gii": lambda: (
        gifti(b64encode(bytes(1 << 24)), 1 << 11, "Base64Binary")
        .replace(b"Row", b"Column")
        .replace(b'Dimensionality="1"', b'Dimensionality="2" Dim1="2048"')
    ),
    "text.gii": lambda: b"<GIFTI><Label>" + "\u1234".encode() * 2_700_000 + b"</Label></GIFTI>",
    "matrix.gii": lambda: b"<GIFTI><MatrixData>" + b"1 " * 4_000_000 + b"</MatrixData></GIFTI>",
    "lines.mif": lambda: (
        b"mrtrix image\ndim: 1\ndatatype: UInt8\nfile: . 1000000\n"
        + (b"a: " + b"b" * 90 + b"\n") * 9_000
        + b"END\n"
        + bytes(1_000_000)
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_largest_that_is_accepted_stays_in_bounds(tmp_path, name):
    """Below the limits, too, memory stays within 64 MiB."""
    raw = ACCEPTED[name]()
    if name == "lines.mif":
        raw = raw.rstrip(b"\0").ljust(1_000_001, b"\0")
    (tmp_path / name).write_bytes(raw)
    digest, memory, _ = measure(tmp_path / name)
    assert digest is not None
    assert memory < MEMORY


@pytest.mark.parametrize("name", ["large.nii", "large.nii.gz", "large.mif", "x+orig.HEAD"])
def test_large_images_stream(tmp_path, name):
    """An image of 200 MB is digested within 64 MiB (the benchmark takes 2 GB)."""
    path = tmp_path / name
    size = 100 * 100 * 100 * 200
    if name == "large.nii.gz":
        packed = zlib.compressobj(1, wbits=31)
        start = packed.compress(nifti((100, 100, 100, 200)))
        block = os.urandom(1000) * 1000
        path.write_bytes(
            start + b"".join(packed.compress(block) for _ in range(200)) + packed.flush()
        )
    elif name == "large.nii":
        path.write_bytes(nifti((100, 100, 100, 200)))
        os.truncate(path, 352 + size)
    elif name == "large.mif":
        path.write_bytes(b"mrtrix image\ndim: 100,100,100,200\ndatatype: UInt8\nfile: . 70\nEND\n")
        os.truncate(path, 70 + size)
    else:
        ints = "type = integer-attribute\nname = {}\ncount = {}\n {}\n\n"
        path.write_text(
            ints.format("DATASET_RANK", 2, "3 200")
            + ints.format("DATASET_DIMENSIONS", 3, "100 100 100")
            + ints.format("BRICK_TYPES", 200, "0 " * 200)
        )
        (tmp_path / "x+orig.BRIK").write_bytes(b"")
        os.truncate(tmp_path / "x+orig.BRIK", size)
    digest, memory, _ = measure(path)
    assert digest is not None
    assert memory < MEMORY


@given(choice=st.data())
def test_no_edit_of_a_real_file_raises(tmp_path_factory, content, choice):
    """Whatever bytes of a real file are changed, moved or lost, there is a content or none."""
    path = choice.draw(st.sampled_from(REAL))
    raw = bytearray(path.read_bytes())
    if path.suffix == ".gz":
        raw = bytearray(gzip.decompress(raw))
    for _ in range(choice.draw(st.integers(1, 4))):
        at = choice.draw(st.integers(0, len(raw)))
        gone = choice.draw(st.integers(0, 4))
        raw[at : at + gone] = choice.draw(
            st.binary(max_size=4) | st.text(max_size=2).map(str.encode)
        )
    copy = tmp_path_factory.getbasetemp() / path.name
    copy.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
    assert content(copy) is None or 64 == len(content(copy))


def test_an_archive_whose_members_lie_before_its_start_is_its_bytes(tmp_path, content):
    """What a damaged file says may lead to a place that cannot be sought: no error, its bytes."""
    raw = bytearray(next(path for path in REAL if path.suffix == ".trx").read_bytes())
    directory = struct.unpack_from("<L", raw, len(raw) - 6)[0]
    struct.pack_into("<L", raw, len(raw) - 6, directory + 100)
    (tmp_path / "x.trx").write_bytes(raw)
    assert content(tmp_path / "x.trx") is None


def test_a_pipe_is_not_opened(tmp_path, content):
    """A pipe named as an image would block its reader for ever."""
    os.mkfifo(tmp_path / "x.nii")
    assert content(tmp_path / "x.nii") is None
