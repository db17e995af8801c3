"""Names of files: where a suffix begins, and where FSL and AFNI put what they were to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori.neuro.filenames import AmbiguousFileError, real_file, split, stem, suffix


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make files in the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            (tmp_path / name).touch()

    return make


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_T1w.nii.gz", ("sub-01_T1w", ".nii.gz")),
        ("SCAN.NII.GZ", ("SCAN", ".NII.GZ")),
        ("dwi.mif.gz", ("dwi", ".mif.gz")),
        ("atlas.tar.gz", ("atlas", ".tar.gz")),
        ("events.tsv.gz", ("events", ".tsv.gz")),
        ("motion.1D", ("motion", ".1D")),
        # two parts that say one format
        ("x.dtseries.nii", ("x", ".dtseries.nii")),
        ("x.pconnseries.nii", ("x", ".pconnseries.nii")),
        ("x.surf.gii.gz", ("x", ".surf.gii.gz")),
        ("x.func.nii", ("x.func", ".nii")),
        ("x.niml.dset", ("x", ".niml.dset")),
        ("slice.ome.tif", ("slice", ".ome.tif")),
        ("brain.4dfp.img", ("brain", ".4dfp.img")),
        # dots in the name itself
        ("mask_0.5.nii.gz", ("mask_0.5", ".nii.gz")),
        ("mask_0.5", ("mask_0.5", "")),
        ("vol.0001", ("vol.0001", "")),
        ("bold_2.5mm.nii", ("bold_2.5mm", ".nii")),
        ("my.brain_2025.nii.gz", ("my.brain_2025", ".nii.gz")),
        ("aparc.stats.tsv", ("aparc.stats", ".tsv")),
        # FreeSurfer
        ("lh.pial", ("lh.pial", "")),
        ("rh.sphere.reg", ("rh.sphere.reg", "")),
        ("lh.pial.T1", ("lh.pial.T1", "")),
        ("lh.pial.surf.gii", ("lh.pial", ".surf.gii")),
        ("lh.thickness.fwhm10.mgh", ("lh.thickness.fwhm10", ".mgh")),
        ("lh.cortex.label", ("lh.cortex", ".label")),
        ("lh.thick.func.gii", ("lh.thick", ".func.gii")),
        ("rh.aparc.annot", ("rh.aparc", ".annot")),
        # AFNI
        ("x+orig.HEAD", ("x", "+orig.HEAD")),
        ("x+tlrc.BRIK.gz", ("x", "+tlrc.BRIK.gz")),
        ("x+acpc", ("x", "+acpc")),
        ("x+orig.", ("x", "+orig.")),
        # hidden files, folders, and what is no suffix
        (".hidden", (".hidden", "")),
        (".hidden.nii.gz", (".hidden", ".nii.gz")),
        ("run.feat/", ("run", ".feat")),
        ("dicoms/", ("dicoms", "")),
        ("what it is.about it", ("what it is.about it", "")),
        ("ends in.", ("ends in.", "")),
    ],
)
def test_stem_and_suffix(name, expected):
    """One rule for the names of the field, wherever the file lies."""
    assert expected == (stem(name), suffix(name))
    assert expected == (stem(f"/data.d/v1.2/{name}"), suffix(f"/data.d/v1.2/{name}"))


@given(st.text(), st.sampled_from(["", ".nii.gz", ".dtseries.nii", "+orig.HEAD", ".x"]))
def test_stem_and_suffix_make_up_the_name(name, end):
    """Nothing of a path is lost or doubled by splitting it."""
    assert f"{name}{end}".rstrip("/") == "".join(split(f"{name}{end}"))


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("brain", "brain.nii.gz"),
        ("brain", "brain.nii"),
        ("brain", "brain.hdr"),
        ("brain.nii", "brain.nii.gz"),
        ("brain.nii.gz", "brain.nii"),
        ("brain.img", "brain.hdr"),
        ("sub-01.v2", "sub-01.v2.nii.gz"),
        ("brain", "brain+orig.HEAD"),
        ("brain", "brain+tlrc.HEAD"),
        ("brain+orig", "brain+orig.HEAD"),
        ("brain+orig.BRIK", "brain+orig.BRIK.gz"),
    ],
)
def test_the_file_that_was_written(folder, asked, written):
    """FSL's extensions and AFNI's views are found."""
    folder(written, "other.nii", "brain2.nii.gz")
    assert written == real_file(asked)


def test_the_exact_name_wins(folder):
    """A file of the name that was asked for is taken, whatever lies beside it."""
    folder("brain.nii", "brain.nii.gz", "brain")
    assert "brain" == real_file("brain")
    assert "brain.nii" == real_file("brain.nii")


def test_a_pair_is_one_image(folder):
    """Of .hdr and .img, or HEAD and BRIK, the header stands for both."""
    folder("a.hdr", "a.img", "b+orig.HEAD", "b+orig.BRIK.gz")
    assert "a.hdr" == real_file("a")
    assert "b+orig.HEAD" == real_file("b")


def test_several_candidates_are_an_error_that_lists_them(folder):
    """None is guessed."""
    folder("brain.nii", "brain.nii.gz", "brain+tlrc.HEAD")
    with pytest.raises(AmbiguousFileError, match=r"3 files: 'brain.nii.gz', 'brain.nii'") as caught:
        real_file("brain")
    assert ["brain.nii.gz", "brain.nii", "brain+tlrc.HEAD"] == caught.value.candidates
    assert "brain" == caught.value.path


def test_none_is_an_error_that_lists_what_was_looked_for(folder):
    """The message names the other spellings."""
    with pytest.raises(FileNotFoundError, match=r"brain\.nii\.gz, brain\.nii, .*brain\+orig\.HEAD"):
        real_file("brain")
