"""A Nipype workflow that remembers.

``remember_workflow(wf, hash_output="work")`` once, then ``wf.run()`` as always: what the workflow
returns and writes is what it would without memori, but a node whose interface, inputs and program
are those of an earlier run is not run again. The memory lies in `hash_output`, apart from the
workflow's base folder, which may be moved, copied or deleted.

Not promised: a memory for what connect functions compute; they run each time, as in Nipype.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from tempfile import mkdtemp
from typing import Any

from nipype.pipeline.engine import Node, Workflow

from memori.accepting import several
from memori.neuro.nipype import plugin  # noqa: F401  so that run(plugin="Memori") finds it
from memori.neuro.nipype.engine_api import GraphHook, elements_of
from memori.neuro.nipype.kinds import before, reduced
from memori.neuro.nipype.remembered_map import remember_node
from memori.processes.planning import reject_run


def remember_workflow(
    workflow: Any,
    hash_output: str | os.PathLike[str],
    *,
    verify_always_run: bool = False,
    watch: bool = True,
    ignore_reads: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    not_remembered: Iterable[str] = (),
) -> Any:
    """Give each node of a workflow a memory.

    Parameters
    ----------
    workflow : nipype Workflow or Node
        It is changed, with the workflows in it; nodes that are added later are remembered too.
    hash_output : str or os.PathLike
        The folder of the memory.
    verify_always_run : bool, optional
        Whether nodes that always run (DataSink, DataGrabber) are a hit, too, when their inputs and
        what they wrote are as they were, and the names that a grabber listed.
    watch : bool, optional
        Whether what a node reads, lists and writes besides its inputs is seen and counts.
    ignore_reads : iterable of str or os.PathLike, optional
        Files, folders and patterns (``"*.log"``) that do not count though a node reads them.
    not_remembered : iterable of str, optional
        Names of nodes that run each time and share nothing, such as an unseeded random tool:
        ``"noise"``, or below a nested workflow ``"inner.noise"``. An attribute
        ``remember = False`` of a node or an interface means the same.

    Returns
    -------
    Workflow or Node
        The same object.

    Raises
    ------
    ValueError
        When the workflow runs, if it has no node of such a name.

    Examples
    --------
    >>> from nipype import Workflow
    >>> wf = remember_workflow(Workflow("preprocessing"), hash_output="work")
    """
    if not isinstance(workflow, (Workflow, Node)):
        raise TypeError(
            f"remember_workflow needs a nipype Workflow (or Node), got {workflow!r}; for an "
            "interface there is NipypeStage, for an interface's class remember"
        )
    root = os.path.abspath(os.path.expanduser(os.fspath(hash_output)))
    if os.path.lexists(root) and not os.path.isdir(root):
        raise NotADirectoryError(f"remember_workflow: hash_output={root!r} is no folder; give one")
    names = [not_remembered] if isinstance(not_remembered, str) else list(not_remembered)
    options = {
        "root": root,
        "verify": verify_always_run,
        "watch": watch,
        "ignore_reads": list(several(ignore_reads, f"{workflow.name}, ignore_reads")),
        "not_remembered": names,
    }
    _remember(workflow, options, workflow.name)
    return workflow


def _remember(element: Any, options: dict[str, Any], name: str) -> list[str]:
    """Give an element and what is in it a memory; return the names of the nodes, in full."""
    if not isinstance(element, Workflow):
        unwanted = any(f".{name}".endswith(f".{each}") for each in options["not_remembered"])
        remember_node(element, {**options, "remember": not unwanted})
        return [name]
    if not isinstance(element, RememberedWorkflow):
        element.__class__ = before(RememberedWorkflow, type(element))
    element._memori = options
    inner = elements_of(element)
    return [each for e in inner for each in _remember(e, options, f"{name}.{e.name}")]


class RememberedWorkflow(GraphHook):
    """What a workflow with a memory does differently."""

    _memori: dict[str, Any]
    base_dir: Any

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduced(self, self.__getstate__())

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow, unless nothing may be run: its nodes are decided while it does."""
        reject_run(f"workflow {self.name!r}", "its nodes are decided while it runs")
        is_nowhere = self.base_dir is None
        if is_nowhere:  # Nipype would give each node a temporary base folder of its own
            self.base_dir = mkdtemp()
        try:
            return super().run(*args, **kwargs)
        finally:
            if is_nowhere:
                self.base_dir = None

    def before_graph(self) -> None:
        """Remember also the nodes that were added since."""
        names = _remember(self, self._memori, self.name)
        for each in self._memori["not_remembered"]:
            if not any(f".{name}".endswith(f".{each}") for name in names):
                raise ValueError(
                    f"workflow {self.name!r}: not_remembered names {each!r}, which is no node of "
                    f"it; the nodes are {', '.join(sorted(names))}"
                )
