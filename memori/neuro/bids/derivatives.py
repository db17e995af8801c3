"""BIDS derivatives: results under names that say what they were made from.

A derivative of `sub-01/func/sub-01_task-rest_bold.nii.gz` keeps its entities and folder, and adds
what was done: `sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz`. Derivatives lie in a folder
of their own with a dataset_description.json that says which program made them.

Saving copies: the file in memori's own folders and the one in the derivatives are two, so editing
one never changes the other. A copy appears under its name whole or not at all; a file that already
holds the same bytes is left alone. The same values saved twice give the same bytes. Overwritten is
only what memori itself wrote from the same source (`memori.neuro.bids.written`).

Not promised: sidecars for each derivative, and more of the names' validity than that of each part
and the order of entities.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from typing import BinaryIO, SupportsIndex

from memori.digest.formats import companions_of
from memori.neuro.bids.description import RawDatasetError, describe, refuse_raw
from memori.neuro.bids.entities import (
    BIDSFile,
    admit,
    entity_name,
    label_of,
    ordered,
)
from memori.neuro.bids.written import DerivativeError, claimed, digest_of
from memori.neuro.data.saving import save as save_whole
from memori.neuro.filenames import suffix as extension_of

__all__ = ["DerivativeError", "Derivatives", "RawDatasetError"]

# One file of several: alone, under another name, nobody can read it.
_PARTS = (".hdr", ".img", ".HEAD", ".BRIK", ".vhdr", ".vmrk", ".eeg", ".fdt", ".mhd", ".nhdr")


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
        If the folder is a dataset that is not derivatives, or lies in one but not below its
        `derivatives`: raw datasets are never written to.

    Examples
    --------
    >>> derivatives = Derivatives("derivatives/demo")
    >>> derivatives.path("ds/sub-01/func/sub-01_task-rest_bold.nii.gz", desc="smooth")
    'derivatives/demo/sub-01/func/sub-01_task-rest_desc-smooth_bold.nii.gz'
    """

    def __init__(self, root: str | os.PathLike[str], *, name: str | None = None) -> None:
        self.root = os.fspath(root)
        self.name = name or os.path.basename(os.path.abspath(self.root))
        refuse_raw(self.root, self.root)

    def __repr__(self) -> str:
        return f"Derivatives({self.root!r})"

    def path(
        self,
        source: str | os.PathLike[str],
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **entities: str | SupportsIndex | None,
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
            If a part of the name is none that BIDS admits (of `source`, too: nothing of its name
            is left out unasked), or the derivative would have the very name of its source.
        TypeError
            If BIDS has no such entity; the message gives the nearest one.
        """
        file = BIDSFile(os.fspath(source))
        labels = _labels(file, entities)
        name = "_".join(f"{short}-{label}" for short, label in labels.items())
        name += "_" + admit("suffix", file.suffix if suffix is None else suffix)
        name += admit("extension", file.extension if extension is None else extension)
        if name == os.path.basename(file):
            raise ValueError(
                f"a derivative of {str(file)!r} would have the same name as the file itself; "
                "say what was done (desc=...) or give another suffix"
            )
        folders = [f"{short}-{labels[short]}" for short in ("sub", "ses") if short in labels]
        if datatype is not None or file.datatype:
            folders.append(_datatype(file, datatype))
        return os.path.join(self.root, *folders, name)

    def save(
        self,
        value: object,
        *,
        source: str | os.PathLike[str],
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        **entities: str | SupportsIndex | None,
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
        ValueError
            If it is one file of several, which BIDS does not have (.hdr and .img), holds a number
            that JSON has not (NaN), or `path` raises.
        TypeError
            If `value` is neither a path nor JSON.
        DerivativeError
            If a file is there that memori may not overwrite.
        RawDatasetError
            If the derivative would lie in a raw dataset.
        """
        file = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        if file is not None:
            _refuse_parts(file)
        if extension is None:
            extension = ".json" if file is None else _extension_of(file)
        target = self.path(
            source, suffix=suffix, extension=extension, datatype=datatype, **entities
        )
        refuse_raw(os.path.dirname(target), self.root)
        if file is None:
            content = _json(value, target)
            digest = hashlib.sha256(content).hexdigest()
        else:
            digest = digest_of(file)
        describe(self.root, self.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with claimed(self.root, target, os.fspath(source), digest) as wanting:
            if file is None and wanting:
                _put(target, lambda stream: stream.write(content))
            elif file is not None and (wanting or _is_link_to(target, file)):
                _put(target, lambda stream: shutil.copyfile(file, stream.name))
        return target


def _labels(file: BIDSFile, changes: dict[str, str | SupportsIndex | None]) -> dict[str, str]:
    """Return the entities of `file` with the changes made, in the order that BIDS asks for."""
    parts, suffix, _ = file.parts()
    labels = file.entities
    if "sub" not in labels or not suffix:
        raise ValueError(
            f"{str(file)!r} has no BIDS name; expected one like sub-01_task-rest_bold.nii.gz"
        )
    if len(labels) < len(parts):
        keys = [part.partition("-")[0] for part in parts]
        odd = next(
            p
            for p, key in zip(parts, keys, strict=True)
            if keys.count(key) > 1 or key not in labels
        )
        raise ValueError(
            f"{odd!r} in the name of {str(file)!r} is no entity of its own (key-label, each key "
            "once), and nothing is left out of a name; rename the file, or give the BIDS file that "
            "it was made from as `source`"
        )
    changed = {entity_name(name): (name, value) for name, value in changes.items()}
    for short, (name, value) in changed.items():
        if value is None:
            labels.pop(short, None)
        else:
            labels[short] = label_of(name, value)
    for short in labels.keys() - changed.keys():
        _check_own(file, short, labels[short])
    return ordered(labels)


def _check_own(file: BIDSFile, short: str, label: str) -> None:
    """Raise if BIDS does not admit a label of the source's own name."""
    try:
        label_of(short, label)
    except ValueError as error:
        raise ValueError(
            f"{error}. It stands in the name of {str(file)!r}: rename that, or give "
            f"{short}=... for the derivative"
        ) from None


def _datatype(file: BIDSFile, datatype: str | None) -> str:
    if datatype is not None:
        return admit("datatype", datatype)
    said = (
        f"the folder {file.datatype!r} of {str(file)!r}, taken as datatype for want of datatype=,"
    )
    return admit("datatype", file.datatype, said)


def _extension_of(file: str) -> str:
    """Return the extension of a result's own name, in which other dots may stand."""
    extension = extension_of(file)
    if not extension:
        raise ValueError(
            f"{file!r} has no extension that its derivative could have; give extension=, such as "
            "'.txt'"
        )
    return extension


def _refuse_parts(file: str) -> None:
    """Raise if a file cannot be saved, or not under another name."""
    if not os.path.isfile(file):
        what = f"{file!r} is a folder" if os.path.isdir(file) else f"there is no file {file!r}"
        raise FileNotFoundError(f"nothing to save as a derivative: {what}")
    others = companions_of(file)
    if others or file.removesuffix(".gz").endswith(_PARTS):
        raise ValueError(
            f"{file!r} is one of several files that belong together "
            f"({', '.join([os.path.basename(file), *others])}), and alone, under another name, "
            "nobody could read it; save it as one file first: an image as .nii.gz by "
            "memori.neuro.save_image"
        )


def _is_link_to(target: str, file: str) -> bool:
    """Tell whether a derivative is the very file that it should be a copy of."""
    return os.path.samefile(target, file) and os.path.abspath(target) != os.path.abspath(file)


def _put(target: str, write: Callable[[BinaryIO], object]) -> None:
    save_whole(write, target, default="", caller="Derivatives.save")


def _json(value: object, target: str) -> bytes:
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except TypeError as error:
        raise TypeError(
            f"cannot save a {type(value).__name__} as {target!r}: expected the path of a file or a "
            "JSON value; memori.neuro.save_array, save_image and save_table make files"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"cannot save {target!r} as JSON: {error}; BIDS asks for valid JSON, which has no NaN "
            "and no infinity: give None, or 'n/a', in their place"
        ) from error
