"""The BIDS standard's own tables: entities, names of files, fields of sidecars.

They are those of `bidsschematools`, the package in which the standard publishes its schema: a newer
release of it knows more, and nothing of it is typed here. It is read once in a process, when a name
is first asked about, straight from the package's JSON file (5 ms; its own loader takes 70).

Entities and names that the schema does not know are never an error of their own: labs have others.

Not promised: that the schema has a name for everything that programs of the field write. For
`timeseries`, `xfm`, `boldref` and surfaces of derivatives it has none yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

_PROPOSED = {"from": "from", "to": "to", "mode": "mode"}
"""Entities of a proposal (BEP 14) that stand in the names of every transform, before `desc`."""


class Schema(NamedTuple):
    """What memori reads of the schema.

    Attributes
    ----------
    bids_version : str
        Of the standard, without its last number: patches mend its text, and a validator that is a
        little older would not know them.
    entities : Mapping of str to str
        Short name to long name, in the order in which they stand in a name.
    indices : frozenset of str
        Short names of the entities whose labels are numbers.
    spaces : frozenset of str
        The templates that need no explanation.
    fields : Mapping of str to Mapping
        What sidecars may hold: name to the standard's description.
    modalities : Mapping of str to str
        Datatype to modality.
    names : list of Mapping
        The rules of files that are named by entities.
    sidecars : list of Mapping
        The rules of sidecars: `selectors` and `fields`.
    associations : Mapping of str to Mapping
        Which files belong to which: a kind to `selectors` and `target`.
    objects : Mapping
        All that rules refer to.
    """

    bids_version: str
    entities: Mapping[str, str]
    indices: frozenset[str]
    spaces: frozenset[str]
    fields: Mapping[str, Mapping[str, Any]]
    modalities: Mapping[str, str]
    names: list[Mapping[str, Any]]
    sidecars: list[Mapping[str, Any]]
    associations: Mapping[str, Mapping[str, Any]]
    objects: Mapping[str, Any]


@cache
def schema() -> Schema:
    """Return the schema of the installed bidsschematools.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    found = _load()
    objects, rules = found["objects"], found["rules"]
    entities = {objects["entities"][long]["name"]: long for long in rules["entities"]}
    indices = {e["name"] for e in objects["entities"].values() if e.get("format") == "index"}
    modalities = {
        datatype: modality
        for modality, each in rules["modalities"].items()
        for datatype in each["datatypes"]
    }
    return Schema(
        bids_version=f"{'.'.join(str(found['bids_version']).split('.')[:2])}.0",
        entities=_with_proposed(entities),
        indices=frozenset(indices),
        spaces=frozenset(objects["enums"]["_StandardTemplateCoordSys"]["enum"]),
        fields={str(each["name"]): each for each in objects["metadata"].values()},
        modalities=modalities,
        names=list(_leaves(rules["files"], "suffixes")),
        sidecars=list(_leaves(rules["sidecars"], "fields")),
        associations=found.get("meta", {}).get("associations", {}),
        objects=objects,
    )


def _load() -> dict[str, Any]:
    spec = find_spec("bidsschematools")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "the tables of BIDS are those of bidsschematools, which is not installed: "
            "pip install bidsschematools"
        )
    path = os.path.join(spec.submodule_search_locations[0], "data", "schema.json")
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
        return found
    from bidsschematools.schema import load_schema  # earlier releases, and its own checkouts

    loaded: dict[str, Any] = load_schema().to_dict()
    return loaded


def _with_proposed(entities: dict[str, str]) -> dict[str, str]:
    pairs = list(entities.items())
    place = next((n for n, (short, _) in enumerate(pairs) if short == "desc"), len(pairs))
    return dict(pairs[:place]) | _PROPOSED | dict(pairs[place:])


def _leaves(tree: Mapping[str, Any], sign: str) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings of a tree that hold a sign, with the path that leads to each."""
    for each in tree.values():
        if isinstance(each, Mapping):
            if sign in each:
                yield each
            else:
                yield from _leaves(each, sign)
