"""`memori verify` and `memori prune`: is all still there, and what can go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from memori import Folder, Stage, workdir
from memori.cli import main
from memori.neuro import Derivatives

FAILS = [False]


def blur(subject: str, fwhm: int) -> str:
    path = workdir() / f"{subject}.txt"
    path.write_text(f"{subject} {fwhm}" * 100)
    if FAILS[0]:
        raise RuntimeError("no")
    return str(path)


def count(path: str) -> int:
    return len(Path(path).read_text())


def parts(n: int) -> Folder:
    folder = workdir() / "parts"
    folder.mkdir()
    for each in range(n):
        (folder / f"{each}.txt").write_text(str(each))
    return Folder(folder)


def image(n: int) -> str:
    path = workdir() / "image.nii.gz"
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), n, np.float32), np.eye(4)), path)
    return str(path)


def stage() -> Stage:
    return Stage(blur, "blurred", "work")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """What a command answers as JSON."""
    capsys.readouterr()
    assert code == main([*words, "--json"])
    return json.loads(capsys.readouterr().out)


def inputs_left() -> set[tuple[str, int]]:
    """The runs of `blur` that hit."""
    runs = [(s, f) for s in ("01", "02") for f in (4, 6, 8)]
    return {each for each in runs if stage().is_remembered(*each)}


def age(days: float) -> None:
    """Make all that is remembered older."""
    then = time.time() - days * 86_400
    for path in Path("work/.memori/stages").rglob("*-*.json"):
        os.utime(path, (then, then))


# verify


def test_what_is_not_as_runs_left_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, truncated and edited files, also where size and times say nothing."""
    made = {fwhm: stage().run("01", fwhm)["blurred"] for fwhm in (1, 2, 3, 4)}
    assert {"outputs": 4, "faults": []} == asked(capsys, "verify")
    status = os.stat(made[1])
    Path(made[1]).write_text("x" * status.st_size)
    os.utime(made[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    os.unlink(made[2])
    Path(made[3]).write_text(Path(made[3]).read_text()[:-1])
    found = asked(capsys, "verify", code=1)
    assert {"edited": made[1], "missing": made[2], "truncated": made[3]} == {
        each["state"]: each["path"] for each in found["faults"]
    }
    assert 1 == main(["verify"])
    assert "4 outputs, 3 faults\n" in capsys.readouterr().out


def test_folders_and_records_are_verified(capsys: pytest.CaptureFixture[str]) -> None:
    """A file in a folder that is gone, and a record that was edited."""
    made = Stage(parts, hash_output="work").run(3)["output"]
    Stage(count, hash_output="work").run(f"{made}/0.txt")
    assert [] == asked(capsys, "verify")["faults"]
    os.unlink(f"{made}/1.txt")
    (record,) = Path("work/.memori/stages/count").glob("??/*.json")
    record.write_bytes(record.read_bytes().replace(b"count", b"COUNT"))
    with pytest.warns(match="edited by hand"):
        found = asked(capsys, "verify", code=1)
    assert {("count", str(record.absolute())), ("parts", made)} == {
        (each["stage"], each["path"]) for each in found["faults"]
    }


def test_an_image_that_was_packed_anew_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """What counts for a hit counts here; another voxel is a fault."""
    made = Stage(image, hash_output="work").run(1)["output"]
    again = nib.load(made)
    again.header["descrip"] = b"somebody looked"
    nib.save(nib.Nifti1Image(np.asarray(again.dataobj), again.affine, again.header), made)
    assert [] == asked(capsys, "verify")["faults"]
    nib.save(nib.Nifti1Image(np.asarray(again.dataobj) + 1, again.affine), made)
    (fault,) = asked(capsys, "verify", code=1)["faults"]
    assert ("edited", made) == (fault["state"], fault["path"])


def test_a_file_that_runs_write_in_turn_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """What lies there is what one of them wrote; an edit by somebody else is a fault."""

    def write(n: int) -> str:
        Path("out.txt").write_text("x" * n)
        return "out.txt"

    for n in (30, 20, 25):
        Stage(write, hash_output="work", stage_name="write").run(n)
    assert {"outputs": 1, "faults": []} == asked(capsys, "verify")
    Path("out.txt").write_text("another")
    (fault,) = asked(capsys, "verify", code=1)["faults"]
    assert str(Path("out.txt").absolute()) == fault["path"]


# prune


def test_a_folder_without_memory_is_told_of_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt folder is not one in which all is well."""
    assert 0 == main(["prune", "."])
    assert "nothing is remembered below .\n" == capsys.readouterr().out


def test_nothing_goes_unless_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan tells bytes and files; --delete removes just these."""
    for fwhm in (4, 6, 8):
        stage().run("01", fwhm)
    before = sorted(Path("work").rglob("*"))
    plan = asked(capsys, "prune", "--not-latest", "--idle", "0")
    assert before == sorted(Path("work").rglob("*"))
    assert inputs_left() == {("01", 4), ("01", 6), ("01", 8)}
    done = asked(capsys, "prune", "--not-latest", "--idle", "0", "--delete")
    assert {**plan, "deleted": True} == done
    assert {("01", 8)} == inputs_left()
    assert done["bytes"] > 2 * 500
    assert 1 == len([path for path in Path("work/blur").iterdir() if not path.is_symlink()])


def test_the_latest_run_of_each_case_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Of each subject; the latest is the one that was made or hit last."""
    for subject in ("01", "02"):
        for fwhm in (4, 6):
            stage().run(subject, fwhm)
    stage().run("01", 4)  # back to this one
    asked(capsys, "prune", "--not-latest", "--idle", "0", "--delete")
    assert {("01", 4), ("02", 6)} == inputs_left()


def test_criteria_narrow_each_other_down(capsys: pytest.CaptureFixture[str]) -> None:
    """A run goes if it is old, unused and of the stage."""
    stage().run("01", 4)
    Stage(image, hash_output="work").run(1)
    age(40)
    stage().run("02", 4)
    assert 2 == len(asked(capsys, "prune", "--older", "30d")["runs"])
    assert [] == asked(capsys, "prune", "--older", "50d")["runs"]
    (run,) = asked(capsys, "prune", "--older", "30d", "--stage", "blur")["runs"]
    assert "blur" == run["stage"]
    stage().run("01", 4)  # a hit
    assert 2 == len(asked(capsys, "prune", "--older", "30d", "--idle", "0")["runs"])
    (run,) = asked(capsys, "prune", "--unused", "30d")["runs"]
    assert "image" == run["stage"]


def test_what_was_used_lately_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that goes on may hold its paths; so an age of a day is asked in any case."""
    stage().run("01", 4)
    age(2)
    stage().run("02", 4)
    plan = asked(capsys, "prune", "--stage", "blur", "--delete")
    assert (1, ["it was made or used lately (--idle)"]) == (
        len(plan["runs"]),
        [each["why"] for each in plan["kept"]],
    )
    assert {("02", 4)} == inputs_left()


def test_what_a_run_that_stays_was_made_from_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Though it is old; what only it needed goes with it."""
    counted = Stage(count, hash_output="work")
    made = {fwhm: stage().run("01", fwhm)["blurred"] for fwhm in (4, 6)}
    age(40)
    counted.run(made[4])
    plan = asked(capsys, "prune", "--older", "30d", "--delete")
    assert [f"count/{key[:8]} was made from it" for key in [_key("count")]] == [
        each["why"] for each in plan["kept"]
    ]
    assert {("01", 4)} == inputs_left()
    age(40)
    asked(capsys, "prune", "--older", "30d", "--delete")
    assert set() == inputs_left()


def _key(name: str) -> str:
    (path,) = Path(f"work/.memori/stages/{name}").glob("??/*.json")
    return str(json.loads(path.read_bytes())["record"]["key"])


def test_what_a_run_was_seen_to_read_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where no input names it."""
    found = Path(stage().run("01", 4)["blurred"])
    stage().run("01", 6)
    age(40)

    def count_read() -> int:
        return len(found.read_text())

    Stage(count_read, hash_output="work").run()
    asked(capsys, "prune", "--older", "30d", "--delete")
    assert {("01", 4)} == inputs_left()


def test_what_a_derivative_was_made_from_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """The run in whose folder its source lies."""
    source = Stage(image, hash_output="work").run(1)["output"]
    renamed = Path(source).with_name("sub-01_bold.nii.gz")
    Path(source).rename(renamed)
    stage().run("01", 4)

    def keep(n: int) -> str:
        path = workdir() / "sub-01_bold.nii.gz"
        path.write_bytes(renamed.read_bytes())
        return str(path)

    bold = Stage(keep, hash_output="work").run(1)["output"]
    Derivatives("derivatives/x", version="1").save(bold, source=bold, desc="mean", suffix="boldref")
    age(40)
    plan = asked(capsys, "prune", "--older", "30d")
    assert [("keep", "a derivative was made from it")] == [
        (each["stage"], each["why"]) for each in plan["kept"]
    ]


def test_the_least_used_go_until_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were used last stay."""
    for fwhm in (4, 6, 8):
        stage().run("01", fwhm)
        age(10 - fwhm) if fwhm == 4 else None
    each = asked(capsys, "ls", "--entries")[0]["bytes"]
    asked(capsys, "prune", "--keep", f"{2.5 * each}", "--idle", "0", "--delete")
    assert {("01", 6), ("01", 8)} == inputs_left()


KILLED = """
import os, signal
from memori import Stage, workdir
def die(n):
    (workdir() / "half.txt").write_text("x" * 5000)
    os.kill(os.getpid(), signal.SIGKILL)
Stage(die, hash_output="work").run(1)
"""


def test_what_the_dead_left_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """Folders of runs that were killed, with their marks, and old partial files; no failures."""
    subprocess.run([sys.executable, "-c", KILLED], check=False, env={**os.environ})
    stage().run("01", 4)
    FAILS[0] = True
    with pytest.raises(RuntimeError):
        stage().run("01", 6)
    FAILS[0] = False
    partial = Path("work/.memori/stages/blur/.latest.0123.partial")
    fresh = Path("work/.memori/stages/blur/.latest.4567.partial")
    for path in (partial, fresh):
        path.write_text("half")
    os.utime(partial, (0, 0))
    for folder in ("files", "sources", "nodes", "stages/blur/recent"):
        Path("work/.memori", folder).mkdir(exist_ok=True)
        other = Path("work/.memori", folder, ".some.json.89ab.partial")
        other.write_text("half")
        os.utime(other, (0, 0))
    link = Path("work/.memori/stages/blur/.latest.cdef.partial")
    link.symlink_to(Path("work/blur/latest").resolve())
    os.utime(link, (0, 0), follow_symlinks=False)
    plan = asked(capsys, "prune", "--delete")
    assert [*["a partial file"] * 6, "a run that was killed or replaced"] == sorted(
        each["what"] for each in plan["left"]
    )
    assert [fresh] == list(Path("work").rglob("*.partial"))
    assert Path("work/blur/latest").is_dir()
    assert [] == list(Path("work/die").glob("*/half.txt"))
    assert 0 == asked(capsys, "ls", "--stage", "die")[0]["failed"]
    assert 1 == len(list(Path("work/blur").glob("*/failure.txt")))
    asked(capsys, "prune", "--failed", "--delete")
    assert [] == list(Path("work/blur").glob("*/failure.txt"))
    assert {("01", 4)} == inputs_left()


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    """With the reason, and an exit code of 1: on a file system that is read-only."""
    for number in (1, 2):
        Stage(lambda n: n, "n", tmp_path, stage_name="count").run(number)
    asked = "import sys; from memori.cli import main; sys.exit(main())"
    words = ["prune", str(tmp_path), "--not-latest", "--idle", "0", "--delete"]
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77; exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, str(tmp_path), sys.executable, "-c", asked, *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert (1, True) == (done.returncode, "Read-only file system" in done.stderr), done.stderr
    assert "0 B in 0 files and folders removed" in done.stdout


def test_pruning_is_safe_beside_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that goes on keeps its folder, and what was made meanwhile hits."""
    began, over = threading.Event(), threading.Event()

    def wait(n: int) -> str:
        (workdir() / "mine.txt").write_text("mine")
        began.set()
        over.wait(60)
        return (workdir() / "mine.txt").read_text()

    stage().run("01", 4)
    found: list[Any] = []
    waiting = Stage(wait, hash_output="work", code_version="1")
    thread = threading.Thread(target=lambda: found.append(waiting.run(1)["output"]))
    thread.start()
    began.wait(60)
    asked(capsys, "prune", "--older", "0", "--idle", "0", "--failed", "--delete")
    over.set()
    thread.join()
    assert ["mine"] == found
    assert set() == inputs_left()
    assert waiting.is_remembered(1)


def test_a_run_that_is_hit_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at again once it is out of the way."""
    from memori.store import memories_below
    from memori.store.pruning import Wanted, plan, remove

    stage().run("01", 4)
    age(40)
    chosen = plan(memories_below(os.path.abspath("work")), Wanted(older=0))
    assert 1 == len(chosen.going)
    stage().run("01", 4)
    assert 0 == remove(chosen).files
    assert {("01", 4)} == inputs_left()


@pytest.mark.parametrize("words", [["--older", "soon"], ["--keep", "much"]])
def test_what_is_no_age_or_size_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says how they are written."""
    with pytest.raises(SystemExit) as stopped:
        main(["prune", *words])
    assert 2 == stopped.value.code
    assert "write" in capsys.readouterr().err


def test_where_nothing_would_go_it_is_said_how_runs_are_chosen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And with a criterion that chooses none, that none goes."""
    stage().run("01", 4)
    assert 0 == main(["prune", "work"])
    assert "--not-latest" in capsys.readouterr().out
    assert 0 == main(["prune", "work", "--older", "30d"])
    assert "nothing would go" in capsys.readouterr().out
