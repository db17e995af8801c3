"""The same code has the same fingerprint elsewhere: in another process, folder or Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memori.fingerprint.bytecode import NUMBERS
from tests.fingerprint.catalogue import hidden, stable
from tests.fingerprint.test_catalogue import MODULES, drive, libraries, write

ROOT = Path(__file__).parents[2]
PROJECTS = {
    json.dumps(edit.before): (f"{module.__name__.rpartition('.')[2]}: {edit.name}", edit.before)
    for module in MODULES
    if module not in (hidden, stable)  # what libraries make of code is theirs to pickle
    for edit in module.EDITS
    if not set(libraries(edit)) - {"numpy"}
}
# code without source, and what code reads of its own compiled form, is compared as it is
BY_VERSION = {
    "exec-made function",
    "eval-made lambda",
    "generator state global",
    "line number read",
    "late reader of a line, late itself",
    "late reader of a line, loaded",
}
# what a module did when it was imported is not done in a worker, and what pickling changes of a
# value or a class is another value there
ONLY_IN_THE_PARENT = {
    "reach: dispatch annotation",
    "reach: late closures",
    "reach: patch body",
    "reach: configured by a call",
    "reach: globals by name",
    "reach: sys.modules",
    "classes: metaclass registry",
    "classes: flag value held",
    "classes: subclasses",
    "values: value memoryview",
    "values: class annotations read",  # cloudpickle loses them from Python 3.14 on
    "values: type hints read",
    "unlisted: namedtuple annotation read",
    "unlisted: metaclass reading annotations",
    "values: value numpy masked",
    "values: numpy patched",
    "values: numpy constant patched",
    "values: standard constant patched",
    "unlisted: dict keys view",
    "unlisted: setattr module",
    "unlisted: qualname read",
    "unlisted: global in nested class body",
    "unlisted: module in sys.modules replaced by object",
    "unlisted: exec file",
    "held: attribute, path",
    "held: attribute, namespace, in a slot",
    "held: derived numpy number",
    "held: derived logger, its level",
    "imports: subclass that only a late module lists",
    # what the script has loaded, and only a late module of the function's reads
    *(name for name, _ in PROJECTS.values() if re.fullmatch("imports: late .*, loaded", name)),
}


def interpreters() -> dict[str, str]:
    """Return the supported interpreters that can be found, one for each minor version."""
    found: dict[str, str] = {"{}.{}".format(*sys.version_info): sys.executable}
    versions = ["{}.{}".format(*version) for version in NUMBERS]
    candidates = [(version, shutil.which(f"python{version}")) for version in versions]
    for folder in sorted(Path.home().glob(".pyenv/versions/*/bin/python"), reverse=True):
        candidates.append((".".join(folder.parts[-3].split(".")[:2]), str(folder)))
    for version, path in candidates:
        if path is None or version in found or version not in versions:
            continue
        # what is found may be a script that starts another one, by PATH
        asked = [path, "-c", "import sys; print('{}.{}'.format(*sys.version_info), sys.executable)"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        if told.stdout.split(" ")[0] == version:
            found[version] = told.stdout.strip().partition(" ")[2]
    return found


@pytest.mark.slow
def test_the_canonical_digest_is_equal_in_every_version(tmp_path: Path) -> None:
    """Each project of the catalogue has one canonical digest in all versions of Python."""
    pythons = interpreters()
    if len(pythons) < 2:
        pytest.skip("only one supported version of Python was found")
    requests, names = [], []
    for number, (name, files) in enumerate(PROJECTS.values()):
        if "np." in "".join(files.values()).replace("np.ndarray", ""):
            continue  # another interpreter may not have numpy
        plain = {
            path: text.replace("    import numpy as np", "    raise ImportError")
            for path, text in files.items()
        }
        write(plain, tmp_path / str(number))
        requests.append({"folder": str(tmp_path / str(number))})
        names.append(name)

    found = {version: drive(requests, python=path) for version, path in pythons.items()}

    differing = []
    for name, *results in zip(names, *found.values(), strict=True):
        digests = {result.get("canonical", result.get("error")) for result in results}
        if (len(digests) > 1 or None in digests) and name.partition(": ")[2] not in BY_VERSION:
            differing.append((name, digests))
    assert [] == differing


PROJECT = {
    "main.py": """
import pkg.part
from pathlib import Path
import functools
HERE = Path(__file__).resolve().parent
TABLE = (HERE / "table.txt").read_text()
class Scale:
    k = 2
    def __call__(self, x):
        return x * self.k
def wrap(f):
    @functools.wraps(f)
    def inner(*a):
        return f(*a)
    return inner
@wrap
def helper(x):
    return x + 1
def run(x):
    return helper(x), pkg.part.go(x), Scale()(x), TABLE, (HERE / "table.txt").read_text()
""",
    "pkg/__init__.py": "",
    "pkg/part.py": """
import os
FOLDER = os.path.dirname(__file__)
def go(x):
    return x, bool(FOLDER)
""",
    "table.txt": "1 2 3",
}
ASK = """
import json, sys
def look():
    from memori.fingerprint import fingerprint
    code = fingerprint(run)
    return [code.fast, code.canonical(), code.components()]
if __name__ == "__main__":
    print(json.dumps(look()))
"""


def python(*arguments: str, cwd: Path, **environment: str) -> list[object]:
    """Return what a new interpreter prints as JSON."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**variables, **environment},
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_script_and_import_agree(tmp_path: Path) -> None:
    """Run as a script, as a module, imported, or with another hash seed: one fingerprint."""
    write({**PROJECT, "main.py": PROJECT["main.py"] + ASK}, tmp_path)
    found = [
        python("main.py", cwd=tmp_path),
        python("-m", "main", cwd=tmp_path),
        python("-c", "import main, json; print(json.dumps(main.look()))", cwd=tmp_path),
        python("main.py", cwd=tmp_path, PYTHONHASHSEED="1"),
        python("main.py", cwd=tmp_path, PYTHONHASHSEED="2"),
    ]

    assert found[0][1] is not None
    assert [found[0]] * 5 == found
    assert "function main.run" in found[0][2]


def test_a_moved_project_agrees(tmp_path: Path) -> None:
    """A project keeps its fingerprint in another folder, with its paths."""
    for name in ("one", "another/place"):
        write({**PROJECT, "main.py": PROJECT["main.py"] + ASK}, tmp_path / name)

    first = python("main.py", cwd=tmp_path / "one")
    second = python("main.py", cwd=tmp_path / "another/place")

    assert first == second


def test_a_module_of_a_package_run_with_m_agrees(tmp_path: Path) -> None:
    """`python -m package.module` and an import of it agree."""
    inner = {f"app/{name}": text for name, text in PROJECT.items()}
    inner["app/main.py"] = (PROJECT["main.py"] + ASK).replace("pkg.part", "app.pkg.part")
    write({**inner, "app/__init__.py": ""}, tmp_path)

    script = python("-m", "app.main", cwd=tmp_path)
    ask = "import app.main, json; print(json.dumps(app.main.look()))"

    assert script == python("-c", ask, cwd=tmp_path)


def test_optimised_bytecode_is_other_code(tmp_path: Path) -> None:
    """Where assertions or `__debug__` are part of the code, -O is another run."""
    source = "def run(x):\n    assert x\n    return __debug__\n"
    write({"main.py": source + ASK}, tmp_path)

    plain, optimised = python("main.py", cwd=tmp_path), python("-O", "main.py", cwd=tmp_path)

    assert plain[0] != optimised[0]
    assert plain[1] != optimised[1]


WORKERS = """
import json, multiprocessing
def worker(send):
    send.send(look())
if __name__ == "__main__":
    found = [look()]
    for how in ("spawn", "forkserver", "fork"):
        context = multiprocessing.get_context(how)
        receive, send = context.Pipe(False)
        process = context.Process(target=worker, args=(send,))
        process.start()
        found.append(receive.recv())
        process.join()
    print(json.dumps(found))
"""


def test_workers_agree(tmp_path: Path) -> None:
    """Worker processes agree with their parent, however they were started."""
    text = PROJECT["main.py"] + ASK.partition("if __name__")[0] + WORKERS
    write({**PROJECT, "main.py": text}, tmp_path)

    found = python("main.py", cwd=tmp_path)

    assert [found[0]] * 4 == found


BY_VALUE = """
import json
def look(function):
    from memori.fingerprint import fingerprint
    code = fingerprint(function)
    return [code.fast, code.canonical(), code.components()]
if __name__ == "__main__":
    from joblib.externals.loky import get_reusable_executor
    executor = get_reusable_executor(max_workers=1)
    print(json.dumps([look(run), executor.submit(look, run).result()]))
"""


def test_functions_pickled_by_value_agree(tmp_path: Path) -> None:
    """A function of the script that loky sends to a worker has its fingerprint there too."""
    pytest.importorskip("joblib")
    write({**PROJECT, "main.py": PROJECT["main.py"] + BY_VALUE}, tmp_path)

    here, there = python("main.py", cwd=tmp_path)

    assert here == there


@pytest.mark.slow
def test_every_project_pickled_by_value_agrees(tmp_path: Path) -> None:
    """Whatever a script holds, a worker sees it as the script does, but for what is not there."""
    pytest.importorskip("cloudpickle")
    requests = []
    for number, (_, files) in enumerate(PROJECTS.values()):
        write(files, tmp_path / str(number))
        requests.append({"folder": str(tmp_path / str(number))})

    sent = drive([{**each, "main": "sender"} for each in requests])
    got = drive([{**each, "main": "worker"} for each in requests])

    differing = set()
    for (name, _), here, there in zip(PROJECTS.values(), sent, got, strict=True):
        if "error" in here or "error" in there:
            continue  # it cannot be pickled, or not without its folder
        what = ("fast", "canonical", "components", "unresolved")
        if [here[each] for each in what] != [there[each] for each in what]:
            differing.add(name)
    assert set() == differing - ONLY_IN_THE_PARENT
