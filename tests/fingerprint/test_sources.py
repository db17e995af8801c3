"""The source of code is found wherever it is, and believed only if it compiles to that code."""

from __future__ import annotations

import ast
import doctest
import inspect
import linecache
import runpy
import traceback
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from memori.fingerprint import fingerprint, sources
from memori.fingerprint.sources import PICKLED, Source, source_of, texts_of
from memori.fingerprint.writer import inside

PACKAGE = Path(sources.__file__).parents[1]
TEXT = "def helper(x):\n    return x + 1\ndef run(x):\n    return helper(x)\n"


@pytest.fixture(autouse=True)
def _no_lines_shown() -> Iterator[None]:
    yield
    sources._shown.clear()
    linecache.cache.pop(PICKLED, None)


def loaded(text: str, name: str, **namespace: object) -> Any:
    """Return the globals of a text that was compiled under a file name."""
    space: dict[str, object] = {"__name__": "found", **namespace}
    exec(compile(text, name, "exec", dont_inherit=True), space)
    return types.SimpleNamespace(**space)


def functions_in(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of all functions in a module's code."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_function = inner.co_flags & inspect.CO_NEWLOCALS  # and no body of a class
            is_written = inner.co_name != "__annotate__"  # of Python 3.14, made of annotations
            if (
                is_function
                and is_written
                and (inner.co_name[0] != "<" or "lambda" in inner.co_name)
            ):
                yield inner
            yield from functions_in(inner)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_function_of_a_file_is_found_in_the_statement_around_it(path: Path) -> None:
    """Compiled alone, with the module's imports, a statement gives the code that was loaded."""
    text = path.read_bytes()
    compiled = compile(text, str(path), "exec", dont_inherit=True)
    source = Source(text, str(path))
    missing = []
    for code in functions_in(compiled):
        found: Any = source.function(code)
        if found is None or found.lineno < code.co_firstlineno:
            missing.append(code.co_qualname)

    assert [] == missing
    assert None not in source._compiled  # no need to compile all of it


def test_code_that_names_no_file_is_found_in_its_modules(tmp_path: Path) -> None:
    """A function that was pickled by value has its source in the module's own file."""
    file = tmp_path / "found.py"
    file.write_text(TEXT)
    there = fingerprint(loaded(TEXT, PICKLED, __file__=str(file)).run)
    here = fingerprint(loaded(TEXT, str(file), __file__=str(file)).run)

    assert here.canonical() is not None
    assert (here.fast, here.canonical()) == (there.fast, there.canonical())
    assert here.components() == there.components()


def test_the_file_of_the_loaded_module_serves_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Globals that do not say their file belong to a module that may."""
    file = tmp_path / "found.py"
    file.write_text(TEXT)
    module = types.ModuleType("found_elsewhere")
    module.__file__ = str(file)
    monkeypatch.setitem(__import__("sys").modules, "found_elsewhere", module)

    code = fingerprint(loaded(TEXT, PICKLED, __name__="found_elsewhere").run)

    assert code.canonical() is not None


def test_a_script_that_changes_its_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative file name leads nowhere after chdir, or to another file: the module's does."""
    (tmp_path / "found.py").write_text(TEXT)
    other = tmp_path / "other"
    other.mkdir()
    (other / "found.py").write_text("def run(x):\n    return 0\n")
    module = loaded(TEXT, "found.py", __file__=str(tmp_path / "found.py"))
    for folder in (tmp_path, other, "/"):
        monkeypatch.chdir(folder)
        module.run.note = str(folder)
        assert fingerprint(module.run).canonical() is not None


def test_a_file_that_holds_other_code_is_not_believed(tmp_path: Path) -> None:
    """Code that was made at run time is not mistaken for a function of its module's file."""
    file = tmp_path / "found.py"
    file.write_text(TEXT)
    made = loaded(TEXT.replace("x + 1", "x + 2"), "<string>", __file__=str(file))

    texts = list(texts_of(made.helper.__code__, made.helper.__globals__))
    found = [source_of(text) for text in texts]

    assert [str(file)] == [text[0] for text in texts]
    assert [None] == [source and source.function(made.helper.__code__) for source in found]


def test_run_path_and_zipped_modules_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a script started by another nor a module in an archive lacks its source."""
    (tmp_path / "script.py").write_text(TEXT)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("packed_module.py", TEXT)
    monkeypatch.syspath_prepend(tmp_path / "packed.zip")
    import packed_module  # type: ignore[import-not-found]

    script = runpy.run_path(str(tmp_path / "script.py"))["run"]

    assert fingerprint(packed_module.run).canonical() is not None
    assert fingerprint(script).canonical() == fingerprint(packed_module.run).canonical()


def test_a_doctest_is_found() -> None:
    """A function of a docstring's example has the source that doctest keeps for it."""
    example = """
    >>> def run(x):
    ...     return x + 1
    >>> from memori.fingerprint import fingerprint
    >>> fingerprint(run).canonical() is None
    False
    """
    test = doctest.DocTestParser().get_doctest(example, {}, "example", __file__, 0)

    assert 0 == doctest.DocTestRunner(verbose=False).run(test).failed


def test_tracebacks_show_the_lines_of_pickled_code(tmp_path: Path) -> None:
    """Once its source is proved, code without a file name shows its lines where it fails."""
    file = tmp_path / "found.py"
    text = "def run(x):\n    raise ValueError(x)  # here\n"
    file.write_text(text)
    module = loaded(text, PICKLED, __file__=str(file))
    fingerprint(module.run).canonical()

    with pytest.raises(ValueError, match="1") as caught:
        module.run(1)

    printed = "".join(traceback.format_exception(caught.value))
    assert "    raise ValueError(x)  # here\n" in printed


def test_no_line_is_shown_where_two_files_share_a_name(tmp_path: Path) -> None:
    """No line is better than one of another file."""
    found = []
    for number in range(3):
        file = tmp_path / f"found_{number}.py"
        text = f"def run(x):\n    raise ValueError({number})\n"
        file.write_text(text)
        fingerprint(loaded(text, PICKLED, __file__=str(file)).run).canonical()
        found.append(linecache.getline(PICKLED, 2))

    assert ["    raise ValueError(0)\n", "", ""] == found


def test_a_cache_of_lines_that_fails_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may empty linecache while it is read; code is then known by its bytecode."""

    def gone(*_: object) -> list[str]:
        raise KeyError("emptied")

    monkeypatch.setattr(linecache, "getlines", gone)

    assert fingerprint(loaded(TEXT, "<somewhere>").run).canonical() is None


def test_texts_that_python_refuses_are_no_source(tmp_path: Path) -> None:
    """A file that was broken since it was loaded does not stop the fingerprint."""
    file = tmp_path / "found.py"
    module = loaded(TEXT, str(file), __file__=str(file))
    for text in (
        "def run(x:\n",
        "return 1\n" + TEXT,
        "\0",
        "x = " + "(" * 5000,
        "# coding: none\n",
    ):
        file.write_text(text)
        module.run.note = text
        assert fingerprint(module.run).canonical() is None


def test_what_a_library_hangs_on_a_tree_is_no_part_of_it() -> None:
    """IPython's tracebacks and `icecream` give nodes a parent, also those that all trees share."""
    tree = ast.parse("x")
    shared = ast.parse("y", mode="eval").body.ctx  # type: ignore[attr-defined]
    tree.body[0].parent = tree  # type: ignore[attr-defined]
    shared.parent = tree.body[0]
    try:
        # a tree that goes on for ever is not drawn from to its end
        found = [type(each) for each, _ in zip(inside(tree), range(9), strict=False)]
    finally:
        del shared.parent

    assert [ast.Module, ast.Expr, ast.Name, ast.Load] == found
