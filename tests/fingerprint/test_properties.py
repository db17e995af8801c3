"""Random modules, random edits, and what running them says."""

from __future__ import annotations

import ast
import io
import itertools
import linecache
import tokenize
import types

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memori.fingerprint import Code, fingerprint

NUMBERS = ["0", "1", "2", "3", "1.0", "0.0", "-0.0", "True", "2.5", "1_0", "0x2"]
OPERATORS = ["+", "-", "*", "//", "%", "<", "==", "!=", "and", "or"]
count = itertools.count()

MODULE = """
import functools
import math as maths
G0 = {numbers[0]}
G1 = [{numbers[1]}, ({numbers[2]}, {{"k": {numbers[3]}}})]
def wrap(n):
    def outer(f):
        @functools.wraps(f)
        def inner(*a):
            return f(*a), n
        return inner
    return outer
def f0(x, d={numbers[4]}):
    return {e[0]}
@wrap({numbers[5]})
def f1(x):
    y = {e[1]}
    if {e[2]}:
        y = {e[3]}
    return y
class Base:
    level = {numbers[6]}
    def __init__(self, v=1):
        self.v = v
    def m(self, x):
        return {e[4]}
class K(Base):
    def __call__(self, x, *, k={numbers[7]}):
        return super().m(x), self.level, k
    @property
    def p(self):
        return {numbers[8]}
TABLE = {{"a": f0, "b": lambda x: {e[5]}}}
PART = functools.partial(f0, d={numbers[9]})
def make(c):
    def g(x):
        return c, {e[6]}
    return g
h = make({numbers[10]})
def spare(x):
    return {e[7]}
def run(x):
    total = [{e[8]} for i in range(2)]
    try:
        total.append({e[9]})
    except (ValueError, ZeroDivisionError):
        total.append({numbers[11]})
    return total, {calls}, maths.floor(2.5), G0, G1
"""
CALLS = ["f0(x)", "f1(x)", "K()(x)", "K().p", 'TABLE["a"](x)', 'TABLE["b"](x)', "PART(x)", "h(x)"]

number = st.sampled_from(NUMBERS)
leaf = st.one_of(number, st.just("x"))
expression = st.recursive(
    leaf,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner)
        | st.builds("(lambda z: {})({})".format, inner, inner)
        | st.builds("({} if {} else {})".format, inner, inner, inner)
        | st.builds("sum(w * {} for w in range(3))".format, inner)
        | st.builds("len(f'{{{}}}')".format, leaf)
    ),
    max_leaves=5,
)


@st.composite
def sources(draw: st.DrawFn) -> str:
    """Draw a module whose `run` reaches some of its parts."""
    calls = draw(st.lists(st.sampled_from(CALLS), min_size=1, max_size=5, unique=True))
    numbers = draw(st.lists(number, min_size=12, max_size=12))
    expressions = draw(st.lists(expression, min_size=10, max_size=10))
    return MODULE.format(numbers=numbers, e=expressions, calls=", ".join(calls))


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a module and the same with one word of it replaced."""
    source = draw(sources())
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    words = {"f0", "f1", "h", "spare", "x", "K", "Base", "G0", "G1", "PART", "floor"}
    sites = [
        token
        for token in tokens
        if token.type == tokenize.NUMBER
        or token.string in ("True", *OPERATORS)
        or token.string in words
    ]
    site = draw(st.sampled_from(sites))
    if site.string in OPERATORS:
        new = draw(st.sampled_from(OPERATORS))
    elif site.string in words:
        new = draw(st.sampled_from([*sorted(words - {"floor"}), "ceil", "trunc"]))
    else:
        new = draw(number)
    lines = source.splitlines(keepends=True)
    line = lines[site.start[0] - 1]
    lines[site.start[0] - 1] = line[: site.start[1]] + new + line[site.end[1] :]
    return source, "".join(lines)


def load(source: str) -> tuple[Code | None, list[str]]:
    """Return the fingerprint of a module's `run`, and what it returns for some arguments."""
    name = f"<module {next(count)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = types.ModuleType("drawn")
    try:
        exec(compile(source, name, "exec"), module.__dict__)
        code = fingerprint(module.run)
        code.canonical()
    except Exception as error:
        return None, [f"{type(error).__name__}"]
    results = []
    for argument in (0, 1, 3, 2.5, True):
        try:
            results.append(repr(module.run(argument)))
        except Exception as error:
            results.append(f"{type(error).__name__}: {error}")
    return code, results


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(edits())
def test_an_edit_that_changes_a_result_changes_the_fingerprint(edit: tuple[str, str]) -> None:
    """If running tells two modules apart, both digests do, and the components say where."""
    (before, first), (after, second) = map(load, edit)
    if before is None or after is None or first == second:
        return

    assert before.fast != after.fast
    assert before.canonical() != after.canonical()
    assert before.components() != after.components()


def annotated(tree: ast.Module) -> str:
    """Add docstrings and annotations, and drop those that were there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body.insert(0, ast.Expr(ast.Constant("Say something.")))
            node.returns = ast.Constant("object")
            for each in node.args.args:
                each.annotation = ast.Name("object", ast.Load())
        if isinstance(node, ast.ClassDef):
            node.body.insert(0, ast.Expr(ast.Constant("A class.")))
    return ast.unparse(ast.fix_missing_locations(tree))


def padded(tree: ast.Module) -> str:
    """Add blank lines, comments and unrelated definitions."""
    parts = []
    for position, node in enumerate(tree.body):
        parts.append(f"\n\n# part {position}\n" + ast.unparse(node))
        parts.append(f"def unrelated_{position}(y):\n    return y + {position}\n")
    return "\n".join(parts)


HARMLESS = [lambda tree: ast.unparse(tree), annotated, padded]


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(sources(), st.sampled_from(HARMLESS))
def test_an_edit_that_cannot_change_a_result_keeps_a_digest(source: str, change: object) -> None:
    """Formatting, docstrings, annotations and unrelated code leave one of the digests."""
    edited = change(ast.parse(source))  # type: ignore[operator]
    (before, first), (after, second) = load(source), load(edited)
    if before is None or after is None:
        return

    assert first == second
    assert before.canonical() is not None
    assert before.canonical() == after.canonical()


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(edits())
def test_equal_components_are_equal_fingerprints(edit: tuple[str, str]) -> None:
    """Deciding and explaining agree: components differ if and only if a digest does."""
    before, after = (load(source)[0] for source in edit)
    if before is None or after is None:
        return

    same = before.fast == after.fast or before.canonical() == after.canonical()
    if before.components() == after.components():
        assert same
    if before.fast != after.fast and before.canonical() != after.canonical():
        assert before.components() != after.components()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 2), inner, max_size=3)
        | st.frozensets(st.integers(0, 4) | st.text(max_size=1), max_size=3)
    ),
    max_leaves=6,
)


def canonical(value: object) -> object:
    """Return a text that two values share if and only if they are the same."""
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + str([canonical(item) for item in value])
    if isinstance(value, dict):
        return "d" + str([(canonical(key), canonical(item)) for key, item in value.items()])
    if isinstance(value, frozenset):
        return "f" + str(sorted(str(canonical(item)) for item in value))
    return f"{type(value).__name__} {value!r}"


@settings(max_examples=300)
@given(values, values)
def test_values_share_a_fingerprint_if_and_only_if_they_are_the_same(
    one: object, two: object
) -> None:
    """The encoding of values is injective."""
    source = "def run(x):\n    return V\n"
    modules = [types.ModuleType("drawn") for _ in range(2)]
    for module, value in zip(modules, (one, two), strict=True):
        exec(source, module.__dict__)
        module.V = value
    first, second = (fingerprint(module.run).fast for module in modules)

    assert (canonical(one) == canonical(two)) == (first == second)
