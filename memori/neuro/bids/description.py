"""What a folder says that it is: dataset_description.json.

`DatasetType` decides whether a dataset is raw, and a dataset without one is raw: so BIDS has it.
Who made it says nothing (`GeneratedBy` stands in raw datasets, too: HeuDiConv and dcm2bids write
it). Derivatives may lie below a raw dataset in its folder `derivatives`, nowhere else.

Where a path really leads counts, so a link to a raw dataset is one.

Not promised: that a raw dataset is seen without a description, but by its subjects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from memori.digest.values import from_text
from memori.errors import MemoriError
from memori.files import atomic_write
from memori.neuro.bids.content import read_json
from memori.neuro.bids.schema import schema
from memori.version import __version__

NAME = "dataset_description.json"
_WHOLE = ("sub-", "tpl-")
_NESTING = ("derivatives", "sourcedata", "rawbids")
_DEEPEST = 6
_README = """{name}

These are BIDS derivatives. dataset_description.json says which programs made them, and from which
datasets (SourceDatasets, DatasetLinks). The .json beside each file names its sources as BIDS URIs,
with the stage, the parameters and the command that made it. Files that BIDS has no names for yet
are listed in .bidsignore. What memori wrote it knows by .memori, and makes again only if it has to.
"""


class RawDatasetError(MemoriError):
    """Derivatives were about to be written into a raw dataset.

    Attributes
    ----------
    root : str
        The folder that was given for derivatives.
    """

    def __init__(self, message: str, root: str) -> None:
        super().__init__(message)
        self.root = root


def refuse_raw(folder: str, root: str) -> None:
    """Raise if what is written into a folder would be part of a raw dataset.

    Parameters
    ----------
    folder : str
        It need not exist.
    root : str
        The folder of derivatives that it belongs to, for the message.

    Raises
    ------
    RawDatasetError
        If it is.
    """
    real = os.path.realpath(folder)
    dataset, said = _dataset_of(real)
    if said is None and _has_subjects(os.path.realpath(root)):
        dataset, said = _dataset_of(real)  # another process describes it before it adds a subject
        if said is None:
            dataset = os.path.realpath(root)
            said = "it has subjects but no dataset_description.json"
    inside = os.path.relpath(real, dataset).split(os.sep)[0]
    if said and inside != "derivatives":
        raise RawDatasetError(
            f"{root!r} looks like a raw dataset, which derivatives must not be written into: "
            f"{said}; give a folder of its own, such as "
            f"{os.path.join(dataset, 'derivatives', 'NAME')!r}",
            root,
        )


def datasets_below(folder: str) -> list[str]:
    """List the datasets in a folder such as `derivatives`, and in those, by their paths in it."""
    found = []
    waiting = [os.curdir]
    while waiting:
        name = waiting.pop()
        path = os.path.normpath(os.path.join(folder, name))
        names = sorted(os.listdir(path)) if os.path.isdir(path) else []
        is_dataset = NAME in names or any(each.startswith(_WHOLE) for each in names)
        found += [name] if is_dataset else []
        inner = [each for each in names if each in _NESTING] if is_dataset else names
        if name.count(os.sep) < _DEEPEST:
            waiting += [os.path.normpath(os.path.join(name, each)) for each in inner
                        if each[0] != "." and os.path.isdir(os.path.join(path, each))]  # fmt: skip
    return sorted(found)


def root_of(path: str) -> str | None:
    """Return the dataset that a path lies in, if one does: by its description, else its subject.

    The path need not exist. Where nothing describes a dataset, it is the folder of `sub-*`.
    """
    folder = os.path.dirname(os.path.abspath(path))
    by_subject = None
    while True:
        above, name = os.path.split(folder)
        if os.path.exists(os.path.join(folder, NAME)):
            return folder
        if name.startswith(_WHOLE):
            by_subject = above
        if above == folder:
            return by_subject
        folder = above


def _dataset_of(real: str) -> tuple[str, str | None]:
    """Return the nearest dataset around a path, and why it is raw: "" if it is not.

    Where nothing says anything, the system's root and None.
    """
    folder = real
    while True:
        said = _said(os.path.join(folder, NAME))
        if said is not None or folder == os.path.dirname(folder):
            return folder, said
        folder = os.path.dirname(folder)


def _said(description: str) -> str | None:
    """Say why a description is not that of derivatives: "" if it is, None without one."""
    try:
        with open(description, encoding="utf-8-sig") as stream:
            found = from_text(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return f"{description!r} is not JSON"
    kind = found.get("DatasetType", "raw") if isinstance(found, dict) else "raw"
    if kind == "derivative":
        return ""
    return f"{description!r} does not say DatasetType: derivative (without one, it is raw)"


def _has_subjects(root: str) -> bool:
    names = os.listdir(root) if os.path.isdir(root) else []
    return any(name.startswith("sub-") for name in names)


def description_of(root: str) -> dict[str, Any]:
    """Return the description of a folder of derivatives; empty where there is none."""
    path = os.path.join(root, NAME)
    return read_json(path) if os.path.exists(path) else {}


def describe(root: str, name: str, more: Mapping[str, Any] | None = None) -> None:
    """Write the description of a folder of derivatives, or add to it what it does not say yet.

    Parameters
    ----------
    root : str
        The folder.
    name : str
        What a new description calls it.
    more : Mapping, optional
        Fields to add. Of a list, those members that are not there (of `GeneratedBy` those whose
        name and version are not); of an object, those names; nothing is removed or replaced.
    """
    os.makedirs(root, exist_ok=True)
    said = description_of(root)
    new = dict(said) or {
        "Name": name,
        "BIDSVersion": schema().bids_version,
        "DatasetType": "derivative",
    }
    own = {} if said else {"GeneratedBy": [{"Name": "memori", "Version": __version__}]}
    for field, value in [*own.items(), *(more or {}).items()]:
        if value:
            new[field] = _joined(new.get(field), value)
    if not said and not any(each.startswith("README") for each in os.listdir(root)):
        atomic_write(os.path.join(root, "README"), _README.format(name=name).encode())
    if new != said:
        text = json.dumps(new, indent=2, ensure_ascii=False) + "\n"
        atomic_write(os.path.join(root, NAME), text.encode())


def _joined(old: Any, new: Any) -> Any:
    if isinstance(old, list) and isinstance(new, list):
        return old + [each for each in new if not any(_says(there, each) for there in old)]
    if isinstance(old, dict) and isinstance(new, dict):
        return {**new, **old}
    return new if old is None else old


def _says(there: object, each: object) -> bool:
    if isinstance(there, dict) and isinstance(each, dict):
        return all(there.get(field) == value for field, value in each.items())
    return there == each
