"""Store and load an array of 100 MB: memori against numpy with SHA-256, and against joblib.

Run with ``python benchmarks/bench_arrays.py [--megabytes 100] [--rounds 7]``. All candidates take
turns in one process, so that the ratios hold where the times do not; the times are medians, and
those of making the array are in all of them. A new process is timed for the load-hit, too.

Aims: to store, at most 1.3 x (numpy.save + SHA-256); a hit with the array memory-mapped, below
2 ms and below joblib.Memory with ``mmap_mode="r"``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import joblib
import numpy as np

import memori
from memori import Stage
from memori.neuro.data.arrays import load_array, save_array
from memori.neuro.data.arrays_to_disk import arrays_to_disk


def make(number: float, length: int) -> np.ndarray:
    return np.full(length, number, np.float32)


def stored(number: float, length: int) -> str:
    return save_array(np.full(length, number, np.float32))


@arrays_to_disk
def natural(number: float, length: int) -> np.ndarray:
    return np.full(length, number, np.float32)


def baseline(folder: str, number: float, length: int) -> None:
    """Save with numpy and digest the file."""
    path = os.path.join(folder, "baseline.npy")
    np.save(path, make(number, length))
    with open(path, "rb") as stream:
        hashlib.file_digest(stream, "sha256")


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def remove_arrays(folder: str) -> None:
    """Free the page cache: a virtual machine is slow in giving out memory for the first time."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".npy", ".pkl")):
                os.unlink(os.path.join(place, name))


def store_times(folder: str, length: int, rounds: int) -> dict[str, float]:
    """Time each way to store an array, in turns; seconds, the median."""
    memory = joblib.Memory(os.path.join(folder, "joblib"), mmap_mode="r", verbose=0).cache(make)
    by_name = Stage(stored, hash_output=os.path.join(folder, "work"))
    by_type = Stage(natural, hash_output=os.path.join(folder, "work"))
    ways: dict[str, Callable[[float], object]] = {
        "numpy.save alone": lambda n: np.save(f"{folder}/n.npy", make(n, length)),
        "save_array alone": lambda n: save_array(make(n, length), f"{folder}/m.npy"),
        "numpy.save + SHA-256": lambda n: baseline(folder, n, length),
        "Stage, save_array": lambda n: by_name.run(n, length),
        "Stage, arrays_to_disk": lambda n: by_type.run(n, length),
        "joblib.Memory": lambda n: memory(n, length),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            times[name].append(timed(lambda way=way, turn=turn: way(float(turn))))
            remove_arrays(folder)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def hit_times(folder: str, length: int, rounds: int) -> dict[str, float]:
    """Time a hit with one number of the array used; seconds, the median."""
    memory = joblib.Memory(os.path.join(folder, "joblib"), mmap_mode="r", verbose=0).cache(make)
    stage = Stage(stored, hash_output=os.path.join(folder, "work"))
    ways: dict[str, Callable[[], object]] = {
        "Stage + load_array": lambda: load_array(stage.run(1.0, length)["output"])[5],
        "joblib.Memory, mmap_mode='r'": lambda: memory(1.0, length)[5],
    }
    found = {f"{name}, first": timed(way) for name, way in ways.items()}
    time.sleep(0.1)  # a file younger than the clock's resolution is not trusted
    for name, way in ways.items():
        found[name] = statistics.median(timed(way) for _ in range(rounds * 10 + 1))
    if stage.state:
        raise RuntimeError("the stage was run: that was no hit")
    return found


def new_process(folder: str, length: int) -> dict[str, float]:
    """Time the first hit in a process of its own, after the imports."""
    command = [sys.executable, __file__, "--hit", folder, "--length", str(length)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.rsplit(" ", 1) for line in printed.splitlines()]
    return {name: float(seconds) for name, seconds in lines if name.endswith("first")}


def table(title: str, times: dict[str, float], one: str) -> None:
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:32s} {seconds * 1000:9.3f} ms {seconds / times[one]:8.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", help="where to write (default: the temporary folder)")
    parser.add_argument("--hit", help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hit:
        for name, seconds in hit_times(options.hit, options.length, 1).items():
            print(name, seconds)
        return
    length = int(options.megabytes * 1e6 / 4)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"memori {memori.__version__}, numpy {np.__version__}, joblib {joblib.__version__}")
    print(f"float32 array of {options.megabytes:g} MB")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        stores = store_times(folder, length, options.rounds)
        hit_times(folder, length, 0)  # this stores the array
        hits = hit_times(folder, length, options.rounds)
        fresh = new_process(folder, length)
    table("store (the array made, saved, digested)", stores, "numpy.save + SHA-256")
    table("hit, array mapped, one number read", hits, "joblib.Memory, mmap_mode='r'")
    table("the same, first in a new process", fresh, "joblib.Memory, mmap_mode='r', first")
    ratio = stores["Stage, save_array"] / stores["numpy.save + SHA-256"]
    hit = hits["Stage + load_array"]
    print(f"\nstore {ratio:.2f} x (aim 1.3), hit {hit * 1000:.2f} ms (aim 2)")


if __name__ == "__main__":
    main()
