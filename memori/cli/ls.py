"""`memori ls`: what is remembered below a folder, by folder (case) and stage.

The numbers come from names and stats alone, so that a hundred thousand entries take a second or
two; `--entries` reads each. Nothing is changed, and runs may go on meanwhile.

Not promised: outputs that lie outside of runs' own folders, in the sizes of stages.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from memori.calls.age import seconds_since_1970
from memori.cli import told
from memori.cli.choosing import memories_in, stage_in
from memori.signature.parameters import shown
from memori.store import Entry, Memory, Room, last_use


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "ls",
        help="list what is remembered: stages, runs, sizes and when they were last used",
        description="List what is remembered below a folder: for each folder of a case its stages, "
        "with the number of runs, their size and files, and when one was last made or hit.",
    )
    told.add_folder(parser)
    parser.add_argument("--stage", metavar="NAME", help="only this stage")
    parser.add_argument("--entries", action="store_true", help="list each run with its inputs")
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list and return 0."""
    memories = memories_in(arguments.folder, inside_runs=False)
    wanted = stage_in(arguments.stage, memories, arguments.folder)
    found = [
        (memory, stage)
        for memory in memories
        for stage in memory.stages()
        if wanted in (None, stage)
    ]
    if arguments.entries:
        _list_entries(found, arguments)
    else:
        _list_stages([(*each, each[0].room(each[1])) for each in found], arguments)
    return 0


def _list_stages(found: list[tuple[Memory, str, Room]], arguments: argparse.Namespace) -> None:
    if arguments.json:
        told.print_json([
            {
                "folder": memory.root,
                "stage": stage,
                "entries": room.entries,
                "failed": room.failed,
                "running": room.running,
                "bytes": room.bytes,
                "files": room.files,
                "last_used": told.iso(room.used),
            }
            for memory, stage, room in found
        ])  # fmt: skip
        return
    if not found:
        print(f"nothing is remembered below {arguments.folder}")
        return
    rows = [
        (told.path(memory.root), stage, *_numbers([room]), told.ago(room.used))
        for memory, stage, room in found
    ]
    if len(rows) > 1:
        rows.append(("all", "", *_numbers([room for *_, room in found]), ""))
    heads = ("FOLDER", "STAGE", "RUNS", "FAILED", "RUNNING", "SIZE", "FILES", "USED")
    told.print_table(rows, heads, "RUNS FAILED RUNNING SIZE FILES")


def _numbers(rooms: list[Room]) -> tuple[str, ...]:
    entries, failed, running, count, files = (
        sum(getattr(room, name) for room in rooms)
        for name in ("entries", "failed", "running", "bytes", "files")
    )
    return str(entries), str(failed or ""), str(running or ""), told.size(count), str(files)


def _list_entries(found: list[tuple[Memory, str]], arguments: argparse.Namespace) -> None:
    """Print each entry, stage by stage, the newest first."""
    listed = [(m, stage, entry) for m, stage in found for entry in m.entries(stage)]
    if arguments.json:
        told.print_json([summary(*each) for each in listed])
        return
    rows = []
    for memory, stage, entry in listed:
        each = summary(memory, stage, entry)
        used = seconds_since_1970(each["last_used"]) if each["last_used"] else 0.0
        rows.append(
            (told.path(memory.root), f"{stage}/{entry.key[:8]}", told.size(each["bytes"]),
             told.duration(each["seconds"]), told.ago(used), shown(entry.inputs))
        )  # fmt: skip
    heads = ("FOLDER", "RUN", "SIZE", "TOOK", "USED", "INPUTS")
    told.print_table(rows, heads, "SIZE TOOK")


def summary(memory: Memory, stage: str, entry: Entry) -> dict[str, Any]:
    """Return what lists tell of a run."""
    room = Room()
    room.add(entry.path)
    if entry.folder is not None:
        room.add(os.path.join(memory.root, entry.folder))
    ran = entry.record.get("ran") or {}
    try:
        used = last_use(os.stat(entry.path))
    except OSError:
        used = 0.0  # it is just removed
    return {
        "folder": memory.root,
        "stage": stage,
        "key": entry.key,
        "ran_at": ran.get("at"),
        "seconds": ran.get("seconds") or 0.0,
        "host": ran.get("host"),
        "last_used": told.iso(used),
        "bytes": room.bytes,
        "files": room.files,
        "inputs": entry.inputs,
        "reasons": entry.record.get("reasons") or [],
    }
