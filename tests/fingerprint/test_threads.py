"""Fingerprints taken in several threads at once, while runs change what the code reaches."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memori.fingerprint import fingerprint, origins, settle
from memori.fingerprint.writer import parsed

THREADS = 8


@pytest.fixture(autouse=True)
def _threads_that_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def build(source: str, name: str = "threaded") -> Any:
    """Return a module made of `source`."""
    module = types.ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


def at_once(work: Callable[[int], None]) -> list[BaseException]:
    """Call `work` in several threads at once; return what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def guarded(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_more_functions_than_are_remembered_keep_their_fingerprints() -> None:
    """Threads that push each other's functions out of the memory get the right code each time."""
    count = 300
    source = "\n".join(f"def run_{n}(x):\n    return x + {n}" for n in range(count))
    module = build(source)
    functions = [getattr(module, f"run_{n}") for n in range(count)]
    expected = [fingerprint(function).fast for function in functions]
    wrong: list[int] = []

    def work(number: int) -> None:
        for step in range(2 * count):
            place = (step * (2 * number + 1)) % count
            if fingerprint(functions[place]).fast != expected[place]:
                wrong.append(place)

    assert [] == at_once(work)
    assert [] == wrong


GROWING = """
MEMO, LOG, SEEN, TABLE = {}, [], set(), {"inner": {}}
class Counter:
    kept = {}
COUNTER = Counter()
def helper(x):
    return x
def run(x):
    MEMO[x] = [x]
    LOG.append(x)
    SEEN.add(x)
    TABLE["inner"][x] = helper
    Counter.kept[x] = 1
    setattr(COUNTER, f"made_{x}", 1)
    setattr(run, f"note_{x}", 1)
    globals()[f"global_{x}"] = 1
    for made in list(MEMO)[:-3]:
        MEMO.pop(made, None)
        SEEN.discard(made)
        TABLE["inner"].pop(made, None)
        Counter.kept.pop(made, None)
        vars(COUNTER).pop(f"made_{made}", None)
        vars(run).pop(f"note_{made}", None)
        globals().pop(f"global_{made}", None)
"""


def test_what_other_threads_change_is_never_left_out() -> None:
    """A container that grows and shrinks while it is looked at is looked at whole."""
    module = build(GROWING)
    unresolved: set[str] = set()

    def work(number: int) -> None:
        for step in range(30):
            code = fingerprint(module.run)
            module.run(1000 * number + step)
            code.settle()
            code.components()
            unresolved.update(code.unresolved)

    assert [] == at_once(work)
    assert set() == unresolved


def test_a_function_that_nobody_changes_has_one_fingerprint() -> None:
    """Runs that settle in other threads do not change what an unrelated function is."""
    module = build(GROWING + "def still(x):\n    return helper(x)\n")
    expected = fingerprint(module.still)
    found: set[tuple[str, tuple[str, ...]]] = set()

    def work(number: int) -> None:
        for step in range(20):
            code = fingerprint(module.run)
            module.run(1000 * number + step)
            code.settle()
            still = fingerprint(module.still)
            found.add((still.fast, tuple(still.components())))

    assert [] == at_once(work)
    assert {(expected.fast, tuple(expected.components()))} == found


def test_a_folder_of_distributions_is_seen_whole(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that asks while another lists what is installed takes no library for the user's."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("")
    (tmp_path / "lib-1.0.dist-info").mkdir()
    file = str(tmp_path / "lib" / "__init__.py")
    listed = os.listdir
    kinds: list[str] = []

    def slow(folder: str) -> list[str]:
        monkeypatch.setattr(os, "listdir", listed)
        other = threading.Thread(
            target=lambda: kinds.append(origins.module_origin("lib", file).kind)
        )
        other.start()
        other.join()
        return listed(folder)

    monkeypatch.setattr(os, "listdir", slow)
    kinds.append(origins.module_origin("lib", file).kind)

    assert ["distribution", "distribution"] == kinds


def test_an_address_that_a_run_left_and_lost_is_no_state_of_it() -> None:
    """What the user sets is seen, also where it takes the address of what a run had left."""
    module = build(
        "def helper(x):\n    return 1\n"
        "def run(x):\n    global helper\n    helper = lambda y: 2\n    return helper(x)\n"
    )
    code = fingerprint(module.run)
    module.run(1)
    code.settle()
    assert code.fast == fingerprint(module.run).fast
    left = id(module.helper)
    make = build("def make():\n    return lambda y: 3\n").make

    module.helper = None
    fingerprint(module.run)
    gc.collect()
    made = [make() for _ in range(1000)]
    at_the_address = [function for function in made if id(function) == left]

    for function in [*at_the_address, made[0]]:
        module.helper = function
        assert code.fast != fingerprint(module.run).fast


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_while_a_run_settles_can_settle() -> None:
    """A lock that a thread held when the process was forked holds nobody up in the child."""
    module = build("N = 0\ndef run(x):\n    global N\n    N += 1\n")
    code = fingerprint(module.run)
    module.run(1)
    with settle._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # what hangs dies
            code.settle()
            os._exit(0 if fingerprint(module.run).fast == code.fast else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == status


def test_what_is_remembered_of_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long process that settles runs of ever new functions does not grow for ever."""
    monkeypatch.setattr(settle._settled, "_limit", 50)
    for _ in range(200):
        module = build("N = 0\ndef run(x):\n    global N\n    N += 1\n")
        code = fingerprint(module.run)
        module.run(1)
        code.settle()
        assert code.fast == fingerprint(module.run).fast

    kept = len(settle._settled)
    assert 50 >= kept


def test_sources_are_parsed_while_other_threads_parse() -> None:
    """Python 3.11 refuses a tree where another thread took a turn in it (gh-106905)."""
    text = "\n".join(
        f"def f{n}(x):\n    return [y + x * {n} for y in (1, 2) if y]" for n in range(99)
    )
    before = gc.get_threshold()
    gc.set_threshold(50)
    gc.callbacks.append(lambda *about: time.sleep(0))  # as distributed has one
    try:
        raised = at_once(lambda number: [parsed(text, "text") for _ in range(3)] and None)
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*before)
    assert [] == raised
