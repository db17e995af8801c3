"""Modules that no analysis of names finds: imported by computed names, paths, outdated bytecode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVE = """
import json, os, sys
sys.path.insert(0, os.getcwd())
from memori import Stage
import main
stage = Stage(main.run, "out", hash_output="work")
print(json.dumps([stage.run(3)["out"], stage.state]))
"""
PACKAGE = {
    "mypkg/__init__.py": "",
    "mypkg/filters.py": "def smooth(x):\n    return x + 1\n",
}
COMPUTED = {
    "joined": "import importlib\ndef run(x):\n    name = ''.join(PARTS)\n"
    "    return importlib.import_module(name).smooth(x)\nPARTS = ['my', 'pkg', '.fil', 'ters']\n",
    "loaded before": "import importlib, mypkg.filters\ndef run(x):\n    name = ''.join(PARTS)\n"
    "    return importlib.import_module(name).smooth(x)\nPARTS = ['my', 'pkg', '.fil', 'ters']\n",
    "located by a library": "import json, pydoc, mypkg.filters\ndef run(x):\n"
    '    target = json.loads(\'["mypkg.", "filters.smooth"]\')\n'
    "    return pydoc.locate(''.join(target))(x)\n",
    "a path added": "import sys\ndef run(x):\n    sys.path.insert(0, 'mypkg')\n"
    "    import filters\n    return filters.smooth(x)\n",
    "a package that looks everywhere": "import pkgutil, importlib, mypkg\ndef run(x):\n"
    "    found = [m.name for m in pkgutil.iter_modules(mypkg.__path__)]\n"
    "    return importlib.import_module('.'.join(['mypkg', found[0]])).smooth(x)\n",
    "a file": "import importlib.util, os\ndef run(x):\n"
    "    path = os.sep.join(['mypkg', 'filters.py'])\n"
    "    spec = importlib.util.spec_from_file_location('any', path)\n"
    "    module = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(module)\n"
    "    return module.smooth(x)\n",
}


def call(folder: Path, *flags: str) -> list[object]:
    """Run the project's stage in a new process; return its value and whether it ran."""
    (folder / "drive.py").write_text(DRIVE)
    done = subprocess.run(
        [sys.executable, *flags, "drive.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a project."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("how", COMPUTED)
def test_a_module_found_by_a_computed_name_reruns_when_it_is_edited(
    how: str, tmp_path: Path
) -> None:
    """What was imported in the run counts, whatever its name was made of; a comment does not."""
    write(tmp_path, {**PACKAGE, "main.py": COMPUTED[how]})

    assert [4, True] == call(tmp_path, "-B")
    assert [4, False] == call(tmp_path, "-B")

    filters = tmp_path / "mypkg" / "filters.py"
    filters.write_text("def smooth(x):\n    # why\n    return x + 1\n")
    assert [4, False] == call(tmp_path, "-B")

    filters.write_text("def smooth(x):\n    return x + 2\n")
    assert [5, True] == call(tmp_path, "-B")


@pytest.mark.parametrize(
    "main",
    [
        "def run(x):\n    import helper\n    return helper.f(x)\n",
        "import helper\ndef run(x):\n    return helper.f(x)\n",
        "import importlib\ndef run(x):\n"
        "    return importlib.import_module(''.join(['help', 'er'])).f(x)\n",
    ],
    ids=["late", "early", "computed"],
)
def test_what_outdated_bytecode_computed_is_not_the_result_of_the_source(
    main: str, tmp_path: Path
) -> None:
    """A helper edited in the same second at the same size runs as it was; that is not kept."""
    helper = tmp_path / "helper.py"
    write(tmp_path, {"main.py": main, "helper.py": "def f(x):\n    return x + 1\n"})
    os.utime(helper, (1.7e9, 1.7e9))
    assert [4, True] == call(tmp_path)

    helper.write_text("def f(x):\n    return x + 5\n")
    os.utime(helper, (1.7e9 + 0.5, 1.7e9 + 0.5))
    assert 4 == call(tmp_path)[0]  # so Python has it

    os.utime(helper)
    assert [8, True] == call(tmp_path)
    assert [8, False] == call(tmp_path)


@pytest.mark.parametrize(
    "told",
    [
        "__file__.rpartition('/')[2]",
        "run.__code__.co_filename.rpartition('/')[2]",
        "__name__",
        "run.__module__",
        "__import__('inspect').getfile(run).rpartition('/')[2]",
    ],
)
def test_a_copied_script_that_reads_its_own_name_is_another_one(told: str, tmp_path: Path) -> None:
    """What code reads of the module that it stands in counts; else a script may be renamed."""
    source = f"def run(x):\n    return {told}\n"
    write(tmp_path, {"one.py": source, "two.py": source})
    found = []
    for name in ("one", "one", "two"):
        (tmp_path / "main.py").write_text(f"from {name} import run\n")
        found.append(call(tmp_path, "-B"))

    assert [True, False, True] == [ran for _, ran in found]
    assert found[0][0] == found[1][0] != found[2][0]


def test_the_folder_and_the_logger_of_a_script_do_not_count(tmp_path: Path) -> None:
    """A script that finds its data beside itself, or names its logger, may be renamed."""
    source = (
        "import logging, os\nfrom pathlib import Path\ndef run(x):\n"
        "    logging.getLogger(__name__).info('ran')\n"
        "    here = os.path.dirname(os.path.abspath(__file__))\n"
        "    return here == str(Path(__file__).resolve().parent)\n"
    )
    write(tmp_path, {"one.py": source, "two.py": source})
    found = []
    for name in ("one", "two"):
        (tmp_path / "main.py").write_text(f"from {name} import run\n")
        found.append(call(tmp_path, "-B"))

    assert [[True, True], [True, False]] == found


PICKLED = {
    "model.py": "from scaling import FACTOR\nclass Model:\n    def predict(self, x):\n"
    "        return x * FACTOR\ndef names():\n    return ['a']\n",
    "scaling.py": "FACTOR = 2\n",
    "unrelated.py": "WORD = 1\n",
}
LOADS = """    with open('model.pickle', 'rb') as file:
        found = pickle.load(file).predict(x)
"""


@pytest.mark.parametrize("more", ["", "    model.names()\n"], ids=["unnamed", "named for another"])
def test_the_class_of_what_was_unpickled_counts(more: str, tmp_path: Path) -> None:
    """A saved model is only as good as its class, which no code of the stage names."""
    main = (
        "import os, pickle, model, unrelated\nif not os.path.exists('model.pickle'):\n"
        "    with open('model.pickle', 'wb') as file:\n        pickle.dump(model.Model(), file)\n"
        f"def run(x):\n{more}{LOADS}    return found\n"
    )
    write(tmp_path, {**PICKLED, "main.py": main})
    assert [[6, True], [6, False]] == [call(tmp_path, "-B"), call(tmp_path, "-B")]

    (tmp_path / "scaling.py").write_text("# by hand\nFACTOR = 2\n")
    (tmp_path / "unrelated.py").write_text("WORD = 2\n")
    assert [6, False] == call(tmp_path, "-B")

    (tmp_path / "scaling.py").write_text("FACTOR = 5\n")
    assert [[15, True], [15, False]] == [call(tmp_path, "-B"), call(tmp_path, "-B")]


def test_what_is_unpickled_and_reached_counts_by_what_it_does(tmp_path: Path) -> None:
    """Of a module whose class the code names, the rest may change."""
    main = (
        "import pickle\nfrom model import Model\ndef run(x):\n"
        "    return pickle.loads(pickle.dumps(Model())).predict(x)\n"
    )
    write(tmp_path, {**PICKLED, "main.py": main})
    assert [6, True] == call(tmp_path, "-B")

    (tmp_path / "model.py").write_text(PICKLED["model.py"].replace("['a']", "['b']"))
    assert [6, False] == call(tmp_path, "-B")


def test_a_thread_is_the_runs_own_where_the_run_itself_first_imports_threading(tmp_path):
    """What a thread reads counts, also if nothing had loaded `threading` before the run."""
    file = tmp_path / "read.txt"
    file.write_text("1")
    script = (
        "import sys; from memori.watch.hook import watching\n"
        "print('threading' in sys.modules)\n"
        "with watching() as seen:\n"
        "    import threading\n"
        "    thread = threading.Thread(target=open, args=(sys.argv[1],))\n"
        "    thread.start(); thread.join()\n"
        "print(seen.how(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True)

    assert ["False", "read"] == done.stdout.split(), done.stderr


def test_of_what_a_pool_is_given_only_what_it_reaches_counts(tmp_path: Path) -> None:
    """Functions and results travel as pickles; the rest of their module may change."""
    main = (
        "import multiprocessing\nfrom jobs import work\ndef run(x):\n"
        "    with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "        return pool.map(work, [x])[0].total\n"
    )
    jobs = (
        "import functools\nclass Sum:\n    def __init__(self, total):\n        self.total = total\n"
        "@functools.lru_cache\ndef work(x):\n    return Sum(x + 1)\ndef other():\n    return 1\n"
    )
    write(tmp_path, {"main.py": main, "jobs.py": jobs})
    assert [4, True] == call(tmp_path, "-B")

    (tmp_path / "jobs.py").write_text(jobs.replace("return 1", "return 2"))
    assert [4, False] == call(tmp_path, "-B")

    (tmp_path / "jobs.py").write_text(jobs.replace("x + 1", "x + 2"))
    assert [5, True] == call(tmp_path, "-B")


def test_a_comment_in_a_module_that_a_child_imports_changes_nothing(tmp_path: Path) -> None:
    """Python looks at a module's file before it reads it; a tracer sees both."""
    main = (
        "import subprocess, sys\ndef run(x):\n    code = f'import helper; print(helper.f({x}))'\n"
        "    return int(subprocess.check_output([sys.executable, '-B', '-c', code]))\n"
    )
    helper = "def f(x):\n    return x + 1\n"
    write(tmp_path, {"main.py": main, "helper.py": helper})
    assert [4, True] == call(tmp_path, "-B")

    (tmp_path / "helper.py").write_text("# why\n" + helper)
    assert [4, False] == call(tmp_path, "-B")

    (tmp_path / "helper.py").write_text(helper.replace("1", "2"))
    assert [5, True] == call(tmp_path, "-B")
