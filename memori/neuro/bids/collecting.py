"""A pipeline run over cases, with its results saved as derivatives.

Whatever can be wrong with the names is told before anything runs. A case that fails takes what
earlier runs saved of it out of the way: a derivative is what the pipeline makes today, or it is
not there.

Not promised: that results are saved while other cases still run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from memori.cases import Cases, Failure
from memori.errors import warn
from memori.neuro.bids.entities import BIDSFile
from memori.neuro.bids.names import ignore_pattern
from memori.neuro.bids.naming import split_names, target_of

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

    def check(self, source: str, **names: Any) -> str:
        """Return the path of a derivative, or raise."""

    def save(self, value: object, **names: Any) -> str:
        """Save a value."""

    def retract(self, source: str, **names: Any) -> list[str]:
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
    listed = [dict(case) for case in cases]
    wanted = [outputs(case) if callable(outputs) else outputs for case in listed]
    for case, each in zip(listed, wanted, strict=True):
        _check(derivatives, pipeline, case, each, source)
    done: Cases = pipeline.map(listed, **options)
    paths: list[dict[str, str]] = []
    for (case, result), each in zip(done, wanted, strict=True):
        if isinstance(result, Failure):
            _retract(derivatives, _lead(case, source), each)
            paths.append({})
            continue
        files = _files(case, source)
        paths.append(
            {
                output: derivatives.save(
                    result[output], **{"sources": files, "overwrite": "edited", **names}
                )
                for output, names in each.items()
            }
        )
        derivatives.note_tools(result.values())
    return Saved(done, paths)


def _retract(derivatives: Saver, lead: str, outputs: Outputs) -> None:
    for names in outputs.values():
        for path in derivatives.retract(lead, **_only_names(names)):
            warn(
                f"{path!r} was made by an earlier run, and the rerun failed: it was moved out of "
                "the way, to .memori/outdated"
            )


def _check(
    derivatives: Saver, pipeline: Any, case: Mapping[str, object], outputs: Outputs, source: str
) -> None:
    lead = _lead(case, source)
    offered = list(pipeline.offers)
    for output, names in outputs.items():
        if output not in offered:
            raise TypeError(
                f"{pipeline!r} has no output {output!r} to save; it has {', '.join(offered)}"
            )
        derivatives.check(lead, **_likely(lead, names))


def _likely(source: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return names with an extension under which what BIDS requires can be told before a run."""
    names = _only_names(names)
    if "extension" in names:
        return names
    entities, _ = split_names(names)
    suffix, datatype = entities.pop("suffix", None), entities.pop("datatype", None)
    try:
        target = target_of(source, suffix, None, datatype, entities)  # type: ignore[arg-type]
    except ValueError:
        return {**names, "extension": ".json"}
    known = ignore_pattern(target, "x") is None
    return names if known else {**names, "extension": ".json"}


def _only_names(names: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in names.items() if key not in ("sources", "overwrite")}


def _lead(case: Mapping[str, object], source: str) -> str:
    found = case.get(source)
    found = found[0] if isinstance(found, list) and found else found
    if not isinstance(found, str):
        raise TypeError(
            f"source={source!r} names no file of the case {case!r}; give the name of the input "
            "that the derivatives are named after"
        )
    return found


def _files(case: Mapping[str, object], source: str) -> list[str]:
    """Return the files of a case, the one that gives the names first."""
    lead = _lead(case, source)
    found = [lead]
    for name, value in case.items():
        for each in value if isinstance(value, list) else [value]:
            if (isinstance(each, BIDSFile) or name == source) and each not in found:
                found.append(str(each))
    return found
