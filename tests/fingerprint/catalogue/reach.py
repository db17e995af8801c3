"""Edits of what the function reaches: helpers, modules, registries, closures, partials."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_PACKAGE = {
    "main.py": """
import pkg
import pkg.filters
from pkg import smooth as s, tools
from pkg.deep.inner import core as c
import pkg.deep.inner as aliased
def run(x):
    return pkg.filters.kernel(x), s(x), tools.half(x), c(x), aliased.LIMIT, pkg.exported(x)
""",
    "pkg/__init__.py": "from .filters import smooth\nfrom .deep.inner import core as exported\n",
    "pkg/filters.py": """
from . import tools
from .deep import inner as other
WIDTH = 3
def kernel(x):
    return x * WIDTH
def smooth(x):
    return tools.half(x) + other.core(x)
def unused(x):
    return 0
""",
    "pkg/tools.py": "def half(x):\n    return x / 2\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/inner.py": """
from ..tools import half as h
LIMIT = 9
def core(x):
    return even(x) + h(x)
def even(x):
    return x == 0 or odd(x - 1)
def odd(x):
    return x != 0 and even(x - 1)
""",
}
_REGISTRY = {
    "main.py": """
from registry import METHODS
import plugins
def run(x, name="mean"):
    return METHODS[name](x)
""",
    "registry.py": "METHODS = {}\ndef register(f):\n    METHODS[f.__name__] = f\n    return f\n",
    "plugins.py": """
from registry import register
@register
def mean(x):
    return x * 2
def _hidden(x):
    return 1
""",
}
_DISPATCH = {
    "main.py": """
from kinds import describe
import more
def run(x):
    return describe(x), describe("a"), describe([1])
""",
    "kinds.py": """
from functools import singledispatch, singledispatchmethod
@singledispatch
def describe(value):
    return "object"
@describe.register
def _(value: int):
    return "int"
""",
    "more.py": """
from kinds import describe
@describe.register(str)
def _text(value):
    return "text"
""",
}
_CLOSURE = """
def make(k, f):
    scale = k * 2
    def inner(x):
        return f(x) * scale
    return inner
def inc(x):
    return x + 1
run = make(3, inc)
"""
_PARTIAL = """
from functools import partial, reduce
import operator
def power(base, exponent, *, shift=0):
    return base ** exponent + shift
square = partial(power, exponent=2)
run = partial(square, shift=1)
"""
_HELD = """
def a(x):
    return x + 1
def b(x):
    return x * 2
TABLE = {"a": a, "b": b}
STEPS = [a, b]
PAIR = (a, lambda x: x - 1)
class Box:
    call = staticmethod(b)
def run(x):
    for f in STEPS:
        x = f(x)
    return TABLE["a"](x), PAIR[1](x), Box.call(x)
"""
_DYNAMIC = {
    "main.py": """
import tools
def run(x):
    return getattr(tools, "first")(x), fetch(x)
def fetch(x, name="sec" + "ond"):
    return getattr(tools, name)(x)
""",
    "tools.py": "def first(x):\n    return 1\ndef second(x):\n    return 2\n",
}
_MODULES = {
    "main.py": """
import one, two
PARTS = [one, two]
NAMED = {"one": one}
class Holder:
    module = two
def run(x):
    return [part.go(x) for part in PARTS], NAMED["one"].go(x), Holder.module.go(x)
""",
    "one.py": "K = 1\ndef go(x):\n    return x + K\n",
    "two.py": "def go(x):\n    return x - 1\n",
}
_PATCHED = {
    "main.py": """
import json
import lib
import patches
def run(x):
    return json.dumps((x,)), lib.Model().predict(x), lib.scale(x), lib.LEVEL
""",
    "lib.py": """
LEVEL = 1
def scale(x):
    return x * 2
class Model:
    factor = 1
    def predict(self, x):
        return x * self.factor
""",
    "patches.py": """
import json
import lib
def predict(self, x):
    return x + 100
def dumps(value):
    return "patched"
def scale(x):
    return -x
""",
}
_PATCH_MODULE = _PATCHED["patches.py"]
_GETATTR = {
    "main.py": "import lazy\ndef run(x):\n    return lazy.answer, lazy.other\n",
    "lazy.py": """
VALUES = {"answer": 42}
def __getattr__(name):
    try:
        return VALUES[name]
    except KeyError:
        return "default"
""",
}
_CONDITIONAL = {
    "main.py": """
try:
    import missing_module as backend
except ImportError:
    import fallback as backend
if backend.FAST:
    from quick import solve
else:
    from slow import solve
def run(x):
    return backend.go(x), solve(x)
""",
    "fallback.py": "FAST = True\ndef go(x):\n    return x\n",
    "quick.py": "def solve(x):\n    return x + 1\n",
    "slow.py": "def solve(x):\n    return x + 2\n",
}
_STAR = {
    "main.py": "from tools import *\ndef run(x):\n    return go(x)\n",
    "tools.py": "__all__ = ['go']\ndef go(x):\n    return _inner(x)\ndef _inner(x):\n    return 1\n",
}
_CONFIGURED = {
    "main.py": "import setup_all\nfrom model import Model\ndef run(x):\n    return Model.rate * x\n",
    "setup_all.py": "from model import configure\nconfigure(2)\n",
    "model.py": "class Model:\n    rate = 1\ndef configure(n):\n    Model.rate = n\n",
}
_EXEC = """
SPACE = {}
exec("def helper(x):\\n    return x + 1\\n", SPACE)
helper = SPACE["helper"]
adder = eval("lambda x: x * 2")
def run(x):
    return helper(x), adder(x)
"""
_GLOBALS = """
def tool_a(x):
    return 1
def tool_b(x):
    return 2
def run(x):
    return globals()["tool_" + "a"](x)
"""
_OTHERS = """
import operator, functools, itertools, string, re
first = operator.itemgetter(0)
name = operator.attrgetter("real")
call = operator.methodcaller("bit_length")
template = string.Template("$x and $y")
pattern = re.compile("a+", re.I)
chained = functools.reduce(lambda f, g: lambda x: g(f(x)), [abs, lambda x: x + 1])
def run(x):
    return (first([x, 2, 9]), name(x), call(x), template.substitute(x=x, y=1),
            pattern.findall("AAab"), chained(-x))
"""
_CACHED = """
import functools
@functools.cache
def slow(x):
    return x + 1
@functools.lru_cache(maxsize=2)
def other(x):
    return x + 2
def run(x):
    return slow(x) + other(x)
"""
_CONTEXT = """
import contextlib, contextvars
level = contextvars.ContextVar("level", default=1)
level.set(5)
@contextlib.contextmanager
def opened(x):
    yield x + 1
def run(x):
    with opened(x) as y:
        return y + level.get()
"""

_CONTEXT_DEFAULT = """
from contextvars import ContextVar
level = ContextVar("level", default=1)
def run(x):
    return x + level.get()
"""

EDITS: list[Edit] = [
    rerun("default of a context variable", _CONTEXT_DEFAULT, "default=1", "default=2"),
    rerun("helper by package attribute", _PACKAGE, "pkg/filters.py", "x * WIDTH", "x + WIDTH"),
    rerun("global of a helper", _PACKAGE, "pkg/filters.py", "WIDTH = 3", "WIDTH = 4"),
    rerun("re-exported helper", _PACKAGE, "pkg/filters.py", "tools.half(x) + ", "tools.half(x) - "),
    rerun("relative import", _PACKAGE, "pkg/tools.py", "x / 2", "x / 3"),
    rerun("aliased helper", _PACKAGE, "pkg/deep/inner.py", "even(x) + h(x)", "even(x) - h(x)"),
    rerun("mutual recursion", _PACKAGE, "pkg/deep/inner.py", "x != 0 and", "x == 3 or"),
    rerun("aliased module's global", _PACKAGE, "pkg/deep/inner.py", "LIMIT = 9", "LIMIT = 8"),
    rerun("re-export changed", _PACKAGE, "pkg/__init__.py", "core as exported", "odd as exported"),
    rerun("alias changed", _PACKAGE, "main.py", "smooth as s", "exported as s"),
    keep("unreached helper", _PACKAGE, "pkg/filters.py", "return 0", "return 1"),
    keep("unreached global", _PACKAGE, "pkg/tools.py", "def half", "SPARE = 1\ndef half"),
    rerun("registered by decorator", _REGISTRY, "plugins.py", "x * 2", "x * 3"),
    rerun(
        "registered again",
        _REGISTRY,
        "plugins.py",
        "def _hidden",
        "@register\ndef mean(x):\n    return 5\ndef _hidden",
    ),
    keep("not registered", _REGISTRY, "plugins.py", "return 1", "return 2"),
    rerun("dispatch implementation", _DISPATCH, "kinds.py", '"int"', '"integer"'),
    rerun("dispatch in another module", _DISPATCH, "more.py", '"text"', '"string"'),
    rerun("dispatch default", _DISPATCH, "kinds.py", '"object"', '"thing"'),
    rerun("dispatch type", _DISPATCH, "more.py", "register(str)", "register(list)"),
    rerun("dispatch annotation", _DISPATCH, "kinds.py", "value: int", "value: bool"),
    rerun("closure argument", _CLOSURE, "make(3", "make(4"),
    rerun("closure function", _CLOSURE, "make(3, inc)", "make(3, abs)"),
    rerun("closure function's body", _CLOSURE, "x + 1", "x + 2"),
    rerun("closure maker", _CLOSURE, "k * 2", "k * 3"),
    rerun("closure body", _CLOSURE, "f(x) * scale", "f(x) + scale"),
    rerun(
        "loop closures",
        "fs = [lambda x, i=i: x + i for i in range(3)]\n"
        "def run(x):\n    return [f(x) for f in fs]\n",
        "range(3)",
        "range(1, 4)",
    ),
    rerun(
        "late closures",
        "def make():\n    return [lambda x: x + i for i in range(3)]\nfs = make()\n"
        "def run(x):\n    return [f(x) for f in fs]\n",
        "range(3)",
        "range(4)",
    ),
    rerun("partial argument", _PARTIAL, "exponent=2", "exponent=3"),
    rerun("outer partial argument", _PARTIAL, "shift=1", "shift=2"),
    rerun("partial's function", _PARTIAL, "base ** exponent", "base * exponent"),
    rerun("function in a dict", _HELD, "x + 1", "x + 2"),
    rerun("function in a list", _HELD, "STEPS = [a, b]", "STEPS = [b, a]"),
    rerun("lambda in a tuple", _HELD, "x - 1", "x - 2"),
    rerun("dict entry", _HELD, '{"a": a', '{"a": b'),
    rerun("static method held", _HELD, "staticmethod(b)", "staticmethod(a)"),
    rerun("getattr by constant", _DYNAMIC, "tools.py", "return 1", "return 3"),
    rerun("getattr by computed name", _DYNAMIC, "tools.py", "return 2", "return 4"),
    rerun("module in a list", _MODULES, "one.py", "x + K", "x * K"),
    rerun("module's global in a list", _MODULES, "one.py", "K = 1", "K = 2"),
    rerun("module as class attribute", _MODULES, "two.py", "x - 1", "x - 2"),
    rerun(
        "patched method",
        _PATCHED,
        "patches.py",
        "def dumps",
        "lib.Model.predict = predict\ndef dumps",
    ),
    rerun("patched function", _PATCHED, {"patches.py": _PATCH_MODULE + "lib.scale = scale\n"}),
    rerun("patched value", _PATCHED, {"patches.py": _PATCH_MODULE + "lib.LEVEL = 5\n"}),
    rerun(
        "patched class attribute",
        _PATCHED,
        {"patches.py": _PATCH_MODULE + "lib.Model.factor = 5\n"},
    ),
    rerun(
        "patched standard library", _PATCHED, {"patches.py": _PATCH_MODULE + "json.dumps = dumps\n"}
    ),
    rerun(
        "patched by another library function",
        _PATCHED,
        {"patches.py": _PATCH_MODULE + "json.dumps = ascii\n"},
    ),
    rerun(
        "patch body",
        {**_PATCHED, "patches.py": _PATCH_MODULE + "json.dumps = dumps\n"},
        "patches.py",
        '"patched"',
        '"other"',
    ),
    rerun(
        "patched builtin",
        {"main.py": "import p\ndef run(x):\n    return abs(x)\n", "p.py": ""},
        {"p.py": "import builtins\nbuiltins.abs = lambda x: 99\n"},
    ),
    rerun(
        "shadowed builtin",
        "def run(x):\n    return len([x])\n",
        "def run",
        "def len(x):\n    return 9\ndef run",
    ),
    rerun("module getattr", _GETATTR, "lazy.py", '"default"', '"none"'),
    rerun("module getattr's table", _GETATTR, "lazy.py", "42", "43"),
    rerun("fallback module", _CONDITIONAL, "fallback.py", "return x", "return -x"),
    rerun("condition of import", _CONDITIONAL, "fallback.py", "FAST = True", "FAST = False"),
    rerun(
        "missing module appears",
        _CONDITIONAL,
        {"missing_module.py": "FAST = True\ndef go(x):\n    return 77\n"},
    ),
    keep("other branch", _CONDITIONAL, "slow.py", "x + 2", "x + 3"),
    rerun("star import", _STAR, "tools.py", "return 1", "return 2"),
    rerun("configured by a call", _CONFIGURED, "setup_all.py", "configure(2)", "configure(3)"),
    rerun("exec-made function", _EXEC, "x + 1", "x + 2"),
    rerun("eval-made lambda", _EXEC, "x * 2", "x * 3"),
    rerun("globals by name", _GLOBALS, "return 1", "return 5"),
    rerun("itemgetter", _OTHERS, "itemgetter(0)", "itemgetter(2)"),
    rerun("attrgetter", _OTHERS, '"real"', '"imag"'),
    rerun("methodcaller", _OTHERS, '"bit_length"', '"__neg__"'),
    rerun("template", _OTHERS, "$x and $y", "$x or $y"),
    rerun("pattern", _OTHERS, '"a+"', '"a"'),
    rerun("pattern flags", _OTHERS, ", re.I", ""),
    rerun("reduced lambdas", _OTHERS, "x + 1]", "x + 2]"),
    rerun("cached helper", _CACHED, "x + 1", "x + 3"),
    rerun("bounded cache's helper", _CACHED, "x + 2", "x + 3"),
    rerun("context manager function", _CONTEXT, "yield x + 1", "yield x + 2"),
    rerun("context variable", _CONTEXT, "level.set(5)", "level.set(6)"),
    rerun("lambda global", "f = lambda x: x + 1\ndef run(x):\n    return f(x)\n", "x + 1", "x + 2"),
    rerun(
        "lambdas on one line",
        "f, g = lambda x: x + 1, lambda x: x + 2\ndef run(x):\n    return f(x) * 10 + g(x)\n",
        "f, g =",
        "g, f =",
    ),
    rerun("run is a lambda", "run = lambda x: x + 1\n", "x + 1", "x + 2"),
    rerun(
        "run is an instance",
        "class C:\n    def __init__(self, k):\n        self.k = k\n"
        "    def __call__(self, x):\n        return x + self.k\nrun = C(1)\n",
        "C(1)",
        "C(2)",
    ),
    rerun(
        "run is an instance: body",
        "class C:\n    def __init__(self, k):\n        self.k = k\n"
        "    def __call__(self, x):\n        return x + self.k\nrun = C(1)\n",
        "x + ",
        "x - ",
    ),
    rerun(
        "run is a bound method",
        "class C:\n    k = 1\n    def go(self, x):\n        return x + self.k\nrun = C().go\n",
        "k = 1",
        "k = 2",
    ),
    rerun(
        "run is a class method",
        "class C:\n    k = 1\n    @classmethod\n    def go(cls, x):\n        return x + cls.k\n"
        "run = C.go\n",
        "k = 1",
        "k = 2",
    ),
    rerun(
        "attribute of a helper",
        "def h():\n    return h.k\nh.k = 1\ndef run(x):\n    return h()\n",
        "h.k = 1",
        "h.k = 2",
    ),
    rerun(
        "function held by attribute",
        "def g():\n    return 1\ndef h():\n    return h.f()\nh.f = g\n"
        "def run(x):\n    return h()\n",
        "return 1",
        "return 2",
    ),
    rerun(
        "recursive helper",
        "def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)\n"
        "def run(x):\n    return fact(x)\n",
        "n < 2",
        "n < 3",
    ),
    rerun(
        "helper via local alias",
        {
            "main.py": "import tools\ndef run(x):\n    t = tools\n    return t.go(x)\n",
            "tools.py": "def go(x):\n    return 1\n",
        },
        "tools.py",
        "return 1",
        "return 2",
    ),
    rerun(
        "helper passed on",
        "def h(x):\n    return x + 1\ndef run(x):\n    return list(map(h, [x]))\n",
        "x + 1",
        "x + 2",
    ),
    rerun(
        "sys.modules",
        {
            "main.py": "import sys, tools\ndef run(x):\n    return sys.modules['tools'].go(x)\n",
            "tools.py": "def go(x):\n    return 1\n",
        },
        "tools.py",
        "return 1",
        "return 2",
    ),
    rerun(
        "weak reference",
        "import weakref\nclass A:\n    k = 1\nR = weakref.ref(A)\ndef run(x):\n    return R().k\n",
        "k = 1",
        "k = 2",
    ),
    rerun(
        "module generator", "g = [i * 2 for i in (1, 2)]\ndef run(x):\n    return g\n", "i * 2", "i"
    ),
]
