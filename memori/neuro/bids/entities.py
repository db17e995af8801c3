"""What the name of a BIDS file says, and what BIDS admits in one.

A BIDS dataset says what each file is in its name: `sub-01/func/sub-01_task-rest_run-2_bold.nii.gz`
is the second run of the resting task of subject 01. A name is a series of entities (`sub-01`,
`task-rest`, `run-2`), a suffix (`bold`) and an extension (`.nii.gz`); the folder gives the datatype
(`func`).

Reading is lenient: whatever stands in a name as `key-label` is an entity of it, known to BIDS or
not, with a label that BIDS admits or not. What memori writes is checked (`label_of`, `admit`).

Not promised: that a name that passes is one that BIDS has (which suffixes go with which datatype
and which entities the bids-validator knows).
"""

from __future__ import annotations

import operator
import os
import re
from difflib import get_close_matches
from functools import cache
from typing import Any, SupportsIndex

from memori.digest.folder import Folder
from memori.neuro.bids.schema import schema

OTHERS = ("suffix", "extension", "datatype")
_RULES = {
    "label": ("[0-9a-zA-Z+]+", "letters, digits and + only"),
    "index": ("[0-9]+", "digits only"),
    "suffix": ("[0-9a-zA-Z]+", "letters and digits only"),
    "datatype": ("[0-9a-zA-Z]+", "the name of one folder, letters and digits only"),
    "extension": (r"(\.[0-9a-zA-Z]+)+", "a dot and letters or digits, such as .nii.gz"),
}


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

    __slots__ = ("_dataset",)
    _dataset: Any

    @property
    def dataset(self) -> Any:
        """The `Dataset` that listed the file; None for one made from a mere path."""
        try:
            return self._dataset
        except AttributeError:
            return None

    def parts(self) -> tuple[list[str], str, str]:
        """Split the name into what stands between its underscores, suffix and extension."""
        return _parts(os.path.basename(self.rstrip("/")))

    @property
    def entities(self) -> dict[str, str]:
        """The entities by their short names, in the order of the name."""
        return split_name(os.path.basename(self.rstrip("/")))[0]

    @property
    def suffix(self) -> str:
        """The last part of the name, which says what was measured: `bold`, `T1w`, `events`."""
        return self.parts()[1]

    @property
    def extension(self) -> str:
        """All from the first dot of the name's last part: `.nii.gz`."""
        return self.parts()[2]

    @property
    def datatype(self) -> str:
        """The name of the folder: `anat`, `func`, `dwi`; empty for tables of a whole subject."""
        folder = os.path.basename(os.path.dirname(self.rstrip("/")))
        return "" if folder.startswith(("sub-", "ses-", "tpl-")) else folder

    def __getattr__(self, name: str) -> str | None:
        if name.startswith("_"):
            raise AttributeError(name)
        short = _short().get(name, name)
        found = self.entities.get(short)
        if found is None and short not in schema().entities:
            raise AttributeError(f"a BIDS file has no {name!r}{nearest(name)}")
        return found


class BIDSFolder(BIDSFile, Folder):
    """The path of a folder that is one file for those who use it: `.ds`, `.mff`, `.ome.zarr`.

    All that it holds counts, as of `memori.Folder`.
    """

    __slots__ = ()


def split_name(name: str) -> tuple[dict[str, str], str, str]:
    """Return the entities, the suffix and the extension of a file's name.

    Examples
    --------
    >>> split_name("sub-01_run-2_bold.nii.gz")
    ({'sub': '01', 'run': '2'}, 'bold', '.nii.gz')
    """
    pairs, suffix, extension = _parts(name)
    return dict(found for part in pairs if (found := _pair(part))), suffix, extension


def _parts(name: str) -> tuple[list[str], str, str]:
    *pairs, last = name.split("_")
    last, dot, extension = last.partition(".")
    if _pair(last):
        pairs, last = [*pairs, last], ""
    return pairs, last, dot + extension


def _pair(part: str) -> tuple[str, str] | None:
    """Return key and label of what stands between two underscores, if it is an entity."""
    key, _, label = part.partition("-")
    return (key, label) if label and key.isascii() and key.isalpha() else None


def entity_name(name: str) -> str:
    """Return the short name of an entity given by its long or short name.

    Raises
    ------
    TypeError
        If BIDS has no such entity; the message gives the nearest one.
    """
    short = _short().get(name)
    if short is None:
        raise TypeError(f"BIDS has no entity {name!r}{nearest(name)}")
    return short


@cache
def _short() -> dict[str, str]:
    """Return the short name of each entity, by its short and its long one."""
    entities = schema().entities
    return {long: short for short, long in entities.items()} | {short: short for short in entities}


def nearest(name: str) -> str:
    """Say which name may have been meant, as the end of a message."""
    near = get_close_matches(name, [*_short(), *OTHERS], n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(schema().entities)}"


def ordered(labels: dict[str, str]) -> dict[str, str]:
    """Return entities in the order that BIDS asks for.

    One that BIDS does not know stays behind the one that it stood behind.

    Examples
    --------
    >>> list(ordered({"sub": "01", "cut": "2", "acq": "x", "task": "rest"}))
    ['sub', 'cut', 'task', 'acq']
    """
    order = {short: place for place, short in enumerate(schema().entities)}
    places = {}
    place = (-1, 0)
    for short in labels:
        place = (order[short], 0) if short in order else (place[0], place[1] + 1)
        places[short] = place
    return {short: labels[short] for short in sorted(labels, key=places.__getitem__)}


def label_of(name: str, value: str | SupportsIndex) -> str:
    """Return the label that stands for a value of an entity.

    Parameters
    ----------
    name : str
        The entity, as the user wrote it.
    value : str or int
        The label; a number of any kind that is a whole one (numpy's too).

    Raises
    ------
    ValueError
        If BIDS does not admit it.

    Examples
    --------
    >>> label_of("run", 2), label_of("desc", "brain")
    ('2', 'brain')
    """
    text = str(value)
    if not isinstance(value, (str, bool)):
        try:
            text = str(operator.index(value))
        except TypeError:
            pass
    short = _short().get(name, name)
    if text.startswith(f"{short}-"):
        raise ValueError(
            f"{name}={value!r} is no BIDS label; use what stands behind {short}-: "
            f"{name}={text.removeprefix(f'{short}-')!r}"
        )
    admit("index" if short in schema().indices else "label", text, f"{name}={value!r}")
    return text


def admit(part: str, text: str, what: str | None = None) -> str:
    """Return a part of a name, if BIDS admits it.

    Parameters
    ----------
    part : {"label", "index", "suffix", "datatype", "extension"}
        What it is.
    text : str
        The part.
    what : str, optional
        What the message calls it.

    Raises
    ------
    ValueError
        If BIDS does not; the message gives part, value and rule.
    """
    pattern, rule = _RULES[part]
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{what or f'{part}={text!r}'} is no BIDS {part}; use {rule}")
    return text
