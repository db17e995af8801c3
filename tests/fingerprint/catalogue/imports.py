"""Edits of modules that the function imports when it runs."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_LAZY = {
    "main.py": """
def run(x):
    import helper
    import pkg.sub
    import pkg.deep.leaf as leaf
    from pkg import other, CONST
    from pkg.tools import go as g
    return helper.one(x), pkg.sub.two(x), leaf.three(x), other.K, CONST, g(x)
""",
    "helper.py": '''
"""Documented."""
import math
from extra import shift, unrelated_import
TABLE = {}
def register(f):
    TABLE[f.__name__] = f
    return f
@register
def inner(x: int) -> int:
    """Document."""
    return shift(x) + LEVEL
LEVEL = 4
LEVEL += 1
def one(x):
    return TABLE["inner"](x) + math.floor(2.5)
def unrelated(x):
    return 1
SPARE = [1]
if __name__ == "__main__":
    print(one(1))
''',
    "extra.py": "STEP = 1\ndef shift(x):\n    return x + STEP\ndef unrelated_import():\n    return 5\n",
    "pkg/__init__.py": "CONST = 8\nfrom .tools import go as exported\n",
    "pkg/sub.py": "from . import other\nfrom .deep import leaf\ndef two(x):\n    return other.K + leaf.three(x)\n",
    "pkg/other.py": "K = 3\nL = 4\n",
    "pkg/tools.py": "class Tool:\n    k = 1\n    def go(self, x):\n        return self.k * x\ndef go(x):\n    return Tool().go(x)\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/leaf.py": "from ..tools import go\ndef three(x):\n    return go(x) + 3\n",
}
_NESTED = {
    "main.py": "def run(x):\n    def inner():\n        from helper import go\n        return go(x)\n    return inner()\n",
    "helper.py": "def go(x):\n    import far\n    return far.K + x\ndef other():\n    return 1\n",
    "far.py": "K = 1\nJ = 2\n",
}
_TRY = {
    "main.py": """
def run(x):
    try:
        import missing_thing as m
    except ImportError:
        import present as m
    return m.go(x)
""",
    "present.py": "def go(x):\n    return x\n",
}
_BY_NAME = {
    "main.py": """
import importlib
from importlib import import_module
def run(x):
    a = import_module("plugins.alpha")
    b = importlib.import_module(f"plugins.{'beta'}")
    c = __import__("gamma")
    return a.go(x), b.go(x), c.go(x)
""",
    "plugins/__init__.py": "",
    "plugins/alpha.py": "def go(x):\n    return 1\n",
    "plugins/beta.py": "def go(x):\n    return 2\n",
    "gamma.py": "def go(x):\n    return 3\n",
    "unrelated.py": "def go(x):\n    return 4\n",
}
_SIDE = {
    "main.py": "import registry\ndef run(x):\n    import plugin\n    return registry.TABLE['p'](x)\n",
    "registry.py": "TABLE = {}\n",
    "plugin.py": "import registry\ndef p(x):\n    return x + 1\nregistry.TABLE['p'] = p\n",
}
_AS_VALUE = {
    "main.py": "def call(m, x):\n    return m.go(x)\ndef run(x):\n    import tools\n    return call(tools, x)\n",
    "tools.py": "def go(x):\n    return helper(x)\ndef helper(x):\n    return 1\n",
}
_RELATIVE = {
    "main.py": "from app.core import run\n",
    "app/__init__.py": "",
    "app/core.py": "def run(x):\n    from .util import scale\n    from . import consts\n    from .. import nothing\n    return scale(x) * consts.C\n".replace(
        "    from .. import nothing\n", ""
    ),
    "app/util.py": "from .consts import D\ndef scale(x):\n    return x * D\n",
    "app/consts.py": "C = 2\nD = 3\n",
}
_EXPORT = {
    "main.py": "def run(x):\n    from pkg import solve\n    return solve(x)\n",
    "pkg/__init__.py": "from .impl import *\nfrom ._hidden import unused\n",
    "pkg/impl.py": "def solve(x):\n    return x + 1\n",
    "pkg/_hidden.py": "def unused():\n    return 1\n",
}
_REGISTERED = {
    "main.py": "from kinds import name\ndef run(x):\n    import late\n    return name(x)\n",
    "kinds.py": """
from functools import singledispatch
@singledispatch
def name(value):
    return "object"
""",
    "late.py": """
from kinds import name
@name.register
def _(value: int) -> str:
    return "int"
""",
}

_ANY_NAME = {
    "main.py": "import tools\ndef run(x):\n    return tools.bet(x)\n",
    "tools.py": "from functools import partial\ndef call(name, x):\n    return name, x + 1\n"
    "def __getattr__(name):\n    return partial(call, name)\n",
}
_OWN_ERROR = {
    "main.py": "import sizes\ndef run(x):\n    return sizes.fwhm\n",
    "sizes.py": "_SIZES = {'fwhm': 6}\ndef __getattr__(name):\n    return _SIZES[name]\n",
}
_STAND_IN = {
    "main.py": _ANY_NAME["main.py"],
    "tools.py": """
import sys
class Tools:
    def __getattr__(self, name):
        return lambda x: (name, x + 1)
sys.modules[__name__] = Tools()
""",
}
_READERS = {
    "docstring": ("def f():\n    'fwhm=6'\n", "helper.f.__doc__", "6'", "8'"),
    "docstring of a class": ("class C:\n    'fwhm=6'\n", "inspect.getdoc(helper.C)", "6'", "8'"),
    "docstring of a module": ("'fwhm=6'\n", "helper.__doc__", "6'", "8'"),
    "annotation": ("def f(a: int): pass\n", "str(inspect.signature(helper.f))", ": int", ": float"),
    "type hints": (
        "def f(a: int): pass\n",
        "str(typing.get_type_hints(helper.f))",
        ": int",
        ": float",
    ),
    "annotation of a class": (
        "class C:\n    a: int\n",
        "str(helper.C.__annotations__)",
        ": int",
        ": float",
    ),
    "type of a field": (
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    a: int = 1\n",
        "str(dataclasses.fields(helper.C)[0].type)",
        ": int",
        ": float",
    ),
    "source": ("def f():\n    # 6\n    return 1\n", "inspect.getsource(helper.f)", "# 6", "# 8"),
    "line": ("def f():\n    return 1\n", "helper.f.__code__.co_firstlineno", "def f", "\n\ndef f"),
    "wrapped function": (
        "import functools\ndef d(f):\n    @functools.wraps(f)\n    def g(): return 0\n    return g\n@d\ndef f(): return 6\n",
        "helper.f.__wrapped__()",
        "6",
        "8",
    ),
}
_READ_LATE = {  # by code in a module that is not loaded, of a module that is, and that is not
    what: [
        {
            "main.py": f"{top}def run(x):\n    import reader\n    return reader.read()\n",
            "reader.py": f"import helper, inspect, typing, dataclasses\ndef read():\n    return {read}\n",
            "helper.py": text,
        }
        for top in ("", "import helper\n")
    ]
    for what, (text, read, _, _) in _READERS.items()
}
_READ_OF_ITSELF = {
    "main.py": "def run(x):\n    from reader import read\n    return read()\n",
    "reader.py": "'fwhm=6'\ndef read():\n    return __doc__\n",
}
_KINDS = {
    "main.py": "import base, plug\ndef run(x):\n    import late\n    return late.names()\n",
    "base.py": "class Base: pass\n",
    "plug.py": "import base\nclass A(base.Base):\n    k = 1\n",
    "late.py": "import base\ndef names():\n    return [each.k for each in base.Base.__subclasses__()]\n",
}
_QUERY = {
    "main.py": "def run(x):\n    import late\n    return late.count()\n",
    "late.py": "import pandas as pd\nfrom limits import HIGH, SPARE\nLOW = 1\nLOWER = 1\ndef count():\n    return len(pd.DataFrame({'a': [1, 2, 3, 4]}).query('@LOW < a < @HIGH'))\n",
    "limits.py": "HIGH = 4\nSPARE = 4\n",
}
_ACCESSOR = {
    "main.py": "import pandas as pd\npd.DataFrame.doubled = lambda self: 2\npd.DataFrame.halved = lambda self: 2\ndef run(x):\n    from made import frame\n    from late import go\n    return go(frame())\n",
    "made.py": "import pandas as pd\ndef frame():\n    return pd.DataFrame({'a': [1]})\n",
    "late.py": "def go(frame):\n    return frame.doubled()\n",
}
_ORDERED = {
    "main.py": "def run(x):\n    import late\n    return late.go(x)\n",
    "late.py": "import far\ndef one(x):\n    return far.K + x\ndef two(x):\n    return far.L * x\ndef go(x, y=1):\n    return one(two(x)) + y\ndef go(x, y=2):\n    return one(two(x)) + y\nM = go(1)\nN = M\nM = 50\ndef last(x):\n    return N\n",
    "far.py": "K = 1\nL = 2\n",
}
_ONE, _TWO = "def one(x):\n    return far.K + x\n", "def two(x):\n    return far.L * x\n"
_ORDERED_LAST = {**_ORDERED, "main.py": _ORDERED["main.py"].replace("late.go", "late.last")}
_MADE = {  # names that no statement spells
    what: {
        "main.py": f"def run(x):\n    from late import {name}\n    return {name}(x)\n",
        "late.py": "import sys\ndef plain(x): return x\n" + text,
    }
    for what, name, text in [
        (
            "a loop over globals",
            "add_2",
            "for n in (1, 2):\n    globals()[f'add_{n}'] = lambda x, n=n * 6: x + n\n",
        ),
        ("globals in the place of another", "plain", "globals()['plain'] = lambda x: x + 6\n"),
        (
            "the module itself",
            "plain",
            "setattr(sys.modules[__name__], 'plain', lambda x: x + 6)\n",
        ),
        (
            "a function that is called",
            "added",
            "def make():\n    globals()['added'] = lambda x: x + 6\nmake()\n",
        ),
        ("a text", "added", "exec('def added(x): return x + 6')\n"),
    ]
}
_READ_EDITS = [
    rerun(f"late reader of a {what}, {when}", files, "helper.py", *_READERS[what][2:])
    for what, projects in _READ_LATE.items()
    for when, files in zip(("late itself", "loaded"), projects, strict=True)
]

EDITS: list[Edit] = [
    rerun("lazy body", _LAZY, "helper.py", "math.floor(2.5)", "math.ceil(2.5)"),
    rerun("lazy registered", _LAZY, "helper.py", "shift(x) + LEVEL", "shift(x) - LEVEL"),
    rerun("lazy constant", _LAZY, "helper.py", "LEVEL = 4", "LEVEL = 5"),
    rerun("lazy increment", _LAZY, "helper.py", "LEVEL += 1", "LEVEL += 2"),
    rerun("lazy second module", _LAZY, "extra.py", "x + STEP", "x - STEP"),
    rerun("lazy second module's constant", _LAZY, "extra.py", "STEP = 1", "STEP = 2"),
    rerun("lazy submodule", _LAZY, "pkg/sub.py", "other.K +", "other.K -"),
    rerun("lazy submodule's constant", _LAZY, "pkg/other.py", "K = 3", "K = 4"),
    rerun("lazy package constant", _LAZY, "pkg/__init__.py", "CONST = 8", "CONST = 9"),
    rerun("lazy class attribute", _LAZY, "pkg/tools.py", "k = 1", "k = 2"),
    rerun("lazy deep module", _LAZY, "pkg/deep/leaf.py", "+ 3", "+ 4"),
    rerun(
        "lazy patch", _LAZY, "helper.py", "LEVEL += 1", "LEVEL += 1\nTABLE['inner'] = lambda x: 0"
    ),
    keep("lazy unrelated function", _LAZY, "helper.py", "return 1", "return 2"),
    keep("lazy unrelated global", _LAZY, "helper.py", "SPARE = [1]", "SPARE = [2]"),
    keep("lazy docstring", _LAZY, "helper.py", '"""Document."""', '"""Explain."""'),
    keep("lazy annotation", _LAZY, "helper.py", "(x: int) -> int", "(x: float)"),
    keep("lazy comment", _LAZY, "helper.py", "LEVEL = 4", "# four\nLEVEL = 0x4"),
    keep("lazy script part", _LAZY, "helper.py", "print(one(1))", "print(one(2))"),
    keep("lazy unread constant", _LAZY, "pkg/other.py", "L = 4", "L = 5"),
    keep("lazy unread import", _LAZY, "extra.py", "return 5", "return 6"),
    rerun("import in a nested function", _NESTED, "helper.py", "far.K + x", "far.K - x"),
    rerun("import in an imported function", _NESTED, "far.py", "K = 1", "K = 2"),
    keep("unread in a nested import", _NESTED, "far.py", "J = 2", "J = 3"),
    rerun("import with fallback", _TRY, "present.py", "return x", "return -x"),
    rerun("import no longer missing", _TRY, {"missing_thing.py": "def go(x):\n    return 99\n"}),
    rerun("import_module by constant", _BY_NAME, "plugins/alpha.py", "return 1", "return 5"),
    rerun("import_module by pattern", _BY_NAME, "plugins/beta.py", "return 2", "return 5"),
    rerun("__import__", _BY_NAME, "gamma.py", "return 3", "return 5"),
    keep("not imported by name", _BY_NAME, "unrelated.py", "return 4", "return 5"),
    rerun("import for its effect", _SIDE, "plugin.py", "x + 1", "x + 2"),
    rerun("type that a late import registers", _REGISTERED, "late.py", "value: int", "value: str"),
    keep("annotation beside a type", _REGISTERED, "late.py", "-> str", "-> object"),
    rerun("imported module passed on", _AS_VALUE, "tools.py", "return 1", "return 2"),
    rerun("relative lazy import", _RELATIVE, "app/util.py", "x * D", "x + D"),
    rerun("relative lazy constant", _RELATIVE, "app/consts.py", "C = 2", "C = 3"),
    rerun("relative lazy import's constant", _RELATIVE, "app/consts.py", "D = 3", "D = 4"),
    rerun("lazy star export", _EXPORT, "pkg/impl.py", "x + 1", "x + 2"),
    rerun("module that answers to any name", _ANY_NAME, "tools.py", "x + 1", "x + 2"),
    rerun("module with an error of its own", _OWN_ERROR, "sizes.py", "6", "8"),
    rerun("object that answers in place of a module", _STAND_IN, "tools.py", "x + 1", "x + 2"),
    *_READ_EDITS,
    keep(
        "comment for a late reader of a docstring",
        _READ_LATE["docstring"][0],
        "helper.py",
        "def f",
        "# f\ndef f",
    ),
    keep(
        "comment for a late reader of an annotation",
        _READ_LATE["annotation"][0],
        "helper.py",
        "def f",
        "# f\ndef f",
    ),
    keep(
        "docstring for a late reader of an annotation",
        _READ_LATE["annotation"][0],
        "helper.py",
        ": pass",
        ": 'Document.'",
    ),
    rerun("docstring that a late module reads of itself", _READ_OF_ITSELF, "reader.py", "6'", "8'"),
    rerun("subclass that only a late module lists", _KINDS, "plug.py", "k = 1", "k = 2"),
    rerun("global of a late module that a query names", _QUERY, "late.py", "LOW = 1", "LOW = 2"),
    rerun(
        "import of a late module that a query names", _QUERY, "limits.py", "HIGH = 4", "HIGH = 3"
    ),
    keep("global beside one that a query names", _QUERY, "late.py", "LOWER = 1", "LOWER = 2"),
    keep("import beside one that a query names", _QUERY, "limits.py", "SPARE = 4", "SPARE = 3"),
    rerun(
        "method put into a library that a late module calls",
        _ACCESSOR,
        "doubled = lambda self: 2",
        "doubled = lambda self: 3",
    ),
    keep(
        "method put into a library that nobody calls",
        _ACCESSOR,
        "halved = lambda self: 2",
        "halved = lambda self: 3",
    ),
    keep(
        "order of functions of a late module",
        {
            **_ORDERED,
            "late.py": _ORDERED["late.py"].replace(
                "def go(x, y=1):\n    return one(two(x)) + y\n", ""
            ),
        },
        "late.py",
        _ONE + _TWO,
        _TWO + _ONE,
    ),
    rerun(
        "order of functions of one name in a late module",
        _ORDERED,
        ("late.py", "y=1", "y=3"),
        ("late.py", "y=2", "y=1"),
        ("late.py", "y=3", "y=2"),
    ),
    rerun(
        "order of statements in a late module",
        _ORDERED_LAST,
        "late.py",
        "N = M\nM = 50\n",
        "M = 50\nN = M\n",
    ),
    *(
        rerun(f"name of a late module made by {what}", files, "late.py", "6", "8")
        for what, files in _MADE.items()
    ),
]
