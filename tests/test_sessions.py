"""Stages made in scripts, in a REPL and in notebooks, as users really start them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from memori import Stage

FACTOR = 2

def scale(x):
    return x * FACTOR

if __name__ == "__main__":
    stage = Stage(scale, hash_output="work")
    print(stage.run(21)["output"], stage.state)
"""


def python(*args: str, folder: Path, stdin: str = "") -> list[str]:
    """Run Python in a folder and return what it printed, line by line."""
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, input=stdin, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def test_a_script_run_again_hits(project: Path) -> None:
    """Functions of __main__ are remembered between processes."""
    assert ["42 True"] == python("script.py", folder=project)
    assert ["42 False"] == python("script.py", folder=project)


def test_a_comment_hits_and_a_global_reruns(project: Path) -> None:
    """What cannot change the result does not rerun; what can, does."""
    python("script.py", folder=project)
    script = project / "script.py"
    script.write_text(SCRIPT.replace("    return", '    """Scale."""\n    # a comment\n    return'))
    assert ["42 False"] == python("script.py", folder=project)
    script.write_text(SCRIPT.replace("FACTOR = 2", "FACTOR = 3"))
    assert ["63 True"] == python("script.py", folder=project)
    script.write_text(SCRIPT)
    assert ["42 False"] == python("script.py", folder=project)


def test_main_and_imported_share_their_memory(project: Path) -> None:
    """The same function is the same, whoever imports it."""
    python("script.py", folder=project)
    code = (
        "import script; from memori import Stage; s = Stage(script.scale, hash_output='work'); "
        "print(s.run(21)['output'], s.state)"
    )
    assert ["42 False"] == python("-c", code, folder=project)
    assert ["42 False"] == python("-m", "script", folder=project)


def test_a_moved_script_hits(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The place of the code is no part of it."""
    python("script.py", folder=project)
    other = tmp_path_factory.mktemp("other") / "place"
    project.rename(other)
    assert ["42 False"] == python("script.py", folder=other)


REPL = """
from memori import Stage
def scale(x):
    return x * 2

stage = Stage(scale, hash_output="work")
print(stage.run(21)["output"], stage.state)
def scale(x):
    return x * 3

stage = Stage(scale, hash_output="work")
print(stage.run(21)["output"], stage.state)
"""


def test_functions_typed_into_a_repl_are_remembered(tmp_path: Path) -> None:
    """Code without a source file is known by what it does."""
    lines = [
        [line for line in python("-i", "-q", folder=tmp_path, stdin=REPL) if line] for _ in range(2)
    ]
    assert [["42 True", "63 True"], ["42 False", "63 False"]] == lines


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(text):
    shell.run_cell(text).raise_error()
cell("from memori import Stage; LIMIT = 1")
cell("def scale(x):\\n    return x * 2 + LIMIT")
cell("stage = Stage(scale, hash_output='work')")
show = "print(stage.run(20)['output'], stage.state)"
cell(show)
cell(show)
cell("def scale(x):\\n    # a comment\\n    return x * 2 + LIMIT")
cell("stage = Stage(scale, hash_output='work')")
cell(show)
cell("LIMIT = 5")
cell(show)
cell("def scale(x):\\n    return x * 3 + LIMIT")
cell("stage = Stage(scale, hash_output='work')")
cell(show)
"""


def test_a_notebook_cell_run_again_is_seen_for_what_it_is(tmp_path: Path) -> None:
    """Run again: a hit; with a comment: a hit; a global or the body changed: a run."""
    pytest.importorskip("IPython", reason="pip install ipython")
    first = ["41 True", "41 False", "41 False", "45 True", "65 True"]
    assert first == python("-c", NOTEBOOK, folder=tmp_path)
    again = [line.replace("True", "False") for line in first]
    assert again == python("-c", NOTEBOOK, folder=tmp_path)


def test_importing_memori_loads_nothing_heavy(tmp_path: Path) -> None:
    """The core costs no numpy, nibabel, nipype or inspect at import."""
    code = (
        "import sys; before = set(sys.modules); import memori; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} & "
        "{'numpy', 'nibabel', 'nipype', 'inspect', 'dataclasses', 'typing', 'logging', "
        "'pathlib', 'filelock', 'asyncio'}))"
    )
    assert ["[]"] == python(
        "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}", folder=tmp_path
    )


HELPERS = """
import zlib
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
# a kernel names each cell by a file of its own, after what stands in it
name_of = lambda raw, code, n: f"/tmp/ipykernel_77/{zlib.crc32(raw.encode())}.py"
shell.compile.get_code_name = name_of
def cell(text):
    shell.run_cell(text).raise_error()
cell("from memori import Stage; LIMIT = 1")
cell("def helper(x):\\n    return x * 2")
cell("class Model:\\n    def fit(self, x):\\n        return helper(x) + LIMIT")
cell("def scale(x):\\n    return Model().fit(x)")
cell("stage = Stage(scale, hash_output='work'); results = stage.run(20)")
cell("def helper(x):\\n    # a comment\\n    return x * 2")
cell("print(stage.explain(20))")
cell("def helper(x):\\n    return x * 3")
cell("print(stage.explain(20))")
cell("results = stage.run(20)")
cell("class Model:\\n    def fit(self, x):\\n        return helper(x) - LIMIT")
cell("print(stage.explain(20)); results = stage.run(20)")
cell("def scale(x):\\n    return Model().fit(x) + 1\\nstage = Stage(scale, hash_output='work')")
cell("print(stage.explain(20))")
"""


def test_a_notebook_cell_is_explained_by_what_it_defines(tmp_path: Path) -> None:
    """A helper that was run again in a cell is that helper edited; cells have no names."""
    pytest.importorskip("IPython", reason="pip install ipython")
    told = python("-c", HELPERS, folder=tmp_path)
    assert [
        "stage 'scale': hit",
        "stage 'scale': miss: helper __main__.helper edited",
        "stage 'scale': miss: helper __main__.Model.fit edited",
        "stage 'scale': miss: function __main__.scale edited",
    ] == [line for line in told if not line.startswith(" ")]
    assert "  --- helper __main__.helper (as it ran)" in told
