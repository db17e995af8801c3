"""When files were changed, and what may be done with them, counts where it is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.watch.edits import runs_again

SCRIPT = """
import filecmp, glob, json, operator, os, stat, subprocess
from pathlib import Path
from memori import Stage

A = "data/a.nii"

def says(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout

def text_of(path):
    try:
        return open(path).read()
    except PermissionError:
        return "refused"

def scans():
    return [entry for entry in os.scandir("data") if entry.name.endswith(".nii")]

def names_in(folder):
    try:
        return sorted(os.listdir(folder))
    except PermissionError:
        return "refused"

def f(x):
    return {asked}

if __name__ == "__main__":
    stage = Stage(f, "found", "work")
    print(json.dumps([stage.run(1)["found"], stage.state]))
"""
OWN = "-dac_override,-dac_read_search"  # rights of root beyond those of its own files
BOUND = ["setpriv", f"--bounding-set={OWN}", f"--inh-caps={OWN}"] if os.geteuid() == 0 else []
strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace: apt-get install strace"
)


def run(folder: Path, asked: str) -> tuple[Any, bool]:
    """Run a script in a new process, without root's rights; return what it found, and if it ran."""
    if BOUND and shutil.which(BOUND[0]) is None:
        pytest.skip("root needs setpriv: apt-get install util-linux")
    (folder / "script.py").write_text(SCRIPT.replace("{asked}", asked))
    command = [*BOUND, sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    assert "Warning" not in done.stderr
    found, state = json.loads(done.stdout)
    return found, state


def data_in(folder: Path) -> Path:
    """Make a few files that were last changed long ago, of which the second is the newest."""
    data = folder / "data"
    (data / "closed").mkdir(parents=True)
    for place, name in enumerate(("a.nii", "b.nii", "script.sh", "closed/c.nii")):
        (data / name).write_text("#!/bin/sh\necho one\n")
        os.utime(data / name, (1_000_000_000 + min(place, 1), 1_000_000_000 + min(place, 1)))
    return data


TIMES = {
    "the newest file": "max(glob.glob('data/*.nii'), key=os.path.getmtime)",
    "the newest path": "str(max(Path('data').glob('*.nii'), key=lambda p: p.stat().st_mtime))",
    "the newest entry": "max(scans(), key=lambda e: e.stat().st_mtime_ns).name",
    "the file that changed last": "max(glob.glob('data/*.nii'), key=os.path.getctime)",
    "an item of the stat": "os.stat('data/a.nii')[stat.ST_MTIME]",
    "a file that is read": "text_of('data/a.nii')[0] + str(Path('data/a.nii').stat().st_mtime)",
    "whether a file is older": "os.path.getmtime('data/a.nii') < os.path.getmtime('data/b.nii')",
    "whether it is there, and then when": "os.path.exists(A) and os.path.getmtime(A)",
}  # fmt: skip
TIMES_OF_PROGRAMS = {
    "ls -t": "says('ls -t data/*.nii | head -n 1')",
    "test -nt": "says('[ data/a.nii -nt data/b.nii ] && echo newer')",
    "test -nt of files that are read": (
        "says('cat data/a.nii data/b.nii; [ data/a.nii -nt data/b.nii ] && echo newer')"
    ),
    "find -newer": "says('find data -newer data/b.nii -name \"a*\"')",
    "stat": "says('stat -c %Y data/a.nii')",
    "date -r": "says('date -r data/a.nii')",
    "a script": "says('sh ./newer.sh')",
    "a script of Perl": "says('perl ./newer.pl')",
    "a Python that does not tell of itself": "says('python -S ./newer.py')",
}


@pytest.mark.parametrize(
    "case", [*TIMES, *(pytest.param(c, marks=strace) for c in TIMES_OF_PROGRAMS)]
)
def test_when_a_file_was_changed_counts_where_it_is_asked_for(case: str, tmp_path: Path) -> None:
    """Although nothing in it is another; unchanged, nothing runs."""
    asked = {**TIMES, **TIMES_OF_PROGRAMS}[case]
    data = data_in(tmp_path)
    (tmp_path / "newer.sh").write_text("if test data/a.nii -nt data/b.nii; then echo newer; fi\n")
    (tmp_path / "newer.pl").write_text("print +(stat('data/a.nii'))[9]")
    (tmp_path / "newer.py").write_text("import os; print(os.path.getmtime('data/a.nii'))")
    newest = (1_100_000_000, 1_100_000_000)
    runs_again(lambda: run(tmp_path, asked), lambda: os.utime(data / "a.nii", newest))


STEADY = {
    "what is read": "open('data/a.nii').read()",
    "its size": "os.stat('data/a.nii').st_size",
    "whether it is there": "os.path.exists('data/a.nii') and Path('data/b.nii').is_file()",
    "its kind": "stat.S_ISREG(os.stat('data/a.nii').st_mode)",
    "a list by name": "says('ls data; cat data/a.nii; find data -name a.nii')",
    "a size by a program": "says('stat -c %s data/a.nii; test -s data/b.nii')",
}


@pytest.mark.parametrize("case", STEADY)
def test_files_that_only_got_another_time_run_nothing(case: str, tmp_path: Path) -> None:
    """Where nothing asks for the time: datasets are copied, unpacked and touched."""
    data = data_in(tmp_path)
    first, _ = run(tmp_path, STEADY[case])
    os.utime(data / "a.nii", (1_100_000_000, 1_100_000_000))
    (data / "b.nii").chmod(0o600)
    assert (first, False) == run(tmp_path, STEADY[case])


CLOSED = {
    "a file": "text_of('data/a.nii')",
    "a folder": "names_in('data/closed')",
    "a file in a folder": "text_of('data/closed/c.nii')",
    "os.access": "os.access('data/a.nii', os.R_OK)",
    "os.access, to run it": "os.access('data/script.sh', os.X_OK)",
    "whether it is there": "os.path.exists('data/closed/c.nii')",
    "the mode": "oct(stat.S_IMODE(os.stat('data/script.sh').st_mode))",
}
CLOSED_TO_PROGRAMS = {
    "cat": "says('cat data/a.nii')",
    "test -r": "says('test -r data/a.nii && echo yes')",
    "test -x": "says('[ -x data/script.sh ] && echo yes')",
    "a program": "says('data/script.sh')",
    "ls": "says('ls data/closed')",
    "cat below": "says('cat data/closed/c.nii')",
}


@pytest.mark.parametrize(
    "case", [*CLOSED, *(pytest.param(c, marks=strace) for c in CLOSED_TO_PROGRAMS)]
)
def test_what_may_not_be_read_runs_again_once_it_may(case: str, tmp_path: Path) -> None:
    """A run that dealt with the refusal is remembered until then."""
    asked = {**CLOSED, **CLOSED_TO_PROGRAMS}[case]
    data = data_in(tmp_path)
    for name in ("a.nii", "closed"):
        (data / name).chmod(0)
    (data / "script.sh").chmod(0o644)

    def permit() -> None:
        for name in ("a.nii", "closed", "script.sh"):
            (data / name).chmod(0o755)

    runs_again(lambda: run(tmp_path, asked), permit)
