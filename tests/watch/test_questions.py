"""What the user's code asks of files that it does not open, and of the environment, counts."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memori import Stage
from tests.watch.edits import runs_again

SCRIPT = """
import json, os, sys
from pathlib import Path
from memori import Stage
{function}
if __name__ == "__main__":
    stage = Stage(f, "found", "work")
    print(json.dumps([stage.run(1)["found"], stage.state, str(stage.explain(1))]))
"""


def run(folder: Path, function: str, **environment: str) -> tuple[Any, bool]:
    """Run a script in a new process; return what it found, and whether it ran."""
    path = folder / "script.py"
    path.write_text(SCRIPT.format(function=function))
    done = subprocess.run(
        [sys.executable, path],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    found, state, _ = json.loads(done.stdout)
    return found, state


def link_to_nowhere(folder: Path) -> None:
    (folder / "link").symlink_to("target")


GROWS = (
    lambda f: (f / "mask").write_text("a"),
    lambda f: (f / "mask").write_text("ab"),
)
ASKED = {
    "exists": ("os.path.exists('mask')", None, lambda f: (f / "mask").write_text("")),
    "isfile": ("os.path.isfile('mask')", None, lambda f: (f / "mask").write_text("")),
    "pathlib": ("Path('mask').exists()", None, lambda f: (f / "mask").write_text("")),
    "is_dir": ("Path('mask').is_dir()", None, lambda f: (f / "mask").mkdir()),
    "access": ("os.access('mask', os.R_OK)", None, lambda f: (f / "mask").write_text("")),
    "gone": (
        "os.path.exists('mask')",
        lambda f: (f / "mask").write_text(""),
        lambda f: (f / "mask").unlink(),
    ),
    "a file that became a folder": (
        "os.path.isfile('mask')",
        lambda f: (f / "mask").write_text(""),
        lambda f: ((f / "mask").unlink(), (f / "mask").mkdir()),
    ),
    "gone, of one that is to be removed": (
        "_missing('mask', os.unlink)",
        None,
        lambda f: (f / "mask").write_text(""),
    ),
    "gone, of one that is to be renamed": (
        "_missing('mask', lambda each: os.rename(each, 'kept'))",
        None,
        lambda f: (f / "mask").write_text(""),
    ),
    "size": (
        "os.path.getsize('mask')",
        *GROWS,
    ),
    "stat": (
        "Path('mask').stat().st_size",
        *GROWS,
    ),
    "entries of a folder": (
        "[each.name for each in os.scandir('.') if each.stat().st_size == 2]",
        *GROWS,
    ),
    "entries of an open folder": (
        "_sizes('.')",
        *GROWS,
    ),
    "whether, and then how large": (
        "os.path.exists('mask') and os.path.getsize('mask')",
        *GROWS,
    ),
    "a link that leads nowhere": (
        "os.path.exists('link')",
        link_to_nowhere,
        lambda f: (f / "target").write_text(""),
    ),
    "a link": ("os.path.islink('link')", link_to_nowhere, lambda f: (f / "link").unlink()),
    "caught": (
        "(lambda: [1 for _ in [0] if not _missing('mask')])()",
        None,
        lambda f: (f / "mask").write_text(""),
    ),
}
FETCHED = (
    lambda f: ((f / "e").mkdir(), (f / "annex").mkdir(), (f / "e/d").symlink_to("../annex/key")),
    lambda f: (f / "annex/key").write_text(""),
)
UNLOCKED = (
    lambda f: (FETCHED[0](f), FETCHED[1](f)),
    lambda f: ((f / "e/d").unlink(), (f / "e/d").write_text("")),
)
DROPPED = (UNLOCKED[0], lambda f: (f / "annex/key").unlink())
LINKS = {
    "a link and no file": ("os.path.islink('e/d') and not os.path.exists('e/d')", *FETCHED),
    "a file, and a link": ("[os.path.exists('e/d'), os.path.islink('e/d')]", *UNLOCKED),
    "pathlib": ("[p.is_symlink() and p.exists() for p in Path('e').glob('*')]", *FETCHED),
    "absolute": ("[p.is_symlink() and p.exists() for p in Path.cwd().glob('e/*')]", *FETCHED),
    "a file behind an entry": ("[each.is_file() for each in os.scandir('e')]", *FETCHED),
    "dropped": ("[os.path.islink('e/d'), os.path.exists('e/d')]", *DROPPED),
    "unlocked": ("os.path.islink('e/d')", *UNLOCKED),
    "lstat": ("os.path.stat.S_ISLNK(os.stat('e/d', follow_symlinks=False).st_mode)", *UNLOCKED),
    "where it leads": ("[os.readlink('e/d'), os.path.isfile(os.path.abspath('e/d'))]", *FETCHED),
    "an entry that is a link": ("[each.is_symlink() for each in os.scandir('e')]", *UNLOCKED),
    "an entry that is no folder": (
        "[each.is_dir() for each in os.scandir('e')]",
        lambda f: ((f / "e").mkdir(), (f / "e/d").write_text("")),
        lambda f: ((f / "e/d").unlink(), (f / "e/d").mkdir()),
    ),
    "a walk": (
        "[folders for _, folders, _ in os.walk('e')]",
        FETCHED[0],
        lambda f: (f / "annex/key").mkdir(),
    ),
    "a pipe": (
        "Path('e').is_fifo()",
        lambda f: os.mkfifo(f / "e"),
        lambda f: ((f / "e").unlink(), (f / "e").write_text("")),
    ),
}
MISSING = """
def _missing(path, ask=None):
    try:
        os.stat(path) if ask is None else ask(path)
    except FileNotFoundError:
        return True
    return False

def _sizes(folder):
    opened = os.open(folder, os.O_RDONLY)
    with os.scandir(opened) as entries:
        return {each.name: each.stat().st_size for each in entries if each.name == "mask"}
"""


def test_entries_of_a_folder_are_what_they_are_without_memori(tmp_path: Path) -> None:
    """In what they are taken for, as well."""

    def kinds(folder: str) -> list[list[Any]]:
        entries = os.scandir(folder)
        found = sorted(entries, key=lambda each: each.name)
        entries.close()
        return [
            [isinstance(each, os.DirEntry), os.fspath(each), each.is_dir(), each.is_file(),
             each.is_symlink(), each.inode(), repr(each), each.stat(follow_symlinks=False).st_size]
            for each in found
        ]  # fmt: skip

    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "mask").write_text("a")
    (folder / "link").symlink_to("mask")
    assert {"y": kinds(str(folder))} == Stage(kinds, "y", tmp_path / "work").run(str(folder))


@pytest.mark.parametrize("case", ASKED)
def test_a_file_that_code_asked_for_counts(case: str, tmp_path: Path) -> None:
    """That it is there, or its size where that was asked; unchanged, nothing runs."""
    asked, before, change = ASKED[case]
    function = f"{MISSING}\ndef f(x):\n    return {asked}\n"
    if before is not None:
        before(tmp_path)
    runs_again(lambda: run(tmp_path, function), lambda: change(tmp_path))


@pytest.mark.parametrize("case", LINKS)
def test_whether_a_path_is_a_link_and_leads_somewhere_counts(case: str, tmp_path: Path) -> None:
    """As in a dataset of DataLad: files are fetched, dropped and unlocked there."""
    asked, before, change = LINKS[case]
    before(tmp_path)
    function = f"def f(x):\n    return {asked}\n"
    runs_again(lambda: run(tmp_path, function), lambda: change(tmp_path))


def test_a_walk_does_not_ask_whether_files_are_fetched(tmp_path: Path) -> None:
    """It asks of links whether they lead to folders."""
    FETCHED[0](tmp_path)
    function = "def f(x):\n    return [files for _, _, files in os.walk('e')]\n"
    assert ([["d"]], True) == run(tmp_path, function)
    FETCHED[1](tmp_path)
    assert ([["d"]], False) == run(tmp_path, function)


HANDED = {
    "a pool of threads": "list(ThreadPoolExecutor(2).map(os.path.exists, ['mask']))",
    "a pool": "Pool(1).map(os.path.exists, ['mask'])",
    "to_thread": "asyncio.run(asyncio.to_thread(os.path.exists, 'mask'))",
    "a key": "heapq.nlargest(1, ['mask', 'other'], key=os.path.exists)",
    "numpy": "np.vectorize(os.path.isfile)(['mask']).tolist()",
}


@pytest.mark.parametrize("case", HANDED)
def test_a_question_that_a_library_is_handed_is_the_users(case: str, tmp_path: Path) -> None:
    """Libraries call it on each of many paths."""
    function = f"""
import asyncio, heapq
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool
{"import numpy as np" if case == "numpy" else ""}
def f(x):
    return {HANDED[case]}
"""
    (tmp_path / "other").write_text("")
    if case == "a key":
        function = function.replace("exists", "getsize")
        (tmp_path / "mask").write_text("")
        (tmp_path / "other").write_text("a")
    runs_again(lambda: run(tmp_path, function), lambda: (tmp_path / "mask").write_text("abc"))


def test_a_question_of_a_library_that_it_hands_on_is_its_own(tmp_path: Path) -> None:
    """Where it looks for something differs from one machine to the next."""
    library = tmp_path / "site-packages" / "searching.py"
    library.parent.mkdir()
    library.write_text(
        "import heapq, os\ndef found():\n"
        "    return heapq.nlargest(1, ['mask'], key=os.path.exists)\n"
    )
    function = f"sys.path.append({str(library.parent)!r})\n"
    function += "import searching\ndef f(x):\n    return searching.found()\n"
    assert (["mask"], True) == run(tmp_path, function)
    (tmp_path / "mask").write_text("")
    assert (["mask"], False) == run(tmp_path, function)


NAMED = {
    "an item": "os.environ[f'{n}_TEST']",
    "get": "os.environ.get(f'{n}_TEST')",
    "getenv": "os.getenv(n + '_TEST')",
    "a default": "os.environ.setdefault(n + '_TEST', '')",
    "membership": "(n + '_TEST') in os.environ and os.environ[n + '_TEST']",
    "expansion": "os.path.expandvars('$' + n + '_TEST')",
    "a format": "('{' + n + '_TEST}').format_map(os.environ)",
    "a template": "string.Template('$' + n + '_TEST').substitute(os.environ)",
    "a chain": "collections.ChainMap(os.environ, {})[n + '_TEST']",
    "itemgetter": "operator.itemgetter(n + '_TEST')(os.environ)",
    "map": "''.join(map(os.environ.get, [n + '_TEST']))",
    "a pool of threads": "''.join(ThreadPoolExecutor(1).map(os.environ.get, [n + '_TEST']))",
}


@pytest.mark.parametrize("case", NAMED)
def test_a_variable_with_a_computed_name_counts(case: str, tmp_path: Path) -> None:
    """However it is asked for."""
    function = "import collections, operator, string\n"
    function += "from concurrent.futures import ThreadPoolExecutor\n"
    function += f"def f(x):\n    n = 'lab'.upper()\n    return {NAMED[case]}\n"
    assert ("one", True) == run(tmp_path, function, LAB_TEST="one")
    assert ("one", False) == run(tmp_path, function, LAB_TEST="one", MEMORI_OTHER="x")
    assert ("two", True) == run(tmp_path, function, LAB_TEST="two")
    assert ("one", False) == run(tmp_path, function, LAB_TEST="one")


@pytest.mark.parametrize(
    "given",
    [
        "dict(os.environ)",
        "{**os.environ}",
        "os.environ.copy()",
        "list(os.environ.items())",
        "{} | os.environ",
        "{}.update(os.environ) or 1",
        "list(os.environ.values())",
        "__import__('json').dumps({**os.environ})",
        "__import__('copy').copy(os.environ)",
        "__import__('collections').ChainMap({}, os.environ).copy()",
        "dict(__import__('collections').ChainMap({}, os.environ))",
        "__import__('subprocess').run(['true'], env={**os.environ, 'A': '1'})",
        "__import__('subprocess').run(['true'], env=os.environ)",
    ],
)
def test_all_variables_at_once_are_none_that_was_asked_for(given: str, tmp_path: Path) -> None:
    """They are handed to programs, and differ from one shell to the next."""
    function = f"def f(x):\n    return bool({given})\n"
    assert (True, True) == run(tmp_path, function, MEMORI_TEST="one")
    assert (True, False) == run(tmp_path, function, MEMORI_TEST="two")


HOMES = {
    "a path": "open(os.path.expanduser('~/a')).read()",
    "pathlib": "Path('~/a').expanduser().read_text()",
    "the folder": "(Path.home() / 'a').read_text()",
}


@pytest.mark.parametrize("case", HOMES)
def test_the_home_that_code_asked_for_counts(case: str, tmp_path: Path) -> None:
    """Somebody else's settings are others; a path that begins elsewhere has no home."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    function = f"def f(x):\n    return {HOMES[case]}\n"
    assert ("one", True) == run(tmp_path, function, HOME=one)
    assert ("two", True) == run(tmp_path, function, HOME=two)
    assert ("one", False) == run(tmp_path, function, HOME=one)

    plain = f"def f(x):\n    return open(os.path.expanduser({one + '/a'!r})).read()\n"
    assert ("one", True) == run(tmp_path, plain, HOME=one)
    assert ("one", False) == run(tmp_path, plain, HOME=two)


BEGINNING = {
    "kept": "{k: v for k, v in os.environ.items() if k.startswith('MEMORI_OF_')}",
    "a loop": "[k.removeprefix(START) for k in os.environ if k.startswith(START)]",
    "held": "{k: v for k, v in os.environ.items() if 'MORI_OF_' in k}",
    "a pattern": "[k for k in os.environ.keys() if __import__('re').match('^MEMORI_OF.*', k)]",
}


@pytest.mark.parametrize("case", BEGINNING)
def test_variables_that_begin_with_a_text_count(case: str, tmp_path: Path) -> None:
    """A family of settings is found by what its names begin with; a new one counts."""
    function = f"START = 'MEMORI_OF_'\ndef f(x):\n    return len({BEGINNING[case]})\n"
    assert (0, True) == run(tmp_path, function)
    assert (1, True) == run(tmp_path, function, MEMORI_OF_A="1")
    assert (1, False) == run(tmp_path, function, MEMORI_OF_A="1", MEMORI_TEST="1")
    assert (2, True) == run(tmp_path, function, MEMORI_OF_A="1", MEMORI_OF_B="1")
    assert (0, False) == run(tmp_path, function)


STEADY = {
    "a folder that it makes": "os.path.exists('out') or os.mkdir('out')",
    "a file that it makes": "os.path.exists('out') or open('out', 'w').close()",
    "a file that it makes below": "os.makedirs('out/a', exist_ok=True), open('out/a/b', 'w').close(), os.path.exists('out/a/b')",  # noqa: E501
    "a file that a program makes": "os.path.exists('out') or os.system('touch out')",
    "what a library asks for": "__import__('tempfile').gettempdir()",
    "a temporary file": "os.path.exists(__import__('tempfile').mkdtemp() + '/x')",
    "where a link leads": "os.path.realpath('link')",
}


@pytest.mark.parametrize("case", STEADY)
def test_what_a_run_makes_itself_is_no_question(case: str, tmp_path: Path) -> None:
    """An unchanged script hits on its second and third run."""
    function = f"def f(x):\n    {STEADY[case]}\n    return 1\n"
    assert (1, True) == run(tmp_path, function)
    assert (1, False) == run(tmp_path, function)
    assert (1, False) == run(tmp_path, function)


def test_a_reason_names_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the variable, before and now."""
    monkeypatch.chdir(tmp_path)

    def f(x: int) -> bool:
        return os.path.exists("mask") or bool(os.environ["".join(["MEM", "A"])])

    monkeypatch.setenv("MEMA", "one")
    stage = Stage(f, hash_output=tmp_path / "work")
    stage.run(1)
    monkeypatch.setenv("MEMA", "two")
    assert "variable MEMA, which the run read, was one and is two" in str(stage.explain(1))
    monkeypatch.setenv("MEMA", "one")
    (tmp_path / "mask").write_text("")
    assert "mask, which the run looked at, was nothing and is file" in str(stage.explain(1))


def test_a_variable_that_a_run_sets_is_none_that_it_was_given(tmp_path: Path) -> None:
    """The next run in the same process finds what the first one left."""

    def f(x: int) -> str:
        name = "".join(["MEM", "B"])
        before = os.environ.get(name, "")
        os.environ[name] = f"set to {x}"
        return before

    stage = Stage(f, hash_output=tmp_path / "work")
    try:
        assert "" == stage.run(1)["output"] == stage.run(1)["output"]
        assert not stage.state
    finally:
        os.environ.pop("MEMB", None)


def test_what_stands_in_for_a_builtin_is_like_it(tmp_path: Path) -> None:
    """It is pickled by name, bound to no instance, and counts as the builtin in any code."""
    Stage(len, hash_output=tmp_path / "a").run([])

    class Holder:
        stat = os.stat

    assert os.stat(tmp_path) == Holder().stat(tmp_path)
    assert os.stat is pickle.loads(pickle.dumps(os.stat)) is copy.deepcopy(os.stat)
    assert {os.stat} <= os.supports_dir_fd & os.supports_fd & os.supports_follow_symlinks
    script = "from os import stat\ndef f(x):\n    return stat('.').st_mode * 0 + x\n"
    before = "Stage(len, 'n', 'other').run([])\n"
    assert (1, True) == run(tmp_path, script)
    assert (1, False) == run(tmp_path, before + script)
