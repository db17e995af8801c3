"""What a script would do now, without a run of any stage.

The script is run in this process, with its own arguments and as ``__main__``, and each call of a
stage or pipeline is foreseen (`memori.cli.why.planning`). It ends where it needs what is still to
be made; what would come after that nobody can know. What it prints goes to stderr.

Not promised: a Nipype workflow, whose nodes are decided one after the other while it runs.
"""

from __future__ import annotations

import argparse
import linecache
import os
import sys
import traceback
from typing import Any

from memori.cli import told
from memori.cli.choosing import is_of_case, reject_no_case, wanted_stages
from memori.cli.running.program import run_program
from memori.cli.why.awaited import Awaited, awaited_in
from memori.cli.why.planning import Planned, Planning
from memori.errors import MemoriError
from memori.processes.planning import NotMadeYet
from memori.signature.parameters import shown
from memori.store import file_name


class _End:
    """How the script ended.

    Attributes
    ----------
    code : int
        Its exit code.
    line : int or None
        The line at which it needed what is still to be made.
    why : str
        What it needed; nothing if it came to its end.
    """

    def __init__(self, code: int = 0, line: int | None = None, why: str = "") -> None:
        self.code = code
        self.line = line
        self.why = why

    def __str__(self) -> str:
        return f"stopped{f' at line {self.line}' if self.line else ''}, where {self.why}"


def tell_script(arguments: argparse.Namespace) -> int:
    """Print what a script would do; return its exit code, or 1 if a check was not passed."""
    script = arguments.folder
    planning, end = planned(script, arguments.own_words)
    names = list(dict.fromkeys(file_name(each.decision.stage_name) for each in planning.calls))
    stopped = f", which {end}" if end.why else ""
    dashes = "" if arguments.own_words else "; arguments of the script come after --"
    wanted = wanted_stages(arguments.stage, names, f"that {script} calls{stopped}", dashes)
    calls = [
        each
        for each in planning.calls
        if file_name(each.decision.stage_name) in wanted
        if is_of_case(arguments.case, each.inputs, _folder_of(each))
    ]
    reject_no_case(arguments.case, calls)
    if arguments.json:
        told.print_json({
            "script": os.path.abspath(script),
            "calls": [_document(each) for each in calls],
            "stopped": {"line": end.line, "why": end.why} if end.why else None,
            "exit_code": end.code,
        })  # fmt: skip
    else:
        _print(calls, script, end, by_call=arguments.stage is not None)
    is_settled = not end.why and all(each.decision.hit for each in calls)
    return end.code or int(arguments.check and not is_settled)


def _print(calls: list[Planned], script: str, end: _End, *, by_call: bool) -> None:
    if by_call:
        for each in calls:
            _print_call(each)
    else:
        by_stage: dict[str, list[Planned]] = {}
        for each in calls:
            by_stage.setdefault(each.decision.stage_name, []).append(each)
        for name, found in by_stage.items():
            _print_stage(name, found)
    hits = sum(each.decision.hit for each in calls)
    print(f"{script}: {len(calls) - hits} would run, {hits} remembered; nothing was run")
    if end.why:
        print(told.coloured(f"known as far as that: the script {end}", "yellow"))
        text = linecache.getline(script, end.line or 0).strip()
        if text:
            print(f"    {text}")


def planned(script: str, words: list[str]) -> tuple[Planning, _End]:
    """Return what a script would do with these arguments, and how it ended.

    Raises
    ------
    MemoriError
        If it is no Python script.
    """
    if os.path.isdir(script):
        raise MemoriError(f"{script} is a folder; expected the Python script that runs the stages")
    if not os.path.isfile(script):
        raise MemoriError(f"{script}: there is no such folder or script")
    if not script.endswith(".py") and not _is_python(script):
        raise MemoriError(f"{script} is no Python script; `memori show` says who made a file")
    planning = Planning(script)
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        return planning, _ended(planning, script, words)
    finally:
        planning.waits = False  # what is written at the exit of this process is not the script's
        sys.stdout.flush()
        os.dup2(stdout, 1)


def _is_python(path: str) -> bool:
    with open(path, "rb") as stream:
        first = stream.readline(200)
    return first.startswith(b"#!") and b"python" in first


def _ended(planning: Planning, script: str, words: list[str]) -> _End:
    planning.begin()
    needed: list[BaseException] = []
    hook = sys.excepthook

    def told_unless_needed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if planning.waits and Awaited.__name__ in str(error):  # as of json.dumps
            needed.append(error)
        else:
            hook(kind, error, trace)

    sys.excepthook = told_unless_needed
    try:
        code = run_program([script, *words])
    except NotMadeYet as error:
        return _End(0, _line_of(error, script), str(error))
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return _End(error.code or 0)
        print(error.code, file=sys.stderr)
        return _End(1)
    finally:
        sys.excepthook = hook
    if needed:
        why = f"what is still to be made is needed ({type(needed[0]).__name__}: {needed[0]})"
        return _End(0, _line_of(needed[0], script), why)
    return _End(code)


def _line_of(error: BaseException, script: str) -> int | None:
    """Return the line of the script at which something was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [each.lineno for each in frames if _is_same(each.filename, script)]
    return mine[-1] if mine else None


def _is_same(file: str, script: str) -> bool:
    return os.path.abspath(file) == os.path.abspath(script)


def _folder_of(call: Planned) -> str:
    entry = call.decision.entry
    return "" if entry is None else os.path.dirname(entry.path)


def _reasons(call: Planned) -> list[str]:
    return [str(each) for each in call.decision.changes]


def _document(call: Planned) -> dict[str, Any]:
    decision = call.decision
    return {
        "stage": decision.stage_name,
        "hit": decision.hit,
        "reasons": _reasons(call),
        "inputs": _as_text(call.inputs),
        "line": call.line,
        "edits": decision.edits,
    }


def _as_text(value: Any) -> Any:
    """Return inputs as JSON: what it cannot hold, or is still to be made, as text."""
    if isinstance(value, dict):
        return {str(name): _as_text(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _print_stage(name: str, calls: list[Planned]) -> None:
    misses = [each for each in calls if not each.decision.hit]
    count = len(calls)
    if not misses:
        verdict = "remembered" if count == 1 else f"remembered, all {count}"
    elif len(misses) == count:
        verdict = "would run" if count == 1 else f"would run {count} times"
    else:
        verdict = f"would run {len(misses)} of {count} times"
    print(f"{told.coloured(name, 'bold')}: {verdict}")
    told.print_counted("; ".join(_reasons(each)) for each in misses)
    told.print_diffs(diff for each in misses for diff in each.decision.edits.values())


def _print_call(call: Planned) -> None:
    at = f"line {call.line}: " if call.line else ""
    waits = any(True for _ in awaited_in(call.inputs))
    print(f"{at}{_as_text(call.inputs) if waits else shown(call.inputs)}")
    print("\n".join(f"  {line}" for line in str(call.decision).splitlines()))
