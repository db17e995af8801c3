"""What a pipeline would do, before it does anything.

Each stage is decided as its run would decide it. What lies below a stage that would run cannot be
decided yet, because its inputs are still to be made; the decision says by whom.

Not promised: that a stage below one that would run does run; it is remembered after all if what it
is given turns out to be the same.
"""

from __future__ import annotations

from memori.calls.decision import Change, Decision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Case = Mapping[str, object]


class Decisions(list[Decision]):
    """Decisions of the stages of a pipeline for one case, in the order in which they run.

    Attributes
    ----------
    hit : bool
        Whether every stage is remembered.
    skipped : dict of str to str
        The stages that certainly are left out, by conditions of their lines, and why.
    """

    skipped: Mapping[str, str] = {}

    @property
    def hit(self) -> bool:
        """Whether every stage is remembered."""
        return all(decision.hit for decision in self)

    def of(self, which: str) -> Decision:
        """Return the decision of a stage, by its name.

        Raises
        ------
        KeyError
            If there is no such stage.
        """
        for decision in self:
            if decision.stage_name == which:
                return decision
        names = ", ".join(repr(decision.stage_name) for decision in self)
        raise KeyError(f"no stage {which!r} in this pipeline (stages: {names})")

    def __str__(self) -> str:
        left_out = [f"stage {name!r}: skipped: {why}" for name, why in self.skipped.items()]
        return "\n".join([*map(str, self), *left_out])


class Plan(list["tuple[Case, Decisions]"]):
    """Pairs (case, decisions) in the order given: what `Pipeline.map` would do with the cases."""

    def __str__(self) -> str:
        whole = [decision for _, decisions in self for decision in decisions]
        hits = sum(decision.hit for decision in whole)
        cases, stages = _several(len(self), "case"), _several(len(whole) - hits, "stage")
        lines = [f"{cases}: {stages} would run, {hits} {'is' if hits == 1 else 'are'} remembered"]
        for case, decisions in self:
            if not decisions.hit:
                lines.append(f"case {dict(case)!r}:")
                lines += [f"  {each}" for each in decisions if not each.hit]
        return "\n".join(lines)


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def awaiting(name: str, makers: Iterable[str]) -> Decision:
    """Return the decision of a stage whose inputs are still to be made."""
    made = " and ".join(dict.fromkeys(map(repr, makers)))
    change = Change("upstream", f"its inputs are made by {made}, which will run")
    return Decision(name, (change,), None, None)
