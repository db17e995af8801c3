"""Who looks on while cases run: observers, the log and the progress that is shown."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pty
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from memori import Event, Observer, Pipeline, Results, Stage
from memori.mapping.progress import Progress

ROOT = Path(__file__).parents[1]


def inverted(x: float) -> float:
    logging.getLogger("users.own").info("inverting %s", x)
    return 1 / x


def doubled(y: float) -> float:
    return 2 * y


def pipeline(folder: Path) -> Pipeline:
    first = Stage(inverted, "y", folder)
    return Pipeline([("start", first), (first, Stage(doubled, "z", folder))])


class Noted(Observer):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Event]] = []

    def decided(self, event: Event) -> None:
        self.heard.append(("hit" if event.hit else "miss", event))

    def started(self, event: Event) -> None:
        self.heard.append(("started", event))

    def finished(self, event: Event) -> None:
        self.heard.append(("finished", event))

    def failed(self, event: Event) -> None:
        self.heard.append(("failed", event))

    def of(self, x: float) -> list[tuple[str, str | None]]:
        return [(what, event.stage) for what, event in self.heard if event.case == {"x": x}]


WHERE: dict[str, Any] = {
    "loop": lambda: {},
    "threads": lambda: {"executor": ThreadPoolExecutor(2)},
    "fork": lambda: {"executor": ProcessPoolExecutor(2, multiprocessing.get_context("fork"))},
    "n_jobs": lambda: {"n_jobs": 2},
}


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("where", WHERE)
def test_an_observer_hears_what_each_stage_decides_and_comes_to(tmp_path: Path, where: str) -> None:
    """Each in order, wherever it runs; of what is remembered only that it is."""
    noted, again = Noted(), Noted()
    found = pipeline(tmp_path).map([{"x": 2}, {"x": 0}], observer=noted, **WHERE[where]())
    stages = ("inverted", "doubled")
    runs = [(what, stage) for stage in stages for what in ("miss", "started", "finished")]
    assert [*runs, ("finished", None)] == noted.of(2)
    assert [*runs[:2], ("failed", "inverted"), ("failed", None)] == noted.of(0)
    pipeline(tmp_path).map([{"x": 2}], observer=again, **WHERE[where]())
    assert [("hit", "inverted"), ("hit", "doubled"), ("finished", None)] == again.of(2)
    whole = {event.number: event for _, event in noted.heard if event.stage is None}
    assert (found[0][1], False) == (whole[0].result, whole[0].hit)
    assert whole[1].result is found.failures[0]
    failed = next(e for what, e in noted.heard if what == "failed" and e.stage is not None)
    assert "ZeroDivisionError: float division by zero" in failed.error or "division" in failed.error
    assert all(event.seconds is not None for what, event in noted.heard
               if what == "finished" and event.stage is not None)  # fmt: skip
    assert {"no run with these inputs is recorded"} >= {
        e.reason for what, e in noted.heard if what == "miss" and e.case == {"x": 2}
    }


def nested(x: float) -> float:
    return float(Stage(inverted, "y").run(x)["y"])


def test_what_a_stage_runs_inside_is_its_own_affair() -> None:
    """Only the stages of the pipeline are told of."""
    noted = Noted()
    Pipeline([("start", Stage(nested, "y"))]).map([{"x": 2}], observer=noted)
    assert {"nested", None} == {event.stage for _, event in noted.heard}


# The log


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("where", WHERE)
def test_what_workers_log_is_heard_as_what_is_logged_here(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, at the level that was asked for, by the handlers of the process that asked."""
    with caplog.at_level(logging.INFO):
        pipeline(tmp_path).map([{"x": 2}, {"x": 4}], **WHERE[where]())
    own = [each for each in caplog.records if each.name == "users.own"]
    assert ["inverting 2", "inverting 4"] == sorted(each.getMessage() for each in own)
    if where in ("fork", "n_jobs"):
        assert all(each.process != os.getpid() for each in own)
        assert {"inverted"} == {each.stage for each in own}  # type: ignore[attr-defined]
    assert 4 == sum(each.name == "memori.stage" for each in caplog.records)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        pipeline(tmp_path / "other").map([{"x": 2}], **WHERE[where]())
    assert [] == [each for each in caplog.records if each.name == "users.own"]


def broken(x: int) -> int:
    try:
        return int(1 / x)
    except ZeroDivisionError:
        logging.getLogger("users.own").exception("caught")
        return 0


def test_a_traceback_that_a_worker_logs_is_heard_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """As text, since it comes from another process."""
    Pipeline([("start", Stage(broken, "y"))]).map([{"x": 0}, {"x": 1}], n_jobs=2)
    (record,) = (each for each in caplog.records if each.name == "users.own")
    assert record.exc_text is not None
    assert "ZeroDivisionError" in record.exc_text


# Progress


def event(stage: str | None, number: int = 0, **facts: Any) -> Event:
    return Event({}, number, stage, **facts)


def test_progress_counts_cases_and_guesses_what_is_left() -> None:
    """From what stages took so far, hits at no cost; or from earlier runs; else it says nothing."""
    progress = Progress(4, ["a", "b"], at_once=2)
    assert None is progress.left()
    progress.started(event("a"))
    assert "0 of 4 cases done; running: a 0 s" == str(progress)
    progress.finished(event("a", seconds=100.0))
    assert None is progress.left()
    progress.finished(event("b", seconds=20.0))
    progress.finished(event(None, hit=False, result=Results()))
    assert 180.0 == progress.left()
    assert "1 of 4 cases done (1 ran); about 3 min left" == str(progress)
    progress.decided(event("a", 1, hit=True))
    progress.decided(event("b", 1, hit=True))
    progress.finished(event(None, 1, hit=True, result=Results()))
    assert 60.0 == progress.left()
    progress.started(event("a", 2))
    progress.failed(event("a", 2))
    progress.failed(event(None, 2))
    assert progress.counts() == "3 of 4 cases done (1 hit, 1 ran, 1 failed)"
    assert [] == progress.going()
    earlier = Progress(4, ["a", "b"], earlier={"a": 10.0, "b": 5.0}.get)
    assert 60.0 == earlier.left()


def slow(x: float) -> float:
    time.sleep(0.7)
    return x


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_lines_are_printed_where_there_is_no_terminal(
    n_jobs: int | None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If they are asked for; else there is nothing to be seen."""
    monkeypatch.setattr(logging.root, "handlers", [])
    made = Pipeline([("start", Stage(slow, "y"))])
    made.map([{"x": 1}, {"x": 2}], n_jobs=n_jobs, progress=True)
    printed = capfd.readouterr().err.splitlines()
    assert "memori: 2 of 2 cases done (2 ran) in " in printed[-1]
    assert printed[0].startswith("memori: 0 of 2 cases done")
    made.map([{"x": 1}], n_jobs=n_jobs)
    made.map([{"x": 1}], n_jobs=n_jobs, progress=False)
    assert "" == capfd.readouterr().err


def test_the_log_has_the_lines_where_it_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, by the logger memori.progress."""
    with caplog.at_level(logging.INFO):
        Pipeline([("start", Stage(slow, "y"))]).map([{"x": 1}])
    lines = [each.getMessage() for each in caplog.records if each.name == "memori.progress"]
    assert "0 of 1 cases done; running: slow" in lines[0]


SCRIPT = """
import logging
import time
from memori import Pipeline, Stage

logging.basicConfig(format="log: %(message)s")

def slow(x):
    time.sleep(1.2)
    logging.getLogger("users.own").warning("near the end of %s", x)
    return x

if __name__ == "__main__":
    Pipeline([("start", Stage(slow, "y"))]).map([{"x": 1}, {"x": 2}], n_jobs=2)
    print("results")
"""


@pytest.mark.parametrize("wish", ["", "off"])
def test_a_terminal_shows_what_runs(tmp_path: Path, wish: str) -> None:
    """By itself, unless it is turned off; what a script prints is left alone."""
    pytest.importorskip("rich", reason="pip install rich")
    (tmp_path / "script.py").write_text(SCRIPT)
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "MEMORI_PROGRESS": wish}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # it is over
        pass
    os.close(ours)
    assert b"results\n" == done.stdout
    assert bool(wish) == (b"2 of 2 cases done (2 ran) in" not in shown)
    assert bool(wish) == (b"slow (2 times)" not in shown)
    lines = [line.rpartition(b"\x1b[2K")[2] for line in shown.splitlines()]
    logged = [line for line in lines if line.startswith(b"log: near the end of")]
    assert [b"log: near the end of 1", b"log: near the end of 2"] == sorted(logged)


GONE = """
import signal, sys, time
from pathlib import Path
from memori import Pipeline, Stage

signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does

def slow(x):
    while not Path("gone").exists():
        time.sleep(0.01)
    return x

if __name__ == "__main__":
    streams = sys.stdout, sys.stderr
    found = Pipeline([("start", Stage(slow, "y"))]).map([{"x": 1}])
    assert (sys.stdout, sys.stderr) == streams
    Path("results").write_text(str(found[0][1]["y"]))
"""


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_terminal_that_goes_away_costs_no_results(tmp_path: Path, terminal: str) -> None:
    """A connection is lost, and the script goes on below `nohup`: nobody looks on any more."""
    (tmp_path / "script.py").write_text(GONE)
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": terminal}
    script = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, env=env, stderr=theirs)
    os.close(theirs)
    assert os.read(ours, 1024)  # it shows something
    os.close(ours)
    (tmp_path / "gone").touch()
    assert 0 == script.wait(timeout=60)
    assert "1" == (tmp_path / "results").read_text()


def mapping(x: int) -> int:
    time.sleep(0.6)
    found = Pipeline([("start", Stage(slow, "y"))]).map([{"x": x}], progress=True)
    return int(found[0][1]["y"])


def test_a_map_inside_a_stage_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """One display is enough, and it counts the cases that were asked for."""
    made = Pipeline([("start", Stage(mapping, "y"))])
    made.map([{"x": 1}], progress=True)
    assert "memori: 1 of 1 cases done (1 ran) in " in capfd.readouterr().err.splitlines()[-1]
    made.map([{"x": 1}], progress=False)
    assert "" == capfd.readouterr().err


MODULE = """
import logging

logger = logging.getLogger("users.module")
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler())
logger.addHandler(logging.FileHandler("out.log"))

def called(x):
    logger.info("call %s", x)
    return x
"""
MAIN = """
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import module
from memori import Pipeline, Stage

if __name__ == "__main__":
    where = {"n_jobs": 2}
    if sys.argv[1] != "n_jobs":
        context = multiprocessing.get_context(sys.argv[1])
        where = {"executor": ProcessPoolExecutor(2, context)}
    Pipeline([("start", Stage(module.called, "y"))]).map([{"x": x} for x in range(3)], **where)
"""


@pytest.mark.parametrize("where", ["n_jobs", "fork", "spawn"])
def test_a_module_that_sets_up_its_own_log_is_heard_once(tmp_path: Path, where: str) -> None:
    """On the terminal and in its file, though each worker imports and sets it up again."""
    (tmp_path / "module.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(MAIN)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py", where], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    expected = ["call 0", "call 1", "call 2"]
    assert expected == sorted((tmp_path / "out.log").read_text().splitlines())
    assert expected == sorted(each for each in done.stderr.splitlines() if "call" in each)
