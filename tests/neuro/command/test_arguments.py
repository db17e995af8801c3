"""Functions that return a command line: how often they are asked, and when an answer stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from memori.neuro.command import call
from memori.neuro.command.stage import ShellStage, Stdout
from memori.watch import watching
from memori.watch.observed import current
from memori.watch.told import adopts

SCRIPT = """
import json, os, sys
from memori.neuro import ShellStage

def logs(word, out):
    with open("calls", "a") as file:
        file.write("x")
    return ["cp", word, out]

def writes(word, out):
    logs(word, out)
    with open("last", "w") as file:
        file.write("x")
    return ["cp", word, out]

def says(word, out):
    import sys
    sys.stderr.write("x")
    return ["cp", word, out]

stage = ShellStage(globals()[sys.argv[1]], outputs={"out": "o.txt"}, hash_output="work")
stage.run("in.txt")
print(json.dumps(stage.state))
"""


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder of its own, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("in.txt").write_text("one")


calls: list[object] = []


def counted(in_file: str, out: str) -> list[str]:
    """Copy a file, and count how often that is asked for."""
    calls.append(in_file)
    return ["cp", in_file, out]


def copying(function: Callable[..., Sequence[object]] = counted, **options: object) -> ShellStage:
    """Return a stage that copies its input."""
    return ShellStage(function, outputs={"out": "o.txt"}, stage_name="copy", **options)  # type: ignore[arg-type]


def test_a_function_is_asked_once_for_a_run_and_never_for_a_hit() -> None:
    """Whether the run is the first, follows explain, is forced, or makes a lost output again."""
    calls.clear()
    stage = copying(hash_output="work")
    out = stage.run("in.txt")["out"]
    assert (1, "one") == (len(calls), Path(out).read_text())
    for _ in range(3):
        stage.run("in.txt")
        assert (1, False) == (len(calls), stage.state)
    assert stage.explain("in.txt").hit
    assert 1 == len(calls)
    os.unlink(out)
    stage.run("in.txt")
    assert (2, True) == (len(calls), stage.state)
    stage.run("in.txt", force_run_stage=True)
    assert 3 == len(calls)
    Path("in.txt").write_text("two")
    assert "two" == Path(stage.run("in.txt")["out"]).read_text()
    assert 4 == len(calls)


def test_a_function_without_a_memory_is_asked_once_for_each_run() -> None:
    """There is nothing to decide."""
    calls.clear()
    stage = copying()
    for times in (1, 2):
        stage.run("in.txt")
        assert times == len(calls)


def test_a_retry_asks_nothing_again() -> None:
    """It is the same run."""
    calls.clear()
    stage = copying(lambda in_file, out: calls.append(1) or ["false"], retries=2)
    with pytest.raises(Exception, match="false exited"):
        stage.run("in.txt")
    assert 1 == len(calls)


def test_another_process_does_not_ask_for_a_hit_either(tmp_path: Path) -> None:
    """What was answered is kept with the user's other caches; losing that costs a call."""
    Path("script.py").write_text(SCRIPT)

    def run() -> tuple[bool, str]:
        done = subprocess.run(
            [sys.executable, "script.py", "says"], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout), done.stderr

    assert (True, "x") == run()
    assert (False, "") == run()
    for kept in (tmp_path / "cache/memori/arguments").iterdir():
        kept.write_text("broken")
    assert (False, "x") == run()
    assert (False, "") == run()


@pytest.mark.parametrize(("function", "times"), [("logs", 1), ("writes", 2)])
def test_a_function_that_does_more_than_answer_is_asked_for_each_decision(
    function: str, times: int
) -> None:
    """Nobody can tell what came of it; a log to which it appends is nothing that counts."""
    Path("script.py").write_text(SCRIPT)
    for expected in (1, times):
        subprocess.run([sys.executable, "script.py", function], capture_output=True, check=True)
        assert expected == len(Path("calls").read_text())


def by_settings(in_file: str) -> list[str]:
    """Take a parameter from a file of settings."""
    return ["echo", json.loads(Path("settings.json").read_text())["word"]]


def how_settings_are_known(_: str) -> str | None:
    """Tell, when the command has ended, what its run was seen to do with the settings."""
    run = current.get()
    return None if run is None else run.how(os.path.abspath("settings.json"))


def test_what_a_function_reads_counts_for_the_run() -> None:
    """Though it was read to decide, before the run began."""
    Path("settings.json").write_text('{"word": "one"}')
    stage = ShellStage(by_settings, outputs=Stdout(how_settings_are_known), hash_output="work")
    assert "read" == stage.run("in.txt")["output"]


@pytest.mark.parametrize("kind", ["programs", "unwatched", "unseen", "faults"])
def test_what_nobody_told_of_a_function_is_said_of_the_run(kind: str) -> None:
    """Who may have read unseen, and what could not be written down, before the run began."""
    with watching() as earlier:
        getattr(earlier, kind).append("before")
    with watching() as run:
        getattr(run, kind).append("now")
        adopts(run, earlier)
        assert ["now", "before"] == getattr(run, kind)
        run.faults.clear()


ATLASES = Path("atlases")


def with_atlases(in_file: str, out: str) -> list[str]:
    """Name all atlases that are there."""
    named = sorted(str(path.absolute()) for path in ATLASES.iterdir())
    return ["sh", "-c", 'cat "$@" > "$0"', out, in_file, *named]


@pytest.mark.parametrize(
    ("asks", "come"),
    [
        (lambda: os.path.exists("mask.txt"), "mask.txt"),
        (lambda: Path("mask.txt").is_file(), "mask.txt"),
        (lambda: shutil.which("faster_echo") is not None, "bin/faster_echo"),
    ],
    ids=["exists", "is_file", "which"],
)
def test_a_function_that_asks_what_is_there_sees_what_comes(
    asks: Callable[[], bool], come: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask, or another tool, is made use of from the moment on when it is there."""
    Path("bin").mkdir()
    monkeypatch.setenv("PATH", f"{Path('bin').absolute()}{os.pathsep}{os.environ['PATH']}")

    def options(in_file: str) -> list[str]:
        return ["echo", "with" if asks() else "without"]

    stage = ShellStage(options, outputs={"said": Stdout()}, hash_output="work")
    for text, states in (("without", [True, False]), ("with", [True, False])):
        for state in states:
            assert text == stage.run("in.txt")["said"].strip()
            assert stage.state is state
        Path(come).write_text("#!/bin/sh\n")
        Path(come).chmod(0o755)


def test_a_function_that_lists_a_folder_sees_a_new_file() -> None:
    """A hit is never stale, though it costs a call."""
    ATLASES.mkdir()
    Path(ATLASES, "a").write_text("A")
    stage = copying(with_atlases, hash_output="work")
    assert "oneA" == Path(stage.run("in.txt")["out"]).read_text()
    stage.run("in.txt")
    assert not stage.state
    Path(ATLASES, "b").write_text("B")
    assert "oneAB" == Path(stage.run("in.txt")["out"]).read_text()


def by_environment(in_file: str, out: str) -> list[str]:
    """Take the program from the environment."""
    return [os.path.join(os.environ["MY_TOOLS"], "tool"), in_file, out]


def test_a_function_that_reads_the_environment_sees_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FSLDIR of another version names another program."""
    for version in ("1", "2"):
        tool = tmp_path / version / "tool"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\necho {version} > "$2"\n')
        tool.chmod(0o755)
    stage = copying(by_environment, hash_output="work")
    seen = []
    for version in ("1", "2", "1"):
        monkeypatch.setenv("MY_TOOLS", str(tmp_path / version))
        seen.append((Path(stage.run("in.txt")["out"]).read_text(), stage.state))
    assert [("1\n", True), ("2\n", True), ("1\n", False)] == seen


def by_content(in_file: str, out: str) -> list[str]:
    """Look into the input."""
    calls.append(in_file)
    with open(in_file) as file:
        return ["cp", in_file, out] if file.read() == "one" else ["touch", out]


def test_a_function_may_read_its_inputs() -> None:
    """Their content is known, so it need not be asked on a hit; and is, where it differs."""
    calls.clear()
    stage = copying(by_content, hash_output="work")
    assert "one" == Path(stage.run("in.txt")["out"]).read_text()
    stage.run("in.txt")
    assert (1, False) == (len(calls), stage.state)
    Path("in.txt").write_text("two")
    assert "" == Path(stage.run("in.txt")["out"]).read_text()
    assert 2 == len(calls)


def with_options(in_file: str, **options: str) -> list[str]:
    """Write options as a person would."""
    return ["printf", "%s ", *(f"--{name}={value}" for name, value in options.items())]


def test_a_function_takes_any_further_keyword() -> None:
    """They are inputs like the others."""
    stage = ShellStage(with_options, hash_output="work")
    assert "--a=1 --b=2 " == stage.run("in.txt", a="1", b="2")["output"]
    assert "--a=1 " == stage.run("in.txt", a="1")["output"]


def named(files: dict[str, str]) -> list[str]:
    """Read files by name."""
    return ["cat", *files.values()]


def test_paths_inside_values_of_any_shape_are_absolute() -> None:
    """The command runs elsewhere."""
    assert "one" == ShellStage(named).run(files={"first": "in.txt"})["output"]


# One plan


def test_a_command_is_made_once_for_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run decides twice, before and under its lock, and executes what it decided on."""
    made: list[call.Plan] = []
    make = call.make_plan

    def counting(*args: object, **kwargs: object) -> call.Plan:
        made.append(make(*args, **kwargs))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(call, "make_plan", counting)
    stage = ShellStage("cp {in_file} {out}", outputs={"out": "o"}, hash_output="work")
    counts = []
    for each in (stage.run, stage.run, stage.explain, ShellStage("cat {in_file}").run):
        made.clear()
        each("in.txt")
        counts.append(len(made))
    assert [2, 1, 1, 1] == counts


def beside(in_file: str, out: str) -> list[str]:
    """Write beside the input, whose length is looked at."""
    calls.append(in_file)
    with open(in_file) as file:
        length = len(file.read())
    return ["sh", "-c", 'cp "$0" "$0.copy"; cp "$0.copy" "$1"', in_file, out, str(length)]


def test_a_function_is_given_the_copies_of_its_inputs() -> None:
    """Where they lie is known only in the run, so it is asked there once more; a hit is not."""
    calls.clear()
    stage = copying(beside, link_inputs=True, hash_output="work")
    assert "one" == Path(stage.run("in.txt")["out"]).read_text()
    assert [os.path.abspath("in.txt"), f"{stage.run('in.txt')['out'][:-5]}in.txt"] == calls
    assert not stage.state
    assert not os.path.exists("in.txt.copy")
