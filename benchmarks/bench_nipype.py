"""What Nipype's interfaces and workflows cost with memori, and without.

Run ``python benchmarks/bench_nipype.py [--nodes 500] [--rounds 3] [--levels 5]``. What is compared
takes turns in this one process; times are medians. Aims:

- all nodes cached, per node: no slower than stock Linear under Linear; at least 20 x faster than
  stock MultiProc under the plugin Memori (stock is measured on a chain of ``--levels`` nodes, for
  it takes seconds for each);
- a hit of a `NipypeStage`: below 1 ms, and below `nipype.caching.Memory`;
- running an interface: at most half of Nipype's own overhead over the bare command.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable

import nibabel as nib
import nipype
import numpy as np
from nipype import logging as nipype_logging
from nipype.algorithms.confounds import TSNR
from nipype.caching import Memory
from nipype.interfaces import fsl
from nipype.interfaces import utility as niu
from nipype.interfaces.base import CommandLine
from nipype.pipeline.engine import MapNode, Node, Workflow

import memori
from memori.neuro import NipypeStage, remember_workflow

SOURCE = "def add(x, number):\n    return x + number\n"


def trivial(kind: str, nodes: int, base: str) -> Workflow:
    """A chain or a fan of nodes that add a number."""
    workflow = Workflow("trivial", base_dir=base)
    before = None
    for number in range(nodes):
        node = Node(niu.Function(["x", "number"], "x", SOURCE), f"n{number}")
        node.inputs.number = number
        if before is None:
            node.inputs.x = 0
            workflow.add_nodes([node])
        else:
            workflow.connect(before, "x", node, "x")
        if before is None or kind == "chain":
            before = node
    return workflow


def real(bold: str, base: str) -> Workflow:
    """Ten nodes on an image: niimath as fslmaths, and nipype.algorithms."""
    maths = fsl.maths
    nodes = {
        "mean": maths.MeanImage(in_file=bold),
        "spread": maths.StdImage(in_file=bold),
        "mask": maths.Threshold(thresh=10.0),
        "dilated": maths.DilateImage(operation="max"),
        "eroded": maths.ErodeImage(),
        "smooth": maths.IsotropicSmooth(fwhm=4.0, in_file=bold),
        "masked": maths.ApplyMask(),
        "tsnr": TSNR(),
        "sum": maths.BinaryMaths(operation="add"),
    }
    made = {name: Node(interface, name) for name, interface in nodes.items()}
    made["roots"] = MapNode(maths.UnaryMaths(operation="sqrt"), "in_file", "roots")
    workflow = Workflow("real", base_dir=base)
    for source, target, field in [
        ("mean", "mask", "in_file"),
        ("mask", "dilated", "in_file"),
        ("dilated", "eroded", "in_file"),
        ("smooth", "masked", "in_file"),
        ("eroded", "masked", "mask_file"),
        ("masked", "tsnr", "in_file"),
        ("mean", "sum", "in_file"),
        ("spread", "sum", "operand_file"),
    ]:
        workflow.connect(made[source], "out_file", made[target], field)
    pair = Node(niu.Merge(2), "pair")
    workflow.connect(made["mean"], "out_file", pair, "in1")
    workflow.connect(made["sum"], "out_file", pair, "in2")
    workflow.connect(pair, "out", made["roots"], "in_file")
    return workflow


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def cached_nodes(name: str, build: Callable[[str], Workflow], base: str, rounds: int) -> None:
    """Compare a workflow that is all cached, per node."""
    memory = os.path.join(base, f"memory-{name}")
    stock, ours = os.path.join(base, f"stock-{name}"), os.path.join(base, f"ours-{name}")
    graph = build(stock).run()
    remember_workflow(build(ours), memory).run()
    count = len(graph)
    times: dict[str, list[float]] = {"stock Linear": [], "memori Linear": [], "memori Memori": []}
    for _ in range(rounds):
        for label, found in times.items():
            workflow = build(stock if label.startswith("stock") else ours)
            if not label.startswith("stock"):
                remember_workflow(workflow, memory)
            plugin = label.split()[1]
            found.append(seconds(lambda w=workflow, p=plugin: w.run(plugin=p)) / count * 1e3)
    medians = {label: statistics.median(found) for label, found in times.items()}
    shown = ", ".join(f"{label} {value:.2f}" for label, value in medians.items())
    ratio = medians["memori Linear"] / medians["stock Linear"]
    print(f"{name}, {count} nodes, ms per cached node: {shown}; ratio under Linear {ratio:.2f}")


def parallel(levels: int, base: str) -> None:
    """Compare the plugins on a chain that is cached."""
    memory = os.path.join(base, "memory-levels")
    for name in ("stock-levels", "ours-levels"):
        workflow = trivial("chain", levels, os.path.join(base, name))
        (remember_workflow(workflow, memory) if name.startswith("ours") else workflow).run()
    stock = trivial("chain", levels, os.path.join(base, "stock-levels"))
    slow = seconds(lambda: stock.run(plugin="MultiProc", plugin_args={"n_procs": 2})) / levels
    ours = remember_workflow(trivial("chain", levels, os.path.join(base, "ours-levels")), memory)
    quick = seconds(lambda: ours.run(plugin="Memori", plugin_args={"n_procs": 2})) / levels
    print(
        f"chain of {levels}, cached, ms per node: stock MultiProc {slow * 1e3:.0f}, plugin Memori "
        f"{quick * 1e3:.2f}; {slow / quick:.0f} x faster"
    )


def hits(bold: str, base: str, rounds: int) -> None:
    """Compare a hit of one interface."""
    stage = NipypeStage(TSNR(), os.path.join(base, "stage"))
    os.makedirs(os.path.join(base, "caching"))
    cached = Memory(os.path.join(base, "caching")).cache(TSNR)
    stage.run(in_file=bold)
    cached(in_file=bold)
    ours = statistics.median(seconds(lambda: stage.run(in_file=bold)) for _ in range(100 * rounds))
    theirs = statistics.median(seconds(lambda: cached(in_file=bold)) for _ in range(20 * rounds))
    print(f"hit, ms: NipypeStage {ours * 1e3:.2f}, nipype.caching.Memory {theirs * 1e3:.2f}")


def overhead(base: str, rounds: int) -> None:
    """Compare the running of the command ``true``."""
    stage = NipypeStage(CommandLine("true"))
    recorded = NipypeStage(CommandLine("true"), os.path.join(base, "overhead"))
    count = iter(range(10_000))
    bare, stock, ours, kept = [], [], [], []
    for _ in range(10 * rounds):
        bare.append(seconds(lambda: subprocess.run("true", shell=True, check=True)))
        stock.append(seconds(lambda: CommandLine("true").run()))
        ours.append(seconds(lambda: stage.run()))
        kept.append(seconds(lambda: recorded.run(args=str(next(count)))))
    least = statistics.median(bare)
    over = [1e3 * (statistics.median(each) - least) for each in (stock, ours, kept)]
    print(
        f"over the bare command, ms: CommandLine.run {over[0]:.1f}, NipypeStage without a memory "
        f"{over[1]:.1f}, with one {over[2]:.1f}; ratios {over[1] / over[0]:.2f}, "
        f"{over[2] / over[0]:.2f}"
    )


def main() -> None:
    """Measure, and print what was measured on what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for name in ("workflow", "interface", "utils"):
        nipype_logging.getLogger(f"nipype.{name}").setLevel(logging.CRITICAL)
    print(
        f"memori {memori.__version__}, nipype {nipype.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as base:
        os.symlink(
            os.path.join(sysconfig.get_path("scripts"), "niimath"), os.path.join(base, "fslmaths")
        )
        os.environ["PATH"] = f"{base}{os.pathsep}{os.environ['PATH']}"
        os.environ["FSLOUTPUTTYPE"] = "NIFTI_GZ"
        os.environ["NIPYPE_NO_ET"] = "1"
        bold = os.path.join(base, "bold.nii.gz")
        voxels = np.random.default_rng(0).random((16, 16, 16, 20), dtype=np.float32) * 100
        nib.Nifti1Image(voxels, np.diag([2, 2, 2, 1])).to_filename(bold)
        hits(bold, base, given.rounds)
        overhead(base, given.rounds)
        cached_nodes("chain", lambda b: trivial("chain", given.nodes, b), base, given.rounds)
        cached_nodes("fan", lambda b: trivial("fan", given.nodes, b), base, given.rounds)
        cached_nodes("real", lambda b: real(bold, b), base, given.rounds)
        parallel(given.levels, base)


if __name__ == "__main__":
    sys.exit(main())
