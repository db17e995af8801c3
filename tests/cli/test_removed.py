"""What a pipeline removed to save room is told as that, and never as a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from memori.cli import main
from memori.errors import MemoriError
from memori.neuro import Derivatives
from tests.graph.keeping import pipeline


@pytest.fixture
def removed(tmp_path: Path) -> str:
    """An output that is there no more."""
    return str(pipeline(tmp_path / "work").run(text="a")["first"])


def test_show_says_who_removed_a_file(
    tmp_path: Path, removed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run of a file is found by its path, though the file is gone."""
    for what in ("first", removed):
        assert 0 == main(["show", what, "-d", str(tmp_path)])
        assert "(first), removed by keep='final'" in capsys.readouterr().out


def test_verify_finds_no_fault(
    tmp_path: Path, removed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its digest stands for it."""
    assert 0 == main(["verify", str(tmp_path)])
    assert "no faults" in capsys.readouterr().out


def test_a_report_is_made_without_it(tmp_path: Path, removed: str) -> None:
    """There is no picture of it, and all else."""
    page = tmp_path / "report.html"
    assert 0 == main(["report", str(tmp_path / "work"), "-o", str(page)])
    assert "last" in page.read_text()


def test_prune_leaves_what_is_needed(
    tmp_path: Path, removed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose files went is a run like any other: it stays while what it made is used."""
    assert 0 == main(["prune", str(tmp_path)])
    assert pipeline(tmp_path / "work").run(text="a").ran == ()


def test_a_derivative_of_it_is_an_error_that_says_what_to_do(tmp_path: Path, removed: str) -> None:
    """The policy is named, and how to keep the file."""
    bids = Derivatives(tmp_path / "derivatives")
    with pytest.raises(MemoriError, match=r"was removed by keep='final'.*name the output in keep"):
        bids.save(removed, source="ds/sub-01/anat/sub-01_T1w.nii.gz", desc="x")


def test_why_names_the_policy_and_no_fault(
    tmp_path: Path, removed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder and of a file; what is gone by policy makes nothing run."""
    assert 0 == main(["why", str(tmp_path / "work")])
    told = capsys.readouterr().out
    assert "missing" not in told
    assert "is gone" not in told
    assert all(each.hit for each in pipeline(tmp_path / "work").explain(text="a"))
