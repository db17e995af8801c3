"""What it costs to run a command as a stage, and to remember that it ran.

Run ``python benchmarks/bench_command.py``. The command is ``true``; what is compared takes turns in
this one process. Aims: a run, at most 5 ms over `subprocess.run`, and at most 5 ms more where it is
watched; a hit, below 0.5 ms. Nipype's `CommandLine`, which remembers nothing, runs the same beside
it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from report import heading, row

from memori import Stage
from memori.neuro import ShellStage


def in_turns(calls: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each call; they take turns, so that noise hits all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call(number)
            times[name].append(time.perf_counter() - began)
    return {name: 1e3 * median(each[3:]) for name, each in times.items()}


def nipype_command() -> Callable[[int], object] | None:
    """Return a run of ``true`` by Nipype, if it is installed."""
    try:
        from nipype import config
        from nipype.interfaces.base import CommandLine
    except ImportError:
        return None
    config.set("execution", "resource_monitor", "false")
    logging.getLogger("nipype.interface").setLevel(logging.ERROR)
    return lambda _: CommandLine("true").run()


def start(x: int) -> int:
    """Start the command."""
    return subprocess.run(["true"], check=True).returncode + x


def main() -> int:
    """Measure and print."""
    heading("A command as a stage", "nipype")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("in.txt").write_text("x")
        plain = ShellStage("true {x}", hash_output="work", watch=False)
        watched = ShellStage("true {x}", hash_output="work", stage_name="watched")
        starts = Stage(start, hash_output="work")
        unwatched = Stage(start, hash_output="work", stage_name="unwatched", watch=False)
        with_files = ShellStage("cp {in_file} {out}", outputs={"out": "o.txt"}, hash_output="work")
        runs: dict[str, Callable[[int], object]] = {
            "subprocess.run": lambda _: subprocess.run(["true"], check=True),
            "ShellStage, first run": lambda number: plain.run(x=number),
            "ShellStage, first run, watched": lambda number: watched.run(x=number),
            "a function that starts it": lambda number: unwatched.run(x=number),
            "a function that starts it, watched": lambda number: starts.run(x=number),
            "ShellStage without memory": lambda number: ShellStage("true").run(),
        }
        hits: dict[str, Callable[[int], object]] = {
            "ShellStage, no files": lambda _: plain.run(x=1),
            "ShellStage, a file in and out": lambda _: with_files.run("in.txt"),
        }
        peer = nipype_command()
        if peer is not None:
            runs["nipype CommandLine, a run or what would be a hit"] = peer
        taken = in_turns(runs, 60)
        time.sleep(0.1)  # until the stat of what was written can vouch for it
        with_files.run("in.txt")
        hit = in_turns(hits, 200)
    base = taken["subprocess.run"]
    for name, milliseconds in taken.items():
        row(name, milliseconds, "ms")
    over = taken["ShellStage, first run"] - base
    row("ShellStage, first run, over subprocess.run", over, "ms", "at most 5")
    more = taken["ShellStage, first run, watched"] - taken["ShellStage, first run"]
    row("ShellStage, first run, watched, more than unwatched", more, "ms", "at most 5")
    for name, milliseconds in hit.items():
        row(f"hit: {name}", milliseconds, "ms", "below 0.5")
    return 0 if over <= 5 and more <= 5 and max(hit.values()) < 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
