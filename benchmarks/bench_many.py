"""What many cases cost: branches, ten thousand stages, and finished maps recalled.

Run ``python benchmarks/bench_many.py [CASES]``; CASES (1,000) is the size of the finished map. Two
workers (`n_jobs=2`) beside none. Aims: eight branches of 0.2 s of one case in 0.9 s (0.8 is ideal);
10,000 trivial stages at the same cost each as 1,000, and at most 100 MB more memory than at the
start; a finished map of 1,000 cases of 20 stages in 2 s, and on two workers 1.6 times as fast;
eight processes that recall the same at once in at most 1.5 times the time of one, on eight cores.
The processor time of each of the eight, over that of one alone, is what they cost each other,
however many cores there are and whatever else the machine does.
"""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from report import heading, row

from memori import Pipeline, Stage

WORKERS = 2


def nap(x: int, number: int) -> int:
    time.sleep(0.2)
    return x + number


def increased(v: int, number: int) -> int:
    return v + 1


def chain(length: int, folder: str) -> Pipeline:
    """Return stages in a row, each remembered."""
    stages = [
        Stage(increased, f"v{n}", folder, f"s{n}", {f"v{n}": "v"}, number=n) for n in range(length)
    ]
    lines = [("start", stages[0]), *itertools.pairwise(stages)]
    return Pipeline(lines)  # type: ignore[arg-type]


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def branches() -> None:
    """Print what one case with eight independent stages takes."""
    print("One case, eight branches of 0.2 s, on 2 workers")
    with tempfile.TemporaryDirectory() as folder:
        stages = [Stage(nap, f"b{n}", folder, f"b{n}", number=n) for n in range(8)]
        pipeline = Pipeline([("start", stage) for stage in stages])
        pipeline.map([{"x": 0}], n_jobs=WORKERS)  # starts the workers
        times = [seconds(lambda x=x: pipeline.map([{"x": x}], n_jobs=2)) for x in (1, 2, 3)]  # type: ignore[misc]
        row("map", min(times), "s", "at most 0.9")


def trivial() -> None:
    """Print what each of many trivial stages costs, and the memory that all take."""
    print("Trivial stages, remembered, cases of 100 in a row")
    for cases in (10, 100):
        with tempfile.TemporaryDirectory() as folder:
            pipeline = chain(100, folder)
            given = [{"v": 1000 * n} for n in range(cases)]
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            took = seconds(lambda p=pipeline, g=given: p.map(g, n_jobs=WORKERS))  # type: ignore[misc]
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            row(f"each of {100 * cases:,}", took / cases / 100 * 1e6, "µs")
            row(f"peak memory over the start, {100 * cases:,}", (after - before) / 1024, "MB")


def finished(cases: int) -> None:
    """Print what a map takes of which everything is remembered."""
    print(f"A finished map of {cases:,} cases of 20 stages")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = chain(20, folder)
        given = [{"v": 1000 * n} for n in range(cases)]
        pipeline.map(given, n_jobs=WORKERS)
        none, two = [], []
        for _ in range(3):
            none.append(seconds(lambda: pipeline.map(given)))
            two.append(seconds(lambda: pipeline.map(given, n_jobs=WORKERS)))
        row("no workers", min(none), "s", "at most 2")
        row("n_jobs=2", min(two), "s")
        row("no workers, over n_jobs=2", min(none) / min(two), "", "at least 1.6")
        script = (
            "import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from bench_many import chain\n"
            "pipeline = chain(20, sys.argv[2])\n"
            "began, used = time.perf_counter(), time.process_time()\n"
            "found = pipeline.map([{'v': 1000 * n} for n in range(int(sys.argv[3]))])\n"
            "assert not found.executed\n"
            "print(time.perf_counter() - began, time.process_time() - used)\n"
        )
        here = os.path.dirname(os.path.abspath(__file__))
        command = [sys.executable, "-c", script, here, folder, str(max(1, cases // 5))]

        def at_once(count: int) -> tuple[float, float]:
            """Return the seconds of the last, and the processor time of each."""
            going = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
            ]
            told = [tuple(map(float, each.communicate()[0].split())) for each in going]
            return max(each[0] for each in told), sum(each[1] for each in told) / count

        one, eight = [at_once(1) for _ in range(3)], [at_once(8) for _ in range(2)]
        cores = len(os.sched_getaffinity(0))
        for place, what, aim in (
            (0, "8 processes at once, over one", f"1.5 on 8 cores; {cores} here"),
            (1, "processor time of each of 8, over one", "1.2"),
        ):
            row(what, min(e[place] for e in eight) / min(o[place] for o in one), "", aim)


def main() -> None:
    heading("Many cases", "memori-neuro", "loky")
    branches()
    trivial()
    finished(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)


if __name__ == "__main__":
    main()
