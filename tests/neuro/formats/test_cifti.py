"""CIFTI-2: NIfTI-2 whose extension holds axes, maps and labels."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from nibabel import cifti2


def save(path, axis, mapped, values):
    """Write a CIFTI file with nibabel."""
    nib.save(cifti2.Cifti2Image(values, (axis, mapped)), path)
    return path


VERTICES = cifti2.BrainModelAxis.from_surface(np.array([0, 2, 5]), 10, "CortexLeft")
VOXELS = cifti2.BrainModelAxis.from_mask(np.ones((1, 2, 1)), name="thalamus_left", affine=np.eye(4))
BRAIN = VERTICES + VOXELS
SCALARS = cifti2.ScalarAxis(["a", "b"], [{}, {"Date": "Monday"}])
ZEROS = np.zeros((2, 5), "f4")


@pytest.mark.parametrize(
    ("axis", "mapped", "values"),
    [
        (cifti2.ScalarAxis(["a", "c"]), BRAIN, ZEROS),
        (cifti2.SeriesAxis(0, 2, 2), BRAIN, ZEROS),
        (cifti2.SeriesAxis(0, 1, 2), BRAIN, ZEROS),
        (cifti2.SeriesAxis(1, 2, 2), BRAIN, ZEROS),
        (cifti2.SeriesAxis(0, 2, 2, "HERTZ"), BRAIN, ZEROS),
        (cifti2.LabelAxis(["a", "b"], {1: ("x", (1, 0, 0, 1))}), BRAIN, ZEROS),
        (cifti2.LabelAxis(["a", "b"], {1: ("y", (1, 0, 0, 1))}), BRAIN, ZEROS),
        (cifti2.LabelAxis(["a", "b"], {2: ("x", (1, 0, 0, 1))}), BRAIN, ZEROS),
        (cifti2.LabelAxis(["a", "b"], {1: ("x", (1, 0, 0, 0))}), BRAIN, ZEROS),
        (SCALARS, VOXELS + VERTICES, ZEROS),
        (
            SCALARS,
            cifti2.BrainModelAxis.from_surface(np.array([0, 2, 6]), 10, "CortexLeft") + VOXELS,
            ZEROS,
        ),
        (
            SCALARS,
            cifti2.BrainModelAxis.from_surface(np.array([0, 2, 5]), 11, "CortexLeft") + VOXELS,
            ZEROS,
        ),
        (
            SCALARS,
            cifti2.BrainModelAxis.from_surface(np.array([0, 2, 5]), 10, "CortexRight") + VOXELS,
            ZEROS,
        ),
        (SCALARS, BRAIN, ZEROS + np.float32(1e-38)),
    ],
)
def test_axes_maps_labels_and_values_count(tmp_path, content, axis, mapped, values):
    """Each axis, map name, label, colour, vertex and value makes another content."""
    one = save(tmp_path / "one.nii", SCALARS, BRAIN, ZEROS)
    other = save(tmp_path / "other.nii", axis, mapped, values)
    assert content(one) != content(other) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Monday", b"Sunday"), (b">0 2 5<", b">0\n2 5<"), (b"<Volume ", b"<Volume\n")],
)
def test_dates_and_white_space_do_not_count(tmp_path, content, edited, old, new):
    """A map's date, and white space between indices and inside tags, do not count."""
    path = save(tmp_path / "x.dscalar.nii", SCALARS, BRAIN, ZEROS)
    assert content(path) == content(edited(path, old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("first/xyz.dscalar.nii", b"x coordinate", b"y coordinate"),
        ("first/xyz.dscalar.nii", b"CORTEX_LEFT", b"CORTEX_LEFF"),
        ("first/xyz.dscalar.nii", b">0 1 2 ", b">0 1 3 "),
        ("first/xyz.dscalar.nii", b">0 1 2 ", b">01 2  "),
        ("first/side.dlabel.nii", b">right<", b">ri ht<"),
        ("first/side.dlabel.nii", b'Red="1"', b'Red="0"'),
        ("first/side.dlabel.nii", b'Key="1"', b'Key="7"'),
        ("first/xyz.dtseries.nii", b'SeriesStep="2', b'SeriesStep="3'),
        ("first/xyz.dtseries.nii", b'SeriesUnit="SECOND"', b'SeriesUnit="METERZ"'),
        ("first/xyz.ptseries.nii", b'Parcel Name="left"', b'Parcel Name="lefT"'),
        ("first/xyz.pconn.nii", b'Parcel Name="left"', b'Parcel Name="lefT"'),
        ("row_major.dconn.nii", b"CORTEX_LEFT", b"CORTEX_LEFD"),
        ("first/label.nii.gz", None, None),
    ],
)
def test_one_letter_in_a_real_file_counts(real, content, edited, name, old, new):
    """One map name, structure, vertex, label, colour, key, time or parcel makes another content."""
    path = real(name)
    if old is None:  # Workbench's labels of a volume, inside gzip
        path.write_bytes(gzip.decompress(path.read_bytes()))
        old, new = b"<![CDATA[right]]>", b"<![CDATA[righT]]>"
    assert None is not content(path) != content(edited(path, old, new)) is not None


def test_workbench_dates_and_folders_do_not_count(real, content, edited):
    """The date and folder in Workbench's own extension of a volume do not count."""
    path = real("first/mask.nii.gz", "mask.nii")
    path.write_bytes(gzip.decompress(path.read_bytes()))
    date = path.read_bytes().split(b"<Date><![CDATA[")[1][:19]
    assert content(path) == content(edited(path, date, b"1999-01-01T00:00:00"))
    assert content(path) == content(edited(path, b"/data/first", b"/dota/first"))
    assert content(path) != content(edited(path, b"Gray_Interp", b"Grey_Interp"))
