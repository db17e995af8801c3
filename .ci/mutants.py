"""Break memori a little, many times, and see whether tests notice: python .ci/mutants.py ROOM ...

A mutant is a copy of the package with one change: a comparison turned round, `and` for `or`, a
condition negated, a number moved by one, a `return` of nothing, a statement left out. The tests of
its room run on it. One that they pass survived: a test is missing, or what was changed does
nothing. What survived is printed as file, line and change.

    python .ci/mutants.py digest store --count 40 --seed 1

Rooms are digest, store, watch and decision (the whole list where none is named); of each so many
mutants are drawn. A mutant takes as long as the tests of its room take to fail.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "digest": ("memori/digest/*.py", ["tests/digest"]),
    "store": ("memori/store/*.py", ["tests/store", "tests/cli/test_prune.py"]),
    "watch": ("memori/watch/*.py", ["tests/watch", "tests/test_observer.py"]),
    "decision": ("memori/calls/decision.py", ["tests/calls", "tests/test_reasons.py"]),
}
TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
LIMIT = 900  # s; a mutant that does not end is noticed


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what can be put in the place of a node, and what that is."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in TURNED:
        new.ops[0] = TURNED[type(new.ops[0])]()
        yield "comparison", new
    elif isinstance(new, ast.BoolOp):
        new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
        yield "and/or", new
    elif isinstance(new, ast.If | ast.While):
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


def is_run(node: ast.AST) -> bool:
    """Tell whether a statement does anything at run time."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node) != "TYPE_CHECKING = False"
    if not isinstance(node, ast.If):
        return True
    return not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")


class Swap(ast.NodeTransformer):
    """Put one node in the place of another, the number of which is known."""

    def __init__(self, place: int, new: ast.AST) -> None:
        self.place, self.new, self.number = place, new, -1

    def visit(self, node: ast.AST) -> ast.AST:
        """Count nodes in the order in which `mutants` does."""
        self.number += 1
        if self.number == self.place:
            self.number += sum(1 for _ in ast.walk(node)) - 1
            return self.new
        return self.generic_visit(node)


def mutants(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield each mutant of a module: the line, what was changed, and the text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    number = -1

    def walk(node: ast.AST) -> Iterator[tuple[int, str, str]]:
        nonlocal number
        number += 1
        if not is_run(node) or isinstance(node, ast.AnnAssign):
            number += sum(1 for _ in ast.walk(node)) - 1
            return
        place = number
        for what, new in changes(node):
            line = getattr(node, "lineno", 0)
            swapped = Swap(place, new).visit(copy.deepcopy(tree))
            text = f"{what}: {ast.unparse(node).splitlines()[0]}"
            yield line, text, ast.unparse(ast.fix_missing_locations(swapped))
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    yield from walk(tree)


def survives(folder: Path, path: Path, text: str, tests: list[str]) -> bool:
    """Run tests on a copy in which a module reads otherwise."""
    target = folder / path.relative_to(ROOT)
    before = target.read_text(encoding="utf-8")
    target.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(before, encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """Draw mutants of each room; return 1 if any survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rooms", nargs="*", default=[*ROOMS])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, survived = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkout"
        left_out = shutil.ignore_patterns(".git", "__pycache__", "site", ".*_cache")
        shutil.copytree(ROOT, folder, ignore=left_out)
        for room in given.rooms:
            pattern, tests = ROOMS[room]
            every = [(path, *each) for path in sorted(ROOT.glob(pattern)) for each in mutants(path)]
            drawn = chance.sample(every, min(given.count, len(every)))
            alive = 0
            for path, line, what, text in drawn:
                if survives(folder, path, text, tests):
                    alive += 1
                    print(f"survived {path.relative_to(ROOT)}:{line} {what}", flush=True)
            print(f"{room}: {len(drawn)} of {len(every)} mutants, {alive} survived", flush=True)
            survived += alive
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
