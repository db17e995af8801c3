"""`memori graph`: the pipelines of a script as graphs, coloured by what would run.

The script is run as by `memori why SCRIPT`: none of its stages is. A pipeline that is run several
times, or over many cases, is drawn once; a stage that would run for any of them counts as such.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from memori.cli import told
from memori.errors import MemoriError
from memori.files import atomic_write

if TYPE_CHECKING:
    from memori.calls.decision import Decision


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "graph",
        help="draw the pipelines of a script, coloured by what would run",
        usage="memori graph SCRIPT [-o FILE.svg] [--json] [-- arguments...]",
        description="Print the pipelines that a script runs as Mermaid text, which GitHub and "
        "GitLab draw, or write them as SVG. No stage is run, but the script's own lines are.",
    )
    parser.add_argument("script", help="a Python script, with its arguments after --")
    parser.add_argument("-o", metavar="FILE", dest="output", help="write FILE.svg or FILE.mmd")
    told.add_json(parser)
    parser.set_defaults(run=run, own_words=[])


def run(arguments: argparse.Namespace) -> int:
    """Print or write the graphs; return the exit code of the script."""
    output = arguments.output
    if output and not output.endswith((".svg", ".mmd")):
        raise MemoriError(f"-o {output}: the name ends with .svg or .mmd")
    from memori.cli.why.script import planned

    planning, end = planned(arguments.script, arguments.own_words)
    if not planning.pipelines:
        stopped = f"; it {end}" if end.why else ""
        raise MemoriError(f"{arguments.script} runs no pipeline{stopped}")
    graphs = [pipeline.graph(_worst(found)) for pipeline, found in planning.pipelines.items()]
    if output:
        stem, suffix = os.path.splitext(output)
        for place, graph in enumerate(graphs):
            path = f"{stem}{f'-{place + 1}' if place else ''}{suffix}"
            atomic_write(path, (graph.svg if suffix == ".svg" else str(graph)).encode())
            print(path)
    elif arguments.json:
        told.print_json([{"mermaid": str(each), "svg": each.svg} for each in graphs])
    else:
        print("\n\n".join(map(str, graphs)))
    return end.code


def _worst(decisions: Iterable[Decision]) -> list[Decision]:
    """Return of each stage a decision: that it would run, if it would in any call."""
    found: dict[str, Decision] = {}
    for each in decisions:
        if each.stage_name not in found or not each.hit:
            found[each.stage_name] = each
    return list(found.values())
