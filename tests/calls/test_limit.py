"""Stages that fail and are tried again, and stages that run too long."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from memori import Pipeline, Stage, StageError, TimeLimitError, workdir
from memori.neuro import ShellStage

FOR_EVER = 300


def flaky(log: str, fails: int) -> int:
    """Fail as often as it is told."""
    with open(log, "a") as file:
        file.write("x")
    (workdir() / "half").touch(exist_ok=False)
    if os.path.getsize(log) <= fails:
        raise OSError("the server did not answer")
    return os.path.getsize(log)


@pytest.mark.parametrize("remembered", [True, False])
def test_a_stage_that_fails_is_tried_again(
    tmp_path: Path, remembered: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As often as asked, each time in an empty folder; what was raised before is logged."""
    log = str(tmp_path / "log")
    folder = tmp_path / "work" if remembered else None
    stage = Stage(flaky, "y", folder, retries=2, log=log, ignore_reads=[log])
    with caplog.at_level(logging.WARNING, "memori.stage"):
        assert {"y": 3} == stage.run(fails=2)
    assert 2 == caplog.text.count("the server did not answer")
    assert [] == [each.name for each in tmp_path.rglob("failure.txt")]
    os.unlink(log)
    with pytest.raises(OSError, match="did not answer"):
        stage.run(fails=5)
    assert 3 == os.path.getsize(log)


def test_what_cannot_be_mended_by_another_try_is_not_tried_again(tmp_path: Path) -> None:
    """The user's interrupt, and a wrong number of outputs."""
    log = str(tmp_path / "log")

    def interrupted() -> None:
        Path(log).write_text("x" + (Path(log).read_text() if os.path.exists(log) else ""))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stage(interrupted, retries=3).run()
    assert "x" == Path(log).read_text()
    with pytest.raises(StageError):
        Stage(flaky, ["a", "b"], retries=3).run(str(tmp_path / "other"), 0)
    assert 1 == os.path.getsize(tmp_path / "other")


@pytest.mark.parametrize(
    "options",
    [{"retries": -1}, {"retries": 1.5}, {"retries": True}, {"timeout": -1}, {"timeout": "soon"},
     {"timeout": True}, {"timeout": [1]}],
)  # fmt: skip
def test_a_wrong_limit_is_an_error_that_names_it(options: dict[str, Any]) -> None:
    """When the stage is made."""
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        Stage(flaky, **options)


def test_a_parameter_of_that_name_is_the_callables(tmp_path: Path) -> None:
    """The option is then set by `with_options`."""

    def fetch(timeout: float, retries: int) -> tuple[float, int]:
        return timeout, retries

    stage = Stage(fetch, ["t", "r"], timeout=3, retries=4)
    assert {"t": 3, "r": 4} == stage.run()
    assert (None, 0) == (stage.timeout, stage.retries)
    other = stage.with_options(timeout="1 minute", retries=1)
    assert (60.0, 1, {"t": 3, "r": 4}) == (other.timeout, other.retries, other.run())


def test_limits_do_not_count(tmp_path: Path) -> None:
    """What is remembered hits whatever time it would have."""
    log = str(tmp_path / "log")
    Stage(flaky, "y", tmp_path).run(log, 0)
    assert Stage(flaky, "y", tmp_path, timeout=9, retries=1).is_remembered(log, 0)


def sleep(started: str = "") -> None:
    if started:
        Path(started).touch()
    time.sleep(FOR_EVER)


def loop() -> None:
    until = time.monotonic() + FOR_EVER
    while time.monotonic() < until:
        pass


def stubborn() -> None:
    until = time.monotonic() + FOR_EVER
    while time.monotonic() < until:
        try:
            time.sleep(0.01)
        except TimeoutError:
            return  # as if all were well


def program() -> None:
    subprocess.run(["sleep", str(FOR_EVER)], check=False)


def shell() -> None:
    os.system(f"sleep {FOR_EVER}")


def waiting() -> None:
    threading.Event().wait(FOR_EVER)


def in_c() -> None:
    sum(range(1 << 62))  # which holds the interpreter, and hears nothing


def wheres() -> dict[str, Any]:
    return {
        "here": lambda: {},
        "n_jobs": lambda: {"n_jobs": 2},
        "pool": lambda: {"executor": ProcessPoolExecutor(1)},
        "threads": lambda: {"executor": ThreadPoolExecutor(1)},
    }


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:a worker of:memori.MemoriWarning")
@pytest.mark.parametrize("where", wheres())
@pytest.mark.parametrize("function", [sleep, loop, stubborn, program, shell, waiting, in_c])
def test_a_function_ends_when_its_time_is_past(where: str, function: Any, tmp_path: Path) -> None:
    """Whatever it does; only a thread that waits, and C code in this process, are waited for."""
    if function is in_c and where in ("here", "threads"):
        pytest.skip("C code in the process of the call is waited for, as the docs say")
    if function in (sleep, waiting) and where == "threads":
        pytest.skip("a thread that waits is waited for, as the docs say")
    stage = Stage(function, "y", tmp_path, timeout=0.2)
    (failure,) = Pipeline([("start", stage)]).map([{}], **wheres()[where]()).failures
    assert isinstance(failure.error, TimeLimitError)
    assert isinstance(failure.error, TimeoutError)
    assert (function.__name__, 0.2) == (failure.error.stage, failure.error.seconds)
    assert "timeout of 0.2 s" in str(failure.error)
    assert not stage.is_remembered()


def test_one_worker_that_must_be_ended_costs_no_other_case(tmp_path: Path) -> None:
    """The cases beside it have their results, and it is not tried a second time."""

    def mostly_well(x: int, log: str) -> int:
        if x == 1:
            with open(log, "a") as file:
                file.write("x")
            in_c()
        return x

    stage = Stage(mostly_well, "y", timeout=0.5)
    log = tmp_path / "log"
    found = Pipeline([("start", stage)]).map(
        [{"x": x, "log": str(log)} for x in range(6)], n_jobs=2
    )
    assert [0, None, 2, 3, 4, 5] == [result["y"] if result else None for _, result in found]
    assert "ended with it" in str(found.failures[0].error)
    assert "x" == log.read_text()


def hangs_in_a_helper() -> None:
    sleep()


def wraps_what_is_raised() -> None:
    try:
        sleep()
    except Exception as error:
        raise RuntimeError("it failed") from error


def swallows_what_is_raised() -> None:
    until = time.monotonic() + 1
    while time.monotonic() < until:
        try:
            time.sleep(2)
        except Exception:
            pass


def waits_for_a_thread() -> None:
    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    thread.join()


def ends_a_program() -> None:
    ShellStage(f"sleep {FOR_EVER}").run()


@pytest.mark.filterwarnings("error::memori.MemoriWarning")
@pytest.mark.parametrize(
    ("function", "line", "where"),
    [
        (hangs_in_a_helper, "in sleep\n    time.sleep(FOR_EVER)", {}),
        (hangs_in_a_helper, "in sleep\n    time.sleep(FOR_EVER)", {"n_jobs": 2}),
        (wraps_what_is_raised, "in sleep\n    time.sleep(FOR_EVER)", {}),
        (swallows_what_is_raised, "in swallows_what_is_raised\n    time.sleep(2)", {}),
        (ends_a_program, "in ends_a_program\n    ShellStage", {"executor": ThreadPoolExecutor(1)}),
        (program, "in program\n    subprocess.run", {}),
        (waits_for_a_thread, "in sleep\n    time.sleep(FOR_EVER)", {}),
        (loop, "in loop\n    ", {"executor": ThreadPoolExecutor(1)}),
    ],
)
def test_the_text_of_a_failure_shows_where_the_time_was_spent(
    function: Any, line: str, where: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever the callable made of the error, it is one of time, and its text shows the line."""
    stage = Stage(function, "y", tmp_path, timeout=0.3)
    (failure,) = Pipeline([("start", stage)]).map([{}], **where).failures
    assert isinstance(failure.error, TimeLimitError)
    assert function.__name__ == failure.error.stage
    assert failure.log is not None
    text = Path(failure.log).read_text()
    assert text.startswith(f"stage '{function.__name__}' ran longer than its timeout of 0.3 s\n")
    assert line in text


def test_what_did_not_let_go_is_shown_too() -> None:
    """Of C code that was ended with its worker Python itself says where it was."""
    stage = Stage(in_c, "y", timeout=0.2)
    (failure,) = Pipeline([("start", stage)]).map([{}], n_jobs=2).failures
    assert "\nit was at\n" in str(failure.error)
    assert " in in_c" in str(failure.error).splitlines()[-1]


def test_each_try_has_the_whole_time(tmp_path: Path) -> None:
    """A try that ran out of time is a try that failed."""

    def second_time(log: str) -> int:
        with open(log, "a") as file:
            file.write("x")
        if os.path.getsize(log) == 1:
            time.sleep(FOR_EVER)
        return os.path.getsize(log)

    log = str(tmp_path / "log")
    assert {"y": 2} == Stage(second_time, "y", tmp_path / "w", timeout=0.5, retries=1).run(log)


def test_what_a_stage_started_ends_with_its_time(tmp_path: Path) -> None:
    """A program that it left in the background does not go on."""

    def leaves() -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        (tmp_path / "child").write_text(str(child.pid))
        time.sleep(FOR_EVER)

    with pytest.raises(TimeLimitError):
        Stage(leaves, timeout=1).run()
    number = int((tmp_path / "child").read_text())
    try:
        os.waitpid(number, 0)
    except ChildProcessError:
        pass  # nobody has to wait for it any more
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_stage_inside_another_ends_with_the_time_of_either() -> None:
    """The one whose time is past is named, and an outer one's end is no reason to try again."""
    inner = Stage(sleep, stage_name="inner", timeout=0.2)
    with pytest.raises(TimeLimitError, match="'inner'"):
        Stage(lambda: inner.run(), stage_name="outer", timeout=60).run()
    tries: list[int] = []

    def slow() -> None:
        tries.append(1)
        sleep()

    again = Stage(slow, stage_name="inner", timeout=60, retries=5)
    with pytest.raises(TimeLimitError, match="'outer'"):
        Stage(lambda: again.run(), stage_name="outer", timeout=0.2).run()
    assert [1] == tries


def test_nothing_stays_behind_of_a_limit() -> None:
    """Neither a handler of a signal nor a thread, and a stage in time is left alone."""
    import signal

    number = getattr(signal, "SIGRTMAX", signal.SIGALRM)
    before = signal.getsignal(number)
    for _ in range(50):
        assert {"output": 1} == Stage(lambda: 1, timeout=60).run()
    with pytest.raises(TimeLimitError):
        Stage(loop, timeout=0.05).run()
    assert before == signal.getsignal(number)
