"""Edits of what values hold beyond the type that they are known by, or show only if asked."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

# a base that is known by name, how the derived class differs from it, what makes and uses one
_DERIVED = {
    "property": "class K(property):\n    def __get__(s, i, o=None): return s.fget(i) * 2\nclass A:\n    @K\n    def k(s): return 1\ndef run(x): return A().k\n",
    "cached property": "import functools\nclass K(functools.cached_property):\n    def __get__(s, i, o=None): return super().__get__(i, o) * 2\nclass A:\n    @K\n    def k(s): return 1\ndef run(x): return A().k\n",
    "static method": "class K(staticmethod):\n    def __get__(s, i, o=None): return lambda: super(K, s).__get__(i, o)() * 2\nclass A:\n    @K\n    def k(): return 1\ndef run(x): return A().k()\n",
    "class method": "class K(classmethod):\n    def __get__(s, i, o=None): return lambda: super(K, s).__get__(i, o)() * 2\nclass A:\n    @K\n    def k(c): return 1\ndef run(x): return A.k()\n",
    "dispatched method": "import functools\nclass K(functools.singledispatchmethod):\n    def __get__(s, i, o=None): return lambda v: super(K, s).__get__(i, o)(v) * 2\nclass A:\n    @K\n    def k(s, v): return 1\ndef run(x): return A().k(x)\n",
    "namespace": "import types\nclass K(types.SimpleNamespace):\n    def k(s): return s.fwhm * 2\nS = K(fwhm=6)\ndef run(x): return S.k()\n",
    "path": "import pathlib\nclass K(type(pathlib.Path())):\n    def k(s): return len(s.name) * 2\nS = K('abc')\ndef run(x): return S.k()\n",
    "logger": "import logging\nclass K(logging.Logger):\n    def k(s): return 3 * 2\nS = K('a')\ndef run(x): return S.k()\n",
    "logger adapter": "import logging\nclass K(logging.LoggerAdapter):\n    def process(s, m, k): return len(m) * 2, k\nS = K(logging.getLogger('a'), {})\ndef run(x): return S.process('abc', {})[0]\n",
    "executor": "from concurrent.futures import ThreadPoolExecutor\nclass K(ThreadPoolExecutor):\n    def k(s): return 3 * 2\nS = K(1)\ndef run(x): return S.k()\n",
    "fraction": "import fractions\nclass K(fractions.Fraction):\n    def k(s): return s.numerator * 2\nS = K(1, 2)\ndef run(x): return S.k()\n",
    "identifier": "import uuid\nclass K(uuid.UUID):\n    def k(s): return s.int * 2\nS = K(int=3)\ndef run(x): return S.k()\n",
    "machine array": "import array\nclass K(array.array):\n    def k(s): return s[0] * 2\nS = K('i', [1])\ndef run(x): return S.k()\n",
    "weak mapping": "import weakref\nclass K(weakref.WeakValueDictionary):\n    def k(s): return 3 * 2\nS = K()\ndef run(x): return S.k()\n",
    "weak set": "import weakref\nclass K(weakref.WeakSet):\n    def k(s): return 3 * 2\nS = K()\ndef run(x): return S.k()\n",
    "weak reference": "import weakref\nclass K(weakref.ref):\n    def k(s): return 3 * 2\nclass A: pass\na = A()\nS = K(a)\ndef run(x): return S.k()\n",
    "numpy number": "import numpy as np\nclass K(np.float64):\n    def k(s): return float(s) * 2\nS = K(3)\ndef run(x): return S.k()\n",
    "numpy array": "import numpy as np\nclass K(np.ndarray):\n    def k(s): return int(s.sum()) * 2\nS = np.arange(3).view(K)\ndef run(x): return S.k()\n",
    "module": "import sys, types\nclass K(types.ModuleType):\n    def k(s): return 3 * 2\nS = K('s')\ndef run(x): return S.k()\n",
    "proxy": "import wrapt\nclass K(wrapt.ObjectProxy):\n    def k(s): return s[0] * 2\nS = K([3])\ndef run(x): return S.k()\n",
    "function proxy": "import wrapt\nclass K(wrapt.FunctionWrapper):\n    def __init__(s, f): super().__init__(f, s.go)\n    def go(s, wrapped, instance, args, kwargs): return wrapped(*args) * 2\n@K\ndef h(x): return x\ndef run(x): return h(x)\n",
}
_ATTRIBUTE = {
    "namespace, in a slot": "import types\nclass K(types.SimpleNamespace):\n    __slots__ = ('own',)\nS = K(a=1)\nS.own = 5\ndef run(x): return S.own\n",
    "path": "import pathlib\nclass K(type(pathlib.Path())): pass\nS = K('abc')\nS.own = 5\ndef run(x): return S.own\n",
    "property": "class K(property):\n    def __init__(s, f, own): super().__init__(f); s.own = own\nclass A:\n    k = K(lambda s: 1, 5)\ndef run(x): return A.k.own\n",
    "logger": "import logging\nclass K(logging.Logger): pass\nS = K('abc')\nS.own = 5\ndef run(x): return S.own\n",
    "executor": "from concurrent.futures import ThreadPoolExecutor\nclass K(ThreadPoolExecutor): pass\nS = K(1)\nS.own = 5\ndef run(x): return S.own\n",
    "proxy": "import wrapt\nclass K(wrapt.ObjectProxy):\n    def __init__(s, o, own): super().__init__(o); s._self_own = own\nS = K([3], 5)\ndef run(x): return S._self_own, S[0]\n",
}
_LOG = "import logging\nclass K(logging.Logger): pass\nlogging.setLoggerClass(K)\nL = logging.getLogger('a')\ndef run(x):\n    L.info('x')\n    return x\n"
_PROXIES = "import wrapt\n@wrapt.decorator\ndef deco(wrapped, instance, args, kwargs):\n    return wrapped(*args, **kwargs)\n"
_TYPED = "import dataclasses, typing\n@dataclasses.dataclass\nclass C:\n    v: typing.Annotated[int, 5] = 3\ndef run(x): return typing.get_type_hints(C, include_extras=True)['v'].__metadata__\n"
_JOBLIB = "import joblib, tempfile\nM = joblib.Memory('cached', verbose=0)\n@M.cache\ndef h(v):\n    'Double.'\n    return v * 2\ndef run(x): return h.func(x)\n"
_HELD = {
    "a match": "import re\nT = '5'\nS = re.search(r'\\d', T)\ndef run(x): return S[0]\n",
    "a row": "import sqlite3\nc = sqlite3.connect(':memory:')\nc.row_factory = sqlite3.Row\nS = c.execute('select 5 as a').fetchone()\nc.close()\ndel c\ndef run(x): return S['a']\n",
    "lines that are parsed": "import csv\nS = csv.DictReader(['a', '5'])\ndef run(x): return next(S)\n",
    "a queue": "import queue\nS = queue.SimpleQueue()\nS.put(5)\ndef run(x): return S.get()\n",
    "a flat iterator": "import numpy as np\nS = np.ndenumerate(np.array([5]))\ndef run(x): return int(next(S)[1])\n",
    "an iterator over arrays": "import numpy as np\nS = np.nditer(np.array([5]))\ndef run(x): return int(next(S))\n",
    "a document": "import lxml.etree\nS = lxml.etree.fromstring('<a>5</a>')\ndef run(x): return S.text\n",
    "a list in a proxy": "import wrapt\nS = wrapt.ObjectProxy([5])\ndef run(x): return S[0]\n",
    "Annotated": "import typing\nS = typing.Annotated[int, 5]\ndef run(x): return S.__metadata__\n",
}

_LIBRARY = """
import ctypes
L = ctypes.CDLL(None)
def check(result, function, given):
    return result + 1
L.abs.restype = ctypes.c_int
L.abs.argtypes = [ctypes.c_int]
def run(x):
    return L.abs(-x)
"""
_LIBRARY_CHECKED = _LIBRARY.replace("L.abs", "f").replace("def check", "f = L.abs\ndef check")

EDITS: list[Edit] = [
    *(rerun(f"derived {name}", text, "* 2", "* 3") for name, text in _DERIVED.items()),
    *(rerun(f"attribute, {name}", text, "5", "6") for name, text in _ATTRIBUTE.items()),
    *(rerun(f"held by {name}", text, "5", "6") for name, text in _HELD.items()),
    keep("derived namespace, comment", _DERIVED["namespace"], "    def k", "    # k\n    def k"),
    keep("derived logger, its level", _LOG, "class K", "logging.disable()\nclass K"),
    rerun(
        "entry of a folder",
        "import os\nos.makedirs('d/a', exist_ok=True)\nS = list(os.scandir('d'))\ndef run(x): return [each.name for each in S]\n",
        "d/a",
        "d/b",
    ),
    rerun(
        "kind of an entry",
        "import os\nos.makedirs('d/a', exist_ok=True)\nS = list(os.scandir('d'))\ndef run(x): return [each.is_dir() for each in S]\n",
        "os.makedirs('d/a', exist_ok=True)",
        "os.makedirs('d', exist_ok=True)\nopen('d/a', 'w').close()",
    ),
    rerun(
        "class that wrapt decorates",
        f"{_PROXIES}@deco\nclass A:\n    def go(s): return 2\ndef run(x): return A().go()\n",
        "2",
        "3",
    ),
    rerun(
        "root that wrapt decorates",
        f"{_PROXIES}@deco\ndef run(x): return x\n",
        "**kwargs)\n",
        "**kwargs) + 1\n",
    ),
    rerun(
        "root that wrapt decorates, itself",
        f"{_PROXIES}@deco\ndef run(x): return x\n",
        "return x",
        "return -x",
    ),
    keep(
        "root that wrapt decorates, docstring",
        f"{_PROXIES}@deco\ndef run(x):\n    'a'\n    return x\n",
        "'a'",
        "'b'",
    ),
    rerun("Annotated field", _TYPED, "5", "6"),
    rerun("joblib, on disk", _JOBLIB, "* 2", "* 3"),
    keep("joblib, on disk, its line", _JOBLIB, "M = ", "# a comment\nM = "),
    keep("joblib, on disk, docstring", _JOBLIB, "Double", "Twice"),
    rerun("declared for a library", _LIBRARY, "restype = ctypes.c_int", "restype = ctypes.c_bool"),
    rerun("arguments declared for a library", _LIBRARY, "[ctypes.c_int]", "[ctypes.c_byte] * 2"),
    rerun("check declared for a library", _LIBRARY, "def run", "L.abs.errcheck = check\ndef run"),
    rerun(
        "check declared for a function of a library, edited",
        _LIBRARY_CHECKED.replace("def run", "f.errcheck = check\ndef run"),
        "result + 1",
        "result + 2",
    ),
    keep("library asked for another function", _LIBRARY, "def run", "L.labs\ndef run"),
]
