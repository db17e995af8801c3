"""Kill a real pipeline at moments by chance, and go on: python .ci/faults.py TIMES [SEED] [JOBS].

Each time .ci/faulted.py runs, and at some moment one of its processes (itself, a worker, a tool,
the tracer) gets a signal (KILL, TERM, INT). What of it still goes on is given ten seconds to end.
In some times an input is edited then, and in some the next run is killed as well. Then it is run
until it ends, what dead runs left is pruned as a day later, and it is run once more. Asked is that

- what says that it went well made what a run makes that nobody disturbed, in the first try too;
- the last run runs nothing, and remembers nothing new;
- every file that is remembered is whole (`memori verify`, where no edit had it written anew);
- nothing is left: no process, no temporary file, no partial file, no lock that somebody waits for.

A time that found a fault is repeated by its seed and number: python .ci/faults.py SEED:NUMBER. The
exit code is 1 if anything was found. Needs Linux. A time takes about ten seconds on one core.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = ("parent", "parent", "worker", "tool", "tracer", "any")
PATIENCE = 10  # seconds that what is left of a killed run may take to end
LONG = 240  # seconds after which a run certainly waits for something that never comes
TEXTS = ("a bc def ghij " * 20, "other words " * 15)


def kind(number: int, words: str, parent: int) -> str:
    """Say which part of the pipeline a process is."""
    if number == parent:
        return "parent"
    if "tracker" in words or "watchdog" in words:
        return "guard"
    if "loky" in words:
        return "worker"
    first = words.partition(" ")[0].rpartition("/")[2]
    if first == "strace":
        return "tracer"
    return "fork" if first.startswith("python") else "tool"


def processes(session: int) -> dict[int, str]:
    """Find the processes of a session that go on, each with its command line."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                words = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ")
                found[int(name)] = words.decode(errors="replace").strip()
        except (OSError, IndexError):
            continue
    return found


@dataclass
class Time:
    """One time: a folder with inputs, what was done to the runs in it, and what was found."""

    folder: Path
    chance: random.Random
    done: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir(parents=True)
        for subject in ("01", "02", "03", "04"):
            path = self.folder / f"bids/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
            path.parent.mkdir(parents=True)
        description = {"Name": "n", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
        (self.folder / "bids/dataset_description.json").write_text(json.dumps(description))
        (self.folder / "tool.sh").write_text('sleep 0.1; cat "$1"; sleep 0.1; wc -c <"$1"')
        self.write(0)

    @property
    def work(self) -> Path:
        """Where the pipeline remembers and writes."""
        return self.folder / "work"

    def write(self, version: int) -> None:
        """Write the inputs."""
        for path in self.folder.glob("bids/sub-*/anat"):
            (path / f"{path.parent.name}_T1w.nii.gz").write_text(TEXTS[version])
        (self.folder / "bids/words").write_text(TEXTS[version])

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the pipeline in a session of its own; what it says goes to a file."""
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp"), "PYTHONUNBUFFERED": "1"}
        environment |= {"PYTHONFAULTHANDLER": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(self.folder / "said", "wb") as stream:
            return subprocess.Popen(
                [sys.executable, HERE / "faulted.py", self.work],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
            )

    def end(self, process: subprocess.Popen[bytes], what: str) -> dict[str, str] | None:
        """Wait for a run; return what it made if it says that it went well."""
        try:
            code = process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{what}: it never ends, as with a lock that stays")
            command = ["ps", "-o", "pid,ppid,stat,wchan:24,args", "-s", str(process.pid)]
            self.faults.append(subprocess.run(command, capture_output=True, text=True).stdout)
            process.send_signal(signal.SIGABRT)  # where it stands is said by faulthandler
            time.sleep(2)
            self.faults.append((self.folder / "said").read_text(errors="replace")[-5000:])
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        ends = time.monotonic() + PATIENCE
        while processes(process.pid) and time.monotonic() < ends:
            time.sleep(0.05)
        if left := processes(process.pid):
            self.faults.append(f"{what}: still running: {[*left.values()]}")
            for number in left:
                os.kill(number, signal.SIGKILL)
        said = (self.folder / "said").read_text(errors="replace")
        with open(self.folder / "log", "a") as log:
            log.write(f"--- {what}: exit code {code}\n{said}")
        results = [line for line in said.splitlines() if line.startswith("RESULT ")]
        return json.loads(results[-1][7:]) if code == 0 and results else None

    def disturb(self, span: float) -> dict[str, str] | None:
        """Let one process of a run have a signal, at some moment."""
        how, target = self.chance.choice(SIGNALS), self.chance.choice(TARGETS)
        early, wait = self.chance.random() < 0.2, self.chance.random()
        process = self.begin()
        while not early and not self.work.exists() and process.poll() is None:
            time.sleep(0.005)
        ends = time.monotonic() + wait * span * (1 if early else 0.5)
        while process.poll() is None and time.monotonic() < ends:
            time.sleep(0.001)
        what = "nothing, it was over"
        while process.poll() is None and what.startswith("nothing"):
            found = {
                number: kind(number, words, process.pid)
                for number, words in processes(process.pid).items()
            }
            victims = sorted(n for n, part in found.items() if target in ("any", part))
            if not victims:
                continue
            time.sleep(self.chance.choice((0, 0.003, 0.03)))
            victim = self.chance.choice(victims)
            try:
                os.kill(victim, how)
            except ProcessLookupError:
                continue  # many tools live for a moment only
            what = f"{how.name} {found[victim]}"
        self.done.append(what)
        return self.end(process, what)

    def go_on(self, expected: dict[str, str]) -> None:
        """Run until it ends, prune, and run once more."""
        self.compare("resumed", self.end(self.begin(), "resumed"), expected, must=True)
        whole = "inputs edited" not in self.done
        if whole:
            self.memori("verify", str(self.work))
        for partial in self.work.rglob("*.partial"):
            os.utime(
                partial, (0, 0), follow_symlinks=False
            )  # prune takes those of the last day for somebody's
        self.memori("prune", "--delete", "--idle", "0", str(self.work))
        before = self.entries()
        self.compare("once more", self.end(self.begin(), "once more"), expected, must=True)
        if before != self.entries():
            self.faults.append("once more: it ran something again")
        if whole:
            self.memori("verify", str(self.work))
        if partial := [str(each) for each in self.work.rglob("*.partial")]:
            self.faults.append(f"partial files: {partial}")
        if left := sorted(each.name for each in (self.folder / "tmp").iterdir()):
            self.faults.append(f"temporary files: {left}")

    def compare(
        self, what: str, made: dict[str, str] | None, expected: dict[str, str], *, must: bool
    ) -> None:
        """Note where a run says something else than one that nobody disturbed."""
        if made is None:
            if must:
                self.faults.append(f"{what}: it failed")
        elif made != expected:
            different = {
                name: made.get(name) for name in expected if made.get(name) != expected[name]
            }
            self.faults.append(f"{what}: other outputs: {different}")

    def entries(self) -> dict[str, int]:
        """List the entries, each with when it was written."""
        found = (each for each in self.work.rglob("stages/*/*/*.json"))
        return {
            str(each): each.stat().st_mtime_ns for each in found if each.parent.name != "folders"
        }

    def memori(self, *words: str) -> None:
        """Run memori's own command, which has to say that all is well."""
        start = "import sys; from memori.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", start, *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            self.faults.append(f"memori {words[0]}: {done.stdout}{done.stderr}")


@dataclass
class Undisturbed:
    """What runs make that nobody disturbs, by version of the inputs, and how long they take."""

    made: list[dict[str, str]]
    seconds: float


def undisturbed(scratch: Path) -> Undisturbed:
    """Run the pipeline on each version of its inputs."""
    each, began = [], time.monotonic()
    for version in range(len(TEXTS)):
        one = Time(scratch / f"undisturbed-{version}", random.Random(0))
        one.write(version)
        made = one.end(one.begin(), "undisturbed")
        if made is None or one.faults:
            print((one.folder / "log").read_text(), *one.faults, sep="\n")
            raise SystemExit("the pipeline fails by itself: mend .ci/faulted.py")
        each.append(made)
    return Undisturbed(each, (time.monotonic() - began) / len(TEXTS))


def once(scratch: Path, seed: str, truth: Undisturbed) -> Time:
    """Disturb the pipeline and go on; but for the machine's pace all follows from the seed."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        one = Time(Path(folder) / "project", random.Random(seed))
        one.compare("the first try", one.disturb(truth.seconds), truth.made[0], must=False)
        version = int(one.chance.random() < 0.3)
        if version:
            one.write(version)
            one.done.append("inputs edited")
        if one.chance.random() < 0.2:
            made = one.disturb(truth.seconds)
            one.compare("the second try", made, truth.made[version], must=False)
        one.go_on(truth.made[version])
        if one.faults:
            one.faults.append((one.folder / "log").read_text()[-6000:])
    return one


def main(times: str, seed: str = "0", jobs: str = "1") -> int:
    """Disturb so many times, and say what was found."""
    seeds = [times] if ":" in times else [f"{seed}:{number}" for number in range(int(times))]
    counts: Counter[str] = Counter()
    bad = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(int(jobs)) as pool:
        truth = undisturbed(Path(scratch))
        began = time.monotonic()
        futures = [pool.submit(once, Path(scratch), each, truth) for each in seeds]
        for name, future in zip(seeds, futures, strict=True):
            one = future.result()
            counts.update(one.done)
            print(
                f"{name}  {'; '.join(one.done)}: {'FAULT' if one.faults else 'as asked'}",
                flush=True,
            )
            if one.faults:
                bad.append(name)
                print(*one.faults, sep="\n", flush=True)
    print(f"\n{len(seeds)} times in {time.monotonic() - began:.0f} s, {len(bad)} with faults", *bad)
    for what, count in counts.most_common():
        print(f"{count:6} {what}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
