"""Edits of the function itself: its body, nested code, defaults and decorators."""

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, rerun

_BODY = """
def run(x):
    total = 0
    for i in range(x):
        if i % 2 == 0:
            total += i * 10
        else:
            total -= 1
    text = f"{total:>6.2f}|{x!r}"
    return text, total, [j + 1 for j in range(x) if j > 0], {k: v for k, v in zip("ab", "cd")}
"""
_MATCH = """
def run(x):
    match (x, [1, 2, 3]):
        case (0, _):
            return "zero"
        case (n, [first, *rest]) if n > 1:
            return first, rest
        case _:
            return "other"
"""
_HANDLERS = """
def run(x):
    try:
        return [1, 2][x]
    except IndexError as error:
        return "index"
    except (KeyError, ValueError):
        return "value"
    finally:
        x = 0
"""
_FINALLY = """
LOG = []
def run(x):
    try:
        try:
            raise KeyError(x)
        except LookupError:
            LOG.append("lookup")
        else:
            LOG.append("none")
    finally:
        LOG.append("end")
    return list(LOG)
"""
_DEFAULTS = """
def run(x, scale=2, *, shift=1, table={"a": 1}, items=[1, 2]):
    return x * scale + shift, table["a"], items
"""
_DECORATED = """
import functools
def times(n, *, plus=0):
    def wrap(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args) * n + plus
        return inner
    return wrap
def bare(function):
    def inner(x):
        return function(x) + 1
    return inner
@times(3)
@bare
def run(x):
    return x
"""
_NESTED = """
def run(x):
    k = 4
    def inner(y, z=2):
        def deepest():
            nonlocal k
            k += 1
            return k
        return y * z + deepest()
    pick = lambda v, w=1: v - w
    class Local:
        factor = 3
        def go(self):
            return self.factor * x
    return inner(x), pick(x), Local().go()
"""
_ASYNC = """
import asyncio
async def helper(x):
    async def agen():
        for i in range(x):
            yield i * 2
    return [v async for v in agen()]
def gen(x):
    yield from (i + 1 for i in range(x))
    yield 7
def run(x):
    return asyncio.run(helper(x)), list(gen(x))
"""
_WALRUS = """
def run(x):
    if (n := x * 2) > 5:
        return n
    return -n
"""
_CONSTANTS = """
def run(x):
    return (1, 2.5, "a", b"a", None, True, 0.0, 1e3, 3j, ..., (1, 2), {"p", "q"} and "p" in {"p"})
"""
_WITH = """
class Manager:
    def __enter__(self):
        return 5
    def __exit__(self, *error):
        return True
def run(x):
    with Manager() as m, Manager() as n:
        return m * x
"""
_STAR = """
def pair(a, b=3, *c, d=4, **e):
    return a, b, c, d, e
def run(x):
    first, *rest = [x, 1, 2]
    return pair(first, *rest, d=5, **{"k": 1})
"""
_LOOPS = """
def run(x):
    found = []
    while True:
        x -= 1
        if x < 0:
            break
        if x == 1:
            continue
        found.append(x)
    for i in range(2):
        pass
    else:
        found.append("done")
    return found
"""

EDITS: list[Edit] = [
    rerun("constant", _BODY, "i * 10", "i * 11"),
    rerun("operator", _BODY, "total -= 1", "total += 1"),
    rerun("comparison", _BODY, "i % 2 == 0", "i % 2 != 0"),
    rerun("comparison constant", _BODY, "i % 2 == 0", "i % 3 == 0"),
    rerun("f-string format", _BODY, ">6.2f", ">7.2f"),
    rerun("f-string conversion", _BODY, "{x!r}", "{x!r:>4}"),
    rerun("f-string text", _BODY, "|{x", "/{x"),
    rerun("comprehension element", _BODY, "j + 1 for", "j + 2 for"),
    rerun("comprehension condition", _BODY, "if j > 0", "if j > 1"),
    rerun("dictionary comprehension", _BODY, "{k: v for k", "{v: k for k"),
    rerun("builtin swapped", _BODY, "range(x):", "reversed(range(x + 1)):"),
    rerun(
        "order of statements",
        _LOOPS,
        "x -= 1\n        if x < 0:\n            break",
        "if x < 0:\n            break\n        x -= 1",
    ),
    rerun(
        "break to continue",
        _LOOPS,
        "if x == 1:\n            continue",
        "if x == 1:\n            break",
    ),
    rerun("loop else", _LOOPS, 'found.append("done")', 'found.append("over")'),
    rerun("statement removed", _LOOPS, "        found.append(x)\n", ""),
    rerun("match pattern", _MATCH, "[first, *rest]", "[_, first, *rest]"),
    rerun("match guard", _MATCH, "if n > 1", "if n > 5"),
    rerun("match literal", _MATCH, "case (0, _)", "case (3, _)"),
    rerun("match return", _MATCH, "return first, rest", "return rest, first"),
    rerun("handler type", _HANDLERS, "except IndexError as error", "except TypeError as error"),
    rerun("handler result", _HANDLERS, '"index"', '"position"'),
    rerun(
        "handler order",
        _HANDLERS,
        'except IndexError as error:\n        return "index"',
        'except LookupError:\n        return "lookup"',
    ),
    rerun("return in finally", _HANDLERS, "x = 0", "return 0"),
    rerun("else of try", _FINALLY, "raise KeyError(x)", "KeyError(x)"),
    rerun("handler body", _FINALLY, 'LOG.append("lookup")', 'LOG.append("look")'),
    rerun("handler moved outside", _FINALLY, "except LookupError", "except KeyboardInterrupt"),
    rerun("positional default", _DEFAULTS, "scale=2", "scale=3"),
    rerun("keyword default", _DEFAULTS, "shift=1", "shift=2"),
    rerun("mutable default dict", _DEFAULTS, '{"a": 1}', '{"a": 2}'),
    rerun("mutable default list", _DEFAULTS, "items=[1, 2]", "items=[1, 2, 3]"),
    rerun("default type", _DEFAULTS, "items=[1, 2]", "items=(1, 2)"),
    rerun("default int to float", _DEFAULTS, "scale=2", "scale=2.0"),
    rerun("computed default", "K = 2\ndef run(x, n=K * 2):\n    return x * n\n", "K = 2", "K = 3"),
    rerun("decorator argument", _DECORATED, "@times(3)", "@times(4)"),
    rerun("decorator keyword", _DECORATED, "@times(3)", "@times(3, plus=1)"),
    rerun("decorator default", _DECORATED, "plus=0", "plus=2"),
    rerun("decorator body", _DECORATED, "function(*args) * n", "function(*args) + n"),
    rerun("plain decorator body", _DECORATED, "function(x) + 1", "function(x) + 2"),
    rerun("decorated body", _DECORATED, "    return x\n", "    return -x\n"),
    rerun("decorator removed", _DECORATED, "@bare\n", ""),
    rerun("decorators reordered", _DECORATED, "@times(3)\n@bare", "@bare\n@times(3)"),
    rerun("nested constant", _NESTED, "k = 4", "k = 5"),
    rerun("nested default", _NESTED, "z=2", "z=3"),
    rerun("deepest body", _NESTED, "k += 1", "k += 2"),
    rerun("lambda body", _NESTED, "v - w", "v + w"),
    rerun("lambda default", _NESTED, "w=1", "w=2"),
    rerun("local class attribute", _NESTED, "factor = 3", "factor = 4"),
    rerun("local class method", _NESTED, "self.factor * x", "self.factor + x"),
    rerun("async generator", _ASYNC, "yield i * 2", "yield i * 3"),
    rerun("async comprehension", _ASYNC, "[v async for v", "[-v async for v"),
    rerun("generator expression", _ASYNC, "i + 1 for", "i + 2 for"),
    rerun("generator body", _ASYNC, "yield 7", "yield 8"),
    rerun("walrus", _WALRUS, "x * 2", "x * 4"),
    rerun("walrus condition", _WALRUS, "> 5", "> 6"),
    rerun("int to float", _CONSTANTS, "(1, 2.5", "(1.0, 2.5"),
    rerun("int to bool", _CONSTANTS, "(1, 2.5", "(True, 2.5"),
    rerun("bool to int", _CONSTANTS, "None, True", "None, 1"),
    rerun("minus zero", _CONSTANTS, " 0.0", " -0.0"),
    rerun("text to bytes", _CONSTANTS, '"a", b"a"', 'b"a", b"a"'),
    rerun("None to False", _CONSTANTS, "None", "False"),
    rerun("complex", _CONSTANTS, "3j", "3.5j"),
    rerun("int to ellipsis", _CONSTANTS, "...", "Ellipsis, 1"),
    rerun("tuple constant", _CONSTANTS, "(1, 2)", "(1, True)"),
    rerun("exponent", _CONSTANTS, "1e3", "1e4"),
    rerun("big integers", "def run(x):\n    return 10 ** 30 + x, 2 ** 70\n", "** 30", "** 31"),
    rerun("context manager value", _WITH, "return 5", "return 6"),
    rerun(
        "context manager exit",
        _WITH.replace("return m * x", "raise KeyError(m)"),
        "return True",
        "return False",
    ),
    rerun("star arguments", _STAR, "*rest, d=5", "*rest[:1], d=5"),
    rerun("helper keyword default", _STAR.replace(", d=5", ""), "d=4", "d=6"),
    rerun("parameter order", _STAR, "return pair(first", "return pair(x + 1"),
    rerun(
        "assert message",
        "def run(x):\n    try:\n        assert x > 5, 'small'\n    except AssertionError as e:\n"
        "        return str(e)\n",
        "'small'",
        "'little'",
    ),
    rerun(
        "debug",
        "def run(x):\n    if __debug__:\n        return 1\n    return 2\n",
        "return 1",
        "return 3",
    ),
    rerun(
        "global statement",
        "N = 1\ndef run(x):\n    global N\n    N += x\n    return N\n",
        "N += x",
        "N -= x",
    ),
    rerun(
        "global start",
        "N = 1\ndef run(x):\n    global N\n    N += x\n    return N\n",
        "N = 1",
        "N = 2",
    ),
    rerun(
        "deleted name",
        "def run(x):\n    y = x\n    try:\n        return y\n"
        "    except NameError:\n        return 0\n",
        "y = x\n",
        "y = x\n    del y\n",
    ),
    rerun("slice", "def run(x):\n    return 'abcdef'[1:4:2]\n", "1:4:2", "1:6:2"),
    rerun("chained comparison", "def run(x):\n    return 1 < x < 4\n", "< 4", "< 3"),
    rerun("boolean operator", "def run(x):\n    return x and 5\n", "and", "or"),
    rerun("conditional expression", "def run(x):\n    return 1 if x else 2\n", "if x", "if not x"),
    rerun("format template", "def run(x):\n    return '{:03d}'.format(x)\n", ":03d", ":04d"),
    rerun("percent template", "def run(x):\n    return '%03d' % x\n", "%03d", "%05d"),
    rerun("attribute name", "def run(x):\n    return 'Abc'.lower()\n", "lower", "upper"),
    rerun("keyword argument name", "def run(x):\n    return dict(a=x)\n", "a=x", "b=x"),
    rerun("augmented assignment", "def run(x):\n    x **= 2\n    return x\n", "**=", "*="),
    rerun("star expression", "def run(x):\n    return [*range(x), 1]\n", "1]", "2]"),
    rerun(
        "set display", "def run(x):\n    return sorted({'a', 'b', x > 1 and 'c'})\n", "'b'", "'d'"
    ),
    rerun("frozen set constant", "def run(x):\n    return 'k' in {'k', 'l', 'm'}\n", "{'k', ", "{"),
    rerun(
        "generator in call", "def run(x):\n    return sum(i * i for i in range(x))\n", "i * i", "i"
    ),
    rerun("unpacking", "def run(x):\n    a, b = 1, 2\n    return a\n", "return a", "return b"),
    rerun("raise type", "def run(x):\n    raise ValueError(x)\n", "ValueError", "KeyError"),
    rerun("future floor division", "def run(x):\n    return 7 // 2\n", "//", "/"),
    rerun(
        "own attribute",
        "def run(x):\n    return run.level\nrun.level = 1\n",
        "run.level = 1",
        "run.level = 2",
    ),
    rerun(
        "own name",
        "def run(x):\n    return inner(x).__name__\n"
        "def inner(x):\n    def one():\n        pass\n    return one\n",
        "one",
        "two",
    ),
]
