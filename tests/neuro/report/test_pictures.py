"""Pictures of whatever files hold: what can be drawn is, and of the rest it is told why not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from memori.neuro.report.pictures import Budget, Figure, Gallery
from memori.neuro.report.runs import Run
from memori.neuro.report.tables import lines_of

pytest.importorskip("PIL", reason="no pictures: pip install 'memori-neuro[report]'")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(100, 10, (6, 7, 8)).astype("f4")
RGB = np.zeros((6, 7, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
RGB["R"][2:] = 200


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Figure]]:
    """Draw a file as if it were the only output of a run."""

    def figures(name: str) -> list[Figure]:
        path = str(tmp_path / name)
        monkeypatch.setattr("memori.neuro.report.pictures.outputs_of", lambda run: [("out", path)])
        run = Run("stage", str(tmp_path), {}, 0.0, 0.0, 0.0, "ran")
        return Gallery(Budget(viewers=0)).figures_of(run)

    return figures


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.where(X > 100, np.nan, X), id="NaN around the brain"),
        pytest.param(np.where(X > 100, np.inf, X), id="infinite"),
        pytest.param(np.zeros_like(X), id="all zero"),
        pytest.param(np.full((5, 6, 7), 3, "i2"), id="constant"),
        pytest.param((X + 1j * X).astype("c8"), id="complex"),
        pytest.param(RGB, id="colours"),
        pytest.param(RANDOM.normal(size=(6, 7, 8, 1, 3)).astype("f4"), id="a field of vectors"),
        pytest.param(X[..., None], id="one volume"),
        pytest.param(np.zeros((6, 7, 8, 9), "f4"), id="a time series of nothing"),
        pytest.param(X[:, :, :1], id="one slice"),
        pytest.param(np.full((1, 1, 1), 5, "f4"), id="one voxel"),
        pytest.param((X * 1e-30).astype("f4"), id="tiny"),
    ],
)
def test_images_of_any_kind_are_drawn(
    data: np.ndarray, tmp_path: Path, draw: Callable[[str], list[Figure]]
) -> None:
    """Not one of them keeps the report from being written."""
    nib.save(nib.Nifti1Image(data, np.diag([-3, 3, 4, 1])), tmp_path / "x.nii.gz")

    (figure,) = draw("x.nii.gz")

    assert "slices" == figure["kind"], figure
    assert figure["sheets"][0]["src"].startswith("data:image/webp")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.nii.gz", b""),
        ("x.nii.gz", gzip.compress(bytes(1000), mtime=0)[:20]),
        ("x.gii", b"<xml"),
        ("x.png", b"no picture"),
        ("x.npy", b"\x93NUMPY"),
        ("missing.nii", None),
    ],
)
def test_of_what_cannot_be_read_it_is_told(
    name: str, content: bytes | None, tmp_path: Path, draw: Callable[[str], list[Figure]]
) -> None:
    """A broken file has a note in the place of its picture."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    (figure,) = draw(name)

    assert "note" == figure["kind"]
    assert figure["note"].startswith(("cannot be drawn: ", "is missing"))


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("x.tsv", "a\tb\n1\tn/a\n2\tx\n", ["a"]),
        ("x.tsv", 'a\tb\n1\t"x\n2\t3\n', ["a"]),
        ("x.tsv", "\ufeffa\tb\n1\n2\t3\t4\n", ["a"]),
        ("x.csv", "a,b\n1,2\n3,4\n", ["a", "b"]),
        ("x.1D", "# a comment\n1 2 3\n4 5 6\n", ["0", "1", "2"]),
        ("x.tsv", "name\nanna\nbo\n", None),
        ("x.tsv", "", None),
    ],
)
def test_columns_of_numbers_become_lines(
    name: str,
    text: str,
    columns: list[str] | None,
    tmp_path: Path,
    draw: Callable[[str], list[Figure]],
) -> None:
    """A table without any has no picture."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    found = [[column["name"] for column in figure["columns"]] for figure in draw(name)]

    assert ([] if columns is None else [columns]) == found


def test_a_stage_of_many_files_leaves_room_for_other_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of them are drawn, and the rest is counted as left out."""
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\n1\t2\n3\t4\n")
    files = [(f"out.{n}", str(path)) for n in range(50)]
    monkeypatch.setattr("memori.neuro.report.pictures.outputs_of", lambda run: files)
    gallery = Gallery(Budget(figures=30))
    run = Run("stage", str(tmp_path), {}, 0.0, 0.0, 0.0, "ran")

    drawn = [len(gallery.figures_of(run)) for _ in range(3)]

    assert [12, 12, 6] == drawn
    assert 150 - 30 == gallery.budget.left_out


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make a T1w, a mask on its grid, an image on another, a mesh, values on it and pictures."""
    from PIL import Image

    affine = np.diag([-3, 3, 4, 1])
    nib.save(nib.Nifti1Image(X, affine), tmp_path / "T1w.nii.gz")
    nib.save(nib.Nifti1Image((X > 100).astype("u1"), affine), tmp_path / "mask.nii.gz")
    nib.save(nib.Nifti1Image(X[:4], affine), tmp_path / "bold.nii.gz")
    points, triangles = np.eye(4, 3, dtype="f4"), np.array([[0, 1, 2], [1, 2, 3]], "i4")
    mesh = [nib.gifti.GiftiDataArray(points, "NIFTI_INTENT_POINTSET"),
            nib.gifti.GiftiDataArray(triangles, "NIFTI_INTENT_TRIANGLE")]  # fmt: skip
    nib.save(nib.gifti.GiftiImage(darrays=mesh), tmp_path / "white.surf.gii")
    values = nib.gifti.GiftiDataArray(np.arange(4, dtype="f4"))
    nib.save(nib.gifti.GiftiImage(darrays=[values]), tmp_path / "curv.func.gii")
    (tmp_path / "drawing.svg").write_text("<svg/>")
    Image.new("RGB", (8, 4)).save(tmp_path / "picture.png")
    return tmp_path


@pytest.mark.parametrize(
    ("output", "given", "expected"),
    [
        ("mask.nii.gz", ["T1w.nii.gz"], ["outline over T1w"]),
        ("T1w.nii.gz", ["bold.nii.gz", "T1w.nii.gz"], [""]),
        ("T1w.nii.gz", ["bold.nii.gz", "copy.nii.gz"], ["T1w.nii.gz", "copy, whose grid it has"]),
        ("white.surf.gii", [], "4 vertices; the colour is the distance from the middle"),
        ("curv.func.gii", ["white.surf.gii"], "first map, over white.surf.gii"),
        ("curv.func.gii", [], "4 vertices, and no surface of as many beside it"),
        ("drawing.svg", [], ""),
        ("picture.png", [], "8 x 4 pixels"),
        ("words.txt", [], None),
    ],
)  # fmt: skip
def test_an_output_is_drawn_over_what_the_run_was_given(
    output: str, given: list[str], expected: object, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask as an outline, an image beside the one whose grid it has, values over their mesh."""
    (study / "copy.nii.gz").write_bytes((study / "T1w.nii.gz").read_bytes())
    (study / "words.txt").write_text("no numbers\n")
    path = str(study / output)
    monkeypatch.setattr("memori.neuro.report.pictures.outputs_of", lambda run: [("out", path)])
    files = [(name.partition(".")[0], str(study / name)) for name in given]
    run = Run("stage", str(study), {}, 0.0, 0.0, 0.0, "ran", files=files)

    figures = Gallery(Budget(viewers=0)).figures_of(run)

    if expected is None:
        assert [] == figures
    elif isinstance(expected, list):
        assert expected == [each["label"] for each in figures[0]["sheets"]]
    else:
        assert expected == figures[0]["note"]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.arange(5.0), [("0", 5)], id="vector"),
        pytest.param(np.ones((20, 3)), [("0", 20), ("1", 20), ("2", 20)], id="rows over time"),
        pytest.param(np.ones((2, 300)), [("0", 300), ("1", 300)], id="regions over time"),
        pytest.param(np.array(["a", "b"]), [], id="words"),
        pytest.param(np.ones((2, 2, 2)), [], id="volume"),
    ],
)
def test_arrays_become_lines_over_their_longer_axis(
    array: np.ndarray, expected: list[tuple[str, int]], tmp_path: Path
) -> None:
    """Of a matrix with few rows and many columns each row is a line."""
    np.save(tmp_path / "x.npy", array)
    found = lines_of(str(tmp_path / "x.npy"))
    assert expected == [(each["name"], each["rows"]) for each in found]


def test_a_mesh_is_drawn_with_its_values_or_its_folds() -> None:
    """Values that are all the same colour nothing; a mesh too large for a picture is told."""
    pytest.importorskip("nilearn", reason="no pictures: pip install 'memori-neuro[report]'")
    from memori.neuro.report.images import NotDrawnError
    from memori.neuro.report.surfaces import surface

    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "f4")
    triangles = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])
    for values in (None, np.zeros(4), np.arange(4.0)):
        assert b"WEBP" == surface((points, triangles), values)[8:12]
    with pytest.raises(NotDrawnError, match="too large for a picture: 200001 vertices"):
        surface((np.zeros((200_001, 3)), triangles))


def test_a_gifti_file_holds_a_mesh_or_values(tmp_path: Path) -> None:
    """What it lacks is None."""
    pytest.importorskip("matplotlib", reason="no pictures: pip install 'memori-neuro[report]'")
    from memori.neuro.report.surfaces import mesh_in, values_in

    path = str(tmp_path / "x.func.gii")
    values = nib.gifti.GiftiDataArray(np.arange(3, dtype="f4"))
    nib.save(nib.gifti.GiftiImage(darrays=[values]), path)
    assert mesh_in(path) is None
    assert [0, 1, 2] == values_in(path).tolist()
    nib.save(nib.gifti.GiftiImage(), path)
    assert values_in(path) is None
