"""The name of a derivative, made from that of its source.

The entities of the source stay (of several sources, those that they share) and those that are given
are added, in the order of BIDS; nothing of the source's name is left out unasked, since two sources
could then share one derivative. Each part is checked: no label leads out of the folder, and none
holds a dot or an underscore.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex, TypeAlias

from memori.neuro.bids.entities import BIDSFile, admit, entity_name, label_of, ordered
from memori.neuro.bids.names import Target
from memori.neuro.bids.sidecar import check_fields

Label: TypeAlias = str | SupportsIndex | None
Source: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""What gives a name: a file, or several that differ in some entity, such as echoes."""


def split_names(names: Mapping[str, Any]) -> tuple[dict[str, Label], dict[str, Any]]:
    """Part keywords into entities and fields of a sidecar, which begin with a capital letter.

    Raises
    ------
    TypeError
        If a field is nearly one of BIDS.
    """
    fields = {name: value for name, value in names.items() if name[:1].isupper()}
    check_fields(fields)
    return {name: value for name, value in names.items() if name not in fields}, fields


def listed(source: Source) -> list[str]:
    """Return the files that give a name, as texts."""
    if isinstance(source, (str, os.PathLike)):
        return [os.fspath(source)]
    found = [os.fspath(each) for each in source]
    if not found:
        raise TypeError("source is an empty list; expected a BIDS file, or several")
    return found


def target_of(
    sources: Source,
    suffix: str | None,
    extension: str | None,
    datatype: str | None,
    entities: Mapping[str, Label],
) -> Target:
    """Return the name of a derivative; `Derivatives.path` says what the parameters mean.

    Of several sources the entities count that all have in common: a combination of echoes is no
    echo.
    """
    source, *others = listed(sources)
    own = BIDSFile(source).entities
    differing = {
        short
        for other in map(BIDSFile, others)
        for short in own.keys() | other.entities.keys()
        if other.entities.get(short) != own.get(short)
    }
    given = {entity_name(name) for name in entities}
    entities = {**dict.fromkeys(differing - given), **entities}
    file = BIDSFile(source)
    labels = _labels(file, entities)
    suffix = admit("suffix", file.suffix if suffix is None else suffix)
    extension = admit("extension", file.extension if extension is None else extension)
    if datatype is not None or file.datatype:
        datatype = _datatype(file, datatype)
    target = Target(labels, suffix, extension, datatype or "")
    if name_of(target) == os.path.basename(file):
        raise ValueError(
            f"a derivative of {str(file)!r} would have the same name as the file itself; "
            "say what was done (desc=...) or give another suffix"
        )
    return target


def name_of(target: Target) -> str:
    """Return the name of the file."""
    pairs = [f"{short}-{label}" for short, label in target.entities.items()]
    return "_".join([*pairs, target.suffix]) + target.extension


def path_of(root: str, target: Target) -> str:
    """Return the path of a derivative below its root."""
    labels = target.entities
    above = ("sub", "ses") if "sub" in labels else ("tpl", "cohort")
    folders = [f"{short}-{labels[short]}" for short in above if short in labels]
    folders += [target.datatype] if target.datatype else []
    return os.path.join(root, *folders, name_of(target))


def _labels(file: BIDSFile, changes: Mapping[str, Label]) -> dict[str, str]:
    """Return the entities of `file` with the changes made, in the order that BIDS asks for."""
    parts, suffix, _ = file.parts()
    labels = file.entities
    if not labels.keys() & {"sub", "tpl"} or not suffix:
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
    changed = {
        name if name in labels else entity_name(name): (name, value)
        for name, value in changes.items()
    }
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
