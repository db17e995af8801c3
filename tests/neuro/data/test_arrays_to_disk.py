"""Functions that take and return arrays, images and tables work as stages and as functions."""

import functools
import importlib.util
import inspect
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import BrainModelAxis, ScalarAxis

from memori import Pipeline, Stage, workdir
from memori.neuro.data.arrays import load_array, save_array
from memori.neuro.data.arrays_to_disk import arrays_to_disk
from memori.neuro.data.tables import load_table

PACKAGED = Path(nib.__file__).parent / "tests" / "data"


@arrays_to_disk
def timeseries(bold: nib.Nifti1Image, scale: float = 1.0) -> np.ndarray:
    """Average the BOLD signal (x, y, z, t) over space: (t,) float32."""
    assert isinstance(bold, nib.Nifti1Image)
    return bold.get_fdata(dtype=np.float32).mean(axis=(0, 1, 2)) * np.float32(scale)


@arrays_to_disk
def demeaned(series: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Subtract the mean."""
    assert isinstance(series, np.ndarray)
    assert mask is None
    return series - series.mean()


@arrays_to_disk
def everything(path: str):
    """Return one of each kind, nested."""
    image = nib.load(path)
    gifti = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(np.ones(3, np.float32))])
    axes = (ScalarAxis(["a"]), BrainModelAxis.from_mask(np.ones(3), name="cortex_left"))
    cifti = nib.Cifti2Image(np.ones((1, 3), np.float32), axes)
    return {
        "arrays": [np.ones(2), (np.zeros(()), "text")],
        "image": image,
        "surface": gifti,
        "matrix": cifti,
        "table": pd.DataFrame({"a": [1.5]}),
        "number": np.float32(0.5),
        "nothing": None,
    }


def test_an_array_that_is_changed_in_place_is_to_be_copied_first(tmp_path):
    """NumPy's error says that it is read-only, not that it comes from a file."""

    @arrays_to_disk
    def clipped(series: np.ndarray) -> np.ndarray:
        np.clip(series, 0, 1, out=series)
        return series

    path = save_array(np.arange(3.0), tmp_path / "series.npy")
    with pytest.raises(ValueError, match="read-only") as caught:
        Stage(clipped, hash_output=tmp_path / "work").run(path)
    assert any("series = np.array(series)" in note for note in caught.value.__notes__)
    assert [0, 1, 2] == load_array(path).tolist()


def test_the_function_stays_what_it_was():
    """Name, documentation, module and signature are those of the function."""
    assert "timeseries" == timeseries.__name__
    assert "Average the BOLD" in timeseries.__doc__
    assert __name__ == timeseries.__module__
    assert ["bold", "scale"] == list(inspect.signature(timeseries).parameters)


def test_outside_a_stage_things_stay_things():
    """Arrays and images go in and come out, so that the function can be tried as it stands."""
    image = nib.load(PACKAGED / "example4d.nii.gz")
    series = timeseries(image, scale=2.0)

    assert np.float32 == series.dtype
    np.testing.assert_array_equal(series - series.mean(), demeaned(series))
    np.testing.assert_array_equal(series, timeseries(str(PACKAGED / "example4d.nii.gz"), 2.0))


def test_in_stages_paths_pass(tmp_path):
    """The results hold paths below hash_output; the second stage gets the array loaded."""
    first = Stage(timeseries, stage_outputs="series", hash_output=tmp_path)
    second = Stage(demeaned, hash_output=tmp_path)
    results = second.run(first.run(str(PACKAGED / "example4d.nii.gz")))

    assert str(tmp_path) in results["output"]
    expected = demeaned(timeseries(nib.load(PACKAGED / "example4d.nii.gz")))
    np.testing.assert_array_equal(expected, load_array(results["output"]))


def test_a_second_run_hits(tmp_path):
    """Nothing is called, and the same paths come back."""
    path = str(PACKAGED / "example4d.nii.gz")
    first, second = (Stage(timeseries, hash_output=tmp_path) for _ in range(2))

    assert first.run(path) == second.run(path)
    assert (True, False) == (first.state, second.state)


def test_in_a_pipeline(tmp_path):
    """Edges pass the paths, and a result that is gone is made again."""
    first = Stage(timeseries, stage_outputs="series", hash_output=tmp_path)
    second = Stage(demeaned, hash_output=tmp_path)
    pipeline = Pipeline([("start", first), (first, second)])
    path = pipeline.run(str(PACKAGED / "example4d.nii.gz"))["output"]
    Path(path).unlink()

    again = pipeline.run(str(PACKAGED / "example4d.nii.gz"))["output"]
    assert (False, True) == (first.state, second.state)
    assert nib.load(PACKAGED / "example4d.nii.gz").shape[3:] == load_array(again).shape


def test_every_kind_of_parameter(tmp_path):
    """Positional-only, variadic and keyword-only parameters get what they ask for."""

    @arrays_to_disk
    def kinds(a: np.ndarray, /, b, *c: np.ndarray, d: str = "d", **e: np.ndarray):
        """Return the types of what arrives."""
        return [type(one).__name__ for one in (a, b, *c, d, *e.values())]

    path = save_array([1], tmp_path / "a.npy")

    assert ["memmap", "str", "memmap", "memmap", "str", "memmap"] == kinds(
        path, path, path, path, d=path, x=path
    )
    assert ["memmap", "str", "str"] == kinds(path, b=path)


def test_everything_at_once(tmp_path):
    """Nested values of every kind become paths to what they were; the rest stays."""
    stage = Stage(everything, hash_output=tmp_path)
    value = stage.run(str(PACKAGED / "functional.nii"))["output"]
    image = nib.load(PACKAGED / "functional.nii")

    assert value == json.loads(json.dumps(value))
    assert [1, 1] == load_array(value["arrays"][0]).tolist()
    assert () == load_array(value["arrays"][1][0]).shape
    assert "text" == value["arrays"][1][1]
    np.testing.assert_array_equal(image.dataobj, nib.load(value["image"]).dataobj)
    assert [1, 1, 1] == nib.load(value["surface"]).agg_data().tolist()
    assert (1, 3) == nib.load(value["matrix"]).shape
    assert [1.5] == load_table(value["table"])["a"].tolist()
    assert (0.5, None) == (value["number"], value["nothing"])
    names = {Path(p).name for p in (value["image"], value["surface"], value["matrix"])}
    assert {"image.nii.gz", "image.gii", "cifti.dscalar.nii"} == names


def test_freesurfer_volumes_stay_such(tmp_path):
    """An MGH image is saved as .mgz, the format that it came in."""

    @arrays_to_disk
    def same(image: nib.MGHImage) -> nib.MGHImage:
        """Return what came in."""
        return image

    path = Stage(same, hash_output=tmp_path).run(str(PACKAGED / "test.mgz"))["output"]

    assert "image.mgz" == Path(path).name
    np.testing.assert_array_equal(nib.load(PACKAGED / "test.mgz").dataobj, nib.load(path).dataobj)


def test_several_outputs(tmp_path):
    """A tuple fills the declared outputs, each with a file of its own."""

    @arrays_to_disk
    def split(series: np.ndarray):
        """Return both halves."""
        return np.array_split(series, 2)[0], np.array_split(series, 2)[1]

    path = save_array(np.arange(4), tmp_path / "series.npy")
    stage = Stage(split, stage_outputs=["first", "second"], hash_output=tmp_path / "work")
    results = stage.run(path)

    assert ["array.npy", "array-2.npy"] == [Path(path).name for path in results.values()]
    assert [[0, 1], [2, 3]] == [load_array(path).tolist() for path in results.values()]


def test_around_a_function(tmp_path):
    """`Stage(arrays_to_disk(f))` needs no change to f."""

    def doubled(series: np.ndarray) -> np.ndarray:
        """Double an array."""
        return 2 * series

    path = save_array(np.arange(3), tmp_path / "series.npy")
    stage = Stage(arrays_to_disk(doubled), hash_output=tmp_path / "work")

    assert [0, 2, 4] == load_array(stage.run(path)["output"]).tolist()
    assert [0, 2, 4] == doubled(np.arange(3)).tolist()


def test_methods_and_partials(tmp_path):
    """Whatever can be called can be wrapped."""

    class Scaling:
        """Multiply by a number."""

        def __init__(self, factor: float):
            self.factor = factor

        def apply(self, series: np.ndarray) -> np.ndarray:
            """Multiply."""
            return series * self.factor

    def power(series: np.ndarray, exponent: int) -> np.ndarray:
        """Raise to a power."""
        return series**exponent

    series = save_array(np.arange(3), tmp_path / "series.npy")
    scaled = Stage(arrays_to_disk(Scaling(3).apply), hash_output=tmp_path / "a")
    square = Stage(
        arrays_to_disk(functools.partial(power, exponent=2)),
        stage_name="square",
        hash_output=tmp_path / "b",
    )

    assert [0, 3, 6] == load_array(scaled.run(series)["output"]).tolist()
    assert [0, 1, 4] == load_array(square.run(series)["output"]).tolist()


def test_save_functions_inside(tmp_path):
    """A function may save some results itself, under names of its own."""

    @arrays_to_disk
    def both():
        """Return a path and an array."""
        return [save_array(np.zeros(1), workdir() / "mine.npy"), np.ones(1)]

    mine, other = Stage(both, hash_output=tmp_path).run()["output"]

    assert ("mine.npy", "array.npy") == (Path(mine).name, Path(other).name)


def test_what_has_no_file_is_refused(tmp_path):
    """Masked arrays and the like are an error that names the remedy."""

    @arrays_to_disk
    def masked():
        """Return an array that a file would strip of its mask."""
        return np.ma.masked_array([1, 2], [0, 1])

    with pytest.raises(TypeError, match=r"lose its mask: fill it"):
        Stage(masked, hash_output=tmp_path).run()


def test_a_generator_function_is_refused():
    """It would be saved before it has run."""

    def generate(series: np.ndarray):
        """Yield an array."""
        yield series

    with pytest.raises(TypeError, match=r"generator or coroutine function.* return a list"):
        arrays_to_disk(generate)


MODULE = """
import numpy as np
import nibabel as nib
from memori.neuro.data.arrays_to_disk import arrays_to_disk

@arrays_to_disk
def kind(x: {annotation}):
    {comment}
    return type(x).__name__ {extra}
"""


def run_version(folder, name, **fields):
    """Run one version of a module's function as a stage; whether it was executed."""
    source = MODULE.format(**{"annotation": "str", "comment": "", "extra": "", **fields})
    path = folder / "versioned.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("versioned", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["versioned"] = module
    try:
        spec.loader.exec_module(module)
        stage = Stage(module.kind, hash_output=folder / "work")
        return stage.run(str(PACKAGED / "functional.nii"))["output"], stage.state
    finally:
        del sys.modules["versioned"]


def test_what_is_loaded_counts_as_code(tmp_path):
    """Another annotation loads something else, so the stage reruns; a comment does not."""
    image = {"annotation": "nib.Nifti1Image"}

    assert ("str", True) == run_version(tmp_path, "a")
    assert ("Nifti1Image", True) == run_version(tmp_path, "b", **image)
    assert ("Nifti1Image", False) == run_version(tmp_path, "c", **image)
    assert ("Nifti1Image", False) == run_version(tmp_path, "d", **image, comment="# why not")
    assert ("Nifti1Image!", True) == run_version(tmp_path, "e", **image, extra="+ '!'")
    assert ("str", False) == run_version(tmp_path, "f", annotation="float | str")
