"""BIDS derivatives: results under names that say what they were made from.

A derivative of `sub-01/func/sub-01_task-rest_bold.nii.gz` keeps its entities and folder, and adds
what was done: `sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz`. Derivatives lie in a folder
of their own with a dataset_description.json that says which program made them.

Saving copies: the file in memori's own folders and the one in the derivatives are two, so editing
one never changes the other. A copy appears under its name whole or not at all; a file that already
holds the same bytes is left alone. The same values saved twice give the same bytes.

Not promised: sidecars for each derivative, and the names' validity beyond the order of entities.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid

from memori.errors import MemoriError
from memori.files import atomic_write
from memori.neuro.bids.dataset import ENTITIES, BIDSFile, entity_name
from memori.version import __version__

_BIDS_VERSION = "1.10.0"


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


class Derivatives:
    """A folder of BIDS derivatives.

    Parameters
    ----------
    root : str | os.PathLike[str]
        The folder of one pipeline's derivatives, usually `derivatives/NAME`. It is made when
        something is saved.
    name : str, optional
        What dataset_description.json calls them; the folder's name unless given.

    Raises
    ------
    RawDatasetError
        If the folder holds a dataset that is not derivatives: raw images are never written to.

    Examples
    --------
    >>> derivatives = Derivatives("derivatives/demo")
    >>> derivatives.path("ds/sub-01/func/sub-01_task-rest_bold.nii.gz", desc="smooth")
    'derivatives/demo/sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz'
    """

    def __init__(self, root: str | os.PathLike[str], *, name: str | None = None) -> None:
        self.root = os.fspath(root)
        self.name = name or os.path.basename(os.path.abspath(self.root))
        _refuse_raw(self.root)

    def __repr__(self) -> str:
        return f"Derivatives({self.root!r})"

    def path(
        self,
        source: str | os.PathLike[str],
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **entities: str | int | None,
    ) -> str:
        """Return the path of a derivative of `source`; nothing is written.

        Parameters
        ----------
        source : str | os.PathLike[str]
            The BIDS file that the derivative was made from.
        suffix, extension, datatype : str, optional
            Those of `source` unless given.
        **entities : str | int | None
            Entities to add or replace, by long or short name (`desc="brain"`); None leaves out
            one that `source` has.

        Raises
        ------
        ValueError
            If `source` has no BIDS name, an entity's value is not a BIDS label, or the
            derivative would have the very name of its source.
        TypeError
            If BIDS has no such entity; the message gives the nearest one.
        """
        file = BIDSFile(os.fspath(source))
        labels = _labels(file, entities)
        name = "_".join(f"{short}-{label}" for short, label in labels.items())
        name += f"_{suffix or file.suffix}{file.extension if extension is None else extension}"
        if name == os.path.basename(file):
            raise ValueError(
                f"a derivative of {str(file)!r} would have the same name as the file itself; "
                "say what was done (desc=...) or give another suffix"
            )
        folders = [f"{short}-{labels[short]}" for short in ("sub", "ses") if short in labels]
        return os.path.join(self.root, *folders, datatype or file.datatype, name)

    def save(
        self,
        value: object,
        *,
        source: str | os.PathLike[str],
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **entities: str | int | None,
    ) -> str:
        """Save a result as a derivative of `source` and return its path.

        Parameters
        ----------
        value : str | os.PathLike[str] | JSON
            The path of a file, which is copied as it is and gives the extension; any other
            value is written as .json.
        source, suffix, extension, datatype, **entities
            As for `path`.

        Raises
        ------
        FileNotFoundError
            If `value` is a string, but names no file.
        TypeError
            If `value` is neither a path nor JSON.
        """
        file = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        if extension is None:
            extension = ".json" if file is None else BIDSFile(file).extension
        target = self.path(
            source, suffix=suffix, extension=extension, datatype=datatype, **entities
        )
        if file is not None and not os.path.isfile(file):
            raise FileNotFoundError(f"nothing to save as {target!r}: there is no file {file!r}")
        content = b"" if file is not None else _json(value, target)
        self._describe()
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if file is not None:
            _copy(file, target)
        else:
            _write(target, content)
        return target

    def _describe(self) -> None:
        """Write dataset_description.json where there is none."""
        target = os.path.join(self.root, "dataset_description.json")
        if not os.path.exists(target):
            os.makedirs(self.root, exist_ok=True)
            description = {
                "Name": self.name,
                "BIDSVersion": _BIDS_VERSION,
                "DatasetType": "derivative",
                "GeneratedBy": [{"Name": "memori", "Version": __version__}],
            }
            atomic_write(target, _json(description, target))


def _labels(file: BIDSFile, changes: dict[str, str | int | None]) -> dict[str, str]:
    """Return the entities of `file` with the changes made, in the order that BIDS asks for."""
    labels = file.entities
    if "sub" not in labels or not file.suffix:
        raise ValueError(
            f"{str(file)!r} has no BIDS name; expected one like sub-01_task-rest_bold.nii.gz"
        )
    for name, label in changes.items():
        if label is None:
            labels.pop(entity_name(name), None)
        elif re.fullmatch("[a-zA-Z0-9+]+", str(label)):
            labels[entity_name(name)] = str(label)
        else:
            raise ValueError(f"{name}={label!r} is no BIDS label; use letters and digits only")
    order = [*ENTITIES, *sorted(labels.keys() - ENTITIES.keys())]
    return {short: labels[short] for short in order if short in labels}


def _refuse_raw(root: str) -> None:
    """Raise if `root` holds a dataset that does not say it is derivatives."""
    description = os.path.join(root, "dataset_description.json")
    try:
        with open(description, encoding="utf-8") as stream:
            found = json.load(stream)
        derived = isinstance(found, dict) and (
            found.get("DatasetType") == "derivative" or "GeneratedBy" in found
        )
        said = f"{description!r} does not say DatasetType: derivative"
    except FileNotFoundError:
        names = os.listdir(root) if os.path.isdir(root) else []
        derived = not any(name.startswith("sub-") for name in names)
        said = "it has subjects but no dataset_description.json"
    except ValueError:
        derived, said = False, f"{description!r} is not JSON"
    if not derived:
        raise RawDatasetError(
            f"{root!r} looks like a raw dataset, which derivatives must not be written into: "
            f"{said}; give a folder of its own, such as derivatives/NAME",
            root,
        )


def _json(value: object, target: str) -> bytes:
    try:
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    except TypeError as error:
        raise TypeError(
            f"cannot save a {type(value).__name__} as {target!r}: expected the path of a file or a "
            "JSON value; memori.neuro.save_array, save_image and save_table make files"
        ) from error


def _write(target: str, content: bytes) -> None:
    """Write a small file, unless it holds the same bytes already."""
    if os.path.isfile(target):
        with open(target, "rb") as stream:
            if stream.read() == content:
                return
    atomic_write(target, content)


def _copy(source: str, target: str) -> None:
    """Copy a file to `target`, whole or not at all, unless it holds the same bytes already."""
    if os.path.isfile(target) and _same_files(source, target):
        return
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{name[:100]}.{uuid.uuid4().hex[:12]}.partial")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def _same_files(one: str, other: str) -> bool:
    """Compare two files byte by byte (filecmp would trust equal sizes and times)."""
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while block := first.read(1 << 20):
            if block != second.read(1 << 20):
                return False
    return True
