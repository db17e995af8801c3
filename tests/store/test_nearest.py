"""A miss is explained against the run that is most like the call, not against the latest."""

from __future__ import annotations

from pathlib import Path

import pytest

from memori import Stage
from memori.layout import Layout
from memori.neuro import ShellStage
from memori.store import nearest


def fit(subject: str, fwhm: float = 6.0, *, masks: list[str] | None = None) -> str:
    return subject


def changes(stage: Stage, **inputs: object) -> list[str]:
    return list(map(str, stage.explain(**inputs).changes))


def test_a_changed_parameter_is_told_alone(tmp_path: Path) -> None:
    """Of a subject that ran long ago, whatever others ran since."""
    stage = Stage(fit, hash_output=tmp_path)
    for number in range(60):
        stage.run(subject=f"{number:02}")
    assert ["input fwhm: 6.0 -> 4.0"] == changes(stage, subject="07", fwhm=4.0)
    stage.run(subject="59", fwhm=4.0)
    assert ["input fwhm: 6.0 -> 4.0"] == changes(stage, subject="07", fwhm=4.0)
    assert ["input fwhm: 6.0 -> 4.0"] == changes(
        Stage(fit, hash_output=tmp_path, fwhm=4.0), subject="08"
    )


def test_a_file_tells_subjects_apart_more_than_numbers_do(tmp_path: Path) -> None:
    """Many parameters of one's own subject are nearer than the file of another."""

    def clean(path: str, a: int = 0, b: int = 0, c: int = 0) -> str:
        return path

    stage = Stage(clean, hash_output=tmp_path / "work")
    for name in ("sub-1.txt", "sub-2.txt"):
        (tmp_path / name).write_text(name)
    one, two = (str(tmp_path / name) for name in ("sub-1.txt", "sub-2.txt"))
    stage.run(one)
    stage.run(two)
    stage.run(two, a=1, b=1, c=1)
    assert [f"input {name}: 0 -> 1" for name in "abc"] == changes(stage, path=one, a=1, b=1, c=1)


def test_a_command_is_compared_with_the_same_subjects(tmp_path: Path) -> None:
    """A changed option of a template is told, and not the other subject."""
    stage = ShellStage("echo {subject} {f=0.5}", hash_output=tmp_path)
    for subject in ("sub-1", "sub-2", "sub-3"):
        stage.run(subject)
    assert ["input f: 0.5 -> 0.4"] == changes(stage, subject="sub-1", f=0.4)


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        (["a", "b", "x", "d"], "input masks[2]: 'c' -> 'x'"),
        (["a", "b", "c", "d", "e"], "input masks from [4]: [] -> ['e']"),
        (["b", "c", "d"], "input masks from [0]: ['a'] -> []"),
        (["d", "c", "b", "a"], "input masks: ['a', 'b', 'c', 'd'] -> ['d', 'c', 'b', 'a']"),
        (None, "input masks: ['a', 'b', 'c', 'd'] -> None"),
    ],
)
def test_of_a_list_only_what_differs_is_told(
    tmp_path: Path, masks: list[str] | None, told: str
) -> None:
    """Where it is, and what was and is there."""
    stage = Stage(fit, hash_output=tmp_path)
    stage.run("1", masks=["a", "b", "c", "d"])
    assert [told] == changes(stage, subject="1", masks=masks)


def test_the_file_is_bounded_and_a_torn_one_is_no_harm(tmp_path: Path) -> None:
    """The latest runs are kept; where nothing can be read, the latest run is compared with."""
    stage = Stage(fit, hash_output=tmp_path)
    sketches = Path(Layout(str(tmp_path), "fit").sketches)
    stage.run("1")
    line = sketches.read_bytes()
    sketches.write_bytes(line * (2 * nearest._MOST))
    stage.run("2")
    assert nearest._MOST * len(line) == sketches.stat().st_size
    assert ["input fwhm: 6.0 -> 4.0"] == changes(stage, subject="1", fwhm=4.0)
    for damaged in (b"", b"torn", b"\xff" * 5 * len(line), line[:-1]):
        sketches.write_bytes(damaged)
        assert ["input subject: '2' -> '3'"] == changes(stage, subject="3")


def test_a_nearest_run_that_was_dropped_is_passed_over(tmp_path: Path) -> None:
    """The next one is compared with."""
    stage = Stage(fit, hash_output=tmp_path)
    stage.run("1")
    stage.run("2")
    entry = stage.explain("1").entry
    assert entry is not None
    Path(entry.path).unlink()
    assert ["input subject: '2' -> '1'"] == changes(stage, subject="1")
