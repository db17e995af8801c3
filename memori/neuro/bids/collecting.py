"""A pipeline run over cases, with its results saved as derivatives.

Whatever can be wrong with the names is told before anything runs. A case that fails takes what
earlier runs saved of it out of the way: a derivative is what the pipeline makes today, or it is
not there.

Not promised: that results are saved while other cases still run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from memori.errors import warn
from memori.mapping.cases import Cases
from memori.mapping.failure import Failure
from memori.mapping.mapped import listed_cases
from memori.neuro.bids.entities import BIDSFile
from memori.neuro.bids.names import extensions_of, ignore_pattern
from memori.neuro.bids.naming import split_names, target_of
from memori.neuro.bids.placing import Value
from memori.neuro.bids.sidecar import MissingFieldError

Outputs: TypeAlias = Mapping[str, Mapping[str, Any]]


class Saved(NamedTuple):
    """What came of a run over cases.

    Attributes
    ----------
    cases : Cases
        As `Pipeline.map` returns them.
    paths : list of dict of str to str
        Of each case the derivatives, by output; empty for one that failed.
    """

    cases: Cases
    paths: list[dict[str, str]]


class Saver(Protocol):
    """What saves: `Derivatives`."""

    def check(self, source: str | list[str], **names: Any) -> str:
        """Return the path of a derivative, or raise."""

    def save(self, value: object, **names: Any) -> str:
        """Save a value."""

    def retract(self, source: str | list[str], **names: Any) -> list[str]:
        """Move derivatives of a source out of the way."""

    def note_tools(self, values: Iterable[object]) -> None:
        """Name the tools that made results."""


def run_and_save(
    derivatives: Saver,
    pipeline: Any,
    cases: Iterable[Mapping[str, object]],
    outputs: Outputs | Callable[[Mapping[str, object]], Outputs],
    source: str,
    options: Mapping[str, Any],
) -> Saved:
    """Run and save; `Derivatives.map` says what the parameters mean."""
    listed = listed_cases(cases)
    wanted = [outputs(case) if callable(outputs) else outputs for case in listed]
    for case, each in zip(listed, wanted, strict=True):
        check_case(derivatives, pipeline, case, each, source)
    done: Cases = pipeline.map(listed, **options)
    paths: list[dict[str, str]] = []
    for (case, result), each in zip(done, wanted, strict=True):
        if isinstance(result, Failure):
            retract_case(derivatives, case, each, source)
            paths.append({})
        else:
            paths.append(save_case(derivatives, case, result, each, source))
    lost = overwritten([(*each, saved) for each, saved in zip(done, paths, strict=True)])
    if lost:
        raise ValueError("; ".join(lost.values()))
    return Saved(done, paths)


def overwritten(
    saved: Sequence[tuple[Mapping[str, object], Any, Mapping[str, str]]],
) -> dict[int, str]:
    """Say of which cases a derivative was replaced by that of a later case, which differs.

    Parameters
    ----------
    saved : sequence of (case, results, derivatives by output)
        What was saved, in this order.
    """
    last = {path: place for place, (_, _, paths) in enumerate(saved) for path in paths.values()}
    found: dict[int, str] = {}
    for place, (case, result, paths) in enumerate(saved):
        for output, path in paths.items():
            later, made, others = saved[last[path]]
            other = next(name for name, each in others.items() if each == path)
            if (place, output) != (last[path], other) and (
                Value(result[output], None).digest != Value(made[other], None).digest
            ):
                found[place] = (
                    f"{path} is the name of {output!r} of {dict(case)!r} and of {other!r} of "
                    f"{dict(later)!r}, which replaced it: tell them apart by desc=... or another "
                    "source"
                )
    return found


def save_case(
    derivatives: Saver,
    case: Mapping[str, object],
    result: Mapping[str, object],
    outputs: Outputs,
    source: str,
) -> dict[str, str]:
    """Save what one case made; return the derivatives by output.

    What a skipped stage would have made (`memori.when`) is not there, and not saved.
    """
    skipped = getattr(result, "skipped", {})
    default: dict[str, Any] = {"source": _lead(case, source), "sources": _files(case)}
    saved = {
        output: derivatives.save(result[output], **{**default, "overwrite": "edited", **names})
        for output, names in outputs.items()
        if output in result or not skipped
    }
    derivatives.note_tools(result.values())
    return saved


def retract_case(
    derivatives: Saver, case: Mapping[str, object], outputs: Outputs, source: str
) -> None:
    """Move what earlier runs saved of a case out of the way, and say so."""
    lead = _lead(case, source)
    gone = [
        os.path.basename(path)
        for names in outputs.values()
        for path in derivatives.retract(lead, **_only_names(names))
    ]
    if gone:
        warn(
            "the rerun failed, so what an earlier run made was moved out of the way, to "
            f".memori/outdated: {', '.join(gone)}"
        )


def check_case(
    derivatives: Saver, pipeline: Any, case: Mapping[str, object], outputs: Outputs, source: str
) -> None:
    """Raise if what a case will make cannot be saved, for its names or what BIDS requires."""
    if not isinstance(outputs, Mapping):
        raise TypeError(
            f"outputs={outputs!r}; expected the name of each output with what its derivative is "
            "called by: {'mask': {'desc': 'brain', 'suffix': 'mask'}}"
        )
    lead = _lead(case, source)
    offered = list(pipeline.offers)
    for output, names in outputs.items():
        if output not in offered:
            raise TypeError(
                f"{pipeline!r} has no output {output!r} to save; it has {', '.join(offered)}"
            )
        _check(derivatives, lead, names)


def _check(derivatives: Saver, source: str | list[str], names: Mapping[str, Any]) -> None:
    """Raise what saving will raise, whatever the result's extension turns out to be."""
    *possible, last = _likely(source, names)
    for each in possible:
        try:
            derivatives.check(source, **each)
        except MissingFieldError:
            continue  # under another extension BIDS may require less
        return
    derivatives.check(source, **last)


def _likely(source: str | list[str], names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return names with the extensions that the schema knows for them, that of the source first.

    Of a name that it does not know nothing can be told: its result may be a JSON file.
    """
    names = _only_names(names)
    if "extension" in names:
        return [names]
    entities, _ = split_names(names)
    suffix, datatype = entities.pop("suffix", None), entities.pop("datatype", None)
    try:
        target = target_of(source, suffix, None, datatype, entities)  # type: ignore[arg-type]
    except ValueError:
        return [{**names, "extension": ".json"}]
    if ignore_pattern(target, "x") is None:
        return [names]
    known = [
        {**names, "extension": extension}
        for extension in extensions_of(target.suffix)
        if ignore_pattern(target._replace(extension=extension), "x") is None
    ]
    return known or [{**names, "extension": ".json"}]


def _only_names(names: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in names.items() if key not in ("sources", "overwrite")}


def _lead(case: Mapping[str, object], source: str) -> str | list[str]:
    found = case.get(source)
    if isinstance(found, str) or (isinstance(found, list) and found):
        return found
    raise TypeError(
        f"source={source!r} names no file of the case {case!r}; give the name of the input "
        "that the derivatives are named after"
    )


def _files(case: Mapping[str, object]) -> list[str]:
    """Return the files of a case that lie in a dataset."""
    values = [v for value in case.values() for v in (value if isinstance(value, list) else [value])]
    return [each for each in values if isinstance(each, BIDSFile)]
