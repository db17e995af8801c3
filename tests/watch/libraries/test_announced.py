"""Files that libraries open in C count as those that Python opens: by their content."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from memori import Stage

WRITE: dict[str, Callable[[str, int], object]] = {}
"""By suffix: how to write a file that holds a number."""


def writes(suffix: str) -> Callable[[Callable[[str, int], object]], Callable[[str, int], object]]:
    def note(write: Callable[[str, int], object]) -> Callable[[str, int], object]:
        WRITE[suffix] = write
        return write

    return note


@writes(".h5")
def _hdf5(path: str, number: int) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["x"] = number


@writes(".pytables")
def _pytables(path: str, number: int) -> None:
    import tables

    with tables.open_file(path, "w") as file:
        file.create_array("/", "x", [number])


@writes(".parquet")
def _parquet(path: str, number: int) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"x": [number]}), path)


@writes("")
def _partitioned(path: str, number: int) -> None:
    Path(path).mkdir(exist_ok=True)
    _parquet(f"{path}/part-0.parquet", number)


@writes(".feather")
def _feather(path: str, number: int) -> None:
    import pyarrow.feather

    pyarrow.feather.write_feather(pyarrow.table({"x": [number]}), path)


@writes(".csv")
def _csv(path: str, number: int) -> None:
    Path(path).write_text(f"x\n{number}\n")


@writes(".json")
def _json(path: str, number: int) -> None:
    Path(path).write_text(f'{{"x": {number}}}\n')


@writes(".mha")
def _mha(path: str, number: int) -> None:
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((2, 2, 2), number, np.uint8)), path)


@writes(".nii")
def _nifti(path: str, number: int) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), number, np.uint8), np.eye(4)), path)


@writes(".tfm")
def _transform(path: str, number: int) -> None:
    import SimpleITK

    SimpleITK.WriteTransform(SimpleITK.TranslationTransform(3, [number, 0.0, 0.0]), path)


@writes(".png")
def _png(path: str, number: int) -> None:
    import cv2

    cv2.imwrite(path, np.full((2, 2), number, np.uint8))


@writes(".safetensors")
def _tensors(path: str, number: int) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.array([number])}, path)


@writes(".xml")
def _xml(path: str, number: int) -> None:
    Path(path).write_text(f"<scan><x>{number}</x></scan>\n")


@writes(".sav")
def _spss(path: str, number: int) -> None:
    import pandas
    import pyreadstat

    pyreadstat.write_sav(pandas.DataFrame({"x": [number]}), path)


@writes(".mtx")
def _matrix(path: str, number: int) -> None:
    from scipy.io import mmwrite

    mmwrite(path, np.array([[number]]))


@writes(".ubj")
def _trees(path: str, number: int) -> None:
    import xgboost

    data = xgboost.DMatrix(np.zeros((4, 1)), label=np.full(4, float(number)))
    xgboost.train({"base_score": number}, data, num_boost_round=1).save_model(path)


@writes(".lgb")
def _other_trees(path: str, number: int) -> None:
    import lightgbm

    data = lightgbm.Dataset(np.arange(50.0)[:, None], label=np.full(50, float(number)))
    lightgbm.train({"verbose": -1}, data, num_boost_round=1).save_model(path)


@writes(".rds")
def _r(path: str, number: int) -> None:
    import pandas
    import pyreadr

    pyreadr.write_rds(path, pandas.DataFrame({"x": [number]}))


@writes(".edf")
def _edf(path: str, number: int) -> None:
    from pyedflib import highlevel

    header = highlevel.make_signal_header("x", sample_frequency=4)
    highlevel.write_edf(path, np.full((1, 4), float(number)), [header])


@writes(".wav")
def _sound(path: str, number: int) -> None:
    import soundfile

    soundfile.write(path, np.full(4, number, np.int16), 8000)


READ = {  # by packages that are needed: what a user writes, and the suffix of what is read
    "import h5py; int(h5py.File(path)['x'][()])": ".h5",
    "from h5py import File; int(File(path, mode='r')['x'][()])": ".h5",
    "import tables as t; (lambda f: (int(f.root.x[0]), f.close())[0])(t.open_file(path))":
        ".pytables",
    "import pandas; int(pandas.read_parquet(path).x[0])": ".parquet",
    "import pandas; int(pandas.read_parquet(__import__('pathlib').Path(path)).x[0])": ".parquet",
    "import pandas; int(pandas.read_parquet(path).x.iloc[0])": "",
    "import pyarrow.parquet as pq; pq.read_table(source=path)['x'][0].as_py()": ".parquet",
    "import pyarrow.parquet as pq; pq.ParquetFile(path).read()['x'][0].as_py()": ".parquet",
    "import pyarrow.dataset as ds; ds.dataset([path]).to_table()['x'][0].as_py()": ".parquet",
    "import pyarrow.feather as f; f.read_table(path)['x'][0].as_py()": ".feather",
    "import pyarrow as pa; pa.ipc.open_file(pa.memory_map(path)).read_all()['x'][0].as_py()":
        ".feather",
    "import pyarrow.csv as c; c.read_csv(path)['x'][0].as_py()": ".csv",
    "import pyarrow.json as j; j.read_json(path)['x'][0].as_py()": ".json",
    "import SimpleITK as sitk; sitk.ReadImage(path)[0, 0, 0]": ".mha",
    "from SimpleITK import ReadImage as read; read([path])[0, 0, 0, 0]": ".mha",
    "import SimpleITK as sitk; sitk.ReadTransform(path).GetParameters()[0]": ".tfm",
    "import ants; int(ants.image_read(path)[0, 0, 0])": ".nii",
    "import itk; int(itk.imread(path)[0, 0, 0])": ".nii",
    "import polars; polars.read_csv(path)['x'][0]": ".csv",
    "import polars; polars.scan_parquet(f'{path[:-2]}*').collect()['x'][0]": ".parquet",
    "import cv2; int(cv2.imread(path)[0, 0, 0])": ".png",
    "from safetensors.numpy import load_file; int(load_file(path)['x'][0])": ".safetensors",
    "import lxml.etree; int(lxml.etree.parse(path).findtext('x'))": ".xml",
    "from lxml import objectify; int(objectify.parse(path).getroot().x)": ".xml",
    "import pyreadstat; int(pyreadstat.read_sav(path)[0].x[0])": ".sav",
    "import pyreadstat, pandas; int(pandas.read_spss(path).x[0])": ".sav",
    "import scipy.io; int(scipy.io.mmread(path)[0, 0])": ".mtx",
    "from scipy.io import mmread; int(mmread(path)[0, 0])": ".mtx",
    "import pyarrow as pa; pa.ipc.open_file(pa.OSFile(path)).read_all()['x'][0].as_py()":
        ".feather",
    "import pyarrow as pa; pa.ipc.open_file(path).read_all()['x'][0].as_py()": ".feather",
    "import pyarrow as pa; int(pa.input_stream(path).read()[2:])": ".csv",
    "import xgboost as xgb; round(xgb.Booster(model_file=path).inplace_predict([[0.0]])[0])":
        ".ubj",
    "import lightgbm as lgb; round(lgb.Booster(model_file=path).predict([[0.0]])[0])": ".lgb",
    "import pyreadr; int(pyreadr.read_r(path)[None].x.iloc[0])": ".rds",
    "import pyedflib; (lambda f: (round(f.readSignal(0)[0]), f.close())[0])"
    "(pyedflib.EdfReader(path))": ".edf",
    "import soundfile; int(soundfile.read(path, dtype='int16')[0][0])": ".wav",
    "import indexed_gzip; int(indexed_gzip.IndexedGzipFile(path).read()[5:8])": ".csv.gz",
}  # fmt: skip

SCRIPT = """\
import shutil
from memori import Stage
{before}

def number(subject):
    {inside}
    path = f"{{subject}}{suffix}"
    return {expression}

stage = Stage(number, "x", "work")
for made in ("three", "three", "four", "three"):
    if "{suffix}":
        shutil.copyfile(f"{{made}}{suffix}", "scan{suffix}")
    else:
        shutil.copytree(made, "scan", dirs_exist_ok=True)
    number = float(stage.run("scan")["x"])
    print(number, "ran" if stage.state else "hit", *stage.explain("scan").unseen)
"""


@writes(".nc")
def _netcdf(path: str, number: int) -> None:
    import xarray

    xarray.Dataset({"x": number}).to_netcdf(path, engine="netcdf4")


@writes(".csv.gz")
def _zipped(path: str, number: int) -> None:
    import gzip

    Path(path).write_bytes(gzip.compress(b"x\n   %3d\n" % number))


def needs(module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"needs {module}: pip install {module}")


def said(text: str) -> list[str]:
    """Run a script in a process of its own, so that it finds nothing imported."""
    Path("script.py").write_text(text)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("idiom", "is_above"),
    [(idiom, is_above) for idiom in READ for is_above in (False, True)[: 1 + (idiom[0] == "f")]],
)
def test_what_a_library_opens_counts(
    idiom: str, is_above: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose name is made in the function, read by a library in C, edited and put back."""
    monkeypatch.chdir(tmp_path)
    suffix, (loads, _, expression) = READ[idiom], idiom.partition("; ")
    needs(loads.split()[1].partition(".")[0].strip(","))
    before, inside = (loads, "pass") if is_above else ("", loads)
    for name, value in (("three", 3), ("four", 4)):
        WRITE[suffix](f"{name}{suffix}", value)
    assert ["3.0 ran", "3.0 hit", "4.0 ran", "3.0 hit"] == said(
        SCRIPT.format(before=before, inside=inside, suffix=suffix, expression=expression)
    )


def test_what_xarray_opens_by_netcdf4_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A netCDF file, edited and put back; netCDF4 is named all the same, as others may call it."""
    needs("xarray")
    needs("netCDF4")
    monkeypatch.chdir(tmp_path)
    for name, value in (("three", 3), ("four", 4)):
        WRITE[".nc"](f"{name}.nc", value)

    lines = said(
        SCRIPT.format(
            before="",
            inside="import xarray",
            suffix=".nc",
            expression="int(xarray.open_dataset(path, engine='netcdf4').x)",
        )
    )

    assert ["3.0 ran", "3.0 hit", "4.0 ran", "3.0 hit"] == [line[:7] for line in lines]
    assert all("netCDF4" in line for line in lines)


def test_what_a_library_wrote_and_reads_back_is_the_runs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scratch file beside the script that a run writes in C, reads and removes counts not."""
    needs("h5py")
    monkeypatch.chdir(tmp_path)

    def middle(scale: int) -> int:
        import h5py

        with h5py.File("scratch.h5", "w") as file:
            file["x"] = scale
        with h5py.File("scratch.h5", "r+") as file:
            file["y"] = file["x"][()] * 2
        with h5py.File("scratch.h5") as file:
            found = int(file["y"][()])
        Path("scratch.h5").unlink()
        return found

    stage = Stage(middle, "x", "work")
    assert [{"x": 6}, {"x": 6}] == [stage.run(3), stage.run(3)]
    assert not stage.state
    assert not [each for each in stage.explain(3).unseen if each.startswith("h5py")]


def test_a_class_that_announces_is_one(tmp_path: Path) -> None:
    """What it makes is an instance of it, and classes derive from it."""
    needs("pyarrow")
    import pyarrow

    Stage(lambda: 1, "x", tmp_path).run()

    class Mine(pyarrow.OSFile):  # type: ignore[misc]
        pass

    with pyarrow.OSFile(__file__) as file, Mine(__file__) as mine:
        assert isinstance(file, pyarrow.OSFile)
        assert isinstance(mine, pyarrow.OSFile)
        assert not isinstance(3, pyarrow.OSFile)


def test_a_function_that_announces_is_what_it_was(tmp_path: Path) -> None:
    """To inspect, to pickle, to ask for its class."""
    needs("pyarrow")
    from pyarrow import csv

    stage = Stage(lambda: csv.__name__, "x", tmp_path)
    assert stage.run() == {"x": "pyarrow.csv"}
    assert pickle.loads(pickle.dumps(csv.read_csv)) is csv.read_csv
    assert "input_file" in inspect.signature(csv.read_csv).parameters
    assert csv.read_csv.__module__ == "pyarrow.csv"


@pytest.mark.parametrize("library", ["nibabel", "dipy"])
def test_tracts_saved_over_those_of_before_are_remembered_at_once(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """The library looks for the format of what lies there already, which makes it no input."""
    needs(library)
    monkeypatch.chdir(tmp_path)
    import nibabel

    WRITE[".nii"]("grid.nii", 1)

    def tracts(table: str, out: str) -> str:
        points = np.loadtxt(table, dtype="f4", ndmin=2)
        if library == "nibabel":
            lines = nibabel.streamlines.Tractogram([points], affine_to_rasmm=np.eye(4))
            nibabel.streamlines.save(lines, out)
        else:
            from dipy.io.stateful_tractogram import Space, StatefulTractogram
            from dipy.io.streamline import save_tractogram

            save_tractogram(StatefulTractogram([points], "grid.nii", Space.RASMM), out)
        return out

    stage = Stage(tracts, "tracts", "work")
    ran = []
    for points in ("0 0 0\n1 1 1\n", "0 0 0\n1 1 0\n"):
        Path("points.txt").write_text(points)
        for _ in range(2):
            stage.run("points.txt", "out.tck")
            ran.append(stage.state)

    assert [True, False, True, False] == ran
    assert not [each for each in recwarn if "while the stage ran" in str(each.message)]


def test_an_unpacked_image_that_itk_reads_instead_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ITK takes the voxels of x.nii.gz from an x.nii beside it: that comes, is edited, and goes."""
    needs("SimpleITK")
    import nibabel
    import SimpleITK

    monkeypatch.chdir(tmp_path)

    def first_voxel(image: str) -> int:
        return int(SimpleITK.ReadImage(image)[0, 0, 0])

    stage = Stage(first_voxel, "value", "work")
    WRITE[".nii"]("packed.nii", 1)
    nibabel.save(nibabel.load("packed.nii"), "x.nii.gz")
    ran = []
    for number in (None, None, 2, 3, None):
        Path("x.nii").unlink(missing_ok=True)
        if number:
            WRITE[".nii"]("x.nii", number)
        assert stage.run("x.nii.gz") == {"value": first_voxel("x.nii.gz")}
        ran.append(stage.state)

    assert [True, False, True, True, False] == ran
