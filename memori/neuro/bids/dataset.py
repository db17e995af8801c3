"""The files of a BIDS dataset, found by what their names say.

`Dataset(root).files(suffix="bold")` lists files by what their names say. Each one is a `BIDSFile`:
a plain string, the path, so that it can be passed to a stage as it is, which also knows its
entities (`bold.subject`). A folder that is a file for those who use it (CTF's `.ds`, `.ome.zarr`)
is a `BIDSFolder`: all that it holds counts.

Not promised: that the dataset is valid BIDS (the bids-validator tells), that metadata are read
(sidecars and their inheritance), or that files outside the `sub-*` folders are found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import SupportsIndex, TypeAlias

from memori.neuro.bids.entities import OTHERS, BIDSFile, BIDSFolder, entity_name, nearest

Wanted: TypeAlias = str | SupportsIndex | Iterable[str | SupportsIndex] | None
"""What an entity may be asked for: a label, a number, several of them, or None for absent."""

# Files that describe another file of the same name: left out unless the extension is asked for.
_DESCRIBING = frozenset({".json", ".bvec", ".bval"})


class Dataset:
    """A BIDS dataset: a folder whose files are found by what their names say.

    Parameters
    ----------
    root : str | os.PathLike[str]
        The dataset's folder. The paths of its files begin with it as it is given here.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it is not a BIDS dataset (it has neither a
        dataset_description.json nor a `sub-*` folder).
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"no BIDS dataset at {self.root!r}: there is no such folder")
        described = os.path.exists(os.path.join(self.root, "dataset_description.json"))
        if not described and not any(_folders(self.root, "sub-")):
            raise FileNotFoundError(
                f"no BIDS dataset at {self.root!r}: expected a dataset_description.json or "
                "folders named sub-*; give the folder that holds them"
            )

    def __repr__(self) -> str:
        return f"Dataset({self.root!r})"

    def files(self, **wanted: Wanted) -> list[BIDSFile]:
        """List the files whose names say what is wanted, in the order of their paths.

        Parameters
        ----------
        **wanted : str | int | None | iterable of str or int
            Entities by long or short name (`subject="01"`, `sub="01"`), `suffix`, `extension`
            and `datatype`. A number, of Python or numpy, matches a label of that value (`run=1`
            finds `run-01`), several values any of them, None a name without that entity.

        Returns
        -------
        list[BIDSFile]
            Files that describe another one (.json, .bvec, .bval) are among them only if
            `extension` is given, tables of a whole subject or session (scans.tsv, sessions.tsv)
            only if `suffix` or `extension` is.

        Raises
        ------
        TypeError
            If a name is not an entity of BIDS; the message gives the nearest one.

        Examples
        --------
        >>> bids = Dataset("ds000114")  # doctest: +SKIP
        >>> bids.files(subject=["01", "02"], suffix="bold", run=1)  # doctest: +SKIP
        ['ds000114/sub-01/func/sub-01_task-rest_run-01_bold.nii.gz', ...]
        """
        choices = {_known(name): _choices(value) for name, value in wanted.items()}
        subjects = _folders(self.root, "sub-")
        return [file for each in subjects for file in _walk(each) if _fits(file, choices)]


def _known(name: str) -> str:
    try:
        return name if name in OTHERS else entity_name(name)
    except TypeError:
        message = f"files() got {name!r}, which BIDS does not have{nearest(name)}"
        raise TypeError(message) from None


def _choices(value: Wanted) -> list[object]:
    """Return what may stand for an entity, as a list."""
    single = value is None or isinstance(value, (str, Real)) or not isinstance(value, Iterable)
    return [value] if single else list(value)  # type: ignore[arg-type]


def _folders(root: str, prefix: str) -> Iterator[str]:
    """Yield the folders of `root` whose names begin with `prefix`, sorted by name."""
    with os.scandir(root) as entries:
        found = [item.path for item in entries if item.name.startswith(prefix) and item.is_dir()]
    yield from sorted(found)


def _walk(folder: str) -> Iterator[BIDSFile]:
    """Yield the files of a subject or a session: [ses-*/]datatype/name, and its tables."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.isdir(path):
            if name.startswith("sub-"):
                yield BIDSFile(path)
        elif name.startswith("ses-"):
            yield from _walk(path)
        else:
            with os.scandir(path) as entries:
                found = [each for each in entries if each.name.startswith("sub-")]
            for each in sorted(found, key=lambda entry: entry.name):
                yield (BIDSFolder if each.is_dir() else BIDSFile)(each.path)


def _fits(file: BIDSFile, wanted: dict[str, list[object]]) -> bool:
    _, suffix, extension = file.parts()
    datatype = file.datatype
    if "extension" not in wanted and extension in _DESCRIBING:
        return False
    if not datatype and wanted.keys().isdisjoint(OTHERS):
        return False
    said = {**file.entities, "suffix": suffix, "extension": extension, "datatype": datatype}
    return all(
        any(_same(said.get(name) or None, choice) for choice in choices)
        for name, choices in wanted.items()
    )


def _same(found: str | None, choice: object) -> bool:
    if isinstance(choice, Real) and found is not None:
        return re.fullmatch("[0-9]+", found) is not None and int(found) == choice
    return found == choice
