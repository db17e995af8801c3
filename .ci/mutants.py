"""Break memori a little, many times, and see whether tests notice: python .ci/mutants.py ROOM ...

A mutant is a copy of the package with one change: a comparison turned round, `and` for `or`, a
condition negated, a number moved by one, a `return` of nothing, a call left out. The tests that run
what is changed run on it, the quickest first; then those that import its module and all of its
room, because processes that tests start may run it, too. A mutant that they pass survived: a test
is missing, or what was changed does nothing. It ends the command with 1.

    python .ci/mutants.py digest store --count 40 --seed 1
    python .ci/mutants.py --at memori/digest/files.py:147   # all mutants of one line
    python .ci/mutants.py --at memori/store/left.py --reached --tests tests/store/test_left.py

Rooms are digest, store, watch and decision (all of them where none is named); of each so many
mutants are drawn. First the tests run on an unchanged copy: where they do not pass, no mutant would
say anything, and the processor time that they take there is the measure of a mutant that never
ends. Each run has a cache of its own, so that no mutant tells the next one something wrong.

What is left out: messages to a log, annotations, and what only a type checker reads. Changes that
no user could tell, mostly of speed, are listed in `mutants.toml` with the reason; they are not
tried. A line there that fits nothing any more is an error.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.util
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[1]
EXPLAINED = Path(__file__).with_suffix(".toml")
ROOMS = {
    "digest": ("memori/digest/*.py", ["tests/digest", "tests/neuro/formats/test_hostile.py"]),
    "store": (
        "memori/store/*.py",
        ["tests/store", "tests/cli/test_prune.py", "tests/cli/test_prune_gone.py",
         "tests/graph/test_removing.py", "tests/test_sessions.py"],
    ),
    "watch": (
        "memori/watch/**/*.py",
        ["tests/watch", "tests/test_observer.py", "tests/neuro/command/test_watched.py",
         "tests/test_further_places.py", "tests/test_ignore.py"],
    ),
    "decision": (
        "memori/calls/decision.py",
        ["tests/calls", "tests/test_reasons.py", "tests/test_stage.py", "tests/test_plan.py"],
    ),
}  # fmt: skip
TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
LIMIT = 1800  # s by the wall clock; what waits for ever takes no processor time
TYPES = {"annotation", "returns", "type_params"}  # fields that nothing reads at run time


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what can be put in the place of a node, and what that is."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in TURNED:
        new.ops[0] = TURNED[type(new.ops[0])]()
        yield "comparison", new
    elif isinstance(new, ast.BoolOp):
        new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
        yield "and/or", new
    elif isinstance(new, ast.If | ast.While) and not isinstance(new.test, ast.Compare | ast.BoolOp):
        new.test = ast.UnaryOp(ast.Not(), new.test)
        yield "condition", new
    elif isinstance(new, ast.Constant) and type(new.value) in (int, bool):
        new.value = (not new.value) if isinstance(new.value, bool) else new.value + 1
        yield "constant", new
    elif isinstance(new, ast.Return) and new.value and getattr(new.value, "value", True):
        new.value = ast.Constant(None)
        yield "return", new
    elif isinstance(new, ast.Expr) and isinstance(new.value, ast.Call):
        yield "left out", ast.copy_location(ast.Pass(), new)


def does_nothing(node: ast.AST) -> bool:
    """Tell whether what a statement does is for type checkers or for a log alone."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func).startswith(("log.", "logger.", "_log."))
    return isinstance(node, ast.Assign) and ast.unparse(node) == "TYPE_CHECKING = False"


class Mutant:
    """One change of one module, written down only if it is drawn."""

    def __init__(self, path: Path, tree: ast.AST, where: tuple, lines: range, name: str) -> None:
        self.path, self.lines, self.name = path.relative_to(ROOT), lines, name
        self.line = lines[-1]
        self._tree, self._where = tree, where

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"

    def text(self) -> str:
        """Return the module with the change."""
        owner, field, place, new = self._where
        before = getattr(owner, field)
        changed = new if place is None else [*before[:place], new, *before[place + 1 :]]
        setattr(owner, field, changed)
        try:
            return ast.unparse(ast.fix_missing_locations(self._tree))
        finally:
            setattr(owner, field, before)


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield each mutant of a module, named by the function, what is changed, and where."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def walk(owner: ast.AST, function: str, statement: str, first: int) -> Iterator[Mutant]:
        for field, held in ast.iter_fields(owner):
            parts = held if isinstance(held, list) else [held]
            for place, node in enumerate(parts):
                if field in TYPES or not isinstance(node, ast.AST) or does_nothing(node):
                    continue
                said, begins = statement, first
                if isinstance(node, ast.stmt):
                    said, begins = ast.unparse(node).splitlines()[0], node.lineno
                at = getattr(node, "lineno", begins)  # of a decorator above the statement
                lines = range(min(begins, at), max(begins, at) + 1)
                for what, new in changes(node):
                    short = ast.unparse(node).splitlines()[0]
                    inside = f" in {said}" if short != said else ""
                    where = (owner, field, place if isinstance(held, list) else None, new)
                    yield Mutant(path, tree, where, lines, f"{function}: {what}: {short}{inside}")
                name = getattr(node, "name", None) if isinstance(node, ast.stmt) else None
                inner = name if function == "module" else f"{function}.{name}"
                yield from walk(node, inner if name else function, said, begins)

    yield from walk(tree, "module", "", 0)


def explained(every: list[Mutant]) -> set[Mutant]:
    """Return the mutants that are explained; refuse an explanation of nothing."""
    listed = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
    found = {each for each in every if each.name in listed.get(str(each.path), {})}
    names = {(str(each.path), each.name) for each in found}
    for path in {str(each.path) for each in every} & listed.keys():
        if stale := [name for name in listed[path] if (path, name) not in names]:
            sys.exit(f"{EXPLAINED.name}: no such change in {path}: {stale}")
    return found


def tests_of(path: Path, room: list[str]) -> list[str]:
    """Return the tests that hold a module: its own examples, what imports it, then its room."""
    package, module = ".".join(path.with_suffix("").parts[:-1]), path.stem
    forms = (f"{package}.{module} import", f"{package} import {module}", f"test_{module}.py")
    near = [str(path)] if ">>> " in (ROOT / path).read_text(encoding="utf-8") else []
    for test in sorted(ROOT.glob("tests/**/test_*.py")):
        if forms[2] == test.name and test.parent.name == path.parent.name:
            near.insert(0, str(test.relative_to(ROOT)))
        elif any(form in test.read_text(encoding="utf-8") for form in forms[:2]):
            near.append(str(test.relative_to(ROOT)))
    for each in room:
        files = sorted((ROOT / each).glob("test_*.py")) or [ROOT / each]
        near += [str(test.relative_to(ROOT)) for test in files]
    return list(dict.fromkeys(near))


class Checkout:
    """A copy of the checkout in which tests run on what is written there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._scratch = folder / "checkout", folder
        self._limit, self._times = resource.RLIM_INFINITY, dict[str, float]()
        left_out = shutil.ignore_patterns(".git", "__pycache__", "site", ".*_cache")
        shutil.copytree(ROOT, self.folder, ignore=left_out)

    def passes(self, tests: list[str], *under: str) -> bool:
        """Run tests until the first that fails."""
        with tempfile.TemporaryDirectory() as cache:
            environment = {
                **os.environ,
                "PYTHONPATH": f"{self.folder}{os.pathsep}{self.folder / '.ci'}",
                "CI": "1",
                "XDG_CACHE_HOME": cache,
                "MEMORI_TIMES": str(self._scratch / "times.json"),
            }
            pytest = ["-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
            done = subprocess.run(
                ["timeout", "-k9", str(LIMIT), sys.executable, *under, *pytest],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (self._limit,) * 2),
            )
        self.said = done.stdout
        return done.returncode == 0

    def measure(self, tests: list[str]) -> None:
        """Run tests on what is unchanged, which must pass, and note what each of them runs."""
        data = self._scratch / "reached"
        under = ("-m", "coverage", "run", "--rcfile=/dev/null", f"--data-file={data}")
        under = (*under, "--source=memori")
        self._limit = resource.RLIM_INFINITY
        if not self.passes(["-p", "reached", *tests], *under):
            sys.exit(f"{self.said[-3000:]}\nthe tests fail on what is unchanged: {tests}")
        self._times = json.loads((self._scratch / "times.json").read_text(encoding="utf-8"))
        self._reached = coverage.CoverageData(str(data))
        self._reached.read()
        if not self._reached.measured_files():
            sys.exit("coverage did not note which test ran which line")
        self._limit = 60 + 3 * round(sum(self._times.values()))

    def reaching(self, mutant: Mutant) -> list[str]:
        """Return the tests that ran what is changed, the quickest first."""
        by_line = self._reached.contexts_by_lineno(str(self.folder / mutant.path))
        found = {test for line in mutant.lines for test in by_line.get(line, ()) if test}
        found = found or {test for tests in by_line.values() for test in tests if test}
        return sorted(found, key=lambda test: (self._times[test], test))

    def survives(self, mutant: Mutant, tests: list[str]) -> bool:
        """Run tests on a mutant."""
        target = self.folder / mutant.path
        before = target.read_text(encoding="utf-8")
        compiled = Path(importlib.util.cache_from_source(str(target)))
        try:
            compiled.unlink(missing_ok=True)  # Python compares whole seconds and sizes
            target.write_text(mutant.text(), encoding="utf-8")
            near = self.reaching(mutant)
            return (not near or self.passes(near)) and (not tests or self.passes(tests))
        finally:
            target.write_text(before, encoding="utf-8")
            compiled.unlink(missing_ok=True)


def main() -> int:
    """Draw mutants of each room; return 1 if any survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rooms", nargs="*", default=[*ROOMS])
    parser.add_argument("--count", type=int, default=20, help="how many are drawn of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reached", action="store_true", help="run only tests that ran the line")
    parser.add_argument("--tests", nargs="+", help="run these, instead of those of the module")
    parser.add_argument("--at", default="", help="FILE or FILE:LINE whose mutants are tried")
    given = parser.parse_args()
    file, _, line = given.at.partition(":")
    chance, survived, tried = random.Random(given.seed), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        checkout = Checkout(Path(scratch))
        for room in given.rooms:
            pattern, held_by = ROOMS[room]
            every = [each for path in sorted(ROOT.glob(pattern)) for each in mutants(path)]
            known = explained(every)
            if file:
                every = [each for each in every if str(each.path) == file]
                every = [each for each in every if line in ("", str(each.line))]
            drawn = every if line else chance.sample(every, min(given.count, len(every)))
            drawn = [each for each in drawn if each not in known]
            if not drawn:
                continue
            tried += len(drawn)
            paths = {each.path for each in drawn}
            tests = {path: given.tests or tests_of(path, held_by) for path in paths}
            checkout.measure(sorted(set().union(*tests.values())))
            alive = 0
            for mutant in drawn:
                began = time.monotonic()
                rest = [] if given.reached else tests[mutant.path]
                survives = checkout.survives(mutant, rest)
                alive += survives
                what = "survived" if survives else "noticed "
                print(f"{what} {mutant} ({time.monotonic() - began:.0f} s)", flush=True)
            print(f"{room}: {len(drawn)} of {len(every)} mutants, {alive} survived", flush=True)
            survived += alive
    if file and not tried:
        sys.exit(f"no mutant at {given.at}, or all are explained")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
