"""What it costs to send many cases to workers, beside a plain pool in the same run.

Run ``python benchmarks/bench_dispatch.py``. 64 cases on two workers: stages that sleep for 50 ms,
and stages that compute as long. A plain pool (loky's, and that of the standard library) runs the
same function; the two take turns, so that noise hits both, and the best of each counts. Aims: naps
at most 1.03 times, busy stages at most 1.05 times what the plain pool takes; through Dask (extra
`cluster`) plain Dask at least 0.9 times what a map takes. What remembers also
writes an entry for each case, which `bench_core` measures by itself.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

from loky import get_reusable_executor
from report import heading, row

from memori import Pipeline, Stage

CASES = 64
WORKERS = 2
SECONDS = 0.05


def nap(x: int) -> int:
    time.sleep(SECONDS)
    return x


def busy(x: int) -> int:
    """Compute for so long as it takes, whatever else the machine does."""
    until = time.thread_time() + SECONDS
    while time.thread_time() < until:
        pass
    return x


def plain(function: Callable[[int], int], pool: Executor) -> float:
    """Return the seconds that a pool takes."""
    began = time.perf_counter()
    assert list(range(CASES)) == list(pool.map(function, range(CASES)))
    return time.perf_counter() - began


def ours(function: Callable[[int], int], folder: str | None, **where: object) -> float:
    """Return the seconds that a map takes."""
    pipeline = Pipeline([("start", Stage(function, "y", folder))])
    began = time.perf_counter()
    found = pipeline.map([{"x": x} for x in range(CASES)], **where)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    assert list(range(CASES)) == [result["y"] for _, result in found]
    return seconds


def compare(function: Callable[[int], int], rounds: int, aim: str) -> None:
    """Print how a map compares with the pool that it uses."""
    print(
        f"{CASES} stages that {function.__name__} for {SECONDS * 1e3:.0f} ms, on {WORKERS} workers"
    )
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(WORKERS) as processes:
        pools: dict[str, tuple[Callable[[], Executor], dict[str, object]]] = {
            "loky, n_jobs": (lambda: get_reusable_executor(WORKERS), {"n_jobs": WORKERS}),
            "ProcessPoolExecutor": (lambda: processes, {"executor": processes}),
        }
        for name, (pool, where) in pools.items():
            times: dict[str, list[float]] = {"plain": [], "without memory": [], "remembered": []}
            for number in range(rounds + 1):  # the first starts the workers, and does not count
                times["plain"].append(plain(function, pool()))
                times["without memory"].append(ours(function, None, **where))
                times["remembered"].append(ours(function, f"{folder}/{name}{number}", **where))
            best = {kind: min(each[1:]) for kind, each in times.items()}
            row(f"{name}: a plain pool", best["plain"], "s")
            for kind in ("without memory", "remembered"):
                row(f"{name}: {kind}, over that", best[kind] / best["plain"], "", aim)


def on_dask(rounds: int) -> None:
    """Print how a map through a Dask cluster of this machine compares with plain Dask."""
    import memori

    print(f"{CASES} naps of {SECONDS * 1e3:.0f} ms through Dask, on {WORKERS} workers")
    with tempfile.TemporaryDirectory() as folder, memori.executor("dask", jobs=WORKERS) as dask:
        times: dict[str, list[float]] = {"plain": [], "without memory": [], "remembered": []}
        for number in range(rounds + 1):
            times["plain"].append(plain(nap, dask))
            times["without memory"].append(ours(nap, None, executor=dask))
            times["remembered"].append(ours(nap, f"{folder}/{number}", executor=dask))
        best = {kind: min(each[1:]) for kind, each in times.items()}
        row("plain Dask", best["plain"], "s")
        for kind in ("without memory", "remembered"):
            row(f"Dask: plain over {kind}", best["plain"] / best[kind], "", "at least 0.9")
        row("finished", ours(nap, f"{folder}/1", executor=dask), "s", "nothing is submitted")


def cold() -> None:
    """Print what the first map of a process takes, with the start of its workers."""
    print("The first map of a process: 2 naps, with the start of 2 workers")
    first = (
        "import time; from bench_dispatch import *; "
        "began = time.perf_counter(); CASES = 2; {call}; print(time.perf_counter() - began)"
    )
    calls = {
        "loky, plain": "list(get_reusable_executor(2).map(nap, range(2)))",
        "memori": "Pipeline([('start', Stage(nap, 'y'))]).map([{'x': 1}, {'x': 2}], n_jobs=2)",
    }
    for name, call in calls.items():
        import subprocess

        command = [sys.executable, "-c", first.replace("{call}", call)]
        folder = os.path.dirname(os.path.abspath(__file__))
        done = [
            float(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)
            for _ in range(5)
        ]
        row(name, min(done) * 1e3, "ms")


def size() -> None:
    """Print what a pipeline weighs on its way to a worker, before and after a run."""
    print("A pipeline of one stage that returned a million characters")
    pipeline = Pipeline([("start", Stage(spelled, "text"))])
    row("before", len(pickle.dumps(pipeline)), "bytes")
    pipeline.run(1_000_000)
    row("after", len(pickle.dumps(pipeline)), "bytes")


def spelled(n: int) -> str:
    return "x" * n


def many() -> None:
    """Print what each of many short cases costs in threads, where nothing travels."""
    pipeline = Pipeline([("start", Stage(spelled, "text"))])
    cases = [{"n": n % 7} for n in range(5000)]
    with ThreadPoolExecutor(WORKERS) as threads:
        began = time.perf_counter()
        pipeline.map(cases, executor=threads)
        row("a case of 5,000 in threads", (time.perf_counter() - began) / 5000 * 1e6, "µs")


def main() -> None:
    heading("Dispatch", "memori-neuro", "loky")
    size()
    many()
    cold()
    compare(nap, 5, "at most 1.03")
    compare(busy, 5, "at most 1.05")
    on_dask(3)


if __name__ == "__main__":
    main()
