"""What the sidecar of a derivative says: where it comes from, and what BIDS requires.

Fields come from whoever saves it, then from the defaults of the `Derivatives`, then from what the
file was made from: of its sidecars those fields that BIDS requires of the derivative as well
(RepetitionTime, TaskName, EchoTime), because a result that is still of that kind still has them.
Which fields are required is what the schema says of the name: SkullStripped of images,
SpatialReference in a space that is no standard one, Resolution with `res`, Density with `den`.
Of what nobody knows nothing is made up.

Not promised: recommended fields, but for Description, and that what is inherited is still true
(whoever drops volumes or resamples in time says so).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from textwrap import shorten
from typing import Any

from memori.neuro.bids.content import BIDSError
from memori.neuro.bids.expressions import holds
from memori.neuro.bids.names import Target
from memori.neuro.bids.schema import schema
from memori.neuro.bids.uris import Links

SEGMENTATIONS = ("mask", "dseg", "probseg")
"""What lies on the grid of its source, unless its name holds a space."""
_MASKS = {"brain": "Brain", "lesion": "Lesion", "face": "Face", "ROI": "ROI"}


class MissingFieldError(BIDSError):
    """A derivative lacks metadata that BIDS requires.

    Attributes
    ----------
    path : str
        The derivative.
    fields : list of str
        What is not known.
    """

    def __init__(self, path: str, fields: list[str]) -> None:
        shown = ", ".join(fields)
        about = "; ".join(f"{field}: {_beginning(field)}" for field in fields)
        super().__init__(
            f"{path!r} needs {shown} in its sidecar, which nobody said ({about}). Give "
            f"{fields[0]}=... to save(), beside the output's entities to map() and app(), or to "
            "Derivatives(...) if it holds for all"
        )
        self.path = path
        self.fields = fields


def _beginning(field: str) -> str:
    text = str(schema().fields.get(field, {}).get("description", "")).split("\n\n")[0]
    return shorten(text, 100, placeholder=" ...")


def check_fields(fields: Mapping[str, object]) -> None:
    """Raise a TypeError for a field that is nearly one of BIDS."""
    known = schema().fields
    for field in fields:
        near = [] if field in known else get_close_matches(field, known, n=1, cutoff=0.9)
        if near:
            raise TypeError(f"BIDS has no field {field!r}; did you mean {near[0]!r}?")


def fields_of(
    target: Target, given: Mapping[str, object], source: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a sidecar that BIDS may require, and which required ones are missing.

    Parameters
    ----------
    target : Target
        The derivative.
    given : Mapping
        What is said of it.
    source : Mapping
        What is said of what it was made from.
    """
    fields: dict[str, Any] = dict(given)
    if target.suffix == "mask" and target.entities.get("desc") in _MASKS:
        fields.setdefault("Type", _MASKS[target.entities["desc"]])
    if target.extension != ".json":
        for field in required(target, fields):
            if field in source and field in required(target, fields):
                fields[field] = source[field]
    return fields, _missing(target, fields) if target.extension != ".json" else []


def _missing(target: Target, fields: Mapping[str, Any]) -> list[str]:
    """Return the required fields that are not there; of two that stand for each other, one."""
    with_those: dict[str, Any] = dict(fields)
    missing = []
    while lacking := required(target, with_those):
        missing.append(lacking[0])
        with_those[lacking[0]] = None
    return missing


def required(target: Target, fields: Mapping[str, Any]) -> list[str]:
    """Return the fields that BIDS requires of a derivative and that are not there."""
    known = target.known(fields)
    found: dict[str, None] = {}
    for rule in schema().sidecars:
        if holds(rule.get("selectors", ()), known):
            for key, each in rule["fields"].items():
                level = each["level"] if isinstance(each, Mapping) else each
                name = str(schema().objects["metadata"].get(key, {}).get("name", key))
                if level == "required" and name not in fields:
                    found[name] = None
    return list(found)


def spelled(value: object, links: Links) -> Any:
    """Return a value of a field as JSON, with each path in it as a BIDS URI."""
    if isinstance(value, Mapping):
        return {str(key): spelled(each, links) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [spelled(each, links) for each in value]
    if isinstance(value, os.PathLike) or (isinstance(value, str) and os.path.isfile(value)):
        return links.uri(os.fspath(value))
    return value


def description_for(target: Target, sources: Sequence[str], stage: str | None) -> str:
    """Return one sentence on what a derivative is."""
    desc = target.entities.get("desc")
    what = f"{desc} {target.suffix}" if desc else target.suffix
    by = f", made by the stage {stage}" if stage else ""
    made_of = os.path.basename(sources[0].rstrip("/"))
    return f"{what} of {made_of if len(sources) == 1 else f'{len(sources)} files'}{by}"
