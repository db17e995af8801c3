"""Another release of memori reads, or leaves alone, what an earlier or a later one recorded.

tests/data/store-1 was recorded by the first version (schema 1), with the stages below.
"""

from __future__ import annotations

import json
import shutil
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from memori import MemoriWarning, Stage, StageError, workdir
from memori.store import SCHEMA, Memory, Store

RECORDED = Path(__file__).parents[1] / "data" / "store-1"
FAILS = [True]


def add(x: int, y: int) -> int:
    return x + y


def write(text: str) -> str:
    path = workdir() / "out.txt"
    path.write_text(text)
    return str(path)


def count(file: str) -> int:
    return len(Path(file).read_text())


def copy(file: str, out: str) -> str:
    Path(out).write_text(Path(file).read_text())
    return out


def fail(n: int) -> str:
    path = workdir() / "evidence.txt"
    path.write_text("new evidence")
    if FAILS[0]:
        raise RuntimeError("no")
    return str(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder as the first version left it."""
    shutil.copytree(RECORDED, tmp_path / "w")
    (tmp_path / "w" / "memori").rename(tmp_path / "w" / ".memori")
    return tmp_path / "w"


def stages(root: Path) -> list[tuple[Stage, tuple[Any, ...]]]:
    """The stages that were recorded, with the arguments of each run."""
    options: dict[str, Any] = {"hash_output": root, "code_version": "1"}
    return [
        *((Stage(add, "total", **options), (n, 2)) for n in range(3)),
        (Stage(write, "path", **options), ("text",)),
        (Stage(count, "length", **options), (root / "in.txt",)),
        (Stage(copy, "out", **options), (root / "in.txt", root / "copy.txt")),
    ]


@pytest.mark.filterwarnings("error")
def test_what_the_first_version_recorded_is_a_hit(root: Path) -> None:
    """Numbers, files in a run's own folder, input files and files made where an input says."""
    expected = [2, 3, 4, root / "write" / "47df03d8" / "out.txt", 7, root / "copy.txt"]
    for (stage, arguments), value in zip(stages(root), expected, strict=True):
        (found,) = stage.run(*arguments).values()
        assert value == (Path(found).resolve() if isinstance(found, str) else found)
        assert stage.state is False
        assert {**stage.results} == stage.run(*arguments, force_skip_stage=True)


@pytest.mark.filterwarnings("error")
def test_an_entry_of_the_first_version_counts_as_any_other(root: Path) -> None:
    """A changed input or a damaged output reruns, and says against what."""
    for stage, arguments in stages(root)[3:]:
        stage.run(*arguments)
    (root / "in.txt").write_text("edited")
    (root / "write" / "47df03d8" / "out.txt").write_text("edited")
    (_, _, _, writes, counts, copies) = stages(root)
    assert "in.txt (file) edited" in str(counts[0].explain(*counts[1]))
    assert "output path" in str(writes[0].explain(*writes[1]))
    for stage, arguments in (writes, counts, copies):
        first = stage.run(*arguments)
        assert stage.state is True
        assert first == stage.run(*arguments)
        assert stage.state is False
    assert "edited" == (root / "copy.txt").read_text()


@pytest.mark.filterwarnings("error")
def test_what_the_first_version_left_is_emptied_for_no_run(root: Path) -> None:
    """Folders of its entries and of its failed runs stay when the same is run again."""
    (stage, arguments) = stages(root)[3]
    again = stage.run(*arguments, force_run_stage=True)["path"]
    assert str(root / "write" / "47df03d8" / "out.txt") != again
    assert "text" == (root / "write" / "47df03d8" / "out.txt").read_text()
    failing = Stage(fail, hash_output=root, code_version="1")
    with pytest.raises(RuntimeError):
        failing.run(1)
    assert "evidence" == (root / "fail" / "34c2f633" / "evidence.txt").read_text()


@pytest.mark.filterwarnings("error")
def test_the_first_versions_runs_are_listed(root: Path) -> None:
    """Who only asks sees them beside new ones."""
    stages(root)[0][0].run(7, 7)
    found = {name: len(list(Memory(str(root)).entries(name))) for name in ("add", "write", "copy")}
    assert {"add": 4, "write": 1, "copy": 1} == found
    latest = Store(str(root), "write").latest()
    assert latest is not None
    assert "47df03d8" in str(latest.folder)


def to_come(root: Path) -> dict[Path, bytes]:
    """Make all entries in a folder ones of a schema to come, and return them."""
    made = {}
    for path in sorted((root / ".memori" / "stages").glob("*/??/*.json")):
        record = json.loads(path.read_bytes())["record"]
        record.update(schema=SCHEMA + 1, memori="99")
        body = json.dumps(record).encode()
        digest = sha256(body).hexdigest().encode()
        path.write_bytes(b'{"sha256": "' + digest + b'",\n"record": ' + body + b"}\n")
        made[path] = path.read_bytes()
    return made


def test_a_schema_to_come_is_told_once_for_each_stage(tmp_path: Path) -> None:
    """One line for thirty entries: an upgrade that was taken back is no fault of each."""
    for stage in (add, write):
        for n in range(30):
            arguments = (n, 2) if stage is add else (str(n),)
            Stage(stage, hash_output=tmp_path, code_version="1").run(*arguments)
    to_come(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for n in range(30):
            assert {"output": n + 2} == Stage(add, hash_output=tmp_path, code_version="2").run(n, 2)
            Stage(write, hash_output=tmp_path, code_version="2").run(str(n))
        assert 30 == len(list(Memory(str(tmp_path)).entries("add")))
    assert [MemoriWarning] * 2 == [each.category for each in told]
    for each, name in zip(told, ("add", "write"), strict=True):
        assert f"schema {SCHEMA + 1}, written by memori 99" in str(each.message)
        assert f"/{name}/" in str(each.message)


@pytest.mark.filterwarnings("ignore::memori.MemoriWarning")
def test_nothing_of_a_schema_to_come_is_emptied_before_a_run_succeeded(tmp_path: Path) -> None:
    """Its entries and the folders that they name are there for the version that made them."""
    FAILS[0] = False
    kept = Stage(fail, hash_output=tmp_path, code_version="1").run(1)["output"]
    before = to_come(tmp_path)
    FAILS[0] = True
    stage = Stage(fail, hash_output=tmp_path, code_version="1")
    for _ in range(2):
        with pytest.raises(RuntimeError):
            stage.run(1)
        assert before == {path: path.read_bytes() for path in before}
        assert "new evidence" == Path(kept).read_text()
    with pytest.raises(StageError):
        stage.run(1, force_skip_stage=True)
    FAILS[0] = False
    assert kept != stage.run(1)["output"]
    assert "new evidence" == Path(kept).read_text()
