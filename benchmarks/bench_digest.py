"""What files cost: a first content digest, bytes by the gigabyte, memory, and a hit on a file.

Run with ``python benchmarks digest``. Ratios are between candidates that take turns in one run;
times are the best of the rounds, because reading and hashing only ever get slower by accident.

Aims: the first content digest of a float32 .nii.gz of 100 MB at most 1.3 x inflating it with isal
alone; SHA-256 of 500 MB at most 1.1 x `hashlib.file_digest`; many files on all cores; a 2 GB image
within 64 MiB over the baseline; a hit on a stage whose input is an unchanged file of 200 MB at most
0.2 ms (in a new process 3 ms) over an equal stage without a file.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import nibabel as nib
import numpy as np
from isal import igzip_lib
from report import heading, median_seconds, row

from memori import Stage
from memori.digest.files import digests, sha256_file
from memori.digest.formats import content_of

ROUNDS = 7


def best_in_turns(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the best time of each way; the ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    return {name: min(found) for name, found in times.items()}


def image(folder: str) -> str:
    """Write a float32 time series of 100 MB, smooth in space and zero outside a head."""
    noise = np.random.default_rng(0).normal(0, 100, (128, 128, 64, 25)).astype(np.float32)
    for axis in range(3):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    noise[:20] = noise[-20:] = noise[:, :20] = 0
    path = os.path.join(folder, "bold.nii.gz")
    with open(path, "wb") as file:
        file.write(gzip.compress(nib.Nifti1Image(noise, np.eye(4)).to_bytes(), 6))
    return path


def inflate(path: str) -> None:
    """Inflate with isal alone, in pieces."""
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    with open(path, "rb", buffering=0) as file:
        while not inflater.eof:
            inflater.decompress(file.read(1 << 18) if inflater.needs_input else b"", 1 << 20)


def hash_with_hashlib(path: str) -> None:
    with open(path, "rb", buffering=0) as file:
        hashlib.file_digest(file, "sha256")


def hash_and_inflate_in_turn(path: str) -> None:
    """Do what a content digest needs, one thing after the other, in one piece and with zlib."""
    with open(path, "rb") as file:
        packed = file.read()
    hashlib.sha256(packed)
    hashlib.sha256(gzip.decompress(packed))


def bench_content(folder: str) -> None:
    """Content of a .nii.gz that is new."""
    path = image(folder)
    times = best_in_turns(
        {
            "isal alone": lambda: inflate(path),
            "content": lambda: content_of(path),
            "bytes and content": lambda: digests(path),
            "gzip and hashlib, one after the other": lambda: hash_and_inflate_in_turn(path),
        }
    )
    print("\nA new float32 .nii.gz of 100 MB")
    targets = {"content": "x isal alone; aim 1.3", "bytes and content": "x isal alone"}
    for name, seconds in times.items():
        row(name, seconds * 1000, "ms")
        if name in targets:
            row("", seconds / times["isal alone"], "", targets[name])


def bench_bytes(folder: str) -> None:
    """SHA-256 of one large file."""
    large = os.path.join(folder, "large")
    block = os.urandom(10_000_000)
    with open(large, "wb") as file:
        for _ in range(50):
            file.write(block)
    times = best_in_turns(
        {
            "hashlib.file_digest": lambda: hash_with_hashlib(large),
            "sha256_file": lambda: sha256_file(large),
        }
    )
    print("\nSHA-256 of 500 MB")
    for name, seconds in times.items():
        row(name, seconds * 1000, "ms")
    row("one file", times["sha256_file"] / times["hashlib.file_digest"], "", "x hashlib; aim 1.1")
    os.unlink(large)


# getrusage would tell the peak of the parent, too
PEAK = """
import sys
from memori.digest.files import digests
digests(sys.argv[1])
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
before = peak()
assert digests(sys.argv[2])[1] is not None
print(peak() - before)
"""


def bench_memory(folder: str) -> None:
    """Peak memory over the baseline, for an image of 2 GB."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((512, 512, 512, 4))
    header["magic"], header["vox_offset"] = b"n+1", 352
    path = os.path.join(folder, "large.nii")
    with open(path, "wb") as file:
        file.write(header.binaryblock + bytes(4))
        file.truncate(352 + 2**31)
    warm = os.path.join(os.path.dirname(nib.__file__), "tests", "data", "functional.nii")
    command = [sys.executable, "-c", PEAK, warm, path]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print("\nAn image of 2 GB")
    row("peak memory over the baseline", float(found), "MiB", "aim 64")
    os.unlink(path)


FIRST_HIT = """
import sys, time
sys.path.insert(0, {benchmarks!r})
from bench_digest import first_hit
first_hit({folder!r}, {with_file!r})
"""


def length_of(path: str) -> int:
    """Return the size of a file: a stage with a file as its input."""
    return os.path.getsize(path)


def length_without(path: str) -> int:
    """Return the length of a name: an equal stage without a file."""
    return len(path)


def first_hit(folder: str, with_file: bool) -> None:
    """Print the time of the first hit of this process."""
    function = length_of if with_file else length_without
    value = os.path.join(folder, "200MB.dat") if with_file else "no file"
    stage = Stage(function, hash_output=os.path.join(folder, function.__name__))
    began = time.perf_counter()
    stage.run(value)
    print(time.perf_counter() - began)
    if stage.state:
        raise RuntimeError("the stage was run: that was no hit")


def bench_hit(folder: str) -> None:
    """A hit on a stage whose input is a file of 200 MB, and on one without."""
    path = os.path.join(folder, "200MB.dat")
    with open(path, "wb") as file:
        file.truncate(200_000_000)
    time.sleep(0.1)  # a file younger than the clock's resolution is not trusted
    seconds = {}
    for function, value in ((length_without, "no file"), (length_of, path)):
        stage = Stage(function, hash_output=os.path.join(folder, function.__name__))
        stage.run(value)
        seconds[function.__name__] = median_seconds(lambda _, s=stage, v=value: s.run(v), 301)
    print("\nA hit on a stage whose input is an unchanged file of 200 MB")
    row("same process, without a file", seconds["length_without"] * 1000, "ms")
    over = (seconds["length_of"] - seconds["length_without"]) * 1000
    row("same process, over that", over, "ms", "aim 0.2")
    here = os.path.dirname(os.path.abspath(__file__))
    codes = [
        FIRST_HIT.format(folder=folder, benchmarks=here, with_file=with_file)
        for with_file in (False, True)
    ]
    turns = [[new_process(code) for code in codes] for _ in range(ROUNDS)]
    without, with_file = (min(times) for times in zip(*turns, strict=True))
    row("new process, without a file", without * 1000, "ms")
    row("new process, over that", (with_file - without) * 1000, "ms", "aim 3")


def new_process(code: str) -> float:
    """Run code in a process of its own and return the number that it prints."""
    return float(subprocess.check_output([sys.executable, "-c", code]))


def main() -> None:
    heading("Files", "isal", "nibabel", "numpy")
    with tempfile.TemporaryDirectory() as folder:
        bench_content(folder)
        bench_bytes(folder)
        bench_memory(folder)
        bench_hit(folder)


if __name__ == "__main__":
    main()
