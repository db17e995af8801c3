"""What was read once stays read: a process that caches reads a file for the first case only."""

import importlib
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from memori import Stage
from memori.fingerprint import fingerprint
from memori.watch import Reach, Sieve, inherit, keep, watching

CACHES = {
    "lru_cache": """
from functools import lru_cache
@lru_cache
def atlas():
    return open("atlas.txt").read()
""",
    "cache of a method": """
from functools import cache
class Atlas:
    @cache
    def get(self):
        return open("atlas.txt").read()
ATLAS = Atlas()
def atlas():
    return ATLAS.get()
""",
    "global": """
_atlas = None
def atlas():
    global _atlas
    if _atlas is None:
        _atlas = open("atlas.txt").read()
    return _atlas
""",
    "dictionary": """
_cache = {}
def atlas():
    if "atlas" not in _cache:
        _cache["atlas"] = open("atlas.txt").read()
    return _cache["atlas"]
""",
    "decorator of one's own": """
def remember(function):
    known = {}
    def wrapper(*args):
        if args not in known:
            known[args] = function(*args)
        return known[args]
    return wrapper
@remember
def atlas():
    return open("atlas.txt").read()
""",
    "attribute of a function": """
def atlas():
    if not hasattr(atlas, "known"):
        atlas.known = open("atlas.txt").read()
    return atlas.known
""",
    "default value": """
def atlas(known={}):
    if not known:
        known["atlas"] = open("atlas.txt").read()
    return known["atlas"]
""",
    "class": """
class Atlas:
    text = None
    @classmethod
    def get(cls):
        if cls.text is None:
            cls.text = open("atlas.txt").read()
        return cls.text
def atlas():
    return Atlas.get()
""",
    "cached property": """
from functools import cached_property
class Atlas:
    @cached_property
    def text(self):
        return open("atlas.txt").read()
ATLAS = Atlas()
def atlas():
    return ATLAS.text
""",
    "late import": """
def atlas():
    import MODULE_late
    return MODULE_late.TEXT
""",
    "import by a computed name": """
import importlib
def atlas():
    return importlib.import_module("MODULE_" + "late").TEXT
""",
    "cache in a module that is imported late": """
def atlas():
    import MODULE_caching
    return MODULE_caching.atlas()
""",
    "listing": """
_names = None
def atlas():
    global _names
    if _names is None:
        import os
        _names = os.listdir("atlases")
    return _names
""",
}
MAIN = """
def run(subject):
    with open(f"{subject}.txt") as file:
        return file.read(), atlas()
def other(subject):
    return run(subject)
def unrelated(subject):
    with open(f"{subject}.txt") as file:
        return file.read()
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Make a module from a text, in a folder with data, and forget it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("atlas", "sub-01", "sub-02"):
        pathlib.Path(f"{name}.txt").write_text(name)
    os.mkdir("atlases")
    name = f"cases_{abs(hash(tmp_path))}"

    def loaded(text):
        text = text.replace("MODULE", name)
        pathlib.Path(f"{name}.py").write_text(text)
        pathlib.Path(f"{name}_late.py").write_text("TEXT = open('atlas.txt').read()\n")
        pathlib.Path(f"{name}_caching.py").write_text(CACHES["lru_cache"])
        return importlib.import_module(name)

    yield loaded
    for each in (name, f"{name}_late", f"{name}_caching"):
        sys.modules.pop(each, None)


def run(function, *args):
    """Run a function as a stage does, and return the names of what counts."""
    code = fingerprint(function)
    reach = Reach.of(code)
    with watching() as seen:
        function(*args)
    changed = code.settle()
    facts = Sieve(seen, None).facts()
    inherit(facts, reach)
    keep(facts, seen, changed, code.caches)
    found = [fact.path for fact in facts.read] + [fact.folder for fact in facts.listed]
    return sorted(os.path.basename(path) for path in found), facts


@pytest.mark.parametrize("kind", CACHES)
def test_a_second_case_inherits_what_the_first_cached(kind, load):
    """Two cases in one process depend on the atlas, and each on its own file alone."""
    module = load(CACHES[kind] + MAIN)
    atlas = "atlases" if kind == "listing" else "atlas.txt"

    first, second, third = (
        run(module.run, "sub-01")[0],
        run(module.run, "sub-02")[0],
        run(module.other, "sub-02")[0],
    )

    assert [atlas, "sub-01.txt"] == first
    assert [atlas, "sub-02.txt"] == second
    assert [atlas, "sub-02.txt"] == third
    assert ["sub-02.txt"] == run(module.unrelated, "sub-02")[0]


def test_a_function_that_keeps_nothing_leaves_nothing(load):
    """Cases that read only their own files do not depend on each other's."""
    module = load("def atlas():\n    return open('atlas.txt').read()\n" + MAIN)

    run(module.run, "sub-01")

    assert ["atlas.txt", "sub-02.txt"] == run(module.run, "sub-02")[0]


def test_what_is_inherited_is_what_was_read(load):
    """A file that was edited between two cases counts by the content that the process holds."""
    module = load(CACHES["lru_cache"] + MAIN)
    first = run(module.run, "sub-01")[1]
    pathlib.Path("atlas.txt").write_text("another")

    second = run(module.run, "sub-02")[1]

    def of_atlas(facts):
        return [fact.identity for fact in facts.read if fact.path.endswith("atlas.txt")]

    assert of_atlas(first) == of_atlas(second)


def test_a_cache_of_before_is_named(load):
    """Nobody saw what a cache was filled with before the first run; that is said."""
    module = load(CACHES["lru_cache"] + MAIN)
    module.atlas()

    facts = run(module.run, "sub-01")[1]

    assert "atlas (what it cached before)" in facts.unseen


def test_modules_imported_earlier_are_inherited(load):
    """The code of a module that an earlier case imported counts for the later one."""
    module = load(CACHES["import by a computed name"] + MAIN)

    first = run(module.run, "sub-01")[1]
    second = run(module.run, "sub-02")[1]

    assert 1 == len(first.modules)
    assert [fact.path for fact in first.modules] == [fact.path for fact in second.modules]


WARMED = {
    "a text": "return open('atlas.txt').read()",
    "a table": "return {'labels': open('atlas.txt').read().split()}",
    "an object": "return Atlas(open('atlas.txt').read())",
    "labels by number": "return dict(enumerate(open('atlas.txt').read().split()))",
    "a set": "return set(open('atlas.txt').read().split())",
    "a namespace": "return argparse.Namespace(text=open('atlas.txt').read())",
    "a frame": "return pd.DataFrame({'label': open('atlas.txt').read().split()})",
}
ATLAS = """
class Atlas:
    def __init__(self, text):
        self.text = text
    def __len__(self):
        return len(self.text)
"""


@pytest.mark.parametrize("kind", WARMED)
def test_a_cache_that_a_script_filled_before_counts_by_what_it_holds(kind, load, tmp_path):
    """The first run does not come by the file again: an edited one is seen all the same."""
    source = (
        f"import argparse\nfrom functools import cache\nimport pandas as pd\n{ATLAS}@cache\n"
        f"def atlas():\n    {WARMED[kind]}\n"
        "START = str(atlas())\ndef run(subject):\n"
        "    return [str(getattr(atlas(), 'text', atlas())), subject]\n"
    )

    def ran(text):
        pathlib.Path("atlas.txt").write_text(text)
        stage = Stage(importlib.reload(load(source)).run, "found", "work")
        why = str(stage.explain("sub-01"))
        return text in str(stage.run("sub-01")["found"]), stage.state, why

    assert [(True, True), (True, False)] == [ran("amygdala")[:2], ran("amygdala")[:2]]
    is_new, state, why = ran("thalamus")
    assert (True, True) == (is_new, state)
    assert "cached atlas" in why
    assert (True, False) == ran("amygdala")[:2]


@pytest.mark.parametrize("kind", ["a text", "labels by number"])
def test_a_cache_that_a_script_filled_before_counts_alike_in_workers(kind, tmp_path):
    """What ran in processes is remembered without them, and `explain` says so."""
    source = """
        import sys
        from functools import cache
        from memori import Pipeline, Stage

        @cache
        def atlas():
            HELD

        def work(subject):
            return [str(atlas()), subject]

        if __name__ == "__main__":
            atlas()
            pipeline = Pipeline([("start", Stage(work, "found", "work"))])
            before = pipeline.explain(subject=1).hit
            pipeline.map([{"subject": 1}, {"subject": 2}], n_jobs=int(sys.argv[1]))
            print(before, pipeline.explain(subject=1).hit)
    """
    (tmp_path / "atlas.txt").write_text("amygdala")
    (tmp_path / "script.py").write_text(textwrap.dedent(source).replace("HELD", WARMED[kind]))
    for jobs, told in (("2", "False True"), ("1", "True True")):
        command = [sys.executable, "script.py", jobs]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert told == done.stdout.strip(), done.stderr


def test_what_a_cache_holds_that_takes_arguments_is_none_of_it(load):
    """Another subject that was looked at before is no reason to run."""
    source = (
        "from functools import cache\n@cache\ndef size(subject):\n    return len(subject)\n"
        "def run(subject):\n    return size(subject)\n"
    )
    codes = []
    for subject in ("sub-1", "subject-2"):
        module = importlib.reload(load(source))
        module.size(subject)
        codes.append(fingerprint(module.run).fast)
    assert codes[0] == codes[1]
