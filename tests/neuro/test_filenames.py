"""Where FSL and AFNI put what they were asked to write."""

import pytest

from memori.neuro.filenames import AmbiguousFileError, real_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make files in the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            (tmp_path / name).touch()

    return make


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
