"""What a script or a notebook defines reaches worker processes, whatever `functools` made of it."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from memori.processes.pickles import pickled

SCRIPT = """
import functools, sys
from memori import Pipeline, Stage

@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

@functools.singledispatch
def shown(x):
    return f"any {x}"

@shown.register
def _(x: int):
    return f"int {x}"

class Shift:
    def __call__(self, n):
        return n + 10

shifted = functools.lru_cache(Shift())  # around an object, which has no name
squared = functools.lru_cache(functools.partial(pow, exp=2))

class Table:
    def __init__(self, n):
        self.n = n
    @functools.cached_property
    def double(self):
        return 2 * self.n
    @functools.lru_cache
    def triple(self):
        return 3 * self.n
    @staticmethod
    @functools.cache
    def four():
        return 4

def work(x):
    open("ran", "a").write("x")
    table = Table(x)
    numbers = [shifted(x), squared(x), table.double, table.triple(), Table.four()]
    return [fibonacci(x + 5), shown(x), *numbers]

if __name__ == "__main__":
    pipeline = Pipeline([("start", Stage(work, "y", "work"))])
    for _, results in pipeline.map([{"x": 1}, {"x": 2}], n_jobs=int(sys.argv[1])):
        print(results["y"])
"""
RIGHT = "[8, 'int 1', 11, 1, 2, 3, 4]\n[13, 'int 2', 12, 4, 4, 6, 4]\n"


def test_functions_that_cache_go_to_workers_and_count_there_as_here(tmp_path: Path) -> None:
    """A script's caches, cached properties and overloads work with `n_jobs`, and hit without."""
    script, ran = tmp_path / "script.py", tmp_path / "ran"

    def run(n_jobs: int) -> tuple[str, int]:
        before = ran.stat().st_size if ran.exists() else 0
        command = [sys.executable, "-B", "script.py", str(n_jobs)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout, ran.stat().st_size - before

    script.write_text(SCRIPT)
    assert [(RIGHT, 2), (RIGHT, 0), (RIGHT, 0)] == [run(2), run(1), run(2)]
    script.write_text(SCRIPT.replace("return 4", "return 5"))
    assert (RIGHT.replace(", 4]", ", 5]"), 2) == run(2)
    script.write_text(SCRIPT.replace("n + 10", "10 * n"))
    assert (RIGHT.replace("11", "10").replace("12", "20"), 2) == run(1)


def test_what_a_module_caches_is_found_there_by_its_name() -> None:
    """A worker imports it, as pickles do."""
    assert b"_cached_anew" not in pickled(parsed)
    assert b"_cached_anew" in pickled(lru_cache(lambda: 1))


@lru_cache
def parsed() -> int:
    """Stand for a function of a module."""
    return 1
