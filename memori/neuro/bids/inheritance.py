"""What the sidecars of a dataset say of a file: the inheritance principle.

A JSON file applies to each file of the same suffix, in its own folder or below, whose name holds
all the entities that the JSON's holds. So `task-rest_bold.json` at the root says what all resting
runs have in common, and what lies nearer to a file, or has more of its entities, wins, field by
field. The same rule finds the one `events.tsv`, `.bval` or `channels.tsv` of a file.

Not promised: that each level holds one sidecar only, as BIDS asks (two that disagree are an error,
two that agree are not).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from memori.neuro.bids.content import BIDSError, read_json
from memori.neuro.bids.entities import BIDSFile
from memori.neuro.bids.tree import Found, above, listing


def metadata(root: str, file: BIDSFile) -> dict[str, Any]:
    """Return what all sidecars of a file say, the nearest last.

    Raises
    ------
    BIDSError
        If a sidecar cannot be read, or two that are as near say different things.
    """
    merged: dict[str, Any] = {}
    for level in sidecars(root, file):
        said: dict[str, tuple[Any, int, str]] = {}
        for found in level:
            count = len(found.item.entities)
            for field, value in read_json(found.path).items():
                if field in said and said[field][1] == count and said[field][0] != value:
                    raise BIDSError(
                        f"{said[field][2]!r} and {found.path!r} both apply to {str(file)!r} and "
                        f"give {field!r} two values, {said[field][0]!r} and {value!r}; leave one"
                    )
                said[field] = (value, count, found.path)
        merged.update({field: value for field, (value, _, _) in said.items()})
    return merged


def sidecars(root: str, file: BIDSFile) -> Iterator[list[Found]]:
    """Yield the JSON files that apply at each level, from the root down; the general ones first."""
    return applying(root, file, file.suffix, (".json",))


def applying(
    root: str,
    file: BIDSFile,
    suffix: str,
    extensions: Collection[str],
    more: Collection[str] = (),
    *,
    at: Mapping[str, str] | None = None,
) -> Iterator[list[Found]]:
    """Yield the files at each level that apply to a file, from the root down.

    Parameters
    ----------
    root : str
        The dataset's folder.
    file : BIDSFile
        A file in it.
    suffix, extensions
        Of what is looked for.
    more : collection of str, optional
        Entities that what is looked for may have and the file has not, such as `recording`.
    at : mapping of str to str, optional
        The entities that count as the file's; its own by default.
    """
    own = file.entities if at is None else at
    for folder in above(root, os.path.dirname(os.path.abspath(file))):
        level = [
            Found(folder, "", item)
            for item in listing(folder)
            if item.suffix == suffix
            and item.extension in extensions
            and not item.is_folder
            and all(own.get(e) == v or (e in more and e not in own)
                    for e, v in item.entities.items())
        ]  # fmt: skip
        level.sort(key=lambda found: len(found.item.entities))
        if level:
            yield level
