"""The shape of an entry: what of it is of which type, so that whoever uses one need not ask.

An entry vouches for itself by a digest of its own text, which anybody can make who can write to the
folder. So nothing is believed of it but this: after `require_shape` each part is there in the type
that it has, no deeper than values may be, each path is one that the system can be asked about, and
the folder of a run is called like one and lies where those lie.

Not promised: that what an entry says is true. Who can write to a memory can make it say that other
files, of equal digests, are the outputs.
"""

from __future__ import annotations

import re

from memori.digest.values import DEEPEST, part_at
from memori.files import is_path
from memori.layout import RUN_FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from memori.artifacts import Artifact
    from memori.digest.values import JSON

    Fits = Callable[[JSON], bool]

_STR = frozenset({str})
_INT = frozenset({int})
_MOMENT = r"\d{4}-[01]\d-[0-3]\d[T][0-2]\d:[0-5]\d:[0-5]\dZ"
_HEXADECIMAL = 64
_PACKED_STAT = 40  # bytes
_ROOM = 16  # levels of a record above its values


def require_shape(record: dict[str, JSON], brackets: int | None = None) -> None:
    """Refuse a record of which some part is not what its name says.

    Parameters
    ----------
    record : dict
        All of an entry.
    brackets : int, optional
        How many its text opens: it has no more levels than that.

    Raises
    ------
    TypeError
        If there is one; the message names it.
    KeyError
        If a part is missing.
    """
    if (brackets is None or brackets > DEEPEST) and _is_too_deep(record):
        raise TypeError(f"it is nested deeper than {DEEPEST} levels")
    for name, fits in _NEEDED.items():
        if not fits(record[name]):
            raise _misfit(name, record[name])
    for name, fits in _OPTIONAL.items():
        value = record.get(name)
        if value is not None and not fits(value):
            raise _misfit(name, value)


def require_places(values: dict[str, JSON], artifacts: Iterable[Artifact]) -> None:
    """Refuse artifacts that stand for no part of some values, or are nowhere.

    Raises
    ------
    TypeError
        If there is one.
    """
    for each in artifacts:
        *above, last = each.pointer
        holder = part_at(values, tuple(above))
        is_there = isinstance(holder, (dict, list)) and isinstance(part_at(holder, (last,)), str)
        if not is_there:
            raise TypeError(f"no path stands at {each.pointer}")


def _misfit(name: str, value: JSON) -> TypeError:
    return TypeError(f"{str(value)[:60]!r} stands where its {name} belongs")


def _is_too_deep(value: JSON) -> bool:
    level, depth = [value], 0
    while level and depth <= DEEPEST + _ROOM:
        parts = [each.values() if type(each) is dict else each for each in level]
        level = [part for each in parts for part in each if type(part) in (dict, list)]
        depth += 1
    return bool(level)


# Shapes


def _text(value: JSON) -> bool:
    return type(value) is str


def _dict_of_texts(value: JSON) -> bool:
    return type(value) is dict and _STR.issuperset(map(type, value.values()))


def _number(value: JSON) -> bool:
    return type(value) in (int, float)


def _texts(value: JSON) -> bool:
    return type(value) is list and _STR.issuperset(map(type, value))


def _is_dict(value: JSON) -> bool:
    return type(value) is dict


def _paths(value: JSON) -> bool:
    return _texts(value) and is_path("/".join(value))


def _moment(value: JSON) -> bool:
    if not (_text(value) and re.fullmatch(_MOMENT, value)):
        return False
    month, day, hour = int(value[5:7]), int(value[8:10]), int(value[11:13])
    return 1 <= month <= 12 and 1 <= day <= 28 + 3 * (month != 2) + (month == 2) and hour < 24


def _folder(value: JSON) -> bool:
    return _text(value) and re.fullmatch(RUN_FOLDER, value) is not None


def _or_none(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _list_of(fits: Fits) -> Fits:
    return lambda value: type(value) is list and all(map(fits, value))


def _row_of(*shapes: Fits) -> Fits:
    def fits(value: JSON) -> bool:
        is_row = type(value) is list and len(value) == len(shapes)
        return is_row and all(each(part) for each, part in zip(shapes, value, strict=True))

    return fits


def _dict_of(**shapes: Fits) -> Fits:
    """Fit a dict with these parts, those of them optional that end with an underscore."""
    optional = {name[:-1]: each for name, each in shapes.items() if name[-1] == "_"}
    needed = {name: each for name, each in shapes.items() if name[-1] != "_"}

    def fits(value: JSON) -> bool:
        if type(value) is not dict or not needed.keys() <= value.keys():
            return False
        for name, each in needed.items():  # each record of each hit comes by here
            if not each(value[name]):
                return False
        for name, each in optional.items():
            if value.get(name) is not None and not each(value[name]):
                return False
        return True

    return fits


def _words(value: JSON) -> bool:
    return is_path(value) or (_paths(value) and len(value) in (3, 4))


def _groups(value: JSON) -> bool:
    return type(value) is list and all(
        type(each) is list and len(each) == 2 and _words(each[0]) and _paths(each[1])
        for each in value
    )


def _packed(value: JSON) -> bool:
    if not _dict_of(files=_groups, all=_text, stats=_text, digests=_text)(value):
        return False
    count = sum(len(names) for _, names in value["files"])
    before = value.get("before", [])
    return (
        len(value["digests"]) == count * _HEXADECIMAL
        and len(value["stats"]) == (count * _PACKED_STAT + 2) // 3 * 4
        and value["stats"].isascii()
        and type(before) is list
        and all(each is None or type(each) is str for each in before)
    )


def _stat(value: JSON) -> bool:
    return type(value) is list and _INT.issuperset(map(type, value))


def _tools(value: JSON) -> bool:
    return _is_dict(value) and all(
        is_path(path)
        and _is_dict(told)
        and all(each is None or type(each) is str for each in told.values())
        for path, told in value.items()
    )


def _listing(value: JSON) -> bool:
    return _LISTING(value) and ("names" in value or "count" in value)


_LISTING = _dict_of(
    folder=_words, stat=_stat, digest=_text, patterns_=_texts, own_=_paths, names_=_texts
)
_OBSERVED = _dict_of(
    root=is_path,
    read_=_packed,
    written_=_packed,
    edited_=_packed,
    modules_=_packed,
    absent_=_groups,
    missed_=_groups,
    there_=_groups,
    appended_=_groups,
    found_=_list_of(_row_of(_text, _groups)),
    listed_=_list_of(_listing),
    globs_=_list_of(_row_of(_words, is_path, _text)),
    trees_=_list_of(_row_of(_words, _text)),
    programs_=_list_of(_texts),
    tools_=_tools,
    unseen_=_texts,
)
_CHANGE = _dict_of(kind=_text, subject=_text, old=_text, new=_text)
_NEEDED: dict[str, Fits] = {
    "key": _text,
    "stage": _text,
    "function": _text,
    "code": _dict_of(fast=_text, canonical=_or_none(_text), components=_dict_of_texts),
    "ran": _dict_of(at=_moment, seconds_=_number, cpu_=_number, peak_=_number, host_=_text),
    "surroundings": _is_dict,
    "declared": _texts,
    "inputs": _is_dict,
    "outputs": _is_dict,
    "folder": _or_none(_folder),
}
_OPTIONAL: dict[str, Fits] = {
    "reasons": _texts,
    "compared": _dict_of_texts,
    "command": _dict_of(argv=_texts, tool=_text, version=_or_none(_text)),
    "accepted": _list_of(_dict_of(at=_moment, by=_text, host=_text, changes=_list_of(_CHANGE))),
    "observed": lambda value: value == {} or _OBSERVED(value),
}
