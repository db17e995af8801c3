"""What watching costs: a run, watched and not, and the check of what it was seen to read.

Run ``python benchmarks/bench_watch.py``. Watched and unwatched runs alternate; the figures are
medians of pairs.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time

from report import heading, row

from memori.watch import Sieve, differences, watching

FILES = 2000


def make_files(folder: str) -> list[str]:
    """Write small JSON files into folders, as old as data are."""
    paths = []
    for number in range(FILES):
        above = f"{folder}/data/sub-{number // 20:03}"
        os.makedirs(above, exist_ok=True)
        paths.append(f"{above}/run-{number % 20:02}_bold.json")
        with open(paths[-1], "w") as file:
            json.dump({"RepetitionTime": 2.0, "SliceTiming": [n / 40 for n in range(40)]}, file)
    return paths


def seconds(call: object) -> float:
    """Measure one call."""
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


def alternating(call: object, times: int = 15) -> tuple[float, float]:
    """Return the median seconds of a call without and with watching, and of their ratio."""

    def watched() -> None:
        with watching():
            call()  # type: ignore[operator]

    watched()
    pairs = [(seconds(call), seconds(watched)) for _ in range(times)]
    bare = statistics.median(pair[0] for pair in pairs)
    return bare, statistics.median(pair[1] / pair[0] for pair in pairs)


def cost_of_watching(paths: list[str]) -> None:
    print(f"A function that opens {FILES} files, watched over not")

    def load() -> None:
        for path in paths:
            with open(path) as file:
                json.load(file)

    def read() -> None:
        for path in paths:
            with open(path, "rb") as file:
                file.read()

    def compute() -> None:
        value = 0
        for number in range(1_000_000):
            value += id(number) & 1

    for name, call, target in (
        ("json.load", load, "at most 1.05"),
        ("open and read, nothing else", read, ""),
        ("a million calls of id()", compute, ""),
    ):
        bare, ratio = alternating(call)
        row(f"{name}, not watched", bare * 1e3, "ms")
        row(f"{name}, watched over not", ratio, "", target)


def cost_of_a_check(folder: str, paths: list[str]) -> None:
    print(f"The check of {FILES} files that a run was seen to read, warm")
    with watching() as seen:
        for path in paths:
            open(path).close()
    root, memo = f"{folder}/kept", f"{folder}/kept/.memori/files"
    os.makedirs(root)
    began = time.perf_counter()
    text = json.dumps(Sieve(seen, memo).facts().to_record(root))
    row("making the record, once", (time.perf_counter() - began) * 1e3, "ms")
    row("size of the record", len(text) / FILES, "bytes a file")
    record = json.loads(text)

    def bare() -> None:
        for path in paths:
            os.stat(path)

    def check() -> None:
        assert not list(differences(record, root, memo))

    check()
    pairs = [(seconds(bare), seconds(check)) for _ in range(30)]
    row("a bare os.stat of each", statistics.median(p[0] for p in pairs) * 1e3, "ms")
    row(
        "parsing the record",
        statistics.median(seconds(lambda: json.loads(text)) for _ in range(30)) * 1e3,
        "ms",
    )
    row("the check over that", statistics.median(p[1] / p[0] for p in pairs), "", "at most 1.5")


def main() -> None:
    heading("What watching costs")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_files(folder)
        time.sleep(2.1)
        cost_of_watching(paths)
        cost_of_a_check(folder, paths)


if __name__ == "__main__":
    main()
