"""What a run reads beside an input counts as beside it, also where another run made that again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memori import Stage, workdir
from memori.artifacts import Artifact
from memori.neuro import ShellStage, Stdout


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def repetition_time(image: str) -> float:
    return float(json.loads(Path(image).with_suffix(".json").read_text())["TR"])


def test_the_sidecar_of_the_run_that_made_the_input_counts() -> None:
    """The first stage makes an equal image and another sidecar; going back is a hit again."""

    def convert(_: float) -> Path:
        Path(workdir(), "x.nii").write_text("equal")
        Path(workdir(), "x.json").write_text(json.dumps({"TR": time}))
        return Path(workdir(), "x.nii")

    reads = Stage(repetition_time, "TR", "work")
    for time, state in ((2.0, True), (0.8, True), (2.0, False), (0.8, False)):
        image = Stage(convert, "image", "work").run(time)["image"]
        assert ({"TR": time}, state) == (reads.run(image), reads.state)


def test_the_sidecar_beside_a_file_that_counts_by_its_name_counts() -> None:
    """Two subjects with equal images, x.nii, and different sidecars, x.json."""
    script = Path("tr.sh")
    script.write_text('#!/bin/sh\ncat "${1%.nii}.json"\n')
    script.chmod(0o755)
    command = f"{script.resolve()} {{image}}"
    stage = ShellStage(command, outputs={"TR": Stdout()}, stage_name="tr", hash_output="work")
    for times in (("2.0", "0.8"), ("2.0", "0.8"), ("1.5", "0.8")):
        for subject, time in zip(("sub-01", "sub-02"), times, strict=True):
            Path(subject).mkdir(exist_ok=True)
            Path(subject, "x.nii").write_text("equal")
            Path(subject, "x.json").write_text(time)
            assert time == stage.run(image=f"{subject}/x.nii")["TR"]
    for subject, time in (("sub-01", "1.5"), ("sub-02", "0.8")):
        assert {"TR": time} == stage.run(image=f"{subject}/x.nii")
        assert not stage.state


@pytest.mark.parametrize("returned", [".", "maps", "maps/t.txt", "x.nii", "maps/not_yet_"])
def test_what_a_run_returns_from_beside_its_input_is_what_lies_there_now(returned: str) -> None:
    """A stage names the folder of its input, or what lies in it; the input is made anew, equal."""

    def fit(contrast: str) -> Path:
        Path(workdir(), "maps").mkdir()
        Path(workdir(), "maps", "t.txt").write_text(contrast)
        Path(workdir(), "x.nii").write_text("equal")
        return Path(workdir(), "x.nii")

    def name(image: str) -> Path:
        return Path(image).parent / returned

    def read(named: str) -> str:
        run = next(each for each in (Path(named), *Path(named).parents) if (each / "maps").is_dir())
        return (run / "maps" / "t.txt").read_text()

    names, reads = Stage(name, "named", "work"), Stage(read, "text", "work")
    for contrast in ("faces", "houses", "faces"):
        image = Stage(fit, "image", "work").run(contrast)["image"]
        for is_again in (False, True):
            named = names.run(image)["named"]
            assert str(Path(image).parent / returned) == named
            assert {"text": contrast} == reads.run(named)
            assert not (is_again and (names.state or reads.state))


@pytest.mark.parametrize("below", ["../../other", "/etc/passwd", "a/../../b", "a\0b", "\udfff", 1])
def test_a_record_leads_nowhere_but_beside_the_input(below: object) -> None:
    """A memory that somebody else wrote names no other file of whoever uses it."""
    known = {"at": ["x"], "kind": "path", "path": "x", "folder": "exists"}
    Artifact.from_record({**known, "beside": ["image", "x.json"]})
    with pytest.raises(ValueError, match="names no input and no path below its folder"):
        Artifact.from_record({**known, "beside": ["image", below]})
