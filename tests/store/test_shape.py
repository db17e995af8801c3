"""What is believed of an entry: each part has its type, and nothing is deeper than values are."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from memori.digest.values import DEEPEST
from memori.files import unsealed
from memori.layout import Layout
from memori.store.left import folders_around
from memori.store.room import room_of
from memori.store.shape import require_shape


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The record of a run that looked for a file in vain and read one."""
    monkeypatch.chdir(tmp_path)
    Path("read.txt").write_text("1")

    def reads(_: int) -> str:
        assert not Path("absent.txt").exists()
        return Path("read.txt").read_text()

    Stage(reads, "x", "work").run(1)
    (path,) = Path("work/.memori/stages/reads").glob("??/*.json")
    found: dict[str, Any] = json.loads(unsealed(path.read_bytes()))
    require_shape(found)
    return found


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def test_what_is_nested_too_deep_is_refused(record: dict[str, Any]) -> None:
    """However much the text of the entry is said to open."""
    require_shape({**record, "inputs": {"x": nested(DEEPEST)}})
    for brackets in (None, DEEPEST + 100):
        with pytest.raises(TypeError, match="nested deeper"):
            require_shape({**record, "inputs": {"x": nested(DEEPEST + 100)}}, brackets)


@pytest.mark.parametrize(
    "groups",
    [
        {}, {"a": 1}, [1], [[]], [[".", ["a"], 1]], [["."]], [[".", "a"]], [[".", [1]]],
        [["\0", ["a"]]], [[["a", "b"], ["c"]]], [[1, ["a"]]], [[".", ["a"]], None],
    ],
)  # fmt: skip
def test_what_is_no_list_of_paths_by_folder_is_refused(groups: Any, record: dict[str, Any]) -> None:
    """The message names the part, and what stands there."""
    wrong = copy.deepcopy(record)
    wrong["observed"]["absent"] = groups
    with pytest.raises(TypeError, match=r"stands where its observed belongs"):
        require_shape(wrong)


@pytest.mark.parametrize("name", ["key", "stage", "inputs", "folder", "ran"])
def test_a_part_of_another_type_is_named(name: str, record: dict[str, Any]) -> None:
    """With the first letters of what stands there."""
    with pytest.raises(TypeError, match=f"17 stands where its {name} belongs|'17' stands"):
        require_shape({**record, name: 17})


def test_entries_are_counted_apart_from_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs and one that failed, two are entries."""
    monkeypatch.chdir(tmp_path)

    def halves(x: int) -> float:
        return 1 / x

    stage = Stage(halves, "x", "work")
    stage.run(1), stage.run(2)
    with pytest.raises(ZeroDivisionError):
        stage.run(0)
    room = room_of(Layout(str(tmp_path / "work"), "halves"))
    assert (2, 1) == (room.entries, len(room.marks))


def test_folders_of_runs_around_a_path(tmp_path: Path) -> None:
    """Those below the root that may be a run's own, and none above or beside it."""
    inside = tmp_path / "work" / "bet" / "0a1b2c3d" / "sub"
    beside = tmp_path / "other" / "bet" / "0a1b2c3d"
    for each in (inside, beside):
        each.mkdir(parents=True)
    root = str(tmp_path / "work")
    found = folders_around(root, [str(inside / "x.nii"), str(beside / "x.nii")])
    assert {str(inside), str(inside.parent)} == found
