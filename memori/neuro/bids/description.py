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

from memori.errors import MemoriError
from memori.files import atomic_write
from memori.version import __version__

NAME = "dataset_description.json"
_BIDS_VERSION = "1.10.0"
_WHOLE = ("sub-", "tpl-")
_NESTING = ("derivatives", "sourcedata", "rawbids")
_DEEPEST = 6


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
        dataset, said = os.path.realpath(root), "it has subjects but no dataset_description.json"
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
            found = json.load(stream)
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


def describe(root: str, name: str) -> None:
    """Write the description of a folder of derivatives where there is none."""
    target = os.path.join(root, NAME)
    if not os.path.exists(target):
        os.makedirs(root, exist_ok=True)
        description = {
            "Name": name,
            "BIDSVersion": _BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "memori", "Version": __version__}],
        }
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        atomic_write(target, text.encode())
