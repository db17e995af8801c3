"""Edits of values that the function reads: globals of every kind."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_HEAD = """
import array, collections, datetime, decimal, enum, fractions, pathlib, re, types, uuid
try:
    import numpy as np
except ImportError:
    np = None
class Kind(enum.Enum):
    A = 1
    B = 2
class Thing:
    def __init__(self, **kw):
        self.__dict__.update(kw)
    def __repr__(self):
        return f"Thing{sorted(self.__dict__.items())}"
def show(value):
    if np and isinstance(value, np.ndarray):
        return value.dtype.str, value.dtype.names, value.shape, value.tolist()
    if isinstance(value, (types.MappingProxyType, memoryview)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(map(repr, value))
    return type(value).__name__, repr(value)
"""


def _value(name: str, old: str, new: str) -> Edit:
    text = f"{_HEAD}VALUE = {old}\ndef run(x):\n    return show(VALUE)\n"
    return rerun(f"value {name}", text, f"VALUE = {old}\n", f"VALUE = {new}\n")


_DATA = {
    "main.py": """
import json, pathlib
HERE = pathlib.Path(__file__).parent
with open(HERE / "params.json") as stream:
    PARAMS = json.load(stream)
TEXT = (HERE / "words.txt").read_text().split()
def run(x):
    return PARAMS["k"] * x, TEXT, (HERE / "words.txt").exists()
""",
    "params.json": '{"k": 2}',
    "words.txt": "one two",
}
_CONFIG = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Config:
    rate: float = 0.5
    names: tuple = ("a",)
CONFIG = Config(rate=0.25)
OTHER = Config()
LOCK = __import__("threading").Lock()
import logging
LOG = logging.getLogger("x")
def run(x):
    LOG.debug("run")
    with LOCK:
        return CONFIG.rate * x, CONFIG.names
"""

EDITS: list[Edit] = [
    _value("int", "1", "2"),
    _value("int to float", "1", "1.0"),
    _value("int to bool", "1", "True"),
    _value("minus zero", "0.0", "-0.0"),
    _value("nan", "float('inf')", "float('nan')"),
    _value("last digit", "0.1", "0.10000000000000002"),
    _value("text", "'a'", "'b'"),
    _value("text to bytes", "'a'", "b'a'"),
    _value("none", "None", "False"),
    _value("complex", "1j", "2j"),
    _value("complex minus zero", "complex(0.0, 0.0)", "complex(-0.0, 0.0)"),
    _value("tuple", "(1, 2)", "(1, 2, 3)"),
    _value("tuple to list", "(1, 2)", "[1, 2]"),
    _value("list order", "[1, 2]", "[2, 1]"),
    _value("nested", "{'a': [1, {'b': (2,)}]}", "{'a': [1, {'b': (3,)}]}"),
    _value("nesting", "[[1], 2]", "[[1, 2]]"),
    _value("concatenation", "['ab', 'c']", "['a', 'bc']"),
    _value("dict order", "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    _value("dict key type", "{1: 'a'}", "{'1': 'a'}"),
    _value("dict key bool", "{1: 'a'}", "{True: 'a'}"),
    _value("set", "{1, 2}", "{1, 3}"),
    _value("set type", "{1, 2}", "frozenset({1, 2})"),
    _value("frozenset", "frozenset('ab')", "frozenset('ac')"),
    _value("bytearray", "bytearray(b'a')", "bytearray(b'b')"),
    _value("memoryview", "memoryview(b'a')", "memoryview(b'b')"),
    _value("range", "range(3)", "range(4)"),
    _value("slice", "slice(1, 2)", "slice(1, 3)"),
    _value("array", "array.array('i', [1])", "array.array('i', [2])"),
    _value("array type", "array.array('i', [1])", "array.array('l', [1])"),
    _value("deque", "collections.deque([1])", "collections.deque([2])"),
    _value("deque length", "collections.deque([1], 3)", "collections.deque([1], 4)"),
    _value("ordered", "collections.OrderedDict(a=1)", "collections.OrderedDict(a=2)"),
    _value("counter", "collections.Counter('aab')", "collections.Counter('aabb')"),
    _value("default factory", "collections.defaultdict(int)", "collections.defaultdict(list)"),
    _value("chain map", "collections.ChainMap({'a': 1})", "collections.ChainMap({'a': 2})"),
    _value("proxy", "types.MappingProxyType({'a': 1})", "types.MappingProxyType({'b': 1})"),
    _value("namespace", "types.SimpleNamespace(a=1)", "types.SimpleNamespace(a=2)"),
    _value("date", "datetime.date(2020, 1, 1)", "datetime.date(2020, 1, 2)"),
    _value(
        "time",
        "datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)",
        "datetime.datetime(2020, 1, 1)",
    ),
    _value("interval", "datetime.timedelta(1)", "datetime.timedelta(2)"),
    _value("decimal", "decimal.Decimal('1.0')", "decimal.Decimal('1.00')"),
    _value("fraction", "fractions.Fraction(1, 3)", "fractions.Fraction(2, 3)"),
    _value("path", "pathlib.Path('a/b')", "pathlib.Path('a/c')"),
    _value("path to text", "pathlib.Path('a')", "'a'"),
    _value("uuid", "uuid.UUID(int=1)", "uuid.UUID(int=2)"),
    _value("pattern", "re.compile('a')", "re.compile('b')"),
    _value("pattern flags", "re.compile('a')", "re.compile('a', re.X)"),
    _value("enum member", "Kind.A", "Kind.B"),
    _value("instance", "Thing(a=1)", "Thing(a=2)"),
    _value("instance attribute name", "Thing(a=1)", "Thing(b=1)"),
    _value("instances nested", "[Thing(a=Thing(b=1))]", "[Thing(a=Thing(b=2))]"),
    _value("type", "int", "float"),
    _value("numpy array", "np.array([1, 2])", "np.array([1, 3])"),
    _value("numpy type", "np.array([1, 2], 'i4')", "np.array([1, 2], 'i8')"),
    _value("numpy shape", "np.zeros((2, 3))", "np.zeros((3, 2))"),
    _value("numpy byte order", "np.array([1], '<i4')", "np.array([1], '>i4')"),
    _value("numpy scalar", "np.float32(1)", "np.float64(1)"),
    _value("numpy scalar value", "np.int64(1)", "np.int64(2)"),
    _value("numpy transposed", "np.arange(4).reshape(2, 2)", "np.arange(4).reshape(2, 2).T"),
    _value("numpy structured", "np.zeros(1, [('a', 'i4')])", "np.zeros(1, [('b', 'i4')])"),
    _value("numpy objects", "np.array([1, 'a'], object)", "np.array([1, 'b'], object)"),
    _value("numpy strided", "np.arange(6)[::2]", "np.arange(6)[1::2]"),
    _value("numpy minus zero", "np.array([0.0])", "np.array([-0.0])"),
    _value("numpy dates", "np.array(['2020'], 'M8[Y]')", "np.array(['2021'], 'M8[Y]')"),
    _value("numpy masked", "np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 2], mask=[1, 0])"),
    _value("numpy dtype", "np.dtype('f4')", "np.dtype('f8')"),
    rerun(
        "numpy generator seed",
        "import numpy as np\nRNG = np.random.default_rng(0)\ndef run(x):\n    return RNG.random()\n",
        "default_rng(0)",
        "default_rng(1)",
    ),
    rerun(
        "random seed",
        "import random\nR = random.Random(0)\ndef run(x):\n    return R.random()\n",
        "Random(0)",
        "Random(1)",
    ),
    rerun(
        "vectorised function",
        "import numpy as np\ndef f(v):\n    return v + 1\nF = np.vectorize(f)\n"
        "def run(x):\n    return F([x]).tolist()\n",
        "v + 1",
        "v + 2",
    ),
    rerun(
        "vectorised types",
        "import numpy as np\ndef f(v):\n    return v + 1\nF = np.vectorize(f, otypes='i')\n"
        "def run(x):\n    return F([x]).dtype.str\n",
        "otypes='i'",
        "otypes='f'",
    ),
    rerun(
        "numpy patched",
        "import numpy as np\ndef mine(v):\n    return 1\nnp.mean = mine\n"
        "def run(x):\n    return np.mean([x])\n",
        "return 1",
        "return 2",
    ),
    rerun(
        "numpy constant patched",
        "import numpy as np\nnp.pi = 3.0\ndef run(x):\n    return np.pi\n",
        "3.0",
        "4.0",
    ),
    rerun(
        "standard constant patched",
        "import math\nmath.pi = 3.0\ndef run(x):\n    return math.pi\n",
        "3.0",
        "4.0",
    ),
    rerun("computed constant", "A = 2\nB = A * 3\ndef run(x):\n    return B\n", "A = 2", "A = 3"),
    rerun(
        "computed by a helper",
        "def make():\n    return [1, 2]\nB = make()\ndef run(x):\n    return B\n",
        "[1, 2]",
        "[1, 3]",
    ),
    rerun("data read on import", _DATA, "params.json", "2", "3"),
    rerun("text read on import", _DATA, "words.txt", "two", "three"),
    rerun("dataclass instance", _CONFIG, "rate=0.25", "rate=0.75"),
    rerun("dataclass default used", _CONFIG, '("a",)', '("b",)'),
    keep("unread instance", _CONFIG, "OTHER = Config()", "OTHER = Config(rate=3)"),
    keep("logger name", _CONFIG, 'getLogger("x")', 'getLogger("y")'),
    keep("equal value", "A = 1 + 1\ndef run(x):\n    return A\n", "1 + 1", "4 - 2"),
    keep(
        "equal value by a helper",
        "def make():\n    return [1, 2]\nB = make()\ndef run(x):\n    return B\n",
        "return [1, 2]",
        "return [*range(1, 3)]",
    ),
    keep(
        "set order",
        "S = {'a', 'b', 'c'}\ndef run(x):\n    return sorted(S)\n",
        "{'a', 'b', 'c'}",
        "{'c', 'b', 'a'}",
    ),
    rerun(
        "set of functions",
        "def a(x):\n    return 1\ndef b(x):\n    return 2\nS = {a, b}\n"
        "def run(x):\n    return sorted(f(x) for f in S)\n",
        "return 2",
        "return 3",
    ),
    rerun("cyclic value", "L = [1]\nL.append(L)\ndef run(x):\n    return L[0]\n", "[1]", "[2]"),
    rerun(
        "deeply nested",
        "L = []\nfor i in range(5000):\n    L = [L]\nL = {'k': 1, 'l': L}\n"
        "def run(x):\n    return L['k']\n",
        "'k': 1",
        "'k': 2",
    ),
    rerun("module docstring read", '"one"\ndef run(x):\n    return __doc__\n', '"one"', '"two"'),
    rerun(
        "docstring read",
        'def h():\n    "one"\ndef run(x):\n    return h.__doc__\n',
        '"one"',
        '"two"',
    ),
    rerun(
        "docstring read by name",
        'def h():\n    "one"\ndef run(x):\n    return getattr(h, "__doc__")\n',
        '"one"',
        '"two"',
    ),
    rerun(
        "class docstring read",
        'class C:\n    "one"\ndef run(x):\n    return C().__doc__\n',
        '"one"',
        '"two"',
    ),
    rerun(
        "getdoc",
        'import inspect\ndef h():\n    "one"\ndef run(x):\n    return inspect.getdoc(h)\n',
        '"one"',
        '"two"',
    ),
    rerun(
        "annotations read",
        "def h(a: int): ...\ndef run(x):\n    return str(h.__annotations__)\n",
        "a: int",
        "a: str",
    ),
    rerun(
        "signature read",
        "import inspect\ndef h(a: int): ...\ndef run(x):\n    return str(inspect.signature(h))\n",
        "a: int",
        "a: str",
    ),
    rerun(
        "type hints read",
        "from typing import get_type_hints\nclass C:\n    a: int\ndef run(x):\n"
        "    return str(get_type_hints(C))\n",
        "a: int",
        "a: str",
    ),
    rerun(
        "class annotations read",
        "class C:\n    a: int = 1\ndef run(x):\n    return str(C.__annotations__)\n",
        "int",
        "float",
    ),
]
