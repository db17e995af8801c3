"""A worker process that holds a module as it was before an edit gives nothing stale."""

import importlib
import multiprocessing
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import count

import loky
import pytest

from memori import Pipeline, Stage
from memori.errors import MemoriError

HELPER = "def helper(x):\n    return 'VERSION' * x\ndef work(x):\n    return helper(x)\n"


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Write a version of a module and return it, as it is after a reload."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"edited_{abs(hash(tmp_path))}"

    versions = count(1_000_000_000, 10)

    def written(version, *, reload=True):
        path = tmp_path / f"{name}.py"
        path.write_text(HELPER.replace("VERSION", version))
        time = next(versions)  # Python tells bytecode of versions apart by whole seconds
        os.utime(path, (time, time))
        importlib.invalidate_caches()
        if name not in sys.modules:
            return importlib.import_module(name)
        return importlib.reload(sys.modules[name]) if reload else sys.modules[name]

    yield written
    sys.modules.pop(name, None)


def made(module):
    """Make a pipeline of the module's function."""
    return Pipeline([("start", Stage(module.work, stage_outputs=["y"], hash_output="work"))])


def values(cases):
    """Return what came of two cases."""
    return [result["y"] for _, result in cases]


CASES = [{"x": 1}, {"x": 2}]


def test_a_map_after_a_reload_runs_the_code_as_it_is_now(edit):
    """Whoever edits and reloads a module in a notebook maps it again, by worker processes."""
    assert ["old", "oldold"] == values(made(edit("old")).map(CASES, n_jobs=2))
    assert ["newer", "newernewer"] == values(made(edit("newer")).map(CASES, n_jobs=2))
    assert ["old", "oldold"] == values(made(edit("old")).map(CASES, n_jobs=2))


def test_an_unchanged_map_keeps_its_workers(edit):
    """Worker processes are started anew only if what they hold is older."""
    module = edit("old")
    from memori.scheduling import workers

    made(module).map(CASES, n_jobs=2)
    pool = workers._kept.pool
    made(module).map([{"x": 3}, {"x": 4}], n_jobs=2)

    assert pool is workers._kept.pool


def test_modules_of_a_folder_that_was_added_later_are_found(edit, tmp_path, monkeypatch):
    """A notebook adds a folder to the path after a first map."""
    made(edit("old")).map(CASES, n_jobs=2)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/added_later.py").write_text(HELPER.replace("VERSION", "new"))
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    module = importlib.import_module("added_later")
    assert ["new", "newnew"] == values(made(module).map(CASES, n_jobs=2))


def spawning():
    """Make a pool of fresh processes."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("make", [spawning, lambda: loky.ProcessPoolExecutor(1)])
def test_an_executor_that_outlived_an_edit_is_named(edit, make):
    """Workers of the user's own are not replaced; what they would give is refused."""
    with make() as executor:
        assert ["old", "oldold"] == values(made(edit("old")).map(CASES, executor=executor))
        cases = made(edit("newer")).map(CASES, executor=executor)

        for _, failure in cases:
            assert isinstance(failure.error, MemoriError)
            assert "helper" in str(failure.error)
            assert "start the workers anew" in str(failure.error)
    with make() as executor:
        assert ["newer", "newernewer"] == values(made(edit("newer")).map(CASES, executor=executor))


def test_a_stage_given_to_a_pool_of_ones_own_gives_nothing_stale(edit):
    """A stage knows which functions it reached where it came from."""
    stage = Stage(edit("old").work, stage_outputs=["y"], hash_output="work")
    with spawning() as executor:
        assert "old" == executor.submit(stage.run, 1).result()["y"]
        stage = Stage(edit("newer").work, stage_outputs=["y"], hash_output="work")
        with pytest.raises(MemoriError, match="as it was before an edit"):
            executor.submit(stage.run, 1).result()


def test_an_edit_while_a_script_runs_is_told(edit):
    """Workers run what the file says now, and their results are remembered as such."""
    module = edit("old")
    edit("newer", reload=False)
    with spawning() as executor:
        cases = made(module).map(CASES, executor=executor)

    assert ["newer", "newernewer"] == values(cases)
    stage = Stage(edit("newer").work, stage_outputs=["y"], hash_output="work")
    assert ("newer", False) == (stage.run(1)["y"], stage.state)
    stage = Stage(edit("old").work, stage_outputs=["y"], hash_output="work")
    assert ("old", True) == (stage.run(1)["y"], stage.state)


def test_a_run_whose_own_workers_hold_other_code_is_not_remembered(edit):
    """What a worker that outlives runs made of older code is not taken for the new."""
    module = edit("old")

    def study(times):
        return list(loky.get_reusable_executor(1).map(module.work, range(times)))

    def ran():
        stage = Stage(study, stage_outputs=["all"], hash_output="work")
        return stage.run(2)["all"], stage.state

    loky.get_reusable_executor(1).shutdown(wait=True)
    assert ran() == (["", "old"], True)
    assert ran() == (["", "old"], False)
    edit("newer")
    with pytest.warns(UserWarning, match="another version of helper"):
        assert ran() == (["", "old"], True)
    loky.get_reusable_executor(1).shutdown(wait=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ran() == (["", "newer"], True)
        assert ran() == (["", "newer"], False)
