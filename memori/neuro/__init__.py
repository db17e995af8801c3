"""memori for neuroimaging: the field's files, tools and datasets as stages of a pipeline.

This is a table of contents. A name is imported when it is first used, so that a script pays only
for what it takes: `from memori.neuro import Dataset` loads neither nibabel nor nipype.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memori.neuro.bids.cases import CasesError
    from memori.neuro.bids.content import BIDSError, ContentError
    from memori.neuro.bids.dataset import Dataset
    from memori.neuro.bids.derivatives import DerivativeError, Derivatives, RawDatasetError
    from memori.neuro.bids.entities import BIDSFile
    from memori.neuro.bids.sidecar import MissingFieldError
    from memori.neuro.bids_app.app import app
    from memori.neuro.command.containers import Container
    from memori.neuro.command.errors import CommandError
    from memori.neuro.command.fields import TemplateError
    from memori.neuro.command.outputs import Copy, Glob, Optional, Stdout
    from memori.neuro.command.stage import ShellStage
    from memori.neuro.command.stdout_parsers import numbers, pairs, table
    from memori.neuro.command.styx import StyxRunner
    from memori.neuro.data.arrays import load_array, save_array
    from memori.neuro.data.arrays_to_disk import arrays_to_disk
    from memori.neuro.data.cifti import save_cifti
    from memori.neuro.data.gifti import save_gifti
    from memori.neuro.data.images import save_image
    from memori.neuro.data.surfaces import save_labels, save_metric, save_surface
    from memori.neuro.data.tables import load_table, save_table
    from memori.neuro.filenames import AmbiguousFileError, real_file
    from memori.neuro.nipype.as_node import as_interface, as_node
    from memori.neuro.nipype.caching import remember
    from memori.neuro.nipype.interface_run import InterfaceError
    from memori.neuro.nipype.stage import InterfaceInputError, NipypeStage
    from memori.neuro.nipype.workflow import remember_workflow
    from memori.neuro.nipype.workflow_stage import as_stage
    from memori.neuro.tools.identity import ToolError

__all__ = [
    "AmbiguousFileError",
    "BIDSError",
    "BIDSFile",
    "CasesError",
    "CommandError",
    "Container",
    "ContentError",
    "Copy",
    "Dataset",
    "DerivativeError",
    "Derivatives",
    "Glob",
    "InterfaceError",
    "InterfaceInputError",
    "MissingFieldError",
    "NipypeStage",
    "Optional",
    "RawDatasetError",
    "ShellStage",
    "Stdout",
    "StyxRunner",
    "TemplateError",
    "ToolError",
    "app",
    "arrays_to_disk",
    "as_interface",
    "as_node",
    "as_stage",
    "load_array",
    "load_table",
    "numbers",
    "pairs",
    "real_file",
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
    "table",
]

_WHERE = {
    "AmbiguousFileError": "filenames",
    "BIDSError": "bids.content",
    "BIDSFile": "bids.entities",
    "CasesError": "bids.cases",
    "CommandError": "command.errors",
    "Container": "command.containers",
    "ContentError": "bids.content",
    "Copy": "command.outputs",
    "Dataset": "bids.dataset",
    "DerivativeError": "bids.written",
    "Derivatives": "bids.derivatives",
    "Glob": "command.outputs",
    "InterfaceError": "nipype.interface_run",
    "InterfaceInputError": "nipype.stage",
    "MissingFieldError": "bids.sidecar",
    "NipypeStage": "nipype.stage",
    "Optional": "command.outputs",
    "RawDatasetError": "bids.description",
    "ShellStage": "command.stage",
    "Stdout": "command.outputs",
    "StyxRunner": "command.styx",
    "TemplateError": "command.fields",
    "ToolError": "tools.identity",
    "app": "bids_app.app",
    "arrays_to_disk": "data.arrays_to_disk",
    "as_interface": "nipype.as_node",
    "as_node": "nipype.as_node",
    "as_stage": "nipype.workflow_stage",
    "load_array": "data.arrays",
    "load_table": "data.tables",
    "numbers": "command.stdout_parsers",
    "pairs": "command.stdout_parsers",
    "real_file": "filenames",
    "remember": "nipype.caching",
    "remember_workflow": "nipype.workflow",
    "save_array": "data.arrays",
    "save_cifti": "data.cifti",
    "save_gifti": "data.gifti",
    "save_image": "data.images",
    "save_labels": "data.surfaces",
    "save_metric": "data.surfaces",
    "save_surface": "data.surfaces",
    "save_table": "data.tables",
    "table": "command.stdout_parsers",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
