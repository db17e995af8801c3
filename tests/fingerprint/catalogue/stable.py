"""Values whose encoding must not depend on the process: hash seed, addresses, padding, chance."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_RECORD = "from collections import namedtuple\nSeed = namedtuple('Seed', 'name radius')\n"
_DATACLASS = "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\nclass Roi:\n    name: str\n    r: int = 1\n"
_ALIGNED = "import numpy as np\nI = np.dtype([('a', 'i1'), ('b', 'i4')], align=True)\nT = np.dtype([('x', 'i1'), ('y', I, (2,)), ('z', np.longdouble)], align=True)\n"
# head, expression of the global, what is read of it, what is edited in the expression
_VALUES = {
    "set of named tuples": (_RECORD, "{Seed('a', 1), Seed('b', 2), Seed('c', 3), Seed('d', 4)}", "sorted(G)", ("'c', 3", "'c', 7")),
    "set of slotted dataclasses": (_DATACLASS, "{Roi('a'), Roi('b'), Roi('c'), Roi('d', 3)}", "sorted(s.r for s in G)", ("'d', 3", "'d', 4")),
    "frozenset of attrs records": ("import attrs\n@attrs.frozen\nclass R:\n    n: str\n    r: int = 1\n", "frozenset({R('a'), R('b'), R('c'), R('d', 3)})", "sorted(s.r for s in G)", ("'d', 3", "'d', 4")),
    "set of dates": ("import datetime as d\n", "{d.date(2020, 1, i) for i in range(1, 6)} | {d.datetime(2020, 1, 1), d.timedelta(1), d.time(3)}", "len(G)", ("range(1, 6)", "range(1, 7)")),
    "set of closures": ("def make(k):\n    return lambda x: x * k\n", "{make(1), make(2), make(3), make(4)}", "sorted(f(x) for f in G)", ("make(4)", "make(5)")),
    "set of bound methods": ("class A:\n    def __init__(self, k):\n        self.k = k\n    def go(self, x):\n        return x * self.k\n    def __hash__(self):\n        return hash(str(self.k))\n", "{A(1).go, A(2).go, A(3).go}", "sorted(f(x) for f in G)", ("A(3)", "A(4)")),
    "set in a set of records": (_RECORD, "{(1, Seed('a', 1)), (2, Seed('b', 2)), (3, frozenset({Seed('c', 3), Seed('d', 4), Seed('e', 5)}))}", "sorted(map(str, [len(p[1]) for p in G]))", (", Seed('e', 5)", "")),
    "set of text of one's own class": ("class S(str):\n    pass\n", "{S('a'), S('b'), S('c')}", "sorted(G)", ("S('c')", "S('d')")),
    "set of what refers to the set": ("class A:\n    def __init__(self, k):\n        self.k = k\n    def __hash__(self):\n        return hash(self.k)\ndef bound(found):\n    for each in found:\n        each.all = found\n    return found\n", "bound({A('a'), A('b'), A('c')})", "sorted(each.k for each in G)", ("A('c')", "A('d')")),
    "set of classes": ("class A:\n    v = 1\nclass B:\n    v = 2\n", "{A, B, int, str}", "sorted(getattr(f, 'v', 0) for f in G)", ("{A, B, int", "{B, int")),
    "aligned records": (_ALIGNED, "np.empty(2, T)\nG['x'] = 1; G['y']['a'] = 2; G['y']['b'] = 3; G['z'] = 1", "int(G['y']['b'].sum())", ("['b'] = 3", "['b'] = 4")),
    "long doubles": ("import numpy as np\n", "np.array([1, 2, 3], dtype=np.longdouble) / 3", "float(G.sum())", ("[1, 2, 3]", "[1, 2, 4]")),
    "one aligned record": (_ALIGNED, "np.empty(2, I)\nG[:] = (1, 2)\nG = G[0]", "int(G['b'])", ("(1, 2)", "(1, 3)")),
    "frozen distribution": ("from scipy import stats\n", "stats.norm(0, 1)", "round(float(G.cdf(x)), 6)", ("(0, 1)", "(0, 2)")),
    "pydantic adapter": ("from pydantic import BaseModel, TypeAdapter\nclass A(BaseModel):\n    k: int\n", "TypeAdapter(list[A])", "len(G.validate_python([{'k': 1}])) + 0", ("TypeAdapter(list[A])", "TypeAdapter(tuple[A, ...] | str)")),
    "pydantic generic": ("from pydantic import BaseModel\nfrom typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(BaseModel, Generic[T]):\n    k: T\n", "A[int](k='1')", "G.k", ("'1'", "'2'")),
    "pydantic dataclass": ("from pydantic.dataclasses import dataclass\n@dataclass\nclass P:\n    k: int = 2\n", "P()", "G.k", ("P()", "P(k=3)")),
}  # fmt: skip


def _script(head: str, value: str, use: str) -> str:
    return f"{head}G = {value}\ndef run(x):\n    return {use}\n"


EDITS: list[Edit] = [
    *(rerun(name, _script(*parts), *change) for name, (*parts, change) in _VALUES.items() if name != "pydantic adapter"),
    *(
        keep(f"{name}, unchanged", _script(*parts), "def run", "# why\ndef run")
        for name, (*parts, _) in _VALUES.items()
    ),
]  # fmt: skip
