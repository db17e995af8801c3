"""Warnings are blamed on the line of the user's that called memori, however deep they arise."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import memori
from memori import MemoriWarning, Stage
from memori.digest import formats
from memori.neuro import ShellStage


def of_a_changed_input(tmp_path: Path) -> None:
    def grows(path: str) -> int:
        text = Path(path).read_text()
        Path(path).write_text(text + "more")
        return len(text)

    (tmp_path / "in.txt").write_text("x")
    Stage(grows, hash_output=tmp_path / "work").run(tmp_path / "in.txt")


def of_a_changed_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("x")
    ShellStage("touch {folder}/b", hash_output=tmp_path / "work").run(tmp_path / "data")


def of_a_broken_entry(tmp_path: Path) -> None:
    stage = Stage(len, hash_output=tmp_path)
    stage.run("x")
    for entry in (tmp_path / ".memori/stages/len").glob("??/*.json"):
        entry.write_text("{")
    stage.run("x")


def of_a_format(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("x")
    Stage(len, hash_output=tmp_path / "work").run(str(tmp_path / "a.xyz"))


def of_an_open_output(tmp_path: Path) -> None:
    kept = []

    def writes(path: str) -> str:
        kept.append(open(path, "w"))  # noqa: SIM115  it is the point
        kept[-1].write("some")
        return path

    Stage(writes, hash_output=tmp_path / "work").run(str(tmp_path / "out.txt"))
    kept[-1].close()


def in_a_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=of_a_changed_input, args=(tmp_path,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "causes",
    [
        of_a_changed_input,
        of_a_changed_folder,
        of_a_broken_entry,
        of_a_format,
        of_an_open_output,
        in_a_thread,
    ],
)
def test_a_warning_names_the_users_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, causes: Callable[[Path], None]
) -> None:
    """Where Python shows a warning, the user finds their own call."""
    broken = EntryPoint("xyz", "no_such_module:Xyz", formats.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    monkeypatch.setattr(formats, "_plugins", None)
    with pytest.warns(MemoriWarning) as caught:
        causes(tmp_path)
    assert {__file__} == {warning.filename for warning in caught}


def test_a_warning_from_a_pool_is_not_blamed_on_memori(tmp_path: Path) -> None:
    """A call that a thread of a pool makes has no line of the user's above it."""
    from concurrent.futures import ThreadPoolExecutor

    stage = Stage(len, hash_output=tmp_path)
    stage.run("x")
    for entry in (tmp_path / ".memori/stages/len").glob("??/*.json"):
        entry.write_text("{")
    with pytest.warns(MemoriWarning) as caught, ThreadPoolExecutor(1) as pool:
        pool.submit(stage.run, "x").result()
    package = str(Path(memori.__file__).parent)
    assert [] == [each.filename for each in caught if each.filename.startswith(package)]


def test_one_function_issues_all_warnings() -> None:
    """Nobody else guesses how deep the stack is."""
    package = Path(memori.__file__).parent
    guilty = [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("warnings.warn", "warn_explicit")
    ]
    assert ["errors.py"] == guilty
