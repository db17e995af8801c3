"""What a fingerprint costs: for an unchanged function, after a change, and in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from memori.fingerprint import fingerprint

PROJECT = "\n".join(
    [
        "import os",
        'RATE, NAME, SIZES, TABLE, LIMITS = 0.5, "x", (1, 2, 3), {"a": 1, "b": [2]}, [1, 2]',
        *(
            f"def helper_{n}(x, k={n}):\n"
            f"    values = [x * i + k for i in range(10) if i % 2 == {n % 2}]\n"
            f"    return sum(values) * RATE + SIZES[0] + len(NAME) + TABLE['a'] + LIMITS[0]"
            for n in range(10)
        ),
        "def run(x):",
        "    return " + " + ".join(f"helper_{n}(x)" for n in range(10)),
    ]
)
NEW_PROCESS = """
    import sys, time, json
    sys.path[:0] = {paths}
    from memori.digest import files
    from memori.digest.values import encode
    import project
    began = time.perf_counter()
    from memori.fingerprint import fingerprint
    imported = time.perf_counter()
    fingerprint(project.run)
    done = time.perf_counter()
    print(json.dumps([imported - began, done - imported]))
"""
ROOT = Path(__file__).parents[1]


def reaching() -> FunctionType:
    """Return a function that reaches ten helpers and five globals."""
    module = ModuleType("project")
    exec(compile(PROJECT, "project.py", "exec"), module.__dict__)
    run: FunctionType = module.run  # type: ignore[attr-defined]
    return run


def test_unchanged_trivial(benchmark) -> None:
    def trivial(x: int) -> int:
        return x + 1

    fingerprint(trivial)
    benchmark(fingerprint, trivial)


def test_unchanged_ten_helpers_and_five_globals(benchmark) -> None:
    run = reaching()
    fingerprint(run)
    benchmark(fingerprint, run)


def test_changed_ten_helpers_and_five_globals(benchmark) -> None:
    run = reaching()

    def change() -> None:
        run.__globals__["RATE"] += 1
        fingerprint(run)

    benchmark(change)


def test_canonical_ten_helpers_and_five_globals(benchmark, tmp_path, monkeypatch) -> None:
    (tmp_path / "bench_project.py").write_text(PROJECT, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import bench_project

    def change() -> None:
        bench_project.RATE += 1
        fingerprint(bench_project.run).canonical()

    benchmark(change)


def new_process(folder: Path) -> list[float]:
    """Return the seconds for the imports and for the first fingerprint, in a new process."""
    (folder / "project.py").write_text(PROJECT, encoding="utf-8")
    script = textwrap.dedent(NEW_PROCESS).format(paths=[str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_new_process(benchmark, tmp_path) -> None:
    pytest.importorskip("pytest_benchmark")
    new_process(tmp_path)
    if benchmark.disabled:
        assert all(seconds > 0 for seconds in new_process(tmp_path))
        return
    measured = [new_process(tmp_path) for _ in range(20)]
    benchmark.extra_info["import ms"] = min(first for first, _ in measured) * 1e3
    benchmark.extra_info["fingerprint ms"] = min(second for _, second in measured) * 1e3
    benchmark.pedantic(new_process, args=(tmp_path,), rounds=1)
