"""A pipeline with files between its stages, for tests of what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memori import Pipeline, Stage, workdir


def first(text: str) -> str:
    """Write an output, a file beside it that is called like it, and scratch."""
    path = workdir() / "first.txt"
    path.write_text(text)
    (workdir() / "first.json").write_text("{}")
    (workdir() / "scratch").mkdir()
    (workdir() / "scratch" / "large.bin").write_bytes(bytes(1000))
    return str(path)


def second(first: str) -> str:
    """Read the input and what lies beside it."""
    path = workdir() / "second.txt"
    path.write_text(Path(first).read_text() + Path(first).with_suffix(".json").read_text())
    return str(path)


def aside(first: str) -> str:
    """Write another thing that nothing else needs."""
    path = workdir() / "aside.txt"
    path.write_text(Path(first).read_text().upper())
    return str(path)


def last(second: str, end: str = ".") -> str:
    """Write what the pipeline is for."""
    path = workdir() / "last.txt"
    path.write_text(Path(second).read_text() + end)
    return str(path)


def stages(where: str | Path, end: str = ".") -> list[Stage]:
    made = [Stage(function, function.__name__, where) for function in (first, second, aside)]
    return [*made, Stage(last, "last", where, end=end)]


def pipeline(where: str | Path, keep: Any = "final", end: str = ".") -> Pipeline:
    """Two stages in a row that lead to the last one, and one beside them."""
    a, b, other, c = stages(where, end)
    return Pipeline([("start", a), (a, b), (a, other), (b, c)], keep=keep)


def files(where: Path) -> set[str]:
    """The names of the files in runs' own folders."""
    found = (each for each in where.rglob("*") if each.is_file() and ".memori" not in each.parts)
    return {each.name for each in found if each.suffix in (".txt", ".bin", ".json")}
