"""Kill a real pipeline at moments by chance, and go on: python .ci/faults.py TIMES [SEED].

Each time a script runs that has stages of functions, a command, worker processes and a Nipype
workflow; at some moment one of its processes (itself, a worker, a tool, the tracer) gets a signal
(KILL, TERM, INT). What of it still goes on is given ten seconds to end. Then the script is run
again, twice. Outputs must be those of a run that nobody disturbed; the last run must run nothing;
and nothing may be left: no process, no partial file, no lock. Exit code 1 if anything is.

Needs Linux. One time takes about five seconds.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SCRIPT = """
import os, sys, time
from pathlib import Path
import memori
from memori import Pipeline, Stage, workdir
from memori.neuro import ShellStage, Stdout, remember_workflow

WORK = os.environ["FAULTS_WORK"]
ran = []

def split(text, number):
    target = workdir() / f"part-{number}.txt"
    with open(target, "w") as file:
        for word in text.split():
            file.write(word + str(number)); file.flush()
            time.sleep(0.002)
    return str(target)

def count(part):
    time.sleep(0.01)
    text = Path(part).read_text()
    target = workdir() / "count.txt"
    target.write_text(f"{len(text)} {text[:20]}")
    return str(target)

def inside(in_text):
    return in_text.upper()

first = Stage(split, "part", hash_output=f"{WORK}/{{number}}")
second = Stage(count, "counted", hash_output=f"{WORK}/{{number}}")
pipeline = Pipeline([("start", first), (first, second)])

if __name__ == "__main__":
    cases = [{"text": "a bc def ghij " * 20, "number": n} for n in range(4)]
    shell = ShellStage(
        "sh {tool} {part}", outputs={"said": Stdout()}, stage_name="shell", hash_output=WORK
    )
    for _, each in pipeline.map(cases, n_jobs=2):
        print(shell.run(tool="tool.sh", part=each["counted"])["said"])
    from nipype import Function, Node, Workflow
    flow = Workflow("flow", base_dir=f"{WORK}/nipype")
    a, b = (Node(Function(["in_text"], ["out"], inside), name) for name in "ab")
    a.inputs.in_text = "word"
    flow.connect(a, "out", b, "in_text")
    remember_workflow(flow, f"{WORK}/flow").run()
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 10  # seconds that what is left of a killed run may take to end


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


def begin(script: Path, work: Path, log: Path) -> subprocess.Popen:
    """Start the script in a session of its own."""
    environment = {**os.environ, "FAULTS_WORK": str(work), "PYTHONUNBUFFERED": "1"}
    with open(log, "ab") as stream:
        return subprocess.Popen(
            [sys.executable, script],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=script.parent,
        )


def outputs(work: Path) -> dict[str, str]:
    """Read what the runs made: contents by name, of runs that were not failures."""
    return {
        f"{each.parent.parent.relative_to(work)}/{each.name}": hashlib.sha256(
            each.read_bytes()
        ).hexdigest()
        for each in work.glob("*/*/*/*.txt")
        if "latest" not in each.parts and not (each.parent / "failure.txt").exists()
    }


def entries(work: Path) -> dict[str, int]:
    """List the entries, each with when it was written."""
    return {str(each): each.stat().st_mtime_ns for each in work.rglob("stages/*/*/*.json")
            if each.parent.name != "folders"}  # fmt: skip


def one(script: Path, folder: Path, chance: random.Random, span: float) -> tuple[str, list[str]]:
    """Disturb one run and go on; return what was killed, and the faults."""
    work, log, faults = folder / "work", folder / "log", []
    process = begin(script, work, log)
    time.sleep(chance.uniform(0.0, span))
    there = processes(process.pid)
    which = chance.choice(sorted(there.values())) if there else ""
    victims = [number for number, words in there.items() if words == which]
    how = chance.choice(SIGNALS)
    for victim in victims[:1]:
        try:
            os.kill(victim, how)
        except ProcessLookupError:
            pass
    kind = "parent" if victims[:1] == [process.pid] else which.split(" ")[0].rpartition("/")[2]
    what = f"{how.name} {kind or 'nothing'}"
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        faults.append("it never ended")
    ends = time.monotonic() + PATIENCE
    while processes(process.pid) and time.monotonic() < ends:
        time.sleep(0.05)
    if left := processes(process.pid):
        faults.append(f"still running: {[*left.values()]}")
        for number in left:
            os.kill(number, signal.SIGKILL)
    before: dict[str, int] = {}
    for again in ("resumed", "run once more"):
        before = entries(work)
        process = begin(script, work, log)
        try:
            code = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            faults.append(f"{again}: it hangs, as with a lock that stays")
            break
        if code:
            faults.append(f"{again}: exit code {code}")
    if before != entries(work):
        faults.append("the last run ran something again")
    if partial := [str(each) for each in work.rglob("*.partial") if how != signal.SIGKILL]:
        faults.append(f"partial files: {partial}")
    return what, faults


def main(times: int, seed: int) -> int:
    """Disturb so many runs; return 1 if one of them left a fault."""
    chance, found, counts = random.Random(seed), 0, Counter()
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "script.py"
        script.write_text(SCRIPT)
        script.with_name("tool.sh").write_text('sleep 0.05; cat "$1"; sleep 0.05; wc -c <"$1"')
        began = time.monotonic()
        if begin(script, Path(scratch) / "undisturbed", Path(scratch) / "log").wait(120):
            print((Path(scratch) / "log").read_text())
            return 1
        span = time.monotonic() - began
        expected = outputs(Path(scratch) / "undisturbed")
        for number in range(times):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                what, faults = one(script, Path(folder), chance, span)
                if expected != (made := outputs(Path(folder) / "work")):
                    faults.append(f"outputs differ: {set(expected.items()) ^ set(made.items())}")
                counts[what] += 1
                print(f"{number} {what}", flush=True)
                for fault in faults:
                    print(f"{number} {what}: {fault}")
                if faults:
                    found += 1
                    print((Path(folder) / "log").read_text()[-3000:])
    print(f"{times} runs disturbed, {found} with faults; {span:.1f} s each undisturbed")
    print(", ".join(f"{count} x {what}" for what, count in counts.most_common()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
