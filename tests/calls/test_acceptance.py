"""Outputs that a person accepts for changed code or inputs, and outputs from before memori."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memori import Folder, Pipeline, Stage, StageError, workdir
from memori.cli import main
from memori.neuro import NipypeStage, ShellStage
from memori.store import Memory
from memori.watch.check import holds
from memori.watch.present import Present

SCALE = 2


def double(in_file: str, times: int = 2) -> str:
    path = workdir() / "doubled.txt"
    path.write_text(Path(in_file).read_text() * times)
    return str(path)


def double_again(in_file: str, times: int = 2) -> str:
    path = workdir() / "doubled.txt"
    text = Path(in_file).read_text()
    path.write_text(text * times)
    return str(path)


def double_otherwise(in_file: str, times: int = 2) -> str:
    path = workdir() / "doubled.txt"
    path.write_text(Path(in_file).read_text() * (times + 1))
    return str(path)


def shout(doubled: str) -> str:
    return Path(doubled).read_text().upper()


def shout_loudly(doubled: str) -> str:
    text = Path(doubled).read_text()
    return text.upper()


@pytest.fixture
def in_file(tmp_path: Path) -> str:
    path = tmp_path / "in.txt"
    path.write_text("ab")
    return str(path)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    def make(function: Callable[..., Any], name: str = "double", **options: Any) -> Stage:
        return Stage(function, "doubled", tmp_path / "work", name, **options)

    return make


# Accepting


def test_accepted_outputs_hit_with_edited_code(stage: Callable[..., Stage], in_file: str) -> None:
    """Nobody reruns hours for a rename: nothing runs, and the same file comes back."""
    path = stage(double).run(in_file)["doubled"]
    edited = stage(double_again)
    assert not edited.is_remembered(in_file)
    assert edited.accept(in_file).hit
    assert path == edited.run(in_file)["doubled"]
    assert not edited.state


def test_an_entry_and_explain_say_what_was_accepted(
    stage: Callable[..., Stage], in_file: str, tmp_path: Path
) -> None:
    """Who, where, when, and each difference with old and new; the run's own facts stay."""
    stage(double).run(in_file)
    (before,) = Memory(str(tmp_path / "work")).entries("double")
    edited = stage(double_again)
    edited.accept(in_file)
    entry = edited.explain(in_file).entry
    assert entry is not None
    (accepted,) = entry.record["accepted"]
    assert {"at", "by", "host", "changes"} == set(accepted)
    assert os.uname().nodename == accepted["host"]
    kinds = {change["kind"] for change in accepted["changes"]}
    assert {"code"} == kinds
    assert before.record["ran"] == entry.record["ran"]
    text = str(edited.explain(in_file))
    assert "accepted 2" in text
    assert "double_again is new" in text
    assert '"accepted"' in (tmp_path / "work" / "double.stage").read_text()


def test_the_old_code_still_hits(stage: Callable[..., Stage], in_file: str) -> None:
    """Going back to a branch is a hit as ever, also after the accepted entry is forgotten."""
    stage(double).run(in_file)
    edited = stage(double_again)
    edited.accept(in_file)
    assert stage(double).is_remembered(in_file)
    assert edited.forget(in_file)
    assert stage(double).is_remembered(in_file)
    assert stage(double).forget(in_file)
    assert not Path(in_file).parent.joinpath("work", "double", "latest", "doubled.txt").exists()


def test_later_edits_are_compared_with_what_was_accepted(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """Accepting is for one state, and not for what is edited after it."""
    stage(double).run(in_file)
    edited = stage(double_again)
    edited.accept(in_file)
    assert not stage(double_otherwise).is_remembered(in_file)
    Path(in_file).write_text("other")
    decision = edited.explain(in_file)
    assert ["file"] == [change.kind for change in decision.changes]


def test_a_changed_input_file_is_accepted(stage: Callable[..., Stage], in_file: str) -> None:
    """A header that was touched up, say; the next change of the file is a miss again."""
    double_stage = stage(double)
    path = double_stage.run(in_file)["doubled"]
    Path(in_file).write_text("cd")
    (change,) = double_stage.explain(in_file).changes
    decision = double_stage.accept(in_file)
    assert change.subject in "".join(decision.accepted)
    assert path == double_stage.run(in_file)["doubled"]
    Path(in_file).write_text("ef")
    assert not double_stage.is_remembered(in_file)


def test_what_the_run_read_is_accepted_as_it_is_now(tmp_path: Path) -> None:
    """A settings file, a listed folder and a name that was not there count from now on."""
    settings, folder = tmp_path / "settings", tmp_path / "folder"
    settings.write_text("1")
    folder.mkdir()
    absent = tmp_path / "absent"

    def read(x: int) -> int:
        try:
            absent.read_text()
        except OSError:
            pass
        return x + int(settings.read_text()) + len(os.listdir(folder))

    stage = Stage(read, "out", tmp_path / "work")
    stage.run(1)
    settings.write_text("2")
    (folder / "new").touch()
    absent.write_text("here")
    decision = stage.accept(1)
    assert 3 == len([line for line in decision.accepted[0].split("; ") if "which the run" in line])
    assert 2 == stage.run(1)["out"]
    assert not stage.state
    for path, text in ((settings, "3"), (absent, "there"), (folder / "newer", "")):
        kept = path.read_text() if path.exists() else None
        path.write_text(text)
        assert not stage.is_remembered(1), path
        if kept is None:
            path.unlink()
        else:
            path.write_text(kept)
        assert stage.is_remembered(1), path


def test_the_tools_of_an_accepted_run_count_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are now; an upgrade after that has the stage run."""
    version, program = tmp_path / "etc" / "fslversion", tmp_path / "bin" / "fslmaths"
    for path, text in ((version, "6.0.5"), (program, "#!/bin/sh\nexit 0\n")):
        path.parent.mkdir()
        path.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("FSLDIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def by_tool(x: int) -> str:
        return subprocess.check_output(["fslmaths"], text=True)

    stage = Stage(by_tool, "out", tmp_path / "work")
    stage.run(1)
    version.write_text("6.0.7")
    assert "6.0.5" in stage.accept(1).accepted[0]
    stage.run(1)
    assert not stage.state
    version.write_text("6.0.9")
    assert "6.0.7" in str(stage.explain(1))
    stage.run(1)
    assert stage.state


def test_a_folder_that_a_program_was_told_of_counts_from_then_on(tmp_path: Path) -> None:
    """Of an accepted run as well."""
    subjects = tmp_path / "subjects"
    subjects.mkdir()
    (subjects / "a").write_text("1")
    root = str(tmp_path / "work")
    record = {"root": root, "trees": [["../subjects", "0" * 64]]}
    facts = Present(record, root, None, {}, lambda _: False).facts
    now = facts.to_record(root)
    assert holds(now, root, None)
    (subjects / "a").write_text("2")
    assert not holds(now, root, None)


def test_force_runs_what_was_accepted(stage: Callable[..., Stage], in_file: str) -> None:
    """A forced run replaces the accepted entry by its own, which nobody accepted."""
    old = stage(double).run(in_file)["doubled"]
    edited = stage(double_otherwise)
    edited.accept(in_file)
    new = edited.run(in_file, force_run_stage=True)["doubled"]
    assert edited.state
    assert "ababab" == Path(new).read_text()
    assert () == edited.explain(in_file).accepted
    assert "abab" == Path(old).read_text()
    assert stage(double).is_remembered(in_file)


def test_an_output_that_was_edited_by_hand_is_accepted(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """A corrected brain mask is the present output; the edit is told."""
    double_stage = stage(double)
    path = Path(double_stage.run(in_file)["doubled"])
    path.write_text("corrected")
    assert "edited" in double_stage.accept(in_file).accepted[0]
    assert str(path) == double_stage.run(in_file)["doubled"]
    assert not double_stage.state
    path.write_text("corrected again")
    assert not double_stage.is_remembered(in_file)


def test_accepting_twice_tells_both(stage: Callable[..., Stage], in_file: str) -> None:
    """What was waved through before is not forgotten."""
    stage(double).run(in_file)
    edited = stage(double_again)
    edited.accept(in_file)
    Path(in_file).write_text("cd")
    assert 2 == len(edited.accept(in_file).accepted)


def test_accepting_what_is_remembered_changes_nothing(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """A hit has nothing to wave through."""
    double_stage = stage(double)
    double_stage.run(in_file)
    decision = double_stage.accept(in_file)
    assert decision.hit
    assert () == decision.accepted


# What is missing or half


def test_missing_outputs_are_not_accepted(stage: Callable[..., Stage], in_file: str) -> None:
    """The error names the output and its place."""
    path = stage(double).run(in_file)["doubled"]
    os.unlink(path)
    with pytest.raises(StageError, match=r"'double'.*doubled \(.*doubled.txt\) is missing"):
        stage(double_again).accept(in_file)
    assert not stage(double_again).is_remembered(in_file)


def test_a_call_that_never_ran_is_not_accepted(stage: Callable[..., Stage], tmp_path: Path) -> None:
    """One subject never gets the results of another."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    with pytest.raises(StageError, match="no run is recorded"):
        stage(double).accept(str(tmp_path / "one"))
    stage(double).run(str(tmp_path / "one"))
    with pytest.raises(StageError, match=r"no recorded run has these inputs \(input in_file"):
        stage(double).accept(str(tmp_path / "two"))
    with pytest.raises(StageError, match="it runs at every call"):
        Stage(double).accept(str(tmp_path / "one"))


@pytest.mark.parametrize("cut", [b"", b"half"], ids=["empty", "cut off"])
def test_half_an_output_is_not_accepted(tmp_path: Path, cut: bytes) -> None:
    """A file of a known format that is no whole one, as a full disk leaves it."""
    nib = pytest.importorskip("nibabel")
    np = pytest.importorskip("numpy")

    def make(n: int) -> str:
        path = workdir() / "image.nii.gz"
        nib.Nifti1Image(np.arange(n**3, dtype="f4").reshape((n,) * 3), np.eye(4)).to_filename(path)
        return str(path)

    stage = Stage(make, "image", tmp_path / "work")
    path = Path(stage.run(8)["image"])
    path.write_bytes(path.read_bytes()[:200] if cut else b"")
    with pytest.raises(StageError, match="it is not whole"):
        stage.accept(8)


def test_a_folder_that_changed_is_not_accepted(tmp_path: Path) -> None:
    """Nobody knows whether what is left of it is whole."""

    def make(n: int) -> Folder:
        folder = workdir() / "subject"
        folder.mkdir()
        for each in range(n):
            (folder / f"{each}.txt").write_text("x")
        return Folder(folder)

    stage = Stage(make, "subject", tmp_path / "work")
    folder = Path(stage.run(3)["subject"])
    (folder / "1.txt").unlink()
    with pytest.raises(StageError, match="nobody knows whether the folder is whole"):
        stage.accept(3)


def test_what_a_failed_run_left_is_not_accepted(tmp_path: Path) -> None:
    """A run that wrote over an output and then failed leaves half of it."""
    out = tmp_path / "out.txt"

    def write(x: int) -> str:
        out.write_text("whole")
        return str(out)

    def fail(x: int) -> str:
        out.write_text("ha")
        raise OSError("disk full")

    Stage(write, "out", tmp_path / "work", "write").run(1)
    failing = Stage(fail, "out", tmp_path / "work", "write")
    with pytest.raises(OSError, match="disk full"):
        failing.run(1)
    with pytest.raises(StageError, match="a run with these inputs failed since"):
        failing.accept(1)


def test_a_file_that_the_run_wrote_elsewhere_must_be_there(tmp_path: Path) -> None:
    """It belongs to the entry as much as a declared output."""
    report = tmp_path / "report.txt"

    def write(x: int) -> int:
        report.write_text(str(x))
        return x

    stage = Stage(write, "out", tmp_path / "work")
    stage.run(1)
    report.unlink()
    with pytest.raises(StageError, match=r"wrote .*report.txt, which is missing"):
        stage.accept(1)


# Inputs and names that changed


def test_a_new_parameter_with_its_default_is_accepted(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """`verbose=False` was added; the run of before is meant."""

    def more(in_file: str, times: int = 2, verbose: bool = False) -> str:
        return double(in_file, times)

    path = stage(double).run(in_file)["doubled"]
    edited = stage(more)
    assert "input verbose is new" in edited.accept(in_file).accepted[0]
    assert path == edited.run(in_file)["doubled"]
    fresh = stage(more, "fresh")
    stage(double, "fresh").run(in_file)
    with pytest.raises(StageError, match=r"\(input verbose is new\)"):
        fresh.accept(in_file, verbose=True)


def test_a_renamed_parameter_output_and_stage_are_accepted(
    stage: Callable[..., Stage], in_file: str, tmp_path: Path
) -> None:
    """A rename of anything costs no run; that of the stage is to be said."""

    def renamed(image: str, times: int = 2) -> str:
        return double(image, times)

    path = stage(double).run(in_file)["doubled"]
    new = Stage(renamed, "twice", tmp_path / "work")
    with pytest.raises(StageError, match="no run is recorded"):
        new.accept(in_file)
    decision = new.accept(in_file, accept_from="double")
    assert "stage name: double -> renamed" in decision.accepted[0]
    assert {"twice": path} == new.run(in_file)
    assert not new.state
    assert stage(double).forget(in_file)
    assert new.is_remembered(in_file), "the file that both hold stays"


def test_a_changed_value_is_accepted_if_it_is_named(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """What makes no difference (n_jobs) is for the user to say, by name."""
    path = stage(double).run(in_file, times=2)["doubled"]
    with pytest.raises(StageError, match="input times: 2 -> 4"):
        stage(double).accept(in_file, times=4)
    stage(double).accept(in_file, times=4, accept_inputs="times")
    assert path == stage(double).run(in_file, times=4)["doubled"]


def test_of_several_runs_that_can_be_meant_none_is_taken(
    stage: Callable[..., Stage], in_file: str
) -> None:
    """A parameter that is gone had two values: which result stands is not guessed."""

    def without(in_file: str) -> str:
        return double(in_file)

    for times in (2, 3):
        stage(double).run(in_file, times)
    with pytest.raises(StageError, match="several recorded runs can be meant"):
        stage(without).accept(in_file)
    stage(without).accept(in_file, accept_inputs=["times"])
    assert stage(without).is_remembered(in_file)


def test_an_expired_run_that_is_accepted_counts_from_then(
    stage: Callable[..., Stage], in_file: str, tmp_path: Path
) -> None:
    """Its age is that of the acceptance."""
    weekly = stage(double, expires_after="7 days")
    weekly.run(in_file)
    (entry,) = Memory(str(tmp_path / "work")).entries("double")
    entry.record["ran"]["at"] = "2020-01-01T00:00:00Z"
    Path(entry.path).write_bytes(entry.to_bytes())
    assert not weekly.is_remembered(in_file)
    assert "has expired" in weekly.accept(in_file).accepted[0]
    assert weekly.is_remembered(in_file)

    (entry,) = Memory(str(tmp_path / "work")).entries("double")
    entry.record["accepted"][0]["at"] = "2021-01-01T00:00:00Z"
    Path(entry.path).write_bytes(entry.to_bytes())
    assert not weekly.is_remembered(in_file)
    weekly.accept(in_file)
    assert weekly.is_remembered(in_file)


# Pipelines and kinds of stages


def test_a_pipeline_accepts_in_order_and_all_or_nothing(
    stage: Callable[..., Stage], in_file: str, tmp_path: Path
) -> None:
    """What is below an accepted stage hits; what cannot be accepted leaves all as it was."""

    def of(one: Callable[..., Any], two: Callable[..., Any]) -> Pipeline:
        first = stage(one)
        second = Stage(two, "shouted", tmp_path / "work", "shout")
        return Pipeline([(first, second), ("start", first)])

    results = of(double, shout).run(in_file)
    never = of(double_again, shout_loudly)
    (tmp_path / "work" / "shout.stage").unlink()
    for entry in Memory(str(tmp_path / "work")).entries("shout"):
        Path(entry.path).unlink()
    with pytest.raises(StageError, match="'shout'"):
        never.accept({"in_file": in_file})
    assert not never.stages[0].is_remembered(in_file)  # type: ignore[attr-defined]

    of(double, shout).run(in_file)
    edited = of(double_again, shout_loudly)
    decisions = edited.accept({"in_file": in_file})
    assert ["double", "shout"] == [each.stage_name for each in decisions]
    assert results == edited.run(in_file=in_file)
    assert not edited.state
    ((_, again),) = edited.map([{"in_file": in_file}])
    assert () == again.ran


def test_a_command_and_an_interface_are_accepted(tmp_path: Path) -> None:
    """Stages of every kind; a changed template or option is a change like any other."""
    nipype = pytest.importorskip("nipype.interfaces.utility")
    (tmp_path / "a.txt").write_text("b\na\n")
    options = {"outputs": {"out": "out.txt"}, "hash_output": tmp_path / "work"}
    first = ShellStage("sort {in_file} -o {out}", stage_name="sort", **options)
    path = first.run(tmp_path / "a.txt")["out"]
    edited = ShellStage("sort -f {in_file} -o {out}", stage_name="sort", **options)
    edited.accept(tmp_path / "a.txt")
    assert (path, False) == (edited.run(tmp_path / "a.txt")["out"], edited.state)

    def interface(function: str) -> NipypeStage:
        node = nipype.Function(["x"], ["out"])
        node.inputs.function_str = function
        return NipypeStage(node, hash_output=tmp_path / "work", stage_name="node")

    assert 2 == interface("def f(x):\n    return 2 * x").run(x=1)["out"]
    renamed = interface("def f(x):\n    return x * 2")
    renamed.accept(x=1, accept_inputs=["function_str"])
    assert (2, False) == (renamed.run(x=1)["out"], renamed.state)


# Adopting


def test_adopted_outputs_hit(stage: Callable[..., Stage], in_file: str, tmp_path: Path) -> None:
    """Files from before memori are filed where they lie; the entry says so."""
    old = tmp_path / "derivatives.txt"
    old.write_text("abab")
    decision = stage(double).adopt(old, in_file)
    assert "made before it was remembered" in str(decision)
    double_stage = stage(double)
    assert {"doubled": str(old)} == double_stage.run(in_file)
    assert not double_stage.state
    old.write_text("edited")
    assert not double_stage.is_remembered(in_file)


def test_adopted_outputs_are_checked(stage: Callable[..., Stage], in_file: str) -> None:
    """What is missing, half, not all or remembered already is an error, and no failed run."""
    folder = Path(in_file).parent
    double_stage = stage(double)
    with pytest.raises(StageError, match=r"there is no .*nothing.nii.gz"):
        double_stage.adopt(folder / "nothing.nii.gz", in_file)
    half = folder / "half.nii.gz"
    half.write_bytes(gzip.compress(b"no header"))
    with pytest.raises(StageError, match="not a whole file of its format"):
        double_stage.adopt(half, in_file)
    two = Stage(double, ["a", "b"], folder / "work", "two")
    with pytest.raises(StageError, match="a, b: a value is needed for each"):
        two.adopt({"a": 1}, in_file)
    assert two.adopt({"a": 1, "b": "n/a"}, in_file).hit
    assert [] == list(Memory(str(folder / "work")).unfinished())
    double_stage.run(in_file)
    with pytest.raises(StageError, match="remembers this very call"):
        double_stage.adopt(in_file, in_file)


def test_an_output_that_an_input_names_is_adopted(tmp_path: Path) -> None:
    """`out="smooth.nii"`: the file stands for the product, not for something that was read."""

    def write(x: int, out: str) -> str:
        Path(out).write_text(str(x))
        return out

    out = tmp_path / "out.txt"
    out.write_text("1")
    stage = Stage(write, "written", tmp_path / "work")
    stage.adopt(str(out), 1, str(out))
    stage.run(1, str(out))
    assert not stage.state


# The command line


def test_memori_accept_and_adopt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script's comment was edited; an output is older than memori: neither runs."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    script = Path("up.sh")
    script.write_text('#!/bin/sh\necho ran\ntr a-z A-Z < "$1" > "$2"\n')
    script.chmod(0o755)
    words = ["-o", "b.txt", "--", "./up.sh", "a.txt", "b.txt"]
    assert 0 == main(["run", *words])
    script.write_text(script.read_text() + "# a comment\n")
    assert 0 == main(["accept", *words])
    assert "up.sh (words[0]) edited" in capsys.readouterr().out
    ran = Path("b.txt").stat().st_ctime_ns
    assert 0 == main(["run", *words])
    assert ran == Path("b.txt").stat().st_ctime_ns

    older = ["-o", "c.txt", "--", "./up.sh", "a.txt", "c.txt"]
    assert 1 == main(["adopt", *older])
    assert "c.txt (-o): it is not there" in capsys.readouterr().err
    assert 1 == main(["adopt", *older[2:]])
    Path("c.txt").write_text("from before")
    assert 0 == main(["adopt", *older])
    assert 0 == main(["run", *older])
    assert "from before" == Path("c.txt").read_text()
    capsys.readouterr()
    assert 0 == main(["show", "--accepted"])
    shown = capsys.readouterr().out.splitlines()
    assert 2 == len(shown)
    assert "made before it was remembered" in shown[0]
    assert 0 == main(["show"])
    assert "no failed run" in capsys.readouterr().out
    Path("b.txt").unlink()
    script.write_text("#!/bin/sh\n")
    assert 1 == main(["accept", *words])
    assert "missing" in capsys.readouterr().err
