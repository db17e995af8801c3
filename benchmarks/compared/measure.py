"""Answer one question about one peer, in its environment: python measure.py QUESTION PEER FOLDER.

The answer is one line of JSON on stdout: seconds (one for each repetition), bytes or a text.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import remember

Seconds = list[float]
CHAIN = 20


def add(x, y=2):  # unannotated: some peers take annotations for types to convert to
    return x + y


def size(path):
    import os

    return os.path.getsize(getattr(path, "path", path))


def array(n):
    import numpy

    return numpy.arange(n, dtype="float64")


def nap(x):
    import time

    time.sleep(0.02)
    return x


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def first_miss(peer: str, folder: Path) -> Seconds:
    """The first call of a process, with what is imported for it."""
    began = time.perf_counter()
    remember(peer, add, folder)(1, 2)
    return [time.perf_counter() - began]


def misses(peer: str, folder: Path) -> Seconds:
    call = remember(peer, add, folder)
    call(-1, 2)
    return [timed(lambda n=n: call(n, 2)) for n in range(200)]


def hits(peer: str, folder: Path) -> Seconds:
    call = remember(peer, add, folder)
    for _ in range(4):
        call(1, 2)
    return [timed(lambda: call(1, 2)) for _ in range(200)]


def chain(peer: str, folder: Path) -> Seconds:
    """Twenty calls in a row, each of what the one before returned, in a process that is new."""
    call, value = remember(peer, add, folder), 1
    for n in range(CHAIN):
        value = call(value, n)
    return []


def room(peer: str, folder: Path) -> dict[str, float]:
    """What lies on disk for each of a hundred small results more."""
    call = remember(peer, add, folder)

    def used() -> tuple[int, int]:
        found = [each for each in folder.rglob("*") if not each.is_symlink()]
        return sum(each.stat().st_blocks * 512 for each in found), len(found)

    call(-1, 2)
    before = used()
    for n in range(100):
        call(n, 2)
    after = used()
    return {"bytes": (after[0] - before[0]) / 100, "inodes": (after[1] - before[1]) / 100}


def large_file(peer: str, folder: Path) -> Seconds:
    """A hit in a new process, of a function that is given a file of 200 MB."""
    call = remember(peer, size, folder, "path")
    return [timed(lambda: call(os.environ["COMPARED_FILE"]))]


def large_array(peer: str, folder: Path) -> Seconds:
    """A hit that gives back an array of 100 MB."""
    if peer == "memori":
        import numpy

        from memori import Stage
        from memori.neuro import arrays_to_disk

        stage = Stage(arrays_to_disk(array), hash_output=folder)
        call: Any = lambda n: numpy.load(stage.run(n)["output"], mmap_mode="r")  # noqa: E731
    else:
        call = remember(peer, array, folder)
    call(12_500_000)
    return [timed(lambda: call(12_500_000).sum()) for _ in range(3)]


def many(peer: str, folder: Path) -> Seconds:
    """Each of many calls, from the first to the last."""
    call = remember(peer, add, folder)
    return [timed(lambda: [call(n, 2) for n in range(int(os.environ["COMPARED_MANY"]))])]


def two_workers(peer: str, folder: Path) -> Seconds:
    """A hundred naps of 20 ms on two processes; 1 s would be the least."""
    if peer == "memori":
        from memori import Pipeline, Stage

        pipeline = Pipeline([("start", Stage(nap, hash_output=folder))])
        run: Any = lambda numbers: pipeline.map([{"x": n} for n in numbers], n_jobs=2)  # noqa: E731
    elif peer == "joblib":
        from joblib import Parallel, delayed

        call = remember(peer, nap, folder)
        run = lambda numbers: Parallel(2)(delayed(call)(n) for n in numbers)  # noqa: E731
    elif peer == "floor":
        from concurrent.futures import ProcessPoolExecutor

        pool = ProcessPoolExecutor(2)
        run = lambda numbers: list(pool.map(nap, numbers))  # noqa: E731
    else:
        raise NotImplementedError("not asked")
    run(range(-2, 0))  # starts the workers
    return [timed(lambda: run(range(100)))]


def graph(peer: str, folder: Path) -> Seconds:
    """Find that nothing is to be done for 1,000 cases of two stages, in a new process."""
    if peer == "memori":
        from memori import Pipeline, Stage

        first = Stage(add, "x", folder)
        second = Stage(add, "z", folder, "again")
        cases = [{"x": n} for n in range(1000)]
        pipeline = Pipeline([("start", first), (first, second)])
        return [timed(lambda: pipeline.map(cases))]
    if peer == "joblib":
        call = remember(peer, add, folder)
        return [timed(lambda: [call(call(n), 3) for n in range(1000)])]
    if peer == "snakemake":
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("", "a", "b"):
            (folder / "files" / name).mkdir(parents=True, exist_ok=True)
        for n in range(1000):
            for name in (f"{n}.in", f"a/{n}.txt", f"b/{n}.txt"):
                path = folder / "files" / name
                path.exists() or path.write_text("1")
        rules = (
            'rule all:\n    input: expand("files/b/{n}.txt", n=range(1000))\n'
            'rule a:\n    input: "files/{n}.in"\n    output: "files/a/{n}.txt"\n'
            '    shell: "cat {input} > {output}"\n'
            'rule b:\n    input: "files/a/{n}.txt"\n    output: "files/b/{n}.txt"\n'
            '    shell: "cat {input} > {output}"\n'
        )
        (folder / "Snakefile").write_text(rules)
        words = [sys.executable, "-m", "snakemake", "-c1", "--quiet", "all"]
        return [timed(lambda: subprocess.run(words, cwd=folder, check=True))]
    raise NotImplementedError("not asked")


def command(peer: str, folder: Path) -> Seconds:
    """Run the program `true`, without a result that could be found."""
    if peer == "floor":
        return [timed(lambda: subprocess.run(["true"], check=True)) for _ in range(60)]
    if peer == "memori":
        from memori.neuro import ShellStage

        stage = ShellStage("true {x}", hash_output=folder)
        return [timed(lambda n=n: stage.run(x=n)) for n in range(60)][5:]
    if peer == "nipype":
        from nipype.interfaces.base import CommandLine

        return [timed(lambda: CommandLine("true").run()) for _ in range(30)]
    if peer == "pydra":
        from pydra.compose import shell

        task = shell.define("true <x:int>")
        return [timed(lambda n=n: task(x=n)(cache_root=folder)) for n in range(20)]
    raise NotImplementedError("not asked")


def interface(peer: str, folder: Path) -> Seconds:
    """Run an interface of Nipype around `true`."""
    if peer == "floor":
        return command(peer, folder)
    from nipype.interfaces.base import CommandLine

    if peer == "nipype":
        return [timed(lambda n=n: CommandLine("true", args=str(n)).run()) for n in range(30)]
    if peer == "memori":
        from memori.neuro import NipypeStage

        stage = NipypeStage(CommandLine("true"), hash_output=folder)
        return [timed(lambda n=n: stage.run(args=str(n))) for n in range(30)][3:]
    raise NotImplementedError("not asked")


def workflow(peer: str, folder: Path) -> Seconds:
    """Run a workflow of ten nodes again, nothing of which has changed."""
    import logging

    from nipype import Function, Node, Workflow

    logging.getLogger("nipype.workflow").setLevel(logging.ERROR)

    def made() -> Any:
        flow = Workflow("flow", base_dir=str(folder / "base"))
        nodes = [Node(Function(["x", "y"], ["out"], add), f"n{n}") for n in range(10)]
        nodes[0].inputs.x, nodes[0].inputs.y = 1, 2
        for before, after in itertools.pairwise(nodes):
            after.inputs.y = 1
            flow.connect(before, "out", after, "x")
        if peer == "memori":
            from memori.neuro import remember_workflow

            return remember_workflow(flow, folder / "work")
        return flow

    if peer not in ("memori", "nipype"):
        raise NotImplementedError("not asked")
    made().run()
    return [timed(lambda: made().run()) for _ in range(5)]


def watched(peer: str, folder: Path) -> Seconds:
    """Run a function that reads 100 files."""
    files = folder.parent / "watched"
    files.mkdir(parents=True, exist_ok=True)
    for n in range(100):
        (files / f"{n}.txt").write_text("x" * 1000)

    def read(number):
        return sum(len(open(f"{files}/{n}.txt").read()) for n in range(100)) + number

    if peer == "floor":
        return [timed(lambda n=n: read(n)) for n in range(30)]
    if peer != "memori":
        raise NotImplementedError("not asked")
    call = remember(peer, read, folder)
    call(-1)
    return [timed(lambda n=n: call(n)) for n in range(30)]


def inflate(peer: str, folder: Path) -> Seconds:
    """Find the identity of a compressed image of 100 MB; the floor inflates it by isal."""
    path = os.environ["COMPARED_IMAGE"]
    if peer == "floor":
        from isal import igzip

        def read() -> None:
            with igzip.open(path) as file:
                while file.read(1 << 20):
                    pass

        return [timed(read) for _ in range(3)]
    if peer != "memori":
        raise NotImplementedError("not asked")
    from memori.digest.files import digests

    return [timed(lambda: digests(path)) for _ in range(3)]


def edited(peer: str, folder: Path) -> dict[str, object]:
    """Run the step of a project as a script does, and tell what it gives."""
    project = Path(os.environ["COMPARED_PROJECT"])
    sys.path.insert(0, str(project))
    step = importlib.import_module("steps").step
    if peer != "reference":
        step = remember(peer, step, folder, "path")
    value = step(str(project / os.environ["COMPARED_ARGUMENT"]))
    if os.environ["COMPARED_PATH"] == "1":
        value = Path(value).read_text()
    return {"value": value}


def main(question: str, peer: str, folder: str) -> None:
    """Answer on stdout, whatever else is printed."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        answer: object = globals()[question](peer, Path(folder))
    except NotImplementedError:
        answer = None
    print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
