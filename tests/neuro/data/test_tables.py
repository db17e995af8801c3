"""Tables are written as BIDS has them, and numbers come back exactly."""

import datetime
import gzip
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memori import MemoriError
from memori.neuro.data.tables import load_table, save_table

pandas = pytest.importorskip("pandas")


def text(path):
    """Return the bytes of a table as text."""
    return Path(path).read_bytes().decode()


def test_the_format(tmp_path):
    """A header, tabs, n/a, UTF-8 and a newline at the end."""
    table = {
        "onset": [0.5, 1e-7],
        "n": np.array([1, 2], np.int16),
        "name": ["Zoë", None],
        "good": [True, np.False_],
        "day": [datetime.date(2024, 1, 2), np.datetime64("NaT")],
        "level": [math.nan, math.inf],
    }
    expected = (
        "onset\tn\tname\tgood\tday\tlevel\n"
        "0.5\t1\tZoë\ttrue\t2024-01-02\tn/a\n"
        "1e-07\t2\tn/a\tfalse\tn/a\tinf\n"
    )

    assert expected == text(save_table(table, tmp_path / "x.tsv"))


@given(numbers=st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_come_back_exactly(tmp_path_factory, numbers):
    """The shortest digits that give the same float."""
    path = save_table({"x": numbers}, tmp_path_factory.getbasetemp() / "floats.tsv")

    assert numbers == [float(line) for line in text(path).split("\n")[1:-1]]
    assert numbers == load_table(path)["x"].tolist()


def test_short_floats_keep_their_value(tmp_path):
    """A float32 is written with the digits of its own value."""
    value = np.float32(0.1)
    path = save_table({"x": np.array([value])}, tmp_path / "x.tsv")

    assert float(value) == load_table(path)["x"][0]


def test_data_frames(tmp_path):
    """Columns keep their order; missing values of every kind are n/a."""
    frame = pandas.DataFrame(
        {
            "b": pandas.array([1, None], dtype="Int64"),
            "a": pandas.Categorical(["x", None]),
            "t": pandas.to_datetime(["2024-01-02 03:04:05", None]),
        }
    )
    assert "b\ta\tt\n1\tx\t2024-01-02T03:04:05\nn/a\tn/a\tn/a\n" == text(
        save_table(frame, tmp_path / "x.tsv")
    )


def test_named_index_is_the_first_column(tmp_path):
    """An index with a name is kept, one without is an error with its remedy."""
    frame = pandas.DataFrame({"age": [31]}, index=["sub-01"])

    named = save_table(frame.rename_axis("participant_id"), tmp_path / "x.tsv")
    assert "participant_id\tage\nsub-01\t31\n" == text(named)
    with pytest.raises(ValueError, match=r"index has no name.*rename_axis.*reset_index"):
        save_table(frame, tmp_path / "x.tsv")


def test_frame_round_trip(tmp_path):
    """Numbers, texts and gaps come back; labels stay texts where asked."""
    frame = pandas.DataFrame({"id": ["01", "02"], "x": [0.1, math.nan], "y": ['"a', "NA"]})
    back = load_table(save_table(frame, tmp_path / "x.tsv"), text=["id"])

    assert frame["id"].tolist() == back["id"].tolist()
    assert frame["y"].tolist() == back["y"].tolist()
    pandas.testing.assert_series_equal(frame["x"], back["x"])


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"a": ["x\ty"]}, ValueError, r"column 'a', row 0: the text 'x\\ty' holds a tab"),
        ({"a": ["x", "y\nz"]}, ValueError, "column 'a', row 1: .*line break"),
        ({"a": [""]}, ValueError, r"is empty \(None stands for missing\)"),
        ({"a": ["n/a"]}, ValueError, r"'n/a' means that there is none \(None stands for missing\)"),
        ({"a": ["x\0"]}, ValueError, "holds a tab, line break or NUL"),
        ({"a": ["\udce9"]}, ValueError, "holds half a character"),
        ({"\udce9": ["x"]}, ValueError, "name is a text on one line"),
        ({"a": [1], "b": [1, 2]}, ValueError, r"one length expected, got \{'a': 1, 'b': 2\}"),
        ({"a": [1j]}, TypeError, "column 'a', row 0: a complex is no text, number"),
        ({"a": [[1]]}, TypeError, "a list is no text"),
        ({"a": "xy"}, TypeError, "column 'a' is a str: expected a sequence"),
        ({"a": 1}, TypeError, "column 'a' is a int: expected a sequence"),
        ({"a": np.zeros((2, 2))}, ValueError, r"column 'a' has shape \(2, 2\)"),
        ({"a\tb": [1]}, ValueError, "name is a text on one line"),
        ({1: [1]}, ValueError, "name is a text on one line, got 1"),
        ({}, ValueError, "at least one column"),
        ([[1]], TypeError, "expected columns by name .* got list"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "names must differ"),
        (pandas.DataFrame([[1, 2]]), ValueError, "name is a text on one line, got 0"),
    ],
)
def test_what_a_table_cannot_hold(tmp_path, table, error, message):
    """Each mistake names column and row, and no file is left."""
    with pytest.raises(error, match=f"save_table: .*{message}|save_table: {message}"):
        save_table(table, tmp_path / "x.tsv")
    assert not (tmp_path / "x.tsv").exists()


def test_an_empty_table_has_its_header(tmp_path):
    """No rows is a table, too."""
    assert "a\tb\n" == text(save_table({"a": [], "b": []}, tmp_path / "x.tsv"))


def test_without_path_outside_a_stage():
    """The message says what to give."""
    with pytest.raises(MemoriError, match=r"save_table got no path.*results/table\.tsv"):
        save_table({"a": [1]})


# Tables without a header line --------------------------------------------------------------------

SAMPLES = "1.5\t2\n2.5\t3\nn/a\t4\n"


@pytest.fixture
def recording(tmp_path):
    """Write a table without a header line in a dataset, and what is given beside or above it."""

    def write(name, content=SAMPLES, **others):
        path = tmp_path / "ds" / "sub-01" / "ses-a" / "func" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()
        )
        for place, text in others.items():
            folder = {"beside": path.parent, "above": tmp_path / "ds"}[place]
            (folder / text[0]).write_text(text[1])
        return path

    return write


COLUMNS = '{"SamplingFrequency": 100, "StartTime": 0, "Columns": ["cardiac", "trigger"]}'
NAMED = {
    "physio": ("sub-01_task-x_physio.tsv.gz", {"beside": ("sub-01_task-x_physio.json", COLUMNS)}),
    "stim": ("sub-01_task-x_stim.tsv.gz", {"beside": ("sub-01_task-x_stim.json", COLUMNS)}),
    "unpacked": ("sub-01_task-x_physio.tsv", {"beside": ("sub-01_task-x_physio.json", COLUMNS)}),
    "inherited": ("sub-01_task-x_run-2_physio.tsv.gz", {"above": ("task-x_physio.json", COLUMNS)}),
    "motion": (
        "sub-01_task-x_tracksys-imu_motion.tsv",
        {
            "beside": (
                "sub-01_task-x_tracksys-imu_channels.tsv",
                "name\ttype\ncardiac\tPOS\ntrigger\tPOS\n",
            )
        },
    ),
}


@pytest.mark.parametrize("which", NAMED)
def test_a_recording_keeps_its_first_sample(recording, which):
    """Physio, stim and motion have no header line; BIDS names their columns elsewhere."""
    name, others = NAMED[which]
    frame = load_table(recording(name, **others))
    assert ["cardiac", "trigger"] == frame.columns.tolist()
    assert [1.5, 2.5] == frame["cardiac"].tolist()[:2]
    assert math.isnan(frame["cardiac"][2])
    assert [2, 3, 4] == frame["trigger"].tolist()
    assert ["2", "3", "4"] == load_table(recording(name, **others), text=["trigger"])[
        "trigger"
    ].tolist()


@pytest.mark.parametrize(
    "name", ["x_physio.tsv.gz", "x_stim.tsv.gz", "x_motion.tsv", "x_recording.tsv.gz"]
)
def test_without_names_columns_are_numbered(recording, name):
    """No sample is taken for a header, and names can be given."""
    path = recording(name)
    assert [0, 1] == load_table(path).columns.tolist()
    assert (3, 2) == load_table(path).shape
    named = load_table(path, columns=["a", "b"])
    assert [2, 3, 4] == named["b"].tolist()
    with pytest.raises(ValueError, match=r"has 2 columns, not 3: \['a', 'b', 'c'\]"):
        load_table(path, columns=["a", "b", "c"])


@pytest.mark.parametrize("name", ["x_physio.tsv.gz", "x_motion.tsv", "x.tsv.gz"])
def test_a_header_that_should_not_be_there_is_one(recording, name):
    """Many a recording has a header line all the same, which is no sample."""
    frame = load_table(recording(name, "cardiac\ttrigger\n" + SAMPLES))
    assert ["cardiac", "trigger"] == frame.columns.tolist()
    assert [2, 3, 4] == frame["trigger"].tolist()


def test_an_ordinary_table_may_have_numbers_for_names(tmp_path):
    """The first line of other tables is their header, whatever it says."""
    path = save_table({"1": [5], "2": [6]}, tmp_path / "x_events.tsv")
    assert {"1": [5], "2": [6]} == load_table(path).to_dict("list")


def test_the_sidecar_of_another_recording_is_not_asked(recording):
    """Only JSON whose name says no more than the table's names its columns."""
    name = "sub-01_task-x_physio.tsv.gz"
    assert [0, 1] == load_table(
        recording(name, beside=("sub-01_task-y_physio.json", COLUMNS))
    ).columns.tolist()
    assert [0, 1] == load_table(
        recording(name, beside=("sub-01_task-x_bold.json", COLUMNS))
    ).columns.tolist()


def test_types_do_not_depend_on_where_a_text_stands(tmp_path):
    """A long column of numbers with one text at its end is a column of texts."""
    path = tmp_path / "long.tsv"
    path.write_text("a\tb\n" + "1\t0.5\n" * 600_000 + "x\t0.5\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = load_table(path)
    assert {"1", "x"} == set(frame["a"])
    assert np.float64 == frame["b"].dtype


def test_empty_cells_behind_the_last_column_shift_nothing(tmp_path):
    """A tab at the end of each row, as spreadsheets leave it, leaves each value under its name."""
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tage\tsex\nsub-01\t30\tF\t\nsub-02\t40\tM\t\t\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = load_table(path, text=["participant_id"])
    assert {"participant_id": ["sub-01", "sub-02"], "age": [30, 40], "sex": ["F", "M"]} == (
        frame.to_dict("list")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n1\t2\t\n3\t4\t5\n", "has 2 columns by its first line, and more cells in line 3"),
        (b"a\tb\n1\t2\n3\t4\t5\n", "is no table: "),
        ("a\tb\n1\tM\xfcller\n".encode("latin-1"), "is not UTF-8, as BIDS wants it: "),
    ],
)
def test_what_is_no_table_is_told_with_its_name(tmp_path, content, message):
    """A value without a column, or text in another encoding, is an error that names the file."""
    path = tmp_path / "odd.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"odd\.tsv' {message}"):
        load_table(path)
