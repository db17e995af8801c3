"""Edits behind objects that hide the user's code: compiled, wrapped, delayed, patched in."""
# ruff: noqa: E501 (a project in one line is easier to compare with its edit)

from __future__ import annotations

from tests.fingerprint.catalogue import Edit, keep, rerun

_WRAPT = "import wrapt\n@wrapt.decorator\ndef deco(wrapped, instance, args, kwargs):\n    return wrapped(*args, **kwargs) + 1\n"
_ATTRS = "import attrs\ndef twice(v):\n    return v * 2\n@attrs.define\nclass A:\n    v: int = attrs.field(converter=twice)\ndef run(x):\n    return A(x).v\n"
_PYDANTIC = "from pydantic import BaseModel, Field, field_validator\nclass P(BaseModel):\n    f: float = Field(2, ge=0)\n    @field_validator('f')\n    @classmethod\n    def twice(cls, v):\n        return v * 2\nG = P(f=1)\ndef run(x):\n    return P(f=x).f + G.f\n"


def _made(head: str, decorator: str, use: str = "kernel(x)") -> str:
    """Return a script whose `kernel` is what a library makes of a function."""
    return f"{head}\ndef inner(v):\n    return v * 2\n{decorator}\ndef kernel(v):\n    return inner(v)\ndef run(x):\n    return {use}\n"


_NUMBA = "import numba\nSCALE = 2\n@numba.njit\ndef inner(v):\n    return v + 1\n@numba.njit\ndef kernel(v):\n    return inner(v) * SCALE\ndef run(x):\n    return int(kernel(x))\n"
_MADE = {
    "numba vectorize": "import numba\n@numba.vectorize\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return int(kernel(x))\n",
    "numba vectorize, typed": "import numba\n@numba.vectorize(['int64(int64)'])\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return int(kernel(x))\n",
    "numba vectorize, in parallel": "import numba\n@numba.vectorize(['int64(int64)'], target='parallel')\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return int(kernel(x))\n",
    "numba guvectorize": "import numba, numpy as np\n@numba.guvectorize(['void(int64[:], int64[:])'], '(n)->(n)')\ndef kernel(v, o):\n    for i in range(v.shape[0]):\n        o[i] = v[i] * 2\ndef run(x):\n    return kernel(np.array([x])).tolist()\n",
    "numba cfunc": "import numba\n@numba.cfunc('int64(int64)')\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return int(kernel.ctypes(x))\n",
    "numba stencil": "import numba, numpy as np\n@numba.stencil\ndef kernel(a):\n    return a[0] * 2\ndef run(x):\n    return kernel(np.array([x, x])).tolist()\n",
    "wrapt": _WRAPT
    + "@deco\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return kernel(x)\n",
    "wrapt in a class": _WRAPT
    + "class A:\n    @deco\n    def go(self, v):\n        return v * 2\ndef run(x):\n    return A().go(x)\n",
    "dask delayed": _made("import dask", "@dask.delayed", "kernel(x).compute(scheduler='sync')"),
    "toolz curry": _made("import toolz", "@toolz.curry"),
    "joblib memory": _made("import joblib\nM = joblib.Memory(None, verbose=0)", "@M.cache"),
    "click": _made(
        "import click",
        "@click.command()\n@click.argument('v', type=int)",
        "kernel.main([str(x)], standalone_mode=False)",
    ),
    "decorator": _made(
        "from decorator import decorator\n@decorator\ndef deco(f, *args, **kw):\n    return f(*args, **kw) + 1",
        "@deco",
    ),
    "numpy vectorize": _made("import numpy as np", "@np.vectorize", "int(kernel(x))"),
    "numpy frompyfunc": "import numpy as np\nkernel = np.frompyfunc(lambda v: v * 2, 1, 1)\ndef run(x):\n    return int(kernel(x))\n",
    "pickles by name": "class K:\n    def __init__(self, f):\n        self.f, self.__module__, self.__qualname__ = f, f.__module__, f.__qualname__\n    def __call__(self, v):\n        return self.f(v)\n    def __reduce__(self):\n        return self.__qualname__\n@K\ndef kernel(v):\n    return v * 2\ndef run(x):\n    return kernel(x)\n",
    "sklearn FunctionTransformer": "from sklearn.pipeline import Pipeline\nfrom sklearn.preprocessing import FunctionTransformer\ndef inner(v):\n    return v * 2\nP = Pipeline([('a', FunctionTransformer(inner))])\ndef run(x):\n    return P.fit_transform([[x]])\n",
    "scipy distribution of one's own": "from scipy import stats\nclass D(stats.rv_continuous):\n    def _cdf(self, x):\n        return x * 2\nM = D(a=0, b=0.5)\ndef run(x):\n    return float(M.cdf(0.1))\n",
    "ctypes callback": "import ctypes\nC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)\ndef inner(v):\n    return v * 2\nkernel = C(inner)\ndef run(x):\n    return kernel(x)\n",
    "pandas method": "import pandas as pd\ndef top(s):\n    return int(s.max()) * 2\npd.Series.top = top\ndef run(x):\n    return pd.Series([x]).top()\n",
    "pandas method of a class that is not named": "import pandas as pd\npd.DataFrame.top = lambda s: int(s['a'].max()) * 2\ndef run(x):\n    return pd.concat([pd.Series([x], name='a')], axis=1).top()\n",
    "pandas accessor": "import pandas as pd\n@pd.api.extensions.register_series_accessor('geo')\nclass Geo:\n    def __init__(self, s):\n        self.s = s\n    def area(self):\n        return int(self.s.sum()) * 2\ndef run(x):\n    return pd.Series([x]).geo.area()\n",
    "pandas property": "import pandas as pd\npd.Series.twice = property(lambda s: int(s.sum()) * 2)\ndef run(x):\n    return pd.Series([x]).twice\n",
    "pandas method replaced": "import pandas as pd\npd.Series.mean = lambda s: int(s.sum()) * 2\ndef run(x):\n    return pd.Series([x]).mean()\n",
    "pathlib method": "import pathlib\npathlib.PurePath.k = lambda p: len(p.name) * 2\ndef run(x):\n    return pathlib.PurePath('abc').k()\n",
    "numpy function cached": "import numpy as np, functools\n@functools.lru_cache\ndef mean(a):\n    return a * 2\nnp.my_mean = mean\ndef run(x):\n    return np.my_mean(x)\n",
}

_FRAME = "import pandas as pd\nD = {'a': [1, 2, 4]}\n"
_QUERY = (
    _FRAME
    + "LOW = 1\nOTHER = 3\ndef run(x):\n    'Keep them.'\n    up = 5\n    to = 3\n    return pd.DataFrame(D).query('a > @LOW and a < @to and a > -@up').a.tolist()\n"
)
_EVAL = (
    _FRAME
    + "K = 2\ndef more(v):\n    return v + K\ndef run(x):\n    return pd.DataFrame(D).eval('a * @more(1)').tolist()\n"
)
_GIVEN = (
    _FRAME
    + "LOW = 1\nOTHER = 3\ndef pick(frame, which):\n    rows = frame.query(which)\n    return rows.a.tolist()\ndef run(x):\n    return pick(pd.DataFrame(D), 'a > @LOW')\n"
)
_HELD = (
    _FRAME
    + "LOW = 1\nclass Pick:\n    which = 'a > @LOW'\n    def go(self):\n        return pd.DataFrame(D).query(self.which).a.tolist()\ndef run(x):\n    return Pick().go()\n"
)
_FORMULA = {
    "main.py": _FRAME
    + "import formulaic, conf, mine\nK = 2\ndef center(v):\n    return v - K\ndef run(x):\n    return formulaic.model_matrix(conf.MODEL, pd.DataFrame(D)).values.tolist()\n",
    "conf.py": "MODEL = '1 + center(a) + mine.square(a)'\n",
    "mine.py": "def square(v):\n    return v * v\ndef unused(v):\n    return 0\n",
}
_FILTERS = {
    "mypkg/filters.py": "def smooth(x):\n    return x + 1\n\n\ndef unused(x):\n    return 0\n"
}
_INITS = {
    "lazy_loader": "import lazy_loader\n__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={'filters': ['smooth']})\n",
    "table of modules": "import importlib\n_WHERE = {'smooth': 'filters'}\ndef __getattr__(name):\n    return getattr(importlib.import_module('.' + _WHERE[name], __name__), name)\n",
    "table of pairs": "from importlib import import_module\n_T = {'smooth': ('mypkg.filters', 'smooth')}\ndef __getattr__(name):\n    module, own = _T[name]\n    value = globals()[name] = getattr(import_module(module), own)\n    return value\n",
    "table of names": "import importlib\n_SUBS = {'filters': ['smooth', 'unused']}\ndef __getattr__(name):\n    for module, names in _SUBS.items():\n        if name in names:\n            return getattr(importlib.import_module(f'{__name__}.{module}'), name)\n    raise AttributeError(name)\n",
    "table of places": "from importlib import import_module\n_T = {'smooth': 'mypkg.filters:smooth'}\ndef __getattr__(name):\n    module, own = _T[name].split(':')\n    return getattr(import_module(module), own)\n",
}
_LAZY = {
    f"{name}, {how}": {**_FILTERS, "mypkg/__init__.py": text, "main.py": main}
    for name, text in _INITS.items()
    for how, main in (
        ("imported", "import mypkg\ndef run(x):\n    return mypkg.smooth(x)\n"),
        ("imported late", "def run(x):\n    import mypkg\n    return mypkg.smooth(x)\n"),
        ("named late", "def run(x):\n    from mypkg import smooth\n    return smooth(x)\n"),
    )
}
_FINDER = {
    "main.py": "import sys, os\nfrom importlib.util import spec_from_file_location\nclass Finder:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n        if name == 'mine':\n            return spec_from_file_location(name, os.path.join(os.path.dirname(__file__), 'src', 'mine', '__init__.py'))\nsys.meta_path.append(Finder)\ndef run(x):\n    from mine import go\n    return go(x)\n",
    "src/mine/__init__.py": "from .core import go\n",
    "src/mine/core.py": "def go(v):\n    return v * 2\ndef other(v):\n    return 1\n",
}

EDITS: list[Edit] = [
    *(rerun(f"lazy {name}", files, ("mypkg/filters.py", "x + 1", "x + 2")) for name, files in _LAZY.items()),
    *(keep(f"lazy {name}, unused", files, ("mypkg/filters.py", "return 0", "return 9")) for name, files in _LAZY.items()),
    rerun("editable install", _FINDER, ("src/mine/core.py", "v * 2", "v * 3")),
    keep("editable install, unused", _FINDER, ("src/mine/core.py", "return 1", "return 9")),
    *(rerun(f"{name}, edited", project, " * 2", " * 3") for name, project in _MADE.items()),
    *(
        keep(f"{name}, commented", project, "def run(x):", "# why\ndef run(x):")
        for name, project in _MADE.items()
    ),
    rerun("numba kernel", _NUMBA, "* SCALE", "* SCALE + 10"),
    rerun("numba kernel, what it calls", _NUMBA, "v + 1", "v + 7"),
    rerun("numba kernel, its global", _NUMBA, "SCALE = 2", "SCALE = 5"),
    keep("numba kernel, commented", _NUMBA, "    return v + 1", "    # add one\n    return v + 1"),
    rerun("wrapt, the wrapper", _MADE["wrapt"], "+ 1", "+ 2"),
    rerun("attrs converter", _ATTRS, "v * 2", "v * 3"),
    keep("attrs commented", _ATTRS, "def run", "# why\ndef run"),
    rerun("pydantic validator", _PYDANTIC, "v * 2", "v * 3"),
    rerun("pydantic instance", _PYDANTIC, "P(f=1)", "P(f=4)"),
    rerun("pydantic type", "from pydantic import BaseModel\nclass P(BaseModel):\n    k: int\ndef run(x):\n    return P(k=str(x)).k\n", "k: int", "k: float"),
    keep("pydantic commented", _PYDANTIC, "        return v", "        # why\n        return v"),
    rerun("pydantic adapter of a dataclass", "from pydantic import TypeAdapter\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    v: int\nT = TypeAdapter(A)\ndef run(x):\n    return TypeAdapter(A).validate_python({'v': str(x)}).v\n", "v: int", "v: float"),
    rerun("typer reads annotations", "import typer\napp = typer.Typer()\n@app.command()\ndef go(v: int):\n    return v * 2\ndef run(x):\n    return app([str(x)], standalone_mode=False)\n", "v: int", "v: float"),
    rerun("cattrs reads annotations", "import cattrs\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    v: int\ndef run(x):\n    return cattrs.structure({'v': str(x)}, A).v\n", "v: int", "v: float"),
    rerun("global named in a query", _QUERY, "LOW = 1", "LOW = 2"),
    rerun("locals of a query that change places", _QUERY, "    up = 5\n    to = 3", "    to = 5\n    up = 3"),
    keep("global that a query does not name", _QUERY, "OTHER = 3", "OTHER = 4"),
    keep("docstring over a query that names a global", _QUERY, "Keep them.", "Not @OTHER."),
    rerun("global of a function named in an expression", _EVAL, "K = 2", "K = 3"),
    rerun("global named in a query that is given", _GIVEN, "LOW = 1", "LOW = 2"),
    keep("global not named in a query that is given", _GIVEN, "OTHER = 3", "OTHER = 4"),
    keep("renamed local beside a query", _GIVEN, "rows", "found"),
    rerun("global named in a query of a class", _HELD, "LOW = 1", "LOW = 2"),
    rerun("function named in a formula", _FORMULA, ("main.py", "v - K", "v + K")),
    rerun("global of a function named in a formula", _FORMULA, ("main.py", "K = 2", "K = 3")),
    rerun("module named in a formula", _FORMULA, ("mine.py", "v * v", "v + v")),
    keep("module named in a formula, unused", _FORMULA, ("mine.py", "return 0", "return 9")),
    rerun("annotations of the module", "K: int = 1\ndef run(x):\n    return str(__annotations__['K'])\n", "K: int", "K: float"),
]  # fmt: skip
