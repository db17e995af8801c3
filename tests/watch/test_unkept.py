"""A cache answers whoever comes next, also where the run that filled it failed or still goes on."""

import subprocess
import sys
import textwrap

import pytest

KEPT = {
    "lru_cache": """
        @lru_cache
        def atlas(path="atlas.txt"):
            return open(path).read()
    """,
    "dictionary": """
        KNOWN = {}
        def atlas(path="atlas.txt"):
            if path not in KNOWN:
                KNOWN[path] = open(path).read()
            return KNOWN[path]
    """,
    "module that is imported late": """
        def atlas():
            import late
            return late.ATLAS
    """,
}
HEAD = """
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from memori import Stage, remembered
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a script in a new process, and returns what it printed."""
    (tmp_path / "late.py").write_text("ATLAS = open('atlas.txt').read()\n")

    def in_new_process(source, atlas):
        (tmp_path / "atlas.txt").write_text(atlas)
        (tmp_path / "script.py").write_text(source)
        command = [sys.executable, "script.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return done.stdout.split()

    return in_new_process


@pytest.mark.parametrize("kind", KEPT)
def test_a_case_after_one_that_failed_depends_on_what_that_one_read(kind, run):
    """The first subject is broken, and the loop goes on: an edited atlas reaches all the others."""
    body = """
        @remembered("work")
        def label(subject):
            print("ran", subject)
            found = atlas() + subject
            if subject == "1":
                raise ValueError(subject)
            return found

        for subject in ("1", "2"):
            try:
                print(label(subject))
            except ValueError:
                print("broken")
    """
    source = HEAD + textwrap.dedent(KEPT[kind]) + textwrap.dedent(body)
    assert ["ran", "1", "broken", "ran", "2", "a2"] == run(source, "a")
    assert ["ran", "1", "broken", "a2"] == run(source, "a")
    assert ["ran", "1", "broken", "ran", "2", "b2"] == run(source, "b")


@pytest.mark.parametrize("kind", KEPT)
def test_a_case_that_ends_before_the_one_that_read_depends_on_it(kind, run):
    """In threads, the case that finds the cache filled may be over first."""
    body = """
        threading.both, threading.read, threading.over = (threading.Event() for _ in "123")

        @remembered("work")
        def label(subject):
            if subject == "1":
                threading.both.wait(9)
                found = atlas() + subject
                threading.read.set()
                threading.over.wait(9)
            else:
                threading.both.set()
                threading.read.wait(9)
                found = atlas() + subject
            return found

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(label, "1"), pool.submit(label, "2")
            second.result()
            threading.over.set()
            decision = label.stage.explain("2")
            print(first.result(), second.result(), decision.hit, len(decision.unseen))
    """
    source = HEAD + textwrap.dedent(KEPT[kind]) + textwrap.dedent(body)
    assert ["a1", "a2", "True", "0"] == run(source, "a")
    assert ["a1", "a2", "True", "0"] == run(source, "a")
    assert ["b1", "b2", "True", "0"] == run(source, "b")


def test_a_stage_inside_one_that_has_filled_a_cache_depends_on_the_file(run):
    """Called by itself later, it sees the edit as well."""
    body = """
        inner = Stage(lambda: atlas().upper(), "text", "work", stage_name="inner")

        def around():
            return atlas() + inner.run()["text"]

        if open("how.txt").read() == "around":
            print(Stage(around, "text", "work").run()["text"])
        else:
            print(inner.run()["text"], inner.state)
    """
    source = HEAD + textwrap.dedent(KEPT["lru_cache"]) + textwrap.dedent(body)
    how = "open('how.txt', 'w').write('{}')\n"
    assert ["aA"] == run(how.format("around") + source, "a")
    assert ["A", "False"] == run(how.format("alone") + source, "a")
    assert ["B", "True"] == run(how.format("alone") + source, "b")


def test_what_a_stage_that_is_not_remembered_has_cached_counts_by_its_value(run):
    """It runs each time, as code of no stage does: a global that it fills is what it then is."""
    body = """
        Stage(atlas, "text", "work", stage_name="first", remember=False).run()
        second = Stage(lambda: atlas().upper(), "text", "work", stage_name="second")
        print(second.run()["text"], second.state)
    """
    source = HEAD + textwrap.dedent(KEPT["dictionary"]) + textwrap.dedent(body)
    assert ["A", "True"] == run(source, "a")
    assert ["A", "False"] == run(source, "a")
    assert ["B", "True"] == run(source, "b")
    assert ["A", "False"] == run(source, "a")
