"""memori for neuroimaging: the field's files, tools and datasets as stages of a pipeline.

This is a table of contents. A name is imported when it is first used, so that a script pays only
for what it takes: `from memori.neuro import Dataset` loads neither nibabel nor nipype.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memori.neuro.arrays import load_array, save_array
    from memori.neuro.caching import remember
    from memori.neuro.cifti import save_cifti
    from memori.neuro.command import ShellStage
    from memori.neuro.containers import Container
    from memori.neuro.dataset import BIDSFile, Dataset
    from memori.neuro.derivatives import Derivatives
    from memori.neuro.failures import CommandError
    from memori.neuro.gifti import save_gifti
    from memori.neuro.images import save_image
    from memori.neuro.interface import NipypeStage
    from memori.neuro.natural import arrays_to_disk
    from memori.neuro.node import as_interface, as_node
    from memori.neuro.outputs import Copy, Glob, Optional, Stdout
    from memori.neuro.surfaces import save_labels, save_metric, save_surface
    from memori.neuro.tables import load_table, save_table
    from memori.neuro.workflow import remember_workflow
    from memori.neuro.workflowstage import as_stage

__all__ = [
    "BIDSFile",
    "CommandError",
    "Container",
    "Copy",
    "Dataset",
    "Derivatives",
    "Glob",
    "NipypeStage",
    "Optional",
    "ShellStage",
    "Stdout",
    "arrays_to_disk",
    "as_interface",
    "as_node",
    "as_stage",
    "load_array",
    "load_table",
    "remember",
    "remember_workflow",
    "save_array",
    "save_cifti",
    "save_gifti",
    "save_image",
    "save_labels",
    "save_metric",
    "save_surface",
    "save_table",
]

_WHERE = {
    "BIDSFile": "dataset",
    "CommandError": "failures",
    "Container": "containers",
    "Copy": "outputs",
    "Dataset": "dataset",
    "Derivatives": "derivatives",
    "Glob": "outputs",
    "NipypeStage": "interface",
    "Optional": "outputs",
    "ShellStage": "command",
    "Stdout": "outputs",
    "arrays_to_disk": "natural",
    "as_interface": "node",
    "as_node": "node",
    "as_stage": "workflowstage",
    "load_array": "arrays",
    "load_table": "tables",
    "remember": "caching",
    "remember_workflow": "workflow",
    "save_array": "arrays",
    "save_cifti": "cifti",
    "save_gifti": "gifti",
    "save_image": "images",
    "save_labels": "surfaces",
    "save_metric": "surfaces",
    "save_surface": "surfaces",
    "save_table": "tables",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
