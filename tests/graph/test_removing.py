"""What is removed by policy goes safely: kills, edits, links, and who uses it just now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from memori import Pipeline, Stage, workdir
from memori.processes.lock import lock
from memori.store.memory import Memory
from memori.store.use import folder_lock
from tests.graph.keeping import files, first, pipeline, stages


def test_what_a_person_edited_is_not_removed(tmp_path: Path) -> None:
    """A file that is not as its run left it stays, and counts as edited as ever."""
    result = pipeline(tmp_path, "all").run(text="a")
    Path(result["second"]).write_text("by hand")

    kept = pipeline(tmp_path)
    assert not next(each for each in kept.explain(text="a") if each.stage_name == "second").hit
    a, _b, other, _c = stages(tmp_path)
    Pipeline([("start", a), (a, other)], keep="final").run(text="a")
    assert Path(result["second"]).read_text() == "by hand"


def test_what_a_run_is_given_stays_while_it_goes_on(tmp_path: Path) -> None:
    """A folder that somebody uses is left to the next time."""
    result = pipeline(tmp_path, "all").run(text="a")
    (claim,) = (tmp_path / ".memori/stages/first/folders").iterdir()

    with folder_lock(str(claim), shared=True):
        pipeline(tmp_path).run(text="a")
        assert os.path.exists(result["first"])
        assert not os.path.exists(result["second"])
    pipeline(tmp_path).run(text="a")
    assert not os.path.exists(result["first"])


def test_nothing_is_removed_where_locks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can say that a file is in use, it stays."""
    monkeypatch.setattr(lock, "__enter__", lambda self: None)
    pipeline(tmp_path).run(text="a")

    assert "first.txt" in files(tmp_path)


@pytest.mark.parametrize("moment", ["nothing was removed", "half was removed"])
def test_a_kill_while_files_are_removed_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What is noted first and removed then is as good as there, and goes the next time."""
    removed: list[str] = []

    def killed(path: str) -> None:
        if moment == "half was removed" and not removed:
            removed.append(path)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            return
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("memori.store.removing._remove", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline(tmp_path).run(text="a")
    assert pipeline(tmp_path).run(text="a").ran == ()
    assert {"aside.txt", "last.txt"} == files(tmp_path)
    assert pipeline(tmp_path, end="!").run(text="a").ran


def test_what_a_final_output_links_to_stays(tmp_path: Path) -> None:
    """A link that is final leads to a file that is."""

    def link(first: str) -> str:
        path = workdir() / "link.txt"
        path.symlink_to(first)
        return str(path)

    a, _, _, _ = stages(tmp_path)
    kept = Pipeline([("start", a), (a, Stage(link, "link", tmp_path))], keep="final")
    result = kept.run(text="a")
    assert Path(result["link"]).read_text() == "a"
    assert kept.run(text="a").ran == ()


def test_folders_count_by_their_digest_too(tmp_path: Path) -> None:
    """An output that is a folder is removed as a whole, and what was made of it still hits."""

    def convert(text: str) -> str:
        (workdir() / "dicom").mkdir()
        (workdir() / "dicom" / "one").write_text(text)
        return str(workdir() / "dicom")

    def names(folder: str, end: str) -> str:
        return " ".join(sorted(os.listdir(folder))) + end

    def study(end: str) -> Pipeline:
        a = Stage(convert, "folder", tmp_path)
        return Pipeline([("start", a), (a, Stage(names, "names", tmp_path, end=end))], keep="final")

    assert study(".").run(text="a")["names"] == "one."
    assert set() == files(tmp_path)
    assert study(".").run(text="a").ran == ()
    result = study("!").run(text="a")
    assert (result["names"], set(result.ran)) == ("one!", {"convert", "names"})


def test_verify_and_accept_know_of_it(tmp_path: Path) -> None:
    """What was removed by policy is no fault, and can be accepted for edited code."""
    kept = pipeline(tmp_path)
    kept.run(text="a")
    memory = Memory(str(tmp_path))

    assert [] == [fault for stage in memory.stages() for fault in memory.verify(stage)[1]]
    edited = pipeline(tmp_path)
    edited.stages[0].function = lambda text: first(text)  # type: ignore[attr-defined]
    edited.accept(text="a")
    assert edited.run(text="a").ran == ()


def test_a_project_that_is_moved_takes_it_along(tmp_path: Path) -> None:
    """What was removed is noted beside the runs, by paths in their folders."""
    pipeline(tmp_path / "here" / "work").run(text="a")
    (tmp_path / "here").rename(tmp_path / "there")

    assert pipeline(tmp_path / "there" / "work").run(text="a").ran == ()


def test_where_a_lock_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems that lock no parts of files (macOS) tell as well that a folder is in use."""
    monkeypatch.setattr("memori.processes.lock._has_ranges", lambda: False)
    result = pipeline(tmp_path, "all").run(text="a")
    (claim,) = (tmp_path / ".memori/stages/first/folders").iterdir()

    with folder_lock(str(claim), shared=True), folder_lock(str(claim), shared=True):
        pipeline(tmp_path).run(text="a")
        assert os.path.exists(result["first"])
    pipeline(tmp_path).run(text="a")
    assert not os.path.exists(result["first"])
    assert pipeline(tmp_path, end="!").run(text="a").ran
    assert not list((tmp_path / ".memori").glob("locks-*"))
