"""`memori why`: for which reasons the stages of the last run ran."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, workdir
from memori.cli import main


def smooth(image: str, fwhm: int) -> str:
    path = workdir() / "smooth.txt"
    path.write_text(f"{Path(image).read_text()} {fwhm}")
    return str(path)


def count(smoothed: str) -> int:
    return len(Path(smoothed).read_text())


def mean(image: str) -> int:
    return len(Path(image).read_text())


def pipeline(fwhm: int) -> Pipeline:
    where = "work/sub-{subject}"
    smoothing = Stage(smooth, "smoothed", where, fwhm=fwhm)
    averaging, counting = Stage(mean, "m", where), Stage(count, "n", where)
    return Pipeline([("start", smoothing), (smoothing, counting), ("start", averaging)])


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Two subjects that ran an hour ago."""
    monkeypatch.chdir(tmp_path)
    for subject in ("01", "02"):
        Path(f"{subject}.txt").write_text(subject)
    cases = [{"subject": subject, "image": f"{subject}.txt"} for subject in ("01", "02")]
    pipeline(6).map(cases)
    for path in Path("work").glob("*/.memori/stages/*/??/*.json"):
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    return cases


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert 0 == main(["why", *words])
    return capsys.readouterr().out


def test_the_reasons_of_the_last_run_are_told(
    cases: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run in worker processes, too; what did not run is said to be remembered."""
    pipeline(12).map(cases, n_jobs=2)
    lines = told(capsys).splitlines()
    assert "mean: did not run; it is remembered" in lines
    place = next(at for at, line in enumerate(lines) if line.startswith("smooth: ran 2 times"))
    assert "    2 x input fwhm: 6 -> 12" == lines[place + 1]
    assert any(line.startswith("    2 x file smooth/*/smooth.txt (smoothed)") for line in lines)


def test_one_stage_is_told_run_by_run(
    cases: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """With its folder and inputs."""
    pipeline(12).map(cases)
    text = told(capsys, "work", "smooth")
    assert "work/sub-01: image='../../01.txt', fwhm=12\n      input fwhm: 6 -> 12\n" in text
    found: Any = json.loads(told(capsys, "work", "smooth", "--json"))
    assert [["input fwhm: 6 -> 12"]] * 2 == [each["reasons"] for each in found["smooth"]]
    assert 1 == main(["why", "work", "blur"])
    expected = "memori: blur is no stage below work; its stages are count, mean, smooth\n"
    assert expected == capsys.readouterr().err


def test_only_the_case_that_changed_is_told(
    cases: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The others did not run."""
    Path("02.txt").write_text("02 again")
    pipeline(6).map(cases)
    text = told(capsys)
    assert "mean: ran once" in text
    assert "file ../../02.txt (image) edited" in text
    assert "01.txt" not in text


def test_where_nothing_ran_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without memory is no error."""
    assert f"nothing ran below {tmp_path}\n" == told(capsys, str(tmp_path))


def test_a_case_that_nobody_has_is_not_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case that never ran is not taken for one that had nothing to do."""
    Stage(lambda sub: sub, "o", tmp_path / "work", stage_name="f").run("sub-01")
    capsys.readouterr()
    assert 0 == main(["why", str(tmp_path), "f", "--case", "sub-99"])
    assert "f: no run of it with sub-99 is remembered\n" == capsys.readouterr().out
    assert 0 == main(["log", str(tmp_path), "-n", "0"])
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "{}", "-o", "{}/nowhere/r.html"], "nowhere/r.html: lies in no folder"),
        (["report", "{}", "-o", "{}"], ": is a folder; give the name of the page"),
        (["provenance", "{}", "--json"], "--json (other commands have it)"),
        (["map", "-j", "0", "--", "echo", ":::", "a"], "-j 0: memori map runs 1 command"),
        (["map", "--", "echo", "a"], "memori map needs ::: before its arguments: "),
        (["demo", "--change", "fwhm=abc"], "fwhm=abc: fwhm is a number"),
    ],
)
def test_what_cannot_be_meant_is_told_in_the_words_that_were_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """No error names a temporary file, nor proposes what was typed."""
    Stage(lambda sub: sub, "o", tmp_path / "work", stage_name="f").run("sub-01")
    capsys.readouterr()
    try:
        code = main([word.format(tmp_path) for word in words])
    except SystemExit as error:
        code = int(str(error.code))
    assert code in (1, 2)
    told = capsys.readouterr().err
    assert message in told
    assert ".partial" not in told
