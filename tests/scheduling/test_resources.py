"""What stages say that they need, held against what there is."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import memori
from memori import Each, Pipeline, ResourceError, Stage
from memori.scheduling import machine

GB = 10**9


class Crowd:
    """Counts how many calls go on at once; it stays the same when it travels in this process."""

    def __init__(self) -> None:
        threading.crowd = self  # type: ignore[attr-defined]  # where whoever unpickles it looks
        self._lock = threading.Lock()
        self._now = self.most = self.calls = 0

    def __call__(self, x: int) -> int:
        with self._lock:
            self._now += 1
            self.calls += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        with self._lock:
            self._now -= 1
        return x

    def __reduce__(self) -> Any:
        return getattr, (threading, "crowd")


def mapped(folder: Path | None, options: dict[str, Any], **how: Any) -> tuple[Crowd, Any]:
    """Map eight cases in eight threads over a stage with options; return who counted them."""
    crowd = Crowd()
    stage = Stage(crowd, "y", folder, "crowd", watch=False, code_version="1", **options)
    pipeline = Pipeline([("start", stage)])
    with ThreadPoolExecutor(8) as executor:
        found = pipeline.map([{"x": x} for x in range(8)], **{"executor": executor, **how})
    found.raise_failures()
    return crowd, found


@pytest.mark.parametrize(
    ("options", "how", "most"),
    [
        ({"memory": "2 GB"}, {"memory": "4 GB"}, 2),
        ({"memory": 3 * GB}, {"memory": "4GB"}, 1),
        ({"memory": "1GiB"}, {"memory": "4GB"}, 3),
        ({"gpus": 1}, {"gpus": 2}, 2),
        ({"threads": 4}, {}, 2),
        ({"threads": 99}, {}, 1),
        ({"threads": 2, "memory": "1 GB"}, {"memory": "3 GB"}, 3),
    ],
)
def test_no_more_runs_at_once_than_there_is_room_for(
    options: dict[str, Any], how: dict[str, Any], most: int
) -> None:
    """Of threads, memory and GPUs; more threads than there are run alone."""
    crowd, _ = mapped(None, options, **how)
    assert 8 == crowd.calls
    assert crowd.most <= most


def test_gpus_that_nothing_counts_are_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a variable that hides all of them is believed."""
    monkeypatch.setattr(machine, "_VISIBLE", ())
    if machine.gpus_here() is None:
        assert 1 == mapped(None, {"gpus": 1})[0].most
    monkeypatch.setattr(machine, "_VISIBLE", ("CUDA_VISIBLE_DEVICES",))
    for text, number in (("0,1", 2), ("", 0), ("-1", 0), ("GPU-3f, MIG-5/1/0", 2)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
        assert number == machine.gpus_here()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ResourceError, match="needs 1 GPU, and there are no GPUs on this machine"):
        mapped(None, {"gpus": 1})


def test_the_memory_of_this_machine_is_the_least_that_limits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job of SLURM has what it was given, and not what the node has."""
    whole = machine.memory_here()
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "64")
    assert (64 << 20) == machine.memory_here() < whole


def test_what_needs_more_than_there_is_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """With the stage, what it needs and what there is, also inside of what is divided."""
    calls: list[int] = []
    first = Stage(lambda x: calls.append(x) or [x], "xs", stage_name="first")
    large = Stage(lambda x: x, "y", tmp_path, stage_name="large", memory="10 TB")
    for second in (large, Each(large, x="xs"), Pipeline([("start", Each(large, x="xs"))])):
        pipeline = Pipeline([("start", first), (first, second)])
        with ThreadPoolExecutor(2) as executor, pytest.raises(ResourceError) as raised:
            pipeline.map([{"x": 1}], executor=executor, memory="8 GB")
        assert "stage 'large' needs 10 TB, and there is 8 GB" in str(raised.value)
        assert ("large", ["10 TB, and there is 8 GB"]) == (raised.value.stage, raised.value.lacks)
    assert [] == calls


def test_what_is_remembered_needs_nothing(tmp_path: Path) -> None:
    """What a cluster has finished is recalled where it could not run."""
    mapped(tmp_path, {})
    crowd, found = mapped(tmp_path, {"memory": "10 TB", "gpus": 64}, gpus=0)
    assert (0, 0) == (crowd.calls, found.executed)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"memory": 8}, "'s': memory is a text such as '8 GB', .* and 8 is less than a run takes"),
        ({"memory": "8 Gigs"}, "'s': memory is a text such as '8 GB', .* got '8 Gigs'"),
        ({"memory": 1.5}, "'s': memory is a text such as '8 GB', .* got 1.5"),
        ({"threads": 0}, "'s': threads is 1 or more, got 0"),
        ({"threads": "2"}, "'s': threads is a whole number, got '2'"),
        ({"gpus": -1}, "'s': gpus is 0 or more, got -1"),
    ],
)
def test_what_is_no_amount_is_refused_where_the_stage_is_made(
    options: dict[str, Any], told: str
) -> None:
    """With the stage, the option, and what is meant."""
    with pytest.raises((TypeError, ValueError), match=told):
        Stage(lambda x: x, stage_name="s", **options)


def test_what_a_stage_needs_never_counts(tmp_path: Path) -> None:
    """More memory for the next subjects reruns none."""
    mapped(tmp_path, {"memory": "1 GB", "threads": 2})
    assert 0 == mapped(tmp_path, {"memory": "2 GB"})[0].calls


def test_a_parameter_of_that_name_is_the_parameter() -> None:
    """The option is given by `with_options`."""
    stage = Stage(lambda threads: threads, "n", threads=3).with_options(threads=2, memory="1 GB")
    assert {"n": 3} == stage.run()
    assert (2, GB) == (stage.resources.threads, stage.resources.memory)


def test_an_interface_keeps_as_many_threads_busy_as_it_is_set_to() -> None:
    """Nipype's own word for it."""
    from nipype.interfaces.ants import Registration

    from memori.neuro import NipypeStage

    assert 4 == NipypeStage(Registration(num_threads=4)).resources.threads
    assert 3 == NipypeStage(Registration(), num_threads=3).resources.threads
    stage = NipypeStage(Registration(num_threads=4), threads=2, memory="3 GB", gpus=1)
    assert (2, 3 * GB, 1) == stage.resources.as_tuple()


# Executors by name


def test_processes_of_several_cores_take_a_stage_of_as_many_threads() -> None:
    """And what has more threads than all of them is refused."""
    stage = Stage(abs, "y", stage_name="abs", threads=4)
    pipeline = Pipeline([("start", stage)])
    with memori.executor("processes", jobs=1, cores=4) as executor:
        assert 3 == pipeline.run(-3, executor=executor)["y"]
        with pytest.raises(ResourceError, match="8 threads, and there are 4 threads"):
            Pipeline([("start", stage.with_options(threads=8))]).run(-3, executor=executor)


@pytest.mark.skipif(find_spec("distributed") is None, reason="no Dask")
def test_a_cluster_is_asked_in_the_names_that_its_workers_declare() -> None:
    """A GPU of one worker is shared by nobody; what no worker declares is not waited for."""
    from distributed import Client, LocalCluster

    settings: dict[str, Any] = {"processes": False, "dashboard_address": ":0", "n_workers": 1}
    declared = {"GPU": 1, "MEM": 4e9}
    with (
        LocalCluster(threads_per_worker=4, resources=declared, **settings) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor()
        assert 1 == mapped(None, {"gpus": 1}, executor=executor)[0].most
        assert mapped(None, {"memory": "2 GB"}, executor=executor)[0].most <= 2
        assert 8 == mapped(None, {"threads": 3}, executor=executor)[0].calls
        for options, told in (
            ({"gpus": 2}, "needs 2 GPUs, and there is 1 GPU in a worker of the ClientExecutor\\."),
            ({"memory": "5 GB"}, "needs 5 GB, and there is 4 GB in a worker of"),
        ):
            with pytest.raises(ResourceError, match=told):
                mapped(None, options, executor=executor)


@pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="no dask-jobqueue")
def test_jobs_of_a_batch_system_have_what_they_were_asked_for() -> None:
    """SLURM is asked in its words, and a stage that needs more submits no job."""
    how: dict[str, Any] = {"cores": 4, "memory": "16GB", "gpus": 2, "interface": "lo"}
    with memori.executor("slurm", jobs=3, **how) as executor:
        script = executor._cluster.job_script()  # type: ignore[attr-defined]
        for words in ("--gres=gpu:2", "--cpus-per-task=4", "--mem=15G"):
            assert words in script
        for options, told in (
            ({"threads": 8}, "8 threads, and there are 4 threads in a worker"),
            ({"memory": "17 GB"}, "17 GB, and there is 16 GB"),
            ({"gpus": 3}, "3 GPUs, and there are 2 GPUs"),
        ):
            with pytest.raises(ResourceError, match=told):
                mapped(None, options, executor=executor)


def test_control_groups_say_what_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of `docker run --cpus=1 --memory=64m`, in groups of the new kind and of the old."""
    monkeypatch.setattr(machine, "_CGROUPS", str(tmp_path))
    assert (machine.cores_here(), machine.memory_here()) >= (1, 1)
    for folder in ("cpu", "memory"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("67108864\n")
    groups = [line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    if {"cpu", "memory"} <= {*groups}:
        assert (1, 64 << 20) == (machine.cores_here(), machine.memory_here())
    if "" in groups:
        assert machine.cores_here() <= 2


def test_what_runs_in_parts_shares_memory_as_cases_do() -> None:
    """Elements of nested lists: none is begun without the memory that it needs."""
    crowd = Crowd()
    stage = Stage(crowd, "y", None, "crowd", memory="2 GB")
    inner = Pipeline([("start", Each(stage, x="xs"))])
    pipeline = Pipeline([("start", Each(inner, xs="lists"))])
    cases = [{"lists": [[1, 2], [3]]}, {"lists": [[4]]}]
    with ThreadPoolExecutor(8) as executor:
        found = pipeline.map(cases, executor=executor, memory="5 GB").raise_failures()
    assert [[1, 2], [3]] == found[0][1]["y"]
    assert crowd.most <= 2
    assert 4 == crowd.calls


def test_a_cluster_is_not_held_to_what_the_machine_has_that_asks() -> None:
    """A login node of two cores submits stages of sixteen."""
    from memori.scheduling.workers import workers_for
    from memori.signature.resources import Resources

    class Elsewhere:
        each_worker = Resources(16, 999 * GB, None)

        def submit(self) -> None:
            """Take nothing."""

    workers = workers_for(None, Elsewhere())  # type: ignore[arg-type]
    assert workers is not None
    assert [] == workers.lacks(Resources(16, 999 * GB, 4))
