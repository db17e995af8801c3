"""What a pipeline keeps of what its stages made: the policy, and when it is carried out.

``"all"``
    Everything (the default).
``"outputs"``
    What stages returned. What else lies in runs' own folders is scratch, and goes.
``"final"``
    Of what stages returned, that of the last ones, from which no other stage takes anything.
``["mask", "confounds"]``
    What is called so, besides what is final.

What goes, goes when all cases are over that have the same run (two sessions of one subject share
the run of its T1w); that of a case that failed stays, for its next try.

Not promised: to keep what a stage outside of the pipeline is given later by hand. It is told to run
the pipeline again.
"""

from __future__ import annotations

import os
from collections import Counter

from memori.digest.values import encode, strings
from memori.layout import file_name
from memori.store.removing import Needs, looked_at, remove_unneeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Literal, TypeAlias

    from memori.digest.values import JSON
    from memori.graph.wiring import Wiring
    from memori.node import Node
    from memori.results import Outcome

    Keep: TypeAlias = Literal["all", "outputs", "final"] | Collection[str]

POLICIES = ("all", "outputs", "final")


def checked(keep: Keep, names: Collection[str]) -> str | tuple[str, ...]:
    """Return a policy, or raise: TypeError and ValueError say what there is."""
    if isinstance(keep, str):
        if keep in POLICIES:
            return keep
        raise ValueError(
            f"keep={keep!r}; it is {', '.join(map(repr, POLICIES))} or a list of outputs"
        )
    wanted = tuple(keep)
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"keep names {name!r}, which is no output of the pipeline "
                f"(outputs: {', '.join(names)})"
            )
    return wanted


class Keeping:
    """Removes what the cases of a map do not need any more.

    Parameters
    ----------
    wiring : Wiring
        The pipeline.
    given : sequence of (tuple, dict)
        What it is given for each case.
    """

    def __init__(
        self, wiring: Wiring, given: Sequence[tuple[tuple[JSON, ...], Mapping[str, JSON]]]
    ) -> None:
        self._wiring = wiring
        self._given = given
        self._needs = Needs(told(wiring.keep), set(_stage_names(wiring)), all_outputs=False)
        self._needs.all_outputs = wiring.keep == "outputs"
        asked = {name for _, given in self._given for name in given}
        self._names = {
            stage: sorted(name for name in asked if _counts(wiring, stage, name))
            for stage in wiring.order
        }
        cases = range(len(given))
        self._left = Counter(self._share(s, case) for s in wiring.order for case in cases)
        self._done: dict[tuple[int, str], set[str]] = {}

    def _share(self, stage: Node, case: int) -> tuple[int, str]:
        """Return what the cases have in common that may have the same run of a stage."""
        values, given = self._given[case]
        names = self._names[stage]
        part = {name: given[name] for name in names if name in given}
        return self._wiring.order.index(stage), encode([list(values), part])

    def case_is_over(self, case: int, runs: Mapping[Node, Outcome] | None) -> None:
        """Take what came of the stages of a case, None if it failed, and remove what can go."""
        kept = set() if runs is None else set(_kept(self._wiring, runs))
        entries = [path for run in (runs or {}).values() for path in run.entries]
        seen: set[str] | None = None
        for stage in self._wiring.order:
            share = self._share(stage, case)
            self._left[share] -= 1 if runs is not None else len(self._given) + 1
            self._done.setdefault(share, set()).update(kept)
            if self._left[share] == 0 and runs is not None and runs[stage].entries:
                seen = looked_at(entries) if seen is None else seen
                for path in runs[stage].entries:
                    remove_unneeded(path, self._done[share], seen, self._needs)


def told(keep: str | Collection[str]) -> str:
    """Return a policy as it is told."""
    return keep if isinstance(keep, str) else ", ".join(keep)


def _stage_names(wiring: Wiring) -> Iterator[str]:
    for node in _nodes(wiring):
        yield file_name(str(getattr(node, "stage_name", "")))


def _nodes(wiring: Wiring) -> Iterator[Node]:
    """Yield the stages of a pipeline, those of pipelines in it too."""
    for node in wiring.order:
        yield from _inner(node)


def _inner(node: Node) -> Iterator[Node]:
    inner = getattr(node, "stages", None)
    if inner is None:
        yield node
    for each in inner or ():
        yield from _inner(each)


def _counts(wiring: Wiring, stage: Node, name: str) -> bool:
    """Tell whether it depends on an input of a case which run of a stage the case has.

    Of a pipeline that stands as a stage, only if all its stages take it, so that none of them is
    taken for done while another case shares it.
    """
    sources = wiring.sources[stage]
    is_given = not any(name in each.offers for each in sources)
    takes = stage.takes(name) and all(each.takes(name) for each in _inner(stage))
    return (is_given and takes) or any(_counts(wiring, each, name) for each in sources)


def _kept(wiring: Wiring, runs: Mapping[Node, Outcome]) -> Iterator[str]:
    """Yield the files and folders, absolute, that stay of a case."""
    taken = {each for sources in wiring.sources.values() for each in sources}
    for stage in wiring.order:
        users = [each for each in wiring.order if stage in wiring.sources[each]]
        finals = getattr(stage, "final_outputs", stage.offers)
        names = set(finals) if stage not in taken else set()
        if not isinstance(wiring.keep, str):
            names.update(wiring.keep)
        for name, value in runs[stage].results.items():
            is_taken = any(always_runs(each) and each.takes(name) for each in users)
            if wiring.keep == "outputs" or name in names or is_taken:
                for _, text in strings(value, (name,)):
                    yield from _with_targets(text)


def always_runs(node: Node) -> bool:
    """Tell whether a stage runs at every call, and needs its files each time."""
    return any(
        getattr(each, "hash_output", "") is None
        or getattr(each, "always_runs", False)
        or not getattr(each, "remembered", True)
        for each in _inner(node)
    )


def _with_targets(text: str) -> Iterator[str]:
    """Yield a path, and what links at it or below lead to."""
    if not text or "\0" in text or not os.path.lexists(text):
        return
    path = os.path.abspath(text)
    yield path
    if os.path.islink(path):
        yield os.path.realpath(path)
    for above, folders, names in os.walk(path):
        for name in (*folders, *names):
            inner = os.path.join(above, name)
            if os.path.islink(inner):
                yield os.path.realpath(inner)
