"""`--bids-filter-file`: which files count for which input, in fMRIPrep's grammar.

JSON: `{"bold": {"session": "01", "run": [1, 2], "acquisition": null, "echo": "*"}}`. A key is the
name of an input of the app, or its suffix, whatever their case. What a filter says takes the place
of what the input asks for, entity by entity: a label, a number, several of them, null for names
without the entity, `"*"` for any label; with `"regex_search": true` texts are patterns.

Keys of fMRIPrep that the app has no input for are told of and left alone: labs have one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memori.neuro.bids.dataset import Dataset
from memori.neuro.bids.entities import OTHERS, BIDSFile, entity_name
from memori.neuro.bids.schema import schema
from memori.neuro.bids_app.errors import AppError, unknown

_FMRIPREP = ("fmap", "bold", "sbref", "flair", "t2w", "t1w", "roi", "asl", "dwi", "pet")
_REGEX = "regex_search"
Filters = Mapping[str, Mapping[str, Any]]


def read_filters(
    path: str, inputs: Mapping[str, Any], note: Callable[[str], object]
) -> dict[str, dict[str, Any]]:
    """Return the filters of a file, by input.

    Parameters
    ----------
    path : str
        The file.
    inputs : mapping
        The app's inputs: keywords for `Dataset.files`, or files.
    note : callable
        Told of filters for nothing.

    Raises
    ------
    AppError
        If it is not there, is no such JSON, or names what nobody knows.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            said = json.load(stream)
    except OSError as error:
        raise AppError(f"--bids-filter-file {path}: {error.strerror}", 2) from error
    except ValueError as error:
        raise AppError(f"--bids-filter-file {path}: it is no JSON: {error}", 2) from error
    if not isinstance(said, dict) or not all(isinstance(each, dict) for each in said.values()):
        raise AppError(
            f"--bids-filter-file {path}: expected an object of objects, such as "
            '{"bold": {"task": "rest"}}',
            2,
        )
    found: dict[str, dict[str, Any]] = {}
    for key, filter_ in said.items():
        names = [name for name, query in inputs.items() if key.lower() in _keys(name, query)]
        if not names and key.lower() not in _FMRIPREP:
            raise unknown("input", key, f"the app (--bids-filter-file {path})", inputs)
        if not names:
            note(f"the filters for {key!r} are for nothing: the app has no such input")
        for name in names:
            found.setdefault(name, {}).update(_checked(path, key, filter_))
    return found


def _keys(name: str, query: Any) -> set[str]:
    suffix = query.get("suffix") if isinstance(query, Mapping) else None
    suffixes = [suffix] if isinstance(suffix, str) else list(suffix or ())
    datatype = query.get("datatype") if isinstance(query, Mapping) else None
    maps = ["fmap"] if datatype == "fmap" else []
    return {str(each).lower() for each in (name, *suffixes, *maps)}


def _checked(path: str, key: str, filter_: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter by short names of entities, with digits as numbers where they count."""
    found: dict[str, Any] = {}
    for name, value in filter_.items():
        if name == _REGEX:
            found[_REGEX] = bool(value)
            continue
        try:
            short = name if name in OTHERS else entity_name(name)
        except TypeError as error:
            raise AppError(f"--bids-filter-file {path}: {key}: {error}", 2) from error
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, (str, int, type(None))) for each in values):
            raise AppError(
                f"--bids-filter-file {path}: {key}: {name} is {value!r}; expected a label, a "
                'number, null, "*", or a list of those',
                2,
            )
        spelled = [_spelled(short, each) for each in values]
        found[short] = spelled if isinstance(value, list) else spelled[0]
    return found


def _spelled(short: str, value: Any) -> Any:
    known = {"Query.NONE": None, "Query.ANY": "*"}
    if isinstance(value, str) and value in known:
        return known[value]
    if short in schema().indices and isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and short not in schema().indices:
        return str(value)
    return value


def narrowed(dataset: Dataset, query: Any, filter_: Mapping[str, Any], by: Sequence[str]) -> Any:
    """Return a query of an input with a filter: keywords for `files`, or the files that fit.

    Parameters
    ----------
    dataset : Dataset
        Where to look.
    query : mapping, or iterable of paths
        What the input asks for.
    filter_ : mapping
        As `read_filters` returns it.
    by : sequence of str
        The short names of the entities by which files are joined into cases.
    """
    is_regex = filter_.get(_REGEX, False)
    wanted = {name: value for name, value in filter_.items() if name != _REGEX}
    if not isinstance(query, Mapping):
        files = [dataset.file(each) for each in query]
        return [f for f in files if all(_fits(f, n, v, is_regex) for n, v in wanted.items())]
    own = {(name if name in OTHERS else entity_name(name)): v for name, v in query.items()}
    special = {n: v for n, v in wanted.items() if _is_special(n, v, is_regex)}
    plain = {**own, **{n: v for n, v in wanted.items() if n not in special}}
    if not special:
        return plain
    others = {name: value for name, value in plain.items() if name not in special}
    files = [
        file
        for file in dataset.files(**others)
        if all(_fits(file, name, value, is_regex) for name, value in special.items())
    ]
    if any(name in by for name in special):
        return files
    labels = {name: sorted({_said(f, name) for f in files}, key=str) for name in special}
    return {**others, **{name: [each or None for each in labels[name]] for name in special}}


def _is_special(name: str, value: Any, is_regex: bool) -> bool:
    values = value if isinstance(value, list) else [value]
    return "*" in values or (is_regex and any(isinstance(each, str) for each in values))


def _said(file: BIDSFile, name: str) -> str:
    return str(getattr(file, name)) if name in OTHERS else file.entities.get(name, "")


def _fits(file: BIDSFile, name: str, value: Any, is_regex: bool) -> bool:
    said = _said(file, name)
    values = value if isinstance(value, list) else [value]
    return any(_is(said, each, is_regex) for each in values)


def _is(said: str, value: str | int | None, is_regex: bool) -> bool:
    if value is None or value == "*":
        return bool(said) == (value == "*")
    if isinstance(value, int):
        return said.isdigit() and int(said) == value
    if is_regex and said:
        return re.search(value, said) is not None
    return said == value
