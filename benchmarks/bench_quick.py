"""How quick memori is from the first miss on, beside its peers in the same run.

Run ``python benchmarks/bench_quick.py``. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import heading, median_seconds, process_seconds, row

from memori import Stage

RUNS = 10_000
FIRST = """
import time
from memori import Stage
def f(x):
    return x + 1
stage = Stage(f, hash_output="first")
times = []
for n in range(12):
    began = time.perf_counter()
    stage.run(n)
    times.append(time.perf_counter() - began)
print(times[0] - sorted(times[1:])[5])
"""
CASES = """
import sys
from memori import Pipeline, Stage
{functions}
def run(root):
    stages = [{stages}]
    lines = [("start", stages[0]), *zip(stages, stages[1:])]
    names = ["x0", "case"] if "case" in root else ["x0"]
    return Pipeline(lines).map([dict.fromkeys(names, n) for n in range({cases})])
if __name__ == "__main__":
    found = run(sys.argv[1])
    if sys.argv[2] == "again":
        assert 0 == found.executed, found.executed
"""


def add(x: int, y: int, z: int) -> int:
    return x + y + z


def read(path: str) -> str:
    return Path(path).read_text()


def seconds_each(call: Callable[[int], object], count: int) -> float:
    """Return the mean time of so many calls."""
    began = time.perf_counter()
    for number in range(count):
        call(number)
    return (time.perf_counter() - began) / count


def bare_file(folder: Path) -> Callable[[int], object]:
    """Return what writes a JSON file, whole or not at all, and does nothing else."""
    folder.mkdir()

    def write(n: int) -> None:
        partial = folder / f"{n}.partial"
        partial.write_text(json.dumps({"output": add(n, 2, 3)}))
        partial.replace(folder / f"{n}.json")

    return write


def peers(folder: Path) -> dict[str, Callable[[int], object]]:
    """Return other memories of the same function, each in a folder of its own."""
    found: dict[str, Callable[[int], object]] = {"a bare JSON file": bare_file(folder / "bare")}
    if importlib.util.find_spec("diskcache"):
        import diskcache

        disk = diskcache.Cache(f"{folder}/diskcache").memoize()(add)
        found["diskcache"] = lambda n: disk(n, 2, 3)
    if importlib.util.find_spec("joblib"):
        from joblib import Memory

        job = Memory(f"{folder}/joblib", verbose=0).cache(add)
        found["joblib"] = lambda n: job(n, 2, 3)
    return found


def warm_and_cold(folder: Path) -> None:
    stage = Stage(add, hash_output=folder / "memori")
    calls = {**peers(folder), "memori": lambda n: stage.run(n, 2, 3)}
    print(f"A cold trivial stage, {RUNS} in one folder, three files for people each time (mean)")
    cold = dict.fromkeys(calls, 0.0)
    turns, each = 10, RUNS // 10
    for turn in range(turns):  # in turns, so that a noisy moment meets all
        for name, call in calls.items():
            cold[name] += seconds_each(lambda n, c=call, t=turn: c(t * each + n), each) / turns
    for name, seconds in cold.items():
        target = "at most joblib's" if name == "memori" else ""
        row(name, seconds * 1e3, "ms", target)
    print("A warm hit (median)")
    for name, call in calls.items():
        if name == "a bare JSON file":
            path = folder / "bare" / "7.json"
            row(
                name, median_seconds(lambda _, p=path: json.loads(p.read_bytes()), 5000) * 1e6, "µs"
            )
        else:
            call(RUNS - 1)
            row(name, median_seconds(lambda _, c=call: c(RUNS - 1), 3000) * 1e6, "µs")
    print("Hits that alternate between two entries in one folder (median)")
    row("memori", median_seconds(lambda n: stage.run(n % 2, 2, 3), 4000) * 1e6, "µs", "at most 95")


def first_miss(folder: Path) -> None:
    print("The first miss of a process, over its second (median of 11 processes)")
    script = folder / "first.py"
    script.write_text(FIRST)
    times = []
    for n in range(12):
        text = FIRST.replace('"first"', f'"first{n}"')
        script.write_text(text)
        done = subprocess.run(
            [sys.executable, script], cwd=folder, check=True, capture_output=True, text=True
        )
        times.append(float(done.stdout))
    row("memori", sorted(times[1:])[5] * 1e3, "ms", "at most 5")


def among_many(folder: Path) -> None:
    print("A miss among entries that share the names of inputs (median)")
    path = folder / "many.txt"
    stage = Stage(read, hash_output=folder / "many")
    numbers = itertools.count()

    def once(_: int) -> None:
        path.write_text(str(next(numbers)))
        began = time.perf_counter()
        stage.run(str(path))
        took.append(time.perf_counter() - began)

    for many in (10, 1000, 2000, 5000):
        took: list[float] = []
        while next(numbers) < many:
            once(0)
        took.clear()
        for _ in range(20):
            once(0)
        row(f"{many} entries", sorted(took)[10] * 1e3, "ms", "at most 2")
    for name in ("inputs", "outputs", "stage"):
        (folder / "many" / f"read.{name}").unlink()
    path.write_text("other")
    took = []
    for _ in range(20):
        began = time.perf_counter()
        stage.explain(str(path))
        took.append(time.perf_counter() - began)
    row("explain, without the three files", sorted(took)[10] * 1e3, "ms")


def all_hits(folder: Path) -> None:
    print("1,000 cases x 20 stages, all hits, from start to end of the process (best of 3)")
    functions = "\n".join(f"def f{n}(x{n}):\n    return x{n} + 1" for n in range(20))
    for what, root in (("one folder", "work"), ("a folder per case", "work/{case}")):
        stages = ", ".join(f"Stage(f{n}, 'x{n + 1}', hash_output=root)" for n in range(20))
        script = folder / "cases.py"
        script.write_text(CASES.format(functions=functions, stages=stages, cases=1000))
        where = root if "{" not in root else "each/{case}"
        command = [sys.executable, str(script), where]
        began = time.perf_counter()
        subprocess.run([*command, "first"], cwd=folder, check=True)
        row(f"{what}: first run", time.perf_counter() - began, "s")
        times = []
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([*command, "again"], cwd=folder, check=True)
            times.append(time.perf_counter() - began)
        row(what, min(times), "s", "at most 2")


def start(folder: Path) -> None:
    bare = process_seconds("pass", str(folder), 30)
    seconds = process_seconds("import memori", str(folder), 30)
    print("Start-up")
    row("import memori, over bare Python", (seconds - bare) * 1e3, "ms", "at most 20")


def main() -> None:
    heading("Quick from the first miss", "memori-neuro", "joblib", "diskcache")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once
    with tempfile.TemporaryDirectory() as folder:
        for measure in (warm_and_cold, first_miss, among_many, all_hits, start):
            measure(Path(folder))


if __name__ == "__main__":
    main()
