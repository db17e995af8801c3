"""Commands in containers: podman for real, the command lines of the other engines by text."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memori.neuro.command import containers
from memori.neuro.command.containers import container_of, readable
from memori.neuro.command.stage import CommandError, Container, ShellStage, Stdout
from memori.neuro.tools.identity import ToolError

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


def test_the_command_line_of_apptainer() -> None:
    """The same argv, read-only binds, the run's folder writable, no home, no environment."""
    call, stop = Container("/i/fsl.sif", "apptainer", binds=("/ref",)).wrap(
        ["bet", "/d/T1.nii.gz", "/w/b.nii.gz"], "/w", ["/d/T1.nii.gz"], {"OMP_NUM_THREADS": "2"}
    )
    assert [
        "apptainer", "exec", "--cleanenv", "--no-home", "--pwd", "/w",
        "--bind", "/d:/d:ro", "--bind", "/ref:/ref:ro", "--bind", "/w:/w",
        "--env", "OMP_NUM_THREADS=2", "/i/fsl.sif", "bet", "/d/T1.nii.gz", "/w/b.nii.gz",
    ] == call  # fmt: skip
    assert stop is None


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
        "--mount", "type=bind,src=/w,dst=/w", "--user", f"{os.getuid()}:{os.getgid()}",
        "--entrypoint", "bet", "--network", "none", "x/fsl:6", "/d/a,b/T1.nii", "o",
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


# podman, for real


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Import an image with busybox in it, in a store of its own."""
    busybox = shutil.which("busybox")
    if shutil.which("podman") is None or shutil.which("runc") is None or busybox is None:
        pytest.skip("no podman: apt-get install podman runc busybox-static")
    place = tmp_path_factory.mktemp("podman")
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


def test_a_missing_image_is_an_error(podman: Container) -> None:
    """It is not fetched; the message says how."""
    missing = Container("localhost/none:1", "podman", podman.engine_options)
    with pytest.raises(ToolError, match="podman pull localhost/none:1"):
        ShellStage("echo x", container=missing).run()


def test_a_timeout_ends_the_container(podman: Container) -> None:
    """Nothing of it is left, though it is no child of ours."""
    with pytest.raises(CommandError, match="did not end in time"):
        ShellStage(f"sleep {NAP}7", container=podman, timeout=2).run()
    assert _ended(f"{NAP}7")


def test_a_kill_of_the_parent_ends_the_container(podman: Container, tmp_path: Path) -> None:
    """By SIGKILL, too."""
    program = f"""
from memori.neuro.command.stage import Container, ShellStage
ShellStage("sh -c 'touch ready; sleep {NAP}8'", container={podman!r}, hash_output="work").run()
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    until = time.monotonic() + 20
    while not list(Path("work").glob("*/*/ready")) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(Path("work").glob("*/*/ready"))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _ended(f"{NAP}8")


def _ended(mark: str) -> bool:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if not any(mark.encode() in line for line in _command_lines()):
            return True
        time.sleep(0.1)
    return False


def _command_lines() -> Iterator[bytes]:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{entry}/cmdline").read_bytes()
