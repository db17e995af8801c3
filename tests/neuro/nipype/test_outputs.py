"""Outputs of nodes that are more than numbers, texts and files: tables, classes of packages."""

from __future__ import annotations

import http
import json
from collections import OrderedDict
from urllib.parse import urlparse

import numpy as np
import pandas as pd
import pytest
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori.errors import MemoriWarning
from memori.neuro import remember_workflow
from memori.neuro.nipype.traits.values import NotPlainError, from_plain, to_plain

DAYS = pd.date_range("2020-03-01", periods=3, freq="D", tz="Europe/Zurich")
TABLES = {
    "missing values": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1, np.nan]}),
    "small types": pd.DataFrame({"i": np.array([1, 2], "i1"), "f": np.array([1, 2], "f4")}),
    "ordered categories": pd.DataFrame(
        {"a": pd.Categorical(["u", "v"], categories=["v", "u", "w"], ordered=True)}
    ),
    "several indices": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", None])
    ),
    "times": pd.DataFrame({"t": DAYS, "d": pd.to_timedelta([1, 2, 3], unit="s")}, index=DAYS),
    "nullable": pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "s": pd.array(["a", None], dtype="string"),
        }
    ),
    "objects": pd.DataFrame({"o": [{"a": (1,)}, [1, "1"]], "p": [pd.NA, pd.Timestamp("2020")]}),
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.array([], "i4")}),
    "no columns": pd.DataFrame(index=[3, 4]),
    "twice the same column": pd.DataFrame([[1, 2.5], [3, 4.5]], columns=["x", "x"]),
    "tuples as columns": pd.DataFrame({("a", 1): [1.5], ("b", 2): [2]}),
    "many rows": pd.DataFrame({"a": np.arange(300_000)}),
    "periods": pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")}),
}


def again(value):
    arrays = []

    def keep(array):
        arrays.append(array.copy())
        return {"memori": "file", "number": len(arrays) - 1}

    told = json.loads(json.dumps(to_plain(value, str, keep)))
    return from_plain(told, str, lambda mark: arrays[mark["number"]])


@pytest.mark.parametrize("which", TABLES)
def test_table_comes_back_as_it_was(which):
    """A table has its types, index, categories and attributes after it was written down."""
    table = TABLES[which].copy()
    table.attrs["unit"] = ("mm", 1)
    found = again(table)
    pd.testing.assert_frame_equal(table, found, check_exact=True, check_freq=True)
    assert list(table.dtypes) == list(found.dtypes)
    assert ("mm", 1) == found.attrs["unit"]


def test_series_and_index_come_back_as_they_were():
    """A series has its name, and an index its frequency."""
    pd.testing.assert_series_equal(
        pd.Series(["a", "b"], dtype="category", name="n"),
        again(pd.Series(["a", "b"], dtype="category", name="n")),
    )
    assert DAYS.identical(again(DAYS))
    assert DAYS.freq == again(DAYS).freq


def test_table_that_is_not_known_is_refused():
    """A table of which something would be lost is an error, and never another table."""
    for table in (
        pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])}),
        pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
        pd.DataFrame({"a": [object()]}),
    ):
        with pytest.raises(NotPlainError):
            to_plain(table, str)


class Own(int):
    """A class of a user's, whose code may change."""


def test_values_of_packages_come_back_as_themselves():
    """A value that a package's class makes of a plain one keeps its class; a user's is refused."""
    for value in (
        urlparse("http://here/there"),
        http.HTTPStatus.NOT_FOUND,
        OrderedDict([("b", 1), ("a", {2})]),
    ):
        found = again(value)
        assert (type(value), repr(value)) == (type(found), repr(found))
    with pytest.raises(NotPlainError, match="Own"):
        to_plain(Own(3), str)


def test_padded_numbers_of_pybids_come_back():
    """Pybids' PaddedInt keeps its zeros."""
    kind = pytest.importorskip("bids.layout.utils").PaddedInt
    assert "007" == str(again(kind("007")))


# In a workflow


def tabulate(rows):
    import os

    import numpy as np
    import pandas as pd

    with open(os.environ["RAN"], "a") as file:
        file.write("tabulate\n")
    table = pd.DataFrame({"n": np.arange(rows, dtype="i2"), "c": pd.Categorical(["u"] * rows)})
    table["path"] = os.path.abspath("a.txt")
    return table, np.arange(rows * 200.0), object() if rows else None


def total(table, array):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("total\n")
    return [int(table["n"].sum()), str(table.dtypes["c"]), float(array[-1])]


def tables(base, rows):
    first = Node(niu.Function(["rows"], ["table", "array", "other"], tabulate), "first")
    first.inputs.rows = rows
    last = Node(niu.Function(["table", "array"], ["out"], total), "last")
    workflow = Workflow("w", base_dir=str(base))
    workflow.connect([(first, last, [("table", "table"), ("array", "array")])])
    return workflow


def test_tables_and_large_arrays_of_nodes_are_remembered(tmp_path, log):
    """A table, a large array and a path in a table are there in another base folder.

    An output that is an object, and that nobody is given, does not matter.
    """
    expected = [sum(range(1000)), "category", 199_999.0]
    for base, ran in (("a", {"tabulate": 1, "total": 1}), ("a", {}), ("b", {})):
        graph = remember_workflow(tables(tmp_path / base, 1000), tmp_path / "m").run()
        found = {node.name: node.result.outputs for node in graph.nodes()}
        assert expected == found["last"].out
        assert ran == log()
        assert str(tmp_path / base / "w/first/a.txt") == found["first"].table["path"].iloc[0]
        assert 200_000 == len(found["first"].array)


def test_output_that_somebody_is_given_after_all(tmp_path, log):
    """A node whose object was left out runs again for a workflow that needs it."""
    remember_workflow(tables(tmp_path / "a", 10), tmp_path / "m").run()
    log()
    workflow = tables(tmp_path / "a", 10)
    shown = Node(niu.Function(["x"], ["out"], "def f(x):\n    return str(type(x))"), "shown")
    workflow.connect(workflow.get_node("first"), "other", shown, "x")
    with pytest.warns(MemoriWarning, match="'other' holds a value of type builtins.object"):
        graph = remember_workflow(workflow, tmp_path / "m").run()
    assert {"tabulate": 1} == log()
    (node,) = [node for node in graph.nodes() if node.name == "shown"]
    assert "<class 'object'>" == node.result.outputs.out


def test_what_is_not_remembered_leaves_nothing(tmp_path):
    """A node that cannot be remembered leaves no folder behind in the memory."""
    node = Node(niu.Function(["x"], ["y"], "def f(x):\n    return object()"), "node")
    node.inputs.x = 3
    workflow = Workflow("w", base_dir=str(tmp_path / "base"))
    workflow.add_nodes([node])
    with pytest.warns(MemoriWarning, match="not remembered"):
        remember_workflow(workflow, tmp_path / "memory").run()
    assert [".memori"] == [path.name for path in (tmp_path / "memory").iterdir()]


# Outputs that nobody is given


def numbered(kind):
    import os
    import threading

    with open(os.environ["RAN"], "a") as file:
        file.write("numbered\n")
    with open("beside.txt", "w") as file:
        file.write("text")
    odd = {
        "a function": lambda: 1,
        "an open file": open("beside.txt"),  # noqa: SIM115
        "a lock": threading.Lock(),
        "keys of two kinds": {1: "a", "b": os.path.abspath("beside.txt")},
        "a text that is no UTF-8": b"caf\xe9".decode("utf8", "surrogateescape"),
    }
    return 3, odd[kind], os.path.abspath("beside.txt")


ODD = (
    "a function",
    "an open file",
    "a lock",
    "keys of two kinds",
    "a text that is no UTF-8",
)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("mapped", [False, True])
def test_odd_output_that_nobody_is_given_does_not_matter(tmp_path, log, kind, mapped):
    """A node does not fail for an output that Nipype would drop, and is remembered."""
    for base, ran in (("a", {"numbered": 1}), ("b", {})):
        function = niu.Function(["kind"], ["n", "odd", "file"], numbered)
        first = MapNode(function, ["kind"], "first") if mapped else Node(function, "first")
        first.inputs.kind = [kind] if mapped else kind
        last = Node(niu.Function(["n"], ["out"], "def f(n):\n    return n"), "last")
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.connect(first, "n", last, "n")
        graph = remember_workflow(workflow, tmp_path / "m").run()
        (found,) = (node.result.outputs.out for node in graph.nodes() if node.name == "last")
        assert ([3] if mapped else 3) == found
        assert ran == log()


def test_file_that_nobody_is_given_is_kept_for_who_needs_it(tmp_path, log):
    """A file of an output that Nipype dropped is there for a workflow that is given it."""
    for needed, ran in (("n", {"numbered": 1}), ("file", {})):
        first = Node(niu.Function(["kind"], ["n", "odd", "file"], numbered), "first")
        first.inputs.kind = "a lock"
        last = Node(niu.Function(["x"], ["out"], "def f(x):\n    return open(x).read()"), "last")
        if needed == "n":
            last = Node(niu.Function(["x"], ["out"], "def f(x):\n    return x"), "last")
        workflow = Workflow("w", base_dir=str(tmp_path / needed))
        workflow.connect(first, needed, last, "x")
        graph = remember_workflow(workflow, tmp_path / "m").run()
        (found,) = (node.result.outputs.out for node in graph.nodes() if node.name == "last")
        assert (3 if needed == "n" else "text") == found
        assert (tmp_path / needed / "w/first/beside.txt").exists() == (needed == "file")
        assert ran == log()


# Names that Nipype uses, too


def named(name):
    import os

    with open(os.environ["RAN"], "a") as file:
        file.write("named\n")
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write("text of it")
    return os.path.abspath(name)


@pytest.mark.parametrize(
    "name",
    ["provenance.json", "result_model.pklz", "_report/index.html", "mapflow/x/y.txt", "d/_report"],
)
def test_output_that_is_called_like_a_file_of_nipypes_is_kept(tmp_path, log, name):
    """A node may name its file as Nipype names its own: it is there in another base folder."""
    for base, ran in (("a", {"named": 1}), ("b", {}), ("b", {})):
        first = Node(niu.Function(["name"], ["path"], named), "first")
        first.inputs.name = name
        workflow = Workflow("w", base_dir=str(tmp_path / base))
        workflow.add_nodes([first])
        (node,) = remember_workflow(workflow, tmp_path / "m").run().nodes()
        assert str(tmp_path / base / "w/first" / name) == node.result.outputs.path
        assert "text of it" == (tmp_path / base / "w/first" / name).read_text()
        assert (tmp_path / base / "w/first/_report/report.rst").exists()
        assert ran == log()
    (tmp_path / "b/w/first" / name).unlink()
    remember_workflow(workflow, tmp_path / "m").run()
    assert "text of it" == (tmp_path / "b/w/first" / name).read_text()


def test_output_that_is_called_like_a_file_of_memoris_runs_each_time(tmp_path, log):
    """What would take the place of memori's own notes is not remembered, and says so."""
    first = Node(niu.Function(["name"], ["path"], named), "first", base_dir=str(tmp_path / "a"))
    first.inputs.name = ".runtime.json"
    for _ in range(2):
        with pytest.warns(MemoriWarning, match="is called like a file of memori's own"):
            result = remember_workflow(first, tmp_path / "m").run()
        with open(result.outputs.path) as file:
            assert "text of it" == file.read()
        assert {"named": 1} == log()
