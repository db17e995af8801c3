"""What annotations ask for is read off a function as plain values."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from memori.neuro.data.annotations import load, wishes
from memori.neuro.data.arrays import save_array
from memori.neuro.data.images import save_image
from memori.neuro.data.tables import save_table

if TYPE_CHECKING:
    from nowhere import Mask

NIFTI = "image nibabel.nifti1.Nifti1Image"
Alias = np.ndarray | None


def wish_of(annotation):
    """Return what a parameter with this annotation asks for."""

    def function(x):
        """Take one parameter."""

    function.__annotations__ = {"x": annotation}
    return wishes(function).get("x")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (np.ndarray, "array"),
        (np.memmap, "array"),
        (npt.NDArray[np.float32], "array"),
        (npt.NDArray, "array"),
        (nib.Nifti1Image, NIFTI),
        (nib.Nifti2Image, "image nibabel.nifti2.Nifti2Image"),
        (nib.GiftiImage, "image nibabel.gifti.gifti.GiftiImage"),
        (nib.Cifti2Image, "image nibabel.cifti2.cifti2.Cifti2Image"),
        (nib.spatialimages.SpatialImage, "image nibabel.spatialimages.SpatialImage"),
        (pd.DataFrame, "table"),
        (np.ndarray | None, "array"),
        (None | np.ndarray, "array"),
        (Optional[np.ndarray], "array"),  # noqa: UP045
        (Union[nib.Nifti1Image, np.ndarray], ["any", NIFTI, "array"]),  # noqa: UP007
        (float | np.ndarray, "array"),
        (Annotated[np.ndarray, "(t, v)"], "array"),
        (list[np.ndarray], ["each", "array"]),
        (Sequence[nib.Nifti1Image], ["each", NIFTI]),
        (Iterable[pd.DataFrame], ["each", "table"]),
        (tuple[np.ndarray, ...], ["each", "array"]),
        (tuple[str, np.ndarray], ["places", None, "array"]),
        (dict[str, np.ndarray], ["values", "array"]),
        (Mapping[str, list[np.ndarray]], ["values", ["each", "array"]]),
        (list[np.ndarray] | np.ndarray, ["any", ["each", "array"], "array"]),
        (list["nib.Nifti1Image"], ["each", NIFTI]),
        (str, None),
        (float, None),
        (list[str], None),
        (list, None),
        (Any, None),
        (None, None),
        (Path, None),
        (str | np.ndarray, None),
        (np.ndarray | Path, None),
        (np.float32, None),
        (42, None),
    ],
)
def test_annotations_of_all_kinds(annotation, expected):
    """Each annotation asks for one thing, the same spelled as a string."""
    assert expected == wish_of(annotation)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("np.ndarray", "array"),
        ("numpy.ndarray | None", "array"),
        ("npt.NDArray[np.float64]", "array"),
        ("list[nib.Nifti1Image]", ["each", NIFTI]),
        ("nibabel.Nifti1Image", NIFTI),
        ("pd.DataFrame", "table"),
        ("typing.Optional[np.ndarray]", "array"),
        ("Optional[np.ndarray]", "array"),
        ("Alias", "array"),
        ("np.ndarray | Mask[int]", "array"),
        ("Mask", None),
        ("Mask.inner", None),
        ("not python", None),
        ("float", None),
    ],
)
def test_annotations_that_are_strings(text, expected):
    """They are evaluated, with or without the imports in reach."""
    assert expected == wish_of(text)


def test_names_for_type_checkers_only():
    """A function whose packages are imported for type checkers only is understood."""
    names: dict[str, Any] = {}
    exec(
        "from __future__ import annotations\n"
        "def function(a: np.ndarray, b: list[nib.Nifti1Image], c: Mask = None): ...",
        names,
    )

    assert {"a": "array", "b": ["each", NIFTI]} == wishes(names["function"])


def test_every_kind_of_parameter():
    """Variadic parameters wish for each of theirs."""

    def function(a: np.ndarray, /, b: float, *c: np.ndarray, d: Mask, **e: np.ndarray):
        """Take all kinds of parameters."""

    assert {"a": "array", "c": "array", "e": "array"} == wishes(function)


def test_wishes_are_plain_values():
    """They can be digested with the code: JSON says it all."""

    def function(a: np.ndarray, b: dict[str, list[nib.Nifti1Image]], c: tuple[str, pd.DataFrame]):
        """Take several things."""

    found = wishes(function)
    assert found == json.loads(json.dumps(found))


# Loading ---------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Save one file of each kind; their paths by suffix."""
    return {
        "npy": save_array([1.0, 2.0], tmp_path / "x.npy"),
        "npz": save_array({"a": [1.0]}, tmp_path / "x.npz"),
        "nii": save_image(np.zeros((2, 2, 2), "f4"), tmp_path / "x.nii", affine=np.eye(4)),
        "tsv": save_table({"a": [1]}, tmp_path / "x.tsv"),
    }


def test_each_kind_of_file_is_loaded(files, tmp_path):
    """Arrays are mapped, images lazy, tables read."""
    array = load(files["npy"], "array", "x")

    assert isinstance(array, np.memmap)
    assert [1, 2] == array.tolist()
    assert isinstance(load(Path(files["nii"]), NIFTI, "x"), nib.Nifti1Image)
    assert [1] == load(files["tsv"], "table", "x")["a"].tolist()
    (tmp_path / "x_physio.tsv.gz").write_bytes(gzip.compress(b"1.5\n2.5\n"))
    packed = load(str(tmp_path / "x_physio.tsv.gz"), "table", "x")
    assert [[1.5], [2.5]] == packed.to_numpy().tolist()
    assert {"a": [1]} == load(files["npz"], ["values", "array"], "x")


def test_what_is_no_path_stays(files):
    """Arrays, None and numbers arrive as they are."""
    array = np.ones(2)

    assert array is load(array, "array", "x")
    assert load(None, "array", "x") is None
    assert 1 == load(1, ["each", "array"], "x")
    assert {"a": 1} == load({"a": 1}, ["each", "array"], "x")
    assert files["npy"] == load(files["npy"], None, "x")


def test_containers_keep_their_form(files):
    """A list stays a list, and each place gets what it asks for."""
    npy = files["npy"]
    each = load([npy, None], ["each", "array"], "x")
    places = load([npy, npy, npy], ["places", None, "array"], "x")

    assert [list, np.memmap, type(None)] == [type(each), *map(type, each)]
    assert [str, np.memmap, str] == [*map(type, places)]
    assert np.memmap is type(load({"k": npy}, ["values", "array"], "x")["k"])
    assert np.memmap is type(load([npy], ["any", ["each", "array"], "array"], "x")[0])


def test_whichever_the_file_is(files):
    """With several choices the file decides."""
    wish = ["any", NIFTI, "array", "table"]

    assert np.memmap is type(load(files["npy"], wish, "x"))
    assert nib.Nifti1Image is type(load(files["nii"], wish, "x"))
    assert pd.DataFrame is type(load(files["tsv"], wish, "x"))


@pytest.mark.parametrize(
    ("suffix", "wish", "message"),
    [
        ("nii", "array", r"parameter 'x' is annotated to be loaded as array, got the file '.*nii'"),
        ("npz", "array", r"dict\[str, np\.ndarray\] for \.npz"),
        ("npy", NIFTI, "loaded as image nibabel"),
        ("npy", ["each", "array"], r"loaded as \['each', 'array'\]"),
        ("nii", "image nibabel.gifti.gifti.GiftiImage", r"annotated GiftiImage, but .* a Nifti1Im"),
    ],
)
def test_a_file_of_another_kind_is_named(files, suffix, wish, message):
    """The message has the parameter, the file and the annotation that would fit."""
    with pytest.raises(TypeError, match=message):
        load(files[suffix], wish, "x")


def test_a_missing_file_names_the_parameter(tmp_path):
    """Positions inside a value are named, too."""
    with pytest.raises(FileNotFoundError, match=r"x\[1\]\['a'\].*: there is no file 'absent"):
        load([None, {"a": "absent.npy"}], ["each", ["values", "array"]], "x")
