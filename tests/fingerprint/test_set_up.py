"""What a script does to a library at its top counts for its functions that name the library."""

import importlib
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import nibabel
import nipype
import pytest

from memori import Stage
from memori.fingerprint import fingerprint
from memori.fingerprint.imports import set_up
from memori.fingerprint.imports.effects import effects
from memori.fingerprint.imports.set_up import hear_of_set_up, told_of_set_up

RAND = "def f(n):\n    return [round(float(x), 4) for x in np.random.rand(n)]\n"
TEXTS = {  # what is at the top, with a K in the place of what is edited; what the function does
    "seed": ("import numpy as np\nnp.random.seed(K)\n", RAND),
    "named seed": ("import numpy as np\nSEED = K\nnp.random.seed(SEED)\n", RAND),
    "imported seed": ("import numpy as np\nfrom numpy.random import seed\nseed(K)\n", RAND),
    "tried": ("try:\n    import numpy as np\n    np.random.seed(K)\nfinally:\n    pass\n", RAND),
    "Python's seed": ("import random\nrandom.seed(K)\n", "def f(n):\n    return random.random()\n"),
    "a method": (
        "import json\njson.JSONEncoder.default = lambda self, value: K\n",
        "def f(n):\n    return json.dumps({1: f})\n",
    ),
    "an attribute": (
        "from nibabel.openers import Opener\nOpener.default_compresslevel = K\n",
        "def f(n):\n    import nibabel\n    return nibabel.openers.Opener.default_compresslevel\n",
    ),
    "an adapter": (
        "import sqlite3\n"
        "class Point: pass\n"
        "def told(point): return K\n"
        "sqlite3.register_adapter(Point, told)\n",
        "def f(n):\n"
        "    return sqlite3.connect(':memory:').execute('select ?', (Point(),)).fetchone()[0]\n",
    ),
    "a class among others": (
        "import nibabel as nib\n"
        "class Mine(nib.Nifti1Image):\n    number = K\n"
        "nib.imageclasses.all_image_classes.insert(0, Mine)\n",
        "def f(n):\n    return getattr(nib.imageclasses.all_image_classes[0], 'number', 0)\n",
    ),
    "how copies are made": (
        "import copy, copyreg\n"
        "class Point: x = 0\n"
        "def made(point): return str, (str(K),)\n"
        "copyreg.pickle(Point, made)\n",
        "def f(n):\n    return copy.copy(Point())\n",
    ),
    "what replaces letters": (
        "import codecs\ncodecs.register_error('mine', lambda error: ('?' * K, error.end))\n",
        "def f(n):\n    return '\\xe4'.encode('ascii', 'mine').decode()\n",
    ),
    "a format": (
        "import mimetypes\nmimetypes.add_type('image/K', '.nii')\n",
        "def f(n):\n    return mimetypes.guess_type('x.nii')[0]\n",
    ),
}
SEED = "def set_seed(seed=1):\n    np.random.seed(seed)\n"
CALLED = {  # what stands above the function and below it; then another module, as `own`
    "in the block of a script": ("", "if __name__ == '__main__':\n    np.random.seed(K)\n"),
    "in main": ("", "def main():\n    np.random.seed(K)\n    run()\n"),
    "below with and for": (
        "",
        "def main():\n    with open('o', 'w'):\n        for _ in 'a':\n"
        "            np.random.seed(K)\n    run()\n",
    ),
    "by a function": (SEED, "def main():\n    set_seed(K)\n    run()\n"),
    "by its default": (SEED.replace("1", "K"), "def main():\n    set_seed()\n    run()\n"),
    "by a name": (SEED, "def main():\n    number = K\n    set_seed(seed=number)\n    run()\n"),
    "by a global": (SEED + "N = K\n", "def main(number=N):\n    set_seed(number)\n    run()\n"),
    "imported there": (
        "",
        "def main():\n    from numpy import random as rnd\n    rnd.seed(K)\n    run()\n",
    ),
    "of another module": (
        "import own\nfrom own import set_seed\n",
        "def main():\n    set_seed(K)\n    run()\n",
        "import numpy as np\n" + SEED,
    ),
    "in another module": (
        "import own\n",
        "def main():\n    own.prepare()\n    run()\n",
        "import random\ndef prepare():\n    import numpy as np\n    np.random.seed(K)\n",
    ),
    "handed over": (
        "import timeit\n",
        "def main():\n    np.random.seed(K)\n    run()\n    return 0\n",
    ),
    "registered by a decorator": (
        "import numbers\n@numbers.Number.register\nclass Point:\n    x = K\n",
        "def main():\n    run()\n",
    ),
    "by a method": (
        "class Analysis:\n"
        "    def __init__(self, seed=0):\n        self.prepare(seed)\n"
        "    def prepare(self, seed):\n        np.random.seed(seed)\n",
        "def main():\n    analysis = Analysis(K)\n    run()\n",
    ),
    "by an attribute": (
        "class Analysis:\n"
        "    def __init__(self, seed=0):\n        self.seed = seed\n"
        "    def run(self):\n        np.random.seed(self.seed)\n        run()\n",
        "def main():\n    analysis = Analysis(K)\n    analysis.run()\n",
    ),
    "by an attribute of what is made and run": (
        "class Analysis:\n"
        "    def __init__(self, seed=0):\n        self.seed = seed\n"
        "    def run(self):\n        np.random.seed(self.seed)\n        run()\n",
        "def main():\n    Analysis(seed=K).run()\n",
    ),
    "by a static method": (
        "class Seeds:\n    @staticmethod\n    def put(seed):\n        np.random.seed(seed)\n",
        "def main():\n    Seeds.put(K)\n    run()\n",
    ),
    "by a method of the class": (
        "class Seeds:\n    @classmethod\n    def put(cls, seed):\n        np.random.seed(seed)\n",
        "def main():\n    Seeds().put(K)\n    run()\n",
    ),
    "by a method of what is made": (
        "class Base:\n    def run(self, seed):\n        np.random.seed(seed)\n        run()\n"
        "class Analysis(Base):\n    pass\n",
        "def main():\n    one = Analysis()\n    one.run(K)\n",
    ),
    "below match": (
        "",
        "def main():\n    match 1:\n        case 1:\n            np.random.seed(K)\n    run()\n",
    ),
    "for what an if asks": (
        "",
        "def prepare():\n    np.random.seed(K)\n"
        "def main():\n    if prepare() is None:\n        run()\n",
    ),
    "for a loop": (
        "",
        "def values():\n    np.random.seed(K)\n    yield 1\n"
        "def main():\n    for _ in values():\n        run()\n",
    ),
    "by what with enters": (
        "class Seeded:\n    def __enter__(self):\n        np.random.seed(K)\n"
        "    def __exit__(self, *error):\n        pass\n",
        "def main():\n    with Seeded():\n        run()\n",
    ),
    "by a context manager": (
        "import contextlib\n@contextlib.contextmanager\n"
        "def seeded(seed):\n    np.random.seed(seed)\n    yield\n",
        "def main():\n    with seeded(K):\n        run()\n",
    ),
    "assigned": ("", "def main():\n    generator = np.random.seed(K)\n    run()\n"),
    "on a condition": ("", "def main():\n    run and np.random.seed(K)\n    run()\n"),
    "by a lambda": (
        "put = lambda seed: np.random.seed(seed)\n",
        "def main():\n    put(K)\n    run()\n",
    ),
    "by one of two names": (
        "",
        "def main():\n    n, seed = 1, K\n    np.random.seed(seed)\n    run()\n",
    ),
    "under another name": (
        "",
        "def main():\n    random = np.random\n    random.seed(K)\n    run()\n",
    ),
    "as a default": ("", "def main(np=np):\n    np.random.seed(K)\n    run()\n"),
    "from a list": (SEED, "def main():\n    given = [K]\n    set_seed(*given)\n    run()\n"),
    "from a dict": (
        SEED,
        "def main():\n    given = {'seed': K}\n    set_seed(**given)\n    run()\n",
    ),
    "again by a helper": (
        SEED + "def put(seed):\n    set_seed(seed)\n",
        "def main():\n    put(7)\n    put(K)\n    run()\n",
    ),
    "where another waits": (
        "import asyncio, mimetypes\nasync def kind():\n    return 'a/b'\n"
        "async def work():\n    mimetypes.add_type(await kind(), '.b')\n"
        "    np.random.seed(K)\n    run()\n",
        "def main():\n    asyncio.run(work())\n",
    ),
    "as a command of an app": (
        "import click\ncli = click.Group()\n",
        "@cli.command()\ndef go():\n    np.random.seed(K)\n    run()\n"
        "def main():\n    cli(['go'], standalone_mode=False)\n",
    ),
    "decorated": (
        "import functools\n"
        "def loud(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(*given):\n        return function(*given)\n"
        "    return call\n",
        "@loud\ndef main():\n    np.random.seed(K)\n    run()\n",
    ),
}
NO_MATTER = {
    "a comment": "import numpy as np\nnp.random.seed(1)  # K\n",
    "what is saved": "import numpy as np\nnp.savetxt('K.txt', [1])\n",
    "another library": "import mimetypes\nimport numpy as np\nmimetypes.add_type('a/K', '.b')\n",
    "a parser": "import numpy as np\nfrom argparse import *\nArgumentParser('K').set_defaults()\n",
    "a log": "import logging\nimport numpy as np\nlogging.basicConfig(level=K)\n",
    "what warns": "import warnings\nimport numpy as np\nwarnings.filterwarnings('ignore', 'K')\n",
}
RUN = """
from memori import Stage
stage = Stage(f, "y", "work")
print(f(3) if "plain" in sys.argv else stage.run(3)["y"], stage.state)
"""


def ran(*words):
    """Return what the script prints in a process of its own."""
    done = subprocess.run([sys.executable, "-B", "main.py", *words], capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip().rpartition(" ")


def write(top, function, name="main.py"):
    Path(name).write_text(f"import sys\n{top}{function}")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", TEXTS)
def test_what_a_script_does_to_a_library_counts(kind):
    """Edited, the function returns what it returns without a memory; reverted, it is a hit."""
    top, function = TEXTS[kind]
    states = []
    for number in "1221":
        write(top.replace("K", number), function + RUN)
        value, _, state = ran()
        assert ran("plain")[0] == value
        states.append(state == "True")
    assert [True, True, False, False] == states


@pytest.mark.parametrize("kind", NO_MATTER)
def test_what_does_nothing_to_what_a_function_names_is_no_edit(kind):
    """A flat script writes, plots and logs below its functions."""
    for number, state in (("1", "True"), ("2", "False")):
        write(
            NO_MATTER[kind].replace("K", number),
            RAND.replace(".rand(n)", ".SeedSequence(n).pool") + RUN,
        )
        assert state == ran()[2]


@pytest.mark.parametrize("place", ["main.py", "steps.py", "package/__init__.py"])
def test_it_counts_wherever_it_is_done(place):
    """By the script, by the function's own module, by its package."""
    os.mkdir("package")
    states = []
    for number in "121":
        for name in ("main.py", "steps.py", "package/__init__.py", "package/steps.py"):
            top = f"import numpy as np\nnp.random.seed({number})\n" if name == place else ""
            start = (
                "from package.steps import f\n" if "package" in place else "from steps import f\n"
            )
            end = start + RUN if name == "main.py" else "import numpy as np\n" + RAND
            write(top, "" if name.endswith("__init__.py") else end, name)
        states.append(ran()[2])
    assert ["True", "True", "False"] == states


def test_how_a_library_runs_and_what_it_logs_is_no_result():
    """Threads, levels and settings of Nipype's engine; objects that answer to any name."""

    class Any:
        def __getattr__(self, name):
            raise RuntimeError(name)

        def __call__(self):
            pass

    top = (
        b"nibabel.imageglobals.logger.setLevel(10)\n"
        b"nipype.config.set('execution', 'keep_inputs', 'true')\n"
        b"torch.set_num_threads(4)\n"
        b"nibabel.imageglobals.error_level = 10\n"
        b"any.register(1)\n"
    )
    names = {"nibabel": nibabel, "nipype": nipype, "torch": nibabel, "any": Any()}
    assert [b"error_level" in each.text for each in effects(top, "top.py", names)] == [True]


def test_a_module_counts_as_it_was_run(tmp_path, monkeypatch):
    """Edited while the process lives it is as before, until it is loaded again."""
    name = f"seeded_{abs(hash(tmp_path))}"
    monkeypatch.syspath_prepend(str(tmp_path))
    write("import numpy as np\nnp.random.seed(1)\n", RAND, f"{name}.py")
    module = importlib.import_module(name)
    first = Stage(module.f, "y", "work").run(3)["y"]
    write("import numpy as np\nnp.random.seed(22)\n", RAND, f"{name}.py")
    stage = Stage(module.f, "y", "work")
    assert (first, False) == (stage.run(3)["y"], stage.state)
    importlib.reload(module)
    again = Stage(module.f, "y", "work")
    assert first != again.run(3)["y"]


def test_what_was_edited_before_it_was_looked_at_is_not_remembered(tmp_path, monkeypatch):
    """Nobody knows which statements were run."""
    name = f"edited_{abs(hash(tmp_path))}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write("import numpy as np\nnp.random.seed(1)\n", RAND, f"{name}.py")
    module = importlib.import_module(name)
    write("import numpy as np\nnp.random.seed(22)\n", RAND, f"{name}.py")
    stage = Stage(module.f, "y", "work")
    assert [True, True] == [(stage.run(3), stage.state)[1] for _ in range(2)]
    assert "was edited after it was run" in str(stage.explain(3))


RUN_IT = """
def run():
    from memori import Stage
    stage = Stage(f, "y", "work")
    print(f(3) if "plain" in sys.argv else stage.run(3)["y"], stage.state)
"""


def write_called(kind, number):
    above, below, *own = CALLED[kind]
    start = {
        "in the block of a script": "    run()\n",
        "handed over": "timeit.timeit(main, number=1)\n",
    }
    end = start.get(kind, "if __name__ == '__main__':\n    main()\n")
    text = "import numpy as np\n" + above + RAND + RUN_IT + below + end
    write(text.replace("K", number), "")
    for each in own:
        write(each.replace("K", number), "", "own.py")


@pytest.mark.parametrize("kind", ["by a global", "of another module"])
def test_what_a_script_does_to_a_library_in_its_functions_counts(kind):
    """Edited, the function returns what it returns without a memory; reverted, it is a hit."""
    states = []
    for number in "121":
        write_called(kind, number)
        value, _, state = ran()
        assert ran("plain")[0] == value
        states.append(state)
    assert ["True", "True", "False"] == states


@pytest.mark.parametrize("kind", sorted(CALLED.keys() - {"by a global"}))
def test_it_counts_in_whatever_function_a_script_calls(kind, monkeypatch):
    """By its text, and by what its parameters and local names were given."""
    texts = set()
    for number in "12":
        write_called(kind, number)
        monkeypatch.delitem(sys.modules, "own", raising=False)
        monkeypatch.syspath_prepend(os.getcwd())
        space = runpy.run_path("main.py", {"__file__": os.path.abspath("main.py")})
        space["__name__"] = "__main__"
        found = effects(Path("main.py").read_bytes(), "main.py", space)
        texts.add(b" ".join(each.text for each in found))
    assert len(texts) == 2


def test_what_no_script_calls_and_what_another_library_is_given_is_no_set_up():
    """A function that nobody calls, a step of the user's, what a figure or a parser is given."""
    write(
        "import argparse, numpy as np, memori\n",
        "def step():\n    np.random.seed(1)\n"
        "@memori.remembered('work')\n"
        "def other():\n    np.random.seed(2)\n"
        "def main(figure, number=2):\n"
        "    parser = argparse.ArgumentParser()\n    parser.set_defaults(x=1)\n"
        "    figure.set_title('x')\n    other()\n"
        "    memori.Stage(step, 'y', 'work')\n"
        "    for number in 'ab':\n        pass\n"
        "main(None)\n",
    )
    text = Path("main.py").read_text()
    space = {"__name__": "__main__", "__file__": os.path.abspath("main.py")}
    exec(compile(text.replace("main(None)", ""), space["__file__"], "exec"), space)
    assert [] == [each.text for each in effects(text.encode(), "main.py", space)]


def test_a_script_that_is_edited_while_it_starts_is_remembered():
    """What runs counts by its code: this process hits, and the edited script runs anew."""
    edit = (
        "from pathlib import Path\n"
        "Path('main.py').write_text(Path('main.py').read_text().replace('seed(1)', 'seed(2)'))\n"
    )
    again = "stage.run(3)\nprint(stage.state)\n"
    write("import numpy as np\nnp.random.seed(1)\n", RAND + edit + RUN + again)
    assert ["True\nFalse", "True\nFalse", "False\nFalse"] == [ran()[2] for _ in range(3)]


MAPPED = """
from memori import Pipeline, Stage
from steps import f
if __name__ == "__main__":
    stage = Stage(f, "y", "work")
    found = Pipeline([("start", stage)]).map([{"n": 3}, {"n": 4}], n_jobs=2)
    print(len(found), stage.explain(3).hit)
"""


def test_workers_go_by_what_the_script_does_to_libraries(tmp_path):
    """They have no module of the script's: what they record is a hit for it until it is edited."""
    write(
        "import numpy as np\n",
        RAND.replace("return", "open('log', 'a').write('x')\n    return"),
        "steps.py",
    )
    for number, runs in ((1, 2), (1, 2), (2, 4)):
        write(f"import numpy as np\nnp.random.seed({number})\n", MAPPED)
        assert "2 True" == "".join(ran()).strip()
        assert runs == len(Path("log").read_text())


def test_a_module_of_a_package_is_found_by_a_relative_import(monkeypatch):
    """As `python -m package` does it."""
    os.mkdir("seeding")
    write("", "import numpy as np\n" + SEED, "seeding/seeds.py")
    write("", "", "seeding/__init__.py")
    text = "def main():\n    from .seeds import set_seed\n    set_seed(1)\nmain()\n"
    write("", text, "seeding/__main__.py")
    monkeypatch.syspath_prepend(os.getcwd())
    space = runpy.run_module("seeding", run_name="__main__")
    assert 2 == len(effects(text.encode(), "__main__.py", space))


def test_objects_that_refuse_to_say_what_they_are_do_no_harm():
    """A proxy of nothing; a module that has what it cannot import."""
    write("", "def __getattr__(name):\n    raise ImportError(name)\n", "lazily.py")
    text = (
        "class Proxy:\n"
        "    @property\n    def __class__(self):\n        raise RuntimeError('unbound')\n"
        "    def __call__(self):\n        pass\n"
        "proxy = Proxy()\n"
        "def main(given=proxy):\n"
        "    proxy()\n    given()\n    np.random.seed(1)\n"
        "    try:\n        from lazily import heavy\n        heavy.register(given)\n"
        "    except ImportError:\n        pass\n"
        "main()\n"
    )
    write("import numpy as np\nimport lazily\n" + text, RAND + RUN)
    assert ["True", "False"] == [ran()[2] for _ in range(2)]


def test_a_long_calculation_in_a_main_is_looked_at_in_no_time():
    """Each line names what two others gave."""
    lines = (f"    x, y = x + y, x * y % {number}\n" for number in range(7, 107))
    above = "def main(x=1, y=2):\n" + "".join(lines) + "    np.random.seed(x % 7)\nmain()\n"
    write("import numpy as np\n", above + RAND + RUN)
    assert ["True", "False"] == [ran()[2] for _ in range(2)]


def test_a_script_is_read_once_for_all_results_that_it_keeps(monkeypatch):
    """Each stage at its top may have one; what it imports later may set something up."""
    write("import numpy as np\nnp.random.seed(1)\n", "", "script.py")
    script = ModuleType("__main__")
    script.__file__ = os.path.abspath("script.py")
    monkeypatch.setitem(sys.modules, "__main__", script)
    read, found = set_up._read, []
    monkeypatch.setattr(set_up, "_read", lambda *given: found.append(given) or read(*given))
    for name, value in (("a", 1), ("stage", Stage(len, "y")), ("c", [2.0]), ("later", os)):
        told_of_set_up()
        setattr(script, name, value)
    assert 1 == len(found)
    told_of_set_up()
    assert 2 == len(found)


def test_what_is_made_of_seeds_and_other_results_is_no_set_up():
    """A generator, a sum, a state."""
    text = (
        b"one = np.random.SeedSequence(1)\n"
        b"two = np.add(1, 2)\n"
        b"print(np.random.default_rng(one).random(), np.random.get_state())\n"
    )
    space = {"np": importlib.import_module("numpy")}
    assert [] == effects(text, "top.py", space)


NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(text):
    shell.run_cell(text, store_history=True).raise_error()
cell("from memori import Stage\\nimport numpy as np")
cell("def f(n):\\n    return [round(float(x), 4) for x in np.random.rand(n)]")
cell("stage = Stage(f, 'y', 'work')")
for seed in sys.argv[1]:
    cell(f"np.random.seed({seed})")
    cell("%time stage.run(3)\\nprint(stage.state)")
"""


def test_cells_of_a_notebook_count_as_they_were_run_last(monkeypatch):
    """A cell that is edited and run again is another; a kernel that is started anew hits."""
    pytest.importorskip("IPython", reason="pip install ipython")

    def states(seeds):
        done = subprocess.run(
            [sys.executable, "-c", NOTEBOOK, seeds], capture_output=True, text=True, check=True
        )
        return [line for line in done.stdout.splitlines() if line in ("True", "False")]

    assert ["True", "True", "False"] == states("121")
    assert ["False"] == states("2")
    monkeypatch.setattr(
        sys.modules[__name__], "NOTEBOOK", NOTEBOOK.replace('f"np', 'f"%%time\\nnp')
    )
    assert ["True", "False"] == states("32")


def test_what_a_worker_is_told_is_what_the_script_says(monkeypatch):
    """Both give a function one digest; a statement that cannot travel is no reason to fail."""
    text = "import numpy as np\nSEED = 1\nnp.random.seed(SEED)\n"
    write(text, "", "script.py")
    monkeypatch.setattr(set_up, "_began", lambda: float("inf"))  # it was written before
    script = ModuleType("__main__")
    exec(text, vars(script), None)
    script.__file__ = os.path.abspath("script.py")

    def digest(main):
        monkeypatch.setitem(sys.modules, "__main__", main)
        step = ModuleType("a_step")
        exec("import numpy as np\n" + RAND, vars(step))
        return fingerprint(step.f).fast

    alone, here, told = digest(ModuleType("__main__")), digest(script), told_of_set_up()
    hear_of_set_up(told)
    assert here == digest(ModuleType("__main__")) != alone
    hear_of_set_up(None)
    assert alone == digest(ModuleType("__main__"))
    script.SEED = threading.Lock()
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert told_of_set_up() is None


def test_a_library_that_is_loaded_when_it_is_used_is_not_loaded_for_it():
    """A script may import heavy ones so."""
    lazily = (
        "import importlib.util as util\n"
        "spec = util.find_spec('tarfile')\n"
        "spec.loader = util.LazyLoader(spec.loader)\n"
        "tarfile = util.module_from_spec(spec)\n"
        "spec.loader.exec_module(tarfile)\n"
        "def main():\n    np.random.seed(1)\n    if np is None:\n        tarfile.add(1)\n"
        "main()\n"
    )
    write("import numpy as np\n" + lazily, RAND + RUN + "print(type(tarfile).__name__)\n")
    assert "_LazyModule" == ran()[2].split()[-1]


OPTIONS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--subject")
args = parser.parse_args(sys.argv[1:])
settings = {"seed": args.seed, "subject": args.subject}
"""


@pytest.mark.parametrize("seed", ["args.seed", "settings['seed']"])
def test_of_the_options_of_a_script_those_count_that_it_sets_up_by(seed):
    """Another subject is no other seed."""
    write(f"import numpy as np\n{OPTIONS}np.random.seed({seed})\n", RAND + RUN)
    words = ["--subject", "a"], ["--subject", "b"], ["--seed", "2"], ["--seed", "1"]
    assert ["True", "False", "True", "False"] == [ran(*each)[2] for each in words]
