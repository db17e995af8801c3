"""Files joined into cases: what belongs together by the entities of its names.

The first input leads: each of its files makes a case. A file of another input belongs to it where

- the entities of `by` agree: the same label, or none in its name (a T1w of the subject serves all
  sessions, and of one of the session and one of the subject the session's is taken);
- within one datatype, all entities that both names have agree (an sbref of run 2 is for run 2),
  and the name that has more of them is taken. What both queries fix is not compared: a mask that
  is asked for by `desc="brain"` belongs to an image that is asked for by `desc="preproc"`;
- it is a field map that says what it is for (`IntendedFor`, `B0FieldIdentifier`), and this is it.

What is missing or ambiguous after that is told of every subject at once, before anything runs.
Nothing is guessed: neither the first of two T1w nor a session's image for another session.

Not promised: cases for files that no entity tells apart, and joins through tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

from memori.errors import warn
from memori.neuro.bids.companions import field_maps, says_for_what
from memori.neuro.bids.content import BIDSError, require
from memori.neuro.bids.entities import BIDSFile, entity_name
from memori.neuro.bids.query import Choices, same_any, some
from memori.neuro.bids.schema import schema

Query: TypeAlias = Mapping[str, Any] | Iterable[str | os.PathLike[str]]
"""What to find for an input: keywords for `Dataset.files`, or files that were found."""


_RECORDING = ("sub", "ses", "task", "run")  # what tells recordings apart, not kinds of files


class CasesError(BIDSError):
    """Files could not be joined into cases.

    Attributes
    ----------
    problems : dict of str to list of str
        What is wrong, by subject.
    """

    def __init__(self, root: str, problems: dict[str, list[str]]) -> None:
        lines = [f"  {subject}: {each}" for subject, said in problems.items() for each in said]
        super().__init__(
            f"the files of {root!r} make no cases for {len(problems)} of its subjects:\n"
            + "\n".join(lines)
            + "\nSay which file is meant by one more entity or extension=, allow what may be "
            "missing by optional=(...) or any number by several=(...), choose subjects by "
            "where=..., or leave these out by missing='skip'"
        )
        self.problems = problems


class Finder(NamedTuple):
    """What a join asks of a dataset."""

    files: Callable[..., list[BIDSFile]]
    file: Callable[[str | os.PathLike[str]], BIDSFile]
    metadata: Callable[[BIDSFile], Mapping[str, Any]]
    root: str
    subjects: list[str]


class _Group(NamedTuple):
    """Files that are alike but for a number in their names; mostly one."""

    files: list[BIDSFile]
    entities: dict[str, str]
    value: BIDSFile | list[BIDSFile]

    @property
    def datatype(self) -> str:
        return self.files[0].datatype


class _Input(NamedTuple):
    """An input: what was asked for it, and what was found, by its labels of what is joined by."""

    name: str
    asked: str
    named: frozenset[str]  # the entities that its query names
    fixed: frozenset[str]  # those of them, or of what its list is made by, that have one label
    is_found: bool
    groups: list[_Group]
    joined: list[str]
    by_labels: dict[tuple[str | None, ...], list[_Group]]


def join(
    finder: Finder,
    queries: Mapping[str, Query],
    keys: Mapping[str, str],
    over: Sequence[str],
    optional: Sequence[str],
    several: Sequence[str],
    missing: str,
    where: Choices,
) -> list[dict[str, object]]:
    """Return the cases; `Dataset.cases` says what the parameters mean."""
    _check(queries, keys, optional, several, missing)
    lead, *others = [_input(finder, name, query, over, keys) for name, query in queries.items()]
    problems = _nowhere(finder, lead, where)
    cases = []
    subjects = set()
    twins = _twins(lead)

    def is_wanted(entities: Mapping[str, str]) -> bool:
        return all(same_any(entities.get(key), wanted) for key, wanted in where.items())

    apart = {each.name: each.fixed & {*lead.fixed, *keys.values()} for each in others}
    for group in lead.groups:
        if not is_wanted(group.entities):
            continue
        subjects.add(group.entities.get("sub"))
        if group.files[0] in twins:
            _note(problems, _subject(group.entities, keys), [twins[group.files[0]]])
            continue
        case: dict[str, object] = {name: group.entities.get(key) for name, key in keys.items()}
        case[lead.name] = [group.value] if lead.name in several else group.value
        said = []
        for each in others:
            found = _belonging(finder, each, group, apart[each.name])
            case[each.name], wrong = _value(each, found, optional, several)
            said += [wrong] if wrong else []
        _note(problems, _subject(group.entities, keys), said)
        cases += [] if said else [case]
    if lead.is_found and "sub" in keys.values() and "sub" not in lead.named:
        skipped = {group.entities.get("sub") for group in lead.groups} - subjects
        for label in finder.subjects:
            if label not in subjects | skipped and is_wanted({"sub": label}):
                _note(problems, f"sub-{label}", [f"no {lead.name} ({lead.asked})"])
    _tell(finder.root, problems, missing)
    require(path for case in cases for value in case.values() for path in _paths(value))
    return cases


def as_names(parameter: str, names: Sequence[str]) -> Sequence[str]:
    """Return names that were given, unless they are one text, which would be read by letters."""
    if isinstance(names, str):
        raise TypeError(f"{parameter}={names!r} is one text; expected names: ({names!r},)")
    return names


def _check(
    queries: Mapping[str, Query],
    keys: Mapping[str, str],
    optional: Sequence[str],
    several: Sequence[str],
    missing: str,
) -> None:
    if not queries:
        raise TypeError("cases() got no input; expected one such as bold=dict(suffix='bold')")
    for parameter, names in (("optional", optional), ("several", several)):
        for name in as_names(parameter, names):
            if name not in queries:
                near = get_close_matches(name, queries, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(queries)}"
                raise TypeError(f"cases() has no input {name!r} of {parameter}=; {hint}")
    for name, query in queries.items():
        if not isinstance(query, (os.PathLike, Iterable)):
            raise TypeError(f"{name}={query!r}: give what the names of its files say, "
                            f"{name}=dict(suffix='bold'), or a list of files")  # fmt: skip
    both = queries.keys() & keys.keys()
    if both:
        raise TypeError(f"{min(both)!r} is in by=, so no input can have that name")
    if missing not in ("error", "skip"):
        raise ValueError(f"missing is 'error' or 'skip', got {missing!r}")
    if next(iter(queries)) in optional:
        raise TypeError(f"the first input, {next(iter(queries))!r}, makes the cases; it cannot be "
                        "optional: name one first that every case has")  # fmt: skip


def _input(
    finder: Finder, name: str, query: Query, over: Sequence[str], keys: Mapping[str, str]
) -> _Input:
    if isinstance(query, Mapping):
        files = finder.files(**query)
        given = {_short(key): value for key, value in query.items() if value is not None}
        named = frozenset(given)
        fixed = frozenset(key for key, value in given.items() if _is_one(value))
        asked = ", ".join(f"{key}={value!r}" for key, value in query.items())
    else:
        paths = [query] if isinstance(query, (str, os.PathLike)) else query
        files = [finder.file(path) for path in paths]
        for file in files:
            if not os.path.lexists(file):
                raise FileNotFoundError(
                    f"{name}={str(file)!r}: there is no such file in {finder.root!r}; give paths "
                    f"of files, or what their names say: {name}=dict(suffix={str(file)!r})"
                )
        named = frozenset()
        fixed = _shared(files) - {*_RECORDING, *keys.values()}
        asked = f"of {len(files)} files given"
    groups = list(_grouped(files, set(over) - named))
    joined = [key for key in keys.values() if key not in fixed]
    by_labels: dict[tuple[str | None, ...], list[_Group]] = {}
    for group in groups:
        by_labels.setdefault(tuple(map(group.entities.get, joined)), []).append(group)
    is_found = isinstance(query, Mapping)
    return _Input(name, asked, named, fixed, is_found, groups, joined, by_labels)


def _is_one(value: Any) -> bool:
    if isinstance(value, Collection) and not isinstance(value, str):
        return len(value) == 1
    return not isinstance(value, Iterable) or isinstance(value, (str, Real))


def _shared(files: Iterable[BIDSFile]) -> frozenset[str]:
    """Return the entities that have one label in all files."""
    labels = [set(file.entities.items()) for file in files]
    return frozenset(entity for entity, _ in set.intersection(*labels)) if labels else frozenset()


def _short(name: str) -> str:
    try:
        return entity_name(name)
    except TypeError:
        return name


def _grouped(files: list[BIDSFile], over: set[str]) -> Iterator[_Group]:
    """Yield files that differ in nothing but what is gathered, as one group with a list."""
    alike: dict[object, list[BIDSFile]] = {}
    for file in files:
        rest = frozenset((e, v) for e, v in file.entities.items() if e not in over)
        folder = os.path.dirname(file)
        alike.setdefault((folder, rest, file.suffix, file.extension), []).append(file)
    for group in alike.values():
        entities = {e: v for e, v in group[0].entities.items() if e not in over}
        if any(over.intersection(file.entities) for file in group):
            group.sort(key=lambda file: [_place(file.entities.get(e, "")) for e in sorted(over)])
            yield _Group(group, entities, group)
        else:
            yield _Group(group, entities, group[0])


def _twins(lead: _Input) -> dict[str, str]:
    """Tell of files that are one recording twice: run-1 and run-01, .nii and .nii.gz."""
    same: dict[object, list[BIDSFile]] = {}
    for group in lead.groups:
        labels = {
            entity: int(label) if entity in schema().indices and label.isdigit() else label
            for entity, label in group.entities.items()
        }
        file = group.files[0]
        key = (os.path.dirname(file), frozenset(labels.items()), file.suffix)
        same.setdefault(key, []).append(file)
    return {
        file: f"{len(files)} files are one {lead.name}: {_names(files)}"
        for files in same.values()
        if len(files) > 1
        for file in files
    }


def _names(files: Iterable[str]) -> str:
    return ", ".join(repr(os.path.basename(file.rstrip("/"))) for file in files)


def _place(label: str) -> tuple[int, str]:
    return (int(label), label) if label.isascii() and label.isdigit() else (-1, label)


def _belonging(finder: Finder, asked: _Input, lead: _Group, apart: frozenset[str]) -> list[_Group]:
    """Return what of an input belongs to a leading file: the nearest, if some are nearer.

    Entities in `apart` say what kind of file each input is, and are not compared.
    """
    labels = [{lead.entities.get(key), None} for key in asked.joined]
    found = [
        group
        for each in product(*labels)
        for group in asked.by_labels.get(each, [])
        if group.datatype not in ("", lead.datatype) or _agree(group.entities, lead.entities, apart)
    ]
    found.sort(key=lambda group: group.files[0])
    found = _for_this(finder, found, lead)
    near = [
        (
            sum(key in group.entities for key in asked.joined),
            len(group.entities.keys() & lead.entities.keys())
            if group.datatype in ("", lead.datatype)
            else 0,
        )
        for group in found
    ]
    return [group for group, place in zip(found, near, strict=True) if place == max(near)]


def _agree(one: Mapping[str, str], other: Mapping[str, str], apart: frozenset[str]) -> bool:
    return all(
        entity in apart or other.get(entity, label) == label for entity, label in one.items()
    )


def _for_this(finder: Finder, groups: list[_Group], lead: _Group) -> list[_Group]:
    """Leave out the field maps that say they are for others."""
    maps = [file for group in groups if group.datatype == "fmap" for file in group.files]
    speaking = {str(file) for file in maps if says_for_what(finder.metadata(file))}
    if not speaking:
        return groups
    fit = field_maps(finder.root, lead.files[0], maps, finder.metadata)
    return [
        group
        for group in groups
        if not speaking.intersection(group.files) or set(group.files).intersection(fit)
    ]


def _nowhere(finder: Finder, lead: _Input, where: Choices) -> dict[str, list[str]]:
    """Tell of wanted subjects that are not there, and of what no leading file has."""
    problems: dict[str, list[str]] = {}
    for key, wanted in where.items():
        there = {label for group in lead.groups if (label := group.entities.get(key))}
        there |= set(finder.subjects) if key == "sub" else set()
        bare = [f.removeprefix(f"{key}-") if isinstance(f, str) else f for f in wanted]
        absent = [
            each
            for each in dict.fromkeys(bare)
            if each is not None and not any(same_any(label, [each]) for label in there)
        ]
        if key != "sub" and len(absent) < len(set(bare)):
            continue  # some of what is wanted is there
        for each in absent:
            near = get_close_matches(str(each), there, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {some(sorted(there))}"
            problems[f"{key}-{each}"] = [f"none is there, though where= wants it; {meant}"]
    return problems


def _value(
    asked: _Input, found: list[_Group], optional: Sequence[str], several: Sequence[str]
) -> tuple[object, str]:
    """Return what a case has for an input, and what is wrong with that."""
    if asked.name in several and (found or asked.name in optional):
        return [group.value for group in found], ""
    if not found:
        return None, "" if asked.name in optional else f"no {asked.name} ({asked.asked})"
    if len(found) == 1:
        return found[0].value, ""
    names = _names(group.files[0] for group in found)
    return None, f"{len(found)} files could be {asked.name}: {names}"


def _subject(entities: Mapping[str, str], keys: Mapping[str, str]) -> str:
    said = [f"{key}-{entities[key]}" for key in keys.values() if key in entities]
    return " ".join(said) or "the dataset"


def _note(problems: dict[str, list[str]], subject: str, said: list[str]) -> None:
    for each in said:
        listed = problems.setdefault(subject, [])
        if each not in listed:
            listed.append(each)


def _tell(root: str, problems: dict[str, list[str]], missing: str) -> None:
    if problems and missing == "error":
        raise CasesError(root, dict(sorted(problems.items())))
    for subject, said in sorted(problems.items()):
        warn(f"{subject} is left out of the cases of {root!r}: {'; '.join(said)}")


def _paths(value: object) -> Iterator[str]:
    if isinstance(value, BIDSFile):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each)
