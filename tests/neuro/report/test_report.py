"""What a report holds, read without a browser."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from memori.cli import main
from memori.neuro.report import pictures
from memori.neuro.report.gathering import gather
from memori.neuro.report.page import Report, report
from memori.neuro.report.table import levels, table_of


def summary(page: bytes) -> dict[str, Any]:
    """The JSON that the page reads first."""
    match = re.search(r'id="summary">(.*?)</script>', page.decode(), re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def part(page: bytes, name: str) -> dict[str, Any]:
    """A packed part of the page."""
    match = re.search(rf'id="{name}">([^<]*)<', page.decode())
    assert match is not None
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(match[1])))
    return found


def test_the_graph_is_found_in_what_is_remembered(remembered: Path) -> None:
    """Stages are ordered by who made whose files, and a case has its own row."""
    table = table_of(gather(str(remembered)))

    assert ["sub-01", "sub-02"] == table.cases
    assert [
        ("brain", "count"),
        ("check", "count"),
        ("mean", "brain"),
        ("mean", "check"),
        ("mean", "tool"),
    ] == table.edges
    assert (0, 1, 2) == tuple(levels(table)[stage] for stage in ("mean", "brain", "count"))


def test_what_became_of_each_stage_is_told(remembered: Path) -> None:
    """A stage ran, failed, or was skipped because another one failed."""
    table = table_of(gather(str(remembered)))

    assert ["ran", "ran", "failed"] == [
        table.state("sub-01", stage) for stage in ("mean", "count", "tool")
    ]
    assert ["failed", "skipped"] == [table.state("sub-02", stage) for stage in ("check", "count")]


def test_runs_of_long_ago_are_told_as_remembered(remembered: Path) -> None:
    """What did not run in the last run is a hit."""
    runs = gather(str(remembered))
    (entry,) = (run.entry for run in runs if run.stage == "mean" and run.case == "sub-01")
    assert entry is not None
    status = os.stat(entry.path)
    content = Path(entry.path).read_bytes()
    try:
        os.utime(entry.path, (1e9, 1e9))
        (run,) = (
            run for run in gather(str(remembered)) if run.entry and run.entry.path == entry.path
        )
        assert "hit" == run.state
    finally:
        os.utime(entry.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert content == Path(entry.path).read_bytes()


def test_cases_in_one_folder_are_told_apart_by_what_their_files_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash_output may hold many subjects; what is made of all of them has its own row."""
    from memori import Stage, workdir

    def size(path):
        out = workdir() / "size.txt"
        out.write_text(Path(path).read_text())
        return str(out)

    def group(paths):
        return len(paths)

    monkeypatch.chdir(tmp_path)
    made = []
    for subject in ("1", "2", "10"):
        Path(f"sub-{subject}_bold.txt").write_text(subject)
        made.append(Stage(size, "size", "work").run(f"sub-{subject}_bold.txt")["size"])
    Stage(group, "n", "work").run(made)

    table = table_of(gather(str(tmp_path)))

    assert ["sub-1", "sub-2", "sub-10", "several cases"] == table.cases
    assert ("size", "group") in table.edges


def test_every_output_has_its_picture(made: Report) -> None:
    """Slices with an outline for the mask, lines for the table, a surface."""
    place = {stage["name"]: str(n) for n, stage in enumerate(summary(made.html)["stages"])}
    figures = part(made.html, "figures-0")

    (mask,) = figures[place["brain"]]
    assert ("slices", "outline over image") == (mask["kind"], mask["sheets"][0]["label"])
    (mean,) = figures[place["mean"]]
    assert "16 x 20 x 12 voxels of 3 x 3 x 4 mm" == mean["note"]
    assert "brainsprite" in mean["viewer"]
    (table,) = figures[place["named"]]
    assert [1.0, 2.0, 3.0] == table["columns"][0]["points"]
    (mesh,) = figures[place["sphere"]]
    assert mesh["src"].startswith("data:image/webp;base64,")


def test_details_tell_code_command_log_and_reasons(made: Report) -> None:
    """All that is known of a run stands in the page."""
    place = {stage["name"]: str(n) for n, stage in enumerate(summary(made.html)["stages"])}
    details = part(made.html, "case-0")

    failed = details[place["tool"]]
    assert ["stderr.txt", "no such atlas"] in failed["logs"]
    assert failed["reproduce"].endswith("reproduce.py")
    ran = details[place["count"]]
    assert ran["function"].endswith(".count")
    assert ["no run with these inputs is recorded"] == ran["reasons"]
    assert ran["fed_by"][0].startswith("brain/")


def test_no_value_is_markup(made: Report, script: ModuleType) -> None:
    """Names and messages stand in the page as JSON only, without a character that opens a tag."""
    page = made.html.decode()

    assert script.MARKUP not in page
    assert 0 == page.count("</script>") - page.count("<script")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)


def test_pictures_are_limited_and_what_is_left_out_is_told(remembered: Path) -> None:
    """A budget of one picture is one picture, and a note."""
    pytest.importorskip("PIL", reason="no pictures: pip install 'memori-neuro[report]'")

    found = report(str(remembered), pictures=1)

    assert 1 == found.figures
    assert any("have no picture here" in note for note in found.notes)


def test_without_the_packages_that_draw_the_report_goes_without_pictures(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install, and tells all else."""
    monkeypatch.setitem(sys.modules, "PIL", None)

    found = report(str(remembered))

    assert "Pillow" == pictures.missing()
    assert any("memori-neuro[report]" in note for note in found.notes)
    assert 2 == found.cases


def test_a_thousand_subjects_stay_small(
    remembered: Path, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a case adds, without pictures, leaves room for a thousand in 20 MB."""
    monkeypatch.chdir(tmp_path)
    sizes = []
    for count in (1, 41):
        (tmp_path / str(count)).mkdir()
        monkeypatch.chdir(tmp_path / str(count))
        os.symlink(remembered / "work", "there")
        Path("work").mkdir()
        os.symlink(remembered / "work/sub-01", "work/sub-01")
        script.many(count)
        sizes.append(len(report("work", pictures=0).html))

    assert 1000 * (sizes[1] - sizes[0]) / 40 < 18_000_000


def test_the_command_writes_the_file_and_says_what_is_in_it(
    remembered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`memori report DIR -o FILE`; with --json for scripts; an empty folder is an error."""
    output = tmp_path / "r.html"

    assert 0 == main(["report", str(remembered), "-o", str(output), "--pictures", "0", "--json"])
    told = json.loads(capsys.readouterr().out)

    assert (2, 2, len(output.read_bytes())) == (told["cases"], told["failures"], told["bytes"])
    assert 1 == main(["report", str(tmp_path)])
    assert "nothing is remembered" in capsys.readouterr().err


def test_the_script_beside_a_failure_runs_it_again(remembered: Path) -> None:
    """It fails in the same way, at the same line, and records nothing."""
    (path,) = (remembered / "work/sub-02/check").glob("*/reproduce.py")

    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "is not fine" in done.stderr
    assert "pipeline.py" in done.stderr
