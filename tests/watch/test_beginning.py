"""A tracer that is killed before it holds its command leaves nothing that waits for it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from memori.watch.commands.strace import _why_unusable

STRACE = shutil.which("strace") or ""
CC = shutil.which("cc")
pytestmark = [
    pytest.mark.skipif(bool(_why_unusable(STRACE)), reason="commands cannot be watched here"),
    pytest.mark.skipif(CC is None, reason="needs a C compiler, to kill strace as it begins"),
]
STARTS = {
    "a function's subprocess": """
        def say(text):
            done = subprocess.run(["sh", "-c", f"sleep 0.1; echo {text}"], capture_output=True)
            return done.stdout.decode().strip()
        stage = Stage(say, "said", hash_output="work")
    """,
    "a function's os.system": """
        def say(text):
            code = os.system(f"sleep 0.1; echo {text} >{workdir()}/out")
            return (workdir() / "out").read_text().strip()
        stage = Stage(say, "said", hash_output="work")
    """,
    "a command": """
        line = "sleep 0.1; echo one"
        stage = ShellStage("sh -c {line}", outputs={"said": Stdout()}, line=line, hash_output="w")
    """,
    "a child of a pool": """
        def child(text):
            return subprocess.check_output(["echo", text], text=True).strip()
        def say(text):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                return pool.apply(child, (text,))
        stage = Stage(say, "said", hash_output="work")
    """,
    "an interface of Nipype": """
        from nipype.interfaces.base import CommandLine
        def say(text):
            return CommandLine(f"echo {text}", terminal_output="allatonce").run().runtime.stdout
        stage = Stage(say, "said", hash_output="work")
    """,
}


@pytest.fixture(scope="module")
def folder_of_strace(tmp_path_factory):
    """Return a folder with a strace that is killed as it begins if KILLED_AT_START says so."""
    folder = tmp_path_factory.mktemp("strace")
    library = folder / "killed_at_start.so"
    source = Path(__file__).with_name("killed_at_start.c")
    subprocess.run([CC, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    script = folder / "strace"
    script.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {shlex.quote(STRACE)} "$@"\n')
    script.chmod(0o755)
    return folder


def run_script(folder, strace, start, killed):
    """Return what a stage returned each time, and whether it ran; the first time with a kill."""
    script = f"""
        import json, multiprocessing, os, subprocess, threading
        from memori import Stage, workdir
        from memori.neuro import ShellStage, Stdout
        def kill(which):
            open(os.environ["KILLED_AT_START"], "w").write(which)
        {textwrap.indent(textwrap.dedent(start), " " * 8).strip()}
        inputs = {{"text": "one"}} if {"def say" in start} else {{}}
        if {bool(killed)}:
            Stage(lambda: os.system("true"), stage_name="first", hash_output="work").run()
            kill("{killed} one")
        for _ in range(3):
            try:
                said = (*stage.run(**inputs).values(),)[0]
            except Exception as error:
                said = "failed"
            print(json.dumps([said.strip(), stage.state]))
        assert threading.active_count() == 1, threading.enumerate()
        assert not os.path.exists(os.environ["KILLED_AT_START"])
    """
    (folder / "script.py").write_text(textwrap.dedent(script))
    environment = {
        **os.environ,
        "PATH": f"{strace}:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "KILLED_AT_START": str(folder / "kill"),
    }
    done = subprocess.run(
        [sys.executable, "script.py"], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def left_of(folder):
    """Return the processes that name something in a folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words:
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


CASES = [
    *((kind, "tracer") for kind in STARTS),
    ("a function's subprocess", "program"),
    ("a function's subprocess", "trial"),
]


@pytest.mark.parametrize(("kind", "killed"), CASES)
def test_a_command_ends_whose_tracer_is_killed_as_it_begins(
    tmp_path, folder_of_strace, kind, killed
):
    """It fails, is not remembered, and leaves nothing running; the next run is as ever."""
    first, *others = run_script(tmp_path, folder_of_strace, STARTS[kind], killed)
    assert first[0] in ("", "failed")
    assert [["one", True], ["one", False]] == others
    assert [] == left_of(tmp_path)


def test_a_tracer_that_is_killed_as_it_is_tried_is_tried_again(tmp_path, folder_of_strace):
    """So commands are watched as ever."""
    start = STARTS["a function's subprocess"].replace(
        "stage =", 'kill("tracer true")\n        stage ='
    )
    assert ["one", True] == run_script(tmp_path, folder_of_strace, start, None)[0]
