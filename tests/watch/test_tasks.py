"""A pool's worker keeps what it read for one run, and what later runs get there depends on it."""

import importlib
import multiprocessing
import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

import loky
import pytest

from memori.watch import Reach, Sieve, inherit, watching
from tests.watch.test_inherited import CACHES, MAIN, load

__all__ = ["load"]
READY = """
def get_ready(path):
    global TEXT
    with open(path) as file:
        TEXT = file.read()
def ready(subject):
    return TEXT, open(f"{subject}.txt").read()
"""


def concurrent(method, **options):
    """Make a pool of concurrent.futures, and what gives it a task."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method), **options)
    return pool.shutdown, lambda function, *args: pool.submit(function, *args).result()


def of_multiprocessing(method, initializer=None, initargs=()):
    """Make a pool of multiprocessing, and what gives it a task."""
    pool = multiprocessing.get_context(method).Pool(1, initializer, initargs)
    return pool.terminate, lambda function, *args: pool.map(function, args)


def of_loky(**options):
    """Make a pool of loky, and what gives it a task."""
    pool = loky.ProcessPoolExecutor(1, **options)
    return pool.shutdown, lambda function, *args: pool.submit(function, *args).result()


POOLS = {
    "concurrent, fork": lambda **options: concurrent("fork", **options),
    "concurrent, spawn": lambda **options: concurrent("spawn", **options),
    "concurrent, forkserver": lambda **options: concurrent("forkserver", **options),
    "multiprocessing, fork": lambda **options: of_multiprocessing("fork", **options),
    "loky": of_loky,
}


@pytest.fixture(params=POOLS)
def make_pool(request):
    """Return what makes a pool of a kind, which ends with the test."""
    ends = []

    def make(**options):
        end, give = POOLS[request.param](**options)
        ends.append(end)
        return give

    yield make
    for end in ends:
        end()


def names(give, function, *args):
    """Give a task in a run, and return the names of what counts for the run."""
    with watching() as seen:
        give(function, *args)
    sieve = Sieve(seen, None)
    facts = sieve.facts()
    inherit(facts, Reach(), seen.inherited, sieve.leaves_out)
    found = [fact.path for fact in facts.read] + [fact.folder for fact in facts.listed]
    assert [] == seen.faults == facts.unvouched
    return sorted(os.path.basename(path) for path in found if "cases_" not in path)


@pytest.mark.parametrize("kind", ["lru_cache", "global", "late import", "listing"])
def test_a_later_task_inherits_what_an_earlier_one_cached(kind, load, make_pool):
    """Two cases in one worker depend on the atlas, and each on its own file alone."""
    module = load(CACHES[kind] + MAIN)
    atlas = "atlases" if kind == "listing" else "atlas.txt"
    give = make_pool()

    first, second = names(give, module.run, "sub-01"), names(give, module.run, "sub-02")

    assert [atlas, "sub-01.txt"] == first
    assert [atlas, "sub-02.txt"] == second
    assert ["sub-02.txt"] == names(give, module.unrelated, "sub-02")


@pytest.mark.parametrize("kind", CACHES)
def test_whatever_way_a_worker_caches_later_tasks_inherit(kind, load):
    """One worker, all ways in which people cache."""
    module = load(CACHES[kind] + MAIN)
    atlas = "atlases" if kind == "listing" else "atlas.txt"
    end, give = of_multiprocessing("fork")

    assert [atlas, "sub-01.txt"] == names(give, module.run, "sub-01")
    assert [atlas, "sub-02.txt"] == names(give, module.run, "sub-02")
    assert ["sub-02.txt"] == names(give, module.unrelated, "sub-02")
    end()


def test_what_a_worker_read_to_get_ready_counts_for_each_run(load, make_pool):
    """A pool's initializer runs once in each worker, whoever gives tasks to it."""
    module = load(READY)
    with watching() as seen:
        give = make_pool(initializer=module.get_ready, initargs=("atlas.txt",))
        give(module.ready, "sub-01")

    assert "read" == seen.how(os.path.abspath("atlas.txt"))
    assert ["atlas.txt", "sub-02.txt"] == names(give, module.ready, "sub-02")
    assert ["atlas.txt", "sub-01.txt"] == names(give, module.ready, "sub-01")


def test_tasks_that_keep_nothing_leave_nothing(load, make_pool):
    """Cases that read only their own files do not depend on each other's."""
    module = load("def atlas():\n    return open('atlas.txt').read()\n" + MAIN)
    give = make_pool()

    names(give, module.run, "sub-01")

    assert ["atlas.txt", "sub-02.txt"] == names(give, module.run, "sub-02")


def test_a_later_task_inherits_what_was_read(load):
    """A file that was edited between two runs counts by the content that the worker holds."""
    module = load(CACHES["lru_cache"] + MAIN)
    end, give = of_loky()

    def identity():
        with watching() as seen:
            give(module.run, "sub-01")
        facts = Sieve(seen, None).facts()
        inherit(facts, Reach(), seen.inherited)
        return [fact.identity for fact in facts.read if fact.path.endswith("atlas.txt")]

    first = identity()
    pathlib.Path("atlas.txt").write_text("another")

    assert first == identity()
    end()


SERVER = """
import multiprocessing, os, sys
from memori.watch import watching

def read(path):
    open(path).close()

class Reader(multiprocessing.get_context("forkserver").Process):
    def run(self):
        read(sys.argv[1])

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    first = context.Process(target=print)
    first.start()
    first.join()
    for make in (lambda: context.Process(target=read, args=[sys.argv[1]]), Reader):
        with watching() as seen:
            process = make()
            process.start()
            process.join()
        print(process.exitcode, seen.how(sys.argv[1]), seen.faults, seen.unwatched)
"""


def test_a_process_of_a_server_older_than_the_run_is_watched(tmp_path):
    """The fork server, the usual way from Python 3.14 on, was started before memori."""
    script = tmp_path / "script.py"
    script.write_text(SERVER)
    (tmp_path / "file.txt").touch()
    import subprocess

    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "file.txt")],
        capture_output=True,
        text=True,
        check=True,
        cwd=pathlib.Path(importlib.import_module("memori").__file__).parents[1],
    )

    assert ["", "0 read [] []", "0 read [] []"] == ran.stdout.splitlines(), ran.stderr
