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
    from memori.neuro.dataset import BIDSFile, Dataset
    from memori.neuro.derivatives import Derivatives
    from memori.neuro.images import save_image
    from memori.neuro.interface import NipypeStage
    from memori.neuro.natural import arrays_to_disk
    from memori.neuro.node import as_interface, as_node
    from memori.neuro.surfaces import save_labels, save_metric, save_surface
    from memori.neuro.tables import save_table
    from memori.neuro.workflow import remember_workflow
    from memori.neuro.workflowstage import as_stage

__all__ = [
    "BIDSFile",
    "Dataset",
    "Derivatives",
    "NipypeStage",
    "ShellStage",
    "arrays_to_disk",
    "as_interface",
    "as_node",
    "as_stage",
    "load_array",
    "remember",
    "remember_workflow",
    "save_array",
    "save_cifti",
    "save_image",
    "save_labels",
    "save_metric",
    "save_surface",
    "save_table",
]

_WHERE = {
    "BIDSFile": "dataset",
    "Dataset": "dataset",
    "Derivatives": "derivatives",
    "NipypeStage": "interface",
    "ShellStage": "command",
    "arrays_to_disk": "natural",
    "as_interface": "node",
    "as_node": "node",
    "as_stage": "workflowstage",
    "load_array": "arrays",
    "remember": "caching",
    "remember_workflow": "workflow",
    "save_array": "arrays",
    "save_cifti": "cifti",
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
