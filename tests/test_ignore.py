"""Parameters that do not count, as joblib's ``ignore`` has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from memori import Stage
from memori.neuro import NipypeStage, ShellStage


def fit(x: int, n_jobs: int = 1, *, verbose: bool = False, **more: object) -> list[object]:
    return [x, n_jobs, verbose]


def test_an_ignored_parameter_is_passed_and_does_not_count(tmp_path: Path) -> None:
    """Whatever its value, the run is remembered as one; what counts is told as ever."""
    stage = Stage(fit, "o", tmp_path, ignore=["n_jobs", "verbose"])
    assert {"o": [1, 2, True]} == stage.run(1, 2, verbose=True)
    assert {"o": [1, 2, True]} == stage.run(1, 8)
    assert not stage.state
    assert ["input x: 1 -> 2"] == [str(change) for change in stage.explain(2, 9).changes]
    assert {"o": [2, 9, False]} == stage.run(2, 9)


def test_a_single_name_is_one_name(tmp_path: Path) -> None:
    """And no sequence of letters."""
    stage = Stage(fit, "o", tmp_path, ignore="n_jobs")
    stage.run(1, 2)
    assert stage.is_remembered(1, 3)


def test_a_parameter_called_ignore_is_a_parameter(tmp_path: Path) -> None:
    """The option is then set by `with_options`."""

    def clean(x: int, ignore: list[str]) -> list[str]:
        return ignore

    stage = Stage(clean, hash_output=tmp_path, ignore=["cerebellum"])
    assert {"output": ["cerebellum"]} == stage.run(1)
    assert not stage.is_remembered(2)
    assert stage.with_options(ignore=["x"]).run(1)
    assert stage.with_options(ignore=["x"]).is_remembered(2)
    assert not stage.with_options(ignore=[]).is_remembered(2)


def test_a_name_of_no_parameter_is_refused() -> None:
    """With the nearest spelling."""

    def plain(x: int, verbose: bool = False) -> int:
        return x

    with pytest.raises(TypeError, match="ignore: takes no 'verbos'; did you mean 'verbose'"):
        Stage(plain, ignore=["verbos"])


def test_extra_arguments_can_be_ignored(tmp_path: Path) -> None:
    """Positional ones by ``*NAME``, keywords by their names."""

    def total(x: int, *notes: str, **more: object) -> int:
        return x

    stage = Stage(total, hash_output=tmp_path, ignore=["*notes", "verbose"])
    stage.run(1, "a", verbose=1)
    assert stage.is_remembered(1, "b", verbose=2)
    assert stage.is_remembered(1)
    assert not stage.is_remembered(1, "a", other=2)


def test_a_file_of_an_ignored_parameter_does_not_count(tmp_path: Path) -> None:
    """Neither as an input nor as something that the run was seen to read."""

    def weigh(path: str, log: str) -> int:
        return len(Path(path).read_text() + Path(log).read_text()[:0])

    data, log, other = (tmp_path / name for name in ("data", "log", "other"))
    for each in (data, log, other):
        each.write_text("abc")
    stage = Stage(weigh, hash_output=tmp_path / "work", ignore=["log"])
    stage.run(data, log)
    log.write_text("changed")
    assert stage.is_remembered(data, log)
    log.unlink()
    assert stage.is_remembered(data, other)
    data.write_text("changed")
    assert not stage.is_remembered(data, other)


def test_a_field_of_a_command_can_be_ignored(tmp_path: Path) -> None:
    """In the template, in ``env=``, and where it names a folder."""
    (tmp_path / "scratch").mkdir()
    stage = ShellStage(
        "sh -c 'echo {x}' {scratch} {jobs}",
        env={"JOBS": "{jobs:int}", "MODE": "fast-{jobs:int}"},
        hash_output=tmp_path / "work",
        ignore=["scratch", "jobs"],
    )
    stage.run(x=1, scratch=tmp_path / "scratch", jobs=2)
    (tmp_path / "scratch/file").write_text("x")
    assert stage.is_remembered(x=1, scratch=tmp_path / "scratch", jobs=3)
    assert not stage.is_remembered(x=2, scratch=tmp_path / "scratch", jobs=2)
    other = stage.with_options(env={"JOBS": "{jobs:int}", "MODE": "slow-{jobs:int}"})
    assert not other.is_remembered(x=1, scratch=tmp_path / "scratch", jobs=2)


def test_a_trait_of_an_interface_can_be_ignored(tmp_path: Path) -> None:
    """The others count as ever."""
    from nipype.interfaces.utility import Merge

    stage = NipypeStage(Merge(2), hash_output=tmp_path, ignore=["in2"])
    assert {"out": [1, 2]} == stage.run(in1=1, in2=2)
    assert stage.is_remembered(in1=1, in2=3)
    assert not stage.is_remembered(in1=2, in2=2)
    with pytest.raises(TypeError, match="takes no 'in3'"):
        NipypeStage(Merge(2), ignore=["in3"])


def test_reads_are_ignored_in_all_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting for files that no result depends on, such as locks of a shared place."""
    lock, settings = tmp_path / "a.lock", tmp_path / "settings"

    def read(x: int) -> str:
        return lock.read_text() + settings.read_text()

    stage = Stage(read, "o", tmp_path / "work")
    monkeypatch.setenv("MEMORI_IGNORE_READS", f"*.lock:{tmp_path / 'none'}")
    for path in (lock, settings):
        path.write_text("1")
    stage.run(1)
    lock.write_text("2")
    assert stage.is_remembered(1)
    settings.write_text("2")
    assert not stage.is_remembered(1)


def test_what_is_ignored_may_lie_in_a_folder_that_looks_like_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by its path, or by a pattern that is meant from here."""
    folder = tmp_path / "run[1]"
    (folder / "locks").mkdir(parents=True)
    monkeypatch.chdir(folder)
    named, fitting = folder / "named.txt", folder / "locks" / "a.lock"

    def read(x: int) -> str:
        return named.read_text() + fitting.read_text()

    stage = Stage(read, "o", "work")
    monkeypatch.setenv("MEMORI_IGNORE_READS", f"{named}:locks/*.lock")
    for text in ("1", "2"):
        named.write_text(text)
        fitting.write_text(text)
        stage.run(1)
    assert not stage.state
