r"""Run Nipype's own tests with every workflow remembered.

    python -m pytest -c /dev/null -p tests.nipype_engine.remember_everything \
        --pyargs nipype.pipeline.engine.tests

A pytest plugin: each workflow, and each node that is run by itself, gets a memory of its own just
before it runs. What passes without memori must pass with it.
"""

from __future__ import annotations

import tempfile

import pytest
from nipype import config
from nipype.pipeline.engine import Node, Workflow

from memori.neuro import remember_workflow

run_workflow, run_node = Workflow.run, Node.run
config.set("execution", "poll_sleep_duration", "0.1")  # MultiProc waits 2 s between two looks


@pytest.fixture(autouse=True)
def _remember_everything(monkeypatch):
    """Give what is run a memory that lasts as long as the test."""
    with tempfile.TemporaryDirectory() as folder:

        def remembered_workflow(self, *args, **kwargs):
            if not hasattr(self, "_memori"):
                remember_workflow(self, folder)
            return run_workflow(self, *args, **kwargs)

        def remembered_node(self, *args, **kwargs):
            if hasattr(self, "_memori"):
                return run_node(self, *args, **kwargs)
            return remember_workflow(self, folder).run(*args, **kwargs)

        monkeypatch.setattr(Workflow, "run", remembered_workflow)
        monkeypatch.setattr(Node, "run", remembered_node)
        yield
