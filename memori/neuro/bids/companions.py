"""What belongs to a file of a dataset: events, gradients, physiology, references, field maps.

Which suffixes and extensions go with which files is what the schema says of it (`associations`);
single-band references, stimuli, optodes and blood samples go by the same rule. A companion's name
holds no entity that the file's name contradicts, and the nearest counts: an `events.tsv` beside the
file before one at the root.

Field maps go by what the dataset says of them: `B0FieldSource` of the file and `B0FieldIdentifier`
of the map, else `IntendedFor` of the map. A map that says neither belongs to no file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from memori.neuro.bids.entities import BIDSFile
from memori.neuro.bids.expressions import holds
from memori.neuro.bids.inheritance import applying
from memori.neuro.bids.schema import schema
from memori.neuro.bids.tree import Found

_ALSO: dict[str, dict[str, Any]] = {
    "sbref": {"selectors": ["intersects([suffix], ['bold', 'cbv', 'dwi', 'asl', 'phase'])"],
              "target": {"suffix": "sbref", "extension": [".nii", ".nii.gz"]}},
    "stim": {"selectors": [], "target": {"suffix": "stim", "extension": ".tsv.gz"}},
    "optodes": {"selectors": ["suffix == 'nirs'"],
                "target": {"suffix": "optodes", "extension": ".tsv"}},
    "blood": {"selectors": ["suffix == 'pet'"],
              "target": {"suffix": "blood", "extension": ".tsv"}},
    "headshape": {"selectors": ["suffix == 'meg'"],
                  "target": {"suffix": "headshape", "extension": [".pos"]}},
}  # fmt: skip
_SEVERAL = ("recording", "space")  # a file may have one companion for each label of these

Metadata = Callable[[BIDSFile], Mapping[str, Any]]


def beside(root: str, file: BIDSFile) -> dict[str, list[str]]:
    """Return the paths of what belongs to a file by its name, by kind."""
    known = {
        "suffix": file.suffix,
        "extension": file.extension,
        "datatype": file.datatype,
        "entities": file.entities,
    }
    found = {}
    for kind, rule in {**schema().associations, **_ALSO}.items():
        if file.extension != ".json" and holds(rule["selectors"], known):
            paths = [each.path for each in _nearest(root, file, rule["target"])]
            if paths and os.path.abspath(file) not in map(os.path.abspath, paths):
                found[kind] = paths
    return found


def _nearest(root: str, file: BIDSFile, target: Mapping[str, Any]) -> list[Found]:
    """Return the companion of a kind that is nearest to a file: one for each recording or space."""
    extensions = target["extension"]
    suffix = target.get("suffix", file.suffix)
    several = (*_SEVERAL, *target.get("entities", ()))
    nearest: dict[tuple[str | None, ...], Found] = {}
    extensions = [extensions] if isinstance(extensions, str) else extensions
    for level in applying(root, file, suffix, extensions, several):
        for found in level:
            nearest[tuple(found.item.entities.get(each) for each in several)] = found
    return list(nearest.values())


def field_maps(
    root: str, file: BIDSFile, candidates: Iterable[BIDSFile], metadata: Metadata
) -> list[BIDSFile]:
    """Return the field maps that a dataset says belong to a file, in the order given.

    Parameters
    ----------
    root : str
        The dataset's folder.
    file : BIDSFile
        What they correct.
    candidates : iterable of BIDSFile
        What may be one: the files of the same subject.
    metadata : callable
        Gives what is said of a file.
    """
    sources = set(_listed(metadata(file).get("B0FieldSource")))
    others = [each for each in candidates if each != file]
    if sources:
        return [
            each
            for each in others
            if sources.intersection(_listed(metadata(each).get("B0FieldIdentifier")))
        ]
    return [
        each
        for each in others
        if each.datatype in ("fmap", "perf") and is_intended(root, file, metadata(each))
    ]


def is_intended(root: str, file: BIDSFile, said: Mapping[str, Any]) -> bool:
    """Tell whether metadata say `IntendedFor` a file."""
    inside = os.path.relpath(os.path.abspath(file), os.path.abspath(root)).replace(os.sep, "/")
    below_subject = inside.partition("/")[2]
    return any(
        each in (inside, below_subject) for each in map(_bare, _listed(said.get("IntendedFor")))
    )


def says_for_what(said: Mapping[str, Any]) -> bool:
    """Tell whether metadata say what a map is for, or which field it gives."""
    return "IntendedFor" in said or "B0FieldIdentifier" in said


def _bare(uri: str) -> str:
    """Return the path of a BIDS URI of this dataset, or of the older relative form; both plain.

    Converters write them with a slash before, too; no absolute path is meant by it.

    >>> _bare("/func/sub-01_bold.nii"), _bare("bids::/sub-01//func/sub-01_bold.nii")
    ('func/sub-01_bold.nii', 'sub-01/func/sub-01_bold.nii')
    """
    return os.path.normpath(uri.removeprefix("bids::").strip("/"))


def _listed(value: object) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    return (each for each in values if isinstance(each, str))
