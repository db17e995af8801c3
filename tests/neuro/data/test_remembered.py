"""`@remembered`: a function is called as before, returns what it returns, and remembers."""

from __future__ import annotations

import functools
import subprocess
import sys
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from memori import remembered
from memori.neuro import arrays_to_disk


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def array() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3)


def image() -> nib.Nifti1Image:
    return nib.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4))


def table() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5]})


def path() -> Path:
    Path("made.txt").write_text("made")
    return Path("made.txt").absolute()


def pair() -> tuple[int, np.ndarray]:
    return 3, np.zeros(2)


def tables() -> tuple[pd.DataFrame, dict[str, tuple[float, pd.DataFrame]]]:
    return table(), {"rest": (0.5, table())}


def several() -> dict[str, list[np.ndarray]]:
    return {"runs": [np.zeros(2), np.ones(3)]}


def maybe() -> np.ndarray | None:
    return None


def maybe_array() -> np.ndarray | None:
    return np.ones(2)


def paths() -> list[Path]:
    return [path()]


def plain() -> Any:
    return {"n": [1, 2.5, True, None, "text"]}


def equal(one: Any, other: Any) -> bool:
    """Whether two values are of one kind and hold the same."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and (one == other).all()
    if isinstance(one, nib.Nifti1Image):
        return type(one) is type(other) and equal(
            np.asarray(one.dataobj), np.asarray(other.dataobj)
        )
    if isinstance(one, pd.DataFrame):
        return type(one) is type(other) and one.equals(other)
    if isinstance(one, (list, tuple)):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(equal(*each) for each in pairs)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize(
    "function",
    [array, image, table, path, pair, tables, several, maybe, maybe_array, paths, plain],
)
def test_the_first_run_and_a_hit_return_what_the_function_returns(function: Any) -> None:
    """Of the same type, with the same values."""
    call = remembered("work")(function)
    first = call()
    assert call.stage.state
    again = call()
    assert not call.stage.state
    assert equal(function(), first)
    assert equal(first, again)
    assert function is call.__wrapped__


def test_arrays_images_and_tables_are_arguments(here: Path) -> None:
    """They count by what they hold, and are kept once."""
    ran = []

    @remembered("work/sub-{subject}", stage_name="scaled", ignore=["verbose"])
    def scaled(
        subject: str, values: np.ndarray, mask: nib.Nifti1Image, rows: pd.DataFrame,
        more: list[np.ndarray], by: float = 2, verbose: bool = False,
    ) -> np.ndarray:  # fmt: skip
        ran.append(subject)
        assert isinstance(values, np.ndarray)
        assert isinstance(mask, nib.Nifti1Image)
        assert isinstance(rows, pd.DataFrame)
        return values * by + more[0]

    given = (array(), image(), table(), [array()])
    assert equal(array() * 3, scaled("01", *given))
    assert equal(array() * 3, scaled("01", *given, verbose=True))
    assert ["01"] == ran
    scaled("01", array() + 1, *given[1:])
    scaled("02", *given)
    assert ["01", "01", "02"] == ran
    files = [each for each in (here / "work/.memori/arguments").rglob("*") if each.is_file()]
    assert 4 == len(files)


def test_what_one_function_returns_another_takes() -> None:
    """As in any script of functions."""

    @remembered("work")
    def make(n: int) -> np.ndarray:
        return np.arange(n)

    @remembered("work")
    def total(values: np.ndarray) -> float:
        return float(values.sum())

    assert [10.0, 10.0] == [total(make(5)), total(make(5))]
    assert not total.stage.state


def test_outputs_have_names_and_come_as_a_tuple() -> None:
    """The stage has them by name."""

    @remembered("work", outputs=["mean", "series"])
    def measure(n: int) -> tuple[float, np.ndarray]:
        return n / 2, np.arange(n)

    for _ in range(2):
        mean, series = measure(4)
        assert equal((2.0, np.arange(4)), (mean, series))
    assert ["mean", "series"] == list(measure.stage.results)


@pytest.mark.parametrize(
    "value",
    [np.zeros(2), image(), table(), Path("x"), (1, 2), [(1, 2)], {"a": np.zeros(2)}, {1, 2}],
    ids=lambda value: type(value).__name__,
)
def test_what_no_annotation_names_is_refused(value: Any) -> None:
    """JSON would give it back as something else; the error says how to annotate."""

    @remembered("work")
    def give():  # type: ignore[no-untyped-def]
        return value

    with pytest.raises(TypeError, match=r"stage 'give', output 'output'.*-> np.ndarray"):
        give()


def test_an_argument_that_no_annotation_names_is_refused() -> None:
    """The same for what is given."""

    @remembered("work")
    def take(values):  # type: ignore[no-untyped-def]
        return 1

    with pytest.raises(TypeError, match=r"argument 'values'.*annotations"):
        take(np.zeros(2))


def test_a_masked_array_is_refused() -> None:
    """A file would lose its mask."""

    @remembered("work")
    def masked() -> np.ndarray:
        return np.ma.masked_less(np.arange(3), 1)

    with pytest.raises(TypeError, match=r"(?i)masked ?array"):
        masked()


def test_the_folder_is_asked_for() -> None:
    """The decorator without a folder says how it is written."""
    with pytest.raises(TypeError, match=r'@remembered\("work"\)'):
        remembered(array)  # type: ignore[arg-type]


SCRIPT = """
from memori import remembered

def inner(n):
    return n * {factor}

@remembered("work")
def helped(n):
    return inner(n)

@remembered("work")
def outer(n):
    return helped(n) + 1

print(outer(2), outer.stage.state, outer(2), outer.stage.state)
"""


class Scaling:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: float) -> float:
        return x * self.factor


def raised(x: float, power: int) -> float:
    return x**power


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (Scaling(2), "Scaling"),
        (functools.partial(raised, power=2), "raised"),
        (functools.partial(Scaling(2)), "Scaling"),
        (Scaling(2).__call__, "__call__"),
    ],
)
def test_a_callable_without_a_name_goes_by_what_it_is_made_of(given: Any, name: str) -> None:
    """Records of a partial bear its function's name, those of an instance its class's."""
    one = remembered("work")(given)
    assert one(3.0) == given(3.0)
    assert one.stage.stage_name == name
    assert arrays_to_disk(given).__name__ == name


def test_code_counts_through_remembered_functions(here: Path) -> None:
    """An edit of what a remembered function calls runs it, and who calls it; nothing else does."""
    told = []
    for factor in (2, 2, 3):
        (here / "script.py").write_text(SCRIPT.format(factor=factor))
        done = subprocess.run(
            [sys.executable, "script.py"], capture_output=True, text=True, check=True
        )
        told.append(done.stdout.strip())
    assert ["5 True 5 False", "5 False 5 False", "7 True 7 False"] == told


@pytest.mark.parametrize("kind", [np.int16, np.float64])
def test_an_image_changed_in_memory_is_neither_taken_nor_returned_as_it_was(here, kind):
    """What `get_fdata` gives and what a file would hold differ then: it is said, never guessed."""
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 3, kind), np.eye(4)), here / "i.nii")

    @remembered("work")
    def mean(img: nib.Nifti1Image) -> float:
        return float(img.get_fdata().mean())

    @remembered("work")
    def masked(threshold: int) -> nib.Nifti1Image:
        img = nib.load("i.nii")
        img.get_fdata()[0] = threshold
        return img

    img = nib.load("i.nii")
    assert (mean(img), img.get_fdata().mean(), mean(img)) == (3, 3, 3)
    assert not mean.stage.state
    img.get_fdata()[...] = 7
    with pytest.raises(ValueError, match=r"changed in memory.*get_fdata"):
        mean(img)
    assert mean(nib.Nifti1Image(img.get_fdata(), img.affine, img.header)) == 7
    img.uncache()
    assert mean(img) == 3
    with pytest.raises(ValueError, match="changed in memory"):
        masked(5)


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (pd.DataFrame({"age": [31]}, index=pd.Index(["p1"], name="id")), "its index 'id'"),
        (pd.DataFrame({"label": ["01", "1"]}), "'01' in column 'label' as 1"),
        (pd.DataFrame({"version": ["1.0", "1.10"]}), "'1.0' in column 'version' as 1.0"),
        (pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}), "in column 't' as '2020-01-01"),
        (pd.DataFrame({"on": ["true", "false"]}), "'true' in column 'on' as"),
        (pd.DataFrame({"x": [True, 1]}, dtype=object), "True in column 'x' as"),
        (pd.DataFrame({"ns": pd.array([2**60 + 1, None], "Int64")}), r"1152921504606846977\)? in"),
        (
            pd.DataFrame({"time": pd.Categorical(["pre", "post"], ["pre", "post"])}),
            r"column 'time' without its categories \['pre', 'post'\]",
        ),
        (
            pd.DataFrame({"sex": pd.Categorical(["F", "F"], ["F", "M"])}),
            r"column 'sex' without its categories \['F', 'M'\]",
        ),
    ],
)
def test_a_table_that_would_come_back_as_another_is_refused(frame, what) -> None:
    """Returned or given, it is said what a text file would make of it, and what to do."""

    @remembered("work")
    def make() -> pd.DataFrame:
        return frame.copy()

    @remembered("work")
    def rows(table: pd.DataFrame) -> int:
        return len(table)

    with pytest.raises(TypeError, match=f"output 'output': .*{what}.*reset_index") as error:
        make()
    assert "load_table" in str(error.value)
    with pytest.raises(TypeError, match=f"parameter 'table': .*{what}"):
        rows(frame)
    with pytest.raises(TypeError, match="would come back as another"):  # it was not remembered
        make()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": np.array([0.1, 3], np.float32), "n": np.array([1, 2], np.int16)}),
        pd.DataFrame({"n": pd.array([1, None], "Int64"), "on": [True, None]}),
        pd.DataFrame({"group": pd.Categorical(["a", "b"]), "gone": [None, None]}),
        pd.DataFrame({"run": pd.Categorical([10, 2, None]), "x": [1.5, 2.5, 3.5]}),
        pd.DataFrame({"name": ["a b", None], "x": [float("inf"), float("nan")]}),
        pd.DataFrame({"x": []}),
    ],
)
def test_a_table_whose_cells_come_back_equal_is_remembered(frame) -> None:
    """Whole numbers, floats, flags, names and gaps are what tables mostly hold."""

    @remembered("work")
    def make(table: pd.DataFrame) -> pd.DataFrame:
        return table

    first, again = make(frame), make(frame)
    assert not make.stage.state
    assert first.equals(again)
    assert first.shape == frame.shape


class Metres(np.ndarray):
    """Lengths, as libraries of units have them."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [np.asarray(each) for each in inputs]
        return getattr(ufunc, method)(*plain, **kwargs).view(Metres)


class Picture(np.ndarray):
    """An array that also says where it comes from, as readers of pictures return it."""


def test_an_array_that_computes_otherwise_than_a_plain_one_is_refused() -> None:
    """The function would multiply a matrix element by element, and lose units in silence."""

    @remembered("work")
    def squared(values: np.ndarray) -> list:
        return np.asarray(values * values).tolist()

    @remembered("work")
    def lengths() -> np.ndarray:
        return np.ones(2).view(Metres)

    plain = np.array([[1, 2], [3, 4]])
    records = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    for other in (plain.view(np.matrix), plain.view(Metres), records, np.char.array(["a"])):
        with pytest.raises(TypeError, match=r"'values': got .*computes otherwise.*np\.asarray"):
            squared(other)
    with pytest.raises(TypeError, match=r"'output': got .*Metres"):
        lengths()
    assert squared(plain.view(Picture)) == squared(plain) == [[1, 4], [9, 16]]
    assert not squared.stage.state


def test_an_image_class_that_is_never_written_is_refused_before_the_work() -> None:
    """Images are saved as NIfTI, MGH, GIFTI or CIFTI: nothing gives an ANALYZE image back."""
    with pytest.raises(TypeError, match=r"Spm99AnalyzeImage.*Nifti1Image"):

        @remembered("work")
        def make() -> tuple[int, nib.Spm99AnalyzeImage]:
            raise AssertionError("it is not called")

    @remembered("work")
    def volume() -> nib.spatialimages.SpatialImage:
        return nib.Spm99AnalyzeImage(np.ones((2, 2, 2), np.float32), np.eye(4))

    assert isinstance(volume(), nib.Nifti1Image)


class Mode(str, Enum):  # noqa: UP042  as people write it
    """Texts with a name each."""

    FAST = "fast"
    FULL = "full"


class Order(IntEnum):
    """Numbers with a name each."""

    NEAREST = 0
    LINEAR = 1


def test_members_of_an_enumeration_come_back_as_such() -> None:
    """Where the annotation names it; a plain text or number beside it stays one."""

    @remembered("work")
    def chosen(mode: Mode, order: Order | None = Order.LINEAR) -> dict[str, tuple[Mode, Order]]:
        return {"both": (mode, order)}

    @remembered("work", outputs=["mode", "order"])
    def two() -> tuple[Mode, Order | None]:
        return Mode.FULL, Order.NEAREST

    for function, given in ((chosen, [Mode.FAST]), (two, [])):
        first, again = function(*given), function(*given)
        assert equal(function.__wrapped__(*given), first)
        assert equal(first, again)
        assert not function.stage.state


@pytest.mark.parametrize("annotation", [None, str, Mode | str])
def test_a_member_of_which_the_annotation_says_nothing_is_refused(annotation) -> None:
    """It would come back as its text."""

    def chosen():
        return Mode.FAST

    if annotation is not None:
        chosen.__annotations__["return"] = annotation
    with pytest.raises(TypeError, match="Mode, which JSON cannot hold"):
        remembered("work")(chosen)()


async def fetched() -> int:
    return 1


def generated() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fetched, "fetched is a coroutine"),
        (generated, "generated is a generator function"),
        (classmethod(path), "write @classmethod as the first decorator"),
    ],
)
def test_what_cannot_be_remembered_is_told_where_it_is_decorated(function: Any, said: str) -> None:
    """Not when it is called for the first time, after its work."""
    with pytest.raises(TypeError, match=said):
        remembered("work")(function)
