"""What an app is to run: the cases of the participants that were asked for.

Each participant is looked at alone, so that what is wrong with one (two T1w where one is expected,
a file whose content git-annex has elsewhere) leaves the others as they are. One that has no file of
the first input is left out; if it was asked for by name, that is a failure.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from memori.errors import MemoriError, MemoriWarning
from memori.neuro.bids.cases import CasesError
from memori.neuro.bids.dataset import Dataset
from memori.neuro.bids.entities import BIDSFile, entity_name
from memori.neuro.bids_app.errors import AppError, unknown
from memori.neuro.bids_app.filters import Filters, narrowed

_KEYS = {"session": "ses", "task": "task"}


class Inputs(NamedTuple):
    """What an app takes of a dataset; as of `Dataset.cases`.

    Attributes
    ----------
    queries : mapping
        Of each input keywords for `Dataset.files`, or files; the first makes the cases.
    by, optional, several, lists : sequence of str
        As of `Dataset.cases`.
    """

    queries: Mapping[str, Any]
    by: Sequence[str]
    optional: Sequence[str]
    several: Sequence[str]
    lists: Sequence[str]

    @property
    def lead(self) -> str:
        """The first input."""
        return next(iter(self.queries))


class Asked(NamedTuple):
    """What a command line asks for: labels, none for all; and filters by input."""

    participants: list[str]
    sessions: list[str]
    tasks: list[str]
    filters: Filters


class Chosen(NamedTuple):
    """What is to be run, and what cannot be.

    Attributes
    ----------
    participants : list of str
        The labels of those that are looked at.
    cases : list of dict
        As `Dataset.cases` makes them.
    problems : dict of str to list of str
        What is wrong, by participant.
    left_out : dict of str to str
        Why participants have no case, though nothing is wrong with them.
    """

    participants: list[str]
    cases: list[dict[str, Any]]
    problems: dict[str, list[str]]
    left_out: dict[str, str]


def participants_of(dataset: Dataset, asked: Sequence[str]) -> list[str]:
    """Return the labels of the participants that are asked for; all if none is.

    Raises
    ------
    AppError
        If there is none, or one is asked for that is not there.
    """
    there = dataset.subjects()
    if not there:
        raise AppError(f"{dataset.root} has no participants: no folder in it is named sub-*")
    for label in asked:
        if label not in there:
            raise unknown("participant", label, dataset.root, there)
    return list(asked) or there


def choose(dataset: Dataset, inputs: Inputs, asked: Asked, note: Callable[[str], object]) -> Chosen:
    """Return what is to be run.

    Parameters
    ----------
    dataset : Dataset
        The data.
    inputs : Inputs
        What the app takes of them.
    asked : Asked
        What the command line asks for.
    note : callable
        Told of what has no effect.

    Raises
    ------
    AppError
        If a label that is asked for is nowhere.
    """
    by = [entity_name(name) for name in inputs.by]
    chosen = Chosen(participants_of(dataset, asked.participants), [], {}, {})
    leads: list[BIDSFile] = []
    found: dict[str, list[BIDSFile]] = {}
    queries = {label: _queries(dataset, label, inputs, asked, by) for label in chosen.participants}
    for label, each in queries.items():
        found[label] = _files(dataset, each[inputs.lead])
        leads += found[label]
    where = _where(dataset, leads, asked, inputs.lead, note)
    for label, each in queries.items():
        fits = [f for f in found[label] if _is_wanted(f, where)]
        if fits:
            _add_cases(chosen, dataset, inputs, each, where, label)
            continue
        why = f"no {inputs.lead} ({_told(inputs.queries[inputs.lead], asked, inputs.lead)})"
        if asked.participants:
            chosen.problems[label] = [why]
        else:
            chosen.left_out[label] = why
    return chosen


def _queries(
    dataset: Dataset, label: str, inputs: Inputs, asked: Asked, by: Sequence[str]
) -> dict[str, Any]:
    """Return the queries of all inputs, for one participant."""
    found = {}
    for name, query in inputs.queries.items():
        if isinstance(query, Mapping):
            own: Any = query if {"subject", "sub"} & query.keys() else {**query, "subject": label}
        else:
            files = [dataset.file(each) for each in query]
            own = [f for f in files if f.entities.get("sub", label) == label]
        filter_ = asked.filters.get(name)
        found[name] = narrowed(dataset, own, filter_, by) if filter_ else own
    return found


def _files(dataset: Dataset, query: Any) -> list[BIDSFile]:
    return dataset.files(**query) if isinstance(query, Mapping) else list(query)


def _where(
    dataset: Dataset,
    leads: Iterable[BIDSFile],
    asked: Asked,
    lead: str,
    note: Callable[[str], object],
) -> dict[str, list[str]]:
    """Return the sessions and tasks that are wanted, each of which some file has."""
    files = list(leads)
    where = {}
    for name, labels in (("session", asked.sessions), ("task", asked.tasks)):
        there = {f.entities[_KEYS[name]] for f in files if _KEYS[name] in f.entities}
        if not labels:
            continue
        if not there and name == "task" and files:
            note(f"--task-id has no effect: no {lead} has a task")
            continue
        if not there and files:
            raise AppError(f"no {lead} in {dataset.root} is of a {name}, so none can be chosen", 2)
        for label in labels:
            if label not in there and files:
                raise unknown(name, label, f"the names of {lead} in {dataset.root}", there)
        where[name] = labels
    return where


def _is_wanted(file: BIDSFile, where: Mapping[str, list[str]]) -> bool:
    return all(file.entities.get(_KEYS[name]) in labels for name, labels in where.items())


def _told(query: Any, asked: Asked, lead: str) -> str:
    said = dict(query) if isinstance(query, Mapping) else {"of files given": len(list(query))}
    said |= asked.filters.get(lead, {})
    said |= {"session": asked.sessions} if asked.sessions else {}
    said |= {"task": asked.tasks} if asked.tasks else {}
    return ", ".join(f"{name}={value!r}" for name, value in said.items())


def _add_cases(
    chosen: Chosen,
    dataset: Dataset,
    inputs: Inputs,
    queries: Mapping[str, Any],
    where: Mapping[str, list[str]],
    label: str,
) -> None:
    """Add the cases of one participant, and what is wrong with it."""
    cases = chosen.cases
    options: dict[str, Any] = {
        "by": inputs.by,
        "optional": inputs.optional,
        "several": inputs.several,
        "lists": inputs.lists,
        "where": where,
    }
    try:
        try:
            cases += dataset.cases(**options, **queries)
        except CasesError as error:
            chosen.problems[label] = [
                f"{whose}: {each}" if whose != f"sub-{label}" else each
                for whose, said in error.problems.items()
                for each in said
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MemoriWarning)  # it is told at the end
                cases += dataset.cases(**options, **queries, missing="skip")
    except (MemoriError, OSError) as error:
        chosen.problems.setdefault(label, []).append(str(error))


def label_of(case: Mapping[str, Any], lead: str) -> str:
    """Return the participant of a case."""
    value = case[lead]
    return BIDSFile(value[0] if isinstance(value, list) else value).entities.get("sub", "")


def title_of(case: Mapping[str, Any], lead: str) -> str:
    """Return how a case is called: its entities, as they stand in the name of its file."""
    value = case[lead]
    name = os.path.basename(str(value[0] if isinstance(value, list) else value))
    entities = BIDSFile(name).entities
    return "_".join(f"{key}-{label}" for key, label in entities.items())
