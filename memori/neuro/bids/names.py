"""Whether the schema has a name for a derivative; if not, what tells the validator to pass it by.

The standard has no names yet for much that programs write: `timeseries`, `boldref`, `xfm`,
surfaces, figures. Such names are kept, and the derivatives' `.bidsignore` gets a pattern for them,
as those of fMRIPrep have it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from memori.neuro.bids.expressions import holds
from memori.neuro.bids.schema import schema

FIGURES = "figures"
_DATASET = {"dataset_description": {"DatasetType": "derivative"}, "modalities": []}


class Target(NamedTuple):
    """The name of a derivative, in parts.

    Attributes
    ----------
    entities : Mapping of str to str
        By short names.
    suffix, extension, datatype : str
        The datatype is empty for tables of a whole subject.
    is_folder : bool
        Whether it is a folder that is one file.
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str
    datatype: str
    is_folder: bool = False

    def known(self, sidecar: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the selectors of rules ask for."""
        long = schema().entities
        named = {long[short]: v for short, v in self.entities.items() if short in long}
        return {
            "suffix": self.suffix,
            "extension": self.extension + "/" * self.is_folder,
            "datatype": self.datatype,
            "modality": schema().modalities.get(self.datatype, ""),
            "entities": {**named, **self.entities},
            "dataset": _DATASET,
            "sidecar": sidecar or {},
            "schema": {"objects": schema().objects},
        }


def ignore_pattern(target: Target, path: str) -> str | None:
    """Return the pattern of `.bidsignore` that a derivative needs; None if the schema has its name.

    Parameters
    ----------
    target : Target
        The name.
    path : str
        Relative to the dataset's root.
    """
    if target.datatype == FIGURES:
        return FIGURES
    known = target.known()
    rules = [
        rule
        for rule in schema().names
        if target.suffix in rule["suffixes"]
        and target.datatype in (rule.get("datatypes") or [""])
        and holds(rule.get("selectors", ()), known)
    ]
    if not rules:
        return f"*_{target.suffix}.*"
    rules = [rule for rule in rules if known["extension"] in rule.get("extensions", ())]
    if not rules:
        return f"*_{target.suffix}{target.extension}"
    odd = min((_odd(rule["entities"], target.entities) for rule in rules), key=len)
    if odd and odd[0]:
        # without the underscores: the validator takes no pattern of two stars that has them
        return f"*{odd[0]}-*{target.suffix}{target.extension}"
    return f"/{path.replace(os.sep, '/')}" if odd else None


def extensions_of(suffix: str) -> list[str]:
    """Return the extensions that the schema knows for data of a suffix, and not for sidecars."""
    rules = [rule for rule in schema().names if suffix in rule["suffixes"]]
    found = dict.fromkeys(each for rule in rules for each in rule.get("extensions", ()))
    return [each for each in found if each not in ("", ".json", ".*")]


def ignore_patterns(target: Target, path: str, beside: Iterable[str]) -> list[str]:
    """Return the patterns that a derivative, its sidecar and what goes along need.

    Parameters
    ----------
    target : Target
        The derivative.
    path : str
        Relative to the dataset's root.
    beside : iterable of str
        The extensions of what goes along.
    """
    stem = path.removesuffix(target.extension)
    own = ignore_pattern(target, path)
    found = [own]
    for end in beside:
        found.append(ignore_pattern(target._replace(extension=end), stem + end))
    if target.extension != ".json":
        sidecar = target._replace(extension=".json", is_folder=False)
        pattern = ignore_pattern(sidecar, f"{stem}.json")
        if own and not pattern:  # a sidecar of nothing that the validator sees
            pattern = f"/{stem.replace(os.sep, '/')}.json"
        found.append(pattern)
    return [each for each in dict.fromkeys(found) if each]


def _odd(entities: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Return the entities of a name that a rule has not; an empty one for each that it lacks."""
    long = schema().entities
    levels = {
        name: each["level"] if isinstance(each, Mapping) and "level" in each else each
        for name, each in entities.items()
    }
    extra = [short for short in labels if long.get(short, short) not in levels]
    needed = {name for name, level in levels.items() if level == "required"}
    if "tpl" in labels and "template" in levels:
        needed.discard("subject")
    lacking = needed - {long.get(short, short) for short in labels}
    return extra + [""] * len(lacking)
