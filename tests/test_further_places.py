"""A second place to look in: what a lab has finished serves all, and is never written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memori import MemoriWarning, Pipeline, Stage, workdir
from memori.neuro import ShellStage

CALLS: list[str] = []


def made(text: str) -> str:
    """Write a file in the run's own folder."""
    CALLS.append("made")
    path = os.path.join(workdir(), "made.txt")
    Path(path).write_text(text)
    return path


def used(path: str, times: int = 1) -> str:
    CALLS.append("used")
    return Path(path).read_text() * times


def pipeline_in(*places: Path) -> Pipeline:
    """Two stages, the second one given the first one's file."""
    first = Stage(made, "path", list(places))
    return Pipeline([("start", first), (first, Stage(used, "text", list(places)))])


def content_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder: the times of last change, and bytes."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Path]:
    """A place that a colleague filled, and that nobody else may write."""
    pipeline_in(tmp_path / "group").run(text="a")
    CALLS.clear()
    group = tmp_path / "group"
    for path in [group, *group.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    yield group
    for path in [group, *group.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def test_what_the_group_finished_is_not_run_again_and_nothing_is_written(
    tmp_path: Path, group: Path
) -> None:
    """Its files stay where they are; a stage below one that hit there hits there as well."""
    before = content_of(group)
    pipeline = pipeline_in(tmp_path / "mine", group)
    assert "a" == pipeline.run(text="a")["text"]
    assert [] == CALLS
    assert before == content_of(group)
    assert not list((tmp_path / "mine").rglob("stages"))
    assert f"hit in {group}" in str(pipeline.explain(text="a"))


def test_what_is_new_is_recorded_in_ones_own_place_and_found_there(
    tmp_path: Path, group: Path
) -> None:
    """Also where its input lies in the group's, and after the group's is gone."""
    mine = tmp_path / "mine"
    path = Stage(made, "path", [mine, group]).run(text="a")["path"]
    assert path.startswith(f"{group}/")
    stage = Stage(used, "text", [mine, group])
    before = content_of(group)
    assert "aa" == stage.run(path=path, times=2)["text"] == stage.run(path=path, times=2)["text"]
    assert ["used"] == CALLS
    assert before == content_of(group)
    assert "b" == pipeline_in(mine, group).run(text="b")["text"]
    assert ["used", "made", "used"] == CALLS
    assert "b" == pipeline_in(mine).run(text="b")["text"]
    assert ["used", "made", "used"] == CALLS


def test_an_edited_file_of_the_group_is_no_hit(tmp_path: Path, group: Path) -> None:
    """Nothing stale comes back from there either."""
    [path] = [each for each in group.rglob("made.txt") if not each.is_symlink()][:1]
    path.chmod(0o644)
    path.write_text("edited")
    assert "a" == pipeline_in(tmp_path / "mine", group).run(text="a")["text"]
    assert ["made", "used"] == CALLS or ["made"] == CALLS


def test_ones_own_place_comes_first(tmp_path: Path, group: Path) -> None:
    """And the further ones in their order."""
    mine, second = tmp_path / "mine", tmp_path / "second"
    Stage(made, "path", second).run(text="b")
    stage = Stage(made, "path", [mine, group, second])
    assert stage.run(text="b")["path"].startswith(f"{second}/")
    Stage(made, "path", mine).run(text="b")
    assert stage.run(text="b")["path"].startswith(f"{mine}/")


def test_a_place_that_is_not_there_is_said_once_and_does_no_harm(tmp_path: Path) -> None:
    """A mount that is missing would make hours run again unseen."""
    places = [tmp_path / "mine", tmp_path / "not mounted" / "{sub}"]
    with pytest.warns(MemoriWarning, match="further place .*not mounted, which is not there"):
        stage = Stage(made, "path", places)
    assert (
        stage.run(sub="1", text="a")["path"]
        == Stage(made, "path", places).run(sub="1", text="a")["path"]
    )


def test_forget_and_force_leave_the_group_alone(tmp_path: Path, group: Path) -> None:
    """One's own record alone is forgotten or replaced."""
    before = content_of(group)
    stage = Stage(made, "path", [tmp_path / "mine", group])
    assert not stage.forget(text="a")
    assert stage.run(text="a", force_run_stage=True)["path"].startswith(f"{tmp_path}/mine/")
    assert stage.forget(text="a")
    assert stage.run(text="a")["path"].startswith(f"{group}/")
    assert before == content_of(group)


def test_a_moved_place_and_fields_and_options(tmp_path: Path) -> None:
    """Commands as well; the further places follow `with_options`, and are filled by inputs."""
    template = "cp {source} {copy}"
    outputs = {"copy": "copy.txt"}
    made_in = ShellStage(template, outputs, hash_output=tmp_path / "old" / "{sub}")
    source = tmp_path / "a.txt"
    source.write_text("a")
    made_in.run(sub="1", source=str(source))
    shutil.move(tmp_path / "old", tmp_path / "new")
    stage = ShellStage(
        template,
        outputs,
        hash_output=[tmp_path / "mine" / "{sub}", tmp_path / "new" / "{sub}"],
    ).with_options(stage_name=made_in.stage_name)
    result = stage.run(sub="1", source=str(source))
    assert result["copy"].startswith(f"{tmp_path}/new/1/")
    assert not stage.state
    assert stage.run(sub="2", source=str(source))["copy"].startswith(f"{tmp_path}/mine/2/")


def test_an_empty_list_is_no_place(tmp_path: Path) -> None:
    """It is said when the stage is made."""
    with pytest.raises(ValueError, match="hash_output is an empty list"):
        Stage(made, "path", [])


def test_files_of_the_group_are_brought_if_that_is_asked_for(
    tmp_path: Path, group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting a hit there is one's own from then on, and needs the group no more."""
    monkeypatch.setenv("MEMORI_FURTHER", "copy")
    before = content_of(group)
    pipeline = pipeline_in(tmp_path / "own", group)

    result = pipeline.run(text="a")
    assert CALLS == []
    assert result["path"].startswith(str(tmp_path / "own"))
    assert Path(result["path"]).read_text() == "a"
    assert before == content_of(group)
    os.utime(result["path"])
    Path(result["path"]).write_text("a")  # it can be written to
    assert pipeline_in(tmp_path / "own").run(text="a").ran == ()
    assert CALLS == []


def test_what_cannot_be_brought_is_pointed_to(
    tmp_path: Path, group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the copy, and nothing runs for it."""
    monkeypatch.setenv("MEMORI_FURTHER", "copy")

    def full(source: str, target: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memori.calls.twin.copy_file", full)
    with pytest.warns(MemoriWarning, match="cannot be copied"):
        result = pipeline_in(tmp_path / "own", group).run(text="a")
    assert result["path"].startswith(str(group))
    assert CALLS == []


OWN = "-dac_override,-dac_read_search"
BOUND = ["setpriv", f"--bounding-set={OWN}", f"--inh-caps={OWN}"] if os.geteuid() == 0 else []
ASKS = """
import sys, warnings
from memori import Stage
from memori.cli import main

def upper(text):
    return text.upper()

warnings.simplefilter("error" if sys.argv[1] == "group" else "always")
stage = Stage(upper, "upper", sys.argv[1:])
print(stage.run("a")["upper"], stage.state, stage.explain("b").hit)
if len(sys.argv) > 2:
    print(main(["ls", "--entries", "group"]), main(["verify", "group"]), main(["why", "group"]))
"""


@pytest.mark.skipif(bool(BOUND) and not shutil.which("setpriv"), reason="root reads all")
@pytest.mark.parametrize("closed", [".memori/stages/upper/??", ".memori"])
def test_what_a_colleague_lets_nobody_read_is_not_there(tmp_path: Path, closed: str) -> None:
    """One with another umask: a warning names the folder, and the work and the commands go on."""
    (tmp_path / "asks.py").write_text(ASKS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    def told(*places: str) -> tuple[str, str]:
        command = [*BOUND, sys.executable, "asks.py", *places]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout, done.stderr

    assert ("A True False\n", "") == told("group")
    folders = list((tmp_path / "group").glob(closed))
    for each in folders:
        each.chmod(0)
    try:
        said, warned = told("own", "group")
    finally:
        for each in folders:
            each.chmod(0o755)
    assert said.startswith("A True False\n"), said
    assert f"memori does not trust {folders[0]}" in warned
    assert ("A False False\n", "") == told("group")
