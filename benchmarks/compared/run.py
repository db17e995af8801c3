"""Ask each peer each question, in turns, and keep the answers as JSON: see `python benchmarks`."""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from edits import EDITS, Edit, write
from environments import clean, python_of, version_of
from peers import PACKAGES

HERE = Path(__file__).resolve().parent
ALL = ("floor", "memori", "joblib", "diskcache", "nipype", "pydra", "pipefunc", "redun")
ARRAYS = ("memori", "joblib", "diskcache", "pydra", "pipefunc")
QUESTIONS: dict[str, tuple[str, str, tuple[str, ...], int]] = {
    "hits": ("a warm hit", "ms", (*ALL, "nipype.caching"), 3),
    "first_miss": ("the first miss of a process, imports included", "ms", ALL, 5),
    "misses": ("a cold stage", "ms", (*ALL, "nipype.caching"), 2),
    "chain": ("a chain of 20, all hits, a new process from start to end", "ms", ALL, 5),
    "large_file": ("a hit in a new process on a file of 200 MB", "ms", ALL, 3),
    "large_array": ("a hit that gives an array of 100 MB", "ms", ARRAYS, 1),
    "room": ("room on disk of an entry", "bytes", (*ALL, "nipype.caching"), 1),
    "many": ("10,000 cold stages", "s", ("floor", "memori", "joblib", "diskcache", "pipefunc"), 1),
    "more": ("100,000 cold stages", "s", ("floor", "memori", "joblib", "diskcache"), 1),
    "graph": ("1,000 cases of two stages, all done", "s", ("memori", "joblib", "snakemake"), 3),
    "two_workers": ("100 naps of 20 ms on two workers", "s", ("floor", "memori", "joblib"), 3),
    "command": ("a command that does nothing", "ms", ("floor", "memori", "nipype", "pydra"), 2),
    "interface": ("an interface of Nipype around it", "ms", ("floor", "memori", "nipype"), 2),
    "workflow": ("a workflow of ten nodes, unchanged", "ms", ("memori", "nipype"), 2),
    "watched": ("a cold stage that reads 100 files", "ms", ("floor", "memori"), 2),
    "inflate": ("the identity of a .nii.gz of 100 MB, inflated", "ms", ("floor", "memori"), 2),
}  # fmt: skip
"""By name: what is asked, the unit, of whom, and in how many turns."""
SHORT = {
    "hits": 1,
    "first_miss": 1,
    "misses": 1,
    "chain": 1,
    "room": 1,
    "command": 1,
    "workflow": 1,
}
SHORT_PEERS = ("floor", "memori", "joblib", "diskcache")
FLOORS = {
    "two_workers": "a plain pool",
    "command": "a bare subprocess",
    "interface": "a bare subprocess",
    "inflate": "isal alone",
    "watched": "the bare function",
}
STANDING = ("chain", "large_file", "graph")
"""Questions of which the hit is asked, in the memory that the first two runs made."""
LONG = 1800


class Session:
    """A folder to work in, and the environments that could be made."""

    def __init__(self, environments: Path, scratch: Path, peers: Iterable[str] = PACKAGES) -> None:
        self.scratch = scratch
        found = {peer: python_of(peer, environments) for peer in peers}
        self.pythons = {peer: python for peer, python in found.items() if python is not None}
        self.versions = {peer: version_of(peer, each) for peer, each in self.pythons.items()}
        self.number = 0
        self.extra: dict[str, str] = {}

    def folder(self) -> Path:
        self.number += 1
        return self.scratch / f"{self.number}"

    def ask(self, question: str, peer: str, folder: Path, **variables: str) -> Any:
        """Ask one question in a process of its own; an error is the answer as a text."""
        python = self.pythons["floor" if peer == "reference" else peer]
        command = [python, HERE / "measure.py", question, peer, folder]
        environment = {**clean(), **self.extra, **variables, "PYTHONPATH": str(HERE)}
        began = time.perf_counter()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=LONG
            )
        except subprocess.TimeoutExpired:
            return "not over in half an hour"
        seconds = time.perf_counter() - began
        if done.returncode or not done.stdout.strip():
            return (done.stderr.strip().splitlines() or ["it failed"])[-1][:200]
        answer = json.loads(done.stdout.splitlines()[-1])
        return [seconds] if question == "chain" else answer


def summed(answers: list[Any]) -> dict[str, Any]:
    """Return the median and the quartiles of all seconds, or what else was said."""
    seconds = [each for answer in answers if isinstance(answer, list) for each in answer]
    if seconds:
        low, _, high = quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
        return {"median": median(seconds), "low": low, "high": high, "count": len(seconds)}
    return answers[-1] if isinstance(answers[-1], dict) else {"failed": answers[-1]}


def asked(session: Session, names: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Ask everybody, who take turns, so that a noisy moment meets all."""
    large, image = session.scratch / "large.bin", session.scratch / "image.nii.gz"
    if "large_file" in names:
        with open(large, "wb") as file:
            for _ in range(200):
                file.write(os.urandom(1 << 20))
        os.utime(large, (1e9, 1e9))
    if "inflate" in names:
        sys.path.insert(0, str(HERE))
        from edits import nifti

        header = bytearray(gzip.decompress(nifti())[:352])
        header[40:56] = b"".join(n.to_bytes(2, "little") for n in (3, 500, 500, 400, 1, 1, 1, 1))
        block = os.urandom(1 << 16)
        with gzip.open(image, "wb", 1) as file:
            file.write(bytes(header))
            for n in range(500 * 500 * 400 // (1 << 16) + 1):
                file.write(block[: min(1 << 16, 500 * 500 * 400 - n * (1 << 16))])
    session.extra = {"COMPARED_FILE": str(large), "COMPARED_IMAGE": str(image)}
    found: dict[str, dict[str, Any]] = {}
    for name, turns in names.items():
        peers = [peer for peer in QUESTIONS[name][2] if peer in session.pythons]
        many = {"COMPARED_MANY": "100000" if name == "more" else "10000"}
        question = "many" if name == "more" else name
        places = {peer: session.folder() for peer in peers}
        answers: dict[str, list[Any]] = {peer: [] for peer in peers}
        if name in STANDING:  # what is asked is a hit
            for peer in peers:
                session.ask(question, peer, places[peer])
                session.ask(question, peer, places[peer])
        for _ in range(turns):
            for peer in peers:
                place = places[peer] if name in STANDING else session.folder()
                answers[peer].append(session.ask(question, peer, place, **many))
                if place != places[peer]:
                    shutil.rmtree(place, ignore_errors=True)
        found[name] = {peer: summed(each) for peer, each in answers.items()}
        print(QUESTIONS[name][0], found[name], file=sys.stderr, flush=True)
    return found


def outcome(session: Session, peer: str, edit: Edit) -> str:
    """Say what a peer makes of an edit: right, stale, needless, never hits, or cannot."""
    place = session.folder()
    project, log = place / "project", place / "ran"
    write(project, edit.before, log)
    given = {"COMPARED_PROJECT": str(project), "COMPARED_ARGUMENT": edit.argument}
    given["COMPARED_PATH"] = str(int(edit.returns_path))

    def run(who: str) -> tuple[Any, bool]:
        before = log.stat().st_size if log.exists() else 0
        answer = session.ask("edited", who, place / "memory", **given)
        return answer, (log.stat().st_size if log.exists() else 0) > before

    first, _ = run(peer)
    if not isinstance(first, dict):
        return f"cannot: {first}"
    if run(peer)[1]:
        return "never hits"
    write(project, edit.after, log, keep_stat=edit.keep_stat)
    made = project / "out.txt"
    if edit.output == "delete":
        made.unlink(missing_ok=True)
    elif edit.output == "edit":
        made.write_text("spoiled")
    second, ran = run(peer)
    truth, _ = run("reference")
    shutil.rmtree(place, ignore_errors=True)
    if second != truth:
        return "stale" if isinstance(second, dict) else f"fails: {second}"
    return "needless" if edit.harmless and ran else "right"


def catalogue(session: Session, edits: list[Edit]) -> dict[str, dict[str, str]]:
    """Try each edit on each peer."""
    found: dict[str, dict[str, str]] = {}
    peers = [peer for peer in ALL if peer in session.pythons and peer != "floor"]
    for edit in edits:
        found[f"{edit.kind}: {edit.name}"] = {peer: outcome(session, peer, edit) for peer in peers}
        print(edit.name, found[f"{edit.kind}: {edit.name}"], file=sys.stderr, flush=True)
    return found


def compared(environments: Path, *, short: bool) -> dict[str, Any]:
    """Ask everything, or the short part; return the answers."""
    names = SHORT if short else {name: each[3] for name, each in QUESTIONS.items()}
    with tempfile.TemporaryDirectory() as scratch:
        peers = SHORT_PEERS if short else PACKAGES
        session = Session(environments, Path(scratch), peers)
        began = time.monotonic()
        edits = [each for number, each in enumerate(EDITS) if not short or number % 5 == 0]
        return {
            "edits": catalogue(session, edits),
            "answers": asked(session, names),
            "versions": session.versions,
            "machine": machine(),
            "minutes": round((time.monotonic() - began) / 60, 1),
        }


def machine() -> dict[str, str]:
    """Say on what this ran."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    load = f"{os.getloadavg()[0]:.1f}"
    return {
        "processor": f"{name}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": load,
        "date": time.strftime("%Y-%m-%d"),
    }
