"""What `Dataset.files` is asked for, and which names fit.

An entity may be asked for as a label (`run="01"`), as a number (`run=1` finds `run-01` too), as
several of them, or as None, which finds names without it. A label may be given as it stands in
names (`subject="sub-01"`), an extension without its dot (`extension="nii.gz"`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import SupportsIndex, TypeAlias

from memori.neuro.bids.entities import OTHERS
from memori.neuro.bids.tree import Found, Item

Wanted: TypeAlias = str | SupportsIndex | Iterable[str | SupportsIndex] | None
"""What an entity may be asked for: a label, a number, several of them, or None for absent."""
Choices: TypeAlias = Mapping[str, list[object]]

# Files that describe another file of the same name: left out unless the extension is asked for.
_DESCRIBING = frozenset({".json", ".bvec", ".bval"})
_FOLDERS = ("sub", "tpl", "ses", "cohort")


def choices(key: str, value: Wanted) -> list[object]:
    """Return what may stand for an entity (its short name), as a list; `sub-01` stands for 01."""
    single = value is None or isinstance(value, (str, Real)) or not isinstance(value, Iterable)
    listed: list[object] = [value] if single else list(value)  # type: ignore[arg-type]
    texts = [each for each in listed if isinstance(each, str)]
    if key == "extension":
        return listed + [f".{each}" for each in texts if each and each[0] != "."]
    dotted = next((each for each in texts if key == "suffix" and "." in each), None)
    if dotted is not None:
        suffix, _, rest = dotted.partition(".")
        raise ValueError(
            f"suffix={dotted!r}: a suffix has no dot; write suffix={suffix!r}, extension='.{rest}'"
        )
    bare = (each.removeprefix(f"{key}-") for each in texts)
    return listed + [each for each in bare if key not in OTHERS and each not in listed]


def fits(found: Found, wanted: Choices) -> bool:
    """Tell whether a file's name says what is wanted."""
    item = found.item
    if "extension" not in wanted and item.extension in _DESCRIBING:
        return False
    if not found.datatype and "tpl" not in item.entities and wanted.keys().isdisjoint(OTHERS):
        return False
    values = said(found)
    return all(same_any(values.get(name) or None, each) for name, each in wanted.items())


def said(found: Found) -> dict[str, str]:
    """Return all that a file's name and folder say."""
    item = found.item
    others = {"suffix": item.suffix, "extension": item.extension, "datatype": found.datatype}
    return {**item.entities, **others}


def may_hold(item: Item, wanted: Choices) -> bool:
    """Tell whether the folder of a subject or session may hold what is wanted."""
    return all(
        key not in item.entities or same_any(item.entities[key], wanted[key])
        for key in _FOLDERS
        if key in wanted
    )


def same_any(found: str | None, wanted: list[object]) -> bool:
    """Tell whether a label is one of those wanted."""
    return any(_same(found, choice) for choice in wanted)


def _same(found: str | None, choice: object) -> bool:
    if isinstance(choice, Real) and found is not None:
        return re.fullmatch("[0-9]+", found) is not None and int(found) == choice
    return found == choice


def some(values: Sequence[str]) -> str:
    """Return the first few of some values, for a message."""
    shown = ", ".join(map(repr, map(str, values[:10]))) or "none"
    return shown + (f" and {len(values) - 10} more" if len(values) > 10 else "")
