"""What a run changes itself: the state before it stays the fingerprint."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from memori.fingerprint import fingerprint


def build(source: str) -> Any:
    """Return a module made of `source`."""
    module = types.ModuleType("settled")
    exec(compile(source, "settled.py", "exec"), module.__dict__)
    return module


RUNS = {
    "memo": "MEMO = {}\ndef run(x):\n    MEMO[x] = [x]\n    return MEMO\n",
    "nested memo": "MEMO = {'a': {}}\ndef run(x):\n    MEMO['a'].setdefault(x, []).append(x)\n",
    "list": "LOG = []\ndef run(x):\n    LOG.append(x)\n",
    "set": "SEEN = set()\ndef run(x):\n    SEEN.add(x)\n",
    "counter": "N = 0\ndef run(x):\n    global N\n    N += 1\n",
    "undefined": "def run(x):\n    global N\n    N = x\n    return N\n",
    "own attribute": "def run(x):\n    run.calls = getattr(run, 'calls', 0) + 1\n",
    "class attribute": "class C:\n    n = 0\ndef run(x):\n    C.n += 1\n",
    "new class attribute": "class C:\n    pass\ndef run(x):\n    C.made = x\n    return C.made\n",
    "instance": "class C:\n    pass\nSTATE = C()\ndef run(x):\n    STATE.last = x\n",
    "mutable default": "def run(x, seen=[]):\n    seen.append(x)\n    return seen\n",
    "keyword default": "def run(x, *, seen={}):\n    seen[x] = 1\n    return seen\n",
    "closure": "def make():\n    n = 0\n    def run(x):\n        nonlocal n\n        n += 1\n"
    "    return run\nrun = make()\n",
    "closure's list": "def make():\n    n = []\n    def run(x):\n        n.append(x)\n"
    "    return run\n"
    "run = make()\n",
    "registry of functions": "TABLE = {}\ndef other(x):\n    return x\n"
    "def run(x):\n    TABLE[x] = other\n    return TABLE[x](x)\n",
    "registry of lambdas": "TABLE = {}\ndef run(x):\n    TABLE[x] = lambda: x\n    return TABLE\n",
    "registry that loses": "def other(x):\n    return x\nTABLE = {1: other}\n"
    "def run(x):\n    TABLE.clear()\n    return TABLE\n",
    "shared list": "A = []\nB = {'a': A}\ndef run(x):\n    A.append(x)\n    return B\n",
    "patched helper": "def helper(x):\n    return 1\ndef run(x):\n    global helper\n"
    "    helper = lambda y: 2\n    return helper(x)\n",
    "random state": "import random\nRNG = random.Random(0)\ndef run(x):\n    return RNG.random()\n",
    "numpy state": "import numpy as np\nRNG = np.random.default_rng(0)\n"
    "def run(x):\n    return RNG.random()\n",
    "array": "import numpy as np\nDATA = np.zeros(3)\n"
    "def run(x):\n    DATA[x % 3] += 1\n    return DATA\n",
    "bound method": "class C:\n    def __init__(self):\n        self.seen = {}\n"
    "    def go(self, x):\n        self.seen[x] = x\nrun = C().go\n",
    "callable instance": "class C:\n    n = 0\n    def __call__(self, x):\n        self.n += 1\n"
    "run = C()\n",
    "partial": "import functools\ndef go(seen, x):\n    seen.append(x)\n"
    "run = functools.partial(go, [])\n",
    "derived namespace": "import types\nclass C(types.SimpleNamespace):\n    pass\nSTATE = C(n=0)\n"
    "def run(x):\n    STATE.n += 1\n    STATE.made = x\n",
    "derived logger": "import logging\nclass C(logging.Logger):\n    n = 0\nSTATE = C('a')\n"
    "def run(x):\n    STATE.n += 1\n",
    "whole module": "N = 0\ndef run(x):\n    globals()['N'] += 1\n    globals()['made'] = x\n",
    "cached property": "import functools\nclass C:\n    @functools.cached_property\n"
    "    def p(self):\n        return 1\nITEM = C()\ndef run(x):\n    return ITEM.p\n",
    "several": "A, B = [], {}\nclass C:\n    n = 0\n"
    "def run(x):\n    A.append(B)\n    B[x] = A\n    C.n += 1\n",
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_does_not_make_the_next_call_a_miss(name: str) -> None:
    """However often it runs, what a run leaves behind counts as what was before it."""
    module = build(RUNS[name])
    fresh = fingerprint(build(RUNS[name]).run)
    for number in range(4):
        code = fingerprint(module.run)
        assert fresh.fast == code.fast
        assert fresh.components() == code.components()
        module.run(number)
        code.settle()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_settled_after_other_fingerprints_still_settles(name: str) -> None:
    """A fingerprint of the state that a run left, taken before it settled, does no harm."""
    module = build(RUNS[name])
    code = fingerprint(module.run)
    module.run(1)
    fingerprint(module.run)

    code.settle()

    assert code.fast == fingerprint(module.run).fast


def test_a_value_that_the_user_sets_is_seen_after_a_run() -> None:
    """Only the very state that the run left counts as the state before it."""
    module = build(RUNS["counter"])
    before = fingerprint(module.run)
    module.run(1)
    before.settle()
    assert fingerprint(module.run).fast == before.fast

    module.N = 50
    changed = fingerprint(module.run)
    assert before.fast != changed.fast
    module.run(1)
    changed.settle()

    assert changed.fast == fingerprint(module.run).fast


def test_an_edit_after_a_run_is_seen() -> None:
    """A helper defined again counts, whatever a run left elsewhere."""
    module = build(
        "MEMO = {}\ndef helper(x):\n    return 1\ndef run(x):\n    MEMO[x] = helper(x)\n"
    )
    code = fingerprint(module.run)
    module.run(1)
    code.settle()

    exec("def helper(x):\n    return 2\n", module.__dict__)

    assert code.fast != fingerprint(module.run).fast


def test_other_callables_see_the_state_before_the_run_too() -> None:
    """What one stage's run changed is settled for every stage that reads it."""
    source = RUNS["memo"] + "def other(x):\n    return len(MEMO)\n"
    module = build(source)
    code, other = fingerprint(module.run), fingerprint(module.other)
    module.run(1)
    code.settle()

    assert other.fast == fingerprint(module.other).fast
    assert other.fast == fingerprint(build(source).other).fast


def test_a_run_that_changes_nothing_settles_for_nothing() -> None:
    """Settling after an ordinary run keeps the same fingerprint."""
    module = build("K = [1]\ndef run(x):\n    return K\n")
    code = fingerprint(module.run)
    module.run(1)
    code.settle()

    assert fingerprint(module.run) is code


def test_runs_in_several_threads_settle() -> None:
    """Stages that run at once, each with a state of its own, do not disturb each other."""
    modules = [build(RUNS["memo"]) for _ in range(4)]
    fresh = fingerprint(build(RUNS["memo"]).run).fast
    wrong: list[str] = []

    def work(module: Any) -> None:
        for number in range(20):
            code = fingerprint(module.run)
            if code.fast != fresh:
                wrong.append(code.fast)
            module.run(number)
            code.settle()

    threads = [threading.Thread(target=work, args=(module,)) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == wrong


def test_overlapping_runs_leave_the_earliest_state() -> None:
    """Of two runs that overlap, the later's view of a half-changed state does not stand."""
    module = build(RUNS["memo"])
    first = fingerprint(module.run)
    module.run(1)
    second = fingerprint(module.run)
    module.run(2)
    second.settle()
    first.settle()

    assert first.fast != second.fast
    assert first.fast == fingerprint(module.run).fast


def test_the_earliest_state_stands_whoever_ends_first() -> None:
    """The run that began first may settle first: what the other saw half way counts no more."""
    module = build("N = 0\ndef run(x):\n    return N\n")
    first = fingerprint(module.run)
    module.N = 1  # the first run is half way
    second = fingerprint(module.run)
    module.N = 2
    first.settle()
    second.settle()

    assert first.fast != second.fast
    assert first.fast == fingerprint(module.run).fast


LATE = {
    "low.py": "D = 7\ndef deep(x):\n    return x + D\n",
    "table.py": "Z = 5\ndef z(x):\n    return x * Z\n",
    "study/__init__.py": "from .part import less\n",
    "study/part.py": "def less(x):\n    return x - 1\n",
    "step.py": "import table, study\nfrom low import deep as down\nclass K:\n    def go(self):\n"
    "        return 1\ndef a(x):\n    return x + 1\ndef b(x):\n    return table.z(x)\n",
    "main.py": """
import sys
from memori import Stage
def one(x):
    from step import a
    return a(x)
def two(x):
    from step import b, down, K
    return b(x) + down(x) + K().go()
def three(x):
    import table
    return table.Z
def four(x):
    import table as whole
    return sorted(vars(whole))[0]
def five(x):
    import study.part
    return study.part.less(x)
def six(x):
    import importlib
    return importlib.import_module("step").a(x)
steps = [one, two, three, four, five, six]
ran = []
for step in steps if sys.argv[1] == "up" else steps[::-1]:
    stage = Stage(step, "y", "work")
    stage.run(1)
    ran.append(stage.state)
print(sum(ran))
""",
}


@pytest.mark.parametrize("way", ["up", "down"])
def test_what_one_stage_imports_is_no_reason_for_the_next(way: str, tmp_path: Path) -> None:
    """In a new process it need not be loaded when the next is looked at: the first may be a hit."""
    for name, text in LATE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = []
    for _ in range(2):
        words = [sys.executable, "main.py", way]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        found.append(done.stdout.strip())
    assert ["6", "0"] == found
