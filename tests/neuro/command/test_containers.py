"""Commands in containers: podman for real, the command lines of the other engines by text."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from memori.neuro import Derivatives
from memori.neuro.command import containers
from memori.neuro.command.containers import container_of, readable
from memori.neuro.command.stage import CommandError, Container, ShellStage, Stdout
from memori.neuro.process.run import end_all
from memori.neuro.tools.identity import ToolError
from memori.processes import watchdog

IMAGE = "memori-test:1"
NAP = f"300.{os.getpid()}"  # seconds that tell our sleepers from all others on the machine
RUN_OPTIONS = ("--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def test_the_engine_is_told_by_the_words(tmp_path: Path) -> None:
    """A file is Apptainer's, a reference names its engine."""
    assert Container(str(tmp_path / "a.sif"), "apptainer") == container_of(tmp_path / "a.sif")
    assert Container("x/y:1", "docker") == container_of("docker://x/y:1")
    assert Container("localhost/y", "podman") == container_of("podman://localhost/y")
    for words in ("ubuntu", "podman://", "ftp://x", ""):
        with pytest.raises(ValueError, match="none of image"):
            container_of(words)


def test_the_folders_of_the_files_are_bound(tmp_path: Path) -> None:
    """Outermost only; of a link (DataLad) also where it leads; never the root of the system."""
    store = tmp_path / "annex/objects"
    store.mkdir(parents=True)
    (store / "key").write_text("x")
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a.nii").symlink_to(store / "key")
    (tmp_path / "data/deep/b.nii").write_text("x")
    paths = [str(tmp_path / name) for name in ("data/a.nii", "data/deep/b.nii", "run/c.nii")]
    expected = [str(store), str(tmp_path / "data")]
    assert expected == readable(paths, str(tmp_path / "run"))
    assert ["/x.nii"] == readable(["/x.nii"], "/run")


def test_a_file_among_many_things_is_bound_alone() -> None:
    """Bound whole, /tmp would be the host's, and /opt would hide the image's own programs."""
    home = os.path.expanduser("~")
    paths = [
        "/tmp/a.nii",
        "/var/tmp/b",
        "/opt/atlas.nii",
        "/usr/local/c",
        "/etc/d",
        f"{home}/e.nii",
    ]
    assert sorted(paths) == readable(paths, "/w")
    assert ["/opt/fsl/data"] == readable(["/opt/fsl/data/MNI.nii"], "/w")


def test_both_files_of_a_pair_are_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Though they lie among many things."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nib.save(nib.Nifti1Pair(np.ones((3, 3, 3), np.float32), np.eye(4)), tmp_path / "a.hdr")
    expected = [str(tmp_path / "a.hdr"), str(tmp_path / "a.img")]
    assert expected == readable([str(tmp_path / "a.hdr")], "/w")


def test_the_command_line_of_apptainer() -> None:
    """The same argv, read-only binds, the run's folder writable, and nothing else of the host."""
    call, stop = Container("/i/fsl.sif", "apptainer", binds=("/ref",)).wrap(
        ["bet", "/d/T1.nii.gz", "/w/b.nii.gz"], "/w", ["/d/T1.nii.gz"], {"OMP_NUM_THREADS": "2"}
    )
    assert [
        "apptainer", "exec", "--containall", "--workdir", "/w/.container", "--pwd", "/w",
        "--bind", "/d:/d:ro", "--bind", "/ref:/ref:ro", "--bind", "/w:/w",
        "/i/fsl.sif", "bet", "/d/T1.nii.gz", "/w/b.nii.gz",
    ] == call  # fmt: skip
    assert stop is None


def test_the_home_folder_itself_can_be_bound() -> None:
    """It must not be hidden by the empty one that Apptainer would put there."""
    home = os.path.expanduser("~")
    call, _ = Container("/i/fsl.sif", "apptainer", binds=(home,)).wrap(["x"], "/w", [], {})
    assert ["exec", "--containall", "--no-home"] == call[1:4]
    assert f"{home}:{home}:ro" in call


def test_the_command_line_of_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the user, without the image's entry point, and with a name to end it by."""
    monkeypatch.setattr(os, "urandom", lambda n: b"\0" * n)
    call, stop = Container("x/fsl:6", "docker", ("--context", "c"), ("--network", "none")).wrap(
        ["bet", "/d/a,b/T1.nii", "o"], "/w", ["/d/a,b/T1.nii"], {}
    )
    name = f"memori-{os.getpid()}-000000000000"
    assert [
        "docker", "--context", "c", "run", "--rm", "--name", name, "--pull", "never",
        "--workdir", "/w", "--mount", 'type=bind,"src=/d/a,b","dst=/d/a,b",ro=true',
        "--mount", "type=bind,src=/w,dst=/w", "--env", "MEMORI_RUN",
        "--user", f"{os.getuid()}:{os.getgid()}", "--entrypoint", "bet",
        "--network", "none", "x/fsl:6", "/d/a,b/T1.nii", "o",
    ] == call  # fmt: skip
    assert ["docker", "--context", "c", "rm", "--force", name] == stop


def test_a_missing_engine_or_image_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where to get it."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match=r"'apptainer'.*apptainer.org"):
        ShellStage("bet x", container=tmp_path / "a.sif").run()
    with pytest.raises(ToolError, match=r"'docker'.*docs.docker.com"):
        ShellStage("bet x", container="docker://x").run()


def test_a_sif_counts_by_its_content(tmp_path: Path) -> None:
    """Another image is another tool; without the image a hit stands."""
    image = tmp_path / "a.sif"
    image.write_bytes(b"one")
    container = container_of(image)
    first = container.identity({})
    image.write_bytes(b"two")
    assert first != container.identity({})
    image.unlink()
    assert container.identity({}) is None
    pinned = container_of("docker://x/y@sha256:abc")
    assert "sha256:abc" == pinned.identity({"PATH": "/nowhere"})


# Apptainer, by its grammar

APPTAINER = """#!{python}
# Reads its words and its environment as Apptainer's documentation has them, notes what it
# understood, and runs the command where it was told to, without a container.
import csv, json, os, re, sys

TAKE = {{"--bind", "--mount", "--workdir", "--pwd", "--env"}}
FLAGS = {{"--containall", "--no-home", "--nv"}}


def binds(text):  # src[:dest[:opts]],...
    found = []
    for part in re.findall("([^,^:]+:?)", text):
        part = part.strip()
        last = found[-1] if found else []
        if len(last) >= 2 and not last[-1].endswith(":") and part in ("ro", "rw"):
            last.append(part)
        elif last and last[-1].endswith(":"):
            last[-1] = last[-1][:-1]
            last.append(part)
        else:
            found.append([part])
    return [(b[0], b[1] if len(b) > 1 else b[0], "ro" in b[2:]) for b in found]


def mount(text):  # a line of a table
    (fields,) = csv.reader([text], strict=True)
    options = dict(each.partition("=")[::2] for each in fields)
    assert options.pop("type", "bind") == "bind", text
    source, target = options.pop("source"), options.pop("destination")
    read_only = options.pop("ro", None) is not None
    assert not options, text
    return source, target, read_only


words = iter(sys.argv[1:])
assert next(words) == "exec"
noted = {{"binds": [], "flags": []}}
for name in ("BIND", "BINDPATH"):
    noted["binds"] += binds(os.environ.get(f"APPTAINER_{{name}}", ""))
for word in words:
    if word in FLAGS:
        noted["flags"].append(word)
    elif word in TAKE:
        value = next(words)
        if word == "--bind":
            noted["binds"] += binds(value)
        elif word == "--mount":
            noted["binds"].append(mount(value))
        else:
            noted[word] = value
    else:
        assert not word.startswith("-"), word
        noted["image"] = word
        break
for name in ("tmp", "var_tmp"):
    os.mkdir(os.path.join(noted["--workdir"], name))
    open(os.path.join(noted["--workdir"], name, "kept"), "w").close()
own = {{k[len(p):]: v for p in ("SINGULARITYENV_", "APPTAINERENV_") for k, v in os.environ.items()
       if k.startswith(p)}}
noted["environment"] = own
with open({note!r}, "w") as file:
    json.dump(noted, file)
argv = list(words)
os.chdir(noted["--pwd"])
os.execvpe(argv[0], argv, {{"PATH": os.environ["PATH"], **own}})
"""


@pytest.fixture
def apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a program of that name on the PATH; the file in which it notes what it understood."""
    note = tmp_path / "note.json"
    program = tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER.format(python=sys.executable, note=str(note)))
    program.chmod(0o755)
    (tmp_path / "a.sif").write_bytes(b"image")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return note


NAMES = ["plain", "a,b", "a:b", "a:b,c:d:ro", "a b", 'a"b', "a'b", "a\\b", "a\nb", " a ", "a^b",
         "a=b", "a,ro", "\u00fc", "$HOME", "a;b", "*"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_apptainer_binds_what_it_is_told_and_nothing_else(apptainer: Path, name: str) -> None:
    """Whatever folders are called: nothing in a name is an option, or another folder."""
    folder = Path("in", name).absolute()
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("hello")
    stage = ShellStage(
        "cp {in_file} {out}", {"out": "o.txt"}, f"work/{name}".replace("{", ""), container="a.sif"
    )
    made = stage.run(str(folder / "x.txt"))["out"]
    noted = json.loads(apptainer.read_text())
    assert "hello" == Path(made).read_text()
    run = os.path.dirname(made)
    assert [[str(folder), str(folder), True], [run, run, False]] == noted["binds"]
    assert (run, f"{run}/.container") == (noted["--pwd"], noted["--workdir"])
    assert {"o.txt", "stdout.txt", "stderr.txt"} == set(os.listdir(run))


def test_apptainer_shares_neither_tmp_nor_home(apptainer: Path) -> None:
    """They are the run's own, on its disk, and go with it; also when it fails."""
    ShellStage("true", container="a.sif").run()
    assert ["--containall"] == json.loads(apptainer.read_text())["flags"]
    with pytest.raises(CommandError) as caught:
        ShellStage("false", container="a.sif", hash_output="work").run()
    assert ".container" not in os.listdir(caught.value.folder)


@pytest.mark.parametrize(
    "value", ["a b", "a,b=c", 'say "x"', "x\ny", "", "a=b=c", "'", "$HOME", "\\"]
)
def test_apptainer_is_given_variables_as_they_are(apptainer: Path, value: str) -> None:
    """Nothing in a value is another variable."""
    stage = ShellStage("printenv FOO", env={"FOO": value.replace("{", "{{")}, container="a.sif")
    assert value == stage.run()["output"]
    assert {"FOO": value} == json.loads(apptainer.read_text())["environment"]


def test_the_users_environment_adds_nothing(
    apptainer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither folders nor variables: what the stage does not name does not count either."""
    for name in ("APPTAINER_BIND", "APPTAINER_BINDPATH", "SINGULARITY_BIND"):
        monkeypatch.setenv(name, f"{tmp_path}:/mnt:rw")
    monkeypatch.setenv("APPTAINERENV_SECRET", "hunter2")
    monkeypatch.setenv("SINGULARITYENV_SECRET", "hunter2")
    monkeypatch.setenv("APPTAINER_CACHEDIR", "/scratch")
    run = ShellStage("pwd", container="a.sif", threads=2).run()["output"]
    noted = json.loads(apptainer.read_text())
    assert [[run, run, False]] == noted["binds"]
    assert "2" == noted["environment"]["OMP_NUM_THREADS"]
    assert "SECRET" not in noted["environment"]


def test_singularity_alone_will_do(apptainer: Path, tmp_path: Path) -> None:
    """Under its old name it is found, and given the variables under that name."""
    os.rename(tmp_path / "bin/apptainer", tmp_path / "bin/singularity")
    stage = ShellStage("printenv FOO", env={"FOO": "x"}, container="a.sif")
    assert "x" == stage.run()["output"]


# podman, for real


@pytest.fixture(scope="module")
def podman() -> Iterator[Container]:
    """Import an image with busybox in it, in a store of its own."""
    busybox = shutil.which("busybox")
    if shutil.which("podman") is None or shutil.which("runc") is None or busybox is None:
        pytest.skip("no podman: apt-get install podman runc busybox-static")
    place = Path(tempfile.mkdtemp(prefix="memori"))  # it refuses paths of over 50 characters
    archive = place / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "cat", "cp", "echo", "sleep", "id", "touch", "wc", "env"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    options = ("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc",
               "--root", str(place / "store"), "--runroot", str(place / "run"))  # fmt: skip
    made = subprocess.run(
        ["podman", *options, "import", str(archive), IMAGE], capture_output=True, text=True
    )
    container = Container(IMAGE, "podman", options, RUN_OPTIONS)
    call, _ = container.wrap(["echo", "x"], str(place), [], {})
    tried = subprocess.run(call, capture_output=True, text=True)
    if made.returncode or tried.returncode:
        said = (tried.stderr if made.returncode == 0 else made.stderr).strip().splitlines()
        pytest.skip(f"podman does not run here: {said[-1] if said else 'it says nothing'}")
    yield container
    subprocess.run(["podman", *options, "rmi", "--force", "--all"], capture_output=True)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_command_in_podman_is_remembered(podman: Container, tmp_path: Path) -> None:
    """It reads its inputs, writes its outputs, and hits the second time."""
    (tmp_path / "data here").mkdir()
    (tmp_path / "data here/in.txt").write_text("hello\n")
    stage = ShellStage(
        "cp {in_file} {out}", outputs={"out": "out.txt"}, container=podman, hash_output="work"
    )
    assert "hello\n" == Path(stage.run("data here/in.txt")["out"]).read_text()
    stage.run("data here/in.txt")
    assert not stage.state
    recorded = stage.explain("data here/in.txt").key.surroundings
    assert ["container"] == list(recorded)
    assert recorded["container"].startswith("sha256 ")


def test_podman_sees_its_inputs_read_only_and_nothing_else(podman: Container) -> None:
    """What is not an input is not there; what is cannot be changed."""
    Path("data").mkdir()
    Path("data/in.txt").write_text("x")
    Path("other").mkdir()
    Path("other/secret").write_text("x")
    with pytest.raises(CommandError, match="Read-only file system"):
        ShellStage("touch {in_file}.new", container=podman).run("data/in.txt")
    with pytest.raises(CommandError, match="No such file"):
        ShellStage(f"cat {Path('other/secret').absolute()}", container=podman).run()


def test_podman_gives_the_environment_that_is_named(
    podman: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """env= and threads=, and nothing of this process."""
    monkeypatch.setenv("SECRET", "hunter2")
    text = ShellStage("env", env={"A": "b c"}, threads=3, container=podman).run()["output"]
    lines = text.splitlines()
    assert {"A=b c", "OMP_NUM_THREADS=3"} <= set(lines)
    assert "hunter2" not in text


def test_another_image_reruns_and_no_engine_is_a_hit(
    podman: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is the tool."""
    stage = ShellStage("echo x", outputs=Stdout(), container=podman, hash_output="work")
    stage.run()
    monkeypatch.setattr(containers, "_image_digest", lambda *_: "sha256 other")
    assert not stage.explain().hit
    monkeypatch.setenv("PATH", "/nowhere")
    assert stage.explain().hit


def test_derivatives_name_the_container(podman: Container, tmp_path: Path) -> None:
    """The entry says in which image the tool ran, and so does GeneratedBy, with its digest."""
    (tmp_path / "in.tsv").write_text("a\n")
    stage = ShellStage(
        "cp {in_file} {out}", outputs={"out": "out.tsv"}, container=podman, hash_output="work"
    )
    source = tmp_path / "ds/sub-01/func/sub-01_task-rest_bold.nii.gz"
    result = stage.run(in_file=str(tmp_path / "in.tsv"))

    Derivatives(tmp_path / "derivatives").save(result["out"], source=source, suffix="timeseries")

    told = json.loads((tmp_path / "derivatives/dataset_description.json").read_text())
    (tool,) = [each for each in told["GeneratedBy"] if each["Name"] == "cp"]
    assert {"Type": "podman", "Tag": os.path.basename(podman.image)} == tool["Container"]
    assert tool["Version"].startswith("sha256 ")


def test_a_missing_image_is_an_error(podman: Container) -> None:
    """It is not fetched; the message says how."""
    missing = Container("localhost/none:1", "podman", podman.engine_options)
    with pytest.raises(ToolError, match="podman pull localhost/none:1"):
        ShellStage("echo x", container=missing).run()


@pytest.mark.parametrize("name", NAMES)
def test_podman_binds_folders_of_any_name(podman: Container, name: str) -> None:
    """Whatever a folder is called, it is there, read-only, and no other one is."""
    folder = Path("in", name).absolute()
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("hello")
    stage = ShellStage(
        'sh -c \'cp "$0" "$1"; touch "$0.new"; true\' {in_file} {out}',
        {"out": "o.txt"},
        f"work/{name}",
        container=podman,
    )
    assert "hello" == Path(stage.run(str(folder / "x.txt"))["out"]).read_text()
    assert ["x.txt"] == os.listdir(folder)


def test_podman_has_a_tmp_of_its_own(podman: Container) -> None:
    """Also when an input lies there: the host's is neither seen nor written."""
    mark = f"memori-{os.getpid()}"
    with (
        tempfile.NamedTemporaryFile("w", suffix=".txt") as file,
        tempfile.NamedTemporaryFile("w") as other,
    ):
        file.write("hello")
        file.flush()
        place = os.path.dirname(file.name)
        command = f"sh -c 'touch {place}/{mark}; cat $0; echo; echo {place}/*' {{in_file}}"
        printed = ShellStage(command, container=podman).run(file.name)["output"]
        text, names = printed.splitlines()
        assert "hello" == text
        assert {f"{place}/{mark}", file.name} <= set(names.split())
        assert other.name not in names
        assert not os.path.exists(f"{place}/{mark}")


def test_a_timeout_ends_the_container(podman: Container) -> None:
    """Nothing of it is left, though it is no child of ours."""
    with pytest.raises(CommandError, match="ran longer than its timeout"):
        ShellStage(f"sleep {NAP}7", container=podman, timeout=2).run()
    assert _ended(f"{NAP}7")


def test_a_kill_of_the_parent_ends_the_container(podman: Container, tmp_path: Path) -> None:
    """By SIGKILL, too."""
    program = f"""
from memori.neuro.command.stage import Container, ShellStage
ShellStage("sh -c 'touch ready; sleep {NAP}8'", container={podman!r}, hash_output="work").run()
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    assert _until(lambda: list(Path("work").glob("*/*/ready")))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _ended(f"{NAP}8")


@pytest.fixture
def hanging(podman: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Container:
    """Put a podman on the PATH that never comes back from ending a container."""
    program = tmp_path / "hanging/podman"
    program.parent.mkdir()
    real = shutil.which("podman")
    program.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" != rm ] || exec sleep {NAP}4; done\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(watchdog, "STOP", 1.0)
    return podman


def test_an_engine_that_hangs_does_not_hang_the_run(
    hanging: Container, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a time limit; the command is ended all the same, and what hangs is said."""
    with pytest.raises(CommandError, match="ran longer than its timeout"):
        ShellStage(f"sleep {NAP}5", container=hanging, timeout=2).run()
    assert _ended(f"{NAP}5")
    assert _ended(f"{NAP}4")
    assert any("rm --force" in each and "did not end within" in each for each in caplog.messages)


def test_an_engine_that_hangs_does_not_hang_an_interrupt(
    hanging: Container, caplog: pytest.LogCaptureFixture
) -> None:
    """Several commands share one time limit, and what hangs is said of each."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            stage = f"sh -c 'touch ready{number}; sleep {NAP}6'"
            ShellStage(stage, container=hanging, hash_output=f"work{number}").run()
        except CommandError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for each in threads:
        each.start()
    assert _until(lambda: len(list(Path().glob("work?/sh/????????/ready?"))) == 3)
    end_all()
    for each in threads:
        each.join(60)
    assert 3 == len(errors)
    assert 3 == sum("did not end within" in each for each in caplog.messages)
    assert _ended(f"{NAP}6")
    assert _ended(f"{NAP}4")


def test_an_engine_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that hangs is told from an image that is missing."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(containers, "_PATIENCE", 0.2)
    with pytest.raises(ToolError, match="docker did not answer within"):
        ShellStage("true", container="docker://x/y:1").run()


def _ended(mark: str) -> bool:
    return _until(lambda: not any(mark.encode() in line for line in _command_lines()))


def _until(is_so: Callable[[], object]) -> bool:
    until = time.monotonic() + 30
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _command_lines() -> Iterator[bytes]:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{entry}/cmdline").read_bytes()
