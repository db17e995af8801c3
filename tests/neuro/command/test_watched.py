"""What a command was seen to read, list, look for and write counts, and nothing else does."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import memori
from memori.cli import main
from memori.errors import MemoriWarning
from memori.neuro import ShellStage
from memori.neuro.command.errors import CommandError
from memori.neuro.process import rest
from memori.store import Memory
from memori.watch.commands import strace
from memori.watch.libraries.unseen import READERS

WHY_UNUSABLE = strace._why_unusable(shutil.which("strace") or "")
pytestmark = [
    pytest.mark.usefixtures("own_place"),
    pytest.mark.skipif(
        bool(WHY_UNUSABLE), reason=f"commands cannot be watched here: {WHY_UNUSABLE}"
    ),
]


def program(name: str, text: str, folder: str = "bin") -> Path:
    """Write an executable script on the PATH."""
    path = Path(folder, name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text[:2] == "#!" else f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def write(path: str, text: str = "one") -> None:
    """Write a file and the folders above it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def runs(stage: ShellStage, **inputs: object) -> bool:
    """Run a stage and tell whether the command was executed; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", MemoriWarning)
        stage.run(**inputs)
    return stage.state


def why(stage: ShellStage, **inputs: object) -> str:
    """Return what makes a stage run."""
    return "; ".join(map(str, stage.explain(**inputs).changes))


def image(path: str, value: float = 1.0) -> None:
    """Write a small image."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), value, np.float32), np.eye(4)), path)


def dicom(path: str, number: int) -> None:
    """Write one of two images of a series of nibabel's test data."""
    name = ("siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz")[number]
    source = Path(nib.__file__).parent / "nicom/tests/data" / name
    if not source.exists():
        pytest.skip("nibabel is installed without its test data")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(gzip.decompress(source.read_bytes()))


def tool(name: str, how: str) -> str:
    """Return the path of a real tool, or skip."""
    found = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if found is None:
        pytest.skip(f"{name} is not installed: {how}")
    return found


# A file that no word names as memori reads it: by tool, what is there, and which file is edited


SHELL = {
    "a constant path": ("sh -c 'cat {here}/noise.txt > {out}'", "noise.txt"),
    "bash -c": ("bash -c 'set -e; sort \"$1\" > {out}' bash {here}/noise.txt", "noise.txt"),
    "a script that a script calls": ("sh {here}/outer.sh {out}", "deep/noise.txt"),
    "a script's own text": ("sh {here}/outer.sh {out}", "inner.sh"),
    "a prefix": ("sh -c 'cat $0_0.txt > {out}' {here}/prefix", "prefix_0.txt"),
    "a list": ("sh -c 'xargs cat < ${{0#@}} > {out}' @{here}/list.txt", "deep/noise.txt"),
    "files joined by commas": (
        "sh -c 'for f in $(echo $0 | tr , \" \"); do cat $f; done > {out}' "
        "{here}/noise.txt,{here}/deep/noise.txt",
        "deep/noise.txt",
    ),
    "an option": ("dd if={here}/noise.txt of={out}", "noise.txt"),
    "a blank in a path": ("sh -c 'cat \"{here}/a b.txt\" > {out}'", "a b.txt"),
    "odd characters": ("sh -c 'cat {here}/q*e > {out}'", 'q>é"\\\ne'),
    "a relative path": ("sh -c 'cd {here}/deep; cat ../noise.txt > {out}'", "noise.txt"),
    "a child elsewhere": ("sh -c '(cd {here}/deep; cat noise.txt) > {out}'", "deep/noise.txt"),
    "behind a link": ("sh -c 'cat {here}/link/noise.txt > {out}'", "deep/noise.txt"),
    "in the background": ("sh -c 'cat {here}/noise.txt > {out} & wait'", "noise.txt"),
    "a pipe": ("sh -c 'cat {here}/noise.txt | sort > {out}'", "noise.txt"),
    "python": (f"{sys.executable} -c 'print(open(\"{{here}}/noise.txt\").read())'", "noise.txt"),
    "a module of python's": (f"{sys.executable} {{here}}/main.py", "mine.py"),
    "a program of the user's": ("sh -c '{here}/outer.sh {out}'", "inner.sh"),
    "awk": ("awk 'BEGIN {{ getline x < \"{here}/noise.txt\"; print x }}'", "noise.txt"),
    "sed": ("sed -f {here}/edit.sed {here}/noise.txt", "edit.sed"),
    "perl": ("perl -e 'open F, \"<{here}/noise.txt\"; print <F>'", "noise.txt"),
}  # fmt: skip


def make_things(here: Path) -> None:
    """Write all that the commands of the table read."""
    names = ("noise.txt", "deep/noise.txt", "prefix_0.txt", "a b.txt", 'q>é"\\\ne')
    for name in names:
        write(str(here / name), f"{name}\n")
    write(str(here / "list.txt"), f"{here}/deep/noise.txt\n")
    write(str(here / "outer.sh"), f'#!/bin/sh\nsh {here}/inner.sh > "$1"\n')
    (here / "outer.sh").chmod(0o755)
    write(str(here / "inner.sh"), f"cat {here}/deep/noise.txt\n")
    write(str(here / "edit.sed"), "s/n/m/\n")
    write(str(here / "main.py"), "import mine\nprint(mine.x)\n")
    write(str(here / "mine.py"), "x = 1\n")
    os.symlink("deep", here / "link")


@pytest.mark.parametrize("way", SHELL)
def test_what_a_command_reads_counts(way: str, tmp_path: Path) -> None:
    """Edited, it runs; as before, it hits; with nothing changed, it hits from the second on."""
    template, name = SHELL[way]
    here = tmp_path / "data"
    make_things(here)
    outputs = {"out": "out.txt"} if "{out}" in template else None
    stage = ShellStage(template.replace("{here}", str(here)), outputs, hash_output="work")
    path = here / name
    before = path.read_bytes()

    assert [True, False, False] == [runs(stage) for _ in range(3)]
    path.write_bytes(before + (b"MORE = 1\n" if name == "mine.py" else b"# more\n"))
    assert path.name in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]
    path.write_bytes(before)
    assert not runs(stage)


# What tools make of a word


def fake_afni() -> None:
    """Write a tool that finds a dataset as AFNI does: by prefix, with a view and a selector."""
    program("3dcopy", """
name=${1%%[[<]*}
for view in "" +orig +tlrc; do
    if [ -f "$name$view.HEAD" ]; then cat "$name$view.HEAD" "$name$view.BRIK" > "$2"; exit; fi
done
exit 1""")  # fmt: skip


def fake_fsl() -> None:
    """Write a tool that finds an image without its extension, as FSL does."""
    program("fslcopy", """
for end in .nii.gz .nii .hdr; do
    if [ -e "$1$end" ]; then cat "$1$end" > "$2"; exit; fi
done
exit 1""")  # fmt: skip


def fake_ants() -> None:
    """Write a tool that is told of images in brackets, as ANTs is."""
    program(
        "antsreg",
        """
images=${1#*[}; images=${images%]}; out=$2
IFS=,; set -- $images; cat "$1" "$2" > "$out"
""",
    )


WORDS = {
    "AFNI's prefix": (fake_afni, "3dcopy {here}/epi {out}", "epi+orig.BRIK", "epi+orig.HEAD"),
    "AFNI's view": (fake_afni, "3dcopy {here}/epi+orig {out}", "epi+orig.BRIK", ""),
    "AFNI's sub-bricks": (fake_afni, "3dcopy '{here}/epi+orig[0..5]' {out}", "epi+orig.BRIK", ""),
    "no extension": (fake_fsl, "fslcopy {here}/img {out}", "img.nii", "img.nii.gz"),
    "brackets": (fake_ants, "antsreg 'MI[{here}/a.nii,{here}/b.nii,1,32]' {out}", "b.nii", ""),
}


@pytest.mark.parametrize("way", WORDS)
def test_files_count_however_a_tool_finds_them(way: str, tmp_path: Path) -> None:
    """As AFNI, FSL and ANTs make paths of words; a file that would be found first is seen."""
    make, template, name, earlier = WORDS[way]
    make()
    for each in ("epi+orig.HEAD", "epi+orig.BRIK", "img.nii", "a.nii", "b.nii"):
        write(f"data/{each}")
    stage = ShellStage(template.replace("{here}", f"{tmp_path}/data"), {"out": "o"}, "work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    write(f"data/{name}", "two")
    assert [True, False] == [runs(stage) for _ in range(2)]
    if earlier and earlier != "epi+orig.HEAD":
        write(f"data/{earlier}", "three")
        assert "looked for in vain" in why(stage)
        assert [True, False] == [runs(stage) for _ in range(2)]
        os.unlink(f"data/{earlier}")
        assert not runs(stage)


def test_niimath_finds_an_image_without_its_extension(tmp_path: Path) -> None:
    """A real tool: the image counts, and so does one that would be found first."""
    niimath = tool("niimath", "pip install niimath")
    image("data/img.nii.gz")
    stage = ShellStage(f"{niimath} {tmp_path}/data/img -add 1 {{out}}", {"out": "o.nii.gz"}, "work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    image("data/img.nii.gz", 5.0)
    assert [True, False] == [runs(stage) for _ in range(2)]
    image("data/img.nii", 9.0)
    assert "img.nii, which the run looked for in vain, is there" in why(stage)


def test_mrtrix_reads_a_series_by_its_pattern(tmp_path: Path) -> None:
    """A real tool: images named by number count, each by its content, and so does a new one."""
    tool("mrconvert", "apt-get install mrtrix3")
    for number in range(3):
        image(f"data/vol{number}.nii")
    template = f"mrconvert -quiet '{tmp_path}/data/vol[].nii' {{out}}".replace("[]", "[0:2]")
    stage = ShellStage(template, {"out": "o.mif"}, "work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    image("data/vol1.nii", 7.0)
    assert [True, False] == [runs(stage) for _ in range(2)]


def test_dcm2niix_reads_a_folder(tmp_path: Path) -> None:
    """A real tool: a folder that only the command names counts by what is in it."""
    tool("dcm2niix", "apt-get install dcm2niix")
    dicom("dicoms/deep/0.dcm", 0)
    stage = ShellStage(
        f"dcm2niix -f image -o . {tmp_path}/dicoms", {"image": memori.neuro.Glob("*.nii")}, "work"
    )
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    dicom("dicoms/deep/1.dcm", 1)
    assert "which the run listed" in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]
    dicom("dicoms/deep/1.dcm", 0)
    assert [True, False] == [runs(stage) for _ in range(2)]


# Names


def test_a_name_that_was_looked_for_counts_by_its_absence(tmp_path: Path) -> None:
    """A flag that was not there, and one that was."""
    stage = ShellStage(
        f"sh -c '[ -e {tmp_path}/new ] && echo new; [ -f {tmp_path}/old ] && echo old; :'",
        hash_output="work",
    )
    write("old")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    write("new")
    assert "new, which the run looked for in vain, is there" in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]
    os.unlink("old")
    assert "which the run looked at, was file of 3 bytes and is nothing" in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]


def test_whether_a_file_is_empty_counts(tmp_path: Path) -> None:
    """It is asked for and never opened."""
    write("bvals", "")
    stage = ShellStage(f"sh -c '[ -s {tmp_path}/bvals ] && echo yes; :'", hash_output="work")
    assert [True, False] == [runs(stage) for _ in range(2)]
    write("bvals", "0 1000")
    assert runs(stage)
    assert "yes" == stage.run()["output"]


def test_where_a_link_leads_counts(tmp_path: Path) -> None:
    """A program that follows a link by itself opens but what it leads to."""
    write("v1/a.txt", "one")
    write("v2/a.txt", "two")
    os.symlink("v1", "current")
    stage = ShellStage(f"sh -c 'cat $(realpath {tmp_path}/current)/a.txt'", hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    os.unlink("current")
    os.symlink("v2", "current")
    assert runs(stage)
    assert "two" == stage.run()["output"]


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path) -> None:
    """It is looked for in vain until what it leads to is there."""
    os.symlink("target", "link")
    stage = ShellStage(f"sh -c 'cat {tmp_path}/link || echo none'", hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    write("target", "one")
    assert runs(stage)
    assert "one" == stage.run()["output"]


def test_a_program_that_would_be_found_first_counts() -> None:
    """A script calls a program by its name; one in an earlier folder of PATH is another."""
    program("mytool", "echo late", folder="late")
    program("outer", "mytool")
    os.environ["PATH"] = f"{os.getcwd()}/bin:{os.getcwd()}/early:{os.getcwd()}/late:/usr/bin:/bin"
    stage = ShellStage("outer", hash_output="work")
    assert [True, False] == [runs(stage) for _ in range(2)]
    program("mytool", "echo early", folder="early")
    assert runs(stage)
    assert "early" == stage.run()["output"]


def test_a_program_that_may_not_be_run_any_more_is_passed_over() -> None:
    """The next one of its name answers; with its permission back, the first result is known."""
    for folder in ("early", "late"):
        program("mytool", f"echo {folder}", folder=folder)
    program("outer", "mytool")
    os.environ["PATH"] = f"{os.getcwd()}/bin:{os.getcwd()}/early:{os.getcwd()}/late:/usr/bin:/bin"
    stage = ShellStage("outer", hash_output="work")
    assert [True, False] == [runs(stage) for _ in range(2)]
    for mode, answer, is_new in ((0o644, "late", True), (0o755, "early", False)):
        os.chmod("early/mytool", mode)
        assert is_new == runs(stage)
        assert answer == stage.run()["output"]


LISTINGS = {
    "ls": "ls -a --color {here}",
    "a glob": "sh -c 'echo found: {here}/*.txt'",
    "find": "find {here} -name *.txt -printf found:%p",
    "a loop": "sh -c 'cd {here}; for f in *; do echo found: $f; done'",
}


@pytest.mark.parametrize("way", LISTINGS)
def test_the_names_in_a_folder_count(way: str, tmp_path: Path) -> None:
    """A new file reruns, an edited one does not; hidden files never."""
    write("data/a.txt")
    stage = ShellStage(LISTINGS[way].replace("{here}", f"{tmp_path}/data"), hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    write("data/a.txt", "two")
    write("data/.hidden")
    assert not runs(stage)
    write("data/b.txt")
    assert "new: b.txt" in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]


# Writing


def test_what_a_command_leaves_outside_its_folder_belongs_to_it(tmp_path: Path) -> None:
    """Deleted or edited, the command runs again; otherwise it does not."""
    stage = ShellStage(f"sh -c 'echo one > {tmp_path}/left.txt'", hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    os.unlink("left.txt")
    assert "left.txt, which the run wrote, is gone" in why(stage)
    assert [True, False] == [runs(stage) for _ in range(2)]
    write("left.txt", "other")
    assert [True, False] == [runs(stage) for _ in range(2)]


IN_MEMORY = """\
import os
file = os.memfd_create("x")
os.write(file, b"1")
print(open(f"/proc/self/fd/{file}").read())
"""
HARMLESS = {
    "a log": "echo ran >> {here}/log.txt",
    "a log that it asks for": "[ -s {here}/log.txt ]; ls -l {here}; echo ran >> {here}/log.txt",
    "a temporary file": "t=$(mktemp); echo x > $t; cat $t",
    "a temporary folder": "t=$(mktemp -d); echo x > $t/a; ls $t; cat $t/a",
    "a temporary file that goes": "t=$(mktemp); echo x > $t; cat $t; rm $t",
    "a file of its own": "echo x > {here}/mine; cat {here}/mine; ls {here}",
    "a file if it is missing": "[ -e {here}/cache ] || echo x > {here}/cache; cat {here}/cache",
    "a folder if it is missing": "mkdir -p {here}/m/deep; echo x > {here}/m/deep/a; ls {here}",
    "a file by another name": "echo x > {here}/p; mv {here}/p {here}/w; cat {here}/w",
    "a folder by another name": "cd {here}; mkdir p; echo x > p/a; mv p w; cat w/a",
    "a lock": "set -C; : > {here}/lock; cat {here}/old; rm {here}/lock",
    "an edit in place": "sed -i s/one/two/ {here}/old; cat {here}/old",
    "a sort in place": "sort -o {here}/old {here}/old",
    "a part of a file": "printf X | dd of={here}/old conv=notrunc 2>/dev/null",
    "a counter": "n=$(cat {here}/n || echo 0); echo $((n + 1)) > {here}/n",
    "a removal": "rm -f {here}/old",
    "its own folder": "echo x > a; ls; cat a; rm a",
    "a pipe by name": "mkfifo {here}/p; cat {here}/p & echo x > {here}/p; wait; rm {here}/p",
    "a pipe that stays": "cd {here}; [ -p p ] || mkfifo p; echo x > p & cat p; wait",
    "a file in memory": "python3 -S {here}/in_memory.py",
    "another link": "ln {here}/old two; cat {here}/linked",
    "the time": "date; id; hostname; nproc; uname -a; df . > /dev/null",
}  # fmt: skip


@pytest.mark.parametrize("way", HARMLESS)
def test_an_unchanged_command_hits_whatever_it_writes(way: str, tmp_path: Path) -> None:
    """The second time and the third."""
    write("data/old")
    os.link("data/old", "data/linked")
    write("data/in_memory.py", IN_MEMORY)
    text = HARMLESS[way].replace("{here}", f"{tmp_path}/data")
    program("script.sh", text)
    stage = ShellStage("script.sh", hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]


def test_what_an_earlier_stage_made_a_moment_ago_can_be_vouched_for(tmp_path: Path) -> None:
    """A quick pipeline reads by constant paths what it has just written."""
    for number in range(20):
        write("data/fresh.txt", str(number))
        stage = ShellStage(f"cat {tmp_path}/data/fresh.txt", hash_output="work")
        assert [True, False] == [runs(stage) for _ in range(2)]
        assert str(number) == stage.run()["output"]


def test_a_file_that_changes_meanwhile_cannot_be_vouched_for(tmp_path: Path) -> None:
    """Nobody knows what the command has read of it, so the run is not remembered."""
    write("data/a.txt")
    text = (
        f"cat {tmp_path}/data/a.txt; touch began; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    )
    program("script.sh", text)
    stage = ShellStage("script.sh", hash_output="work")

    def edit() -> None:
        while not list(Path("work").glob("*/*/began")):
            threading.Event().wait(0.02)
        write("data/a.txt", "two")
        write("go")

    thread = threading.Thread(target=edit)
    thread.start()
    with pytest.warns(MemoriWarning, match=r"data/a\.txt, which it read, changed"):
        stage.run()
    thread.join()
    assert runs(stage)
    assert "two" == stage.run()["output"]


# The command itself notices nothing


PROBE = """#!/bin/sh
echo "name $0"
echo "words $*"
readlink /proc/self/fd/0
ps -o pgid=,sid= -p $$ | awk -v p=$$ '{ print ($1 == p), ($2 == p) }'
env | grep -v '^_=\\|MEMORI_RUN=\\|MEMORI_WATCH_SPOOL=\\|^PWD=' | sort
umask
ulimit -a
trap
grep '^Sig\\(Blk\\|Ign\\|Cgt\\)' /proc/self/status
ls /proc/self/fd
pwd | sed 's/.*work/work/; s/-[0-9]*$//'
echo complaint >&2
"""


def test_a_watched_command_is_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name, words, environment, input, group, limits, signals and files are as without."""
    program("probe", PROBE)
    monkeypatch.setenv("LD_MINE", "a 'b\"$c")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("BASH_FUNC_module%%", "() { :; }")
    words = "probe '' 'a b' '$HOME' '\"' A=B é \\\\ -x"
    stage = ShellStage(words, hash_output="work", allow_dash=())
    found = []
    for watch in ("on", "off"):
        monkeypatch.setenv("MEMORI_WATCH", watch)
        monkeypatch.delenv("MEMORI_WATCH") if watch == "on" else None
        found.append(stage.run(force_run_stage=True)["output"].splitlines())
    found[1].remove("MEMORI_WATCH=off")
    assert found[1] == found[0]
    assert "/dev/null" in found[0]


@pytest.mark.parametrize("name", ["probe", "{here}/bin/probe", "bin/probe"])
def test_a_compiled_program_is_called_by_the_same_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before its words is what it is called by."""
    compiler = tool("cc", "apt-get install gcc libc6-dev")
    write("probe.c", "#include <stdio.h>\nint main(int n, char **v) { puts(v[0]); return 7; }\n")
    Path("bin").mkdir()
    subprocess.run([compiler, "probe.c", "-o", "bin/probe"], check=True)
    stage = ShellStage(name.replace("{here}", str(tmp_path)), hash_output="work", exit_codes=[7])
    seen = stage.run()["output"]
    monkeypatch.setenv("MEMORI_WATCH", "off")
    plain = stage.run(force_run_stage=True)["output"]
    assert (seen, name == "bin/probe") in ((plain, False), (str(tmp_path / name), True))


@pytest.mark.parametrize("end", ["exit 3", "kill -TERM $$", "kill -KILL $$", "kill -SEGV $$"])
def test_the_exit_code_is_the_commands(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that a signal kills."""
    found = []
    for watch in ("on", "off"):
        monkeypatch.setenv("MEMORI_WATCH", watch)
        with pytest.raises(CommandError) as caught:
            ShellStage(f"sh -c '{end}'", hash_output=f"work-{watch}").run()
        found.append((caught.value.code, caught.value.reason.partition(" after ")[0]))
    assert found[1] == found[0]


@pytest.mark.parametrize("text", ["#!/no/such/program\n", "\0\0\0\0"])
def test_what_cannot_be_started_is_said_as_ever(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is missing, a file of zeros."""
    Path("bin").mkdir()
    Path("bin/odd").write_text(text)
    Path("bin/odd").chmod(0o755)
    found = []
    for watch in ("on", "off"):
        monkeypatch.setenv("MEMORI_WATCH", watch)
        with pytest.raises(CommandError) as caught:
            ShellStage("odd", hash_output=f"work-{watch}").run()
        found.append(caught.value.reason.replace(str(Path.cwd()), ""))
    assert found[1] == found[0]
    assert "could not be started" in found[0]


def tracers() -> list[str]:
    """Return the tracers that this process has started and that go on."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            own = f"={Path.cwd()}/cache\0".encode() in Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if words[0] == b"strace" and own:
            found.append(entry)
    return found


def wait_until(condition: Callable[[], object]) -> bool:
    """Wait for something to become true."""
    for _ in range(500):
        if condition():
            return True
        threading.Event().wait(0.02)
    return False


def test_time_limits_hold_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the command, nor its children, nor the tracer, nor what it wrote."""
    temporary = tmp_path / "temporary"  # where other tests that run at the same time write nothing
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    stage = ShellStage("sh -c 'sleep 300 & sleep 301'", hash_output="work", timeout=0.3)
    with pytest.raises(CommandError, match="time"):
        stage.run()
    assert wait_until(lambda: not tracers())
    left = os.listdir(temporary)
    assert [] == [name for name in left if name.startswith(("memori-strace", "memori-watch"))]


def test_a_child_that_goes_on_is_let_go_on(tmp_path: Path) -> None:
    """What left the command's session works as ever; the run says that it was left."""
    program("late", f"""
touch {tmp_path}/up
while [ ! -e {tmp_path}/go ]; do sleep 0.05; done
cat {tmp_path}/a.txt > {tmp_path}/late.txt""")  # fmt: skip
    text = f"setsid late > /dev/null 2>&1 & while [ ! -e {tmp_path}/up ]; do sleep 0.05; done"
    program("daemon", text)
    write("a.txt", "one")
    stage = ShellStage("daemon", hash_output="work")
    stage.run()
    assert 1 == len(tracers())
    write("go")
    assert wait_until(Path("late.txt").exists)
    assert wait_until(lambda: "one" == Path("late.txt").read_text())
    assert wait_until(lambda: not tracers())
    assert any("what it left running" in each for each in unseen("work"))


def observed(root: str) -> list[dict[str, object]]:
    """Return what the entries of a store say of what their runs were seen to do."""
    memory = Memory(os.path.abspath(root))
    found = [entry for stage in memory.stages() for entry in memory.entries(stage)]
    return [entry.record["observed"] for entry in found]


def unseen(root: str) -> list[str]:
    """Return what the entries of a store name that nobody told of."""
    return [each for record in observed(root) for each in record.get("unseen", ())]


def test_commands_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """Each depends on what it read, and on nothing that another read at the same time."""
    main = write_reader()
    stage = ShellStage(f"{sys.executable} {main} {{n}}", hash_output="work")
    for number in range(8):
        write(f"data/{number}.txt")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stage.run(n=n), range(8)))
    write("data/3.txt", "two")
    assert [n == 3 for n in range(8)] == [runs(stage, n=n) for n in range(8)]


def write_reader() -> Path:
    """Write a script that reads a file which a number names, in a child and by itself."""
    main = Path("main.py").absolute()
    main.write_text(
        "import subprocess, sys\n"
        f"path = f'{os.getcwd()}/data/{{sys.argv[1]}}.txt'\n"
        "print(open(path).read(), subprocess.run(['cat', path]).returncode)\n"
    )
    return main


def test_sixteen_children_are_followed(tmp_path: Path) -> None:
    """Whichever reads, it counts."""
    for number in range(16):
        write(f"data/{number}.txt", str(number))
    text = f"for i in $(seq 0 15); do (cd {tmp_path}/data; cat $i.txt >&2) & done; wait"
    program("many", text)
    stage = ShellStage("many", hash_output="work")
    assert [True, False] == [runs(stage) for _ in range(2)]
    for number in (0, 7, 15):
        write(f"data/{number}.txt", "other")
        assert [True, False] == [runs(stage) for _ in range(2)]


# Where nothing can be watched


def without_strace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take strace from the PATH."""
    there = [each for each in os.environ["PATH"].split(":") if os.path.isdir(each)]
    for place, folder in enumerate(there):
        if os.path.exists(f"{folder}/strace"):
            os.mkdir(f"without{place}")
            for name in os.listdir(folder):
                if name != "strace":
                    os.symlink(f"{folder}/{name}", f"without{place}/{name}")
            there[place] = os.path.abspath(f"without{place}")
    monkeypatch.setenv("PATH", ":".join(there))
    assert shutil.which("strace") is None


def test_without_strace_commands_run_and_it_is_said_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the log once for a process, in each entry by name; `explain` and `memori show` say it."""
    without_strace(monkeypatch)
    monkeypatch.setattr(strace, "_said", set())
    for name in READERS:  # loaded by another test
        monkeypatch.delitem(sys.modules, name, raising=False)
    caplog.set_level(logging.INFO)
    write("a.txt")
    for number in range(2):
        stage = ShellStage(f"cat {tmp_path}/a.txt {{n}}", hash_output="work", exit_codes=(0, 1))
        assert [True, False] == [runs(stage, n=number) for _ in range(2)]
    said = [each for each in unseen("work") if "strace" in each]  # libraries are named as well
    assert ["cat (strace is not installed)"] * 2 == said
    assert 1 == caplog.text.count("unwatched: commands (strace is not installed)")
    told = "not seen: what is read by cat (strace is not installed)"
    assert 1 == str(stage.explain(n=1)).count(told)
    assert 0 == main(["show", "work"])
    told = "not seen what cat (strace is not installed) read, in cat"
    assert 1 == capsys.readouterr().out.count(told)


@pytest.mark.parametrize("first", ["with", "without"])
def test_a_memory_made_without_strace_serves_with_it_and_the_other_way_round(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one has recorded is a hit for the other."""
    write("a.txt")
    stage = ShellStage(f"sh -c 'cat {tmp_path}/a.txt'", hash_output="work")
    with monkeypatch.context() as context:
        if first == "without":
            without_strace(context)
        assert runs(stage)
    if first == "with":
        without_strace(monkeypatch)
    assert not runs(stage)


def test_where_tracing_is_refused_commands_run(tmp_path: Path) -> None:
    """As in many a container: the command runs, and its entry says that nobody told of it."""
    write("a.txt")
    script = Path("main.py")
    script.write_text(
        "from memori.neuro import ShellStage\n"
        f"stage = ShellStage(\"sh -c 'cat {tmp_path}/a.txt'\", hash_output='work')\n"
        "print(stage.run()['output'], stage.state, stage.run()['output'], stage.state)\n"
    )
    helper = Path(__file__).parents[2] / "watch/no_ptrace.py"
    done = subprocess.run(
        [sys.executable, helper, script], capture_output=True, text=True, check=False
    )
    if "filter cannot be installed" in done.stderr:
        pytest.skip("no seccomp filter can be installed here")
    assert ("one True one False\n", "") == (done.stdout, done.stderr)
    assert ["strace cannot be used"] == [each[4:25] for each in unseen("work")]


def test_watching_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all by the environment, for one stage by its option."""
    write("a.txt")
    text = f"sh -c 'cat {tmp_path}/a.txt'"
    with monkeypatch.context() as context:
        context.setenv("MEMORI_WATCH", "off")
        ShellStage(text, hash_output="off").run()
    ShellStage(text, hash_output="own", watch=False).run()
    for root in ("off", "own"):
        write("a.txt", root)
        assert not runs(ShellStage(text, hash_output=root))


# Whoever runs commands


def test_memori_run_watches(tmp_path: Path) -> None:
    """A command that is remembered on the command line."""
    write("a.txt")
    main = "import sys; from memori.cli import main; sys.exit(main())"
    call = [sys.executable, "-c", main, "run", "-v", "sh", "-c", f"cat {tmp_path}/a.txt"]
    found = []
    for text in ("one", "one", "two"):
        write("a.txt", text)
        found.append(subprocess.run(call, capture_output=True, text=True, check=True))
    assert ["one", "one", "two"] == [each.stdout for each in found]
    assert [False, False, True] == ["which the run read, edited" in e.stderr for e in found]


def test_nipypes_command_lines_are_watched(tmp_path: Path) -> None:
    """An interface whose arguments name what it reads in a text."""
    base = pytest.importorskip("nipype.interfaces.base")
    from memori.neuro import NipypeStage

    write("a.txt")
    interface = base.CommandLine(command="cat", args=f"{tmp_path}/a.txt > out.txt")
    stage = NipypeStage(interface, hash_output="work")
    assert [True, False, False] == [runs(stage) for _ in range(3)]
    write("a.txt", "two")
    assert [True, False] == [runs(stage) for _ in range(2)]


def test_niwraps_calls_are_watched(tmp_path: Path) -> None:
    """A tool of NiWrap's that finds an image without its extension."""
    styxdefs = pytest.importorskip("styxdefs")
    from memori.neuro import StyxRunner

    fake_fsl()
    write("img.nii")
    runner = StyxRunner("work")
    metadata = styxdefs.Metadata(id="x.fslcopy", name="fslcopy", package="FSL")
    states = []
    for text in ("one", "one", "two", "two"):
        write("img.nii", text)
        call = runner.start_execution(metadata)
        call.params({"in": "img"})
        out = call.output_file("out.txt")
        call.run(["fslcopy", f"{tmp_path}/img", "out.txt"])
        states.append((call.stage.state, Path(out).read_text()))
    assert [(True, "one"), (False, "one"), (True, "two"), (False, "two")] == states


def test_a_stage_inside_a_stage_passes_on_what_its_command_read(tmp_path: Path) -> None:
    """The outer run depends on it, too."""
    write("a.txt")
    inner = ShellStage(f"sh -c 'cat {tmp_path}/a.txt'", hash_output="work")

    def outer(x: int) -> str:
        return str(inner.run()["output"]) + str(x)

    stage = memori.Stage(outer, hash_output="work")
    assert ["one1", "one1"] == [stage.run(x=1)["output"] for _ in range(2)]
    write("a.txt", "two")
    assert ("two1", True) == (stage.run(x=1)["output"], stage.state)


# Folders that several share


@pytest.mark.parametrize("way", ["watched", "unwatched"])
def test_a_folder_of_all_subjects_counts_by_what_was_read_there(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second subject does not rerun the first; where nobody tells, all of the folder counts."""
    if way == "unwatched":
        without_strace(monkeypatch)
    write("subjects/s1/orig")
    write("subjects/s2/orig")
    recon = ShellStage(
        "sh -c 'cat $0/$1/orig > $0/$1/T1' {subjects} {name: str}", {"done": memori.neuro.Stdout()},
        hash_output="work",
    )  # fmt: skip
    given = {"subjects": "subjects", "name": "s1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the folder, an input, changes while it runs
        found = [(recon.run(**given), recon.state)[1] for _ in range(3)]
        assert [True, False, False] == found
        recon.run(subjects="subjects", name="s2")
        assert (way == "watched") == recon.explain(**given).hit
        write("subjects/s3/orig")
        assert (way == "watched") == recon.explain(**given).hit
        write("subjects/s1/orig", "two")
        assert not recon.explain(**given).hit


def test_a_product_named_by_its_path_does_not_run_the_command_twice(tmp_path: Path) -> None:
    """The second run finds it there."""
    write("a.txt")
    stage = ShellStage(f"cp {{in_file}} {tmp_path}/out.txt", hash_output="work")
    assert [True, False] == [runs(stage, in_file="a.txt") for _ in range(2)]
    write("out.txt", "edited")
    assert [True, False] == [runs(stage, in_file="a.txt") for _ in range(2)]


def test_reads_can_be_left_out(tmp_path: Path) -> None:
    """By name or pattern, for one stage."""
    write("a.txt")
    text = f"sh -c 'cat {tmp_path}/a.txt'"
    stage = ShellStage(text, hash_output="work", ignore_reads=[f"{tmp_path}/*.txt"])
    assert runs(stage)
    write("a.txt", "two")
    assert not runs(stage)


def test_a_data_file_in_the_folder_of_a_suite_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What conda put there is the suite's, by its version; what a user put there is not."""
    monkeypatch.setenv("FSLDIR", str(tmp_path / "fsl"))
    for name in ("standard.nii", "mine.nii"):
        write(f"fsl/data/{name}")
    write("fsl/conda-meta/fsl.json", '{"files": ["data/standard.nii"]}')
    text = "sh -c 'cat $FSLDIR/data/standard.nii $FSLDIR/data/mine.nii'"
    stage = ShellStage(text, hash_output="work")
    assert runs(stage)
    write("fsl/data/standard.nii", "two")
    assert not runs(stage)
    write("fsl/data/mine.nii", "two")
    assert runs(stage)


@pytest.mark.parametrize("name", ["epi+orig", "epi+orig[0..5]", "epi.nii[0..5]", "epi.nii<1..2>"])
def test_a_file_that_words_name_counts_although_the_program_did_not_open_it(
    name: str, tmp_path: Path
) -> None:
    """As AFNI spells datasets; an output that was there before does not run twice."""
    for each in ("epi+orig.HEAD", "epi+orig.BRIK", "epi.nii"):
        write(each, "one")
    write("tool", "#!/bin/sh\necho done > out.txt\n")
    (tmp_path / "tool").chmod(0o755)
    stage = ShellStage(f"{tmp_path}/tool {{in_file}} {tmp_path}/log.txt", hash_output="work")
    write("log.txt", "0")
    assert [True, False] == [runs(stage, in_file=f"{tmp_path}/{name}") for _ in range(2)]
    for each in ("epi+orig.HEAD", "epi+orig.BRIK", "epi.nii"):
        write(each, "two")
    assert [True, False] == [runs(stage, in_file=f"{tmp_path}/{name}") for _ in range(2)]


def test_what_a_script_leaves_running_belongs_to_its_run(tmp_path: Path) -> None:
    """A log through `tee` is whole, and what a job writes later is remembered with the rest."""
    script = "exec > >(tee -a log) 2>&1; (sleep 0.2; cat in > late) & echo start; echo end"
    write("in")
    stage = ShellStage(
        "bash -c {script: str}", outputs={"late": "late"}, hash_output="work", link_inputs=True
    ).replace(script=script.replace("in >", f"{tmp_path}/in >"))
    assert [True, False] == [runs(stage) for _ in range(2)]
    assert "one" == Path(stage.run()["late"]).read_text()
    assert "start\nend\n" == Path("work/bash/latest/stdout.txt").read_text()
    write("in", "two")
    assert [True, False] == [runs(stage) for _ in range(2)]


def test_a_server_that_a_script_leaves_is_ended_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run is not remembered: memori says who was ended, and blames nobody else."""
    monkeypatch.setattr(rest, "IDLE", 0.2)
    stage = ShellStage("bash -c 'trap : TERM; sleep 300 & echo x'", hash_output="work")
    with pytest.warns(MemoriWarning, match=r"bash left running sleep 300 \(process \d+\), which "):
        stage.run()
    with pytest.warns(MemoriWarning, match=r"remembered; have the command wait for it, or end it"):
        stage.run()
    assert stage.state


@pytest.mark.parametrize(
    "script",
    [
        "sort in > out/x; ln -sf x out/latest",
        "sort in > out/x; cat scratch/x > out/y; [ -s scratch/y ]",
        "sort in > scratch/x; cat out/x >> scratch/y; rm -f out/y; sort out/x > scratch/y",
        "[ -e scratch/x ]; sort in > out/x; mv scratch/x out/y; cat scratch/y > out/z",
        "sort in > out/x; echo more >> scratch/x; chmod 600 scratch/x; cat out/x > out/y",
    ],
)
def test_a_file_made_through_a_linked_folder_is_one_file(script: str) -> None:
    """Whichever way leads to what a command made, it has made it; what it read still counts."""
    os.mkdir("scratch")
    os.symlink("scratch", "out")
    words = ["run", "-n", "s", "-d", "work", "-o", "out", "--", "bash", "-c", script]
    for text in ("2\n1\n", "4\n3\n"):
        write("in", text)
        with warnings.catch_warnings():
            warnings.simplefilter("error", MemoriWarning)
            assert 0 == main(words)
        before = {path: path.stat().st_ctime_ns for path in Path("scratch").iterdir()}
        assert 0 == main(words)
        assert before == {path: path.stat().st_ctime_ns for path in Path("scratch").iterdir()}


def test_a_file_read_by_two_ways_counts_by_both(tmp_path: Path) -> None:
    """A link that leads elsewhere is another input, and so is a file that others see behind it."""
    for folder, text in (("a", "one"), ("b", "one")):
        write(f"{folder}/x", text)
    os.symlink("a", "link")
    stage = ShellStage(f"cat {tmp_path}/link/x {tmp_path}/a/x", hash_output="work")
    assert [True, False] == [runs(stage) for _ in range(2)]
    os.unlink("link")
    os.symlink("b", "link")
    assert not runs(stage)
    write("a/x", "two")
    assert runs(stage)
    write("b/x", "three")
    assert runs(stage)


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed: util-linux")
@pytest.mark.parametrize("before", ["", "[ -e lock ]; ", "flock lock true; ", "touch lock; "])
def test_a_lock_that_a_command_makes_is_no_input_of_it(before: str) -> None:
    """`flock` opens its file for reading, and makes it; a file that was there is read."""
    write("in")
    words = ["run", "-n", "s", "-d", "work", "--", "bash", "-c"]
    words.append(f"{before}flock lock sort in; echo x >> count")
    with warnings.catch_warnings():
        warnings.simplefilter("error", MemoriWarning)
        assert [0, 0, 0] == [main(words) for _ in range(3)]
    assert "x\n" == Path("count").read_text()
    if not before:
        shutil.rmtree("work")
        write("lock", "there")
        assert [0, 0] == [main(words) for _ in range(2)]
        write("lock", "other")
        assert 0 == main(words)
        assert "x\nx\nx\n" == Path("count").read_text()
