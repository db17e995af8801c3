"""Programs that cannot be traced run unwatched, and as ever."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from memori.watch.commands.strace import _why_unusable
from memori.watch.commands.untraceable import loses_rights, untraceable

HELPER = """
#include <stdio.h>
#include <unistd.h>
int main(int n, char **words) { printf("%d %d", getuid(), geteuid()); return 0; }
"""
CALLER = """
#include <unistd.h>
int main(void) { return execl("HELPER", "helper", (char *) 0); }
"""
RIGHTS = "65534 0"
HIDDEN = "x=hel; exec HERE/${x}per"


def script(path, text):
    """Write an executable script."""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


@pytest.fixture(scope="module")
def place():
    """A folder that everybody reads, with a setuid program and what calls it."""
    compiler = shutil.which("cc")
    if os.geteuid() != 0 or compiler is None:
        pytest.skip("only root can make a setuid program for others, with a compiler")
    folder = tempfile.mkdtemp(prefix="memori-setuid-")
    os.chmod(folder, 0o755)
    for name, text in (
        ("helper", HELPER),
        ("caller", CALLER.replace("HELPER", f"{folder}/helper")),
    ):
        with open(f"{folder}/{name}.c", "w") as file:
            file.write(text)
        subprocess.run([compiler, f"{folder}/{name}.c", "-o", f"{folder}/{name}"], check=True)
    os.chmod(f"{folder}/helper", 0o4755)
    script(f"{folder}/script", f"#!/bin/sh\n# a comment\nexec {folder}/helper\n")
    script(f"{folder}/outer", '#!/bin/sh\nhere=$(dirname "$0")\nif true; then "$here"/script; fi\n')
    script(f"{folder}/by_name", "#!/bin/sh\nset -e; nice -n 1 helper | cat\n")
    python = f"import subprocess\nsubprocess.run(['{folder}/helper'])\n"
    script(f"{folder}/main.py", python)
    script(f"{folder}/hidden", f"#!/bin/sh\n{HIDDEN.replace('HERE', folder)}\n")
    yield folder
    shutil.rmtree(folder)


def as_nobody(place, commands, **environment):
    """Return what commands say when an ordinary user runs them, watched where that can be."""
    work = tempfile.mkdtemp(prefix="work-", dir=place)
    os.chmod(work, 0o755)
    done = subprocess.run(
        [sys.executable, os.path.join(os.path.dirname(__file__), "as_nobody.py"),
         json.dumps([each.replace("{here}", place) for each in commands])],
        cwd=work,
        env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "HOME": work, **environment},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


WAYS = {
    "itself": "{here}/helper",
    "by its name": "helper",
    "a script": "{here}/script",
    "a script below a script": "{here}/outer",
    "a script that sh runs": "sh {here}/script",
    "by its name in a script": "by_name",
    "bash -c": "bash -c 'true && {here}/helper'",
    "behind a wrapper": "env A=B nice -n 1 {here}/helper",
    "a variable": "sh -c '$HELPER'",
    "python": "/usr/bin/env python3 {here}/main.py",
    "a compiled program": "{here}/caller",
}


def test_a_setuid_program_keeps_its_rights(place):
    """Itself, or wherever below a command it stands; the run names it as unwatched."""
    found = as_nobody(place, list(WAYS.values()), HELPER=f"{place}/helper")
    told = dict(zip(WAYS, found, strict=True))
    if shutil.which("python3", path="/usr/bin:/bin") is None:
        del told["python"]
    assert dict.fromkeys(told, RIGHTS) == {way: text for way, (text, _) in told.items()}
    if not _why_unusable(shutil.which("strace") or ""):
        assert all("has rights of its own" in each[0] for _, each in told.values())


@pytest.mark.skipif(bool(_why_unusable(shutil.which("strace") or "")), reason="nothing is traced")
def test_a_setuid_program_that_nobody_could_find_is_said_and_works_from_then_on(place):
    """A run without its rights is never taken for a good one."""
    (first, _), (second, unseen) = as_nobody(place, ["{here}/hidden", "{here}/hidden"])
    assert "helper, which has rights of its own and lost them" in first
    assert (RIGHTS, ["hidden (helper has rights of its own)"]) == (second, unseen)


@pytest.mark.skipif(bool(_why_unusable(shutil.which("strace") or "")), reason="nothing is traced")
def test_an_ordinary_user_is_watched(place):
    """Nothing is unseen of a command that needs no rights."""
    assert [["", []]] == as_nobody(place, ["cat /dev/null"])


def test_rights_that_are_ones_own_are_not_lost(tmp_path, monkeypatch):
    """A setuid program of the user's own loses nothing."""
    path = tmp_path / "mine"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o4755)
    assert not loses_rights(str(path))
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(path).st_uid + 1)
    assert loses_rights(str(path))


NAMES = {
    "a tracer": ("gdb --batch x", "gdb is a tracer itself"),
    "a tracer in a script": (
        "sh -c 'set -e; exec strace -o log true'",
        "strace is a tracer itself",
    ),
    "an engine": ("podman run x", "podman shows its programs other files"),
    "an engine behind a wrapper": ("env A=B apptainer exec x y", "apptainer shows its programs"),
    "an engine in a list": ('python3 -c \'run(["docker", "run"])\'', "docker shows its programs"),
    "a comment": ("sh -c 'true # gdb --batch\n'", None),
    "a part of a name": ("sh -c 'cat gdb.txt; my-podman x'", None),
    "a word in a text": ("sh -c 'echo mounting the docker image'", None),
}


@pytest.mark.parametrize("case", NAMES)
def test_tracers_and_engines_are_known_by_name(case, tmp_path):
    """Where they are called, and not where they are only mentioned."""
    import shlex

    text, expected = NAMES[case]
    for name in ("gdb", "strace", "podman", "apptainer", "docker", "python3"):
        script(tmp_path / name, "#!/bin/sh\n")
    path = f"{tmp_path}:/usr/bin:/bin"
    argv = shlex.split(text)
    executable = shutil.which(argv[0], path=path)
    found = untraceable(argv, executable, {"PATH": path}, str(tmp_path))
    assert (found is None) == (expected is None)
    assert (expected or "") in (found or "")
