"""BIDS file names, read from a folder.

A BIDS dataset says what each file is in its name: `sub-01/func/sub-01_task-rest_run-2_bold.nii.gz`
is the second run of the resting task of subject 01. A name is a series of entities (`sub-01`,
`task-rest`, `run-2`), a suffix (`bold`) and an extension (`.nii.gz`); the folder gives the datatype
(`func`).

`Dataset(root).files(suffix="bold")` lists files by what their names say. Each one is a `BIDSFile`:
a plain string, the path, so that it can be passed to a stage as it is, which also knows its
entities (`bold.subject`).

Not promised: that the dataset is valid BIDS (the bids-validator tells), that metadata are read
(sidecars and their inheritance), or that files outside the `sub-*` folders are found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TypeAlias

ENTITIES = {
    "sub": "subject",
    "tpl": "template",
    "ses": "session",
    "cohort": "cohort",
    "sample": "sample",
    "task": "task",
    "tracksys": "tracksys",
    "acq": "acquisition",
    "nuc": "nucleus",
    "voi": "volume",
    "ce": "ceagent",
    "trc": "tracer",
    "stain": "stain",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "mod": "modality",
    "echo": "echo",
    "flip": "flip",
    "inv": "inversion",
    "mt": "mtransfer",
    "part": "part",
    "proc": "processing",
    "hemi": "hemisphere",
    "space": "space",
    "split": "split",
    "recording": "recording",
    "chunk": "chunk",
    "atlas": "atlas",
    "seg": "segmentation",
    "scale": "scale",
    "res": "resolution",
    "den": "density",
    "label": "label",
    "desc": "description",
}
"""The entities of BIDS in the order in which they stand in a name: short name -> long name."""

Wanted: TypeAlias = str | int | Sequence[str | int] | None
"""What an entity may be asked for: a label, a number, several of them, or None for absent."""

_SHORT = {long: short for short, long in ENTITIES.items()} | {short: short for short in ENTITIES}
_OTHERS = ("suffix", "extension", "datatype")
_ENTITY = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9+]+)")

# Files that describe another file of the same name: left out unless the extension is asked for.
_DESCRIBING = frozenset({".json", ".bvec", ".bval"})


class BIDSFile(str):
    """The path of a BIDS file: a string that knows what its name says.

    Entities are read as attributes by their long or short name; one that the name does not hold
    is None. (`split` is a method of every string: read that entity from `entities`.)

    Examples
    --------
    >>> bold = BIDSFile("ds/sub-01/func/sub-01_task-rest_run-2_bold.nii.gz")
    >>> bold.subject, bold.run, bold.session
    ('01', '2', None)
    >>> bold.suffix, bold.extension, bold.datatype
    ('bold', '.nii.gz', 'func')
    >>> bold.entities
    {'sub': '01', 'task': 'rest', 'run': '2'}
    """

    __slots__ = ()

    def _parts(self) -> tuple[dict[str, str], str, str]:
        """Split the name into its entities, suffix and extension."""
        stem, dot, extension = os.path.basename(self.rstrip("/")).partition(".")
        entities = {}
        *pairs, last = stem.split("_")
        for pair in pairs:
            if match := _ENTITY.fullmatch(pair):
                entities[match[1]] = match[2]
        if match := _ENTITY.fullmatch(last):
            entities[match[1]] = match[2]
            last = ""
        return entities, last, dot + extension

    @property
    def entities(self) -> dict[str, str]:
        """The entities by their short names, in the order of the name."""
        return self._parts()[0]

    @property
    def suffix(self) -> str:
        """The last part of the name, which says what was measured: `bold`, `T1w`, `events`."""
        return self._parts()[1]

    @property
    def extension(self) -> str:
        """All from the first dot of the name: `.nii.gz`."""
        return self._parts()[2]

    @property
    def datatype(self) -> str:
        """The name of the folder: `anat`, `func`, `dwi`."""
        return os.path.basename(os.path.dirname(self))

    def __getattr__(self, name: str) -> str | None:
        try:
            return self.entities.get(_SHORT[name])
        except KeyError:
            raise AttributeError(f"a BIDS file has no {name!r}{_nearest(name)}") from None


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
        **wanted : str | int | None | sequence of str or int
            Entities by long or short name (`subject="01"`, `sub="01"`), `suffix`, `extension`
            and `datatype`. A number matches a label of that value (`run=1` finds `run-01`), a
            sequence any of its members, None a name without that entity.

        Returns
        -------
        list[BIDSFile]
            Files that describe another one (.json, .bvec, .bval) are among them only if
            `extension` is given.

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
        for name in wanted:
            if name not in _SHORT and name not in _OTHERS:
                raise TypeError(f"files() got {name!r}, which BIDS does not have{_nearest(name)}")
        return [file for file in self._walk() if _fits(file, wanted)]

    def _walk(self) -> Iterator[BIDSFile]:
        """Yield every file two or three folders deep: sub-*/[ses-*/]datatype/name."""
        for subject in _folders(self.root, "sub-"):
            for session in [subject, *_folders(subject, "ses-")]:
                for datatype in _folders(session, ""):
                    if not os.path.basename(datatype).startswith("ses-"):
                        for name in sorted(os.listdir(datatype)):
                            if name.startswith("sub-"):
                                yield BIDSFile(os.path.join(datatype, name))


def entity_name(name: str) -> str:
    """Return the short name of an entity given by its long or short name.

    Raises
    ------
    TypeError
        If BIDS has no such entity; the message gives the nearest one.
    """
    if name not in _SHORT:
        raise TypeError(f"BIDS has no entity {name!r}{_nearest(name)}")
    return _SHORT[name]


def _folders(root: str, prefix: str) -> Iterator[str]:
    """Yield the folders of `root` whose names begin with `prefix`, sorted by name."""
    with os.scandir(root) as entries:
        found = [item.path for item in entries if item.name.startswith(prefix) and item.is_dir()]
    yield from sorted(found)


def _fits(file: BIDSFile, wanted: dict[str, Wanted]) -> bool:
    entities, suffix, extension = file._parts()
    if "extension" not in wanted and extension in _DESCRIBING:
        return False
    said = {"suffix": suffix, "extension": extension, "datatype": file.datatype}
    for name, value in wanted.items():
        found = said[name] if name in said else entities.get(_SHORT[name])
        choices = [value] if value is None or isinstance(value, str | int) else value
        if not any(_same(found, choice) for choice in choices):
            return False
    return True


def _same(found: str | None, choice: str | int | None) -> bool:
    if isinstance(choice, int) and found is not None:
        return found.isdigit() and int(found) == choice
    return found == choice


def _nearest(name: str) -> str:
    nearest = get_close_matches(name, [*_SHORT, *_OTHERS], n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; it has {', '.join(ENTITIES)}"
