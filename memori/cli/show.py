"""`memori show`: who made this file, from what, by which command; or why runs failed.

What is shown is a file (or a run's folder), a stage (its latest run in each folder) or a run by the
first digits of its key, alone or behind its stage (``mean/3f2a91c0``). Given a folder, or nothing,
it lists the runs that began and are not in the store: one that goes on, or one that failed, whose
folder is kept until the next try. What was mended since is not listed. Of the latest entry of each
stage it says who may have read files without being seen. With ``--accepted``: which outputs a
person accepted or adopted, who, when and despite what.

The command reads and changes nothing.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from typing import Any

from memori.artifacts import Artifact
from memori.calls.decision import told_acceptance
from memori.cli import told
from memori.cli.ls import summary
from memori.digest.files import file_digest
from memori.errors import MemoriError
from memori.keep.removed import removed_at, was_removed
from memori.signature.parameters import shown
from memori.store import (
    Entry,
    Memory,
    Unfinished,
    file_name,
    maker_of,
    memories_around,
    memories_below,
    read_entry,
)
from memori.watch.libraries.unseen import programs_among

_Found = tuple[Memory, Entry]
_KEY = re.compile(r"(?:(?P<stage>[^/]+)/)?(?P<digits>[0-9a-f]{4,64})")


def add_to(commands: Any) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "show",
        help="show who made a file, from what and how; or what failed",
        description="Show the run that made a file, the latest run of a stage, or a run by its "
        "key: its inputs, the command, what it made and why it ran. Of a folder, list the runs "
        "that began and are not remembered (they failed, or still go on), with what they said.",
    )
    parser.add_argument(
        "what", nargs="?", default=".", metavar="FILE|STAGE|RUN|FOLDER", help="(default: here)"
    )
    parser.add_argument(
        "-d", metavar="DIR", dest="folder", default=".", help="where stages and runs are looked for"
    )
    parser.add_argument(
        "--accepted", action="store_true", help="list what was accepted or adopted instead"
    )
    told.add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is known and return 0."""
    what = arguments.what
    is_folder = os.path.isdir(what) and maker_of(os.path.join(what, "any")) is None
    if is_folder and arguments.accepted:
        return _show_accepted(what, arguments.json)
    if is_folder:
        return _show_unfinished(what, arguments.json)
    found = found_by(what, arguments.folder)
    if arguments.json:
        told.print_json([_as_json(*each) for each in found])
        return 0
    for place, each in enumerate(found):
        print("\n" * (place > 0) + "\n".join(_lines(*each)))
    return 0


# Finding


def found_by(what: str, folder: str) -> list[_Found]:
    """Return the runs that a file, a stage or a key stands for.

    Raises
    ------
    MemoriError
        If there are none.
    """
    if os.path.lexists(what) or was_removed(os.path.abspath(what)):
        found = _makers(os.path.abspath(what), folder)
        if not found:
            raise MemoriError(
                f"{what}: no run below {folder} made it, as far as is remembered; say by -d "
                "where else to look"
            )
        return found
    memories = list(memories_below(os.path.abspath(folder)))
    name = file_name(what)
    latest = ((memory, memory.latest(name)) for memory in memories if name in memory.stages())
    found = [(memory, entry) for memory, entry in latest if entry is not None]
    match = _KEY.fullmatch(what)
    if match and not found:
        found = [each for memory in memories for each in _under(memory, **match.groupdict())]
    if not found:
        names = sorted({stage for memory in memories for stage in memory.stages()})
        raise MemoriError(
            f"{what} is no file, stage or run below {folder}; "
            + (f"its stages are {', '.join(names)}" if names else "nothing is remembered there")
        )
    return found


def _under(memory: Memory, stage: str | None, digits: str) -> Iterator[_Found]:
    for name in memory.stages():
        if stage in (None, name):
            yield from ((memory, entry) for entry in memory.under(name, digits[:32]))


def _makers(path: str, folder: str) -> list[_Found]:
    itself = read_entry(path)
    if itself is not None:
        return [itself]
    inside = os.path.join(path, "any") if os.path.isdir(path) else path
    entry = maker_of(inside)
    if entry is not None:
        found = read_entry(entry.path)
        return [] if found is None else [found]
    memories = {each.root: each for each in memories_around(path)}
    memories.update((each.root, each) for each in memories_below(os.path.abspath(folder)))
    made = [(memory, entry) for memory in memories.values() for entry in memory.makers(path)]
    return sorted(made, key=lambda found: _is_as_left(path, *found), reverse=True)[:1]


def _is_as_left(path: str, memory: Memory, entry: Entry) -> bool:
    """Tell whether a file is as a run left it: several runs may write it, each in its turn."""
    for each in entry.artifacts:
        if each.kind == "file" and each.locate(memory.root) == path:
            try:
                return file_digest(path).identity == each.identity
            except OSError:
                return False  # it is gone
    return False


# Telling


def _as_json(memory: Memory, entry: Entry) -> dict[str, Any]:
    return {"entry": entry.path, **summary(memory, stage_of(entry), entry), "record": entry.record}


def stage_of(entry: Entry) -> str:
    """Return the file name of an entry's stage."""
    return file_name(str(entry.record["stage"]))


def _lines(memory: Memory, entry: Entry) -> Iterator[str]:
    record = entry.record
    ran = record.get("ran") or {}
    title = f"{stage_of(entry)}/{entry.key[:8]}"
    yield told.coloured(title, "bold") + f" in {told.path(memory.root)}, by {record['function']}"
    peak = f", at most {told.size(ran['peak'])} of memory" if ran.get("peak") else ""
    took = told.duration(ran.get("seconds") or 0)
    yield f"  ran      {ran.get('at')} on {ran.get('host')}, {took}{peak}"
    for reason in record.get("reasons") or ():
        yield f"  because  {reason}"
    if record.get("command"):
        import shlex

        yield f"  command  {shlex.join(map(str, record['command']['argv']))}"
        tool, version = record["command"]["tool"], record["command"]["version"]
        yield f"  tool     {tool} {version or ''}".rstrip()
    yield f"  inputs   {shown(entry.inputs)}"
    for file in entry.files:
        if file.kind != "path":
            yield f"  from     {told.path(_source(memory, entry, file))} ({file.kind})"
    for artifact in entry.artifacts:
        place = artifact.locate(memory.root)
        state = "" if os.path.lexists(place) else _state_of_missing(place)
        yield f"  made     {told.path(place)} ({artifact.pointer[0]}){state}"
    if not entry.artifacts:
        yield f"  made     {shown(entry.outputs)}"
    for each in record.get("accepted") or ():
        yield f"  accepted {told_acceptance(each)}"
    yield f"  entry    {told.path(entry.path)}"


def _source(memory: Memory, entry: Entry, file: Artifact) -> str:
    """Return where an input lies; of a tool's only the name counts, its command has the path."""
    path = file.locate(memory.root)
    command = entry.record.get("command")
    if os.sep in file.path or command is None or os.path.lexists(path):
        return path
    from memori.neuro.provenance.lineage import path_in

    return path_in(map(str, command["argv"]), os.path.basename(path)) or path


def _state_of_missing(path: str) -> str:
    known = removed_at(path)
    if known is not None:
        return f", removed by keep={known['keep']!r}"
    return told.coloured(", which is missing", "red")


def _show_unfinished(folder: str, as_json: bool) -> int:
    """Print each unfinished run, the oldest first."""
    found = [run for each in memories_below(os.path.abspath(folder)) for run in each.unfinished()]
    found.sort(key=lambda run: (run.failed or run.began, run.folder))
    if as_json:
        told.print_json([
            {"stage": each.stage, "folder": each.folder, "began": told.iso(each.began),
             "failed": told.iso(each.failed or 0), "is_over": each.is_over, "text": each.text}
            for each in found
        ])  # fmt: skip
        return 0
    for each in found:
        print(f"{told.coloured(each.stage, 'bold')}: {each.folder} ({_state(each)})")
        for line in each.text.splitlines():
            print(f"    {line}".rstrip())
    if not found:
        print(f"no failed run below {folder}")
    for who, stages in _unseen(os.path.abspath(folder)).items():
        names = ", ".join(dict.fromkeys(stages))
        print(f"not seen what {who} read, in {names}: see docs/commands.md")
    return 0


def _show_accepted(folder: str, as_json: bool) -> int:
    """Print each acceptance, stage by stage, the newest first."""
    found = [
        (memory, stage, entry, each)
        for memory in memories_below(os.path.abspath(folder))
        for stage in memory.stages()
        for entry in memory.entries(stage)
        for each in entry.record.get("accepted") or ()
    ]
    if as_json:
        told.print_json([
            {"entry": entry.path, **summary(memory, stage, entry), "accepted": each}
            for memory, stage, entry, each in found
        ])  # fmt: skip
        return 0
    for memory, stage, entry, each in found:
        print(f"{memory.root} {stage}({shown(entry.inputs)}) {told_acceptance(each)}")
    if not found:
        print(f"nothing was accepted or adopted below {folder}")
    return 0


def _unseen(above: str) -> dict[str, list[str]]:
    """Return the programs that were not seen to read, each with the stages that it was of."""
    found: dict[str, list[str]] = {}
    for memory in memories_below(above):
        for stage in memory.stages():
            entry = next(memory.entries(stage), None)
            seen = (entry.record.get("observed") or {}) if entry else {}
            for who in programs_among(seen.get("unseen", ())):
                found.setdefault(who, []).append(stage)
    return found


def _state(each: Unfinished) -> str:
    if each.failed is not None:
        return f"failed {told.date(each.failed)}"
    if each.is_over:
        return f"began {told.date(each.began)}, was interrupted or killed"
    return f"began {told.date(each.began)}, not known to have ended"
