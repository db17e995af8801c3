"""`memori why SCRIPT`: what a script would do now, without a run of any stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MEMORI = [sys.executable, "-c", "import sys; from memori.cli import main; sys.exit(main())"]
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from memori import Pipeline, Stage, remembered, workdir
from memori.neuro import ShellStage

def smooth(image, fwhm):
    Path("ran").open("a").write("smooth ")
    path = workdir() / "smooth.txt"
    path.write_text(Path(image).read_text() + str(fwhm))
    return path

def length(smoothed):
    return len(Path(smoothed).read_text())

def weight(n):
    return n + 1

def group(n):
    return sum(map(weight, n))

@remembered("work")
def total(values: list) -> np.ndarray:
    return np.array(values)

if __name__ == "__main__":
    fwhm, then = int(sys.argv[1]), sys.argv[2:]
    cases = [{"image": f"sub-{subject}.txt"} for subject in ("01", "02")]
    smoothing = Stage(smooth, "smoothed", "work", fwhm=fwhm)
    counting = Stage(length, "n", "work")
    lengths = [counting.run(smoothing.run(**case))["n"] for case in cases]
    print("lengths", lengths)
    total(lengths)
    copied = ShellStage("cp {smoothed} {copy}", outputs={"copy": "copy.txt"}, hash_output="work")
    wired = Pipeline([("start", smoothing), (smoothing, counting), (smoothing, copied)])
    wired.map(cases, n_jobs=2).reduce(Stage(group, "sum", "work"))
    if then == ["compare"] and lengths[0] > 1:
        print("compared")
    if then == ["write"]:
        Path("result.txt").write_text(str(lengths))
    if then == ["start"]:
        import subprocess
        subprocess.run(["touch", "result.txt"])
    if then == ["json"]:
        import json
        print(json.dumps(lengths))
    if then == ["explain"]:
        print(counting.explain(smoothed=lengths[0]))
    if then == ["hand on"]:
        import copy
        print(f"{lengths[0]:>10} {copy.deepcopy(lengths)}", lengths[0] is None, smoothing.state)
        for case, result in wired.map(cases, as_completed=True):
            assert result and "smooth" in result.ran
    if then == ["fail"]:
        raise ValueError("no such thing")
    if then == ["exit"]:
        sys.exit(3)
    if then == ["processes"]:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(smoothing.run, "sub-01.txt").result())
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the script has run with a width of 6."""
    here = tmp_path_factory.mktemp("scripts")
    for subject in ("01", "02"):
        (here / f"sub-{subject}.txt").write_text(subject)
    (here / "script.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "script.py", "6"], cwd=here, check=True, capture_output=True)
    (here / "ran").write_text("")
    return here


def why(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return asked(here, "why", *words)


def asked(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*MEMORI, *words], cwd=here, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "" == (here / "ran").read_text(), "a stage has run"
    assert not (here / "result.txt").exists()
    return done


def document(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_what_is_remembered_is_told_and_nothing_runs(ran: Path) -> None:
    """Single stages, remembered functions, commands, pipelines over cases and what reduces them."""
    done = why(ran, "script.py", "--", "6")
    lines = [
        "smooth: remembered, all 4", "length: remembered, all 4", "total: remembered",
        "cp: remembered, all 2", "group: remembered",
        "script.py: 0 would run, 12 remembered; nothing was run",
    ]  # fmt: skip
    assert lines == done.stdout.splitlines()
    assert "lengths [3, 3]" in done.stderr  # what the script prints itself


def test_what_would_run_is_told_with_its_reason_and_what_waits_for_it(ran: Path) -> None:
    """In the words of explain; a script that only hands values on is told to its end."""
    done = why(ran, "script.py", "--", "8")
    waiting = "its inputs are made by 'smooth', which will run"
    lines = [
        "smooth: would run 4 times", "    4 x input fwhm: 6 -> 8",
        "length: would run 4 times", f"    4 x {waiting}",
        "total: would run", "    its inputs are made by 'length', which will run",
        "cp: would run 2 times", f"    2 x {waiting}",
        "group: would run", "    its inputs are made by 'length', which will run",
        "script.py: 12 would run, 0 remembered; nothing was run",
    ]  # fmt: skip
    assert (0, lines) == (done.returncode, done.stdout.splitlines())


def test_a_stage_and_a_case_are_told_call_by_call(ran: Path) -> None:
    """With the line of the script, whatever the order of the words."""
    told = why(ran, "script.py", "smooth", "--case", "sub-02", "--json", "--", "8")
    calls = document(told)["calls"]
    line = 1 + SCRIPT.splitlines().index(next(x for x in SCRIPT.splitlines() if "lengths =" in x))
    assert [line, line + 5] == [each["line"] for each in calls]
    assert {"smooth"} == {each["stage"] for each in calls}
    assert (
        calls
        == document(why(ran, "--json", "--case=02", "script.py", "smooth", "--", "8"))["calls"]
    )
    assert (
        "no call has such an input" in why(ran, "script.py", "--case", "sub-03", "--", "8").stderr
    )
    assert "did you mean smooth?" in why(ran, "script.py", "smoth", "--", "8").stderr


def test_edited_code_is_shown_as_a_diff(ran: Path, tmp_path: Path) -> None:
    """As explain shows it."""
    for name in ("sub-01.txt", "sub-02.txt", "ran"):
        (tmp_path / name).write_text((ran / name).read_text())
    (tmp_path / "work").symlink_to(ran / "work")
    (tmp_path / "script.py").write_text(SCRIPT.replace("return n + 1", "return n + 2"))
    told = why(ran, str(tmp_path / "script.py"), "--", "6").stdout.splitlines()
    assert "group: would run" in told
    assert {"      -    return n + 1", "      +    return n + 2"} <= set(told)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("compare", "'n' is asked for, which 'length' is still to make"),
        ("write", "result.txt is written, which may depend on what is still to be made"),
        ("start", "touch is started, which may depend on what is still to be made"),
        ("json", "what is still to be made is needed (TypeError: Object of type Awaited"),
        ("explain", "'n' is asked for, which 'length' is still to make"),
        ("processes", "stage 'smooth' would run (input fwhm: 6 -> 8), which nothing does now"),
    ],
)
def test_a_script_stops_where_it_needs_what_is_still_to_be_made(
    ran: Path, then: str, reason: str
) -> None:
    """What it would do after that nobody can know; it says where, and writes nothing."""
    done = why(ran, "script.py", "--json", "--", "8", then)
    assert 0 == done.returncode
    assert document(done)["stopped"]["why"].startswith(reason)
    assert 12 == len(document(done)["calls"])


def test_what_is_still_to_be_made_may_be_printed_and_handed_on(ran: Path) -> None:
    """Copied, compared with None, and looked at whether it ran."""
    told = document(why(ran, "script.py", "--json", "--", "8", "hand on"))
    assert (None, 18, 0) == (told["stopped"], len(told["calls"]), told["exit_code"])


def test_nothing_is_written_but_digests(ran: Path) -> None:
    """No log, no folder of a run: as it was before."""

    def there() -> dict[str, bytes]:
        files = (path for path in ran.rglob("*") if path.is_file())
        return {
            str(path): path.read_bytes() for path in files if "/.memori/files/" not in str(path)
        }

    before = there()
    why(ran, "script.py", "--", "10")
    assert before == there()


def test_groups_of_cases_and_pipelines_behind_what_is_to_be_made_are_told(ran: Path) -> None:
    """Each group has its stage, and a pipeline that waits for one would run."""
    (ran / "groups.py").write_text(
        "import sys\nfrom memori import Pipeline, Stage\n"
        "from script import group, length, weight\n"
        "counting = Stage(length, 'n', 'work')\n"
        "cases = [{'smoothed': f'sub-0{n}.txt'} for n in (1, 2)]\n"
        "made = Pipeline([('start', counting)]).map(cases)\n"
        "sums = made.reduce(Stage(group, 'sum', 'work'), by='smoothed', on_error='continue')\n"
        "print(len(made), len(sums), file=sys.stderr)\n"
        "wired = Pipeline([('start', Stage(weight, 'n', 'work'))])\n"
        "wired.run(n=sums[0][1]['sum'])\n"
        "counting.run('sub-01.txt', force_run_stage=True)\n"
    )
    done = why(ran, "groups.py")
    assert (0, "2 2\n") == (done.returncode, done.stderr)
    told = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    expected = ["length: would run 3 times", "group: would run 2 times", "weight: would run"]
    assert [*expected, "groups.py: 6 would run, 0 remembered; nothing was run"] == told


def test_what_was_to_be_written_at_exit_is_written(ran: Path) -> None:
    """A history, a log of a library: that is no more the script's own."""
    (ran / "leaves.py").write_text(
        "import atexit, sys\nfrom pathlib import Path\nfrom memori import Stage\n"
        "atexit.register(lambda: Path('left.txt').write_text('1'))\n"
        "def new(x):\n    return x\n\n"
        "Stage(new, 'n', 'work').run(len(sys.argv))\n"
    )
    done = why(ran, "leaves.py")
    assert (0, "") == (done.returncode, done.stderr)
    assert "1" == (ran / "left.txt").read_text()
    assert "new: would run" in done.stdout


def test_a_script_that_fails_fails_the_command(ran: Path) -> None:
    """With its own exit code, or its traceback; what was found until then is told."""
    assert 3 == why(ran, "script.py", "--", "6", "exit").returncode
    done = why(ran, "script.py", "--", "6", "fail")
    assert (1, True) == (done.returncode, "ValueError: no such thing" in done.stderr)
    assert "group: remembered" in done.stdout.splitlines()


def test_what_is_no_script_is_an_error_in_one_line(ran: Path) -> None:
    """It says what was expected."""
    assert "memori: nothing: there is no such folder or script\n" == why(ran, "nothing").stderr
    assert "is no Python script; `memori show`" in why(ran, "sub-01.txt").stderr
    assert "are for a script" in why(ran, "work", "--", "6").stderr
    assert why(ran, "script.py", "6").stderr.endswith("; arguments of the script come after --\n")


def test_a_check_fails_where_something_would_run(ran: Path) -> None:
    """Before a commit, or in continuous integration."""
    assert 0 == why(ran, "script.py", "--check", "--", "6").returncode
    assert 1 == why(ran, "--check", "script.py", "--", "8").returncode


def test_the_pipelines_of_a_script_are_drawn(ran: Path) -> None:
    """As Mermaid or SVG, coloured by what would run; a script without any says so."""
    told = asked(ran, "graph", "script.py", "--", "8").stdout
    assert 'n0["smooth"]:::ran' in told.replace("    ", "")
    assert ":::remembered" in asked(ran, "graph", "script.py", "--", "6").stdout
    (ran / "single.py").write_text("from memori import Stage\nStage(abs, 'n', 'work').run(1)")
    assert "runs no pipeline" in asked(ran, "graph", "single.py").stderr
    assert "ends with .svg" in asked(ran, "graph", "script.py", "-o", "x.png", "--", "6").stderr
    done = asked(ran, "graph", "script.py", "-o", "drawn.svg", "--", "6")
    assert ("drawn.svg\n", 0) == (done.stdout, done.returncode)
    assert (ran / "drawn.svg").read_text().startswith("<svg")


def test_a_folder_has_no_graph(tmp_path: Path) -> None:
    """Who gives the folder of the records for the script is told what was expected."""
    done = subprocess.run(
        [*MEMORI, "graph", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert 1 == done.returncode
    assert "is a folder; expected the Python script that runs the stages" in done.stderr
