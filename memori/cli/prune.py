"""`memori prune`: make room; says what would go, in bytes and files, and removes it by `--delete`.

Without a criterion only what dead runs left behind goes. Criteria narrow each other down: a run
goes if all of them hold. What a run that stays, or a derivative below the folder, was made from
stays as well, and so does what was made or hit within a day (`--idle`).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any

from memori.cli import told
from memori.cli.choosing import memories_in, stage_in
from memori.signature.parameters import shown
from memori.store import sources_of_derivatives
from memori.store.pruning import Plan, Wanted, plan, remove

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w|y)?")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)B?")


def age(text: str) -> float:
    """Return the seconds of an age such as ``30d``; a bare number is days.

    Examples
    --------
    >>> age("12h"), age("1")
    (43200.0, 86400.0)
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write 30d, 12h, 90min, 2w or 1y")
    return float(match[1]) * _SECONDS[match[2] or "d"]


def size(text: str) -> float:
    """Return the bytes of a size such as ``10GB``.

    Examples
    --------
    >>> size("1.5 GB"), size("200k")
    (1500000000.0, 200000.0)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 500MB, 10GB or 1TB")
    power = " kMGT".index(match[2].replace("K", "k") or " ")
    return float(match[1]) * float(1000**power)


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "prune",
        help="make room: remembered runs that are old or unused, and what dead runs left",
        description="Say which remembered runs below a folder could go, and what dead runs left "
        "behind; --delete removes it. Without a criterion only the latter.",
    )
    add = parser.add_argument
    told.add_folder(parser)
    add("--older", metavar="AGE", type=age, help="runs made longer ago, such as 30d, 12h or 1y")
    add("--unused", metavar="AGE", type=age, help="runs neither made nor hit since")
    add("--stage", metavar="NAME", help="runs of this stage")
    add("--not-latest", action="store_true",
        help="runs for whose case (the same files and texts) there is a later one")  # fmt: skip
    add("--old-code", action="store_true",
        help="runs of code that is gone: other than in the latest run of their stage")  # fmt: skip
    add("--gone-cases", action="store_true",
        help="runs of cases that no longer exist: an input file is gone")  # fmt: skip
    add("--keep", metavar="SIZE", type=size, help="only until so much is left, as 10GB; those "
        "unused for longest go first")  # fmt: skip
    add("--failed", action="store_true", help="folders of failed runs, too")
    add("--idle", metavar="AGE", type=age, default=86_400.0,
        help="keep what was made or hit within this age (default: 1d); 0 only where nothing "
        "runs")  # fmt: skip
    add("--delete", action="store_true", help="remove it, rather than say what would go")
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say what would go, or remove it; return 0, or 1 if something could not be removed."""
    memories = memories_in(arguments.folder)
    above = os.path.abspath(arguments.folder)
    wanted = Wanted(
        older=arguments.older,
        unused=arguments.unused,
        stage=stage_in(arguments.stage, memories, arguments.folder),
        not_latest=arguments.not_latest,
        old_code=arguments.old_code,
        gone_cases=arguments.gone_cases,
        most=arguments.keep,
        failed=arguments.failed,
        idle=arguments.idle,
    )
    chosen = plan(memories, wanted, sources_of_derivatives(above))
    room = remove(chosen) if arguments.delete else chosen.room
    code = 1 if chosen.refused else 0
    if arguments.json:
        told.print_json({
            "deleted": arguments.delete,
            "bytes": room.bytes,
            "files": room.files,
            "runs": [{"folder": e.memory.root, "stage": e.stage, "key": e.entry.key,
                      "bytes": e.room.bytes, "files": e.room.files} for e in chosen.going],
            "kept": [{"folder": e.memory.root, "stage": e.stage, "key": e.entry.key, "why": e.why}
                     for e in chosen.staying],
            "left": [{"path": e.path, "what": e.what, "bytes": e.room.bytes} for e in chosen.left],
            "refused": chosen.refused,
        })  # fmt: skip
        return code
    _print(chosen)
    if room.files or arguments.delete:
        what = "removed" if arguments.delete else "would go; --delete removes it"
        print(f"{told.size(room.bytes)} in {room.files} files and folders {what}")
    elif not memories:
        print(f"nothing is remembered below {arguments.folder}")
    elif wanted.asks_for_runs or arguments.failed:
        print("nothing would go")
    else:
        print("dead runs left nothing; runs go by --not-latest, --older 30d and others (-h)")
    if chosen.refused:
        more = f", and {len(chosen.refused) - 1} more" if len(chosen.refused) > 1 else ""
        print(f"memori: not removed: {chosen.refused[0]}{more}", file=sys.stderr)
    return code


def _print(chosen: Plan) -> None:
    for run in chosen.going:
        title = f"{told.path(run.memory.root)} {run.stage}/{run.entry.key[:8]}"
        print(f"{title}  {told.size(run.room.bytes)}, used {told.ago(run.used)}: "
              f"{shown(run.entry.inputs)}")  # fmt: skip
    for left in chosen.left:
        print(f"{told.path(left.path)}  {told.size(left.room.bytes)}: {left.what}")
    for run in chosen.staying:
        title = f"{told.path(run.memory.root)} {run.stage}/{run.entry.key[:8]}"
        print(told.coloured(f"{title} stays: {run.why}", "dim"))
