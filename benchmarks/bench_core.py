"""What the memory itself costs: hits, first runs, start-up, and the size of an entry.

Run ``python benchmarks/bench_core.py``. Every figure is measured in this one run, peers included.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

from report import heading, median_seconds, process_seconds, row

from memori import Stage

CHAIN = """
import json, sys, time
from memori import Stage
{functions}
stages = [{stages}]
began = time.perf_counter()
value = 1
for stage in stages:
    value = stage.run(value)["output"]
seconds = time.perf_counter() - began
if "{phase}" == "measured":
    assert not any(stage.state for stage in stages)
open("replay", "w").write(str(seconds))
"""
JOBLIB_CHAIN = """
import time
from joblib import Memory
memory = Memory("joblib", verbose=0)
{functions}
functions = [memory.cache(f) for f in ({names})]
began = time.perf_counter()
value = 1
for function in functions:
    value = function(value)
open("replay", "w").write(str(time.perf_counter() - began))
"""


def add(x: int, y: int, z: int) -> int:
    return x + y + z


def hits(folder: str) -> None:
    print("A hit of a trivial stage with three integers, warm")
    stage = Stage(add, hash_output=f"{folder}/memori")
    ours = median_seconds(lambda _: stage.run(1, 2, 3), 5000) * 1e6
    path = Path(folder, "bare.json")
    path.write_text('{"output": 6}')
    bare = median_seconds(lambda _: json.loads(path.read_bytes()), 5000) * 1e6
    row("a bare JSON file, no checks", bare, "µs")
    if importlib.util.find_spec("diskcache"):
        import diskcache

        cached = diskcache.Cache(f"{folder}/diskcache").memoize()(add)
        row("diskcache", median_seconds(lambda _: cached(1, 2, 3), 3000) * 1e6, "µs")
    if importlib.util.find_spec("joblib"):
        from joblib import Memory

        remembered = Memory(f"{folder}/joblib", verbose=0).cache(add)
        joblib = median_seconds(lambda _: remembered(1, 2, 3), 3000) * 1e6
        row("joblib.Memory", joblib, "µs")
        row("memori over joblib", ours / joblib, "", "at most 0.65")
    row("memori", ours, "µs", "at most 60")


def nipype_peer(folder: str) -> None:
    logging.disable()  # it tells of every hit
    from nipype.caching import Memory
    from nipype.interfaces.utility import Merge

    merge = Memory(folder).cache(Merge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = median_seconds(lambda _: merge(numinputs=2, in1=1, in2=2), 200)
    row("nipype.caching.Memory, for comparison", seconds * 1e6, "µs")


def first_runs(folder: str) -> None:
    print("A first run of a trivial stage, over the call")
    stage = Stage(add, hash_output=f"{folder}/first")
    stage.run(-1, 0, 0)
    ours = median_seconds(lambda n: stage.run(n, 2, 3), 500) - median_seconds(
        lambda n: add(n, 2, 3), 500
    )
    row("memori", ours * 1e3, "ms", "at most 0.5")
    entries = [p for p in Path(folder, "first/.memori").rglob("*") if p.is_file()]
    row("files for each entry", len(entries) / 504, "", "1")
    row("size of an entry", max(p.stat().st_size for p in entries), "bytes", "at most 2048")


def chain(folder: str) -> None:
    print("A chain of 20 stages, all hits, in a new process")
    functions = "\n".join(f"def f{n}(x):\n    return x + {n}" for n in range(20))
    stages = ", ".join(f"Stage(f{n}, hash_output='work')" for n in range(20))
    script = Path(folder, "chain.py")
    for phase in ("first", "measured"):
        script.write_text(CHAIN.format(functions=functions, stages=stages, phase=phase))
        process_seconds("import chain", folder, 2)
    bare = process_seconds("pass", folder, 20)
    seconds = process_seconds("import chain", folder, 20)
    replay = float(Path(folder, "replay").read_text())
    row("memori: replay", replay * 1e3, "ms", "at most 6")
    row("memori: process time over bare Python", (seconds - bare) * 1e3, "ms", "at most 40")
    if importlib.util.find_spec("joblib"):
        names = ", ".join(f"f{n}" for n in range(20))
        Path(folder, "peer.py").write_text(JOBLIB_CHAIN.format(functions=functions, names=names))
        process_seconds("import peer", folder, 2)
        seconds = process_seconds("import peer", folder, 5)
        replay = float(Path(folder, "replay").read_text())
        row("joblib: replay", replay * 1e3, "ms")
        row("joblib: process time over bare Python", (seconds - bare) * 1e3, "ms")
    seconds = process_seconds("import memori", folder, 20)
    row("import memori, over bare Python", (seconds - bare) * 1e3, "ms", "at most 20")


def main() -> None:
    heading("The core", "memori-neuro", "joblib", "diskcache", "nipype")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled once
    with tempfile.TemporaryDirectory() as folder:
        hits(folder)
        first_runs(folder)
        chain(folder)
        if importlib.util.find_spec("nipype"):
            nipype_peer(folder)


if __name__ == "__main__":
    main()
