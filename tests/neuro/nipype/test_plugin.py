"""The plugin: parallel, within what there is, and never without an end."""

from __future__ import annotations

import itertools
import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
from nipype.interfaces import utility as niu
from nipype.pipeline.engine import MapNode, Node, Workflow

from memori.neuro import remember_workflow
from memori.neuro.nipype.plugin import MemoriPlugin


def nap(x):
    import os
    import time

    began = time.time()
    time.sleep(0.3)
    return x, [began, time.time()], os.getpid()


def die_once(path):
    import os
    import signal

    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def die(path):
    import os
    import signal

    with open(path, "a") as tries:
        tries.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError("this fails")


def function(source, name, outputs="y", **inputs):
    node = Node(niu.Function(list(inputs), outputs, source), name)
    node.inputs.trait_set(**inputs)
    return node


def workflow(tmp_path, *nodes):
    made = Workflow("wf", base_dir=str(tmp_path / "base"))
    made.config["execution"]["crashdump_dir"] = str(tmp_path / "crash")
    made.add_nodes(list(nodes))
    return made


def overlap(spans):
    (a, b), (c, d) = spans
    return min(b, d) - max(a, c)


@pytest.mark.parametrize(("processors", "together"), [(2, True), (1, False)])
def test_nodes_run_beside_each_other(tmp_path, processors, together):
    """Two nodes run at once where two processors are given, and one after the other with one."""
    nodes = [function(nap, f"n{x}", ["x", "span", "pid"], x=x) for x in range(2)]
    arguments = {"n_procs": processors}
    graph = workflow(tmp_path, *nodes).run(plugin="Memori", plugin_args=arguments)
    found = [node.result.outputs for node in graph.nodes()]
    assert together == (overlap([each.span for each in found]) > 0)
    assert os.getpid() not in [each.pid for each in found]


def test_elements_of_a_map_run_beside_each_other(tmp_path):
    """A MapNode's elements are nodes of their own, remembered or not."""
    for remembers in (False, True):
        node = MapNode(niu.Function(["x"], ["x", "span", "pid"], nap), "x", f"map{remembers}")
        node.inputs.x = [1, 2]
        wf = workflow(tmp_path, node)
        if remembers:
            remember_workflow(wf, tmp_path / "memory")
        (ran,) = wf.run(plugin="Memori", plugin_args={"n_procs": 2}).nodes()
        assert overlap(ran.result.outputs.span) > 0


def test_worker_that_dies_takes_nobody_down(tmp_path):
    """A node whose worker was killed is tried once more; its neighbours end well."""
    nodes = [
        function(die_once, "dies", path=str(tmp_path / "died")),
        function(nap, "naps", ["x", "span", "pid"], x=1),
    ]
    graph = workflow(tmp_path, *nodes).run(plugin="Memori", plugin_args={"n_procs": 2})
    assert [1, 1] == [getattr(n.result.outputs, "y", 1) for n in graph.nodes()]


def test_node_that_kills_its_worker_fails(tmp_path):
    """A node that kills each worker is a failure, not a loop."""
    tries = tmp_path / "tries"
    nodes = [
        function(die, "dies", path=str(tries)),
        function(nap, "naps", ["x", "span", "pid"], x=1),
    ]
    wf = workflow(tmp_path, *nodes)
    with pytest.raises(RuntimeError, match="terminated abruptly"):
        wf.run(plugin="Memori", plugin_args={"n_procs": 2})
    assert "xx" == tries.read_text()
    assert 1 == len(list((tmp_path / "crash").iterdir()))


@pytest.mark.parametrize("stops", [True, False])
def test_stop_on_first_crash(tmp_path, stops):
    """What does not depend on a failure runs, unless the workflow is to stop."""
    bad = function(fail, "bad", x=1)
    other = function("def f(x):\n    open('done', 'w')\n    return x", "other", x=1)
    wf = workflow(tmp_path, bad, other)
    wf.config["execution"]["stop_on_first_crash"] = str(stops).lower()
    wf.get_node("bad").run_without_submitting = True  # it is first
    seen = []
    arguments = {"status_callback": lambda node, status: seen.append((node.name, status))}
    with pytest.raises(RuntimeError, match="this fails"):
        wf.run(plugin="Memori", plugin_args=arguments)
    assert stops != (("other", "end") in seen)
    assert ("bad", "exception") in seen


def test_dependents_of_a_failure_do_not_run(tmp_path):
    """What needs a node that failed, or an element of a map that failed, is left out."""
    source = "def f(x):\n    if x == 2:\n        raise ValueError('two')\n    return x"
    node = MapNode(niu.Function(["x"], "y", source), "x", "mapped")
    node.inputs.x = [1, 2, 3]
    wf = workflow(tmp_path)
    wf.connect(node, "y", Node(niu.Function(["x"], "y", "def f(x):\n    return x"), "after"), "x")
    with pytest.raises(RuntimeError, match="two"):
        wf.run(plugin="Memori", plugin_args={"n_procs": 2})
    assert not (tmp_path / "base" / "wf" / "after").exists()
    assert (tmp_path / "base" / "wf" / "mapped" / "mapflow" / "_mapped2").exists()


def test_more_than_there_is(tmp_path):
    """A node that asks for more processors than there are is an error, or runs alone."""
    node = function("def f(x):\n    return x", "wide", x=1)
    node.n_procs = 64
    with pytest.raises(RuntimeError, match="raise_insufficient"):
        workflow(tmp_path, node).run(plugin="Memori", plugin_args={"n_procs": 2})
    arguments = {"n_procs": 2, "raise_insufficient": False}
    (ran,) = workflow(tmp_path, node).run(plugin="Memori", plugin_args=arguments).nodes()
    assert 1 == ran.result.outputs.y


def test_executor_of_the_users(tmp_path):
    """Any executor can run the nodes; it is left running."""
    with ThreadPoolExecutor(1) as executor:
        node = function("def f(x):\n    return x", "node", x=1)
        plugin = MemoriPlugin({"executor": executor, "n_procs": 1})
        (ran,) = workflow(tmp_path, node).run(plugin=plugin).nodes()
        assert 1 == ran.result.outputs.y
        assert 2 == executor.submit(lambda: 2).result()


def test_folders_that_are_used_up_are_removed(tmp_path):
    """With remove_node_directories the folder of a node goes once what needs it has run."""
    first = function("def f(x):\n    return x", "first", x=1)
    second = Node(niu.Function(["x"], "y", "def f(x):\n    return x"), "second")
    wf = workflow(tmp_path)
    wf.connect(first, "y", second, "x")
    wf.config["execution"]["remove_node_directories"] = "true"
    wf.run(plugin="Memori")
    folder = Path(tmp_path / "base" / "wf")
    assert not (folder / "first").exists()
    assert (folder / "second").exists()


class NoExecutor(Executor):
    """Is not there to be asked."""

    def submit(self, *args, **kwargs):
        raise AssertionError("a worker was asked")


def test_remembered_nodes_take_no_worker(tmp_path, monkeypatch):
    """A workflow that is all remembered asks no worker and never waits."""
    nodes = [function("def f(x):\n    return x + 1", "n0", x=0)]
    wf = workflow(tmp_path, nodes[0])
    for number in range(1, 30):
        nodes.append(Node(niu.Function(["x"], "y", "def f(x):\n    return x + 1"), f"n{number}"))
        wf.connect(nodes[-2], "y", nodes[-1], "x")
    remember_workflow(wf, tmp_path / "memory").run()
    monkeypatch.setattr(time, "sleep", NoExecutor().submit)
    ended = []
    arguments = {"executor": NoExecutor(), "status_callback": lambda *each: ended.append(each)}
    wf.run(plugin=MemoriPlugin(arguments))
    assert 30 == len([status for _, status, *_ in ended if status == "end"])


def step(x):
    return x + 1


def _long_chain(base):
    workflow = Workflow("w", base_dir=str(base))
    nodes = [Node(niu.Function(["x"], ["x"], step), f"n{number}") for number in range(5)]
    nodes[0].inputs.x = 0
    mapped = MapNode(niu.Function(["x"], ["x"], step), "x", "mapped")
    mapped.inputs.x = [1, 2, 3]
    workflow.add_nodes([mapped])
    for one, other in itertools.pairwise(nodes):
        workflow.connect(one, "x", other, "x")
    return workflow


@pytest.mark.parametrize("plugin", ["MultiProc", "LegacyMultiProc"])
def test_nothing_waits_for_a_poll(tmp_path, plugin):
    """A plugin that looks once an hour runs a remembered workflow, and finds it remembered."""
    for _ in range(2):
        workflow = remember_workflow(_long_chain(tmp_path / "b"), tmp_path / "m")
        workflow.config["execution"] = {"poll_sleep_duration": 3600}
        graph = workflow.run(plugin=plugin, plugin_args={"n_procs": 2})
        found = {node.name: node.result.outputs.x for node in graph.nodes()}
        assert 5 == found["n4"]
        assert [2, 3, 4] == found["mapped"]


def test_failure_is_told_without_a_poll(tmp_path):
    """A node that fails ends a workflow whose plugin looks once an hour."""
    workflow = _long_chain(tmp_path / "b")
    workflow.get_node("n0").inputs.x = "a"
    workflow.config["execution"] = {"poll_sleep_duration": 3600, "crashdump_dir": str(tmp_path)}
    with pytest.raises(RuntimeError, match="can only concatenate"):
        remember_workflow(workflow, tmp_path / "m").run(
            plugin="MultiProc", plugin_args={"n_procs": 2}
        )


def killed(x):
    import os

    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("plugin", "fault"), [("MultiProc", killed), ("MultiProc", None), ("LegacyMultiProc", None)]
)
def test_what_never_ran_is_a_failure(tmp_path, plugin, fault):
    """Nipype's plugins wait for no worker that was killed, and no node that cannot be pickled."""
    node = Node(niu.Function(["x"], ["x"], fault or step), "first")
    node.inputs.x = 1 if fault else (lambda: 1)
    wf = workflow(tmp_path)
    wf.connect(node, "x", Node(niu.Function(["x"], ["x"], step), "second"), "x")
    wf.config["execution"]["crashfile_format"] = "txt"
    with pytest.raises(RuntimeError, match="terminated abruptly" if fault else "pickle"):
        remember_workflow(wf, tmp_path / "memory").run(plugin=plugin, plugin_args={"n_procs": 1})


def test_of_each_node_it_is_said_whether_it_was_found(tmp_path, caplog):
    """As of stages; what runs Nipype itself tells of."""
    wf = workflow(tmp_path, function(nap, "first", ["x"], x=1), function(nap, "second", ["x"], x=2))
    remember_workflow(wf, tmp_path / "memory")
    for found in (0, 2):
        caplog.clear()
        with caplog.at_level("INFO", "nipype.workflow"):
            wf.run(plugin="Memori", plugin_args={"n_procs": 2})
        assert found == caplog.text.count("found in memory")
