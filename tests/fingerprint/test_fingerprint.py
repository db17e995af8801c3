"""What the fingerprint says: labels, components, what could not be followed, wrong arguments."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import types
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from memori.fingerprint import Code, fingerprint

THRESHOLD = 0.5
ITEMS = {"a": [1, 2]}
LONG = list(range(1000))
LOCK = threading.Lock()
LOG = logging.getLogger(__name__)


def kernel(x: float) -> float:
    """Scale."""
    return x * THRESHOLD


def smooth(x: float, fwhm: int = 6, *, order: str = "C") -> float:
    """Smooth."""
    with LOCK:
        LOG.debug("smooth")
        return kernel(x) + len(ITEMS) + len(LONG) + fwhm


def make(factor: int) -> Any:
    """Return a closure."""

    def inner(x: int) -> int:
        return x * factor

    return inner


def build(source: str, name: str = "built") -> Any:
    """Return a module made of `source`."""
    module = types.ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


def test_components_are_named_and_shown() -> None:
    """Short exact values are shown as they are, longer ones by type and digest."""
    components = fingerprint(smooth).components()

    module = __name__
    assert [f"function {module}.smooth"] == list(components)[:1]
    assert "0.5" == components[f"global {module}.THRESHOLD"]
    assert "{'a': [1, 2]}" == components[f"global {module}.ITEMS"]
    assert "6" == components[f"default {module}.smooth.fwhm"]
    assert "'C'" == components[f"default {module}.smooth.order"]
    assert components[f"global {module}.LONG"].startswith("list ")
    assert f"helper {module}.kernel" in components


def test_a_closure_is_shown_by_its_cells() -> None:
    """What a closure closes over is a component of its own."""
    components = fingerprint(make(3)).components()

    assert "3" == components[f"closure {__name__}.make.<locals>.inner.factor"]


def test_a_distribution_is_shown_by_its_version() -> None:
    """A library counts by name and version."""
    import numpy

    module = build("import numpy as np\ndef run(x):\n    return np.mean(x), np.add(x, 1)\n")

    assert numpy.__version__ == fingerprint(module.run).components()["distribution numpy"]


def test_helpers_of_one_name_keep_apart() -> None:
    """Two closures made by one function have two labels."""
    module = build(
        "def make(k):\n    return lambda x: x + k\nfs = [make(1), make(2)]\n"
        "def run(x):\n    return fs\n"
    )

    labels = fingerprint(module.run).components()

    assert "closure built.make.<locals>.<lambda>.k" in labels
    assert "closure built.make.<locals>.<lambda>.k (2)" in labels


def test_what_cannot_be_encoded_is_listed_and_ignored() -> None:
    """A lock is named; a logger is not even that."""
    code = fingerprint(smooth)

    assert [f"global {__name__}.LOCK: a _thread.lock, ignored"] == list(code.unresolved)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("loguru._logger", "Logger"),
        ("logging", "Handler"),
        ("rich.progress", "Progress"),
        ("psutil", "Process"),
        ("tqdm.std", "tqdm"),
    ],
)
def test_what_only_tells_of_a_run_does_not_count(module: str, name: str) -> None:
    """Loggers and progress bars hold times, numbers of processes and colours in some order."""
    kind = type(name, (), {"__module__": module})
    first, second = build("def run(x):\n    return BAR\n"), build("def run(x):\n    return BAR\n")
    for number, built in enumerate((first, second)):
        built.BAR = kind()
        vars(built.BAR).update(iterable=[1, 2], began=number)

    assert fingerprint(first.run).fast == fingerprint(second.run).fast

    second.BAR.iterable.append(3)  # what a bar goes through is no news of it

    assert (name == "tqdm") == (fingerprint(first.run).fast != fingerprint(second.run).fast)


def test_an_index_of_a_dataset_counts_by_what_it_answers(tmp_path: Path) -> None:
    """`layout = BIDSLayout("bids")` at the top of a script, and the files that it found there."""
    bids = pytest.importorskip("bids", reason="no pybids: pip install pybids")
    folder = tmp_path / "ds" / "sub-01" / "func"
    folder.mkdir(parents=True)
    (folder / "sub-01_task-rest_bold.nii.gz").write_text("")
    sidecar = folder / "sub-01_task-rest_bold.json"
    sidecar.write_text('{"RepetitionTime": 2.0}')

    def digests() -> list[str]:
        built = build("def ask(x):\n    return LAYOUT\ndef run(x):\n    return FILES\n")
        built.LAYOUT = bids.BIDSLayout(tmp_path / "ds", validate=False)
        built.FILES = built.LAYOUT.get(suffix="bold", extension="nii.gz")
        return [fingerprint(each).fast for each in (built.ask, built.run)]

    before = digests()
    assert before == digests()
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\n")
    more = digests()
    sidecar.write_text('{"RepetitionTime": 2.5}')
    other = digests()

    assert before[0] != more[0] != other[0]
    assert before[1] == more[1] != other[1]


@pytest.mark.parametrize("held", ["a", "weakref.ref(a)"])
def test_what_is_kept_by_its_identity_counts_by_what_it_is(held: str) -> None:
    """A figure of matplotlib knows its parts by their `id`, which is another in each process."""
    source = "import weakref\nclass A: pass\na = A()\na.n = 1\n"
    source += f"PARTS = {{id(a): {held}}}\ndef run(x):\n    return PARTS\n"
    first, second, other = map(build, (source, source, source.replace("n = 1", "n = 2")))

    assert fingerprint(first.run).fast == fingerprint(second.run).fast
    assert fingerprint(first.run).fast != fingerprint(other.run).fast


def test_an_open_file_is_known_and_a_connection_is_listed() -> None:
    """What gives no state away is no fault; a file is looked at where the run begins."""
    source = "import sqlite3\nFILE = open({!r})\nDB = sqlite3.connect(':memory:')\n"
    source += "def run(x):\n    return FILE, DB\n"
    one, two = build(source.format(__file__)), build(source.format(__file__))

    first, second = fingerprint(one.run), fingerprint(two.run)
    for module in (one, two):
        module.FILE.close()
        module.DB.close()

    assert first.fast == second.fast
    assert [one.FILE] == first.handles
    assert [f"global {one.__name__}.DB: a sqlite3.Connection, ignored"] == list(first.unresolved)


def test_eval_is_listed_and_widens() -> None:
    """Code that evaluates text reaches its whole module."""
    source = "OTHER = 1\ndef run(x):\n    return eval(x)\n"
    one, two = build(source), build(source.replace("1", "2"))

    assert ("calls eval in function built.run",) == fingerprint(one.run).unresolved
    assert fingerprint(one.run).fast != fingerprint(two.run).fast


def test_a_code_version_replaces_the_analysis() -> None:
    """Only the version counts, and what else the user named."""
    one, two = build("def run(x):\n    return 1\n"), build("def run(x):\n    return 2\n")

    assert fingerprint(one.run, (), "3").fast == fingerprint(two.run, (), "3").fast
    assert fingerprint(one.run, (), "3").fast != fingerprint(one.run, (), "4").fast
    assert {"code_version": "'3'"} == fingerprint(one.run, (), "3").components()
    assert fingerprint(one.run, (), "3").canonical() == fingerprint(two.run, (), "3").canonical()


def test_a_file_counts_by_content(tmp_path: Path) -> None:
    """A file that the user names counts, and an edit of it is seen."""
    path = tmp_path / "params.json"
    path.write_text("1")
    before = fingerprint(kernel, [str(path)])
    assert fingerprint(kernel, [path]).fast == before.fast

    path.write_text("2")
    after = fingerprint(kernel, [str(path)])

    assert before.fast != after.fast
    assert (
        before.components()["depends_on params.json"]
        != after.components()["depends_on params.json"]
    )


def test_a_folder_counts_by_names_and_contents(tmp_path: Path) -> None:
    """A folder that the user names counts with all below it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("1")
    found = {fingerprint(kernel, [tmp_path]).fast}

    (tmp_path / "a" / "two.txt").write_text("1")
    found.add(fingerprint(kernel, [tmp_path]).fast)
    (tmp_path / "a" / "two.txt").rename(tmp_path / "a" / "three.txt")
    found.add(fingerprint(kernel, [tmp_path]).fast)

    assert 3 == len(found)


def test_a_folder_with_links_counts_by_what_is_behind_them(tmp_path: Path) -> None:
    """A folder linked in is seen to be another one, and to change; a dangling link is no error."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.txt").write_text(name)
    folder = tmp_path / "params"
    folder.mkdir()
    link = folder / "shared"
    found = []
    for target in ("one", "two", "none"):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / target)
        found.append(fingerprint(kernel, [folder]).fast)
    link.unlink()
    link.symlink_to(tmp_path / "one")
    assert found[0] == fingerprint(kernel, [folder]).fast

    (tmp_path / "one" / "table.txt").write_text("edited")

    assert 4 == len({*found, fingerprint(kernel, [folder]).fast})


def test_a_folder_with_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe counts as one, and nobody reads from it."""
    before = fingerprint(kernel, [tmp_path]).fast
    os.mkfifo(tmp_path / "pipe")

    assert before != fingerprint(kernel, [tmp_path]).fast
    with pytest.raises(ValueError, match="pipe', which is no existing file or folder"):
        fingerprint(kernel, [tmp_path / "pipe"])


def test_modules_and_functions_can_be_named() -> None:
    """A module in depends_on counts whole, a function as a helper does."""
    module = build("K = 1\ndef go(x):\n    return x\n")
    found = [fingerprint(kernel).fast, fingerprint(kernel, [module]).fast]
    found.append(fingerprint(kernel, [module.go]).fast)

    module.K = 2

    assert fingerprint(kernel, [module]).fast not in found
    assert found[2] == fingerprint(kernel, [module.go]).fast
    assert 3 == len(set(found))


def test_one_dependency_needs_no_list() -> None:
    """A text is a path and not a sequence of letters."""
    assert fingerprint(kernel, [__file__]).fast == fingerprint(kernel, __file__).fast


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ([3], TypeError, "depends_on takes modules, functions, classes and paths"),
        ([b"a"], TypeError, "depends_on takes"),
        (["/no/such/file"], ValueError, "'/no/such/file', which is no existing file"),
        (3, TypeError, "depends_on takes"),
    ],
)
def test_a_wrong_dependency_is_an_error(wrong: Any, error: type[Exception], text: str) -> None:
    """The message says what was given and what is taken."""
    with pytest.raises(error, match=text):
        fingerprint(kernel, wrong)


def test_a_wrong_version_is_an_error() -> None:
    """A version is a text."""
    with pytest.raises(TypeError, match="code_version must be a string, got int 3"):
        fingerprint(kernel, (), 3)  # type: ignore[arg-type]


def test_an_object_says_what_counts_of_it() -> None:
    """An object with `__fingerprint__` counts by what that returns."""

    class Tool:
        def __init__(self, template: str) -> None:
            self.template = template
            self.runs = 0

        def __fingerprint__(self) -> object:
            return [self.template, kernel]

        def __call__(self) -> None: ...

    tool = Tool("a")
    before = fingerprint(tool)
    tool.runs = 9
    assert fingerprint(tool) is before
    assert fingerprint(Tool("a")).fast == before.fast
    assert f"helper {__name__}.kernel" in before.components()

    tool.template = "b"

    assert before.fast != fingerprint(tool).fast


def test_memori_counts_as_a_distribution() -> None:
    """Memori's own code is not walked, even in a checkout; what its objects hold is."""
    one, two = partial(Stage, kernel), partial(Stage, smooth)

    components = fingerprint(one).components()

    assert "distribution memori-neuro" in components
    assert not [label for label in components if " memori." in label]
    assert fingerprint(one).fast != fingerprint(two).fast


def test_a_class_can_be_the_callable() -> None:
    """A class counts whole."""
    module = build("class Run:\n    k = 1\n    def __init__(self, x):\n        self.x = x\n")
    before = fingerprint(module.Run)

    module.Run.k = 2

    assert isinstance(before, Code)
    assert before.fast != fingerprint(module.Run).fast


@pytest.mark.parametrize(
    "function", [len, max, str, dict.get, "abc".upper, __import__("math").sqrt]
)
def test_builtins_can_be_the_callable(function: Any) -> None:
    """Builtins count by name."""
    assert fingerprint(function).fast == fingerprint(function).fast
    assert fingerprint(function).fast != fingerprint(kernel).fast


def test_builtins_differ() -> None:
    """Two builtins, or methods of two values, are two callables."""
    found = [len, max, "a".upper, "b".upper, "a".lower, str, int, [].append, [1].append]

    assert len(found) == len({fingerprint(each).fast for each in found})


def test_code_without_source_has_no_canonical_digest() -> None:
    """A function made by exec is told by its code object alone."""
    code = fingerprint(build("def run(x):\n    return 1\n").run)

    assert code.canonical() is None
    assert code.components()


def test_a_file_that_no_longer_compiles_to_the_loaded_code_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit under a running process takes the trust in the source away."""
    import importlib

    path = tmp_path / "edited_later.py"
    path.write_text("def run(x):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_later")
    assert fingerprint(module.run).canonical() is not None
    path.write_text("# moved down\ndef run(x):\n    return 1\n")
    module.run.note = 1
    assert fingerprint(module.run).canonical() is not None

    path.write_text("def run(x):\n    return 2\n")
    module.run.note = 2

    assert fingerprint(module.run).canonical() is None


def test_lambdas_on_one_line_are_told_apart() -> None:
    """Each lambda is matched with its own syntax."""
    one, two, three = lambda x: x + 1, lambda x: x + 2, lambda x: lambda: x + 1
    found = [fingerprint(each).canonical() for each in (one, two, three, three(1))]

    assert None not in found
    assert 4 == len(set(found))


def test_the_canonical_digest_describes_the_state_when_it_was_taken() -> None:
    """Values that change between the two digests do not enter the second."""
    global THRESHOLD
    first = fingerprint(kernel)
    expected = first.canonical()
    THRESHOLD = 0.7
    second = fingerprint(kernel)
    THRESHOLD = 0.5

    assert expected != second.canonical()
    assert expected == fingerprint(kernel).canonical()


def test_values_nested_deeply_are_followed() -> None:
    """Neither lists nor tuples nested by the thousand exhaust the stack."""
    module = build("def run(x):\n    return V\n")
    found = set()
    for last in (1, 2):
        deep: object = last
        for _ in range(5000):
            deep = ([deep], (deep,)) if _ == 2500 else (deep,)
        module.V = deep
        found.add(fingerprint(module.run).fast)

    assert 2 == len(found)


def test_a_value_whose_methods_fail_is_listed() -> None:
    """A proxy that raises whatever it is asked does not stop the stage."""

    class Proxy:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("outside of its context")

    module = build("def run(x):\n    return V\n")
    module.V = Proxy()

    code = fingerprint(module.run)

    assert "outside of its context" in code.unresolved[0]
    assert fingerprint(module.run).fast == code.fast


def test_a_folder_of_data_in_another_one_is_no_obstacle(tmp_path: Path) -> None:
    """Beside a script that imports by a computed name, and that names the outer folder."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "plug.py").write_text("VALUE = 1\n")
    (tmp_path / "prog.py").write_text(
        "import importlib, os\n"
        "def main(name):\n"
        "    os.listdir('data')\n"
        "    return importlib.import_module('data.' + name).VALUE\n"
        "from memori.fingerprint import fingerprint\n"
        "print(fingerprint(main).fast)\n"
    )
    digests = []
    for value in ("1", "2"):
        (tmp_path / "data" / "deep" / "plug.py").write_text(f"VALUE = {value}\n")
        words = [sys.executable, "prog.py"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        digests.append(done.stdout)
    assert digests[0] != digests[1], "a module in it counts"
