"""A parameter that is annotated as a path is given a path, on every run."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from enum import Enum, IntEnum, IntFlag
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType, Optional, Union

import pytest

from memori import Folder, Stage
from memori.neuro import ShellStage, arrays_to_disk
from memori.signature.paths import shapes_of

if TYPE_CHECKING:
    import numpy as np
    from numpy import ndarray

MaybePath = Union[Path, None]  # noqa: UP007  as people write it
Text = Union[str, os.PathLike]  # noqa: UP007
Image = NewType("Image", Path)


class Scan(type(Path())):  # type: ignore[misc]
    """A path that knows its subject."""

    def subject(self) -> str:
        return self.name.partition("_")[0]


def types(value: object) -> object:
    """The names of the types of what a function was given."""
    if isinstance(value, list):
        return [types(each) for each in value]
    if isinstance(value, dict):
        return {key: types(each) for key, each in value.items()}
    return type(value).__name__.replace("WindowsPath", "PosixPath")


@pytest.fixture(autouse=True)
def _without_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes compiled code for current if a module's size and second are the same."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def module_of(source: str, folder: Path, name: str = "annotated") -> Any:
    """Import a module from its text."""
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


POSIX = "PosixPath"
IMPORTS = """
import os, pathlib, typing, numpy as np
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Dict, List, Optional, Tuple, Union

class Slotted:
    __slots__ = ("__args__",)
"""


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("Path", "a", POSIX),
        ("pathlib.Path", "a", POSIX),
        ("'Path'", "a", POSIX),
        ("PurePath", "a", "PurePosixPath"),
        ("os.PathLike", "a", POSIX),
        ("os.PathLike[str]", "a", POSIX),
        ("Optional[Path]", "a", POSIX),
        ("Optional[Path]", None, "NoneType"),
        ("Path | None", "a", POSIX),
        ("Union[Path, int]", 3, "int"),
        ("'Path | None'", "a", POSIX),
        ("np.ndarray | Path", "a", POSIX),
        ("Annotated[Path, 'in mm']", "a", POSIX),
        ("list[Path]", ["a", "b"], [POSIX, POSIX]),
        ("List['Path']", ["a"], [POSIX]),
        ("Sequence[Path | None]", ["a", None], [POSIX, "NoneType"]),
        ("Iterable[list[Path]]", [["a"]], [[POSIX]]),
        ("tuple[Path, ...]", ["a", "b"], [POSIX, POSIX]),
        ("Tuple[Path, str, int]", ["a", "b", 1], [POSIX, "str", "int"]),
        ("dict[str, Path]", {"k": "a"}, {"k": POSIX}),
        ("Mapping[str, list[Path]]", {"k": ["a"]}, {"k": [POSIX]}),
        ("Path | list[Path]", "a", POSIX),
        ("Path | list[Path]", ["a"], [POSIX]),
        ("str", "a", "str"),
        ("str | Path", "a", "str"),
        ("Union[str, os.PathLike]", "a", "str"),
        ("str | list[Path]", ["a"], [POSIX]),
        ("list[str]", ["a"], ["str"]),
        ("int", "a", "str"),
        ("typing.Any", "a", "str"),
        ("Slotted", "a", "str"),
        ("dict[Path, int]", {"k": 1}, {"k": "int"}),
        ("'no such thing'", "a", "str"),
    ],
)
def test_an_annotation_says_what_is_given(
    tmp_path: Path, head: str, annotation: str, value: object, expected: object
) -> None:
    """Alone, in unions and containers, and as text; a union with str stays a str."""
    source = f"{head}{IMPORTS}\ndef function(x: {annotation}):\n    return type_names(x)\n"
    module = module_of(source, tmp_path)
    module.type_names = types
    stage = Stage(module.function, hash_output=tmp_path / "work")
    for _ in range(2):
        assert {"output": expected} == stage.run(value)
    assert expected == Stage(module.function).run(value)["output"]


def test_what_only_type_checkers_import_is_understood() -> None:
    """A path is a path, whatever stands beside it."""

    def function(a: np.ndarray | Path, b: Optional[Path], c: dict[str, Path], d: ndarray) -> None:  # noqa: UP045
        pass

    assert ["Path", "Path", "dict[Path]"] == [str(shape) for shape in shapes_of(function).values()]


def test_aliases_and_new_types_are_followed() -> None:
    """Also a subclass of Path, which is made."""

    def function(a: MaybePath, b: Image, c: Scan, d: Text, e: Annotated[Scan, 1]) -> None:
        pass

    assert {"a": "Path", "b": "Path", "c": "Scan", "e": "Scan"} == {
        name: str(shape) for name, shape in shapes_of(function).items()
    }


def test_a_path_that_only_type_checkers_import_is_one(tmp_path: Path) -> None:
    """As linters want it, where a function only uses what it is given."""
    source = (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import pathlib\n    from pathlib import Path\n"
        "def function(a: Path, b: pathlib.Path | None, c: list[Path]):\n"
        "    return [a.suffix, b.suffix, c[0].suffix]\n"
    )
    stage = Stage(module_of(source, tmp_path).function)
    assert {"output": [".a", ".b", ".c"]} == stage.run("x.a", "x.b", ["x.c"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is of Python 3.12")
def test_a_type_statement_is_followed(tmp_path: Path) -> None:
    """Also one that holds itself."""
    source = (
        "from pathlib import Path\ntype File = Path | None\ntype Tree = Path | list[Tree]\n"
        "def function(a: File, b: Tree):\n    return [a.suffix, b[0].suffix]\n"
    )
    assert {"output": [".a", ".b"]} == Stage(module_of(source, tmp_path).function).run(
        "x.a", ["x.b"]
    )


# Kinds of callables and of parameters


def plain(a: Path, /, b: int, *rest: Path, c: Path = Path("c"), d: Any = None, **more: Path) -> Any:
    return [types(each) for each in (a, b, list(rest), c, d, more)]


def test_all_kinds_of_parameters_are_given_paths() -> None:
    """By position, further ones, keyword-only with a default, and further keywords."""
    expected = [POSIX, "int", [POSIX, POSIX], POSIX, "str", {"e": POSIX}]
    assert expected == Stage(plain).run("a", 1, "r", "s", d="d", e="e")["output"]
    assert [POSIX, "int", [], POSIX, "NoneType", {}] == Stage(plain).run("a", 1)["output"]


class Model:
    def __call__(self, x: Path) -> str:
        return type(x).__name__

    def fit(self, x: Path) -> str:
        return type(x).__name__

    @classmethod
    def made(cls, x: Path) -> str:
        return type(x).__name__


@functools.wraps(plain)
def wrapper(*args: object, **kwargs: object) -> object:
    return plain(*args, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "function",
    [Model(), Model().fit, Model.made, functools.partial(Model.fit, Model()), lambda x: POSIX],
)
def test_all_kinds_of_callables_are_looked_at(function: Callable[..., str]) -> None:
    """Objects, methods and partials, by the function behind them."""
    assert {"output": POSIX} == Stage(function, stage_name="f").run("a")


def test_a_decorated_function_is_looked_through() -> None:
    """The wrapper passes on what it is given."""
    assert POSIX == Stage(wrapper, stage_name="w").run("a", 1)["output"][0]


def test_an_array_of_a_path_stays_an_array(tmp_path: Path) -> None:
    """What is loaded is loaded, and what is a path is one."""
    np = pytest.importorskip("numpy")
    source = (
        "import numpy as np\nfrom pathlib import Path\n"
        "def total(series: np.ndarray, log: Path):\n    return [float(series.sum()), log.suffix]\n"
    )
    np.save(tmp_path / "a.npy", [1.0, 2.0])
    stage = Stage(arrays_to_disk(module_of(source, tmp_path).total), hash_output=tmp_path / "w")
    assert {"output": [3.0, ".txt"]} == stage.run(str(tmp_path / "a.npy"), "log.txt")


def test_a_function_of_a_command_is_given_paths(tmp_path: Path) -> None:
    """Of inputs and of outputs; what it returns may hold paths."""
    (tmp_path / "in.txt").write_text("x")

    def copy(source: Path, target: Path, note: str) -> list[object]:
        return ["cp", source.with_name(source.name), target.parent / target.name]

    stage = ShellStage(copy, outputs={"target": "out.txt"}, hash_output=tmp_path / "w", note="n")
    assert "x" == Path(stage.run(tmp_path / "in.txt")["target"]).read_text()
    stage.run(tmp_path / "in.txt")
    assert not stage.state


# What counts


def test_files_count_as_ever(tmp_path: Path) -> None:
    """A path object or its text are one input; an edited file is another."""

    def size(path: Path, folder: Path) -> int:
        return path.stat().st_size + len(list(folder.iterdir()))

    data, folder = tmp_path / "data", tmp_path / "folder"
    data.write_text("abc")
    folder.mkdir()
    stage = Stage(size, hash_output=tmp_path / "work")
    assert 3 == stage.run(data, Folder(str(folder)))["output"]
    assert stage.is_remembered(str(data), Folder(str(folder)))
    data.write_text("abcd")
    assert 4 == stage.run(str(data), Folder(str(folder)))["output"]


def test_a_changed_conversion_runs_again(tmp_path: Path) -> None:
    """Another annotation that converts is other code; one that does not is none."""

    def stage(annotation: str) -> Stage:
        source = f"{IMPORTS}\ndef function(x: {annotation}):\n    return str(type(x).__name__)\n"
        return Stage(module_of(source, tmp_path).function, hash_output=tmp_path / "work")

    assert {"output": "str"} == stage("str").run("a")
    assert {"output": POSIX} == stage("Path").run("a")
    (change,) = stage("PurePath").explain("a").changes
    assert "annotation of x" == change.subject
    for same in ("int", "str | Path", "object"):
        assert stage(same).is_remembered("a")
    for same in ("Path | None", "pathlib.Path", "os.PathLike"):
        assert stage(same).is_remembered("a")


def test_a_class_of_paths_counts_by_what_it_does(tmp_path: Path) -> None:
    """Though nothing but an annotation names it."""

    def stage(word: str) -> Stage:
        source = (
            f"{IMPORTS}\nclass Scan(type(Path())):\n    def subject(self):\n"
            f"        return {word!r} + self.name\n"
            "def function(x: Scan):\n    return x.subject()\n"
        )
        return Stage(module_of(source, tmp_path).function, hash_output=tmp_path / "work")

    assert {"output": "sub-1"} == stage("sub-").run("1")
    assert stage("sub-").is_remembered("1")
    assert {"output": "ses-1"} == stage("ses-").run("1")


def test_a_version_of_the_code_stands_for_annotations_too(tmp_path: Path) -> None:
    """Nothing but its text counts."""

    def old(x: str) -> int:
        return 1

    def new(x: Path) -> int:
        return 1

    Stage(old, hash_output=tmp_path, stage_name="s", code_version="1").run("a")
    assert Stage(new, hash_output=tmp_path, stage_name="s", code_version="1").is_remembered("a")


def test_a_function_without_paths_costs_no_imports(tmp_path: Path) -> None:
    """A quick look at its annotations is enough."""
    import subprocess

    script = (
        "import sys\nfrom memori.signature.paths import shapes_of\n"
        "def function(a: int, b: 'list[str] | None', c: dict[str, float], d: 'np.ndarray'): pass\n"
        "assert {} == shapes_of(function)\n"
        "print(sorted({'typing', 'inspect', 'pathlib'}.intersection(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout


class Mode(str, Enum):  # noqa: UP042  as people write it
    """Texts with a name each."""

    FAST = "fast"
    FULL = "full"


class Order(IntEnum):
    """Numbers with a name each."""

    NEAREST = 0
    LINEAR = 1


class Steps(IntFlag):
    """Numbers that are added up."""

    ALIGN = 1
    SMOOTH = 2


def of_members(
    mode: Mode,
    more: list[Order],
    steps: Steps | None = None,
    text: Mode | str = "fast",
    silent=Mode.FULL,  # type: ignore[no-untyped-def]
) -> list[str]:
    return list(map(repr, (mode, more, steps, text, silent)))


@pytest.mark.parametrize(
    "given", [(Mode.FAST, [Order.LINEAR], Steps.ALIGN | Steps.SMOOTH), ("full", [0], None)]
)
def test_a_parameter_of_an_enumeration_is_given_its_members(tmp_path: Path, given: Any) -> None:
    """The first run and a hit agree with a plain call; a text where texts are taken stays one."""
    stage = Stage(of_members, stage_outputs="y", hash_output=tmp_path)
    plain = of_members(Mode(given[0]), list(map(Order, given[1])), given[2])
    assert [plain, plain] == [stage.run(*given)["y"], stage.run(*given)["y"]]
    assert not stage.state


def test_what_is_no_member_stays_what_it_is(tmp_path: Path) -> None:
    """As in a plain call, the function decides what to make of it."""
    stage = Stage(of_members, stage_outputs="y", hash_output=tmp_path)
    assert ["'slow'", "[7]"] == stage.run("slow", [7])["y"][:2]


def test_an_edited_enumeration_runs_again(tmp_path: Path) -> None:
    """The name of a member is part of what the function is given."""
    source = """
from enum import Enum
class Mode(str, Enum):  # noqa: UP042  as people write it
    {} = "fast"
def name(mode: Mode):
    return mode.name
"""
    seen = []
    for member in ("FAST", "QUICK", "FAST"):
        name = module_of(source.format(member), tmp_path).name
        stage = Stage(name, stage_outputs="y", hash_output=tmp_path / "work")
        seen.append((stage.run("fast")["y"], stage.state))
    assert [("FAST", True), ("QUICK", True), ("FAST", False)] == seen
