"""Edits of classes that the function reaches."""

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_BASIC = """
class Root:
    unit = 2
    def __init__(self, v):
        self.v = v
    def value(self):
        return self.v * self.unit
class Middle(Root):
    def value(self):
        return super().value() + 1
    @property
    def twice(self):
        return self.v * 2
    @twice.setter
    def twice(self, n):
        self.v = n / 2
    @staticmethod
    def fixed():
        return 7
    @classmethod
    def made(cls, v):
        return cls(v + 1)
class Leaf(Middle):
    "A leaf."
    limit = 10
def run(x):
    leaf = Leaf.made(x)
    first = leaf.value(), leaf.twice, leaf.fixed(), Leaf.limit
    leaf.twice = 12
    return first, leaf.v
"""
_OPERATORS = """
class V:
    def __init__(self, a):
        self.a = a
    def __add__(self, o):
        return V(self.a + o.a)
    def __eq__(self, o):
        return self.a == o.a
    def __hash__(self):
        return hash(self.a)
    def __iter__(self):
        return iter([self.a, 1])
    def __getitem__(self, i):
        return self.a + i
    def __contains__(self, i):
        return i == self.a
    def __len__(self):
        return 4
    def __bool__(self):
        return True
    def __getattr__(self, name):
        return name + "!"
    def __format__(self, spec):
        return "v" + spec
    def __call__(self, z):
        return z * 2
    def __class_getitem__(cls, k):
        return k
    def __repr__(self):
        return "V"
    def __lt__(self, o):
        return self.a < o.a
def run(x):
    v = V(x)
    return ((v + V(1)).a, v == V(3), list(v), v[2], 3 in v, len(v), bool(v), v.anything,
            f"{v:>3}", v(5), V[int], repr(v), sorted([V(2), V(1)])[0].a)
"""
_META = """
class Meta(type):
    registry = []
    def __new__(meta, name, bases, space, k=1):
        space["added"] = k
        return super().__new__(meta, name, bases, space)
    def __init__(cls, name, bases, space, k=1):
        Meta.registry.append(name)
    def __call__(cls, *a):
        made = super().__call__(*a)
        made.tag = "tag"
        return made
    def __len__(cls):
        return 3
    @property
    def shown(cls):
        return "meta"
class A(metaclass=Meta, k=5):
    pass
def run(x):
    return A.added, A().tag, len(A), A.shown, Meta.registry
"""
_HOOKS = """
class Plugin:
    found = {}
    def __init_subclass__(cls, /, key="", **rest):
        Plugin.found[key] = cls
class One(Plugin, key="one"):
    def go(self, x):
        return x + 1
class Field:
    def __set_name__(self, owner, name):
        self.name = name + "_"
    def __get__(self, obj, kind=None):
        return self.name
    def __set__(self, obj, value):
        raise AttributeError
class Record:
    first = Field()
def run(x):
    return Plugin.found["one"]().go(x), Record().first
"""
_DATA = """
from dataclasses import dataclass, field, asdict, astuple
from typing import ClassVar
@dataclass(order=True)
class Point:
    x: int = 1
    y: float = 2.0
    tags: list = field(default_factory=lambda: ["t"], repr=False)
    scale: ClassVar[int] = 3
    def norm(self):
        return self.x * self.scale
    def __post_init__(self):
        self.z = self.x + 1
def run(x):
    p = Point(x)
    return repr(p), astuple(p), p.norm(), p.z, Point(1) < Point(2)
"""
_ENUM = """
import enum
class Color(enum.Enum):
    RED = 1
    GREEN = 2
    def label(self):
        return self.name.lower()
    @classmethod
    def _missing_(cls, value):
        return cls.RED
class Mode(enum.Flag):
    R = enum.auto()
    W = enum.auto()
    RW = R | W
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 5
class Name(str, enum.Enum):
    A = "a"
MODE = Mode.RW
def run(x):
    return (list(Color), Color(2).label(), Color(9), MODE.value, Level.HIGH + x, Name.A.value,
            [c.value for c in Color])
"""
_TUPLES = """
from collections import namedtuple
from typing import NamedTuple, TypedDict
Pair = namedtuple("Pair", "a b", defaults=[5])
class Triple(NamedTuple):
    a: int
    b: int = 3
    def total(self):
        return self.a + self.b
class Options(TypedDict, total=False):
    depth: int
def run(x):
    return Pair(x), Triple(x), Triple(x).total(), Options(depth=1)
"""
_SLOTS = """
class S:
    __slots__ = ("a", "b")
    def __init__(self):
        self.a = 1
class T(S):
    __slots__ = ("c",)
ITEM = T()
ITEM.a, ITEM.c = 1, 2
def run(x):
    return ITEM.a, ITEM.c, x
"""
_MIXINS = """
class A:
    def who(self):
        return "a"
class B:
    def who(self):
        return "b"
class C(A, B):
    pass
def run(x):
    return C().who()
"""
_TOOLS = """
import functools, abc
@functools.total_ordering
class N:
    def __init__(self, v):
        self.v = v
    def __lt__(self, o):
        return self.v < o.v
    def __eq__(self, o):
        return self.v == o.v
    @functools.cached_property
    def big(self):
        return self.v * 100
    @functools.singledispatchmethod
    def show(self, value):
        return "any"
    @show.register
    def _(self, value: int):
        return "int"
    def add(self, n, m=0):
        return self.v + n + m
    add_two = functools.partialmethod(add, 2)
class Base(abc.ABC):
    @abc.abstractmethod
    def go(self): ...
class Impl(Base):
    def go(self):
        return "go"
class Other:
    pass
Base.register(Other)
def run(x):
    n = N(x)
    return (n >= N(2), n.big, n.show(1), n.show(""), n.add_two(), Impl().go(),
            isinstance(Other(), Base))
"""
_MADE = """
import dataclasses, types
def go(self, x):
    return x + self.k
K = type("K", (), {"k": 1, "go": go})
D = dataclasses.make_dataclass("D", [("a", int, 4)], namespace={"two": lambda self: self.a * 2})
E = types.new_class("E", (), {}, lambda ns: ns.update(k=6))
def run(x):
    return K().go(x), D().two(), E.k
"""
_WRAPPED = """
def tagged(tag):
    def wrap(cls):
        cls.tag = tag
        old = cls.go
        def go(self, x):
            return old(self, x) + 1
        cls.go = go
        return cls
    return wrap
@tagged("a")
class C:
    def go(self, x):
        return x * 2
    class Inner:
        depth = 2
def run(x):
    return C().go(x), C.tag, C.Inner.depth
"""
_CONTAINERS = """
class Bag(list):
    kind = "bag"
    def total(self):
        return sum(self)
class Named(dict):
    def __missing__(self, key):
        return key * 2
BAG = Bag([1, 2])
BAG.note = "n"
NAMED = Named(a=1)
def run(x):
    return BAG.total(), BAG.note, NAMED["a"], NAMED["b"], list(BAG)
"""

EDITS: list[Edit] = [
    rerun("base method", _BASIC, "self.v * self.unit", "self.v + self.unit"),
    rerun("base attribute", _BASIC, "unit = 2", "unit = 3"),
    rerun("super call", _BASIC, "super().value() + 1", "super().value() + 2"),
    rerun("property", _BASIC, "return self.v * 2", "return self.v * 4"),
    rerun("property setter", _BASIC, "n / 2", "n / 3"),
    rerun("static method", _BASIC, "return 7", "return 8"),
    rerun("class method", _BASIC, "cls(v + 1)", "cls(v + 2)"),
    rerun("class attribute", _BASIC, "limit = 10", "limit = 11"),
    rerun("init", _BASIC, "self.v = v\n    def value", "self.v = -v\n    def value"),
    rerun(
        "override added", _BASIC, "limit = 10", "limit = 10\n    def value(self):\n        return 0"
    ),
    rerun(
        "override removed", _BASIC, "    def value(self):\n        return super().value() + 1\n", ""
    ),
    rerun(
        "base changed",
        _BASIC,
        "class Leaf(Middle)",
        "class Leaf(type('X', (Middle,), {'unit': 9}))",
    ),
    keep("class docstring", _BASIC, '"A leaf."', '"Another leaf."'),
    keep("class docstring removed", _BASIC, '    "A leaf."\n', ""),
    keep(
        "methods reordered",
        _BASIC,
        "    @staticmethod\n    def fixed():\n        return 7\n    @classmethod\n"
        "    def made(cls, v):\n        return cls(v + 1)\n",
        "    @classmethod\n    def made(cls, v):\n        return cls(v + 1)\n"
        "    @staticmethod\n    def fixed():\n        return 7\n",
    ),
    keep("unrelated class", _BASIC, "def run", "class Unrelated:\n    k = 1\ndef run"),
    *[
        rerun(f"operator {name}", _OPERATORS, old, new)
        for name, old, new in [
            ("add", "self.a + o.a", "self.a - o.a"),
            ("eq", "return self.a == o.a", "return self.a != o.a"),
            ("iter", "iter([self.a, 1])", "iter([self.a, 2])"),
            ("getitem", "self.a + i", "self.a - i"),
            ("contains", "i == self.a", "i != self.a"),
            ("len", "return 4", "return 5"),
            ("bool", "return True", "return False"),
            ("getattr", 'name + "!"', 'name + "?"'),
            ("format", '"v" + spec', '"w" + spec'),
            ("call", "z * 2", "z * 3"),
            ("class getitem", "        return k\n", "        return [k]\n"),
            ("repr", 'return "V"', 'return "W"'),
            ("lt", "self.a < o.a", "self.a > o.a"),
        ]
    ],
    rerun("metaclass new", _META, 'space["added"] = k', 'space["added"] = k + 1'),
    rerun("metaclass keyword", _META, "k=5", "k=6"),
    rerun("metaclass call", _META, '"tag"', '"label"'),
    rerun("metaclass len", _META, "return 3", "return 4"),
    rerun("metaclass property", _META, '"meta"', '"type"'),
    rerun("metaclass registry", _META, "append(name)", "append(name * 2)"),
    rerun("registered subclass", _HOOKS, "x + 1", "x + 2"),
    rerun("set name", _HOOKS, 'name + "_"', 'name + "__"'),
    rerun("descriptor get", _HOOKS, "return self.name", "return self.name * 2"),
    rerun("descriptor's place", _HOOKS, "first = Field()", "first = other = Field()"),
    rerun("dataclass default", _DATA, "y: float = 2.0", "y: float = 3.0"),
    rerun("dataclass factory", _DATA, '["t"]', '["u"]'),
    rerun("dataclass repr flag", _DATA, "repr=False", "repr=True"),
    rerun(
        "dataclass order",
        _DATA,
        "    x: int = 1\n    y: float = 2.0\n",
        "    y: float = 2.0\n    x: int = 1\n",
    ),
    rerun("dataclass class variable", _DATA, "ClassVar[int] = 3", "ClassVar[int] = 4"),
    rerun("dataclass class variable becomes field", _DATA, "ClassVar[int] = 3", "int = 3"),
    rerun("dataclass method", _DATA, "self.x * self.scale", "self.x - self.scale"),
    rerun("dataclass post init", _DATA, "self.x + 1", "self.x + 2"),
    rerun(
        "dataclass parameter", _DATA, "@dataclass(order=True)", "@dataclass(order=True, repr=False)"
    ),
    rerun("dataclass field added", _DATA, "    scale:", "    extra: int = 0\n    scale:"),
    keep("dataclass annotation", _DATA, "x: int = 1", "x: object = 1"),
    rerun("enum value", _ENUM, "GREEN = 2", "GREEN = 3"),
    rerun("enum order", _ENUM, "RED = 1\n    GREEN = 2", "GREEN = 2\n    RED = 1"),
    rerun("enum method", _ENUM, "lower()", "upper()"),
    rerun("enum missing", _ENUM, "return cls.RED", "return cls.GREEN"),
    rerun(
        "enum auto", _ENUM, "    R = enum.auto()\n", "    X = enum.auto()\n    R = enum.auto()\n"
    ),
    rerun("enum combination", _ENUM, "RW = R | W", "RW = W"),
    rerun("int enum", _ENUM, "HIGH = 5", "HIGH = 6"),
    rerun("text enum", _ENUM, '"a"', '"b"'),
    rerun("enum value type", _ENUM, "RED = 1", "RED = 1.0"),
    rerun("flag value held", _ENUM, "MODE = Mode.RW", "MODE = Mode.R"),
    rerun("named tuple default", _TUPLES, "defaults=[5]", "defaults=[6]"),
    rerun("named tuple fields", _TUPLES, '"a b"', '"b a"'),
    rerun("typed named tuple default", _TUPLES, "b: int = 3", "b: int = 4"),
    rerun("typed named tuple method", _TUPLES, "self.a + self.b", "self.a - self.b"),
    keep("typed named tuple annotation", _TUPLES, "a: int", "a: float"),
    rerun("slot value", _SLOTS, "ITEM.a, ITEM.c = 1, 2", "ITEM.a, ITEM.c = 1, 3"),
    rerun("slot of the base", _SLOTS, "ITEM.a, ITEM.c = 1, 2", "ITEM.a, ITEM.c = 9, 2"),
    rerun("order of bases", _MIXINS, "C(A, B)", "C(B, A)"),
    rerun(
        "base method removed",
        _MIXINS,
        'class A:\n    def who(self):\n        return "a"',
        "class A:\n    pass",
    ),
    rerun("total ordering", _TOOLS, "self.v < o.v", "self.v > o.v"),
    rerun("cached property", _TOOLS, "self.v * 100", "self.v * 200"),
    rerun("single dispatch method", _TOOLS, '"int"', '"whole"'),
    rerun("single dispatch method default", _TOOLS, '"any"', '"all"'),
    rerun("partial method", _TOOLS, "partialmethod(add, 2)", "partialmethod(add, 3)"),
    rerun("partial method's default", _TOOLS, "m=0", "m=1"),
    rerun("abstract implementation", _TOOLS, 'return "go"', 'return "went"'),
    rerun("virtual subclass", _TOOLS, "Base.register(Other)", "None"),
    rerun("type(): attribute", _MADE, '{"k": 1', '{"k": 2'),
    rerun("type(): method", _MADE, "x + self.k", "x - self.k"),
    rerun("make_dataclass default", _MADE, "int, 4", "int, 5"),
    rerun("make_dataclass method", _MADE, "self.a * 2", "self.a * 3"),
    rerun("new_class", _MADE, "k=6", "k=7"),
    rerun("class decorator argument", _WRAPPED, '@tagged("a")', '@tagged("b")'),
    rerun("class decorator body", _WRAPPED, "old(self, x) + 1", "old(self, x) + 2"),
    rerun("decorated class method", _WRAPPED, "x * 2", "x * 3"),
    rerun("nested class", _WRAPPED, "depth = 2", "depth = 3"),
    rerun("list subclass items", _CONTAINERS, "Bag([1, 2])", "Bag([1, 3])"),
    rerun("list subclass attribute", _CONTAINERS, 'BAG.note = "n"', 'BAG.note = "m"'),
    rerun("list subclass method", _CONTAINERS, "sum(self)", "-sum(self)"),
    rerun("dict subclass hook", _CONTAINERS, "key * 2", "key * 3"),
    rerun("dict subclass items", _CONTAINERS, "Named(a=1)", "Named(a=2)"),
    rerun(
        "init subclass in a base",
        "class B:\n    def __init_subclass__(cls):\n        cls.k = 1\nclass C(B):\n    pass\n"
        "def run(x):\n    return C.k\n",
        "cls.k = 1",
        "cls.k = 2",
    ),
    rerun(
        "class attribute set later",
        "class C:\n    k = 1\nC.k = 2\ndef run(x):\n    return C.k\n",
        "C.k = 2",
        "C.k = 3",
    ),
    rerun(
        "generic base",
        "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
        "class G(Generic[T]):\n    k = 1\ndef run(x):\n    return G[int]().k\n",
        "k = 1",
        "k = 2",
    ),
    rerun(
        "protocol",
        "from typing import Protocol, runtime_checkable\n@runtime_checkable\n"
        "class P(Protocol):\n    def go(self): ...\nclass A:\n    def go(self): ...\n"
        "def run(x):\n    return isinstance(A(), P)\n",
        "class A:\n    def go",
        "class A:\n    def went",
    ),
    rerun(
        "exception class",
        "class E(Exception):\n    def __str__(self):\n        return 'e'\n"
        "def run(x):\n    try:\n        raise E(x)\n    except E as e:\n        return str(e)\n",
        "'e'",
        "'f'",
    ),
    rerun(
        "subclasses",
        "class B:\n    pass\nclass C(B):\n    k = 1\n"
        "def run(x):\n    return [c.k for c in B.__subclasses__()]\n",
        "k = 1",
        "k = 2",
    ),
    rerun(
        "namespace order read",
        "class C:\n    a = 1\n    b = 2\n"
        "def run(x):\n    return [k for k in vars(C) if k in 'ab']\n",
        "a = 1\n    b = 2",
        "b = 2\n    a = 1",
    ),
    rerun(
        "what a generic base was given",
        "from typing import Generic, TypeVar, get_args\nT = TypeVar('T')\n"
        "class G(Generic[T]):\n    def made(self):\n"
        "        return get_args(type(self).__orig_bases__[0])[0](41)\n"
        "class C(G[int]):\n    pass\ndef run(x):\n    return C().made()\n",
        "G[int]",
        "G[str]",
    ),
    keep(
        "what a generic base was given, which nobody reads",
        "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
        "class G(Generic[T]):\n    k = 1\nclass C(G[int]):\n    pass\n"
        "def run(x):\n    return C().k\n",
        "G[int]",
        "G[str]",
    ),
    rerun(
        "class of an object that cannot be looked at",
        "class A:\n    def __fingerprint__(self):\n        return self.size\n"
        "    def f(self):\n        return 1\n"
        "a = A()\ndef run(x):\n    return a.f()\n",
        "return 1",
        "return 2",
    ),
]
