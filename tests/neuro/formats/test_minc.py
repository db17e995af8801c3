"""MINC: volumes without their history, transforms without their comments but with their grid."""

import gzip
import shutil

import numpy as np
import pytest
from nibabel.externals.netcdf import netcdf_file

from memori.digest.formats import companions_of, possible_companions_of


def volume(path, history="Mon>>> mincmath", ident="me:here:1", title="a title", values=(1, 2, 3)):
    """Write a NetCDF file as MINC does."""
    with netcdf_file(str(path), "w") as file:
        file.history, file.ident, file.title = history, ident, title
        file.createDimension("xspace", len(values))
        axis = file.createVariable("xspace", "f8", ())
        axis.step, axis.history = 2.0, b"none"
        image = file.createVariable("image", "i2", ("xspace",))
        image[:] = np.array(values, ">i2")
    return path


def test_history_and_identifier_of_a_volume_do_not_count(tmp_path, content):
    """Command lines and dates of any length do not count; attributes, sizes and voxels do."""
    before = content(volume(tmp_path / "x.mnc"))
    assert before == content(volume(tmp_path / "x.mnc", history="a much longer history " * 9))
    assert before == content(volume(tmp_path / "x.mnc", ident="you:there:12345")) is not None
    (tmp_path / "x.mnc.gz").write_bytes(gzip.compress((tmp_path / "x.mnc").read_bytes()))
    assert before == content(tmp_path / "x.mnc.gz")
    others = [{"title": "another"}, {"values": (1, 2, 4)}, {"values": (1, 2)}]
    digests = {content(volume(tmp_path / "x.mnc", **other)) for other in others}
    assert 3 == len(digests - {before, None})


def test_real_volumes(real, content):
    """The MINC files in nibabel's test data are read, and their last voxel counts."""
    for name in ("tiny.mnc", "minc1_1_scale.mnc", "small.mnc", "minc2_4d.mnc"):
        path = real(name)
        before, raw = content(path), path.read_bytes()
        assert before is not None, name
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        assert before != content(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:100],
        lambda raw: b"CDF\5" + raw[4:],
        lambda raw: raw[:8] + b"\0\0\0\7" + raw[12:],
        lambda raw: raw[:12] + b"\xff" * 4 + raw[16:],
        lambda raw: raw.replace(b"title\0\0\0\0\0\0\2", b"title\0\0\0\0\0\0\x7f"),
        lambda raw: raw.replace(b"title\0\0\0\0\0\0\2\0", b"title\0\0\0\0\0\0\6\xff"),
    ],
)
def test_an_unsound_header_is_declined(tmp_path, content, spoil):
    """Counts and types that cannot be leave the bytes as the identity."""
    path = volume(tmp_path / "x.mnc")
    raw = path.read_bytes()
    assert raw != spoil(raw)
    path.write_bytes(spoil(raw))
    assert content(path) is None


LINEAR = """MNI Transform File
%{date}>>> param2xfm -translation 1 2 3 t.xfm
%(Package MNI AutoReg, version 0.99.6)

Transform_Type = Linear;
Linear_Transform =
 1 0 0 1
 0 1 0 2
 0 0 1 {last};
"""


def test_comments_of_a_transform_do_not_count(tmp_path, content):
    """The date and command of an .xfm do not count; the matrix does."""
    path = tmp_path / "t.xfm"

    def digest(text):
        path.write_text(text)
        return content(path)

    before = digest(LINEAR.format(date="Mon", last=3))
    assert before == digest(LINEAR.format(date="Tuesday", last=3))
    assert before == digest(LINEAR.replace("\n\n", "\n% avi2talxfm\n\n").format(date="", last=3))
    assert before != digest(LINEAR.format(date="Mon", last=4)) is not None
    for text in ("", "MNI", "not " + LINEAR, LINEAR + "\n" * (1 << 20)):
        assert digest(text) is None
    path.write_bytes(LINEAR.format(date="m\u00e4r", last=3).encode("latin-1"))
    assert content(path) is None


def test_the_grid_of_a_transform_counts(tmp_path, content):
    """A non-linear .xfm names its grid, which counts by its content, there or not yet."""
    path, grid = tmp_path / "n.xfm", tmp_path / "n_grid_0.mnc"
    path.write_text(
        "MNI Transform File\n\nTransform_Type = Grid_Transform;\n"
        "Displacement_Volume = n_grid_0.mnc;\n"
    )
    assert content(path) is None
    assert ("n_grid_0.mnc",) == possible_companions_of(str(path))
    volume(grid)
    before = content(path)
    assert ("n_grid_0.mnc",) == companions_of(str(path))
    volume(grid, history="another")
    assert before == content(path) is not None
    volume(grid, values=(1, 2, 9))
    assert before != content(path) is not None
    grid.write_bytes(b"no volume")
    other = content(path)
    grid.write_bytes(b"no volumE")
    assert None is not other != content(path)
    shutil.copy(path, grid)  # a grid that is a transform, of itself
    assert content(path) is not None
